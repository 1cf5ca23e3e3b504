package transporttest

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"turboapi/gosrc/bridge"
	"turboapi/gosrc/core"
)

// Request bodies, streamed and collected.
var bodies = []suite{
	{"a large upload arrives whole", largeUpload},
	{"a lane that does not read stops the client", unreadStops},
	{"100 Continue is sent when the lane wants the body", continueWhenWanted},
	{"an expected body that nobody wants", continueNotWanted},
	{"a collected body is whole when it is dispatched", collected},
	{"a collected body has a limit", collectedLimit},
	{"a collected body is asked for with 100 Continue", collectedContinue},
	{"a small body that nobody read is skipped", skipped},
	{"a large body that nobody read ends the connection", notSkipped},
	{"a malformed chunk before and after the answer began", malformedChunk},
}

// bytesTable collects the body of POST /collect.
const bytesTable = `{"version":1,"cors":false,"redirect_slashes":false,"root_path":"","not_found":null,
	"routes":[{"path":"/collect","methods":["POST"],"plan":0},{"barrier":true}],
	"plans":[{"id":0,"body":"bytes","max_body":null,"params":[]}]}`

// pattern is n bytes that differ from place to place.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i>>13) ^ byte(i*7)
	}
	return b
}

func sum(b []byte) string { return fmt.Sprintf("%x", sha256.Sum256(b)) }

func largeUpload(t *testing.T, open core.Opener) {
	b := Start(t, open, Config{}, map[string]func(*Call){
		"/": func(c *Call) { c.ReadAll(func(body []byte) { c.Reply(200, sum(body)) }) },
	})
	data := pattern(6<<20 + 17)
	c := b.Dial()
	send := func(f func(w *strings.Builder)) {
		var w strings.Builder
		f(&w)
		go c.Send(w.String()) // stops when it is sent, or the test's end closes the connection
		c.Expect("POST", 200, sum(data))
	}
	send(func(w *strings.Builder) {
		fmt.Fprintf(w, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(data), data)
	})
	send(func(w *strings.Builder) {
		w.WriteString("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
		for rest, n := data, 1; len(rest) > 0; n = n*3%100003 + 1 {
			m := min(n, len(rest))
			fmt.Fprintf(w, "%x\r\n%s\r\n", m, rest[:m])
			rest = rest[m:]
		}
		w.WriteString("0\r\n\r\n")
	})
}

func unreadStops(t *testing.T, open core.Opener) {
	var call *Call
	b := Start(t, open, Config{}, map[string]func(*Call){"/": func(c *Call) { call = c }})
	data := pattern(16 << 20)
	c := b.Dial()
	var sent atomic.Int64
	failed := make(chan error, 1)
	go func() { // stops when all is sent, or the test's end closes the connection
		_, err := fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", len(data))
		for rest := data; err == nil && len(rest) > 0; {
			n := min(64<<10, len(rest))
			_, err = c.Write(rest[:n])
			sent.Add(int64(n))
			rest = rest[n:]
		}
		failed <- err
	}()
	// The server has read what it may, and the socket is full.
	last := int64(-1)
	stable := 0
	Await(t, func() bool {
		if n := b.Host.Count.BytesIn.Load() + sent.Load(); n != last {
			last, stable = n, 0
		} else {
			stable++
		}
		return stable > 100 && b.Requests.Load() == 1
	}, func() string { return "the client is not stopped" })
	if n := b.Host.Count.BytesIn.Load(); n > 4*bridge.InboxMax || n < bridge.InboxMax/2 {
		t.Errorf("%d bytes were read for a lane that did not ask", n)
	}
	var held uint64
	b.Do(func() { held = call.X().BodyLen })
	if held > 2*bridge.InboxMax {
		t.Errorf("%d bytes are in the inbox", held)
	}
	b.Post(func() { call.ReadAll(func(body []byte) { call.Reply(200, sum(body)) }) })
	c.Expect("POST", 200, sum(data))
	if err := <-failed; err != nil {
		t.Error(err)
	}
}

func continueWhenWanted(t *testing.T, open core.Opener) {
	var call *Call
	b := Start(t, open, Config{}, map[string]func(*Call){"/": func(c *Call) { call = c }})
	c := b.Dial()
	for range 2 {
		seen := b.Requests.Load()
		c.Send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
		Await(t, func() bool { return b.Requests.Load() == seen+1 }, func() string { return "no request" })
		out := b.Host.Count.BytesOut.Load()
		b.Do(func() {}) // nothing was sent by itself
		if n := b.Host.Count.BytesOut.Load(); n != out {
			t.Errorf("%d bytes were sent before the lane wanted the body", n-out)
		}
		b.Post(func() { call.ReadAll(func(body []byte) { call.Reply(200, string(body)) }) })
		if r := c.Read("POST"); string(r.Raw) != "HTTP/1.1 100 Continue\r\n\r\n" {
			t.Fatalf("got %q", r.Raw)
		}
		c.Send("hello")
		c.Expect("POST", 200, "hello")
	}
	// Who does not wait for it is not told.
	c.Send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhe")
	Await(t, func() bool { return b.Requests.Load() == 3 }, func() string { return "no request" })
	b.Post(func() { call.ReadAll(func(body []byte) { call.Reply(200, string(body)) }) })
	c.Send("llo")
	c.Expect("POST", 200, "hello")
}

func continueNotWanted(t *testing.T, open core.Opener) {
	b := Start(t, open, Config{}, plain)
	c := b.Dial()
	c.Send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
	// Whether the body comes now is not known, so nothing else may.
	if r := c.Expect("POST", 200, `{"a":1}`); r.Get("connection") != "close" {
		t.Errorf("got %q", r.Raw)
	}
	c.ExpectEnd()
}

func collected(t *testing.T, open core.Opener) {
	h := map[string]func(*Call){"/collect": func(c *Call) {
		body, end := c.Take()
		if !end || c.X().Plan != 0 {
			t.Errorf("plan %d, complete %v", c.X().Plan, end)
		}
		c.Reply(200, sum(body))
	}}
	b := Start(t, open, Config{Table: bytesTable}, h)
	c := b.Dial()
	for _, n := range []int{0, 1, 2000, 5000, 70000, 3 << 20} {
		data := pattern(n)
		go c.Send(fmt.Sprintf("POST /collect HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", n, data))
		c.Expect("POST", 200, sum(data))
		if n > 0 {
			go c.Send(fmt.Sprintf("POST /collect HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", n, data))
			c.Expect("POST", 200, sum(data))
		}
	}
}

func collectedLimit(t *testing.T, open core.Opener) {
	small := func(l *core.Limits) { l.Body = 1000 }
	b := Start(t, open, Config{Table: bytesTable, Limits: small}, map[string]func(*Call){
		"/collect": func(c *Call) { body, _ := c.Take(); c.Reply(200, fmt.Sprint(len(body))) },
		"/echo":    plain["/echo"],
	})
	c := b.Dial()
	c.Send("POST /collect HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n" + strings.Repeat("a", 1000))
	c.Expect("POST", 200, "1000")
	// Streamed bodies have none.
	c.Send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3000\r\n\r\n" + strings.Repeat("a", 3000))
	c.Expect("POST", 200, strings.Repeat("a", 3000))
	// Refused before it is sent.
	c.Send("POST /collect HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\nExpect: 100-continue\r\n\r\n")
	c.Expect("POST", 413, `{"detail":"Request body too large"}`)
	c.ExpectEnd()
	c = b.Dial()
	c.Send("POST /collect HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n" + strings.Repeat("a", 1000) + "\r\n1\r\na\r\n0\r\n\r\n")
	c.Expect("POST", 413, `{"detail":"Request body too large"}`)
	c.ExpectEnd()
	if n := b.Host.Count.Refused.Load(); n != 2 {
		t.Errorf("%d refusals were counted", n)
	}
}

func collectedContinue(t *testing.T, open core.Opener) {
	b := Start(t, open, Config{Table: bytesTable}, map[string]func(*Call){
		"/collect": func(c *Call) { body, _ := c.Take(); c.Reply(200, string(body)) },
	})
	c := b.Dial()
	c.Send("POST /collect HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
	if r := c.Read("POST"); r.Status != 100 {
		t.Fatalf("got %q", r.Raw)
	}
	c.Send("hello")
	c.Expect("POST", 200, "hello")
	// Sent without waiting: no interim answer is needed.
	c.Send("POST /collect HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello")
	c.Expect("POST", 200, "hello")
}

func skipped(t *testing.T, open core.Opener) {
	b := Start(t, open, Config{}, plain)
	c := b.Dial()
	for _, n := range []int{1, 5000, 200000} {
		c.Send(fmt.Sprintf("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", n))
		c.Expect("POST", 200, `{"a":1}`)
		c.Send(strings.Repeat("b", n) + fmt.Sprintf(get, "/name?next"))
		c.Expect("GET", 200, "next")
		c.Send(fmt.Sprintf("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", n, bytes.Repeat([]byte("b"), n)) + fmt.Sprintf(get, "/name?next"))
		c.Expect("POST", 200, `{"a":1}`)
		c.Expect("GET", 200, "next")
	}
}

func notSkipped(t *testing.T, open core.Opener) {
	b := Start(t, open, Config{}, plain)
	c := b.Dial()
	c.Send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\nsome")
	if r := c.Expect("POST", 200, `{"a":1}`); r.Get("connection") != "close" {
		t.Errorf("got %q", r.Raw)
	}
	c.ExpectEnd()
	c = b.Dial()
	c.Send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
	go func() { // stops when the server has closed the connection
		for {
			if _, err := io.WriteString(c, "1000\r\n"+strings.Repeat("c", 4096)+"\r\n"); err != nil {
				return
			}
		}
	}()
	c.Expect("POST", 200, `{"a":1}`)
	c.ExpectGone()
}

func malformedChunk(t *testing.T, open core.Opener) {
	var began bool
	b := Start(t, open, Config{}, map[string]func(*Call){
		"/wait": func(c *Call) { c.ReadAll(func([]byte) { c.Reply(200, "") }) },
		"/began": func(c *Call) {
			c.Head(200)
			c.Write([]byte("begun"))
			began = true
			c.Flush()
			c.ReadAll(func([]byte) { c.End() })
		},
	})
	c := b.Dial()
	c.Send("POST /wait HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
	Await(t, func() bool { return b.Requests.Load() == 1 }, func() string { return "no request" })
	c.Send("x\r\n")
	if r := c.Read("POST"); r.Status != 400 || r.Get("connection") != "close" {
		t.Errorf("got %q", r.Raw)
	}
	c.ExpectEnd()
	Await(t, func() bool { return b.Gone.Load() == 1 }, func() string { return "the lane was not told" })

	c = b.Dial()
	c.Send("POST /began HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
	Await(t, func() (ok bool) { b.Do(func() { ok = began }); return ok }, func() string { return "no answer began" })
	c.Send("x\r\n")
	r, err := c.read("POST")
	if r.Status != 200 || err != io.EOF && err != io.ErrUnexpectedEOF {
		t.Errorf("got %q and %v, want an answer without an end", r.Raw, err)
	}
	Await(t, func() bool { return b.Gone.Load() == 2 }, func() string { return "the lane was not told" })
}
