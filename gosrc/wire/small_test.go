package wire

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestLimitsWithDefaults(t *testing.T) {
	def := Limits{8192, 65536, 200, 16384, 8192}
	if got := (Limits{}).WithDefaults(); got != def {
		t.Errorf("%+v", got)
	}
	if got := (Limits{-1, -1, -1, -1, -1}).WithDefaults(); got != def {
		t.Errorf("%+v", got)
	}
	if got := (Limits{1, 2, 3, 4, 1}).WithDefaults(); got != (Limits{64, 2, 3, 4, 2}) {
		t.Errorf("%+v", got)
	}
	if got := (Limits{Header: 1 << 40}).WithDefaults(); got.Header != maxLimit {
		t.Errorf("%+v", got)
	}
	if got := def.WithDefaults(); got != def {
		t.Errorf("%+v", got)
	}
}

func TestClockGivesIMFFixdate(t *testing.T) {
	c := NewClock(true, "")
	for _, unix := range []int64{0, 784111777, 1795000000, 784111777, 1 << 33} {
		want := "date: " + time.Unix(unix, 0).UTC().Format(http.TimeFormat) + "\r\n"
		if got := string(c.OwnAt(unix)); got != want {
			t.Errorf("%d: %q, want %q", unix, got, want)
		}
	}
	if got := string(c.OwnAt(784111777)); got != "date: Sun, 06 Nov 1994 08:49:37 GMT\r\n" {
		t.Errorf("%q", got)
	}
	now := strings.TrimSuffix(strings.TrimPrefix(string(c.Own()), "date: "), "\r\n")
	if got, err := http.ParseTime(now); err != nil || time.Since(got).Abs() > time.Minute {
		t.Errorf("%v %v", got, err)
	}
}

func TestOwnLinesAreThoseThatAreWantedAndNotTheApplications(t *testing.T) {
	const date, server = "date: Sun, 06 Nov 1994 08:49:37 GMT\r\n", "server: here\r\n"
	for _, c := range []struct {
		date               bool
		server             string
		appDate, appServer bool
		want               string
	}{
		{true, "here", false, false, date + server},
		{true, "here", true, false, server},
		{true, "here", false, true, date},
		{true, "here", true, true, ""},
		{false, "here", false, false, server},
		{false, "here", true, false, server},
		{false, "here", false, true, ""},
		{true, "", false, false, date},
		{true, "", true, false, ""},
		{true, "", false, true, date},
		{false, "", false, true, ""},
	} {
		if got := string(NewClock(c.date, c.server).OwnAt(784111777).without(c.appDate, c.appServer)); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

func TestClockIsSafeForSeveralThreads(t *testing.T) {
	c := NewClock(true, "x")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for unix := range int64(2000) {
				want := "date: " + time.Unix(unix, 0).UTC().Format(http.TimeFormat) + "\r\nserver: x\r\n"
				if got := string(c.OwnAt(unix)); got != want {
					t.Errorf("%d: %q", unix, got)
				}
			}
		})
	}
	wg.Wait()
}

func TestUnescape(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "/a/b": "/a/b", "/a%20b": "/a b", "%2F": "/", "%2f%41%c3%A9": "/A\xc3\xa9", "a+b": "a+b", "%00": "\x00",
		"%": "%", "%2": "%2", "%zz": "%zz", "%%41": "%A", "%4": "%4", "a%": "a%", "%g0%0g": "%g0%0g", "%2541": "%41", "\xff%ff": "\xff\xff",
	} {
		if got := string(AppendUnescaped([]byte("x"), []byte(in))); got != "x"+want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{
		"": "", "a+b": "a b", "a%2Bb": "a+b", "%20+": "  ", "%+1": "% 1", "%zz": "%zz", "%": "%", "%C3%A9": "é",
	} {
		if got := string(AppendUnescapedQuery([]byte("x"), []byte(in))); got != "x"+want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func FuzzUnescape(f *testing.F) {
	for _, s := range []string{"/a%20b", "%2", "%%41", "a+b%2B", "\xff%zz"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		path, query := string(AppendUnescaped(nil, []byte(s))), string(AppendUnescapedQuery(nil, []byte(s)))
		if want, err := url.PathUnescape(s); err == nil && path != want {
			t.Errorf("%q: path %q, want %q", s, path, want)
		}
		if want, err := url.QueryUnescape(s); err == nil && query != want {
			t.Errorf("%q: query %q, want %q", s, query, want)
		}
		if again := string(AppendUnescaped(nil, []byte(url.PathEscape(s)))); again != s {
			t.Errorf("%q: %q", s, again)
		}
	})
}

func TestLowerCase(t *testing.T) {
	if got := string(AppendLower([]byte("X"), []byte("X-Abc_Z[@\xc9"))); got != "Xx-abc_z[@\xc9" {
		t.Errorf("%q", got)
	}
}

// After warm-up no request costs an allocation.
func TestNothingIsAllocated(t *testing.T) {
	var p Parser
	var h Head
	var d Body
	var c Clock
	head := []byte(browserRequest)
	body := []byte("5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n")
	packed := pack("content-length", "5", "content-type", "application/json", "connection", "keep-alive")
	r := Reply{Status: 200, Minor: 1, KeepAlive: true}
	out := make([]byte, 0, 1024)
	for name, f := range map[string]func(){
		"head":      func() { p.Reset(nil); p.Parse(head, &h) },
		"fragments": func() { p.Reset(nil); p.Parse(head[:100], &h); p.Parse(head, &h) },
		"body": func() {
			d.Reset(&chunkedHead, nil)
			for src := body; !d.Done(); {
				_, n, _ := d.Next(src)
				src = src[n:]
			}
		},
		"reply":    func() { out, _, _ = AppendHead(out[:0], &r, packed, 5, c.OwnAt(1)) },
		"preset":   func() { out = AppendJSON200(out[:0], 5, c.OwnAt(1), 1, true) },
		"unescape": func() { out = AppendUnescaped(out[:0], []byte("/a%20b/c")) },
		"lower":    func() { out = AppendLower(out[:0], []byte("Content-Type")) },
	} {
		f()
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
