package form

import (
	"bytes"
	"io"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"turboapi/gosrc/bridge"
)

// got is one part as a handler would see it.
type got struct {
	name, filename, content string
	fields                  [][2]string
	kind                    uint8
}

func limits() *Limits {
	return &Limits{
		Files: 1000, Fields: 1000, Part: 1 << 20, URLFields: 1000, URLPart: 1 << 20,
		Spool: 1 << 20, Dir: os.TempDir(), Body: Unlimited, Memory: 8 << 20,
	}
}

// small are limits that tests reach.
func small() *Limits {
	l := limits()
	l.Spool, l.Part, l.URLPart = 64, 100, 100
	return l
}

// records are n exchanges whose files, memory and selves have to be gone at the test's end.
func records(t testing.TB, n int) []*bridge.Exchange {
	t.Helper()
	before, open := bridge.Live(), descriptors(t)
	var all []*bridge.Exchange
	for range n {
		all = append(all, bridge.Acquire())
	}
	t.Cleanup(func() {
		for _, x := range all {
			bridge.Release(x)
		}
		if bridge.Live() != before {
			t.Error("an exchange was left")
		}
		// Release leaves closing to a goroutine.
		for end := time.Now().Add(10 * time.Second); descriptors(t) > open; runtime.Gosched() {
			if time.Now().After(end) {
				t.Fatalf("%d descriptors open, %d before", descriptors(t), open)
			}
		}
	})
	return all
}

func record(t testing.TB) *bridge.Exchange {
	t.Helper()
	return records(t, 1)[0]
}

func descriptors(t testing.TB) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(list)
}

// parse has a body read in pieces of the given sizes, the last of which repeats.
func parse(x *bridge.Exchange, lim *Limits, contentType, body string, sizes ...int) error {
	p := New(lim, []byte(contentType))
	rest := []byte(body)
	var err error
	for i := 0; len(rest) > 0; i++ {
		n := len(rest)
		if len(sizes) > 0 {
			n = min(n, sizes[min(i, len(sizes)-1)])
		}
		if err == nil {
			if err = p.Write(x, rest[:n]); err == nil && p.Waits() {
				if x.NSpools != 0 {
					panic("written to disk without leave")
				}
				err = p.Spool(x)
			}
		} else {
			x.AppendBody(rest[:n])
		}
		rest = rest[n:]
	}
	if err != nil {
		return err
	}
	return p.Finish(x)
}

// replay is the body as it came.
func replay(t testing.TB, x *bridge.Exchange) string {
	t.Helper()
	var out bytes.Buffer
	body, from := x.BodyBytes(), uint64(0)
	for i := range x.SpoolList() {
		f := &x.SpoolList()[i]
		out.Write(body[from:f.At])
		out.WriteString(content(t, f))
		from = f.At
	}
	out.Write(body[from:])
	return out.String()
}

func content(t testing.TB, f *bridge.Spool) string {
	t.Helper()
	b := make([]byte, f.Len)
	if n, err := unix.Pread(int(f.FD), b, 0); n != len(b) && f.Len > 0 {
		t.Fatalf("read %d of %d bytes: %v", n, f.Len, err)
	}
	if at, err := unix.Seek(int(f.FD), 0, io.SeekCurrent); at != 0 || err != nil {
		t.Fatalf("the descriptor stands at %d, %v", at, err)
	}
	return string(b)
}

func parts(t testing.TB, x *bridge.Exchange) []got {
	t.Helper()
	if x.Flags&bridge.ReqForm == 0 {
		t.Fatal("no form")
	}
	room := x.BodyRoom(0)
	text := func(s bridge.Span) string { return string(room[s.Off : s.Off+s.Len]) }
	var all []got
	for _, p := range x.PartList() {
		g := got{name: text(p.Name), kind: p.Kind}
		switch p.Kind {
		case bridge.PartSpooled:
			g.content = content(t, &x.SpoolList()[p.File])
		default:
			g.content = text(p.Value)
		}
		if p.Kind != bridge.PartText {
			g.filename = text(p.Filename)
		}
		if int(p.Size) != len(g.content) {
			t.Errorf("%s: size %d, %d bytes", g.name, p.Size, len(g.content))
		}
		for _, f := range x.PartFieldList()[p.Fields : p.Fields+p.NFields] {
			g.fields = append(g.fields, [2]string{text(f.Name), text(f.Value)})
		}
		all = append(all, g)
	}
	return all
}
