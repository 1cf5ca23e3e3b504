package wire

import "strconv"

// LastChunk ends a chunked body that has no trailers (RFC 9112, 7.1).
const LastChunk = "0\r\n\r\n"

// AppendChunkHead appends the size line of a chunk of n bytes, n > 0. The data
// and a CRLF have to follow.
func AppendChunkHead(dst []byte, n int) []byte {
	return append(strconv.AppendInt(dst, int64(n), 16), "\r\n"...)
}

// AppendChunk appends data as one chunk. Empty data is nothing: a chunk of zero
// bytes would end the body.
func AppendChunk(dst, data []byte) []byte {
	if len(data) == 0 {
		return dst
	}
	dst = append(AppendChunkHead(dst, len(data)), data...)
	return append(dst, "\r\n"...)
}

// AppendLastChunk appends the end of a chunked body.
func AppendLastChunk(dst []byte) []byte { return append(dst, LastChunk...) }
