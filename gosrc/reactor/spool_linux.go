package reactor

import (
	"sync"

	"golang.org/x/sys/unix"

	"turboapi/gosrc/bridge"
	"turboapi/gosrc/core"
)

const (
	// maxSpoolers is how many files are written at a time. A disk gains nothing from
	// more, and each may keep one of Go's processors until the scheduler notices.
	maxSpoolers = 2
	// spoolRead is how much is read, and written, at once.
	spoolRead = 256 << 10
	// spoolStep is how much of one body is taken before the next one's turn.
	spoolStep = 1 << 20
)

// spoolers are the goroutines that read bodies whose files go to disk. The loop's
// thread hands them connections: a disk may block, the loop may not. A connection
// stands in the queue once, so the queue is bounded as they are; while it waits
// there nothing is read of it, and its client is held up.
type spoolers struct {
	sync.Mutex
	queue   []*conn
	running int
	buffers sync.Pool // of *[spoolRead]byte
}

// spool gives c away: c.in and c.x belong to a spooler from here on, until it has
// put c back into phaseCollect. The loop's thread, with c.mu held.
func (r *Reactor) spool(c *conn) {
	c.phase = phaseSpool
	c.unset(readable | timed) // what comes from here on is a new edge; the rest is read
	s := &r.spoolers
	s.Lock()
	defer s.Unlock()
	s.queue = append(s.queue, c)
	if s.running < maxSpoolers {
		s.running++
		go r.runSpooler() // ends when the queue is empty
	}
}

// collectSpooled is collect for a body that a spooler has read some of.
func (r *Reactor) collectSpooled(c *conn) {
	in := c.in
	switch {
	case c.x.Flags&bridge.ReqOdd != 0 || in.body.Done():
		r.settled(c, in)
	case in.refusal != nil:
		r.refuse(c, in.refusal)
	case c.is(readable) || c.unread():
		r.spool(c)
	case c.is(finished):
		r.lose(c)
	default:
		r.due(c)
	}
}

// runSpooler takes connections from the queue, one after the other.
func (r *Reactor) runSpooler() {
	s := &r.spoolers
	buf, _ := s.buffers.Get().(*[spoolRead]byte)
	if buf == nil {
		buf = new([spoolRead]byte)
	}
	defer s.buffers.Put(buf)
	for {
		s.Lock()
		if len(s.queue) == 0 {
			s.running--
			s.Unlock()
			return
		}
		c := s.queue[0]
		s.queue = s.queue[:copy(s.queue, s.queue[1:])]
		s.Unlock()
		r.spoolSome(c, buf[:])
	}
}

// spoolSome reads some of c's body, has its files written, and gives c back.
func (r *Reactor) spoolSome(c *conn, buf []byte) {
	news := readable
	defer func() {
		if v := recover(); v != nil {
			r.host.Panic("writing a form's files", v)
			news = broken
		}
		r.endSpool(c, news)
	}()
	if !r.over() {
		news = r.readSpooled(c.fd, c.x, c.in, buf)
	}
}

// readSpooled takes body until it is complete or the application's, until no more
// of it comes for now, or until it is the next one's turn. It returns what that
// says about the socket.
func (r *Reactor) readSpooled(fd int32, x *bridge.Exchange, in *input, buf []byte) uint32 {
	if in.form.Waits() && in.form.Spool(x) != nil {
		x.Flags |= bridge.ReqOdd
	}
	for got := 0; x.Flags&bridge.ReqOdd == 0 && !in.body.Done() && in.refusal == nil && got < spoolStep; {
		if in.off < in.end {
			in.refusal = r.take(x, in, in.bytes(), false)
			continue
		}
		p := buf
		if left := in.body.Remaining(); left > 0 && left < int64(len(p)) {
			p = p[:left] // the next request may stay where it is
		}
		n, e := read(fd, p)
		switch {
		case e == eAgain:
			if r.hasSpooling() || !comes(fd) {
				return 0
			}
			continue
		case e != 0:
			return broken
		case n == 0:
			return finished
		}
		got += n
		r.host.Count.BytesIn.Add(int64(n))
		in.off, in.end = 0, 0
		in.refusal = r.takeOver(x, in, p[:n], false)
	}
	return readable
}

// comes waits for more to read, for as long as a client that sends without pause
// may take: going by way of the loop would take longer.
func comes(fd int32) bool {
	const millisecond = 1
	p := []unix.PollFd{{Fd: fd, Events: unix.POLLIN}}
	n, err := unix.Poll(p, millisecond)
	return n > 0 && err == nil
}

// hasSpooling reports whether other connections wait for a spooler.
func (r *Reactor) hasSpooling() bool {
	r.spoolers.Lock()
	defer r.spoolers.Unlock()
	return len(r.spoolers.queue) > 0
}

// endSpool gives c back to the loop's thread, with news of its socket. When the
// reactor was closed meanwhile, it is closed here, since nobody else will.
func (r *Reactor) endSpool(c *conn, news uint32) {
	r.ending.Lock()
	defer r.ending.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.phase, c.since = phaseCollect, core.Now()
	if r.closed {
		r.shut(c)
		return
	}
	c.set(news)
	r.giveBack(c)
	r.host.Waker.Wake()
}

func (r *Reactor) over() bool {
	r.ending.Lock()
	defer r.ending.Unlock()
	return r.closed
}
