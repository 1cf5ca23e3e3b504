package wire

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// parse gives b to a new Parser at once.
func parse(t testing.TB, b string, l *Limits) (Head, bool, *Refusal) {
	t.Helper()
	var p Parser
	var h Head
	p.Reset(l)
	done, err := p.Parse([]byte(b), &h)
	if done && err != nil {
		t.Fatalf("%.200q: done and refused: %v", b, err)
	}
	return h, done, err
}

// parseBytewise gives b to a new Parser byte by byte; a short one in a new array
// each time, as if its buffer grew.
func parseBytewise(t testing.TB, b string, l *Limits) (Head, bool, *Refusal) {
	t.Helper()
	var p Parser
	var h Head
	p.Reset(l)
	buf := []byte(b)
	for n := 0; n <= len(b); n++ {
		part := buf[:n:n]
		if len(b) < 2048 {
			part = bytes.Clone(part)
		}
		done, err := p.Parse(part, &h)
		if done || err != nil {
			return h, done, err
		}
	}
	return h, false, nil
}

// accept parses a head that has to be accepted, in every way.
func accept(t testing.TB, b string) Head {
	t.Helper()
	h, done, err := parse(t, b, nil)
	if !done {
		t.Fatalf("%.200q: not accepted: %v", b, err)
	}
	sameForAllSplits(t, b, nil)
	return h
}

// refuse parses a head that has to be refused with want, in every way.
func refuse(t testing.TB, b string, want *Refusal) {
	t.Helper()
	refuseWithin(t, b, nil, want)
}

func refuseWithin(t testing.TB, b string, l *Limits, want *Refusal) {
	t.Helper()
	_, done, err := parse(t, b, l)
	if err != want {
		t.Fatalf("%.200q: done %v, refusal %v, want %v", b, done, err, want)
	}
	sameForAllSplits(t, b, l)
}

// sameForAllSplits checks that byte by byte, and cut in two at every place (a
// long one at some), b leads to the same result as at once.
func sameForAllSplits(t testing.TB, b string, l *Limits) {
	t.Helper()
	h, done, err := parse(t, b, l)
	h2, done2, err2 := parseBytewise(t, b, l)
	sameResult(t, b, h, done, err, h2, done2, err2)
	step := 1
	if len(b) > 1024 {
		step = len(b) / 16
	}
	for cut := 0; cut <= len(b); cut += step {
		var p Parser
		var h2 Head
		p.Reset(l)
		done2, err2 := p.Parse([]byte(b[:cut]), &h2)
		if !done2 && err2 == nil {
			done2, err2 = p.Parse([]byte(b), &h2)
		}
		sameResult(t, b, h, done, err, h2, done2, err2)
	}
}

func sameResult(t testing.TB, b string, h Head, done bool, err *Refusal, h2 Head, done2 bool, err2 *Refusal) {
	t.Helper()
	if done != done2 || err != err2 {
		t.Fatalf("%.200q: at once (%v, %v), in pieces (%v, %v)", b, done, err, done2, err2)
	}
	if done {
		sameHead(t, b, h, h2)
	}
}

func sameHead(t testing.TB, b string, h, h2 Head) {
	t.Helper()
	f, f2 := h.Fields, h2.Fields
	if len(f) != len(f2) {
		t.Fatalf("%.200q: %d and %d fields", b, len(f), len(f2))
	}
	for i := range f {
		if f[i] != f2[i] {
			t.Fatalf("%.200q: field %d: %v and %v", b, i, f[i], f2[i])
		}
	}
	h.Fields, h2.Fields = nil, nil
	if !equalHeads(&h, &h2) {
		t.Fatalf("%.200q: %+v\nand %+v", b, h, h2)
	}
}

// equalHeads compares everything but Fields, which the caller has set to nil.
func equalHeads(h, h2 *Head) bool {
	return h.Method == h2.Method && h.MethodID == h2.MethodID && h.Form == h2.Form && h.Minor == h2.Minor &&
		h.HasQuery == h2.HasQuery && h.EmptyPath == h2.EmptyPath && h.Chunked == h2.Chunked &&
		h.KeepAlive == h2.KeepAlive && h.Expect100 == h2.Expect100 &&
		h.Target == h2.Target && h.Path == h2.Path && h.Query == h2.Query && h.Authority == h2.Authority &&
		h.ContentLength == h2.ContentLength && h.Host == h2.Host && h.Origin == h2.Origin &&
		h.Cookie == h2.Cookie && h.ContentType == h2.ContentType && h.Authorization == h2.Authorization &&
		h.Expect == h2.Expect && h.CookieCount == h2.CookieCount && h.Len == h2.Len
}

// get is a request with the given field lines, each with its CRLF.
func get(lines string) string {
	return "GET / HTTP/1.1\r\nHost: a\r\n" + lines + "\r\n"
}

// pack makes AppendHead's form of name, value, name, value...
func pack(fields ...string) []byte {
	var b []byte
	for i := 0; i < len(fields); i += 2 {
		b = binary.NativeEndian.AppendUint32(b, uint32(len(fields[i])))
		b = binary.NativeEndian.AppendUint32(b, uint32(len(fields[i+1])))
		b = append(append(b, fields[i]...), fields[i+1]...)
	}
	return b
}
