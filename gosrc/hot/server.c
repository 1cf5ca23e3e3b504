/* The server object: what one turn, its lanes and its plans share. */
#include "hot.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

uint64_t
hot_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* A fork has come back from code on the loop into the loop. It would run its parent's other requests a second time,
   and whatever it does to the loop's epoll, asyncio's clean-up included, it does to its parent's. So it ends here. */
void
leave_if_forked(void)
{
    if (!hot_forked) {
        return;
    }
    PySys_WriteStderr(
        "turboapi: process %d is a fork made by `async def` code, and returned to the loop that it shares "
        "with its parent; it ends here. End such a child with os._exit().\n",
        (int)getpid());
    _exit(1);
}

/* ---- Python's methods ---------------------------------------------------- */

static PyObject *
server_fd(hot_server *srv, PyObject *Py_UNUSED(noargs))
{
    return PyLong_FromLong(srv->fd);
}

static PyObject *
server_flush_py(hot_server *srv, PyObject *Py_UNUSED(noargs))
{
    leave_if_forked();
    srv->flush_due = false;
    server_flush(srv);
    Py_RETURN_NONE;
}

static PyObject *
server_wake(hot_server *srv, PyObject *futures)
{
    if (!PyList_Check(futures)) {
        PyErr_SetString(PyExc_TypeError, "turboapi: wake takes a list of futures");
        return NULL;
    }
    proxy_wake(srv, futures);
    Py_RETURN_NONE;
}

/* Put n plans in the place of those that are there; the array is stolen. */
static void
plans_replace(hot_server *srv, hot_plan **plans, Py_ssize_t n)
{
    hot_plan **old = srv->plans;
    Py_ssize_t n_old = srv->n_plans;
    srv->plans = plans;
    srv->n_plans = n;
    for (Py_ssize_t i = 0; i < n_old; i++) {
        Py_DECREF(old[i]); // may run code, which finds the new ones
    }
    PyMem_Free(old);
}

static int
set_cors(hot_server *srv)
{
    PyObject *always, *packed;
    srv->cors_always = false;
    Py_CLEAR(srv->cors_plain);
    if (srv->cors == NULL) {
        return 0;
    }
    always = PyObject_GetAttr(srv->cors, srv->st->s_always); // new
    if (always == NULL) {
        return -1;
    }
    srv->cors_always = PyObject_IsTrue(always) == 1;
    Py_DECREF(always);
    if (srv->cors_always) {
        packed = fields_cors_plain(srv); // new
        if (packed == NULL) {
            return -1;
        }
        if (packed == Py_None) {
            Py_DECREF(packed);
        } else {
            srv->cors_plain = packed;
        }
    }
    return 0;
}

/* set_plans(version, plans, watch, cors): from the next turn on. Loop's thread. */
static PyObject *
server_set_plans(hot_server *srv, PyObject *args)
{
    unsigned int version;
    PyObject *plans, *watch, *cors = Py_None, *all = NULL;
    hot_plan **made = NULL;
    Py_ssize_t n = 0;
    if (!PyArg_ParseTuple(args, "IOO|O:set_plans", &version, &plans, &watch, &cors) ||
        (all = PySequence_Tuple(plans)) == NULL) {
        return NULL;
    }
    if (PyTuple_GET_SIZE(all) > 0 && hot_load_fastapi(srv->st) < 0) {
        goto fail;
    }
    made = PyMem_Calloc((size_t)PyTuple_GET_SIZE(all) + 1, sizeof *made);
    if (made == NULL) {
        PyErr_NoMemory();
        goto fail;
    }
    for (; n < PyTuple_GET_SIZE(all); n++) {
        made[n] = (hot_plan *)plan_new(srv->st, PyTuple_GET_ITEM(all, n));
        if (made[n] == NULL) {
            goto fail;
        }
    }
    if (watch_set(srv, watch) < 0) {
        goto fail;
    }
    srv->version = version;
    Py_XSETREF(srv->cors, cors == Py_None ? NULL : Py_NewRef(cors));
    plans_replace(srv, made, n);
    Py_DECREF(all);
    return set_cors(srv) < 0 ? NULL : Py_NewRef(Py_None);
fail:
    for (Py_ssize_t i = 0; made != NULL && i < n; i++) {
        Py_XDECREF(made[i]);
    }
    PyMem_Free(made);
    Py_DECREF(all);
    return NULL;
}

static PyObject *
server_in_flight(hot_server *srv, PyObject *Py_UNUSED(noargs))
{
    return PyLong_FromLongLong(atomic_load(&srv->in_flight));
}

static PyObject *
server_stop_lane(hot_server *srv, PyObject *Py_UNUSED(noargs))
{
    lane_stop(srv);
    Py_RETURN_NONE;
}

static PyObject *
server_cancel_all(hot_server *srv, PyObject *Py_UNUSED(noargs))
{
    task_cancel_all(srv);
    lane_refuse_all(srv);
    Py_RETURN_NONE;
}

static PyObject *
server_set_probe(hot_server *srv, PyObject *probe)
{
    Py_XSETREF(srv->probe, Py_NewRef(probe));
    Py_RETURN_NONE;
}

static PyObject *
server_cancel_of(hot_server *srv, PyObject *arg)
{
    long port = PyLong_AsLong(arg);
    if (port == -1 && PyErr_Occurred()) {
        return NULL;
    }
    if (port < 0 || port > UINT16_MAX) {
        PyErr_Format(PyExc_ValueError, "turboapi: a port is 0 to 65535, not %ld", port);
        return NULL;
    }
    int n = task_cancel_of(srv, (uint16_t)port);
    return n < 0 ? NULL : PyLong_FromLong(n);
}

static int
check_limit(long limit)
{
    if (limit < 1 || limit > 1000000) {
        PyErr_Format(PyExc_ValueError, "turboapi: the limit of call threads is 1 to 1000000, not %ld", limit);
        return -1;
    }
    return 0;
}

static PyObject *
server_set_limit(hot_server *srv, PyObject *arg)
{
    long limit = PyLong_AsLong(arg);
    if (limit == -1 && PyErr_Occurred()) {
        return NULL;
    }
    if (check_limit(limit) < 0) {
        return NULL;
    }
    srv->lane.limit = (int)limit;
    Py_RETURN_NONE;
}

static PyObject *
server_stats(hot_server *srv, PyObject *Py_UNUSED(noargs))
{
    hot_lane *lane = &srv->lane;
    return Py_BuildValue("{s:K,s:K,s:K,s:L,s:i,s:i,s:i,s:i,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K}", "turns", srv->turns,
                         "requests", srv->requests, "fallbacks", srv->fallbacks, "in_flight",
                         (long long)atomic_load(&srv->in_flight), "call_threads", atomic_load(&lane->n_threads),
                         "call_idle", atomic_load(&lane->n_idle), "call_queued", atomic_load(&lane->queued),
                         "call_limit", lane->limit, "calls", atomic_load(&lane->calls), "call_wakes",
                         atomic_load(&lane->wakes), "call_rescues", atomic_load(&lane->rescues), "call_refused",
                         atomic_load(&lane->refused), "call_waited_1ms", atomic_load(&lane->waited_1ms),
                         "call_waited_2ms", atomic_load(&lane->waited_2ms), "call_waited_5ms",
                         atomic_load(&lane->waited_5ms), "call_spawned", lane->spawned, "call_ended", lane->ended);
}

/* Let go of every exchange that only a turn would look at again. Loop's thread, GIL held. */
static void
give_up_waiting(hot_server *srv)
{
    while (srv->ev_at < srv->ev_n) {
        turbo_event *ev = &srv->events[srv->ev_at++];
        if (ev->kind == TURBO_EV_REQUEST) {
            lane_refuse(srv, ev->x);
        }
    }
    lane_refuse_all(srv);
    server_flush(srv);
    server_drop_backs(srv);
    task_tell_all(srv);
}

/* close(): no turn does anything from here on; the handle may be closed next. Tasks and calls that still run give
   their exchanges back when they end. */
static PyObject *
server_close(hot_server *srv, PyObject *Py_UNUSED(noargs))
{
    srv->closed = true;
    lane_stop(srv);
    give_up_waiting(srv);
    plans_replace(srv, NULL, 0);
    watch_clear(srv);
    Py_CLEAR(srv->flush_method);
    Py_CLEAR(srv->wake_method);
    Py_RETURN_NONE;
}

static PyObject *
server_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"handle",    "fd",        "loop",  "app",        "state", "root_path",
                            "errors",    "task_type", "eager", "spawn",      "limit", "queue_limit",
                            "on_change", "on_exit",   "log",   "extensions", NULL};
    long long handle;
    int fd, eager, limit, queue_limit;
    PyObject *loop, *app, *state, *root_path, *errors, *task_type, *spawn, *on_change, *on_exit, *log, *extensions;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "Li$OOO!UOOpOiiOOOO!:Server", names, &handle, &fd, &loop, &app,
                                     &PyDict_Type, &state, &root_path, &errors, &task_type, &eager, &spawn, &limit,
                                     &queue_limit, &on_change, &on_exit, &log, &PyTuple_Type, &extensions) ||
        check_limit(limit) < 0) {
        return NULL;
    }
    if (queue_limit < 0) {
        PyErr_Format(PyExc_ValueError, "turboapi: queue_limit is at least 0, not %d", queue_limit);
        return NULL;
    }
    hot_server *srv = (hot_server *)type->tp_alloc(type, 0); // new, zeroed
    if (srv == NULL) {
        return NULL;
    }
    srv->wake_fd = -1;
    pthread_mutex_init(&srv->back_mu, NULL);
    if (lane_init(&srv->lane, limit, queue_limit) < 0) {
        PyErr_SetString(PyExc_RuntimeError, "turboapi: the call lane could not be made");
        goto fail;
    }
    srv->st = hot_state_of(type);
    srv->handle = handle;
    srv->fd = fd;
    /* A duplicate: a call thread may wake a server whose own descriptors are closed, and numbers are used again. */
    int wake_fd = hot_forked ? -1 : turboWakeFD(handle);
    srv->wake_fd = wake_fd < 0 ? -1 : fcntl(wake_fd, F_DUPFD_CLOEXEC, 0);
    srv->loop_thread = PyThread_get_thread_ident();
    srv->eager = eager;
    srv->loop = Py_NewRef(loop);
    srv->app = Py_NewRef(app);
    srv->app_state = Py_NewRef(state);
    srv->root_path = Py_NewRef(root_path);
    srv->errors = Py_NewRef(errors);
    srv->task_type = Py_NewRef(task_type);
    srv->spawn = Py_NewRef(spawn);
    srv->on_change = Py_NewRef(on_change);
    srv->on_exit = Py_NewRef(on_exit);
    srv->log = Py_NewRef(log);
    srv->extensions = Py_NewRef(extensions);
    if ((srv->base_context = PyContext_CopyCurrent()) == NULL ||
        (srv->quick = PyObject_GetAttr(errors, srv->st->s_quick)) == NULL ||
        (srv->call_soon = PyObject_GetAttr(loop, srv->st->s_call_soon)) == NULL ||
        (srv->create_future = PyObject_GetAttr(loop, srv->st->s_create_future)) == NULL ||
        (srv->flush_method = PyObject_GetAttrString((PyObject *)srv, "flush")) == NULL ||
        (srv->wake_method = PyObject_GetAttrString((PyObject *)srv, "wake")) == NULL) {
        goto fail;
    }
    if ((srv->events = malloc(HOT_TURN_MAX * sizeof *srv->events)) == NULL) {
        PyErr_NoMemory();
        goto fail;
    }
    return (PyObject *)srv;
fail:
    Py_DECREF(srv);
    return NULL;
}

/* clang-format off: a list of names */
#define SERVER_OBJECTS(X) \
    X(loop) X(app) X(app_state) X(root_path) X(errors) X(task_type) X(spawn) X(on_change) X(on_exit) X(log) \
    X(extensions) X(cors) X(quick) X(call_soon) X(create_future) X(flush_method) X(wake_method) X(base_context) \
    X(cors_plain) X(probe)
/* clang-format on */

static int
server_traverse(hot_server *srv, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(srv));
#define VISIT(n) Py_VISIT(srv->n);
    SERVER_OBJECTS(VISIT)
#undef VISIT
    for (Py_ssize_t i = 0; i < srv->n_plans; i++) {
        Py_VISIT(srv->plans[i]);
    }
    for (Py_ssize_t i = 0; i < srv->n_watches; i++) {
        Py_VISIT(srv->watches[i].object);
        Py_VISIT(srv->watches[i].held);
    }
    /* Exchanges that are the server's: what they hold is as good as its own. The lists change with the GIL held only. */
    int rc = task_traverse_all(srv, visit, arg);
    for (int i = srv->ev_at; rc == 0 && i < srv->ev_n; i++) {
        rc = srv->events[i].kind == TURBO_EV_REQUEST ? exchange_traverse(srv->events[i].x, visit, arg) : 0;
    }
    for (turbo_exchange *x = srv->lane.head; rc == 0 && x != NULL; x = x->lane_next) {
        rc = exchange_traverse(x, visit, arg);
    }
    for (turbo_exchange *x = srv->left_head; rc == 0 && x != NULL; x = x->lane_next) {
        rc = exchange_traverse(x, visit, arg);
    }
    rc = rc == 0 ? hop_traverse(&srv->lane, visit, arg) : rc;
    for (hot_back *back = srv->back_head; rc == 0 && back != NULL; back = back->next) {
        Py_VISIT(back->payload);
        rc = back->x == NULL ? 0 : exchange_traverse(back->x, visit, arg);
    }
    return rc;
}

/* Give up all exchanges of a server that was not closed, nobody being left who could. */
static void
drop_all(hot_server *srv)
{
    int n = srv->n_dirty;
    srv->n_dirty = 0;
    for (int i = 0; i < n; i++) {
        srv->dirty[i]->lane_state &= (uint8_t)~X_MARKED;
    }
    if (n > 0) {
        go_flush(srv, srv->dirty, n);
    }
    while (srv->ev_at < srv->ev_n) {
        turbo_event *ev = &srv->events[srv->ev_at++];
        if (ev->kind == TURBO_EV_REQUEST) {
            server_drop(srv, ev->x);
        }
    }
    while (srv->left_head != NULL) {
        turbo_exchange *x = srv->left_head;
        srv->left_head = x->lane_next;
        x->lane_next = NULL;
        server_drop(srv, x);
    }
    lane_drop_all(srv);
    server_drop_backs(srv);
    task_drop_all(srv);
}

static int
server_clear(hot_server *srv)
{
    srv->closed = true;
    drop_all(srv);
#define CLEAR(n) Py_CLEAR(srv->n);
    SERVER_OBJECTS(CLEAR)
#undef CLEAR
    plans_replace(srv, NULL, 0);
    watch_clear(srv);
    return 0;
}

/* A call thread inside lane_main holds a reference, so none is left here. */
static void
server_dealloc(hot_server *srv)
{
    PyTypeObject *type = Py_TYPE(srv);
    PyObject_GC_UnTrack(srv);
    lane_end(&srv->lane);
    server_clear(srv);
    lane_free(&srv->lane);
    pthread_mutex_destroy(&srv->back_mu);
    if (srv->wake_fd >= 0) {
        close(srv->wake_fd);
    }
    free(srv->events);
    free(srv->dirty);
    type->tp_free((PyObject *)srv);
    Py_DECREF(type);
}

#define M(name, flags, doc) {#name, (PyCFunction)(void (*)(void))server_##name, flags, PyDoc_STR(doc)}
static PyMethodDef server_methods[] = {
    M(fd, METH_NOARGS, "fd() -> int: the descriptor to watch for reading; `turn` is its callback."),
    M(turn, METH_NOARGS, "turn() -> None: do the work that is ready, within the bounds of a turn."),
    M(set_plans, METH_VARARGS, "set_plans(version, plans, watch, cors=None) -> None"),
    M(in_flight, METH_NOARGS, "in_flight() -> int: exchanges that a lane holds."),
    M(stop_lane, METH_NOARGS, "stop_lane() -> None: idle call threads end now, the others after their call."),
    M(cancel_all, METH_NOARGS, "cancel_all() -> None: cancel every running task of the loop lane."),
    M(cancel_of, METH_O, "cancel_of(port) -> int: cancel the running tasks of the client with this port; how many."),
    M(set_probe, METH_O, "set_probe(probe) -> None: what a test client looks through."),
    M(set_limit, METH_O, "set_limit(n) -> None: at most n call threads."),
    M(stats, METH_NOARGS, "stats() -> dict: counters of the lanes."),
    M(wake, METH_O, "wake(futures) -> None: give each a result that has none."),
    M(close, METH_NOARGS, "close() -> None: turn does nothing any more."),
    {"flush", (PyCFunction)(void (*)(void))server_flush_py, METH_NOARGS, PyDoc_STR("flush() -> None: write answers.")},
    {"lane_main", (PyCFunction)(void (*)(void))lane_main, METH_NOARGS,
     PyDoc_STR("lane_main() -> None: be a call thread until it is surplus or the lane stops.")},
    {NULL, NULL, 0, NULL},
};
#undef M

static PyType_Slot server_slots[] = {
    {Py_tp_new, server_new},
    {Py_tp_dealloc, server_dealloc},
    {Py_tp_traverse, server_traverse},
    {Py_tp_clear, server_clear},
    {Py_tp_methods, server_methods},
    {Py_tp_doc, (void *)PyDoc_STR("One server's hot state: plans, lanes, and the loop's turn.")},
    {0, NULL},
};

PyType_Spec server_spec = {
    .name = "turboapi._hot.Server",
    .basicsize = sizeof(hot_server),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = server_slots,
};
