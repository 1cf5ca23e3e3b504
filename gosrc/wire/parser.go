package wire

// Parser reads one request head from a buffer that grows. No byte is looked at
// twice, however small the pieces it arrives in, and every byte is judged as
// soon as it is there: what is decided never depends on how the head was split.
//
//	start -> method -> target -> path -> query -> version -> fields -> done
//	                          \-> whole target (absolute, authority, *) /
//	any state -> failed
type Parser struct {
	err  *Refusal
	pos  int // the first byte not looked at
	mark int // start of the token being read
	lim  int // index at which the line or section being read is too long

	nameEnd, valueAt int // of the field line being read

	maxLine, maxHeader, maxFields int

	state state
	sub   uint8 // bytes of the version read, or empty lines skipped

	coding    bool // a Transfer-Encoding field was there
	close     bool // Connection: close
	keep      bool // Connection: keep-alive
	option    bool // Connection: upgrade
	websocket bool // Upgrade: websocket
	expect    bool // Expect: 100-continue
}

type state uint8

const (
	atNew       state = iota // nothing read, the Head not yet emptied
	atStart                  // before the request line
	atStartLF                // after the CR of an empty line before it
	inMethod                 // method token
	atTarget                 // first byte of the target
	inPath                   // origin-form, before any '?'
	inQuery                  // origin-form, after '?'
	inTarget                 // any other form
	inVersion                // "HTTP/1.x" CRLF
	inName                   // field name, or the closing empty line
	beforeValue              // white space after the colon
	inValue                  // field value
	atValueLF                // after the CR of a field line
	atEndLF                  // after the CR of the closing empty line
	atDone
	atFailed
)

// Reset prepares p for a new request within l, nil for the defaults. It keeps
// nothing of l.
func (p *Parser) Reset(l *Limits) {
	*p = Parser{maxLine: defaultRequestLine, maxHeader: defaultHeader, maxFields: defaultFields}
	if l != nil {
		p.maxLine = max(minRequestLine, orDefault(l.RequestLine, defaultRequestLine))
		p.maxHeader = orDefault(l.Header, defaultHeader)
		p.maxFields = orDefault(l.Fields, defaultFields)
	}
}

// Parse reads on in b, which starts at the same byte in every call and holds at
// least what it held before (it may have moved). It fills h, which must be the
// same in every call for one request and is complete when done is true; h.Len
// bytes of b are then the head. (false, nil) means that more bytes are needed.
// After a refusal the connection has to be closed: every later call gives the
// same refusal. p keeps no part of b.
//
// A Parser must have been Reset before its first Parse.
func (p *Parser) Parse(b []byte, h *Head) (done bool, err *Refusal) {
	if p.state < inName {
		if p.state == atNew {
			h.Reset()
			p.state = atStart
		}
		if ok, err := p.line(b, h); !ok {
			return false, err
		}
	}
	if p.state >= atDone {
		return p.state == atDone, p.err
	}
	return p.fields(b, h)
}

// Started reports whether a byte of a request line was read: empty lines before
// it do not count. A connection that is not started is idle.
func (p *Parser) Started() bool { return p.state > atStartLF }

// Scanned returns how many bytes of the buffer p has looked at.
func (p *Parser) Scanned() int { return p.pos }

func (p *Parser) fail(r *Refusal) (bool, *Refusal) {
	p.state, p.err = atFailed, r
	return false, r
}

// wait keeps the state for the next call.
func (p *Parser) wait(st state, pos int) (bool, *Refusal) {
	p.state, p.pos = st, pos
	return false, nil
}
