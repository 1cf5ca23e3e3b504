package wire

import (
	"strings"
	"testing"
)

func TestRequestLineIsTakenApart(t *testing.T) {
	const b = "GET /items/a%2Fb?q=1&q=%20 HTTP/1.1\r\nHost: example.com:8000\r\n\r\n"
	h := accept(t, b)
	for _, c := range []struct {
		what, got, want string
	}{
		{"method", string(h.Method.Of([]byte(b))), "GET"},
		{"target", string(h.Target.Of([]byte(b))), "/items/a%2Fb?q=1&q=%20"},
		{"path", string(h.Path.Of([]byte(b))), "/items/a%2Fb"},
		{"query", string(h.Query.Of([]byte(b))), "q=1&q=%20"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %q, want %q", c.what, c.got, c.want)
		}
	}
	if h.MethodID != MethodGET || h.Form != FormOrigin || !h.HasQuery || h.Minor != 1 || h.Len != len(b) || h.EmptyPath {
		t.Errorf("%+v", h)
	}
}

func TestMethodsAreCaseSensitive(t *testing.T) {
	for method, want := range map[string]Method{
		"GET": MethodGET, "HEAD": MethodHEAD, "POST": MethodPOST, "PUT": MethodPUT, "PATCH": MethodPATCH,
		"DELETE": MethodDELETE, "OPTIONS": MethodOPTIONS, "TRACE": MethodTRACE,
		"get": MethodOther, "Get": MethodOther, "GETS": MethodOther, "GE": MethodOther, "PURGE": MethodOther,
		"!#$%&'*+-.^_`|~09azAZ": MethodOther, strings.Repeat("M", maxMethod): MethodOther,
	} {
		b := method + " / HTTP/1.1\r\nHost: a\r\n\r\n"
		h := accept(t, b)
		if h.MethodID != want || string(h.Method.Of([]byte(b))) != method {
			t.Errorf("%q: %d, want %d", method, h.MethodID, want)
		}
	}
}

func TestQueryMayBeEmptyOrAbsent(t *testing.T) {
	for target, want := range map[string]struct {
		query string
		has   bool
	}{
		"/": {"", false}, "/?": {"", true}, "/??": {"?", true}, "/?a=?b": {"a=?b", true}, "//": {"", false},
		"/?/a": {"/a", true},
	} {
		b := "GET " + target + " HTTP/1.1\r\nHost: a\r\n\r\n"
		h := accept(t, b)
		if string(h.Query.Of([]byte(b))) != want.query || h.HasQuery != want.has {
			t.Errorf("%q: %q %v", target, h.Query.Of([]byte(b)), h.HasQuery)
		}
	}
}

func TestRequestLinesThatAreRefused(t *testing.T) {
	const rest = "\r\nHost: a\r\n\r\n"
	for name, c := range map[string]struct {
		line string
		want *Refusal
	}{
		"space before the method":            {" GET / HTTP/1.1", errMethodByte},
		"tab after the method":               {"GET\t/ HTTP/1.1", errMethodByte},
		"colon in the method":                {"G:T / HTTP/1.1", errMethodByte},
		"non-ASCII byte in the method":       {"G\xc3T / HTTP/1.1", errMethodByte},
		"method only":                        {"GET", errMethodByte},
		"method longer than any":             {strings.Repeat("M", maxMethod+1) + " / HTTP/1.1", errMethodLength},
		"TLS hello":                          {"\x16\x03\x01\x02\x00", errMethodByte},
		"two spaces after the method":        {"GET  / HTTP/1.1", errTargetByte},
		"two spaces before the version":      {"GET /  HTTP/1.1", errVersion},
		"space after the version":            {"GET / HTTP/1.1 ", errVersion},
		"tab before the version":             {"GET /\tHTTP/1.1", errTargetByte},
		"space in the target":                {"GET /a b HTTP/1.1", errVersion},
		"control byte in the path":           {"GET /\x01 HTTP/1.1", errTargetByte},
		"NUL in the path":                    {"GET /\x00 HTTP/1.1", errTargetByte},
		"DEL in the query":                   {"GET /?\x7f HTTP/1.1", errTargetByte},
		"non-ASCII byte in the path":         {"GET /\xc3\xa9 HTTP/1.1", errTargetByte},
		"non-ASCII byte in the query":        {"GET /?q=\xff HTTP/1.1", errTargetByte},
		"fragment in the path":               {"GET /#a HTTP/1.1", errTargetByte},
		"fragment in the query":              {"GET /?a#b HTTP/1.1", errTargetByte},
		"bare CR in the target":              {"GET /a\rb HTTP/1.1", errNoVersion},
		"no version (HTTP/0.9)":              {"GET /", errNoVersion},
		"no version after a query":           {"GET /?a", errNoVersion},
		"no target":                          {"GET ", errNoVersion},
		"version in lower case":              {"GET / http/1.1", errVersion},
		"version without a digit":            {"GET / HTTP/1.x", errVersion},
		"version without a minor":            {"GET / HTTP/1", errVersion},
		"version with two minor digits":      {"GET / HTTP/1.10", errVersion},
		"version with two major digits":      {"GET / HTTP/10.1", errVersion},
		"version with a leading zero":        {"GET / HTTP/01.1", errVersionOther},
		"version with a comma":               {"GET / HTTP/1,1", errVersion},
		"version of another protocol":        {"GET / HTTPS/1.1", errVersion},
		"HTTP/0.9":                           {"GET / HTTP/0.9", errVersionOther},
		"HTTP/2.0":                           {"GET / HTTP/2.0", errVersionOther},
		"HTTP/3.0":                           {"GET / HTTP/3.0", errVersionOther},
		"preface of HTTP/2":                  {"PRI * HTTP/2.0\r\n\r\nSM\r\n", errVersionOther},
		"bare CR after the version":          {"GET / HTTP/1.1\rHost: a", errBareCR},
		"CR CR LF after the version":         {"GET / HTTP/1.1\r", errBareCR},
		"target that is no form of any kind": {"GET items HTTP/1.1", errTargetForm},
		"target that is a query":             {"GET ?a HTTP/1.1", errTargetForm},
	} {
		t.Run(name, func(t *testing.T) { refuse(t, c.line+rest, c.want) })
	}
}

func TestBareLFEndsNoRequestLine(t *testing.T) {
	refuse(t, "GET / HTTP/1.1\nHost: a\r\n\r\n", errBareLF)
	refuse(t, "GET /\nHost: a\r\n\r\n", errBareLF)
	refuse(t, "\nGET / HTTP/1.1\r\n", errBareLF)
	refuse(t, "\r\n\nGET / HTTP/1.1\r\n", errBareLF)
}

func TestMinorVersionsAreServedAsTheHighestKnown(t *testing.T) {
	for version, want := range map[string]uint8{"1.0": 0, "1.1": 1, "1.2": 1, "1.9": 1} {
		h := accept(t, "GET / HTTP/"+version+"\r\nHost: a\r\n\r\n")
		if h.Minor != want {
			t.Errorf("%s: %d", version, h.Minor)
		}
	}
}

func TestEmptyLinesBeforeTheRequestLine(t *testing.T) {
	const request = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
	for n := range maxEmptyLines + 1 {
		b := strings.Repeat("\r\n", n) + request
		h := accept(t, b)
		if h.Len != len(b) || string(h.Path.Of([]byte(b))) != "/x" || int(h.Method.Off) != 2*n {
			t.Errorf("%d: %+v", n, h)
		}
	}
	refuse(t, strings.Repeat("\r\n", maxEmptyLines+1)+request, errEmptyLines)
	refuse(t, "\r\r\n"+request, errBareCR)
}

func TestStartedAfterTheFirstByteOfARequestLine(t *testing.T) {
	var p Parser
	var h Head
	p.Reset(nil)
	for _, b := range []string{"", "\r", "\r\n"} {
		if p.Parse([]byte(b), &h); p.Started() {
			t.Errorf("%q: started", b)
		}
	}
	if p.Parse([]byte("\r\nG"), &h); !p.Started() {
		t.Error("not started")
	}
}

func TestRequestLineLimit(t *testing.T) {
	for _, limit := range []int{0, 64, 100, 5000} {
		l := &Limits{RequestLine: limit}
		if limit == 0 {
			limit = 8192
		}
		fit := limit - len("GET / HTTP/1.1")
		for _, mark := range []string{"a", "?", "/?"} {
			line := func(n int) string {
				return "GET /" + mark + strings.Repeat("a", n-len(mark)) + " HTTP/1.1\r\nHost: a\r\n\r\n"
			}
			if _, done, err := parse(t, line(fit), l); !done {
				t.Errorf("limit %d: a line of that length is refused: %v", limit, err)
			}
			sameForAllSplits(t, line(fit), l)
			refuseWithin(t, line(fit+1), l, errTargetLength)
			refuseWithin(t, line(fit+20), l, errTargetLength)
		}
		absolute := "GET http://" + strings.Repeat("a", limit)
		refuseWithin(t, absolute, l, errTargetLength)
		// Told as soon as it is known, not when the line ends.
		refuseWithin(t, "GET /"+strings.Repeat("a", limit-len("GET /")), l, errTargetLength)
	}
}
