package wire

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/http/httputil"
	"strconv"
	"strings"
	"testing"
)

func FuzzHead(f *testing.F) {
	f.Add([]byte(smallRequest))
	f.Add([]byte(postRequest + "{}"))
	f.Add([]byte(browserRequest))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := string(b)
		small := &Limits{RequestLine: 64, Header: 100, Fields: 4}
		for _, l := range []*Limits{nil, small} {
			h, done, err := parse(t, s, l)
			h2, done2, err2 := parseBytewise(t, s, l)
			sameResult(t, s, h, done, err, h2, done2, err2)
		}
		h, done, err := parse(t, s, nil)
		if want, complete := reference(s); done != (want && complete) && !isLimit(err) {
			t.Fatalf("%q: done %v %v, by the grammar complete %v, right %v", s, done, err, complete, want)
		}
		if done {
			checkHead(t, b, &h)
		}
	})
}

func isLimit(r *Refusal) bool {
	switch r {
	case errTargetLength, errMethodLength, errHeaderLength, errFieldCount, errEmptyLines:
		return true
	}
	return false
}

// checkHead checks what holds for every accepted head.
func checkHead(t *testing.T, b []byte, h *Head) {
	head := b[:h.Len]
	for _, s := range []Span{h.Method, h.Target, h.Path, h.Query, h.Authority} {
		if s.End() > h.Len {
			t.Fatalf("%q: %v is outside", b, s)
		}
	}
	plain := bytes.ReplaceAll(head, []byte("\r\n"), nil)
	if bytes.ContainsAny(plain, "\r\n\x00") {
		t.Fatalf("%q: bare CR, LF or NUL", head)
	}

	// Written out plainly it means the same.
	out := append(append(append([]byte(nil), h.Method.Of(b)...), ' '), h.Target.Of(b)...)
	out = append(out, " HTTP/1."+strconv.Itoa(int(h.Minor))+"\r\n"...)
	for _, f := range h.Fields {
		out = append(append(append(append(out, f.Name.Of(b)...), ':'), f.Value.Of(b)...), "\r\n"...)
	}
	out = append(out, "\r\n"...)
	h2, done, err := parse(t, string(out), nil)
	if !done || h2.Len != len(out) || len(h2.Fields) != len(h.Fields) {
		t.Fatalf("%q\nwritten as %q: %v", head, out, err)
	}
	if h2.MethodID != h.MethodID || h2.Form != h.Form || h2.HasQuery != h.HasQuery || h2.EmptyPath != h.EmptyPath ||
		h2.Chunked != h.Chunked || h2.KeepAlive != h.KeepAlive || h2.Expect100 != h.Expect100 ||
		h2.ContentLength != h.ContentLength || h2.Host != h.Host || h2.CookieCount != h.CookieCount {
		t.Fatalf("%q: %+v\nwritten as %q: %+v", head, h, out, h2)
	}
	for i, f := range h.Fields {
		f2 := h2.Fields[i]
		if !bytes.Equal(f.Name.Of(b), f2.Name.Of(out)) || !bytes.Equal(f.Value.Of(b), f2.Value.Of(out)) {
			t.Fatalf("%q: field %d is %q", head, i, f2.Value.Of(out))
		}
	}

	// Where Go's own server takes it too, both see one message.
	r, rerr := http.ReadRequest(bufio.NewReader(bytes.NewReader(out)))
	if rerr != nil {
		return
	}
	length := max(0, h.ContentLength)
	if h.Chunked {
		length = -1
	}
	if r.ContentLength != length || (len(r.TransferEncoding) == 1) != h.Chunked || r.Method != string(h.Method.Of(b)) {
		t.Fatalf("%q: %+v\nnet/http: %q %d %q", head, h, r.Method, r.ContentLength, r.TransferEncoding)
	}
}

func FuzzBody(f *testing.F) {
	f.Add([]byte("5\r\nhello\r\n0\r\n\r\n"), int64(-1), 1)
	f.Add([]byte("5;a=\"b\"\r\nhello\r\n0\r\nX: y\r\n\r\nGET"), int64(-1), 2)
	f.Add([]byte("hello, more"), int64(5), 3)
	f.Fuzz(func(t *testing.T, b []byte, length int64, size int) {
		h := &Head{ContentLength: length, Chunked: length < 0}
		l := &Limits{ChunkExt: 40, Trailer: 60, Fields: 3}
		payload, n, done, err := readBody(t, h, l, b, 0)
		payload2, n2, done2, err2 := readBody(t, h, l, b, 1+(size&0xff))
		if !bytes.Equal(payload, payload2) || n != n2 || done != done2 || err != err2 {
			t.Fatalf("%q: %q %d %v %v, in pieces %q %d %v %v", b, payload, n, done, err, payload2, n2, done2, err2)
		}
		if done && err != nil {
			t.Fatal("done and refused")
		}
		if !h.Chunked {
			if want := b[:min(int64(len(b)), length)]; !bytes.Equal(payload, want) || err != nil || done != (int64(len(want)) == length) {
				t.Fatalf("%d of %q: %q %v %v", length, b, payload, done, err)
			}
			return
		}
		if !done {
			return
		}
		if plain := bytes.ReplaceAll(b[:n], []byte("\r\n"), nil); len(payload) == 0 && bytes.ContainsAny(plain, "\r\n\x00") {
			t.Fatalf("%q: bare CR, LF or NUL", b[:n])
		}
		again := AppendLastChunk(AppendChunk(nil, payload))
		payload3, n3, done3, err3 := readBody(t, h, l, again, 0)
		if !bytes.Equal(payload, payload3) || n3 != len(again) || !done3 {
			t.Fatalf("%q: written as %q: %v", payload, again, err3)
		}
		other, oerr := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(b)))
		if oerr == nil && !bytes.Equal(other, payload) {
			t.Fatalf("%q: %q, net/http reads %q", b, payload, other)
		}
	})
}

func FuzzReply(f *testing.F) {
	f.Add(200, "content-length", "5", "content-type", "application/json", int64(5), uint8(9))
	f.Add(204, "connection", "close", "transfer-encoding", "chunked", int64(-1), uint8(1))
	f.Add(304, "date", "today", "Server", "mine", int64(-1), uint8(8))
	f.Fuzz(func(t *testing.T, status int, n1, v1, n2, v2 string, bodyLen int64, flags uint8) {
		bodyLen = max(-1, bodyLen)
		r := Reply{Status: status, Minor: flags & 1, HEAD: flags&2 != 0, CONNECT: flags&4 != 0, KeepAlive: flags&8 != 0}
		packed := pack(n1, v1, n2, v2)
		if flags&16 != 0 && len(packed) > 0 {
			packed = packed[:len(packed)-1]
		}
		out, framing, err := AppendHead(nil, &r, packed, bodyLen, Own(ours))
		if err != nil {
			if len(out) != 0 {
				t.Fatalf("%v, and %q", err, out)
			}
			return
		}
		checkReply(t, &r, out, framing, bodyLen, [][2]string{{n1, v1}, {n2, v2}})
	})
}

// checkReply checks what holds for every response head.
func checkReply(t *testing.T, r *Reply, out []byte, framing Framing, bodyLen int64, given [][2]string) {
	head, ended := strings.CutSuffix(string(out), "\r\n\r\n")
	lines := strings.Split(head, "\r\n")
	if !ended || strings.ContainsAny(strings.Join(lines, ""), "\r\n\x00") {
		t.Fatalf("%q: more than one head", out)
	}
	if len(lines) > 1+2+len(given)+3 {
		t.Fatalf("%q: too many lines", out)
	}
	count := map[string]int{}
	for _, line := range lines[1:] {
		name, _, ok := strings.Cut(line, ": ")
		if !ok {
			t.Fatalf("%q: line %q", out, line)
		}
		count[strings.ToLower(name)]++
	}
	for _, g := range given {
		switch strings.ToLower(g[0]) {
		case "content-length", "transfer-encoding", "connection":
		default:
			if !strings.Contains(head+"\r\n", "\r\n"+g[0]+": "+g[1]+"\r\n") {
				t.Fatalf("%q: without %q", out, g)
			}
		}
	}
	lengths, codings := count["content-length"], count["transfer-encoding"]
	none := r.Status < 200 || r.Status == 204 || r.CONNECT && r.Status < 300
	switch {
	case lengths > 1 || codings > 1 || lengths+codings > 1 || none && lengths+codings > 0:
		t.Fatalf("%q: framed twice, or where it must not be", out)
	case (codings == 1) != (framing.Kind == BodyChunked), framing.Kind == BodyChunked && r.Minor == 0:
		t.Fatalf("%q: %+v", out, framing)
	case framing.Kind == BodyLength && (lengths != 1 || bodyLen >= 0 && bodyLen != framing.Length):
		t.Fatalf("%q: %+v", out, framing)
	case framing.Kind != BodyNone && (r.HEAD && !r.CONNECT || r.Status == 304):
		t.Fatalf("%q: %+v", out, framing)
	case framing.Kind == BodyUntilClose && framing.KeepAlive, framing.KeepAlive && !r.KeepAlive:
		t.Fatalf("%q: %+v", out, framing)
	}
	if r.Status < 200 {
		return
	}
	method := "GET"
	if r.HEAD {
		method = "HEAD"
	}
	res, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(out)), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%q: net/http: %v", out, err)
	}
	if res.StatusCode != r.Status {
		t.Fatalf("%q: net/http: %d", out, res.StatusCode)
	}
	if res.Close == framing.KeepAlive && r.Minor == 1 {
		t.Fatalf("%q: %+v, net/http: close %v", out, framing, res.Close)
	}
	if framing.Kind == BodyLength && res.ContentLength != framing.Length {
		t.Fatalf("%q: %+v, net/http: %d", out, framing, res.ContentLength)
	}
}
