/* Plans as C sees them: which callable, with which arguments, on which lane. */
#include "hot.h"

static PyObject *
get(PyObject *o, PyObject *name)
{
    return PyObject_GetAttr(o, name); // new
}

static int
get_long(PyObject *o, PyObject *name, long *out)
{
    PyObject *v = get(o, name);
    if (v == NULL) {
        return -1;
    }
    *out = PyLong_AsLong(v);
    Py_DECREF(v);
    return *out == -1 && PyErr_Occurred() ? -1 : 0;
}

static int
get_bool(PyObject *o, PyObject *name, bool *out)
{
    PyObject *v = get(o, name);
    if (v == NULL) {
        return -1;
    }
    int t = PyObject_IsTrue(v);
    Py_DECREF(v);
    *out = t > 0;
    return t < 0 ? -1 : 0;
}

/* The index of a str attribute's value among the NULL-ended names. */
static int
get_choice(PyObject *o, PyObject *name, const char *const *names, int *out)
{
    PyObject *v = get(o, name);
    if (v == NULL) {
        return -1;
    }
    for (int i = 0; names[i] != NULL; i++) {
        if (PyUnicode_Check(v) && PyUnicode_CompareWithASCIIString(v, names[i]) == 0) {
            *out = i;
            Py_DECREF(v);
            return 0;
        }
    }
    PyErr_Format(PyExc_ValueError, "turboapi: a plan's %U cannot be %R", name, v);
    Py_DECREF(v);
    return -1;
}

static int
read_stages(hot_state *st, hot_plan *plan, PyObject *source)
{
    static const char *const lanes[] = {"loop", "call", NULL};
    int rc = -1;
    PyObject *stages = get(source, st->s_stages); // new
    if (stages == NULL) {
        return -1;
    }
    if (!PyTuple_Check(stages) || PyTuple_GET_SIZE(stages) < 1 || PyTuple_GET_SIZE(stages) > PLAN_MAX_STAGES) {
        PyErr_Format(PyExc_ValueError, "turboapi: a plan has a tuple of 1 to %d stages, not %R", PLAN_MAX_STAGES,
                     stages);
        goto done;
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(stages); i++) {
        PyObject *stage = PyTuple_GET_ITEM(stages, i);
        hot_stage *to = &plan->stages[i];
        if ((to->call = get(stage, st->s_call)) == NULL || get_choice(stage, st->s_lane, lanes, &to->lane) < 0 ||
            get_bool(stage, st->s_coroutine, &to->coroutine) < 0) {
            goto done;
        }
        plan->n_stages = (int)i + 1;
        if (to->lane == LANE_CALL && to->coroutine) {
            PyErr_SetString(PyExc_ValueError, "turboapi: a coroutine cannot run on the call lane");
            goto done;
        }
    }
    rc = 0;
done:
    Py_DECREF(stages);
    return rc;
}

static int
read_args(hot_state *st, hot_plan *plan, PyObject *source)
{
    static const char *const sources[] = {"slot", "proxy", "body", "const", NULL};
    int rc = -1;
    Py_ssize_t n, named = 0;
    PyObject *args = get(source, st->s_args); // new
    if (args == NULL) {
        return -1;
    }
    if (!PyTuple_Check(args) || PyTuple_GET_SIZE(args) > PLAN_MAX_ARGS) {
        PyErr_Format(PyExc_ValueError, "turboapi: a plan has a tuple of at most %d arguments", PLAN_MAX_ARGS);
        goto done;
    }
    n = PyTuple_GET_SIZE(args);
    plan->args = PyMem_Calloc(n ? n : 1, sizeof *plan->args);
    if (plan->args == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *name = get(PyTuple_GET_ITEM(args, i), st->s_name); // new
        if (name == NULL) {
            goto done;
        }
        named += name != Py_None;
        if (named && name == Py_None) {
            PyErr_SetString(PyExc_ValueError, "turboapi: a plan's positional arguments come first");
            Py_DECREF(name);
            goto done;
        }
        Py_DECREF(name);
    }
    if (named && (plan->kwnames = PyTuple_New(named)) == NULL) {
        goto done;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *arg = PyTuple_GET_ITEM(args, i);
        hot_arg *to = &plan->args[i];
        long index;
        if (get_choice(arg, st->s_source, sources, &to->source) < 0 || get_long(arg, st->s_index, &index) < 0 ||
            (to->value = get(arg, st->s_default)) == NULL) {
            goto done;
        }
        plan->n_args = (int)i + 1;
        if (index < 0 || index > INT32_MAX) {
            PyErr_Format(PyExc_ValueError, "turboapi: a plan's argument has no index %ld", index);
            goto done;
        }
        to->index = (uint32_t)index;
        if (i >= n - named) {
            PyObject *name = get(arg, st->s_name); // new
            if (name == NULL) {
                goto done;
            }
            if (!PyUnicode_Check(name)) {
                PyErr_Format(PyExc_TypeError, "turboapi: a plan's argument is named by a str, not %R", name);
                Py_DECREF(name);
                goto done;
            }
            PyUnicode_InternInPlace(&name);
            PyTuple_SET_ITEM(plan->kwnames, i - (n - named), name); // stolen
        }
    }
    rc = 0;
done:
    Py_DECREF(args);
    return rc;
}

/* The plan that middleware is around. Its depth is one: what makes HotPlans nests no further. */
static int
read_inner(hot_state *st, hot_plan *plan, PyObject *source)
{
    PyObject *inner = get(source, st->s_inner); // new
    if (inner == NULL) {
        return -1;
    }
    if (inner != Py_None) {
        plan->inner = plan_new(st, inner); // new
    }
    Py_DECREF(inner);
    return PyErr_Occurred() ? -1 : 0;
}

/* A plan from a turboapi.plan.HotPlan. New reference, or NULL with an exception set. */
PyObject *
plan_new(hot_state *st, PyObject *source)
{
    long status;
    hot_plan *plan = (hot_plan *)st->plan_type->tp_alloc(st->plan_type, 0); // new, zeroed
    if (plan == NULL) {
        return NULL;
    }
    if (read_stages(st, plan, source) < 0 || read_args(st, plan, source) < 0 ||
        get_long(source, st->s_status, &status) < 0 || get_bool(source, st->s_plain, &plan->plain) < 0 ||
        (plan->media = get(source, st->s_media)) == NULL || (plan->name = get(source, st->s_name)) == NULL ||
        (plan->encode = get(source, st->s_encode)) == NULL) {
        goto fail;
    }
    if (!PyBytes_Check(plan->media) || !PyUnicode_Check(plan->name) || status < 100 || status > 999) {
        PyErr_SetString(PyExc_TypeError,
                        "turboapi: a plan has media as bytes, name as str and a status of three digits");
        goto fail;
    }
    if (plan->encode == Py_None) {
        Py_CLEAR(plan->encode);
    }
    if (read_inner(st, plan, source) < 0) {
        goto fail;
    }
    plan->status = (int)status;
    plan->preset = status == 200 && PyObject_RichCompareBool(plan->media, st->json_type, Py_EQ) == 1;
    return (PyObject *)plan;
fail:
    Py_DECREF(plan);
    return NULL;
}

static void
plan_dealloc(PyObject *self)
{
    hot_plan *plan = (hot_plan *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    for (int i = 0; i < PLAN_MAX_STAGES; i++) {
        Py_XDECREF(plan->stages[i].call);
    }
    for (int i = 0; i < plan->n_args; i++) {
        Py_XDECREF(plan->args[i].value);
    }
    PyMem_Free(plan->args);
    Py_XDECREF(plan->kwnames);
    Py_XDECREF(plan->encode);
    Py_XDECREF(plan->inner);
    Py_XDECREF(plan->media);
    Py_XDECREF(plan->name);
    type->tp_free(self);
    Py_DECREF(type);
}

static int
plan_traverse(PyObject *self, visitproc visit, void *arg)
{
    hot_plan *plan = (hot_plan *)self;
    Py_VISIT(Py_TYPE(self));
    for (int i = 0; i < PLAN_MAX_STAGES; i++) {
        Py_VISIT(plan->stages[i].call);
    }
    for (int i = 0; i < plan->n_args; i++) {
        Py_VISIT(plan->args[i].value);
    }
    Py_VISIT(plan->encode);
    Py_VISIT(plan->inner);
    return 0;
}

/* Text from percent-decoded bytes that Go has checked to be UTF-8. */
static PyObject *
text_from(const char *p, uint32_t n, bool ascii)
{
    if (ascii) {
        PyObject *s = PyUnicode_New(n, 127); // new
        if (s != NULL && n > 0) {
            memcpy(PyUnicode_1BYTE_DATA(s), p, n);
        }
        return s;
    }
    return PyUnicode_DecodeUTF8(p, n, NULL);
}

static PyObject *
list_from(turbo_exchange *x, turbo_slot *slot)
{
    turbo_span *spans = (turbo_span *)(x->req + slot->u.s.off);
    PyObject *list = PyList_New(slot->u.s.len); // new
    for (uint32_t i = 0; list != NULL && i < slot->u.s.len; i++) {
        const char *p = x->req + spans[i].off;
        PyObject *s = slot->kind == TURBO_SLOT_LIST ? PyUnicode_DecodeUTF8(p, spans[i].len, NULL)
                                                    : PyUnicode_DecodeLatin1(p, spans[i].len, NULL);
        if (s == NULL) {
            Py_CLEAR(list);
            break;
        }
        PyList_SET_ITEM(list, i, s); // stolen
    }
    return list;
}

/* The Python value of one argument. New reference or NULL. */
static PyObject *
arg_value(hot_server *srv, hot_arg *arg, turbo_exchange *x)
{
    if (arg->source == ARG_SLOT && arg->index < x->n_slots) {
        turbo_slot *slot = (turbo_slot *)(x->req + x->slots_off) + arg->index;
        switch (slot->kind) {
        case TURBO_SLOT_STR:
            return text_from(x->req + slot->u.s.off, slot->u.s.len, slot->ascii);
        case TURBO_SLOT_LATIN1:
            return PyUnicode_DecodeLatin1(x->req + slot->u.s.off, slot->u.s.len, NULL);
        case TURBO_SLOT_INT:
            return PyLong_FromLongLong(slot->u.i);
        case TURBO_SLOT_FLOAT:
            return PyFloat_FromDouble(slot->u.f);
        case TURBO_SLOT_BOOL:
            return PyBool_FromLong((long)slot->u.i);
        case TURBO_SLOT_LIST:
        case TURBO_SLOT_LIST_LATIN1:
            return list_from(x, slot);
        default:
            return Py_NewRef(arg->value);
        }
    }
    switch (arg->source) {
    case ARG_PROXY:
        return proxy_of(srv, x);
    case ARG_BODY:
        return PyBytes_FromStringAndSize(x->body, (Py_ssize_t)x->body_len);
    default:
        return Py_NewRef(arg->value);
    }
}

PyObject *
plan_call(hot_server *srv, hot_plan *plan, turbo_exchange *x)
{
    PyObject *values[PLAN_MAX_ARGS + 1]; // [0] is free for PY_VECTORCALL_ARGUMENTS_OFFSET
    PyObject *result = NULL;
    int n = 0;
    if (plan->n_args == 0) {
        return PyObject_CallNoArgs(plan->stages[0].call);
    }
    for (; n < plan->n_args; n++) {
        if ((values[n + 1] = arg_value(srv, &plan->args[n], x)) == NULL) {
            goto done;
        }
    }
    Py_ssize_t named = plan->kwnames ? PyTuple_GET_SIZE(plan->kwnames) : 0;
    result = PyObject_Vectorcall(plan->stages[0].call, values + 1, (size_t)(n - named) | PY_VECTORCALL_ARGUMENTS_OFFSET,
                                 plan->kwnames); // new
done:
    for (int i = 0; i < n; i++) {
        Py_DECREF(values[i + 1]);
    }
    return result;
}

static PyType_Slot plan_slots[] = {
    {Py_tp_dealloc, plan_dealloc},
    {Py_tp_traverse, plan_traverse},
    {0, NULL},
};

PyType_Spec plan_spec = {
    .name = "turboapi._hot.Plan",
    .basicsize = sizeof(hot_plan),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = plan_slots,
};
