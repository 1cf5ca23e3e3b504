package wire

// Method names the methods that are known; methods are case-sensitive (RFC
// 9110, 9.1). The numbers are part of the exchange record.
type Method uint8

// The known methods.
const (
	MethodOther Method = iota
	MethodGET
	MethodHEAD
	MethodPOST
	MethodPUT
	MethodPATCH
	MethodDELETE
	MethodOPTIONS
	MethodTRACE
	MethodCONNECT
)

func methodOf(m []byte) Method {
	switch string(m) {
	case "GET":
		return MethodGET
	case "HEAD":
		return MethodHEAD
	case "POST":
		return MethodPOST
	case "PUT":
		return MethodPUT
	case "PATCH":
		return MethodPATCH
	case "DELETE":
		return MethodDELETE
	case "OPTIONS":
		return MethodOPTIONS
	case "TRACE":
		return MethodTRACE
	case "CONNECT":
		return MethodCONNECT
	}
	return MethodOther
}

// TargetForm is one of the four forms of a request target (RFC 9112, 3.2).
type TargetForm uint8

// The forms of a request target.
const (
	FormOrigin    TargetForm = iota // /path?query
	FormAbsolute                    // http://authority/path?query
	FormAuthority                   // host:port, CONNECT only
	FormAsterisk                    // *, OPTIONS only
)

// Field is one field line: offsets in the head buffer. Value is without the
// white space around it; Name and Value are as they came.
type Field struct{ Name, Value Span }

// Head is a parsed request head. Every Span is an offset in the buffer given to
// Parse, so a Head is valid as long as those bytes are. It belongs to its
// caller and is meant to be used again: Fields keeps its array.
type Head struct {
	Method   Span
	MethodID Method
	Form     TargetForm
	Minor    uint8 // HTTP/1.Minor

	HasQuery  bool // a '?' was there, even if nothing follows it
	EmptyPath bool // absolute-form without a path: Path has no bytes and means "/"

	Chunked   bool // the body is chunked
	KeepAlive bool // the client lets the connection stay open (RFC 9112, 9.3)
	Expect100 bool // the client waits for 100 Continue before it sends its body
	WebSocket bool // a GET that asks for an upgrade to WebSocket (RFC 6455, 4.1)

	// Target is the request target as it came. Path and Query are its parts,
	// still percent-encoded, Query without the '?'. Asterisk-form: Path is
	// "*". Authority-form: Path has no bytes.
	Target, Path, Query Span
	// Authority is set for absolute- and authority-form.
	Authority Span

	Fields []Field

	// ContentLength is the length of the body in bytes, -1 where no
	// Content-Length was sent (no body, unless Chunked).
	ContentLength int64

	// Index in Fields of the first field of that name, -1 where there is none.
	Host, Origin, Cookie, ContentType, Authorization, Expect int
	// CookieCount is the number of Cookie fields.
	CookieCount int

	// Len is the length of the head in bytes, with its empty line and with the
	// empty lines before it that were skipped.
	Len int
}

// Reset empties h and keeps the array of Fields.
func (h *Head) Reset() {
	*h = Head{
		Fields:        h.Fields[:0],
		ContentLength: -1,
		Host:          -1, Origin: -1, Cookie: -1, ContentType: -1, Authorization: -1, Expect: -1,
	}
}

// HasBody reports whether bytes of a body may follow the head.
func (h *Head) HasBody() bool { return h.Chunked || h.ContentLength > 0 }

// Line returns the whole line of field i, from its name up to and including
// its CRLF.
func (h *Head) Line(i int) Span {
	end := h.Len - 2 // the closing empty line
	if i+1 < len(h.Fields) {
		end = int(h.Fields[i+1].Name.Off)
	}
	return span(int(h.Fields[i].Name.Off), end)
}
