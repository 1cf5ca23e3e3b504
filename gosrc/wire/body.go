package wire

import "math"

// Body takes a request body out of its framing (RFC 9112, 6 and 7), in pieces of
// any size and without copying.
//
//	length:  inLength -> ended
//	chunked: chunkSize -> [chunkExt] -> sizeLF -> chunkData -> dataCR -> dataLF -> chunkSize
//	                                          \-> (size 0) trailers -> ended
type Body struct {
	err  *Refusal
	left int64 // bytes of payload to come: of the body, or of the chunk
	got  int64 // bytes of payload given out

	// What is left of the limits.
	ext, trailer, fields int

	state   bodyState
	ext2    extState
	chunked bool
	digits  uint8                 // of the chunk size being read
	nameLen uint8                 // of the trailer field being read, at most len(name)+1
	name    [trailerNameMax]uint8 // its first bytes
}

type bodyState uint8

const (
	ended bodyState = iota
	inLength
	chunkSize
	chunkExt
	sizeLF
	chunkData
	dataCR
	dataLF
	trailerName
	trailerValue
	trailerLF
	trailerEndLF
	broken
)

// maxSizeDigits hold any size that an int64 holds; more could only be zeros.
const maxSizeDigits = 16

// trailerNameMax is the length of the longest name that trailers may not have.
const trailerNameMax = len("transfer-encoding")

// Reset prepares d for the body that h announces, within l, nil for the
// defaults. It keeps nothing of h and l.
func (d *Body) Reset(h *Head, l *Limits) {
	*d = Body{}
	switch {
	case h.Chunked:
		d.state, d.chunked = chunkSize, true
		d.ext, d.trailer, d.fields = defaultChunkExt, defaultTrailer, defaultFields
		if l != nil {
			d.ext = orDefault(l.ChunkExt, defaultChunkExt)
			d.trailer = max(minTrailer, orDefault(l.Trailer, defaultTrailer))
			d.fields = orDefault(l.Fields, defaultFields)
		}
	case h.ContentLength > 0:
		d.state, d.left = inLength, h.ContentLength
	}
}

// Done reports whether the body is complete. What follows in the connection is
// the next request.
func (d *Body) Done() bool { return d.state == ended }

// Remaining returns how many bytes of payload are to come, -1 where only the
// chunks will tell.
func (d *Body) Remaining() int64 {
	if d.chunked && d.state != ended {
		return -1
	}
	return d.left
}

// Received returns how many bytes of payload were given out.
func (d *Body) Received() int64 { return d.got }

// Next consumes n bytes of src, the next bytes of the connection, and returns
// the payload among them: one part of src, possibly empty. It stops after the
// first payload that it meets, so it is called until src is used up or Done. As
// long as the body is not done and src not empty, n is above zero. After a
// refusal the connection has to be closed; every later call gives the same one.
func (d *Body) Next(src []byte) (data []byte, n int, err *Refusal) {
	if d.state == inLength {
		data, n = d.payload(src, 0, ended)
		return data, n, nil
	}
	for n < len(src) {
		switch d.state {
		case chunkSize, chunkExt, sizeLF:
			err = d.size(src[n])
			n++
		case chunkData:
			data, n = d.payload(src, n, dataCR)
			return data, n, nil
		case dataCR:
			// RFC 9112, 7.1: anything but CRLF here means that sender and
			// recipient disagree about the size.
			if src[n] != '\r' {
				err = errChunkEnd
			}
			d.state = dataLF
			n++
		case dataLF:
			if src[n] != '\n' {
				err = errChunkEnd
			}
			d.state, d.digits = chunkSize, 0
			n++
		case ended, broken:
			return nil, n, d.err
		default:
			err = d.trailers(src[n])
			n++
		}
		if err != nil {
			d.state, d.err = broken, err
			return nil, n, err
		}
	}
	return nil, n, d.err
}

// payload takes what is in src from index n on, up to the end of the body or
// chunk, and returns it and the index after it.
func (d *Body) payload(src []byte, n int, next bodyState) ([]byte, int) {
	part := src[n:]
	if int64(len(part)) >= d.left {
		part = part[:d.left]
		d.state = next
	}
	d.left -= int64(len(part))
	d.got += int64(len(part))
	return part[:len(part):len(part)], n + len(part)
}

// size reads a byte of chunk-size [ chunk-ext ] CRLF (RFC 9112, 7.1).
func (d *Body) size(c byte) *Refusal {
	switch d.state {
	case chunkSize:
		if v := hexValue[c]; v != 0xff {
			// Checked before the digit is added, so left never wraps.
			if d.digits == maxSizeDigits || d.left > (math.MaxInt64-15)/16 {
				return errChunkOverflow
			}
			d.left = d.left<<4 | int64(v)
			d.digits++
			return nil
		}
		if d.digits == 0 || c == '\n' {
			return errChunkSize
		}
		if c == '\r' {
			d.state = sizeLF
			return nil
		}
		d.state, d.ext2 = chunkExt, extBefore
		return d.extension(c)
	case chunkExt:
		return d.extension(c)
	}
	if c != '\n' {
		return errBareCR
	}
	d.state = chunkData
	if d.left == 0 {
		d.state, d.nameLen = trailerName, 0
	}
	return nil
}
