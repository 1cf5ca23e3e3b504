package websocket

import (
	"github.com/gobwas/ws"

	"turboapi/gosrc/bridge"
)

// deflateFrom is the smallest message that is compressed: without a window from
// earlier messages shorter ones gain nothing.
const deflateFrom = 256

// appender is the io.Writer that the library writes headers to.
type appender struct{ b []byte }

func (a *appender) Write(p []byte) (int, error) {
	a.b = append(a.b, p...)
	return len(p), nil
}

// AppendFrames appends the frames of packed messages, those that a lane has put
// into its exchange's out, up to a Close, which sets Closed. Nothing follows a
// Close.
func (s *Session) AppendFrames(dst, packed []byte) []byte {
	for len(packed) > 0 && !s.Closed {
		var m bridge.Message
		m, packed = bridge.NextMessage(packed)
		switch m.Kind {
		case bridge.MsgClose:
			dst = s.AppendClose(dst, int(m.Code), m.Payload)
		case bridge.MsgText:
			dst = s.appendMessage(dst, ws.OpText, m.Payload)
		default:
			dst = s.appendMessage(dst, ws.OpBinary, m.Payload)
		}
	}
	return dst
}

// appendMessage appends one message, in one frame.
func (s *Session) appendMessage(dst []byte, op ws.OpCode, payload []byte) []byte {
	h := ws.Header{Fin: true, OpCode: op}
	if s.deflate && len(payload) >= deflateFrom {
		if small, err := deflate(payload); err == nil && len(small) < len(payload) {
			h.Rsv = ws.Rsv(true, false, false)
			payload = small
		}
	}
	return s.append(dst, h, payload)
}

func (s *Session) append(dst []byte, h ws.Header, payload []byte) []byte {
	h.Length = int64(len(payload))
	s.out.b = dst
	_ = ws.WriteHeader(&s.out, h) // appender reports no error, and no length is negative
	dst, s.out.b = s.out.b, nil
	return append(dst, payload...)
}

// AppendPong appends the answer to a Ping (RFC 6455, 5.5.3).
func (s *Session) AppendPong(dst, payload []byte) []byte {
	return s.append(dst, ws.Header{Fin: true, OpCode: ws.OpPong}, payload)
}

// maxReason is what a Close has room for beside its code.
const maxReason = ws.MaxControlFramePayloadSize - 2

// AppendClose appends a Close, once: afterwards the session is Closed and dst
// stays as it is. A code that may not be sent (1005, 1006) makes it an empty one.
func (s *Session) AppendClose(dst []byte, code int, reason []byte) []byte {
	if s.Closed {
		return dst
	}
	s.Closed = true
	var body [ws.MaxControlFramePayloadSize]byte
	n := 0
	if validCode(code) {
		reason = reason[:min(len(reason), maxReason)]
		n = 2 + len(reason)
		ws.PutCloseFrameBody(body[:n], ws.StatusCode(code), string(reason))
	}
	return s.append(dst, ws.Header{Fin: true, OpCode: ws.OpClose}, body[:n])
}
