/* The exchange as Python sees it, and ASGI's receive and send.

   Both callables give an awaitable that ends at once where nothing has to be
   waited for (Ready), so the common request makes no future. Pending waits for
   an event of the exchange with a future of the loop. Both have the methods of
   a coroutine, because applications make tasks of what receive() gives. */
#include "asgi.h"

/* ---- Ready: an awaitable with its value ----------------------------------- */

typedef struct {
    PyObject_HEAD
    PyObject *value;
    bool rest; /* the task lets others run first, as with asyncio.sleep(0) */
} ready_object;

static PyObject *
ready_new(hot_state *st, PyObject *value /* stolen, may be NULL */)
{
    ready_object *r;
    if (value == NULL) {
        return NULL;
    }
    r = PyObject_New(ready_object, st->ready_type); // new
    if (r == NULL) {
        Py_DECREF(value);
        return NULL;
    }
    r->value = value;
    r->rest = false;
    return (PyObject *)r;
}

/* None, when the loop has been round once. */
static PyObject *
rest_new(hot_state *st)
{
    PyObject *r = ready_new(st, Py_NewRef(Py_None)); // new
    if (r != NULL) {
        ((ready_object *)r)->rest = true;
    }
    return r;
}

static PySendResult
ready_send(PyObject *self, PyObject *Py_UNUSED(arg), PyObject **result)
{
    ready_object *r = (ready_object *)self;
    if (r->rest) {
        r->rest = false;
        *result = Py_NewRef(Py_None);
        return PYGEN_NEXT;
    }
    *result = r->value ? r->value : Py_NewRef(Py_None);
    r->value = NULL;
    return PYGEN_RETURN;
}

/* The old iterator protocol's way to return a value. */
static PyObject *
stop_iteration(PyObject *value /* stolen */)
{
    if (value == Py_None) {
        PyErr_SetNone(PyExc_StopIteration);
    } else {
        PyErr_SetObject(PyExc_StopIteration, value);
    }
    Py_DECREF(value);
    return NULL;
}

static PyObject *
ready_next(PyObject *self)
{
    PyObject *value;
    return ready_send(self, Py_None, &value) == PYGEN_NEXT ? value : stop_iteration(value);
}

static PyObject *
ready_send_py(PyObject *self, PyObject *Py_UNUSED(arg))
{
    return ready_next(self);
}

/* Raise what throw(type_or_exception, value=None, traceback=None) was given. Returns NULL. */
static PyObject *
raise_thrown(PyObject *const *args, Py_ssize_t n)
{
    PyObject *exc = n > 0 ? args[0] : NULL;
    PyObject *value = n > 1 && args[1] != Py_None ? args[1] : NULL;
    PyObject *tb = n > 2 && args[2] != Py_None ? args[2] : NULL;
    if (n < 1 || n > 3 || (tb != NULL && !PyTraceBack_Check(tb))) {
        PyErr_SetString(PyExc_TypeError, "throw() takes an exception, or its type, value and traceback");
    } else if (PyExceptionInstance_Check(exc) && value == NULL) {
        PyErr_Restore(Py_NewRef(Py_TYPE(exc)), Py_NewRef(exc), tb ? Py_NewRef(tb) : PyException_GetTraceback(exc));
    } else if (PyExceptionClass_Check(exc)) {
        PyErr_Restore(Py_NewRef(exc), Py_XNewRef(value), Py_XNewRef(tb));
    } else {
        PyErr_Format(PyExc_TypeError, "throw() takes an exception, not %.100s", Py_TYPE(exc)->tp_name);
    }
    return NULL;
}

static PyObject *
ready_throw(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    Py_CLEAR(((ready_object *)self)->value);
    return raise_thrown(args, n);
}

static PyObject *
ready_close(PyObject *self, PyObject *Py_UNUSED(noargs))
{
    Py_CLEAR(((ready_object *)self)->value);
    Py_RETURN_NONE;
}

static void
ready_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    Py_XDECREF(((ready_object *)self)->value);
    PyObject_Free(self);
    Py_DECREF(type);
}

static PyMethodDef ready_methods[] = {
    {"send", ready_send_py, METH_O, NULL},
    {"throw", (PyCFunction)(void (*)(void))ready_throw, METH_FASTCALL, NULL},
    {"close", ready_close, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot ready_slots[] = {
    {Py_tp_dealloc, ready_dealloc},
    {Py_am_await, PyObject_SelfIter},
    {Py_am_send, ready_send},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, ready_next},
    {Py_tp_methods, ready_methods},
    {0, NULL},
};

PyType_Spec ready_spec = {
    .name = "turboapi._hot.Ready",
    .basicsize = sizeof(ready_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = ready_slots,
};

/* ---- what receive and send wait for --------------------------------------- */

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
static PyObject *
message_now(hot_proxy *p)
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
    if (!end && x->body_len == 0) {
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
                     : x->body_len == 0 ? Py_NewRef(st->empty_bytes)
                                        : PyBytes_FromStringAndSize(x->body, (Py_ssize_t)x->body_len); // new
    if (body == NULL || PyDict_SetItem(m, st->s_body, body) < 0 ||
        PyDict_SetItem(m, st->s_more_body, end ? Py_False : Py_True) < 0) {
        Py_CLEAR(m);
    } else if (end) {
        p->body_done = true;
    } else {
        x->body_len = 0;
    }
    Py_XDECREF(body);
    return m;
}

/* Above the high-water mark an event is due when the queue has gone down, below
   it none is: so that is the only mark to wait for, and the event alone makes
   the lower one. */
static bool
may_send(hot_proxy *p)
{
    return p->x == NULL || exchange_detached(p->x) || p->x->unsent <= TURBO_HIGH_WATER;
}

/* ---- Pending: an awaitable that waits for an event ------------------------ */

typedef struct {
    PyObject_HEAD
    hot_proxy *p;
    PyObject *future; /* while waiting */
    PyObject *step;   /* its iterator */
    bool for_send;
} pending_object;

static PyObject *
pending_new(hot_proxy *p, bool for_send)
{
    pending_object *w = PyObject_GC_New(pending_object, p->srv->st->pending_type); // new
    if (w == NULL) {
        return NULL;
    }
    w->p = (hot_proxy *)Py_NewRef((PyObject *)p);
    w->future = w->step = NULL;
    w->for_send = for_send;
    PyObject_GC_Track(w);
    return (PyObject *)w;
}

/* Each waiter has a future of its own: cancelling one must not cancel another. */
static int
pending_wait(pending_object *w)
{
    hot_proxy *p = w->p;
    PyObject **list = w->for_send ? &p->drain : &p->waiters;
    PyObject *future = PyObject_CallNoArgs(p->srv->create_future); // new
    if (future == NULL) {
        return -1;
    }
    if (*list == NULL) {
        *list = PyList_New(0);
    }
    if (*list != NULL && PyList_Append(*list, future) == 0) {
        Py_XSETREF(w->future, Py_NewRef(future));
        w->step = PyObject_CallMethodNoArgs(future, p->srv->st->s___await__); // new
    }
    Py_DECREF(future);
    return w->step == NULL ? -1 : 0;
}

/* Wait no more. The future must not stay in the list: a handler may look for its
   client's departure, with a short timeout, a million times. Keeps a raised exception. */
static void
pending_forget(pending_object *w)
{
    PyObject *future = w->future, *list = w->for_send ? w->p->drain : w->p->waiters;
    w->future = NULL;
    Py_CLEAR(w->step);
    if (future == NULL) {
        return;
    }
    for (Py_ssize_t i = list == NULL ? 0 : PyList_GET_SIZE(list); i-- > 0;) {
        if (PyList_GET_ITEM(list, i) == future) {
            PyObject *raised = hot_take_exception();
            if (PyList_SetSlice(list, i, i + 1, NULL) < 0) {
                PyErr_Clear(); // no memory to shrink it
            }
            if (raised != NULL) {
                hot_raise(raised); // stolen
            }
            break;
        }
    }
    Py_DECREF(future);
}

/* What is not here yet comes on the loop's thread, and only tasks of that loop can wait for it. */
static bool
is_elsewhere(hot_proxy *p)
{
    return p->x != NULL && (p->websocket || !(p->x->flags & TURBO_REQ_BODY_END)) && !server_on_loop(p->srv);
}

static PySendResult
pending_send(PyObject *self, PyObject *arg, PyObject **result)
{
    pending_object *w = (pending_object *)self;
    *result = NULL;
    for (;;) {
        if (w->step == NULL) {
            if (w->for_send && may_send(w->p)) {
                *result = Py_NewRef(Py_None);
                return PYGEN_RETURN;
            }
            if (!w->for_send && is_elsewhere(w->p)) {
                PyErr_SetString(PyExc_RuntimeError,
                                "turboapi: what is not here yet can only be received on the loop of "
                                "the server; use anyio.from_thread.run in another thread");
                return PYGEN_ERROR;
            }
            if (!w->for_send && (*result = message_now(w->p)) != NULL) {
                return PYGEN_RETURN;
            }
            if (PyErr_Occurred() || pending_wait(w) < 0) {
                pending_forget(w);
                return PYGEN_ERROR;
            }
            arg = Py_None;
        }
        PyObject *step = Py_NewRef(w->step); // a future written in Python may come back here
        PySendResult r = PyIter_Send(step, arg, result);
        Py_DECREF(step);
        if (r == PYGEN_NEXT) {
            return r;
        }
        pending_forget(w);
        if (r == PYGEN_ERROR) {
            return r;
        }
        Py_CLEAR(*result);
    }
}

static PyObject *
pending_next(PyObject *self)
{
    PyObject *result;
    switch (pending_send(self, Py_None, &result)) {
    case PYGEN_NEXT:
        return result;
    case PYGEN_RETURN:
        return stop_iteration(result);
    default:
        return NULL;
    }
}

static PyObject *
pending_send_py(PyObject *self, PyObject *arg)
{
    PyObject *result;
    PySendResult r = pending_send(self, arg, &result);
    return r == PYGEN_RETURN ? stop_iteration(result) : result;
}

static PyObject *
pending_throw(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    pending_forget((pending_object *)self);
    return raise_thrown(args, n);
}

static PyObject *
pending_close(PyObject *self, PyObject *Py_UNUSED(noargs))
{
    pending_forget((pending_object *)self);
    Py_RETURN_NONE;
}

static PyMethodDef pending_methods[] = {
    {"send", pending_send_py, METH_O, NULL},
    {"throw", (PyCFunction)(void (*)(void))pending_throw, METH_FASTCALL, NULL},
    {"close", pending_close, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static int
pending_traverse(PyObject *self, visitproc visit, void *arg)
{
    pending_object *w = (pending_object *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(w->p);
    Py_VISIT(w->future);
    Py_VISIT(w->step);
    return 0;
}

static void
pending_dealloc(PyObject *self)
{
    pending_object *w = (pending_object *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    pending_forget(w);
    Py_DECREF(w->p);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static PyType_Slot pending_slots[] = {
    {Py_tp_dealloc, pending_dealloc}, {Py_tp_traverse, pending_traverse},
    {Py_am_await, PyObject_SelfIter}, {Py_am_send, pending_send},
    {Py_tp_iter, PyObject_SelfIter},  {Py_tp_iternext, pending_next},
    {Py_tp_methods, pending_methods}, {0, NULL},
};

PyType_Spec pending_spec = {
    .name = "turboapi._hot.Pending",
    .basicsize = sizeof(pending_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = pending_slots,
};

/* Give each future a result that has none. Loop's thread. */
void
proxy_wake(hot_server *srv, PyObject *futures)
{
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(futures); i++) {
        PyObject *future = PyList_GET_ITEM(futures, i);
        PyObject *done = PyObject_CallMethodNoArgs(future, srv->st->s_done); // new
        PyObject *r = done == Py_False ? PyObject_CallMethodOneArg(future, srv->st->s_set_result, Py_None) : NULL;
        if (done == NULL || (r == NULL && done == Py_False)) {
            PyErr_WriteUnraisable(future);
        }
        Py_XDECREF(done);
        Py_XDECREF(r);
    }
}

/* Wake all that wait; each looks for itself whether there is something for it. Any thread. */
void
asgi_wake(hot_server *srv, PyObject **list)
{
    PyObject *futures = *list;
    *list = NULL;
    if (futures == NULL) {
        return;
    }
    if (server_on_loop(srv)) {
        proxy_wake(srv, futures);
    } else if (srv->wake_method != NULL) {
        PyObject *r = PyObject_CallMethodObjArgs(srv->loop, srv->st->s_call_soon_threadsafe, srv->wake_method, futures,
                                                 NULL); // new
        if (r == NULL) {
            PyErr_Clear(); // the loop is closed, and nobody waits any more
        }
        Py_XDECREF(r);
    }
    Py_DECREF(futures);
}

/* ---- the proxy ------------------------------------------------------------ */

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
    return p == NULL ? NULL : PyBytes_FromStringAndSize(p->x->body, (Py_ssize_t)p->x->body_len);
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

/* receive() -> awaitable of the next ASGI message. Loop's thread. */
static PyObject *
proxy_receive(PyObject *self, PyObject *Py_UNUSED(noargs))
{
    hot_proxy *p = (hot_proxy *)self;
    if (is_elsewhere(p)) {
        return pending_new(p, false); // as a coroutine function: another thread may make it for a task of the loop
    }
    PyObject *m = message_now(p); // new
    if (m != NULL) {
        return ready_new(p->srv->st, m);
    }
    return PyErr_Occurred() ? NULL : pending_new(p, false);
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
    if ((headers != NULL && answer_headers(p->srv, x, headers, p->cors) < 0) || asgi_still_open(p, x, false) < 0) {
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
    return ++p->late % LATE_SENDS == 0 ? rest_new(p->srv->st) : NULL;
}

PyObject *
proxy_pause(hot_proxy *p, bool due)
{
    turbo_exchange *x = p->x;
    if (x == NULL || p->complete || (!due && x->unsent + x->out_len <= TURBO_HIGH_WATER)) {
        return NULL;
    }
    server_flush(p->srv);
    if (p->x != NULL && p->x->unsent > TURBO_HIGH_WATER) {
        return pending_new(p, true);
    }
    return rest_new(p->srv->st);
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
    return wait != NULL || PyErr_Occurred() ? wait : ready_new(p->srv->st, Py_NewRef(Py_None));
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

static PyMethodDef receive_def = {"receive", proxy_receive, METH_NOARGS, PyDoc_STR("The ASGI receive callable.")};
static PyMethodDef send_def = {"send", proxy_send, METH_O, PyDoc_STR("The ASGI send callable.")};

PyObject *
proxy_bound(hot_proxy *p, int which)
{
    return PyCFunction_New(which ? &send_def : &receive_def, (PyObject *)p);
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
    {"body", proxy_body, METH_NOARGS, PyDoc_STR("body() -> bytes: the buffered body.")},
    {"failed", proxy_failed, METH_O, PyDoc_STR("failed(exc) -> bool: whether a test client takes it from the log.")},
    {"make", after_make, METH_O, PyDoc_STR("make(result) -> bytes | Response: what the plan makes of a result.")},
    {"answer", after_answer, METH_O,
     PyDoc_STR("answer(made) -> bool: send what make() gave; False: it has to be awaited, on the loop.")},
    {"run", (PyCFunction)(void (*)(void))hop_run, METH_VARARGS | METH_KEYWORDS,
     PyDoc_STR("run(call, *args, **kwargs) -> Future of the call on a call thread.")},
    {"run_beyond", (PyCFunction)(void (*)(void))hop_run_beyond, METH_VARARGS | METH_KEYWORDS,
     PyDoc_STR("run_beyond(call, *args, **kwargs) -> Future; the limit of call threads does not hold it back.")},
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
