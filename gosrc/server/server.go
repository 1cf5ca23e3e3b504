// Package server is the portable transport: valyala/fasthttp behind a strict
// gate. fasthttp runs the life of a connection, a goroutine for each; the gate
// (gate.go) stands between it and the socket, parses, refuses, hands exchanges
// to the lanes through a ring with one coalesced wake-up, and writes their
// answers.
//
// Lock order: gate.mu, then the locks of conns, of the ring and of the log,
// which are leaves. No two gates are locked at the same time.
package server

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"

	"github.com/valyala/fasthttp"

	"turboapi/gosrc/bridge"
	"turboapi/gosrc/core"
)

func init() { core.Register("fasthttp", 1, Open) }

// transportNumber is this transport's in an exchange.
const transportNumber = 2

// Server is the transport of one core.
type Server struct {
	host *core.Host
	http *fasthttp.Server
	ring *core.Ring[message]

	listeners []listener
	conns     conns
	places    chan struct{} // one per connection that may be open; nil: no limit

	open      atomic.Int64 // connections and unreleased exchanges
	draining  atomic.Bool
	stop      chan struct{} // closed when nothing more is accepted
	stopOnce  sync.Once
	end       chan struct{} // closed by Close
	running   sync.WaitGroup
	accepting sync.WaitGroup
}

// Open makes the transport on h's listeners and starts accepting.
func Open(h *core.Host) (core.Transport, error) {
	s := &Server{
		host: h,
		ring: core.NewRing[message](h.Waker),
		stop: make(chan struct{}),
		end:  make(chan struct{}),
	}
	if n := h.Limits.Connections; n > 0 {
		s.places = make(chan struct{}, n)
	}
	s.http = &fasthttp.Server{
		Handler: handle,
		// The gate's head is all that fasthttp ever reads, its answer to it all
		// that it ever writes.
		ReadBufferSize:                64,
		WriteBufferSize:               64,
		Concurrency:                   1 << 30,
		NoDefaultServerHeader:         true,
		NoDefaultDate:                 true,
		NoDefaultContentType:          true,
		DisableHeaderNamesNormalizing: true,
		DisablePreParseMultipartForm:  true,
		Logger:                        quiet{},
	}
	if err := s.listen(h.Listeners); err != nil {
		return nil, err
	}
	for _, ln := range s.listeners {
		s.accepting.Add(1)
		// Stops when the listener is closed.
		go s.accept(ln)
	}
	s.running.Add(1)
	// Stops at Close.
	go s.sweep()
	return s, nil
}

// listen takes over the descriptors of ls, also when it fails.
func (s *Server) listen(ls []core.Listener) (err error) {
	for i := range ls {
		f := os.NewFile(uintptr(ls[i].FD), "listener")
		ln, lerr := net.FileListener(f) // on a duplicate
		f.Close()
		if lerr != nil {
			err = errors.Join(err, fmt.Errorf("server: listener on descriptor %d: %w", ls[i].FD, lerr))
			continue
		}
		s.listeners = append(s.listeners, ln.(listener))
	}
	if err != nil {
		for _, ln := range s.listeners {
			_ = ln.Close()
		}
	}
	return err
}

// FD is the waker's: goroutines watch the sockets.
func (s *Server) FD() int { return s.host.Waker.FD() }

// Active is the number of open connections and unreleased exchanges.
func (s *Server) Active() int64 { return s.open.Load() }

// Drain serves what waits to be accepted and then nothing more, closes
// connections without a request and lets the others end with their answer.
func (s *Server) Drain() {
	s.stopOnce.Do(func() {
		s.draining.Store(true)
		// Until they have looked at their queue.
		s.open.Add(int64(len(s.listeners)))
		close(s.stop)
		for _, ln := range s.listeners {
			_ = ln.SetDeadline(past)
		}
		// Short: they take what waits and never wait themselves.
		s.accepting.Wait()
	})
	s.conns.each(func(g *gate) {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.idle || g.ws != nil {
			g.kick()
		}
	})
}

// Close ends everything and returns when no goroutine is left.
func (s *Server) Close() {
	close(s.end)
	s.Drain()
	s.conns.each(func(g *gate) {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.x != nil {
			orFlags(g.x, bridge.ReqGone)
		}
		g.lost = true
		g.breakOff()
		g.shut()
	})
	s.running.Wait()
	// What never reached a lane has no other owner.
	s.ring.Drain(func(m message) bool {
		if m.kind == bridge.EvRequest || m.kind == kindStatic {
			s.forget(&m)
		}
		return true
	})
	s.conns.each(func(g *gate) {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.x != nil {
			g.detach()
		}
	})
}

// quiet is fasthttp's logger: what it could say is about its own reading and
// writing, which never touch the socket.
type quiet struct{}

func (quiet) Printf(string, ...any) {}

// forget takes back an exchange that no lane has seen.
func (s *Server) forget(m *message) {
	m.g.mu.Lock()
	defer m.g.mu.Unlock()
	if m.g.x == m.x {
		m.g.detach()
	}
	bridge.Release(m.x)
	s.open.Add(-1)
}
