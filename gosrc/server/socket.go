package server

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// socket is the raw side of a connection: reads that hold no buffer while they
// wait, and writes that never wait. The net.Conn owns the descriptor.
type socket struct {
	conn net.Conn
	raw  syscall.RawConn
	fd   int // only used under the gate's lock while the socket is open
}

// past is a deadline that has come: setting it wakes whoever waits.
var past = time.Unix(1, 0)

var errNotSocket = errors.New("server: connection without a descriptor")

func newSocket(c net.Conn) (socket, error) {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return socket{}, errNotSocket
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return socket{}, err
	}
	s := socket{conn: c, raw: raw}
	err = raw.Control(func(fd uintptr) { s.fd = int(fd) })
	return s, err
}

// tryRead reads what is there: 0 and nil where nothing is, io.EOF at the end.
func tryRead(fd int, b []byte) (int, error) {
	for {
		n, err := recv(fd, b)
		switch {
		case err == syscall.EINTR:
		case err == syscall.EAGAIN:
			return 0, nil
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

// tryWrite writes what the kernel takes at once.
func tryWrite(fd int, b []byte) (n int, err error) {
	for n < len(b) {
		m, err := send(fd, b[n:])
		switch {
		case err == syscall.EINTR:
		case err == syscall.EAGAIN:
			return n, nil
		case err != nil:
			return n, err
		default:
			n += m
		}
	}
	return n, nil
}

// readable reports whether a read, or an accept, would not wait.
func readable(fd int) bool {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n > 0
}

// interrupt makes a waiting read return with a timeout, and every later one,
// until resume.
func (s *socket) interrupt() { _ = s.conn.SetReadDeadline(past) }

func (s *socket) resume() { _ = s.conn.SetReadDeadline(time.Time{}) }

func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

// closeWrite sends the end of stream and keeps reading possible.
func (s *socket) closeWrite() error {
	if c, ok := s.conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return errNotSocket
}

// endpoint gives an address as exchanges carry it.
func endpoint(a net.Addr) (host string, port uint16) {
	switch a := a.(type) {
	case *net.TCPAddr:
		ap := a.AddrPort()
		return ap.Addr().WithZone("").String(), ap.Port()
	case *net.UnixAddr:
		return a.Name, 0
	}
	return "", 0
}
