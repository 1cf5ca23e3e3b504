/* What asgi.c and websocket.c share: awaitables and the reading of messages. */
#ifndef TURBO_ASGI_H
#define TURBO_ASGI_H

#include "hot.h"

PyObject *asgi_type(hot_state *st, PyObject *message); /* a str; new reference or NULL with an exception */
PyObject *asgi_message(hot_state *st, PyObject *type); /* {"type": type}; new reference or NULL */
/* message[key], kept alive: reading another key may run code that changes the message. *value: new reference or NULL.
   Returns -1 with an exception set. */
int asgi_get(PyObject *message, PyObject *key, PyObject **value);
PyObject *asgi_need(PyObject *message, PyObject *key); /* the same for a key that must be there */
void asgi_wake(hot_server *srv, PyObject **futures);   /* all that wait; each looks for itself */
int asgi_send_start(hot_proxy *p, PyObject *message);
int asgi_send_body(hot_proxy *p, PyObject *message);
/* Whether p's exchange is still x, and as far as before, after code of the application's ran. 0, or -1 with an exception
   set. */
int asgi_still_open(hot_proxy *p, turbo_exchange *x, bool started);

/* file.c */
int asgi_send_path(hot_proxy *p, PyObject *message); /* 0, or -1 with an exception set */

/* websocket.c */
PyObject *socket_message_now(hot_proxy *p); /* the next message for receive. NULL without an exception: wait */
int socket_send(hot_proxy *p, PyObject *message); /* 0, or -1 with an exception set */

#endif
