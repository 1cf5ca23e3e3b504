package reactor

import (
	"bytes"
	"sync/atomic"
	"syscall"

	"turboapi/gosrc/bridge"
	"turboapi/gosrc/core"
	"turboapi/gosrc/wire"
)

const eAgain = syscall.EAGAIN

// maxLinger is how much is read and thrown away of a client that was refused.
const maxLinger = 4 << 20

// goOn does what is left of an answered request, then turns to the next one.
func (r *Reactor) goOn(c *conn) {
	if c.unsent() > 0 {
		if !c.is(timed) {
			c.set(timed)
			c.since = r.now
			r.due(c)
		}
		return
	}
	if !c.is(closing) && !c.bodyDone() {
		if r.skip(c) {
			return
		}
	}
	if c.is(closing) || r.draining.Load() {
		r.finish(c)
		return
	}
	c.unset(timed | expecting | gone | leaving | left | high)
	c.phase = phaseHead
	if c.in != nil && !c.unread() {
		r.forget(c)
	}
	if c.in == nil && !c.is(readable) {
		r.idle(c)
		return
	}
	r.readHead(c)
}

// skip reads over a body that no lane wanted, at most one read a step. It
// reports whether that has to go on.
func (r *Reactor) skip(c *conn) bool {
	in := c.in
	if c.is(expecting) || in.body.Remaining() > maxSkip {
		// It may never come, or is too much.
		c.set(closing)
		return false
	}
	for mayRead := true; !in.body.Done(); {
		src := in.bytes()
		if len(src) == 0 {
			if !mayRead || !r.receive(c, in) {
				break
			}
			mayRead = false
			continue
		}
		_, n, refusal := in.body.Next(src)
		in.off += n
		if refusal != nil || in.body.Received() > maxSkip+bridge.InboxMax {
			c.set(closing)
			return false
		}
	}
	switch {
	case in.body.Done():
		return false
	case c.is(readable):
		r.push(c)
	case c.is(finished):
		r.shut(c)
	case !c.is(timed):
		c.set(timed)
		c.since = r.now
		r.due(c)
	}
	return true
}

// finish closes a connection after its last answer. With bytes unread a plain
// close would reset it, and the answer could be lost on its way.
func (r *Reactor) finish(c *conn) {
	if c.is(readable) || !c.is(finished) && (!c.bodyDone() || c.unread()) {
		r.beginLinger(c)
		return
	}
	r.shut(c)
}

// answerStatic answers c's exchange from the table; no lane sees it.
func (r *Reactor) answerStatic(c *conn) {
	x := c.x
	b, status, closes := r.table.AppendStatic(r.own.buf[:0], x, r.mayGoOn(c), r.host.Clock.Own())
	r.own.buf, r.own.now = b[:0], r.now
	if closes {
		c.set(closing)
	}
	r.writeOne(c, &r.own, b)
	r.own.responses++
	if r.host.Options.AccessLog {
		r.host.Log.Access(x, status, core.Now())
	}
	r.detach(c)
	c.phase, c.since = phaseAnswered, r.now
	// The next request waits for the next step, behind those of others.
	r.push(c)
}

// refuse answers a request that is not served and ends the connection (RFC
// 9112, 9.6). An exchange that no lane knows is taken back.
func (r *Reactor) refuse(c *conn, refusal *wire.Refusal) {
	r.logRefusal(c, refusal.Status)
	r.turnAway(c, refusal)
}

// turnAway is refuse without a line in the access log.
func (r *Reactor) turnAway(c *conn, refusal *wire.Refusal) {
	b := r.appendRefusal(r.own.buf[:0], c, refusal)
	r.own.buf, r.own.now = b[:0], r.now
	r.detach(c)
	c.set(closing)
	c.phase = phaseAnswered
	r.writeOne(c, &r.own, b)
	if c.unsent() == 0 {
		r.beginLinger(c)
	} else {
		c.set(readable) // linger afterwards
		r.due(c)
	}
}

// logRefusal writes the access log's line about a request that is not served.
func (r *Reactor) logRefusal(c *conn, status int) {
	if !r.host.Options.AccessLog {
		return
	}
	if c.x != nil {
		r.host.Log.Access(c.x, status, core.Now())
		return
	}
	var method, target []byte
	minor := uint8(0)
	if in := c.in; in != nil && in.parser.Started() {
		// Else the head is an earlier request's.
		b := in.bytes()
		method, target, minor = in.head.Method.Of(b), in.head.Target.Of(b), in.head.Minor
	}
	host, _, _ := bytes.Cut(c.client.host[:], []byte{0})
	r.host.Log.Refused(host, c.client.port, method, target, minor, status)
}

// appendRefusal appends the answer to a request that is not served.
func (r *Reactor) appendRefusal(dst []byte, c *conn, refusal *wire.Refusal) []byte {
	r.host.Count.Refuse(refusal.Status)
	if c.is(headOnly) || c.x != nil && c.x.Flags&bridge.ReqHead != 0 {
		return wire.AppendRefusalHead(dst, refusal, r.host.Clock.Own())
	}
	return wire.AppendRefusal(dst, refusal, r.host.Clock.Own())
}

// beginLinger says that nothing more comes and reads on for a while, so that the
// client gets the answer and not a reset.
func (r *Reactor) beginLinger(c *conn) {
	r.forget(c)
	r.dropOut(c)
	c.phase, c.since = phaseLinger, r.now
	c.unset(timed)
	shutdown(c.fd, syscall.SHUT_WR)
	r.due(c)
	r.linger(c)
}

// linger reads and throws away, counting in c.sent. One read a step.
func (r *Reactor) linger(c *conn) {
	if c.is(readable) {
		n := r.readInto(c, r.in.buf)
		c.sent += n
	}
	switch {
	case c.sent > maxLinger:
		r.shut(c)
	case c.is(readable):
		r.push(c)
	case c.is(finished):
		r.shut(c)
	}
}

// lose ends a connection that nothing can be sent to any more. The lanes are
// told, unless they were or have answered.
func (r *Reactor) lose(c *conn) {
	if c.phase == phaseBusy || c.phase == phaseOpen && c.x != nil {
		r.abandon(c)
	}
	r.shut(c)
}

// abandon takes the connection from the exchange that a lane has, and tells it
// unless it was told before.
func (r *Reactor) abandon(c *conn) {
	x := c.x
	orFlags(x, bridge.ReqGone)
	r.sayLeft(c)
	r.detach(c)
}

// detach ends what the connection has to do with its exchange. One that the
// lanes know stays theirs until they release it; any other is recycled.
func (r *Reactor) detach(c *conn) {
	x := c.x
	if x == nil {
		return
	}
	c.x = nil
	if c.phase == phaseBusy || c.phase == phaseOpen {
		atomic.StoreUint64(&x.Conn, 0)
		return
	}
	x.Conn = 0
	r.live.Add(-1)
	bridge.Release(x)
}

// shut closes the descriptor and frees the slot. The loop's thread only.
func (r *Reactor) shut(c *conn) {
	r.detach(c)
	r.forget(c)
	r.dropOut(c)
	r.wheel.remove(c)
	if c.is(resetting) {
		setLinger0(c.fd)
	} else {
		// A forked child may have a copy of the descriptor: without the shutdown
		// the client would not see the end.
		shutdown(c.fd, syscall.SHUT_RDWR)
	}
	closeFD(int(c.fd))
	c.ws = nil
	slot := uint32(c.id) - 1
	c.id, c.phase, c.flags = 0, phaseClosed, c.flags&returned
	r.conns.free = append(r.conns.free, slot)
	r.open--
	r.host.Count.Connections.Add(-1)
	if r.acceptAt == never {
		r.resumeAccept()
	}
}

// orFlags and andFlags change the flags of an exchange that a lane may read at
// the same time.
func orFlags(x *bridge.Exchange, f uint32)  { atomic.OrUint32(&x.Flags, f) }
func andFlags(x *bridge.Exchange, f uint32) { atomic.AndUint32(&x.Flags, f) }
