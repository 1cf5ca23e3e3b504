package server

import "sync"

const (
	// inputSize holds nearly every request head; a larger one makes the input
	// grow as far as the parser lets it.
	inputSize = 4 << 10
	// inputBody is what the input grows to while a large body is read: fewer
	// system calls per megabyte.
	inputBody = 64 << 10
)

var (
	smallInputs = sync.Pool{New: func() any { return new([inputSize]byte) }}
	largeInputs = sync.Pool{New: func() any { return new([inputBody]byte) }}
)

// input is what was read from a connection and not used yet. It borrows its
// memory from pools and has none while it is empty and its owner waits, so an
// idle connection costs no buffer. It belongs to the connection's goroutine.
type input struct {
	buf  []byte
	r, w int // buf[r:w] is unused
}

// bytes is what is there, valid until room or drop.
func (in *input) bytes() []byte { return in.buf[in.r:in.w] }

func (in *input) len() int { return in.w - in.r }

// use forgets the first n bytes.
func (in *input) use(n int) {
	in.r += n
	if in.r == in.w {
		in.r, in.w = 0, 0
	}
}

// room returns free space, at least a byte, behind what is there, whose place
// it may change. want is the whole size it would be worth to have.
func (in *input) room(want int) []byte {
	if in.w < len(in.buf) && len(in.buf) >= want {
		return in.buf[in.w:]
	}
	if in.r > 0 && len(in.buf) >= want {
		in.w = copy(in.buf, in.buf[in.r:in.w])
		in.r = 0
		return in.buf[in.w:]
	}
	old, held := in.buf, in.bytes()
	switch size := max(want, 2*len(held), inputSize); {
	case size <= inputSize:
		in.buf = smallInputs.Get().(*[inputSize]byte)[:]
	case size <= inputBody:
		in.buf = largeInputs.Get().(*[inputBody]byte)[:]
	default:
		in.buf = make([]byte, size)
	}
	in.w = copy(in.buf, held)
	in.r = 0
	recycle(old)
	return in.buf[in.w:]
}

// drop gives the memory back if nothing is in it.
func (in *input) drop() {
	if in.r == in.w && in.buf != nil {
		recycle(in.buf)
		*in = input{}
	}
}

// recycle puts b into the pool of its size. Others are left to the collector: a
// pool must not keep the largest head that ever came.
func recycle(b []byte) {
	switch len(b) {
	case inputSize:
		smallInputs.Put((*[inputSize]byte)(b))
	case inputBody:
		largeInputs.Put((*[inputBody]byte)(b))
	}
}
