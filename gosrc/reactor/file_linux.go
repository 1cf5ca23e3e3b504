package reactor

import (
	"slices"
	"syscall"
	"unsafe"

	"turboapi/gosrc/bridge"
	"turboapi/gosrc/core"
	"turboapi/gosrc/exchange"
	"turboapi/gosrc/wire"
)

// fileStep is how much of a file one step sends: others wait no longer than the
// kernel takes to copy so much.
const fileStep = 512 << 10

// file is what follows a connection's queue: a part of an open file, and the
// framing behind it. The connection's, under its lock; dropFile closes it.
type file struct {
	part  bridge.File
	tail  string
	name  string // of the request, for the log
	reset bool   // the end of the connection is the end of the body
}

func (f *file) unsent() int { return int(f.part.Left) + len(f.tail) }

// dropFile closes what is left of the file.
func (c *conn) dropFile() {
	if c.file != nil {
		c.file.part.Close()
		c.file = nil
	}
}

// writeFile sends head, payload and file, behind what waits already. A small
// file is read and goes out with its head, in one system call; of a large one
// the first piece is sent here, the rest is for the loop's thread. Any thread,
// with c.mu held; the file is the connection's from here on.
func (r *Reactor) writeFile(c *conn, s *scratch, head []byte, result *exchange.Result) {
	f := &result.File
	if c.is(broken) {
		f.Close()
		return
	}
	head = append(head, result.Payload...)
	for f.Left > 0 && f.Left <= copyMax {
		at := len(head)
		head = slices.Grow(head, int(f.Left))
		n, err := f.Read(head[at:cap(head)])
		head = head[:at+n]
		if n == 0 || err != nil {
			break // too short: found again, and told, as it is sent
		}
	}
	if cap(head) > cap(s.buf) {
		s.buf = head[:0]
	}
	if f.Left == 0 {
		f.Close()
		r.writeOne(c, s, append(head, result.Tail...))
		return
	}
	r.writeOne(c, s, head)
	if c.is(broken) {
		f.Close()
		return
	}
	x := c.x
	waits := c.unsent() > 0
	c.file = &file{
		part: *f, tail: result.Tail, name: string(x.Span(x.MethodName)) + " " + string(x.Span(x.Target)),
		reset: x.Framing == uint8(wire.BodyUntilClose),
	}
	if waits {
		return // the loop's thread has it already
	}
	s.now = core.Now()
	if c.since = s.now; r.sendPiece(c, s) == eAgain {
		r.stall(c, s)
	} else if c.file != nil || len(c.out) > 0 {
		r.hand(s, c)
	}
}

// sendFileOn goes on with a connection's file. The loop's thread.
func (r *Reactor) sendFileOn(c *conn) {
	switch r.sendPiece(c, &r.own) {
	case 0:
		c.since = r.now
		if c.unsent() > 0 {
			r.push(c) // behind others
		}
	case eAgain:
		c.set(blocked)
		c.held = outQueue(c.fd)
	default:
		r.push(c)
	}
}

// sendPiece sends a piece of the file, and puts what follows it into the queue
// when it is complete. Any error but EAGAIN has been noted.
func (r *Reactor) sendPiece(c *conn, s *scratch) syscall.Errno {
	f := c.file
	n, e := sendFile(c.fd, f.part.FD(), &f.part.At, min(f.part.Left, fileStep))
	switch e {
	case 0:
	case eAgain:
		return e
	case syscall.EINVAL, syscall.ENOSYS, syscall.EOVERFLOW:
		return r.copyPiece(c) // a file system that cannot
	case syscall.EPIPE, syscall.ECONNRESET:
		c.dropFile()
		c.set(broken)
		return e
	default:
		r.tooShort(c, e)
		return e
	}
	if n == 0 {
		r.tooShort(c, 0)
		return syscall.EIO
	}
	s.bytes += int64(n)
	f.part.Left -= int64(n)
	if f.part.Left == 0 {
		r.followFile(c)
	}
	return 0
}

// followFile puts what follows a complete file into the queue, and closes it.
func (r *Reactor) followFile(c *conn) {
	if tail := c.file.tail; tail != "" {
		r.growOut(c, len(tail))
		c.out = append(c.out, tail...)
	}
	c.dropFile()
}

// copyPiece reads a piece of the file into the queue, which is empty.
func (r *Reactor) copyPiece(c *conn) syscall.Errno {
	f := c.file
	r.putOut(c)
	r.growOut(c, 32<<10)
	n, err := f.part.Read(c.out[:cap(c.out)])
	if n == 0 {
		r.putOut(c)
		e, _ := err.(syscall.Errno)
		r.tooShort(c, e)
		return syscall.EIO
	}
	c.out = c.out[:n]
	if f.part.Left == 0 {
		r.followFile(c)
	}
	return 0
}

// tooShort ends an answer whose file does not have the bytes that were
// announced: the connection is closed, which the client sees.
func (r *Reactor) tooShort(c *conn, e syscall.Errno) {
	f := c.file
	why := "the file is shorter than announced"
	if e != 0 {
		why = e.Error()
	}
	r.host.Log.Error("%s: %d bytes were not sent: %s", f.name, f.part.Left, why)
	if f.reset {
		c.set(resetting)
	}
	c.dropFile()
	c.set(closing)
}

// sendFile is sendfile(2): from at on, which it moves.
func sendFile(to int32, from int, at *int64, n int64) (int, syscall.Errno) {
	for {
		// Safe: the kernel reads and writes at during the call. Both descriptors
		// are the connection's, whose lock is held.
		m, _, e := syscall.RawSyscall6(syscall.SYS_SENDFILE, uintptr(to), uintptr(from), uintptr(unsafe.Pointer(at)), uintptr(n), 0, 0)
		if e != syscall.EINTR {
			return int(m), e
		}
	}
}
