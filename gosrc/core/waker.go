package core

import (
	"sync"
	"sync/atomic"
)

// Waker makes the loop take a turn: a descriptor that is readable from Wake to
// Clear, however often Wake is called in between.
//
// Whoever clears it must look for work after Clear, not before: a Wake between
// the two is then never lost.
type Waker struct {
	set     atomic.Bool
	rd, wr  int // the same descriptor for an eventfd
	pending [8]byte

	// A late Wake of another thread must not write to a closed descriptor,
	// whose number may be in use again.
	mu     sync.Mutex
	closed bool
}

// FD is the descriptor to watch for reading.
func (w *Waker) FD() int { return w.rd }

// Wake makes FD readable. Any thread; one system call at most, none when it is
// readable already.
func (w *Waker) Wake() {
	if !w.set.Load() && w.set.CompareAndSwap(false, true) {
		w.mu.Lock()
		if !w.closed {
			w.write()
		}
		w.mu.Unlock()
	}
}

// Pending reports whether FD is readable.
func (w *Waker) Pending() bool { return w.set.Load() }

// Clear makes FD unreadable. The loop's thread.
func (w *Waker) Clear() {
	// Nothing to read: a Wake has set the flag and not written yet. The flag
	// stays, since FD becomes readable once more and has to be read then. Who
	// writes to WakeFD sets no flag.
	if w.read() {
		// Only now: a Wake before this line finds the flag and writes nothing,
		// but its work is visible to who looks after Clear.
		w.set.Store(false)
	}
}

// Forget is Clear for who watches FD edge-triggered and so need not read it.
// Call it when FD was reported, before looking for work.
func (w *Waker) Forget() { w.set.Store(false) }

// Close frees the descriptors; a Wake after it does nothing.
func (w *Waker) Close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.closed {
		w.closed = true
		w.free()
	}
}
