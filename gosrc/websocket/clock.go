package websocket

import (
	"time"

	"github.com/gobwas/ws"
)

// never is the time of a limit that is switched off.
const never = ^uint64(0)

// clock is when something is due in a conversation, all in ns as core.Now.
type clock struct {
	pingAt uint64 // the next Ping is sent
	pongBy uint64 // the last one is answered
	idleBy uint64 // a message comes
	endBy  uint64 // the client has answered our Close
	moved  bool   // to an earlier time than was said before
}

func after(now uint64, d time.Duration) uint64 {
	if d <= 0 {
		return never
	}
	return now + uint64(d)
}

func (c *clock) begin(l *Limits, now uint64) {
	*c = clock{pingAt: after(now, l.PingInterval), pongBy: never, idleBy: after(now, l.Idle), endBy: never, moved: true}
}

// Due is when Look has something to do, at most.
func (s *Session) Due() uint64 {
	c := &s.clock
	return min(c.pingAt, c.pongBy, c.idleBy, c.endBy)
}

// Moved reports, once, that Due may be earlier than it was.
func (s *Session) Moved() bool {
	moved := s.clock.moved
	s.clock.moved = false
	return moved
}

// Heard notes an event: a message, or a sign of life.
func (s *Session) Heard(k Kind, now uint64) {
	switch k {
	case Message:
		s.clock.idleBy = after(now, s.limits.Idle)
	case Pong:
		s.clock.pongBy = never
	}
}

// Ending notes that a Close was sent and the client's is waited for.
func (s *Session) Ending(now uint64) {
	s.clock = clock{pingAt: never, pongBy: never, idleBy: never, endBy: now + uint64(CloseTimeout), moved: true}
}

// Verdict is what Look finds.
type Verdict uint8

// The verdicts.
const (
	Fine   Verdict = iota
	Silent         // the client did not answer a Ping, or our Close: it is cut off
	Idle           // it sent no message for too long
)

// Look does what is due. Bytes it appends to dst have to be sent. deaf says that
// the client is not read at the moment, so that its Pong can't be seen.
func (s *Session) Look(dst []byte, now uint64, deaf bool) ([]byte, Verdict) {
	c := &s.clock
	if deaf {
		// The application's pace is not the client's fault.
		if c.pongBy <= now {
			c.pongBy = after(now, s.limits.PingTimeout)
		}
		if c.idleBy <= now {
			c.idleBy = after(now, s.limits.Idle)
		}
	}
	switch {
	case c.endBy <= now, c.pongBy <= now:
		return dst, Silent
	case c.idleBy <= now:
		return dst, Idle
	case c.pingAt <= now:
		c.pingAt = after(now, s.limits.PingInterval)
		if c.pongBy == never {
			c.pongBy = after(now, s.limits.PingTimeout)
		}
		dst = s.append(dst, ws.Header{Fin: true, OpCode: ws.OpPing}, nil)
	}
	return dst, Fine
}
