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
#include "lane.h"

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

/* Wake the most recently idle thread. mu held. Returns whether there was one. */
bool
lane_wake_one(hot_lane *lane)
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
int
lane_flush_done(hot_server *srv)
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
void
lane_hand_over(hot_server *srv)
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
        lane_flush_done(srv); // no turn may come any more
    } else if (wake) {
        server_wake_loop(srv);
    }
}

void
lane_done_push(hot_lane *lane, turbo_exchange *x)
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
int
lane_room(hot_lane *lane)
{
    uint64_t now = hot_now();
    if (lane->starting > 0 && now - lane->asked_at > ARRIVE_NS) {
        lane->starting = 0; // Python failed before it came to lane_main
    }
    int n = lane->limit + lane->n_beyond - atomic_load(&lane->n_threads) - lane->starting;
    return lane->stop || now < lane->ask_from || n < 0 ? 0 : n;
}

/* No thread is to be had and the queue is full: 503, soon again. */
void
lane_refuse(hot_server *srv, turbo_exchange *x)
{
    if (x->lane_state & X_SENT) { // its answer has gone; the server stops
        char line[HOT_REQUEST_LINE];
        server_log(srv, 30, NULL, "%s: background tasks were not begun\n", hot_request_line(x, line));
        server_release(srv, x);
        server_mark(srv, x);
        return;
    }
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
        lane_wake_one(lane);
    }
    if (lane->dog_parked) {
        pthread_cond_signal(&lane->dog_wake);
    }
    return start_dog;
}

/* Append a chain of n calls. mu held; result as that of lane_notify. */
static bool
append(hot_lane *lane, turbo_exchange *first, turbo_exchange *last, int n)
{
    *(lane->head == NULL ? &lane->head : &lane->tail->lane_next) = first;
    lane->tail = last;
    atomic_fetch_add(&lane->queued, n);
    return lane_notify(lane);
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
        start_dog = append(lane, first, last, n);
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

/* The same for what goes on after its answer: the queue's limit is not for that. */
void
lane_push_left(hot_server *srv, turbo_exchange *first, turbo_exchange *last, int n)
{
    hot_lane *lane = &srv->lane;
    bool start_dog = false, stop;
    if (hot_forked) {
        return;
    }
    pthread_mutex_lock(&lane->mu);
    stop = lane->stop;
    if (!stop) {
        lane->n_left += n;
        start_dog = append(lane, first, last, n);
    }
    pthread_mutex_unlock(&lane->mu);
    if (start_dog) {
        lane_start_dog(srv);
    }
    lane_spawn_if_needed(srv);
    while (stop && first != NULL) {
        turbo_exchange *next = first->lane_next;
        first->lane_next = NULL;
        lane_refuse(srv, first);
        first = next;
    }
}

/* Have Python start a thread. GIL held, any thread. */
void
lane_spawn(hot_server *srv)
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
int
lane_reserve(hot_lane *lane, int n)
{
    pthread_mutex_lock(&lane->mu);
    int most = lane_room(lane);
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
    for (want = want > 0 ? lane_reserve(lane, want) : 0; want > 0; want--) {
        lane_spawn(srv);
    }
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
    lane->n_left = 0;
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
    while (lane_wake_one(lane)) {
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
        lane_flush_done(srv); // the watchdog would have, had a thread hung
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
