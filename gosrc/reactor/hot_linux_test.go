package reactor

import (
	"net"
	"syscall"
	"testing"
	"time"

	"turboapi/gosrc/bridge"
	"turboapi/gosrc/core"
)

var (
	hotRequest = []byte("GET /items/42?q=x HTTP/1.1\r\nHost: localhost:8000\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n")
	hotPost    = []byte("POST /items HTTP/1.1\r\nHost: localhost:8000\r\nContent-Type: application/json\r\nContent-Length: 27\r\n\r\n{\"message\":\"hello, world\"}\n")
	hotAnswer  = []byte(`{"message":"hello, world"}`)
)

// hotAnswerAll is the cheapest lane there is.
func hotAnswerAll(l *lane, ev bridge.Event) {
	x := ev.X
	x.Status, x.Preset = 200, bridge.PresetJSON
	x.OutLen = uint64(copy(x.OutInline[:], hotAnswer))
	x.Ops = bridge.OpHead | bridge.OpEnd | bridge.OpRelease
	l.dirty = append(l.dirty, x)
}

// hotClients are blocking sockets without Go's poller.
type hotClients struct {
	fds []int
	buf [4096]byte
}

func dialHot(t testing.TB, l *lane, n int) *hotClients {
	h := &hotClients{}
	for range n {
		c, err := net.Dial(l.net, l.addr)
		if err != nil {
			t.Fatal(err)
		}
		f, err := c.(*net.TCPConn).File()
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		t.Cleanup(func() { f.Close() })
		fd := int(f.Fd())
		if err := syscall.SetNonblock(fd, false); err != nil {
			t.Fatal(err)
		}
		h.fds = append(h.fds, fd)
	}
	for l.r.open < n {
		l.turn()
	}
	return h
}

// round sends a request on every connection, has them answered, and reads the
// answers. It returns what Turn and Flush took.
func (h *hotClients) round(t testing.TB, l *lane, request []byte) (inside time.Duration) {
	for _, fd := range h.fds {
		if n, err := syscall.Write(fd, request); err != nil || n != len(request) {
			t.Fatal(n, err)
		}
	}
	for done := 0; done < len(h.fds); {
		begin := time.Now()
		done += l.turn()
		inside += time.Since(begin)
	}
	for _, fd := range h.fds {
		if n, err := syscall.Read(fd, h.buf[:]); err != nil || n < len(hotAnswer) {
			t.Fatal(n, err)
		}
	}
	return inside
}

func hotLane(t testing.TB, n int, log bool) (*lane, *hotClients) {
	l := newLane(t, "tcp", "127.0.0.1:0", withHandler(hotAnswerAll), func(_ *lane, _ *core.Limits, o *core.Options) { o.AccessLog = log })
	h := dialHot(t, l, n)
	t.Cleanup(func() {
		l.r.Close()
		l.host.Waker.Close()
		l.check()
	})
	return l, h
}

func TestNoAllocationPerRequest(t *testing.T) {
	for name, request := range map[string][]byte{"GET": hotRequest, "POST": hotPost} {
		t.Run(name, func(t *testing.T) {
			l, h := hotLane(t, 32, false)
			// Warm up the pools, and once more per new second for the date.
			for range 20 {
				h.round(t, l, request)
			}
			const rounds = 50
			n := testing.AllocsPerRun(rounds, func() { h.round(t, l, request) })
			// A second may pass: its date is made once.
			if n > 1 {
				t.Errorf("%v allocations in a round of %d requests, want none", n, len(h.fds))
			}
		})
	}
}

// BenchmarkTurn measures Turn and Flush with the system calls in them, per
// request.
func BenchmarkTurn(b *testing.B) {
	for _, bench := range []struct {
		name    string
		request []byte
		log     bool
	}{{"GET", hotRequest, false}, {"POST", hotPost, false}, {"GET+log", hotRequest, true}} {
		b.Run(bench.name, func(b *testing.B) {
			l, h := hotLane(b, 64, bench.log)
			h.round(b, l, bench.request)
			var inside time.Duration
			rounds := 0
			for b.Loop() {
				inside += h.round(b, l, bench.request)
				rounds++
			}
			b.ReportMetric(float64(inside.Nanoseconds())/float64(rounds*len(h.fds)), "ns/request")
		})
	}
}

// BenchmarkCalls is the floor: the same system calls and nothing else.
func BenchmarkCalls(b *testing.B) {
	pairs := make([][2]int32, 64)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	for i := range pairs {
		client, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		server, err := ln.Accept()
		if err != nil {
			b.Fatal(err)
		}
		for k, c := range []net.Conn{client, server} {
			f, err := c.(*net.TCPConn).File()
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close()
			defer c.Close()
			pairs[i][k] = int32(f.Fd())
		}
	}
	epoll, err := syscall.EpollCreate1(0)
	if err != nil {
		b.Fatal(err)
	}
	defer syscall.Close(epoll)
	for _, p := range pairs {
		if e := control(epoll, syscall.EPOLL_CTL_ADD, int(p[1]), connEvents|syscall.EPOLLOUT, 1); e != 0 {
			b.Fatal(e)
		}
	}
	var events [maxEvents]syscall.EpollEvent
	var buf [64 << 10]byte
	reply := make([]byte, 170)
	var inside time.Duration
	rounds := 0
	for b.Loop() {
		for _, p := range pairs {
			send(p[0], hotRequest)
		}
		begin := time.Now()
		wait(epoll, events[:])
		for _, p := range pairs {
			read(p[1], buf[:])
		}
		for _, p := range pairs {
			send(p[1], reply)
		}
		inside += time.Since(begin)
		for _, p := range pairs {
			read(p[0], buf[:])
		}
		rounds++
	}
	b.ReportMetric(float64(inside.Nanoseconds())/float64(rounds*len(pairs)), "ns/request")
}
