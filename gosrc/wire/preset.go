package wire

import "strconv"

// AppendJSON200 appends the head of the most common answer: status 200, the
// application's fields being exactly content-length and content-type:
// application/json, in that order. The body follows unless the request is HEAD.
func AppendJSON200(dst []byte, bodyLen int, own Own, minor uint8, keepAlive bool) []byte {
	return AppendJSON(dst, 200, bodyLen, own, minor, keepAlive)
}

// AppendJSON is AppendJSON200 for any status that has a body: from 200 on, not
// 204 or 304.
func AppendJSON(dst []byte, status, bodyLen int, own Own, minor uint8, keepAlive bool) []byte {
	dst = append(appendStatusLine(dst, status), own...)
	dst = append(dst, "content-length: "...)
	dst = strconv.AppendInt(dst, int64(bodyLen), 10)
	if keepAlive && minor >= 1 {
		return append(dst, "\r\ncontent-type: application/json\r\n\r\n"...)
	}
	dst = append(dst, "\r\ncontent-type: application/json\r\n"...)
	if keepAlive {
		return append(dst, connectionKeep+"\r\n"...)
	}
	return append(dst, connectionClose+"\r\n"...)
}

// AppendContinue appends a 100 response (RFC 9110, 15.2.1). HTTP/1.0 clients get
// none.
func AppendContinue(dst []byte) []byte {
	return append(dst, "HTTP/1.1 100 Continue\r\n\r\n"...)
}

// AppendEarlyHints appends a 103 response (RFC 8297) with packed as its fields,
// in AppendHead's form. HTTP/1.0 clients get none (RFC 9110, 15.2).
func AppendEarlyHints(dst, packed []byte) ([]byte, error) {
	r := Reply{Status: 103, Minor: 1, KeepAlive: true}
	dst, _, err := AppendHead(dst, &r, packed, -1, nil)
	return dst, err
}
