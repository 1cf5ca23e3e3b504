/* The Python module turboapi._hot: its state, its types, its slots. */
#include "hot.h"

bool hot_forked;

static void
after_fork_in_child(void)
{
    hot_forked = true;
}

hot_state *
hot_state_of(PyTypeObject *type)
{
    return PyType_GetModuleState(type);
}

static int
import_name(const char *module, const char *name, PyObject **out)
{
    PyObject *m = PyImport_ImportModule(module); // new
    if (m == NULL) {
        return -1;
    }
    *out = PyObject_GetAttrString(m, name); // new
    Py_DECREF(m);
    return *out == NULL ? -1 : 0;
}

static int
add_type(PyObject *module, PyType_Spec *spec, PyTypeObject **out)
{
    *out = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, NULL); // new
    return *out == NULL ? -1 : PyModule_AddType(module, *out);
}

static int
make_names(hot_state *st)
{
#define MAKE(n)                                                                                                        \
    if ((st->s_##n = PyUnicode_InternFromString(#n)) == NULL) {                                                        \
        return -1;                                                                                                     \
    }
    HOT_NAMES(MAKE)
#undef MAKE
    /* In the order of wire.Method; those that are not here are made from their bytes. */
    static const char *const methods[] = {NULL,    "GET",    "HEAD",    "POST",  "PUT",
                                          "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"};
    for (size_t i = 0; i < Py_ARRAY_LENGTH(methods); i++) {
        if (methods[i] != NULL && (st->methods[i] = PyUnicode_InternFromString(methods[i])) == NULL) {
            return -1;
        }
    }
    st->v_http = PyUnicode_InternFromString("http");
    st->v_https = PyUnicode_InternFromString("https");
    st->v_11 = PyUnicode_InternFromString("1.1");
    st->v_10 = PyUnicode_InternFromString("1.0");
    st->asgi_version = PyUnicode_InternFromString("3.0");
    st->asgi_spec = PyUnicode_InternFromString("2.3");
    st->msg_request = PyUnicode_InternFromString("http.request");
    st->msg_disconnect = PyUnicode_InternFromString("http.disconnect");
    st->msg_start = PyUnicode_InternFromString("http.response.start");
    st->msg_body = PyUnicode_InternFromString("http.response.body");
    st->json_type = PyBytes_FromString("application/json");
    st->empty_bytes = PyBytes_FromString("");
    st->kw_task_eager = Py_BuildValue("(sss)", "loop", "context", "eager_start");
    st->kw_task_plain = Py_BuildValue("(ss)", "loop", "context");
    st->msg_hint = PyUnicode_InternFromString("http.response.early_hint");
    st->v_websocket = PyUnicode_InternFromString("websocket");
    st->v_ws = PyUnicode_InternFromString("ws");
    st->v_wss = PyUnicode_InternFromString("wss");
    st->asgi_ws_spec = PyUnicode_InternFromString("2.4");
    st->ws_extensions = Py_BuildValue("{s:{}}", "websocket.http.response");
    st->msg_ws_connect = PyUnicode_InternFromString("websocket.connect");
    st->msg_ws_receive = PyUnicode_InternFromString("websocket.receive");
    st->msg_ws_disconnect = PyUnicode_InternFromString("websocket.disconnect");
    st->msg_ws_accept = PyUnicode_InternFromString("websocket.accept");
    st->msg_ws_send = PyUnicode_InternFromString("websocket.send");
    st->msg_ws_close = PyUnicode_InternFromString("websocket.close");
    st->msg_ws_start = PyUnicode_InternFromString("websocket.http.response.start");
    st->msg_ws_body = PyUnicode_InternFromString("websocket.http.response.body");
    st->msg_debug = PyUnicode_InternFromString("http.response.debug");
    st->msg_path = PyUnicode_InternFromString("http.response.pathsend");
    if (PyErr_Occurred()) {
        return -1;
    }
    st->http_asgi = Py_BuildValue("{OOOO}", st->s_version, st->asgi_version, st->s_spec_version, st->asgi_spec);
    st->ws_asgi = Py_BuildValue("{OOOO}", st->s_version, st->asgi_version, st->s_spec_version, st->asgi_ws_spec);
    st->http_scope = scope_blank(st, false);
    st->ws_scope = scope_blank(st, true);
    return PyErr_Occurred() ? -1 : 0;
}

/* The only Python that is written in C: what makes a coroutine of an awaitable. */
static int
make_await_any(hot_state *st)
{
    PyObject *names = PyDict_New(), *r = NULL; // new
    if (names != NULL && PyDict_SetItemString(names, "__builtins__", PyEval_GetBuiltins()) == 0) {
        r = PyRun_String("async def await_any(awaitable):\n    return await awaitable\n", Py_file_input, names, names);
    }
    if (r != NULL) {
        st->await_any = Py_XNewRef(PyDict_GetItemString(names, "await_any"));
    }
    Py_XDECREF(r);
    Py_XDECREF(names);
    return st->await_any == NULL ? -1 : 0;
}

/* Response.__call__ as Starlette has it, for which C does the same itself. Where somebody has put another function there
   before, all responses send themselves. New reference, or NULL without an exception. */
static PyObject *
own_response_call(hot_state *st)
{
    PyObject *call = PyObject_GetAttr(st->response_type, st->s___call__);        // new
    PyObject *other = PyObject_GetAttrString(st->response_type, "init_headers"); // new
    bool own = call != NULL && other != NULL && PyFunction_Check(call) && PyFunction_Check(other) &&
               PyObject_RichCompareBool(((PyCodeObject *)PyFunction_GET_CODE(call))->co_filename,
                                        ((PyCodeObject *)PyFunction_GET_CODE(other))->co_filename, Py_EQ) == 1;
    PyErr_Clear();
    Py_XDECREF(other);
    if (!own) {
        Py_CLEAR(call);
    }
    return call;
}

int
hot_load_fastapi(hot_state *st)
{
    if (st->response_type != NULL) {
        return 0;
    }
    if (import_name("pydantic_core", "to_json", &st->to_json) < 0 ||
        import_name("starlette.responses", "Response", &st->response_type) < 0) {
        return -1;
    }
    st->response_call = own_response_call(st);
    return stream_load(st);
}

/* Once for the process. Returns 0, or -1 with an exception set. */
static int
notice_forks(void)
{
    static bool done; // under the GIL
    if (!done && pthread_atfork(NULL, NULL, after_fork_in_child) != 0) {
        PyErr_NoMemory();
        return -1;
    }
    done = true;
    return 0;
}

/* Fill the module's state. GIL held. Returns 0, or -1 with an exception set. */
static int
hot_exec(PyObject *module)
{
    hot_state *st = PyModule_GetState(module);
    if (notice_forks() < 0 || make_names(st) < 0 || make_await_any(st) < 0 ||
        add_type(module, &server_spec, &st->server_type) < 0 ||
        add_type(module, &exchange_spec, &st->exchange_type) < 0 || add_type(module, &plan_spec, &st->plan_type) < 0 ||
        add_type(module, &ready_spec, &st->ready_type) < 0 || add_type(module, &pending_spec, &st->pending_type) < 0 ||
        add_type(module, &job_spec, &st->job_type) < 0) {
        return -1;
    }
    st->fallback = PyErr_NewExceptionWithDoc(
        "turboapi._hot.Fallback", "Raised by an entry point before any side effect: the ASGI application answers.",
        NULL, NULL);
    st->client_disconnected =
        PyErr_NewExceptionWithDoc("turboapi._hot.ClientDisconnected",
                                  "Raised by a WebSocket's send when its client has left.", PyExc_OSError, NULL);
    if (st->fallback == NULL || st->client_disconnected == NULL ||
        PyModule_AddObjectRef(module, "ClientDisconnected", st->client_disconnected) < 0) {
        return -1;
    }
    return PyModule_AddObjectRef(module, "Fallback", st->fallback);
}

static int
hot_traverse(PyObject *module, visitproc visit, void *arg)
{
    hot_state *st = PyModule_GetState(module);
    Py_VISIT(st->server_type);
    Py_VISIT(st->exchange_type);
    Py_VISIT(st->plan_type);
    Py_VISIT(st->ready_type);
    Py_VISIT(st->pending_type);
    Py_VISIT(st->job_type);
    Py_VISIT(st->to_json);
    Py_VISIT(st->response_type);
    Py_VISIT(st->response_call);
    Py_VISIT(st->stream_type);
    for (size_t i = 0; i < STREAM_PARTS; i++) {
        Py_VISIT(st->stream_parts[i]);
    }
    Py_VISIT(st->stream);
    Py_VISIT(st->stream_and_work);
    Py_VISIT(st->work);
    Py_VISIT(st->work_here);
    Py_VISIT(st->only_sync);
    Py_VISIT(st->file_type);
    Py_VISIT(st->send_parts);
    Py_VISIT(st->await_any);
    Py_VISIT(st->fallback);
    Py_VISIT(st->client_disconnected);
    return 0;
}

/* ping() -> bool: whether the Go side answers. */
static PyObject *
hot_ping(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(noargs))
{
    return PyBool_FromLong(turboPing());
}

static PyMethodDef hot_methods[] = {
    {"ping", hot_ping, METH_NOARGS, PyDoc_STR("ping() -> bool: whether the Go side answers.")},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot hot_slots[] = {
    {Py_mod_exec, (void *)hot_exec},
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
#endif
    {0, NULL},
};

struct PyModuleDef hot_module = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "turboapi._hot",
    .m_doc = PyDoc_STR("The hot path of the engine: carries Python objects to Go and back."),
    .m_size = sizeof(hot_state),
    .m_methods = hot_methods,
    .m_slots = hot_slots,
    .m_traverse = hot_traverse,
};

/* Visible, while all else in this package is hidden: the interpreter looks it up by name. */
PyMODINIT_FUNC
PyInit__hot(void)
{
    return PyModuleDef_Init(&hot_module);
}
