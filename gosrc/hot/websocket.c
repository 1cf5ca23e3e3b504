/* WebSocket's receive and send (ASGI 3, WebSocket spec 2.4), with the messages,
   codes and errors that uvicorn gives.

   The conversation of one exchange: connect -> accepted -> closed, or denied by
   a response. Go has the frames; here are messages in the inbox and in out.
   `gone` means that nobody is left to talk to; what came before is still read. */
#include "asgi.h"

enum { CODE_NORMAL = 1000, CODE_LOST = 1006, CODE_INTERNAL = 1011, CODE_RESTARTING = 1012 };

/* {"type": "websocket.disconnect", "code": code} and the reason where there is one. */
static PyObject *
disconnect(hot_state *st, int code, PyObject *reason /* borrowed, may be NULL */)
{
    PyObject *m = asgi_message(st, st->msg_ws_disconnect); // new
    PyObject *number = PyLong_FromLong(code);              // new
    if (m != NULL && (number == NULL || PyDict_SetItem(m, st->s_code, number) < 0 ||
                      (reason != NULL && PyDict_SetItem(m, st->s_reason, reason) < 0))) {
        Py_CLEAR(m);
    }
    Py_XDECREF(number);
    return m;
}

/* The inbox's next message; a CLOSE stays there, since nothing follows it. New reference, or NULL with an exception. */
static PyObject *
take(hot_proxy *p, turbo_exchange *x)
{
    hot_state *st = p->srv->st;
    turbo_message head;
    memcpy(&head, x->body + p->inbox_at, sizeof head);
    const char *payload = x->body + p->inbox_at + sizeof head;
    PyObject *m = NULL, *value;
    bool text = head.kind != TURBO_MSG_BINARY;
    value = text ? PyUnicode_DecodeUTF8(payload, head.len, NULL) : PyBytes_FromStringAndSize(payload, head.len); // new
    if (value == NULL) {
        return NULL;
    }
    if (head.kind == TURBO_MSG_CLOSE) {
        m = disconnect(st, head.code, value);
    } else if ((m = asgi_message(st, st->msg_ws_receive)) != NULL) {
        if (PyDict_SetItem(m, text ? st->s_text : st->s_bytes, value) < 0) {
            Py_CLEAR(m);
        } else if ((p->inbox_at += sizeof head + head.len) == x->body_len) {
            p->inbox_at = x->body_len = 0;
        }
    }
    Py_DECREF(value);
    return m;
}

PyObject *
socket_message_now(hot_proxy *p)
{
    hot_state *st = p->srv->st;
    turbo_exchange *x = p->x;
    if (!p->connected) {
        p->connected = true;
        return asgi_message(st, st->msg_ws_connect);
    }
    if (x != NULL && p->accepted && p->inbox_at < x->body_len) {
        return take(p, x);
    }
    if (p->complete) {
        return disconnect(st, p->accepted ? p->code : CODE_LOST, p->accepted ? p->reason : NULL);
    }
    if (x == NULL || p->gone || p->srv->closed) {
        return disconnect(st, p->srv->closed ? CODE_RESTARTING : CODE_LOST, NULL);
    }
    if (p->accepted) {
        x->want = 1;
        x->ops |= TURBO_OP_WANT;
        server_mark(p->srv, x);
    }
    return NULL;
}

/* Put a message into out. 0, or -1 with an exception set and out as it was. */
int
socket_put(turbo_exchange *x, int kind, int code, const char *payload, Py_ssize_t n)
{
    if (n > INT32_MAX) {
        PyErr_SetString(PyExc_ValueError, "a WebSocket message has at most 2 GB");
        return -1;
    }
    uint64_t before = x->out_len;
    turbo_message head = {.len = (uint32_t)n, .code = (uint16_t)code, .kind = (uint8_t)kind};
    if (out_append(x, (const char *)&head, sizeof head) < 0 || out_append(x, payload, (size_t)n) < 0) {
        x->out_len = before;
        return -1;
    }
    return 0;
}

int
socket_put_text(turbo_exchange *x, PyObject *text)
{
    if (PyUnicode_IS_COMPACT_ASCII(text)) {
        return socket_put(x, TURBO_MSG_TEXT, 0, (const char *)PyUnicode_1BYTE_DATA(text), PyUnicode_GET_LENGTH(text));
    }
    PyObject *utf8 = PyUnicode_AsUTF8String(text); // new
    if (utf8 == NULL) {
        return -1;
    }
    int rc = socket_put(x, TURBO_MSG_TEXT, 0, PyBytes_AS_STRING(utf8), PyBytes_GET_SIZE(utf8));
    Py_DECREF(utf8);
    return rc;
}

/* Whether p may still talk, as far as before, after code of the application's ran. 0, or -1 with an exception set. */
static int
still_open(hot_proxy *p, bool accepted)
{
    if (p->x == NULL || p->gone || exchange_detached(p->x)) {
        PyErr_SetNone(p->srv->st->client_disconnected);
        return -1;
    }
    if (p->complete || p->started || p->accepted != accepted) {
        PyErr_SetString(PyExc_RuntimeError, "turboapi: a message was sent while another one was being read");
        return -1;
    }
    return 0;
}

static int
send_accept(hot_proxy *p, PyObject *message)
{
    hot_state *st = p->srv->st;
    turbo_exchange *x = p->x;
    PyObject *headers = NULL, *subprotocol = NULL, *latin = NULL;
    int rc = -1;
    if (asgi_get(message, st->s_headers, &headers) < 0 || asgi_get(message, st->s_subprotocol, &subprotocol) < 0) {
        goto done;
    }
    if (subprotocol != NULL && subprotocol != Py_None) {
        if (!PyUnicode_Check(subprotocol)) {
            PyErr_SetString(PyExc_TypeError, "a subprotocol is a str or None");
            goto done;
        }
        if ((latin = PyUnicode_AsLatin1String(subprotocol)) == NULL) {
            goto done;
        }
    }
    x->fields_len = 0;
    if ((headers != NULL && headers != Py_None && fields_append_headers(p->srv, x, headers, false) < 0) ||
        still_open(p, false) < 0 ||
        (latin != NULL && PyBytes_GET_SIZE(latin) > 0 &&
         fields_append(x, "sec-websocket-protocol", 22, PyBytes_AS_STRING(latin), (size_t)PyBytes_GET_SIZE(latin)) <
             0)) {
        x->fields_len = 0;
        goto done;
    }
    x->ops |= TURBO_OP_ACCEPT;
    p->accepted = true;
    server_mark(p->srv, x);
    asgi_wake(p->srv, &p->waiters); // who waits for a message asks for one now
    rc = 0;
done:
    Py_XDECREF(latin);
    Py_XDECREF(subprotocol);
    Py_XDECREF(headers);
    return rc;
}

static int
send_data(hot_proxy *p, PyObject *message)
{
    hot_state *st = p->srv->st;
    turbo_exchange *x = p->x;
    PyObject *value = NULL;
    Py_buffer view = {0};
    int rc = -1;
    if (asgi_get(message, st->s_bytes, &value) < 0) {
        return -1;
    }
    if (value != NULL && value != Py_None) {
        if (PyObject_GetBuffer(value, &view, PyBUF_SIMPLE) == 0 && still_open(p, true) == 0) {
            rc = socket_put(x, TURBO_MSG_BINARY, 0, view.buf, view.len);
        }
        PyBuffer_Release(&view);
        goto done;
    }
    Py_CLEAR(value);
    if (asgi_get(message, st->s_text, &value) < 0) {
        return -1;
    }
    if (value == NULL || value == Py_None) {
        rc = 0;
        goto done;
    }
    if (!PyUnicode_Check(value)) {
        PyErr_Format(PyExc_TypeError, "the text of a WebSocket message is a str, not %.100s", Py_TYPE(value)->tp_name);
        goto done;
    }
    if (still_open(p, true) < 0) {
        goto done;
    }
    rc = socket_put_text(x, value);
done:
    Py_XDECREF(value);
    if (rc == 0 && p->x != NULL) {
        server_mark(p->srv, x);
    }
    return rc;
}

/* Whether a Close may carry the code (RFC 6455, 7.4). */
static bool
may_send_code(long code)
{
    return (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006) ||
           (code >= 3000 && code <= 4999);
}

static int
send_close(hot_proxy *p, PyObject *message)
{
    hot_state *st = p->srv->st;
    PyObject *number = NULL, *reason = NULL, *utf8 = NULL;
    long code = CODE_NORMAL;
    int rc = -1;
    if (asgi_get(message, st->s_code, &number) < 0 || asgi_get(message, st->s_reason, &reason) < 0 ||
        (number != NULL && number != Py_None && (code = PyLong_AsLong(number)) == -1 && PyErr_Occurred())) {
        goto done;
    }
    if (!may_send_code(code)) {
        PyErr_Format(PyExc_ValueError, "a WebSocket can't be closed with the code %ld (RFC 6455, 7.4)", code);
        goto done;
    }
    if (reason == NULL || reason == Py_None) {
        Py_XDECREF(reason);
        reason = PyUnicode_FromStringAndSize(NULL, 0);
    }
    if (reason == NULL || (utf8 = PyUnicode_AsUTF8String(reason)) == NULL) {
        goto done;
    }
    if (PyBytes_GET_SIZE(utf8) > 123) {
        PyErr_SetString(PyExc_ValueError, "the reason of a WebSocket's close has at most 123 bytes");
        goto done;
    }
    if (still_open(p, true) < 0 ||
        socket_put(p->x, TURBO_MSG_CLOSE, (int)code, PyBytes_AS_STRING(utf8), PyBytes_GET_SIZE(utf8)) < 0) {
        goto done;
    }
    p->complete = true;
    p->code = (uint16_t)code;
    Py_XSETREF(p->reason, Py_NewRef(reason));
    server_mark(p->srv, p->x);
    asgi_wake(p->srv, &p->waiters); // receive gives the disconnect from here on
    rc = 0;
done:
    Py_XDECREF(utf8);
    Py_XDECREF(reason);
    Py_XDECREF(number);
    return rc;
}

/* A close before the handshake was accepted. */
static int
send_denial(hot_proxy *p)
{
    turbo_exchange *x = p->x;
    answer_text(x, 403, "", NULL, NULL);
    x->ops |= TURBO_OP_CLOSE;
    p->complete = true;
    server_mark(p->srv, x);
    asgi_wake(p->srv, &p->waiters);
    return 0;
}

static bool
is(PyObject *type, PyObject *name)
{
    return type == name || PyUnicode_Compare(type, name) == 0;
}

/* Before the handshake is answered. */
static int
send_first(hot_proxy *p, PyObject *type, PyObject *message)
{
    hot_state *st = p->srv->st;
    if (is(type, st->msg_ws_accept)) {
        return send_accept(p, message);
    }
    if (is(type, st->msg_ws_close)) {
        probe_message(p->srv, p->x, message);
        return p->x == NULL ? 0 : send_denial(p);
    }
    if (is(type, st->msg_ws_start)) {
        int rc = asgi_send_start(p, message);
        if (rc == 0) {
            p->x->ops |= TURBO_OP_CLOSE;
        }
        return rc;
    }
    PyErr_Format(PyExc_RuntimeError,
                 "Expected ASGI message 'websocket.accept', 'websocket.close' or 'websocket.http.response.start' "
                 "but got '%U'.",
                 type);
    return -1;
}

/* Whether the message is lost without an error, since a test client has left: nobody there waits for the application
   to notice. The probe is told. */
static bool
lost_for_test(hot_proxy *p, PyObject *type, PyObject *message)
{
    if (p->srv->probe == NULL || !p->accepted ||
        !(is(type, p->srv->st->msg_ws_send) || is(type, p->srv->st->msg_ws_close))) {
        return false;
    }
    if (p->x != NULL) {
        probe_message(p->srv, p->x, message);
    }
    return true;
}

int
socket_send(hot_proxy *p, PyObject *message)
{
    hot_state *st = p->srv->st;
    PyObject *type = asgi_type(st, message); // new
    int rc = -1;
    if (type == NULL) {
        return -1;
    }
    if (p->complete) {
        PyErr_Format(PyExc_RuntimeError, "Unexpected ASGI message '%U', after sending 'websocket.close'.", type);
    } else if (p->x == NULL || p->gone || exchange_detached(p->x)) {
        if (lost_for_test(p, type, message)) {
            rc = 0;
        } else {
            PyErr_SetNone(st->client_disconnected);
        }
    } else if (p->started) {
        if (is(type, st->msg_ws_body)) {
            rc = asgi_send_body(p, message);
        } else {
            PyErr_Format(PyExc_RuntimeError, "Expected ASGI message 'websocket.http.response.body' but got '%U'.",
                         type);
        }
    } else if (!p->accepted) {
        rc = send_first(p, type, message);
    } else if (is(type, st->msg_ws_send)) {
        rc = send_data(p, message);
    } else if (is(type, st->msg_ws_close)) {
        rc = send_close(p, message);
    } else {
        PyErr_Format(PyExc_RuntimeError, "Expected ASGI message 'websocket.send' or 'websocket.close', but got '%U'.",
                     type);
    }
    Py_XDECREF(type);
    return rc;
}

/* The application of x's conversation has ended; with an exception where ok is false. x gets what is left to say. */
void
socket_finish(hot_server *srv, turbo_exchange *x, bool ok)
{
    hot_proxy *p = x->lane_obj;
    bool accepted = p && p->accepted, complete = p && p->complete, started = p && p->started;
    bool gone = exchange_detached(x) || (p && p->gone);
    if (!ok) {
        PyObject *exc = hot_take_exception(); // new
        if (exc == NULL || !PyErr_GivenExceptionMatches(exc, srv->st->client_disconnected)) {
            server_failed(srv, x, exc);
        }
        if (exc != NULL && (PyErr_GivenExceptionMatches(exc, PyExc_SystemExit) ||
                            PyErr_GivenExceptionMatches(exc, PyExc_KeyboardInterrupt))) {
            server_exit(srv, exc);
        }
        Py_XDECREF(exc);
    } else if (!complete && !gone && !accepted) {
        server_log(srv, 40, NULL, "ASGI callable returned without completing handshake.");
    }
    if (complete || gone) {
        return;
    }
    if (accepted) {
        if (socket_put(x, TURBO_MSG_CLOSE, ok ? CODE_NORMAL : CODE_INTERNAL, "", 0) < 0) {
            PyErr_Clear();
            x->ops |= TURBO_OP_ABORT;
        }
    } else if (started) {
        server_mark(srv, x);
        server_flush(srv); // what was sent before it failed still goes out
        x->ops |= TURBO_OP_ABORT;
    } else {
        answer_text(x, 500, "Internal Server Error", NULL, NULL);
        x->ops |= TURBO_OP_CLOSE;
    }
}
