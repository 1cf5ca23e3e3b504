package transporttest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Client is a raw connection to a Bench.
type Client struct {
	t testing.TB
	net.Conn
	r *bufio.Reader
}

// Response is what came, in order.
type Response struct {
	Line   string // without its CRLF
	Status int
	Fields [][2]string // as they came
	Body   []byte
	Raw    []byte // all of it
}

// Get is the first field of that name, in any case, or "".
func (r *Response) Get(name string) string {
	for _, f := range r.Fields {
		if strings.EqualFold(f[0], name) {
			return f[1]
		}
	}
	return ""
}

// Dial connects. The connection is closed when the test ends.
func (b *Bench) Dial() *Client {
	b.T.Helper()
	return b.DialWith(func(int) error { return nil })
}

// DialWith is Dial with a socket that set has changed before it connects.
func (b *Bench) DialWith(set func(fd int) error) *Client {
	b.T.Helper()
	var failed error
	d := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) error {
		err := raw.Control(func(fd uintptr) { failed = set(int(fd)) })
		return errors.Join(err, failed)
	}}
	conn, err := d.Dial(b.Addr.Network(), b.Addr.String())
	if err != nil {
		b.T.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(3 * patience))
	b.T.Cleanup(func() { conn.Close() })
	return newClient(b.T, conn)
}

func newClient(t testing.TB, conn net.Conn) *Client {
	return &Client{t: t, Conn: conn, r: bufio.NewReaderSize(conn, 64<<10)}
}

// Send writes bytes.
func (c *Client) Send(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c.Conn, s); err != nil {
		c.t.Fatalf("sending %.60q: %v", s, err)
	}
}

// Read reads one response to a request with that method; interim ones too.
func (c *Client) Read(method string) *Response {
	c.t.Helper()
	r, err := c.read(method)
	if err != nil {
		c.t.Fatalf("reading a response: %v (so far %.200q)", err, r.Raw)
	}
	return r
}

// Expect reads a response and compares status and body.
func (c *Client) Expect(method string, status int, body string) *Response {
	c.t.Helper()
	r := c.Read(method)
	if r.Status != status || string(r.Body) != body {
		c.t.Fatalf("%s: got %q with %.100q, want %d with %.100q", method, r.Line, r.Body, status, body)
	}
	return r
}

// ExpectEnd checks that the server has closed the connection in an orderly way
// and sent nothing more.
func (c *Client) ExpectEnd() {
	c.t.Helper()
	rest, err := io.ReadAll(c.r)
	if err != nil || len(rest) > 0 {
		c.t.Fatalf("wanted the end of the connection, got %.100q and %v", rest, err)
	}
}

// ExpectGone is ExpectEnd for a connection that may also have been reset.
func (c *Client) ExpectGone() {
	c.t.Helper()
	if _, err := io.Copy(io.Discard, c.r); isTimeout(err) {
		c.t.Fatal("the connection is still open")
	}
}

func isTimeout(err error) bool {
	ne, ok := err.(net.Error)
	return ok && ne.Timeout()
}

func (c *Client) read(method string) (*Response, error) {
	r := &Response{}
	line, err := c.line(r)
	if err != nil {
		return r, err
	}
	r.Line = line
	if len(line) < 12 || !strings.HasPrefix(line, "HTTP/1.1 ") {
		return r, fmt.Errorf("status line %q", line)
	}
	if r.Status, err = strconv.Atoi(line[9:12]); err != nil {
		return r, err
	}
	for {
		if line, err = c.line(r); err != nil {
			return r, err
		}
		if line == "" {
			break
		}
		name, value, ok := strings.Cut(line, ": ")
		if !ok {
			return r, fmt.Errorf("field line %q", line)
		}
		r.Fields = append(r.Fields, [2]string{name, value})
	}
	length, coding := r.Get("content-length"), r.Get("transfer-encoding")
	switch {
	case r.Status < 200 || r.Status == 204 || r.Status == 304 || method == "HEAD":
		return r, nil
	case coding == "chunked":
		return r, c.chunks(r)
	case length != "":
		n, err := strconv.ParseInt(length, 10, 64)
		if err != nil {
			return r, err
		}
		return r, c.take(r, &r.Body, n)
	}
	r.Body, err = io.ReadAll(c.r)
	r.Raw = append(r.Raw, r.Body...)
	return r, err
}

// line reads up to CRLF, strictly.
func (c *Client) line(r *Response) (string, error) {
	b, err := c.r.ReadBytes('\n')
	r.Raw = append(r.Raw, b...)
	if err != nil {
		return "", err
	}
	if !bytes.HasSuffix(b, []byte("\r\n")) {
		return "", fmt.Errorf("line %q without CRLF", b)
	}
	return string(b[:len(b)-2]), nil
}

func (c *Client) take(r *Response, into *[]byte, n int64) error {
	b := make([]byte, n)
	m, err := io.ReadFull(c.r, b)
	r.Raw = append(r.Raw, b[:m]...)
	*into = append(*into, b[:m]...)
	return err
}

func (c *Client) chunks(r *Response) error {
	for {
		line, err := c.line(r)
		if err != nil {
			return err
		}
		n, err := strconv.ParseUint(line, 16, 32)
		if err != nil {
			return err
		}
		if err := c.take(r, &r.Body, int64(n)); err != nil {
			return err
		}
		if line, err = c.line(r); err != nil || line != "" {
			return fmt.Errorf("after a chunk %q, %v", line, err)
		}
		if n == 0 {
			return nil
		}
	}
}
