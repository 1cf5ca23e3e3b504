/* Header fields and payload in the record, as Go takes them from there. */
#include "hot.h"

/* Make *p (cap *cap, used len) hold len+n bytes. inline_cap: the size that is
   not malloc'ed. Returns 0, or -1 with MemoryError set. */
static int
grow(char **p, uint64_t *cap, uint64_t inline_cap, uint64_t len, uint64_t n)
{
    if (len + n <= *cap) {
        return 0;
    }
    uint64_t want = *cap * 2 > len + n ? *cap * 2 : len + n;
    char *bigger = *cap > inline_cap ? realloc(*p, want) : malloc(want);
    if (bigger == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    if (*cap <= inline_cap && len > 0) {
        memcpy(bigger, *p, len);
    }
    turbo_hold((int64_t)want - (*cap > inline_cap ? (int64_t)*cap : 0));
    *p = bigger;
    *cap = want;
    return 0;
}

/* Add n bytes of payload. GIL held. Returns 0, or -1 with MemoryError set. */
int
out_append(turbo_exchange *x, const char *p, size_t n)
{
    if (x->out_cap == 0) {
        x->out = x->out_inline;
        x->out_cap = TURBO_OUT_INLINE;
    }
    if (grow(&x->out, &x->out_cap, TURBO_OUT_INLINE, x->out_len, n) < 0) {
        return -1;
    }
    memcpy(x->out + x->out_len, p, n);
    x->out_len += n;
    return 0;
}

/* Add one header field as the application gave it; Go checks and writes it. */
int
fields_append(turbo_exchange *x, const char *name, size_t nlen, const char *value, size_t vlen)
{
    uint64_t cap = x->fields_cap, need = 8 + nlen + vlen;
    uint32_t lens[2] = {(uint32_t)nlen, (uint32_t)vlen};
    if (x->fields_len + need > UINT32_MAX / 2) {
        PyErr_SetString(PyExc_ValueError, "the response's header section is too large");
        return -1;
    }
    if (cap < 256 && need <= 256) {
        need = 256; // one allocation for most heads
    }
    if (grow(&x->fields, &cap, 0, x->fields_len, need) < 0) {
        return -1;
    }
    x->fields_cap = (uint32_t)cap;
    char *w = x->fields + x->fields_len;
    memcpy(w, lens, 8);
    memcpy(w + 8, name, nlen);
    memcpy(w + 8 + nlen, value, vlen);
    x->fields_len += (uint32_t)(8 + nlen + vlen);
    return 0;
}

/* A buffer's own code may change the pair, so both members are held. */
static int
fields_append_pair(turbo_exchange *x, PyObject *pair)
{
    int rc = -1;
    Py_buffer name = {0}, value = {0};
    PyObject *first = NULL, *second = NULL;
    PyObject *fast = PySequence_Fast(pair, "a header must be a pair of bytes"); // new
    if (fast == NULL) {
        return -1;
    }
    if (PySequence_Fast_GET_SIZE(fast) != 2) {
        PyErr_SetString(PyExc_ValueError, "a header must be a pair of bytes");
        goto done;
    }
    first = Py_NewRef(PySequence_Fast_GET_ITEM(fast, 0));
    second = Py_NewRef(PySequence_Fast_GET_ITEM(fast, 1));
    if (PyObject_GetBuffer(first, &name, PyBUF_SIMPLE) == 0 && PyObject_GetBuffer(second, &value, PyBUF_SIMPLE) == 0) {
        rc = fields_append(x, name.buf, (size_t)name.len, value.buf, (size_t)value.len);
    }
done:
    PyBuffer_Release(&name);
    PyBuffer_Release(&value);
    Py_XDECREF(first);
    Py_XDECREF(second);
    Py_DECREF(fast);
    return rc;
}

/* The headers as CORSMiddleware would send them. New reference. */
static PyObject *
with_cors(hot_server *srv, turbo_exchange *x, PyObject *headers)
{
    turbo_field *fields = (turbo_field *)(x->req + x->fields_off);
    PyObject *text, *list, *r = NULL;
    PyObject *step = Py_NewRef(srv->cors); // the loop may replace it meanwhile
    int cookie = 0;
    if (x->flags & TURBO_REQ_ORIGIN && x->origin >= 0) {
        turbo_span origin = fields[x->origin].value;
        text = PyUnicode_DecodeLatin1(x->req + origin.off, origin.len, NULL); // new
    } else {
        text = Py_NewRef(Py_None);
    }
    for (uint32_t i = 0; i < x->n_fields && !cookie; i++) {
        cookie = fields[i].name.len == 6 && memcmp(x->req + fields[i].name.off, "cookie", 6) == 0;
    }
    list = text == NULL ? NULL : PySequence_List(headers); // new
    if (list != NULL) {
        r = PyObject_CallFunctionObjArgs(step, text, list, cookie ? Py_True : Py_False, NULL); // new
        Py_DECREF(list);
    }
    Py_XDECREF(text);
    Py_DECREF(step);
    return r;
}

bool
fields_want_cors(hot_server *srv, turbo_exchange *x)
{
    return srv->cors != NULL && (srv->cors_always || x->flags & TURBO_REQ_ORIGIN);
}

PyObject *
fields_cors_plain(hot_server *srv)
{
    PyObject *packed = NULL, *headers[2] = {NULL, NULL};
    turbo_exchange scratch = {0}; // only its fields are used
    for (int k = 0; k < 2; k++) {
        headers[k] = PyObject_CallFunction(srv->cors, "O[(yy)(yO)]O", Py_None, "content-length", "0", "content-type",
                                           srv->st->json_type, k ? Py_True : Py_False); // new
        if (headers[k] == NULL || !PyList_Check(headers[k]) || PyList_GET_SIZE(headers[k]) < 2) {
            goto done;
        }
    }
    if (PyObject_RichCompareBool(headers[0], headers[1], Py_EQ) == 1) {
        PyObject *rest = PyList_GetSlice(headers[0], 2, PyList_GET_SIZE(headers[0])); // new
        if (rest != NULL && fields_append_headers(srv, &scratch, rest, false) == 0) {
            packed = PyBytes_FromStringAndSize(scratch.fields, scratch.fields_len);
        }
        Py_XDECREF(rest);
    }
done:
    turbo_hold(-(int64_t)scratch.fields_cap);
    free(scratch.fields);
    Py_XDECREF(headers[0]);
    Py_XDECREF(headers[1]);
    return packed != NULL || PyErr_Occurred() ? packed : Py_NewRef(Py_None);
}

/* Pack an iterable of (name, value) pairs of bytes. cors: apply the CORS step first. */
int
fields_append_headers(hot_server *srv, turbo_exchange *x, PyObject *headers, bool cors)
{
    int rc = -1;
    PyObject *fast, *made = NULL;
    if (cors && fields_want_cors(srv, x)) {
        made = headers = with_cors(srv, x, headers); // new
        if (made == NULL) {
            return -1;
        }
    }
    fast = PySequence_Fast(headers, "headers must be an iterable of pairs of bytes"); // new
    if (fast != NULL) {
        rc = 0;
        for (Py_ssize_t i = 0; rc == 0 && i < PySequence_Fast_GET_SIZE(fast); i++) {
            PyObject *pair = Py_NewRef(PySequence_Fast_GET_ITEM(fast, i)); // the list may change meanwhile
            rc = fields_append_pair(x, pair);
            Py_DECREF(pair);
        }
        Py_DECREF(fast);
    }
    Py_XDECREF(made);
    return rc;
}

/* What CORS adds is known: copy it behind the two fields. */
int
fields_append_packed(turbo_exchange *x, PyObject *packed)
{
    const char *p = PyBytes_AS_STRING(packed), *end = p + PyBytes_GET_SIZE(packed);
    while (p < end) {
        uint32_t lens[2];
        memcpy(lens, p, 8);
        if (fields_append(x, p + 8, lens[0], p + 8 + lens[0], lens[1]) < 0) {
            return -1;
        }
        p += 8 + lens[0] + lens[1];
    }
    return 0;
}
