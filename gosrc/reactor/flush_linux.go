package reactor

import (
	"sync/atomic"
	"syscall"
	"unsafe"

	"turboapi/gosrc/bridge"
	"turboapi/gosrc/core"
	"turboapi/gosrc/exchange"
	"turboapi/gosrc/wire"
)

// Flush writes what the lanes have left in xs. Any thread; what it can't finish
// itself it leaves to the loop's thread.
func (r *Reactor) Flush(xs []*bridge.Exchange) {
	s := r.scratch.get()
	s.lines = r.host.Clock.Own()
	for _, x := range xs {
		r.flush(s, x)
	}
	r.count(s)
	wake := s.wake
	r.scratch.put(s)
	if wake {
		r.host.Waker.Wake()
	}
}

// count adds up what a Flush or a turn did.
func (r *Reactor) count(s *scratch) {
	n := r.host.Count
	if s.bytes != 0 {
		n.BytesOut.Add(s.bytes)
	}
	if s.responses != 0 {
		n.Responses.Add(s.responses)
	}
	s.bytes, s.responses = 0, 0
}

// attached locks and returns the connection that x is the exchange of, or nil.
func (r *Reactor) attached(x *bridge.Exchange) *conn {
	id := atomic.LoadUint64(&x.Conn)
	if id == 0 {
		return nil
	}
	c := r.conns.get(id)
	if c == nil {
		return nil
	}
	c.mu.Lock()
	if c.id != id || c.x != x {
		c.mu.Unlock()
		return nil
	}
	return c
}

// flush consumes the ops of one exchange.
func (r *Reactor) flush(s *scratch, x *bridge.Exchange) {
	release := x.Ops&bridge.OpRelease != 0
	if release {
		// Before anything is written: who sees the answer may ask what is active.
		r.live.Add(-1)
	}
	if c := r.attached(x); c != nil {
		// Afterwards the response part may be the lane's again: on another
		// thread, when it was told that the client reads on.
		r.flushTo(s, c, x)
	} else {
		x.Ops, x.OutLen, x.Unsent = 0, 0, 0
		x.DropFile()
	}
	if release {
		bridge.Release(x)
	}
}

// flushTo consumes x's ops, c being its connection, whose lock it gives back.
// Format clears them.
func (r *Reactor) flushTo(s *scratch, c *conn, x *bridge.Exchange) {
	defer c.mu.Unlock()
	defer r.rescueFlush(s, c, x)
	if c.phase == phaseOpen || x.Ops&bridge.OpAccept != 0 && x.Ops&bridge.OpAbort == 0 {
		r.flushSocket(s, c, x)
		return
	}
	if x.Ops&bridge.OpWant != 0 {
		r.want(s, c, x)
	}
	head, result, err := exchange.Format(s.buf[:0], x, r.mayGoOn(c), s.lines)
	s.buf = head[:0]
	if err != nil {
		r.host.Log.Error("%s %s: %v", x.Span(x.MethodName), x.Span(x.Target), err)
	}
	if result.File.Is() {
		r.writeFile(c, s, head, &result)
	} else {
		r.write(c, s, head, result.Payload, result.Tail)
	}
	x.Unsent = uint64(c.unsent())
	switch {
	case result.Abort:
		if x.Framing == uint8(wire.BodyUntilClose) {
			c.set(resetting) // else the end would look like that of the body
		}
		r.cut(s, c)
	case result.Done:
		if result.Close {
			c.set(closing)
		}
		r.end(s, c, x)
	case result.Ops&bridge.OpRelease != 0:
		r.cut(s, c) // nobody is left who could end it
	case x.Unsent > bridge.HighWater:
		c.set(high)
	case x.Unsent > 0 && r.host.Full(0):
		// Whoever makes more of it waits until its client has all of this.
		x.Unsent = bridge.HighWater + 1
		c.set(high)
	}
}

// mayGoOn reports whether the connection can serve another request after this
// one. A body that is neither complete nor small would stand in the way.
func (r *Reactor) mayGoOn(c *conn) bool {
	if c.is(closing) || r.draining.Load() {
		return false
	}
	if c.bodyDone() {
		return true
	}
	return !c.is(expecting) && c.in.body.Remaining() <= maxSkip
}

// want has the loop's thread look for body, after the interim answer that the
// client waits for.
func (r *Reactor) want(s *scratch, c *conn, x *bridge.Exchange) {
	if c.is(expecting) && x.SentHead == 0 {
		c.unset(expecting)
		andFlags(x, ^uint32(bridge.ReqContinue))
		r.writeOne(c, s, continue100)
	}
	c.unset(timed)
	r.hand(s, c)
}

// end completes the answer. Where nothing is left to do the connection waits
// for its next request at once.
func (r *Reactor) end(s *scratch, c *conn, x *bridge.Exchange) {
	status := int(x.Status)
	s.responses++
	if status >= 500 {
		r.host.Count.Errors5xx.Add(1)
	}
	if r.host.Options.AccessLog {
		r.host.Log.Access(x, status, s.now)
	}
	atomic.StoreUint64(&x.Conn, 0)
	c.x, c.since = nil, s.now
	if c.in == nil && c.unsent() == 0 && c.flags&(readable|finished|broken|closing|expecting) == 0 && !r.draining.Load() {
		c.phase = phaseHead
		return
	}
	c.phase = phaseAnswered
	r.hand(s, c)
}

// cut gives up the answer: what was written of it is sent, then the connection
// is closed, which shows the client that it is not complete.
func (r *Reactor) cut(s *scratch, c *conn) {
	atomic.StoreUint64(&c.x.Conn, 0)
	c.x, c.since, c.phase = nil, s.now, phaseAnswered
	c.set(closing)
	r.hand(s, c)
}

// hand leaves c to the loop's thread.
func (r *Reactor) hand(s *scratch, c *conn) {
	r.giveBack(c)
	s.wake = true
}

// copyMax is the largest payload that is copied behind its head: one system call
// with one buffer is cheaper than one with three.
const copyMax = 16 << 10

// write sends head, payload and tail, behind what waits already. What the socket
// does not take is copied into the connection's queue.
func (r *Reactor) write(c *conn, s *scratch, head, payload []byte, tail string) {
	if c.is(broken) {
		return
	}
	if len(payload) <= copyMax || c.unsent() > 0 {
		head = append(append(head, payload...), tail...)
		if cap(head) > cap(s.buf) {
			s.buf = head[:0]
		}
		r.writeOne(c, s, head)
		return
	}
	// Safe: tail is only read.
	end := unsafe.Slice(unsafe.StringData(tail), len(tail))
	parts := [3]syscall.Iovec{iovec(head), iovec(payload), iovec(end)}
	n, e := sendParts(c.fd, &parts)
	if n = r.tookBy(c, s, n, e); n < 0 {
		return
	}
	rest := len(head) + len(payload) + len(tail) - n
	if rest == 0 {
		return
	}
	r.growOut(c, rest)
	for _, p := range [...][]byte{head, payload, end} {
		skip := min(n, len(p))
		n -= skip
		c.out = append(c.out, p[skip:]...)
	}
	r.stall(c, s)
}

// writeOne is write for one piece.
func (r *Reactor) writeOne(c *conn, s *scratch, b []byte) {
	if len(b) == 0 || c.is(broken) {
		return
	}
	if c.unsent() > 0 {
		r.growOut(c, len(b))
		c.out = append(c.out, b...)
		return
	}
	n, e := send(c.fd, b)
	if n = r.tookBy(c, s, n, e); n < 0 || n == len(b) {
		return
	}
	r.growOut(c, len(b)-n)
	c.out = append(c.out, b[n:]...)
	r.stall(c, s)
}

// tookBy notes what a send has said. It returns how many bytes the socket took,
// -1 where nothing more can be sent.
func (r *Reactor) tookBy(c *conn, s *scratch, n int, e syscall.Errno) int {
	switch e {
	case 0:
		s.bytes += int64(n)
		return n
	case eAgain:
		return 0
	}
	r.fail(c, s)
	return -1
}

// stall leaves the queue, just begun, to the loop's thread, which writes when
// epoll says so and counts the time that the client takes.
func (r *Reactor) stall(c *conn, s *scratch) {
	c.set(blocked)
	c.unset(timed)
	c.since = s.now
	c.held = outQueue(c.fd)
	r.armOut(c)
	r.hand(s, c)
}

// fail notes that nothing more can be sent. The loop's thread closes the
// descriptor: only it may, since a number that another connection has got
// meanwhile must not be written to.
func (r *Reactor) fail(c *conn, s *scratch) {
	c.set(broken)
	if c.x != nil {
		orFlags(c.x, bridge.ReqGone) // a lane that looks need not wait for the event
	}
	r.hand(s, c)
}

// sendOn goes on with what waits. The loop's thread.
func (r *Reactor) sendOn(c *conn) {
	if c.sent == len(c.out) {
		r.sendFileOn(c)
		return
	}
	n, e := send(c.fd, c.out[c.sent:])
	switch {
	case e == eAgain:
		c.set(blocked)
		return
	case e != 0:
		c.set(broken)
		r.push(c)
		return
	}
	r.own.bytes += int64(n)
	c.sent += n
	c.since = r.now
	if c.sent < len(c.out) {
		c.set(blocked)
		c.held = outQueue(c.fd)
		if c.sent >= len(c.out)/2 {
			// Else a stream that never quite drains would grow it for ever.
			c.out = c.out[:copy(c.out, c.out[c.sent:])]
			c.sent = 0
		}
		return
	}
	r.putOut(c)
	if c.file != nil {
		r.sendFileOn(c)
	}
}

// growOut makes room for n more bytes in the queue.
func (r *Reactor) growOut(c *conn, n int) {
	before := cap(c.out)
	c.out = r.buffers.grow(c.out, n)
	bridge.Hold(int64(cap(c.out) - before))
}

// putOut gives the queue's memory back.
func (r *Reactor) putOut(c *conn) {
	if c.out != nil {
		bridge.Hold(-int64(cap(c.out)))
		r.buffers.put(c.out)
	}
	c.out, c.sent = nil, 0
}

// dropOut gives up all that waits.
func (r *Reactor) dropOut(c *conn) {
	r.putOut(c)
	c.dropFile()
}

// armOut has epoll report that the socket takes more, where it does not from the
// start.
func (r *Reactor) armOut(c *conn) {
	if c.is(unixSocket) && !c.is(outArmed) {
		c.set(outArmed)
		control(r.epoll, syscall.EPOLL_CTL_MOD, int(c.fd), uint32(connEvents|syscall.EPOLLOUT), c.id)
	}
}

// rescueFlush is deferred around flushTo: a panic costs this exchange its
// connection, which the loop's thread closes.
func (r *Reactor) rescueFlush(s *scratch, c *conn, x *bridge.Exchange) {
	v := recover()
	if v == nil {
		return
	}
	r.host.Panic("an answer", v)
	x.Ops, x.OutLen = 0, 0
	if c.x != nil {
		if x.SentHead == 0 && c.unsent() == 0 {
			r.writeOne(c, s, wire.AppendRefusal(nil, errInternal, nil))
		}
		r.cut(s, c)
	}
}

var _ core.Transport = (*Reactor)(nil)
