/* What the call lane's files share: lane.c (its queue and answers), worker.c (a
   thread) and watchdog.c. */
#ifndef TURBO_LANE_H
#define TURBO_LANE_H

#include "hot.h"

#define STUCK_NS 400000u /* inside a handler for longer: do not count on this thread */
#define KEEP_THREADS 2   /* idle threads that do not end */

bool lane_wake_one(hot_lane *lane);        /* mu held; whether there was an idle thread */
int lane_room(hot_lane *lane);             /* mu held; how many more threads may be asked for now */
int lane_reserve(hot_lane *lane, int n);   /* room for up to n more threads; how many may be started */
void lane_spawn(hot_server *srv);          /* GIL held: have Python start a thread that was reserved */
void lane_done_push(hot_lane *lane, turbo_exchange *x); /* x is answered, and not flushed */
int lane_flush_done(hot_server *srv);      /* any thread, with or without the GIL; how many were */
void lane_hand_over(hot_server *srv);      /* leave what was answered to the loop's next turn; any thread */

#endif
