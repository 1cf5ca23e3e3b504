package core

import (
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"syscall"

	"turboapi/gosrc/bridge"
	"turboapi/gosrc/exchange"
	"turboapi/gosrc/form"
	"turboapi/gosrc/wire"
)

// Table routes requests: exchange.Table, or a test's own. Its methods are those
// of exchange.Table.
type Table interface {
	Fill(x *bridge.Exchange, h *wire.Head, buf []byte) exchange.Disposition
	NewForm(x *bridge.Exchange, memory int64) *form.Parser
	Ready(x *bridge.Exchange)
	AppendStatic(dst []byte, x *bridge.Exchange, keepAlive bool, own wire.Own) (out []byte, status int, closes bool)
}

// Host is what a server gives to its transport. Its methods may be called on
// any thread.
type Host struct {
	// Limits, Listeners and Options do not change after Open.
	Limits    Limits
	Listeners []Listener
	Options   Options

	// Waker makes the loop take a turn.
	Waker *Waker
	// Count is added to where things happen.
	Count *Counters
	// Log is the bounded queue of error and access lines.
	Log *Log
	// Clock gives the field lines that this server adds.
	Clock *wire.Clock

	table atomic.Pointer[Table]
}

// NewHost makes a host without a table. It duplicates the listeners'
// descriptors: the transport closes them, the caller's stay the caller's.
func NewHost(l Limits, o Options, logLevel int, ls []Listener) (*Host, error) {
	h := &Host{Limits: l, Options: o, Count: new(Counters), Clock: wire.NewClock(o.DateHeader, o.Server)}
	h.Log = NewLog(h.Count, logLevel)
	var err error
	if h.Listeners, err = dupListeners(ls); err != nil {
		return nil, err
	}
	if h.Waker, err = NewWaker(); err != nil {
		for _, l := range h.Listeners {
			syscall.Close(l.FD)
		}
		return nil, err
	}
	return h, nil
}

// dupListeners duplicates the descriptors of ls.
func dupListeners(ls []Listener) ([]Listener, error) {
	out := make([]Listener, 0, len(ls))
	for _, l := range ls {
		// Both locks: no fork between dup and close-on-exec.
		syscall.ForkLock.RLock()
		fd, err := syscall.Dup(l.FD)
		if err == nil {
			syscall.CloseOnExec(fd)
		}
		syscall.ForkLock.RUnlock()
		if err == nil {
			err = syscall.SetNonblock(fd, true)
		}
		if err != nil {
			for _, o := range out {
				syscall.Close(o.FD)
			}
			return nil, fmt.Errorf("core: listener on descriptor %d: %w", l.FD, err)
		}
		l.FD = fd
		out = append(out, l)
	}
	return out, nil
}

// Table is the table for requests read from now on. Ask for it once per turn or
// request: it may change between two calls.
func (h *Host) Table() Table { return *h.table.Load() }

// SetTable replaces the table for requests read from now on.
func (h *Host) SetTable(t Table) { h.table.Store(&t) }

// Panic logs a recovered panic with its stack and counts it. where says what
// was being done.
func (h *Host) Panic(where string, value any) {
	h.Count.Panics.Add(1)
	h.Log.Stack(debug.Stack(), "panic in %s: %v", where, value)
}
