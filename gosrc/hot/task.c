/* The loop lane: coroutines as real asyncio tasks, stepped in place where
   Python has eager tasks. A task that does not finish in its first step gets a
   job as its done callback. */
#include "hot.h"

#include <structmember.h>

/* Done callback and registry entry of one running task. */
struct hot_job {
    PyObject_HEAD
    hot_server *srv;   /* strong */
    turbo_exchange *x; /* owned while the job is in the registry, else NULL */
    PyObject *task;    /* strong: asyncio itself holds tasks weakly */
    int kind;
    hot_job *next, *prev;
    vectorcallfunc vectorcall;
};

static void finish(hot_server *srv, turbo_exchange *x, int kind, PyObject *result);
static void finish_app(hot_server *srv, turbo_exchange *x, int kind, bool ok);

/* x's answer is complete: let go of it. */
static void
done_with(hot_server *srv, turbo_exchange *x)
{
    server_release(srv, x);
    server_mark(srv, x);
}

static void
fail(hot_server *srv, turbo_exchange *x)
{
    if (answer_exception(srv, x, true) == 0) {
        done_with(srv, x);
    }
}

static PyObject *
job_call(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *Py_UNUSED(kwnames))
{
    hot_job *job = (hot_job *)self;
    hot_server *srv = job->srv;
    leave_if_forked();
    if (PyVectorcall_NARGS(nargsf) != 1 || job->task == NULL) {
        PyErr_SetString(PyExc_TypeError, "turboapi: a job is called once, by its task");
        return NULL;
    }
    *(job->prev ? &job->prev->next : &srv->jobs) = job->next;
    if (job->next) {
        job->next->prev = job->prev;
    }
    turbo_exchange *x = job->x;
    job->x = NULL; // from here on another owner's
    Py_CLEAR(job->task);
    PyObject *result = PyObject_CallMethodNoArgs(args[0], srv->st->s_result); // new
    if (x->lane_state & X_LENT) {
        lend_orphan(srv, x, result); // stolen
    } else {
        finish(srv, x, job->kind, result); // stolen
    }
    Py_DECREF(job); // the registry's
    Py_RETURN_NONE;
}

static int
job_traverse(hot_job *job, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(job));
    Py_VISIT(job->srv);
    Py_VISIT(job->task);
    /* While it is lent, the lane's lists visit it. */
    return job->x == NULL || job->x->lane_state & X_LENT ? 0 : exchange_traverse(job->x, visit, arg);
}

/* A loop that ended early leaves tasks behind; the server's clear gives up their exchanges. */
static int
job_clear(hot_job *job)
{
    Py_CLEAR(job->task);
    return 0;
}

static void
job_dealloc(hot_job *job)
{
    PyTypeObject *type = Py_TYPE(job);
    PyObject_GC_UnTrack(job);
    Py_XDECREF(job->srv);
    Py_XDECREF(job->task);
    type->tp_free((PyObject *)job);
    Py_DECREF(type);
}

/* Watch a task that goes on. Returns 0, or -1 with an exception set. */
static int
job_watch(hot_server *srv, turbo_exchange *x, int kind, PyObject *task)
{
    hot_job *job = (hot_job *)srv->st->job_type->tp_alloc(srv->st->job_type, 0); // new
    if (job == NULL) {
        return -1;
    }
    job->vectorcall = job_call;
    job->srv = (hot_server *)Py_NewRef((PyObject *)srv);
    job->kind = kind;
    job->task = Py_NewRef(task);
    PyObject *r = PyObject_CallMethodOneArg(task, srv->st->s_add_done_callback, (PyObject *)job); // new
    if (r == NULL) {
        Py_DECREF(job);
        return -1;
    }
    Py_DECREF(r);
    job->x = x;
    job->next = srv->jobs; // the registry takes the reference
    if (srv->jobs) {
        srv->jobs->prev = job;
    }
    srv->jobs = job;
    return 0;
}

/* Run coro as a task that ends in finish(kind). coro is stolen; NULL means that
   an exception is set, which becomes the result. Loop's thread. */
int
task_start(hot_server *srv, turbo_exchange *x, int kind, PyObject *coro)
{
    hot_state *st = srv->st;
    if (coro == NULL) {
        finish(srv, x, kind, NULL);
        return 0;
    }
    if (!PyCoro_CheckExact(coro)) {
        /* A Task takes coroutines only, while ASGI has any awaitable. */
        PyObject *awaitable = coro;
        coro = PyObject_CallOneArg(st->await_any, awaitable); // new
        Py_DECREF(awaitable);
        if (coro == NULL) {
            finish(srv, x, kind, NULL);
            return 0;
        }
    }
    /* All that follows in this exchange sees what this task's code sets, as in FastAPI's one task. */
    if (x->lane_context == NULL && (x->lane_context = PyContext_CopyCurrent()) == NULL) {
        Py_DECREF(coro);
        finish(srv, x, kind, NULL);
        return 0;
    }
    /* But for a stream: its generator runs in a child of that task, which has a copy. */
    PyObject *context = kind == JOB_STREAM ? PyContext_Copy(x->lane_context) : Py_NewRef(x->lane_context); // new
    PyObject *args[5] = {NULL, coro, srv->loop, context, Py_True};
    PyObject *task = context == NULL ? NULL
                                     : PyObject_Vectorcall(srv->task_type, args + 1, 1 | PY_VECTORCALL_ARGUMENTS_OFFSET,
                                                           srv->eager ? st->kw_task_eager : st->kw_task_plain); // new
    Py_XDECREF(context);
    Py_DECREF(coro);
    if (task == NULL) {
        finish(srv, x, kind, NULL);
        return 0;
    }
    if (srv->eager) {
        PyObject *done = PyObject_CallMethodNoArgs(task, st->s_done); // new
        bool is_done = done == Py_True;
        Py_XDECREF(done);
        if (is_done) {
            PyObject *result = PyObject_CallMethodNoArgs(task, st->s_result); // new
            Py_DECREF(task);
            finish(srv, x, kind, result);
            return 0;
        }
    }
    if (job_watch(srv, x, kind, task) < 0) {
        finish(srv, x, kind, NULL);
    }
    Py_DECREF(task);
    return 0;
}

void
task_stage_failed(hot_server *srv, turbo_exchange *x, PyObject *exc)
{
    if (exc != NULL) {
        hot_raise(exc); // stolen
    }
    fail(srv, x);
}

void
task_stage_done(hot_server *srv, turbo_exchange *x, PyObject *result /* stolen */)
{
    hot_plan *plan = x->lane_plan;
    int stage = (x->lane_state & X_STAGE) + 1;
    if (x->lane_state & X_SENT) {
        Py_DECREF(result);
        if (x->lane_arg != NULL) {
            after_left(srv, x);
        } else {
            done_with(srv, x);
        }
        return;
    }
    if (result == (PyObject *)x->lane_obj) { // the code has sent its answer through the proxy
        finish_app(srv, x, JOB_RESPONSE, true);
        Py_DECREF(result);
        return;
    }
    if (stage < plan->n_stages) {
        x->lane_state++;
        if (plan->stages[stage].lane == LANE_LOOP) {
            task_run_stage(srv, x, result);
            return;
        }
        x->lane_arg = result;
        x->lane_next = NULL;
        lane_push(srv, x, x, 1);
        return;
    }
    int rc = answer_result(srv, x, result, true);
    Py_DECREF(result);
    if (rc < 0) {
        fail(srv, x);
    } else if (rc == 0) {
        done_with(srv, x);
    }
}

void
task_run_stage(hot_server *srv, turbo_exchange *x, PyObject *arg)
{
    hot_plan *plan = x->lane_plan;
    hot_stage *stage = &plan->stages[x->lane_state & X_STAGE];
    PyObject *result;
    if (arg == NULL) {
        result = plan_call(srv, plan, x); // new
    } else {
        result = PyObject_CallOneArg(stage->call, arg); // new
        Py_DECREF(arg);
    }
    if (x->flags & TURBO_REQ_WEBSOCKET) {
        task_start(srv, x, JOB_APP, result); // the conversation is the answer
    } else if (stage->coroutine) {
        task_start(srv, x, JOB_STAGE, result);
    } else if (result == NULL) {
        fail(srv, x);
    } else {
        task_stage_done(srv, x, result);
    }
}

void
task_run_app(hot_server *srv, turbo_exchange *x)
{
    PyObject *coro = NULL, *args[4] = {NULL, NULL, NULL, NULL};
    hot_proxy *p = (hot_proxy *)proxy_of(srv, x); // new
    srv->fallbacks++;
    if (p == NULL) {
        task_start(srv, x, JOB_APP, NULL);
        return;
    }
    if (p->scope == NULL) {
        p->scope = scope_new(srv, x);
    }
    args[1] = Py_XNewRef(p->scope);
    args[2] = proxy_bound(p, 0);
    args[3] = proxy_bound(p, 1);
    if (args[1] && args[2] && args[3]) {
        coro = PyObject_Vectorcall(srv->app, args + 1, 3 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL); // new
    }
    for (int i = 1; i < 4; i++) {
        Py_XDECREF(args[i]);
    }
    Py_DECREF(p);
    task_start(srv, x, JOB_APP, coro);
}

/* The end of an ASGI application, or of a response that ran as one. */
static void
finish_app(hot_server *srv, turbo_exchange *x, int kind, bool ok)
{
    hot_proxy *p = x->lane_obj;
    bool started = p && p->started, complete = p && p->complete, gone = exchange_detached(x);
    if (x->flags & TURBO_REQ_WEBSOCKET) {
        socket_finish(srv, x, ok);
        done_with(srv, x);
        return;
    }
    if (!ok && kind != JOB_HANDLE && x->lane_state & X_SENT) {
        fail(srv, x);
        return;
    }
    if (!ok) {
        bool own = kind == JOB_RESPONSE || kind == JOB_STREAM;
        if (!started && own) {
            fail(srv, x);
            return;
        }
        PyObject *exc = hot_take_exception(); // new
        if (own && exc != NULL && PyErr_GivenExceptionMatches(exc, PyExc_Exception) && p->failures++ == 0) {
            /* Too late for an answer, but the application's handlers hear of it. */
            PyObject *coro =
                PyObject_CallMethodObjArgs(srv->errors, srv->st->s_handle, (PyObject *)p, exc, NULL); // new
            Py_DECREF(exc);
            server_mark(srv, x); // what was sent before goes out meanwhile
            task_start(srv, x, JOB_HANDLE, coro); // stolen
            return;
        }
        server_failed(srv, x, exc);
        if (exc != NULL && (PyErr_GivenExceptionMatches(exc, PyExc_SystemExit) ||
                            PyErr_GivenExceptionMatches(exc, PyExc_KeyboardInterrupt))) {
            server_exit(srv, exc);
        }
        Py_XDECREF(exc);
    } else if (!complete && !gone && (started || !probe_failed(srv, x, NULL))) {
        server_log(srv, 40, NULL, "ASGI callable returned without %s response.", started ? "completing" : "starting");
    }
    if (!complete && !gone) {
        if (started) {
            server_mark(srv, x);
            server_flush(srv); // what was sent before it failed still goes out
            x->ops |= TURBO_OP_ABORT;
        } else {
            x->ops |= TURBO_OP_CLOSE;
            answer_text(x, 500, "Internal Server Error", NULL, NULL);
        }
    }
    done_with(srv, x);
}

void
task_answered(hot_server *srv, turbo_exchange *x)
{
    finish_app(srv, x, JOB_APP, true);
}

/* The end of errors.handle: a response, or None where it has answered itself. */
static void
finish_handle(hot_server *srv, turbo_exchange *x, PyObject *result)
{
    if (result != NULL && result != Py_None) {
        int rc = answer_response(srv, x, result, true);
        if (rc == 0) {
            done_with(srv, x);
        }
        if (rc >= 0) {
            return;
        }
    }
    finish_app(srv, x, JOB_HANDLE, result == Py_None);
}

/* result is stolen; NULL: an exception is set. */
static void
finish(hot_server *srv, turbo_exchange *x, int kind, PyObject *result)
{
    switch (kind) {
    case JOB_STAGE:
        if (result == NULL) {
            fail(srv, x);
        } else {
            task_stage_done(srv, x, result); // stolen
        }
        return;
    case JOB_HANDLE:
        finish_handle(srv, x, result);
        break;
    default:
        finish_app(srv, x, kind, result != NULL);
        break;
    }
    Py_XDECREF(result);
}

/* Cancel the tasks of all exchanges, or of one client's. How many; -1 with an exception set. */
static int
cancel_some(hot_server *srv, bool all, uint16_t port)
{
    int n = 0;
    PyObject *tasks = PyList_New(0); // new; cancel may run callbacks that change the registry
    for (hot_job *job = srv->jobs; tasks != NULL && job != NULL; job = job->next) {
        bool meant = all || job->x->client_port == port;
        if (meant && job->task != NULL && PyList_Append(tasks, job->task) < 0) {
            break;
        }
    }
    for (Py_ssize_t i = 0; tasks != NULL && i < PyList_GET_SIZE(tasks); i++, n++) {
        PyObject *r = PyObject_CallMethodNoArgs(PyList_GET_ITEM(tasks, i), srv->st->s_cancel); // new
        if (r == NULL) {
            PyErr_WriteUnraisable(PyList_GET_ITEM(tasks, i));
        }
        Py_XDECREF(r);
    }
    Py_XDECREF(tasks);
    return PyErr_Occurred() ? -1 : n;
}

void
task_cancel_all(hot_server *srv)
{
    if (cancel_some(srv, true, 0) < 0) {
        PyErr_WriteUnraisable((PyObject *)srv);
    }
}

int
task_cancel_of(hot_server *srv, uint16_t port)
{
    return cancel_some(srv, false, port);
}

void
task_tell_all(hot_server *srv)
{
    PyObject *proxies = PyList_New(0); // new; waking runs Python
    for (hot_job *job = srv->jobs; proxies != NULL && job != NULL; job = job->next) {
        if (job->x->lane_obj != NULL && PyList_Append(proxies, job->x->lane_obj) < 0) {
            break;
        }
    }
    for (Py_ssize_t i = 0; proxies != NULL && i < PyList_GET_SIZE(proxies); i++) {
        proxy_gone((hot_proxy *)PyList_GET_ITEM(proxies, i));
    }
    if (PyErr_Occurred()) {
        PyErr_WriteUnraisable((PyObject *)srv);
    }
    Py_XDECREF(proxies);
}

int
task_traverse_all(hot_server *srv, visitproc visit, void *arg)
{
    for (hot_job *job = srv->jobs; job != NULL; job = job->next) {
        Py_VISIT((PyObject *)job);
    }
    return 0;
}

void
task_drop_all(hot_server *srv)
{
    while (srv->jobs != NULL) {
        hot_job *job = srv->jobs;
        turbo_exchange *x = job->x;
        srv->jobs = job->next;
        if (srv->jobs) {
            srv->jobs->prev = NULL;
        }
        job->x = NULL;
        job->next = NULL;
        Py_CLEAR(job->task);
        server_drop(srv, x);
        Py_DECREF(job); // the registry's
    }
}

static PyMemberDef job_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(hot_job, vectorcall), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot job_slots[] = {
    {Py_tp_dealloc, job_dealloc},    {Py_tp_traverse, job_traverse}, {Py_tp_clear, job_clear},
    {Py_tp_call, PyVectorcall_Call}, {Py_tp_members, job_members},   {0, NULL},
};

PyType_Spec job_spec = {
    .name = "turboapi._hot.Job",
    .basicsize = sizeof(hot_job),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = job_slots,
};
