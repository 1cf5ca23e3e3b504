package reactor

import (
	"sync"

	"turboapi/gosrc/core"
	"turboapi/gosrc/form"
	"turboapi/gosrc/wire"
)

// Sizes of pooled buffers. Larger ones are left to the garbage collector.
var bufferSizes = [...]int{2 << 10, 8 << 10, 32 << 10, 128 << 10}

// maxPooled is how many bytes each size keeps when nobody uses them.
const maxPooled = 512 << 10

// buffers is a pool of byte slices for leftovers. Any thread.
type buffers struct {
	mu   sync.Mutex
	free [len(bufferSizes)][][]byte
}

// get returns an empty slice with room for n bytes.
func (p *buffers) get(n int) []byte {
	for i, size := range bufferSizes {
		if n > size {
			continue
		}
		p.mu.Lock()
		if last := len(p.free[i]) - 1; last >= 0 {
			b := p.free[i][last]
			p.free[i] = p.free[i][:last]
			p.mu.Unlock()
			return b
		}
		p.mu.Unlock()
		return make([]byte, 0, size)
	}
	return make([]byte, 0, n)
}

// put gives b back; its owner must not touch it any more.
func (p *buffers) put(b []byte) {
	for i, size := range bufferSizes {
		if cap(b) != size {
			continue
		}
		p.mu.Lock()
		if len(p.free[i])*size < maxPooled {
			p.free[i] = append(p.free[i], b[:0])
		}
		p.mu.Unlock()
		return
	}
}

// grow returns b with room for n more bytes, maybe in another buffer.
func (p *buffers) grow(b []byte, n int) []byte {
	if cap(b)-len(b) >= n {
		return b
	}
	// Doubling keeps the copying linear.
	next := append(p.get(max(len(b)+n, 2*cap(b))), b...)
	p.put(b)
	return next
}

// input is what a connection holds while a request is partly read: bytes not
// used yet, and where parsing stands. The reactor has one of its own that all
// complete requests pass through.
type input struct {
	buf      []byte // len is cap
	off, end int    // buf[off:end] is not used yet
	parser   wire.Parser
	head     wire.Head
	body     wire.Body
	form     *form.Parser  // of a form that is being collected
	refusal  *wire.Refusal // what a spooler has found
}

// bytes are those not used yet.
func (in *input) bytes() []byte { return in.buf[in.off:in.end] }

// inputs is a pool of them. The loop's thread.
type inputs struct {
	free []*input
}

const (
	maxInputs = 256
	// maxFieldsKept bounds the memory of a pooled input.
	maxFieldsKept = 64
)

func (p *inputs) get() *input {
	if last := len(p.free) - 1; last >= 0 {
		in := p.free[last]
		p.free = p.free[:last]
		return in
	}
	return new(input)
}

func (p *inputs) put(in *input) {
	if len(p.free) < maxInputs {
		if cap(in.head.Fields) > maxFieldsKept {
			in.head.Fields = nil
		}
		p.free = append(p.free, in)
	}
}

// keepHead keeps what was read of an incomplete head.
func (r *Reactor) keepHead(c *conn, in *input) {
	if in.off == in.end && !in.parser.Started() {
		r.forget(c)
	} else if in == &r.in {
		r.move(c, in)
	}
}

// keepRest keeps what is behind a complete head: the state of its body, and
// bytes of this and later requests.
func (r *Reactor) keepRest(c *conn, in *input) {
	if in.off == in.end && in.body.Done() {
		r.forget(c)
		return
	}
	if in == &r.in {
		in = r.move(c, in)
	}
	in.parser.Reset(&r.host.Limits.Wire)
}

// move makes a copy of the reactor's own input the connection's.
func (r *Reactor) move(c *conn, in *input) *input {
	own := r.inputs.get()
	rest := in.bytes()
	own.off, own.end = 0, len(rest)
	if len(rest) > 0 {
		own.buf = r.buffers.get(len(rest))
		own.buf = own.buf[:cap(own.buf)]
		copy(own.buf, rest)
	}
	// The heads change places, so that each keeps one array of fields.
	own.parser, own.body, own.form = in.parser, in.body, in.form
	in.form = nil
	own.head, in.head = in.head, own.head
	c.in = own
	return own
}

// forget gives the connection's input back.
func (r *Reactor) forget(c *conn) {
	in := c.in
	if in == nil {
		return
	}
	c.in, in.form, in.refusal = nil, nil, nil
	if in.buf != nil {
		r.buffers.put(in.buf)
		in.buf = nil
	}
	in.off, in.end = 0, 0
	r.inputs.put(in)
}

// room makes room in own, a connection's input, for at least one more byte.
func (r *Reactor) room(in *input) {
	if in.end < len(in.buf) {
		return
	}
	if in.off > 0 {
		in.end = copy(in.buf, in.bytes())
		in.off = 0
		return
	}
	b := r.buffers.grow(in.buf[:in.end], max(1, bufferSizes[0]-in.end))
	in.buf = b[:cap(b)]
}

// scratch is what one Flush call writes with.
type scratch struct {
	buf   []byte
	now   uint64
	lines wire.Own // this second's
	wake  bool     // something is in the return queue

	// Added to the counters at the end of the call.
	responses, bytes int64
}

// maxScratch is the largest buffer that a scratch keeps.
const maxScratch = 256 << 10

// scratches is a pool of them. Any thread.
type scratches struct {
	mu   sync.Mutex
	free []*scratch
}

func (p *scratches) get() *scratch {
	p.mu.Lock()
	var s *scratch
	if last := len(p.free) - 1; last >= 0 {
		s = p.free[last]
		p.free = p.free[:last]
	}
	p.mu.Unlock()
	if s == nil {
		s = &scratch{buf: make([]byte, 0, 8<<10)}
	}
	s.now = core.Now()
	return s
}

func (p *scratches) put(s *scratch) {
	if cap(s.buf) > maxScratch {
		s.buf = make([]byte, 0, 8<<10)
	}
	*s = scratch{buf: s.buf[:0]}
	p.mu.Lock()
	p.free = append(p.free, s)
	p.mu.Unlock()
}
