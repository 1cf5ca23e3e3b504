package reactor

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"turboapi/gosrc/bridge"
	"turboapi/gosrc/core"
)

func TestOneRequest(t *testing.T) {
	l := start(t)
	c := l.dial()
	c.send("GET /a?b HTTP/1.1\r\nHost: x\r\n\r\n")
	head := c.expect(200, "GET /a?b 0")
	if !strings.Contains(head, "\r\ndate: ") || strings.Contains(head, "connection:") {
		t.Errorf("head is %q", head)
	}
	c.send("POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
	c.expect(200, "POST /p 3")
}

func TestPipelinedRequestsAreAnsweredInOrder(t *testing.T) {
	l := start(t)
	c := l.dial()
	const n = 500
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "POST /%d HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab", i)
	}
	c.send("%s", b.String())
	for i := range n {
		c.expect(200, fmt.Sprintf("POST /%d 2", i))
	}
}

func TestEverySplitOfARequestIsTheSame(t *testing.T) {
	l := start(t)
	const request = "POST /split HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;e=1\r\nde\r\n0\r\n\r\n"
	c := l.dial()
	for i := 1; i < len(request); i++ {
		c.send("%s", request[:i])
		l.settle()
		c.send("%s", request[i:])
		c.expect(200, "POST /split 5")
	}
	for i := range len(request) {
		c.send("%s", request[i:i+1])
		l.settle()
	}
	c.expect(200, "POST /split 5")
}

func TestAnswerIsNotHeldBackByHalfARequest(t *testing.T) {
	l := start(t)
	c := l.dial()
	c.send("GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHo")
	c.expect(200, "GET /1 0")
	c.send("st: x\r\n\r\n")
	c.expect(200, "GET /2 0")
}

func TestConnectionCloseIsHonoured(t *testing.T) {
	l := start(t)
	for _, request := range []string{
		"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
		"GET / HTTP/1.0\r\n\r\n",
	} {
		c := l.dial()
		c.send("%s", request)
		if head := c.expect(200, "GET / 0"); !strings.Contains(head, "connection: close\r\n") {
			t.Errorf("head is %q", head)
		}
		c.expectEnd()
	}
	c := l.dial()
	c.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
	c.expect(200, "GET / 0")
	c.send("GET / HTTP/1.0\r\n\r\n")
	c.expect(200, "GET / 0")
	c.expectEnd()
}

func TestRefusalsCloseTheConnection(t *testing.T) {
	l := start(t, withLimits(func(l *core.Limits) { l.Wire.RequestLine, l.Wire.Header, l.Wire.Fields, l.Body = 100, 300, 5, 10 }), withTable(bodyTable))
	for _, c := range []struct {
		status  int
		request string
	}{
		{400, "GET / HTTP/1.1\r\n\r\n"},
		{400, "GET / HTTP/1.1\r\nHost : x\r\n\r\n"},
		{414, "GET /" + strings.Repeat("x", 200) + " HTTP/1.1\r\nHost: x\r\n\r\n"},
		{431, "GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 400) + "\r\n\r\n"},
		{431, "GET / HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X: y\r\n", 5) + "\r\n"},
		{505, "GET / HTTP/2.0\r\nHost: x\r\n\r\n"},
		{417, "POST /b HTTP/1.1\r\nHost: x\r\nExpect: tea\r\nContent-Length: 5\r\n\r\n"},
		{413, "POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n"},
		{413, "POST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n12345678901\r\n"},
		{400, "POST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"},
		{400, "POST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n"}, // then x and not CRLF
	} {
		conn := l.dial()
		conn.send("%s", c.request)
		if strings.HasSuffix(c.request, "\r\n1\r\n") {
			conn.send("xxxx")
		}
		status, head, body := conn.reply()
		if status != c.status || !strings.Contains(head, "connection: close") || !strings.HasPrefix(body, `{"detail":"`) {
			t.Errorf("%.60q: got %d %q %q", c.request, status, head, body)
		}
		conn.expectEnd()
	}
	if n := l.host.Count.Refused.Load(); n != 11 {
		t.Errorf("%d refusals are counted", n)
	}
}

// A client that is still sending when it is refused has to see the answer, not
// a reset.
func TestRefusalReachesAClientThatKeepsSending(t *testing.T) {
	l := start(t, withLimits(func(l *core.Limits) { l.Body = 1000 }), withTable(bodyTable))
	for range 20 {
		c := l.dial()
		c.send("POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
		c.send("%s", strings.Repeat("x", 1000000))
		if status, _, _ := c.reply(); status != 413 {
			t.Fatal(status)
		}
	}
}

func TestTableAnswersWithoutALane(t *testing.T) {
	l := start(t, withTable([]byte(`{"version":2,"not_found":{"status":404,"fields":[["content-length","2"]],"body":"no"},"routes":[]}`)),
		withHandler(func(*lane, bridge.Event) { t.Error("a lane was asked") }))
	c := l.dial()
	for range 3 {
		c.send("GET /1 HTTP/1.1\r\nHost: x\r\n\r\nPOST /2 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n12345GET /3 HTTP/1.1\r\nHost: x\r\n\r\n")
		for range 3 {
			c.expect(404, "no")
		}
	}
}

func TestAddresses(t *testing.T) {
	show := func(l *lane, ev bridge.Event) {
		x := ev.X
		l.answer(x, 200, fmt.Appendf(nil, "%s %d %s %d %v", cText(x.ClientHost[:]), x.ClientPort, cText(x.ServerHost[:]), x.ServerPort, x.Flags&bridge.ReqUnix != 0))
	}
	for _, c := range []struct{ network, listen, dial, host string }{
		{"tcp", "127.0.0.1:0", "127.0.0.1", "127.0.0.1"},
		{"tcp4", "0.0.0.0:0", "127.0.0.1", "127.0.0.1"},
		{"tcp", "[::1]:0", "::1", "::1"},
	} {
		l := startOn(t, c.network, c.listen, withHandler(show))
		_, port, _ := net.SplitHostPort(l.addr)
		l.addr = net.JoinHostPort(c.dial, port)
		conn := l.dial()
		me := conn.LocalAddr().(*net.TCPAddr).Port
		conn.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		conn.expect(200, fmt.Sprintf("%s %d %s %s false", c.host, me, c.host, port))
	}
	// As long as the kernel lets a path be.
	t.Chdir(t.TempDir())
	path := strings.Repeat("s", 107)
	l := startOn(t, "unix", path, withHandler(show))
	conn := l.dial()
	conn.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	conn.expect(200, fmt.Sprintf(" 0 %s 0 true", path))
}
