package core

import (
	"strconv"
	"sync/atomic"
)

// Counters count what happens where it happens; each may be added to on any
// thread. Connections goes up and down, the others only up.
type Counters struct {
	Connections atomic.Int64 // open now
	Accepted    atomic.Int64
	AcceptFails atomic.Int64 // accept errors (EMFILE, ...)
	Requests    atomic.Int64 // heads read
	Responses   atomic.Int64 // final responses completed
	Errors5xx   atomic.Int64 // of those, status 500 to 599
	Refused     atomic.Int64 // answered by the engine itself for being malformed or too large
	Timeouts    atomic.Int64 // connections cut off for being slower than a limit
	Gone        atomic.Int64 // clients that left before the end of their answer
	BytesIn     atomic.Int64
	BytesOut    atomic.Int64
	Panics      atomic.Int64
	LogsDropped atomic.Int64

	refusals [600]atomic.Int32 // by status
}

// Refuse counts a refusal of that status.
func (c *Counters) Refuse(status int) {
	c.Refused.Add(1)
	if status >= 0 && status < len(c.refusals) {
		c.refusals[status].Add(1)
	}
}

// Respond counts a completed response.
func (c *Counters) Respond(status int) {
	c.Responses.Add(1)
	if status >= 500 {
		c.Errors5xx.Add(1)
	}
}

// appendJSON appends the counters as members of a JSON object, without braces.
func (c *Counters) appendJSON(b []byte) []byte {
	for _, f := range []struct {
		name string
		v    *atomic.Int64
	}{
		{"connections", &c.Connections}, {"accepted", &c.Accepted}, {"accept_errors", &c.AcceptFails},
		{"requests", &c.Requests}, {"responses", &c.Responses}, {"responses_5xx", &c.Errors5xx},
		{"refused", &c.Refused}, {"timeouts", &c.Timeouts}, {"gone", &c.Gone},
		{"bytes_in", &c.BytesIn}, {"bytes_out", &c.BytesOut}, {"panics", &c.Panics},
		{"logs_dropped", &c.LogsDropped},
	} {
		b = append(b, '"')
		b = append(b, f.name...)
		b = append(b, `":`...)
		b = strconv.AppendInt(b, f.v.Load(), 10)
		b = append(b, ',')
	}
	b = append(b, `"refusals":{`...)
	comma := false
	for status := range c.refusals {
		if n := c.refusals[status].Load(); n > 0 {
			if comma {
				b = append(b, ',')
			}
			comma = true
			b = append(b, '"')
			b = strconv.AppendInt(b, int64(status), 10)
			b = append(b, `":`...)
			b = strconv.AppendInt(b, int64(n), 10)
		}
	}
	return append(b, '}')
}
