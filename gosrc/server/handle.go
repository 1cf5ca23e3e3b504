package server

import (
	"io"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"turboapi/gosrc/bridge"
	"turboapi/gosrc/core"
	"turboapi/gosrc/exchange"
	"turboapi/gosrc/form"
	"turboapi/gosrc/websocket"
	"turboapi/gosrc/wire"
)

// aheadMax is how much of later requests is read while one is answered: more
// waits in the kernel, so a client that only sends is stopped.
const aheadMax = 64 << 10

// halfClosed is how long a client that has shut down its sending side is given
// for its answer before the lanes are told that it left. A client that is gone
// looks the same as one that waits for its answer, as with nc -N.
const halfClosed = 20 * time.Millisecond

// handle is fasthttp's handler: it serves the request that the gate has read.
func handle(ctx *fasthttp.RequestCtx) {
	g := ctx.Conn().(*gate)
	// fasthttp's response ends in gate.Write; without a body it is shortest.
	ctx.Response.SkipBody = true
	defer func() {
		if r := recover(); r != nil {
			g.srv.host.Panic("a request", r)
			g.fault(nil)
		}
	}()
	g.serve()
}

// serve makes an exchange of the request, has it answered, and returns when the
// next request may be read or the connection has to be closed.
func (g *gate) serve() {
	s := g.srv
	s.host.Count.Requests.Add(1)
	x := bridge.Acquire()
	mine := true
	defer func() {
		if !mine {
			return
		}
		defer bridge.Release(x)
		if r := recover(); r != nil {
			s.host.Panic("a request", r)
			g.fault(x)
		}
	}()
	x.Transport = transportNumber
	x.TRead = core.Now()
	g.introduce(x)
	table := s.host.Table()
	how := table.Fill(x, &g.head, g.in.bytes())
	g.in.use(g.head.Len)
	g.body.Reset(&g.head, &s.host.Limits.Wire)
	g.begin()
	if g.head.WebSocket {
		if refusal := websocket.Check(x, &g.head); refusal != nil {
			g.refuse(x, refusal)
			return
		}
		mine = false
		g.dispatch(message{kind: bridge.EvRequest, g: g, x: x, gen: x.Gen})
		g.talk()
		g.written()
		return
	}
	switch how {
	case exchange.Static:
		// Only the loop's thread knows whether the table still holds: a route
		// may have been added since.
		mine = false
		g.undecided = true
		g.dispatch(message{kind: kindStatic, g: g, x: x, gen: x.Gen, table: table})
		g.decided()
		g.watch()
	case exchange.Buffer, exchange.Form:
		var f *form.Parser
		if how == exchange.Form {
			f = table.NewForm(x, s.host.Limits.Body)
		}
		if !g.collect(x, f) {
			return
		}
		if x.Flags&bridge.ReqBodyEnd != 0 {
			table.Ready(x)
		}
		mine = false
		g.dispatch(message{kind: bridge.EvRequest, g: g, x: x, gen: x.Gen})
		g.watch()
	default:
		if !g.takeFirst(x) {
			return
		}
		mine = false
		g.dispatch(message{kind: bridge.EvRequest, g: g, x: x, gen: x.Gen})
		g.watch()
	}
	g.written()
	g.skip()
	if g.in.len() == 0 {
		g.mu.Lock()
		defer g.mu.Unlock()
		if !g.idle {
			g.rest(core.Now())
		}
	}
}

// begin forgets the previous request.
func (g *gate) begin() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.allow(0)
	g.idle, g.stuffed, g.wanted, g.told = false, false, false, false
	g.keep = g.head.KeepAlive
	g.wait100 = g.head.Expect100 && !g.body.Done()
	g.inbox, g.inRing = 0, 0
	g.notice()
}

// notice notes what Flush has to know of the request's body. mu is held.
func (g *gate) notice() { g.more, g.left = !g.body.Done(), g.body.Remaining() }

// dispatch hands an exchange to the loop's thread and the lanes. Only they touch
// it afterwards.
func (g *gate) dispatch(m message) {
	setConn(m.x, g.id)
	g.owed = false
	g.mu.Lock()
	g.x, g.gen = m.x, m.gen
	g.inbox = m.x.BodyLen
	g.notice()
	g.mu.Unlock()
	g.srv.open.Add(1)
	g.srv.ring.Push(m)
}

// decided waits until the loop's thread has answered from the table, or given
// the exchange to the lanes.
func (g *gate) decided() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.undecided && !g.broken {
		g.parkWaiting()
	}
}

// watch waits until the dispatched exchange is answered and, if the goroutine
// has nothing else to do then, until something comes from the client. Meanwhile
// it reads the body ahead and notices a client that leaves.
func (g *gate) watch() {
	g.mu.Lock()
	defer g.mu.Unlock()
	finished := uint64(0) // when the client shut down its sending side
	for g.x != nil {
		if g.broken {
			g.leave(true)
			return
		}
		if g.expired {
			g.srv.host.Count.Timeouts.Add(1)
			g.reset = g.unsent() > 0
			g.leave(true)
			g.breakOff()
			return
		}
		if finished != 0 && core.Now()-finished >= uint64(halfClosed) {
			g.leave(false)
		}
		if refusal := g.pass(); refusal != nil {
			g.spoilt(refusal)
			return
		}
		g.notice()
		// Set before it waits: who answers x then wakes it.
		g.eager = finished != 0 || g.more || g.in.len() > 0
		n, err := 0, error(nil)
		switch {
		case finished != 0, g.more && g.room() == 0, !g.more && g.in.len() >= aheadMax:
			g.allow(0)
			g.parkWaiting()
		case g.more:
			if g.wanted && g.until == 0 {
				g.allow(g.srv.host.Limits.Write)
			}
			n, err = g.parkReading(g.bodySize())
		default:
			n, err = g.parkReading(inputSize)
		}
		g.eager = false
		if n > 0 {
			g.idle = false
			if g.x != nil {
				g.allow(0)
				if g.more {
					g.sayContinued(g.x) // it did not wait for it
				}
			}
		}
		switch {
		case err == nil:
		case g.x == nil && err == io.EOF:
			g.closing = true // answered, and left or at least done
		case err == io.EOF && !g.more:
			// What the lanes still send is sent, and fails if nobody is there.
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

// nudge is kick for who does not hold mu.
func (g *gate) nudge() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.kick()
}

// leave tells the lanes that the client left. for good means that nothing more
// can be sent: the exchange is then detached, by the loop's thread. mu is held.
func (g *gate) leave(forGood bool) {
	if g.x == nil || g.lost {
		return
	}
	if !g.told {
		g.srv.host.Count.Gone.Add(1)
	} else if !forGood {
		return
	}
	g.srv.ring.Push(message{kind: bridge.EvGone, g: g, x: g.x, gen: g.gen, end: forGood, told: g.told})
	g.told, g.lost = true, forGood
}

// spoilt ends a request whose body turned out to be malformed while a lane has
// it. The client is told so unless an answer has begun. mu is held.
func (g *gate) spoilt(r *wire.Refusal) {
	// The lane reads and writes its part of the record only, and SentHead
	// changes under mu.
	if g.x.SentHead == 0 {
		g.refuseNow(g.x, r)
	}
	g.closing = true
	g.leave(true)
}

// fault ends a connection whose request made the engine panic. x is its exchange
// where no lane knows it.
func (g *gate) fault(x *bridge.Exchange) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.x != nil:
		g.leave(true)
		g.breakOff()
	case x != nil && g.owed:
		g.refuseNow(x, errInternal)
	default:
		g.breakOff()
	}
}

// setConn and getConn name x's connection. A call thread may look while the
// loop's thread detaches.

func setConn(x *bridge.Exchange, id uint64) { atomic.StoreUint64(&x.Conn, id) }

func getConn(x *bridge.Exchange) uint64 { return atomic.LoadUint64(&x.Conn) }
