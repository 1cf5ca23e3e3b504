package bridge

import (
	"errors"
	"unsafe"
)

var errSize = errors.New("bridge: more than 4 GB in one request")

// Bytes is a view of n bytes of C memory, valid as long as that memory.
func Bytes(p unsafe.Pointer, n int) []byte {
	// Safe: the caller vouches for p and n.
	return unsafe.Slice((*byte)(p), n)
}

// Span is a view of s within the request part, valid until Release.
func (x *Exchange) Span(s Span) []byte {
	return x.ReqBytes()[s.Off : s.Off+s.Len : s.Off+s.Len]
}

// ReqBytes is a view of the whole request buffer: ReqCap bytes, of which
// ReqLen are used. Valid until NeedReq or Release.
func (x *Exchange) ReqBytes() []byte {
	// Safe: Req always has ReqCap bytes.
	return unsafe.Slice(x.Req, x.ReqCap)
}

// NeedReq makes the request buffer hold n bytes: inline when they fit, else in
// C memory that Release frees. What it held is lost. Call it before the body
// arrives, since a small body lives behind ReqLen.
func (x *Exchange) NeedReq(n int) {
	if n <= int(x.ReqCap) {
		return
	}
	if uint64(n) > 1<<32-1 {
		panic(errSize)
	}
	var old unsafe.Pointer
	had := uint64(0)
	if x.ReqCap > ReqInline {
		// Safe: beyond the inline size Req is from resize.
		old, had = unsafe.Pointer(x.Req), uint64(x.ReqCap)
	}
	x.Req, x.ReqCap = resize(old, had, uint64(n)), uint32(n)
}

// Fields is a view of the field index, valid until Release.
func (x *Exchange) Fields() []Field {
	if x.NFields == 0 {
		return nil
	}
	// Safe: Fill laid out NFields aligned records at FieldsOff.
	return unsafe.Slice((*Field)(unsafe.Pointer(&x.ReqBytes()[x.FieldsOff])), x.NFields)
}

// Slots is a view of the plan's parameters, valid until Release.
func (x *Exchange) Slots() []Slot {
	if x.NSlots == 0 {
		return nil
	}
	// Safe: Fill laid out NSlots aligned records at SlotsOff.
	return unsafe.Slice((*Slot)(unsafe.Pointer(&x.ReqBytes()[x.SlotsOff])), x.NSlots)
}

// Spans is a view of the elements of a list slot, valid until Release.
func (x *Exchange) Spans(list Span) []Span {
	if list.Len == 0 {
		return nil
	}
	// Safe: the extractor laid out list.Len aligned spans at list.Off.
	return unsafe.Slice((*Span)(unsafe.Pointer(&x.ReqBytes()[list.Off])), list.Len)
}

// BodyBytes is a view of the inbox, valid until AppendBody or Release.
func (x *Exchange) BodyBytes() []byte {
	if x.BodyLen == 0 {
		return nil
	}
	// Safe: Body has at least BodyLen bytes.
	return unsafe.Slice(x.Body, x.BodyLen)
}

// AppendBody copies b behind what the inbox holds. The loop's thread only. A
// small body stays in the request buffer, a larger one moves to C memory that
// Release frees; either way earlier views of the inbox end.
func (x *Exchange) AppendBody(b []byte) {
	if len(b) == 0 {
		return
	}
	need := x.BodyLen + uint64(len(b))
	if x.BodyCap == 0 && need <= uint64(x.ReqCap-x.ReqLen) {
		x.Body = &x.ReqBytes()[x.ReqLen]
		copy(x.ReqBytes()[uint64(x.ReqLen)+x.BodyLen:], b)
		x.BodyLen = need
		return
	}
	if need > x.BodyCap {
		x.growBody(need)
	}
	// Safe: growBody made room for need bytes.
	copy(unsafe.Slice(x.Body, x.BodyCap)[x.BodyLen:], b)
	x.BodyLen = need
}

// ReserveBody makes room for a body of n bytes in one piece. The loop's thread
// only. Use it where Content-Length tells, so that the inbox does not grow in
// steps.
func (x *Exchange) ReserveBody(n uint64) {
	if !x.HasRoom(n) {
		x.moveBody(n)
	}
}

// HasRoom reports whether a body of n bytes in all takes no more memory than the
// exchange has.
func (x *Exchange) HasRoom(n uint64) bool {
	return x.BodyCap == 0 && n <= uint64(x.ReqCap-x.ReqLen) || n <= x.BodyCap
}

// growBody moves the inbox to C memory of at least n bytes.
func (x *Exchange) growBody(n uint64) {
	// Doubling keeps the copying linear in the size of the body.
	x.moveBody(max(n, 2*x.BodyCap, 4096))
}

// moveBody moves the inbox to C memory of n bytes.
func (x *Exchange) moveBody(n uint64) {
	if x.BodyCap > 0 {
		// Safe: with BodyCap > 0, Body is from resize.
		x.Body, x.BodyCap = resize(unsafe.Pointer(x.Body), x.BodyCap, n), n
		return
	}
	held := x.BodyBytes()
	p := resize(nil, 0, n)
	// Safe: p has n bytes, n >= BodyLen.
	copy(unsafe.Slice(p, n), held)
	x.Body, x.BodyCap = p, n
}

// Out is a view of the payload that the lane left, valid until the lane has
// the record again.
func (x *Exchange) Out() []byte {
	if x.OutLen == 0 {
		return nil
	}
	// Safe: the lane wrote OutLen bytes there.
	return unsafe.Slice(x.OutPtr, x.OutLen)
}

// PackedFields is a view of the response fields that the lane left, each as
// {u32 nlen, u32 vlen, name, value}; valid as Out is.
func (x *Exchange) PackedFields() []byte {
	if x.FieldsLen == 0 {
		return nil
	}
	// Safe: the lane wrote FieldsLen bytes there.
	return unsafe.Slice(x.FieldsPtr, x.FieldsLen)
}

// SetClient notes who asks, as text; a longer host is cut.
func (x *Exchange) SetClient(host string, port uint16) {
	x.ClientHost[copy(x.ClientHost[:len(x.ClientHost)-1], host)] = 0
	x.ClientPort = port
}

// SetServer notes who answers, as text; a longer host is cut, which no path of a
// Unix socket is.
func (x *Exchange) SetServer(host string, port uint16) {
	x.ServerHost[copy(x.ServerHost[:len(x.ServerHost)-1], host)] = 0
	x.ServerPort = port
}

// Int is the value of a SlotInt or SlotBool.
func (s *Slot) Int() int64 { return int64(s.u) }

// Float is the value of a SlotFloat.
func (s *Slot) Float() float64 {
	// Safe: the C union has a double there.
	return *(*float64)(unsafe.Pointer(&s.u))
}

// Span is the value of a SlotStr or SlotLatin1, or the array of a list.
func (s *Slot) Span() Span {
	// Safe: the C union has a turbo_span there.
	return *(*Span)(unsafe.Pointer(&s.u))
}

// SetMissing makes the slot one that was not sent.
func (s *Slot) SetMissing() { *s = Slot{} }

// SetInt makes the slot a SlotInt or SlotBool.
func (s *Slot) SetInt(kind uint8, v int64) { s.Kind, s.ASCII, s.u = kind, 0, uint64(v) }

// SetFloat makes the slot a SlotFloat.
func (s *Slot) SetFloat(v float64) {
	s.Kind, s.ASCII = SlotFloat, 0
	// Safe: the C union has a double there.
	*(*float64)(unsafe.Pointer(&s.u)) = v
}

// SetSpan makes the slot text or a list.
func (s *Slot) SetSpan(kind uint8, v Span, ascii bool) {
	s.Kind, s.ASCII = kind, 0
	if ascii {
		s.ASCII = 1
	}
	// Safe: the C union has a turbo_span there.
	*(*Span)(unsafe.Pointer(&s.u)) = v
}
