package wire

import (
	"sync/atomic"
	"time"
)

// dateLayout is IMF-fixdate (RFC 9110, 5.6.7); the time must be in UTC.
const dateLayout = "Mon, 02 Jan 2006 15:04:05 GMT"

// Clock gives the Date field's value, made at most once per second. The zero
// Clock is ready; any number of threads may use one.
type Clock struct {
	now atomic.Pointer[stamp]
}

type stamp struct {
	unix int64
	text [len(dateLayout)]byte
}

// Date returns the date of now. It stays valid for good and must not be
// changed.
func (c *Clock) Date() []byte { return c.DateAt(time.Now().Unix()) }

// DateAt is Date for callers that know the time, in seconds since 1970.
func (c *Clock) DateAt(unix int64) []byte {
	s := c.now.Load()
	if s == nil || s.unix != unix {
		s = c.refresh(unix)
	}
	return s.text[:]
}

func (c *Clock) refresh(unix int64) *stamp {
	s := &stamp{unix: unix}
	time.Unix(unix, 0).UTC().AppendFormat(s.text[:0], dateLayout)
	c.now.Store(s)
	return s
}
