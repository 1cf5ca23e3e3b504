package reactor

import (
	"syscall"

	"turboapi/gosrc/bridge"
	"turboapi/gosrc/core"
)

const (
	// maxEvents is how many epoll events one call takes. More only wait for the
	// next turn, since the descriptor stays readable.
	maxEvents = 512
	// maxTurn is how long a turn handles connections before the loop's other
	// work gets its share, in ns.
	maxTurn = 2_000_000
	// maxTurnBytes is how much a turn reads, for the same reason.
	maxTurnBytes = 2 << 20
	// clockSteps is after how many connections a turn looks at the clock.
	clockSteps = 32
	// maxStepEvents is the most events that one step of a connection makes:
	// a request that is gone at once, or a body, a drained and a gone.
	maxStepEvents = 3
)

// Turn takes what the kernel has, gives each connection with news one step, and
// fills ev, which has at least three places.
func (r *Reactor) Turn(ev []bridge.Event) int {
	if r.closed {
		return 0
	}
	r.ev, r.n, r.bytes = ev, 0, 0
	r.now = core.Now()
	r.table = r.host.Table()
	r.poll()
	r.takeReturned()
	r.steps()
	if r.runHead != nil {
		// Bytes and edges that were taken already wake no epoll.
		r.host.Waker.Wake()
	}
	r.arm()
	r.account()
	n := r.n
	r.ev, r.n = nil, 0
	return n
}

// account adds the turn's sums to the counters.
func (r *Reactor) account() {
	if r.requests != 0 {
		r.host.Count.Requests.Add(r.requests)
	}
	if r.bytesIn != 0 {
		r.host.Count.BytesIn.Add(r.bytesIn)
	}
	r.requests, r.bytesIn = 0, 0
	r.count(&r.own)
}

// poll notes the kernel's news in the connections and accepts new ones.
func (r *Reactor) poll() {
	accepted := r.pollOnce()
	if accepted {
		// The news of new connections, whose requests are often there already.
		r.pollOnce()
	}
}

// pollOnce handles the events of one call and reports whether connections were
// accepted.
func (r *Reactor) pollOnce() (accepted bool) {
	defer r.guard("poll")
	n := wait(r.epoll, r.events[:])
	for i := range r.events[:n] {
		ev := &r.events[i]
		id := idOf(ev)
		if id>>32 != 0 {
			r.note(id, ev.Events)
			continue
		}
		switch id {
		case wakerID:
			r.host.Waker.Forget()
		case timerID:
			r.wheel.armed = never
			r.look()
		default:
			accepted = r.acceptSome(int(id-listenerID)) || accepted
		}
	}
	return accepted
}

// note keeps what an event says in its connection and has it stepped.
func (r *Reactor) note(id uint64, events uint32) {
	c := r.conns.get(id)
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.id != id {
		return // of an earlier connection
	}
	news := false
	if events&syscall.EPOLLIN != 0 {
		c.set(readable)
		news = true
	}
	if events&syscall.EPOLLRDHUP != 0 && !c.is(finished) {
		c.set(finished)
		news = true
	}
	if events&(syscall.EPOLLHUP|syscall.EPOLLERR) != 0 {
		c.set(broken)
		news = true
	}
	if events&syscall.EPOLLOUT != 0 && c.is(blocked) {
		c.unset(blocked)
		news = true
	}
	// Most edges say only that an answer left; a lane's connection has nothing
	// to do with further bytes of its client either, unless they are a body.
	if news {
		r.push(c)
	}
}

// push appends c to the connections that get a step.
func (r *Reactor) push(c *conn) {
	if c.queued {
		return
	}
	c.queued, c.next = true, nil
	if r.runTail == nil {
		r.runHead = c
	} else {
		r.runTail.next = c
	}
	r.runTail = c
}

// pop takes the first of them.
func (r *Reactor) pop() *conn {
	c := r.runHead
	r.runHead = c.next
	if r.runHead == nil {
		r.runTail = nil
	}
	c.queued, c.next = false, nil
	return c
}

// takeReturned has the connections stepped that other threads gave back.
func (r *Reactor) takeReturned() {
	r.back.Lock()
	r.taken, r.back.list = r.back.list, r.taken[:0]
	r.back.Unlock()
	for i, c := range r.taken {
		c.mu.Lock()
		c.unset(returned)
		c.mu.Unlock()
		r.push(c)
		r.taken[i] = nil
	}
	r.taken = r.taken[:0]
}

// giveBack has the loop's thread step c. Any thread, with c.mu held; the caller
// wakes the loop afterwards.
func (r *Reactor) giveBack(c *conn) {
	if c.is(returned) {
		return
	}
	c.set(returned)
	r.back.Lock()
	r.back.list = append(r.back.list, c)
	r.back.Unlock()
}

// steps gives each connection in the run list one step, in order, within the
// bounds of a turn. One that has more to do stands at the end of the list, so a
// client that sends a thousand requests at once delays nobody else.
func (r *Reactor) steps() {
	end := r.now + maxTurn
	for i := 1; r.runHead != nil && r.n+maxStepEvents <= len(r.ev) && r.bytes < maxTurnBytes; i++ {
		r.step(r.pop())
		if i%clockSteps == 0 {
			if r.now = core.Now(); r.now > end {
				break
			}
		}
	}
}

// step does what there is to do for c.
func (r *Reactor) step(c *conn) {
	c.mu.Lock()
	// In this order: a panic is dealt with under the lock.
	defer c.mu.Unlock()
	defer r.rescue(c)
	if c.phase == phaseClosed || c.phase == phaseSpool {
		return
	}
	if c.is(broken) {
		r.lose(c)
		return
	}
	if c.unsent() > 0 && !c.is(blocked) {
		r.sendOn(c)
	}
	if c.is(expired) {
		c.unset(expired)
		if r.overdue(c) {
			return
		}
	}
	switch c.phase {
	case phaseHead:
		r.readHead(c)
	case phaseCollect:
		r.collect(c)
	case phaseBusy:
		r.attend(c)
	case phaseAnswered:
		r.goOn(c)
	case phaseOpen:
		r.converse(c)
	case phaseLinger:
		r.linger(c)
	}
}

// emit tells the lanes of x.
func (r *Reactor) emit(x *bridge.Exchange, kind uint32) {
	r.ev[r.n] = bridge.Event{X: x, Gen: x.Gen, Kind: kind}
	r.n++
}

// rescue is deferred around a step: a panic costs its connection, nothing else.
func (r *Reactor) rescue(c *conn) {
	v := recover()
	if v == nil {
		return
	}
	r.host.Panic("a connection's step", v)
	if c.is(panicked) {
		// Twice: what the connection holds is not to be trusted. Its
		// descriptor is closed, its slot is lost.
		if c.phase != phaseClosed {
			c.phase, c.id, c.x, c.in = phaseClosed, 0, nil, nil
			c.dropFile()
			closeFD(int(c.fd))
			r.open--
			r.host.Count.Connections.Add(-1)
		}
		return
	}
	c.set(panicked)
	defer func() {
		if v := recover(); v != nil {
			r.host.Panic("closing a connection", v)
			c.set(broken)
			r.push(c)
		}
	}()
	if c.phase == phaseHead || c.phase == phaseCollect {
		r.refuse(c, errInternal)
		return
	}
	c.set(broken)
	r.push(c)
}

// guard is deferred where no connection is to blame.
func (r *Reactor) guard(where string) {
	if v := recover(); v != nil {
		r.host.Panic(where, v)
	}
}
