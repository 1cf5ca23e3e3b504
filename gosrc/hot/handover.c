/* Exchanges on their way: marked, handed to Go, released, dropped, and given
   back to the loop by call threads. */
#include "hot.h"

#include <unistd.h>

void
server_drop(hot_server *srv, turbo_exchange *x)
{
    hot_proxy *p = x->lane_obj;
    if (p != NULL) {
        x->lane_obj = NULL;
        p->x = NULL;
        Py_DECREF(p);
    }
    server_release(srv, x);
    x->ops |= TURBO_OP_ABORT;
    go_flush(srv, &x, 1);
}

/* Nobody will take what a call thread gives back. payload is stolen. GIL held. */
static void
back_drop(hot_server *srv, turbo_exchange *x, PyObject *payload)
{
    if (x != NULL && !lend_keep(x)) {
        server_release(srv, x);
        go_flush(srv, &x, 1);
    }
    Py_XDECREF(payload);
}

hot_back *
server_take_backs(hot_server *srv)
{
    if (hot_forked || atomic_load(&srv->n_back) == 0) {
        return NULL;
    }
    pthread_mutex_lock(&srv->back_mu);
    hot_back *back = srv->back_head;
    srv->back_head = srv->back_tail = NULL;
    atomic_store(&srv->n_back, 0);
    pthread_mutex_unlock(&srv->back_mu);
    return back;
}

void
server_drop_backs(hot_server *srv)
{
    hot_back *back = server_take_backs(srv);
    while (back != NULL) {
        hot_back *next = back->next;
        back_drop(srv, back->x, back->payload);
        free(back);
        back = next;
    }
}

void
server_wake_loop(hot_server *srv)
{
    uint64_t one = 1;
    if (hot_forked) {
        return;
    }
    if (srv->wake_fd < 0 || write(srv->wake_fd, &one, sizeof one) != sizeof one) {
        go_wake(srv);
    }
}

void
server_mark(hot_server *srv, turbo_exchange *x)
{
    if (x->lane_state & X_MARKED) {
        return;
    }
    if (srv->n_dirty == srv->cap_dirty) {
        int cap = srv->cap_dirty ? srv->cap_dirty * 2 : 256;
        turbo_exchange **dirty = realloc(srv->dirty, (size_t)cap * sizeof *dirty);
        if (dirty == NULL) {
            Py_FatalError("turboapi: out of memory for the list of answers");
        }
        srv->dirty = dirty;
        srv->cap_dirty = cap;
    }
    x->lane_state |= X_MARKED;
    srv->dirty[srv->n_dirty++] = x;
    if (srv->in_turn) {
        return;
    }
    if (srv->closed) {
        server_flush(srv); // the loop may be closed, too
    } else if (server_flush_soon(srv) < 0) {
        PyErr_WriteUnraisable((PyObject *)srv);
    }
}

/* Hand all marked exchanges to Go. Loop's thread, GIL held; given up meanwhile.
   Those that are not released stay marked until Go has let go of them. */
void
server_flush(hot_server *srv)
{
    turbo_exchange **dirty = srv->dirty;
    int n = srv->n_dirty, kept = 0;
    if (n == 0) {
        after_push(srv);
        return;
    }
    srv->n_dirty = 0;
    for (int i = 0; i < n; i++) {
        turbo_exchange *x = dirty[i];
        if (!(x->ops & TURBO_OP_RELEASE)) {
            dirty[i] = dirty[kept];
            dirty[kept++] = x;
        } else {
            x->lane_state &= (uint8_t)~X_MARKED;
        }
    }
    if (srv->hold_gil_now || (srv->hold_gil_until != 0 && hot_now() < srv->hold_gil_until)) {
        go_flush(srv, dirty, n); // a call thread computes: see next_events
    } else {
        PyThreadState *ts = PyEval_SaveThread();
        go_flush(srv, dirty, n);
        PyEval_RestoreThread(ts);
    }
    for (int i = 0; i < kept; i++) {
        dirty[i]->lane_state &= (uint8_t)~X_MARKED;
    }
    after_push(srv);
    if (srv->closed) {
        server_drop_backs(srv); // of a call that ended meanwhile
    }
}

int
server_flush_soon(hot_server *srv)
{
    if (srv->flush_due || srv->closed) {
        return 0;
    }
    PyObject *r = PyObject_CallOneArg(srv->call_soon, srv->flush_method); // new
    if (r == NULL) {
        return -1;
    }
    Py_DECREF(r);
    srv->flush_due = true;
    return 0;
}

void
server_release(hot_server *srv, turbo_exchange *x)
{
    proxy_close(x);
    PyObject *plan = x->lane_plan, *arg = x->lane_arg, *context = x->lane_context;
    x->lane_plan = NULL;
    x->lane_arg = NULL;
    x->lane_context = NULL;
    x->ops |= TURBO_OP_RELEASE;
    atomic_fetch_sub(&srv->in_flight, 1);
    Py_XDECREF(plan);
    Py_XDECREF(arg);
    Py_XDECREF(context);
    probe_ended(srv, x);
}

void
server_give_back(hot_server *srv, turbo_exchange *x, int kind, PyObject *payload)
{
    if (hot_forked) {
        Py_XDECREF(payload);
        return;
    }
    if (x != NULL) {
        x->lane_state &= (uint8_t)~X_ANSWERS;
    }
    if (srv->closed && (x == NULL || !(x->lane_state & X_MARKED))) {
        back_drop(srv, x, payload);
        return;
    }
    hot_back *back = malloc(sizeof *back);
    if (back == NULL) {
        Py_FatalError("turboapi: out of memory for a call thread's result");
    }
    *back = (hot_back){.x = x, .kind = kind, .payload = payload};
    pthread_mutex_lock(&srv->back_mu);
    if (srv->back_tail == NULL) {
        srv->back_head = back;
    } else {
        srv->back_tail->next = back;
    }
    srv->back_tail = back;
    int before = atomic_fetch_add(&srv->n_back, 1);
    pthread_mutex_unlock(&srv->back_mu);
    if (before == 0) {
        server_wake_loop(srv);
    }
}
