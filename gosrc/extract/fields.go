package extract

import (
	"bytes"
	"encoding/binary"

	"turboapi/gosrc/bridge"
)

// fillHeaders takes parameters from the fields: the first of a name, or all of
// them for a list. Values are Latin-1, as Starlette reads them.
func (p *Plan) fillHeaders(a *arena, x *bridge.Exchange, slots []bridge.Slot) bool {
	fields := x.Fields()
	for i := range fields {
		f := &fields[i]
		name := a.bytes(f.Name)
		for k := range p.header {
			q := &p.header[k]
			if q.name != string(name) {
				continue
			}
			s := &slots[q.slot]
			switch {
			case q.form == Odd:
				return false
			case q.form == Strs:
				if !a.push(s, bridge.SlotListLatin1, len(fields), f.Value) {
					return false
				}
			case s.Kind != bridge.SlotMissing:
			case !convert(s, q.form, bridge.SlotLatin1, f.Value, a.bytes(f.Value)):
				return false
			}
		}
	}
	return complete(p.header, slots)
}

var cookieName = []byte("cookie")

// fillCookies takes parameters from the Cookie field. fields is how many such
// fields there are: Starlette's releases differ where it is more than one.
func (p *Plan) fillCookies(a *arena, x *bridge.Exchange, fields int, slots []bridge.Slot) bool {
	if fields > 1 {
		return false
	}
	if fields == 1 {
		all := x.Fields()
		for i := range all {
			if bytes.Equal(a.bytes(all[i].Name), cookieName) {
				if !p.cookies(a, all[i].Value, slots) {
					return false
				}
				break
			}
		}
	}
	for k := range p.cookie {
		q := &p.cookie[k]
		s := &slots[q.slot]
		if s.Kind == bridge.SlotMissing {
			if q.required {
				return false
			}
			continue
		}
		if at := s.Span(); !convert(s, q.form, bridge.SlotStr, at, a.bytes(at)) {
			return false
		}
	}
	return true
}

// cookies notes the last value of each parameter's name, as browsers' cookies
// are read: between ';', up to the first '=', without white space around; a
// piece without '=' is a value without a name.
func (p *Plan) cookies(a *arena, at bridge.Span, slots []bridge.Slot) bool {
	v := a.bytes(at)
	if !ascii(v) {
		return false // Python's strip takes some of these characters for white space
	}
	for start := 0; start <= len(v); {
		end := len(v)
		if i := bytes.IndexByte(v[start:], ';'); i >= 0 {
			end = start + i
		}
		name, value := bridge.Span{}, bridge.Span{Off: uint32(start), Len: uint32(end - start)}
		if i := bytes.IndexByte(v[start:end], '='); i >= 0 {
			name = bridge.Span{Off: uint32(start), Len: uint32(i)}
			value = bridge.Span{Off: uint32(start + i + 1), Len: uint32(end - start - i - 1)}
		}
		start = end + 1
		name, value = strip(v, name), strip(v, value)
		if name.Len+value.Len == 0 {
			continue
		}
		for k := range p.cookie {
			q := &p.cookie[k]
			if q.name != string(v[name.Off:name.Off+name.Len]) {
				continue
			}
			if q.form == Odd || value.Len > 0 && v[value.Off] == '"' {
				return false // a quoted value is decoded by http.cookies
			}
			value := bridge.Span{Off: at.Off + value.Off, Len: value.Len}
			slots[q.slot].SetSpan(bridge.SlotStr, value, true)
		}
	}
	return true
}

// strip takes the white space off the ends of s; a field value has no other
// than space and tab.
func strip(v []byte, s bridge.Span) bridge.Span {
	blank := func(c byte) bool { return c == ' ' || c == '\t' }
	for s.Len > 0 && blank(v[s.Off]) {
		s.Off++
		s.Len--
	}
	for s.Len > 0 && blank(v[s.Off+s.Len-1]) {
		s.Len--
	}
	return s
}

// put writes a span as C has it, two numbers in the machine's byte order.
func (a *arena) put(at uint32, s bridge.Span) {
	binary.NativeEndian.PutUint32(a.buf[at:], s.Off)
	binary.NativeEndian.PutUint32(a.buf[at+4:], s.Len)
}
