package websocket

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gobwas/ws"

	"turboapi/gosrc/bridge"
)

var plainLimits = Limits{Size: 1000, Queue: 32}

// frame is one of a client's, masked.
func frame(op ws.OpCode, fin bool, rsv byte, payload string) []byte {
	f := ws.NewFrame(op, fin, []byte(payload))
	f.Header.Rsv = rsv
	b, err := ws.CompileFrame(ws.MaskFrameWith(f, [4]byte{1, 2, 3, 250}))
	if err != nil {
		panic(err)
	}
	return b
}

func closing(code uint16, reason string) string {
	return string(binary.BigEndian.AppendUint16(nil, code)) + reason
}

// conversation gives what a session makes of stream, read in pieces of n bytes
// (0: at random).
func conversation(l *Limits, deflate bool, stream []byte, n int) (told []string) {
	s := newSession(l, 0)
	if deflate {
		s.deflates()
	}
	stream = bytes.Clone(stream) // it is unmasked in place
	for len(stream) > 0 {
		size := n
		if n == 0 {
			size = 1 + rand.IntN(40)
		}
		part := stream[:min(size, len(stream))]
		stream = stream[len(part):]
		for len(part) > 0 {
			used, ev := s.Next(part)
			part = part[used:]
			m := ev.Message
			switch ev.Kind {
			case Message:
				told = append(told, fmt.Sprintf("%d %q", m.Kind, m.Payload))
			case Ping:
				told = append(told, fmt.Sprintf("ping %q", m.Payload))
			case Pong:
				told = append(told, "pong")
			case Close:
				return append(told, fmt.Sprintf("close %d %q", m.Code, m.Payload))
			case Fail:
				return append(told, fmt.Sprintf("fail %d", m.Code))
			}
		}
	}
	return told
}

func TestConversations(t *testing.T) {
	small, err := deflate([]byte(strings.Repeat("ab", 400)))
	if err != nil {
		t.Fatal(err)
	}
	bomb, err := deflate(make([]byte, 100_000))
	if err != nil {
		t.Fatal(err)
	}
	const rsv1, rsv2 = 4, 2
	unmasked := ws.MustCompileFrame(ws.NewTextFrame([]byte("x")))
	msb := frame(ws.OpBinary, true, 0, strings.Repeat("x", 70_000))[:14]
	msb[2] |= 0x80
	for name, c := range map[string]struct {
		frames  [][]byte
		deflate bool
		want    string
	}{
		"text":              {frames: [][]byte{frame(ws.OpText, true, 0, "héllo")}, want: `1 "héllo"`},
		"empty":             {frames: [][]byte{frame(ws.OpText, true, 0, ""), frame(ws.OpBinary, true, 0, "")}, want: `1 ""|2 ""`},
		"binary":            {frames: [][]byte{frame(ws.OpBinary, true, 0, "\xff\x00")}, want: `2 "\xff\x00"`},
		"fragments":         {frames: [][]byte{frame(ws.OpText, false, 0, "a\xc3"), frame(ws.OpContinuation, false, 0, ""), frame(ws.OpContinuation, true, 0, "\xa9b")}, want: `1 "aéb"`},
		"empty fragments":   {frames: [][]byte{frame(ws.OpBinary, false, 0, ""), frame(ws.OpContinuation, true, 0, "")}, want: `2 ""`},
		"control between":   {frames: [][]byte{frame(ws.OpText, false, 0, "a"), frame(ws.OpPing, true, 0, "p"), frame(ws.OpPong, true, 0, ""), frame(ws.OpContinuation, true, 0, "b")}, want: `ping "p"|pong|1 "ab"`},
		"largest":           {frames: [][]byte{frame(ws.OpText, true, 0, strings.Repeat("x", 1000))}, want: fmt.Sprintf("1 %q", strings.Repeat("x", 1000))},
		"too large":         {frames: [][]byte{frame(ws.OpText, true, 0, strings.Repeat("x", 1001))}, want: "fail 1009"},
		"too large at last": {frames: [][]byte{frame(ws.OpText, false, 0, strings.Repeat("x", 900)), frame(ws.OpContinuation, true, 0, strings.Repeat("x", 101))}, want: "fail 1009"},
		"huge":              {frames: [][]byte{msb}, want: "fail 1002"},
		"not masked":        {frames: [][]byte{unmasked}, want: "fail 1002"},
		"reserved opcode":   {frames: [][]byte{frame(3, true, 0, "")}, want: "fail 1002"},
		"reserved control":  {frames: [][]byte{frame(11, true, 0, "")}, want: "fail 1002"},
		"reserved bit":      {frames: [][]byte{frame(ws.OpText, true, rsv1, "x")}, want: "fail 1002"},
		"other bit":         {frames: [][]byte{frame(ws.OpText, true, rsv2, "x")}, deflate: true, want: "fail 1002"},
		"packed control":    {frames: [][]byte{frame(ws.OpPing, true, rsv1, "x")}, deflate: true, want: "fail 1002"},
		"packed later":      {frames: [][]byte{frame(ws.OpText, false, 0, "x"), frame(ws.OpContinuation, true, rsv1, "x")}, deflate: true, want: "fail 1002"},
		"long control":      {frames: [][]byte{frame(ws.OpPing, true, 0, strings.Repeat("x", 126))}, want: "fail 1002"},
		"longest control":   {frames: [][]byte{frame(ws.OpPing, true, 0, strings.Repeat("x", 125))}, want: fmt.Sprintf("ping %q", strings.Repeat("x", 125))},
		"cut control":       {frames: [][]byte{frame(ws.OpPing, false, 0, "x")}, want: "fail 1002"},
		"no beginning":      {frames: [][]byte{frame(ws.OpContinuation, true, 0, "x")}, want: "fail 1002"},
		"no end":            {frames: [][]byte{frame(ws.OpText, false, 0, "x"), frame(ws.OpText, true, 0, "x")}, want: "fail 1002"},
		"not UTF-8":         {frames: [][]byte{frame(ws.OpText, true, 0, "a\xff")}, want: "fail 1007"},
		"cut UTF-8":         {frames: [][]byte{frame(ws.OpText, false, 0, "a\xc3"), frame(ws.OpContinuation, true, 0, "b")}, want: "fail 1007"},
		"UTF-8 in pieces":   {frames: [][]byte{frame(ws.OpText, false, 0, "\xf0"), frame(ws.OpContinuation, false, 0, "\x9f"), frame(ws.OpContinuation, false, 0, "\x98"), frame(ws.OpContinuation, true, 0, "\x80é")}, want: `1 "😀é"`},
		"never UTF-8":       {frames: [][]byte{frame(ws.OpText, false, 0, "é\xf4\x90")}, want: "fail 1007"},
		"not UTF-8 at last": {frames: [][]byte{frame(ws.OpText, false, 0, "é"), frame(ws.OpContinuation, true, 0, "\xf0\x9f\x98")}, want: "fail 1007"},
		"part of a frame":   {frames: [][]byte{frame(ws.OpText, true, 0, "a\xff"+strings.Repeat("x", 50))[:20]}, want: "fail 1007"},
		"surrogate":         {frames: [][]byte{frame(ws.OpText, true, 0, "\xed\xa0\x80")}, want: "fail 1007"},
		"close":             {frames: [][]byte{frame(ws.OpClose, true, 0, "")}, want: `close 1005 ""`},
		"close code":        {frames: [][]byte{frame(ws.OpClose, true, 0, closing(4001, "bye"))}, want: `close 4001 "bye"`},
		"close 1012":        {frames: [][]byte{frame(ws.OpClose, true, 0, closing(1012, ""))}, want: `close 1012 ""`},
		"close half a code": {frames: [][]byte{frame(ws.OpClose, true, 0, "\x03")}, want: "fail 1002"},
		"close 1005":        {frames: [][]byte{frame(ws.OpClose, true, 0, closing(1005, ""))}, want: "fail 1002"},
		"close 999":         {frames: [][]byte{frame(ws.OpClose, true, 0, closing(999, ""))}, want: "fail 1002"},
		"close 2999":        {frames: [][]byte{frame(ws.OpClose, true, 0, closing(2999, ""))}, want: "fail 1002"},
		"close 5000":        {frames: [][]byte{frame(ws.OpClose, true, 0, closing(5000, ""))}, want: "fail 1002"},
		"close not UTF-8":   {frames: [][]byte{frame(ws.OpClose, true, 0, closing(1000, "\xff"))}, want: "fail 1007"},
		"packed":            {frames: [][]byte{frame(ws.OpText, true, rsv1, string(small))}, deflate: true, want: fmt.Sprintf("1 %q", strings.Repeat("ab", 400))},
		"packed fragments":  {frames: [][]byte{frame(ws.OpText, false, rsv1, string(small[:5])), frame(ws.OpPing, true, 0, ""), frame(ws.OpContinuation, true, 0, string(small[5:]))}, deflate: true, want: fmt.Sprintf("ping \"\"|1 %q", strings.Repeat("ab", 400))},
		"packed and not":    {frames: [][]byte{frame(ws.OpText, true, rsv1, string(small)), frame(ws.OpText, true, 0, "x")}, deflate: true, want: fmt.Sprintf("1 %q|1 \"x\"", strings.Repeat("ab", 400))},
		"bomb":              {frames: [][]byte{frame(ws.OpBinary, true, rsv1, string(bomb))}, deflate: true, want: "fail 1009"},
		"packed nonsense":   {frames: [][]byte{frame(ws.OpBinary, true, rsv1, "nonsense")}, deflate: true, want: "fail 1007"},
	} {
		stream := bytes.Join(c.frames, nil)
		for _, n := range []int{len(stream), 1, 2, 3, 7, 0} {
			if got := strings.Join(conversation(&plainLimits, c.deflate, stream, n), "|"); got != c.want {
				t.Errorf("%s, in pieces of %d: %.100s, not %.100s", name, n, got, c.want)
			}
		}
	}
}

func TestFramesOut(t *testing.T) {
	var packed []byte
	for _, m := range []bridge.Message{
		{Kind: bridge.MsgText, Payload: []byte("a")}, {Kind: bridge.MsgBinary, Payload: bytes.Repeat([]byte("x"), 70_000)},
		{Kind: bridge.MsgText}, {Kind: bridge.MsgClose, Code: 3000, Payload: []byte("done")}, {Kind: bridge.MsgText, Payload: []byte("late")},
	} {
		packed = bridge.AppendMessage(packed, m)
	}
	for _, deflated := range []bool{false, true} {
		s := newSession(&plainLimits, 0)
		if deflated {
			s.deflates()
		}
		r := bytes.NewReader(s.AppendFrames([]byte("before"), packed))
		if head := make([]byte, 6); true {
			if _, _ = r.Read(head); string(head) != "before" {
				t.Fatalf("it begins with %q", head)
			}
		}
		var got []string
		for r.Len() > 0 {
			h, err := ws.ReadHeader(r)
			if err != nil || h.Masked || !h.Fin {
				t.Fatalf("header %+v, %v", h, err)
			}
			payload := make([]byte, h.Length)
			if _, err := io.ReadFull(r, payload); err != nil {
				t.Fatal(err)
			}
			if h.Rsv1() {
				if payload, err = inflate(payload, 1<<20); err != nil {
					t.Fatal(err)
				}
			}
			got = append(got, fmt.Sprintf("%d %d", h.OpCode, len(payload)))
		}
		if want := "1 1|2 70000|1 0|8 6"; strings.Join(got, "|") != want || !s.Closed {
			t.Errorf("deflate %v: %s, not %s; closed %v", deflated, got, want, s.Closed)
		}
		if more := s.AppendClose(nil, 1000, nil); more != nil {
			t.Errorf("a second Close is %q", more)
		}
	}
}

func TestCloseThatMayNotBeSent(t *testing.T) {
	s := newSession(&plainLimits, 0)
	if got := s.AppendClose(nil, CodeNoCode, []byte("x")); string(got) != "\x88\x00" {
		t.Errorf("got %q", got)
	}
}

func TestClock(t *testing.T) {
	const second = 1_000_000_000
	l := Limits{Size: 1, PingInterval: 20 * second, PingTimeout: 15 * second, Idle: 60 * second}
	s := newSession(&l, 0)
	if !s.Moved() || s.Moved() || s.Due() != 20*second {
		t.Fatalf("due at %d", s.Due())
	}
	look := func(at uint64, deaf bool, sent string, want Verdict) {
		t.Helper()
		if b, v := s.Look(nil, at, deaf); string(b) != sent || v != want {
			t.Errorf("at %d: %q, %d", at/second, b, v)
		}
	}
	look(19*second, false, "", Fine)
	look(20*second, false, "\x89\x00", Fine)
	if s.Due() != 35*second {
		t.Errorf("due at %d", s.Due())
	}
	s.Heard(Pong, 21*second)
	look(40*second, false, "\x89\x00", Fine)
	look(55*second, true, "", Fine) // its Pong can't be seen
	look(60*second, true, "\x89\x00", Fine)
	look(70*second, false, "", Silent)
	s.Heard(Pong, 70*second)
	s.Heard(Message, 70*second)
	look(125*second, false, "\x89\x00", Fine)
	s.Heard(Pong, 125*second)
	look(130*second, false, "", Idle)
	s.Ending(130 * second)
	look(139*second, false, "", Fine)
	look(140*second, false, "", Silent)
}

func TestAllocations(t *testing.T) {
	s := newSession(&plainLimits, 0)
	text := frame(ws.OpText, true, 0, strings.Repeat("x", 128))
	b := make([]byte, len(text))
	packed := bridge.AppendMessage(nil, bridge.Message{Kind: bridge.MsgText, Payload: bytes.Repeat([]byte("x"), 128)})
	out := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(100, func() {
		copy(b, text)
		if _, ev := s.Next(b); ev.Kind != Message {
			t.Fatal("no message")
		}
		out = s.AppendFrames(out[:0], packed)
	}); n > 1 {
		t.Errorf("%v allocations for a message in and out", n)
	}
}

func FuzzSession(f *testing.F) {
	f.Add([]byte("\x81\x81\x00\x00\x00\x00a"), false, uint8(3))
	f.Add(frame(ws.OpBinary, true, 4, "x"), true, uint8(1))
	f.Fuzz(func(t *testing.T, stream []byte, deflate bool, n uint8) {
		whole := conversation(&plainLimits, deflate, stream, max(1, len(stream)))
		parts := conversation(&plainLimits, deflate, stream, int(n)+1)
		if strings.Join(whole, "|") != strings.Join(parts, "|") {
			t.Errorf("%q, in pieces of %d %q", whole, int(n)+1, parts)
		}
	})
}

// Pieces of runes, well and badly put together, are a text exactly where they are UTF-8.
func TestTextInFragments(t *testing.T) {
	parts := []string{"a", "é", "😀", "\xf0", "\x9f", "\x98", "\x80", "\xe2", "\xc3", "\xed", "\xa0", "\xf4", "\x90", ""}
	for range 20_000 {
		whole, stream, op := "", []byte(nil), ws.OpText
		for range 1 + rand.IntN(4) {
			piece := parts[rand.IntN(len(parts))] + parts[rand.IntN(len(parts))]
			stream = append(stream, frame(op, false, 0, piece)...)
			whole, op = whole+piece, ws.OpContinuation
		}
		want := fmt.Sprintf("1 %q", whole)
		if !utf8.ValidString(whole) {
			want = "fail 1007"
		}
		stream = append(stream, frame(ws.OpContinuation, true, 0, "")...)
		if got := strings.Join(conversation(&plainLimits, false, stream, 0), "|"); got != want {
			t.Fatalf("%q: %s, not %s", whole, got, want)
		}
	}
}
