package server

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// put writes b into in as fill does.
func put(in *input, b []byte, want int) {
	for len(b) > 0 {
		n := copy(in.room(want), b)
		in.w += n
		b = b[n:]
	}
}

func TestInputKeepsBytesInOrder(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var in input
	var want []byte
	for i := range 3000 {
		b := make([]byte, rnd.IntN(9000))
		for k := range b {
			b[k] = byte(i + k)
		}
		size := inputSize
		if i%3 == 0 {
			size = inputBody
		}
		put(&in, b, size)
		want = append(want, b...)
		if !bytes.Equal(in.bytes(), want) {
			t.Fatalf("step %d: %d bytes differ from %d", i, in.len(), len(want))
		}
		n := rnd.IntN(len(want) + 1)
		if i%5 == 0 {
			n = len(want)
		}
		in.use(n)
		want = want[n:]
		in.drop()
		if (in.buf == nil) != (len(want) == 0) {
			t.Fatalf("step %d: %d bytes are left in %d bytes of memory", i, len(want), len(in.buf))
		}
	}
}

func TestInputGrowsOnlyAsFarAsItIsFilled(t *testing.T) {
	var in input
	put(&in, make([]byte, inputSize), inputSize)
	if len(in.buf) != inputSize {
		t.Errorf("%d bytes are held in %d", inputSize, len(in.buf))
	}
	in.use(inputSize - 1)
	if in.room(inputSize); len(in.buf) != inputSize {
		t.Errorf("one byte is held in %d", len(in.buf))
	}
	put(&in, make([]byte, 200<<10), inputSize)
	if n := len(in.buf); n > 1<<20 {
		t.Errorf("200 KB are held in %d bytes", n)
	}
}
