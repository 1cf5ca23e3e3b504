/* ASGI's receive and send. Both callables give an awaitable: see await.c. */
#include "asgi.h"

PyObject *
asgi_message(hot_state *st, PyObject *type)
{
    PyObject *m = PyDict_New(); // new
    if (m != NULL && PyDict_SetItem(m, st->s_type, type) < 0) {
        Py_CLEAR(m);
    }
    return m;
}

/* The next message for receive. NULL without an exception: wait. */
PyObject *
asgi_message_now(hot_proxy *p)
{
    hot_state *st = p->srv->st;
    turbo_exchange *x = p->x;
    if (p->websocket) {
        return socket_message_now(p);
    }
    if (x == NULL || p->gone || p->complete || p->srv->closed) {
        return asgi_message(st, st->msg_disconnect);
    }
    if (p->body_done) {
        return NULL;
    }
    bool end = x->flags & TURBO_REQ_BODY_END;
    bool replay = x->n_spools > 0 && !p->replayed;
    if (!end && x->body_len == 0 && !replay) {
        if (x->lane_state & X_ANSWERS) {
            return NULL; // the answer is on its way, or somebody wakes us
        }
        x->want = 1;
        x->ops |= TURBO_OP_WANT;
        server_mark(p->srv, x);
        return NULL;
    }
    PyObject *m = asgi_message(st, st->msg_request);
    PyObject *body = m == NULL          ? NULL
                     : replay           ? form_replay(p)
                     : x->body_len == 0 ? Py_NewRef(st->empty_bytes)
                                        : PyBytes_FromStringAndSize(x->body, (Py_ssize_t)x->body_len); // new
    if (replay && !p->replayed) {
        end = false;
    }
    if (body == NULL || PyDict_SetItem(m, st->s_body, body) < 0 ||
        PyDict_SetItem(m, st->s_more_body, end ? Py_False : Py_True) < 0) {
        Py_CLEAR(m);
    } else if (end) {
        p->body_done = true;
    } else if (!replay || p->replayed) {
        x->body_len = 0;
    }
    Py_XDECREF(body);
    return m;
}

/* Above the high-water mark an event is due when the queue has gone down, below
   it none is: so that is the only mark to wait for, and the event alone makes
   the lower one. */
bool
asgi_may_send(hot_proxy *p)
{
    return p->x == NULL || exchange_detached(p->x) || p->x->unsent <= TURBO_HIGH_WATER;
}

/* What is not here yet comes on the loop's thread, and only tasks of that loop can wait for it. */
bool
asgi_elsewhere(hot_proxy *p)
{
    return p->x != NULL && (p->websocket || !(p->x->flags & TURBO_REQ_BODY_END)) && !server_on_loop(p->srv);
}

/* receive() -> awaitable of the next ASGI message. Loop's thread. */
static PyObject *
proxy_receive(PyObject *self, PyObject *Py_UNUSED(noargs))
{
    hot_proxy *p = (hot_proxy *)self;
    if (asgi_elsewhere(p)) {
        return asgi_pending(p, false); // as a coroutine function: another thread may make it for a task of the loop
    }
    PyObject *m = asgi_message_now(p); // new
    if (m != NULL) {
        return asgi_ready(p->srv->st, m);
    }
    return PyErr_Occurred() ? NULL : asgi_pending(p, false);
}

int
asgi_get(PyObject *message, PyObject *key, PyObject **value)
{
    *value = Py_XNewRef(PyDict_GetItemWithError(message, key));
    return *value == NULL && PyErr_Occurred() ? -1 : 0;
}

PyObject *
asgi_need(PyObject *message, PyObject *key)
{
    PyObject *value;
    if (asgi_get(message, key, &value) == 0 && value == NULL) {
        PyErr_SetObject(PyExc_KeyError, key);
    }
    return value;
}

/* Whether p's exchange is still x, and as far as before, after code of the
   application's ran. 0, or -1 with an exception set. */
int
asgi_still_open(hot_proxy *p, turbo_exchange *x, bool started)
{
    if (p->x == x && p->started == started && !p->complete && !(x->lane_state & X_ANSWERS)) {
        return 0;
    }
    PyErr_SetString(PyExc_RuntimeError, "turboapi: a message was sent while another one was being read");
    return -1;
}

/* A response's status: any int of three digits. -1 with an exception set for all else. */
long
proxy_status(PyObject *status)
{
    long code = PyLong_AsLong(status);
    if (code == -1 && PyErr_Occurred()) {
        return -1;
    }
    if (code < 100 || code > 999) {
        PyErr_Format(PyExc_ValueError, "a response's status is 100 to 999, not %ld", code);
        return -1;
    }
    return code;
}

/* Begin the response. headers is an iterable of pairs or NULL. 0, or -1 with an exception set. */
int
proxy_start(hot_proxy *p, long code, PyObject *headers)
{
    turbo_exchange *x = p->x;
    if (asgi_still_open(p, x, false) < 0) {
        return -1;
    }
    x->fields_len = 0;
    x->preset = TURBO_PRESET_NONE;
    if ((headers != NULL && fields_append_headers(p->srv, x, headers, p->cors) < 0) ||
        asgi_still_open(p, x, false) < 0) {
        return -1;
    }
    x->status = (uint16_t)code;
    x->ops |= TURBO_OP_HEAD;
    p->started = true;
    server_mark(p->srv, x);
    return 0;
}

int
asgi_send_start(hot_proxy *p, PyObject *message)
{
    hot_state *st = p->srv->st;
    PyObject *status = NULL, *headers = NULL;
    long code;
    int rc = -1;
    if (p->started) {
        PyErr_SetString(PyExc_RuntimeError, "ASGI message 'http.response.start' sent, after the response has started.");
        return -1;
    }
    if ((status = asgi_need(message, st->s_status)) != NULL && (code = proxy_status(status)) >= 0 &&
        asgi_get(message, st->s_headers, &headers) == 0) {
        rc = proxy_start(p, code, headers);
    }
    Py_XDECREF(headers);
    Py_XDECREF(status);
    return rc;
}

void
proxy_complete(hot_proxy *p)
{
    p->x->ops |= TURBO_OP_END;
    p->complete = true;
    server_mark(p->srv, p->x);
    asgi_wake(p->srv, &p->waiters); // receive gives http.disconnect from here on
}

int
asgi_send_body(hot_proxy *p, PyObject *message)
{
    hot_state *st = p->srv->st;
    turbo_exchange *x = p->x;
    PyObject *body = NULL, *flag = NULL;
    Py_buffer view = {0};
    int more = 0, rc = -1;
    if (asgi_get(message, st->s_body, &body) < 0 || asgi_get(message, st->s_more_body, &flag) < 0 ||
        (flag != NULL && (more = PyObject_IsTrue(flag)) < 0) ||
        (body != NULL && PyObject_GetBuffer(body, &view, PyBUF_SIMPLE) < 0) || asgi_still_open(p, x, true) < 0 ||
        (view.len > 0 && out_append(x, view.buf, (size_t)view.len) < 0)) {
        goto done;
    }
    rc = 0;
    if (more) {
        server_mark(p->srv, x);
    } else {
        proxy_complete(p);
    }
done:
    PyBuffer_Release(&view);
    Py_XDECREF(flag);
    Py_XDECREF(body);
    return rc;
}

/* http.response.early_hint (an ASGI extension): a 103 with a Link field for each. It
   leaves at once, because the fields' place is wanted for the final head. */
static int
send_hint(hot_proxy *p, PyObject *message)
{
    turbo_exchange *x = p->x;
    int rc = 0;
    PyObject *links = asgi_need(message, p->srv->st->s_links); // new
    PyObject *fast = links == NULL ? NULL : PySequence_Fast(links, "links must be an iterable of bytes"); // new
    Py_XDECREF(links);
    if (fast == NULL || asgi_still_open(p, x, false) < 0) {
        Py_XDECREF(fast);
        return -1;
    }
    x->fields_len = 0;
    for (Py_ssize_t i = 0; rc == 0 && i < PySequence_Fast_GET_SIZE(fast); i++) {
        char *value;
        Py_ssize_t n;
        rc = PyBytes_AsStringAndSize(PySequence_Fast_GET_ITEM(fast, i), &value, &n);
        if (rc == 0) {
            rc = fields_append(x, "link", 4, value, (size_t)n);
        }
    }
    Py_DECREF(fast);
    if (rc == 0) {
        x->ops |= TURBO_OP_EARLY;
        server_mark(p->srv, x);
        server_flush(p->srv);
    }
    x->fields_len = 0;
    return rc;
}

PyObject *
asgi_type(hot_state *st, PyObject *message)
{
    PyObject *type; // new
    if (asgi_get(message, st->s_type, &type) < 0) {
        return NULL;
    }
    if (type == NULL || !PyUnicode_Check(type)) {
        PyErr_SetString(PyExc_ValueError, "an ASGI message has a 'type' that is a str");
        Py_CLEAR(type);
    }
    return type;
}

/* Do what message says. 0, or -1 with an exception set. */
static int
send_message(hot_proxy *p, PyObject *message)
{
    hot_state *st = p->srv->st;
    PyObject *type = asgi_type(st, message); // new
    int rc = -1;
    if (type == NULL) {
        return -1;
    }
    if (p->x == NULL || p->complete || p->x->lane_state & X_ANSWERS) {
        PyErr_Format(PyExc_RuntimeError, "Unexpected ASGI message '%U' sent, after response already completed.", type);
    } else if (PyUnicode_Compare(type, st->msg_start) == 0) {
        rc = asgi_send_start(p, message);
    } else if (PyUnicode_Compare(type, st->msg_body) == 0 && p->started) {
        rc = asgi_send_body(p, message);
    } else if (PyUnicode_Compare(type, st->msg_path) == 0 && p->started) {
        rc = asgi_send_path(p, message);
    } else if (PyUnicode_Compare(type, st->msg_hint) == 0 && !p->started) {
        rc = send_hint(p, message);
    } else if (p->srv->probe != NULL && !p->started && PyUnicode_Compare(type, st->msg_debug) == 0) {
        probe_message(p->srv, p->x, message);
        rc = 0;
    } else {
        PyErr_Format(PyExc_RuntimeError, "Expected ASGI message '%s', but got '%U'.",
                     p->started ? "http.response.body" : "http.response.start", type);
    }
    Py_XDECREF(type);
    return rc;
}

#define LATE_SENDS 32 /* to a client that is gone, without a rest */

/* A generator that awaits nothing else would keep the loop for ever: the task that would cancel it never runs. Not
   each time, so that one that does await is cancelled there, and its `finally` runs at once. */
PyObject *
proxy_late(hot_proxy *p)
{
    return ++p->late % LATE_SENDS == 0 ? asgi_rest(p->srv->st) : NULL;
}

PyObject *
proxy_pause(hot_proxy *p, bool due)
{
    turbo_exchange *x = p->x;
    if (x != NULL && p->srv->probe != NULL && !p->complete && x->out_len > 0) {
        /* A test client gives its caller each part as the application has sent it. */
        server_flush(p->srv);
        x = p->x;
    }
    if (x == NULL || p->complete || (!due && x->unsent + x->out_len <= TURBO_HIGH_WATER)) {
        return NULL;
    }
    server_flush(p->srv);
    if (p->x != NULL && p->x->unsent > TURBO_HIGH_WATER) {
        return asgi_pending(p, true);
    }
    return asgi_rest(p->srv->st);
}

/* send(message) -> awaitable of None; waits while the client does not read. Loop's thread. */
static PyObject *
proxy_send(PyObject *self, PyObject *message)
{
    hot_proxy *p = (hot_proxy *)self;
    PyObject *wait;
    if (!PyDict_Check(message)) {
        PyErr_Format(PyExc_TypeError, "an ASGI message is a dict, not %.100s", Py_TYPE(message)->tp_name);
        return NULL;
    }
    if (!server_on_loop(p->srv)) {
        PyErr_SetString(PyExc_RuntimeError, "turboapi: send can only be called on the loop of the server; use "
                                            "anyio.from_thread.run in another thread");
        return NULL;
    }
    if (p->websocket) {
        if (socket_send(p, message) < 0) {
            return NULL;
        }
        wait = proxy_pause(p, false); // new
    } else if (p->x == NULL || exchange_detached(p->x)) {
        wait = proxy_late(p); // new
    } else if (send_message(p, message) < 0) {
        return NULL;
    } else {
        wait = proxy_pause(p, false); // new
    }
    return wait != NULL || PyErr_Occurred() ? wait : asgi_ready(p->srv->st, Py_NewRef(Py_None));
}

static PyMethodDef receive_def = {"receive", proxy_receive, METH_NOARGS, PyDoc_STR("The ASGI receive callable.")};
static PyMethodDef send_def = {"send", proxy_send, METH_O, PyDoc_STR("The ASGI send callable.")};

PyObject *
proxy_bound(hot_proxy *p, int which)
{
    return PyCFunction_New(which ? &send_def : &receive_def, (PyObject *)p);
}
