package websocket

import (
	"bytes"
	"encoding/binary"
	"errors"
	"unicode/utf8"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"

	"turboapi/gosrc/bridge"
)

// Kind is what Next found.
type Kind uint8

// The kinds of event.
const (
	None    Kind = iota // the bytes given are used up
	Message             // Event.Message, a whole one
	Ping                // to be answered with AppendPong(Payload)
	Pong                // the client lives
	Close               // the client's Close: Message.Code (1005 where it had none) and its reason
	Fail                // the client broke a rule: Message.Code says which, for AppendClose and the application
)

// Event is what Next found. Its payload is valid until the next call.
type Event struct {
	Kind    Kind
	Message bridge.Message // also the payload of Ping
}

// Session is the state of one accepted WebSocket.
//
//	frames:    head -> payload -> head ...
//	messages:  none -> first frame -> continuations -> none, control frames anywhere
//	the end:   open -> Closed (a Close was sent, or is not to be)
type Session struct {
	limits *Limits
	state  ws.State

	// The frame that is being read.
	head    [ws.MaxHeaderSize]byte
	headLen int
	payload bool // its header is complete
	header  ws.Header
	done    int64 // bytes of its payload
	control [ws.MaxControlFramePayloadSize]byte

	// The message that is being read.
	text, packed bool
	message      []byte
	valid        int // how much of a text that comes in pieces is known to be UTF-8

	deflate bool // permessage-deflate was agreed to

	// Closed: no message goes out any more. The owner of the connection sets it
	// where it ends the conversation itself.
	Closed bool
	// Queued is how many messages the lane has not seen, its owner's count.
	Queued int
	clock  clock

	reader  bytes.Reader
	headBuf [ws.MaxHeaderSize]byte
	out     appender
}

// keepMessage is the most memory that a session keeps for its next message.
const keepMessage = 16 << 10

var (
	errReserved = ws.ProtocolError("reserved bits set")
	errClose    = ws.ProtocolError("invalid close frame")
)

func newSession(l *Limits, now uint64) *Session {
	s := &Session{limits: l, state: ws.StateServerSide}
	s.clock.begin(l, now)
	return s
}

// deflates switches permessage-deflate on.
func (s *Session) deflates() {
	s.deflate = true
	s.state = s.state.Set(ws.StateExtended)
}

// Next reads on in src, which it may change (unmask), and returns how many bytes
// it used and what they made. Call it until it says None, or after a Fail or
// Close not at all.
func (s *Session) Next(src []byte) (n int, _ Event) {
	for {
		if !s.payload {
			used, ok, err := s.readHead(src[n:])
			n += used
			if err != nil {
				return n, failure(err)
			}
			if !ok {
				return n, Event{}
			}
		}
		used, ev, whole := s.readPayload(src[n:])
		n += used
		if ev.Kind != None || !whole {
			return n, ev
		}
	}
}

// readHead reads the header of a frame. False: it is not complete.
func (s *Session) readHead(src []byte) (n int, ok bool, _ error) {
	if len(src) == 0 {
		return 0, false, nil
	}
	b := src
	if s.headLen > 0 {
		n = copy(s.head[s.headLen:], src)
		b = s.head[:s.headLen+n]
	}
	size := ws.MaxHeaderSize
	if len(b) >= 2 {
		size = headSize(b[1])
	}
	if len(b) < size {
		if s.headLen == 0 {
			n = copy(s.head[:], src)
		}
		s.headLen += n
		return n, false, nil
	}
	n = size - s.headLen
	s.reader.Reset(b[:size])
	h, err := ws.ReadHeaderBuffer(&s.reader, s.headBuf[:2])
	if err != nil {
		return n, false, ws.ProtocolError(err.Error())
	}
	s.headLen = 0
	return n, true, s.begin(h)
}

// headSize is the length of a client's header by its second byte.
func headSize(b byte) int {
	h := ws.Header{Masked: b&0x80 != 0}
	switch b & 0x7f {
	case 126:
		h.Length = 1 << 15
	case 127:
		h.Length = 1 << 31
	}
	return ws.HeaderSize(h)
}

// begin checks the header of a frame (RFC 6455, 5; RFC 7692, 6).
func (s *Session) begin(h ws.Header) error {
	if err := ws.CheckHeader(h, s.state); err != nil {
		return err
	}
	if s.deflate {
		plain, packed, err := wsflate.UnsetBit(h)
		if err != nil {
			return err
		}
		if plain.Rsv != 0 {
			return errReserved
		}
		if h.OpCode == ws.OpText || h.OpCode == ws.OpBinary {
			s.packed = packed
		}
		h = plain
	}
	if h.OpCode == ws.OpText || h.OpCode == ws.OpBinary {
		s.text = h.OpCode == ws.OpText
	}
	if h.OpCode.IsData() && h.Length > int64(s.limits.Size-len(s.message)) {
		return errTooBig
	}
	s.header, s.payload, s.done = h, true, 0
	return nil
}

// readPayload reads the payload of the frame. whole: the frame is complete.
func (s *Session) readPayload(src []byte) (n int, ev Event, whole bool) {
	h := &s.header
	n = int(min(h.Length-s.done, int64(len(src))))
	part := src[:n]
	ws.Cipher(part, h.Mask, int(s.done&3))
	s.done += int64(n)
	whole = s.done == h.Length
	if h.OpCode.IsControl() {
		copy(s.control[s.done-int64(n):], part)
		if whole {
			s.payload = false
			ev = s.endControl(s.control[:h.Length])
		}
		return n, ev, whole
	}
	if !whole || !h.Fin || len(s.message) > 0 {
		s.message = append(s.message, part...)
		part = s.message
		if s.text && !s.packed && !s.stillValid() {
			return n, failure(errUTF8), whole
		}
	}
	if !whole {
		return n, ev, false
	}
	s.payload = false
	if !h.Fin {
		s.state = s.state.Set(ws.StateFragmented)
		return n, ev, true
	}
	s.state = s.state.Clear(ws.StateFragmented)
	ev = s.endMessage(part)
	if cap(s.message) > keepMessage {
		s.message = nil
	}
	s.message, s.valid = s.message[:0], 0
	return n, ev, true
}

// stillValid reports whether what has come of a text can be the beginning of
// UTF-8: a client that sends anything else hears of it at once (RFC 6455, 8.1).
func (s *Session) stillValid() bool {
	b := s.message[s.valid:]
	whole := len(b)
	for i := max(whole-utf8.UTFMax+1, 0); i < whole; i++ {
		if !utf8.FullRune(b[i:]) {
			whole = i
		}
	}
	s.valid += whole
	return utf8.Valid(b[:whole])
}

// endMessage makes the event of a whole message.
func (s *Session) endMessage(b []byte) Event {
	if s.packed {
		var err error
		if b, err = inflate(b, s.limits.Size); err != nil {
			return failure(err)
		}
	}
	m := bridge.Message{Kind: bridge.MsgBinary, Payload: b}
	if s.text {
		m.Kind = bridge.MsgText
		if !utf8.Valid(b[s.valid:]) {
			return failure(errUTF8)
		}
	}
	return Event{Kind: Message, Message: m}
}

// endControl makes the event of a control frame (RFC 6455, 5.5).
func (s *Session) endControl(b []byte) Event {
	switch s.header.OpCode {
	case ws.OpPing:
		return Event{Kind: Ping, Message: bridge.Message{Payload: b}}
	case ws.OpPong:
		return Event{Kind: Pong}
	}
	m := bridge.Message{Kind: bridge.MsgClose, Code: CodeNoCode}
	switch {
	case len(b) == 0:
	case len(b) == 1 || !validCode(int(binary.BigEndian.Uint16(b))):
		return failure(errClose)
	case !utf8.Valid(b[2:]):
		return failure(errUTF8)
	default:
		m.Code, m.Payload = binary.BigEndian.Uint16(b), b[2:]
	}
	return Event{Kind: Close, Message: m}
}

var (
	errTooBig = errors.New("message too big")
	errUTF8   = errors.New("invalid UTF-8")
)

// failure is the event of a client that broke a rule.
func failure(err error) Event {
	m := bridge.Message{Kind: bridge.MsgClose, Code: CodeProtocol, Payload: []byte(err.Error())}
	switch err {
	case errTooBig:
		m.Code = CodeTooBig
	case errUTF8, errStream:
		m.Code = CodeInvalid
	}
	return Event{Kind: Fail, Message: m}
}
