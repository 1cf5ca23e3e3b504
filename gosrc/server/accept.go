package server

import (
	"net"
	"syscall"
	"time"

	"turboapi/gosrc/bridge"
	"turboapi/gosrc/core"
)

const (
	// After a failed accept (no descriptors left, mostly) the next try waits
	// this long, twice as long each time, so that nothing spins.
	acceptPause    = 5 * time.Millisecond
	acceptPauseMax = time.Second
	// maxDrainAccept bounds what a drain takes out of a queue that is refilled
	// while it does.
	maxDrainAccept = 4096

	// How often the sweeper looks: often enough to cut nobody off much later
	// than the limit says, seldom enough to cost nothing.
	sweepShare = 8
	sweepMin   = 5 * time.Millisecond
	sweepMax   = time.Second
)

// listener is what both TCP and Unix listeners are.
type listener interface {
	net.Listener
	syscall.Conn
	SetDeadline(time.Time) error
}

// accept serves what connects to ln, which it closes in the end.
func (s *Server) accept(ln listener) {
	defer s.accepting.Done()
	defer s.open.Add(-1) // Drain counts it
	defer ln.Close()
	pause := acceptPause
	for s.placeFree() {
		c, err := ln.Accept()
		if err == nil {
			pause = acceptPause
			s.serve(c, s.takePlace())
			continue
		}
		if s.draining.Load() {
			break
		}
		s.host.Count.AcceptFails.Add(1)
		if pause == acceptPause {
			s.host.Log.Error("accept: %v; new connections wait", err)
		}
		if !s.pause(pause) {
			break
		}
		pause = min(2*pause, acceptPauseMax)
	}
	s.acceptLast(ln)
}

// acceptLast serves what waited in the queue when the server began to drain.
func (s *Server) acceptLast(ln listener) {
	raw, err := ln.SyscallConn()
	for n := 0; err == nil && n < maxDrainAccept; n++ {
		select {
		case <-s.end:
			return
		default:
		}
		waits := false
		err = raw.Control(func(fd uintptr) { waits = readable(int(fd)) })
		if err != nil || !waits {
			return
		}
		// Another process may be faster.
		_ = ln.SetDeadline(time.Now().Add(acceptPause))
		c, err := ln.Accept()
		if err != nil {
			return
		}
		s.serve(c, false)
	}
}

// placeFree waits until a connection could be opened. False: the server drains.
func (s *Server) placeFree() bool {
	if !s.takePlace() {
		return false
	}
	// It is not kept: with several listeners the idle ones would hold places.
	s.leavePlace()
	return true
}

func (s *Server) takePlace() bool {
	select {
	case <-s.stop:
		return false
	default:
	}
	if s.places == nil {
		return true
	}
	select {
	case s.places <- struct{}{}:
		return true
	case <-s.stop:
		return false
	}
}

func (s *Server) leavePlace() {
	if s.places != nil {
		<-s.places
	}
}

// pause waits. False: the server drains.
func (s *Server) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.stop:
		return false
	}
}

// serve starts the goroutine of a connection. placed: it has taken a place.
func (s *Server) serve(c net.Conn, placed bool) {
	sock, err := newSocket(c)
	if err != nil {
		s.host.Log.Error("accept: %v", err)
		_ = c.Close()
		if placed {
			s.leavePlace()
		}
		return
	}
	g := &gate{srv: s, sock: sock, local: c.LocalAddr(), remote: c.RemoteAddr(), wake: make(chan struct{}, 1), placed: placed}
	g.pull = g.fill
	g.given = len(cannedHead)
	g.idle, g.fresh = true, true
	_, g.unix = g.local.(*net.UnixAddr)
	g.clientHost, g.clientPort = endpoint(g.remote)
	g.serverHost, g.serverPort = endpoint(g.local)
	g.allow(s.host.Limits.Header)
	s.host.Count.Accepted.Add(1)
	s.host.Count.Connections.Add(1)
	s.open.Add(1)
	s.running.Add(1)
	g.id = s.conns.add(g)
	// Stops when the connection ends: the client or a limit ends it, or Close.
	go s.run(g)
}

// run is a connection's life.
func (s *Server) run(g *gate) {
	defer s.running.Done()
	defer func() {
		if r := recover(); r != nil {
			s.host.Panic("a connection", r)
			g.abandon()
			g.finish()
		}
		s.host.Count.Connections.Add(-1)
		s.open.Add(-1)
		if g.placed {
			s.leavePlace()
		}
	}()
	// Its error is about the gate, which reports none.
	_ = s.http.ServeConn(g)
}

// sweep ends waits that are too long.
func (s *Server) sweep() {
	defer s.running.Done()
	tick := time.NewTicker(s.grain())
	defer tick.Stop()
	for {
		select {
		case <-s.end:
			return
		case <-tick.C:
		}
		s.sweepOnce(core.Now())
	}
}

func (s *Server) sweepOnce(now uint64) {
	defer func() {
		if r := recover(); r != nil {
			s.host.Panic("looking for slow clients", r)
		}
	}()
	s.conns.each(func(g *gate) {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.until != 0 && now >= g.until {
			g.until, g.expired = 0, true
			g.kick()
		}
	})
}

// introduce tells x who asks and who answers.
func (g *gate) introduce(x *bridge.Exchange) {
	if g.unix {
		x.Flags |= bridge.ReqUnix // a client has no address there
	} else {
		x.SetClient(g.clientHost, g.clientPort)
	}
	x.SetServer(g.serverHost, g.serverPort)
}

// grain is how often the sweeper looks.
func (s *Server) grain() time.Duration {
	l, d := &s.host.Limits, sweepMax
	for _, limit := range []time.Duration{l.Header, l.KeepAlive, l.Write, l.WebSocket.PingInterval, l.WebSocket.PingTimeout, l.WebSocket.Idle} {
		if limit > 0 {
			d = min(d, limit/sweepShare)
		}
	}
	return max(d, sweepMin)
}
