package reactor

import (
	"sync"
	"sync/atomic"

	"turboapi/gosrc/bridge"
	"turboapi/gosrc/websocket"
)

// phase says what a connection is about.
//
//	accept -> head -> busy -> answered -> head ...
//	           |  \     ^        |
//	           |   collect       |
//	           |      |          v
//	           +------+-----> linger -> closed      (any phase may go to closed)
//
// and for a WebSocket busy -> open -> answered.
//
//	head      no request, or part of its head: idle when nothing was read
//	collect   part of a body that its plan wants whole
//	spool     the same, while a goroutine reads it and writes its files: input and
//	          exchange are that one's, from collect and back to it
//	busy      a lane owns the exchange; a streamed body goes into its inbox
//	answered  the answer is complete, but bytes of it are unsent, or bytes of the
//	          request unread, or something else is left for the loop's thread
//	open      an accepted WebSocket: messages go both ways. Without an exchange: our
//	          Close is out, the client's is waited for
//	linger    refused: half-closed, reading on so that the client sees the answer
//	closed    no descriptor; the slot is free
//
// busy -> answered happens in Flush, on any thread. Where nothing is left to do
// it goes on to head at once and the loop's thread hears nothing of it;
// otherwise the connection goes back through the return queue. spool -> collect
// is the goroutine's. Every other change is the loop's.
type phase uint8

const (
	phaseClosed phase = iota
	phaseHead
	phaseCollect
	phaseSpool
	phaseBusy
	phaseAnswered
	phaseOpen
	phaseLinger
)

// What is known about a connection beside its phase.
const (
	readable   uint32 = 1 << iota // bytes, or the end, may be in the socket
	finished                      // the client has shut down its sending side
	broken                        // neither side can send, or a write failed
	blocked                       // the socket takes no more for now
	closing                       // no request after this one
	expecting                     // the client waits for 100 Continue
	gone                          // the lanes were told that the client left
	high                          // Flush has reported more than HighWater unsent
	returned                      // in the return queue
	fresh                         // no request yet
	outArmed                      // epoll reports that the socket takes more (Unix)
	expired                       // the wheel found a limit passed
	resetting                     // close so that the client sees a reset
	headOnly                      // the request that is refused is a HEAD
	panicked                      // a panic was caught before
	unixSocket                    // of a Unix socket
	leaving                       // the client sends no more; the lanes may be told of it later
	left                          // now
	timed                         // the phase's limit runs and the wheel knows it
)

// conn is one connection. mu guards all of it but what is the loop's alone. The
// struct is what an idle connection costs, so large things hang on pointers.
type conn struct {
	mu    sync.Mutex
	id    uint64 // generation<<32 | slot+1, 0 while closed; guards against late events and late flushes
	fd    int32
	phase phase
	flags uint32

	x     *bridge.Exchange // from the head's end to the end of the answer
	in    *input           // bytes that were read and not used, and where parsing stands
	out   []byte           // bytes that the socket did not take
	sent  int              // of out; while lingering, bytes thrown away
	file  *file            // what follows out, or nil
	since uint64           // ns; the phase's limit runs from here
	held  int32            // bytes that the kernel held when the socket took no more

	ws *websocket.Session // while open

	// The loop's thread only.
	queued   bool
	slot     int16 // of the wheel, noSlot: none
	listener int16 // that accepted it
	next     *conn // in the run list
	at, from *conn // neighbours in the wheel's slot

	client, server address
}

// address is an Internet address as the exchange has it. A Unix socket's path is
// long, and the listener's.
type address struct {
	host [46]byte
	port uint16
}

func (c *conn) is(flag uint32) bool { return c.flags&flag != 0 }
func (c *conn) set(flag uint32)     { c.flags |= flag }
func (c *conn) unset(flag uint32)   { c.flags &^= flag }

// unsent is the number of bytes that wait for the socket.
func (c *conn) unsent() int {
	n := len(c.out) - c.sent
	if c.file != nil {
		n += c.file.unsent()
	}
	return n
}

// bodyDone reports whether all of the request's body was taken off its framing.
func (c *conn) bodyDone() bool { return c.in == nil || c.in.body.Done() }

// unread reports whether bytes of the next request were read already.
func (c *conn) unread() bool { return c.in != nil && c.in.off < c.in.end }

const (
	slabConns = 256
	maxSlabs  = 8192 // two million connections
)

type slab [slabConns]conn

// conns finds a connection by its slot. Slabs are added by the loop's thread and
// read by all; they stay until the reactor is garbage.
type conns struct {
	slabs [maxSlabs]atomic.Pointer[slab]
	n     int      // slabs made
	free  []uint32 // slots; the one used last is used next
}

// get returns the connection in the slot that id names, or nil.
func (s *conns) get(id uint64) *conn {
	i := uint32(id) - 1
	if i >= maxSlabs*slabConns {
		return nil
	}
	b := s.slabs[i/slabConns].Load()
	if b == nil {
		return nil
	}
	return &b[i%slabConns]
}

// take gives a free slot and the connection in it, or nil when there are too
// many. The loop's thread.
func (s *conns) take() (uint32, *conn) {
	if len(s.free) == 0 {
		if s.n == maxSlabs {
			return 0, nil
		}
		b := new(slab)
		s.slabs[s.n].Store(b)
		for i := slabConns - 1; i >= 0; i-- {
			b[i].slot = noSlot
			s.free = append(s.free, uint32(s.n*slabConns+i))
		}
		s.n++
	}
	i := s.free[len(s.free)-1]
	s.free = s.free[:len(s.free)-1]
	return i, &s.slabs[i/slabConns].Load()[i%slabConns]
}

// each calls f for every connection, open or not. The loop's thread.
func (s *conns) each(f func(*conn)) {
	for i := range s.n {
		b := s.slabs[i].Load()
		for j := range b {
			f(&b[j])
		}
	}
}
