package server

import (
	"time"

	"turboapi/gosrc/bridge"
	"turboapi/gosrc/wire"
)

// send writes b, or what the kernel takes of it, and keeps a copy of the rest,
// which a goroutine then writes. It never waits. mu is held.
func (g *gate) send(b []byte) {
	if g.broken || g.closed || len(b) == 0 {
		return
	}
	if g.writing {
		g.queue(b)
		return
	}
	n, err := tryWrite(g.sock.fd, b)
	g.srv.host.Count.BytesOut.Add(int64(n))
	if err != nil {
		g.breakOff()
		return
	}
	if n < len(b) {
		g.queue(b[n:])
		g.startDrain()
	}
}

// startDrain has the queue written by a goroutine. mu is held.
func (g *gate) startDrain() {
	g.writing = true
	g.srv.running.Add(1)
	// Stops when everything is written, the client does not read for longer
	// than the limit, or the connection is broken off.
	go g.drain()
}

// sendFile sends a file and then tail, behind what waits already. It takes the
// file over. The reading is the goroutine's: a disk may be slow. mu is held.
func (g *gate) sendFile(f bridge.File, tail string) {
	if g.broken || g.closed {
		f.Close()
		return
	}
	g.file, g.tail = f, tail
	g.short = string(g.x.Span(g.x.MethodName)) + " " + string(g.x.Span(g.x.Target))
	g.cutShort = g.x.Framing == uint8(wire.BodyUntilClose)
	if !g.writing {
		g.startDrain()
	}
}

// filePiece is how much of a file is read at once.
const filePiece = 64 << 10

// refill puts the next piece of the file, or what follows it, into the queue,
// which is empty. mu is held, except while it reads.
func (g *gate) refill() {
	if g.file.Left == 0 {
		g.out, g.outAt = g.out[:0], 0
		g.queue([]byte(g.tail))
		g.file.Close()
		return
	}
	b := g.out[:0]
	if cap(b) < filePiece {
		bridge.Hold(int64(filePiece - cap(b)))
		b = make([]byte, 0, filePiece)
		g.out, g.outAt = b, 0
	}
	// Nobody else touches these while a file is there.
	g.mu.Unlock()
	n, err := g.file.Read(b[:cap(b)])
	g.mu.Lock()
	g.out, g.outAt = b[:n], 0
	if n == 0 {
		why := "the file is shorter than announced"
		if err != nil {
			why = err.Error()
		}
		g.srv.host.Log.Error("%s: %d bytes were not sent: %s", g.short, g.file.Left, why)
		g.file.Close()
		g.closing = true
		g.reset = g.reset || g.cutShort
		g.kick()
	}
}

// queue keeps a copy of b for drain. mu is held.
func (g *gate) queue(b []byte) {
	before := cap(g.out)
	g.out = append(g.out, b...)
	bridge.Hold(int64(cap(g.out) - before))
}

// unsent is the number of bytes that the kernel has not taken. mu is held.
func (g *gate) unsent() int { return len(g.out) - g.outAt }

// drain writes the queue as fast as the client reads.
func (g *gate) drain() {
	defer g.srv.running.Done()
	g.mu.Lock()
	defer g.mu.Unlock()
	defer func() {
		if r := recover(); r != nil {
			g.srv.host.Panic("writing", r)
			g.breakOff()
		}
		bridge.Hold(-int64(cap(g.out)))
		g.writing, g.out, g.outAt = false, nil, 0
		g.file.Close()
		// The end of the connection waits for its output.
		g.kick()
	}()
	for (g.unsent() > 0 || g.file.Is()) && !g.broken && !g.closed {
		if g.unsent() == 0 {
			g.refill()
			continue
		}
		held, err := g.push(g.out[g.outAt:])
		if isTimeout(err) && !g.broken && !g.closed && outQueue(g.sock.fd) < held {
			continue
		}
		if err != nil {
			if isTimeout(err) && !g.broken {
				g.srv.host.Count.Timeouts.Add(1)
				g.reset = true // what is unsent would stay in the kernel for minutes
			}
			g.breakOff()
			return
		}
		if g.stuffed && (g.unsent() == 0 || g.unsent() < bridge.LowWater && !g.srv.host.Full(0)) && g.x != nil && !g.lost {
			g.stuffed = false
			g.srv.ring.Push(message{kind: bridge.EvDrained, g: g, x: g.x, gen: g.gen})
		}
		if g.outAt >= len(g.out)/2 {
			// Else a stream that never quite drains would grow it for ever.
			g.out = g.out[:copy(g.out, g.out[g.outAt:])]
			g.outAt = 0
		}
	}
}

// push waits until the kernel takes some of b, the queue's beginning. held is
// what the kernel had when the wait began: it calls a socket writable only when a
// good part of its memory is free, and a slow client may need longer than the
// limit for that, although it reads all the time. mu is held, except while it
// waits.
func (g *gate) push(b []byte) (held int, err error) {
	if d := g.srv.host.Limits.Write; d > 0 {
		// One for each piece of progress: a slow client is not a stalled one.
		_ = g.sock.conn.SetWriteDeadline(time.Now().Add(d))
	}
	n, failed := 0, error(nil)
	g.mu.Unlock()
	defer func() {
		g.mu.Lock()
		g.outAt += n
		g.srv.host.Count.BytesOut.Add(int64(n))
	}()
	err = g.sock.raw.Write(func(fd uintptr) bool {
		n, failed = tryWrite(int(fd), b)
		if n > 0 || failed != nil {
			return true
		}
		if held == 0 {
			held = outQueue(int(fd))
		}
		return false
	})
	if err == nil {
		err = failed
	}
	return held, err
}

// breakOff gives the connection up: nothing more is sent, and its goroutine
// closes it. mu is held.
func (g *gate) breakOff() {
	if g.broken {
		return
	}
	g.broken = true
	if g.writing && !g.closed {
		_ = g.sock.conn.SetWriteDeadline(past)
	}
	g.kick()
}

// written waits until everything is written or the connection is broken off.
// The connection's goroutine.
func (g *gate) written() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.writing && !g.broken {
		g.parkWaiting()
	}
}
