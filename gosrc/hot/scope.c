/* The ASGI HTTP scope of an exchange (ASGI 3, HTTP spec version 2.3), with the
   keys, types and order of keys that uvicorn gives. */
#include "hot.h"

static int
put(PyObject *dict, PyObject *key, PyObject *value /* stolen, may be NULL */)
{
    if (value == NULL) {
        return -1;
    }
    int rc = PyDict_SetItem(dict, key, value);
    Py_DECREF(value);
    return rc;
}

static PyObject *
span_bytes(turbo_exchange *x, turbo_span s)
{
    return PyBytes_FromStringAndSize(x->req + s.off, s.len);
}

/* list[tuple[bytes, bytes]], names in lower case, in the order received. */
PyObject *
scope_headers(turbo_exchange *x)
{
    turbo_field *fields = (turbo_field *)(x->req + x->fields_off);
    PyObject *list = PyList_New(x->n_fields); // new
    for (uint32_t i = 0; list != NULL && i < x->n_fields; i++) {
        PyObject *name = span_bytes(x, fields[i].name);
        PyObject *value = name == NULL ? NULL : span_bytes(x, fields[i].value);
        PyObject *pair = value == NULL ? NULL : PyTuple_New(2);
        if (pair == NULL) {
            Py_XDECREF(name);
            Py_XDECREF(value);
            Py_CLEAR(list);
            break;
        }
        PyTuple_SET_ITEM(pair, 0, name);  // stolen
        PyTuple_SET_ITEM(pair, 1, value); // stolen
        PyList_SET_ITEM(list, i, pair);   // stolen
    }
    return list;
}

static PyObject *
address(const char *host, PyObject *port /* stolen */)
{
    PyObject *pair = NULL;
    PyObject *text = PyUnicode_DecodeFSDefault(host); // new; a path may be any bytes
    if (text != NULL && port != NULL) {
        pair = PyTuple_Pack(2, text, port);
    }
    Py_XDECREF(text);
    Py_XDECREF(port);
    return pair;
}

static PyObject *
method_text(hot_state *st, turbo_exchange *x)
{
    if (x->method < Py_ARRAY_LENGTH(st->methods) && st->methods[x->method] != NULL) {
        return Py_NewRef(st->methods[x->method]);
    }
    return PyUnicode_DecodeASCII(x->req + x->method_name.off, x->method_name.len, "replace");
}

/* root_path + text, as uvicorn joins them. Steals text. */
static PyObject *
with_root(PyObject *root, PyObject *text)
{
    if (text == NULL || PyUnicode_GET_LENGTH(root) == 0) {
        return text;
    }
    PyObject *joined;
    if (PyUnicode_Check(text)) {
        joined = PyUnicode_Concat(root, text);
        Py_DECREF(text);
    } else {
        joined = PyUnicode_AsUTF8String(root);
        PyBytes_ConcatAndDel(&joined, text);
    }
    return joined;
}

/* One subprotocol of a list: text without the white space around it. */
static int
add_subprotocol(PyObject *list, const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t')) {
        p++;
    }
    while (p < end && (end[-1] == ' ' || end[-1] == '\t')) {
        end--;
    }
    PyObject *text = PyUnicode_DecodeLatin1(p, end - p, NULL); // new
    int rc = text == NULL ? -1 : PyList_Append(list, text);
    Py_XDECREF(text);
    return rc;
}

/* What the client offers in its Sec-WebSocket-Protocol fields. New reference or NULL. */
static PyObject *
subprotocols(turbo_exchange *x)
{
    static const char name[] = "sec-websocket-protocol";
    turbo_field *fields = (turbo_field *)(x->req + x->fields_off);
    PyObject *list = PyList_New(0); // new
    for (uint32_t i = 0; list != NULL && i < x->n_fields; i++) {
        if (fields[i].name.len != sizeof name - 1 || memcmp(x->req + fields[i].name.off, name, sizeof name - 1) != 0) {
            continue;
        }
        const char *p = x->req + fields[i].value.off, *end = p + fields[i].value.len;
        for (const char *comma = p; list != NULL && comma != NULL; p = comma + 1) {
            comma = memchr(p, ',', (size_t)(end - p));
            if (add_subprotocol(list, p, comma ? comma : end) < 0) {
                Py_CLEAR(list);
            }
            if (comma == NULL) {
                break;
            }
        }
    }
    return list;
}

/* The scheme, and the method of a request. 0, or -1 with an exception set. */
static int
put_kind(hot_state *st, PyObject *scope, turbo_exchange *x)
{
    bool websocket = x->flags & TURBO_REQ_WEBSOCKET;
    if (x->flags & TURBO_REQ_TLS && PyDict_SetItem(scope, st->s_scheme, websocket ? st->v_wss : st->v_https) < 0) {
        return -1;
    }
    return websocket ? 0 : put(scope, st->s_method, method_text(st, x));
}

/* {name: {}} of each ASGI extension; the application may change its copy. New reference or NULL. */
static PyObject *
extensions(hot_server *srv, bool websocket)
{
    PyObject *all, *name;
    if (websocket) {
        return PyDict_Copy(srv->st->ws_extensions);
    }
    all = PyDict_New(); // new
    for (Py_ssize_t i = 0; all != NULL && i < PyTuple_GET_SIZE(srv->extensions); i++) {
        name = PyTuple_GET_ITEM(srv->extensions, i);
        if (put(all, name, PyDict_New()) < 0) {
            Py_CLEAR(all);
        }
    }
    return all;
}

/* What the scopes of all requests, or of all WebSockets, begin as: every key in its place, most without its value. New
   reference, or NULL with an exception set. */
PyObject *
scope_blank(hot_state *st, bool websocket)
{
    PyObject *keys[] = {
        st->s_type,
        st->s_asgi,
        st->s_http_version,
        st->s_server,
        st->s_client,
        st->s_scheme,
        websocket ? NULL : st->s_method,
        st->s_root_path,
        st->s_path,
        st->s_raw_path,
        st->s_query_string,
        st->s_headers,
        websocket ? st->s_subprotocols : NULL,
        st->s_state,
        st->s_extensions,
    };
    PyObject *blank = PyDict_New(); // new
    bool ok = blank != NULL;
    for (size_t i = 0; ok && i < Py_ARRAY_LENGTH(keys); i++) {
        ok = keys[i] == NULL || PyDict_SetItem(blank, keys[i], Py_None) == 0;
    }
    if (!ok || PyDict_SetItem(blank, st->s_type, websocket ? st->v_websocket : st->v_http) < 0 ||
        PyDict_SetItem(blank, st->s_http_version, st->v_11) < 0 ||
        PyDict_SetItem(blank, st->s_scheme, websocket ? st->v_ws : st->v_http) < 0) {
        Py_CLEAR(blank);
    }
    return blank;
}

/* A new scope dict. GIL held. New reference, or NULL with an exception set. */
PyObject *
scope_new(hot_server *srv, turbo_exchange *x)
{
    hot_state *st = srv->st;
    bool websocket = x->flags & TURBO_REQ_WEBSOCKET;
    /* A copy has the keys in the same order, and is made in one go. */
    PyObject *scope = PyDict_Copy(websocket ? st->ws_scope : st->http_scope); // new
    if (scope == NULL) {
        return NULL;
    }
    bool local = x->flags & TURBO_REQ_UNIX;
    if (put(scope, st->s_server,
            address(x->server_host, local ? Py_NewRef(Py_None) : PyLong_FromLong(x->server_port))) < 0 ||
        put(scope, st->s_client,
            local ? Py_NewRef(Py_None) : address(x->client_host, PyLong_FromLong(x->client_port))) < 0 ||
        put(scope, st->s_asgi, PyDict_Copy(websocket ? st->ws_asgi : st->http_asgi)) < 0 ||
        (!x->minor && PyDict_SetItem(scope, st->s_http_version, st->v_10) < 0) || put_kind(st, scope, x) < 0 ||
        PyDict_SetItem(scope, st->s_root_path, srv->root_path) < 0 ||
        put(scope, st->s_path,
            with_root(srv->root_path, PyUnicode_DecodeUTF8(x->req + x->path.off, x->path.len, "replace"))) < 0 ||
        put(scope, st->s_raw_path, with_root(srv->root_path, span_bytes(x, x->raw_path))) < 0 ||
        put(scope, st->s_query_string, span_bytes(x, x->query)) < 0 ||
        put(scope, st->s_headers, scope_headers(x)) < 0 ||
        (websocket && put(scope, st->s_subprotocols, subprotocols(x)) < 0) ||
        put(scope, st->s_state, PyDict_Copy(srv->app_state)) < 0 ||
        put(scope, st->s_extensions, extensions(srv, websocket)) < 0) {
        goto fail;
    }
    probe_scope(srv, x, scope);
    return scope;
fail:
    Py_DECREF(scope);
    return NULL;
}
