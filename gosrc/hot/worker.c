/* A call thread: claim, run, leave the answer, wait. */
#include "lane.h"

#include <errno.h>
#include <time.h>

#define BATCH 64             /* answers until the loop hears of them */
#define FEW 2                /* answers that a thread flushes itself: no second switch for a lone request */
#define SLOW_S 0.0002        /* a route is slow from here on: woken ahead of, and flushed after, each call */
#define COST_MAX_S 0.001     /* five such calls in a row make a route slow */
#define WARY_NS 2000000000u  /* for so long after a call of a fast route has blocked, a thread stands by */
#define IDLE_S 10            /* an idle thread ends after this long */

static void
deadline_in(struct timespec *t, long seconds)
{
    clock_gettime(CLOCK_MONOTONIC, t);
    t->tv_sec += seconds;
}

static void
count_wait(hot_lane *lane, uint64_t waited)
{
    atomic_fetch_add_explicit(&lane->calls, 1, memory_order_relaxed);
    if (waited > 1000000u) {
        atomic_fetch_add(&lane->waited_1ms, 1);
        atomic_fetch_add(&lane->waited_2ms, waited > 2000000u);
        atomic_fetch_add(&lane->waited_5ms, waited > 5000000u);
    }
}

/* Call one stage in its own copy of the context (as FastAPI's thread pool does). New reference or NULL. */
static PyObject *
call_stage(hot_server *srv, hot_plan *plan, turbo_exchange *x, int stage)
{
    PyObject *result;
    PyObject *context = PyContext_Copy(x->lane_context ? x->lane_context : srv->base_context); // new
    if (context == NULL || PyContext_Enter(context) < 0) {
        Py_XDECREF(context);
        return NULL;
    }
    if (stage == 0) {
        result = plan_call(srv, plan, x);
    } else {
        PyObject *arg = x->lane_arg; // strong
        x->lane_arg = NULL;
        result = PyObject_CallOneArg(plan->stages[stage].call, arg);
        Py_DECREF(arg);
    }
    if (PyContext_Exit(context) < 0) {
        Py_CLEAR(result);
    }
    Py_DECREF(context);
    return result;
}

/* The last stage has ended. result is stolen; NULL: an exception is set. Returns
   0 when x is answered, 1 when the loop has it now. */
static int
finish_call(hot_server *srv, turbo_exchange *x, PyObject *result)
{
    if (x->lane_state & X_SENT) {
        if (result != NULL && result != Py_None) {
            server_give_back(srv, x, BACK_RESPONSE, result); // stolen: what is left, for the loop
            return 1;
        }
        Py_XDECREF(result);
        return result == NULL ? answer_exception(srv, x, false) : 0;
    }
    if (x->lane_state & (X_MARKED | X_LENT)) {
        /* A task on the loop waits for the body, and Go may be reading the record at this moment; or for the result. */
        if (x->lane_state & X_LENT) {
            result = lend_value(srv, x, result); // stolen
        }
        bool ok = result != NULL;
        server_give_back(srv, x, ok ? BACK_DONE : BACK_RAISED, ok ? result : hot_take_exception()); // stolen
        return 1;
    }
    x->lane_state |= X_ANSWERS;
    int rc = result == NULL ? -1 : answer_result(srv, x, result, false);
    Py_XDECREF(result);
    return rc < 0 ? answer_exception(srv, x, false) : rc;
}

/* A call of the plan's has ended. Returns the ns that it took. */
static uint64_t
count_cost(hot_server *srv, hot_worker *w, hot_plan *plan, uint64_t start, uint64_t others)
{
    uint64_t end = hot_now(), spent = end - start;
    atomic_store_explicit(&w->since, 0, memory_order_relaxed);
    srv->lane.in_call--;
    if (spent > STUCK_NS && others != srv->turns + atomic_load(&srv->lane.calls)) {
        plan->wary_until = end + WARY_NS; // others have run meanwhile: it was not the machine that stood still
    }
    /* One call that blocks for long must not make a fast route slow: it counts as COST_MAX_S. */
    double cost = atomic_load_explicit(&plan->cost, memory_order_relaxed), took = (double)spent * 1e-9;
    atomic_store_explicit(&plan->cost, cost * 0.95 + (took < COST_MAX_S ? took : COST_MAX_S) * 0.05,
                          memory_order_relaxed);
    return spent;
}

/* Run a call that a task waits for. Returns the ns that it took. GIL held. */
static uint64_t
run_hop(hot_server *srv, hot_worker *w, hot_hop *hop)
{
    PyObject *plan = Py_NewRef(hop->plan);
    uint64_t start = hot_now();
    atomic_store_explicit(&w->since, start, memory_order_relaxed);
    srv->lane.in_call++;
    uint64_t others = srv->turns + atomic_load(&srv->lane.calls);
    hop_call(srv, hop);
    uint64_t spent = count_cost(srv, w, (hot_plan *)plan, start, others);
    Py_DECREF(plan);
    return spent;
}

/* Run one call up to the end of its stages on this lane. Returns true when x is
   answered and released, false when the loop has it now. GIL held. */
static bool
run_call(hot_server *srv, hot_worker *w, turbo_exchange *x, uint64_t *spent)
{
    hot_plan *plan = (hot_plan *)Py_NewRef(x->lane_plan); // x may be another's once it was given back
    uint64_t start = hot_now();
    PyObject *result;
    int stage = x->lane_state & X_STAGE, rc;
    bool after = x->lane_state & X_SENT; // what is left of it is background tasks
    srv->lane.n_left -= after;
    if (stage == 0 && !after) {
        count_wait(&srv->lane, start > x->t_read ? start - x->t_read : 0);
    }
    atomic_store_explicit(&w->since, start, memory_order_relaxed);
    srv->lane.in_call++;
    uint64_t others = srv->turns + atomic_load(&srv->lane.calls);
    for (;;) {
        result = after ? after_work_here(srv, x) : call_stage(srv, plan, x, stage);
        if (after || result == NULL || stage + 1 == plan->n_stages || plan->stages[stage + 1].lane != LANE_CALL) {
            break;
        }
        x->lane_state++;
        stage++;
        x->lane_arg = result;
    }
    if (result != NULL && !after && stage + 1 < plan->n_stages) {
        x->lane_state++;
        rc = 1;
        server_give_back(srv, x, BACK_STAGE, result); // stolen
    } else {
        rc = finish_call(srv, x, result); // stolen
    }
    *spent = count_cost(srv, w, plan, start, others);
    Py_DECREF(plan);
    if (rc == 0) {
        server_release(srv, x);
    }
    return rc == 0;
}

static void
lock_without_gil(hot_lane *lane)
{
    if (pthread_mutex_trylock(&lane->mu) != 0) {
        PyThreadState *ts = PyEval_SaveThread();
        pthread_mutex_lock(&lane->mu);
        pthread_mutex_unlock(&lane->mu);
        PyEval_RestoreThread(ts);
        pthread_mutex_lock(&lane->mu);
    }
}

static void
count_free(hot_lane *lane, hot_worker *w)
{
    lane->busy -= w->counted;
    w->counted = false;
}

/* Whether a thread may take something. mu held. */
static bool
claimable(hot_lane *lane)
{
    return lane->beyond.head != NULL || (atomic_load(&lane->queued) > 0 && lane->busy < lane->limit);
}

static turbo_exchange *
claim_call(hot_lane *lane, hot_worker *w)
{
    turbo_exchange *x = lane->head;
    if (x == NULL || lane->busy >= lane->limit) {
        return NULL;
    }
    lane->head = x->lane_next;
    if (lane->head == NULL) {
        lane->tail = NULL;
    }
    x->lane_next = NULL;
    lane->hop_last = false;
    lane->busy++;
    w->counted = true;
    return x;
}

/* The next call or hop; calls and hops take turns. Returns its plan, or NULL. *spare: this thread should see to it that
   another one is ready, because what it got is slow. GIL held. */
static hot_plan *
claim(hot_lane *lane, hot_worker *w, turbo_exchange **x, hot_hop **hop, bool *spare)
{
    hot_plan *plan = NULL;
    lock_without_gil(lane);
    count_free(lane, w);
    *spare = false;
    *hop = NULL;
    *x = lane->hop_last ? claim_call(lane, w) : NULL;
    if (*x == NULL && (*hop = hop_claim(lane, w)) == NULL) {
        *x = claim_call(lane, w);
    }
    if (*x != NULL || *hop != NULL) {
        int left = atomic_fetch_sub(&lane->queued, 1) - 1;
        plan = *hop != NULL ? (hot_plan *)(*hop)->plan : (*x)->lane_plan;
        bool slow = plan->cost > SLOW_S;
        bool wary = plan->wary_until != 0 && left > 0 && atomic_load(&lane->awake) - lane->in_call <= 1 &&
                    plan->wary_until > hot_now();
        if (slow || wary) {
            bool woke = left > 0 && lane_wake_one(lane);
            *spare = atomic_load(&lane->n_idle) == 0 && !woke && lane->starting == 0;
        }
    }
    pthread_mutex_unlock(&lane->mu);
    return plan;
}

/* Wait for work. No GIL. Returns false when the thread is to end. */
static bool
wait_for_work(hot_lane *lane, hot_worker *w)
{
    bool stay = true;
    struct timespec until;
    pthread_mutex_lock(&lane->mu);
    count_free(lane, w);
    if (!claimable(lane) && !lane->stop) {
        w->signalled = false;
        w->next_idle = lane->idle;
        lane->idle = w;
        atomic_fetch_add(&lane->n_idle, 1);
        atomic_fetch_sub(&lane->awake, 1);
        deadline_in(&until, IDLE_S);
        while (!w->signalled && !lane->stop) {
            if (pthread_cond_timedwait(&w->wake, &lane->mu, &until) == ETIMEDOUT && !w->signalled) {
                if (atomic_load(&lane->n_threads) > KEEP_THREADS || atomic_load(&lane->n_threads) > lane->limit) {
                    stay = false;
                    break;
                }
                deadline_in(&until, IDLE_S);
            }
        }
        if (!w->signalled) { // still on the idle stack
            hot_worker **at = &lane->idle;
            while (*at != w) {
                at = &(*at)->next_idle;
            }
            *at = w->next_idle;
            atomic_fetch_sub(&lane->n_idle, 1);
            atomic_fetch_add(&lane->awake, 1);
        }
    }
    stay = stay && !(lane->stop && !claimable(lane));
    pthread_mutex_unlock(&lane->mu);
    return stay;
}

static hot_worker *
worker_join(hot_lane *lane)
{
    /* On the heap: at the interpreter's end a thread may vanish, but not this record. */
    hot_worker *w = calloc(1, sizeof *w);
    pthread_condattr_t attr;
    if (w == NULL) {
        return NULL;
    }
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w->wake, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_lock(&lane->mu);
    lane->starting -= lane->starting > 0;
    lane->spawned++;
    w->next = lane->all;
    lane->all = w;
    atomic_fetch_add(&lane->n_threads, 1);
    atomic_fetch_add(&lane->awake, 1);
    pthread_mutex_unlock(&lane->mu);
    return w;
}

static void
worker_leave(hot_lane *lane, hot_worker *w)
{
    pthread_mutex_lock(&lane->mu);
    hot_worker **at = &lane->all;
    while (*at != w) {
        at = &(*at)->next;
    }
    *at = w->next;
    count_free(lane, w);
    atomic_fetch_sub(&lane->n_threads, 1);
    atomic_fetch_sub(&lane->awake, 1);
    lane->ended++;
    /* A call may have come after this thread's last look, when it counted as awake. */
    if (atomic_load(&lane->queued) > 0) {
        lane_wake_one(lane);
    }
    pthread_mutex_unlock(&lane->mu);
    pthread_cond_destroy(&w->wake);
    free(w);
}

/* Let go of the GIL, and of the `mine` answers that this thread has finished.
   With `wait`, stay until there is work. Returns false when the thread is to end. */
static bool
pause_between(hot_server *srv, hot_worker *w, bool wait, bool slow, int mine)
{
    bool stay = true;
    PyThreadState *ts = PyEval_SaveThread();
    if (mine > FEW || slow) {
        lane_hand_over(srv);
    } else if (mine > 0) {
        lane_flush_done(srv);
    }
    if (wait) {
        stay = wait_for_work(&srv->lane, w);
    }
    PyEval_RestoreThread(ts);
    return stay;
}

/* lane_main() -> None: be a call thread. */
PyObject *
lane_main(hot_server *srv, PyObject *Py_UNUSED(noargs))
{
    hot_lane *lane = &srv->lane;
    hot_worker *w = worker_join(lane);
    int mine = 0;
    bool stay = true;
    if (w == NULL) {
        return PyErr_NoMemory();
    }
    while (stay) {
        bool spare;
        uint64_t spent;
        turbo_exchange *x;
        hot_hop *hop;
        hot_plan *plan = claim(lane, w, &x, &hop, &spare); // borrowed from x or hop
        bool slow = plan != NULL && plan->cost > SLOW_S, answered = false;
        if (plan == NULL || mine >= BATCH) {
            stay = pause_between(srv, w, plan == NULL, false, mine);
            mine = 0;
            if (plan == NULL) {
                continue;
            }
        } else if (slow && mine > 0) {
            lane_hand_over(srv);
            mine = 0;
        }
        if (spare && lane_reserve(lane, 1) > 0) {
            lane_spawn(srv);
        }
        if (hop != NULL) {
            spent = run_hop(srv, w, hop);
        } else {
            answered = run_call(srv, w, x, &spent);
        }
        if (hot_forked) {
            break; // the answer is the parent's to give, and so is the record
        }
        if (answered) {
            lane_done_push(lane, x);
            mine++;
        }
        if (spent > (uint64_t)(SLOW_S * 1e9) && mine > 0) {
            if (atomic_load(&lane->queued) == 0) {
                stay = pause_between(srv, w, true, true, mine);
            } else {
                lane_hand_over(srv);
            }
            mine = 0;
        }
    }
    if (!hot_forked) {
        worker_leave(lane, w);
    }
    Py_RETURN_NONE;
}
