/* A file as the body of a response: opened here, sent by Go. */
#include "asgi.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* http.response.pathsend (an ASGI extension): the file at `path` is the body and the end of the response. `offset` and
   `count`, which other servers do not know, make it a part of the file. It is opened here, so that what is wrong with it
   is raised in the application; the rest is Go's. */
int
asgi_send_path(hot_proxy *p, PyObject *message)
{
    hot_state *st = p->srv->st;
    turbo_exchange *x = p->x;
    PyObject *path = NULL, *name = NULL, *offset = NULL, *count = NULL;
    long long at = 0, n = -1;
    int fd = -1, rc = -1;
    struct stat found = {0};
    if ((path = asgi_need(message, st->s_path)) == NULL || !PyUnicode_FSConverter(path, &name) ||
        asgi_get(message, st->s_offset, &offset) < 0 || asgi_get(message, st->s_count, &count) < 0) {
        goto done;
    }
    if ((offset != NULL && (at = PyLong_AsLongLong(offset)) < 0) ||
        (count != NULL && (n = PyLong_AsLongLong(count)) < 0)) {
        if (!PyErr_Occurred()) {
            PyErr_SetString(PyExc_ValueError, "offset and count are at least 0");
        }
        goto done;
    }
    Py_BEGIN_ALLOW_THREADS;
    // A FIFO must not make the loop wait for its writer.
    fd = open(PyBytes_AS_STRING(name), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd >= 0 && fstat(fd, &found) == 0 && !S_ISREG(found.st_mode)) {
        close(fd);
        fd = -1;
        errno = S_ISDIR(found.st_mode) ? EISDIR : EINVAL;
    }
    Py_END_ALLOW_THREADS;
    if (fd < 0) {
        PyErr_SetFromErrnoWithFilenameObject(PyExc_OSError, path);
        goto done;
    }
    if (asgi_still_open(p, x, true) < 0) {
        goto done;
    }
    long long rest = found.st_size > at ? (long long)found.st_size - at : 0;
    x->file_at = at;
    x->file_len = n >= 0 && n < rest ? n : rest;
    x->file = fd + 1; // Go's from here on
    fd = -1;
    proxy_complete(p);
    rc = 0;
done:
    if (fd >= 0) {
        close(fd);
    }
    Py_XDECREF(count);
    Py_XDECREF(offset);
    Py_XDECREF(name);
    Py_XDECREF(path);
    return rc;
}
