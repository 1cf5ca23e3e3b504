package server

import (
	"io"
	"net"
	"sync"
	"syscall"
	"time"
)

// lingerMax bounds what is read and thrown away of a client that was refused:
// it may send on for as long as the limit says, but not this much.
const lingerMax = 4 << 20

var lingerBuffers = sync.Pool{New: func() any { return new([16 << 10]byte) }}

// finish ends the connection: it waits until the output is written, lingers if
// it has to, and closes the descriptor. The connection's goroutine, last.
func (g *gate) finish() {
	g.mu.Lock()
	for g.writing && !g.broken {
		g.parkWaiting()
	}
	linger := !g.broken && !g.reset && (g.linger || g.unread())
	g.mu.Unlock()
	if linger {
		g.lingerOn()
	}
	g.mu.Lock()
	g.broken = true
	g.shut()
	for g.writing {
		g.parkWaiting()
	}
	g.done = true
	g.settle()
	g.mu.Unlock()
	g.in.use(g.in.len())
	g.in.drop()
}

// lingerOn says that nothing more comes and then reads until the client has
// seen it and closes (RFC 9112, 9.6). A close with unread bytes would reset the
// connection, and the client would lose the answer.
func (g *gate) lingerOn() {
	// A server that closes meanwhile breaks the connection off and closes it,
	// which ends the read.
	if g.sock.closeWrite() != nil {
		return
	}
	g.mu.Lock()
	if g.broken {
		g.mu.Unlock()
		return
	}
	_ = g.sock.conn.SetReadDeadline(time.Now().Add(g.srv.host.Limits.Linger))
	g.mu.Unlock()
	b := lingerBuffers.Get().(*[16 << 10]byte)
	defer lingerBuffers.Put(b)
	_, _ = io.CopyBuffer(struct{ io.Writer }{io.Discard}, io.LimitReader(g.sock.conn, lingerMax), b[:])
}

// shut closes the descriptor. Under mu, so that no Flush writes into a number
// that the kernel has given to another connection. mu is held.
func (g *gate) shut() {
	if !g.closed {
		g.closed = true
		if c, ok := g.sock.conn.(*net.TCPConn); ok && g.reset {
			_ = c.SetLinger(0)
		} else {
			// A forked child may have a copy of the descriptor: without the
			// shutdown the client would not see the end.
			_ = syscall.Shutdown(g.sock.fd, syscall.SHUT_RDWR)
		}
		_ = g.sock.conn.Close()
	}
}

// unread reports whether the client sent something that was not used. With that
// a plain close would reset the connection, and the answer could be lost on its
// way. mu is held.
func (g *gate) unread() bool {
	if g.in.len() > 0 || !g.body.Done() {
		return true
	}
	n, _ := g.look()
	return n > 0
}

// detach ends what the connection has to do with its exchange. mu is held.
func (g *gate) detach() {
	setConn(g.x, 0)
	g.x = nil
	g.settle()
}

// settle forgets the connection once neither its goroutine nor an exchange
// needs it. mu is held.
func (g *gate) settle() {
	if g.done && g.x == nil && g.id != 0 {
		g.srv.conns.remove(g.id)
		g.id = 0
	}
}
