package websocket

import (
	"bytes"
	"errors"
	"io"
	"sync"

	"github.com/gobwas/ws/wsflate"
	"github.com/klauspost/compress/flate"
)

var errStream = errors.New("invalid compressed data")

// Every message begins anew, so a connection needs nothing of its own: these are
// shared by all.

// inflating is a decompressor with what it reads.
type inflating struct {
	src   bytes.Reader
	plain struct{ io.Reader }
	r     *wsflate.Reader
}

// deflating is a compressor with what it writes.
type deflating struct {
	w   *wsflate.Writer
	out bytes.Buffer
}

// resettable gives flate's reader the Reset that wsflate looks for.
type resettable struct{ io.ReadCloser }

func (r resettable) Reset(src io.Reader) {
	// Safe to ignore: it fails for a dictionary only.
	_ = r.ReadCloser.(flate.Resetter).Reset(src, nil)
}

var inflaters = sync.Pool{New: func() any {
	f := new(inflating)
	// Without ReadByte: wsflate's own gives a zero too many where the bytes end.
	f.plain.Reader = &f.src
	f.r = wsflate.NewReader(&f.plain, func(r io.Reader) wsflate.Decompressor { return resettable{flate.NewReader(r)} })
	return f
}}

// level is the fastest: a message waits for it.
const level = 1

var deflaters = sync.Pool{New: func() any {
	f := new(deflating)
	f.w = wsflate.NewWriter(&f.out, func(w io.Writer) wsflate.Compressor {
		c, _ := flate.NewWriter(w, level) // the level is valid
		return c
	})
	return f
}}

// inflate returns what b was before it was compressed, at most limit bytes: a
// message that would be longer is found out after that many.
func inflate(b []byte, limit int) ([]byte, error) {
	f := inflaters.Get().(*inflating)
	f.src.Reset(b)
	f.r.Reset(&f.plain)
	out := make([]byte, 0, min(limit, max(512, 4*len(b)))+1)
	for {
		if len(out) > limit {
			return nil, errTooBig
		}
		if len(out) == cap(out) {
			out = append(out, 0)[:len(out)]
		}
		n, err := f.r.Read(out[len(out):min(cap(out), limit+1)])
		out = out[:len(out)+n]
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, errStream
		}
	}
	f.src.Reset(nil)
	inflaters.Put(f) // one that failed is not worth keeping
	if len(out) > limit {
		return nil, errTooBig
	}
	return out, nil
}

// deflate returns b compressed.
func deflate(b []byte) ([]byte, error) {
	f := deflaters.Get().(*deflating)
	f.out.Reset()
	f.w.Reset(&f.out)
	if _, err := f.w.Write(b); err != nil {
		return nil, err
	}
	if err := f.w.Flush(); err != nil {
		return nil, err
	}
	out := bytes.Clone(f.out.Bytes())
	if f.out.Cap() <= 1<<20 {
		deflaters.Put(f)
	}
	return out, nil
}
