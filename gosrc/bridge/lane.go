package bridge

import (
	"encoding/binary"
	"unsafe"
)

// A lane written in Go fills the response part with these, as hot's C does. The
// lane only, between the REQUEST event and OpRelease.

// AppendOut copies b behind the payload that is not flushed yet.
func (x *Exchange) AppendOut(b []byte) {
	need := x.OutLen + uint64(len(b))
	if need > x.OutCap {
		n := max(need, 2*x.OutCap)
		if x.OutCap > OutInline {
			// Safe: beyond the inline size OutPtr is from resize.
			x.OutPtr = resize(unsafe.Pointer(x.OutPtr), x.OutCap, n)
		} else {
			p := resize(nil, 0, n)
			// Safe: p has n bytes, more than OutLen.
			copy(unsafe.Slice(p, n), x.Out())
			x.OutPtr = p
		}
		x.OutCap = n
	}
	// Safe: OutPtr has OutCap bytes, OutLen of them used.
	copy(unsafe.Slice(x.OutPtr, x.OutCap)[x.OutLen:], b)
	x.OutLen = need
}

// AppendField adds a response field, sent as it is.
func (x *Exchange) AppendField(name, value string) {
	need := x.FieldsLen + uint32(8+len(name)+len(value))
	if need > x.FieldsCap {
		n := max(need, 2*x.FieldsCap)
		var old unsafe.Pointer
		if x.FieldsCap > 0 {
			// Safe: with FieldsCap > 0, FieldsPtr is from resize.
			old = unsafe.Pointer(x.FieldsPtr)
		}
		x.FieldsPtr, x.FieldsCap = resize(old, uint64(x.FieldsCap), uint64(n)), n
	}
	// Safe: FieldsPtr has FieldsCap bytes, FieldsLen of them used.
	b := unsafe.Slice(x.FieldsPtr, x.FieldsCap)[:x.FieldsLen]
	b = binary.NativeEndian.AppendUint32(b, uint32(len(name)))
	b = binary.NativeEndian.AppendUint32(b, uint32(len(value)))
	b = append(append(b, name...), value...)
	x.FieldsLen = uint32(len(b))
}
