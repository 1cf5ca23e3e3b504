package core

import (
	"fmt"
	"sort"
	"sync"

	"turboapi/gosrc/bridge"
)

// Transport turns connections into exchanges. A server has one; it is made by
// the Opener that its package registered in init.
//
//	loop's thread:  FD readable -> Turn -> lanes run -> Flush
//	call threads:                                      Flush
//
// No method may let a panic out: a transport recovers per connection, logs with
// Host.Panic, and closes that connection.
type Transport interface {
	// FD is the descriptor that the loop watches for reading. A transport
	// without one of its own gives Host.Waker.FD().
	FD() int

	// Turn fills ev with what happened since the last Turn and returns how
	// many. The loop's thread, GIL released; it never blocks. It reads, parses
	// and fills exchanges for a bounded time; for whatever is left over, also
	// when ev is full, it calls Host.Waker.Wake, so that FD stays readable. All
	// changes to the request part of a dispatched exchange (inbox, Want, Flags)
	// happen here and nowhere else.
	Turn(ev []bridge.Event) int

	// Flush consumes Ops of each exchange: formats, writes what the kernel
	// takes, keeps the rest, sets Unsent, clears Ops and OutLen, and recycles
	// exchanges with OpRelease. Any thread, GIL released; never two threads for
	// one exchange. It does not keep xs.
	Flush(xs []*bridge.Exchange)

	// Drain makes the transport accept what waits in the listeners' queues and
	// nothing more, close connections that have no request, and answer the
	// others with Connection: close. The loop's thread outside of Turn, any
	// number of times; short, since the caller may hold the GIL.
	Drain()

	// Active is the number of connections that are open and exchanges that are
	// not released. Any thread. It is 0 when a Drain is complete.
	Active() int64

	// Close closes every connection and descriptor at once and returns when no
	// goroutine of the transport is left. The loop's thread, once. Exchanges
	// that the lanes still own are detached (Conn = 0); core releases them when
	// they are flushed.
	Close()
}

// Opener makes a transport on h's listeners. It owns Host.Listeners' descriptors
// from then on, also when it fails.
type Opener func(h *Host) (Transport, error)

var openers struct {
	sync.Mutex
	rank map[string]int
	open map[string]Opener
}

// Register makes a transport available under name; of those registered, "auto"
// takes the one of the highest rank. Call it from init. The reactor is rank 2,
// the fasthttp server rank 1.
func Register(name string, rank int, open Opener) {
	openers.Lock()
	defer openers.Unlock()
	if openers.open == nil {
		openers.open, openers.rank = map[string]Opener{}, map[string]int{}
	}
	openers.open[name], openers.rank[name] = open, rank
}

// opener returns the transport of that name.
func opener(name string) (string, Opener, error) {
	openers.Lock()
	defer openers.Unlock()
	if name == "" || name == "auto" {
		best := 0
		for n, rank := range openers.rank {
			if rank > best {
				name, best = n, rank
			}
		}
	}
	if open := openers.open[name]; open != nil {
		return name, open, nil
	}
	var known []string
	for n := range openers.open {
		known = append(known, n)
	}
	sort.Strings(known)
	return "", nil, fmt.Errorf("%w: transport %q is not available here; there are %q", errSettings, name, known)
}
