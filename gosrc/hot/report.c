/* Exceptions taken and raised, and what is told of them. */
#include "hot.h"

/* The raised exception with its traceback attached, and the error indicator
   cleared. New reference; NULL if none is raised. GIL held. */
PyObject *
hot_take_exception(void)
{
#if PY_VERSION_HEX >= 0x030C0000
    return PyErr_GetRaisedException();
#else
    PyObject *type, *value, *tb;
    PyErr_Fetch(&type, &value, &tb);
    if (type == NULL) {
        return NULL;
    }
    PyErr_NormalizeException(&type, &value, &tb);
    if (tb != NULL) {
        PyException_SetTraceback(value, tb);
        Py_DECREF(tb);
    }
    Py_DECREF(type);
    return value;
#endif
}

/* Method and path for a log line, cut to the size of `line`. Any thread. Returns line. */
const char *
hot_request_line(turbo_exchange *x, char line[HOT_REQUEST_LINE])
{
    snprintf(line, HOT_REQUEST_LINE, "%.*s %.*s", (int)x->method_name.len, x->req + x->method_name.off,
             (int)x->raw_path.len, x->req + x->raw_path.off);
    return line;
}

/* Raise exc, which is stolen. GIL held. */
void
hot_raise(PyObject *exc)
{
#if PY_VERSION_HEX >= 0x030C0000
    PyErr_SetRaisedException(exc);
#else
    PyErr_Restore(Py_NewRef(Py_TYPE(exc)), exc, PyException_GetTraceback(exc));
#endif
}

/* Tell the application's log. Keeps a raised exception raised. GIL held. */
void
server_log(hot_server *srv, int level, PyObject *exc, const char *format, ...)
{
    PyObject *raised = hot_take_exception();
    va_list args;
    va_start(args, format);
    PyObject *text = PyUnicode_FromFormatV(format, args); // new
    va_end(args);
    PyObject *r = text == NULL ? NULL : PyObject_CallFunction(srv->log, "iOO", level, text, exc ? exc : Py_None);
    if (r == NULL) {
        PyErr_WriteUnraisable(srv->log);
    }
    Py_XDECREF(r);
    Py_XDECREF(text);
    if (raised != NULL) {
        hot_raise(raised); // stolen
    }
}

/* Tell a test client, or the log, that exc has left the application of x. In the context of x's last task, where
   whoever listens to the log finds what the application put there, as with servers that log within that task. Loop. */
void
server_failed(hot_server *srv, turbo_exchange *x, PyObject *exc)
{
    char line[HOT_REQUEST_LINE];
    PyObject *context = Py_XNewRef(x->lane_context);
    bool entered = context != NULL && PyContext_Enter(context) == 0;
    if (context != NULL && !entered) {
        PyErr_Clear(); // it is the current one
    }
    if (!probe_failed(srv, x, exc)) {
        server_log(srv, 40, exc, "Exception in ASGI application: %s\n", hot_request_line(x, line));
    }
    if (entered && PyContext_Exit(context) < 0) {
        PyErr_WriteUnraisable(context);
    }
    Py_XDECREF(context);
}

void
server_exit(hot_server *srv, PyObject *exc)
{
    PyObject *r = PyObject_CallOneArg(srv->on_exit, exc); // new
    if (r == NULL) {
        PyErr_WriteUnraisable(srv->on_exit);
    }
    Py_XDECREF(r);
}
