/* Hops: a task on the loop has something called on the call lane, and waits for it.

     loop         proxy.run(call, ...): a future; the call waits in the lane's queue
     call thread  runs it in a copy of the task's context, gives back (future, exception, value)
     loop         completes the future, which wakes the task

   A hop holds nothing of its exchange, so a task that is cancelled may end while its call still runs, as with AnyIO's
   threads; one that was not begun is skipped. Hops are not refused: their requests have begun. */
#include "hot.h"

static void
hop_free(hot_hop *hop)
{
    Py_DECREF(hop->call);
    Py_DECREF(hop->args);
    Py_XDECREF(hop->kwargs);
    Py_XDECREF(hop->context);
    Py_XDECREF(hop->future);
    Py_DECREF(hop->plan);
    free(hop);
}

/* Loop's thread, GIL held. Returns the future: new reference, or NULL. */
static PyObject *
hop_push(PyObject *self, PyObject *args, PyObject *kwargs, bool beyond)
{
    hot_proxy *p = (hot_proxy *)self;
    hot_server *srv = p->srv;
    hot_lane *lane = &srv->lane;
    PyObject *future = NULL;
    bool start_dog = false, stopped;
    if (!server_on_loop(srv) || p->x == NULL || p->x->lane_plan == NULL || PyTuple_GET_SIZE(args) < 1) {
        PyErr_SetString(PyExc_RuntimeError,
                        "turboapi: run(call, ...) is for tasks of compiled routes, while their exchange lasts");
        return NULL;
    }
    hot_hop *hop = calloc(1, sizeof *hop);
    if (hop == NULL) {
        return PyErr_NoMemory();
    }
    hop->beyond = beyond;
    hop->call = Py_NewRef(PyTuple_GET_ITEM(args, 0));
    hop->kwargs = Py_XNewRef(kwargs);
    hop->plan = Py_NewRef((PyObject *)p->x->lane_plan);
    if ((hop->args = PyTuple_GetSlice(args, 1, PyTuple_GET_SIZE(args))) == NULL) {
        hop->args = Py_NewRef(args); // something for hop_free
        goto fail;
    }
    if ((hop->context = PyContext_CopyCurrent()) == NULL ||
        (hop->future = PyObject_CallNoArgs(srv->create_future)) == NULL) {
        goto fail;
    }
    future = Py_NewRef(hop->future);
    pthread_mutex_lock(&lane->mu);
    stopped = lane->stop || hot_forked;
    if (!stopped) {
        hot_hops *queue = beyond ? &lane->beyond : &lane->hops;
        *(queue->head == NULL ? &queue->head : &queue->tail->next) = hop;
        queue->tail = hop;
        lane->n_beyond += beyond;
        atomic_fetch_add(&lane->queued, 1);
        start_dog = lane_notify(lane);
    }
    pthread_mutex_unlock(&lane->mu);
    if (stopped) {
        PyErr_SetString(PyExc_RuntimeError, "turboapi: the server is closed, and its call threads have ended");
        Py_CLEAR(future);
        goto fail;
    }
    if (start_dog) {
        lane_start_dog(srv);
    }
    if (!srv->in_turn) {
        lane_spawn_if_needed(srv); // a turn ends with it
    }
    return future;
fail:
    hop_free(hop);
    return NULL;
}

PyObject *
hop_run(PyObject *self, PyObject *args, PyObject *kwargs)
{
    return hop_push(self, args, kwargs, false);
}

PyObject *
hop_run_beyond(PyObject *self, PyObject *args, PyObject *kwargs)
{
    return hop_push(self, args, kwargs, true);
}

static hot_hop *
take(hot_hops *queue)
{
    hot_hop *hop = queue->head;
    queue->head = hop->next;
    if (queue->head == NULL) {
        queue->tail = NULL;
    }
    return hop;
}

hot_hop *
hop_claim(hot_lane *lane, hot_worker *w)
{
    if (lane->beyond.head != NULL) {
        lane->n_beyond--;
        return take(&lane->beyond);
    }
    if (lane->hops.head == NULL || lane->busy >= lane->limit) {
        return NULL;
    }
    lane->hop_last = true;
    lane->busy++;
    w->counted = true;
    return take(&lane->hops);
}

/* Whether the future was cancelled; nobody waits for it then. */
static bool
cancelled(hot_server *srv, PyObject *future)
{
    PyObject *r = PyObject_CallMethodNoArgs(future, srv->st->s_cancelled); // new
    bool yes = r == Py_True;
    Py_XDECREF(r);
    PyErr_Clear();
    return yes;
}

/* The raised exception as a future takes it. New reference. */
static PyObject *
take_for_future(void)
{
    PyObject *exc = hot_take_exception(); // new
    if (exc != NULL && PyErr_GivenExceptionMatches(exc, PyExc_StopIteration)) {
        PyErr_SetString(PyExc_RuntimeError, "coroutine raised StopIteration");
        PyObject *other = hot_take_exception(); // new
        PyException_SetCause(other, exc);       // stolen
        return other;
    }
    return exc;
}

void
hop_call(hot_server *srv, hot_hop *hop)
{
    PyObject *value = NULL, *exc = NULL, *payload;
    if (cancelled(srv, hop->future)) {
        hop_free(hop);
        return;
    }
    if (PyContext_Enter(hop->context) == 0) {
        value = PyObject_Call(hop->call, hop->args, hop->kwargs); // new
        if (PyContext_Exit(hop->context) < 0) {
            Py_CLEAR(value);
        }
    }
    if (value == NULL) {
        exc = take_for_future(); // new
    }
    payload = PyTuple_Pack(3, hop->future, exc ? exc : Py_None, value ? value : Py_None); // new
    Py_XDECREF(exc);
    Py_XDECREF(value);
    hop_free(hop);
    if (payload == NULL) {
        Py_FatalError("turboapi: out of memory for a call thread's result");
    }
    server_give_back(srv, NULL, BACK_HOP, payload); // stolen
}

void
hop_done(hot_server *srv, PyObject *payload)
{
    hot_state *st = srv->st;
    PyObject *future = PyTuple_GET_ITEM(payload, 0), *exc = PyTuple_GET_ITEM(payload, 1);
    PyObject *done = PyObject_CallMethodNoArgs(future, st->s_done), *r = NULL; // new
    if (done == Py_False) {
        r = exc != Py_None ? PyObject_CallMethodOneArg(future, st->s_set_exception, exc)
                           : PyObject_CallMethodOneArg(future, st->s_set_result, PyTuple_GET_ITEM(payload, 2)); // new
    }
    if (done == NULL || (r == NULL && done == Py_False)) {
        PyErr_WriteUnraisable(future);
    }
    Py_XDECREF(done);
    Py_XDECREF(r);
}

int
hop_traverse(hot_lane *lane, visitproc visit, void *arg)
{
    for (int k = 0; k < 2; k++) {
        for (hot_hop *hop = k ? lane->beyond.head : lane->hops.head; hop != NULL; hop = hop->next) {
            Py_VISIT(hop->call);
            Py_VISIT(hop->args);
            Py_VISIT(hop->kwargs);
            Py_VISIT(hop->context);
            Py_VISIT(hop->future);
            Py_VISIT(hop->plan);
        }
    }
    return 0;
}

void
hop_drop_all(hot_lane *lane)
{
    for (;;) {
        pthread_mutex_lock(&lane->mu);
        hot_hop *hop = NULL;
        if (lane->beyond.head != NULL) {
            lane->n_beyond--;
            hop = take(&lane->beyond);
        } else if (lane->hops.head != NULL) {
            hop = take(&lane->hops);
        }
        atomic_fetch_sub(&lane->queued, hop != NULL);
        pthread_mutex_unlock(&lane->mu);
        if (hop == NULL) {
            return;
        }
        hop_free(hop);
    }
}
