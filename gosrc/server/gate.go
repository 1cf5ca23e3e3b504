package server

import (
	"io"
	"net"
	"sync"
	"time"

	"turboapi/gosrc/bridge"
	"turboapi/gosrc/websocket"
	"turboapi/gosrc/wire"
)

// gate is one connection, and the net.Conn that fasthttp is given in its place.
//
// fasthttp drives it: it reads a request from the gate, calls the handler,
// writes a response, reads again. What it reads is always the same minimal
// head, given out when the strict parser has a whole request; what it writes
// goes nowhere. The request itself, its body, the answer and everything that
// may go wrong in between pass fasthttp by.
//
//	            Read                         handler
//	waiting -> head read -> [body collected] -> dispatched -> answered -+
//	   ^           |               |                 |                   |
//	   |        refused         refused       client left, abort         |
//	   |           v               v                 v                   |
//	   |           closing <-------+-----------------+                   |
//	   +-----------------------------------------------------------------+
//
// One goroutine owns the connection. While an exchange is dispatched it waits
// in a read of the socket, which is how it notices a client that leaves, and
// stays there after the answer: the next request is what wakes it. The answer
// itself is written by whoever calls Flush, as far as the kernel takes it; a
// second goroutine exists only while it does not (output.go).
type gate struct {
	srv  *Server
	sock socket
	id   uint64

	local, remote net.Addr
	clientHost    string
	serverHost    string
	clientPort    uint16
	serverPort    uint16
	unix          bool
	placed        bool // counts against the limit of connections

	// The goroutine's own.
	in      input
	parser  wire.Parser
	head    wire.Head
	body    wire.Body
	pull    func(fd uintptr) bool // fill, bound once
	want    int                   // the size of input that fill aims at
	filled  int                   // what fill read
	fillErr error
	given   int  // bytes of cannedHead that fasthttp has
	headed  bool // head is complete
	owed    bool // the request has no answer yet and no lane has it
	fresh   bool // no request was read yet

	wake chan struct{} // cap 1: ends parkWaiting

	mu sync.Mutex

	// The exchange that is dispatched and not detached.
	x    *bridge.Exchange
	gen  uint32
	told bool // the lanes are told that the client left
	lost bool // and nothing can be sent to it any more

	undecided bool // the loop's thread may answer x from the table

	parked  parking
	kicked  bool // the socket's reads are interrupted
	eager   bool // the goroutine has work as soon as x is answered
	idle    bool // no byte of a request was read
	closing bool // no further request; close once everything is written
	linger  bool // the client may still be sending: read on before the close
	reset   bool // close so that the client sees a reset
	broken  bool // nothing can be sent any more: close at once
	closed  bool // the descriptor is gone
	done    bool // the goroutine is gone

	until   uint64 // when the current wait is too long (core.Now), 0: never
	expired bool   // that time has come

	keep    bool // the client lets the connection stay open
	wait100 bool // the client waits for 100 Continue
	stuffed bool // Flush reported more than HighWater: a DRAINED event is due

	// Of a request body that streams.
	more   bool   // it is not complete
	left   int64  // what is to come of it as far as that is known, else -1
	wanted bool   // the lane waits for it
	inbox  uint64 // what the record held when last seen
	inRing uint64 // on its way to it

	// An accepted WebSocket: busy until Flush accepts it, gone with the connection.
	ws           *websocket.Session
	queuedInRing int // messages on their way to the record

	// What the kernel did not take.
	out      []byte
	outAt    int
	file     bridge.File // what follows out, and then
	tail     string
	short    string // the request, for the log of a file that is too short
	cutShort bool   // whose end the connection's end is
	writing  bool   // drain runs
}

// parking says where the goroutine waits, that is how to wake it.
type parking uint8

const (
	notParked parking = iota
	parkedReading
	parkedWaiting
)

// cannedHead is what fasthttp reads instead of a request.
const cannedHead = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"

// Read gives fasthttp the next request, or io.EOF when the connection has to be
// closed. The connection's goroutine.
func (g *gate) Read(p []byte) (n int, err error) {
	if g.given == len(cannedHead) {
		if !g.request() {
			return 0, io.EOF
		}
		g.given = 0
	}
	n = copy(p, cannedHead[g.given:])
	g.given += n
	return n, nil
}

// Write swallows fasthttp's idea of the response: the lanes' was sent already.
func (g *gate) Write(p []byte) (int, error) { return len(p), nil }

// Close ends the connection once its output is written. fasthttp calls it when
// its loop is over, the connection's goroutine.
func (g *gate) Close() error {
	g.finish()
	return nil
}

func (g *gate) LocalAddr() net.Addr  { return g.local }
func (g *gate) RemoteAddr() net.Addr { return g.remote }

// The deadlines are the gate's own business.

func (g *gate) SetDeadline(time.Time) error      { return nil }
func (g *gate) SetReadDeadline(time.Time) error  { return nil }
func (g *gate) SetWriteDeadline(time.Time) error { return nil }

// fill reads into the input what the socket has. It is given to RawConn.Read,
// which calls it again when the socket is readable: no buffer is held meanwhile.
func (g *gate) fill(fd uintptr) bool {
	g.filled, g.fillErr = tryRead(int(fd), g.in.room(g.want))
	if g.filled == 0 && g.fillErr == nil {
		g.in.drop()
		return false
	}
	g.in.w += g.filled
	return true
}

// parkReading waits until the socket has bytes, which are then in the input, or
// until a kick: 0 and no error. mu is held, except while it waits.
func (g *gate) parkReading(want int) (n int, err error) {
	g.parked = parkedReading
	g.want, g.filled, g.fillErr = want, 0, nil
	g.mu.Unlock()
	defer g.unpark()
	err = g.sock.raw.Read(g.pull)
	switch {
	case err == nil:
		err = g.fillErr
	case isTimeout(err):
		err = nil
	}
	g.srv.host.Count.BytesIn.Add(int64(g.filled))
	return g.filled, err
}

// unpark takes mu again, and lets the socket be read if a kick had stopped that.
func (g *gate) unpark() {
	g.mu.Lock()
	g.parked = notParked
	if g.kicked {
		g.kicked = false
		if !g.closed {
			g.sock.resume()
		}
	}
}

// parkWaiting waits for a kick and leaves the socket alone. mu is held, except
// while it waits.
func (g *gate) parkWaiting() {
	g.parked = parkedWaiting
	g.mu.Unlock()
	<-g.wake
	g.mu.Lock()
	g.parked = notParked
}

// kick makes the goroutine look at the gate again. mu is held.
func (g *gate) kick() {
	switch g.parked {
	case parkedReading:
		if !g.kicked {
			g.kicked = true
			g.sock.interrupt()
		}
	case parkedWaiting:
		select {
		case g.wake <- struct{}{}:
		default:
		}
	}
}
