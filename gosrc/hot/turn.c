/* One turn of the server, as a callback of the asyncio loop.

     Go: write what call threads answered, wait(0), accept,
         read, parse, route                     -> events      (GIL released)
     here: call lane first, then step the loop lane
     Go: write the answers, feed pipelined requests             (GIL released)

   A turn is bounded: at most HOT_TURN_MAX exchanges, and no new handler after
   TURN_NS; what is left over wakes the loop again after its other work. */
#include "hot.h"

#define TURN_NS 5000000u        /* timers and other sockets of the loop wait at most this long */
#define BLOCKED_NS 100000000u    /* a step that takes longer is worth a warning */
#define GIL_WAIT_NS 200000u     /* a longer wait for the GIL means that a call thread computes */
#define GIL_HOLD_NS 50000000u   /* then turns keep the GIL for this long before trying again */
#define LEFT_MAX 64             /* but not while so many background tasks wait: answered clients send more of them */

/* Give Go what the call threads have left, and ask it for events. Giving up the GIL to a thread that computes costs a whole
   switch interval, so it is kept while that was seen lately. */
static int
next_events(hot_server *srv)
{
    turbo_exchange *done[LANE_FLUSH_MAX];
    uint64_t now = hot_now();
    int n;
    srv->hold_gil_now = now < srv->hold_gil_until && srv->lane.n_left < LEFT_MAX;
    if (srv->hold_gil_now) {
        n = go_turn(srv, done, lane_take_done(&srv->lane, done));
        lane_wake_for_rest(srv);
        return n;
    }
    PyThreadState *ts = PyEval_SaveThread();
    n = go_turn(srv, done, lane_take_done(&srv->lane, done));
    now = hot_now();
    PyEval_RestoreThread(ts);
    lane_wake_for_rest(srv);
    uint64_t after = hot_now();
    if (after - now > GIL_WAIT_NS) {
        srv->hold_gil_until = after + GIL_HOLD_NS;
        srv->hold_gil_now = true;
    }
    return n;
}

/* Sort the new exchanges: those for the call lane go to *first..*last, the
   other events stay in srv->events. Returns how many go to the call lane. */
static int
take_requests(hot_server *srv, int n, turbo_exchange **first, turbo_exchange **last)
{
    int kept = 0, calls = 0;
    for (int i = 0; i < n; i++) {
        turbo_event *ev = &srv->events[i];
        turbo_exchange *x = ev->x;
        if (ev->kind == TURBO_EV_REQUEST) {
            x->lane_plan = x->lane_obj = x->lane_arg = x->lane_context = NULL;
            x->lane_next = NULL;
            x->lane_state = 0;
            srv->requests++;
            atomic_fetch_add(&srv->in_flight, 1);
            if (probe_began(srv, x) && x->plan >= 0 && x->plan < srv->n_plans && x->version == srv->version &&
                !(x->flags & TURBO_REQ_ODD)) {
                hot_plan *plan = srv->plans[x->plan];
                x->lane_plan = Py_NewRef((PyObject *)plan);
                if (plan->stages[0].lane == LANE_CALL) {
                    *(*first == NULL ? first : &(*last)->lane_next) = x;
                    *last = x;
                    calls++;
                    continue;
                }
            }
        }
        srv->events[kept++] = *ev;
    }
    srv->ev_at = 0;
    srv->ev_n = kept;
    return calls;
}

static void
run_event(hot_server *srv, turbo_event *ev)
{
    turbo_exchange *x = ev->x;
    if (x->gen != ev->gen) {
        return; // over and recycled since
    }
    if (ev->kind != TURBO_EV_REQUEST) {
        proxy_event(srv, x, (int)ev->kind);
    } else if (x->lane_plan != NULL) {
        task_run_stage(srv, x, NULL);
    } else {
        task_run_app(srv, x);
    }
}

static void
run_back(hot_server *srv, hot_back *back)
{
    turbo_exchange *x = back->x;
    PyObject *payload = back->payload; // strong
    if (x != NULL) {
        proxy_event(srv, x, TURBO_EV_BODY); // who waited while a call thread answered looks again
        if (x->lane_state & X_LENT) {
            lend_back(srv, x, back->kind != BACK_RAISED, payload); // stolen
            return;
        }
    }
    switch (back->kind) {
    case BACK_STAGE:
        task_run_stage(srv, x, payload); // stolen
        return;
    case BACK_DONE:
        task_stage_done(srv, x, payload); // stolen
        return;
    case BACK_RAISED:
        task_stage_failed(srv, x, payload); // stolen
        return;
    case BACK_ERROR: {
        PyObject *proxy = proxy_of(srv, x); // new
        PyObject *coro =
            proxy == NULL ? NULL : PyObject_CallMethodObjArgs(srv->errors, srv->st->s_handle, proxy, payload, NULL);
        Py_XDECREF(proxy);
        task_start(srv, x, JOB_HANDLE, coro);
        break;
    }
    case BACK_RESPONSE: {
        int rc = answer_response(srv, x, payload, true);
        if (rc < 0) {
            rc = answer_exception(srv, x, true);
        }
        if (rc == 0) {
            server_release(srv, x);
            server_mark(srv, x);
        }
        break;
    }
    case BACK_APP:
        task_run_app(srv, x);
        break;
    case BACK_HOP:
        hop_done(srv, payload);
        break;
    case BACK_EXIT:
        server_exit(srv, payload);
        break;
    }
    Py_XDECREF(payload);
}

static void
take_back(hot_server *srv)
{
    hot_back *back = server_take_backs(srv);
    while (back != NULL) {
        hot_back *next = back->next;
        run_back(srv, back);
        free(back);
        back = next;
    }
}

/* Everything else stood still meanwhile: say so, and who it was. */
static void
warn_blocked(hot_server *srv, int32_t plan, uint64_t ns)
{
    if (plan >= 0 && plan < srv->n_plans) {
        server_log(srv, 30, NULL, "the loop stood still for %d ms in %U: `async def` code must not block",
                   (int)(ns / 1000000), srv->plans[plan]->name);
    } else {
        server_log(srv, 30, NULL, "the loop stood still for %d ms in one step: `async def` code must not block",
                   (int)(ns / 1000000));
    }
}

/* turn() -> None. A turn inside a turn (a debugger's or nested loop) does nothing. */
PyObject *
server_turn(hot_server *srv, PyObject *Py_UNUSED(noargs))
{
    if (srv->in_turn || srv->closed) {
        Py_RETURN_NONE;
    }
    leave_if_forked();
    srv->in_turn = true;
    srv->turns++;
    if (srv->n_watches > 0 && watch_changed(srv)) {
        PyObject *r = PyObject_CallNoArgs(srv->on_change); // new
        if (r == NULL) {
            PyErr_WriteUnraisable(srv->on_change);
        }
        Py_XDECREF(r);
    }
    if (srv->ev_at == srv->ev_n) {
        turbo_exchange *first = NULL, *last = NULL;
        int calls = take_requests(srv, next_events(srv), &first, &last);
        if (calls > 0) {
            lane_push(srv, first, last, calls);
        }
    }
    uint64_t start = hot_now();
    take_back(srv);
    for (uint64_t before = start; srv->ev_at < srv->ev_n;) {
        turbo_event *ev = &srv->events[srv->ev_at++];
        int32_t plan = ev->kind == TURBO_EV_REQUEST ? ev->x->plan : TURBO_PLAN_APP;
        run_event(srv, ev);
        leave_if_forked();
        uint64_t now = hot_now();
        if (now - before > BLOCKED_NS) {
            warn_blocked(srv, plan, now - before);
        }
        before = now;
        if (now - start > TURN_NS && srv->ev_at < srv->ev_n) {
            go_wake(srv);
            break;
        }
    }
    lane_spawn_if_needed(srv);
    server_flush(srv);
    srv->in_turn = false;
    srv->hold_gil_now = false;
    Py_RETURN_NONE;
}
