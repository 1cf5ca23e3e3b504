package core

import (
	"syscall"
	"testing"
	"time"
)

// ready reports whether w's descriptor is readable.
func ready(t *testing.T, w *Waker) bool {
	t.Helper()
	var set syscall.FdSet
	set.Bits[w.FD()/64] |= 1 << (w.FD() % 64)
	n, err := syscall.Select(w.FD()+1, &set, nil, nil, &syscall.Timeval{})
	if err != nil {
		t.Fatal(err)
	}
	return n == 1
}

func newWaker(t *testing.T) *Waker {
	w, err := NewWaker()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

func TestWakerIsReadableFromWakeToClear(t *testing.T) {
	w := newWaker(t)
	for range 3 {
		if ready(t, w) || w.Pending() {
			t.Fatal("readable before Wake")
		}
		w.Wake()
		w.Wake()
		if !ready(t, w) || !w.Pending() {
			t.Fatal("not readable after Wake")
		}
		w.Clear()
		w.Clear()
	}
	w.Close()
	w.Wake()
}

func TestRingKeepsOrderAndLosesNothing(t *testing.T) {
	w := newWaker(t)
	r := NewRing[[2]int](w)
	const senders, each = 8, 2000
	for s := range senders {
		go func() { // ends by itself
			for i := range each {
				r.Push([2]int{s, i})
			}
		}()
	}
	var next [senders]int
	got, drains := 0, 0
	for end := time.Now().Add(time.Minute); got < senders*each; {
		if time.Now().After(end) {
			t.Fatalf("%d of %d came", got, senders*each)
		}
		if !ready(t, w) {
			continue
		}
		w.Clear()
		drains++
		room := 100 // a bounded turn
		r.Drain(func(m [2]int) bool {
			if room == 0 {
				return false
			}
			room--
			if next[m[0]] != m[1] {
				t.Fatalf("sender %d: got %d, want %d", m[0], m[1], next[m[0]])
			}
			next[m[0]]++
			got++
			return true
		})
	}
	if drains < senders*each/100 || r.Len() != 0 {
		t.Errorf("%d drains, %d left", drains, r.Len())
	}
}

func TestNowIsTheSystemsMonotonicClock(t *testing.T) {
	a := Now()
	b := Now()
	if b < a || a == 0 {
		t.Errorf("%d then %d", a, b)
	}
}
