/* A plain StreamingResponse, without ASGI messages.

   turboapi.engine.streams.stream drives the response's iterator, as Starlette's
   own __call__ does; what it makes is written into the record at once, and goes
   out when the task waits for something, when 64 KB have gathered, or after a
   millisecond; then others run, too. A client that does not read makes it wait.
   Loop's thread. */
#include "hot.h"

#define HELD_NS 1000000u /* a generator that awaits nothing: what it has made, and others, wait no longer */

static const char *const parts[STREAM_PARTS] = {"__call__", "stream_response", "listen_for_disconnect"};

/* Learn what Starlette's own functions are. Those that somebody has replaced before make every stream send itself.
   Returns 0, or -1 with an exception set. */
int
stream_load(hot_state *st)
{
    PyObject *responses = PyImport_ImportModule("starlette.responses");        // new
    PyObject *streams = PyImport_ImportModule("turboapi.engine.streams"); // new
    PyObject *files = PyImport_ImportModule("turboapi.plan.internals.files"); // new
    PyObject *tasks = PyImport_ImportModule("turboapi.plan.background"); // new
    PyObject *around = PyImport_ImportModule("turboapi.plan.around"); // new
    PyObject *file = NULL;
    int rc = -1;
    bool own = true;
    if (responses == NULL || streams == NULL || files == NULL || tasks == NULL || around == NULL ||
        (st->stream_and_work = PyObject_GetAttrString(streams, "stream_and_work")) == NULL ||
        (st->work = PyObject_GetAttrString(tasks, "run_tasks")) == NULL ||
        (st->work_here = PyObject_GetAttrString(around, "work_here")) == NULL ||
        (st->only_sync = PyObject_GetAttrString(tasks, "only_sync")) == NULL ||
        (file = PyObject_GetAttrString(responses, "__file__")) == NULL ||
        (st->stream_type = PyObject_GetAttrString(responses, "StreamingResponse")) == NULL ||
        (st->stream = PyObject_GetAttrString(streams, "stream")) == NULL ||
        (st->file_type = PyObject_GetAttrString(responses, "FileResponse")) == NULL ||
        (st->send_parts = PyObject_GetAttrString(files, "send_parts")) == NULL) {
        goto done;
    }
    for (size_t i = 0; i < STREAM_PARTS; i++) {
        PyObject *f = st->stream_parts[i] = PyObject_GetAttrString(st->stream_type, parts[i]); // new
        PyErr_Clear();
        own = own && f != NULL && PyFunction_Check(f) &&
              PyObject_RichCompareBool(((PyCodeObject *)PyFunction_GET_CODE(f))->co_filename, file, Py_EQ) == 1;
    }
    for (size_t i = 0; i < STREAM_PARTS && !own; i++) {
        Py_CLEAR(st->stream_parts[i]);
    }
    rc = 0;
done:
    Py_XDECREF(file);
    Py_XDECREF(around);
    Py_XDECREF(tasks);
    Py_XDECREF(files);
    Py_XDECREF(streams);
    Py_XDECREF(responses);
    return rc;
}

/* Whether o.name is the method that `function` makes. 1, 0 or -1. */
static int
is_method(PyObject *o, PyObject *name, PyObject *function)
{
    PyObject *method = PyObject_GetAttr(o, name); // new
    int same = method == NULL ? -1 : PyMethod_Check(method) && PyMethod_GET_FUNCTION(method) == function;
    Py_XDECREF(method);
    return same;
}

/* Whether the response's stream may be driven here: Starlette's own functions, and no body that its listener would read.
   Asked each time, since classes change. 1, 0 or -1 with an exception set. */
int
stream_is_plain(hot_state *st, turbo_exchange *x, PyObject *response)
{
    int is = st->stream_parts[0] == NULL || !(x->flags & TURBO_REQ_BODY_END)
                 ? 0
                 : PyObject_TypeCheck(response, (PyTypeObject *)st->stream_type);
    if (is) {
        PyObject *call = PyObject_GetAttr((PyObject *)Py_TYPE(response), st->s___call__); // new
        is = call == NULL ? -1 : call == st->stream_parts[0];
        Py_XDECREF(call);
    }
    if (is > 0) {
        is = is_method(response, st->s_stream_response, st->stream_parts[1]);
    }
    if (is > 0) {
        is = is_method(response, st->s_listen_for_disconnect, st->stream_parts[2]);
    }
    return is;
}

PyObject *
stream_run(hot_server *srv, hot_proxy *p, PyObject *response, bool alone)
{
    hot_state *st = srv->st;
    p->body_done = true; // what Starlette's listener for the end has taken from receive()
    return PyObject_CallFunctionObjArgs(alone ? st->stream : st->stream_and_work, response, (PyObject *)p, NULL);
}

/* 1: go on. 0: the client is gone. -1 with an exception set. */
static int
writable(hot_proxy *p, bool started)
{
    if (!server_on_loop(p->srv)) {
        PyErr_SetString(PyExc_RuntimeError, "turboapi: a response is written on the loop of the server only");
        return -1;
    }
    if (p->x == NULL || exchange_detached(p->x)) {
        return 0;
    }
    if (p->started != started || p->complete || p->x->lane_state & X_ANSWERS) {
        PyErr_SetString(PyExc_RuntimeError, started ? "turboapi: there is no response to write to"
                                                    : "turboapi: the response has started already");
        return -1;
    }
    return 1;
}

/* begin(status, raw_headers) */
PyObject *
stream_begin(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    hot_proxy *p = (hot_proxy *)self;
    if (n != 2) {
        PyErr_SetString(PyExc_TypeError, "begin() takes a status and headers");
        return NULL;
    }
    long code = proxy_status(args[0]);
    int can = code < 0 ? -1 : writable(p, false);
    if (can < 0 || (can > 0 && proxy_start(p, code, args[1]) < 0)) {
        return NULL;
    }
    p->started = true;
    p->held = hot_now();
    Py_RETURN_NONE;
}

/* write(chunk): bytes or a buffer. None, or an awaitable that ends when more can be taken. */
PyObject *
stream_write(PyObject *self, PyObject *chunk)
{
    hot_proxy *p = (hot_proxy *)self;
    turbo_exchange *x = p->x;
    Py_buffer view = {0};
    PyObject *wait = NULL;
    int can = writable(p, true);
    if (can < 0 || (can > 0 && PyObject_GetBuffer(chunk, &view, PyBUF_SIMPLE) < 0)) {
        return NULL;
    }
    if (can == 0 || p->x != x) { // a buffer of the application's own may run code
        wait = proxy_late(p);    // new
    } else if (out_append(x, view.buf, (size_t)view.len) == 0) {
        uint64_t now = hot_now();
        server_mark(p->srv, x);
        if (x->out_len == (uint64_t)view.len && !(x->ops & TURBO_OP_HEAD)) {
            p->held = now;
        }
        wait = proxy_pause(p, now - p->held > HELD_NS); // new
    }
    PyBuffer_Release(&view);
    return wait != NULL || PyErr_Occurred() ? wait : Py_NewRef(Py_None);
}

/* end() */
PyObject *
stream_end(PyObject *self, PyObject *Py_UNUSED(noargs))
{
    hot_proxy *p = (hot_proxy *)self;
    int can = writable(p, true);
    if (can < 0) {
        return NULL;
    }
    if (can > 0) {
        proxy_complete(p);
    }
    Py_RETURN_NONE;
}
