package form

import (
	"bytes"
	"unicode/utf8"

	"turboapi/gosrc/bridge"
)

const (
	// A part's head has at most so many fields and bytes; parsers that have a
	// limit have none below.
	maxHeadFields = 8
	maxHead       = 4096
	maxBoundary   = 70 // RFC 2046, 5.1.1
)

// boundaryOf reads the parameters of a multipart Content-Type: its boundary, and
// nothing else (RFC 2046, 5.1.1).
func boundaryOf(params []byte) ([]byte, bool) {
	params = bytes.Trim(params, " \t")
	const name = "boundary="
	if len(params) < len(name) || !bytes.EqualFold(params[:len(name)], []byte(name)) {
		return nil, false
	}
	b := params[len(name):]
	quoted := len(b) >= 2 && b[0] == '"' && b[len(b)-1] == '"'
	if quoted {
		b = b[1 : len(b)-1]
	}
	if len(b) == 0 || len(b) > maxBoundary {
		return nil, false
	}
	for _, c := range b {
		if !boundaryChars[c] || !quoted && separators[c] {
			return nil, false
		}
	}
	return bytes.Clone(b), true
}

// head is what a part's head says.
type head struct {
	name, filename bridge.Span
	isFile         bool
}

// readHead reads the fields of a part, body[from:to], each with its line's end,
// and adds them to fields. Spans are places in body.
func readHead(body []byte, from, to int, fields []bridge.Field) (head, []bridge.Field, error) {
	var h head
	found, first := false, len(fields)
	for from < to {
		n := bytes.Index(body[from:to], crlf)
		if n <= 0 || len(fields)-first == maxHeadFields {
			return h, fields, errHead
		}
		line := body[from : from+n]
		colon := bytes.IndexByte(line, ':')
		if colon <= 0 || !all(line[:colon], &tokenChars) {
			return h, fields, errHead
		}
		at := colon + 1
		for at < n && line[at] == ' ' {
			at++
		}
		value := line[at:]
		if !all(value, &valueChars) {
			return h, fields, errHead
		}
		name := bridge.Span{Off: uint32(from), Len: uint32(colon)}
		fields = append(fields, bridge.Field{Name: name, Value: bridge.Span{Off: uint32(from + at), Len: uint32(n - at)}})
		if bytes.EqualFold(line[:colon], []byte("content-disposition")) {
			if found {
				return h, fields, errName // which one counts?
			}
			found = true
			if !h.disposition(value, uint32(from+at)) {
				return h, fields, errName
			}
		}
		from += n + len(crlf)
	}
	if !found {
		return h, fields, errName
	}
	return h, fields, nil
}

// disposition reads `form-data; name="a"` and `form-data; name="a"; filename="b"`
// (RFC 7578, 4.2); off is the value's place in the body.
func (h *head) disposition(value []byte, off uint32) bool {
	const media = "form-data"
	if len(value) < len(media) || !bytes.EqualFold(value[:len(media)], []byte(media)) {
		return false
	}
	at := len(media)
	var ok bool
	if h.name, at, ok = parameter(value, at, "name"); !ok {
		return false
	}
	if at < len(value) {
		if h.filename, at, ok = parameter(value, at, "filename"); !ok {
			return false
		}
		h.isFile = true
	}
	h.name.Off += off
	h.filename.Off += off
	return at == len(value)
}

// parameter reads `; name="..."` at value[at:] and returns what is between the quotes.
func parameter(value []byte, at int, name string) (bridge.Span, int, bool) {
	rest := value[at:]
	if len(rest) == 0 || rest[0] != ';' {
		return bridge.Span{}, 0, false
	}
	n := 1
	for n < len(rest) && rest[n] == ' ' {
		n++
	}
	if !bytes.HasPrefix(rest[n:], []byte(name)) || !bytes.HasPrefix(rest[n+len(name):], []byte(`="`)) {
		return bridge.Span{}, 0, false
	}
	n += len(name) + 2
	end := bytes.IndexByte(rest[n:], '"')
	// A backslash is an escape to some, a path of Windows to others.
	if end < 0 || bytes.IndexByte(rest[n:n+end], '\\') >= 0 || !utf8.Valid(rest[n:n+end]) {
		return bridge.Span{}, 0, false
	}
	return bridge.Span{Off: uint32(at + n), Len: uint32(end)}, at + n + end + 1, true
}

type chars [256]bool

func all(b []byte, set *chars) bool {
	for _, c := range b {
		if !set[c] {
			return false
		}
	}
	return true
}

func charsOf(s string) (set chars) {
	for i := range len(s) {
		set[s[i]] = true
	}
	return set
}

const alphanumeric = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

var (
	crlf       = []byte("\r\n")
	tokenChars = charsOf(alphanumeric + "!#$%&'*+-.^_`|~")
	// RFC 2046, 5.1.1, without the space.
	boundaryChars = charsOf(alphanumeric + "'()+_,-./:=?")
	separators    = charsOf("(),/:=?")
	valueChars    = func() (set chars) {
		for c := range set {
			set[c] = c >= ' ' && c != 0x7f
		}
		return set
	}()
)
