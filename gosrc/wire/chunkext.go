package wire

// extState is the place in *( BWS ";" BWS name [ BWS "=" BWS ( token /
// quoted-string ) ] ) (RFC 9112, 7.1.1).
type extState uint8

const (
	extBefore   extState = iota // white space before the first ';'
	extSemi                     // after ';': white space, then the name
	extName                     // in the name
	extNamed                    // white space after the name
	extEqual                    // after '=': white space, then the value
	extToken                    // in a token value
	extQuoted                   // in a quoted-string
	extEscape                   // after a backslash in it
	extFinished                 // after the value: white space, ';' or the end
)

// extension reads a byte of the chunk extensions, which mean nothing to us but
// are bounded and have to be well-formed: who reads their end differently reads
// the next chunk differently.
func (d *Body) extension(c byte) *Refusal {
	if c == '\r' {
		switch d.ext2 {
		case extName, extToken, extFinished:
			d.state = sizeLF
			return nil
		}
		return errChunkExt
	}
	if d.ext--; d.ext < 0 {
		return errChunkExtSize
	}
	space := c == ' ' || c == '\t'
	token := class[c]&isToken != 0
	next := d.ext2
	switch d.ext2 {
	case extBefore, extFinished:
		switch {
		case space:
			// After a value too, but then a ';' has to come.
			next = extBefore
		case c == ';':
			next = extSemi
		default:
			return errChunkExt
		}
	case extSemi:
		switch {
		case token:
			next = extName
		case !space:
			return errChunkExt
		}
	case extName, extNamed:
		switch {
		case token && d.ext2 == extName:
		case space:
			next = extNamed
		case c == '=':
			next = extEqual
		case c == ';':
			next = extSemi
		default:
			return errChunkExt
		}
	case extEqual:
		switch {
		case token:
			next = extToken
		case c == '"':
			next = extQuoted
		case !space:
			return errChunkExt
		}
	case extToken:
		switch {
		case token:
		case space:
			next = extBefore
		case c == ';':
			next = extSemi
		default:
			return errChunkExt
		}
	case extQuoted:
		switch {
		case c == '"':
			next = extFinished
		case c == '\\':
			next = extEscape
		case class[c]&isValue == 0:
			return errChunkExt
		}
	case extEscape:
		if class[c]&isValue == 0 {
			return errChunkExt
		}
		next = extQuoted
	}
	d.ext2 = next
	return nil
}
