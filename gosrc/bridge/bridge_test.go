package bridge

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"unsafe"
)

// acquire gives a record that is released when the test ends, and checks then
// that the test left none behind.
func acquire(t testing.TB) *Exchange {
	t.Helper()
	before := Live()
	x := Acquire()
	t.Cleanup(func() {
		Release(x)
		if Live() != before {
			t.Errorf("%d records live, %d before", Live(), before)
		}
	})
	return x
}

func TestAcquireGivesAnEmptyRecord(t *testing.T) {
	x := Acquire()
	gen, index := x.Gen, x.Index
	for i := range unsafe.Slice((*byte)(unsafe.Pointer(x)), recordHead)[identityEnd:] {
		*(*byte)(unsafe.Add(unsafe.Pointer(x), identityEnd+uintptr(i))) = 0xff
	}
	// Nothing of this was malloc'ed.
	x.ReqCap, x.BodyCap, x.FieldsCap, x.OutCap, x.Listed = 0, 0, 0, 0, 0
	x.NSpools, x.NParts = 0, 0
	Release(x)

	y := acquire(t)
	if y != x {
		t.Fatal("the record used last is not the one used next")
	}
	if y.Gen != gen+1 || y.Index != index {
		t.Errorf("gen %d index %d, want %d and %d", y.Gen, y.Index, gen+1, index)
	}
	if y.Req != &y.ReqInline[0] || y.ReqCap != ReqInline || y.OutPtr != &y.OutInline[0] || y.OutCap != OutInline {
		t.Error("req and out do not point at the inline buffers")
	}
	if y.Plan != PlanApp || y.Origin != -1 || y.ContentType != -1 {
		t.Error("plan, origin and content type are not none")
	}
	y.Gen, y.Index, y.Plan, y.Origin, y.ContentType = 0, 0, 0, 0, 0
	y.Req, y.ReqCap, y.OutPtr, y.OutCap = nil, 0, nil, 0
	for i, b := range unsafe.Slice((*byte)(unsafe.Pointer(y)), recordHead) {
		if b != 0 {
			t.Fatalf("byte %d is %#x", i, b)
		}
	}
	y.Gen, y.Index = gen+1, index
}

func TestRecordsAreDistinctAndNamedByIndex(t *testing.T) {
	before := Live()
	seen := map[uint32]*Exchange{}
	var all []*Exchange
	for range 1000 {
		x := Acquire()
		if seen[x.Index] != nil {
			t.Fatalf("index %d twice", x.Index)
		}
		seen[x.Index] = x
		all = append(all, x)
	}
	if got := Live() - before; got != 1000 {
		t.Errorf("Live grew by %d", got)
	}
	for _, x := range all {
		Release(x)
	}
	if Live() != before {
		t.Errorf("Live is %d, was %d", Live(), before)
	}
}

func TestReleaseTwicePanics(t *testing.T) {
	x := Acquire()
	Release(x)
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	Release(x)
}

func TestManyThreads(t *testing.T) {
	before := Live()
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Add(1)
		go func() { // ends after 2000 rounds
			defer wg.Done()
			for i := range 2000 {
				x, y := Acquire(), Acquire()
				x.Conn, y.Conn = uint64(g), uint64(i)
				x.NeedReq(ReqInline + i)
				if x.Conn != uint64(g) || y.Conn != uint64(i) {
					t.Error("a record has two owners")
				}
				Release(x)
				Release(y)
			}
		}()
	}
	wg.Wait()
	if Live() != before {
		t.Errorf("Live is %d, was %d", Live(), before)
	}
}

func TestNeedReq(t *testing.T) {
	x := acquire(t)
	x.NeedReq(ReqInline)
	if x.Req != &x.ReqInline[0] {
		t.Error("moved without need")
	}
	for _, n := range []int{ReqInline + 1, 70000, 100} {
		x.NeedReq(n)
		if int(x.ReqCap) < n || x.Req == &x.ReqInline[0] {
			t.Fatalf("%d bytes: cap %d", n, x.ReqCap)
		}
		for i := range x.ReqBytes() {
			x.ReqBytes()[i] = byte(i)
		}
	}
}

func TestAppendBody(t *testing.T) {
	for _, tc := range []struct {
		name   string
		reqLen uint32
		sizes  []int
		inline bool
	}{
		{"one small piece", 200, []int{500}, true},
		{"small pieces", 200, []int{1, 0, 500, 700}, true},
		{"exactly full", 304, []int{1000, 1000}, true},
		{"one too many", 304, []int{1000, 1000, 1}, false},
		{"no room behind the head", ReqInline, []int{1}, false},
		{"large", 200, []int{100000, 1, 300000}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			x := acquire(t)
			x.ReqLen = tc.reqLen
			head := bytes.Repeat([]byte{0xee}, int(tc.reqLen))
			copy(x.ReqBytes(), head)
			for round := range 3 {
				var want []byte
				for i, n := range tc.sizes {
					piece := bytes.Repeat([]byte{byte(i + round)}, n)
					want = append(want, piece...)
					x.AppendBody(piece)
				}
				if !bytes.Equal(x.BodyBytes(), want) {
					t.Fatalf("round %d: %d bytes differ from what was appended", round, len(want))
				}
				x.BodyLen = 0 // the lane took it
			}
			if got := x.BodyCap == 0; got != tc.inline {
				t.Errorf("inline %v", got)
			}
			if !bytes.Equal(x.ReqBytes()[:tc.reqLen], head) {
				t.Error("the head was overwritten")
			}
		})
	}
}

func TestReserveBodyKeepsWhatIsThere(t *testing.T) {
	x := acquire(t)
	x.ReserveBody(100)
	if x.BodyCap != 0 {
		t.Error("memory for a body that fits inline")
	}
	x.AppendBody([]byte("abc"))
	x.ReserveBody(10000)
	if x.BodyCap != 10000 {
		t.Fatalf("cap %d", x.BodyCap)
	}
	p := x.Body
	x.AppendBody(bytes.Repeat([]byte("d"), 9997))
	if x.Body != p || x.BodyLen != 10000 || string(x.BodyBytes()[:4]) != "abcd" {
		t.Error("the reserved memory was not used")
	}
}

func TestSlots(t *testing.T) {
	var s Slot
	s.SetInt(SlotInt, -5)
	if s.Kind != SlotInt || s.Int() != -5 {
		t.Error("int")
	}
	s.SetFloat(-2.5)
	if s.Kind != SlotFloat || s.Float() != -2.5 {
		t.Error("float")
	}
	s.SetSpan(SlotStr, Span{3, 9}, true)
	if s.Kind != SlotStr || s.ASCII != 1 || s.Span() != (Span{3, 9}) {
		t.Error("text")
	}
	s.SetSpan(SlotList, Span{8, 2}, false)
	if s.Kind != SlotList || s.ASCII != 0 || s.Span() != (Span{8, 2}) {
		t.Error("list")
	}
	s.SetMissing()
	if s != (Slot{}) {
		t.Error("missing")
	}
}

func TestAddresses(t *testing.T) {
	x := acquire(t)
	x.SetClient("192.0.2.1", 8000)
	x.SetServer(strings.Repeat("a", 108), 1)
	if x.ServerHost[107] != 'a' || x.ServerHost[108] != 0 || x.ServerPort != 1 {
		t.Error("the longest path of a Unix socket is cut")
	}
	x.SetServer(strings.Repeat("a", 200), 1)
	if got := string(bytes.SplitN(x.ClientHost[:], []byte{0}, 2)[0]); got != "192.0.2.1" || x.ClientPort != 8000 {
		t.Errorf("client %q %d", got, x.ClientPort)
	}
	if x.ServerHost[108] != 'a' || x.ServerHost[109] != 0 {
		t.Error("a long host is not cut and terminated")
	}
}

func TestAcquireReleaseAllocateNothing(t *testing.T) {
	if n := testing.AllocsPerRun(1000, func() { Release(Acquire()) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAcquireRelease(b *testing.B) {
	for b.Loop() {
		Release(Acquire())
	}
}

func TestWhatHangsOnARecordIsCounted(t *testing.T) {
	before := Held()
	x := Acquire()
	x.AppendBody(make([]byte, ReqInline/2))
	x.AppendOut(make([]byte, OutInline/2))
	if n := Held() - before; n != 0 {
		t.Errorf("%d bytes for what fits", n)
	}
	x.NeedReq(10_000)
	x.ReserveBody(20_000)
	x.AppendBody(make([]byte, 50_000))
	x.AppendOut(make([]byte, 70_000))
	x.AppendField("a", "b")
	want := int64(uint64(x.ReqCap) + x.BodyCap + x.OutCap + uint64(x.FieldsCap))
	if n := Held() - before; n != want || n < 130_000 {
		t.Errorf("%d bytes are counted, %d are there", n, want)
	}
	if !x.HasRoom(x.BodyCap) || x.HasRoom(x.BodyCap+1) {
		t.Error("there is room for what there is room for")
	}
	Release(x)
	if n := Held(); n != before {
		t.Errorf("%d bytes are left", n-before)
	}
}
