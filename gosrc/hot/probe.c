/* The probe: through it a test client sees what an answer alone does not tell. A server has one only where a test
   client made it. Requests are told apart by their client's port, which is theirs alone while they run. */
#include "hot.h"

/* probe.NAME(port, arg), without arg where it is NULL. Keeps a raised exception raised. New reference, or NULL: the
   probe raised, and that was reported. GIL held. */
static PyObject *
probe_call(hot_server *srv, turbo_exchange *x, const char *name, PyObject *arg)
{
    PyObject *raised = hot_take_exception();
    PyObject *probe = Py_NewRef(srv->probe);
    PyObject *r = arg == NULL ? PyObject_CallMethod(probe, name, "i", (int)x->client_port)
                              : PyObject_CallMethod(probe, name, "iO", (int)x->client_port, arg); // new
    if (r == NULL) {
        PyErr_WriteUnraisable(probe);
    }
    Py_DECREF(probe);
    if (raised != NULL) {
        hot_raise(raised); // stolen
    }
    return r;
}

/* A lane has x. What the engine answers by itself never comes here. Returns false where the application itself has to
   answer, because the probe has something to tell that no plan would see. The exchange owns the context that the probe
   may give. */
bool
probe_began(hot_server *srv, turbo_exchange *x)
{
    if (srv->probe == NULL) {
        return true;
    }
    PyObject *r = probe_call(srv, x, "began", NULL); // new
    bool plain = true;
    if (r != NULL && PyTuple_Check(r) && PyTuple_GET_SIZE(r) == 2 && PyContext_CheckExact(PyTuple_GET_ITEM(r, 0))) {
        x->lane_context = Py_NewRef(PyTuple_GET_ITEM(r, 0));
        plain = PyTuple_GET_ITEM(r, 1) == Py_True;
    }
    Py_XDECREF(r);
    return plain;
}

/* Let the probe say what the application is to see. */
void
probe_scope(hot_server *srv, turbo_exchange *x, PyObject *scope)
{
    if (srv->probe != NULL) {
        Py_XDECREF(probe_call(srv, x, "scope", scope));
    }
}

/* exc has left the application, or it ended without an answer (NULL). Returns whether the probe takes it: then it is
   not for the log. Any lane. */
bool
probe_failed(hot_server *srv, turbo_exchange *x, PyObject *exc)
{
    if (srv->probe == NULL) {
        return false;
    }
    PyObject *r = probe_call(srv, x, "failed", exc ? exc : Py_None); // new
    bool taken = r == Py_True;
    Py_XDECREF(r);
    return taken;
}

/* A message that no answer carries: http.response.debug, a websocket.close instead of accepting, with its code, and what
   is said to a client that has left the conversation. */
void
probe_message(hot_server *srv, turbo_exchange *x, PyObject *message)
{
    if (srv->probe != NULL) {
        Py_XDECREF(probe_call(srv, x, "message", message));
    }
}

/* Nothing of the application runs for x any more. Any lane. */
void
probe_ended(hot_server *srv, turbo_exchange *x)
{
    if (srv->probe != NULL && !hot_forked) {
        Py_XDECREF(probe_call(srv, x, "ended", NULL));
    }
}
