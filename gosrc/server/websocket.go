package server

import (
	"io"
	"time"

	"turboapi/gosrc/bridge"
	"turboapi/gosrc/core"
	"turboapi/gosrc/websocket"
)

// flushSocket consumes the ops of a WebSocket's exchange: the answer to its
// handshake, then messages. The loop's thread; mu is held.
func (g *gate) flushSocket(b []byte, x *bridge.Exchange, now uint64) []byte {
	ops, out := x.Ops, x.Out()
	x.Ops, x.OutLen = 0, 0
	h := g.srv.host
	if ops&bridge.OpAccept != 0 && g.ws == nil {
		var err error
		if b, g.ws, err = websocket.Accept(b, x, &h.Limits.WebSocket, h.Clock.Own(), now); err != nil {
			h.Log.Error("%s %s: %v", x.Span(x.MethodName), x.Span(x.Target), err)
			g.refuseAs(errInternal, false)
			orFlags(x, bridge.ReqGone)
			g.breakOff() // the lane is told that nobody is there
			return b
		}
		x.SentHead, x.Status = 1, 101
		h.Count.Respond(101)
		h.Log.Accepted(x)
		g.kick() // it reads on as a conversation
	}
	b = g.ws.AppendFrames(b, out)
	g.send(b)
	x.TrimOut()
	if g.broken {
		orFlags(x, bridge.ReqGone)
	}
	x.Unsent = uint64(g.unsent())
	switch {
	case g.ws.Closed:
		// The lane may say what it likes from here on: the client does not hear it.
		g.detach()
		g.ws.Ending(now)
		g.kick()
	case ops&(bridge.OpAbort|bridge.OpRelease) != 0:
		g.detach()
		g.breakOff()
	default:
		if x.Unsent > bridge.HighWater {
			g.stuffed = true
		}
		if ops&bridge.OpWant != 0 {
			x.TrimInbox()
			g.inbox = x.BodyLen
			if g.inbox == 0 {
				g.ws.Queued = g.queuedInRing
			}
			if g.parked == parkedWaiting {
				g.kick()
			}
		}
	}
	return b
}

// talk is watch for a WebSocket: until its handshake is answered it only notices
// a client that leaves, then it is the client's side of the conversation. The
// connection's goroutine.
func (g *gate) talk() {
	g.mu.Lock()
	defer g.mu.Unlock()
	finished := uint64(0) // when the client shut down its sending side
	for g.x != nil || g.ws != nil {
		if g.broken {
			g.leave(true)
			return
		}
		if g.ws == nil && finished != 0 && core.Now()-finished >= uint64(halfClosed) {
			g.leave(false)
		}
		if g.ws != nil && !g.goOnTalking(finished != 0) {
			return
		}
		n, err := 0, error(nil)
		g.eager = true // who answers the handshake wakes it
		switch {
		case finished != 0, g.ws == nil && g.in.len() >= aheadMax, g.ws != nil && g.deaf():
			g.parkWaiting()
		default:
			n, err = g.parkReading(inputSize)
		}
		g.eager = false
		if n > 0 {
			g.idle = false
		}
		switch {
		case err == nil:
		case err == io.EOF:
			finished = core.Now()
			t := time.AfterFunc(halfClosed, g.nudge)
			defer t.Stop()
		default:
			g.leave(true)
			g.breakOff()
		}
	}
	if finished != 0 {
		g.closing = true
	}
}

// goOnTalking does what is due, understands what was read, and says until when
// the client may be silent. False: the conversation is over. mu is held.
func (g *gate) goOnTalking(finished bool) bool {
	now := core.Now()
	if g.srv.draining.Load() {
		return g.endSocket(bridge.Message{Kind: bridge.MsgClose, Code: websocket.CodeRestarting})
	}
	if g.expired {
		g.expired = false
		b, verdict := g.ws.Look(nil, now, g.x != nil && g.deaf())
		switch verdict {
		case websocket.Silent:
			g.srv.host.Count.Timeouts.Add(1)
			g.send(g.ws.AppendClose(nil, websocket.CodeInternal, []byte("keepalive ping timeout")))
			g.leave(true)
			g.breakOff()
			return false
		case websocket.Idle:
			g.srv.host.Count.Timeouts.Add(1)
			return g.endSocket(bridge.Message{Kind: bridge.MsgClose, Code: websocket.CodeGoingAway, Payload: []byte("idle timeout")})
		}
		g.send(b)
	}
	if !g.understand(now) {
		return false
	}
	if finished && (g.in.len() == 0 || g.x == nil) {
		g.leave(true) // without a Close
		g.breakOff()
		return false
	}
	g.until = 0
	if due := g.ws.Due(); due != ^uint64(0) {
		g.until = due
	}
	return true
}

// deaf reports whether the client is read no further for now: its application
// has enough to do, or the client does not take what it is sent. mu is held.
func (g *gate) deaf() bool {
	if g.unsent() > bridge.HighWater {
		return true
	}
	return g.x != nil && (g.room() == 0 || g.ws.Queued >= g.srv.host.Limits.WebSocket.Queue)
}

// understand takes messages from the input until it is used up or the lane has
// enough. False: the conversation is over. mu is held.
func (g *gate) understand(now uint64) bool {
	for g.in.len() > 0 && !g.deaf() {
		n, ev := g.ws.Next(g.in.bytes())
		g.in.use(n)
		g.ws.Heard(ev.Kind, now)
		switch ev.Kind {
		case websocket.Message:
			if g.x != nil {
				g.pushMessage(ev.Message)
				g.ws.Queued++
				g.queuedInRing++
			}
		case websocket.Ping:
			if !g.ws.Closed {
				g.send(g.ws.AppendPong(nil, ev.Message.Payload))
			}
		case websocket.Close:
			return g.endSocket(ev.Message)
		case websocket.Fail:
			g.linger = true // it may be sending on: it gets time to see the Close
			return g.endSocket(ev.Message)
		}
	}
	return true
}

// pushMessage hands m to the loop's thread. mu is held.
func (g *gate) pushMessage(m bridge.Message) {
	size := bridge.MessageHead + len(m.Payload)
	var b []byte
	switch {
	case size <= inputSize:
		b = smallInputs.Get().(*[inputSize]byte)[:0]
	case size <= inputBody:
		b = largeInputs.Get().(*[inputBody]byte)[:0]
	default:
		b = make([]byte, 0, size)
	}
	b = bridge.AppendMessage(b, m)
	g.inRing += uint64(len(b))
	g.srv.ring.Push(message{kind: bridge.EvBody, g: g, x: g.x, gen: g.gen, data: b})
}

// endSocket sends a Close as m says, unless one was sent, tells the lane by the
// same message, and has the connection closed behind it. It returns false. mu is
// held.
func (g *gate) endSocket(m bridge.Message) bool {
	g.send(g.ws.AppendClose(nil, int(m.Code), m.Payload))
	if g.x != nil && !g.lost {
		g.pushMessage(m)
		g.srv.ring.Push(message{kind: bridge.EvGone, g: g, x: g.x, gen: g.gen, end: true, told: g.told})
		g.told, g.lost = true, true
	}
	g.closing = true
	return false
}
