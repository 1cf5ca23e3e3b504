package reactor

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"

	"turboapi/gosrc/bridge"
	"turboapi/gosrc/core"
)

// sums streams bodies: it answers with length and checksum of what came.
type sums struct {
	t    testing.TB
	of   map[*bridge.Exchange]*sum
	most uint64 // the fullest inbox seen
	gone int
}

type sum struct {
	n    int
	hash uint32
}

func newSums(t testing.TB) *sums { return &sums{t: t, of: map[*bridge.Exchange]*sum{}} }

func (s *sums) handle(l *lane, ev bridge.Event) {
	x := ev.X
	if ev.Kind == bridge.EvGone {
		delete(s.of, x)
		s.gone++
		x.Ops |= bridge.OpRelease
		l.dirty = append(l.dirty, x)
		return
	}
	if ev.Kind == bridge.EvRequest {
		s.of[x] = new(sum)
	}
	sum := s.of[x]
	s.most = max(s.most, x.BodyLen)
	sum.n += int(x.BodyLen)
	sum.hash = crc32.Update(sum.hash, crc32.IEEETable, x.BodyBytes())
	x.BodyLen = 0
	if x.Flags&bridge.ReqBodyEnd != 0 {
		delete(s.of, x)
		l.answer(x, 200, fmt.Appendf(nil, "%d %08x", sum.n, sum.hash))
		return
	}
	x.Want = 1
	x.Ops |= bridge.OpWant
	l.dirty = append(l.dirty, x)
}

func TestStreamedBodyArrivesWholeAndInOrder(t *testing.T) {
	s := newSums(t)
	l := start(t, withHandler(s.handle))
	body := make([]byte, 3<<20)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(body)
	want := fmt.Sprintf("%d %08x", len(body), crc32.ChecksumIEEE(body))
	c := l.dial()
	for range 2 {
		go func() {
			fmt.Fprintf(c, "POST /s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		}()
		c.expect(200, want)
		go func() {
			fmt.Fprint(c, "POST /s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
			for rest := body; len(rest) > 0; {
				n := min(len(rest), 1+rand.IntN(100_000))
				fmt.Fprintf(c, "%x\r\n%s\r\n", n, rest[:n])
				rest = rest[n:]
			}
			fmt.Fprint(c, "0\r\n\r\n")
		}()
		c.expect(200, want)
	}
	l.do(func() {
		if s.most > bridge.InboxMax {
			t.Errorf("the inbox held %d bytes", s.most)
		}
	})
}

func TestCollectedBodyIsWholeWhenDispatched(t *testing.T) {
	l := start(t, withTable(bodyTable), withHandler(func(l *lane, ev bridge.Event) {
		x := ev.X
		if x.Plan != 0 || x.Flags&bridge.ReqBodyEnd == 0 {
			t.Errorf("plan %d, flags %d", x.Plan, x.Flags)
		}
		l.answer(x, 200, fmt.Appendf(nil, "%d %08x", x.BodyLen, crc32.ChecksumIEEE(x.BodyBytes())))
	}))
	c := l.dial()
	for _, n := range []int{1, 500, 5_000, 70_000, 2_000_000} {
		body := bytes.Repeat([]byte("0123456789"), n/10+1)[:n]
		want := fmt.Sprintf("%d %08x", n, crc32.ChecksumIEEE(body))
		go fmt.Fprintf(c, "POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%sPOST /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", n, body, n, body)
		c.expect(200, want)
		c.expect(200, want)
	}
}

// A handler that does not read stops its client, and nothing spins meanwhile.
func TestUnreadBodyStopsTheClientWithoutSpinning(t *testing.T) {
	var held *bridge.Exchange
	l := start(t, withHandler(func(l *lane, ev bridge.Event) {
		if ev.Kind == bridge.EvRequest {
			held = ev.X
			return
		}
		newSums(t).handle(l, bridge.Event{X: ev.X, Gen: ev.Gen, Kind: bridge.EvGone})
	}))
	c := l.dial()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		fmt.Fprintf(c, "POST /s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", 64<<20)
		_, _ = io.CopyN(c, zeros{}, 64<<20)
	}()
	var full uint64
	eventually(t, "the inbox is full", func() bool {
		l.do(func() {
			if held != nil {
				full = held.BodyLen
			}
		})
		return full == bridge.InboxMax
	})
	l.settle()
	before, read := l.turns.Load(), l.host.Count.BytesIn.Load()
	for range 20 {
		l.do(func() {}) // 20 rounds of the loop's selector
	}
	if n := l.turns.Load() - before; n > 5 {
		t.Errorf("%d turns while nobody reads", n)
	}
	if n := l.host.Count.BytesIn.Load(); n != read || n > 64<<10+bridge.InboxMax+1000 {
		t.Errorf("%d bytes were read ahead", n)
	}
	// A reset: a FIN would wait behind what nobody reads.
	_ = c.Conn.(*net.TCPConn).SetLinger(0)
	c.Close()
	<-sent
	eventually(t, "the connection ends", func() bool { return l.host.Count.Connections.Load() == 0 })
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func TestContinueIsSentWhenTheBodyIsWanted(t *testing.T) {
	s := newSums(t)
	wait := make(chan struct{})
	l := start(t, withTable(bodyTable), withHandler(func(l *lane, ev bridge.Event) {
		if ev.Kind == bridge.EvRequest && ev.X.Plan == bridge.PlanApp {
			if ev.X.Flags&bridge.ReqContinue == 0 {
				t.Error("the flag is missing")
			}
			close(wait)
		}
		s.handle(l, ev)
	}))
	c := l.dial()
	// Streamed: with the first want.
	c.send("POST /s HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
	if status, _, _ := c.reply(); status != 100 {
		t.Fatal(status)
	}
	<-wait
	c.send("abc")
	c.expect(200, "3 352441c2")
	// Collected: at once.
	c.send("POST /b HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
	if status, _, _ := c.reply(); status != 100 {
		t.Fatal(status)
	}
	c.send("abc")
	c.expect(200, "3 352441c2")
	// Not where the body is there already.
	c.send("POST /b HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc")
	c.expect(200, "3 352441c2")
}

func TestAnswerWithoutReadingAnExpectedBodyCloses(t *testing.T) {
	l := start(t, withHandler(func(l *lane, ev bridge.Event) { l.answer(ev.X, 403, []byte("no")) }))
	c := l.dial()
	c.send("POST /s HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
	if head := c.expect(403, "no"); !strings.Contains(head, "connection: close") {
		t.Errorf("head is %q", head)
	}
	c.expectEnd()
}

func TestSmallUnreadBodyIsSkippedLargeOneCloses(t *testing.T) {
	l := start(t, withHandler(func(l *lane, ev bridge.Event) {
		if ev.Kind == bridge.EvRequest {
			l.answer(ev.X, 200, []byte("ok"))
		}
	}))
	c := l.dial()
	c.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n")
	c.expect(200, "ok")
	c.send("%s", strings.Repeat("x", 200000))
	c.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
	c.expect(200, "ok")
	c.send("3\r\nabc\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n")
	c.expect(200, "ok")
	c.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n%s", strings.Repeat("x", 2000000))
	if head := c.expect(200, "ok"); !strings.Contains(head, "connection: close") {
		t.Errorf("head is %q", head)
	}
	c.expectEnd()
}

func TestMalformedStreamedBodyIsRefusedOrEndsTheConnection(t *testing.T) {
	var got []uint32
	l := start(t, withHandler(func(l *lane, ev bridge.Event) {
		got = append(got, ev.Kind)
		x := ev.X
		switch {
		case ev.Kind == bridge.EvGone:
			x.Ops |= bridge.OpRelease
			l.dirty = append(l.dirty, x)
		default:
			x.Want = 1
			x.Ops |= bridge.OpWant
			l.dirty = append(l.dirty, x)
		}
	}))
	c := l.dial()
	c.send("POST /s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
	eventually(t, "the request is dispatched", func() bool { return l.host.Count.Requests.Load() == 1 })
	c.send("nonsense\r\n")
	if status, _, _ := c.reply(); status != 400 {
		t.Fatal(status)
	}
	c.expectEnd()
	l.do(func() {
		if fmt.Sprint(got) != fmt.Sprint([]uint32{bridge.EvRequest, bridge.EvGone}) {
			t.Errorf("events %v", got)
		}
	})
}

func TestBodyLimitHoldsForCollectedBodiesOnly(t *testing.T) {
	s := newSums(t)
	l := start(t, withTable(bodyTable), withHandler(s.handle), withLimits(func(l *core.Limits) { l.Body = 1000 }))
	c := l.dial()
	body := strings.Repeat("x", 1000)
	want := fmt.Sprintf("1000 %08x", crc32.ChecksumIEEE([]byte(body)))
	c.send("POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n%s", body)
	c.expect(200, want)
	body += "x"
	want = fmt.Sprintf("1001 %08x", crc32.ChecksumIEEE([]byte(body)))
	c.send("POST /s HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n%s", body)
	c.expect(200, want)
	c.send("POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n%s", body)
	if status, _, _ := c.reply(); status != 413 {
		t.Error(status)
	}
}
