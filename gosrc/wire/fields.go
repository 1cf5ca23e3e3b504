package wire

import (
	"encoding/binary"
	"math/bits"
)

// fields reads the header section (RFC 9112, 5) up to and including its empty
// line.
func (p *Parser) fields(b []byte, h *Head) (bool, *Refusal) {
	// Nothing at or after lim is looked at: whatever is there, the section is
	// too large.
	b = b[:min(len(b), p.lim)]
	i, mark, st := p.pos, p.mark, p.state
	for {
		if st == inName {
			for i < len(b) && class[b[i]]&isToken != 0 {
				i++
			}
			if i > mark && len(h.Fields) >= p.maxFields {
				return p.fail(errFieldCount)
			}
			if i == len(b) {
				break
			}
			if b[i] == ':' && i > mark {
				p.nameEnd = i
				i++
				st = beforeValue
			} else if b[i] == '\r' && i == mark {
				i++
				st = atEndLF
			} else {
				return p.fail(badName(b[i], i == mark, len(h.Fields) == 0))
			}
		}
		if st == beforeValue {
			for i < len(b) && (b[i] == ' ' || b[i] == '\t') {
				i++
			}
			if i == len(b) {
				break
			}
			p.valueAt = i
			st = inValue
		}
		if st == inValue {
			i = skipValue(b, i)
			if i == len(b) {
				break
			}
			if b[i] != '\r' {
				return p.fail(badValue(b[i]))
			}
			i++
			st = atValueLF
		}
		if st == atValueLF {
			if i == len(b) {
				break
			}
			if b[i] != '\n' {
				return p.fail(errBareCR)
			}
			i++
			end := i - 2
			for end > p.valueAt && (b[end-1] == ' ' || b[end-1] == '\t') {
				end--
			}
			h.Fields = append(h.Fields, Field{span(mark, p.nameEnd), span(p.valueAt, end)})
			if n := p.nameEnd - mark; n < 32 && knownLengths>>n&1 != 0 {
				if r := p.known(b[mark:p.nameEnd], b[p.valueAt:end], h); r != nil {
					return p.fail(r)
				}
			}
			mark = i
			st = inName
		}
		if st == atEndLF {
			if i == len(b) {
				break
			}
			if b[i] != '\n' {
				return p.fail(errBareCR)
			}
			return p.end(i+1, h)
		}
	}
	if i == p.lim {
		return p.fail(errHeaderLength)
	}
	p.mark = mark
	return p.wait(st, i)
}

// skipValue returns the index of the first byte at or after i that no field
// value may have, or len(b). Eight bytes at a time: a control byte is below
// 0x20 or is 0x7f; HTAB, which is allowed, is sorted out one by one.
func skipValue(b []byte, i int) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	for len(b)-i >= 8 {
		x := binary.LittleEndian.Uint64(b[i:])
		del := x ^ 0x7f*ones
		bad := ((x - 0x20*ones) &^ x & tops) | ((del - ones) &^ del & tops)
		if bad == 0 {
			i += 8
			continue
		}
		// Borrows run upwards, so the lowest mark is a true one.
		i += bits.TrailingZeros64(bad) / 8
		if b[i] != '\t' {
			return i
		}
		i++
	}
	for i < len(b) && class[b[i]]&isValue != 0 {
		i++
	}
	return i
}

// badName says what is wrong with byte c in or after a field name. empty: no
// byte of the name came before it.
func badName(c byte, empty, first bool) *Refusal {
	switch {
	case c == '\n':
		return errBareLF
	case empty && (c == ' ' || c == '\t'):
		if first {
			return errFirstSpace // RFC 9112, 2.2
		}
		return errFold // RFC 9112, 5.2
	case empty && c == ':':
		return errNameEmpty
	case c == ' ' || c == '\t':
		return errNameSpace // RFC 9112, 5.1
	}
	return errNameByte
}

func badValue(c byte) *Refusal {
	if c == '\n' {
		return errBareLF
	}
	return errValueByte // RFC 9110, 5.5
}
