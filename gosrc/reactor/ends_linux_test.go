package reactor

import (
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"turboapi/gosrc/bridge"
	"turboapi/gosrc/core"
	"turboapi/gosrc/exchange"
	"turboapi/gosrc/wire"
)

// hold keeps every exchange until it is told to answer.
type hold struct {
	xs    []*bridge.Exchange
	gones int
}

func (h *hold) handle(l *lane, ev bridge.Event) {
	switch ev.Kind {
	case bridge.EvRequest:
		h.xs = append(h.xs, ev.X)
	case bridge.EvGone:
		h.gones++
	}
}

// finish answers all and reports how many there were.
func (h *hold) finish(l *lane) (n int) {
	l.do(func() {
		n = len(h.xs)
		for _, x := range h.xs {
			l.answer(x, 200, []byte("held"))
		}
		h.xs = nil
		l.flush()
	})
	return n
}

func (h *hold) count(l *lane) (n, gones int) {
	l.do(func() { n, gones = len(h.xs), h.gones })
	return n, gones
}

func (l *lane) alone(t *testing.T) {
	t.Helper()
	eventually(t, "all connections are closed", func() bool { return l.host.Count.Connections.Load() == 0 })
}

func TestClientThatLeavesIsNoticedInEveryState(t *testing.T) {
	leave := map[string]func(*client){
		"FIN": func(c *client) { c.Close() },
		"RST": func(c *client) { _ = c.Conn.(*net.TCPConn).SetLinger(0); c.Close() },
	}
	for name, leave := range leave {
		for state, begin := range map[string]string{
			"idle":        "",
			"half head":   "GET / HTTP/1.1\r\nHo",
			"half body":   "POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345",
			"handler":     "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
			"half stream": "POST /s HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345",
		} {
			t.Run(name+" "+state, func(t *testing.T) {
				h := &hold{}
				l := start(t, withTable(bodyTable), withHandler(h.handle))
				c := l.dial()
				c.send("%s", begin)
				eventually(t, "accepted", func() bool { return l.host.Count.Accepted.Load() == 1 })
				l.settle()
				held, _ := h.count(l)
				leave(c)
				if held > 0 {
					eventually(t, "the lane is told", func() bool { _, n := h.count(l); return n == 1 })
					h.finish(l)
				}
				l.alone(t)
				if _, n := h.count(l); n != held {
					t.Errorf("told %d times of %d exchanges", n, held)
				}
			})
		}
	}
}

// printf ... | nc -N: the client says that it sends no more, and waits.
func TestHalfClosedClientGetsItsAnswers(t *testing.T) {
	h := &hold{}
	l := start(t, withHandler(h.handle))
	c := l.dial()
	c.send("GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n")
	if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		// Both a lane that was told already and one that was not.
		eventually(t, "the lane is told", func() bool { n, g := h.count(l); return n == 1 && (g == 1 || i == 1) })
		h.finish(l)
		c.expect(200, "held")
	}
	c.expectEnd()
}

func TestClientThatLeavesAStream(t *testing.T) {
	s := &stream{size: len(pattern), piece: 50_000, left: map[*bridge.Exchange]int{}}
	l := start(t, withHandler(s.handle))
	for range 3 {
		c := l.dial()
		c.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		c.take(100_000)
		c.Close()
	}
	l.alone(t)
	l.do(func() {
		// A lane that finds no resistance may end before it is told.
		if len(s.left) != 0 || s.gone > 3 {
			t.Errorf("%d streams go on, %d are gone", len(s.left), s.gone)
		}
	})
}

func millis(n int) time.Duration { return time.Duration(n) * time.Millisecond }

func TestSlowHeadIsCutOff(t *testing.T) {
	l := start(t, withLimits(func(l *core.Limits) { l.Header = millis(700) }))
	// In one piece that never ends.
	c := l.dial()
	c.send("GET / HTTP/1.1\r\nHost:")
	if status, _, _ := c.reply(); status != 408 {
		t.Error(status)
	}
	c.expectEnd()
	// Byte by byte: sending something does not buy time. A head that is merely
	// slow is served.
	c = l.dial()
	for _, b := range []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n") {
		c.send("%c", b)
		l.settle()
	}
	c.expect(200, "GET / 0")
	begin := time.Now()
	c.send("GET / HTTP/1.1\r\nHost: x\r\nX: ")
	for err := error(nil); err == nil && time.Since(begin) < patience; {
		_, err = c.Write([]byte("G"))
		l.do(func() {})
	}
	if d := time.Since(begin); d < millis(690) || d > patience {
		t.Errorf("cut off after %v", d)
	}
	// Nothing at all after connecting.
	c = l.dial()
	c.expectEnd()
	l.alone(t)
	if n := l.host.Count.Timeouts.Load(); n != 3 {
		t.Errorf("%d timeouts are counted", n)
	}
}

func TestIdleConnectionIsClosed(t *testing.T) {
	l := start(t, withLimits(func(l *core.Limits) { l.KeepAlive = millis(500) }))
	c := l.dial()
	begin := time.Now()
	for range 5 {
		c.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		c.expect(200, "GET / 0")
	}
	c.expectEnd()
	if d := time.Since(begin); d < millis(499) || d > patience {
		t.Errorf("closed after %v", d)
	}
}

func TestHandlerMayTakeLongerThanEveryLimit(t *testing.T) {
	h := &hold{}
	l := start(t, withHandler(h.handle), withLimits(func(l *core.Limits) {
		l.KeepAlive, l.Header, l.Write = millis(150), millis(150), millis(150)
	}))
	c := l.dial()
	c.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	turns := l.turns.Load()
	eventually(t, "limits pass", func() bool { return l.turns.Load() > turns+8 })
	if h.finish(l) != 1 {
		t.Fatal("not dispatched")
	}
	c.expect(200, "held")
}

func TestStalledBodyIsCutOff(t *testing.T) {
	s := newSums(t)
	l := start(t, withTable(bodyTable), withHandler(s.handle), withLimits(func(l *core.Limits) { l.Write = millis(100) }))
	c := l.dial()
	c.send("POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n123")
	if status, _, _ := c.reply(); status != 408 {
		t.Error(status)
	}
	c.expectEnd()
	c = l.dial()
	c.send("POST /s HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n123")
	c.expectEnd()
	l.alone(t)
	l.do(func() {
		if s.gone != 1 || len(s.of) != 0 {
			t.Errorf("%d gone, %d open", s.gone, len(s.of))
		}
	})
}

func TestStalledReaderIsCutOff(t *testing.T) {
	s := &stream{size: len(pattern), piece: 50_000, left: map[*bridge.Exchange]int{}}
	l := start(t, withHandler(s.handle), withLimits(func(l *core.Limits) { l.Write = millis(100) }))
	c := l.dial()
	c.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	begin := time.Now()
	l.gone(t, 1)
	if d := time.Since(begin); d > patience {
		t.Errorf("cut off after %v", d) // the limit for a head has passed meanwhile
	}
	// A complete answer that nobody takes.
	l2 := start(t, withHandler(func(l *lane, ev bridge.Event) {
		if ev.Kind == bridge.EvRequest {
			l.answer(ev.X, 200, pattern)
		}
	}), withLimits(func(l *core.Limits) { l.Write = millis(100) }))
	c2 := l2.dial()
	c2.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	eventually(t, "accepted", func() bool { return l2.host.Count.Accepted.Load() == 1 })
	l2.alone(t)
}

func (l *lane) gone(t *testing.T, n int) {
	t.Helper()
	eventually(t, "the lane is told", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.gones == n
	})
}

func TestDrainServesWhatItHasAndClosesTheRest(t *testing.T) {
	h := &hold{}
	l := start(t, withHandler(h.handle))
	busy, idle, late := l.dial(), l.dial(), l.dial()
	busy.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	eventually(t, "busy", func() bool { n, _ := h.count(l); return n == 1 })
	for _, c := range []*client{idle, late} {
		c.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	}
	eventually(t, "three", func() bool { n, _ := h.count(l); return n == 3 })
	l.do(func() {
		for _, x := range h.xs[1:] {
			l.answer(x, 200, []byte("ok"))
		}
		h.xs = h.xs[:1]
		l.flush()
	})
	idle.expect(200, "ok")
	late.expect(200, "ok")
	var waiting *client
	l.do(func() {
		// In the kernel's queue, and in a socket's buffer, at that moment.
		waiting = l.dial()
		waiting.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		late.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		l.r.Drain()
		l.r.Drain()
	})
	idle.expectEnd()
	eventually(t, "three again", func() bool { n, _ := h.count(l); return n == 3 })
	if c, err := net.Dial(l.net, l.addr); err == nil {
		c.Close()
		t.Error("a connection was accepted")
	}
	h.finish(l)
	for _, c := range []*client{busy, waiting, late} {
		if head := c.expect(200, "held"); !strings.Contains(head, "connection: close") {
			t.Errorf("head is %q", head)
		}
		c.expectEnd()
	}
	eventually(t, "nothing is active", func() bool { return l.r.Active() == 0 })
}

func TestDrainDoesNotWaitLongForAnEmptyConnection(t *testing.T) {
	l := start(t)
	c := l.dial()
	eventually(t, "accepted", func() bool { return l.host.Count.Accepted.Load() == 1 })
	l.do(l.r.Drain)
	c.expectEnd()
	eventually(t, "nothing is active", func() bool { return l.r.Active() == 0 })
}

func TestLimitOfConnectionsMakesClientsWait(t *testing.T) {
	l := start(t, withLimits(func(l *core.Limits) { l.Connections = 2 }))
	a, b, c := l.dial(), l.dial(), l.dial()
	for _, x := range []*client{a, b} {
		x.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		x.expect(200, "GET / 0")
	}
	c.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	l.settle()
	if n := l.host.Count.Accepted.Load(); n != 2 {
		t.Fatalf("%d are accepted", n)
	}
	before := l.turns.Load()
	for range 20 {
		l.do(func() {})
	}
	if n := l.turns.Load() - before; n > 5 {
		t.Errorf("%d turns while one waits", n)
	}
	a.Close()
	c.expect(200, "GET / 0")
}

func TestRunningOutOfDescriptorsNeitherSpinsNorEnds(t *testing.T) {
	l := start(t)
	first := l.dial()
	first.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	first.expect(200, "GET / 0")
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	second := l.dial()
	l.do(func() {
		// Until here the loop has accepted nothing of it: it stands in do.
		low := syscall.Rlimit{Cur: 3, Max: old.Max}
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &low); err != nil {
			t.Error(err)
		}
	})
	third, err := dialWithout(l, &old)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "accept fails", func() bool { return l.host.Count.AcceptFails.Load() > 0 })
	turns := l.turns.Load()
	first.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	first.expect(200, "GET / 0")
	for range 10 {
		l.do(func() {})
	}
	if n := l.turns.Load() - turns; n > 20 {
		t.Errorf("%d turns without descriptors", n)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*client{second, third} {
		c.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		c.expect(200, "GET / 0")
	}
}

// dialWithout connects a client although the server's thread finds no
// descriptor: the limit is back to old for just that moment.
func dialWithout(l *lane, old *syscall.Rlimit) (c *client, err error) {
	l.do(func() {
		var low syscall.Rlimit
		if err = syscall.Getrlimit(syscall.RLIMIT_NOFILE, &low); err != nil {
			return
		}
		if err = syscall.Setrlimit(syscall.RLIMIT_NOFILE, old); err != nil {
			return
		}
		c = l.dial()
		err = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &low)
	})
	return c, err
}

// panicTable panics where a test wants it to.
type panicTable struct {
	*exchange.Table
	fill, ready atomic.Bool
}

func (p *panicTable) Fill(x *bridge.Exchange, h *wire.Head, buf []byte) exchange.Disposition {
	if p.fill.Load() {
		panic("fill")
	}
	return p.Table.Fill(x, h, buf)
}

func (p *panicTable) Ready(x *bridge.Exchange) {
	if p.ready.Load() {
		panic("ready")
	}
	p.Table.Ready(x)
}

func TestPanicCostsItsConnectionOnly(t *testing.T) {
	l := start(t, withTable(bodyTable))
	table := &panicTable{Table: newTable(t, bodyTable)}
	l.do(func() { l.host.SetTable(table) })
	other := l.dial()
	for i, flag := range []*atomic.Bool{&table.fill, &table.ready} {
		other.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		other.expect(200, "GET / 0")
		flag.Store(true)
		c := l.dial()
		c.send("POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
		c.expect(500, `{"detail":"Internal Server Error"}`)
		c.expectEnd()
		flag.Store(false)
		if n := l.host.Count.Panics.Load(); n != int64(i+1) {
			t.Errorf("%d panics", n)
		}
	}
	if text := string(l.host.Log.Take()); !strings.Contains(text, "panic in a connection's step: fill") || !strings.Contains(text, "goroutine ") {
		t.Errorf("log is %s", text)
	}
	l.host.Count.Panics.Store(0)
}

func TestPanicInFlushCostsItsConnectionOnly(t *testing.T) {
	l := start(t, withHandler(func(l *lane, ev bridge.Event) {
		x := ev.X
		l.answer(x, 200, []byte("ok"))
		if string(x.Span(x.Target)) == "/bad" {
			x.Target.Off = 1 << 20 // as a lane's bug would; the log looks there
		}
	}), func(_ *lane, _ *core.Limits, o *core.Options) { o.AccessLog = true })
	c, other := l.dial(), l.dial()
	c.send("GET /bad HTTP/1.1\r\nHost: x\r\n\r\n")
	other.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	other.expect(200, "ok")
	eventually(t, "the panic", func() bool { return l.host.Count.Panics.Load() == 1 })
	for {
		if err := c.fill(); err != nil {
			break
		}
	}
	other.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	other.expect(200, "ok")
	l.host.Count.Panics.Store(0)
}

func TestServersComeAndGoWithoutALeak(t *testing.T) {
	var before int
	for i := range 300 {
		func() {
			h := &hold{}
			l := newLane(t, "tcp", "127.0.0.1:0", withHandler(h.handle))
			go l.loop()
			busy, half := l.dial(), l.dial()
			defer busy.Close()
			defer half.Close()
			busy.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			half.send("GET / HT")
			eventually(t, "busy", func() bool { n, _ := h.count(l); return n == 1 })
			l.do(l.r.Close)
			// A lane comes too late.
			x := h.xs[0]
			if x.Conn != 0 {
				t.Error("still attached")
			}
			l.answer(x, 200, []byte("late"))
			l.r.Flush(l.dirty)
			l.dirty = nil
			l.stop()
		}()
		if i == 10 {
			before = descriptors(t)
		}
	}
	if n := descriptors(t); n > before {
		t.Errorf("%d descriptors after ten servers, %d now", before, n)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	d, err := syscall.Open("/proc/self/fd", syscall.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(d)
	buf, n := make([]byte, 64<<10), 0
	for {
		k, err := syscall.ReadDirent(d, buf)
		if err != nil {
			t.Fatal(err)
		}
		if k == 0 {
			return n
		}
		_, c, _ := syscall.ParseDirent(buf[:k], -1, nil)
		n += c
	}
}
