package reactor

import (
	"time"

	"turboapi/gosrc/bridge"
	"turboapi/gosrc/wire"
)

const (
	// maxReserve is how much memory a Content-Length alone makes the engine
	// set aside; beyond it the body has to come.
	maxReserve = 1 << 20
	// maxSkip is how much of a body that no lane wanted is read over to keep the
	// connection; a client with more has to connect again.
	maxSkip = 256 << 10
)

// continue100 is the interim answer to Expect: 100-continue (RFC 9110, 10.1.1).
var continue100 = []byte("HTTP/1.1 100 Continue\r\n\r\n")

// collectInto begins a body that its plan wants whole.
func (r *Reactor) collectInto(c *conn, in *input) {
	limit := r.host.Limits.Body
	if left := in.body.Remaining(); left > 0 && in.form == nil {
		if limit > 0 && left > limit {
			r.refuse(c, wire.ErrContentTooLarge)
			return
		}
		if !c.x.HasRoom(uint64(left)) && r.host.Full(left) {
			r.refuse(c, wire.ErrMemory)
			return
		}
		c.x.ReserveBody(uint64(min(left, maxReserve)))
	}
	c.since = r.now
	if c.x.Flags&bridge.ReqBodyEnd == 0 {
		if refusal := r.take(c.x, in, in.bytes(), false); refusal != nil {
			r.refuse(c, refusal)
			return
		}
	}
	if r.settled(c, in) {
		return
	}
	if c.is(expecting) && in.body.Received() == 0 {
		r.writeOne(c, &r.own, continue100)
	}
	r.sayContinued(c)
	r.keepRest(c, in)
	r.due(c)
	r.collect(c)
}

// settled hands the exchange to who is next, and reports whether that is somebody
// else: the lanes, or those who write files.
func (r *Reactor) settled(c *conn, in *input) bool {
	switch {
	case c.x.Flags&bridge.ReqOdd != 0:
		in.form = nil
		r.dispatch(c, in)
	case in.form != nil && in.form.Waits():
		r.sayContinued(c)
		if in == &r.in {
			in = r.move(c, in)
		}
		in.parser.Reset(&r.host.Limits.Wire)
		r.spool(c)
	case in.body.Done():
		r.collected(c, in)
	default:
		return false
	}
	return true
}

// collect goes on with it. One read.
func (r *Reactor) collect(c *conn) {
	in := c.in
	if in.form != nil && in.form.Spools() {
		r.collectSpooled(c)
		return
	}
	if got, refusal := r.pull(c, false); refusal != nil {
		r.refuse(c, refusal)
		return
	} else if got {
		c.since = r.now
	}
	switch {
	case r.settled(c, in):
	case c.is(readable):
		r.push(c)
	case c.is(finished):
		r.lose(c)
	}
}

// collected dispatches an exchange whose body is complete.
func (r *Reactor) collected(c *conn, in *input) {
	c.x.Flags |= bridge.ReqBodyEnd
	r.sayContinued(c)
	if in.form != nil && in.form.Finish(c.x) != nil {
		c.x.Flags |= bridge.ReqOdd
	}
	in.form = nil
	r.table.Ready(c.x)
	r.dispatch(c, in)
}

// sayContinued notes that 100 Continue is not due any more.
func (r *Reactor) sayContinued(c *conn) {
	c.unset(expecting)
	andFlags(c.x, ^uint32(bridge.ReqContinue))
}

// pull moves body from what was read, or from one read, into the exchange, and
// reports whether something came. bounded: no more than the inbox may hold.
func (r *Reactor) pull(c *conn, bounded bool) (got bool, _ *wire.Refusal) {
	in := c.in
	if in == nil || in.body.Done() {
		return false, nil
	}
	before := in.body.Received()
	defer func() {
		if c.is(expecting) && in.body.Received() > before {
			r.sayContinued(c) // it did not wait for it
		}
	}()
	if in.off < in.end {
		if refusal := r.take(c.x, in, in.bytes(), bounded); refusal != nil {
			return false, refusal
		}
	} else if c.is(readable) && !(bounded && c.x.BodyLen >= bridge.InboxMax) {
		// Through the reactor's buffer: the connection's own is for leftovers.
		p := r.in.buf
		if left := in.body.Remaining(); left > 0 && left < int64(len(p)) {
			p = p[:left] // the next request may stay where it is
		}
		n := r.readInto(c, p)
		if n > 0 {
			in.off, in.end = 0, 0
			if refusal := r.takeOver(c.x, in, p[:n], bounded); refusal != nil {
				return false, refusal
			}
		}
	}
	return in.body.Received() > before || in.body.Done(), nil
}

// takeOver is take for bytes that are not in's own: what is left of them is
// copied there.
func (r *Reactor) takeOver(x *bridge.Exchange, in *input, src []byte, bounded bool) *wire.Refusal {
	refusal := r.take(x, in, src, bounded)
	rest := src[in.off:]
	in.off, in.end = 0, 0
	if refusal == nil && len(rest) > 0 {
		if len(in.buf) < len(rest) {
			r.buffers.put(in.buf)
			b := r.buffers.get(len(rest))
			in.buf = b[:cap(b)]
		}
		in.end = copy(in.buf, rest)
	}
	return refusal
}

// unframe is take, bounded, for what came with the head of a streamed body.
func (r *Reactor) unframe(c *conn, in *input, src []byte) *wire.Refusal {
	return r.take(c.x, in, src, true)
}

// take moves the payload in src into the exchange's inbox and moves in.off over
// what was used. Unbounded means a collected body, for which the limits of bodies
// and of memory hold.
func (r *Reactor) take(x *bridge.Exchange, in *input, src []byte, bounded bool) *wire.Refusal {
	limit := r.host.Limits.Body
	for len(src) > 0 && !in.body.Done() {
		part := src
		if bounded {
			// Framing only makes the payload shorter than what it stands in.
			room := bridge.InboxMax - int64(x.BodyLen)
			if room <= 0 {
				return nil
			}
			part = src[:min(room, int64(len(src)))]
		}
		data, n, refusal := in.body.Next(part)
		if refusal != nil {
			return refusal
		}
		in.off += n
		src = src[n:]
		if in.form != nil {
			if r.host.Full(int64(len(data))) {
				return wire.ErrMemory
			}
			if in.form.Write(x, data) != nil {
				x.Flags |= bridge.ReqOdd
			}
			if x.Flags&bridge.ReqOdd != 0 || in.form.Waits() {
				break // the rest is for somebody else
			}
			continue
		}
		if !bounded && limit > 0 && in.body.Received() > limit {
			return wire.ErrContentTooLarge
		}
		if bounded {
			x.AppendBody(data)
		} else if refusal := r.host.Collect(x, data, in.body.Remaining()); refusal != nil {
			return refusal
		}
	}
	if in.body.Done() {
		orFlags(x, bridge.ReqBodyEnd)
	}
	return nil
}

// attend looks after a connection whose exchange a lane has: body for its inbox,
// a queue that got shorter, a client that left.
func (r *Reactor) attend(c *conn) {
	x := c.x
	got, refusal := r.pull(c, true)
	if refusal != nil {
		r.spoilt(c, refusal)
		return
	}
	if got {
		c.since = r.now
	}
	complete := c.bodyDone()
	if x.Want != 0 && (x.BodyLen > 0 || complete) {
		x.Want = 0
		r.emit(x, bridge.EvBody)
	}
	if x.Want == 0 && c.unsent() == 0 {
		c.unset(timed)
	} else if !c.is(timed) {
		// From here on the client is waited for.
		c.set(timed)
		if c.unsent() == 0 {
			c.since = r.now
		}
		r.due(c)
	}
	if c.is(high) && (c.unsent() == 0 || c.unsent() < bridge.LowWater && !r.host.Full(0)) {
		c.unset(high)
		x.Unsent = uint64(c.unsent())
		r.emit(x, bridge.EvDrained)
	}
	if !complete && c.is(readable) && x.BodyLen < bridge.InboxMax {
		r.push(c)
		return
	}
	if c.is(finished) && (complete || !c.is(readable)) {
		if complete {
			r.leave(c)
		} else if !c.unread() {
			r.lose(c) // the rest of its body will not come
			return
		}
	}
	if c.is(left) {
		r.sayLeft(c)
	}
}

// halfClosed is how long a client that has shut down its sending side may look
// as if it waited for its answer, before the lanes are told that it left.
const halfClosed = 20 * time.Millisecond

// leaver is an exchange whose client has shut down its sending side.
type leaver struct {
	conn uint64
	x    *bridge.Exchange
	gen  uint32
	at   uint64
}

// leave notes that the client sends no more. That is how a client looks that is
// gone, and also one that waits for its answer (`nc -N`). So the lanes are told,
// but not at once, and the exchange stays attached: what they send is sent, and
// fails if nobody is there.
func (r *Reactor) leave(c *conn) {
	if c.is(leaving) {
		return
	}
	c.set(leaving)
	r.leavers = append(r.leavers, leaver{c.id, c.x, c.x.Gen, r.now + uint64(halfClosed)})
}

// lookLeft has those connections stepped whose client left long enough ago.
func (r *Reactor) lookLeft() {
	n := 0
	for _, l := range r.leavers {
		if l.at > r.now {
			break
		}
		n++
		if c := r.conns.get(l.conn); c != nil {
			c.mu.Lock()
			if c.id == l.conn && c.x == l.x && l.x.Gen == l.gen {
				c.set(left)
				r.push(c)
			}
			c.mu.Unlock()
		}
	}
	r.leavers = r.leavers[:copy(r.leavers, r.leavers[n:])]
}

// sayLeft tells the lanes, once.
func (r *Reactor) sayLeft(c *conn) {
	if !c.is(gone) {
		c.set(gone)
		r.host.Count.Gone.Add(1)
		r.emit(c.x, bridge.EvGone)
	}
}

// spoilt ends a request whose body turned out to be malformed while a lane has
// it. The client is told so unless an answer has begun.
func (r *Reactor) spoilt(c *conn, refusal *wire.Refusal) {
	begun, x := c.x.SentHead != 0, c.x
	if !begun {
		r.logRefusal(c, refusal.Status)
	}
	if x.Flags&bridge.ReqHead != 0 {
		c.set(headOnly)
	}
	r.abandon(c)
	if begun {
		c.phase = phaseAnswered
		c.set(closing)
		r.goOn(c)
		return
	}
	r.turnAway(c, refusal)
}
