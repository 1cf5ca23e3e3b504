package bridge

import (
	"encoding/binary"
	"unsafe"
)

// Message is one of an accepted WebSocket's (turbo_message). Code is that of a
// MsgClose, whose payload is the reason.
type Message struct {
	Kind    uint8
	Code    uint16
	Payload []byte
}

// AppendMessage appends m as exchanges hold it: a head (turbo_message), then its
// payload. Nothing of m is kept.
func AppendMessage(dst []byte, m Message) []byte {
	var head [MessageHead]byte
	putHead(&head, m)
	return append(append(dst, head[:]...), m.Payload...)
}

// NextMessage takes the first message off packed, which AppendMessage or the
// lane made. Its payload is a part of packed.
func NextMessage(packed []byte) (m Message, rest []byte) {
	n := binary.NativeEndian.Uint32(packed)
	m = Message{Kind: packed[6], Code: binary.NativeEndian.Uint16(packed[4:])}
	packed = packed[MessageHead:]
	m.Payload = packed[:n:n]
	return m, packed[n:]
}

// AddMessage puts m into x's inbox. The loop's thread only.
func (x *Exchange) AddMessage(m Message) {
	var head [MessageHead]byte
	putHead(&head, m)
	x.AppendBody(head[:])
	x.AppendBody(m.Payload)
}

func putHead(head *[MessageHead]byte, m Message) {
	binary.NativeEndian.PutUint32(head[:], uint32(len(m.Payload)))
	binary.NativeEndian.PutUint16(head[4:], m.Code)
	head[6] = m.Kind
}

// maxIdleInbox is how large the inbox of a conversation may stay while it is
// empty.
const maxIdleInbox = 128 << 10

// TrimInbox gives a large inbox back that the lane has emptied. The loop's
// thread only: a conversation may last for days after its one large message.
func (x *Exchange) TrimInbox() {
	if x.BodyLen == 0 && x.BodyCap > maxIdleInbox {
		// Safe: with BodyCap > 0, Body is from resize.
		free(unsafe.Pointer(x.Body), x.BodyCap)
		x.Body, x.BodyCap = nil, 0
	}
}

// TrimOut gives a large out back that was flushed.
func (x *Exchange) TrimOut() {
	if x.OutLen == 0 && x.OutCap > maxIdleInbox {
		// Safe: beyond the inline size OutPtr is from malloc.
		free(unsafe.Pointer(x.OutPtr), x.OutCap)
		x.OutPtr, x.OutCap = &x.OutInline[0], OutInline
	}
}
