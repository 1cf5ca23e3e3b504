package server

import (
	"sync/atomic"

	"turboapi/gosrc/bridge"
	"turboapi/gosrc/core"
)

// message is what a connection's goroutine tells the loop's thread.
type message struct {
	kind uint32 // bridge.EvRequest ...
	g    *gate
	x    *bridge.Exchange
	gen  uint32
	data []byte // EvBody: of a pool's buffer, which recycle gets back
	end  bool   // EvBody: the body is complete; EvGone: for good
	told bool   // EvGone: the lanes know already

	table core.Table // kindStatic: the one that has the answer
}

// kindStatic is a request that its table answers. The lanes never see this kind.
const kindStatic = 1 << 16

// maxTurnBytes is how much body a turn copies before the loop's other work gets
// its share.
const maxTurnBytes = 2 << 20

// Turn gives the lanes what the goroutines left in the ring. The loop's thread.
func (s *Server) Turn(ev []bridge.Event) int {
	s.host.Waker.Clear()
	n, bytes := 0, 0
	s.ring.Drain(func(m message) bool {
		if n == len(ev) || bytes > maxTurnBytes {
			return false
		}
		bytes += len(m.data)
		if s.tellSafely(&m) {
			ev[n] = bridge.Event{X: m.x, Gen: m.gen, Kind: m.kind}
			n++
		}
		return true
	})
	return n
}

// tellSafely is tell; a panic costs the message's connection.
func (s *Server) tellSafely(m *message) (told bool) {
	defer func() {
		if r := recover(); r != nil {
			s.host.Panic("a message to the loop", r)
			m.g.abandon()
		}
	}()
	return s.tell(m)
}

// tell does to the record what m says and reports whether the lanes have to
// know.
func (s *Server) tell(m *message) bool {
	switch m.kind {
	case bridge.EvRequest:
		// Nobody but this message has the record: no lock.
		return true
	case kindStatic:
		return s.decide(m)
	}
	g, x := m.g, m.x
	g.mu.Lock()
	defer g.mu.Unlock()
	// The gate's word is asked for, not the record's: that may be another
	// connection's by now.
	mine := g.x == x && g.gen == m.gen
	switch m.kind {
	case bridge.EvBody:
		defer recycle(m.data[:cap(m.data)])
		if !mine || g.lost && g.ws == nil {
			return false // what a WebSocket's client said before it left is still heard
		}
		g.inRing -= uint64(len(m.data))
		if g.ws != nil {
			g.queuedInRing--
		}
		x.AppendBody(m.data)
		g.inbox = x.BodyLen
		if m.end {
			orFlags(x, bridge.ReqBodyEnd)
		}
		if x.Want == 0 {
			return false
		}
		x.Want, g.wanted = 0, false
		if g.parked == parkedReading && g.ws == nil {
			g.allow(0) // nobody waits for the client now
		}
		return true
	case bridge.EvGone:
		if !mine {
			return false
		}
		if m.end {
			orFlags(x, bridge.ReqGone)
			g.detach()
		}
		return !m.told
	case bridge.EvDrained:
		if !mine || g.lost {
			return false
		}
		x.Unsent = uint64(g.unsent())
		return true
	}
	return false
}

// orFlags sets flags that a lane may be reading.
func orFlags(x *bridge.Exchange, f uint32) { atomic.OrUint32(&x.Flags, f) }

// decide answers a request from its table, unless that was replaced meanwhile:
// then the application decides, and decide reports true.
func (s *Server) decide(m *message) bool {
	g, x := m.g, m.x
	g.mu.Lock()
	defer g.mu.Unlock()
	g.undecided = false
	defer g.kick()
	if s.host.Table() != m.table {
		x.Plan = bridge.PlanApp
		m.kind = bridge.EvRequest
		return true
	}
	s.open.Add(-1) // before the answer can be seen
	if !g.lost && !g.broken {
		b, status, closes := m.table.AppendStatic(nil, x, g.mayGoOn(), s.host.Clock.Own())
		g.send(b)
		x.Status = uint16(status)
		s.respond(x, core.Now())
		if closes {
			g.closing = true
		}
	}
	g.detach()
	bridge.Release(x)
	return false
}
