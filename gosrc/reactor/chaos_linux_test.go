package reactor

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"

	"turboapi/gosrc/bridge"
	"turboapi/gosrc/core"
)

// rabble answers on the loop's thread and on others, at once, later, in pieces,
// before the body was read, or not at all.
type rabble struct {
	work chan *bridge.Exchange
	// Of exchanges that the loop's thread streams.
	left map[*bridge.Exchange]int
}

func (h *rabble) handle(l *lane, ev bridge.Event) {
	x := ev.X
	switch ev.Kind {
	case bridge.EvGone:
		if n, ok := h.left[x]; ok && x.Conn == 0 && n >= 0 {
			delete(h.left, x)
			x.Ops |= bridge.OpRelease
			l.dirty = append(l.dirty, x)
		}
		return
	case bridge.EvRequest:
		target := string(x.Span(x.Target))
		switch {
		case strings.HasPrefix(target, "/away"):
			h.work <- x
			return
		case strings.HasPrefix(target, "/stream"):
			h.left[x] = 300_000
			x.Status = 200
			fields(x, "x", "y")
			x.Ops |= bridge.OpHead
		case strings.HasPrefix(target, "/abort"):
			x.Ops |= bridge.OpAbort | bridge.OpRelease
			l.dirty = append(l.dirty, x)
			return
		case strings.HasPrefix(target, "/early"):
			l.answer(x, 200, x.Span(x.Target))
			return
		default:
			echo(l, ev)
			if x.Want != 0 {
				h.left[x] = 0
			}
			return
		}
	case bridge.EvBody:
		if _, ok := h.left[x]; ok {
			x.BodyLen = 0
			if echo(l, ev); x.Want == 0 {
				delete(h.left, x)
			}
		}
		return
	}
	left, ok := h.left[x]
	if !ok {
		return
	}
	for x.Unsent <= bridge.HighWater {
		n := min(left, 30_000)
		left -= n
		h.left[x] = left
		payload(x, pattern[:n])
		if left == 0 {
			delete(h.left, x)
			x.Ops |= bridge.OpEnd | bridge.OpRelease
			l.r.Flush([]*bridge.Exchange{x})
			return
		}
		l.r.Flush([]*bridge.Exchange{x})
	}
}

// thread is a call thread.
func (h *rabble) thread(l *lane) {
	for x := range h.work {
		x.Status, x.Preset = 200, bridge.PresetJSON
		payload(x, x.Span(x.Target))
		x.Ops = bridge.OpHead | bridge.OpEnd | bridge.OpRelease
		l.r.Flush([]*bridge.Exchange{x})
	}
}

// misbehave talks to the server for a while as no client should.
func misbehave(l *lane, rnd *rand.Rand) {
	paths := []string{"/a", "/away", "/stream", "/early", "/abort", "/b"}
	for range 40 {
		c, err := net.Dial(l.net, l.addr)
		if err != nil {
			return
		}
		var b strings.Builder
		for range 1 + rnd.IntN(4) {
			switch path := paths[rnd.IntN(len(paths))]; rnd.IntN(4) {
			case 0:
				fmt.Fprintf(&b, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path)
			case 1:
				n := rnd.IntN(3000)
				fmt.Fprintf(&b, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", path, n, strings.Repeat("z", n))
			case 2:
				fmt.Fprintf(&b, "POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", path)
			case 3:
				fmt.Fprintf(&b, "POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd", path)
			}
		}
		text := b.String()
		if rnd.IntN(3) == 0 {
			text = text[:rnd.IntN(len(text))]
		}
		for len(text) > 0 {
			n := min(len(text), 1+rnd.IntN(700))
			if _, err := c.Write([]byte(text[:n])); err != nil {
				break
			}
			text = text[n:]
		}
		var in [32 << 10]byte
		for range rnd.IntN(5) {
			if rnd.IntN(2) == 0 {
				_ = c.(*net.TCPConn).CloseWrite()
			}
			_ = c.SetReadDeadline(deadline(rnd.IntN(30)))
			if _, err := c.Read(in[:]); err != nil {
				break
			}
		}
		if rnd.IntN(2) == 0 {
			_ = c.(*net.TCPConn).SetLinger(0)
		}
		c.Close()
	}
}

func TestNothingIsLostOnARabble(t *testing.T) {
	h := &rabble{work: make(chan *bridge.Exchange, 4096), left: map[*bridge.Exchange]int{}}
	l := start(t, withTable(bodyTable), withHandler(h.handle), withLimits(func(l *core.Limits) {
		l.Header, l.KeepAlive, l.Write, l.Linger = millis(60), millis(80), millis(100), millis(50)
	}))
	var threads, clients sync.WaitGroup
	for range 3 {
		threads.Add(1)
		go func() { defer threads.Done(); h.thread(l) }()
	}
	for i := range 24 {
		clients.Add(1)
		go func() { defer clients.Done(); misbehave(l, rand.New(rand.NewPCG(uint64(i), 9))) }()
	}
	// An honest client is served throughout.
	honest := l.dial()
	for i := range 200 {
		honest.send("GET /away%d HTTP/1.1\r\nHost: x\r\n\r\n", i)
		honest.expect(200, fmt.Sprintf("/away%d", i))
	}
	honest.Close()
	clients.Wait()
	l.alone(t)
	close(h.work)
	threads.Wait()
	l.do(func() {
		l.turn()
		if len(h.left) != 0 {
			t.Errorf("%d exchanges were forgotten", len(h.left))
		}
	})
	eventually(t, "nothing is active", func() bool { return l.r.Active() == 0 })
}
