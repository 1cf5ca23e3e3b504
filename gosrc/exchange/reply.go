package exchange

import (
	"errors"
	"strconv"

	"turboapi/gosrc/bridge"
	"turboapi/gosrc/wire"
)

// What the lane did wrong. All but the first three are found before anything
// was sent, so the client gets a 500.
var (
	errTooLong   = errors.New("exchange: response body longer than its Content-Length")
	errTooShort  = errors.New("exchange: response body shorter than its Content-Length")
	errHeadTwice = errors.New("exchange: a second response head")
	errNoHead    = errors.New("exchange: response ended or its body began without a head")
	errPreset    = errors.New("exchange: a ready-made head needs the whole response")
	errEarly     = errors.New("exchange: early hints after the head")
	errFile      = errors.New("exchange: a file that does not end the response")
)

// Result is what AppendReply found in a record's ops.
type Result struct {
	Ops uint32 // what ops was: the transport still has to honour RELEASE, and WANT with its 100 Continue

	// Payload follows the appended bytes, and Tail follows it. The payload is
	// the record's own memory, valid until the lane has the record again: write
	// it or copy it. AppendReply leaves it empty, having appended it.
	Payload []byte
	Tail    string

	// File, where it is one, comes between Payload and Tail. The transport
	// closes it.
	File bridge.File

	Head  bool // the final head is among the bytes; Status is its status
	Done  bool // the response is complete, or was given up: the exchange is over for the client
	Close bool // with Done: close the connection when all is written
	Abort bool // close the connection at once, for the response can't be completed

	Status int
}

// AppendReply is Format with everything in dst, but for a file and what follows it.
func AppendReply(dst []byte, x *bridge.Exchange, keepAlive bool, own wire.Own) ([]byte, Result, error) {
	dst, r, err := Format(dst, x, keepAlive, own)
	dst = append(dst, r.Payload...)
	r.Payload = nil
	if !r.File.Is() {
		dst = append(dst, r.Tail...)
		r.Tail = ""
	}
	return dst, r, err
}

// Format consumes what the lane asks for in x: it appends head and framing to
// dst and tells the rest by the Result. It clears ops, out_len
// and, with a head, fields_len. Whoever owns
// the response at this moment may call it, on any thread; nobody else may look
// at the response part meanwhile.
//
// keepAlive is what request and server allow. own is what the server adds to heads.
//
// An error is the application's fault and is for the log: the client gets a 500
// if nothing was sent yet, else its connection is closed. Either way the
// Result says what to do, and later payload of the exchange is dropped.
func Format(dst []byte, x *bridge.Exchange, keepAlive bool, own wire.Own) ([]byte, Result, error) {
	f := formatter{x: x, r: Result{Ops: x.Ops}, payload: x.Out(), own: own}
	f.keepAlive = keepAlive && f.r.Ops&bridge.OpClose == 0
	x.Ops, x.OutLen = 0, 0
	// What nobody takes is closed: a HEAD, a failure, a client that is gone.
	defer x.DropFile()
	if x.Ended != 0 {
		return dst, f.r, nil
	}
	dst, err := f.format(dst)
	if f.r.Ops&(bridge.OpHead|bridge.OpEarly) != 0 {
		x.FieldsLen = 0 // the lane begins the next head anew
	}
	return dst, f.r, err
}

// formatter is one call of Format.
type formatter struct {
	x         *bridge.Exchange
	r         Result
	payload   []byte
	own       wire.Own
	keepAlive bool
}

// How payload after the head is framed (x.Framing).
const (
	framedNone   = uint8(wire.BodyNone)
	framedLength = uint8(wire.BodyLength)
	framedChunks = uint8(wire.BodyChunked)
)

func (f *formatter) format(dst []byte) ([]byte, error) {
	x := f.x
	if f.r.Ops&bridge.OpAbort != 0 || x.Flags&bridge.ReqGone != 0 {
		return f.abort(dst, nil)
	}
	if f.r.Ops&bridge.OpEarly != 0 {
		return f.early(dst)
	}
	if f.r.Ops&bridge.OpHead != 0 {
		if x.SentHead != 0 {
			return f.abort(dst, errHeadTwice)
		}
		return f.head(dst)
	}
	if x.SentHead != 0 {
		return f.more(dst)
	}
	if f.r.Ops&bridge.OpEnd != 0 || len(f.payload) > 0 {
		return f.fail(dst, errNoHead)
	}
	return dst, nil
}

// head appends the final head and begins the payload.
func (f *formatter) head(dst []byte) ([]byte, error) {
	x := f.x
	end := f.r.Ops&bridge.OpEnd != 0
	if x.Preset == bridge.PresetJSON && x.Status >= 200 && x.Status <= 999 && x.Status != 204 && x.Status != 304 && x.Method != uint8(wire.MethodCONNECT) && end {
		dst = wire.AppendJSON(dst, int(x.Status), len(f.payload), f.own, x.Minor, f.keepAlive)
		f.started(f.keepAlive)
		if x.Flags&bridge.ReqHead == 0 {
			f.r.Payload = f.payload
		}
		return f.done(dst, f.keepAlive)
	}
	fields := x.PackedFields()
	if x.Preset != bridge.PresetNone {
		if !end {
			return f.fail(dst, errPreset)
		}
		fields = jsonFields
	}
	length := int64(-1)
	if end && x.File == 0 {
		length = int64(len(f.payload))
	}
	w := wire.Reply{
		Status: int(x.Status), Minor: x.Minor, HEAD: x.Flags&bridge.ReqHead != 0,
		CONNECT: x.Method == uint8(wire.MethodCONNECT), KeepAlive: f.keepAlive,
	}
	if w.Status < 200 {
		return f.fail(dst, errStatus)
	}
	dst, framing, err := wire.AppendHead(dst, &w, fields, length, f.own)
	if err != nil {
		return f.fail(dst, err)
	}
	f.started(framing.KeepAlive)
	x.Framing, x.LengthLeft = uint8(framing.Kind), uint64(framing.Length)
	return f.more(dst)
}

var jsonFields = pack(nil, "content-type", "application/json")

var errStatus = errors.New("exchange: response status below 200")

// more frames payload behind the head.
func (f *formatter) more(dst []byte) ([]byte, error) {
	x := f.x
	end := f.r.Ops&bridge.OpEnd != 0
	n := uint64(len(f.payload))
	if x.File != 0 {
		return f.file(dst, end)
	}
	switch x.Framing {
	case framedNone:
		n = 0
	case framedLength:
		if n > x.LengthLeft {
			return f.abort(dst, errTooLong)
		}
		x.LengthLeft -= n
	case framedChunks:
		if n > 0 {
			// RFC 9112, 7.1. A chunk of no bytes would end the body.
			dst = append(strconv.AppendUint(dst, n, 16), "\r\n"...)
			f.r.Tail = chunkEnd
		}
		if end {
			f.r.Tail = lastChunk
			if n > 0 {
				f.r.Tail = chunkEnd + lastChunk
			}
		}
	}
	f.r.Payload = f.payload[:n]
	if !end {
		return dst, nil
	}
	if x.Framing == framedLength && x.LengthLeft > 0 {
		return f.abort(dst, errTooShort)
	}
	return f.done(dst, x.KeepAlive != 0 && f.r.Ops&bridge.OpClose == 0)
}

// file frames payload and the file behind it, which end the response. A file
// that has grown since its length was announced is cut there; what it lacks
// shows when it is sent.
func (f *formatter) file(dst []byte, end bool) ([]byte, error) {
	x := f.x
	if !end {
		return f.abort(dst, errFile)
	}
	n := uint64(len(f.payload))
	switch x.Framing {
	case framedNone:
		return f.done(dst, x.KeepAlive != 0 && f.r.Ops&bridge.OpClose == 0)
	case framedLength:
		if n > x.LengthLeft {
			return f.abort(dst, errTooLong)
		}
		x.FileLen = int64(x.LengthLeft - n)
		x.LengthLeft = 0
	case framedChunks:
		f.r.Tail = lastChunk
		if all := n + uint64(x.FileLen); all > 0 {
			dst = append(strconv.AppendUint(dst, all, 16), "\r\n"...)
			f.r.Tail = chunkEnd + lastChunk
		}
	}
	f.r.Payload = f.payload
	if x.FileLen > 0 {
		f.r.File = x.TakeFile()
	}
	return f.done(dst, x.KeepAlive != 0 && f.r.Ops&bridge.OpClose == 0)
}

const (
	chunkEnd  = "\r\n"
	lastChunk = "0\r\n\r\n"
)

// early appends a 103 (RFC 8297), which clients of HTTP/1.0 would not know.
func (f *formatter) early(dst []byte) ([]byte, error) {
	x := f.x
	if x.SentHead != 0 {
		return f.abort(dst, errEarly)
	}
	if x.Minor == 0 {
		return dst, nil
	}
	dst, err := wire.AppendEarlyHints(dst, x.PackedFields())
	if err != nil {
		return f.fail(dst, err)
	}
	return dst, nil
}

// started notes that the head is out.
func (f *formatter) started(keepAlive bool) {
	f.x.SentHead, f.x.KeepAlive = 1, 0
	if keepAlive {
		f.x.KeepAlive = 1
	}
	f.r.Head, f.r.Status = true, int(f.x.Status)
}

func (f *formatter) done(dst []byte, keepAlive bool) ([]byte, error) {
	f.x.Ended = 1
	f.r.Done, f.r.Close = true, !keepAlive
	return dst, nil
}

// fail answers 500 in place of a head that could not be made.
func (f *formatter) fail(dst []byte, err error) ([]byte, error) {
	f.x.Status = 500
	dst = AppendError(dst, f.x.Flags&bridge.ReqHead != 0, f.own)
	f.started(false)
	f.r.Payload, f.r.Tail = nil, ""
	dst, _ = f.done(dst, false)
	return dst, err
}

// abort gives the response up. What was appended to dst before may be sent.
func (f *formatter) abort(dst []byte, err error) ([]byte, error) {
	f.x.Ended = 1
	f.r.Done, f.r.Close, f.r.Abort = true, true, true
	f.r.Payload, f.r.Tail = nil, ""
	return dst, err
}

// AppendError appends the answer to a request whose application failed before
// it answered: what uvicorn's clients know.
func AppendError(dst []byte, head bool, own wire.Own) []byte {
	r := wire.Reply{Status: 500, Minor: 1, HEAD: head}
	// These fields are valid: a test calls this.
	dst, _, _ = wire.AppendHead(dst, &r, errorFields, int64(len(errorBody)), own)
	if head {
		return dst
	}
	return append(dst, errorBody...)
}

const errorBody = "Internal Server Error"

var errorFields = pack(pack(nil, "content-type", "text/plain; charset=utf-8"), "content-length", strconv.Itoa(len(errorBody)))

// AppendStatic appends the whole answer to an exchange that Fill called
// Static. t must be the table that filled it. close says that the connection
// has to be closed after it.
func (t *Table) AppendStatic(dst []byte, x *bridge.Exchange, keepAlive bool, own wire.Own) (out []byte, status int, closes bool) {
	s := &t.statics[firstStatic-x.Plan]
	r := wire.Reply{
		Status: s.status, Minor: x.Minor, HEAD: x.Flags&bridge.ReqHead != 0,
		CONNECT: x.Method == uint8(wire.MethodCONNECT), KeepAlive: keepAlive,
	}
	// NewTable has tried these fields: there is no error.
	dst, f, _ := wire.AppendHead(dst, &r, s.fields, int64(len(s.body)), own)
	switch f.Kind {
	case wire.BodyChunked:
		dst = wire.AppendLastChunk(wire.AppendChunk(dst, s.body))
	case wire.BodyLength, wire.BodyUntilClose:
		dst = append(dst, s.body...)
	}
	return dst, s.status, !f.KeepAlive
}
