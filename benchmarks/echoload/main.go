// Command echoload keeps WebSocket connections busy: each sends a text of 128 bytes, waits for it to come back, and
// sends again, all on one thread of one epoll, as wrk does it for requests. It prints what it saw as JSON.
//
//	echoload 127.0.0.1:8000 /echo CONNECTIONS SECONDS
package main

import (
	"bufio"
	"bytes"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"sort"
	"strconv"
	"syscall"
	"time"

	"github.com/gobwas/ws"
)

const size = 128

func main() {
	if len(os.Args) != 5 {
		log.Fatal("usage: echoload HOST:PORT PATH CONNECTIONS SECONDS")
	}
	connections, err := strconv.Atoi(os.Args[3])
	if err != nil {
		log.Fatal(err)
	}
	seconds, err := strconv.Atoi(os.Args[4])
	if err != nil {
		log.Fatal(err)
	}
	l := newLoad()
	for range connections {
		if err := l.open(os.Args[1], os.Args[2]); err != nil {
			log.Fatal(err)
		}
	}
	if err := l.run(time.Duration(seconds) * time.Second); err != nil {
		log.Fatal(err)
	}
	l.report()
}

// conn is one connection: what of its answer has come, and when it last sent.
type conn struct {
	fd   int
	got  int
	sent time.Time
}

type load struct {
	epoll         int
	conns         map[int32]*conn
	files         []*os.File // keep the descriptors open
	message, echo []byte
	took          []time.Duration
	began, ended  time.Time
}

func newLoad() *load {
	text := bytes.Repeat([]byte("x"), size)
	epoll, err := syscall.EpollCreate1(0)
	if err != nil {
		log.Fatal(err)
	}
	return &load{
		epoll: epoll, conns: map[int32]*conn{},
		message: ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame(text))),
		echo:    ws.MustCompileFrame(ws.NewTextFrame(text)),
	}
}

// open shakes hands.
func (l *load) open(address, path string) error {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n", path, address)
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return err
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("the handshake was answered with %s", answer.Status)
	}
	f, err := c.(*net.TCPConn).File()
	if err != nil {
		return err
	}
	c.Close()
	fd := int(f.Fd())
	l.files = append(l.files, f)
	l.conns[int32(fd)] = &conn{fd: fd}
	if err := syscall.SetNonblock(fd, true); err != nil {
		return err
	}
	return syscall.EpollCtl(l.epoll, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(fd)})
}

func (l *load) send(c *conn) error {
	c.got, c.sent = 0, time.Now()
	if n, err := syscall.Write(c.fd, l.message); err != nil || n != len(l.message) {
		return fmt.Errorf("%d bytes were sent: %w", n, err)
	}
	return nil
}

func (l *load) run(d time.Duration) error {
	l.took = make([]time.Duration, 0, 1<<20)
	l.began = time.Now()
	for _, c := range l.conns {
		if err := l.send(c); err != nil {
			return err
		}
	}
	events := make([]syscall.EpollEvent, 1024)
	var buf [4096]byte
	for l.ended = l.began; l.ended.Sub(l.began) < d; l.ended = time.Now() {
		n, err := syscall.EpollWait(l.epoll, events, 1000)
		if err != nil && err != syscall.EINTR {
			return err
		}
		for _, ev := range events[:max(n, 0)] {
			c := l.conns[ev.Fd]
			got, err := syscall.Read(c.fd, buf[:])
			if err != nil || got == 0 || c.got+got > len(l.echo) || !bytes.Equal(buf[:got], l.echo[c.got:c.got+got]) {
				return fmt.Errorf("not what was sent came back: %.40q, %w", buf[:max(got, 0)], err)
			}
			if c.got += got; c.got < len(l.echo) {
				continue
			}
			l.took = append(l.took, time.Since(c.sent))
			if err := l.send(c); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *load) report() {
	if len(l.took) == 0 {
		log.Fatal("nothing came back")
	}
	sort.Slice(l.took, func(i, j int) bool { return l.took[i] < l.took[j] })
	at := func(share float64) float64 {
		return float64(l.took[int(share*float64(len(l.took)-1))].Microseconds()) / 1000
	}
	fmt.Printf(`{"requests":%d,"rps":%.1f,"p50_ms":%.4f,"p99_ms":%.4f}`+"\n",
		len(l.took), float64(len(l.took))/l.ended.Sub(l.began).Seconds(), at(0.5), at(0.99))
}
