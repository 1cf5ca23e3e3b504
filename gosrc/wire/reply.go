package wire

import (
	"encoding/binary"
	"errors"
	"strconv"
)

// Reply says what a response head depends on beside the application's fields.
type Reply struct {
	Status    int   // 100 to 999
	Minor     uint8 // the request's HTTP/1.Minor
	HEAD      bool  // the request's method is HEAD
	CONNECT   bool  // the request's method is CONNECT
	KeepAlive bool  // the request and the server let the connection stay open
}

// Body kinds of a Framing.
const (
	BodyNone       BodyKind = iota // no byte may follow the head
	BodyLength                     // exactly Framing.Length bytes follow
	BodyChunked                    // chunks follow, then LastChunk
	BodyUntilClose                 // bytes follow until the connection is closed
)

// BodyKind is how the end of a response body is found.
type BodyKind uint8

// Framing is what AppendHead decided.
type Framing struct {
	Kind      BodyKind
	KeepAlive bool  // the connection stays open after this response
	Length    int64 // of the body, with BodyLength
}

// What AppendHead refuses; the engine then answers 500.
var (
	errReplyStatus = errors.New("wire: response status out of range")
	errReplyPacked = errors.New("wire: packed response fields are malformed")
	errReplyName   = errors.New("wire: invalid response header name")
	errReplyValue  = errors.New("wire: invalid byte in a response header value")
	errReplyLength = errors.New("wire: invalid response Content-Length")
	errReplyDiffer = errors.New("wire: response Content-Length differs from the body")
)

// replyFields is what the application's fields say about the connection.
type replyFields struct {
	length       int64 // Content-Length, -1: none
	date, server bool
	close, keep  bool // options in Connection
	odd          bool // there is a field that may have to be left out
}

// AppendHead appends a response head to dst. packed holds the application's
// fields in order, each as {uint32 name length, uint32 value length, name,
// value} in the machine's byte order and without padding. bodyLen is the number
// of bytes of the body, -1 where it is not known yet. own is what this server
// adds.
//
// The order is: status line, those of own that the application does not give, its fields as they came, then what framing and connection need. Its
// Transfer-Encoding is left out, and a Content-Length where none is allowed.
// On an error dst is returned as it was.
func AppendHead(dst []byte, r *Reply, packed []byte, bodyLen int64, own Own) ([]byte, Framing, error) {
	if r.Status < 100 || r.Status > 999 {
		return dst, Framing{}, errReplyStatus
	}
	app, err := understand(packed)
	if err != nil {
		return dst, Framing{}, err
	}
	f, addLength, err := frame(r, &app, bodyLen)
	if err != nil {
		return dst, Framing{}, err
	}

	interim := r.Status < 200 && r.Status != 101 // after a 101 no other head follows
	dst = appendStatusLine(dst, r.Status)
	if !interim {
		if app.date || app.server {
			own = own.without(app.date, app.server)
		}
		dst = append(dst, own...)
	}
	keepLength := app.length
	if !lengthAllowed(r) || ownLength(r, bodyLen) {
		keepLength = -1
	}
	dst = appendFields(dst, packed, &app, keepLength, f.KeepAlive)

	if addLength {
		dst = append(dst, "content-length: "...)
		dst = strconv.AppendInt(dst, bodyLen, 10)
		dst = append(dst, "\r\n"...)
	}
	if f.Kind == BodyChunked {
		dst = append(dst, "transfer-encoding: chunked\r\n"...)
	}
	switch {
	case interim:
	case !f.KeepAlive:
		if !app.close {
			dst = append(dst, connectionClose...)
		}
	case r.Minor == 0 && !app.keep:
		dst = append(dst, connectionKeep...) // RFC 9112, 9.3
	}
	return append(dst, "\r\n"...), f, nil
}

const (
	connectionClose = "connection: close\r\n"
	connectionKeep  = "connection: keep-alive\r\n"
)

// lengthAllowed reports whether the response may have a Content-Length (RFC
// 9110, 8.6).
func lengthAllowed(r *Reply) bool {
	return r.Status >= 200 && r.Status != 204 && !(r.CONNECT && r.Status < 300)
}

// ownLength reports whether the application's Content-Length is replaced by
// this server's.
func ownLength(r *Reply, bodyLen int64) bool { return r.Status == 205 && bodyLen == 0 && !r.HEAD }

// frame decides how the body ends (RFC 9112, 6.3) and whether a Content-Length
// has to be added.
func frame(r *Reply, app *replyFields, bodyLen int64) (f Framing, addLength bool, err error) {
	f.KeepAlive = r.KeepAlive && !app.close
	switch {
	case r.CONNECT && r.Status >= 200 && r.Status < 300:
		// RFC 9110, 9.3.6: neither Content-Length nor Transfer-Encoding.
		f.Kind, f.KeepAlive = BodyUntilClose, false
	case !lengthAllowed(r) || r.Status == 304:
		// No body. A 304 may say how long the 200 would be.
	case r.HEAD:
		// RFC 9110, 9.3.2: the fields of a GET as far as they are known.
	case ownLength(r, bodyLen):
		// RFC 9110, 15.3.6: no content, and the client must be told so. FastAPI
		// empties the body and leaves the length that it had.
		f.Kind, addLength = BodyLength, true
	case app.length >= 0:
		if bodyLen >= 0 && bodyLen != app.length {
			return f, false, errReplyDiffer
		}
		f.Kind, f.Length = BodyLength, app.length
	case r.Minor >= 1:
		// Also where the length is known: the application's fields stay what it gave, as with uvicorn.
		f.Kind = BodyChunked
	case bodyLen >= 0:
		f.Kind, f.Length, addLength = BodyLength, bodyLen, true
	default:
		// HTTP/1.0 knows no chunks.
		f.Kind, f.KeepAlive = BodyUntilClose, false
	}
	return f, addLength, nil
}

// nextField takes the first field off packed. name is nil when packed is
// malformed.
func nextField(packed []byte) (name, value, rest []byte) {
	if len(packed) < 8 {
		return nil, nil, nil
	}
	n := uint64(binary.NativeEndian.Uint32(packed))
	v := uint64(binary.NativeEndian.Uint32(packed[4:]))
	packed = packed[8:]
	if n == 0 || n+v > uint64(len(packed)) {
		return nil, nil, nil
	}
	return packed[:n], packed[n : n+v], packed[n+v:]
}

// understand checks every field (no CR, LF or NUL leaves this server) and notes
// those that matter here.
func understand(packed []byte) (replyFields, error) {
	app := replyFields{length: -1}
	for len(packed) > 0 {
		var name, value []byte
		name, value, packed = nextField(packed)
		if name == nil {
			return app, errReplyPacked
		}
		for _, c := range name {
			if class[c]&isToken == 0 {
				return app, errReplyName
			}
		}
		if skipValue(value, 0) != len(value) {
			return app, errReplyValue
		}
		switch len(name) {
		case 4:
			app.date = app.date || same(name, "date")
		case 6:
			app.server = app.server || same(name, "server")
		case 10:
			if same(name, "connection") {
				app.connection(value)
			}
		case 14:
			if same(name, "content-length") {
				n, ok := contentLength(trim(value))
				if !ok || (app.length >= 0 && app.length != n) {
					return app, errReplyLength
				}
				app.odd = app.odd || app.length >= 0
				app.length = n
			}
		case 17:
			app.odd = app.odd || same(name, "transfer-encoding")
		}
	}
	return app, nil
}

func (app *replyFields) connection(v []byte) {
	app.odd = true
	for len(v) > 0 {
		var option []byte
		option, v = element(v)
		app.close = app.close || same(option, "close")
		app.keep = app.keep || same(option, "keep-alive")
	}
}

// appendFields appends the application's fields as they came, without
// Transfer-Encoding, without a "Connection: keep-alive" that would not be true,
// and with one Content-Length, or none where length is negative.
func appendFields(dst, packed []byte, app *replyFields, length int64, keepAlive bool) []byte {
	odd := app.odd || length != app.length
	for len(packed) > 0 {
		var name, value []byte
		name, value, packed = nextField(packed)
		if odd {
			switch len(name) {
			case 10:
				if !keepAlive && same(name, "connection") && same(trim(value), "keep-alive") {
					continue
				}
			case 14:
				if same(name, "content-length") {
					if length < 0 {
						continue
					}
					length = -1
				}
			case 17:
				if same(name, "transfer-encoding") {
					continue
				}
			}
		}
		dst = append(dst, name...)
		dst = append(dst, ": "...)
		dst = append(dst, value...)
		dst = append(dst, "\r\n"...)
	}
	return dst
}
