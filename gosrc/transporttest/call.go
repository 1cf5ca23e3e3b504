package transporttest

import (
	"strconv"

	"turboapi/gosrc/bridge"
)

// Call is one exchange as the lane has it. Its methods are for the loop's
// thread; what they ask for is flushed at the end of the turn.
type Call struct {
	Gone bool // a GONE event came

	// What to do on events; OnGone nil: release the exchange.
	OnBody, OnDrained, OnGone func()

	b    *Bench
	x    *bridge.Exchange
	gen  uint32
	over bool // released
}

// X is the record.
func (c *Call) X() *bridge.Exchange { return c.x }

// Header is the first request field of that name, "" if there is none.
func (c *Call) Header(name string) string {
	for _, f := range c.x.Fields() {
		if string(c.x.Span(f.Name)) == name {
			return string(c.x.Span(f.Value))
		}
	}
	return ""
}

// Query is the query string.
func (c *Call) Query() string { return string(c.x.Span(c.x.Query)) }

// Take empties the inbox. end: nothing follows.
func (c *Call) Take() (body []byte, end bool) {
	body = append(body, c.x.BodyBytes()...)
	end = c.x.Flags&bridge.ReqBodyEnd != 0
	if !end {
		c.x.BodyLen = 0
	}
	return body, end
}

// Want asks for body.
func (c *Call) Want() {
	c.x.Want = 1
	c.mark(bridge.OpWant)
}

// ReadAll calls done with the whole body.
func (c *Call) ReadAll(done func(body []byte)) {
	var all []byte
	var step func()
	step = func() {
		part, end := c.Take()
		all = append(all, part...)
		if end {
			c.OnBody = nil
			done(all)
			return
		}
		c.OnBody = step
		c.Want()
	}
	step()
}

// Head begins a response. fields are names and values in turn.
func (c *Call) Head(status int, fields ...string) {
	c.x.Status = uint16(status)
	c.x.FieldsLen = 0
	for i := 0; i+1 < len(fields); i += 2 {
		c.x.AppendField(fields[i], fields[i+1])
	}
	c.mark(bridge.OpHead)
}

// Write adds payload.
func (c *Call) Write(p []byte) {
	c.x.AppendOut(p)
	c.mark(0)
}

// End ends the response and releases the exchange.
func (c *Call) End() { c.mark(bridge.OpEnd); c.Release() }

// Reply is a whole response, in one piece.
func (c *Call) Reply(status int, body string, fields ...string) {
	c.Head(status, append([]string{"content-length", strconv.Itoa(len(body))}, fields...)...)
	c.Write([]byte(body))
	c.End()
}

// JSON is a whole response with the ready-made head.
func (c *Call) JSON(body string) {
	c.x.Status, c.x.Preset = 200, bridge.PresetJSON
	c.x.AppendOut([]byte(body))
	c.mark(bridge.OpHead | bridge.OpEnd)
	c.Release()
}

// Op asks for anything else.
func (c *Call) Op(ops uint32) { c.mark(ops) }

// Flush hands over now what was asked for.
func (c *Call) Flush() { c.b.flush() }

// Unsent is what the last Flush reported.
func (c *Call) Unsent() uint64 { return c.x.Unsent }

// Release gives the exchange back.
func (c *Call) Release() {
	c.mark(bridge.OpRelease)
	c.end()
}

// Elsewhere has f fill and flush the response on a thread of its own, as a call
// thread does; c must not be touched otherwise any more. f runs without any
// lock and ends with the flush of what it asked for.
func (c *Call) Elsewhere(f func(c *Call)) {
	delete(c.b.calls, c.x)
	x, tr := c.x, c.b.Tr
	c.over = true
	c.b.away.Add(1)
	go func() { // stops when f does
		defer c.b.away.Done()
		side := &Call{b: &Bench{T: c.b.T, Tr: tr}, x: x, gen: c.gen}
		f(side)
		side.b.flush()
	}()
}

func (c *Call) mark(ops uint32) {
	c.x.Ops |= ops
	if c.over {
		return
	}
	for _, x := range c.b.dirty {
		if x == c.x {
			return
		}
	}
	c.b.dirty = append(c.b.dirty, c.x)
}

// end takes the call off the lane's list.
func (c *Call) end() *bridge.Exchange {
	c.over = true
	delete(c.b.calls, c.x)
	return c.x
}
