package transporttest

import (
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"turboapi/gosrc/core"
)

// Clients that are slower, or more, than they may be.
var limits = []suite{
	{"a head that takes too long", slowHead},
	{"an idle connection", idleTooLong},
	{"a body that does not come", slowBody},
	{"a body that comes slowly", trickledBody},
	{"a client that does not read its answer", slowAnswer},
	{"a client that reads its answer slowly", trickledAnswer},
	{"a client that sips its answer", sippedAnswer},
	{"a handler may take its time", slowHandler},
	{"too many connections", tooMany},
}

// short is a limit that a test waits for. What must come before it happens at
// once, or six times as often, so a busy machine only makes the tests slower.
const short = 600 * time.Millisecond

func slowHead(t *testing.T, open core.Opener) {
	b := Start(t, open, Config{Limits: func(l *core.Limits) { l.Header = short }}, plain)
	silent := b.Dial()
	half := b.Dial()
	half.Send("GET / HTTP/1.1\r\nHo")
	second := b.Dial()
	second.Send(fmt.Sprintf(get, "/"))
	second.Read("GET")
	// Every byte comes in time, the head does not.
	stop := make(chan struct{})
	defer close(stop)
	trickle := b.Dial()
	trickle.Send("GET / HTTP/1.1\r\nHost: x\r\nX: ")
	go func() { // stops with the test
		for {
			select {
			case <-stop:
				return
			case <-time.After(short / 10):
				_, _ = trickle.Write([]byte("x"))
			}
		}
	}()
	silent.ExpectEnd()
	for _, c := range []*Client{half, trickle} {
		if r := c.Read("GET"); r.Status != 408 || r.Get("connection") != "close" {
			t.Errorf("got %q", r.Raw)
		}
	}
	half.ExpectEnd()
	// The second head has a time of its own, the wait for it another.
	second.Send("GET")
	if r := second.Read("GET"); r.Status != 408 {
		t.Errorf("got %q", r.Raw)
	}
	if n := b.Host.Count.Timeouts.Load(); n != 4 {
		t.Errorf("%d timeouts were counted", n)
	}
}

func idleTooLong(t *testing.T, open core.Opener) {
	b := Start(t, open, Config{Limits: func(l *core.Limits) { l.KeepAlive = short }}, plain)
	for _, path := range []string{"/", "/away?x"} {
		c := b.Dial()
		for range 3 {
			c.Send(fmt.Sprintf(get, path))
			c.Read("GET")
		}
		began := time.Now()
		c.ExpectEnd()
		if d := time.Since(began); d < short/2 {
			t.Errorf("closed after %v", d)
		}
	}
	b.AwaitIdle()
	if n := b.Host.Count.Timeouts.Load(); n != 0 {
		t.Errorf("%d timeouts were counted: an idle connection is none", n)
	}
}

func slowBody(t *testing.T, open core.Opener) {
	b := Start(t, open, Config{Table: bytesTable, Limits: func(l *core.Limits) { l.Write = short }}, plain)
	c := b.Dial()
	c.Send("POST /collect HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab")
	if r := c.Read("POST"); r.Status != 408 {
		t.Errorf("a collected body: got %q", r.Raw)
	}
	c.ExpectEnd()
	c.Close()
	c = b.Dial()
	c.Send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab")
	c.ExpectGone()
	Await(t, func() bool { return b.Gone.Load() == 1 }, func() string { return "the lane was not told" })
	b.AwaitIdle()
	if n := b.Host.Count.Timeouts.Load(); n != 2 {
		t.Errorf("%d timeouts were counted", n)
	}
}

func trickledBody(t *testing.T, open core.Opener) {
	b := Start(t, open, Config{Table: bytesTable, Limits: func(l *core.Limits) { l.Write = short }}, map[string]func(*Call){
		"/collect": func(c *Call) { body, _ := c.Take(); c.Reply(200, string(body)) },
		"/echo":    plain["/echo"],
	})
	const n = 8
	for _, path := range []string{"/collect", "/echo"} {
		c := b.Dial()
		c.Send(fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", path, n))
		for range n {
			time.Sleep(short / 6)
			c.Send("x")
		}
		c.Expect("POST", 200, strings.Repeat("x", n))
	}
}

func slowAnswer(t *testing.T, open core.Opener) {
	data := pattern(32 << 20)
	var written, most atomic.Int64
	b := Start(t, open, Config{Limits: func(l *core.Limits) { l.Write = short }}, map[string]func(*Call){
		"/":      func(c *Call) { c.Head(200); stream(c, data, &written, &most) },
		"/whole": func(c *Call) { c.Reply(200, string(data)) },
	})
	for _, path := range []string{"/", "/whole"} {
		before := b.Host.Count.BytesOut.Load()
		c := b.Dial()
		c.Send(fmt.Sprintf(get, path))
		Await(t, func() bool { return b.Host.Count.BytesOut.Load() > before }, func() string { return "no answer" })
		b.AwaitIdle()
		c.ExpectGone()
	}
	if n := b.Gone.Load(); n != 1 {
		t.Errorf("%d times the lane was told", n)
	}
	if n := b.Host.Count.Timeouts.Load(); n != 2 {
		t.Errorf("%d timeouts were counted", n)
	}
}

func trickledAnswer(t *testing.T, open core.Opener) {
	data := pattern(12 << 20)
	b := Start(t, open, Config{Limits: func(l *core.Limits) { l.Write, l.KeepAlive = short, short }}, map[string]func(*Call){
		"/": func(c *Call) { c.Reply(200, string(data)) },
	})
	c := b.Dial()
	c.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	// Slower than the limit in all, but never without progress.
	got := 0
	for part := make([]byte, len(data)/8); got < len(data); {
		time.Sleep(short / 6)
		n, err := io.ReadFull(c.r, part[:min(len(part), len(data)-got)])
		if got += n; err != nil {
			t.Fatalf("after %d bytes: %v", got, err)
		}
	}
}

// sippedAnswer: a client that reads all the time, and so slowly that the kernel
// does not call the server's socket writable again within the limit.
func sippedAnswer(t *testing.T, open core.Opener) {
	data := pattern(12 << 20)
	b := Start(t, open, Config{Limits: func(l *core.Limits) { l.Write, l.KeepAlive = short, short }}, map[string]func(*Call){
		"/": func(c *Call) { c.Reply(200, string(data)) },
	})
	const buffer = 64 << 10
	c := b.DialWith(func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, buffer) })
	c.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	got, part := 0, make([]byte, buffer)
	for range 14 {
		time.Sleep(short / 6)
		n, err := io.ReadFull(c.r, part)
		if got += n; err != nil {
			t.Fatalf("after %d bytes: %v", got, err)
		}
	}
	n, err := io.CopyN(io.Discard, c.r, int64(len(data)-got))
	if err != nil {
		t.Fatalf("after %d bytes: %v", got+int(n), err)
	}
}

func slowHandler(t *testing.T, open core.Opener) {
	b := Start(t, open, Config{Limits: func(l *core.Limits) {
		l.Header, l.KeepAlive, l.Write = short, short, short
	}}, map[string]func(*Call){
		"/":     func(c *Call) { time.AfterFunc(2*short, func() { c.b.Post(func() { c.Reply(200, "slow") }) }) },
		"/away": func(c *Call) { c.Elsewhere(func(c *Call) { time.Sleep(2 * short); c.Reply(200, "slow") }) },
	})
	c := b.Dial()
	for _, path := range []string{"/", "/away"} {
		c.Send(fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", path))
		c.Expect("POST", 200, "slow")
	}
	// A body that the handler has not asked for may come late, too.
	c.Send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n")
	c.Expect("POST", 200, "slow")
}

func tooMany(t *testing.T, open core.Opener) {
	b := Start(t, open, Config{Limits: func(l *core.Limits) { l.Connections = 3 }}, plain)
	var cs []*Client
	for range 3 {
		c := b.Dial()
		c.Send(fmt.Sprintf(get, "/"))
		c.Read("GET")
		cs = append(cs, c)
	}
	// It waits in the kernel, is not refused, and has its turn.
	more := b.Dial()
	more.Send(fmt.Sprintf(get, "/"))
	cs[0].Send(fmt.Sprintf(get, "/"))
	cs[0].Read("GET")
	if n := b.Host.Count.Connections.Load(); n != 3 {
		t.Errorf("%d connections are served", n)
	}
	cs[1].Close()
	more.Expect("GET", 200, `{"a":1}`)
}
