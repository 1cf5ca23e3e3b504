package server

import (
	"sync"
	"testing"
)

func TestNumbersAreUsedAgainAndNeverShared(t *testing.T) {
	var c conns
	if c.get(0) != nil {
		t.Error("0 names a connection")
	}
	seen := map[uint64]bool{}
	var gates []*gate
	for range 3 * connPage {
		g := &gate{}
		g.id = c.add(g)
		if g.id == 0 || seen[g.id] || c.get(g.id) != g {
			t.Fatalf("number %d is %p, want %p", g.id, c.get(g.id), g)
		}
		seen[g.id] = true
		gates = append(gates, g)
	}
	n := 0
	c.each(func(*gate) { n++ })
	if n != len(gates) {
		t.Errorf("each saw %d of %d", n, len(gates))
	}
	for _, g := range gates {
		c.remove(g.id)
		if c.get(g.id) != nil {
			t.Fatalf("number %d is still in use", g.id)
		}
	}
	c.each(func(*gate) { t.Error("each saw one that was removed") })
	again := &gate{}
	if id := c.add(again); !seen[id] {
		t.Errorf("number %d is a new one, and %d are free", id, len(gates))
	}
}

func TestNumbersFromManyGoroutines(t *testing.T) {
	var c conns
	var wg sync.WaitGroup
	for range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 500 {
				g := &gate{}
				id := c.add(g)
				c.each(func(*gate) {})
				if c.get(id) != g {
					t.Errorf("number %d names another", id)
				}
				c.remove(id)
			}
		}()
	}
	wg.Wait()
}
