package transporttest

import (
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"turboapi/gosrc/core"
)

// Clients that leave, at every stage.
var departures = []suite{
	{"without a word", leavesIdle},
	{"in the middle of a head", leavesInHead},
	{"in the middle of a collected body", leavesInCollected},
	{"in the middle of a streamed body", leavesInStreamed},
	{"while a handler runs", leavesWaiting},
	{"by a reset while a handler runs", resetsWaiting},
	{"while a call thread has the exchange", leavesAway},
	{"in the middle of an answer", leavesInAnswer},
	{"with requests still unanswered", leavesPipelined},
	{"after it was told goodbye", leavesAfterClose},
	{"or only stop sending", halfCloses},
}

func leavesIdle(t *testing.T, open core.Opener) {
	b := Start(t, open, Config{}, plain)
	for range 20 {
		c := b.Dial()
		c.Close()
		c = b.Dial()
		c.Send(fmt.Sprintf(get, "/"))
		c.Read("GET")
		c.Close()
	}
	Await(t, func() bool { return b.Host.Count.Accepted.Load() == 40 }, func() string { return "not all were accepted" })
	b.AwaitIdle()
	if n := b.Gone.Load(); n != 0 {
		t.Errorf("%d clients were said to be gone", n)
	}
}

func leavesInHead(t *testing.T, open core.Opener) {
	b := Start(t, open, Config{}, plain)
	c := b.Dial()
	c.Send("GET / HTT")
	b.awaitRead(9)
	c.Close()
	b.AwaitIdle()
	if n := b.Requests.Load() + b.Host.Count.Refused.Load(); n != 0 {
		t.Errorf("half a request was answered")
	}
}

func leavesInCollected(t *testing.T, open core.Opener) {
	b := Start(t, open, Config{Table: bytesTable}, plain)
	for _, leave := range []func(*Client){func(c *Client) { c.Close() }, reset} {
		c := b.Dial()
		before := b.Host.Count.BytesIn.Load()
		c.Send("POST /collect HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc")
		b.awaitRead(before + 3)
		leave(c)
		b.AwaitIdle()
	}
	if n := b.Requests.Load(); n != 0 {
		t.Errorf("%d requests were dispatched", n)
	}
}

func leavesInStreamed(t *testing.T, open core.Opener) {
	b := Start(t, open, Config{}, plain)
	c := b.Dial()
	c.Send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc")
	Await(t, func() bool { return b.Requests.Load() == 1 }, func() string { return "no request" })
	c.Close()
	Await(t, func() bool { return b.Gone.Load() == 1 }, func() string { return "the lane was not told" })
	b.AwaitIdle()
}

// hangs holds exchanges until their clients leave.
func hangs(gone *atomic.Int64) map[string]func(*Call) {
	return map[string]func(*Call){"/": func(c *Call) {
		c.OnGone = func() {
			gone.Add(1)
			// What it says now is dropped.
			c.Reply(200, "late")
		}
	}}
}

func leavesWaiting(t *testing.T, open core.Opener) {
	var gone atomic.Int64
	b := Start(t, open, Config{}, hangs(&gone))
	for i := range int64(5) {
		c := b.Dial()
		c.Send(fmt.Sprintf(get, "/"))
		Await(t, func() bool { return b.Requests.Load() == i+1 }, func() string { return "no request" })
		c.Close()
		Await(t, func() bool { return gone.Load() == i+1 }, func() string { return "the lane was not told" })
	}
	b.AwaitIdle()
	if n := b.Gone.Load(); n != 5 {
		t.Errorf("5 clients left, %d times the lane was told", n)
	}
}

func resetsWaiting(t *testing.T, open core.Opener) {
	var gone atomic.Int64
	b := Start(t, open, Config{}, hangs(&gone))
	c := b.Dial()
	c.Send(fmt.Sprintf(get, "/"))
	Await(t, func() bool { return b.Requests.Load() == 1 }, func() string { return "no request" })
	reset(c)
	Await(t, func() bool { return gone.Load() == 1 }, func() string { return "the lane was not told" })
	b.AwaitIdle()
}

func leavesAway(t *testing.T, open core.Opener) {
	release := make(chan struct{})
	b := Start(t, open, Config{}, map[string]func(*Call){"/": func(c *Call) {
		c.Elsewhere(func(c *Call) { <-release; c.Reply(200, "late") })
	}})
	for i := range int64(20) {
		c := b.Dial()
		c.Send(fmt.Sprintf(get, "/"))
		Await(t, func() bool { return b.Requests.Load() == i+1 }, func() string { return "no request" })
		if i%2 == 0 {
			c.Close()
		} else {
			reset(c)
		}
	}
	close(release)
	b.AwaitIdle()
}

func leavesInAnswer(t *testing.T, open core.Opener) {
	data := pattern(32 << 20)
	var written, most atomic.Int64
	b := Start(t, open, Config{}, map[string]func(*Call){
		"/": func(c *Call) {
			c.Head(200)
			stream(c, data, &written, &most)
		},
		"/whole": func(c *Call) { c.Reply(200, string(data)); written.Add(1) },
	})
	for i, path := range []string{"/", "/whole", "/"} {
		before := written.Load()
		c := b.Dial()
		c.Send(fmt.Sprintf(get, path))
		Await(t, func() bool { return written.Load() > before }, func() string { return "no answer" })
		if i == 2 {
			reset(c)
		} else {
			c.Close()
		}
		b.AwaitIdle()
	}
	// A lane may also have come to its end, saying things that were dropped.
	if n := b.Gone.Load(); n > 2 {
		t.Errorf("2 clients left before the end, %d times the lane was told", n)
	}
}

func leavesPipelined(t *testing.T, open core.Opener) {
	var gone atomic.Int64
	b := Start(t, open, Config{}, hangs(&gone))
	c := b.Dial()
	c.Send(fmt.Sprintf(get, "/") + fmt.Sprintf(get, "/") + fmt.Sprintf(get, "/"))
	Await(t, func() bool { return b.Requests.Load() == 1 }, func() string { return "no request" })
	reset(c)
	Await(t, func() bool { return gone.Load() == 1 }, func() string { return "the lane was not told" })
	b.AwaitIdle()
	if n := b.Requests.Load(); n != 1 {
		t.Errorf("%d requests of a client that left were dispatched", n)
	}
}

func leavesAfterClose(t *testing.T, open core.Opener) {
	b := Start(t, open, Config{Limits: func(l *core.Limits) { l.Linger = 20 * time.Second }}, plain)
	c := b.Dial()
	c.Send("BAD\r\n\r\n")
	c.Read("GET")
	c.ExpectEnd()
	// It lingers for the client's sake, and no longer than the client is there.
	c.Close()
	b.AwaitIdle()
}

// halfCloses is what nc -N does: it waits for its answers.
func halfCloses(t *testing.T, open core.Opener) {
	data := string(pattern(9 << 20))
	handlers := map[string]func(*Call){"/large": func(c *Call) { c.Reply(200, data) }}
	for path, h := range plain {
		handlers[path] = h
	}
	b := Start(t, open, Config{}, handlers)
	for _, path := range []string{"/", "/away?x", "/echo", "/large"} {
		c := b.Dial()
		c.Send("POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\n{\"a\":1}")
		if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		r := c.Read("POST")
		if r.Status != 200 || path == "/large" && string(r.Body) != data {
			t.Errorf("%s: got %d bytes beginning with %.100q", path, len(r.Raw), r.Raw)
		}
		c.ExpectEnd()
	}
	b.AwaitIdle()
}
