package reactor

import (
	"net/netip"
	"syscall"
	"time"
	"unsafe"

	"turboapi/gosrc/core"
)

const (
	// maxAccept is how many connections one turn takes from one listener; the
	// others wait in the kernel for the next.
	maxAccept = 128
	// maxDrainAccept bounds what Drain takes out of a queue that is refilled
	// while it does.
	maxDrainAccept = 4096
	// acceptPause is how long accepting rests after an error that trying again
	// at once would only repeat (no descriptors, no memory).
	acceptPause = 100 * time.Millisecond
)

// listener is a listening socket.
type listener struct {
	fd      int // -1: closed
	unix    bool
	path    string // of a Unix socket; an unnamed one has none
	any     bool   // bound to a wildcard: every connection has its own address
	paused  bool   // not in epoll
	address address
}

func newListener(l core.Listener) listener {
	out := listener{fd: l.FD, unix: l.Family == "unix"}
	if !out.unix {
		setNoDelay(l.FD) // accepted sockets inherit it
	}
	var sa syscall.RawSockaddrAny
	switch {
	case sockname(l.FD, &sa) != 0:
	case out.unix:
		out.path = pathOf(&sa)
	default:
		out.any = out.address.from(&sa)
	}
	return out
}

// listen has epoll watch a listener. Level-triggered: what a turn leaves in the
// queue makes the descriptor readable again.
func (r *Reactor) listen(i int) syscall.Errno {
	l := &r.listeners[i]
	l.paused = false
	return control(r.epoll, syscall.EPOLL_CTL_ADD, l.fd, syscall.EPOLLIN, listenerID+uint64(i))
}

// acceptSome takes connections from a listener that has some and reports whether
// there was one.
func (r *Reactor) acceptSome(i int) (any bool) {
	if i >= len(r.listeners) || r.listeners[i].fd < 0 || r.listeners[i].paused {
		return false
	}
	for range maxAccept {
		if !r.roomForOne() || !r.acceptOne(i) {
			break
		}
		any = true
	}
	return any
}

// acceptAll takes all that waits in a listener's queue.
func (r *Reactor) acceptAll(i int) {
	if r.listeners[i].fd < 0 {
		return
	}
	for range maxDrainAccept {
		if !r.acceptOne(i) {
			return
		}
	}
}

// roomForOne pauses accepting when the limit of connections is reached.
func (r *Reactor) roomForOne() bool {
	most := r.host.Limits.Connections
	if most == 0 || r.open < most {
		return true
	}
	// Refusing would turn clients away that can be served a moment later: they
	// wait in the kernel's queue.
	r.pauseAccept(never)
	if !r.acceptNoted {
		r.acceptNoted = true
		r.host.Log.Warn("%d connections are open, which is the limit: new ones wait", most)
	}
	return false
}

// acceptOne takes one connection and reports whether there was one.
func (r *Reactor) acceptOne(i int) bool {
	l := &r.listeners[i]
	fd, e := accept(l.fd, &r.peer)
	switch e {
	case 0:
		r.arrive(i, fd)
		return true
	case syscall.EAGAIN:
		return false
	case syscall.ECONNABORTED, syscall.EPROTO:
		return true // that one is gone, there may be others
	}
	// No descriptors or no memory: the connection stays in the queue, which
	// stays readable, so looking on would spin.
	r.host.Count.AcceptFails.Add(1)
	if !r.acceptNoted {
		r.acceptNoted = true
		r.host.Log.Error("accept: %v; new connections wait", e)
	}
	r.pauseAccept(r.now + uint64(acceptPause))
	return false
}

// pauseAccept takes the listeners out of epoll until the time until.
func (r *Reactor) pauseAccept(until uint64) {
	r.acceptAt = until
	for i := range r.listeners {
		if l := &r.listeners[i]; l.fd >= 0 && !l.paused {
			l.paused = true
			control(r.epoll, syscall.EPOLL_CTL_DEL, l.fd, 0, 0)
		}
	}
}

// resumeAccept puts them back.
func (r *Reactor) resumeAccept() {
	r.acceptAt = 0
	for i := range r.listeners {
		if l := &r.listeners[i]; l.fd >= 0 && l.paused {
			if e := r.listen(i); e != 0 {
				l.paused = true
				r.acceptAt = r.now + uint64(acceptPause)
				r.host.Log.Error("epoll: listener: %v", e)
			}
		}
	}
}

// arrive makes a connection of what listener i accepted.
func (r *Reactor) arrive(i, fd int) {
	l := &r.listeners[i]
	slot, c := r.conns.take()
	if c == nil {
		closeFD(fd)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	r.host.Count.Accepted.Add(1)
	r.host.Count.Connections.Add(1)
	r.open++
	if r.generation++; r.generation == 0 {
		r.generation = 1 // 0 marks what is not a connection
	}
	c.id = uint64(r.generation)<<32 | uint64(slot+1)
	c.fd, c.phase, c.flags, c.since = int32(fd), phaseHead, fresh, r.now
	c.server, c.listener = l.address, int16(i)
	// Unix sockets report each byte that the client takes; for them this waits
	// until it matters.
	events := uint32(connEvents)
	if l.unix {
		c.set(unixSocket)
	} else {
		events |= syscall.EPOLLOUT
		c.client.from(&r.peer)
		if l.any {
			var sa syscall.RawSockaddrAny
			if sockname(fd, &sa) == 0 {
				c.server.from(&sa)
			}
		}
	}
	r.due(c)
	if e := control(r.epoll, syscall.EPOLL_CTL_ADD, fd, events, c.id); e != 0 {
		r.host.Log.Error("epoll: connection: %v", e)
		r.shut(c)
	}
}

// from sets a to what sa says and reports whether that is a wildcard.
func (a *address) from(sa *syscall.RawSockaddrAny) (wildcard bool) {
	*a = address{}
	var ip netip.Addr
	switch sa.Addr.Family {
	case syscall.AF_INET:
		// Safe: the family says which record sa holds.
		v4 := (*syscall.RawSockaddrInet4)(unsafe.Pointer(sa))
		ip, a.port = netip.AddrFrom4(v4.Addr), swap(v4.Port)
	case syscall.AF_INET6:
		// Safe: as above.
		v6 := (*syscall.RawSockaddrInet6)(unsafe.Pointer(sa))
		ip, a.port = netip.AddrFrom16(v6.Addr), swap(v6.Port)
	}
	ip.AppendTo(a.host[:0])
	return ip.IsUnspecified()
}

// pathOf is the path of a Unix socket, at most 108 bytes. An unnamed one has none.
func pathOf(sa *syscall.RawSockaddrAny) string {
	if sa.Addr.Family != syscall.AF_UNIX {
		return ""
	}
	var path []byte
	// Safe: the family says which record sa holds.
	for _, c := range (*syscall.RawSockaddrUnix)(unsafe.Pointer(sa)).Path {
		if c == 0 {
			break
		}
		path = append(path, byte(c))
	}
	return string(path)
}

// swap turns a port in network order around.
func swap(port uint16) uint16 {
	b := (*[2]byte)(unsafe.Pointer(&port)) // Safe: two bytes of two.
	return uint16(b[0])<<8 | uint16(b[1])
}
