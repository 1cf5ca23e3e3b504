/* The call lane's watchdog: it never has the GIL, and sees what nobody else can
   while handlers block. */
#include "lane.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define DOG_REST_NS 500000u /* the longest step; each costs some 5 us of a processor */
#define DOG_LINGER 100      /* steps without work until it parks */

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
                ask = !lane_wake_one(lane) && lane_room(lane) > 0;
            }
        }
        pthread_mutex_unlock(&lane->mu);
        if (flush && lane_flush_done(srv) > 0) {
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

void
lane_start_dog(hot_server *srv)
{
    if (pthread_create(&srv->lane.dog, NULL, watchdog, srv) != 0) {
        srv->lane.dog_runs = false; // tried again with the next push
    }
}
