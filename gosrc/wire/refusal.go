package wire

import (
	"strconv"
	"unicode/utf8"
)

// Refusal is why a request is not served. It is immutable, usually a package
// variable, and shared by all threads.
type Refusal struct {
	Status int
	Detail string // for the client; says nothing of its bytes
}

// Error makes a Refusal an error. A nil *Refusal in an error interface is not
// nil: compare the pointer.
func (r *Refusal) Error() string {
	return "wire: " + strconv.Itoa(r.Status) + " " + r.Detail
}

// Refusals that a transport needs beside the parser's own.
var (
	ErrContentTooLarge = &Refusal{413, "Request body too large"}
	ErrRequestTimeout  = &Refusal{408, "Request not received in time"}
	ErrMemory          = &Refusal{503, "Too much memory is taken by requests and answers"}
)

// Refusals of the request line.
var (
	errEmptyLines   = &Refusal{400, "Too many empty lines before the request line"}
	errMethodByte   = &Refusal{400, "Invalid byte in the method"}
	errMethodLength = &Refusal{501, "Method not implemented"}
	errTargetLength = &Refusal{414, "Request line too long"}
	errTargetByte   = &Refusal{400, "Invalid byte in the request target"}
	errTargetForm   = &Refusal{400, "Invalid request target"}
	errAuthority    = &Refusal{400, "Invalid authority in the request target"}
	errConnect      = &Refusal{400, "CONNECT needs host:port as its target"}
	errAsterisk     = &Refusal{400, "Target * is for OPTIONS only"}
	errNoVersion    = &Refusal{400, "No HTTP version in the request line"}
	errVersion      = &Refusal{400, "Invalid HTTP version in the request line"}
	errVersionOther = &Refusal{505, "HTTP version not supported"}
)

// Refusals of lines in general.
var (
	errBareCR = &Refusal{400, "Bare CR"}
	errBareLF = &Refusal{400, "Bare LF"}
)

// Refusals of field lines.
var (
	errHeaderLength  = &Refusal{431, "Header section too large"}
	errFieldCount    = &Refusal{431, "Too many header fields"}
	errFirstSpace    = &Refusal{400, "White space before the first header field"}
	errFold          = &Refusal{400, "Folded header line"}
	errNameEmpty     = &Refusal{400, "Empty header name"}
	errNameSpace     = &Refusal{400, "White space before the colon of a header field"}
	errNameByte      = &Refusal{400, "Invalid byte in a header name"}
	errValueByte     = &Refusal{400, "Invalid byte in a header value"}
	errHostMissing   = &Refusal{400, "Missing Host header"}
	errHostSeveral   = &Refusal{400, "More than one Host header"}
	errHostInvalid   = &Refusal{400, "Invalid Host header"}
	errLength        = &Refusal{400, "Invalid Content-Length"}
	errLengthDiffers = &Refusal{400, "Content-Length fields differ"}
	errLengthCoding  = &Refusal{400, "Both Transfer-Encoding and Content-Length"}
	errCoding        = &Refusal{400, "Unsupported Transfer-Encoding"}
	errCodingOld     = &Refusal{400, "Transfer-Encoding in HTTP/1.0"}
	errExpectation   = &Refusal{417, "Unsupported expectation"}
)

// Refusals of a chunked body.
var (
	errChunkSize     = &Refusal{400, "Invalid chunk size"}
	errChunkOverflow = &Refusal{400, "Chunk size too large"}
	errChunkExt      = &Refusal{400, "Invalid chunk extension"}
	errChunkExtSize  = &Refusal{400, "Chunk extensions too long"}
	errChunkEnd      = &Refusal{400, "Chunk data not followed by CRLF"}
	errTrailerSize   = &Refusal{431, "Trailer section too large"}
	errTrailerCount  = &Refusal{431, "Too many trailer fields"}
	errTrailerField  = &Refusal{400, "Forbidden trailer field"}
)

// AppendRefusal appends the whole answer to a refused request: a small JSON
// object and Connection: close. own is what the server adds, nil for nothing.
func AppendRefusal(dst []byte, r *Refusal, own Own) []byte {
	dst, detail := appendRefusalHead(dst, r, own)
	return append(append(append(dst, `{"detail":"`...), detail...), `"}`...)
}

// AppendRefusalHead is AppendRefusal for a HEAD request: the same head and no
// body (RFC 9110, 9.3.2).
func AppendRefusalHead(dst []byte, r *Refusal, own Own) []byte {
	dst, _ = appendRefusalHead(dst, r, own)
	return dst
}

func appendRefusalHead(dst []byte, r *Refusal, own Own) ([]byte, []byte) {
	detail := appendJSONText(nil, r.Detail)
	dst = append(appendStatusLine(dst, r.Status), own...)
	dst = append(dst, "content-type: application/json\r\ncontent-length: "...)
	dst = strconv.AppendInt(dst, int64(len(detail)+len(`{"detail":""}`)), 10)
	if r.Status == 426 {
		// RFC 9110, 15.5.22 and RFC 6455, 4.4: what would be served.
		return append(dst, "\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nconnection: upgrade, close\r\n\r\n"...), detail
	}
	if r.Status == 503 {
		dst = append(dst, "\r\nretry-after: 1"...)
	}
	return append(dst, "\r\nconnection: close\r\n\r\n"...), detail
}

// appendJSONText appends s as the inside of a JSON string (RFC 8259, 7).
func appendJSONText(dst []byte, s string) []byte {
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', byte(c))
		case c < 0x20:
			const hex = "0123456789abcdef"
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			dst = utf8.AppendRune(dst, c)
		}
	}
	return dst
}
