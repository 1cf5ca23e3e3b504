package websocket

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestDeflateAndBack(t *testing.T) {
	for _, s := range []string{"", "a", strings.Repeat("hello ", 1000), strings.Repeat("x", 1<<20)} {
		small, err := deflate([]byte(s))
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // a pooled decompressor forgets what it had
			got, err := inflate(small, len(s))
			if err != nil || string(got) != s {
				t.Fatalf("%d bytes: %d bytes, %v", len(s), len(got), err)
			}
		}
	}
}

func TestInflateStopsAtItsLimit(t *testing.T) {
	bomb, err := deflate(bytes.Repeat([]byte{0}, 64<<20))
	if err != nil {
		t.Fatal(err)
	}
	allocated := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			if _, err := inflate(bomb, 1000); !errors.Is(err, errTooBig) {
				b.Fatal(err)
			}
		}
	}).AllocedBytesPerOp()
	if allocated > 256<<10 {
		t.Errorf("%d bytes were allocated for a message of at most 1000", allocated)
	}
}

func TestInflateRefusesNonsense(t *testing.T) {
	for _, s := range []string{"\xff\xff\xff", "\x07", "not deflate at all"} {
		if got, err := inflate([]byte(s), 1000); !errors.Is(err, errStream) {
			t.Errorf("%q: %q, %v", s, got, err)
		}
	}
}
