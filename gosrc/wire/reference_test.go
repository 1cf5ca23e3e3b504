package wire

import (
	"math/big"
	"math/rand/v2"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// The rules once more, as slow and as plain as can be: what reference accepts,
// limits aside, is what Parser has to accept.
var (
	referenceLine = regexp.MustCompile(`^([!#$%&'*+.^_` + "`" + `|~0-9A-Za-z-]+) ([!-"$-~]+) HTTP/1\.([0-9])$`)
	// Latin-1 stands for bytes.
	referenceField = regexp.MustCompile(`^([!#$%&'*+.^_` + "`" + `|~0-9A-Za-z-]+):[ \t]*([\t -~\x{80}-\x{ff}]*?)[ \t]*$`)
	referenceHost  = regexp.MustCompile(`^(\[[^\]]*\]|(?:[0-9A-Za-z._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+)(?::([0-9]*))?$`)
	referenceIPvX  = regexp.MustCompile(`^[vV][0-9A-Fa-f]+\.[0-9A-Za-z._~!$&'()*+,;=:-]+$`)
	referenceURL   = regexp.MustCompile(`^(?i:https?)://([^/?]*)(?:[/?].*)?$`)
	digits         = regexp.MustCompile(`^[0-9]+$`)
)

// reference reports whether s begins with a head that is right, and whether it
// begins with a head at all.
func reference(s string) (right, complete bool) {
	for strings.HasPrefix(s, "\r\n") {
		s = s[2:]
	}
	head, _, complete := strings.Cut(s, "\r\n\r\n")
	if !complete {
		return false, false
	}
	lines := strings.Split(head, "\r\n")
	m := referenceLine.FindStringSubmatch(latin1(lines[0]))
	if m == nil {
		return false, true
	}
	method, target, old := m[1], m[2], m[3] == "0"
	switch {
	case method == "CONNECT":
		h := referenceHost.FindStringSubmatch(target)
		if h == nil || !referenceAuthority(target) || h[2] == "" || strings.Trim(h[2], "0") == "" {
			return false, true
		}
	case target[0] == '/':
	case target == "*":
		if method != "OPTIONS" {
			return false, true
		}
	default:
		u := referenceURL.FindStringSubmatch(target)
		if u == nil || !referenceAuthority(u[1]) {
			return false, true
		}
	}
	values := map[string][]string{}
	for _, line := range lines[1:] {
		f := referenceField.FindStringSubmatch(latin1(line))
		if f == nil {
			return false, true
		}
		name := strings.ToLower(f[1])
		values[name] = append(values[name], f[2])
	}
	return referenceMeaning(values, old), true
}

func referenceMeaning(values map[string][]string, old bool) bool {
	hosts := values["host"]
	if len(hosts) > 1 || len(hosts) == 0 && !old || len(hosts) == 1 && hosts[0] != "" && !referenceAuthority(hosts[0]) {
		return false
	}
	lengths, codings := values["content-length"], values["transfer-encoding"]
	for _, v := range lengths {
		n, _ := new(big.Int).SetString(v, 10)
		if !digits.MatchString(v) || !n.IsInt64() || n.Int64() > 9223372036854775799 {
			return false
		}
		if first, _ := new(big.Int).SetString(lengths[0], 10); first.Cmp(n) != 0 {
			return false
		}
	}
	if len(codings) > 0 && (old || len(lengths) > 0 || strings.Join(referenceList(codings), ",") != "chunked") {
		return false
	}
	for _, v := range referenceList(values["expect"]) {
		if v != "100-continue" && !old {
			return false
		}
	}
	return true
}

// referenceAuthority reports whether s is host [ ":" port ].
func referenceAuthority(s string) bool {
	m := referenceHost.FindStringSubmatch(s)
	if m == nil {
		return false
	}
	if m[2] != "" {
		if n, err := strconv.ParseUint(m[2], 10, 64); err != nil || n > 65535 {
			return false
		}
	}
	if literal, ok := strings.CutPrefix(m[1], "["); ok {
		literal = strings.TrimSuffix(literal, "]")
		if a, err := netip.ParseAddr(literal); err != nil || !a.Is6() || a.Zone() != "" {
			return referenceIPvX.MatchString(literal)
		}
	}
	return true
}

func referenceList(values []string) (elements []string) {
	for _, e := range strings.Split(strings.Join(values, ","), ",") {
		if e = strings.Trim(e, " \t"); e != "" {
			elements = append(elements, lowerASCII(e))
		}
	}
	return elements
}

func lowerASCII(s string) string { return string(AppendLower(nil, []byte(s))) }

// latin1 makes every byte of s one rune, so that expressions see bytes.
func latin1(s string) string {
	r := make([]rune, len(s))
	for i := range len(s) {
		r[i] = rune(s[i])
	}
	return string(r)
}

// Pieces that requests are put together from, right and wrong ones.
var (
	pieceMethods  = []string{"GET", "POST", "CONNECT", "OPTIONS", "get", "", "G T", "G\x00", "PRI", "M-SEARCH"}
	pieceSpaces   = []string{" ", " ", " ", " ", " ", " ", "  ", "\t", ""}
	pieceTargets  = []string{"/", "/a?b", "/a%2F", "*", "http://a/b?c", "http://a:80", "https://[::1]:1?q", "a:80", "[::1]:443", "a", "", "/#", "/\x80", "http://u@a/", "//", "/?", "HTTP://a%20b", "http://:80", "a:0"}
	pieceVersions = []string{"HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/1.7", "HTTP/2.0", "http/1.1", "HTTP/1.", "HTTP/1.11", ""}
	pieceEnds     = []string{"\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\n", "\r", "\r\r\n", "\r\n ", "\r\n\r\n"}
	pieceNames    = []string{"Host", "host", "Content-Length", "content-lengtH", "Transfer-Encoding", "TRANSFER-ENCODING", "Connection", "Expect", "Upgrade", "X", "Cookie", "Origin", "X ", "", "X\t", "\x80", "Content-Type", "Authorization", "accept"}
	pieceColons   = []string{":", ":", ":", ": ", ": ", ": ", ":\t ", " :", "", "::"}
	pieceValues   = []string{"a", "", "5", "05", "+5", "5, 5", "9223372036854775808", "chunked", "Chunked", ", chunked,", "chunked, chunked", "gzip", "gzip, chunked", "identity", "close", "keep-alive", "keep-alive, close", "upgrade", "100-continue", "100-Continue,", "x=y", "a:80", "a:x", "[::1]", "[::g]", "a b", "\x80\xff", "a\x00", "a\x7f", "a\tb ", " ", "websocket", "x, WebSocket"}
)

// fragment puts a head together; the same source gives the same head.
func fragment(rnd *rand.Rand) string {
	pick := func(from []string) string { return from[rnd.IntN(len(from))] }
	// Most pieces are the plain ones, so that requests get far.
	or := func(plain string, from []string) string {
		if rnd.IntN(8) > 0 {
			return plain
		}
		return pick(from)
	}
	s := strings.Repeat("\r\n", max(0, rnd.IntN(12)-9))
	s += or("POST", pieceMethods) + or(" ", pieceSpaces) + or(pick(pieceTargets[:3]), pieceTargets) + or(" ", pieceSpaces) +
		or("HTTP/1.1", pieceVersions) + or("\r\n", pieceEnds)
	if rnd.IntN(6) > 0 {
		s += "Host: a\r\n"
	}
	for range rnd.IntN(5) {
		s += or(pick(pieceNames[:12]), pieceNames) + or(": ", pieceColons) + or(pick(pieceValues[:20]), pieceValues) + or("\r\n", pieceEnds)
	}
	return s + "\r\n"
}

func TestPutTogetherHeadsAgainstTheReference(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	accepted := 0
	for range 20000 {
		s := fragment(rnd)
		h, done, err := parse(t, s, nil)
		right, complete := reference(s)
		if done != (right && complete) {
			t.Fatalf("%q: done %v %v, by the grammar complete %v, right %v", s, done, err, complete, right)
		}
		h2, done2, err2 := parseBytewise(t, s, nil)
		sameResult(t, s, h, done, err, h2, done2, err2)
		if done {
			accepted++
			checkHead(t, []byte(s), &h)
		}
	}
	if accepted < 2000 || accepted > 18000 {
		t.Errorf("%d of 20000 accepted: the pieces prove little", accepted)
	}
}
