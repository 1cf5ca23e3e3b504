/* Which results may go to pydantic_core.to_json as they are.

   FastAPI makes such results into text with json.dumps; to_json is ten times
   faster and gives the same bytes for what this check admits. It is a check,
   not an encoder: all text is made by pydantic_core. */
#include "hot.h"

#include <math.h>

#define MAX_DEPTH 64

/* float.__repr__ and pydantic_core write the same digits, but exponents
   differently ("1e+16" and "1e16"), so only floats without one are plain. */
static int
float_is_plain(double f)
{
    double a = fabs(f);
    return f == 0.0 ? 1 : a >= 1e-4 && a < 1e16;
}

/* A key that starts with "_sa" is dropped by jsonable_encoder. */
static int
key_is_plain(PyObject *key)
{
    if (!PyUnicode_CheckExact(key)) {
        return 0;
    }
    if (PyUnicode_GET_LENGTH(key) < 3) {
        return 1;
    }
    return !(PyUnicode_READ_CHAR(key, 0) == '_' && PyUnicode_READ_CHAR(key, 1) == 's' &&
             PyUnicode_READ_CHAR(key, 2) == 'a');
}

/* 1 if o consists of exact dict, list, str, int, float, bool and None only,
   and json.dumps and to_json agree on it. GIL held, runs no Python code. */
int
json_is_plain(PyObject *o, int depth)
{
    if (PyUnicode_CheckExact(o) || o == Py_None || o == Py_True || o == Py_False) {
        return 1;
    }
    if (PyLong_CheckExact(o)) {
        int overflow;
        (void)PyLong_AsLongLongAndOverflow(o, &overflow);
        return overflow == 0;
    }
    if (PyFloat_CheckExact(o)) {
        return float_is_plain(PyFloat_AS_DOUBLE(o));
    }
    if (depth >= MAX_DEPTH) {
        return 0;
    }
    if (PyDict_CheckExact(o)) {
        Py_ssize_t pos = 0;
        PyObject *key, *value; // borrowed
        while (PyDict_Next(o, &pos, &key, &value)) {
            if (!key_is_plain(key) || !json_is_plain(value, depth + 1)) {
                return 0;
            }
        }
        return 1;
    }
    if (PyList_CheckExact(o)) {
        for (Py_ssize_t i = 0; i < PyList_GET_SIZE(o); i++) {
            if (!json_is_plain(PyList_GET_ITEM(o, i), depth + 1)) {
                return 0;
            }
        }
        return 1;
    }
    return 0;
}
