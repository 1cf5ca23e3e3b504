package wire

import "encoding/binary"

// line reads empty lines and the request line (RFC 9112, 3). It returns true
// when the line is complete, false with or without a refusal.
func (p *Parser) line(b []byte, h *Head) (bool, *Refusal) {
	i := p.pos
	st := p.state

	for st <= atStartLF {
		if i == len(b) {
			return p.wait(st, i)
		}
		c := b[i]
		switch {
		case st == atStartLF:
			if c != '\n' {
				return p.fail(errBareCR)
			}
			if p.sub++; p.sub > maxEmptyLines {
				return p.fail(errEmptyLines)
			}
			i++
			st = atStart
		case c == '\r':
			i++
			st = atStartLF
		case c == '\n':
			return p.fail(errBareLF)
		default:
			p.mark, p.lim = i, i+p.maxLine
			p.sub = 0
			st = inMethod
		}
	}

	// Nothing at or after lim is looked at: whatever is there, the line is too long.
	end := min(len(b), p.lim)

	if st == inMethod {
		start := p.mark
		if end-start >= 4 && binary.LittleEndian.Uint32(b[start:]) == 'G'|'E'<<8|'T'<<16|' '<<24 {
			i = start + 3
		} else {
			stop := min(end, start+maxMethod+1)
			for i < stop && class[b[i]]&isToken != 0 {
				i++
			}
			if i-start > maxMethod {
				// RFC 9112, 3: longer than any method that is implemented.
				return p.fail(errMethodLength)
			}
			if i == end {
				return p.wait(st, i)
			}
			if b[i] != ' ' || i == start {
				return p.fail(errMethodByte)
			}
		}
		h.Method = span(start, i)
		h.MethodID = methodOf(b[start:i])
		i++
		p.mark = i
		st = atTarget
	}

	if st == atTarget {
		if i == end {
			return p.wait(st, i)
		}
		st = inTarget
		if b[i] == '/' && h.MethodID != MethodCONNECT {
			st = inPath
		}
	}

	if st == inPath {
		for i < end && class[b[i]]&isPath != 0 {
			i++
		}
		if i == end {
			return p.waitTarget(st, i)
		}
		switch b[i] {
		case '?':
			h.Path = span(p.mark, i)
			h.HasQuery = true
			i++
			st = inQuery
		case ' ':
			h.Path = span(p.mark, i)
		default:
			return p.fail(badTarget(b[i]))
		}
	}

	if st == inQuery || st == inTarget {
		for i < end && class[b[i]]&isTarget != 0 {
			i++
		}
		if i == end {
			return p.waitTarget(st, i)
		}
		if b[i] != ' ' {
			return p.fail(badTarget(b[i]))
		}
		if i == p.mark {
			return p.fail(errTargetByte)
		}
		if st == inQuery {
			h.Query = span(h.Path.End()+1, i)
		} else if r := target(b, span(p.mark, i), h); r != nil {
			return p.fail(r)
		}
	}

	if st != inVersion {
		h.Target = span(p.mark, i)
		i++
		if i+len("HTTP/1.1") > p.lim {
			return p.fail(errTargetLength)
		}
		st = inVersion
	}
	return p.version(b, i, h)
}

// waitTarget is wait within the target, unless the line is already too long.
func (p *Parser) waitTarget(st state, i int) (bool, *Refusal) {
	if i == p.lim {
		return p.fail(errTargetLength)
	}
	return p.wait(st, i)
}

// badTarget says what is wrong with byte c in a target.
func badTarget(c byte) *Refusal {
	switch c {
	case '\n':
		return errBareLF
	case '\r':
		return errNoVersion // HTTP/0.9, or a line cut short
	}
	return errTargetByte
}

// version reads "HTTP/1.x" and the CRLF (RFC 9112, 2.3), then ends the line.
func (p *Parser) version(b []byte, i int, h *Head) (bool, *Refusal) {
	const want = "HTTP/1.x\r\n"
	if p.sub == 0 && len(b)-i >= len(want) && string(b[i:i+len(want)]) == "HTTP/1.1\r\n" {
		h.Minor = 1
		i += len(want)
		p.sub = uint8(len(want))
	}
	for ; int(p.sub) < len(want); i++ {
		if i == len(b) {
			return p.wait(inVersion, i)
		}
		c := b[i]
		switch {
		case want[p.sub] == c && c != 'x':
		case p.sub == 5 && class[c]&isDigit != 0:
			// A major version that is not 1 (RFC 9110, 15.6.6); the preface
			// of HTTP/2, "PRI * HTTP/2.0", ends here too.
			return p.fail(errVersionOther)
		case p.sub == 7 && class[c]&isDigit != 0:
			// RFC 9110, 2.5: a higher minor version is served as the highest
			// that is known.
			h.Minor = min(c-'0', 1)
		case p.sub == 8 && c == '\n':
			return p.fail(errBareLF)
		case p.sub == 9:
			return p.fail(errBareCR)
		default:
			return p.fail(errVersion)
		}
		p.sub++
	}

	if h.Form == FormAsterisk && h.MethodID != MethodOPTIONS {
		// RFC 9112, 3.2.4. Only now, so that "PRI *" learns of its version.
		return p.fail(errAsterisk)
	}
	p.pos, p.mark, p.state = i, i, inName
	p.lim = i + p.maxHeader
	return true, nil
}
