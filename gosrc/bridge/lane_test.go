package bridge

import (
	"bytes"
	"encoding/binary"
	"testing"
)

func TestAppendOutKeepsWhatIsThere(t *testing.T) {
	x := acquire(t)
	var want []byte
	for _, n := range []int{0, 1, OutInline - 1, 1, 1, 5000, 100000} {
		piece := bytes.Repeat([]byte{byte(n)}, n)
		x.AppendOut(piece)
		want = append(want, piece...)
		if !bytes.Equal(x.Out(), want) {
			t.Fatalf("after a piece of %d bytes the payload differs", n)
		}
	}
	x.OutLen = 0
	x.AppendOut([]byte("again"))
	if got := string(x.Out()); got != "again" || x.OutCap <= OutInline {
		t.Errorf("after a flush: %q in %d bytes", got, x.OutCap)
	}
}

func TestAppendFieldPacks(t *testing.T) {
	x := acquire(t)
	want := []byte{}
	for i := range 100 {
		name, value := "x-name", string(bytes.Repeat([]byte{'v'}, i))
		x.AppendField(name, value)
		want = binary.NativeEndian.AppendUint32(want, uint32(len(name)))
		want = binary.NativeEndian.AppendUint32(want, uint32(len(value)))
		want = append(append(want, name...), value...)
	}
	if !bytes.Equal(x.PackedFields(), want) {
		t.Errorf("packed fields differ")
	}
}
