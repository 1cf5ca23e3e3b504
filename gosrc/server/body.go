package server

import (
	"turboapi/gosrc/bridge"
	"turboapi/gosrc/form"
	"turboapi/gosrc/wire"
)

const (
	// maxReserve is how much memory a Content-Length alone makes the engine set
	// aside; beyond it the body has to come.
	maxReserve = 1 << 20
	// maxSkip is how much of a body that no lane wanted is read over to keep
	// the connection; a client with more has to connect again.
	maxSkip = 256 << 10
)

// collect reads the whole body into x, which no lane has yet. A form goes through
// its parser, which has its own limits; one that is not understood stops there,
// with ReqOdd, and what is left of it is streamed. False: the client was refused,
// was too slow or left.
func (g *gate) collect(x *bridge.Exchange, f *form.Parser) bool {
	limit := g.srv.host.Limits.Body
	if left := g.body.Remaining(); left > 0 && f == nil {
		if limit > 0 && left > limit {
			g.refuse(x, wire.ErrContentTooLarge)
			return false
		}
		if !x.HasRoom(uint64(left)) && g.srv.host.Full(left) {
			g.refuse(x, wire.ErrMemory)
			return false
		}
		x.ReserveBody(uint64(min(left, maxReserve)))
	}
	for {
		for g.in.len() > 0 && !g.body.Done() {
			data, n, refusal := g.body.Next(g.in.bytes())
			if refusal == nil && f == nil && limit > 0 && g.body.Received() > limit {
				refusal = wire.ErrContentTooLarge
			}
			if f != nil && g.srv.host.Full(int64(len(data))) {
				refusal = wire.ErrMemory
			}
			if refusal == nil && f == nil {
				refusal = g.srv.host.Collect(x, data, g.body.Remaining())
			}
			if refusal != nil {
				g.refuse(x, refusal)
				return false
			}
			if f != nil && !g.parse(x, f, data) {
				x.Flags |= bridge.ReqOdd
			}
			g.in.use(n)
			if x.Flags&bridge.ReqOdd != 0 {
				break
			}
		}
		if g.body.Done() {
			x.Flags = x.Flags&^bridge.ReqContinue | bridge.ReqBodyEnd
			if f != nil && x.Flags&bridge.ReqOdd == 0 && f.Finish(x) != nil {
				x.Flags |= bridge.ReqOdd
			}
			return true
		}
		if x.Flags&bridge.ReqOdd != 0 {
			return g.takeFirst(x)
		}
		if refusal, ok := g.awaitBody(x); refusal != nil {
			g.refuse(x, refusal)
			return false
		} else if !ok {
			return false
		}
	}
}

// parse gives data to a form's parser, which may write to a disk: this goroutine
// may wait for that. False: the form is the application's.
func (g *gate) parse(x *bridge.Exchange, f *form.Parser, data []byte) bool {
	if f.Write(x, data) != nil {
		return false
	}
	return !f.Waits() || f.Spool(x) == nil
}

// awaitBody reads once more for a body that is collected or skipped; x is nil
// for the latter. A refusal: the client is too slow. False: it left.
func (g *gate) awaitBody(x *bridge.Exchange) (*wire.Refusal, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if x != nil && g.wait100 {
		if g.body.Received() == 0 {
			g.send(continue100)
		}
		g.wait100 = false
	}
	g.allow(g.srv.host.Limits.Write)
	for !g.broken && !g.expired {
		n, err := g.parkReading(g.bodySize())
		if err != nil {
			g.breakOff()
		} else if n > 0 {
			g.allow(0)
			return nil, true
		}
	}
	if g.expired && !g.broken {
		g.srv.host.Count.Timeouts.Add(1)
		return wire.ErrRequestTimeout, false
	}
	return nil, false
}

// bodySize is the input that is worth having for the rest of the body.
func (g *gate) bodySize() int {
	if left := g.body.Remaining(); left >= 0 && left <= inputSize {
		return inputSize
	}
	return inputBody
}

// takeFirst moves what came with the head of a streamed body into x's inbox,
// before a lane has it. False: refused.
func (g *gate) takeFirst(x *bridge.Exchange) bool {
	for g.in.len() > 0 && !g.body.Done() && x.BodyLen < bridge.InboxMax {
		src := g.in.bytes()
		// Framing only makes the payload shorter than what it stands in.
		data, n, refusal := g.body.Next(src[:min(len(src), int(bridge.InboxMax-x.BodyLen))])
		if refusal != nil {
			g.refuse(x, refusal)
			return false
		}
		x.AppendBody(data)
		g.in.use(n)
	}
	if g.body.Received() > 0 {
		g.wait100 = false // it did not wait for it
		x.Flags &^= bridge.ReqContinue
	}
	if g.body.Done() {
		x.Flags |= bridge.ReqBodyEnd
	}
	return true
}

// pass sends what the input has of a streamed body to the loop's thread, as far
// as the inbox has room. mu is held, the exchange is attached.
func (g *gate) pass() *wire.Refusal {
	for !g.body.Done() && g.in.len() > 0 && g.room() > 0 {
		src := g.in.bytes()
		data, n, refusal := g.body.Next(src[:min(len(src), inputBody, g.room())])
		if refusal != nil {
			return refusal
		}
		var b []byte
		switch {
		case len(data) == 0:
		case len(data) <= inputSize:
			b = smallInputs.Get().(*[inputSize]byte)[:]
		default:
			b = largeInputs.Get().(*[inputBody]byte)[:]
		}
		b = b[:copy(b, data)]
		g.in.use(n)
		end := g.body.Done()
		if len(b) == 0 && !end {
			continue
		}
		g.wanted = false
		g.inRing += uint64(len(b))
		g.srv.ring.Push(message{kind: bridge.EvBody, g: g, x: g.x, gen: g.gen, data: b, end: end})
	}
	return nil
}

// room is how much more of the body may be read ahead. mu is held.
func (g *gate) room() int { return max(0, bridge.InboxMax-int(g.inbox+g.inRing)) }

// skip reads over what no lane wanted of the body, and has the connection
// closed where that is too much or may never come. No exchange is attached.
func (g *gate) skip() {
	g.mu.Lock()
	hopeless := g.closing || g.broken || g.lost
	if !hopeless && !g.body.Done() && (g.wait100 || g.body.Remaining() > maxSkip) {
		g.closing, hopeless = true, true
	}
	g.mu.Unlock()
	if hopeless {
		return
	}
	for !g.body.Done() {
		for g.in.len() > 0 && !g.body.Done() {
			_, n, refusal := g.body.Next(g.in.bytes())
			g.in.use(n)
			if refusal != nil || g.body.Received() > maxSkip+bridge.InboxMax {
				g.stop()
				return
			}
		}
		if g.body.Done() {
			return
		}
		if _, ok := g.awaitBody(nil); !ok {
			g.abandon()
			return
		}
	}
}

// stop ends the connection once everything is written.
func (g *gate) stop() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closing = true
}
