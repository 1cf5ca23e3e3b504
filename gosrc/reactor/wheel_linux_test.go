package reactor

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestWheelLooksInTimeAndNotBefore(t *testing.T) {
	var w wheel
	start := uint64(1_000_000_000_000)
	w.init(start, 16*time.Second, 0, time.Minute)
	if w.tick != uint64(250*time.Millisecond) {
		t.Fatalf("a tick is %v", time.Duration(w.tick))
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	conns := make([]conn, 300)
	due := map[*conn]uint64{}
	for i := range conns {
		c := &conns[i]
		c.slot = noSlot
		due[c] = start + uint64(rnd.Int64N(int64(400*time.Second)))
		w.put(c, due[c])
	}
	// Some are taken out again, from any place in their slots.
	for i := 0; i < len(conns); i += 7 {
		w.remove(&conns[i])
		w.remove(&conns[i])
		delete(due, &conns[i])
	}
	for len(due) > 0 {
		now := w.first()
		if now == never {
			t.Fatalf("%d connections are forgotten", len(due))
		}
		w.turn(now, func(c *conn) {
			at := due[c]
			if at == 0 {
				t.Fatal("a connection that was taken out")
			}
			if at > now {
				w.put(c, at) // farther than the wheel is round
				return
			}
			if now-at > 2*w.tick {
				t.Errorf("%v late", time.Duration(now-at))
			}
			delete(due, c)
		})
	}
	if w.first() != never {
		t.Error("the wheel is not empty")
	}
}

// A process that slept looks at everything once.
func TestWheelCatchesUp(t *testing.T) {
	for _, slept := range []time.Duration{time.Second, time.Minute, 200 * time.Second, 24 * time.Hour} {
		var w wheel
		now := uint64(5_000_000_000_000)
		w.init(now, time.Second)
		conns := make([]conn, 50)
		for i := range conns {
			conns[i].slot = noSlot
			w.put(&conns[i], now+uint64(i)*uint64(time.Second)/2)
		}
		now += uint64(slept)
		seen := map[*conn]bool{}
		w.turn(now, func(c *conn) {
			seen[c] = true // twice, where the wheel is not round enough yet
			w.put(c, now+uint64(time.Second))
		})
		if want := min(int(slept/(time.Second/2))+1, len(conns)); len(seen) < want-1 || len(seen) > want {
			t.Errorf("after %v: %d of %d", slept, len(seen), want)
		}
		// Put again while it caught up, each is found again at its time.
		w.turn(now+uint64(1100*time.Millisecond), func(c *conn) { delete(seen, c) })
		if len(seen) > 0 {
			t.Errorf("after %v: %d are forgotten", slept, len(seen))
		}
	}
}
