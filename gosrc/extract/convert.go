package extract

import (
	"encoding/binary"
	"unicode/utf8"

	"turboapi/gosrc/bridge"
)

// convert sets s to the text v, which lies at, in the given form; text is of
// the given kind. It reports whether v is canonical.
func convert(s *bridge.Slot, form Form, kind uint8, at bridge.Span, v []byte) bool {
	switch form {
	case Str:
		plain := ascii(v)
		if !plain && kind == bridge.SlotStr && !utf8.Valid(v) {
			return false // Python puts U+FFFD there
		}
		s.SetSpan(kind, at, plain)
		return true
	case Int:
		n, ok := integer(v)
		s.SetInt(bridge.SlotInt, n)
		return ok
	case Float:
		f, ok := float(v)
		s.SetFloat(f)
		return ok
	case Bool:
		n, ok := boolean(v)
		s.SetInt(bridge.SlotBool, n)
		return ok
	}
	return false
}

// ascii reports whether v has ASCII characters only.
func ascii(v []byte) bool {
	for len(v) >= 8 {
		if binary.LittleEndian.Uint64(v)&0x8080808080808080 != 0 {
			return false
		}
		v = v[8:]
	}
	for _, c := range v {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// maxDigits of an integer stay far from where an int64 ends.
const maxDigits = 18

// integer reads -?(0|[1-9][0-9]{0,17}) but not "-0".
func integer(v []byte) (int64, bool) {
	neg := len(v) > 0 && v[0] == '-'
	if neg {
		v = v[1:]
	}
	if len(v) == 0 || len(v) > maxDigits || v[0] == '0' && (len(v) > 1 || neg) {
		return 0, false
	}
	var n int64
	for _, c := range v {
		if c -= '0'; c > 9 {
			return 0, false
		}
		n = n*10 + int64(c)
	}
	if neg {
		n = -n
	}
	return n, true
}

// maxSignificant digits make an integer below 2^53, which a float64 holds
// exactly; so does every power of ten up to maxScale. One division of the two
// is then rounded correctly, as Python rounds.
const (
	maxSignificant = 15
	maxScale       = 22
)

var powers = [maxScale + 1]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

// float reads -?(0|[1-9][0-9]*)(\.[0-9]+)? with at most 15 significant digits;
// no zero with a sign.
func float(v []byte) (float64, bool) {
	neg := len(v) > 0 && v[0] == '-'
	if neg {
		v = v[1:]
	}
	var n int64
	point, significant := -1, 0
	for i, c := range v {
		if c == '.' && point < 0 && i > 0 {
			point = i
			continue
		}
		if c -= '0'; c > 9 {
			return 0, false
		}
		if i == 1 && v[0] == '0' {
			return 0, false // a leading zero
		}
		n = n*10 + int64(c)
		if n > 0 {
			if significant++; significant > maxSignificant {
				return 0, false
			}
		}
	}
	scale := 0
	if point >= 0 {
		scale = len(v) - point - 1
	}
	if len(v) == 0 || point >= 0 && scale == 0 || scale > maxScale || neg && n == 0 {
		return 0, false
	}
	f := float64(n) / powers[scale]
	if neg {
		f = -f
	}
	return f, true
}

// boolean reads true, false, 1 and 0.
func boolean(v []byte) (int64, bool) {
	switch string(v) {
	case "1", "true":
		return 1, true
	case "0", "false":
		return 0, true
	}
	return 0, false
}
