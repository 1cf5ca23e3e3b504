// Package wire reads and writes HTTP/1.1 on bytes: request heads, body framing,
// reply heads, refusals, the date. It is strict (RFC 9112, RFC 9110), keeps no
// connection, starts no goroutine and, once warm, allocates nothing per request.
//
// Everything here belongs to one connection at a time and is not safe for use
// by several threads at once, except Clock, the tables and the Refusal
// variables.
package wire

// Limits bound a request's head and framing. A field that is zero or negative
// means its default; nothing is unlimited.
type Limits struct {
	// RequestLine is the most bytes of a request line, without its CRLF.
	// Default 8192, at least 64; beyond it 414.
	RequestLine int
	// Header is the most bytes of a header section, with every line end and
	// the closing empty line. Default 65536; beyond it 431.
	Header int
	// Fields is the most field lines in a header or trailer section. Default
	// 200; beyond it 431.
	Fields int
	// ChunkExt is the most bytes of chunk extensions in one body, all chunks
	// together (RFC 9112, 7.1.1). Default 16384; beyond it 400.
	ChunkExt int
	// Trailer is the most bytes of a trailer section, with every line end and
	// the closing empty line. Default 8192, at least 2; beyond it 431.
	Trailer int
}

const (
	defaultRequestLine = 8 << 10
	defaultHeader      = 64 << 10
	defaultFields      = 200
	defaultChunkExt    = 16 << 10
	defaultTrailer     = 8 << 10

	// minRequestLine leaves room for any method that is read and a version.
	minRequestLine = 64
	// minTrailer is a trailer section without fields.
	minTrailer = 2
	// maxLimit keeps every offset of a head within a Span.
	maxLimit = 1 << 30

	// maxEmptyLines are skipped before a request line (RFC 9112, 2.2: at least
	// one; old clients end a body with an extra CRLF).
	maxEmptyLines = 4
	// maxMethod is longer than any registered method (RFC 9112, 3: 501).
	maxMethod = 32
)

// WithDefaults returns l with every unset field at its default.
func (l Limits) WithDefaults() Limits {
	return Limits{
		RequestLine: max(minRequestLine, orDefault(l.RequestLine, defaultRequestLine)),
		Header:      orDefault(l.Header, defaultHeader),
		Fields:      orDefault(l.Fields, defaultFields),
		ChunkExt:    orDefault(l.ChunkExt, defaultChunkExt),
		Trailer:     max(minTrailer, orDefault(l.Trailer, defaultTrailer)),
	}
}

func orDefault(n, def int) int {
	if n <= 0 {
		return def
	}
	return min(n, maxLimit)
}

// Span is a part of the head buffer: b[Off : Off+Len].
type Span struct{ Off, Len uint32 }

// Of returns the bytes of s in b, the buffer that was parsed. The result is
// part of b.
func (s Span) Of(b []byte) []byte { return b[s.Off : s.Off+s.Len : s.Off+s.Len] }

// End returns the offset just after s.
func (s Span) End() int { return int(s.Off) + int(s.Len) }

func span(from, to int) Span { return Span{uint32(from), uint32(to - from)} }
