/* The exchange as Python sees it, from the first look at it to its end. */
#include "asgi.h"

PyObject *
proxy_of(hot_server *srv, turbo_exchange *x)
{
    if (x->lane_obj != NULL) {
        return Py_NewRef((PyObject *)x->lane_obj);
    }
    hot_proxy *p = (hot_proxy *)srv->st->exchange_type->tp_alloc(srv->st->exchange_type, 0); // new, zeroed
    if (p == NULL) {
        return NULL;
    }
    p->srv = (hot_server *)Py_NewRef((PyObject *)srv);
    p->x = x;
    p->gone = x->flags & TURBO_REQ_GONE;
    p->websocket = x->flags & TURBO_REQ_WEBSOCKET;
    x->lane_obj = Py_NewRef((PyObject *)p);
    return (PyObject *)p;
}

void
proxy_gone(hot_proxy *p)
{
    PyObject *on_gone = p->on_gone, *r = NULL;
    p->gone = true;
    p->on_gone = NULL;
    asgi_wake(p->srv, &p->drain);
    asgi_wake(p->srv, &p->waiters);
    if (on_gone != NULL && (r = PyObject_CallNoArgs(on_gone)) == NULL) {
        PyErr_WriteUnraisable(on_gone);
    }
    Py_XDECREF(r);
    Py_XDECREF(on_gone);
}

void
proxy_answered(hot_proxy *p)
{
    p->started = p->complete = true;
    asgi_wake(p->srv, &p->waiters); // receive gives http.disconnect from here on
}

void
proxy_event(hot_server *srv, turbo_exchange *x, int kind)
{
    hot_proxy *p = x->lane_obj;
    if (p == NULL) {
        return;
    }
    Py_INCREF(p);
    if (kind == TURBO_EV_GONE) {
        proxy_gone(p);
    } else {
        asgi_wake(srv, kind == TURBO_EV_BODY ? &p->waiters : &p->drain);
    }
    Py_DECREF(p);
}

int
exchange_traverse(turbo_exchange *x, visitproc visit, void *arg)
{
    Py_VISIT((PyObject *)x->lane_obj);
    Py_VISIT((PyObject *)x->lane_plan);
    Py_VISIT((PyObject *)x->lane_arg);
    Py_VISIT((PyObject *)x->lane_context);
    return 0;
}

void
proxy_close(turbo_exchange *x)
{
    hot_proxy *p = x->lane_obj;
    if (p == NULL) {
        return;
    }
    x->lane_obj = NULL;
    p->x = NULL;
    if (p->waiters != NULL || p->drain != NULL) {
        asgi_wake(p->srv, &p->waiters);
        asgi_wake(p->srv, &p->drain);
    }
    Py_CLEAR(p->request); // it holds receive and send, and so the proxy
    Py_CLEAR(p->on_gone);
    Py_CLEAR(p->receive);
    Py_CLEAR(p->send);
    Py_DECREF(p);
}

static hot_proxy *
open_proxy(PyObject *self)
{
    hot_proxy *p = (hot_proxy *)self;
    if (p->x == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "turboapi: this exchange is over");
        return NULL;
    }
    return p;
}

static PyObject *
proxy_scope(PyObject *self, PyObject *Py_UNUSED(noargs))
{
    hot_proxy *p = (hot_proxy *)self;
    if (p->scope == NULL) {
        if (open_proxy(self) == NULL) {
            return NULL;
        }
        p->scope = scope_new(p->srv, p->x);
    }
    return Py_XNewRef(p->scope);
}

static PyObject *
proxy_body(PyObject *self, PyObject *Py_UNUSED(noargs))
{
    hot_proxy *p = open_proxy(self);
    if (p == NULL) {
        return NULL;
    }
    return p->x->n_spools > 0 ? Py_NewRef(Py_None) : PyBytes_FromStringAndSize(p->x->body, (Py_ssize_t)p->x->body_len);
}

static PyObject *
proxy_form(PyObject *self, PyObject *Py_UNUSED(noargs))
{
    hot_proxy *p = open_proxy(self);
    return p == NULL ? NULL : form_parts(p->x);
}

static PyObject *
proxy_form_taken(PyObject *self, PyObject *Py_UNUSED(noargs))
{
    hot_proxy *p = open_proxy(self);
    if (p == NULL) {
        return NULL;
    }
    form_taken(p->x);
    Py_RETURN_NONE;
}

static PyObject *
proxy_header(PyObject *self, PyObject *name)
{
    char *want;
    Py_ssize_t n;
    hot_proxy *p = open_proxy(self);
    if (p == NULL || PyBytes_AsStringAndSize(name, &want, &n) < 0) {
        return NULL;
    }
    turbo_exchange *x = p->x;
    turbo_field *fields = (turbo_field *)(x->req + x->fields_off);
    for (uint32_t i = 0; i < x->n_fields; i++) {
        if (fields[i].name.len == (uint32_t)n && memcmp(x->req + fields[i].name.off, want, (size_t)n) == 0) {
            return PyBytes_FromStringAndSize(x->req + fields[i].value.off, fields[i].value.len);
        }
    }
    Py_RETURN_NONE;
}

/* failed(exc): exc has left the application. True: a test client takes it, and it is not for the log. */
static PyObject *
proxy_failed(PyObject *self, PyObject *exc)
{
    hot_proxy *p = (hot_proxy *)self;
    return PyBool_FromLong(p->x != NULL && probe_failed(p->srv, p->x, exc));
}

/* on_gone(callback): at once where the client has left already. Loop's thread. */
static PyObject *
proxy_on_gone(PyObject *self, PyObject *callback)
{
    hot_proxy *p = (hot_proxy *)self;
    if (p->x == NULL || p->gone || p->srv->closed) {
        return PyObject_CallNoArgs(callback);
    }
    Py_XSETREF(p->on_gone, Py_NewRef(callback));
    Py_RETURN_NONE;
}

static PyMethodDef proxy_methods[] = {
    {"call", (PyCFunction)(void (*)(void))lend_call, METH_FASTCALL,
     PyDoc_STR("call(stage, argument) -> the stage's result, coroutine or future: the route's plan under middleware.")},
    {"encode", lend_encode, METH_O, PyDoc_STR("encode(result) -> bytes | Response: the last stage's result.")},
    {"matches", (PyCFunction)(void (*)(void))lend_matches, METH_FASTCALL,
     PyDoc_STR("matches(scope, root_path) -> bool: the scope still says what was received.")},
    {"enter", (PyCFunction)(void (*)(void))lend_enter, METH_FASTCALL,
     PyDoc_STR("enter(scope, receive, send) -> None: what middleware hands on to the route.")},
    {"scope", proxy_scope, METH_NOARGS, PyDoc_STR("scope() -> dict: the exchange's ASGI scope, the same each time.")},
    {"on_gone", proxy_on_gone, METH_O, PyDoc_STR("on_gone(callback): call it once when the client leaves.")},
    {"begin", (PyCFunction)(void (*)(void))stream_begin, METH_FASTCALL, PyDoc_STR("begin(status, raw_headers)")},
    {"write", stream_write, METH_O, PyDoc_STR("write(chunk) -> None, or what to await before the next.")},
    {"end", stream_end, METH_NOARGS, PyDoc_STR("end(): the response is complete.")},
    {"body", proxy_body, METH_NOARGS,
     PyDoc_STR("body() -> bytes | None: the buffered body; None where files of it are on disk.")},
    {"failed", proxy_failed, METH_O, PyDoc_STR("failed(exc) -> bool: whether a test client takes it from the log.")},
    {"make", after_make, METH_O, PyDoc_STR("make(result) -> bytes | Response: what the plan makes of a result.")},
    {"answer", after_answer, METH_O,
     PyDoc_STR("answer(made) -> bool: send what make() gave; False: it has to be awaited, on the loop.")},
    {"sending", after_sending, METH_O,
     PyDoc_STR("sending(response) -> awaitable: what sends a response that answer() does not take.")},
    {"leave_to_thread", after_leave_to_thread, METH_O,
     PyDoc_STR("leave_to_thread(tasks) -> the proxy, for the stage to return: background tasks, all of them sync.")},
    {"run", (PyCFunction)(void (*)(void))hop_run, METH_VARARGS | METH_KEYWORDS,
     PyDoc_STR("run(call, *args, **kwargs) -> Future of the call on a call thread.")},
    {"run_beyond", (PyCFunction)(void (*)(void))hop_run_beyond, METH_VARARGS | METH_KEYWORDS,
     PyDoc_STR("run_beyond(call, *args, **kwargs) -> Future; the limit of call threads does not hold it back.")},
    {"form", proxy_form, METH_NOARGS, PyDoc_STR("form() -> list: the parts of the form that the body is.")},
    {"form_taken", proxy_form_taken, METH_NOARGS,
     PyDoc_STR("form_taken(): the engine closes its descriptors of files.")},
    {"hear_text", talk_hear_text, METH_NOARGS,
     PyDoc_STR("hear_text() -> awaitable of the next message's str, or of None: receive() has something else.")},
    {"hear_bytes", talk_hear_bytes, METH_NOARGS, PyDoc_STR("hear_bytes() -> the same for bytes.")},
    {"say_text", talk_say_text, METH_O,
     PyDoc_STR("say_text(data) -> None, or what to await; False: not sent, send() tells what is wrong.")},
    {"say_bytes", talk_say_bytes, METH_O, PyDoc_STR("say_bytes(data) -> the same for bytes.")},
    {"header", proxy_header, METH_O, PyDoc_STR("header(name) -> bytes | None: the first field of that name.")},
    {NULL, NULL, 0, NULL},
};

static PyObject *
proxy_get_gone(PyObject *self, void *Py_UNUSED(closure))
{
    hot_proxy *p = (hot_proxy *)self;
    return PyBool_FromLong(p->x == NULL || p->gone);
}

static PyObject *
proxy_get_started(PyObject *self, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(((hot_proxy *)self)->started);
}

static PyObject *
proxy_get_request(PyObject *self, void *Py_UNUSED(closure))
{
    hot_proxy *p = (hot_proxy *)self;
    return Py_NewRef(p->request ? p->request : Py_None);
}

static int
proxy_set_request(PyObject *self, PyObject *value, void *Py_UNUSED(closure))
{
    Py_XSETREF(((hot_proxy *)self)->request, Py_XNewRef(value));
    return 0;
}

static PyObject *
proxy_get_receive(PyObject *self, void *Py_UNUSED(closure))
{
    hot_proxy *p = (hot_proxy *)self;
    return p->receive != NULL ? Py_NewRef(p->receive) : proxy_bound(p, 0);
}

static PyObject *
proxy_get_send(PyObject *self, void *Py_UNUSED(closure))
{
    hot_proxy *p = (hot_proxy *)self;
    return p->send != NULL ? Py_NewRef(p->send) : proxy_bound(p, 1);
}

static PyGetSetDef proxy_getset[] = {
    {"receive", proxy_get_receive, NULL, PyDoc_STR("receive() -> awaitable of the next ASGI message."), NULL},
    {"send", proxy_get_send, NULL, PyDoc_STR("send(message) -> awaitable of None."), NULL},
    {"request", proxy_get_request, proxy_set_request, PyDoc_STR("What an entry leaves for exception handlers."), NULL},
    {"disconnected", proxy_get_gone, NULL, PyDoc_STR("True once the client left or the exchange is over."), NULL},
    {"started", proxy_get_started, NULL, PyDoc_STR("True once a response head was sent through send."), NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static int
proxy_traverse(PyObject *self, visitproc visit, void *arg)
{
    hot_proxy *p = (hot_proxy *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(p->srv);
    Py_VISIT(p->scope);
    Py_VISIT(p->request);
    Py_VISIT(p->receive);
    Py_VISIT(p->send);
    Py_VISIT(p->lent);
    Py_VISIT(p->outer);
    Py_VISIT(p->waiters);
    Py_VISIT(p->drain);
    Py_VISIT(p->on_gone);
    Py_VISIT(p->reason);
    return 0;
}

static int
proxy_clear(PyObject *self)
{
    hot_proxy *p = (hot_proxy *)self;
    Py_CLEAR(p->scope);
    Py_CLEAR(p->request);
    Py_CLEAR(p->receive);
    Py_CLEAR(p->send);
    Py_CLEAR(p->lent);
    Py_CLEAR(p->outer);
    Py_CLEAR(p->waiters);
    Py_CLEAR(p->drain);
    Py_CLEAR(p->on_gone);
    Py_CLEAR(p->reason);
    return 0;
}

static void
proxy_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    proxy_clear(self);
    Py_XDECREF(((hot_proxy *)self)->srv);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyType_Slot proxy_slots[] = {
    {Py_tp_dealloc, proxy_dealloc},
    {Py_tp_traverse, proxy_traverse},
    {Py_tp_clear, proxy_clear},
    {Py_tp_methods, proxy_methods},
    {Py_tp_getset, proxy_getset},
    {Py_tp_doc, (void *)PyDoc_STR("One request and its response.")},
    {0, NULL},
};

PyType_Spec exchange_spec = {
    .name = "turboapi._hot.Exchange",
    .basicsize = sizeof(hot_proxy),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = proxy_slots,
};
