package wire

import (
	"fmt"
	"strings"
	"testing"
)

func TestFieldsKeepOrderCaseAndDuplicates(t *testing.T) {
	b := []byte(get("X-A: 1\r\nx-b:2\r\nX-A:\t 3 \t\r\nempty:\r\nblank: \t \r\ncolon: a:b: c\r\nX-C: \xe9\xff\ta  b\r\n"))
	h := accept(t, string(b))
	want := []string{"Host=a", "X-A=1", "x-b=2", "X-A=3", "empty=", "blank=", "colon=a:b: c", "X-C=\xe9\xff\ta  b"}
	for i, f := range h.Fields {
		if got := string(f.Name.Of(b)) + "=" + string(f.Value.Of(b)); got != want[i] {
			t.Errorf("%d: %q, want %q", i, got, want[i])
		}
	}
	if len(h.Fields) != len(want) || h.Len != len(b) {
		t.Errorf("%d fields, %d bytes", len(h.Fields), h.Len)
	}
}

func TestLinesOfFieldsAreContiguous(t *testing.T) {
	b := []byte(get("X-A: 1\r\nX-B:2  \r\n"))
	h := accept(t, string(b))
	all := ""
	for i := range h.Fields {
		all += string(h.Line(i).Of(b))
	}
	if all != "Host: a\r\nX-A: 1\r\nX-B:2  \r\n" {
		t.Errorf("%q", all)
	}
}

func TestEveryByteInANameIsATokenOrRefused(t *testing.T) {
	const tokens = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	for c := range 256 {
		b := get("a" + string([]byte{byte(c)}) + "b: 1\r\n")
		_, done, err := parse(t, b, nil)
		want := c < 0x80 && strings.ContainsRune(tokens, rune(c)) || c == ':'
		if done != want || (err == nil) != want {
			t.Errorf("%#x: %v %v", c, done, err)
		}
		sameForAllSplits(t, b, nil)
	}
}

func TestEveryByteInAValueIsAllowedOrRefused(t *testing.T) {
	// At every distance from the ends, since eight are read at a time.
	for c := range 256 {
		want := c == '\t' || c >= 0x20 && c != 0x7f
		for before := range 18 {
			value := strings.Repeat("v", before) + string([]byte{byte(c)})
			b := get("a: " + value + strings.Repeat("w", 17-before) + "\r\n")
			_, done, err := parse(t, b, nil)
			if done != want || (err == nil) != want {
				t.Errorf("%#x at %d: %v %v", c, before, done, err)
			}
		}
	}
}

func TestFieldLinesThatAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		lines string
		want  *Refusal
	}{
		"space before the colon":             {"X-A : 1\r\n", errNameSpace},
		"tab before the colon":               {"X-A\t: 1\r\n", errNameSpace},
		"space in the name":                  {"X A: 1\r\n", errNameSpace},
		"folded value":                       {"X-A: 1\r\n 2\r\n", errFold},
		"folded value, tab":                  {"X-A: 1\r\n\t2\r\n", errFold},
		"line of white space":                {"X-A: 1\r\n \r\n", errFold},
		"empty name":                         {": 1\r\n", errNameEmpty},
		"no colon":                           {"X-A\r\n", errNameByte},
		"control byte in the name":           {"X\x01A: 1\r\n", errNameByte},
		"NUL in the name":                    {"X\x00: 1\r\n", errNameByte},
		"non-ASCII byte in the name":         {"X\xe9: 1\r\n", errNameByte},
		"quote in the name":                  {"\"X\": 1\r\n", errNameByte},
		"bare LF after a value":              {"X-A: 1\nX-B: 2\r\n", errBareLF},
		"bare LF in a name":                  {"X\nA: 1\r\n", errBareLF},
		"bare LF as the empty line":          {"\n", errBareLF},
		"bare CR in a value":                 {"X-A: 1\r2\r\n", errBareCR},
		"bare CR before CRLF":                {"X-A: 1\r\r\n", errBareCR},
		"bare CR in a name":                  {"X\rA: 1\r\n", errNameByte},
		"bare CR at the start of a line":     {"\rX-A: 1\r\n", errBareCR},
		"NUL in a value":                     {"X-A: 1\x002\r\n", errValueByte},
		"control byte in a value":            {"X-A: \x1b[0m\r\n", errValueByte},
		"DEL in a value":                     {"X-A: \x7f\r\n", errValueByte},
		"vertical tab before a value":        {"X-A:\x0b1\r\n", errValueByte},
		"second Host":                        {"Host: a\r\n", errHostSeveral},
		"second Host in another case":        {"hOST: b\r\n", errHostSeveral},
		"expectation of another kind":        {"Expect: 200-ok\r\n", errExpectation},
		"another expectation beside the one": {"Expect: 100-continue, a=b\r\n", errExpectation},
		"another expectation in a second":    {"Expect: 100-continue\r\nExpect: x\r\n", errExpectation},
	} {
		t.Run(name, func(t *testing.T) { refuse(t, get(c.lines), c.want) })
	}
	t.Run("white space before the first field", func(t *testing.T) {
		refuse(t, "GET / HTTP/1.1\r\n Host: a\r\n\r\n", errFirstSpace)
		refuse(t, "GET / HTTP/1.1\r\n\tX: a\r\nHost: a\r\n\r\n", errFirstSpace)
	})
}

func TestHostIsNeededFromHTTP11On(t *testing.T) {
	refuse(t, "GET / HTTP/1.1\r\n\r\n", errHostMissing)
	refuse(t, "GET / HTTP/1.2\r\nX-Host: a\r\n\r\n", errHostMissing)
	accept(t, "GET / HTTP/1.0\r\n\r\n")
	refuse(t, "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", errHostSeveral)
	refuse(t, "GET / HTTP/1.0\r\nHost: a b\r\n\r\n", errHostInvalid)
}

func TestHeaderSectionLimit(t *testing.T) {
	for _, limit := range []int{0, 40, 1000} {
		l := &Limits{Header: limit}
		if limit == 0 {
			limit = 65536
		}
		request := func(section int) string {
			const frame = "Host: a\r\nX: \r\n\r\n"
			return "GET / HTTP/1.1\r\n" + "Host: a\r\nX: " + strings.Repeat("v", section-len(frame)) + "\r\n\r\n"
		}
		if _, done, err := parse(t, request(limit), l); !done {
			t.Errorf("limit %d: a section of that size is refused: %v", limit, err)
		}
		sameForAllSplits(t, request(limit), l)
		refuseWithin(t, request(limit+1), l, errHeaderLength)
		refuseWithin(t, request(limit+5), l, errHeaderLength)
		// Told as soon as it is known, wherever the section is then.
		for _, part := range []string{"n", "n:", "n: ", "n:v\r"} {
			head := "GET / HTTP/1.1\r\nX: " + strings.Repeat("v", limit-len("X: \r\n")-len(part)) + "\r\n" + part
			refuseWithin(t, head, l, errHeaderLength)
		}
	}
}

func TestFieldCountLimit(t *testing.T) {
	for _, limit := range []int{0, 1, 7} {
		l := &Limits{Fields: limit}
		if limit == 0 {
			limit = 200
		}
		lines := ""
		for i := range limit - 1 {
			lines += fmt.Sprintf("X-%d: v\r\n", i)
		}
		if _, done, err := parse(t, get(lines), l); !done {
			t.Errorf("limit %d: that many fields are refused: %v", limit, err)
		}
		refuseWithin(t, get(lines+"Y: v\r\n"), l, errFieldCount)
		refuseWithin(t, get(lines+"Y"), l, errFieldCount)
	}
}

func TestIndexesOfKnownFields(t *testing.T) {
	h := accept(t, get("Cookie: a=b\r\nORIGIN: http://a\r\ncookie: c=d\r\nContent-Type: text/plain\r\nAuthorization: x\r\n"+
		"Expect: 100-Continue\r\nContent-Length: 3\r\nContent-Type: b\r\norigin: null\r\nAuthorization: y\r\nConnection: a\r\n"))
	if h.Host != 0 || h.Cookie != 1 || h.Origin != 2 || h.CookieCount != 2 || h.ContentType != 4 || h.Authorization != 5 || h.Expect != 6 || h.ContentLength != 3 {
		t.Errorf("%+v", h)
	}
	h = accept(t, get("Cookies: a\r\nOrigim: b\r\nContent-Typo: c\r\nAuthorisation: d\r\nExpecz: e\r\nConnectiom: close\r\n"+
		"Content-Lengtz: 5\r\nTransfer-Encodinh: chunked\r\nHosu: a\r\nUpgradf: x\r\n"))
	if h.Host != 0 || h.Cookie != -1 || h.Origin != -1 || h.CookieCount != 0 || h.ContentType != -1 || h.Authorization != -1 ||
		h.Expect != -1 || h.ContentLength != -1 || h.Chunked || !h.KeepAlive {
		t.Errorf("%+v", h)
	}
}

func TestHeadIsReusedWithoutTraceOfTheOneBefore(t *testing.T) {
	var p Parser
	var h Head
	p.Reset(nil)
	first := "POST http://a/?q HTTP/1.0\r\nHost: a\r\nCookie: a\r\nConnection: close\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
	if done, err := p.Parse([]byte(first), &h); !done {
		t.Fatal(err)
	}
	p.Reset(nil)
	if done, err := p.Parse([]byte(smallRequest), &h); !done {
		t.Fatal(err)
	}
	fresh, _, _ := parse(t, smallRequest, nil)
	sameHead(t, smallRequest, fresh, h)
}

func TestPipelinedRequestsAreSplitWhereTheyEnd(t *testing.T) {
	requests := []string{smallRequest, postRequest, "\r\n" + browserRequest, "GET / HTTP/1.0\r\n\r\n"}
	b := []byte(strings.Join(requests, ""))
	var p Parser
	var h Head
	for _, r := range requests {
		p.Reset(nil)
		if done, err := p.Parse(b, &h); !done || h.Len != len(r) {
			t.Fatalf("%q: %v, %d bytes of %d", r, err, h.Len, len(r))
		}
		b = b[h.Len:]
	}
}

func TestParserStaysDoneAndStaysRefused(t *testing.T) {
	var p Parser
	var h Head
	p.Reset(nil)
	for range 2 {
		if done, err := p.Parse([]byte(smallRequest+"x"), &h); !done || err != nil || h.Len != len(smallRequest) {
			t.Fatal(done, err, h.Len)
		}
	}
	p.Reset(nil)
	for _, b := range []string{"GET /\x01", smallRequest} {
		if done, err := p.Parse([]byte(b), &h); done || err != errTargetByte {
			t.Fatal(done, err)
		}
	}
}

// Work is counted, not timed: no byte is looked at in more than one call.
func TestParserNeverGoesBack(t *testing.T) {
	b := []byte(browserRequest)
	var p Parser
	var h Head
	p.Reset(nil)
	for n := range b {
		p.Parse(b[:n], &h)
		if p.Scanned() != n {
			t.Fatalf("%d of %d bytes scanned", p.Scanned(), n)
		}
		// What is behind may be gone, as long as the offsets stay.
		clear(b[:max(0, n-40)])
		copy(b[n:], browserRequest[n:])
	}
}
