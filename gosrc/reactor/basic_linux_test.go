package reactor

import (
	"fmt"
	"strings"
	"testing"
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
