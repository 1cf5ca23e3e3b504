package wire

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

var chunkedHead = Head{Chunked: true, ContentLength: -1}

// readBody gives b to a new Body in pieces of the given size (0: at once) and
// returns the payload and the number of bytes consumed.
func readBody(t testing.TB, h *Head, l *Limits, b []byte, size int) (payload []byte, n int, done bool, err *Refusal) {
	t.Helper()
	var d Body
	d.Reset(h, l)
	if size == 0 {
		size = max(1, len(b))
	}
	for n < len(b) && !d.Done() && err == nil {
		src := b[n:min(len(b), n+size)]
		for len(src) > 0 && !d.Done() && err == nil {
			var data []byte
			var used int
			data, used, err = d.Next(src)
			if used <= 0 || used > len(src) || len(data) > used {
				t.Fatalf("%.200q: %d bytes used and %d given of %d", b, used, len(data), len(src))
			}
			if len(data) > 0 && &data[len(data)-1] != &src[used-1] {
				t.Fatalf("%.200q: payload is not the end of what was used", b)
			}
			payload = append(payload, data...)
			src = src[used:]
			n += used
		}
	}
	if d.Received() != int64(len(payload)) {
		t.Fatalf("%.200q: %d received, %d given", b, d.Received(), len(payload))
	}
	return payload, n, d.Done(), err
}

// sameBody reads b at once and in pieces, compares, and returns the result.
func sameBody(t testing.TB, h *Head, l *Limits, b []byte) (payload []byte, n int, done bool, err *Refusal) {
	t.Helper()
	payload, n, done, err = readBody(t, h, l, b, 0)
	for _, size := range []int{1, 2, 3, 7, 64} {
		payload2, n2, done2, err2 := readBody(t, h, l, b, size)
		if !bytes.Equal(payload, payload2) || n != n2 || done != done2 || err != err2 {
			t.Fatalf("%.200q: at once %d %v %v, by %d bytes %d %v %v", b, n, done, err, size, n2, done2, err2)
		}
	}
	return payload, n, done, err
}

func acceptChunks(t *testing.T, b, want string) {
	t.Helper()
	const next = "GET / HTTP/1.1\r\n"
	payload, n, done, err := sameBody(t, &chunkedHead, nil, []byte(b+next))
	if !done || string(payload) != want || n != len(b) {
		t.Errorf("%.200q: %q, %d of %d bytes, done %v, %v", b, payload, n, len(b), done, err)
	}
}

func refuseChunks(t *testing.T, b string, want *Refusal) {
	t.Helper()
	if _, _, done, err := sameBody(t, &chunkedHead, nil, []byte(b)); done || err != want {
		t.Errorf("%.200q: done %v, refusal %v, want %v", b, done, err, want)
	}
}

func TestBodyOfKnownLength(t *testing.T) {
	h := &Head{ContentLength: 5}
	payload, n, done, err := sameBody(t, h, nil, []byte("helloGET /"))
	if string(payload) != "hello" || n != 5 || !done || err != nil {
		t.Errorf("%q %d %v %v", payload, n, done, err)
	}
	if _, _, done, _ := sameBody(t, h, nil, []byte("hell")); done {
		t.Error("done a byte early")
	}
	var d Body
	d.Reset(h, nil)
	d.Next([]byte("he"))
	if d.Remaining() != 3 || d.Done() {
		t.Errorf("%d remain", d.Remaining())
	}
}

func TestNoBodyIsDoneAtOnce(t *testing.T) {
	for _, length := range []int64{-1, 0} {
		var d Body
		d.Reset(&Head{ContentLength: length}, nil)
		data, n, err := d.Next([]byte("GET"))
		if !d.Done() || len(data) != 0 || n != 0 || err != nil || d.Remaining() != 0 {
			t.Errorf("%d: %v %q %d %v", length, d.Done(), data, n, err)
		}
	}
}

func TestPayloadIsPartOfWhatWasGiven(t *testing.T) {
	src := []byte("5\r\nhello\r\n0\r\n\r\n")
	var d Body
	d.Reset(&chunkedHead, nil)
	data, n, err := d.Next(src)
	if err != nil || &data[0] != &src[3] || n != 8 || cap(data) != 5 {
		t.Errorf("%q %d %v", data, n, err)
	}
	if d.Remaining() != -1 {
		t.Errorf("%d remain", d.Remaining())
	}
	if data, n, err := d.Next(src[8:]); len(data) != 0 || n != 7 || err != nil || !d.Done() || d.Remaining() != 0 {
		t.Errorf("%q %d %v", data, n, err)
	}
}

func TestChunks(t *testing.T) {
	for b, want := range map[string]string{
		"0\r\n\r\n":                      "",
		"000\r\n\r\n":                    "",
		"5\r\nhello\r\n0\r\n\r\n":        "hello",
		"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n": "abc",
		"a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n":           "01234567890123456789",
		"0000000000000005\r\nhello\r\n0\r\n\r\n":                    "hello",
		"4\r\n\r\n\r\n\r\n0\r\n\r\n":                                "\r\n\r\n",
		"5;a\r\nhello\r\n0;b=c\r\n\r\n":                             "hello",
		"5;a=b;c;d=\"e;\\\" f\"\r\nhello\r\n0\r\n\r\n":              "hello",
		"5 ; \ta =\tb ;c\r\nhello\r\n0\r\n\r\n":                     "hello",
		"5;a=\"\"\r\nhello\r\n0\r\n\r\n":                            "hello",
		"5;a=\"\xe9\t\"\r\nhello\r\n0\r\n\r\n":                      "hello",
		"1\r\na\r\n0\r\nX-Sum: abc\r\ny:\t\r\nz: \xe9 \r\n\r\n":     "a",
		"0\r\nTransfer-Encoding-X: a\r\nHos: b\r\nHostx: c\r\n\r\n": "",
		"0\r\n" + strings.Repeat("n", 300) + ": a\r\n\r\n":          "",
	} {
		acceptChunks(t, b, want)
	}
	long := strings.Repeat("0123456789abcdef", 5000)
	acceptChunks(t, fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(long), long), long)
}

func TestChunksThatAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		body string
		want *Refusal
	}{
		"no size":                          {"\r\nhello", errChunkSize},
		"no size, extension":               {";a\r\n", errChunkSize},
		"sign":                             {"+5\r\nhello", errChunkSize},
		"minus":                            {"-1\r\nhello", errChunkSize},
		"space before the size":            {" 5\r\nhello", errChunkSize},
		"prefix":                           {"0x5\r\nhello", errChunkExt},
		"letter":                           {"g\r\n", errChunkSize},
		"digit separator":                  {"1_0\r\n", errChunkExt},
		"size above an int64":              {"8000000000000000\r\n", errChunkOverflow},
		"size that would wrap":             {"10000000000000005\r\nhello", errChunkOverflow},
		"size of f":                        {"ffffffffffffffff\r\n", errChunkOverflow},
		"too many zeros":                   {"00000000000000005\r\nhello", errChunkOverflow},
		"bare LF after the size":           {"5\nhello\r\n0\r\n\r\n", errChunkSize},
		"bare CR after the size":           {"5\rhello", errBareCR},
		"space after the size":             {"5 \r\nhello", errChunkExt},
		"bytes after the size":             {"5 5\r\nhello", errChunkExt},
		"bare LF in an extension":          {"5;a\nhello", errChunkExt},
		"bare CR in an extension":          {"5;a\rb\r\nhello", errBareCR},
		"NUL in an extension":              {"5;a\x00\r\nhello", errChunkExt},
		"empty extension":                  {"5;\r\nhello", errChunkExt},
		"extension without a name":         {"5;=a\r\nhello", errChunkExt},
		"extension without a value":        {"5;a=\r\nhello", errChunkExt},
		"white space at the end":           {"5;a=b \r\nhello", errChunkExt},
		"white space after a name":         {"5;a \r\nhello", errChunkExt},
		"quoted value cut short":           {"5;a=\"b\r\nhello", errChunkExt},
		"bare LF in a quoted value":        {"5;a=\"\n\"\r\nhello", errChunkExt},
		"CR escaped in a quoted value":     {"5;a=\"\\\r\n\"\r\nhello", errChunkExt},
		"control byte in a quoted value":   {"5;a=\"\x01\"\r\nhello", errChunkExt},
		"control byte escaped":             {"5;a=\"\\\x01\"\r\nhello", errChunkExt},
		"bytes after a quoted value":       {"5;a=\"b\"c\r\nhello", errChunkExt},
		"value of another kind":            {"5;a=;\r\nhello", errChunkExt},
		"two values":                       {"5;a=b=c\r\nhello", errChunkExt},
		"two names":                        {"5;a b\r\nhello", errChunkExt},
		"data longer than the size":        {"4\r\nhello\r\n0\r\n\r\n", errChunkEnd},
		"data without CRLF":                {"5\r\nhello0\r\n\r\n", errChunkEnd},
		"data with a bare LF":              {"5\r\nhello\n0\r\n\r\n", errChunkEnd},
		"data with a bare CR":              {"5\r\nhello\r0\r\n\r\n", errChunkEnd},
		"two bytes that are no CRLF":       {"5\r\nhelloXX0\r\n\r\n", errChunkEnd},
		"bare LF as the last line":         {"0\r\n\n", errBareLF},
		"bare CR as the last line":         {"0\r\n\rX", errBareCR},
		"trailer: space before the colon":  {"0\r\nX : 1\r\n\r\n", errNameSpace},
		"trailer: folded":                  {"0\r\nX: 1\r\n 2\r\n\r\n", errFold},
		"trailer: white space first":       {"0\r\n X: 1\r\n\r\n", errFold},
		"trailer: empty name":              {"0\r\n: 1\r\n\r\n", errNameEmpty},
		"trailer: no colon":                {"0\r\nGET / HTTP/1.1\r\n\r\n", errNameSpace},
		"trailer: byte in the name":        {"0\r\nX(: 1\r\n\r\n", errNameByte},
		"trailer: NUL in the value":        {"0\r\nX: \x00\r\n\r\n", errValueByte},
		"trailer: bare LF":                 {"0\r\nX: 1\n\r\n", errBareLF},
		"trailer: bare CR":                 {"0\r\nX: 1\r2\r\n\r\n", errBareCR},
		"trailer: Content-Length":          {"0\r\nContent-Length: 5\r\n\r\n", errTrailerField},
		"trailer: Transfer-Encoding":       {"0\r\nX: 1\r\ntransfer-encoding: chunked\r\n\r\n", errTrailerField},
		"trailer: Host":                    {"0\r\nHOST: b\r\n\r\n", errTrailerField},
		"trailer: Connection":              {"0\r\nConnection: close\r\n\r\n", errTrailerField},
		"trailer: Trailer":                 {"0\r\nTrailer: x\r\n\r\n", errTrailerField},
		"trailer: TE":                      {"0\r\nTE: x\r\n\r\n", errTrailerField},
		"trailer: Expect":                  {"0\r\nExpect: 100-continue\r\n\r\n", errTrailerField},
		"trailer: Upgrade":                 {"0\r\nUpgrade: x\r\n\r\n", errTrailerField},
		"request after a missing last end": {"0\r\nPOST / HTTP/1.1\r\nHost: a\r\n\r\n", errNameSpace},
	} {
		t.Run(name, func(t *testing.T) { refuseChunks(t, c.body, c.want) })
	}
}

func TestLargestChunkSize(t *testing.T) {
	var d Body
	d.Reset(&chunkedHead, nil)
	if _, n, err := d.Next([]byte("7ffffffffffffff0\r\nx")); n != 19 || err != nil {
		t.Error(n, err)
	}
}

func TestChunkExtensionsAreBoundedForTheWholeBody(t *testing.T) {
	for _, limit := range []int{0, 10, 300} {
		l := &Limits{ChunkExt: limit}
		if limit == 0 {
			limit = 16384
		}
		one := "1;" + strings.Repeat("x", limit-1) + "\r\na\r\n0"
		if _, _, done, err := sameBody(t, &chunkedHead, l, []byte(one+"\r\n\r\n")); !done {
			t.Errorf("limit %d: that much is refused: %v", limit, err)
		}
		if _, _, _, err := sameBody(t, &chunkedHead, l, []byte(one+";y\r\n\r\n")); err != errChunkExtSize {
			t.Errorf("limit %d: %v", limit, err)
		}
		many := strings.Repeat("1;x\r\na\r\n", limit/2+1)
		if _, _, _, err := sameBody(t, &chunkedHead, l, []byte(many)); err != errChunkExtSize {
			t.Errorf("limit %d: %v", limit, err)
		}
	}
}

func TestTrailersAreBounded(t *testing.T) {
	for _, limit := range []int{0, 12, 300} {
		l := &Limits{Trailer: limit}
		if limit == 0 {
			limit = 8192
		}
		body := func(section int) []byte {
			return []byte("0\r\nX:" + strings.Repeat("v", section-len("X:\r\n\r\n")) + "\r\n\r\n")
		}
		if _, _, done, err := sameBody(t, &chunkedHead, l, body(limit)); !done {
			t.Errorf("limit %d: that much is refused: %v", limit, err)
		}
		if _, _, _, err := sameBody(t, &chunkedHead, l, body(limit+1)); err != errTrailerSize {
			t.Errorf("limit %d: %v", limit, err)
		}
	}
	l := &Limits{Fields: 3}
	if _, _, done, err := sameBody(t, &chunkedHead, l, []byte("0\r\na:1\r\nb:2\r\nc:3\r\n\r\n")); !done {
		t.Error(err)
	}
	if _, _, _, err := sameBody(t, &chunkedHead, l, []byte("0\r\na:1\r\nb:2\r\nc:3\r\nd")); err != errTrailerCount {
		t.Error(err)
	}
	if _, _, done, err := sameBody(t, &chunkedHead, &Limits{Trailer: 1}, []byte("0\r\n\r\n")); !done {
		t.Error("a limit that no body could keep:", err)
	}
}

func TestBodyStaysRefused(t *testing.T) {
	var d Body
	d.Reset(&chunkedHead, nil)
	for _, src := range []string{"x", "5\r\nhello\r\n0\r\n\r\n", ""} {
		if data, _, err := d.Next([]byte(src)); err != errChunkSize || len(data) > 0 || d.Done() {
			t.Error(src, err)
		}
	}
}
