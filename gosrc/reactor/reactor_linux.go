package reactor

import (
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"

	"turboapi/gosrc/bridge"
	"turboapi/gosrc/core"
)

func init() { core.Register("reactor", 2, Open) }

// transportID is this transport's number in an exchange.
const transportID = 1

// Reactor is one server's epoll transport. What has no lock belongs to the
// loop's thread.
type Reactor struct {
	host       *core.Host
	epoll      int
	timer      int
	listeners  []listener
	open       int    // connections
	generation uint32 // of the last connection, wraps past 0
	wheel      wheel

	// Of the current turn.
	ev    []bridge.Event
	n     int
	now   uint64
	bytes int // read
	table core.Table
	// Added to the counters at the end of the turn.
	requests, bytesIn int64

	runHead, runTail *conn
	in               input // what most requests pass through
	own              scratch
	inputs           inputs
	events           [maxEvents]syscall.EpollEvent
	peer             syscall.RawSockaddrAny
	taken            []*conn // the return queue's other half

	leavers     []leaver
	acceptAt    uint64 // ns; accepting pauses until then, 0: it does not pause, never: until a connection ends
	closed      bool
	acceptNoted bool // the pause was logged

	spoolers spoolers
	ending   sync.Mutex // held while closed becomes true, and by a spooler that asks

	// Any thread.
	conns    conns
	buffers  buffers
	scratch  scratches
	draining atomic.Bool
	live     atomic.Int64 // exchanges acquired and not released
	back     struct {
		sync.Mutex
		list []*conn
	}
}

// Ids of descriptors that are not connections; theirs have a generation in the
// upper half, which begins at 1.
const (
	wakerID uint64 = iota
	timerID
	listenerID // and the following
)

// scratchRead is how much one read takes at most. A whole request nearly always
// fits; what does not is read in steps.
const scratchRead = 64 << 10

// Open makes the reactor of a server and starts to accept on h's listeners,
// whose descriptors are its own from here on. The loop's thread.
func Open(h *core.Host) (core.Transport, error) {
	r := &Reactor{host: h, epoll: -1, timer: -1}
	r.in.buf = make([]byte, scratchRead)
	l := &h.Limits
	r.now = core.Now()
	r.wheel.init(r.now, l.Header, l.KeepAlive, l.Write, l.Linger, l.WebSocket.PingInterval, l.WebSocket.PingTimeout, l.WebSocket.Idle)
	if err := r.setUp(); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

func (r *Reactor) setUp() error {
	for _, l := range r.host.Listeners {
		r.listeners = append(r.listeners, newListener(l))
	}
	var err error
	if r.epoll, err = syscall.EpollCreate1(syscall.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("reactor: epoll: %w", err)
	}
	var e syscall.Errno
	if r.timer, e = newTimer(); e != 0 {
		r.timer = -1
		return fmt.Errorf("reactor: timerfd: %w", e)
	}
	// Edge-triggered, so neither has to be read.
	if e := control(r.epoll, syscall.EPOLL_CTL_ADD, r.host.Waker.FD(), syscall.EPOLLIN|epollET, wakerID); e != 0 {
		return fmt.Errorf("reactor: epoll: %w", e)
	}
	if e := control(r.epoll, syscall.EPOLL_CTL_ADD, r.timer, syscall.EPOLLIN|epollET, timerID); e != 0 {
		return fmt.Errorf("reactor: epoll: %w", e)
	}
	for i := range r.listeners {
		if e := r.listen(i); e != 0 {
			return fmt.Errorf("reactor: epoll: listener: %w", e)
		}
	}
	return nil
}

// FD is the epoll descriptor.
func (r *Reactor) FD() int { return r.epoll }

// Active is the number of open connections and unreleased exchanges.
func (r *Reactor) Active() int64 { return r.host.Count.Connections.Load() + r.live.Load() }

// Drain accepts what waits and then nothing more, and has the next turn look at
// every connection: those without a request are closed after a last read.
func (r *Reactor) Drain() {
	if r.closed || r.draining.Load() {
		return
	}
	r.now = core.Now()
	for i := range r.listeners {
		r.acceptAll(i)
	}
	r.draining.Store(true)
	r.closeListeners()
	r.conns.each(func(c *conn) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.phase == phaseHead {
			// What arrived after the last edge was seen is served.
			c.set(readable)
			r.push(c)
		} else if c.phase == phaseOpen {
			r.push(c)
		}
	})
	r.host.Waker.Wake()
}

func (r *Reactor) closeListeners() {
	for i := range r.listeners {
		if l := &r.listeners[i]; l.fd >= 0 {
			closeFD(l.fd)
			l.fd = -1
		}
	}
}

// Close closes everything at once. Lanes keep their exchanges, detached, until
// they flush them.
func (r *Reactor) Close() {
	if r.closed {
		return
	}
	r.ending.Lock()
	defer r.ending.Unlock()
	r.closed = true
	r.draining.Store(true)
	r.closeListeners()
	r.conns.each(func(c *conn) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.x != nil && (c.phase == phaseBusy || c.phase == phaseOpen) {
			orFlags(c.x, bridge.ReqGone)
		}
		if c.phase != phaseClosed && c.phase != phaseSpool {
			r.shut(c)
		}
	})
	r.account()
	for _, fd := range []int{r.timer, r.epoll} {
		if fd >= 0 {
			closeFD(fd)
		}
	}
}
