package core

import (
	"runtime/debug"
	"sync/atomic"

	"turboapi/gosrc/bridge"
	"turboapi/gosrc/exchange"
	"turboapi/gosrc/wire"
)

// Table routes requests: exchange.Table, or a test's own.
type Table interface {
	Fill(x *bridge.Exchange, h *wire.Head, buf []byte) exchange.Disposition
	Ready(x *bridge.Exchange)
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
	// Clock gives Date values.
	Clock *wire.Clock

	table atomic.Pointer[Table]
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
	h.Log.Error("panic in %s: %v\n%s", where, value, debug.Stack())
}
