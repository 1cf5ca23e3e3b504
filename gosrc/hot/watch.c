/* Notice, in each turn, that the application changed what its plans were made
   from: members of lists and dicts, and attributes, compared by identity. */
#include "hot.h"

static void
watch_drop(hot_watch *w)
{
    Py_CLEAR(w->object);
    Py_CLEAR(w->attr);
    Py_CLEAR(w->held);
    PyMem_Free(w->seen);
    w->seen = NULL;
}

/* Put n watches in the place of those that are there; the array is stolen. */
static void
watch_replace(hot_server *srv, hot_watch *watches, Py_ssize_t n)
{
    hot_watch *old = srv->watches;
    Py_ssize_t n_old = srv->n_watches;
    srv->watches = watches;
    srv->n_watches = n;
    srv->watches_made++;
    for (Py_ssize_t i = 0; i < n_old; i++) {
        watch_drop(&old[i]); // may run code, which finds the new ones
    }
    PyMem_Free(old);
}

void
watch_clear(hot_server *srv)
{
    watch_replace(srv, NULL, 0);
}

/* Remember what o holds now. `held` keeps it alive, so that an identity means what it meant. */
static int
watch_snapshot(hot_watch *w)
{
    PyObject *o = w->object;
    if (w->attr != NULL) {
        w->held = PyObject_GetAttr(o, w->attr); // new; absent is a value too
        if (w->held == NULL) {
            PyErr_Clear();
        }
        return 0;
    }
    if (PyList_Check(o)) {
        w->held = PyList_AsTuple(o); // new
        if (w->held == NULL) {
            return -1;
        }
        w->n = PyTuple_GET_SIZE(w->held); // the list may have changed while the tuple was made
        return 0;
    }
    Py_ssize_t n = PyDict_GET_SIZE(o);
    w->held = PyTuple_New(n * 2); // new
    if (w->held == NULL) {
        return -1;
    }
    /* Making the tuple may have run code, too: a dict of another size than w->n has changed. */
    Py_ssize_t pos = 0;
    PyObject *key, *value; // borrowed
    while (w->n < n && PyDict_Next(o, &pos, &key, &value)) {
        PyTuple_SET_ITEM(w->held, w->n * 2, Py_NewRef(key));
        PyTuple_SET_ITEM(w->held, w->n * 2 + 1, Py_NewRef(value));
        w->n++;
    }
    return 0;
}

/* 1: an attribute is another object than it was. Its code may replace the watches: then w is not to be used again. */
static int
attr_changed(hot_watch *w)
{
    PyObject *object = Py_NewRef(w->object), *attr = Py_NewRef(w->attr), *held = Py_XNewRef(w->held);
    PyObject *now = PyObject_GetAttr(object, attr); // new
    if (now == NULL) {
        PyErr_Clear();
    }
    int changed = now != held;
    Py_XDECREF(now);
    Py_XDECREF(held);
    Py_DECREF(attr);
    Py_DECREF(object);
    return changed;
}

static int
watch_one_changed(hot_watch *w)
{
    if (w->attr != NULL) {
        return attr_changed(w);
    }
    if (PyList_Check(w->object)) {
        if (PyList_GET_SIZE(w->object) != w->n) {
            return 1;
        }
        PyObject **now = ((PyListObject *)w->object)->ob_item;
        return w->n > 0 && memcmp(now, ((PyTupleObject *)w->held)->ob_item, (size_t)w->n * sizeof *now) != 0;
    }
    if (PyDict_GET_SIZE(w->object) != w->n) {
        return 1;
    }
    Py_ssize_t pos = 0, i = 0;
    PyObject *key, *value; // borrowed
    while (PyDict_Next(w->object, &pos, &key, &value)) {
        if (key != PyTuple_GET_ITEM(w->held, i) || value != PyTuple_GET_ITEM(w->held, i + 1)) {
            return 1;
        }
        i += 2;
    }
    return 0;
}

int
watch_changed(hot_server *srv)
{
    unsigned made = srv->watches_made;
    for (Py_ssize_t i = 0; i < srv->n_watches; i++) {
        if (watch_one_changed(&srv->watches[i])) {
            return 1;
        }
        if (made != srv->watches_made) {
            return 0; // other ones, as of now
        }
    }
    return 0;
}

static int
watch_add(hot_watch *w, PyObject *object, PyObject *attr)
{
    w->object = Py_NewRef(object);
    w->attr = Py_XNewRef(attr);
    return watch_snapshot(w);
}

/* watch: an object with `lists`, `dicts` and `attrs` (pairs of object and name), or None. */
int
watch_set(hot_server *srv, PyObject *watch)
{
    hot_state *st = srv->st;
    PyObject *names[3] = {st->s_lists, st->s_dicts, st->s_attrs};
    PyObject *parts[3] = {NULL, NULL, NULL};
    hot_watch *made = NULL;
    Py_ssize_t n = 0, total = 0;
    int rc = -1;
    for (int k = 0; watch != Py_None && k < 3; k++) {
        PyObject *part = PyObject_GetAttr(watch, names[k]); // new
        if (part == NULL) {
            goto done;
        }
        parts[k] = PySequence_Tuple(part); // new
        Py_DECREF(part);
        if (parts[k] == NULL) {
            goto done;
        }
        total += PyTuple_GET_SIZE(parts[k]);
    }
    made = PyMem_Calloc((size_t)total + 1, sizeof *made);
    if (made == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    for (int k = 0; k < 3 && parts[k] != NULL; k++) {
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(parts[k]); i++) {
            PyObject *o = PyTuple_GET_ITEM(parts[k], i), *attr = NULL; // borrowed
            bool ok = k == 0   ? PyList_Check(o)
                      : k == 1 ? PyDict_Check(o)
                               : PyTuple_Check(o) && PyTuple_GET_SIZE(o) == 2;
            if (!ok) {
                PyErr_Format(PyExc_TypeError, "turboapi: watch.%U holds %R", names[k], o);
                goto done;
            }
            if (k == 2) {
                attr = PyTuple_GET_ITEM(o, 1);
                o = PyTuple_GET_ITEM(o, 0);
            }
            if (watch_add(&made[n++], o, attr) < 0) {
                goto done;
            }
        }
    }
    watch_replace(srv, made, n);
    made = NULL;
    rc = 0;
done:
    for (Py_ssize_t i = 0; made != NULL && i < n; i++) {
        watch_drop(&made[i]);
    }
    PyMem_Free(made);
    for (int k = 0; k < 3; k++) {
        Py_XDECREF(parts[k]);
    }
    return rc;
}
