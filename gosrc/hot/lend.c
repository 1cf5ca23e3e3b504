/* A route's plan as something that middleware calls.

   Middleware runs as a plan of its own, a coroutine on the loop lane, around the
   route's plan (`inner`). The coroutine calls the inner stages itself and gets
   their results as values; what is sent, and when, is its business.

   A stage of the call lane needs the exchange there: it is lent. The task keeps
   it otherwise (it stands in the job's registry), so for the time being nobody
   may answer or release it:

     task          call lane                        task
     lend_call ->  claimed, run, given back  ->     lend_back: the future's result
     ends meanwhile (cancelled): orphan      ->     lend_back answers and releases
     lane full, or stopping                  ->     lend_refuse: the result is a 503

   The call thread reads the request and writes nothing; the loop may send, receive
   and flush. Flags change with the GIL held. */
#include "hot.h"

static hot_proxy *
lent_by(PyObject *self)
{
    hot_proxy *p = (hot_proxy *)self;
    if (p->x == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "turboapi: this exchange is over");
        return NULL;
    }
    if (!server_on_loop(p->srv)) {
        PyErr_SetString(PyExc_RuntimeError, "turboapi: a plan is called on the loop of its server");
        return NULL;
    }
    if (p->x->lane_plan == NULL || ((hot_plan *)p->x->lane_plan)->inner == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "turboapi: this exchange has no plan under middleware, or the plan runs");
        return NULL;
    }
    return p;
}

/* Hand x to the call lane, at stage `index`. Returns the future of its result, new, or NULL. */
static PyObject *
lend(hot_proxy *p, int index, PyObject *arg)
{
    hot_server *srv = p->srv;
    turbo_exchange *x = p->x;
    PyObject *context = PyContext_CopyCurrent(); // new: what middleware has set, the route sees
    PyObject *future = context == NULL ? NULL : PyObject_CallNoArgs(srv->create_future); // new
    if (future == NULL) {
        Py_XDECREF(context);
        return NULL;
    }
    p->lent = Py_NewRef(future);
    p->outer = x->lane_plan; // moved
    x->lane_plan = Py_NewRef(((hot_plan *)p->outer)->inner);
    PyObject *before = x->lane_context;
    x->lane_context = context; // stolen
    x->lane_arg = index > 0 ? Py_NewRef(arg) : NULL;
    x->lane_next = NULL;
    x->lane_state = (uint8_t)((x->lane_state & ~X_STAGE) | X_LENT | index);
    Py_XDECREF(before);
    lane_push(srv, x, x, 1);
    return future;
}

/* x is its task's again. Returns the future of who waits, new, or NULL. */
static PyObject *
take_home(turbo_exchange *x)
{
    hot_proxy *p = x->lane_obj;
    PyObject *inner = x->lane_plan, *arg = x->lane_arg, *future;
    x->lane_state &= (uint8_t)~(X_LENT | X_STAGE);
    if (p == NULL || p->outer == NULL) {
        return NULL;
    }
    x->lane_plan = p->outer; // moved
    p->outer = NULL;
    x->lane_arg = NULL;
    future = p->lent; // moved
    p->lent = NULL;
    Py_XDECREF(inner);
    Py_XDECREF(arg);
    return future;
}

/* call(stage, argument): run one stage of the inner plan. The loop lane's gives what the call returned (a
   coroutine, where the stage says so), the call lane's a future: of the next stage's argument, or of what encode()
   gives for the last. Loop's thread. */
PyObject *
lend_call(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    hot_proxy *p = lent_by(self);
    if (p == NULL) {
        return NULL;
    }
    hot_plan *inner = (hot_plan *)((hot_plan *)p->x->lane_plan)->inner;
    long index = n == 2 ? PyLong_AsLong(args[0]) : -1;
    if (index < 0 || index >= inner->n_stages) {
        if (!PyErr_Occurred()) {
            PyErr_SetString(PyExc_ValueError, "turboapi: call() takes a stage of the plan, and its argument");
        }
        return NULL;
    }
    if (inner->stages[index].lane == LANE_CALL) {
        return lend(p, (int)index, args[1]);
    }
    Py_INCREF(inner); // the call may replace the plans
    PyObject *result =
        index == 0 ? plan_call(p->srv, inner, p->x) : PyObject_CallOneArg(inner->stages[index].call, args[1]);
    Py_DECREF(inner);
    return result;
}

/* A result as bytes (the plan's status and media) or as the object that becomes the response. GIL held. */
static PyObject *
value_of(hot_server *srv, hot_plan *plan, PyObject *result)
{
    if (plan->plain && json_is_plain(result, 0)) {
        PyObject *made = PyObject_CallOneArg(srv->st->to_json, result); // new
        if (made != NULL) {
            return made;
        }
        PyErr_Clear(); // as in answer_result
    }
    int is_response = PyObject_IsInstance(result, srv->st->response_type);
    if (is_response < 0) {
        return NULL;
    }
    return is_response || plan->encode == NULL ? Py_NewRef(result) : PyObject_CallOneArg(plan->encode, result);
}

/* encode(result) -> bytes | Response. Loop's thread. */
PyObject *
lend_encode(PyObject *self, PyObject *result)
{
    hot_proxy *p = lent_by(self);
    if (p == NULL) {
        return NULL;
    }
    PyObject *inner = Py_NewRef(((hot_plan *)p->x->lane_plan)->inner); // encoding may replace the plans
    PyObject *value = value_of(p->srv, (hot_plan *)inner, result);
    Py_DECREF(inner);
    return value;
}

/* The same on the call lane, in the context in which the task sees things. result is stolen; NULL: an exception is set. */
PyObject *
lend_value(hot_server *srv, turbo_exchange *x, PyObject *result)
{
    PyObject *context = x->lane_context, *value = NULL; // x holds it
    if (result == NULL) {
        return NULL;
    }
    if (context == NULL || PyContext_Enter(context) == 0) {
        value = value_of(srv, x->lane_plan, result); // new
        if (context != NULL && PyContext_Exit(context) < 0) {
            Py_CLEAR(value);
        }
    }
    Py_DECREF(result);
    return value;
}

/* Give the waiting task its result; ok: not an exception. future and payload are stolen. */
static void
resolve(hot_server *srv, PyObject *future, bool ok, PyObject *payload)
{
    PyObject *done = PyObject_CallMethodNoArgs(future, srv->st->s_done); // new
    PyObject *r = NULL;
    if (done == Py_False && !ok && PyErr_GivenExceptionMatches(payload, PyExc_StopIteration)) {
        /* No future takes it: a coroutine that raises it would have returned. AnyIO says it the same way. */
        PyObject *text = PyUnicode_FromString("coroutine raised StopIteration");            // new
        PyObject *other = text ? PyObject_CallOneArg(PyExc_RuntimeError, text) : NULL;       // new
        Py_XDECREF(text);
        if (other != NULL) {
            PyException_SetCause(other, payload); // stolen
            payload = other;
        }
    }
    if (done == Py_False) {
        r = PyObject_CallMethodOneArg(future, ok ? srv->st->s_set_result : srv->st->s_set_exception, payload); // new
    }
    if (PyErr_Occurred()) {
        PyErr_WriteUnraisable(future);
    }
    Py_XDECREF(r);
    Py_XDECREF(done);
    Py_DECREF(payload);
    Py_DECREF(future);
}

void
lend_back(hot_server *srv, turbo_exchange *x, bool ok, PyObject *payload)
{
    bool orphan = x->lane_state & X_ORPHAN;
    PyObject *future = take_home(x); // new
    if (orphan || future == NULL || payload == NULL) {
        Py_XDECREF(payload);
        Py_XDECREF(future);
        if (orphan) {
            hot_proxy *p = x->lane_obj;
            x->ops |= TURBO_OP_CLOSE;
            if (p != NULL && p->started) {
                x->ops |= TURBO_OP_ABORT;
            } else {
                answer_text(x, 500, "Internal Server Error", NULL, NULL);
            }
            server_release(srv, x);
            server_mark(srv, x);
        }
        return;
    }
    resolve(srv, future, ok, payload); // both stolen
}

void
lend_refuse(hot_server *srv, turbo_exchange *x)
{
    PyObject *response = PyObject_CallFunction(srv->st->response_type, "yi{ss}s", "Service Unavailable", 503,
                                               "retry-after", "1", "text/plain"); // new
    bool ok = response != NULL;
    lend_back(srv, x, ok, ok ? response : hot_take_exception()); // stolen
}

void
lend_orphan(hot_server *srv, turbo_exchange *x, PyObject *result)
{
    PyObject *exc = result == NULL ? hot_take_exception() : NULL; // new
    char line[HOT_REQUEST_LINE];
    server_log(srv, 40, exc, "%s: the task ended while its route ran on a call thread\n", hot_request_line(x, line));
    x->lane_state |= X_ORPHAN;
    Py_XDECREF(exc);
    Py_XDECREF(result);
}

bool
lend_keep(turbo_exchange *x)
{
    if (!(x->lane_state & X_LENT) || x->lane_state & X_ORPHAN) {
        return false;
    }
    Py_XDECREF(take_home(x));
    return true;
}

/* ---- what middleware hands on ---------------------------------------------- */

static bool
text_is(PyObject *text, const char *root, Py_ssize_t n_root, const char *p, uint32_t n)
{
    Py_ssize_t size;
    const char *utf8 = text != NULL && PyUnicode_Check(text) ? PyUnicode_AsUTF8AndSize(text, &size) : NULL;
    if (utf8 == NULL) {
        PyErr_Clear(); // no text, or one with lone surrogates
        return false;
    }
    return size == n_root + (Py_ssize_t)n && memcmp(utf8, root, (size_t)n_root) == 0 &&
           memcmp(utf8 + n_root, p, n) == 0;
}

static bool
bytes_are(PyObject *o, turbo_exchange *x, turbo_span span)
{
    return o != NULL && PyBytes_Check(o) && PyBytes_GET_SIZE(o) == (Py_ssize_t)span.len &&
           memcmp(PyBytes_AS_STRING(o), x->req + span.off, span.len) == 0;
}

static bool
headers_are(PyObject *headers, turbo_exchange *x)
{
    turbo_field *fields = (turbo_field *)(x->req + x->fields_off);
    if (headers == NULL || !PyList_Check(headers) || PyList_GET_SIZE(headers) != (Py_ssize_t)x->n_fields) {
        return false;
    }
    for (uint32_t i = 0; i < x->n_fields; i++) {
        PyObject *pair = PyList_GET_ITEM(headers, i); // borrowed; nothing below runs code
        if (!PyTuple_Check(pair) || PyTuple_GET_SIZE(pair) != 2 ||
            !bytes_are(PyTuple_GET_ITEM(pair, 0), x, fields[i].name) ||
            !bytes_are(PyTuple_GET_ITEM(pair, 1), x, fields[i].value)) {
            return false;
        }
    }
    return true;
}

/* matches(scope, root_path) -> bool: type, method, path, root_path, query and headers are those that the plan was
   chosen and its values taken by. root_path: the application's own, or None. Whatever has been edited, and edited
   back, matches. */
PyObject *
lend_matches(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    hot_proxy *p = (hot_proxy *)self;
    turbo_exchange *x = p->x;
    if (n != 2) {
        PyErr_SetString(PyExc_TypeError, "turboapi: matches() takes a scope and a root_path");
        return NULL;
    }
    if (x == NULL || !PyDict_CheckExact(args[0])) {
        Py_RETURN_FALSE;
    }
    PyObject *scope = args[0];
    hot_state *st = p->srv->st;
    Py_ssize_t n_root;
    const char *root = PyUnicode_AsUTF8AndSize(p->srv->root_path, &n_root);
    if (root == NULL) {
        return NULL;
    }
    PyObject *wanted = args[1] == Py_None ? p->srv->root_path : args[1];
    PyObject *found = PyDict_GetItemWithError(scope, st->s_root_path); // borrowed
    if (found != wanted && (found == NULL || !PyUnicode_Check(found) || PyUnicode_Compare(found, wanted) != 0)) {
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_False);
    }
    return PyBool_FromLong(
        text_is(PyDict_GetItemWithError(scope, st->s_type), "", 0, "http", 4) &&
        text_is(PyDict_GetItemWithError(scope, st->s_method), "", 0, x->req + x->method_name.off, x->method_name.len) &&
        text_is(PyDict_GetItemWithError(scope, st->s_path), root, n_root, x->req + x->path.off, x->path.len) &&
        bytes_are(PyDict_GetItemWithError(scope, st->s_query_string), x, x->query) &&
        headers_are(PyDict_GetItemWithError(scope, st->s_headers), x));
}

/* enter(scope, receive, send): what `scope()`, `receive` and `send` give from here on. Loop's thread. */
PyObject *
lend_enter(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    hot_proxy *p = lent_by(self);
    if (p == NULL) {
        return NULL;
    }
    if (n != 3 || !PyDict_Check(args[0])) {
        PyErr_SetString(PyExc_TypeError, "turboapi: enter() takes a scope, receive and send");
        return NULL;
    }
    Py_XSETREF(p->scope, Py_NewRef(args[0]));
    Py_XSETREF(p->receive, Py_NewRef(args[1]));
    Py_XSETREF(p->send, Py_NewRef(args[2]));
    Py_RETURN_NONE;
}
