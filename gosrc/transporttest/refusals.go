package transporttest

import (
	"fmt"
	"strings"
	"testing"

	"turboapi/gosrc/core"
)

// What the gate answers by itself.
var refusals = []suite{
	{"malformed and unsupported requests", malformed},
	{"a WebSocket handshake", webSocket},
	{"refusals are in the access log", refusalLog},
	{"a refusal comes after the answers that are due", refusedInTurn},
	{"a refusal reaches a client that keeps sending", refusedWhileSending},
}

func malformed(t *testing.T, open core.Opener) {
	b := Start(t, open, Config{Options: On, Limits: func(l *core.Limits) {
		l.Wire.RequestLine, l.Wire.Header, l.Wire.Fields = 100, 500, 5
	}}, plain)
	for _, c := range []struct {
		request string
		status  int
	}{
		{"GET / HTTP/1.1\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", 400},
		{"GET / HTTP/1.1\nHost: x\n\n", 400},
		{"GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nHost: x\r\nNa me: x\r\n\r\n", 400},
		{"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
		{"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400},
		{"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 400},
		{"GET /" + strings.Repeat("a", 100) + " HTTP/1.1\r\nHost: x\r\n\r\n", 414},
		{"GET / HTTP/1.1\r\nHost: x\r\nA: " + strings.Repeat("a", 500) + "\r\n\r\n", 431},
		{"GET / HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("A: b\r\n", 5) + "\r\n", 431},
		{"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505},
		{"GET / HTTP/1.1\r\nHost: x\r\nExpect: something\r\n\r\n", 417},
		{"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
	} {
		k := b.Dial()
		k.Send(c.request)
		r := k.Read("GET")
		if r.Status != c.status || r.Get("connection") != "close" || r.Get("content-type") != "application/json" ||
			!strings.HasPrefix(string(r.Body), `{"detail":"`) || r.Get("date") == "" {
			t.Errorf("%.60q is answered with %q, want %d", c.request, r.Raw, c.status)
		}
		k.ExpectEnd()
		k.Close()
	}
	if n := b.Host.Count.Refused.Load(); n != 15 {
		t.Errorf("%d refusals were counted", n)
	}
	if n := b.Requests.Load(); n != 0 {
		t.Errorf("%d requests reached the lane", n)
	}
}

func webSocket(t *testing.T, open core.Opener) {
	b := Start(t, open, Config{Options: On}, plain)
	const handshake = "Upgrade: %s\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
	c := b.Dial()
	// Another protocol, or another method, is served as if nothing was offered.
	c.Send("GET / HTTP/1.1\r\nHost: x\r\n" + fmt.Sprintf(handshake, "h2c"))
	c.Expect("GET", 200, `{"a":1}`)
	c.Send("POST / HTTP/1.1\r\nHost: x\r\n" + fmt.Sprintf(handshake, "websocket"))
	c.Expect("POST", 200, `{"a":1}`)
	c.Send("GET / HTTP/1.1\r\nHost: x\r\n" + fmt.Sprintf(handshake, "websocket") + fmt.Sprintf(get, "/"))
	// The lane answers as if it was no handshake, which denies it.
	c.Expect("GET", 200, `{"a":1}`)
	c.Expect("GET", 200, `{"a":1}`)
	c.Send("GET / HTTP/1.1\r\nHost: x\r\n" + strings.Replace(fmt.Sprintf(handshake, "websocket"), "13", "8", 1) + fmt.Sprintf(get, "/"))
	r := c.Expect("GET", 426, `{"detail":"WebSocket version not supported"}`)
	if r.Get("connection") != "upgrade, close" || r.Get("upgrade") != "websocket" || r.Get("sec-websocket-version") != "13" {
		t.Errorf("got %q", r.Raw)
	}
	c.ExpectEnd()
	if refused, seen := b.Host.Count.Refused.Load(), b.Requests.Load(); refused != 1 || seen != 4 {
		t.Errorf("%d refusals were counted, %d requests reached the lane", refused, seen)
	}
}

func refusalLog(t *testing.T, open core.Opener) {
	options := On
	options.AccessLog = true
	b := Start(t, open, Config{Table: bytesTable, Options: options, Limits: func(l *core.Limits) {
		l.Wire.RequestLine, l.Wire.Header, l.Body, l.Header = 100, 500, 1000, short
	}}, plain)
	for _, c := range []struct{ request, method, target, rest string }{
		{"G@T / HTTP/1.1\r\n", "-", "-", "0,400,0"},
		{"GET /\x01 HTTP/1.1\r\n", "GET", "-", "0,400,0"},
		{"GET /" + strings.Repeat("a", 200), "GET", "-", "0,414,0"},
		{"GET /\"?q HTTP/2.0\r\n", "GET", `/\"?q`, "0,505,0"},
		{"GET /no-host HTTP/1.1\r\n\r\n", "GET", "/no-host", "1,400,0"},
		{"GET /large HTTP/1.1\r\nA: " + strings.Repeat("a", 600), "GET", "/large", "1,431,0"},
		{"GET /slow HTTP/1.1\r\nHo", "GET", "/slow", "1,408,0"},
		// From here on there is an exchange, and a time.
		{"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n", "GET", "/ws", "1,400,"},
		{"POST /collect HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n", "POST", "/collect", "1,413,"},
		{"POST /collect?1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\nz", "POST", "/collect?1", "1,400,"},
		{"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nz", "POST", "/echo", "1,400,"},
	} {
		// A whole request goes before: the line is not about that one.
		k := b.Dial()
		k.Send(fmt.Sprintf(get, "/name?before"))
		k.Read("GET")
		before := b.Host.Count.Refused.Load()
		k.Send(c.request)
		k.Read("GET")
		k.ExpectEnd()
		if n := b.Host.Count.Refused.Load(); n != before+1 {
			t.Errorf("%.40q: %d refusals", c.request, n-before)
		}
		lines := string(b.Host.Log.Take())
		want := fmt.Sprintf(`"a":["%s","%s","%s",%s`, k.LocalAddr(), c.method, c.target, c.rest)
		if !strings.Contains(lines, want) || strings.Count(lines, `"a":`) != 2 {
			t.Errorf("%.40q: the log is %s, not one line more: %s", c.request, lines, want)
		}
		k.Close()
	}
	u := Start(t, open, Config{Unix: true, Options: options}, plain)
	k := u.Dial()
	k.Send("GET /u HTTP/1.1\r\n\r\n")
	k.Expect("GET", 400, `{"detail":"Missing Host header"}`)
	if lines := string(u.Host.Log.Take()); !strings.Contains(lines, `"a":["","GET","/u",1,400,0]`) {
		t.Errorf("the log is %s", lines)
	}
}

func refusedInTurn(t *testing.T, open core.Opener) {
	data := string(pattern(5 << 20))
	b := Start(t, open, Config{}, map[string]func(*Call){"/": func(c *Call) { c.Reply(200, data) }})
	c := b.Dial()
	c.Send(fmt.Sprintf(get, "/") + "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n" + "GET / HTTP/1.1\r\nHost:x\r\nBad Name: x\r\n\r\n" + fmt.Sprintf(get, "/"))
	c.Expect("GET", 200, data)
	c.Expect("HEAD", 200, "")
	if r := c.Read("GET"); r.Status != 400 {
		t.Errorf("got %q", r.Raw)
	}
	c.ExpectEnd()
}

func refusedWhileSending(t *testing.T, open core.Opener) {
	b := Start(t, open, Config{Table: bytesTable}, plain)
	c := b.Dial()
	c.Send("POST /collect HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n")
	part := strings.Repeat("b", 64<<10)
	for range 32 {
		if _, err := c.Write([]byte(part)); err != nil {
			t.Fatalf("the connection was reset before the answer was read: %v", err)
		}
	}
	c.Expect("POST", 413, `{"detail":"Request body too large"}`)
	c.ExpectEnd()
}
