package transporttest

import (
	"bytes"
	"fmt"
	"sync/atomic"
	"testing"

	"turboapi/gosrc/bridge"
	"turboapi/gosrc/core"
)

// What happens when requests and answers take more memory than they may.
var memory = []suite{
	{"bodies for which there is no memory", noMemoryForBodies},
	{"a lane that streams without memory", noMemoryForStreams},
}

func noMemoryForBodies(t *testing.T, open core.Opener) {
	const most = 100_000
	before := bridge.Held()
	b := Start(t, open, Config{Table: bytesTable, Limits: func(l *core.Limits) { l.Memory = before + most }}, map[string]func(*Call){
		"/collect": func(c *Call) { body, _ := c.Take(); c.Reply(200, fmt.Sprint(len(body))) },
		"/echo":    plain["/echo"],
	})
	refused := func(c *Client, what string) {
		t.Helper()
		if r := c.Read("POST"); r.Status != 503 || r.Get("retry-after") != "1" || r.Get("connection") != "close" {
			t.Errorf("%s: got %q", what, r.Raw)
		}
	}
	// Before it is read, where its length is known.
	c := b.Dial()
	c.Send(fmt.Sprintf("POST /collect HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", most+1))
	refused(c, "with its length")
	c = b.Dial()
	c.Send("POST /collect HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
	chunk := fmt.Sprintf("%x\r\n%s\r\n", 20_000, bytes.Repeat([]byte("x"), 20_000))
	for range 6 {
		c.Send(chunk)
	}
	refused(c, "in chunks")
	c.Close()
	// One that is here takes the memory of the next.
	half := b.Dial()
	half.Send(fmt.Sprintf("POST /collect HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", 60_000, bytes.Repeat([]byte("x"), 50_000)))
	Await(t, func() bool { return bridge.Held() >= before+50_000 }, func() string { return "the first is not read" })
	c = b.Dial()
	c.Send(fmt.Sprintf("POST /collect HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", 60_000))
	refused(c, "beside another")
	// What needs none is served.
	c = b.Dial()
	c.Send("POST /collect HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
	c.Expect("POST", 200, "3")
	half.Send(string(bytes.Repeat([]byte("x"), 10_000)))
	half.Expect("POST", 200, "60000")
	Await(t, func() bool { return bridge.Held() == before }, func() string {
		return fmt.Sprintf("%d bytes are held for nothing", bridge.Held()-before)
	})
	c.Send(fmt.Sprintf("POST /collect HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", 60_000, bytes.Repeat([]byte("x"), 60_000)))
	c.Expect("POST", 200, "60000")
}

func noMemoryForStreams(t *testing.T, open core.Opener) {
	data := pattern(24 << 20)
	before := bridge.Held()
	var written, most atomic.Int64
	b := Start(t, open, Config{Limits: func(l *core.Limits) { l.Memory = before + 1 }}, map[string]func(*Call){
		"/": func(c *Call) {
			c.Head(200)
			stream(c, data, &written, &most)
		},
	})
	// Others take all of it.
	bridge.Hold(1)
	defer bridge.Hold(-1)
	c := b.Dial()
	c.Send(fmt.Sprintf(get, "/"))
	awaitStopped(t, &written)
	// One piece, in the record and in the queue: the lane waits as soon as anything does.
	if n := bridge.Held() - before; n > 3*32<<10 {
		t.Errorf("%d bytes are held", n)
	}
	if r := c.Read("GET"); !bytes.Equal(r.Body, data) {
		t.Fatalf("%d bytes came, and they differ", len(r.Body))
	}
}
