// Package transporttest holds the tests that every transport has to pass: the
// same sockets, the same lane, the same answers to the byte. A transport's own
// tests call Run with its opener.
//
// What the tests stand for, where issue and RFC leave a choice:
//
//   - a client that ends its sending side is gone as soon as its body is
//     complete and no answer comes at once;
//   - a head that is not complete in time is refused with 408, an idle
//     connection is closed without a word;
//   - an answer that comes before the body was read keeps the connection only
//     if little of the body is to come.
package transporttest

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"turboapi/gosrc/bridge"
	"turboapi/gosrc/core"
	"turboapi/gosrc/exchange"
)

// patience is how long a test waits for what has to happen; only a failing test
// waits that long.
const patience = 60 * time.Second

// Config is a server to test. The zero value is a plain one on 127.0.0.1.
type Config struct {
	Limits    func(l *core.Limits) // changes the defaults
	Options   core.Options
	Unix      bool
	Table     string // JSON; empty: everything goes to the application
	WrapTable func(t core.Table) core.Table
	MaxEvents int  // of a turn; 0: 64
	Panics    bool // the test provokes some
}

// Bench is a transport, the loop that turns it, and the lane.
type Bench struct {
	T    testing.TB
	Host *core.Host
	Tr   core.Transport
	Addr net.Addr

	// Gone and Requests count events.
	Gone, Requests atomic.Int64

	handlers map[string]func(*Call)
	calls    map[*bridge.Exchange]*Call // the loop's thread
	dirty    []*bridge.Exchange         // the loop's thread

	mu     sync.Mutex
	posted []func()
	stop   chan struct{}
	done   chan struct{}
	away   sync.WaitGroup // calls on threads of their own
	closed bool
	panics bool // the test provokes some
	live   int64
	held   int64
}

// Start opens a server. handlers maps paths to what the lane does; it runs on
// the loop's thread. Everything is taken down, and counted, when the test ends.
func Start(t testing.TB, open core.Opener, c Config, handlers map[string]func(*Call)) *Bench {
	t.Helper()
	ln := listenOn(t, c.Unix)
	limits := core.DefaultLimits()
	if c.Limits != nil {
		c.Limits(&limits)
	}
	f, err := ln.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		t.Fatal(err)
	}
	family := "inet"
	if c.Unix {
		family = "unix"
	}
	host, err := core.NewHost(limits, c.Options, 10, []core.Listener{{FD: int(f.Fd()), Family: family}})
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	ln.Close()
	b := &Bench{
		T: t, Host: host, Addr: ln.Addr(), handlers: handlers,
		calls: map[*bridge.Exchange]*Call{}, stop: make(chan struct{}), done: make(chan struct{}),
		live: bridge.Live(), held: bridge.Held(), panics: c.Panics,
	}
	b.setTable(c)
	if b.Tr, err = open(host); err != nil {
		t.Fatal(err)
	}
	go b.loop(c.MaxEvents) // stops in Close
	t.Cleanup(b.Close)
	return b
}

func (b *Bench) setTable(c Config) {
	json := c.Table
	if json == "" {
		json = `{"version":1,"cors":false,"redirect_slashes":false,"root_path":"","not_found":null,"routes":[],"plans":[]}`
	}
	table, err := exchange.NewTable([]byte(json))
	if err != nil {
		b.T.Fatal(err)
	}
	var t core.Table = table
	if c.WrapTable != nil {
		t = c.WrapTable(t)
	}
	b.Host.SetTable(t)
}

// unixPathMax is the longest path of a Unix socket, without its NUL.
const unixPathMax = 107

func listenOn(t testing.TB, unixSocket bool) net.Listener {
	t.Helper()
	network, address := "tcp", "127.0.0.1:0"
	if unixSocket {
		dir, err := os.MkdirTemp("", "turbo")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		network, address = "unix", dir+"/"+strings.Repeat("s", unixPathMax-len(dir)-1)
	}
	ln, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	if u, ok := ln.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
	}
	return ln
}

// loop is the asyncio loop's stand-in: it waits for the descriptor, turns, runs
// the lane and flushes, all on one thread.
func (b *Bench) loop(maxEvents int) {
	defer close(b.done)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if maxEvents == 0 {
		maxEvents = 64
	}
	ev := make([]bridge.Event, maxEvents)
	for {
		select {
		case <-b.stop:
			return
		default:
		}
		fds := []unix.PollFd{{Fd: int32(b.Tr.FD()), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds, 1000); err != nil && err != unix.EINTR {
			panic(err)
		}
		for _, e := range ev[:b.Tr.Turn(ev)] {
			b.event(e)
		}
		b.runPosted()
		b.flush()
	}
}

func (b *Bench) runPosted() {
	b.mu.Lock()
	posted := b.posted
	b.posted = nil
	b.mu.Unlock()
	for _, f := range posted {
		f()
	}
}

// flush hands the marked exchanges to the transport, as the end of a turn does.
func (b *Bench) flush() {
	for len(b.dirty) > 0 {
		dirty := b.dirty
		b.dirty = nil
		b.Tr.Flush(dirty)
	}
}

func (b *Bench) event(e bridge.Event) {
	if e.X.Gen != e.Gen {
		return
	}
	if e.Kind == bridge.EvRequest {
		b.Requests.Add(1)
		c := &Call{b: b, x: e.X, gen: e.Gen}
		b.calls[e.X] = c
		path := string(e.X.Span(e.X.Path))
		h := b.handlers[path]
		if h == nil {
			h = func(c *Call) { c.Reply(404, path) }
		}
		h(c)
		return
	}
	c := b.calls[e.X]
	if c == nil || c.over {
		return
	}
	switch e.Kind {
	case bridge.EvGone:
		b.Gone.Add(1)
		c.Gone = true
		if c.OnGone != nil {
			c.OnGone()
		} else {
			c.Release()
		}
	case bridge.EvBody:
		if c.OnBody != nil {
			c.OnBody()
		}
	case bridge.EvDrained:
		if c.OnDrained != nil {
			c.OnDrained()
		}
	}
}

// Do runs f on the loop's thread and waits for it.
func (b *Bench) Do(f func()) {
	b.T.Helper()
	done := make(chan struct{})
	b.Post(func() { f(); close(done) })
	select {
	case <-done:
	case <-time.After(patience):
		b.T.Fatal("the loop does not turn")
	}
}

// Post has f run on the loop's thread.
func (b *Bench) Post(f func()) {
	b.mu.Lock()
	b.posted = append(b.posted, f)
	b.mu.Unlock()
	b.Host.Waker.Wake()
}

// Close ends the server and checks that nothing is left of it.
func (b *Bench) Close() {
	b.T.Helper()
	if b.closed {
		return
	}
	b.closed = true
	b.Do(func() { b.Tr.Close() })
	close(b.stop)
	b.Host.Waker.Wake()
	<-b.done
	b.away.Wait()
	// The lanes still own what was not answered.
	for _, c := range b.calls {
		c.x.Ops |= bridge.OpRelease
		core.FlushDetached(c.end())
	}
	b.Host.Waker.Close()
	if n := bridge.Live() - b.live; n != 0 {
		b.T.Errorf("%d exchanges were not released", n)
	}
	if n := bridge.Held() - b.held; n != 0 {
		b.T.Errorf("%d bytes of memory are still counted", n)
	}
	if n := b.Host.Count.Panics.Load(); n != 0 && !b.panics {
		b.T.Errorf("%d panics: %s", n, b.Host.Log.Take())
	}
}

// AwaitIdle waits until no connection and no exchange is left.
func (b *Bench) AwaitIdle() {
	b.T.Helper()
	Await(b.T, func() bool { return b.Tr.Active() == 0 }, func() string {
		return fmt.Sprintf("%d connections and exchanges are left", b.Tr.Active())
	})
}

// Await polls until ok, and fails with what say gives if that takes too long.
func Await(t testing.TB, ok func() bool, say func() string) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(say())
		}
	}
}
