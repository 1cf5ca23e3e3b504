/* From a handler's result, or its exception, to the response in the record. */
#include "hot.h"

/* Take back what was prepared of the answer but not flushed. */
static void
answer_reset(turbo_exchange *x)
{
    x->ops &= TURBO_OP_CLOSE | TURBO_OP_WANT;
    x->preset = TURBO_PRESET_NONE;
    x->fields_len = 0;
    x->out_len = 0;
}

/* A text/plain answer, as Starlette's and uvicorn's own. Cannot fail but for memory. */
void
answer_text(turbo_exchange *x, int status, const char *text, const char *extra_name, const char *extra_value)
{
    char length[24];
    int n = snprintf(length, sizeof length, "%zu", strlen(text));
    answer_reset(x);
    x->status = (uint16_t)status;
    if (fields_append(x, "content-length", 14, length, (size_t)n) < 0 ||
        fields_append(x, "content-type", 12, "text/plain; charset=utf-8", 25) < 0 ||
        (extra_name && fields_append(x, extra_name, strlen(extra_name), extra_value, strlen(extra_value)) < 0) ||
        out_append(x, text, strlen(text)) < 0) {
        PyErr_Clear();
        x->ops |= TURBO_OP_ABORT;
        return;
    }
    x->ops |= TURBO_OP_HEAD | TURBO_OP_END;
}

/* The plan's status and media with body as JSON (or whatever media says). */
static int
answer_bytes(hot_server *srv, turbo_exchange *x, PyObject *body)
{
    hot_plan *plan = x->lane_plan;
    bool cors = fields_want_cors(srv, x);
    char length[24];
    int n, rc;
    if (out_append(x, PyBytes_AS_STRING(body), (size_t)PyBytes_GET_SIZE(body)) < 0) {
        return -1;
    }
    x->status = (uint16_t)plan->status;
    x->preset = plan->preset && !cors ? TURBO_PRESET_JSON : TURBO_PRESET_NONE;
    if (x->preset == TURBO_PRESET_JSON) {
        x->ops |= TURBO_OP_HEAD | TURBO_OP_END;
        return 0;
    }
    n = snprintf(length, sizeof length, "%zd", PyBytes_GET_SIZE(body));
    if (cors && (x->flags & TURBO_REQ_ORIGIN || srv->cors_plain == NULL)) {
        PyObject *headers = Py_BuildValue("[(yy#)(yO)]", "content-length", length, (Py_ssize_t)n, "content-type",
                                          plan->media); // new
        rc = headers == NULL ? -1 : fields_append_headers(srv, x, headers, true);
        Py_XDECREF(headers);
    } else {
        rc = fields_append(x, "content-length", 14, length, (size_t)n);
        if (rc == 0) {
            rc = fields_append(x, "content-type", 12, PyBytes_AS_STRING(plan->media),
                               (size_t)PyBytes_GET_SIZE(plan->media));
        }
        if (rc == 0 && cors) {
            rc = fields_append_packed(x, srv->cors_plain);
        }
    }
    if (rc == 0) {
        x->ops |= TURBO_OP_HEAD | TURBO_OP_END;
    }
    return rc;
}

/* Does this class send itself with Response.__call__? Asked each time: a class may be changed, and classes made while
   running must not be kept. 1, 0 or -1. */
static int
is_simple_type(hot_state *st, PyTypeObject *type)
{
    PyObject *call = PyObject_GetAttr((PyObject *)type, st->s___call__); // new
    int simple = call == NULL ? -1 : call == st->response_call;
    Py_XDECREF(call);
    return simple;
}

int
answer_simple_response(hot_server *srv, turbo_exchange *x, PyObject *response, bool cors)
{
    hot_state *st = srv->st;
    int rc = -1;
    Py_buffer body = {0};
    PyObject *bytes = NULL, *headers = NULL;
    PyObject *status = PyObject_GetAttr(response, st->s_status_code); // new
    if (status == NULL || (headers = PyObject_GetAttr(response, st->s_raw_headers)) == NULL ||
        (bytes = PyObject_GetAttr(response, st->s_body)) == NULL ||
        PyObject_GetBuffer(bytes, &body, PyBUF_SIMPLE) < 0) {
        goto done;
    }
    long code = proxy_status(status); // http.HTTPStatus is an int
    if (code < 0) {
        goto done;
    }
    x->preset = TURBO_PRESET_NONE;
    if (fields_append_headers(srv, x, headers, cors) < 0 || out_append(x, body.buf, (size_t)body.len) < 0) {
        goto done;
    }
    x->status = (uint16_t)code;
    x->ops |= TURBO_OP_HEAD | TURBO_OP_END;
    rc = 0;
done:
    PyBuffer_Release(&body);
    Py_XDECREF(bytes);
    Py_XDECREF(headers);
    Py_XDECREF(status);
    return rc;
}

PyObject *
answer_sending(hot_server *srv, hot_proxy *p, PyObject *response, bool inside, int *kind)
{
    hot_state *st = srv->st;
    PyObject *scope = NULL, *receive = NULL, *send = NULL, *coro = NULL;
    int streams = stream_is_plain(st, p->x, response);
    *kind = JOB_RESPONSE;
    if (streams > 0) {
        PyObject *background = PyObject_GetAttr(response, st->s_background); // new
        if (background != NULL) {
            bool alone = !inside && background == Py_None;
            Py_DECREF(background);
            *kind = alone ? JOB_STREAM : JOB_RESPONSE;
            coro = stream_run(srv, p, response, alone); // new
        }
    } else if (streams == 0) {
        if (p->scope == NULL) {
            p->scope = scope_new(srv, p->x);
        }
        scope = Py_XNewRef(p->scope);
        receive = proxy_bound(p, 0);
        send = proxy_bound(p, 1);
        if (scope && receive && send) {
            bool parts = (PyObject *)Py_TYPE(response) == st->file_type && st->send_parts != Py_None;
            PyObject *args[5] = {NULL, response, scope, receive, send};
            coro = parts ? PyObject_Vectorcall(st->send_parts, args + 1, 4, NULL)
                         : PyObject_Vectorcall(response, args + 2, 3 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL); // new
        }
    }
    Py_XDECREF(scope);
    Py_XDECREF(receive);
    Py_XDECREF(send);
    return coro;
}

int
answer_response(hot_server *srv, turbo_exchange *x, PyObject *response, bool on_loop)
{
    hot_state *st = srv->st;
    int kind, rc = -1;
    int simple = is_simple_type(st, Py_TYPE(response));
    PyObject *background = NULL, *coro;
    hot_proxy *p;
    if (simple < 0 || (simple && (background = PyObject_GetAttr(response, st->s_background)) == NULL)) {
        return -1;
    }
    /* What ServerErrorMiddleware answers goes out past the CORS middleware. */
    bool cors = !(fields_want_cors(srv, x) && PyObject_HasAttr(response, st->s__turbo_outermost));
    if (background == Py_None) {
        rc = answer_simple_response(srv, x, response, cors);
    } else if (simple) {
        rc = after_response(srv, x, response, background, cors, on_loop);
    } else if (!on_loop) {
        server_give_back(srv, x, BACK_RESPONSE, Py_NewRef(response));
        rc = 1;
    } else if ((p = (hot_proxy *)proxy_of(srv, x)) != NULL) { // new
        p->cors = cors;
        coro = answer_sending(srv, p, response, false, &kind); // new
        Py_DECREF(p);
        if (coro != NULL) {
            task_start(srv, x, kind, coro); // stolen
            rc = 1;
        }
    }
    Py_XDECREF(background);
    return rc;
}

int
answer_made(hot_server *srv, turbo_exchange *x, PyObject *made)
{
    int rc;
    if (PyBytes_CheckExact(made)) {
        rc = answer_bytes(srv, x, made);
    } else if ((rc = is_simple_type(srv->st, Py_TYPE(made))) >= 0) {
        rc = rc == 0 ? 1 : answer_simple_response(srv, x, made, true);
    }
    if (rc < 0) {
        answer_reset(x);
    }
    return rc;
}

/* callable(a[, b]) in the context of x's last task, where it had one. New reference or NULL. */
static PyObject *
call_in_context(turbo_exchange *x, PyObject *callable, PyObject *a, PyObject *b)
{
    PyObject *context = x->lane_context; // x holds it
    PyObject *args[3] = {NULL, a, b};
    if (context != NULL && PyContext_Enter(context) < 0) {
        return NULL;
    }
    PyObject *result =
        PyObject_Vectorcall(callable, args + 1, (b ? 2u : 1u) | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL); // new
    if (context != NULL && PyContext_Exit(context) < 0) {
        Py_CLEAR(result);
    }
    return result;
}

/* own: with the plan's function in the context of x's last task, which is not the current one. */
static PyObject *
encode(hot_server *srv, turbo_exchange *x, PyObject *result, bool own)
{
    hot_state *st = srv->st;
    hot_plan *plan = x->lane_plan;
    if (plan->plain && json_is_plain(result, 0)) {
        PyObject *made = PyObject_CallOneArg(st->to_json, result); // new
        if (made != NULL) {
            return made;
        }
        PyErr_Clear(); // a lone surrogate, say: the exact way gives FastAPI's error
    }
    int is_response = PyObject_IsInstance(result, st->response_type);
    if (is_response < 0) {
        return NULL;
    }
    if (is_response || plan->encode == NULL) {
        return Py_NewRef(result);
    }
    return own ? call_in_context(x, plan->encode, result, NULL) : PyObject_CallOneArg(plan->encode, result);
}

PyObject *
answer_encode(hot_server *srv, turbo_exchange *x, PyObject *result)
{
    return encode(srv, x, result, false);
}

int
answer_result(hot_server *srv, turbo_exchange *x, PyObject *result, bool on_loop)
{
    if (result == Py_None && ((hot_plan *)x->lane_plan)->inner != NULL) {
        task_answered(srv, x); // middleware has sent what it had to
        return 1;
    }
    PyObject *made = encode(srv, x, result, true); // new
    if (made == NULL) {
        return -1;
    }
    int rc = PyBytes_CheckExact(made) ? answer_bytes(srv, x, made) : answer_response(srv, x, made, on_loop);
    Py_DECREF(made);
    return rc;
}

/* SystemExit and KeyboardInterrupt end the server as well. */
static void
pass_exit(hot_server *srv, PyObject *exc, bool on_loop)
{
    if (!PyErr_GivenExceptionMatches(exc, PyExc_SystemExit) &&
        !PyErr_GivenExceptionMatches(exc, PyExc_KeyboardInterrupt)) {
        return;
    }
    if (on_loop) {
        server_exit(srv, exc);
    } else {
        server_give_back(srv, NULL, BACK_EXIT, Py_NewRef(exc));
    }
}

/* SystemExit, KeyboardInterrupt, cancellation: answered 500, told to the log. */
static void
answer_base_exception(hot_server *srv, turbo_exchange *x, PyObject *exc, bool on_loop)
{
    char line[HOT_REQUEST_LINE];
    if (!probe_failed(srv, x, exc)) {
        server_log(srv, 40, exc, "%s: the handler raised %s\n", hot_request_line(x, line), Py_TYPE(exc)->tp_name);
    }
    x->ops |= TURBO_OP_CLOSE;
    answer_text(x, 500, "Internal Server Error", NULL, NULL);
    pass_exit(srv, exc, on_loop);
}

/* The response to an exception may raise as it is sent, and the response to that one, too. Starlette asks the
   application's handlers in two layers; asking on would never end, deeper in the stack each time. */
#define MAX_FAILURES 2

/* The raised exception comes after the answer, or in the middle of it: handlers and log hear of it, and nothing is sent.
   Same result. */
static int
late_exception(hot_server *srv, turbo_exchange *x, PyObject *exc /* stolen */, bool on_loop)
{
    if (PyErr_GivenExceptionMatches(exc, PyExc_Exception)) {
        if (!on_loop) {
            server_give_back(srv, x, BACK_ERROR, exc);
            return 1;
        }
        PyObject *coro = PyObject_CallMethodObjArgs(srv->errors, srv->st->s_handle, x->lane_obj, exc, NULL); // new
        Py_DECREF(exc);
        task_start(srv, x, JOB_HANDLE, coro); // stolen
        return 1;
    }
    char line[HOT_REQUEST_LINE];
    if (!probe_failed(srv, x, exc)) {
        server_log(srv, 40, exc, "%s: %s after the answer\n", hot_request_line(x, line), Py_TYPE(exc)->tp_name);
    }
    pass_exit(srv, exc, on_loop);
    Py_DECREF(exc);
    return 0;
}

int
answer_exception(hot_server *srv, turbo_exchange *x, bool on_loop)
{
    hot_state *st = srv->st;
    PyObject *proxy = NULL, *response = NULL;
    PyObject *exc = hot_take_exception(); // new
    int rc = 0;
    if (exc == NULL) { // something returned NULL and raised nothing
        PyErr_SetString(PyExc_SystemError, "turboapi: a handler failed without an exception");
        exc = hot_take_exception();
    }
    if (x->lane_obj != NULL && ((hot_proxy *)x->lane_obj)->started) {
        return late_exception(srv, x, exc, on_loop);
    }
    answer_reset(x);
    if (PyErr_GivenExceptionMatches(exc, st->fallback) && (x->lane_state & X_STAGE) == 0) {
        Py_DECREF(exc);
        if (!on_loop) {
            server_give_back(srv, x, BACK_APP, NULL);
        } else {
            task_run_app(srv, x);
        }
        return 1;
    }
    if (!PyErr_GivenExceptionMatches(exc, PyExc_Exception)) {
        answer_base_exception(srv, x, exc, on_loop);
        goto done;
    }
    proxy = proxy_of(srv, x); // new
    if (proxy != NULL && ((hot_proxy *)proxy)->failures++ < MAX_FAILURES) {
        response = call_in_context(x, srv->quick, proxy, exc); // new
    }
    if (response == Py_None) {
        rc = 1;
        if (!on_loop) {
            server_give_back(srv, x, BACK_ERROR, Py_NewRef(exc));
        } else {
            PyObject *coro = PyObject_CallMethodObjArgs(srv->errors, st->s_handle, proxy, exc, NULL); // new
            task_start(srv, x, JOB_HANDLE, coro);                                                     // stolen
        }
        goto done;
    }
    if (response != NULL) {
        rc = answer_response(srv, x, response, on_loop);
    }
    if (response == NULL || rc < 0) {
        PyObject *second = hot_take_exception(); // new: the error handling itself failed
        if (!probe_failed(srv, x, second ? second : exc)) {
            server_log(srv, 40, second ? second : exc, "Exception in ASGI application\n");
        }
        Py_XDECREF(second);
        answer_text(x, 500, "Internal Server Error", NULL, NULL);
        rc = 0;
    }
done:
    Py_XDECREF(response);
    Py_XDECREF(proxy);
    Py_DECREF(exc);
    return rc;
}
