package form

import (
	"bytes"
	"unicode/utf8"

	"turboapi/gosrc/bridge"
)

// The states of a multipart body. A part goes head -> data, and its boundary says
// whether another one follows.
const (
	atStart = iota // before the first boundary
	atHead
	atData
	atEnd // behind the last boundary
)

// direct is the least that is worth writing to a file without a way through
// memory.
const direct = 4 << 10

// multipart reads parts. What it has read, and what it still needs of it, is in
// the inbox in one piece; only a spooled file's content is not: that is cut out.
type multipart struct {
	delimiter []byte // CRLF "--" boundary
	state     uint8
	from      int // of the part's head or data in the inbox
	scan      int // no delimiter begins before
	head      head
	fields    int64
	files     int64
	spooled   bool // the data is in the last file of the exchange
	mayBlock  bool // the caller's thread may write to a disk
	waits     bool // for that
	parts     []bridge.Part
	heads     []bridge.Field
	first     int // of the part's own in heads
}

func newMultipart(boundary []byte) *multipart {
	return &multipart{delimiter: append([]byte("\r\n--"), boundary...)}
}

func (m *multipart) write(lim *Limits, x *bridge.Exchange, data []byte) error {
	if m.spooled && int(x.BodyLen) == m.from && len(data) >= direct {
		n := bytes.Index(data, m.delimiter)
		if n < 0 {
			n = len(data) - m.partial(data)
		}
		written, err := spool(x, data[:n])
		data = data[written:]
		if err != nil {
			x.AppendBody(data)
			return err
		}
	}
	x.AppendBody(data)
	return m.steps(lim, x)
}

// steps goes on as far as the bytes that are there allow.
func (m *multipart) steps(lim *Limits, x *bridge.Exchange) error {
	for {
		more, err := m.step(lim, x)
		if err != nil || !more {
			return err
		}
	}
}

// step goes one state on. It reports false where more of the body is needed.
func (m *multipart) step(lim *Limits, x *bridge.Exchange) (bool, error) {
	body := x.BodyBytes()
	switch m.state {
	case atStart:
		return m.start(body)
	case atHead:
		return m.readHead(lim, body)
	case atData:
		return m.readData(lim, x, body)
	default:
		if !bytes.HasPrefix(crlf, body[m.from:]) {
			return false, errAfter
		}
		return false, nil
	}
}

// start takes the first boundary, with which the body begins.
func (m *multipart) start(body []byte) (bool, error) {
	first := m.delimiter[len(crlf):]
	if n := min(len(body), len(first)); !bytes.Equal(body[:n], first[:n]) {
		return false, errStart
	}
	rest := body[min(len(body), len(first)):]
	if len(rest) < len(crlf) {
		return false, nil
	}
	if !bytes.HasPrefix(rest, crlf) {
		return false, errStart
	}
	m.state, m.from = atHead, len(first)+len(crlf)
	m.scan = m.from
	return true, nil
}

// readHead reads a part's head when it is complete.
func (m *multipart) readHead(lim *Limits, body []byte) (bool, error) {
	const end = "\r\n\r\n"
	i := bytes.Index(body[m.scan:], []byte(end))
	if i < 0 {
		m.scan = max(m.from, len(body)-len(end)+1)
		if len(body)-m.from > maxHead {
			return false, errHead
		}
		return false, nil
	}
	i += m.scan
	if i-m.from > maxHead {
		return false, errHead
	}
	m.first = len(m.heads)
	var err error
	if m.head, m.heads, err = readHead(body, m.from, i+len(crlf), m.heads); err != nil {
		return false, err
	}
	if m.head.isFile {
		if m.files++; m.files > lim.Files {
			return false, errFiles
		}
	} else if m.fields++; m.fields > lim.Fields {
		return false, errFields
	}
	m.state, m.from, m.spooled = atData, i+len(end), false
	m.scan = m.from
	return true, nil
}

// readData looks for the part's end, and has what a file has too much of written to disk.
func (m *multipart) readData(lim *Limits, x *bridge.Exchange, body []byte) (bool, error) {
	i := bytes.Index(body[m.scan:], m.delimiter)
	if i < 0 {
		n := len(body) - m.partial(body[m.from:])
		m.scan = n
		if !m.head.isFile {
			if int64(n-m.from) > lim.Part {
				return false, errPart
			}
			return false, nil
		}
		return false, m.divert(lim, x, n)
	}
	i += m.scan
	behind := i + len(m.delimiter)
	if len(body) < behind+len(crlf) {
		m.scan = i
		return false, nil
	}
	var next uint8
	switch string(body[behind : behind+len(crlf)]) {
	case "\r\n":
		next = atHead
	case "--":
		next = atEnd
	default:
		return false, errBoundary
	}
	if err := m.endPart(lim, x, i); err != nil {
		m.scan = i // where it is, after a wait
		return false, err
	}
	// Where the content was cut out, the delimiter stands at from.
	if m.spooled {
		i = m.from
	}
	m.state, m.from = next, i+len(m.delimiter)+len(crlf)
	m.scan, m.spooled = m.from, false
	return true, nil
}

// divert writes the content up to n to the part's file, if it has one or is due for one.
func (m *multipart) divert(lim *Limits, x *bridge.Exchange, n int) error {
	if !m.spooled {
		if lim.Spool <= 0 || int64(n-m.from) <= lim.Spool {
			return nil
		}
		if !m.mayBlock {
			return errWait
		}
		fd, err := openSpool(lim.Dir)
		if err != nil {
			return err
		}
		x.AddSpool(fd, uint64(m.from))
		m.spooled = true
	}
	written, err := spool(x, x.BodyBytes()[m.from:n])
	x.CutBody(uint64(m.from), uint64(m.from+written))
	m.scan = m.from
	return err
}

// endPart notes the part whose content ends at `to`.
func (m *multipart) endPart(lim *Limits, x *bridge.Exchange, to int) error {
	part := bridge.Part{
		Name: m.head.name, Fields: uint32(m.first), NFields: uint32(len(m.heads) - m.first),
		Value: bridge.Span{Off: uint32(m.from), Len: uint32(to - m.from)}, Size: uint64(to - m.from),
	}
	if !m.head.isFile {
		content := x.BodyBytes()[m.from:to]
		if int64(len(content)) > lim.Part {
			return errPart
		}
		if !utf8.Valid(content) {
			return errUTF8 // Latin-1, to Starlette
		}
		m.heads = m.heads[:m.first] // nobody asks for a text's fields
		part.Fields, part.NFields = 0, 0
		part.Kind = bridge.PartText
		m.parts = append(m.parts, part)
		return nil
	}
	part.Filename, part.Kind = m.head.filename, bridge.PartFile
	if err := m.divert(lim, x, to); err != nil {
		return err
	}
	if m.spooled {
		part.Kind, part.File, part.Value = bridge.PartSpooled, x.NSpools-1, bridge.Span{}
		part.Size = x.SpoolList()[part.File].Len
	}
	m.parts = append(m.parts, part)
	return nil
}

func (m *multipart) finish(x *bridge.Exchange) error {
	if m.state != atEnd || int(x.BodyLen) != m.from && int(x.BodyLen) != m.from+len(crlf) {
		return errCut
	}
	x.SetForm(m.parts, m.heads)
	return nil
}

// partial is how many bytes at b's end may be the beginning of a delimiter. Only
// its first byte is a CR, so there is one place to look at.
func (m *multipart) partial(b []byte) int {
	tail := b[max(0, len(b)-len(m.delimiter)+1):]
	i := bytes.LastIndexByte(tail, '\r')
	if i < 0 || !bytes.HasPrefix(m.delimiter, tail[i:]) {
		return 0
	}
	return len(tail) - i
}
