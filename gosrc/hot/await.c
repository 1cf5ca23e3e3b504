/* What a coroutine of the application's awaits here.

   Ready ends at once with its value, so the common request makes no future.
   Pending waits for an event of the exchange with a future of the loop. Both
   have the methods of a coroutine, because applications make tasks of what
   receive() gives. */
#include "asgi.h"

/* ---- Ready: an awaitable with its value ----------------------------------- */

typedef struct {
    PyObject_HEAD
    PyObject *value;
    bool rest; /* the task lets others run first, as with asyncio.sleep(0) */
} ready_object;

PyObject *
asgi_ready(hot_state *st, PyObject *value /* stolen, may be NULL */)
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
PyObject *
asgi_rest(hot_state *st)
{
    PyObject *r = asgi_ready(st, Py_NewRef(Py_None)); // new
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

/* ---- Pending: an awaitable that waits for an event ------------------------ */

typedef struct {
    PyObject_HEAD
    hot_proxy *p;
    PyObject *future; /* while waiting */
    PyObject *step;   /* its iterator */
    bool for_send;
    uint8_t hears; /* the kind of message that is given bare, or 0 */
} pending_object;

PyObject *
asgi_pending(hot_proxy *p, bool for_send)
{
    pending_object *w = PyObject_GC_New(pending_object, p->srv->st->pending_type); // new
    if (w == NULL) {
        return NULL;
    }
    w->p = (hot_proxy *)Py_NewRef((PyObject *)p);
    w->future = w->step = NULL;
    w->for_send = for_send;
    w->hears = 0;
    PyObject_GC_Track(w);
    return (PyObject *)w;
}

PyObject *
asgi_hearing(hot_proxy *p, int kind)
{
    PyObject *w = asgi_pending(p, false); // new
    if (w != NULL) {
        ((pending_object *)w)->hears = (uint8_t)kind;
    }
    return w;
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

static PySendResult
pending_send(PyObject *self, PyObject *arg, PyObject **result)
{
    pending_object *w = (pending_object *)self;
    *result = NULL;
    for (;;) {
        if (w->step == NULL) {
            if (w->for_send && asgi_may_send(w->p)) {
                *result = Py_NewRef(Py_None);
                return PYGEN_RETURN;
            }
            if (!w->for_send && asgi_elsewhere(w->p)) {
                PyErr_SetString(PyExc_RuntimeError,
                                "turboapi: what is not here yet can only be received on the loop of "
                                "the server; use anyio.from_thread.run in another thread");
                return PYGEN_ERROR;
            }
            if (!w->for_send &&
                (*result = w->hears ? socket_hear_now(w->p, w->hears) : asgi_message_now(w->p)) != NULL) {
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
