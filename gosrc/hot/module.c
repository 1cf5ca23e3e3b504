/* The Python module turboapi._hot: its state, its methods, its slots. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "_cgo_export.h"

/* Everything the module owns. One per module object, never global. */
typedef struct {
    unsigned long pings;
} hot_state;

/* ping() -> int: how often it was called. GIL held on entry and return. */
static PyObject *
hot_ping(PyObject *module, PyObject *Py_UNUSED(ignored))
{
    hot_state *st = PyModule_GetState(module);
    int alive;
    Py_BEGIN_ALLOW_THREADS
    alive = hotPing();
    Py_END_ALLOW_THREADS
    if (!alive) {
        PyErr_SetString(PyExc_RuntimeError, "turboapi: the engine does not answer");
        return NULL;
    }
    return PyLong_FromUnsignedLong(++st->pings); // new
}

/* Fill the module's state. GIL held. Returns 0, or -1 with an exception set. */
static int
hot_exec(PyObject *module)
{
    hot_state *st = PyModule_GetState(module);
    st->pings = 0;
    return 0;
}

static PyMethodDef hot_methods[] = {
    {"ping", hot_ping, METH_NOARGS, PyDoc_STR("ping() -> int: how often the engine was asked and answered.")},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot hot_slots[] = {
    {Py_mod_exec, (void *)hot_exec},
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
#endif
    {0, NULL},
};

static struct PyModuleDef hot_module = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "turboapi._hot",
    .m_doc = PyDoc_STR("The hot path of the engine: carries Python objects to Go and back."),
    .m_size = sizeof(hot_state),
    .m_methods = hot_methods,
    .m_slots = hot_slots,
};

PyMODINIT_FUNC
PyInit__hot(void)
{
    return PyModuleDef_Init(&hot_module);
}
