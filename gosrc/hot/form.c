/* Forms as Python sees them: the parts that Go found, and the body as it came for
   an application that reads it itself. */
#include "hot.h"

#include <unistd.h>

#define REPLAY_PIECE (256 * 1024) /* bytes of one ASGI message */

static PyObject *
text_of(turbo_exchange *x, turbo_span s)
{
    return PyUnicode_DecodeUTF8(x->body + s.off, s.len, NULL); // new
}

/* [(name, value), ...] in bytes: the fields of one part. New reference or NULL. */
static PyObject *
fields_of(turbo_exchange *x, turbo_part *part)
{
    PyObject *list = PyList_New(part->n_fields); // new
    for (uint32_t i = 0; list != NULL && i < part->n_fields; i++) {
        turbo_field *f = &x->part_fields[part->fields + i];
        PyObject *pair = Py_BuildValue("(y#y#)", x->body + f->name.off, (Py_ssize_t)f->name.len, x->body + f->value.off,
                                       (Py_ssize_t)f->value.len); // new
        if (pair == NULL) {
            Py_CLEAR(list);
        } else {
            PyList_SET_ITEM(list, i, pair); // stolen
        }
    }
    return list;
}

/* One part; see form_parts. New reference or NULL. */
static PyObject *
part_of(turbo_exchange *x, turbo_part *part)
{
    PyObject *made = NULL, *value = NULL, *filename = NULL, *fields = NULL;
    PyObject *name = text_of(x, part->name); // new
    if (name == NULL) {
        return NULL;
    }
    if (part->kind == TURBO_PART_TEXT) {
        if ((value = text_of(x, part->value)) != NULL) {
            made = PyTuple_Pack(2, name, value); // new
        }
        goto done;
    }
    if ((filename = text_of(x, part->filename)) == NULL || (fields = fields_of(x, part)) == NULL) {
        goto done;
    }
    value = part->kind == TURBO_PART_SPOOLED
                ? PyLong_FromLong(x->spools[part->file].fd)
                : PyBytes_FromStringAndSize(x->body + part->value.off, part->value.len); // new
    if (value != NULL) {
        made = Py_BuildValue("(OOOOK)", name, filename, fields, value, (unsigned long long)part->size); // new
    }
done:
    Py_DECREF(name);
    Py_XDECREF(value);
    Py_XDECREF(filename);
    Py_XDECREF(fields);
    return made;
}

/* The form's parts: (name, value) for a text, (name, filename, fields, content,
   size) for a file, whose content is bytes or the number of a descriptor that is
   the exchange's. Any lane, its owner. New reference or NULL. */
PyObject *
form_parts(turbo_exchange *x)
{
    if (!(x->flags & TURBO_REQ_FORM)) {
        PyErr_SetString(PyExc_RuntimeError, "turboapi: this exchange has no form");
        return NULL;
    }
    PyObject *list = PyList_New(x->n_parts); // new
    for (uint32_t i = 0; list != NULL && i < x->n_parts; i++) {
        PyObject *part = part_of(x, &x->parts[i]); // new
        if (part == NULL) {
            Py_CLEAR(list);
        } else {
            PyList_SET_ITEM(list, i, part); // stolen
        }
    }
    return list;
}

/* Close the record's descriptors of the form's files, which Python has copies of:
   the last close of a file is work for its disk, and happens where Python closes it.
   Any lane, its owner. */
void
form_taken(turbo_exchange *x)
{
    for (uint32_t i = 0; i < x->n_spools; i++) {
        if (x->spools[i].fd >= 0) {
            (void)close(x->spools[i].fd); // not the last one: nothing to be told
            x->spools[i].fd = -1;
        }
    }
}

/* n bytes of a file, fewer than asked for at most. New reference or NULL. */
static PyObject *
read_piece(turbo_spool *f, uint64_t from, size_t n)
{
    PyObject *piece = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)n); // new
    size_t done = 0;
    while (piece != NULL && done < n) {
        ssize_t got;
        char *to = PyBytes_AS_STRING(piece) + done;
        int fd = f->fd;
        Py_BEGIN_ALLOW_THREADS
        got = pread(fd, to, n - done, (off_t)(from + done));
        Py_END_ALLOW_THREADS
        if (got > 0) {
            done += (size_t)got;
        } else if (got == 0 || errno != EINTR) {
            if (got == 0) {
                errno = EIO; // somebody has cut the file
            }
            Py_CLEAR(piece);
            PyErr_SetFromErrno(PyExc_OSError);
        }
    }
    return piece;
}

static size_t
piece_size(uint64_t left)
{
    return left < REPLAY_PIECE ? (size_t)left : REPLAY_PIECE;
}

/* The body is memory, file, memory, file ... memory. More may still come behind
   the last. Loop's thread, or any where the body is complete. New reference or NULL. */
PyObject *
form_replay(hot_proxy *p)
{
    turbo_exchange *x = p->x;
    uint64_t at = p->replayed_n; // counted from the beginning of what is left
    uint64_t mem = 0;
    PyObject *piece = NULL;
    for (uint32_t i = 0; i <= x->n_spools; i++) {
        turbo_spool *f = i < x->n_spools ? &x->spools[i] : NULL;
        uint64_t n = (f ? f->at : x->body_len) - mem;
        if (at < n || f == NULL) {
            size_t size = piece_size(n - at);
            piece = PyBytes_FromStringAndSize(x->body + mem + at, (Py_ssize_t)size); // new
            p->replayed = f == NULL && at + size == n;
            break;
        }
        at -= n;
        mem = f->at;
        if (at < f->len) {
            piece = read_piece(f, at, piece_size(f->len - at)); // new
            break;
        }
        at -= f->len;
    }
    if (piece != NULL) {
        p->replayed_n += (uint64_t)PyBytes_GET_SIZE(piece);
    }
    return piece;
}
