/* Code that goes on after its answer: it encodes its result and gives the answer by itself, in the middle of its stage.

     make    the result to bytes or a response; raises inside the code, whose dependencies hear of it
     answer  hand that to Go, without RELEASE: the connection goes on with its next request
     return  the exchange is released, which is what background work and the ends of dependencies kept it for

   A response that has background tasks of its own goes the same way, from C.

   On the loop the answer leaves with all others of the turn, on a call thread at once: what follows may take long.

   Where nothing follows an answer from the loop but sync tasks, no task of asyncio's waits for them:

     loop         leave_to_thread(tasks), and the coroutine ends; tasks stand in x->lane_arg, x in the list `left`
     flush        the answers leave, then all of the list goes to the call lane at once
     call thread  runs them, releases x with the other answers; an exception goes back to the loop */
#include "hot.h"

#define LARGE 16384 /* bytes from which on a call thread gives up the GIL while it writes */

static turbo_exchange *
open_exchange(hot_proxy *p)
{
    if (p->x == NULL || p->x->lane_plan == NULL || p->started) {
        PyErr_SetString(PyExc_RuntimeError, "turboapi: this exchange is answered already, or has no plan");
        return NULL;
    }
    return p->x;
}

PyObject *
after_make(PyObject *self, PyObject *result)
{
    hot_proxy *p = (hot_proxy *)self;
    if (p->x != NULL && p->x->lane_plan != NULL && ((hot_plan *)p->x->lane_plan)->inner != NULL) {
        return lend_encode(self, result); // the answer is the middleware's, started or not
    }
    turbo_exchange *x = open_exchange(p);
    return x == NULL ? NULL : answer_encode(p->srv, x, result);
}

void
after_send(hot_server *srv, hot_proxy *p, bool on_loop)
{
    turbo_exchange *x = p->x;
    bool large = x->out_len > LARGE;
    x->lane_state |= X_SENT;
    proxy_answered(p);
    if (on_loop) {
        server_mark(srv, x);
        return;
    }
    /* X_ANSWERS stays: until it is released, or given back, x is this thread's. One small write takes less time than
       to get the GIL back from a loop that is busy. */
    PyThreadState *ts = large ? PyEval_SaveThread() : NULL;
    go_flush(srv, &x, 1);
    if (large) {
        PyEval_RestoreThread(ts);
    }
}

PyObject *
after_answer(PyObject *self, PyObject *made)
{
    hot_proxy *p = (hot_proxy *)self;
    hot_server *srv = p->srv;
    turbo_exchange *x = open_exchange(p);
    bool on_loop = server_on_loop(srv);
    if (x == NULL) {
        return NULL;
    }
    p->cors = true; // for a response that sends itself
    if (!on_loop) {
        if (x->lane_state & X_MARKED) {
            Py_RETURN_FALSE; // Go may be reading the record at this moment
        }
        x->lane_state |= X_ANSWERS;
    }
    int rc = answer_made(srv, x, made);
    if (rc != 0) {
        if (!on_loop) {
            x->lane_state &= (uint8_t)~X_ANSWERS;
        }
        return rc < 0 ? NULL : Py_NewRef(Py_False);
    }
    after_send(srv, p, on_loop);
    Py_RETURN_TRUE;
}

PyObject *
after_sending(PyObject *self, PyObject *response)
{
    hot_proxy *p = (hot_proxy *)self;
    int kind;
    if (open_exchange(p) == NULL) {
        return NULL;
    }
    if (!server_on_loop(p->srv)) {
        PyErr_SetString(PyExc_RuntimeError, "turboapi: a response is sent on the loop of the server");
        return NULL;
    }
    return answer_sending(p->srv, p, response, true, &kind);
}

PyObject *
after_leave_to_thread(PyObject *self, PyObject *tasks)
{
    hot_proxy *p = (hot_proxy *)self;
    turbo_exchange *x = p->x;
    if (x == NULL || x->lane_plan == NULL || !(x->lane_state & X_SENT) || !server_on_loop(p->srv)) {
        PyErr_SetString(PyExc_RuntimeError, "turboapi: leave_to_thread() comes after answer(), on the loop");
        return NULL;
    }
    Py_XSETREF(x->lane_arg, Py_NewRef(tasks));
    return Py_NewRef(self);
}

void
after_left(hot_server *srv, turbo_exchange *x)
{
    x->lane_next = NULL;
    *(srv->left_head == NULL ? &srv->left_head : &srv->left_tail->lane_next) = x;
    srv->left_tail = x;
    srv->n_left++;
    if (srv->in_turn) {
        return; // a turn ends with a flush
    }
    if (srv->closed) {
        server_flush(srv);
    } else if (server_flush_soon(srv) < 0) {
        PyErr_WriteUnraisable((PyObject *)srv);
    }
}

void
after_push(hot_server *srv)
{
    turbo_exchange *first = srv->left_head, *last = srv->left_tail;
    int n = srv->n_left;
    if (n == 0) {
        return;
    }
    srv->left_head = srv->left_tail = NULL;
    srv->n_left = 0;
    for (turbo_exchange *x = first; x != NULL; x = x->lane_next) {
        x->lane_state |= X_ANSWERS; // Go has let go of it, and the next that asks Go for something is the call thread
    }
    lane_push_left(srv, first, last, n);
}

PyObject *
after_work_here(hot_server *srv, turbo_exchange *x)
{
    PyObject *tasks = x->lane_arg, *result = NULL; // strong
    PyObject *p = proxy_of(srv, x); // new
    x->lane_arg = NULL;
    if (p != NULL) {
        result = PyObject_CallFunctionObjArgs(srv->st->work_here, p, tasks,
                                              x->lane_context ? (PyObject *)x->lane_context : srv->base_context,
                                              NULL); // new
    }
    Py_XDECREF(p);
    Py_DECREF(tasks);
    return result;
}

/* A response's own tasks, when its answer is on its way. Returns 1: the loop, or the call lane, has x. -1: exception set. */
static int
work_from_loop(hot_server *srv, turbo_exchange *x, hot_proxy *p, PyObject *background)
{
    hot_state *st = srv->st;
    PyObject *only = PyObject_CallOneArg(st->only_sync, background); // new
    if (only == NULL) {
        return -1;
    }
    if (only == Py_True) {
        Py_XSETREF(x->lane_arg, Py_NewRef(background));
        after_left(srv, x);
    } else {
        task_start(srv, x, JOB_RESPONSE,
                   PyObject_CallFunctionObjArgs(st->work, (PyObject *)p, background, NULL)); // stolen
    }
    Py_DECREF(only);
    return 1;
}

int
after_response(hot_server *srv, turbo_exchange *x, PyObject *response, PyObject *background, bool cors, bool on_loop)
{
    PyObject *left = NULL;
    int rc = -1;
    hot_proxy *p = (hot_proxy *)proxy_of(srv, x); // new
    if (p == NULL || answer_simple_response(srv, x, response, cors) < 0) {
        goto done;
    }
    after_send(srv, p, on_loop);
    if (on_loop) {
        rc = work_from_loop(srv, x, p, background);
        goto done;
    }
    Py_XSETREF(x->lane_arg, Py_NewRef(background));
    left = after_work_here(srv, x); // new
    if (left == Py_None) {
        rc = 0;
    } else if (left != NULL) {
        rc = 1;
        server_give_back(srv, x, BACK_RESPONSE, Py_NewRef(left));
    }
done:
    Py_XDECREF(left);
    Py_XDECREF(p);
    return rc;
}
