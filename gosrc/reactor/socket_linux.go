package reactor

import (
	"sync/atomic"

	"turboapi/gosrc/bridge"
	"turboapi/gosrc/websocket"
)

// flushSocket consumes the ops of a WebSocket's exchange: the answer to its
// handshake, then messages. The loop's thread, since no call thread has one.
func (r *Reactor) flushSocket(s *scratch, c *conn, x *bridge.Exchange) {
	ops, out := x.Ops, x.Out()
	x.Ops, x.OutLen = 0, 0
	b := s.buf[:0]
	if ops&bridge.OpAccept != 0 && c.phase == phaseBusy {
		var err error
		if b, c.ws, err = websocket.Accept(b, x, &r.host.Limits.WebSocket, s.lines, s.now); err != nil {
			r.host.Log.Error("%s %s: %v", x.Span(x.MethodName), x.Span(x.Target), err)
			r.spoilHandshake(s, c, x)
			return
		}
		x.SentHead, x.Status = 1, 101
		c.phase = phaseOpen
		c.unset(timed)
		s.responses++
		r.host.Log.Accepted(x)
		r.hand(s, c) // its limits begin, and what came with the head is read
	}
	b = c.ws.AppendFrames(b, out)
	s.buf = b[:0]
	r.writeOne(c, s, b)
	x.TrimOut()
	x.Unsent = uint64(c.unsent())
	switch {
	case c.ws.Closed:
		// The lane may say what it likes from here on: the client does not hear it.
		r.partWith(c)
		c.ws.Ending(s.now)
		r.hand(s, c)
	case ops&(bridge.OpAbort|bridge.OpRelease) != 0:
		c.ws = nil
		r.cut(s, c)
	default:
		if x.Unsent > bridge.HighWater {
			c.set(high)
		}
		if ops&bridge.OpWant != 0 {
			x.TrimInbox()
			if c.in != nil || c.is(readable|finished) {
				r.hand(s, c)
			}
		}
	}
}

// spoilHandshake answers 500 where the application accepted with fields that can't be sent.
func (r *Reactor) spoilHandshake(s *scratch, c *conn, x *bridge.Exchange) {
	x.FieldsLen, x.Unsent = 0, 0
	r.writeOne(c, s, r.appendRefusal(nil, c, errInternal))
	r.fail(c, s) // the lane is told that nobody is there
}

// converse goes on with an open WebSocket: at most one read a step.
func (r *Reactor) converse(c *conn) {
	x := c.x
	if r.draining.Load() {
		r.endSocket(c, bridge.Message{Kind: bridge.MsgClose, Code: websocket.CodeRestarting})
		return
	}
	if !r.hear(c) {
		return
	}
	if x != nil && x.Want != 0 && x.BodyLen > 0 {
		x.Want = 0
		r.emit(x, bridge.EvBody)
	}
	stalled := c.unsent() > 0 && !c.is(timed)
	if stalled {
		c.set(timed)
		c.since = r.now
	} else if c.unsent() == 0 {
		c.unset(timed)
	}
	if c.ws.Moved() || stalled {
		r.due(c) // every later change puts its limits off
	}
	if x != nil && c.is(high) && c.unsent() < bridge.LowWater {
		c.unset(high)
		x.Unsent = uint64(c.unsent())
		r.emit(x, bridge.EvDrained)
	}
	switch {
	case r.deaf(c):
		// Who frees the way has this connection stepped again.
	case c.is(readable) || c.unread():
		r.push(c)
	case c.is(finished):
		r.lose(c) // without a Close
	}
}

// deaf reports whether the client is read no further for now: its application
// has enough to do, or the client does not take what it is sent.
func (r *Reactor) deaf(c *conn) bool {
	if c.unsent() > bridge.HighWater {
		return true
	}
	x := c.x
	if x == nil {
		return false
	}
	if x.BodyLen == 0 {
		c.ws.Queued = 0
	}
	return x.BodyLen >= bridge.InboxMax || c.ws.Queued >= r.host.Limits.WebSocket.Queue
}

// hear reads on and hands messages to the lane. False: the conversation is over.
func (r *Reactor) hear(c *conn) bool {
	if r.deaf(c) {
		return true
	}
	in := c.in
	if in != nil {
		src := in.bytes()
		n, goesOn := r.understand(c, src)
		if !goesOn {
			return false
		}
		if in.off += n; in.off == in.end {
			r.forget(c)
		}
		return true
	}
	if !c.is(readable) {
		return true
	}
	// Through the reactor's buffer: what is in the middle of a frame the session keeps.
	src := r.in.buf[:r.readInto(c, r.in.buf)]
	n, goesOn := r.understand(c, src)
	if goesOn && n < len(src) {
		r.in.off, r.in.end = n, len(src)
		r.move(c, &r.in)
	}
	return goesOn
}

// understand takes messages from src until it is used up or the lane has enough,
// and returns how much it used. False: the conversation is over.
func (r *Reactor) understand(c *conn, src []byte) (n int, goesOn bool) {
	x, s := c.x, c.ws
	for n < len(src) && !r.deaf(c) {
		used, ev := s.Next(src[n:])
		n += used
		s.Heard(ev.Kind, r.now)
		switch ev.Kind {
		case websocket.Message:
			if x != nil {
				x.AddMessage(ev.Message)
				s.Queued++
			}
		case websocket.Ping:
			if !s.Closed {
				r.say(c, s.AppendPong(r.own.buf[:0], ev.Message.Payload))
			}
		case websocket.Close:
			r.endSocket(c, ev.Message)
			return n, false
		case websocket.Fail:
			c.set(readable) // it may be sending on: it gets time to see the Close
			r.endSocket(c, ev.Message)
			return n, false
		}
	}
	return n, true
}

// say sends b, made in the reactor's own scratch.
func (r *Reactor) say(c *conn, b []byte) {
	r.own.buf, r.own.now = b[:0], r.now
	r.writeOne(c, &r.own, b)
}

// endSocket sends a Close as m says, unless one was sent, tells the lane by the
// same message, and closes the connection behind it.
func (r *Reactor) endSocket(c *conn, m bridge.Message) {
	r.say(c, c.ws.AppendClose(r.own.buf[:0], int(m.Code), m.Payload))
	if x := c.x; x != nil {
		x.AddMessage(m)
		orFlags(x, bridge.ReqGone)
		if !c.is(gone) {
			c.set(gone)
			r.emit(x, bridge.EvGone)
		}
		r.partWith(c)
	}
	r.forget(c)
	c.ws = nil
	c.phase = phaseAnswered
	c.set(closing)
	r.goOn(c)
}

// partWith leaves the exchange to the lane.
func (r *Reactor) partWith(c *conn) {
	if c.x != nil {
		atomic.StoreUint64(&c.x.Conn, 0)
		c.x = nil
	}
}

// lookAtSocket does what is due by the clock.
func (r *Reactor) lookAtSocket(c *conn) {
	if w := r.host.Limits.Write; c.unsent() > 0 && w > 0 && c.since+uint64(w) <= r.now {
		r.host.Count.Timeouts.Add(1)
		c.set(resetting)
		r.lose(c)
		return
	}
	b, verdict := c.ws.Look(r.own.buf[:0], r.now, c.x != nil && r.deaf(c))
	switch verdict {
	case websocket.Silent:
		r.host.Count.Timeouts.Add(1)
		r.say(c, c.ws.AppendClose(r.own.buf[:0], websocket.CodeInternal, []byte("keepalive ping timeout")))
		r.lose(c)
	case websocket.Idle:
		r.host.Count.Timeouts.Add(1)
		r.endSocket(c, bridge.Message{Kind: bridge.MsgClose, Code: websocket.CodeGoingAway, Payload: []byte("idle timeout")})
	default:
		r.say(c, b)
	}
}
