package wire

// Character classes, one bit each.
const (
	isToken  = 1 << iota // tchar (RFC 9110, 5.6.2)
	isPath               // visible ASCII without '#' and '?'
	isTarget             // visible ASCII without '#'
	isValue              // HTAB, SP, visible, obs-text (RFC 9110, 5.5)
	isHost               // unreserved and sub-delims (RFC 3986, 2)
	isHex
	isDigit
)

var class = makeClass()

// hexValue gives the value of a hexadecimal digit, 0xff for any other byte.
var hexValue = makeHex()

// lower maps A-Z to a-z and leaves every other byte alone.
var lower = makeLower()

func makeClass() (t [256]uint8) {
	mark := func(bit uint8, set string) {
		for i := range len(set) {
			t[set[i]] |= bit
		}
	}
	const digits = "0123456789"
	const alpha = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	mark(isToken, digits+alpha+"!#$%&'*+-.^_`|~")
	mark(isHost, digits+alpha+"-._~"+"!$&'()*+,;=")
	mark(isHex, digits+"abcdefABCDEF")
	mark(isDigit, digits)
	for c := 0x21; c <= 0x7e; c++ {
		if c != '#' {
			t[c] |= isTarget
			if c != '?' {
				t[c] |= isPath
			}
		}
	}
	t['\t'] |= isValue
	for c := 0x20; c <= 0xff; c++ {
		if c != 0x7f {
			t[c] |= isValue
		}
	}
	return t
}

func makeHex() (t [256]uint8) {
	for c := range t {
		switch {
		case c >= '0' && c <= '9':
			t[c] = uint8(c - '0')
		case c >= 'a' && c <= 'f':
			t[c] = uint8(c - 'a' + 10)
		case c >= 'A' && c <= 'F':
			t[c] = uint8(c - 'A' + 10)
		default:
			t[c] = 0xff
		}
	}
	return t
}

func makeLower() (t [256]uint8) {
	for c := range t {
		t[c] = uint8(c)
		if c >= 'A' && c <= 'Z' {
			t[c] = uint8(c + 'a' - 'A')
		}
	}
	return t
}

// AppendLower appends name to dst with A-Z as a-z: field names as ASGI wants
// them.
func AppendLower(dst, name []byte) []byte {
	n := len(dst)
	dst = append(dst, name...)
	low := dst[n:]
	for i, c := range low {
		low[i] = lower[c]
	}
	return dst
}

// same reports whether v is want but for the case of letters. want is in lower
// case and made of letters, digits and '-'; v has passed as a token or a field
// value, which leaves no other byte that the or-ing could mistake for one.
func same(v []byte, want string) bool {
	if len(v) != len(want) {
		return false
	}
	for i := range len(want) {
		if v[i]|0x20 != want[i] {
			return false
		}
	}
	return true
}

// element splits the first element off a comma-separated list (RFC 9110,
// 5.6.1) and trims white space around it. It may be empty, which recipients
// ignore.
func element(list []byte) (elem, rest []byte) {
	for i, c := range list {
		if c == ',' {
			return trim(list[:i]), list[i+1:]
		}
	}
	return trim(list), nil
}

func trim(v []byte) []byte {
	for len(v) > 0 && (v[0] == ' ' || v[0] == '\t') {
		v = v[1:]
	}
	for len(v) > 0 && (v[len(v)-1] == ' ' || v[len(v)-1] == '\t') {
		v = v[:len(v)-1]
	}
	return v
}
