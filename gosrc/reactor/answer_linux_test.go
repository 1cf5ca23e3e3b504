package reactor

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"

	"turboapi/gosrc/bridge"
	"turboapi/gosrc/core"
)

// stream answers every request with size bytes in pieces, and waits for DRAINED
// where Flush reports too much unsent.
type stream struct {
	size, piece int
	length      bool // with Content-Length, else chunked
	left        map[*bridge.Exchange]int
	peak        uint64
	drained     int
	gone        int
}

func (s *stream) handle(l *lane, ev bridge.Event) {
	x := ev.X
	switch ev.Kind {
	case bridge.EvRequest:
		s.left[x] = s.size
		x.Status = 200
		x.Ops |= bridge.OpHead
		fields(x, "content-type", "application/octet-stream")
		if s.length {
			fields(x, "content-length", fmt.Sprint(s.size))
		}
	case bridge.EvGone:
		s.gone++
		if x.Conn != 0 {
			return // a FIN only: go on
		}
		delete(s.left, x)
		x.Ops |= bridge.OpRelease
		l.r.Flush([]*bridge.Exchange{x})
		return
	case bridge.EvDrained:
		s.drained++
	}
	for x.Unsent <= bridge.HighWater {
		n := min(s.piece, s.left[x])
		payload(x, pattern[s.size-s.left[x]:][:n])
		s.left[x] -= n
		if s.left[x] == 0 {
			delete(s.left, x)
			x.Ops |= bridge.OpEnd | bridge.OpRelease
			l.r.Flush([]*bridge.Exchange{x})
			return
		}
		l.r.Flush([]*bridge.Exchange{x})
		s.peak = max(s.peak, x.Unsent)
	}
}

var pattern = func() []byte {
	b := make([]byte, 16<<20)
	_, _ = rand.NewChaCha8([32]byte{7}).Read(b)
	return b
}()

// fields appends a response field to x.
func fields(x *bridge.Exchange, name, value string) {
	b := append([]byte(nil), x.PackedFields()...)
	b = packField(b, name, value)
	if x.FieldsCap > 0 {
		old := bridge.Acquire()
		old.Body, old.BodyCap = x.FieldsPtr, uint64(x.FieldsCap)
		bridge.Release(old)
	}
	p := cAlloc(uint64(len(b)) + bridge.ReqInline)
	copy(bridge.Bytes(p, len(b)), b)
	x.FieldsPtr, x.FieldsLen, x.FieldsCap = (*byte)(p), uint32(len(b)), uint32(len(b))
}

func TestSlowReaderStopsTheLane(t *testing.T) {
	for _, length := range []bool{true, false} {
		t.Run(fmt.Sprintf("length=%v", length), func(t *testing.T) {
			s := &stream{size: len(pattern), piece: 20_000, length: length, left: map[*bridge.Exchange]int{}}
			l := start(t, withHandler(s.handle))
			c := l.dial()
			c.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			var peak uint64
			eventually(t, "the lane waits", func() bool {
				l.do(func() { peak = s.peak })
				return peak > bridge.HighWater
			})
			before := l.turns.Load()
			for range 20 {
				l.do(func() {})
			}
			if n := l.turns.Load() - before; n > 5 {
				t.Errorf("%d turns while the client does not read", n)
			}
			_, _, body := c.reply()
			if body != string(pattern) {
				t.Errorf("%d bytes with another checksum", len(body))
			}
			l.do(func() {
				if s.drained == 0 || s.peak > bridge.HighWater+uint64(s.piece)+100 {
					t.Errorf("%d times drained, at most %d bytes waited", s.drained, s.peak)
				}
			})
			c.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			if _, _, body = c.reply(); body != string(pattern) {
				t.Error("the second answer differs")
			}
		})
	}
}

// One large payload goes out whole even where the socket takes it in pieces.
func TestLargeAnswerOnEveryKindOfSocket(t *testing.T) {
	for _, n := range []string{"tcp", "unix"} {
		t.Run(n, func(t *testing.T) {
			address := "127.0.0.1:0"
			if n == "unix" {
				address = t.TempDir() + "/s"
			}
			l := startOn(t, n, address, withHandler(func(l *lane, ev bridge.Event) {
				if ev.Kind == bridge.EvRequest {
					l.answer(ev.X, 200, pattern)
				}
			}))
			c := l.dial()
			c.send("GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\nGET /3 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
			for range 3 {
				if _, _, body := c.reply(); body != string(pattern) {
					t.Fatalf("%d bytes", len(body))
				}
			}
			c.expectEnd()
		})
	}
}

func TestEarlyHintsComeBeforeTheAnswer(t *testing.T) {
	l := start(t, withHandler(func(l *lane, ev bridge.Event) {
		x := ev.X
		fields(x, "link", "</a.css>; rel=preload")
		x.Ops = bridge.OpEarly
		l.r.Flush([]*bridge.Exchange{x})
		x.FieldsLen = 0
		l.answer(x, 200, []byte("ok"))
	}))
	c := l.dial()
	c.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	if status, head, _ := c.reply(); status != 103 || !strings.Contains(head, "link: </a.css>") {
		t.Errorf("%q", head)
	}
	c.expect(200, "ok")
}

func TestBrokenOffAnswerEndsTheConnection(t *testing.T) {
	for name, ops := range map[string]uint32{"abort": bridge.OpAbort | bridge.OpRelease, "release": bridge.OpRelease} {
		t.Run(name, func(t *testing.T) {
			l := start(t, withHandler(func(l *lane, ev bridge.Event) {
				x := ev.X
				x.Status = 200
				x.Ops = bridge.OpHead
				payload(x, []byte("part"))
				l.r.Flush([]*bridge.Exchange{x})
				x.Ops = ops
				l.dirty = append(l.dirty, x)
			}))
			c := l.dial()
			c.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			for {
				if err := c.fill(); err != nil {
					break
				}
			}
			if !bytes.HasSuffix(c.buf, []byte("\r\n\r\n4\r\npart\r\n")) {
				t.Errorf("%q", c.buf)
			}
		})
	}
}

// Where only the end of the connection ends the body, a broken-off one has to
// look different.
func TestBrokenOffAnswerOfUnknownLengthIsReset(t *testing.T) {
	l := start(t, withHandler(func(l *lane, ev bridge.Event) {
		x := ev.X
		x.Status = 200
		x.Ops = bridge.OpHead
		payload(x, []byte("part"))
		l.r.Flush([]*bridge.Exchange{x})
		x.Ops = bridge.OpAbort | bridge.OpRelease
		l.dirty = append(l.dirty, x)
	}))
	c := l.dial()
	c.send("GET / HTTP/1.0\r\n\r\n")
	var err error
	for err == nil {
		err = c.fill()
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("it ends with %v", err)
	}
}

// END without RELEASE: the application runs on, the connection is free.
func TestDetachedExchangeDoesNotHoldItsConnection(t *testing.T) {
	var kept []*bridge.Exchange
	l := start(t, withHandler(func(l *lane, ev bridge.Event) {
		x := ev.X
		l.answer(x, 200, []byte("ok"))
		x.Ops &^= bridge.OpRelease
		kept = append(kept, x)
	}))
	c := l.dial()
	for range 3 {
		c.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		c.expect(200, "ok")
	}
	l.do(func() {
		if len(kept) != 3 || kept[0] == kept[1] || kept[0].Conn != 0 {
			t.Errorf("%d exchanges", len(kept))
		}
		if n := l.r.Active(); n != 4 {
			t.Errorf("%d active", n)
		}
		for _, x := range kept {
			payload(x, []byte("late"))
			x.Ops = bridge.OpRelease
		}
		l.r.Flush(kept)
	})
	c.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	c.expect(200, "ok")
	l.do(func() { kept[3].Ops = bridge.OpRelease; l.r.Flush(kept[3:]) })
}

func TestAccessLogHasALinePerAnswer(t *testing.T) {
	l := start(t, func(_ *lane, _ *core.Limits, o *core.Options) { o.AccessLog = true })
	c := l.dial()
	c.send("GET /a?\"b HTTP/1.1\r\nHost: x\r\n\r\n")
	if status, _, _ := c.reply(); status == 200 {
		c.send("GET /c HTTP/1.1\r\nHost: x\r\n\r\n")
		c.expect(200, "GET /c 0")
	}
	l.settle()
	text := string(l.host.Log.Take())
	if !strings.Contains(text, `"GET","/a?\"b",1,200,`) || !strings.Contains(text, `"a":["127.0.0.1:`) {
		t.Errorf("log is %s", text)
	}
}

// Call threads answer while the loop's thread reads on.
func TestAnswersFromOtherThreads(t *testing.T) {
	work := make(chan *bridge.Exchange, 1024)
	stopped := make(chan struct{})
	l := start(t, withHandler(func(l *lane, ev bridge.Event) {
		switch {
		case ev.Kind == bridge.EvRequest:
			work <- ev.X
		}
	}))
	const threads = 4
	for range threads {
		go func() {
			defer func() { stopped <- struct{}{} }()
			var mine []*bridge.Exchange
			for x := range work {
				x.Status, x.Preset = 200, bridge.PresetJSON
				payload(x, x.Span(x.Target))
				x.Ops = bridge.OpHead | bridge.OpEnd | bridge.OpRelease
				if mine = append(mine, x); len(mine) > 3 || len(work) == 0 {
					l.r.Flush(mine)
					mine = mine[:0]
				}
			}
			l.r.Flush(mine)
		}()
	}
	const clients, requests = 40, 100
	errs := make(chan error, clients)
	for i := range clients {
		c := l.dial()
		go func() { errs <- c.converse(i, requests) }()
	}
	for range clients {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	close(work)
	for range threads {
		<-stopped
	}
}

// converse sends requests in random groups and pieces and checks every answer.
func (c *client) converse(seed, requests int) error {
	rnd := rand.New(rand.NewPCG(uint64(seed), 1))
	for sent := 0; sent < requests; {
		group := min(1+rnd.IntN(6), requests-sent)
		var b bytes.Buffer
		for i := range group {
			fmt.Fprintf(&b, "POST /%d-%d HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", seed, sent+i, i*7, strings.Repeat("y", i*7))
		}
		for b.Len() > 0 {
			if _, err := c.Write(b.Next(1 + rnd.IntN(200))); err != nil {
				return err
			}
		}
		for i := range group {
			want := fmt.Sprintf("/%d-%d", seed, sent+i)
			if status, _, body := c.reply(); status != 200 || body != want {
				return fmt.Errorf("got %d %q, want %q", status, body, want)
			}
		}
		sent += group
	}
	return nil
}

// A flood of pipelined requests of one client does not hold up another's.
func TestPipeliningClientDoesNotStarveOthers(t *testing.T) {
	l := start(t)
	flood := l.dial()
	stop := make(chan struct{})
	go func() {
		many := []byte(strings.Repeat("GET /f HTTP/1.1\r\nHost: x\r\n\r\n", 500))
		for {
			select {
			case <-stop:
				return
			default:
				if _, err := flood.Write(many); err != nil {
					return
				}
			}
		}
	}()
	go func() {
		var b [64 << 10]byte
		for {
			if _, err := flood.Read(b[:]); err != nil {
				return
			}
		}
	}()
	eventually(t, "the flood", func() bool { return l.host.Count.Requests.Load() > 100 })
	c := l.dial()
	for range 20 {
		before := l.turns.Load()
		c.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		c.expect(200, "GET / 0")
		// One request per connection and turn: no answer waits for the flood.
		if n := l.turns.Load() - before; n > 2000 {
			t.Errorf("%d turns for one answer", n)
		}
	}
	close(stop)
	flood.Close()
}

// A turn with little room leaves the rest for the next, and says so.
func TestFullTurnWakesTheLoopAgain(t *testing.T) {
	l := start(t, func(l *lane, _ *core.Limits, _ *core.Options) { l.evs = make([]bridge.Event, 4) })
	var clients []*client
	for range 50 {
		clients = append(clients, l.dial())
	}
	l.do(func() {
		for i, c := range clients {
			c.send("GET /%d HTTP/1.1\r\nHost: x\r\n\r\n", i)
		}
	})
	for i, c := range clients {
		c.expect(200, fmt.Sprintf("GET /%d 0", i))
	}
}
