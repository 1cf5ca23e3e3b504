package transporttest

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"turboapi/gosrc/bridge"
	"turboapi/gosrc/core"
)

var sockets = []suite{
	{"Socket", socketEcho},
	{"SocketEnds", socketEnds},
	{"SocketLeavesEarly", socketLeavesEarly},
	{"SocketInbox", socketInbox},
	{"SocketSlowReader", socketSlowReader},
	{"SocketPing", socketPing},
	{"SocketDrain", socketDrain},
	{"SocketLanes", socketLanes},
}

const upgradeTo = "GET %s HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"

// talk accepts and calls say for every message, which may answer; a CLOSE is the last.
func talk(c *Call, say func(m bridge.Message)) {
	c.x.FieldsLen = 0
	c.mark(bridge.OpAccept)
	closed := false
	c.OnBody = func() {
		inbox := bytes.Clone(c.x.BodyBytes())
		c.x.BodyLen = 0
		for len(inbox) > 0 {
			var m bridge.Message
			m, inbox = bridge.NextMessage(inbox)
			closed = closed || m.Kind == bridge.MsgClose
			say(m)
		}
		if !closed {
			c.Want()
		}
	}
	c.OnGone = func() { c.OnBody(); c.Release() }
	c.Want()
}

// tell sends a message.
func (c *Call) tell(m bridge.Message) { c.Write(bridge.AppendMessage(nil, m)) }

func echoing(c *Call) {
	talk(c, func(m bridge.Message) {
		if m.Kind != bridge.MsgClose {
			c.tell(m)
		}
	})
}

func masked(f ws.Frame) string {
	return string(ws.MustCompileFrame(ws.MaskFrameWith(f, [4]byte{9, 8, 7, 6})))
}

// converse shakes hands with path.
func (b *Bench) converse(path string) *Client {
	b.T.Helper()
	c := b.Dial()
	c.Send(fmt.Sprintf(upgradeTo, path))
	if r := c.Read("GET"); r.Status != 101 || r.Get("sec-websocket-accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		b.T.Fatalf("got %q", r.Raw)
	}
	return c
}

// expectFrame reads one frame.
func (c *Client) expectFrame(op ws.OpCode, payload string) {
	c.t.Helper()
	f, err := c.frame()
	if err != nil || f.Header.OpCode != op || string(f.Payload) != payload {
		c.t.Fatalf("frame %d %.40q, %v; not %d %.40q", f.Header.OpCode, f.Payload, err, op, payload)
	}
}

func (c *Client) frame() (f ws.Frame, err error) {
	if f.Header, err = ws.ReadHeader(c.r); err != nil {
		return f, err
	}
	f.Payload = make([]byte, f.Header.Length)
	_, err = io.ReadFull(c.r, f.Payload)
	return f, err
}

func closing(code int, reason string) string {
	return string(ws.NewCloseFrameBody(ws.StatusCode(code), reason))
}

func socketEcho(t *testing.T, open core.Opener) {
	b := Start(t, open, Config{}, map[string]func(*Call){"/echo": echoing})
	c := b.converse("/echo")
	sizes := []int{0, 1, 125, 126, 65535, 65536, 1 << 20}
	go func() { // stops with the connection
		for _, n := range sizes {
			_, _ = io.WriteString(c.Conn, masked(ws.NewBinaryFrame(bytes.Repeat([]byte{'x'}, n))))
		}
	}()
	for _, n := range sizes {
		c.expectFrame(ws.OpBinary, strings.Repeat("x", n))
	}
	c.Send(masked(ws.NewPingFrame([]byte("p"))) + masked(ws.NewCloseFrame([]byte(closing(4000, "bye")))))
	c.expectFrame(ws.OpPong, "p")
	c.expectFrame(ws.OpClose, closing(4000, "bye"))
	c.ExpectEnd()
	b.AwaitIdle()
}

func socketEnds(t *testing.T, open core.Opener) {
	ends := make(chan string, 1)
	b := Start(t, open, Config{Limits: func(l *core.Limits) { l.WebSocket.Size = 1000 }}, map[string]func(*Call){
		"/": func(c *Call) {
			last := "nothing"
			talk(c, func(m bridge.Message) {
				if m.Kind == bridge.MsgClose {
					last = fmt.Sprintf("%d %s", m.Code, m.Payload)
				}
			})
			before := c.OnGone
			c.OnGone = func() { before(); ends <- last }
		},
		"/close": func(c *Call) {
			talk(c, func(bridge.Message) {})
			c.tell(bridge.Message{Kind: bridge.MsgClose, Code: 3001, Payload: []byte("enough")})
			c.tell(bridge.Message{Kind: bridge.MsgText, Payload: []byte("late")})
			c.Release()
		},
		"/release": func(c *Call) { talk(c, func(bridge.Message) {}); c.Release() },
		"/broken": func(c *Call) {
			c.x.AppendField("a b", "")
			c.mark(bridge.OpAccept)
			c.OnGone = func() { c.Release(); ends <- "gone" }
		},
	})
	for _, e := range []struct{ say, close, told string }{
		{masked(ws.NewCloseFrame(nil)), "", "1005 "},
		{masked(ws.NewCloseFrame([]byte(closing(1000, "bye")))), closing(1000, "bye"), "1000 bye"},
		{masked(ws.NewTextFrame([]byte("\xff"))), closing(1007, "invalid UTF-8"), "1007 invalid UTF-8"},
		{masked(ws.NewTextFrame(make([]byte, 1001))), closing(1009, "message too big"), "1009 message too big"},
		{"\x81\x01a", closing(1002, "frames from client to server must be masked"), "1002 frames from client to server must be masked"},
	} {
		c := b.converse("/")
		c.Send(e.say)
		c.expectFrame(ws.OpClose, e.close)
		c.ExpectEnd()
		if told := <-ends; told != e.told {
			t.Errorf("%q: the lane was told %q, not %q", e.say, told, e.told)
		}
	}
	c := b.converse("/")
	c.Close() // without a word
	if told := <-ends; told != "nothing" {
		t.Errorf("an abrupt end: the lane was told %q", told)
	}

	c = b.converse("/close")
	c.expectFrame(ws.OpClose, closing(3001, "enough"))
	c.Send(masked(ws.NewTextFrame([]byte("not heard"))) + masked(ws.NewCloseFrame([]byte(closing(3001, "")))))
	c.ExpectEnd()

	b.converse("/release").ExpectGone()

	c = b.Dial()
	c.Send(fmt.Sprintf(upgradeTo, "/broken"))
	if r := c.Read("GET"); r.Status != 500 {
		t.Errorf("got %q", r.Raw)
	}
	if told := <-ends; told != "gone" {
		t.Errorf("the lane was told %q", told)
	}
	b.AwaitIdle()
}

// Clients leave right behind what they have sent: before and while their handshake is answered.
func socketLeavesEarly(t *testing.T, open core.Opener) {
	b := Start(t, open, Config{}, map[string]func(*Call){"/": echoing})
	frame := masked(ws.NewTextFrame(bytes.Repeat([]byte{'a'}, 100)))
	for _, more := range []string{"", frame, frame[:50], frame[:1]} {
		for range 100 {
			for range 5 {
				c := b.Dial()
				c.Send(fmt.Sprintf(upgradeTo, "/") + more)
				c.Close()
			}
			b.AwaitIdle()
		}
	}
}

func socketInbox(t *testing.T, open core.Opener) {
	var call *Call
	heard := 0
	b := Start(t, open, Config{Limits: func(l *core.Limits) { l.WebSocket.Queue = 4 }}, map[string]func(*Call){
		"/": func(c *Call) {
			call = c
			talk(c, func(bridge.Message) { heard++ })
			c.x.Want = 0 // it does not listen yet
			c.x.Ops &^= bridge.OpWant
		},
	})
	c := b.converse("/")
	const messages = 100_000
	sent := make(chan error, 1)
	go func() { // stops with the connection
		_, err := io.WriteString(c.Conn, strings.Repeat(masked(ws.NewBinaryFrame(make([]byte, 100))), messages)+masked(ws.NewCloseFrame(nil)))
		sent <- err
	}()
	held := func() (n uint64) { b.Do(func() { n = call.x.BodyLen }); return n }
	Await(t, func() bool { return held() > 0 }, func() string { return "nothing came" })
	for range 20 {
		if n := held(); n > 8*(100+bridge.MessageHead) {
			t.Fatalf("%d bytes wait for a lane that wants 4 messages at most", n)
		}
	}
	select {
	case err := <-sent:
		t.Fatalf("the client could send everything: %v", err)
	default:
	}
	b.Do(func() { call.OnBody() })
	c.expectFrame(ws.OpClose, "")
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	b.AwaitIdle()
	b.Do(func() {
		if heard != messages+1 {
			t.Errorf("%d messages were heard", heard)
		}
	})
}

func socketSlowReader(t *testing.T, open core.Opener) {
	const part = 256 << 10
	unsent, drained := make(chan uint64, 1), make(chan bool, 1)
	b := Start(t, open, Config{}, map[string]func(*Call){
		"/": func(c *Call) {
			talk(c, func(m bridge.Message) {})
			for range 64 {
				c.tell(bridge.Message{Kind: bridge.MsgBinary, Payload: make([]byte, part)})
			}
			c.OnDrained = func() { drained <- true }
			// Behind the flush of this turn.
			c.b.Post(func() { c.b.Post(func() { unsent <- c.x.Unsent }) })
		},
	})
	c := b.converse("/")
	if n := <-unsent; n <= bridge.HighWater {
		t.Fatalf("%d bytes are unsent", n)
	}
	for range 64 {
		c.expectFrame(ws.OpBinary, string(make([]byte, part)))
	}
	<-drained
	c.Send(masked(ws.NewCloseFrame(nil)))
	c.expectFrame(ws.OpClose, "")
	c.ExpectEnd()
	b.AwaitIdle()
}

func socketPing(t *testing.T, open core.Opener) {
	b := Start(t, open, Config{Limits: func(l *core.Limits) {
		l.WebSocket.PingInterval, l.WebSocket.PingTimeout = 20*time.Millisecond, 100*time.Millisecond
	}}, map[string]func(*Call){"/": echoing})
	c := b.converse("/")
	for range 10 { // it lives as long as it answers
		c.expectFrame(ws.OpPing, "")
		c.Send(masked(ws.NewPongFrame(nil)))
	}
	for {
		f, err := c.frame()
		if err != nil {
			t.Fatal(err)
		}
		if f.Header.OpCode == ws.OpClose {
			if string(f.Payload) != closing(1011, "keepalive ping timeout") {
				t.Errorf("close with %q", f.Payload)
			}
			break
		}
	}
	c.ExpectGone()
	b.AwaitIdle()
	if n := b.Host.Count.Timeouts.Load(); n != 1 {
		t.Errorf("%d timeouts", n)
	}

	idle := Start(t, open, Config{Limits: func(l *core.Limits) {
		l.WebSocket.PingInterval, l.WebSocket.Idle = 0, 50*time.Millisecond
	}}, map[string]func(*Call){"/": echoing})
	c = idle.converse("/")
	c.expectFrame(ws.OpClose, closing(1001, "idle timeout"))
	c.ExpectEnd()
	idle.AwaitIdle()
}

func socketDrain(t *testing.T, open core.Opener) {
	told := make(chan bridge.Message, 1)
	b := Start(t, open, Config{}, map[string]func(*Call){
		"/": func(c *Call) { talk(c, func(m bridge.Message) { told <- m }) },
	})
	c := b.converse("/")
	b.Do(b.Tr.Drain)
	c.expectFrame(ws.OpClose, closing(1012, ""))
	c.ExpectEnd()
	if m := <-told; m.Kind != bridge.MsgClose || m.Code != 1012 {
		t.Errorf("the lane was told %+v", m)
	}
	b.AwaitIdle()
}

// socketLanes: many at once, each in its own order, control frames and fragments in between.
func socketLanes(t *testing.T, open core.Opener) {
	b := Start(t, open, Config{MaxEvents: 7}, map[string]func(*Call){"/": echoing})
	done := make(chan error, 50)
	for i := range cap(done) {
		c := b.converse("/")
		go func() { done <- c.chat(i) }() // stops when the test does, at the latest by its deadline
	}
	for range cap(done) {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	b.AwaitIdle()
}

func (c *Client) chat(id int) error {
	for i := range 100 {
		text := fmt.Sprintf("%d/%d", id, i)
		cut := i % (len(text) + 1)
		say := masked(ws.NewFrame(ws.OpText, false, []byte(text[:cut]))) + masked(ws.NewPingFrame([]byte(text))) +
			masked(ws.NewFrame(ws.OpContinuation, true, []byte(text[cut:])))
		half := len(say) * (i % 7) / 7
		for _, part := range []string{say[:half], say[half:]} {
			if _, err := io.WriteString(c.Conn, part); err != nil {
				return err
			}
		}
		for _, op := range []ws.OpCode{ws.OpPong, ws.OpText} {
			if f, err := c.frame(); err != nil || f.Header.OpCode != op || string(f.Payload) != text {
				return fmt.Errorf("%s: frame %d %q, %w", text, f.Header.OpCode, f.Payload, err)
			}
		}
	}
	if _, err := io.WriteString(c.Conn, masked(ws.NewCloseFrame(nil))); err != nil {
		return err
	}
	if f, err := c.frame(); err != nil || f.Header.OpCode != ws.OpClose {
		return fmt.Errorf("%d: %v, %w", id, f.Header, err)
	}
	return nil
}
