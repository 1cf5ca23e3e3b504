/* What await.c, asgi.c, proxy.c, websocket.c and file.c share: awaitables and the reading of messages. */
#ifndef TURBO_ASGI_H
#define TURBO_ASGI_H

#include "hot.h"

/* await.c */
PyObject *asgi_ready(hot_state *st, PyObject *value /* stolen, may be NULL */); /* an awaitable with its value */
PyObject *asgi_rest(hot_state *st);                   /* one of None, when the loop has been round once */
PyObject *asgi_pending(hot_proxy *p, bool for_send);  /* one that waits for a message, or for room to send */
PyObject *asgi_hearing(hot_proxy *p, int kind);       /* one for socket_hear_now */
void asgi_wake(hot_server *srv, PyObject **futures);  /* all that wait; each looks for itself */

/* asgi.c */
PyObject *asgi_message_now(hot_proxy *p); /* the next message for receive. NULL without an exception: wait */
bool asgi_may_send(hot_proxy *p);
bool asgi_elsewhere(hot_proxy *p); /* what is not here yet can not be waited for on this thread */
PyObject *asgi_type(hot_state *st, PyObject *message); /* a str; new reference or NULL with an exception */
PyObject *asgi_message(hot_state *st, PyObject *type); /* {"type": type}; new reference or NULL */
/* message[key], kept alive: reading another key may run code that changes the message. *value: new reference or NULL.
   Returns -1 with an exception set. */
int asgi_get(PyObject *message, PyObject *key, PyObject **value);
PyObject *asgi_need(PyObject *message, PyObject *key); /* the same for a key that must be there */
int asgi_send_start(hot_proxy *p, PyObject *message);
int asgi_send_body(hot_proxy *p, PyObject *message);
/* Whether p's exchange is still x, and as far as before, after code of the application's ran. 0, or -1 with an exception
   set. */
int asgi_still_open(hot_proxy *p, turbo_exchange *x, bool started);

/* file.c */
int asgi_send_path(hot_proxy *p, PyObject *message); /* 0, or -1 with an exception set */

/* websocket.c */
PyObject *socket_message_now(hot_proxy *p); /* the next message for receive. NULL without an exception: wait */
int socket_put(turbo_exchange *x, int kind, int code, const char *payload,
               Py_ssize_t n); /* 0, or -1 with an exception */
int socket_put_text(turbo_exchange *x, PyObject *text); /* the same; UnicodeEncodeError for a lone surrogate */
int socket_send(hot_proxy *p, PyObject *message); /* 0, or -1 with an exception set */

/* talk.c */
PyObject *socket_hear_now(hot_proxy *p, int kind);

#endif
