package transporttest

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"turboapi/gosrc/bridge"
	"turboapi/gosrc/core"
)

// What the lanes may answer.
var answers = []suite{
	{"a large answer in one piece", largeAnswer},
	{"a slow reader stops the lane", slowReader},
	{"a streamed answer is chunked, or ends with the connection", streamed},
	{"answers without a body", bodyless},
	{"an answer that does not keep its Content-Length", wrongLength},
	{"an answer that is broken off", brokenOff},
	{"an answer that can't be formatted", unformattable},
	{"early hints", earlyHints},
	{"the connection goes on while the lane keeps the exchange", detached},
	{"fields reach the client as they are", fieldsAsTheyAre},
	{"the table's own answers", static},
	{"more events than a turn takes", manyEvents},
	{"the access log has a line for each answer", accessLog},
}

func largeAnswer(t *testing.T, open core.Opener) {
	data := pattern(9<<20 + 3)
	b := Start(t, open, Config{}, map[string]func(*Call){
		"/":     func(c *Call) { c.Reply(200, string(data)) },
		"/away": func(c *Call) { c.Elsewhere(func(c *Call) { c.Reply(200, string(data)) }) },
		"/end":  func(c *Call) { c.Reply(200, "end") },
	})
	c := b.Dial()
	c.Send(fmt.Sprintf(get, "/") + fmt.Sprintf(get, "/end") + fmt.Sprintf(get, "/away") + fmt.Sprintf(get, "/end"))
	for range 2 {
		if r := c.Read("GET"); !bytes.Equal(r.Body, data) {
			t.Fatalf("%d bytes came, and they differ", len(r.Body))
		}
		c.Expect("GET", 200, "end")
	}
	c.Send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	if r := c.Read("GET"); !bytes.Equal(r.Body, data) {
		t.Fatalf("%d bytes came, and they differ", len(r.Body))
	}
	c.ExpectEnd()
}

// awaitStopped waits until a lane that streams is stopped by its client, and
// returns how much of the answer it has written by then.
func awaitStopped(t *testing.T, written *atomic.Int64) int64 {
	t.Helper()
	last, stable := int64(-1), 0
	Await(t, func() bool {
		if n := written.Load(); n != last {
			last, stable = n, 0
		} else {
			stable++
		}
		return stable > 100 && last > 0
	}, func() string { return "the lane is not stopped" })
	return last
}

// stream writes data in pieces and waits as an ASGI send does.
func stream(c *Call, data []byte, written *atomic.Int64, most *atomic.Int64) {
	const piece = 20000
	var step func()
	step = func() {
		for len(data) > 0 {
			n := min(piece, len(data))
			c.Write(data[:n])
			data = data[n:]
			written.Add(int64(n))
			c.Flush()
			if u := c.Unsent(); u > bridge.HighWater {
				most.Store(max(most.Load(), int64(u)))
				c.OnDrained = step
				return
			}
		}
		c.OnDrained = nil
		c.End()
	}
	step()
}

func slowReader(t *testing.T, open core.Opener) {
	data := pattern(24 << 20)
	var written, most atomic.Int64
	b := Start(t, open, Config{}, map[string]func(*Call){"/": func(c *Call) {
		c.Head(200, "content-type", "application/octet-stream")
		stream(c, data, &written, &most)
	}})
	c := b.Dial()
	c.Send(fmt.Sprintf(get, "/"))
	// The lane stops by itself.
	last := awaitStopped(t, &written)
	if last > 16<<20 {
		t.Errorf("%d bytes were taken for a client that reads nothing", last)
	}
	r := c.Read("GET")
	if !bytes.Equal(r.Body, data) || r.Get("transfer-encoding") != "chunked" {
		t.Fatalf("%d bytes came, and they differ", len(r.Body))
	}
	if n := most.Load(); n > 4*bridge.HighWater {
		t.Errorf("%d bytes were queued", n)
	}
	c.Send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
	if r = c.Read("GET"); !bytes.Equal(r.Body, data) || r.Get("connection") != "close" {
		t.Fatalf("HTTP/1.0: %d bytes came, head %q", len(r.Body), r.Line)
	}
}

func streamed(t *testing.T, open core.Opener) {
	b := Start(t, open, Config{}, map[string]func(*Call){
		"/": func(c *Call) {
			c.Head(200, "x-a", "1")
			c.Flush()
			for _, part := range []string{"one", "", "two", "three"} {
				c.Write([]byte(part))
				c.Flush()
			}
			c.End()
		},
		"/length": func(c *Call) {
			c.Head(200, "content-length", "6")
			c.Write([]byte("abc"))
			c.Flush()
			c.Write([]byte("def"))
			c.End()
		},
	})
	c := b.Dial()
	c.Send(fmt.Sprintf(get, "/"))
	r := c.Expect("GET", 200, "onetwothree")
	if i := bytes.Index(r.Raw, []byte("\r\n\r\n")); string(r.Raw[i+4:]) != "3\r\none\r\n3\r\ntwo\r\n5\r\nthree\r\n0\r\n\r\n" {
		t.Errorf("got %q", r.Raw)
	}
	c.Send(fmt.Sprintf(get, "/length"))
	c.Expect("GET", 200, "abcdef")
	c.Send("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n" + fmt.Sprintf(get, "/length"))
	c.Expect("HEAD", 200, "")
	c.Expect("GET", 200, "abcdef")
	c.Send("GET / HTTP/1.0\r\n\r\n")
	if r := c.Expect("GET", 200, "onetwothree"); r.Get("transfer-encoding") != "" {
		t.Errorf("HTTP/1.0 got %q", r.Raw)
	}
	c.ExpectEnd()
}

func bodyless(t *testing.T, open core.Opener) {
	b := Start(t, open, Config{}, map[string]func(*Call){
		"/204": func(c *Call) { c.Head(204); c.End() },
		"/304": func(c *Call) { c.Head(304, "etag", "x", "content-length", "5"); c.End() },
		"/0":   func(c *Call) { c.Reply(200, "") },
	})
	c := b.Dial()
	for _, s := range []int{204, 304} {
		c.Send(fmt.Sprintf(get, fmt.Sprint("/", s)))
		if r := c.Expect("GET", s, ""); r.Get("transfer-encoding") != "" || s == 204 && r.Get("content-length") != "" {
			t.Errorf("got %q", r.Raw)
		}
	}
	c.Send(fmt.Sprintf(get, "/0"))
	if r := c.Expect("GET", 200, ""); r.Get("content-length") != "0" {
		t.Errorf("got %q", r.Raw)
	}
}

func wrongLength(t *testing.T, open core.Opener) {
	b := Start(t, open, Config{}, map[string]func(*Call){
		"/short": func(c *Call) { c.Head(200, "content-length", "6"); c.Write([]byte("abc")); c.Flush(); c.End() },
		"/long": func(c *Call) {
			c.Head(200, "content-length", "6")
			c.Write([]byte("abc"))
			c.Flush()
			c.Write([]byte("defg"))
			c.End()
		},
	})
	for _, path := range []string{"/short", "/long"} {
		c := b.Dial()
		c.Send(fmt.Sprintf(get, path))
		if r, err := c.read("GET"); err == nil || len(r.Body) >= 6 || isTimeout(err) {
			t.Errorf("%s: got %q and %v", path, r.Raw, err)
		}
	}
	b.AwaitIdle()
	if !strings.Contains(string(b.Host.Log.Take()), "Content-Length") {
		t.Errorf("nothing about it is in the log")
	}
}

func brokenOff(t *testing.T, open core.Opener) {
	b := Start(t, open, Config{}, map[string]func(*Call){
		"/abort":   func(c *Call) { c.Head(200); c.Write([]byte("a")); c.Flush(); c.Op(bridge.OpAbort); c.Release() },
		"/release": func(c *Call) { c.Head(200); c.Write([]byte("a")); c.Flush(); c.Release() },
		"/nothing": func(c *Call) { c.Release() },
		"/away": func(c *Call) {
			c.Elsewhere(func(c *Call) { c.Head(200); c.Write([]byte("a")); c.Flush(); c.Op(bridge.OpAbort); c.Release() })
		},
	})
	for _, path := range []string{"/abort", "/release", "/nothing", "/away"} {
		c := b.Dial()
		c.Send(fmt.Sprintf(get, path))
		if r, err := c.read("GET"); err == nil || isTimeout(err) {
			t.Errorf("%s: got %q and %v", path, r.Raw, err)
		}
	}
	// Where the end of the connection is the end of the body, it must not look
	// like that.
	c := b.Dial()
	c.Send("GET /abort HTTP/1.0\r\n\r\n")
	if r, err := c.read("GET"); err == nil || isTimeout(err) {
		t.Errorf("HTTP/1.0: got %q and %v", r.Raw, err)
	}
	b.AwaitIdle()
	if n := b.Gone.Load(); n != 0 {
		t.Errorf("%d clients were said to be gone", n)
	}
}

func unformattable(t *testing.T, open core.Opener) {
	b := Start(t, open, Config{}, map[string]func(*Call){
		"/field":  func(c *Call) { c.Head(200, "bad name", "v"); c.Write([]byte("abc")); c.End() },
		"/value":  func(c *Call) { c.Head(200, "n", "v\r\nx: y"); c.End() },
		"/nohead": func(c *Call) { c.Write([]byte("abc")); c.End() },
	})
	for _, path := range []string{"/field", "/value", "/nohead"} {
		c := b.Dial()
		c.Send(fmt.Sprintf(get, path))
		c.Expect("GET", 500, "Internal Server Error")
		c.ExpectEnd()
	}
	if n := b.Host.Count.Errors5xx.Load(); n != 3 {
		t.Errorf("%d errors were counted", n)
	}
}

func earlyHints(t *testing.T, open core.Opener) {
	b := Start(t, open, Config{}, map[string]func(*Call){"/": func(c *Call) {
		c.X().AppendField("link", "</a>; rel=preload")
		c.Op(bridge.OpEarly)
		c.Flush()
		c.Reply(200, "done")
	}})
	c := b.Dial()
	c.Send(fmt.Sprintf(get, "/"))
	if r := c.Read("GET"); r.Status != 103 || r.Get("link") != "</a>; rel=preload" || len(r.Fields) != 1 {
		t.Errorf("got %q", r.Raw)
	}
	c.Expect("GET", 200, "done")
}

func detached(t *testing.T, open core.Opener) {
	var first *Call
	b := Start(t, open, Config{}, map[string]func(*Call){
		"/first": func(c *Call) { first = c; c.Head(200, "content-length", "1"); c.Write([]byte("1")); c.Op(bridge.OpEnd) },
		"/name":  plain["/name"],
	})
	c := b.Dial()
	c.Send(fmt.Sprintf(get, "/first"))
	c.Expect("GET", 200, "1")
	c.Send(fmt.Sprintf(get, "/name?2"))
	c.Expect("GET", 200, "2")
	Await(t, func() bool { return b.Tr.Active() == 2 }, func() string {
		return fmt.Sprintf("%d connections and exchanges, want one of each", b.Tr.Active())
	})
	c.Close()
	Await(t, func() bool { return b.Tr.Active() == 1 }, func() string { return "the connection is not gone" })
	b.Do(func() {
		if first.X().Conn != 0 || first.Gone {
			t.Errorf("the answered exchange has connection %d, gone %v", first.X().Conn, first.Gone)
		}
		first.Write([]byte("dropped"))
		first.Release()
	})
	b.AwaitIdle()
}

func fieldsAsTheyAre(t *testing.T, open core.Opener) {
	b := Start(t, open, Config{Options: On}, map[string]func(*Call){"/": func(c *Call) {
		c.Head(201, "X-B", "2", "set-cookie", "a=1", "content-length", "2", "set-cookie", "b=2", "X-a", "\xff")
		c.Write([]byte("ok"))
		c.End()
	}})
	c := b.Dial()
	c.Send(fmt.Sprintf(get, "/"))
	r := c.Expect("GET", 201, "ok")
	raw := string(r.Raw)
	if i := strings.Index(raw, "X-B"); i < 0 || raw[i:] != "X-B: 2\r\nset-cookie: a=1\r\ncontent-length: 2\r\nset-cookie: b=2\r\nX-a: \xff\r\n\r\nok" {
		t.Errorf("got %q", raw)
	}
}

func static(t *testing.T, open core.Opener) {
	const table = `{"version":1,"cors":false,"redirect_slashes":false,"root_path":"",
		"not_found":{"status":404,"fields":[["content-type","application/json"]],"body":"{\"detail\":\"Not Found\"}"},
		"routes":[{"path":"/name","methods":["GET"],"plan":-1,"partial":{"status":405,"fields":[["allow","GET"]],"body":""}}],"plans":[]}`
	b := Start(t, open, Config{Table: table}, plain)
	c := b.Dial()
	c.Send(fmt.Sprintf(get, "/none") + fmt.Sprintf(get, "/name?1") +
		"POST /name HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc" + "HEAD /none HTTP/1.1\r\nHost: x\r\n\r\n" + fmt.Sprintf(get, "/name?2"))
	c.Expect("GET", 404, `{"detail":"Not Found"}`)
	c.Expect("GET", 200, "1")
	if r := c.Expect("POST", 405, ""); r.Get("allow") != "GET" {
		t.Errorf("got %q", r.Raw)
	}
	c.Expect("HEAD", 404, "")
	c.Expect("GET", 200, "2")
	if n := b.Requests.Load(); n != 2 {
		t.Errorf("%d requests reached the lane", n)
	}
	c.Send("GET /none HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	c.Expect("GET", 404, `{"detail":"Not Found"}`)
	c.ExpectEnd()
}

func manyEvents(t *testing.T, open core.Opener) {
	b := Start(t, open, Config{MaxEvents: 4}, plain)
	const n = 100
	var cs []*Client
	for i := range n {
		c := b.Dial()
		c.Send(fmt.Sprintf(get, fmt.Sprint("/name?", i)))
		cs = append(cs, c)
	}
	for i, c := range cs {
		c.Expect("GET", 200, fmt.Sprint(i))
	}
}

func accessLog(t *testing.T, open core.Opener) {
	b := Start(t, open, Config{Options: core.Options{AccessLog: true}}, plain)
	c := b.Dial()
	c.Send(fmt.Sprintf(get, "/name?a") + fmt.Sprintf(get, "/away?b") + fmt.Sprintf(get, "/none"))
	for range 3 {
		c.Read("GET")
	}
	var lines []byte
	Await(t, func() bool {
		if b.Host.Log.Waiting() {
			lines = append(lines, b.Host.Log.Take()...)
		}
		return bytes.Count(lines, []byte(`"GET"`)) == 3
	}, func() string { return fmt.Sprintf("the log is %q", lines) })
	for _, want := range []string{"/name?a", "/away?b", "/none", "404", c.LocalAddr().String()} {
		if !bytes.Contains(lines, []byte(want)) {
			t.Errorf("%q is not in the log %q", want, lines)
		}
	}
}

// reset closes a connection so that the peer sees a reset.
func reset(c *Client) {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}
