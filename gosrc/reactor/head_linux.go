package reactor

import (
	"sync/atomic"

	"turboapi/gosrc/bridge"
	"turboapi/gosrc/exchange"
	"turboapi/gosrc/websocket"
	"turboapi/gosrc/wire"
)

var errInternal = &wire.Refusal{Status: 500, Detail: "Internal Server Error"}

// readHead reads and parses until a request head is complete or the socket is
// empty. At most one read a step.
func (r *Reactor) readHead(c *conn) {
	in, mayRead := c.in, true
	if in == nil {
		// Nothing is left from before: read into the reactor's own input, which
		// is empty between steps.
		in = &r.in
		in.off, in.end = 0, 0
		in.parser.Reset(&r.host.Limits.Wire)
		in.body = wire.Body{}
		if !r.receive(c, in) {
			r.idle(c)
			return
		}
		mayRead = false
	}
	for {
		done, refusal := in.parser.Parse(in.bytes(), &in.head)
		if refusal != nil {
			if in.head.MethodID == wire.MethodHEAD {
				c.set(headOnly)
			}
			r.keepHead(c, in) // the log's line is about it
			r.refuse(c, refusal)
			return
		}
		if done {
			r.request(c, in)
			return
		}
		if !mayRead || !r.receive(c, in) {
			break
		}
		mayRead = false
	}
	r.keepHead(c, in)
	r.idle(c)
}

// receive reads once, behind what in holds. It reports whether there was
// something; the flags tell what is to be expected next.
func (r *Reactor) receive(c *conn, in *input) bool {
	if !c.is(readable) {
		return false
	}
	if in != &r.in {
		r.room(in)
	}
	n := r.readInto(c, in.buf[in.end:])
	in.end += n
	return n > 0
}

// readInto reads once and notes what that says about the socket. It returns the
// number of bytes, 0 when there are none now or for ever.
func (r *Reactor) readInto(c *conn, p []byte) int {
	n, e := read(c.fd, p)
	switch {
	case e == eAgain:
		c.unset(readable)
		return 0
	case e != 0:
		c.set(broken)
		r.push(c)
		return 0
	case n == 0:
		c.unset(readable)
		c.set(finished)
		return 0
	}
	r.bytes += n
	r.bytesIn += int64(n)
	if n < len(p) {
		// The socket is empty: the next bytes make a new edge. With a FIN seen
		// there is nothing behind it.
		c.unset(readable)
	}
	return n
}

// idle leaves a connection without a complete head until there is news, or
// closes it where there will be none.
func (r *Reactor) idle(c *conn) {
	started := c.in != nil && c.in.parser.Started()
	switch {
	case c.is(readable):
		r.push(c) // its turn comes again, after the others
	case c.is(finished):
		r.shut(c) // half a request has nobody left who could finish it
	case r.draining.Load() && !started && !c.is(fresh):
		r.shut(c)
	case started && !c.is(timed):
		// The limit for a head runs from its first byte, and for the first head
		// from accept.
		c.set(timed)
		if !c.is(fresh) {
			c.since = r.now
		}
		r.due(c)
	case r.draining.Load():
		r.due(c)
	}
}

// request makes an exchange of the head in in.
func (r *Reactor) request(c *conn, in *input) {
	h := &in.head
	x := bridge.Acquire()
	r.live.Add(1)
	r.requests++
	c.x = x
	x.Transport = transportID
	x.TRead = r.now
	if c.is(unixSocket) {
		x.Flags |= bridge.ReqUnix
		x.SetServer(r.listeners[c.listener].path, 0)
	} else {
		x.ClientHost, x.ClientPort = c.client.host, c.client.port
		x.ServerPort = c.server.port
		copy(x.ServerHost[:], c.server.host[:]) // with its NUL
	}
	disposition := r.table.Fill(x, h, in.bytes())
	in.off += h.Len
	in.body.Reset(h, &r.host.Limits.Wire)
	in.form = nil
	c.unset(fresh | timed | closing | expecting | gone | leaving | left | high)
	if !h.KeepAlive {
		c.set(closing)
	}
	if in.body.Done() {
		x.Flags |= bridge.ReqBodyEnd
	} else if h.Expect100 {
		c.set(expecting)
		x.Flags |= bridge.ReqContinue
	}
	if h.WebSocket {
		if refusal := websocket.Check(x, h); refusal != nil {
			r.refuse(c, refusal)
			return
		}
	}
	switch disposition {
	case exchange.Static:
		r.keepRest(c, in)
		r.answerStatic(c)
	case exchange.Form:
		in.form = r.table.NewForm(x, r.host.Limits.Body)
		fallthrough
	case exchange.Buffer:
		c.phase = phaseCollect
		r.collectInto(c, in)
	default:
		r.dispatch(c, in)
	}
}

// dispatch hands the exchange to the lanes, with what is here of its body.
func (r *Reactor) dispatch(c *conn, in *input) {
	x := c.x
	if x.Flags&bridge.ReqBodyEnd == 0 {
		if refusal := r.unframe(c, in, in.bytes()); refusal != nil {
			r.refuse(c, refusal)
			return
		}
		if c.is(expecting) && in.body.Received() > 0 {
			r.sayContinued(c) // it did not wait for it (RFC 9110, 10.1.1)
		}
	}
	r.keepRest(c, in)
	c.phase, c.since = phaseBusy, r.now
	atomic.StoreUint64(&x.Conn, c.id)
	r.emit(x, bridge.EvRequest)
	if c.is(finished) {
		r.leave(c)
	}
}
