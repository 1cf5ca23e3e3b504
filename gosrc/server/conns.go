package server

import (
	"sync"
	"sync/atomic"
)

const connPage = 128

// conns gives open connections numbers, so that an exchange, which is C memory,
// can name its connection. A number is used again once its connection is gone;
// whoever looks one up asks the gate under its lock whether it still has the
// exchange. Looking up takes no lock.
type conns struct {
	pages atomic.Pointer[[]*[connPage]atomic.Pointer[gate]]

	mu   sync.Mutex
	free []uint64
}

// add gives g a number, above zero.
func (c *conns) add(g *gate) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.free) == 0 {
		c.grow()
	}
	id := c.free[len(c.free)-1]
	c.free = c.free[:len(c.free)-1]
	c.slot(id).Store(g)
	return id
}

// remove gives the number back. Once per add.
func (c *conns) remove(id uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.slot(id).Store(nil)
	c.free = append(c.free, id)
}

// get returns the connection of that number, or nil.
func (c *conns) get(id uint64) *gate {
	if id == 0 {
		return nil
	}
	return c.slot(id).Load()
}

// each calls f for every connection there is. Some that come or go meanwhile
// may be missed.
func (c *conns) each(f func(*gate)) {
	pages := c.pages.Load()
	if pages == nil {
		return
	}
	for _, p := range *pages {
		for i := range p {
			if g := p[i].Load(); g != nil {
				f(g)
			}
		}
	}
}

func (c *conns) slot(id uint64) *atomic.Pointer[gate] {
	i := id - 1
	return &(*c.pages.Load())[i/connPage][i%connPage]
}

// grow adds a page. mu is held.
func (c *conns) grow() {
	var next []*[connPage]atomic.Pointer[gate]
	if old := c.pages.Load(); old != nil {
		next = append(next, *old...)
	}
	first := uint64(len(next)*connPage) + 1
	next = append(next, new([connPage]atomic.Pointer[gate]))
	c.pages.Store(&next)
	for id := first + connPage - 1; id >= first; id-- {
		c.free = append(c.free, id)
	}
}
