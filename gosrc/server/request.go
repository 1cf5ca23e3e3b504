package server

import (
	"time"

	"turboapi/gosrc/bridge"
	"turboapi/gosrc/core"
	"turboapi/gosrc/wire"
)

// drainGrace is how long a connection that was accepted while draining, or just
// before, is given for its one request.
const drainGrace = time.Second

// request waits for a complete request head and parses it into g.head; the
// head's bytes stay in the input. It reports false when the connection is to be
// closed: the client left, was refused or too slow, or the server drains. The
// connection's goroutine.
func (g *gate) request() (ok bool) {
	defer func() {
		if r := recover(); r != nil {
			g.srv.host.Panic("reading a request", r)
			g.abandon()
			ok = false
		}
	}()
	g.headed = false
	g.parser.Reset(&g.srv.host.Limits.Wire)
	g.mu.Lock()
	defer g.mu.Unlock()
	begun := false
	for !g.closing && !g.broken {
		if g.in.len() > 0 {
			done, refusal := g.parser.Parse(g.in.bytes(), &g.head)
			if refusal != nil {
				g.refuseNow(nil, refusal)
				return false
			}
			if done {
				g.headed, g.owed, g.fresh = true, true, false
				return true
			}
			if !begun && !g.fresh {
				// A head has its own time from its first byte on, however the
				// bytes trickle in; the first one has it from accept on.
				g.allow(g.srv.host.Limits.Header)
			}
			begun = true
		}
		n, err := 0, error(nil)
		switch {
		case g.expired && g.parser.Started():
			g.srv.host.Count.Timeouts.Add(1)
			g.refuseNow(nil, wire.ErrRequestTimeout)
			return false
		case g.expired, g.srv.draining.Load() && !begun && !g.fresh:
			// A last look: a request that came just now is served.
			if n, err = g.look(); n == 0 {
				if g.expired && g.fresh {
					g.srv.host.Count.Timeouts.Add(1)
				}
				return false
			}
			g.expired = false
		default:
			if g.srv.draining.Load() && !begun {
				g.hurry(drainGrace)
			}
			n, err = g.parkReading(inputSize)
		}
		if n > 0 {
			g.idle = false
		}
		if err != nil {
			return false
		}
	}
	return false
}

// look reads what is there without waiting. mu is held.
func (g *gate) look() (int, error) {
	if g.closed {
		return 0, nil
	}
	n, err := tryRead(g.sock.fd, g.in.room(inputSize))
	g.in.w += n
	g.srv.host.Count.BytesIn.Add(int64(n))
	return n, err
}

// refuse answers a request that is not served and ends the connection. x is its
// exchange, nil where there is none yet.
func (g *gate) refuse(x *bridge.Exchange, r *wire.Refusal) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.refuseNow(x, r)
}

// refuseNow is refuse for who holds mu.
func (g *gate) refuseNow(x *bridge.Exchange, r *wire.Refusal) {
	g.owed = false
	g.logRefusal(x, r.Status)
	g.refuseAs(r, g.headed && g.head.MethodID == wire.MethodHEAD)
}

// logRefusal writes the access log's line about a request that is not served.
func (g *gate) logRefusal(x *bridge.Exchange, status int) {
	h := g.srv.host
	if !h.Options.AccessLog {
		return
	}
	if x != nil {
		h.Log.Access(x, status, core.Now())
		return
	}
	// The input still begins with the head that is refused.
	b := g.in.bytes()
	var client []byte
	if !g.unix {
		client = []byte(g.clientHost)
	}
	h.Log.Refused(client, g.clientPort, g.head.Method.Of(b), g.head.Target.Of(b), g.head.Minor, status)
}

// refuseAs answers with r, head only for a HEAD request, and ends the
// connection. mu is held.
func (g *gate) refuseAs(r *wire.Refusal, head bool) {
	g.srv.host.Count.Refuse(r.Status)
	own := g.srv.host.Clock.Own()
	if head {
		g.send(wire.AppendRefusalHead(nil, r, own))
	} else {
		g.send(wire.AppendRefusal(nil, r, own))
	}
	g.closing, g.linger = true, true
}

// abandon makes the connection end at once, whatever is under way.
func (g *gate) abandon() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.breakOff()
}

// allow gives the wait that begins d to last; 0 is for ever. mu is held.
func (g *gate) allow(d time.Duration) {
	g.until, g.expired = 0, false
	if d > 0 {
		g.until = core.Now() + uint64(d)
	}
}

// hurry makes the wait last no longer than d. mu is held.
func (g *gate) hurry(d time.Duration) {
	if soon := core.Now() + uint64(d); g.until == 0 || g.until > soon {
		g.until = soon
	}
}

// rest begins the wait for the next request. mu is held.
func (g *gate) rest(now uint64) {
	g.idle = true
	g.until, g.expired = 0, false
	if d := g.srv.host.Limits.KeepAlive; d > 0 {
		g.until = now + uint64(d)
	}
}
