// Package core is one server: its settings, transport, table, wake-up, counters
// and log queue, and the registry that finds it by a number. Transports live in
// packages of their own and register themselves, so a program imports those it
// wants.
//
// Lock order: a transport's connection lock, then the locks of Ring, Log and the
// registry, which are leaves.
package core

import (
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"

	"turboapi/gosrc/bridge"
	"turboapi/gosrc/exchange"
)

// Core is one server.
type Core struct {
	handle    int64
	transport Transport
	name      string
	host      *Host
	closed    atomic.Bool
	yielded   uint64 // when Turn last asked the scheduler, ns; the loop's thread
	turns     int    // since then
}

var registry struct {
	sync.Mutex
	last int64
	// Replaced as a whole, so that Lookup takes no lock.
	cores atomic.Pointer[map[int64]*Core]
}

// emptyTable leaves every request to the application.
var emptyTable = []byte(`{"version":0,"routes":[{"barrier":true}]}`)

// Open makes a server from settings, JSON as docs/internals/contracts.md shows
// it; an unknown key is an error, a missing one means its default. The listeners' descriptors are duplicated; the caller's stay the caller's.
// Until SetTable every request goes to the application. Close frees the server.
func Open(settings []byte) (handle int64, err error) {
	s, err := parseSettings(settings)
	if err != nil {
		return 0, err
	}
	table, err := exchange.NewTable(emptyTable)
	if err != nil {
		return 0, err
	}
	return open(s, table)
}

func open(s *settings, table Table) (int64, error) {
	name, opener, err := opener(s.Transport)
	if err != nil {
		return 0, err
	}
	h, err := NewHost(s.limits(), Options{AccessLog: s.AccessLog, Server: s.Server, DateHeader: s.Date}, s.LogLevel, s.Listeners)
	if err != nil {
		return 0, err
	}
	h.SetTable(table)
	c := &Core{name: name, host: h}
	if c.transport, err = opener(h); err != nil {
		h.Waker.Close()
		return 0, err
	}
	register(c)
	return c.handle, nil
}

func register(c *Core) {
	registry.Lock()
	defer registry.Unlock()
	registry.last++
	c.handle = registry.last
	replaceRegistry(func(m map[int64]*Core) { m[c.handle] = c })
	limitMemory()
}

func replaceRegistry(change func(map[int64]*Core)) {
	next := map[int64]*Core{}
	if old := registry.cores.Load(); old != nil {
		for k, v := range *old {
			next[k] = v
		}
	}
	change(next)
	registry.cores.Store(&next)
}

// Lookup returns the server of that handle, nil once it is closed. Any thread.
func Lookup(handle int64) *Core {
	if m := registry.cores.Load(); m != nil {
		return (*m)[handle]
	}
	return nil
}

// Servers is the number of servers that are not closed. Any thread.
func Servers() int {
	if m := registry.cores.Load(); m != nil {
		return len(*m)
	}
	return 0
}

// Flush is Core.Flush for callers that know the handle only. It stays right
// after Close: call threads may still hold exchanges of a server that is gone.
func Flush(handle int64, xs []*bridge.Exchange) {
	if c := Lookup(handle); c != nil {
		c.Flush(xs)
		return
	}
	for _, x := range xs {
		FlushDetached(x)
	}
}

// FlushDetached drops what the lane wrote into an exchange that no transport
// has any more, and recycles it when the lane is done with it.
func FlushDetached(x *bridge.Exchange) {
	ops := x.Ops
	x.Ops, x.OutLen, x.Unsent = 0, 0, 0
	if ops&bridge.OpRelease != 0 {
		bridge.Release(x)
	}
}

// FD is the descriptor that the loop watches for reading.
func (c *Core) FD() int { return c.transport.FD() }

// Calls from C never ask Go's scheduler, so after 10 ms of many turns the
// runtime's monitor takes the loop's thread for stuck: it sends it signals and
// looks every 20 us, which cost 0.4 of 6.3 us per request. Asking costs two
// switches of threads, so a server with little to do does not.
const (
	yieldAfter = 5_000_000 // ns
	yieldTurns = 4         // in that time, at least
)

func (c *Core) yield() {
	c.turns++
	now := Now()
	if now-c.yielded < yieldAfter {
		return
	}
	if c.turns >= yieldTurns {
		runtime.Gosched()
	}
	c.yielded, c.turns = now, 0
}

// Turn fills ev with what the lanes have to know and returns how many. The
// loop's thread, GIL released; never blocks.
func (c *Core) Turn(ev []bridge.Event) (n int) {
	c.yield()
	defer c.guard("turn")
	if c.closed.Load() {
		return 0
	}
	return c.transport.Turn(ev)
}

// Flush consumes the ops of each exchange. Any thread, GIL released.
func (c *Core) Flush(xs []*bridge.Exchange) {
	defer c.guard("flush")
	if c.closed.Load() {
		for _, x := range xs {
			FlushDetached(x)
		}
		return
	}
	c.transport.Flush(xs)
}

// guard keeps a panic that no transport caught from ending the process.
func (c *Core) guard(where string) {
	if r := recover(); r != nil {
		c.host.Panic(where, r)
	}
}

// Wake makes FD readable. Any thread.
func (c *Core) Wake() {
	if !c.closed.Load() {
		c.host.Waker.Wake()
	}
}

// WakeFD is an eventfd: 1 written to it, or to a duplicate, does what Wake does.
// -1 on a system without such descriptors.
func (c *Core) WakeFD() int { return c.host.Waker.eventFD() }

// SetTable replaces the route table, given as JSON. Requests read from now on
// use it. The loop's thread.
func (c *Core) SetTable(json string) error {
	t, err := exchange.RecentTable(json)
	if err != nil {
		return err
	}
	c.host.SetTable(t)
	return nil
}

// Drain ends the server gracefully: no new connections, idle ones closed, the
// others after their answer. What waits in the listeners' queues is accepted first
// and served once; when Drain returns the caller may close its listeners. The
// server is done when Active is 0. The loop's thread, not from within Turn.
func (c *Core) Drain() {
	defer c.guard("drain")
	if !c.closed.Load() {
		c.transport.Drain()
	}
}

// Active is the number of open connections and unreleased exchanges. Any thread.
func (c *Core) Active() int64 {
	if c.closed.Load() {
		return 0
	}
	return c.transport.Active()
}

// Logs returns the queued log lines as JSON (see Log.Take). Any thread, also
// after Close.
func (c *Core) Logs() []byte { return c.host.Log.Take() }

// LogsWaiting reports whether Logs has something to give. Any thread, cheap.
func (c *Core) LogsWaiting() bool { return c.host.Log.Waiting() }

// Stats returns the counters as a JSON object. Any thread, also after Close.
func (c *Core) Stats() []byte {
	b := append([]byte(nil), `{"transport":"`...)
	b = append(b, c.name...)
	b = append(b, `","active":`...)
	b = strconv.AppendInt(b, c.Active(), 10)
	b = append(b, `,"exchanges_live":`...)
	b = strconv.AppendInt(b, bridge.Live(), 10)
	b = append(b, `,"held":`...)
	b = strconv.AppendInt(b, bridge.Held(), 10)
	b = append(b, ',')
	b = c.host.Count.appendJSON(b)
	return append(b, '}')
}

// Close ends the server at once and frees its descriptors; a second Close does
// nothing. The loop's thread, not from within Turn. Exchanges that lanes still
// own are theirs until they flush them with OpRelease.
func (c *Core) Close() {
	if !c.closed.CompareAndSwap(false, true) {
		return
	}
	defer c.guard("close")
	registry.Lock()
	replaceRegistry(func(m map[int64]*Core) { delete(m, c.handle) })
	limitMemory()
	registry.Unlock()
	c.transport.Close()
	c.host.Waker.Close()
}
