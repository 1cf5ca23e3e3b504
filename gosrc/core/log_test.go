package core

import (
	"encoding/json"
	"strings"
	"testing"

	"turboapi/gosrc/bridge"
)

type logLines struct {
	Dropped int `json:"dropped"`
	Lines   []struct {
		T     float64 `json:"t"`
		Level int     `json:"level"`
		Msg   string  `json:"msg"`
		Stack string  `json:"stack"`
		A     []any   `json:"a"`
	} `json:"lines"`
}

func readLog(t *testing.T, l *Log) (got logLines) {
	t.Helper()
	b := l.Take()
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	return got
}

func TestLogIsJSON(t *testing.T) {
	l := NewLog(new(Counters), levelInfo)
	if got := readLog(t, l); len(got.Lines) != 0 || l.Waiting() {
		t.Errorf("got %+v", got)
	}
	l.Error("%s \"\\\n\x01\x7f\xff%s", "café", "😀")
	l.Warn("w")
	l.Stack([]byte("goroutine 1\n\tx"), "s")
	got := readLog(t, l)
	if len(got.Lines) != 3 || got.Lines[0].Msg != "café \"\\\n\x01\x7f\ufffd😀" || got.Lines[0].Level != 40 || got.Lines[0].T < 1e9 {
		t.Errorf("got %+v", got)
	}
	if got.Lines[1].Level != 30 || got.Lines[2].Stack != "goroutine 1\n\tx" {
		t.Errorf("got %+v", got)
	}
}

func TestLogLeavesOutWhatIsBelowItsLevel(t *testing.T) {
	l := NewLog(new(Counters), levelError)
	l.Warn("w")
	if l.Waiting() {
		t.Error("a warning waits")
	}
}

func TestAccessLine(t *testing.T) {
	x := bridge.Acquire()
	defer bridge.Release(x)
	text := "GET/x?\"y"
	copy(x.ReqBytes(), text)
	x.MethodName, x.Target = bridge.Span{Off: 0, Len: 3}, bridge.Span{Off: 3, Len: 5}
	x.SetClient("::1", 4242)
	x.Minor, x.TRead = 1, 5000
	l := NewLog(new(Counters), levelError)
	l.Access(x, 204, 62_000)
	l.Access(x, 204, 0) // a clock that goes back
	x.Flags |= bridge.ReqUnix
	l.Access(x, 204, 62_000)
	got := readLog(t, l)
	b, err := json.Marshal(got.Lines[0].A)
	if err != nil || string(b) != `["::1:4242","GET","/x?\"y",1,204,57]` {
		t.Errorf("got %s", b)
	}
	if got.Lines[1].A[5] != 0.0 || got.Lines[2].A[0] != "" {
		t.Errorf("got %+v", got)
	}
}

func TestAccessLineOfARefusedRequest(t *testing.T) {
	l := NewLog(new(Counters), levelError)
	l.Refused([]byte("::1"), 4242, []byte("GET"), []byte("/\"\n\xff"), 1, 431)
	l.Refused(nil, 0, nil, nil, 0, 400)
	got := readLog(t, l)
	for i, want := range []string{`["::1:4242","GET","/\"\n\ufffd",1,431,0]`, `["","-","-",0,400,0]`} {
		if b, err := json.Marshal(got.Lines[i].A); err != nil || string(b) != strings.ReplaceAll(want, `\ufffd`, "\ufffd") {
			t.Errorf("got %s, want %s", b, want)
		}
	}
	for range maxLog/1000 + 1 {
		l.Refused(nil, 0, nil, make([]byte, 1000), 0, 400)
	}
	if got := readLog(t, l); got.Dropped == 0 {
		t.Error("refusals fill the log without a bound")
	}
}

func TestFullLogCountsWhatItDrops(t *testing.T) {
	c := new(Counters)
	l := NewLog(c, levelInfo)
	line := strings.Repeat("x", 100_000)
	for range 15 {
		l.Error("%s", line)
	}
	got := readLog(t, l)
	if got.Dropped != 15-len(got.Lines) || got.Dropped == 0 || c.LogsDropped.Load() != int64(got.Dropped) {
		t.Errorf("%d dropped, %d kept", got.Dropped, len(got.Lines))
	}
	l.Error("again")
	if got := readLog(t, l); got.Dropped != 0 || len(got.Lines) != 1 {
		t.Errorf("got %+v", got)
	}
}
