package form

import (
	"bytes"
	"unicode/utf8"

	"turboapi/gosrc/bridge"
	"turboapi/gosrc/wire"
)

// urlencoded watches the limits while the body arrives, and reads it at its end.
type urlencoded struct {
	fields int64 // complete ones
	size   int64 // of the last, with its '='
}

func (u *urlencoded) write(lim *Limits, data []byte) error {
	for {
		i := bytes.IndexByte(data, '&')
		if i < 0 {
			break
		}
		if u.size+int64(i)-1 > lim.URLPart {
			return errPart
		}
		u.fields++
		u.size, data = 0, data[i+1:]
	}
	u.size += int64(len(data))
	switch {
	case u.fields >= lim.URLFields:
		return errFields
	case u.size-1 > lim.URLPart:
		return errPart
	}
	return nil
}

// finish reads name=value pairs. What has escapes is decoded behind the body.
func (u *urlencoded) finish(lim *Limits, x *bridge.Exchange) error {
	n := int(x.BodyLen)
	raw := x.BodyBytes()
	if n == 0 {
		return errEmpty
	}
	escaped := bytes.IndexByte(raw, '%') >= 0 || bytes.IndexByte(raw, '+') >= 0
	if escaped {
		raw = x.BodyRoom(uint64(n))
	}
	r := reader{raw: raw, at: n}
	parts := make([]bridge.Part, 0, u.fields+1)
	for from := 0; from <= n; {
		to := n
		if i := bytes.IndexByte(raw[from:n], '&'); i >= 0 {
			to = from + i
		}
		equals := bytes.IndexByte(raw[from:to], '=')
		if equals <= 0 {
			return errEmpty
		}
		name, ok := r.read(from, from+equals)
		value, fine := r.read(from+equals+1, to)
		if !ok || !fine {
			return errUTF8
		}
		parts = append(parts, bridge.Part{Name: name, Value: value, Kind: bridge.PartText, Size: uint64(value.Len)})
		from = to + 1
	}
	x.SetForm(parts, nil)
	return nil
}

// reader decodes names and values: raw is the body and, from at on, room.
type reader struct {
	raw []byte
	at  int
}

// read decodes raw[from:to]. It reports false for bytes that are no ASCII, and
// for escapes that are no UTF-8: Python replaces those.
func (r *reader) read(from, to int) (bridge.Span, bool) {
	src := r.raw[from:to]
	plain := true
	for _, c := range src {
		if c >= utf8.RuneSelf {
			return bridge.Span{}, false
		}
		plain = plain && c != '%' && c != '+'
	}
	if plain {
		return bridge.Span{Off: uint32(from), Len: uint32(to - from)}, true
	}
	out := wire.AppendUnescapedQuery(r.raw[r.at:r.at], src)
	span := bridge.Span{Off: uint32(r.at), Len: uint32(len(out))}
	r.at += len(out)
	return span, utf8.Valid(out)
}
