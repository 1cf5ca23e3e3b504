package transporttest

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"turboapi/gosrc/bridge"
	"turboapi/gosrc/core"
	"turboapi/gosrc/exchange"
	"turboapi/gosrc/wire"
)

// The end of a server, and of what goes wrong in it.
var ends = []suite{
	{"drain closes idle connections and serves what waits", drainIdle},
	{"drain lets running requests end", drainRunning},
	{"close with something in every state", closeAll},
	{"nothing is left after many servers", manyServers},
	{"a panic while a request is made costs its connection", panicInFill},
	{"a panic when a body is ready costs its connection", panicInReady},
}

func drainIdle(t *testing.T, open core.Opener) {
	b := Start(t, open, Config{}, plain)
	var cs []*Client
	for range 5 {
		c := b.Dial()
		c.Send(fmt.Sprintf(get, "/away?x"))
		c.Read("GET")
		cs = append(cs, c)
	}
	half := b.Dial()
	half.Send("GET / HTTP/1.1\r\nHost: x\r\n")
	Await(t, func() bool { return b.Host.Count.Accepted.Load() == 6 }, func() string { return "not accepted" })
	b.awaitRead(5*int64(len(fmt.Sprintf(get, "/away?x"))) + 25)
	late := b.Dial() // waits to be accepted, or is
	late.Send(fmt.Sprintf(get, "/"))
	b.Do(func() { b.Tr.Drain() })
	if c, err := net.Dial("tcp", b.Addr.String()); err == nil {
		c.Close()
		t.Error("a draining server takes connections")
	}
	for _, c := range cs {
		c.ExpectEnd()
	}
	late.Expect("GET", 200, `{"a":1}`)
	late.ExpectEnd()
	// Half a request was read: the other half may come.
	half.Send("\r\n")
	if r := half.Expect("GET", 200, `{"a":1}`); r.Get("connection") != "close" {
		t.Errorf("while draining the answer is %q", r.Raw)
	}
	half.ExpectEnd()
	b.AwaitIdle()
	b.Do(func() { b.Tr.Drain() })
}

func drainRunning(t *testing.T, open core.Opener) {
	release := make(chan struct{})
	var streaming, waiting *Call
	b := Start(t, open, Config{}, map[string]func(*Call){
		"/away":   func(c *Call) { c.Elsewhere(func(c *Call) { <-release; c.Reply(200, "away") }) },
		"/wait":   func(c *Call) { waiting = c },
		"/stream": func(c *Call) { c.Head(200); c.Write([]byte("one")); streaming = c },
	})
	var cs []*Client
	for _, path := range []string{"/away", "/wait", "/stream"} {
		c := b.Dial()
		c.Send(fmt.Sprintf(get, path))
		cs = append(cs, c)
	}
	Await(t, func() bool { return b.Requests.Load() == 3 }, func() string { return "no requests" })
	b.Do(func() { b.Tr.Drain() })
	if b.Tr.Active() == 0 {
		t.Fatal("nothing is active")
	}
	close(release)
	b.Post(func() { waiting.Reply(200, "wait"); streaming.Write([]byte("two")); streaming.End() })
	for i, want := range []string{"away", "wait", "onetwo"} {
		r := cs[i].Expect("GET", 200, want)
		if i < 2 && r.Get("connection") != "close" {
			t.Errorf("while draining the answer is %q", r.Raw)
		}
		cs[i].ExpectEnd()
	}
	b.AwaitIdle()
}

func closeAll(t *testing.T, open core.Opener) {
	for range 5 {
		release := make(chan struct{})
		data := pattern(8 << 20)
		var written, most atomic.Int64
		b := Start(t, open, Config{Table: bytesTable}, map[string]func(*Call){
			"/away":   func(c *Call) { c.Elsewhere(func(c *Call) { <-release; c.Reply(200, "away") }) },
			"/wait":   func(c *Call) {},
			"/want":   func(c *Call) { c.ReadAll(func([]byte) {}) },
			"/stream": func(c *Call) { c.Head(200); stream(c, data, &written, &most) },
			"/whole":  func(c *Call) { c.Reply(200, string(data)) },
		})
		b.Dial()
		b.Dial().Send("GET /")
		b.Dial().Send("POST /collect HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n")
		b.Dial().Send("POST /want HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n")
		b.Dial().Send("BAD\r\n\r\n")
		for _, path := range []string{"/away", "/wait", "/stream", "/whole"} {
			b.Dial().Send(fmt.Sprintf(get, path))
		}
		Await(t, func() bool { return b.Requests.Load() == 5 }, func() string { return "no requests" })
		go close(release)
		b.Close()
	}
}

// descriptors counts the open ones.
func descriptors(t *testing.T) int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc")
	}
	return len(entries)
}

func manyServers(t *testing.T, open core.Opener) {
	cycle := func(drain bool) {
		t.Run("", func(t *testing.T) {
			b := Start(t, open, Config{}, plain)
			c := b.Dial()
			c.Send(fmt.Sprintf(get, "/") + fmt.Sprintf(get, "/away?1"))
			c.Read("GET")
			c.Read("GET")
			b.Dial()
			if drain {
				b.Do(func() { b.Tr.Drain() })
				c.ExpectEnd()
			}
		})
	}
	for range 10 {
		cycle(true)
	}
	fds, routines := descriptors(t), runtime.NumGoroutine()
	for i := range 200 {
		cycle(i%2 == 0)
	}
	Await(t, func() bool { return descriptors(t) <= fds && runtime.NumGoroutine() <= routines }, func() string {
		stack := make([]byte, 1<<20)
		return fmt.Sprintf("%d descriptors were %d, %d goroutines were %d\n%s", descriptors(t), fds,
			runtime.NumGoroutine(), routines, stack[:runtime.Stack(stack, true)])
	})
}

// rigged panics where the query asks for it.
type rigged struct{ core.Table }

func (r rigged) Fill(x *bridge.Exchange, h *wire.Head, buf []byte) exchange.Disposition {
	if strings.Contains(string(h.Query.Of(buf)), "fill") {
		panic("rigged: fill")
	}
	return r.Table.Fill(x, h, buf)
}

func (r rigged) Ready(x *bridge.Exchange) {
	if strings.Contains(string(x.Span(x.Query)), "ready") {
		panic("rigged: ready")
	}
	r.Table.Ready(x)
}

func panicInFill(t *testing.T, open core.Opener) {
	b := Start(t, open, Config{Panics: true, WrapTable: func(t core.Table) core.Table { return rigged{t} }}, plain)
	other := b.Dial()
	c := b.Dial()
	c.Send(fmt.Sprintf(get, "/name?1") + fmt.Sprintf(get, "/?fill"))
	c.Expect("GET", 200, "1")
	if r := c.Read("GET"); r.Status != 500 || r.Get("connection") != "close" {
		t.Errorf("got %q", r.Raw)
	}
	c.ExpectEnd()
	other.Send(fmt.Sprintf(get, "/name?2"))
	other.Expect("GET", 200, "2")
	if log := string(b.Host.Log.Take()); !strings.Contains(log, "rigged: fill") || !strings.Contains(log, "ends.go") {
		t.Errorf("the log is %q", log)
	}
	other.Close()
	c.Close()
	b.AwaitIdle()
}

func panicInReady(t *testing.T, open core.Opener) {
	b := Start(t, open, Config{Panics: true, Table: bytesTable, WrapTable: func(t core.Table) core.Table { return rigged{t} }}, plain)
	c := b.Dial()
	c.Send("POST /collect?ready HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
	if r := c.Read("POST"); r.Status != 500 {
		t.Errorf("got %q", r.Raw)
	}
	c.ExpectEnd()
	c.Close()
	b.AwaitIdle()
	if n := b.Host.Count.Panics.Load(); n != 1 {
		t.Errorf("%d panics were counted", n)
	}
}
