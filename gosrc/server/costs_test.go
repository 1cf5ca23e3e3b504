package server

import (
	"fmt"
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"turboapi/gosrc/transporttest"
)

var hello = map[string]func(*transporttest.Call){
	"/": func(c *transporttest.Call) { c.JSON(`{"hello":"world"}`) },
}

var helloRequest = []byte("GET / HTTP/1.1\r\nHost: x\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n")

// ask sends a request and reads its answer, allocating nothing.
func ask(t testing.TB, c net.Conn, buf []byte) {
	if _, err := c.Write(helloRequest); err != nil {
		t.Fatal(err)
	}
	for n := 0; ; {
		m, err := c.Read(buf[n:])
		if err != nil {
			t.Fatal(err)
		}
		if n += m; buf[n-1] == '}' {
			return
		}
	}
}

// The lane of these tests allocates a little for each request; the transport,
// fasthttp's part included, must not.
func TestRequestsAllocateNothing(t *testing.T) {
	if raced {
		t.Skip("pools forget at random under the race detector")
	}
	b := transporttest.Start(t, Open, transporttest.Config{Options: transporttest.On}, hello)
	c := b.Dial()
	buf := make([]byte, 4096)
	for range 200 {
		ask(t, c.Conn, buf)
	}
	const n = 2000
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range n {
		ask(t, c.Conn, buf)
	}
	runtime.ReadMemStats(&after)
	if per := float64(after.Mallocs-before.Mallocs) / n; per > laneAllocations+0.1 {
		t.Errorf("%.2f allocations for each request", per)
	}
}

// laneAllocations are the Call and the list of marked exchanges that
// transporttest makes for a request.
const laneAllocations = 2

func TestIdleConnectionIsSmall(t *testing.T) {
	if raced {
		t.Skip("stacks are larger under the race detector")
	}
	b := transporttest.Start(t, Open, transporttest.Config{}, hello)
	const n = 400
	buf := make([]byte, 4096)
	var conns []net.Conn
	dial := func() {
		c, err := net.Dial("tcp", b.Addr.String())
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
		ask(t, c, buf)
	}
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	used := func() uint64 {
		runtime.GC()
		runtime.GC() // pools are emptied by the second
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc + m.StackInuse
	}
	for range 50 {
		dial()
	}
	before := used()
	for range n {
		dial()
	}
	// The client's ends are in it, too.
	if per := (used() - before) / n; per > 16<<10 {
		t.Errorf("%d bytes for each idle connection", per)
	}
}

// What is relied on of fasthttp: it reads nothing but the canned head, and what
// it writes is swallowed, whatever it thinks of the response.
func TestFasthttpSeesNothingOfTheClient(t *testing.T) {
	b := transporttest.Start(t, Open, transporttest.Config{}, hello)
	c := b.Dial()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	odd := "HEAD /%2F//../x?\x27 HTTP/1.0\r\nConnection: keep-alive, upgrade\r\nUpgrade: y\r\nExpect: 100-continue\r\nX: a\r\nX: b\r\n\r\n"
	for range 3 {
		c.Send(odd)
		r := c.Read("HEAD")
		if r.Status != 404 || r.Get("connection") != "keep-alive" {
			t.Errorf("got %q", r.Raw)
		}
	}
	// A client may have its answer before it is counted.
	count := &b.Host.Count.Responses
	transporttest.Await(t, func() bool { return count.Load() == 3 }, func() string { return fmt.Sprintf("%d responses", count.Load()) })
	if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(c.Conn); err != nil || len(rest) != 0 {
		t.Errorf("after the answers came %q, %v", rest, err)
	}
}
