/* The call lane: `def` code on real Python threads.

     loop: push a batch, wake a thread if none is awake
     call thread, GIL held: claim one call, run it, put the answer on `done`
     call thread: one or two answers it flushes itself, without the GIL; more,
       and those of slow calls, it leaves to the loop's next turn
     watchdog, never the GIL: when every awake thread is inside a handler for
       longer than STUCK_NS, bring in one more thread; flush answers that
       nobody has flushed for as long

   What a call costs here is switches of threads (15 us each on a virtual
   machine) and hand-overs of the GIL. A thread that flushes gives the GIL up
   and has to fight the loop for it afterwards; one that leaves a batch to the
   loop, which has to take the GIL for the next requests anyway, does not. Side
   by side that is 0.85 times the processor time at 64 connections, and 1.35
   times the requests/s of `time.sleep` in 256 threads.

   Calls are claimed singly, so one that blocks delays nobody behind it; since
   `done` is shared, it does not keep finished answers either. A route known to
   be slow wakes the next thread before it runs. For one that blocks now and
   then a second thread stands by while there is work, waiting for the GIL: it
   goes on the moment that a handler gives it up, where the watchdog would take
   half a millisecond, and two when the machine is busy.

   Threads are made by Python (a callback, so that they are threading.Threads)
   and idle ones are a stack: the surplus stays at the bottom and ends. */
#include "hot.h"

#include <errno.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define BATCH 64                 /* answers until the loop hears of them */
#define FEW 2                    /* answers that a thread flushes itself: no second switch for a lone request */
#define SLOW_S 0.0002            /* a route is slow from here on: woken ahead of, and flushed after, each call */
#define COST_MAX_S 0.001         /* five such calls in a row make a route slow */
#define WARY_NS 2000000000u      /* for so long after a call of a fast route has blocked, a thread stands by */
#define STUCK_NS 400000u         /* inside a handler for longer: do not count on this thread */
#define DOG_REST_NS 500000u      /* the watchdog's longest step; each costs some 5 us of a processor */
#define DOG_LINGER 100           /* steps without work until it parks */
#define IDLE_S 10                /* an idle thread ends after this long */
#define KEEP_THREADS 2           /* but not these */
#define SPAWN_AT_ONCE 8
#define ARRIVE_NS 1000000000u    /* a thread that has not arrived by then is not coming */
#define NO_THREAD_NS 100000000u  /* after a thread could not be started, until the next is asked for */

int
lane_init(hot_lane *lane, int limit, int queue_limit)
{
    pthread_condattr_t attr;
    lane->limit = limit;
    lane->queue_limit = queue_limit;
    if (pthread_mutex_init(&lane->mu, NULL) != 0 || pthread_condattr_init(&attr) != 0 ||
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) != 0 || pthread_cond_init(&lane->dog_wake, &attr) != 0) {
        return -1;
    }
    pthread_condattr_destroy(&attr);
    return 0;
}

static void
deadline_in(struct timespec *t, long seconds)
{
    clock_gettime(CLOCK_MONOTONIC, t);
    t->tv_sec += seconds;
}

/* Wake the most recently idle thread. mu held. Returns whether there was one. */
static bool
wake_one(hot_lane *lane)
{
    hot_worker *w = lane->idle;
    if (w == NULL) {
        return false;
    }
    lane->idle = w->next_idle;
    atomic_fetch_sub(&lane->n_idle, 1);
    atomic_fetch_add(&lane->awake, 1);
    atomic_fetch_add(&lane->wakes, 1);
    w->signalled = true;
    pthread_cond_signal(&w->wake);
    return true;
}

/* Take at most LANE_FLUSH_MAX finished answers, which the caller gives to Go. Any thread. */
int
lane_take_done(hot_lane *lane, turbo_exchange *batch[LANE_FLUSH_MAX])
{
    int n, take = 0;
    if (atomic_load(&lane->n_done) == 0) {
        return 0;
    }
    pthread_mutex_lock(&lane->mu);
    n = atomic_load(&lane->n_done);
    take = n > LANE_FLUSH_MAX ? LANE_FLUSH_MAX : n;
    memcpy(batch, lane->done, (size_t)take * sizeof *batch);
    memmove(lane->done, lane->done + take, (size_t)(n - take) * sizeof *batch);
    atomic_store(&lane->n_done, n - take);
    if (n == take) {
        atomic_store_explicit(&lane->handed_at, 0, memory_order_relaxed);
    }
    pthread_mutex_unlock(&lane->mu);
    return take;
}

/* More answers were finished than a turn takes: have another one. */
void
lane_wake_for_rest(hot_server *srv)
{
    if (atomic_load(&srv->lane.handed_at) != 0) {
        server_wake_loop(srv);
    }
}

/* Give all finished answers to Go. Any thread, without the GIL or with it. */
static int
flush_done(hot_server *srv)
{
    turbo_exchange *batch[LANE_FLUSH_MAX];
    int total = 0, n;
    while ((n = lane_take_done(&srv->lane, batch)) > 0) {
        go_flush(srv, batch, n);
        total += n;
    }
    return total;
}

/* Leave the finished answers to the loop's next turn. No call into Go: threads
   that are not Go's keep its monitor busy (a fifth of a processor with 64 of
   them). Any thread, without the GIL or with it. */
static void
hand_over(hot_server *srv)
{
    hot_lane *lane = &srv->lane;
    bool stop, wake = false;
    pthread_mutex_lock(&lane->mu);
    stop = lane->stop;
    if (!stop && atomic_load(&lane->n_done) > 0 && atomic_load(&lane->handed_at) == 0) {
        atomic_store_explicit(&lane->handed_at, hot_now(), memory_order_relaxed);
        wake = true;
    }
    pthread_mutex_unlock(&lane->mu);
    if (stop) {
        flush_done(srv); // no turn may come any more
    } else if (wake) {
        server_wake_loop(srv);
    }
}

static void
done_push(hot_lane *lane, turbo_exchange *x)
{
    pthread_mutex_lock(&lane->mu);
    int n = atomic_load(&lane->n_done);
    if (n == lane->cap_done) {
        int cap = n ? n * 2 : 256;
        turbo_exchange **done = realloc(lane->done, (size_t)cap * sizeof *done);
        if (done == NULL) {
            Py_FatalError("turboapi: out of memory for the list of answers");
        }
        lane->done = done;
        lane->cap_done = cap;
    }
    lane->done[n] = x;
    atomic_store(&lane->n_done, n + 1);
    pthread_mutex_unlock(&lane->mu);
}

/* How many more threads may be asked for now. mu held. */
static int
room(hot_lane *lane)
{
    uint64_t now = hot_now();
    if (lane->starting > 0 && now - lane->asked_at > ARRIVE_NS) {
        lane->starting = 0; // Python failed before it came to lane_main
    }
    int n = lane->limit + lane->n_beyond - atomic_load(&lane->n_threads) - lane->starting;
    return lane->stop || now < lane->ask_from || n < 0 ? 0 : n;
}

/* ---- the watchdog --------------------------------------------------------- */

/* How many threads run a handler, and how many of them for too long. Returns
   the age of the oldest other handler, ns. mu held. */
static uint64_t
count_stuck(hot_lane *lane, int *running, int *stuck)
{
    uint64_t now = hot_now(), oldest = 0;
    *running = *stuck = 0;
    for (hot_worker *w = lane->all; w != NULL; w = w->next) {
        uint64_t since = atomic_load_explicit(&w->since, memory_order_relaxed);
        uint64_t age = since != 0 && now > since ? now - since : 0;
        *running += since != 0;
        *stuck += age > STUCK_NS;
        oldest = age > oldest && age <= STUCK_NS ? age : oldest;
    }
    return oldest;
}

static void
rest(uint64_t ns)
{
    struct timespec t = {0, (long)ns};
    nanosleep(&t, NULL);
}

/* Have this thread run soon after it wakes, also on a busy machine: where the
   scheduler takes a request for a short slice (Linux 6.12), a third as many of
   its rests last 0.3 ms too long. Elsewhere nothing happens. */
static void
short_slice(void)
{
#ifdef SYS_sched_setattr
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
    } attr = {.size = sizeof attr, .policy = SCHED_OTHER, .runtime = 100000};
    attr.nice = getpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid));
    (void)syscall(SYS_sched_setattr, 0, &attr, 0);
#endif
}

static void *
watchdog(void *arg)
{
    hot_server *srv = arg;
    hot_lane *lane = &srv->lane;
    int quiet = 0;
    prctl(PR_SET_NAME, "turbo-watchdog");
    prctl(PR_SET_TIMERSLACK, 1000);
    short_slice();
    pthread_mutex_lock(&lane->mu);
    while (!lane->stop) {
        bool work = atomic_load(&lane->queued) > 0 || atomic_load(&lane->n_done) > 0;
        quiet = work ? 0 : quiet + 1;
        if (quiet > DOG_LINGER) {
            lane->dog_parked = true;
            pthread_cond_wait(&lane->dog_wake, &lane->mu);
            lane->dog_parked = false;
            quiet = 0;
            continue;
        }
        bool flush = false, ask = false;
        uint64_t step = DOG_REST_NS;
        if (work) {
            int running, stuck;
            /* Be back when the oldest handler has run for too long: one that
               begins right after this look is seen at STUCK_NS as well. */
            step = STUCK_NS - count_stuck(lane, &running, &stuck) + STUCK_NS / 8;
            uint64_t handed = atomic_load(&lane->handed_at);
            flush = atomic_load(&lane->n_done) > 0 && (handed != 0 ? hot_now() - handed > STUCK_NS : stuck > 0);
            if (atomic_load(&lane->queued) > 0 && running == stuck && atomic_load(&lane->awake) <= stuck) {
                ask = !wake_one(lane) && room(lane) > 0;
            }
        }
        pthread_mutex_unlock(&lane->mu);
        if (flush && flush_done(srv) > 0) {
            atomic_fetch_add(&lane->rescues, 1);
        }
        if (ask && !atomic_exchange(&lane->need_thread, true)) {
            server_wake_loop(srv);
        }
        rest(step);
        pthread_mutex_lock(&lane->mu);
    }
    pthread_mutex_unlock(&lane->mu);
    return NULL;
}

/* ---- the loop's side ------------------------------------------------------ */

/* No thread is to be had and the queue is full: 503, soon again. */
void
lane_refuse(hot_server *srv, turbo_exchange *x)
{
    atomic_fetch_add(&srv->lane.refused, 1);
    if (x->lane_state & X_LENT) {
        lend_refuse(srv, x);
        return;
    }
    answer_text(x, 503, "Service Unavailable", "retry-after", "1");
    server_release(srv, x);
    server_mark(srv, x);
}

bool
lane_notify(hot_lane *lane)
{
    bool start_dog = !lane->dog_runs;
    lane->dog_runs = true;
    if (atomic_load(&lane->awake) == 0) {
        wake_one(lane);
    }
    if (lane->dog_parked) {
        pthread_cond_signal(&lane->dog_wake);
    }
    return start_dog;
}

void
lane_start_dog(hot_server *srv)
{
    if (pthread_create(&srv->lane.dog, NULL, watchdog, srv) != 0) {
        srv->lane.dog_runs = false; // tried again with the next push
    }
}

/* Append the chain first..last of n calls. Loop's thread, GIL held. */
void
lane_push(hot_server *srv, turbo_exchange *first, turbo_exchange *last, int n)
{
    hot_lane *lane = &srv->lane;
    turbo_exchange *over = NULL;
    bool start_dog = false;
    if (hot_forked) {
        return;
    }
    pthread_mutex_lock(&lane->mu);
    int room = lane->queue_limit - atomic_load(&lane->queued);
    if (lane->stop || n > room) {
        turbo_exchange *cut = NULL;
        over = first;
        n = lane->stop || room < 0 ? 0 : room;
        for (int i = 0; i < n; i++) {
            cut = over;
            over = over->lane_next;
        }
        if ((last = cut) != NULL) {
            cut->lane_next = NULL;
        }
    }
    if (n > 0) {
        *(lane->head == NULL ? &lane->head : &lane->tail->lane_next) = first;
        lane->tail = last;
        atomic_fetch_add(&lane->queued, n);
        start_dog = lane_notify(lane);
    }
    pthread_mutex_unlock(&lane->mu);
    if (start_dog) {
        lane_start_dog(srv);
    }
    while (over != NULL) {
        turbo_exchange *next = over->lane_next;
        over->lane_next = NULL;
        lane_refuse(srv, over);
        over = next;
    }
}

/* Have Python start a thread. GIL held, any thread. */
static void
spawn(hot_server *srv)
{
    hot_lane *lane = &srv->lane;
    PyObject *r = PyObject_CallNoArgs(srv->spawn); // new
    if (r == NULL) {
        PyObject *exc = hot_take_exception(); // new
        server_log(srv, 40, exc, "no call thread could be started");
        Py_XDECREF(exc);
        pthread_mutex_lock(&lane->mu);
        lane->starting -= lane->starting > 0;
        lane->ask_from = hot_now() + NO_THREAD_NS;
        pthread_mutex_unlock(&lane->mu);
    }
    Py_XDECREF(r);
}

/* Reserve room for up to n more threads. Returns how many may be started. */
static int
reserve(hot_lane *lane, int n)
{
    pthread_mutex_lock(&lane->mu);
    int most = room(lane);
    n = n < most ? n : most;
    if (n > 0) {
        lane->starting += n;
        lane->asked_at = hot_now();
    }
    pthread_mutex_unlock(&lane->mu);
    return n;
}

void
lane_spawn_if_needed(hot_server *srv)
{
    hot_lane *lane = &srv->lane;
    int queued = atomic_load(&lane->queued), want = 0;
    /* Taken back in any case: the watchdog wakes the loop only when it sets it. */
    bool needed = atomic_load(&lane->need_thread) && atomic_exchange(&lane->need_thread, false);
    if (queued == 0 || hot_forked) {
        return;
    }
    if (needed) {
        want = queued < SPAWN_AT_ONCE ? queued : SPAWN_AT_ONCE;
    } else if (atomic_load(&lane->n_threads) + lane->starting == 0) {
        want = KEEP_THREADS;
    }
    for (want = want > 0 ? reserve(lane, want) : 0; want > 0; want--) {
        spawn(srv);
    }
}

/* ---- the thread's side ---------------------------------------------------- */

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
    if (stage == 0) {
        count_wait(&srv->lane, start > x->t_read ? start - x->t_read : 0);
    }
    atomic_store_explicit(&w->since, start, memory_order_relaxed);
    srv->lane.in_call++;
    uint64_t others = srv->turns + atomic_load(&srv->lane.calls);
    for (;;) {
        result = call_stage(srv, plan, x, stage);
        if (result == NULL || stage + 1 == plan->n_stages || plan->stages[stage + 1].lane != LANE_CALL) {
            break;
        }
        x->lane_state++;
        stage++;
        x->lane_arg = result;
    }
    if (result != NULL && stage + 1 < plan->n_stages) {
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
            bool woke = left > 0 && wake_one(lane);
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
        wake_one(lane);
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
        hand_over(srv);
    } else if (mine > 0) {
        flush_done(srv);
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
            hand_over(srv);
            mine = 0;
        }
        if (spare && reserve(lane, 1) > 0) {
            spawn(srv);
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
            done_push(lane, x);
            mine++;
        }
        if (spent > (uint64_t)(SLOW_S * 1e9) && mine > 0) {
            if (atomic_load(&lane->queued) == 0) {
                stay = pause_between(srv, w, true, true, mine);
            } else {
                hand_over(srv);
            }
            mine = 0;
        }
    }
    if (!hot_forked) {
        worker_leave(lane, w);
    }
    Py_RETURN_NONE;
}

/* Take all calls that wait, and let `end` have each. */
static void
take_all(hot_server *srv, void (*end)(hot_server *, turbo_exchange *))
{
    hot_lane *lane = &srv->lane;
    if (hot_forked) {
        return;
    }
    pthread_mutex_lock(&lane->mu);
    turbo_exchange *x = lane->head;
    lane->head = lane->tail = NULL;
    for (turbo_exchange *each = x; each != NULL; each = each->lane_next) {
        atomic_fetch_sub(&lane->queued, 1);
    }
    pthread_mutex_unlock(&lane->mu);
    while (x != NULL) {
        turbo_exchange *next = x->lane_next;
        x->lane_next = NULL;
        end(srv, x);
        x = next;
    }
}

/* Answer the calls that wait with 503. Loop's thread. */
void
lane_refuse_all(hot_server *srv)
{
    take_all(srv, lane_refuse);
}

static void
drop(hot_server *srv, turbo_exchange *x)
{
    if (!lend_keep(x)) {
        server_drop(srv, x);
    }
}

/* Give them up. No thread is in the lane. */
void
lane_drop_all(hot_server *srv)
{
    take_all(srv, drop);
    if (!hot_forked) {
        hop_drop_all(&srv->lane);
    }
}

/* Tell all threads to end. Returns whether the watchdog has to be joined, which is so once. */
static bool
end_all(hot_lane *lane)
{
    if (hot_forked) {
        return false;
    }
    pthread_mutex_lock(&lane->mu);
    bool join = lane->dog_runs && !lane->stop;
    lane->stop = true;
    while (wake_one(lane)) {
    }
    pthread_cond_signal(&lane->dog_wake);
    pthread_mutex_unlock(&lane->mu);
    return join;
}

/* Let the threads end. Waiting calls are still run; new ones are refused. The
   watchdog is joined without the GIL, so that it is not inside Go afterwards. */
void
lane_stop(hot_server *srv)
{
    hot_lane *lane = &srv->lane;
    if (end_all(lane)) {
        PyThreadState *ts = PyEval_SaveThread();
        pthread_join(lane->dog, NULL);
        flush_done(srv); // the watchdog would have, had a thread hung
        PyEval_RestoreThread(ts);
    }
}

/* End the watchdog of a server that nobody closed and nobody has any more. GIL
   held, since this runs while objects are freed; the watchdog never asks for it. */
void
lane_end(hot_lane *lane)
{
    if (end_all(lane)) {
        pthread_join(lane->dog, NULL);
    }
}

/* No thread is inside lane_main any more: each holds a reference to the server. */
void
lane_free(hot_lane *lane)
{
    if (hot_forked) {
        return; // its locks may be held, by nobody
    }
    pthread_mutex_destroy(&lane->mu);
    pthread_cond_destroy(&lane->dog_wake);
    free(lane->done);
}
