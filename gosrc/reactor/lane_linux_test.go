package reactor

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"turboapi/gosrc/bridge"
	"turboapi/gosrc/core"
	"turboapi/gosrc/exchange"
)

// patience is how long a test waits for what must happen at once.
const patience = 60 * time.Second

// lane stands in for Python: it calls Turn when FD is readable, answers, and
// calls Flush, all on one goroutine that is locked to its thread.
type lane struct {
	t    testing.TB
	r    *Reactor
	host *core.Host
	addr string
	net  string

	table []byte

	// handle answers one event; what it leaves in ops is flushed at the end of
	// the turn. Default: echo.
	handle func(l *lane, ev bridge.Event)

	calls  chan func() // run on the loop's thread between turns
	done   chan struct{}
	turns  atomic.Int64
	evs    []bridge.Event
	dirty  []*bridge.Exchange
	before int64 // bridge.Live

	mu    sync.Mutex
	gones int
}

type option func(*lane, *core.Limits, *core.Options)

func withLimits(f func(*core.Limits)) option {
	return func(_ *lane, l *core.Limits, _ *core.Options) { f(l) }
}

func withHandler(f func(*lane, bridge.Event)) option {
	return func(l *lane, _ *core.Limits, _ *core.Options) { l.handle = f }
}

func withTable(json []byte) option {
	return func(l *lane, _ *core.Limits, _ *core.Options) { l.table = json }
}

// bodyTable collects the body of POST /b and gives the rest to the application.
var bodyTable = []byte(`{"version":1,"plans":[{"id":0,"body":"bytes","params":[]}],"routes":[{"path":"/b","methods":["POST"],"plan":0},{"barrier":true}]}`)

// appTable gives every request to the application.
var appTable = []byte(`{"version":1,"routes":[{"barrier":true}]}`)

func newTable(t testing.TB, json []byte) *exchange.Table {
	table, err := exchange.NewTable(json)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// start runs a server until the test ends, and then checks that every exchange
// came back.
func start(t testing.TB, options ...option) *lane {
	return startOn(t, "tcp", "127.0.0.1:0", options...)
}

func startOn(t testing.TB, network, address string, options ...option) *lane {
	l := newLane(t, network, address, options...)
	go l.loop()
	t.Cleanup(l.stop)
	return l
}

// newLane makes a server whose turns the test takes itself.
func newLane(t testing.TB, network, address string, options ...option) *lane {
	l := &lane{
		t: t, net: network, handle: echo, calls: make(chan func()), done: make(chan struct{}),
		evs: make([]bridge.Event, 256), before: bridge.Live(), table: appTable,
	}
	limits, opts := core.DefaultLimits(), core.Options{Server: "turboapi", DateHeader: true}
	for _, o := range options {
		o(l, &limits, &opts)
	}
	ln, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	l.addr = ln.Addr().String()
	file, err := ln.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		t.Fatal(err)
	}
	family := "inet"
	if network == "unix" {
		family = "unix"
		ln.(*net.UnixListener).SetUnlinkOnClose(false)
	} else if strings.HasPrefix(l.addr, "[") {
		family = "inet6"
	}
	l.host, err = core.NewHost(limits, opts, 20, []core.Listener{{FD: int(file.Fd()), Family: family}})
	if err != nil {
		t.Fatal(err)
	}
	file.Close()
	ln.Close()
	l.host.SetTable(newTable(t, l.table))
	tr, err := Open(l.host)
	if err != nil {
		t.Fatal(err)
	}
	l.r = tr.(*Reactor)
	return l
}

// readable waits until the reactor's descriptor is readable, as an outer loop's
// selector does: the descriptor nested in another epoll.
func (l *lane) loop() {
	runtime.LockOSThread()
	defer close(l.done)
	outer, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		panic(err)
	}
	defer syscall.Close(outer)
	ev := syscall.EpollEvent{Events: syscall.EPOLLIN}
	if err := syscall.EpollCtl(outer, syscall.EPOLL_CTL_ADD, l.r.FD(), &ev); err != nil {
		panic(err)
	}
	var got [1]syscall.EpollEvent
	for {
		select {
		case f := <-l.calls:
			if f == nil {
				return
			}
			f()
			continue
		default:
		}
		n, err := syscall.EpollWait(outer, got[:], 5)
		if err != nil && err != syscall.EINTR {
			panic(err)
		}
		if n > 0 {
			l.turn()
		}
	}
}

// turn is one turn of the loop.
func (l *lane) turn() int {
	n := l.r.Turn(l.evs)
	l.turns.Add(1)
	for _, ev := range l.evs[:n] {
		if ev.Kind == bridge.EvGone {
			l.mu.Lock()
			l.gones++
			l.mu.Unlock()
		}
		l.handle(l, ev)
	}
	l.flush()
	return n
}

func (l *lane) flush() {
	// Each exchange once, as the real lanes see to.
	l.dirty = slices.DeleteFunc(l.dirty, func(x *bridge.Exchange) bool {
		x.LaneState++
		return x.LaneState > 1
	})
	for _, x := range l.dirty {
		x.LaneState = 0
	}
	if len(l.dirty) > 0 {
		l.r.Flush(l.dirty)
		l.dirty = l.dirty[:0]
	}
}

// do runs f on the loop's thread and waits for it.
func (l *lane) do(f func()) {
	done := make(chan struct{})
	l.calls <- func() { defer close(done); f() }
	<-done
}

// settle waits until the loop has handled what the kernel had for it.
func (l *lane) settle() {
	l.do(func() {
		for {
			before := l.r.host.Count.BytesIn.Load()
			l.turn()
			if l.r.runHead == nil && l.r.host.Count.BytesIn.Load() == before {
				return
			}
		}
	})
}

func (l *lane) stop() {
	l.do(l.r.Close)
	l.calls <- nil
	<-l.done
	l.host.Waker.Close()
	l.check()
}

// check reports exchanges that were lost and panics that nobody expected.
func (l *lane) check() {
	l.t.Helper()
	if n := l.r.live.Load(); n != 0 {
		l.t.Errorf("%d exchanges were not released", n)
	}
	if n := bridge.Live() - l.before; n > 0 {
		l.t.Errorf("%d records are missing from the free list", n)
	}
	if n := l.host.Count.Panics.Load(); n != 0 {
		l.t.Errorf("%d panics: %s", n, l.host.Log.Take())
	}
	if n := l.host.Count.Connections.Load(); n != 0 {
		l.t.Errorf("%d connections are counted as open", n)
	}
}

// eventually waits for a condition that must come true.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !cond(); {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
		runtime.Gosched()
		time.Sleep(time.Millisecond) // polling, not synchronisation
	}
}

// payload copies b into x's response.
func payload(x *bridge.Exchange, b []byte) {
	need := x.OutLen + uint64(len(b))
	if need > x.OutCap {
		grown := cAlloc(need)
		copy(bridge.Bytes(grown, int(need)), x.Out())
		x.OutPtr, x.OutCap = (*byte)(grown), need
	}
	copy(unsafe.Slice(x.OutPtr, x.OutCap)[x.OutLen:], b)
	x.OutLen = need
}

// cAlloc takes C memory by way of another record, since a test may not use cgo:
// its large request buffer, which Release frees with malloc's free, too.
func cAlloc(n uint64) unsafe.Pointer {
	y := bridge.Acquire()
	y.ReserveBody(max(n, bridge.ReqInline+1))
	p := unsafe.Pointer(y.Body)
	y.Body, y.BodyCap = nil, 0
	bridge.Release(y)
	return p
}

// answer leaves a complete JSON response in x.
func (l *lane) answer(x *bridge.Exchange, status int, body []byte) {
	x.Status, x.Preset = uint16(status), bridge.PresetJSON
	payload(x, body)
	x.Ops |= bridge.OpHead | bridge.OpEnd | bridge.OpRelease
	l.dirty = append(l.dirty, x)
}

// echo answers with what the request was; a body is read to its end first.
func echo(l *lane, ev bridge.Event) {
	x := ev.X
	if x.Gen != ev.Gen {
		return
	}
	switch ev.Kind {
	case bridge.EvRequest, bridge.EvBody:
		if x.Flags&bridge.ReqBodyEnd == 0 {
			x.Want = 1
			x.Ops |= bridge.OpWant
			l.dirty = append(l.dirty, x)
			return
		}
		l.answer(x, 200, fmt.Appendf(nil, "%s %s %d", x.Span(x.MethodName), x.Span(x.Target), x.BodyLen))
	case bridge.EvGone:
		if x.Conn == 0 {
			x.Ops |= bridge.OpRelease
			l.dirty = append(l.dirty, x)
		}
	}
}

func cText(b []byte) string {
	s, _, _ := strings.Cut(string(b[:]), "\x00")
	return s
}

// client is a raw connection with helpers.
type client struct {
	net.Conn
	t   testing.TB
	buf []byte
}

func (l *lane) dial() *client {
	l.t.Helper()
	c, err := net.Dial(l.net, l.addr)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(3 * patience))
	return &client{Conn: c, t: l.t}
}

func (c *client) send(format string, args ...any) {
	c.t.Helper()
	if _, err := fmt.Fprintf(c, format, args...); err != nil {
		c.t.Fatal(err)
	}
}

// fill reads more and reports whether there was something.
func (c *client) fill() error {
	var b [64 << 10]byte
	n, err := c.Read(b[:])
	c.buf = append(c.buf, b[:n]...)
	return err
}

// reply reads one response with a Content-Length, or chunked.
func (c *client) reply() (status int, head, body string) {
	c.t.Helper()
	i := -1
	for {
		if i = bytes.Index(c.buf, []byte("\r\n\r\n")); i >= 0 {
			break
		}
		if err := c.fill(); err != nil {
			c.t.Fatalf("no response head: %v; so far %q", err, c.buf)
		}
	}
	head = string(c.buf[:i+4])
	c.buf = c.buf[i+4:]
	fmt.Sscanf(head, "HTTP/1.1 %d", &status)
	lower := strings.ToLower(head)
	if strings.Contains(lower, "transfer-encoding: chunked") {
		return status, head, c.chunks()
	}
	_, rest, ok := strings.Cut(lower, "content-length: ")
	if !ok {
		return status, head, ""
	}
	n, err := strconv.Atoi(rest[:strings.IndexByte(rest, '\r')])
	if err != nil {
		c.t.Fatal(err)
	}
	return status, head, c.take(n)
}

func (c *client) take(n int) string {
	c.t.Helper()
	for len(c.buf) < n {
		if err := c.fill(); err != nil {
			c.t.Fatalf("response ends after %d of %d bytes: %v", len(c.buf), n, err)
		}
	}
	s := string(c.buf[:n])
	c.buf = c.buf[n:]
	return s
}

func (c *client) chunks() string {
	c.t.Helper()
	var body strings.Builder
	for {
		i := bytes.Index(c.buf, []byte("\r\n"))
		if i < 0 {
			if err := c.fill(); err != nil {
				c.t.Fatalf("chunked response ends: %v", err)
			}
			continue
		}
		n, err := strconv.ParseInt(string(c.buf[:i]), 16, 64)
		if err != nil {
			c.t.Fatal(err)
		}
		c.buf = c.buf[i+2:]
		body.WriteString(c.take(int(n)))
		c.take(2)
		if n == 0 {
			return body.String()
		}
	}
}

// expect asks for one response and compares its status and body.
func (c *client) expect(status int, body string) (head string) {
	c.t.Helper()
	got, head, text := c.reply()
	if got != status || text != body {
		c.t.Fatalf("got %d %q, want %d %q", got, text, status, body)
	}
	return head
}

// expectEnd waits for the connection to be closed without another byte.
func (c *client) expectEnd() {
	c.t.Helper()
	for {
		err := c.fill()
		if len(c.buf) > 0 {
			c.t.Fatalf("unexpected bytes %q", c.buf)
		}
		if err == io.EOF {
			return
		}
		if err != nil {
			c.t.Fatalf("connection ends with %v", err)
		}
	}
}

// packField appends a field in the record's form.
func packField(b []byte, name, value string) []byte {
	b = binary.NativeEndian.AppendUint32(b, uint32(len(name)))
	b = binary.NativeEndian.AppendUint32(b, uint32(len(value)))
	return append(append(b, name...), value...)
}

func deadline(ms int) time.Time { return time.Now().Add(time.Duration(ms) * time.Millisecond) }
