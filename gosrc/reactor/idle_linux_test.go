package reactor

import (
	"bytes"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"turboapi/gosrc/bridge"
)

// maxIdle is what an idle keep-alive connection may cost in resident memory.
const maxIdle = 2048

func TestTenThousandIdleConnections(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector's own memory would be measured")
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	n := min(10_000, (int(limit.Cur)-200)/2)
	l := newLane(t, "tcp", "127.0.0.1:0", withHandler(func(l *lane, ev bridge.Event) { hotAnswerAll(l, ev) }))
	defer func() {
		l.r.Close()
		l.host.Waker.Close()
		l.check()
	}()
	_, port, _ := strings.Cut(l.addr, ":")
	p, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	clients := make([]int, 0, n)
	defer func() {
		for _, fd := range clients {
			syscall.Close(fd)
		}
	}()
	serve := func(count int) {
		for len(clients) < count {
			fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			clients = append(clients, fd)
			if err := syscall.Connect(fd, &syscall.SockaddrInet4{Port: p, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
				t.Fatal(err)
			}
			if len(clients)%100 == 0 {
				l.turn()
			}
		}
		// Each has been served, once with its head in two pieces.
		before := l.host.Count.Responses.Load()
		for _, fd := range clients {
			write(t, fd, hotRequest[:30])
		}
		for range 2 * count / 256 {
			l.turn()
		}
		for _, fd := range clients {
			write(t, fd, hotRequest[30:])
		}
		var b [1024]byte
		for l.host.Count.Responses.Load() < before+int64(count) {
			l.turn()
		}
		for _, fd := range clients {
			if n, err := syscall.Read(fd, b[:]); err != nil || !bytes.Contains(b[:n], hotAnswer) {
				t.Fatal(n, err)
			}
		}
	}
	serve(n / 20)
	before := resident(t)
	serve(n)
	if l.r.open != n {
		t.Fatalf("%d connections are open", l.r.open)
	}
	each := (resident(t) - before) / (n - n/20)
	t.Logf("%d idle connections, %d bytes each, struct %d", n, each, unsafe.Sizeof(conn{}))
	if each > maxIdle {
		t.Errorf("an idle connection costs %d bytes, at most %d are allowed", each, maxIdle)
	}
	// Nobody has news, so nobody costs a turn.
	l.turn()
	if m := wait(l.r.epoll, l.r.events[:]); m > 1 {
		t.Errorf("%d events of idle connections", m)
	}
}

func write(t *testing.T, fd int, p []byte) {
	if n, err := syscall.Write(fd, p); err != nil || n != len(p) {
		t.Fatal(n, err)
	}
}

// resident is the process's memory in bytes, after Go has given back what it can.
func resident(t *testing.T) int {
	runtime.GC()
	debug.FreeOSMemory()
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(b))[1])
	if err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}
