package wire

import (
	"net/netip"
	"strings"
	"testing"
)

func TestAbsoluteForm(t *testing.T) {
	for target, want := range map[string]struct {
		authority, path, query string
		hasQuery, empty        bool
	}{
		"http://example.com/a/b?c=d":   {"example.com", "/a/b", "c=d", true, false},
		"HTTP://example.com:80/":       {"example.com:80", "/", "", false, false},
		"https://example.com":          {"example.com", "", "", false, true},
		"http://example.com?x=/y":      {"example.com", "", "x=/y", true, true},
		"http://[::1]:8000/a?":         {"[::1]:8000", "/a", "", true, false},
		"hTTps://a%20b.example//?http": {"a%20b.example", "//", "http", true, false},
	} {
		t.Run(target, func(t *testing.T) {
			b := []byte("GET " + target + " HTTP/1.1\r\nHost: other.example\r\n\r\n")
			h := accept(t, string(b))
			if string(h.Authority.Of(b)) != want.authority || string(h.Path.Of(b)) != want.path ||
				string(h.Query.Of(b)) != want.query || h.HasQuery != want.hasQuery || h.EmptyPath != want.empty ||
				h.Form != FormAbsolute || string(h.Target.Of(b)) != target {
				t.Errorf("%+v", h)
			}
		})
	}
}

// RFC 9112, 3.2.2: the Host field is ignored, but has to be there and valid.
func TestAuthorityOfTheTargetReplacesHost(t *testing.T) {
	b := []byte("GET http://example.com/ HTTP/1.1\r\nHost: other.example\r\n\r\n")
	h := accept(t, string(b))
	if got := string(h.Fields[h.Host].Value.Of(b)); got != "example.com" {
		t.Errorf("Host is %q", got)
	}
	refuse(t, "GET http://example.com/ HTTP/1.1\r\n\r\n", errHostMissing)
	refuse(t, "GET http://example.com/ HTTP/1.1\r\nHost: a b\r\n\r\n", errHostInvalid)
	if h := accept(t, "GET http://example.com/ HTTP/1.0\r\n\r\n"); h.Host != -1 {
		t.Errorf("%+v", h)
	}
}

func TestAbsoluteFormsThatAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		target string
		want   *Refusal
	}{
		"empty host":                {"http:///path", errAuthority},
		"nothing after the slashes": {"http://", errTargetForm},
		"empty host, port":          {"http://:80/", errAuthority},
		"empty host, query":         {"http://?a", errAuthority},
		"user information":          {"http://user:pw@example.com/", errAuthority},
		"user without a password":   {"http://user@example.com/", errAuthority},
		"port that is no number":    {"http://example.com:8a/", errAuthority},
		"port that is too large":    {"http://example.com:65536/", errAuthority},
		"brackets around a name":    {"http://[example.com]/", errAuthority},
		"open bracket":              {"http://[::1/", errAuthority},
		"bytes after the bracket":   {"http://[::1]a/", errAuthority},
		"broken escape in the host": {"http://a%2/", errAuthority},
		"backslash in the host":     {`http://a\b/`, errAuthority},
		"scheme of another service": {"ftp://example.com/", errTargetForm},
		"no scheme":                 {"example.com/", errTargetForm},
		"host and port":             {"example.com:80", errTargetForm},
		"one slash":                 {"http:/example.com/", errTargetForm},
	} {
		t.Run(name, func(t *testing.T) {
			refuse(t, "GET "+c.target+" HTTP/1.1\r\nHost: a\r\n\r\n", c.want)
		})
	}
}

func TestConnectHasAuthorityForm(t *testing.T) {
	b := []byte("CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n")
	h := accept(t, string(b))
	if h.Form != FormAuthority || string(h.Authority.Of(b)) != "example.com:443" || h.Path.Len != 0 || h.MethodID != MethodCONNECT {
		t.Errorf("%+v", h)
	}
	if h.KeepAlive {
		t.Error("the connection would be read on as HTTP")
	}
	for _, target := range []string{
		"example.com", "example.com:", "example.com:0", "example.com:65536", "example.com:4x3", ":443", "/", "/a:80", "*",
		"http://example.com:443", "http://example.com/", "user@example.com:443", "[::1]", "[::1:443", "a:1:2", "?a:1",
	} {
		refuse(t, "CONNECT "+target+" HTTP/1.1\r\nHost: a\r\n\r\n", errConnect)
	}
}

func TestAsteriskFormIsForOptionsOnly(t *testing.T) {
	b := []byte("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
	h := accept(t, string(b))
	if h.Form != FormAsterisk || string(h.Path.Of(b)) != "*" || h.HasQuery {
		t.Errorf("%+v", h)
	}
	refuse(t, "GET * HTTP/1.1\r\nHost: a\r\n\r\n", errAsterisk)
	refuse(t, "options * HTTP/1.1\r\nHost: a\r\n\r\n", errAsterisk)
	refuse(t, "OPTIONS *?a HTTP/1.1\r\nHost: a\r\n\r\n", errTargetForm)
	refuse(t, "OPTIONS ** HTTP/1.1\r\nHost: a\r\n\r\n", errTargetForm)
}

func TestHostValues(t *testing.T) {
	for _, v := range []string{
		"", "a", "example.com", "example.com:8000", "example.com:", "127.0.0.1:80", "a_b-c.~d", "xn--caf-dma.example",
		"a%20b", "[::1]", "[::1]:8000", "[2001:db8::1:0:0:1]", "[::ffff:127.0.0.1]", "[v1.a:b]", "a,b", "a:0", "a:65535", "1.2.3.4.5",
		"a:00080",
	} {
		b := []byte("GET / HTTP/1.1\r\nHost:  " + v + " \t\r\n\r\n")
		h := accept(t, string(b))
		if h.Host != 0 || string(h.Fields[0].Value.Of(b)) != v {
			t.Errorf("%q: %+v", v, h)
		}
	}
	for _, v := range []string{
		"a b", "a, b", "a/b", "http://a", "a@b", "user:pw@a", ":80", ":", "a:80:80", "a:8o", "a:-1", "a:+1", "a:65536", "a:99999999999999999999",
		"a%2", "a%zz", "%", "caf\xc3\xa9", "[::1", "::1", "[::1]a", "[]", "[a]", "[fe80::1%25eth0]", "[1.2.3.4]", "[v.a]", "[v1.]", "[v1]", "[v1.a/b]", "[vg.a]",
		"a?b", "a#b", `a\b`, "<a>", "a\"b", "a\tb", "[::1]:x", "[::1]80",
	} {
		refuse(t, "GET / HTTP/1.1\r\nHost: "+v+"\r\n\r\n", errHostInvalid)
	}
}

func TestIPv6AddressesAsNetipReadsThem(t *testing.T) {
	for _, v := range []string{
		"::", "::1", "1::", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "1::8", "abcd:EF01::", "::1.2.3.4",
		"1:2:3:4:5:6:1.2.3.4", "1::1.2.3.4", "1:2:3:4:5::1.2.3.4",
		"", ":", ":::", "1", "1:2", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "::1::", "1:::2", "12345::", ":1::", "1::2:", "g::",
		"1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8", "1.2.3.4", "::1.2.3", "::1.2.3.4.5", "::256.1.1.1", "::01.2.3.4", "::1.2.3.4:5",
		"1:2:3:4:5:6:7:1.2.3.4", "1:2:3:4:5:6::1.2.3.4", "::1.2.3.", "::.1.2.3", "::a.2.3.4", "::1000.2.3.4", "::1.2.3.4.", "::1.2", "::1.2.3.4444", "::1.2.3a.4",
	} {
		a, err := netip.ParseAddr(v)
		want := err == nil && a.Is6() && a.Zone() == ""
		if got := validIPv6([]byte(v)); got != want {
			t.Errorf("%q: %v, netip says %v", v, got, want)
		}
	}
}

func FuzzIPv6(f *testing.F) {
	for _, s := range []string{"::1", "1:2:3:4:5:6:7:8", "::ffff:1.2.3.4", "1::8:"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := netip.ParseAddr(s)
		want := err == nil && a.Is6() && !strings.Contains(s, "%")
		if got := validIPv6([]byte(s)); got != want {
			t.Errorf("%q: %v, netip says %v", s, got, want)
		}
	})
}
