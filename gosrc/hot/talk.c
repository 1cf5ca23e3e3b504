/* A conversation's messages without ASGI's dicts, for the WebSocket of compiled routes.

   Only what is plain goes this way: a message of the kind that was asked for, and
   one that can be sent. For all else receive() and send() are asked, which have
   the codes and errors. Methods of the proxy, on the loop's thread. */
#include "asgi.h"

/* What hear() gives for the inbox's next message: its str or bytes where it is of that kind; None where receive() would
   give anything else at once. New reference; NULL without an exception: wait. */
PyObject *
socket_hear_now(hot_proxy *p, int kind)
{
    turbo_exchange *x = p->x;
    if (x != NULL && p->accepted && p->inbox_at < x->body_len) {
        turbo_message head;
        memcpy(&head, x->body + p->inbox_at, sizeof head);
        if (head.kind != kind) {
            Py_RETURN_NONE;
        }
        const char *payload = x->body + p->inbox_at + sizeof head;
        PyObject *value = kind == TURBO_MSG_TEXT ? PyUnicode_DecodeUTF8(payload, head.len, NULL)
                                                 : PyBytes_FromStringAndSize(payload, head.len); // new
        if (value != NULL && (p->inbox_at += sizeof head + head.len) == x->body_len) {
            p->inbox_at = x->body_len = 0;
        }
        return value;
    }
    if (x == NULL || !p->accepted || p->complete || p->gone || p->srv->closed) {
        Py_RETURN_NONE;
    }
    x->want = 1;
    x->ops |= TURBO_OP_WANT;
    server_mark(p->srv, x);
    return NULL;
}

/* Send a str or bytes as send() would. 1: done. 0: send() has to tell what is wrong, nothing was done. -1: an
   exception is set. Loop's thread. */
static int
send_plain(hot_proxy *p, int kind, PyObject *data)
{
    turbo_exchange *x = p->x;
    int rc;
    if (x == NULL || !p->accepted || p->complete || p->started || p->gone || exchange_detached(x)) {
        return 0;
    }
    if (kind == TURBO_MSG_BINARY) {
        if (!PyBytes_CheckExact(data)) {
            return 0;
        }
        rc = socket_put(x, kind, 0, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data));
    } else {
        if (!PyUnicode_CheckExact(data)) {
            return 0;
        }
        rc = socket_put_text(x, data);
        if (rc < 0 && PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) {
            PyErr_Clear(); // a lone surrogate
            return 0;
        }
    }
    if (rc < 0) {
        return -1;
    }
    server_mark(p->srv, x);
    return 1;
}

/* The next message of one kind, as socket_hear_now has it; waits for it. */
static PyObject *
hear(PyObject *self, int kind)
{
    hot_proxy *p = (hot_proxy *)self;
    if (!asgi_elsewhere(p)) {
        PyObject *said = socket_hear_now(p, kind); // new
        if (said != NULL || PyErr_Occurred()) {
            return said == NULL ? NULL : asgi_ready(p->srv->st, said);
        }
    }
    return asgi_hearing(p, kind);
}

PyObject *
talk_hear_text(PyObject *self, PyObject *Py_UNUSED(noargs))
{
    return hear(self, TURBO_MSG_TEXT);
}

PyObject *
talk_hear_bytes(PyObject *self, PyObject *Py_UNUSED(noargs))
{
    return hear(self, TURBO_MSG_BINARY);
}

/* None: sent. False: send() has to see to it. Else what to await. */
static PyObject *
say(PyObject *self, int kind, PyObject *data)
{
    hot_proxy *p = (hot_proxy *)self;
    int rc = server_on_loop(p->srv) ? send_plain(p, kind, data) : 0;
    if (rc <= 0) {
        return rc < 0 ? NULL : Py_NewRef(Py_False);
    }
    PyObject *wait = proxy_pause(p, false); // new
    return wait != NULL || PyErr_Occurred() ? wait : Py_NewRef(Py_None);
}

PyObject *
talk_say_text(PyObject *self, PyObject *data)
{
    return say(self, TURBO_MSG_TEXT, data);
}

PyObject *
talk_say_bytes(PyObject *self, PyObject *data)
{
    return say(self, TURBO_MSG_BINARY, data);
}
