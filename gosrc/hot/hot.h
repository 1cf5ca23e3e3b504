/* The hot path's own declarations. One header for the package: the C files of
   `hot` are one module, split by idea.

   Threads: "loop" functions run on the thread of the server's asyncio loop,
   "call" functions on a call thread; both hold the GIL unless said otherwise. */
#ifndef TURBO_HOT_H
#define TURBO_HOT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include "../bridge/exchange.h"

/* ---- the module ---------------------------------------------------------- */

#define STREAM_PARTS 3 /* functions of StreamingResponse, see stream_parts */

/* Interned names and borrowed-for-life objects, one set per interpreter. */
typedef struct {
    PyTypeObject *server_type, *plan_type, *exchange_type, *ready_type, *pending_type, *job_type;
    PyObject *fallback;      /* _hot.Fallback, an exception class */
    PyObject *to_json;       /* pydantic_core.to_json */
    PyObject *response_type; /* starlette.responses.Response */
    PyObject *response_call; /* Response.__call__, or NULL where somebody has replaced it */
    PyObject *stream_type;   /* starlette.responses.StreamingResponse */
    PyObject *stream_parts
        [STREAM_PARTS]; /* its __call__, stream_response and listen_for_disconnect; all NULL where one was replaced */
    PyObject *stream, *stream_and_work; /* of turboapi.engine.streams */
    PyObject *work, *work_here; /* what runs background tasks on the loop, and on a call thread */
    PyObject *only_sync; /* tells whether those are for a call thread, all of them */
    PyObject *file_type, *send_parts; /* starlette.responses.FileResponse, and what calls one; None: it calls itself */
    PyObject *json_type; /* b"application/json" */
    PyObject *await_any; /* async def: awaits its argument */
    PyObject *kw_task_eager; /* ("loop", "context", "eager_start") */
    PyObject *kw_task_plain; /* ("loop", "context") */
    /* ASGI */
    PyObject *empty_bytes, *v_http, *v_https, *v_11, *v_10, *asgi_version, *asgi_spec;
    PyObject *msg_request, *msg_disconnect, *msg_start, *msg_body, *msg_hint, *msg_debug, *msg_path;
    /* WebSocket */
    PyObject *client_disconnected; /* _hot.ClientDisconnected, an OSError: what send raises */
    PyObject *v_websocket, *v_ws, *v_wss, *asgi_ws_spec, *ws_extensions;
    PyObject *http_asgi, *ws_asgi, *http_scope, *ws_scope; /* dicts that every scope is copied from */
    PyObject *msg_ws_connect, *msg_ws_receive, *msg_ws_disconnect, *msg_ws_accept, *msg_ws_send, *msg_ws_close,
        *msg_ws_start, *msg_ws_body;
    PyObject *methods[16];
/* clang-format off: a list of names */
#define HOT_NAMES(X) \
    X(type) X(asgi) X(http_version) X(server) X(client) X(scheme) X(root_path) X(headers) X(state) X(method) \
    X(path) X(raw_path) X(query_string) X(extensions) X(version) X(spec_version) X(body) X(more_body) X(status) \
    X(links) X(done) X(result) X(add_done_callback) X(call_soon) X(call_soon_threadsafe) X(create_future) \
    X(set_result) X(cancel) X(status_code) X(raw_headers) X(background) X(quick) X(handle) X(stages) X(args) \
    X(encode) X(plain) X(media) X(name) X(call) X(lane) X(coroutine) X(source) X(index) X(copy) X(__call__) \
    X(__await__) X(exception) X(cancelled) X(inner) X(set_exception) X(_turbo_outermost) X(always) X(throw) \
    X(lists) X(dicts) X(attrs) X(default) X(offset) X(count) X(stream_response) X(listen_for_disconnect) X(text) \
    X(bytes) X(code) X(reason) X(subprotocol) X(subprotocols)
/* clang-format on */
#define HOT_NAME_FIELD(n) PyObject *s_##n;
    HOT_NAMES(HOT_NAME_FIELD)
} hot_state;

extern struct PyModuleDef hot_module;
hot_state *hot_state_of(PyTypeObject *type);
int hot_load_fastapi(hot_state *st); /* import what plans need: 60 ms that other applications do not wait for */

typedef struct hot_server hot_server;

/* ---- plans --------------------------------------------------------------- */

enum { ARG_SLOT, ARG_PROXY, ARG_BODY, ARG_CONST };
enum { LANE_LOOP, LANE_CALL };

typedef struct {
    int source;
    uint32_t index;
    PyObject *value; /* the default, or the constant */
} hot_arg;

typedef struct {
    PyObject *call;
    int lane;
    bool coroutine;
} hot_stage;

#define PLAN_MAX_STAGES 8
#define PLAN_MAX_ARGS 256

/* Immutable after plan_new, but for what its calls on the call lane have shown. */
typedef struct {
    PyObject_HEAD
    hot_stage stages[PLAN_MAX_STAGES];
    int n_stages;
    hot_arg *args;
    int n_args;
    PyObject *kwnames; /* of the trailing arguments, or NULL */
    PyObject *encode; /* or NULL */
    bool plain, preset;
    int status;
    PyObject *media, *name;
    PyObject *inner; /* the route's own plan (hot_plan), where this one is the middleware around it; or NULL */
    _Atomic double cost; /* seconds a call on the call lane takes, moving average */
    uint64_t wary_until; /* ns: a call has blocked against all expectation lately; GIL held */
} hot_plan;

#define HOT_TURN_MAX 256 /* exchanges in one turn */

PyObject *plan_new(hot_state *st, PyObject *source);
/* Call the first stage with x's values. New reference or NULL. */
PyObject *plan_call(hot_server *srv, hot_plan *plan, turbo_exchange *x);

/* ---- the server ---------------------------------------------------------- */

typedef struct hot_job hot_job;
typedef struct hot_proxy hot_proxy;

/* What x->lane_state holds: the stage, and who may touch the response part. A task that a call's handler has started on
   the loop may use receive() while the call thread answers; changed with the GIL held. */
enum {
    X_STAGE = 0x07,
    X_SENT = 0x08, /* the code has given its answer by itself; what it still does comes after it */
    X_ORPHAN = 0x10, /* lent, and the task that waits for it has ended: whoever gets it back answers */
    X_LENT = 0x20, /* the call lane has it for a task: see lend.c */
    X_ANSWERS = 0x40, /* a call thread writes the answer: the loop asks nothing of Go for x */
    X_MARKED = 0x80 /* in the loop's list, or in Go from there: a call thread leaves the answer to the loop */
};
static_assert(PLAN_MAX_STAGES <= X_STAGE + 1, "a stage has its place in lane_state");

/* Something a call thread gives back to the loop. Payload is a strong reference or NULL.
     STAGE     the result of a stage, for the next one
     DONE      the result of the last one, to be answered
     RAISED    an exception, to be answered
     ERROR     an exception for errors.handle
     RESPONSE  a response that sends itself
     APP       run the ASGI application
     HOP       (future, exception or None, value) of a hop; there is no exchange
     EXIT      SystemExit or KeyboardInterrupt; there is no exchange */
enum { BACK_STAGE, BACK_DONE, BACK_RAISED, BACK_ERROR, BACK_RESPONSE, BACK_APP, BACK_HOP, BACK_EXIT };
typedef struct hot_back {
    struct hot_back *next;
    turbo_exchange *x;
    int kind;
    PyObject *payload;
} hot_back;

/* A call that a task on the loop waits for. All references are strong. */
typedef struct hot_hop {
    struct hot_hop *next;
    PyObject *call, *args, *kwargs; /* kwargs: or NULL */
    PyObject *context; /* its own */
    PyObject *future;
    PyObject *plan; /* whose cost it counts for */
    bool beyond; /* runs beyond the limit of threads: it gives back what others wait for */
} hot_hop;

typedef struct {
    hot_hop *head, *tail;
} hot_hops;

/* One call thread. Stands on its stack; linked while the thread lives. */
typedef struct hot_worker {
    pthread_cond_t wake;
    struct hot_worker *next_idle, *next;
    _Atomic uint64_t since; /* ns when the running handler began, 0: none */
    bool signalled;
    bool counted; /* in the lane's `busy` */
} hot_worker;

/* The call lane. Lock order: `mu` alone; never taken together with the GIL
   being waited for (a thread that holds `mu` does not ask for the GIL). */
typedef struct {
    pthread_mutex_t mu;
    turbo_exchange *head, *tail; /* waiting calls */
    hot_hops hops, beyond; /* waiting hops, and those that no limit holds back */
    bool hop_last; /* the last that was claimed was a hop: a call is next */
    int n_beyond, busy; /* busy: threads inside something that counts for the limit */
    _Atomic int queued; /* all that waits */
    int n_left; /* those of it that go on after their answer; GIL held */
    turbo_exchange **done; /* answered, not flushed */
    _Atomic int n_done;
    int cap_done;
    _Atomic uint64_t handed_at; /* ns when `done` was left to the loop, 0: it was not; changed under mu */
    hot_worker *idle, *all; /* idle: LIFO, so that surplus threads stay idle and end */
    _Atomic int n_idle, n_threads, awake;
    int in_call; /* threads inside a handler; GIL held */
    int starting; /* threads asked for, not arrived yet */
    uint64_t asked_at; /* ns when the last of them was */
    uint64_t ask_from; /* ns: none is asked for before, since none could be started */
    int limit, queue_limit;
    bool stop;
    /* the watchdog */
    pthread_t dog;
    pthread_cond_t dog_wake;
    bool dog_runs, dog_parked;
    _Atomic bool need_thread;
    /* counters */
    _Atomic uint64_t calls, wakes, rescues, refused, waited_1ms, waited_2ms, waited_5ms;
    uint64_t spawned, ended;
} hot_lane;

typedef struct {
    PyObject *object; /* list or dict, or the object that has `attr` */
    PyObject *attr; /* NULL for lists and dicts */
    PyObject **seen; /* identities only; kept alive by `held` */
    Py_ssize_t n;
    PyObject *held;
} hot_watch;

struct hot_server {
    PyObject_HEAD
    hot_state *st; /* borrowed; the type keeps the module */
    int64_t handle;
    unsigned long loop_thread;
    int fd;
    int wake_fd; /* our own descriptor of the eventfd that wakes the loop, or -1 */
    bool closed, in_turn, eager, flush_due;
    bool hold_gil_now;
    uint64_t hold_gil_until;
    PyObject *loop, *app, *app_state, *root_path, *errors, *task_type, *spawn, *on_change, *on_exit, *log, *cors;
    PyObject *extensions; /* tuple of their names, for every scope */
    PyObject *quick; /* errors.quick */
    PyObject *probe; /* of a test client, or NULL */
    PyObject *call_soon, *create_future, *flush_method, *wake_method;
    PyObject *base_context; /* what every sync call copies */
    bool cors_always; /* answers to requests without Origin change too */
    PyObject *cors_plain; /* then: what is added to a plain answer, packed; or NULL */
    uint32_t version;
    hot_plan **plans;
    Py_ssize_t n_plans;
    hot_watch *watches;
    Py_ssize_t n_watches;
    unsigned watches_made; /* grows with each change of them */
    turbo_event *events;
    int ev_at, ev_n;
    turbo_exchange **dirty;
    int n_dirty, cap_dirty;
    turbo_exchange *left_head, *left_tail; /* answered, with background tasks for the call lane: see after.c */
    int n_left;
    hot_job *jobs; /* running tasks */
    _Atomic int64_t in_flight;
    uint64_t turns, requests, fallbacks;
    /* given back by call threads; its own lock, never held together with lane.mu */
    pthread_mutex_t back_mu;
    hot_back *back_head, *back_tail;
    _Atomic int n_back;
    hot_lane lane;
};

uint64_t hot_now(void); /* monotonic ns */

/* Whether this is the thread of the server's loop. */
static inline bool
server_on_loop(hot_server *srv)
{
    return PyThread_get_thread_ident() == srv->loop_thread;
}

/* Nothing can be sent any more. A client that only closed its sending side is
   gone for receive(), but still gets its answer. */
static inline bool
exchange_detached(turbo_exchange *x)
{
    return x->conn == 0 || x->flags & TURBO_REQ_GONE;
}

/* handover.c */
void server_wake_loop(hot_server *srv); /* any thread, no Go where that can be */
void server_mark(hot_server *srv, turbo_exchange *x); /* loop: x->ops wait for a flush */
void server_flush(hot_server *srv); /* loop: hand all marked exchanges to Go */
int server_flush_soon(hot_server *srv); /* loop, outside a turn: flush in the next iteration */
void server_release(hot_server *srv, turbo_exchange *x); /* any lane: forget x's objects and set RELEASE */
void server_drop(hot_server *srv, turbo_exchange *x); /* nobody will answer x any more: give it to Go; wakes nobody */
void server_give_back(hot_server *srv, turbo_exchange *x, int kind, PyObject *payload /* stolen */);
hot_back *
server_take_backs(hot_server *srv); /* loop, GIL held: all that call threads have given back; the caller frees them */
void server_drop_backs(hot_server *srv); /* nobody will take what call threads have given back; loop */

/* report.c */
#define HOT_REQUEST_LINE 256
const char *hot_request_line(turbo_exchange *x, char line[HOT_REQUEST_LINE]);
void server_failed(hot_server *srv, turbo_exchange *x, PyObject *exc); /* tell of what has left the application */
void server_log(hot_server *srv, int level, PyObject *exc, const char *format, ...);
PyObject *hot_take_exception(void); /* the raised exception, normalised; new reference or NULL */
void hot_raise(PyObject *exc /* stolen */);
void server_exit(hot_server *srv, PyObject *exc); /* loop: SystemExit or KeyboardInterrupt from a handler */

/* probe.c */
bool probe_began(hot_server *srv, turbo_exchange *x);
void probe_scope(hot_server *srv, turbo_exchange *x, PyObject *scope);
bool probe_failed(hot_server *srv, turbo_exchange *x, PyObject *exc);
void probe_message(hot_server *srv, turbo_exchange *x, PyObject *message);
void probe_ended(hot_server *srv, turbo_exchange *x);

/* turn.c */
PyObject *server_turn(hot_server *srv, PyObject *noargs);

/* watch.c */
int watch_set(hot_server *srv, PyObject *watch);
void watch_clear(hot_server *srv);
int watch_changed(hot_server *srv); /* 1 yes, 0 no, -1 error */

/* task.c: the loop lane */
enum { JOB_STAGE, JOB_APP, JOB_RESPONSE, JOB_STREAM, JOB_HANDLE };
int task_start(hot_server *srv, turbo_exchange *x, int kind, PyObject *coro /* stolen */);
void task_run_stage(hot_server *srv, turbo_exchange *x, PyObject *arg /* stolen, NULL for the first stage */);
void task_run_app(hot_server *srv, turbo_exchange *x);
void task_stage_done(hot_server *srv, turbo_exchange *x, PyObject *result /* stolen */);
void task_stage_failed(hot_server *srv, turbo_exchange *x, PyObject *exc /* stolen */);
void task_cancel_all(hot_server *srv);
int task_cancel_of(hot_server *srv, uint16_t port); /* those of one client; how many, or -1 */
void task_tell_all(hot_server *srv); /* the server is closed: for them their clients have left */
int task_traverse_all(hot_server *srv, visitproc visit, void *arg);
void task_drop_all(hot_server *srv); /* nothing can reach them any more */
void task_answered(hot_server *srv, turbo_exchange *x); /* a plan's coroutine has sent the answer itself */
extern PyType_Spec job_spec;

/* lane.c: the call lane */
int lane_init(hot_lane *lane, int limit, int queue_limit);
void lane_push(hot_server *srv, turbo_exchange *first, turbo_exchange *last, int n);
void lane_push_left(hot_server *srv, turbo_exchange *first, turbo_exchange *last, int n); /* none is refused */
#define LANE_FLUSH_MAX 256
int lane_take_done(hot_lane *lane, turbo_exchange *batch[LANE_FLUSH_MAX]); /* any thread; the caller flushes them */
void lane_wake_for_rest(hot_server *srv);
void lane_stop(hot_server *srv);
void lane_refuse(hot_server *srv, turbo_exchange *x); /* 503, soon again */
void lane_refuse_all(hot_server *srv);
void lane_drop_all(hot_server *srv);
void lane_spawn_if_needed(hot_server *srv); /* loop */
void lane_end(hot_lane *lane);
bool lane_notify(hot_lane *lane); /* mu held: something waits; true: the watchdog is to be started */
void lane_free(hot_lane *lane);

/* worker.c */
PyObject *lane_main(hot_server *srv, PyObject *noargs);

/* watchdog.c */
void lane_start_dog(hot_server *srv); /* loop */

/* hop.c: calls of tasks on the loop, on the call lane */
PyObject *hop_run(PyObject *self, PyObject *args, PyObject *kwargs); /* methods of the proxy */
PyObject *hop_run_beyond(PyObject *self, PyObject *args, PyObject *kwargs);
hot_hop *hop_claim(hot_lane *lane, hot_worker *w); /* mu held: the next, or NULL */
void hop_call(hot_server *srv, hot_hop *hop); /* call thread; frees it */
void hop_done(hot_server *srv, PyObject *payload); /* loop */
int hop_traverse(hot_lane *lane, visitproc visit, void *arg);
void hop_drop_all(hot_lane *lane); /* nobody waits any more */

/* answer.c */
/* Turn the last stage's result into x's response. Any lane. Steals nothing.
   0: x->ops hold the whole answer. 1: given to the loop (call thread only) or
   to a task. -1: exception set, x has no answer yet. */
int answer_result(hot_server *srv, turbo_exchange *x, PyObject *result, bool on_loop);
int answer_response(hot_server *srv, turbo_exchange *x, PyObject *response, bool on_loop);
/* What x's plan makes of a result: bytes for its status and media, or a response. New reference or NULL. */
PyObject *answer_encode(hot_server *srv, turbo_exchange *x, PyObject *result);
/* Prepare made (bytes, or a response) as x's whole answer. 0; 1: it has to be awaited; -1: exception set. */
int answer_made(hot_server *srv, turbo_exchange *x, PyObject *made);
/* Answer the raised exception. Same result, never -1. */
int answer_exception(hot_server *srv, turbo_exchange *x, bool on_loop);
/* Prepare a response that Starlette's own __call__ sends. 0, or -1 with an exception set. */
int answer_simple_response(hot_server *srv, turbo_exchange *x, PyObject *response, bool cors);
/* What a response that is not simple has to be awaited for, and what it is for task_start (kind). inside: a task of the
   route's awaits it. New reference, or NULL with an exception set. Loop. */
PyObject *answer_sending(hot_server *srv, hot_proxy *p, PyObject *response, bool inside, int *kind);
void answer_text(turbo_exchange *x, int status, const char *text, const char *extra_name, const char *extra_value);

/* fields.c */
int out_append(turbo_exchange *x, const char *p, size_t n);
int fields_append(turbo_exchange *x, const char *name, size_t nlen, const char *value, size_t vlen);
int fields_append_packed(turbo_exchange *x, PyObject *packed); /* what fields_cors_plain made */
bool fields_want_cors(hot_server *srv, turbo_exchange *x);
int fields_append_headers(hot_server *srv, turbo_exchange *x, PyObject *headers, bool cors);
/* The packed fields that the CORS step adds to a plain JSON answer without Origin: bytes, or None. New reference. */
PyObject *fields_cors_plain(hot_server *srv);

/* lend.c: a route's plan as something that middleware calls */
PyObject *lend_call(PyObject *proxy, PyObject *const *args, Py_ssize_t n);
PyObject *lend_encode(PyObject *proxy, PyObject *result);
PyObject *lend_matches(PyObject *proxy, PyObject *const *args, Py_ssize_t n);
PyObject *lend_enter(PyObject *proxy, PyObject *const *args, Py_ssize_t n);
PyObject *lend_value(hot_server *srv, turbo_exchange *x,
                     PyObject *result /* stolen */); /* call lane: what the task gets */
void lend_back(hot_server *srv, turbo_exchange *x, bool ok, PyObject *payload /* stolen */); /* loop */
void lend_refuse(hot_server *srv, turbo_exchange *x); /* loop: 503 for the task */
void lend_orphan(hot_server *srv, turbo_exchange *x, PyObject *result /* stolen */); /* loop: the task has ended */
bool lend_keep(turbo_exchange *x); /* whoever drops x: its task still has it, and drops it later */

/* json.c */
int json_is_plain(PyObject *o, int depth);

/* scope.c */
PyObject *scope_blank(hot_state *st, bool websocket);
PyObject *scope_new(hot_server *srv, turbo_exchange *x);
PyObject *scope_headers(turbo_exchange *x);

/* proxy.c: the exchange as Python sees it */
struct hot_proxy {
    PyObject_HEAD
    hot_server *srv;
    turbo_exchange *x; /* NULL once the exchange is over */
    PyObject *scope; /* made on first use */
    PyObject *request; /* the Request an entry made, for exception handlers; or NULL */
    PyObject *receive, *send; /* what middleware hands on instead of our own, or NULL */
    PyObject *lent, *outer; /* while the exchange is lent: the future of who waits, and the plan around */
    PyObject *waiters; /* list of futures, or NULL */
    PyObject *drain; /* the same for send */
    PyObject *on_gone; /* called once when the client leaves; or NULL */
    uint64_t held; /* ns since when something written waits for a flush */
    bool started, complete, gone, body_done;
    bool replayed; /* all of a body that is partly in files was given to the application */
    uint64_t replayed_n; /* bytes of it so far */
    uint8_t failures; /* exceptions so far: the answer to one may raise the next */
    uint8_t late; /* sends since the client left */
    bool cors; /* a compiled route's own response: the CORS step is ours */
    /* WebSocket: complete means closed by the application, started a response instead of the conversation */
    bool websocket, connected, accepted;
    uint16_t code; /* of the application's close, with its reason */
    PyObject *reason;
    uint64_t inbox_at; /* where the next message in the inbox begins */
};
/* The proxy of x, made on first use. New reference or NULL. */
PyObject *proxy_of(hot_server *srv, turbo_exchange *x);
int exchange_traverse(turbo_exchange *x, visitproc visit, void *arg); /* x's objects; by who owns x only */
void proxy_event(hot_server *srv, turbo_exchange *x, int kind);
void proxy_close(turbo_exchange *x);
void proxy_gone(hot_proxy *p); /* wake who waits, as if the client had left */
void proxy_answered(hot_proxy *p); /* the whole answer is prepared: nothing more is sent or received */

/* await.c */
void proxy_wake(hot_server *srv, PyObject *futures);

/* asgi.c: receive and send */
PyObject *proxy_bound(hot_proxy *p, int which); /* 0: receive, 1: send */
long proxy_status(PyObject *status);
int proxy_start(hot_proxy *p, long code, PyObject *headers); /* the response's head */
void proxy_complete(hot_proxy *p); /* the response ends here */
/* What a sender has to await: NULL without an exception where that is nothing. due: send what there is, and let others
   run, however little it is. New reference. */
PyObject *proxy_pause(hot_proxy *p, bool due);
PyObject *proxy_late(hot_proxy *p); /* the same for a client that is gone */

/* after.c: answers after which something goes on */
PyObject *after_make(PyObject *self, PyObject *result); /* methods of the proxy */
PyObject *after_answer(PyObject *self, PyObject *made);
PyObject *after_sending(PyObject *self, PyObject *response);
PyObject *after_leave_to_thread(PyObject *self, PyObject *tasks);
/* What x->lane_arg holds of x's tasks is the call lane's, after the next flush; so is x. Loop. */
void after_left(hot_server *srv, turbo_exchange *x);
void after_push(hot_server *srv); /* loop: the answers of all of these are flushed */
/* Run them. Call thread. What is left of them for the loop, or None: new reference; NULL: exception set. */
PyObject *after_work_here(hot_server *srv, turbo_exchange *x);
/* x's record holds p's whole answer: send it, and keep the exchange. On a call thread x->lane_state has X_ANSWERS. */
void after_send(hot_server *srv, hot_proxy *p, bool on_loop);
/* A response that is simple but for its background. Result as of answer_response; -1: it may have been sent. */
int after_response(hot_server *srv, turbo_exchange *x, PyObject *response, PyObject *background, bool cors,
                   bool on_loop);
extern PyType_Spec exchange_spec, ready_spec, pending_spec, plan_spec, server_spec;

/* form.c */
PyObject *form_parts(turbo_exchange *x);
void form_taken(turbo_exchange *x);
PyObject *form_replay(hot_proxy *p); /* the next piece of a body that is partly in files; sets p->replayed */

/* stream.c: a streaming response, chunk by chunk */
int stream_is_plain(hot_state *st, turbo_exchange *x, PyObject *response); /* 1, 0 or -1 */
int stream_load(hot_state *st);
/* The coroutine, new reference or NULL. alone: it is all of a JOB_STREAM, without background tasks. */
PyObject *stream_run(hot_server *srv, hot_proxy *p, PyObject *response, bool alone);
/* Methods of the proxy. */
PyObject *stream_begin(PyObject *self, PyObject *const *args, Py_ssize_t n);
PyObject *stream_write(PyObject *self, PyObject *chunk);
PyObject *stream_end(PyObject *self, PyObject *noargs);

/* talk.c: methods of the proxy */
PyObject *talk_hear_text(PyObject *self, PyObject *noargs);
PyObject *talk_hear_bytes(PyObject *self, PyObject *noargs);
PyObject *talk_say_text(PyObject *self, PyObject *data);
PyObject *talk_say_bytes(PyObject *self, PyObject *data);

/* websocket.c */
void socket_finish(hot_server *srv, turbo_exchange *x, bool ok);

/* Go: turboPing, turboTurn, turboFlush, turboWake */
#include "_cgo_export.h"

/* This process is a fork of the one that has the engine. Go's runtime does not survive that, and what the child does
   to the server's descriptors happens to the parent: so nothing is asked of Go, and no lock of the lane taken, which
   may be held for ever. */
extern bool hot_forked;
void leave_if_forked(void); /* where the loop calls */

static inline int
go_turn(hot_server *srv, turbo_exchange **done, int n)
{
    return hot_forked ? 0 : turboTurn(srv->handle, srv->events, HOT_TURN_MAX, done, n);
}

static inline void
go_flush(hot_server *srv, turbo_exchange **xs, int n)
{
    if (!hot_forked) {
        turboFlush(srv->handle, xs, n);
    }
}

static inline void
go_wake(hot_server *srv)
{
    if (!hot_forked) {
        turboWake(srv->handle);
    }
}

#endif
