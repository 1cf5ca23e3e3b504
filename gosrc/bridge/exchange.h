/* The exchange: one request and its response, shared by Go and C.
 *
 * A record lives in C memory, comes from a free list (bridge.Acquire) and goes
 * back to it (bridge.Release). It has one owner at a time:
 *
 *   transport (Go)  fills the request part           until the REQUEST event
 *   lane (C/Python) fills the response part          from REQUEST to RELEASE
 *   transport (Go)  consumes `ops` in Flush          during each Flush call
 *
 * `gen` grows with each Release, so a Python object that kept (record, gen)
 * finds out that its exchange is over. Go's twin of this layout is
 * bridge.Exchange; bridge_test.go compares every offset.
 */
#ifndef TURBO_EXCHANGE_H
#define TURBO_EXCHANGE_H

#include <stdint.h>

typedef struct {
    uint32_t off, len; /* bytes in x->req */
} turbo_span;

typedef struct {
    turbo_span name, value; /* name in lower case, value without OWS */
} turbo_field;

/* What Go made of one plan parameter. */
enum {
    TURBO_SLOT_MISSING = 0, /* not sent: the plan's default */
    TURBO_SLOT_STR = 1,     /* s: UTF-8, percent-decoded */
    TURBO_SLOT_LATIN1 = 2,  /* s: bytes, one code point each (header values) */
    TURBO_SLOT_INT = 3,     /* i */
    TURBO_SLOT_FLOAT = 4,   /* f */
    TURBO_SLOT_BOOL = 5,    /* i: 0 or 1 */
    TURBO_SLOT_LIST = 6,    /* s: off of an array of turbo_span, len = count; each UTF-8 */
    TURBO_SLOT_LIST_LATIN1 = 7
};

typedef struct {
    uint8_t kind;
    uint8_t ascii; /* 1: STR is pure ASCII */
    uint8_t pad[6];
    union {
        int64_t i;
        double f;
        turbo_span s;
    } u;
} turbo_slot;

/* One part of a form that Go has parsed. Its spans are bytes of x->body. */
enum {
    TURBO_PART_TEXT = 0,  /* value is UTF-8 */
    TURBO_PART_FILE = 1,  /* value is the content */
    TURBO_PART_SPOOLED = 2 /* the content is size bytes of spools[file] */
};

typedef struct {
    turbo_span name, filename, value; /* name, filename: UTF-8 */
    uint32_t fields, n_fields;        /* the part's own fields, in x->part_fields; names as they came */
    uint32_t file;
    uint8_t kind; /* TURBO_PART_* */
    uint8_t pad[3];
    uint64_t size; /* of the content */
} turbo_part;

/* Bytes of the body that went to an unlinked file, from its offset 0. The body
   as it came is body[..at], the file, body[at..]. The descriptor belongs to the
   record; Release closes it. */
typedef struct {
    uint64_t at, len;
    int32_t fd;
    uint8_t pad[4];
} turbo_spool;

/* Request flags, written by Go. */
enum {
    TURBO_REQ_BODY_END = 1,  /* all of the body is in body[0..body_len) */
    TURBO_REQ_ODD = 2,       /* a parameter or the body is not canonical: run the fallback */
    TURBO_REQ_GONE = 4,      /* the client left; nothing more can be sent */
    TURBO_REQ_HEAD = 8,      /* method HEAD */
    TURBO_REQ_ORIGIN = 16,   /* has an Origin field */
    TURBO_REQ_HAS_QUERY = 32,
    TURBO_REQ_UNIX = 64,     /* Unix socket: no client address */
    TURBO_REQ_TLS = 128,     /* scheme https */
    TURBO_REQ_CONTINUE = 256, /* Expect: 100-continue not yet answered */
    TURBO_REQ_WEBSOCKET = 512, /* a WebSocket handshake: ACCEPT opens the conversation, HEAD and END deny it */
    TURBO_REQ_FORM = 1024      /* the body is a form, and parts tell what is in it */
};

/* What the lane asks of the transport, consumed (and cleared) by Flush. */
enum {
    TURBO_OP_HEAD = 1,     /* status and fields are set */
    TURBO_OP_END = 2,      /* the response is complete */
    TURBO_OP_RELEASE = 4,  /* the lane will not touch the record again */
    TURBO_OP_ABORT = 8,    /* close the connection, the response can't be completed */
    TURBO_OP_WANT = 16,    /* the application waits for body: send 100 Continue if due, read on */
    TURBO_OP_EARLY = 32,   /* fields are those of a 103 Early Hints */
    TURBO_OP_CLOSE = 64,   /* close the connection after this response */
    TURBO_OP_ACCEPT = 128  /* WebSocket: fields belong to the 101; from here on inbox and out hold messages */
};

/* A message of an accepted WebSocket, in the inbox and in out: this head, then len bytes. They follow each other without
   padding, so copy the head out. In the inbox CLOSE is the last one; what the lane sends behind its own CLOSE is dropped. */
typedef struct {
    uint32_t len;
    uint16_t code; /* of CLOSE; its bytes are the reason, UTF-8 */
    uint8_t kind;  /* TURBO_MSG_* */
    uint8_t pad;
} turbo_message;

enum {
    TURBO_MSG_TEXT = 1, /* UTF-8, checked where it was received */
    TURBO_MSG_BINARY = 2,
    TURBO_MSG_CLOSE = 8
};

/* Ready-made heads: status and content-type are known, only the length differs. */
enum {
    TURBO_PRESET_NONE = 0, /* use fields */
    TURBO_PRESET_JSON = 1  /* content-length, content-type: application/json */
};

enum { TURBO_PLAN_APP = -1 }; /* no plan: run the ASGI application */

#define TURBO_REQ_INLINE 2304
#define TURBO_OUT_INLINE 1280
#define TURBO_SERVER_HOST 110 /* 108 bytes of a Unix socket's path, a NUL and one to fill the word */

typedef struct turbo_exchange {
    /* identity */
    uint32_t gen;
    uint32_t index;     /* of the record, for the life of the process */
    uint64_t conn;      /* the transport's name for the connection, 0: detached */
    uint64_t t_read;    /* monotonic ns when the head was complete */
    uint32_t version;   /* of the route table that chose plan */
    int32_t plan;       /* plan id in that table, or TURBO_PLAN_APP */
    uint8_t transport;  /* 1 reactor, 2 fasthttp server */
    uint8_t method;     /* wire.Method */
    uint8_t minor;      /* HTTP/1.minor */
    uint8_t lane_state; /* C's own */
    uint32_t flags;     /* TURBO_REQ_* */

    /* request: everything below points into req */
    char *req; /* req_inline, or malloc'ed and freed by Release */
    uint32_t req_cap, req_len;
    turbo_span method_name, target, raw_path, query, path; /* path: percent-decoded, UTF-8 as sent */
    uint32_t fields_off, n_fields; /* array of turbo_field, 8-aligned */
    uint32_t slots_off, n_slots;   /* array of turbo_slot, 8-aligned */
    int32_t origin, content_type;  /* index of the first such field, or -1 */

    /* body inbox: filled by Go on the loop's thread, emptied by the lane on it.
       Buffered plans: the whole body. body is in req, or malloc'ed (body_cap > 0).
       To empty it the lane sets body_len = 0 and leaves body and body_cap alone. */
    char *body;
    uint64_t body_len, body_cap;
    uint8_t want; /* the application waits: a BODY event is due when something comes */
    /* Go's own, down to length_left */
    uint8_t sent_head;    /* the final head was formatted */
    uint8_t ended;        /* the response is complete or given up */
    uint8_t framing;      /* exchange.framing: how later payload is framed */
    uint8_t keep_alive;   /* the head did not say close */
    uint8_t listed;       /* in the free list: a second Release is refused */
    uint8_t pad1[2];
    uint64_t length_left; /* bytes that the announced Content-Length still allows */

    /* "form" bodies. Go fills all of it before the REQUEST event and frees it with Release.
       Without the flag FORM there may be files all the same: the application gets the body as it came. */
    turbo_part *parts;
    turbo_field *part_fields;
    turbo_spool *spools;
    uint32_t n_parts, n_part_fields, n_spools;
    uint8_t pad4[4];

    /* response: written by the lane, consumed by Flush */
    uint32_t ops;    /* TURBO_OP_* */
    uint16_t status;
    uint8_t preset;  /* TURBO_PRESET_* */
    uint8_t pad2;
    char *fields;    /* packed: {u32 nlen, u32 vlen, name, value}*; malloc'ed when fields_cap > 0 */
    uint32_t fields_len, fields_cap;
    char *out;       /* payload; out_inline, or malloc'ed when out_cap > TURBO_OUT_INLINE */
    uint64_t out_len, out_cap;
    uint64_t unsent; /* written by Flush: payload bytes the kernel has not taken yet */
    /* With OP_END a file may follow the payload. The lane gives its descriptor away by
       setting `file`; from then on it is Go's to close. */
    int64_t file_at, file_len; /* where to begin, and how many bytes */
    int32_t file;              /* descriptor + 1, 0: none */
    uint32_t pad3;

    /* addresses, NUL-terminated text; that of a Unix socket is its path */
    char client_host[46];
    uint16_t client_port;
    /* C's and the lanes' own; Go never looks */
    void *lane_plan;
    void *lane_obj;
    void *lane_arg;
    struct turbo_exchange *lane_next;
    void *lane_context; /* contextvars.Context of the last task on the loop lane, or NULL */

    /* Acquire does not zero what is below, but for the first byte of server_host. */
    uint16_t server_port;
    char server_host[TURBO_SERVER_HOST];

    char req_inline[TURBO_REQ_INLINE];
    char out_inline[TURBO_OUT_INLINE];
} turbo_exchange;

/* Kinds of event that Turn hands to the lanes. */
enum {
    TURBO_EV_REQUEST = 1, /* a new exchange; the lane owns it from here */
    TURBO_EV_BODY = 2,    /* x->want was set: more body, or BODY_END */
    TURBO_EV_GONE = 3,    /* the client left; with the flag GONE nothing can be sent to it */
    TURBO_EV_DRAINED = 4  /* unsent fell to TURBO_LOW_WATER, after Flush reported more than TURBO_HIGH_WATER */
};

#define TURBO_HIGH_WATER 65536
#define TURBO_LOW_WATER 16384
#define TURBO_INBOX_MAX 65536 /* a streamed body is read ahead this far */

/* Bytes that hang on exchanges or wait for clients, in the whole process. Whoever
   mallocs or frees what belongs to a record says so; Release subtracts what is
   left by the capacities. Any thread. */
extern int64_t turbo_held;

static inline void
turbo_hold(int64_t n)
{
    __atomic_fetch_add(&turbo_held, n, __ATOMIC_RELAXED);
}

typedef struct {
    turbo_exchange *x;
    uint32_t gen;
    uint32_t kind; /* TURBO_EV_* */
} turbo_event;

#endif
