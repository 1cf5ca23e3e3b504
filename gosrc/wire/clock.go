package wire

import (
	"sync/atomic"
	"time"
)

// dateLayout is IMF-fixdate (RFC 9110, 5.6.7); the time must be in UTC.
const dateLayout = "Mon, 02 Jan 2006 15:04:05 GMT"

// Own is the field lines that a server adds to each final response, ready to
// send: "date: ...\r\n", then "server: ...\r\n", each of which may be missing.
type Own []byte

// Clock gives a server's own field lines, made at most once per second. Any
// number of threads may use one.
type Clock struct {
	date   bool
	server string
	now    atomic.Pointer[stamp]
}

type stamp struct {
	unix  int64
	lines Own
}

// NewClock returns a Clock whose lines have a Date if date is set, and a Server
// of that value unless it is empty.
func NewClock(date bool, server string) *Clock { return &Clock{date: date, server: server} }

// Own returns the lines of now. They stay valid for good and must not be
// changed.
func (c *Clock) Own() Own { return c.OwnAt(time.Now().Unix()) }

// OwnAt is Own for callers that know the time, in seconds since 1970.
func (c *Clock) OwnAt(unix int64) Own {
	s := c.now.Load()
	if s == nil || s.unix != unix {
		s = c.refresh(unix)
	}
	return s.lines
}

func (c *Clock) refresh(unix int64) *stamp {
	s := &stamp{unix: unix}
	if c.date {
		s.lines = append(s.lines, datePrefix...)
		s.lines = append(time.Unix(unix, 0).UTC().AppendFormat(s.lines, dateLayout), "\r\n"...)
	}
	if c.server != "" {
		s.lines = append(append(append(s.lines, "server: "...), c.server...), "\r\n"...)
	}
	c.now.Store(s)
	return s
}

const datePrefix = "date: "

// without returns the lines that the application does not give itself.
func (o Own) without(date, server bool) Own {
	n := 0 // of the date's line
	if len(o) > len(datePrefix) && string(o[:len(datePrefix)]) == datePrefix {
		n = len(datePrefix) + len(dateLayout) + len("\r\n")
	}
	switch {
	case date && server:
		return nil
	case date:
		return o[n:]
	case server:
		return o[:n]
	}
	return o
}
