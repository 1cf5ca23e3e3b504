package core

import (
	"encoding/json"
	"errors"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"turboapi/gosrc/bridge"
)

// fake is a transport that notes what is asked of it.
type fake struct {
	host            *Host
	flushed, active int
	drained, closed int
	panics          bool
}

func (f *fake) FD() int { return f.host.Waker.FD() }
func (f *fake) Turn(ev []bridge.Event) int {
	if f.panics {
		panic("turn")
	}
	return len(ev)
}
func (f *fake) Flush(xs []*bridge.Exchange) { f.flushed += len(xs) }
func (f *fake) Drain()                      { f.drained++ }
func (f *fake) Active() int64               { return int64(f.active) }
func (f *fake) Close() {
	f.closed++
	for _, l := range f.host.Listeners {
		syscall.Close(l.FD)
	}
}

var last atomic.Pointer[fake]

var errRefused = errors.New("the transport does not open")

func init() {
	Register("fake", 7, func(h *Host) (Transport, error) {
		f := &fake{host: h}
		last.Store(f)
		if h.Limits.Connections == 13 {
			for _, l := range h.Listeners {
				syscall.Close(l.FD)
			}
			return nil, errRefused
		}
		return f, nil
	})
	Register("slower", 1, func(h *Host) (Transport, error) { return nil, errRefused })
}

func TestOpenTakesTheBestTransport(t *testing.T) {
	h, err := Open([]byte(`{"transport":"auto"}`))
	if err != nil {
		t.Fatal(err)
	}
	c := Lookup(h)
	if c == nil || c.name != "fake" {
		t.Fatalf("got %v", c)
	}
	if n := Servers(); n != 1 {
		t.Errorf("%d servers", n)
	}
	c.Close()
	c.Close()
	if Lookup(h) != nil || Servers() != 0 || last.Load().closed != 1 {
		t.Error("not closed once")
	}
}

func TestOpenRefuses(t *testing.T) {
	for name, s := range map[string]string{
		"no JSON":             `{`,
		"something behind it": `{} {}`,
		"an unknown key":      `{"limit_bodyy":1}`,
		"another case":        `{"Transport":"fake"}`,
		"a wrong type":        `{"limit_body":"1"}`,
		"a negative limit":    `{"limit_body":-1}`,
		"a unit mistaken":     `{"timeout_idle_ms":99999999999999}`,
		"another version":     `{"version":2}`,
		"no descriptor":       `{"listeners":[{"family":"inet","fd":-1}]}`,
		"no such descriptor":  `{"listeners":[{"family":"inet","fd":900000}]}`,
		"no such family":      `{"listeners":[{"family":"ipx","fd":1}]}`,
		"no such transport":   `{"transport":"pigeon"}`,
		"what can't open":     `{"transport":"slower"}`,
	} {
		if h, err := Open([]byte(s)); err == nil {
			t.Errorf("%s: handle %d", name, h)
		} else if !strings.HasPrefix(err.Error(), "core: ") && !errors.Is(err, errRefused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := Servers(); n != 0 {
		t.Errorf("%d servers are left", n)
	}
}

func TestSettingsReachTheTransport(t *testing.T) {
	h, err := Open([]byte(`{"version":1,"transport":"fake","listeners":[],"access_log":true,"log_level":30,"server_header":"",
		"date_header":false,"limit_request_line":100,"limit_headers":0,"limit_fields":7,"limit_body":0,"limit_memory":9,"limit_connections":5,
		"timeout_header_ms":1500,"timeout_idle_ms":0,"timeout_write_ms":10}`))
	if err != nil {
		t.Fatal(err)
	}
	defer Lookup(h).Close()
	host := last.Load().host
	if l := host.Limits; l.Wire.RequestLine != 100 || l.Wire.Header < 1<<29 || l.Wire.Fields != 7 || l.Body != 0 || l.Memory != 9 || l.Connections != 5 ||
		l.Header.Seconds() != 1.5 || l.KeepAlive != 0 || l.Write.Milliseconds() != 10 || l.Linger == 0 {
		t.Errorf("limits are %+v", l)
	}
	if o := host.Options; !o.AccessLog || o.Server != "" || o.DateHeader {
		t.Errorf("options are %+v", o)
	}
}

func TestListenersStayTheCallers(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	f, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	before := openFiles(t)
	for _, connections := range []string{"0", "13"} { // 13: the transport fails to open
		s := `{"transport":"fake","limit_connections":` + connections + `,"listeners":[{"family":"inet","fd":` + itoa(int(f.Fd())) + `}]}`
		for range 50 {
			h, err := Open([]byte(s))
			if err == nil {
				if fd := last.Load().host.Listeners[0].FD; fd == int(f.Fd()) {
					t.Error("not duplicated")
				}
				Lookup(h).Close()
			} else if connections == "0" {
				t.Fatal(err)
			}
		}
	}
	if n := openFiles(t); n != before {
		t.Errorf("%d descriptors before, %d after", before, n)
	}
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatalf("the listener is gone: %v", err)
	}
	c.Close()
}

func itoa(n int) string {
	b, _ := json.Marshal(n)
	return string(b)
}

func openFiles(t *testing.T) int {
	d, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc here")
	}
	return len(d)
}

func TestFlushAfterCloseHonoursRelease(t *testing.T) {
	h, err := Open([]byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	c := Lookup(h)
	before := bridge.Live()
	kept, done, direct := bridge.Acquire(), bridge.Acquire(), bridge.Acquire()
	c.Close()
	kept.Ops, kept.OutLen = bridge.OpHead|bridge.OpEnd, 5
	done.Ops, direct.Ops = bridge.OpEnd|bridge.OpRelease, bridge.OpRelease
	Flush(h, []*bridge.Exchange{kept, done})
	c.Flush([]*bridge.Exchange{direct})
	if n := bridge.Live() - before; n != 1 || kept.Ops != 0 || kept.OutLen != 0 {
		t.Errorf("%d live, ops %d", n, kept.Ops)
	}
	bridge.Release(kept)
	ev := make([]bridge.Event, 1)
	if c.Turn(ev) != 0 || c.Active() != 0 || last.Load().flushed != 0 {
		t.Error("the transport was asked after Close")
	}
	c.Wake()
	c.Drain()
}

func TestPanicOfATransportStaysInside(t *testing.T) {
	h, err := Open([]byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	c := Lookup(h)
	defer c.Close()
	last.Load().panics = true
	if n := c.Turn(make([]bridge.Event, 3)); n != 0 {
		t.Error(n)
	}
	if !c.LogsWaiting() || !strings.Contains(string(c.Logs()), "panic in turn: turn") || c.LogsWaiting() {
		t.Error("not logged")
	}
}

func TestSetTable(t *testing.T) {
	h, err := Open([]byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	c := Lookup(h)
	defer c.Close()
	before := c.host.Table()
	if err := c.SetTable(`{"version":1,"routes":[{"nonsense":1}]}`); err == nil || c.host.Table() != before {
		t.Error("a bad table was taken")
	}
	if err := c.SetTable(`{"version":1,"routes":[]}`); err != nil || c.host.Table() == before {
		t.Error("a good table was not taken", err)
	}
}

func TestStatsAreJSON(t *testing.T) {
	h, err := Open([]byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	c := Lookup(h)
	c.host.Count.Refuse(431)
	c.host.Count.Refuse(431)
	c.host.Count.Respond(503)
	last.Load().active = 3
	var got struct {
		Transport string         `json:"transport"`
		Active    int            `json:"active"`
		Refused   int            `json:"refused"`
		Errors    int            `json:"responses_5xx"`
		Refusals  map[string]int `json:"refusals"`
	}
	if err := json.Unmarshal(c.Stats(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Transport != "fake" || got.Active != 3 || got.Refused != 2 || got.Refusals["431"] != 2 || got.Errors != 1 {
		t.Errorf("got %+v", got)
	}
	c.Close()
	if err := json.Unmarshal(c.Stats(), &got); err != nil || got.Active != 0 {
		t.Error(err, got.Active)
	}
}

func TestOpenCloseAndWakeOnManyThreads(t *testing.T) {
	var wg sync.WaitGroup
	for range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 50 {
				h, err := Open([]byte(`{}`))
				if err != nil {
					t.Error(err)
					return
				}
				c := Lookup(h)
				wg.Add(1)
				go func() { // ends by itself
					defer wg.Done()
					for range 20 {
						c.Wake()
					}
				}()
				c.Close()
			}
		}()
	}
	wg.Wait()
	if n := Servers(); n != 0 {
		t.Errorf("%d servers are left", n)
	}
}
