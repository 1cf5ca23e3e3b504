package core

import "sync"

// Ring carries messages from many goroutines to the loop's thread, in order,
// with one wake-up however many come before the loop looks. It grows as needed:
// its senders are bounded by the number of connections.
type Ring[T any] struct {
	waker *Waker

	mu     sync.Mutex
	filled []T
	taken  []T // the loop's thread only, outside of Drain empty
	at     int // of taken, the first that was not drained
}

// NewRing makes a ring whose Push wakes w.
func NewRing[T any](w *Waker) *Ring[T] { return &Ring[T]{waker: w} }

// Push hands v to the loop's thread. Any thread.
func (r *Ring[T]) Push(v T) {
	r.mu.Lock()
	r.filled = append(r.filled, v)
	first := len(r.filled) == 1
	r.mu.Unlock()
	if first {
		r.waker.Wake()
	}
}

// Drain calls f for each message, oldest first, until none is left or f returns
// false, which leaves that message for the next Drain and wakes the loop again.
// The loop's thread, after Waker.Clear.
func (r *Ring[T]) Drain(f func(T) bool) {
	for {
		for r.at < len(r.taken) {
			if !f(r.taken[r.at]) {
				r.waker.Wake()
				return
			}
			var none T
			r.taken[r.at] = none
			r.at++
		}
		r.mu.Lock()
		r.taken, r.filled, r.at = r.filled, r.taken[:0], 0
		r.mu.Unlock()
		if len(r.taken) == 0 {
			return
		}
	}
}

// Len is the number of messages that wait. The loop's thread.
func (r *Ring[T]) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.filled) + len(r.taken) - r.at
}
