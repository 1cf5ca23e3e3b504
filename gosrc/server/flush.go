package server

import (
	"sync"
	"sync/atomic"

	"turboapi/gosrc/bridge"
	"turboapi/gosrc/core"
	"turboapi/gosrc/exchange"
	"turboapi/gosrc/wire"
)

// copied is the largest payload that is put behind its head, so that one system
// call writes both. A larger one is written from where it is.
const copied = 32 << 10

var continue100 = wire.AppendContinue(nil)

var errInternal = &wire.Refusal{Status: 500, Detail: "Internal Server Error"}

// answers are buffers in which heads and small payloads are put together.
var answers = sync.Pool{New: func() any { b := make([]byte, 0, copied+4<<10); return &b }}

// Flush consumes what the lanes left in xs. Any thread; it writes what the
// kernel takes and never waits.
func (s *Server) Flush(xs []*bridge.Exchange) {
	buf := answers.Get().(*[]byte)
	now := core.Now()
	for _, x := range xs {
		*buf = s.flush((*buf)[:0], x, now)
	}
	if cap(*buf) <= 2*copied {
		answers.Put(buf)
	}
}

// flush consumes the ops of one exchange. b is memory to use; what it has grown
// to is returned.
func (s *Server) flush(b []byte, x *bridge.Exchange, now uint64) []byte {
	release := x.Ops&bridge.OpRelease != 0
	if release {
		// Before anything is written: who sees the answer may ask what is active.
		s.open.Add(-1)
	}
	if g := s.lockFor(x); g != nil {
		// Afterwards the response part may be the lane's again: on another
		// thread, when it is told that the client reads on.
		b = g.flush(b, x, now)
	} else {
		drop(x)
	}
	if release {
		bridge.Release(x)
	}
	return b
}

// drop forgets what a lane wrote for a client that is gone.
func drop(x *bridge.Exchange) {
	x.Ops, x.OutLen, x.Unsent = 0, 0, 0
	x.DropFile()
}

// lockFor returns the gate that x is dispatched on, locked, or nil.
func (s *Server) lockFor(x *bridge.Exchange) *gate {
	g := s.conns.get(getConn(x))
	if g == nil {
		return nil
	}
	g.mu.Lock()
	if g.x != x {
		g.mu.Unlock()
		return nil
	}
	return g
}

// flush consumes x's ops, x being the gate's exchange. It unlocks the gate.
func (g *gate) flush(b []byte, x *bridge.Exchange, now uint64) []byte {
	defer g.mu.Unlock()
	defer g.rescue(x)
	ops := x.Ops
	if g.lost || g.broken {
		// The goroutine knows and says so to the lanes, unless they are done.
		drop(x)
		if ops&(bridge.OpEnd|bridge.OpAbort|bridge.OpRelease) != 0 {
			g.detach()
			g.kick()
		}
		return b
	}
	if g.ws != nil || ops&bridge.OpAccept != 0 && ops&bridge.OpAbort == 0 {
		return g.flushSocket(b, x, now)
	}
	if ops&bridge.OpWant != 0 {
		g.wantBody(x)
	}
	b, r, err := exchange.Format(b, x, g.mayGoOn(), g.srv.host.Clock.Own())
	if err != nil {
		g.srv.host.Log.Error("%s %s: %v", x.Span(x.MethodName), x.Span(x.Target), err)
	}
	b = g.sendReply(b, &r)
	if g.broken {
		orFlags(x, bridge.ReqGone) // a lane that looks need not wait for the event
	}
	x.Unsent = uint64(g.unsent())
	switch {
	case r.Done && !r.Abort:
		g.answered(x, now, r.Close)
	case r.Done, ops&bridge.OpRelease != 0:
		// Given up, or nobody is left who could end it. What was written is
		// sent; that the rest is missing shows by the close, and where the close
		// is how the body ends, by a reset.
		g.closing = true
		g.reset = g.reset || x.Framing == uint8(wire.BodyUntilClose)
		g.detach()
		g.kick()
	case x.Unsent > bridge.HighWater:
		g.stuffed = true
	case x.Unsent > 0 && g.srv.host.Full(0):
		// Whoever makes more of it waits until its client has all of this.
		x.Unsent = bridge.HighWater + 1
		g.stuffed = true
	}
	return b
}

// mayGoOn reports whether the connection can serve another request after this
// one. A body that is neither complete nor small would stand in the way. mu is
// held.
func (g *gate) mayGoOn() bool {
	if !g.keep || g.closing || g.srv.draining.Load() {
		return false
	}
	return !g.more || !g.wait100 && g.left <= maxSkip
}

// rescue is deferred around the flush of x: a panic costs its connection. mu is
// held.
func (g *gate) rescue(x *bridge.Exchange) {
	r := recover()
	if r == nil {
		return
	}
	g.srv.host.Panic("an answer", r)
	begun := x.SentHead != 0 || g.unsent() > 0
	drop(x)
	if g.x == x {
		g.detach()
	}
	if begun {
		g.breakOff()
		return
	}
	g.refuseAs(errInternal, x.Flags&bridge.ReqHead != 0)
	g.kick()
}

// sendReply sends b and what belongs behind it. mu is held.
func (g *gate) sendReply(b []byte, r *exchange.Result) []byte {
	if r.File.Is() {
		b = append(b, r.Payload...)
		g.send(b)
		g.sendFile(r.File, r.Tail)
		return b
	}
	if len(r.Payload) <= copied {
		b = append(append(b, r.Payload...), r.Tail...)
		g.send(b)
		return b
	}
	g.send(b)
	g.send(r.Payload)
	g.send(append(b[:0], r.Tail...))
	return b
}

// answered ends the exchange for the client. The goroutine is only woken where
// it has something to do: the next request wakes it anyway. mu is held.
func (g *gate) answered(x *bridge.Exchange, now uint64, last bool) {
	s := g.srv
	s.respond(x, now)
	g.detach()
	if last || s.draining.Load() {
		g.closing = true
	}
	if g.closing || g.eager || g.writing {
		g.kick()
		return
	}
	g.rest(now)
}

// respond counts and logs a complete response.
func (s *Server) respond(x *bridge.Exchange, now uint64) {
	s.host.Count.Respond(int(x.Status))
	if s.host.Options.AccessLog {
		s.host.Log.Access(x, int(x.Status), now)
	}
}

// wantBody has the body read, after the interim answer that the client waits
// for; from here on the client may be too slow. mu is held.
func (g *gate) wantBody(x *bridge.Exchange) {
	if g.wait100 && x.SentHead == 0 {
		g.send(continue100)
	}
	g.sayContinued(x)
	g.wanted = true
	g.inbox = x.BodyLen
	switch {
	case g.parked == parkedWaiting:
		g.kick()
	case g.more:
		g.allow(g.srv.host.Limits.Write)
	}
}

// sayContinued notes that 100 Continue is not due any more. mu is held.
func (g *gate) sayContinued(x *bridge.Exchange) {
	if g.wait100 {
		g.wait100 = false
		andFlags(x, ^uint32(bridge.ReqContinue))
	}
}

// andFlags keeps only those flags, which a lane may be reading.
func andFlags(x *bridge.Exchange, f uint32) { atomic.AndUint32(&x.Flags, f) }
