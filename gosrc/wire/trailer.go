package wire

// trailers reads a byte of the trailer section (RFC 9112, 7.1.2) by the rules
// of header fields. The fields are dropped (RFC 9110, 6.5.1).
func (d *Body) trailers(c byte) *Refusal {
	if d.trailer--; d.trailer < 0 {
		return errTrailerSize
	}
	switch d.state {
	case trailerName:
		switch {
		case class[c]&isToken != 0:
			if d.nameLen == 0 {
				if d.fields--; d.fields < 0 {
					return errTrailerCount
				}
			}
			if int(d.nameLen) < len(d.name) {
				d.name[d.nameLen] = c
				d.nameLen++
			} else {
				d.nameLen = uint8(len(d.name) + 1)
			}
			return nil
		case c == '\r' && d.nameLen == 0:
			d.state = trailerEndLF
			return nil
		case c == ':' && d.nameLen > 0:
			if d.forbidden() {
				return errTrailerField
			}
			d.state = trailerValue
			return nil
		}
		return badName(c, d.nameLen == 0, false)
	case trailerValue:
		switch {
		case class[c]&isValue != 0:
		case c == '\r':
			d.state = trailerLF
		default:
			return badValue(c)
		}
		return nil
	}
	if c != '\n' {
		return errBareCR
	}
	if d.state == trailerEndLF {
		d.state = ended
		return nil
	}
	d.state, d.nameLen = trailerName, 0
	return nil
}

// forbidden reports whether the field's name is one of framing or routing,
// which would mean something else to whoever merges trailers into the header
// (RFC 9110, 6.5.1).
func (d *Body) forbidden() bool {
	if int(d.nameLen) > len(d.name) {
		return false
	}
	name := d.name[:d.nameLen]
	switch len(name) {
	case 2:
		return same(name, "te")
	case 4:
		return same(name, "host")
	case 6:
		return same(name, "expect")
	case 7:
		return same(name, "trailer") || same(name, "upgrade")
	case 10:
		return same(name, "connection")
	case 14:
		return same(name, "content-length")
	case 17:
		return same(name, "transfer-encoding")
	}
	return false
}
