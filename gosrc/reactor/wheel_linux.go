package reactor

import (
	"math/bits"
	"time"
)

const (
	wheelSlots = 512
	noSlot     = -1
	// never is the time of a limit that is switched off.
	never = ^uint64(0)
)

// wheel looks after limits without work per request: a connection stands in the
// slot of a time at which it is worth a look. The look computes the real
// deadline from the phase and the time stamp, and puts the connection forward.
// What makes it right: a deadline that may begin without the loop's thread
// knowing (the end of an answer) is never earlier than the connection's slot;
// every other is told to the wheel when it begins. The loop's thread only.
type wheel struct {
	tick   uint64 // ns per slot
	cur    uint64 // the tick that was looked at last
	slots  [wheelSlots]*conn
	filled [wheelSlots / 64]uint64 // bit set: the slot is not empty
	armed  uint64                  // what the timer descriptor is set to, ns; never: nothing
}

// init sets the grain by the shortest limit, so that a limit is kept to about a
// sixteenth.
func (w *wheel) init(now uint64, limits ...time.Duration) {
	shortest := time.Duration(0)
	for _, d := range limits {
		if d > 0 && (shortest == 0 || d < shortest) {
			shortest = d
		}
	}
	w.tick = uint64(min(max(shortest/16, time.Millisecond), 250*time.Millisecond))
	w.cur, w.armed = now/w.tick, never
}

// put moves c to the slot of the time at, or to the last one where at is farther
// away than the wheel is round. It returns the time of the look.
func (w *wheel) put(c *conn, at uint64) uint64 {
	w.remove(c)
	t := min(max((at+w.tick-1)/w.tick, w.cur+1), w.cur+wheelSlots-1)
	i := t % wheelSlots
	c.slot, c.at, c.from = int16(i), w.slots[i], nil
	if c.at != nil {
		c.at.from = c
	}
	w.slots[i] = c
	w.filled[i/64] |= 1 << (i % 64)
	return t * w.tick
}

func (w *wheel) remove(c *conn) {
	if c.slot == noSlot {
		return
	}
	if c.from != nil {
		c.from.at = c.at
	} else {
		w.slots[c.slot] = c.at
		if c.at == nil {
			w.filled[c.slot/64] &^= 1 << (c.slot % 64)
		}
	}
	if c.at != nil {
		c.at.from = c.from
	}
	c.slot, c.at, c.from = noSlot, nil, nil
}

// turn takes all connections out of the slots up to now and gives each to look.
func (w *wheel) turn(now uint64, look func(*conn)) {
	to := now / w.tick
	if to > w.cur+wheelSlots {
		w.cur = to - wheelSlots // once round is enough
	}
	for w.cur < to {
		w.cur++
		i := w.cur % wheelSlots
		// look may put connections into later slots, never into this one.
		for c := w.slots[i]; c != nil; c = w.slots[i] {
			w.remove(c)
			look(c)
		}
	}
}

// first returns the time of the first slot that is not empty, or never.
func (w *wheel) first() uint64 {
	for d := uint64(1); d < wheelSlots; {
		i := (w.cur + d) % wheelSlots
		word := w.filled[i/64] >> (i % 64)
		if word != 0 {
			return (w.cur + d + uint64(bits.TrailingZeros64(word))) * w.tick
		}
		d += 64 - i%64
	}
	return never
}
