/* Code that goes on after its answer: it encodes its result and gives the answer by itself, in the middle of its stage.

     make    the result to bytes or a response; raises inside the code, whose dependencies hear of it
     answer  hand that to Go, without RELEASE: the connection goes on with its next request
     return  the exchange is released, which is what background work and the ends of dependencies kept it for

   A response that has background tasks of its own goes the same way, from C.

   On the loop the answer leaves with all others of the turn, on a call thread at once: what follows may take long. */
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

int
after_response(hot_server *srv, turbo_exchange *x, PyObject *response, PyObject *background, bool cors, bool on_loop)
{
    hot_state *st = srv->st;
    PyObject *left = NULL;
    int rc = -1;
    hot_proxy *p = (hot_proxy *)proxy_of(srv, x); // new
    if (p == NULL || answer_simple_response(srv, x, response, cors) < 0) {
        goto done;
    }
    after_send(srv, p, on_loop);
    if (on_loop) {
        rc = 1;
        task_start(srv, x, JOB_RESPONSE,
                   PyObject_CallFunctionObjArgs(st->work, (PyObject *)p, background, NULL)); // stolen
        goto done;
    }
    left = PyObject_CallFunctionObjArgs(st->work_here, (PyObject *)p, background,
                                        x->lane_context ? (PyObject *)x->lane_context : srv->base_context, NULL); // new
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
