package bridge

/*
#include <stdlib.h>
*/
import "C"

import (
	"math/bits"
	"syscall"
	"unsafe"
)

// AddSpool notes that the body's next bytes, from the inbox's length at on, are
// in the file fd. The record owns fd from here; Release closes it. The loop's
// thread, or who collects the body.
func (x *Exchange) AddSpool(fd int, at uint64) *Spool {
	n := x.NSpools
	// A list of files grows in powers of two: then its length tells its room.
	if n&(n-1) == 0 {
		x.Spools = (*Spool)(unsafe.Pointer(resize(unsafe.Pointer(x.Spools), spoolRoom(n), spoolRoom(n+1))))
	}
	x.NSpools++
	f := &x.SpoolList()[n]
	*f = Spool{At: at, FD: int32(fd)}
	return f
}

// spoolRoom is the size of the list of n files: room for the next power of two.
func spoolRoom(n uint32) uint64 {
	if n == 0 {
		return 0
	}
	return uint64(unsafe.Sizeof(Spool{})) << bits.Len32(n-1)
}

// SpoolList is a view of the files, valid until AddSpool or Release.
func (x *Exchange) SpoolList() []Spool {
	if x.NSpools == 0 {
		return nil
	}
	// Safe: AddSpool made room for NSpools.
	return unsafe.Slice(x.Spools, x.NSpools)
}

// SetForm copies the index of a form into the record, once.
func (x *Exchange) SetForm(parts []Part, fields []Field) {
	x.Flags |= ReqForm
	if len(parts) > 0 {
		// Safe: fresh C memory of exactly that many records.
		x.Parts = (*Part)(unsafe.Pointer(resize(nil, 0, uint64(len(parts))*uint64(unsafe.Sizeof(Part{})))))
		x.NParts = uint32(copy(unsafe.Slice(x.Parts, len(parts)), parts))
	}
	if len(fields) > 0 {
		// Safe: as above.
		x.PartFields = (*Field)(unsafe.Pointer(resize(nil, 0, uint64(len(fields))*uint64(unsafe.Sizeof(Field{})))))
		x.NPartFields = uint32(copy(unsafe.Slice(x.PartFields, len(fields)), fields))
	}
}

// PartList is a view of the form's parts, valid until Release.
func (x *Exchange) PartList() []Part {
	if x.NParts == 0 {
		return nil
	}
	// Safe: SetForm laid out NParts.
	return unsafe.Slice(x.Parts, x.NParts)
}

// PartFieldList is a view of the fields of all parts, valid until Release.
func (x *Exchange) PartFieldList() []Field {
	if x.NPartFields == 0 {
		return nil
	}
	// Safe: SetForm laid out NPartFields.
	return unsafe.Slice(x.PartFields, x.NPartFields)
}

// BodyRoom is a view of the inbox with n more bytes behind it, which Go may use
// as it likes: they are not part of the body. Valid as BodyBytes is.
func (x *Exchange) BodyRoom(n uint64) []byte {
	if need := x.BodyLen + n; x.BodyCap < need {
		x.moveBody(max(need, 1))
	}
	// Safe: moveBody made room.
	return unsafe.Slice(x.Body, x.BodyCap)
}

// CutBody takes the bytes from..to out of the inbox.
func (x *Exchange) CutBody(from, to uint64) {
	b := x.BodyBytes()
	copy(b[from:], b[to:])
	x.BodyLen -= to - from
	if x.BodyCap > maxIdleInbox && x.BodyLen < maxIdleInbox/2 {
		x.moveBody(maxIdleInbox) // the rest of a large file needs no room
	}
}

// dropForm closes the files and frees the index; it returns how many bytes that were.
func (x *Exchange) dropForm() uint64 {
	var left []int32
	for _, f := range x.SpoolList() {
		if f.FD >= 0 {
			left = append(left, f.FD)
		}
	}
	if left != nil {
		// The last close of a file gives its blocks back, which is work for the disk. It
		// ends when they are closed.
		go func() {
			for _, fd := range left {
				_ = syscall.Close(int(fd)) // nobody reads what it has any more
			}
		}()
	}
	// Safe: all three are from resize, or NULL.
	C.free(unsafe.Pointer(x.Spools))
	C.free(unsafe.Pointer(x.Parts))
	C.free(unsafe.Pointer(x.PartFields))
	return spoolRoom(x.NSpools) + uint64(x.NParts)*uint64(unsafe.Sizeof(Part{})) + uint64(x.NPartFields)*uint64(unsafe.Sizeof(Field{}))
}
