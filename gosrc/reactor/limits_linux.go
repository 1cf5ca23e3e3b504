package reactor

import (
	"time"

	"turboapi/gosrc/wire"
)

const (
	// relook is how often the wheel looks at a connection without a limit.
	relook = 60 * time.Second
	// drainGrace is how long a connection that was accepted while draining, or
	// just before, is given for its one request.
	drainGrace = time.Second
)

// deadline is when c will have been too slow, never where no limit runs.
func (r *Reactor) deadline(c *conn) uint64 {
	l := &r.host.Limits
	d := time.Duration(0)
	switch c.phase {
	case phaseHead:
		started := c.in != nil && c.in.parser.Started()
		switch {
		case r.draining.Load() && !started && (l.Header == 0 || l.Header > drainGrace):
			d = drainGrace
		case started || c.is(fresh):
			d = l.Header
		default:
			d = l.KeepAlive
		}
	case phaseCollect:
		d = l.Write
	case phaseBusy:
		// A lane may take as long as it likes; a client may not while the lane
		// waits for it.
		if c.unsent() > 0 || c.x.Want != 0 && !c.bodyDone() {
			d = l.Write
		}
	case phaseAnswered:
		if c.unsent() > 0 || !c.bodyDone() {
			d = l.Write
		}
	case phaseOpen:
		due := c.ws.Due()
		if c.unsent() > 0 && l.Write > 0 {
			due = min(due, c.since+uint64(l.Write))
		}
		return due
	case phaseLinger:
		d = l.Linger
	}
	if d <= 0 {
		return never
	}
	return c.since + uint64(d)
}

// due has the wheel look at c when its deadline comes, and often enough not to
// miss the one for idle connections, which may begin on another thread.
func (r *Reactor) due(c *conn) {
	soon := r.now + uint64(relook)
	if k := r.host.Limits.KeepAlive; k > 0 {
		soon = min(soon, r.now+uint64(k))
	}
	at := r.wheel.put(c, min(soon, r.deadline(c)))
	if at < r.wheel.armed {
		r.setAlarm(at)
	}
}

func (r *Reactor) setAlarm(at uint64) {
	r.wheel.armed = at
	setTimer(r.timer, at)
}

// look has those connections stepped whose slot has come.
func (r *Reactor) look() {
	r.wheel.turn(r.now, func(c *conn) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.phase == phaseClosed {
			return
		}
		if r.deadline(c) > r.now {
			r.due(c)
			return
		}
		c.set(expired)
		r.push(c)
	})
	r.lookLeft()
	if r.acceptAt != 0 && r.acceptAt <= r.now {
		r.resumeAccept()
	}
}

// arm sets the timer to what comes next: a slot of the wheel, the end of a pause
// in accepting, or a client that is taken for gone. Setting it is rare, since it only moves when it has rung.
func (r *Reactor) arm() {
	next := r.wheel.armed
	if next == never {
		next = r.wheel.first()
	}
	if r.acceptAt != 0 {
		next = min(next, r.acceptAt)
	}
	if len(r.leavers) > 0 {
		next = min(next, r.leavers[0].at)
	}
	if next < r.wheel.armed {
		r.setAlarm(next)
	}
}

// overdue has c cut off if it is still too slow: since the wheel looked, another
// thread may have ended its answer. It reports whether it did.
func (r *Reactor) overdue(c *conn) bool {
	late := r.deadline(c) <= r.now && !r.takes(c)
	if late {
		r.cutOff(c)
	}
	if c.phase != phaseClosed && c.slot == noSlot {
		r.due(c) // every open connection is looked at again
	}
	return late
}

// takes reports whether the client has taken some of its answer since the limit
// began to run, which then begins again. The kernel says that a socket takes more
// when a good part of its memory is free: a slow client may need longer than the
// limit for that, although it reads all the time.
func (r *Reactor) takes(c *conn) bool {
	if c.unsent() == 0 {
		return false
	}
	n := outQueue(c.fd)
	if n >= c.held {
		return false
	}
	c.held, c.since = n, r.now
	return true
}

// cutOff ends what c is about, because it took too long.
func (r *Reactor) cutOff(c *conn) {
	started := func() bool { return c.in != nil && c.in.parser.Started() }
	switch c.phase {
	case phaseHead:
		if started() {
			r.host.Count.Timeouts.Add(1)
			r.refuse(c, wire.ErrRequestTimeout)
			return
		}
		if c.is(fresh) {
			r.host.Count.Timeouts.Add(1)
		}
		// A last look: a request that came just now is served.
		c.set(readable)
		r.readHead(c)
		if c.phase == phaseHead && !started() {
			r.shut(c)
		}
	case phaseCollect:
		r.host.Count.Timeouts.Add(1)
		r.refuse(c, wire.ErrRequestTimeout)
	case phaseOpen:
		r.lookAtSocket(c)
	case phaseLinger:
		r.shut(c)
	default:
		r.host.Count.Timeouts.Add(1)
		if c.unsent() > 0 {
			c.set(resetting) // what it does not take would stay in the kernel for minutes
		}
		r.lose(c)
	}
}
