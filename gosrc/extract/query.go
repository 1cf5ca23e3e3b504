package extract

import (
	"bytes"
	"unicode/utf8"

	"turboapi/gosrc/bridge"
	"turboapi/gosrc/wire"
)

// pieces is the most name-value pairs that a query can have.
func pieces(query []byte) int { return bytes.Count(query, ampersand) + 1 }

var ampersand = []byte{'&'}

// fillQuery reads the query as Python's parse_qsl does with keep_blank_values:
// pieces between '&', empty ones skipped, a piece without '=' being a name with
// an empty value, '+' a space, a '%' without two digits left alone.
func (p *Plan) fillQuery(a *arena, at bridge.Span, slots []bridge.Slot) bool {
	query := a.bytes(at)
	room := 0 // elements of a list, counted when there is one
	for start := 0; start < len(query); {
		// One pass finds the ends of the name and of the piece.
		i, equals := start, -1
		coded := false
		for ; i < len(query) && query[i] != '&'; i++ {
			switch c := query[i]; {
			case c == '=' && equals < 0:
				equals = i
			case (c == '%' || c == '+') && equals < 0:
				coded = true
			}
		}
		end := i
		if equals < 0 {
			equals = end
		}
		name, value := query[start:equals], min(equals+1, end)
		first := start
		start = end + 1
		if first == end {
			continue
		}
		mark := a.used
		if coded {
			name = a.decode(name)
			if !utf8.Valid(name) {
				return false // Python puts U+FFFD there; a parameter may be called so
			}
		}
		rawValue := bridge.Span{Off: at.Off + uint32(value), Len: uint32(end - value)}
		for k := range p.query {
			q := &p.query[k]
			if q.name != string(name) {
				continue
			}
			s := &slots[q.slot]
			switch q.form {
			case Odd:
				return false
			case Strs:
				if room == 0 {
					room = pieces(query)
				}
				// The name has been compared, but another parameter may have it too.
				v, ok := a.text(rawValue)
				if !ok || !a.push(s, bridge.SlotList, room, v) {
					return false
				}
				mark = a.used
			default:
				// The last one wins: it is read when all have been seen.
				s.SetSpan(bridge.SlotStr, rawValue, false)
			}
		}
		a.used = mark
	}
	for k := range p.query {
		q := &p.query[k]
		s := &slots[q.slot]
		if s.Kind != bridge.SlotStr {
			if q.required && s.Kind == bridge.SlotMissing {
				return false
			}
			continue
		}
		v := a.unescaped(s.Span())
		if !convert(s, q.form, bridge.SlotStr, v, a.bytes(v)) {
			return false
		}
	}
	return true
}

// decode puts src percent-decoded behind what is used and takes the room.
func (a *arena) decode(src []byte) []byte {
	from := a.used
	out := wire.AppendUnescapedQuery(a.buf[from:from:len(a.buf)], src)
	a.used += uint32(len(out))
	return out
}

// unescaped returns where the value at raw lies percent-decoded: there, if
// nothing in it is coded.
func (a *arena) unescaped(raw bridge.Span) bridge.Span {
	src := a.bytes(raw)
	for _, c := range src {
		if c == '%' || c == '+' {
			from := a.used
			return bridge.Span{Off: from, Len: uint32(len(a.decode(src)))}
		}
	}
	return raw
}

// text is unescaped for text that has to be UTF-8.
func (a *arena) text(raw bridge.Span) (bridge.Span, bool) {
	v := a.unescaped(raw)
	return v, v == raw || utf8.Valid(a.bytes(v))
}

// push appends v to the list in s, whose array has room for that many.
func (a *arena) push(s *bridge.Slot, kind uint8, room int, v bridge.Span) bool {
	if s.Kind == bridge.SlotMissing {
		s.SetSpan(kind, bridge.Span{Off: a.aligned(spanSize * room)}, false)
	}
	list := s.Span()
	if int(list.Len) >= room {
		return false
	}
	a.put(list.Off+spanSize*list.Len, v)
	list.Len++
	s.SetSpan(kind, list, false)
	return true
}
