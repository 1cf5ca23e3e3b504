package exchange

import (
	"errors"
	"strings"
	"testing"
	"unsafe"

	"turboapi/gosrc/bridge"
	"turboapi/gosrc/wire"
)

var date = wire.Own(start)

const start = "date: Mon, 23 Nov 2026 05:00:00 GMT\r\nserver: turboapi\r\n"

// step is one flush of the lane.
type step struct {
	ops    uint32
	status uint16
	fields []string // name, value, name, value
	body   string
	preset uint8
}

const (
	opHead, opEnd, opClose, opAbort, opEarly = bridge.OpHead, bridge.OpEnd, bridge.OpClose, bridge.OpAbort, bridge.OpEarly
)

// put writes a step into x as C would.
func put(x *bridge.Exchange, s step, hold *[][]byte) {
	x.Ops, x.Preset = s.ops, s.preset
	if s.status != 0 {
		x.Status = s.status
	}
	var packed []byte
	for i := 0; i < len(s.fields); i += 2 {
		packed = pack(packed, s.fields[i], s.fields[i+1])
	}
	if len(packed) > 0 {
		*hold = append(*hold, packed)
		x.FieldsPtr, x.FieldsLen = unsafe.SliceData(packed), uint32(len(packed))
	}
	body := []byte(s.body)
	if len(body) > len(x.OutInline) {
		*hold = append(*hold, body)
		x.OutPtr = unsafe.SliceData(body)
	} else {
		copy(x.OutInline[:], body)
		x.OutPtr = &x.OutInline[0]
	}
	x.OutLen = uint64(len(body))
}

// answer is an exchange for a request that was read: "GET", "HEAD/1.0" ...
func answer(t *testing.T, request string) *bridge.Exchange {
	x := bridge.Acquire()
	t.Cleanup(func() { bridge.Release(x) })
	x.Minor, x.Method = 1, uint8(wire.MethodGET)
	method, version, _ := strings.Cut(request, "/")
	if version == "1.0" {
		x.Minor = 0
	}
	switch method {
	case "HEAD":
		x.Method, x.Flags = uint8(wire.MethodHEAD), bridge.ReqHead
	case "CONNECT":
		x.Method = uint8(wire.MethodCONNECT)
	}
	return x
}

func TestAppendReply(t *testing.T) {
	const json = "content-type: application/json\r\n"
	ok := func(lines string) string { return "HTTP/1.1 200 OK\r\n" + start + lines + "\r\n" }
	failed := "HTTP/1.1 500 Internal Server Error\r\n" + start + "content-type: text/plain; charset=utf-8\r\ncontent-length: 21\r\nconnection: close\r\n\r\nInternal Server Error"
	const chunked = "transfer-encoding: chunked\r\n"
	length := func(n string) []string { return []string{"content-length", n} }
	for _, tc := range []struct {
		name, request string
		close         bool // what request and server allow
		steps         []step
		want          string
		end           string // "done", "close", "abort", "" for not complete
		err           error
	}{
		{"preset", "GET", false, []step{{opHead | opEnd, 200, nil, `{"a":1}`, bridge.PresetJSON}},
			ok("content-length: 7\r\n"+json) + `{"a":1}`, "done", nil},
		{"preset that closes", "GET", true, []step{{opHead | opEnd, 200, nil, `1`, bridge.PresetJSON}},
			ok("content-length: 1\r\n"+json+"connection: close\r\n") + "1", "close", nil},
		{"preset, the lane closes", "GET", false, []step{{opHead | opEnd | opClose, 200, nil, `1`, bridge.PresetJSON}},
			ok("content-length: 1\r\n"+json+"connection: close\r\n") + "1", "close", nil},
		{"preset for HEAD", "HEAD", false, []step{{opHead | opEnd, 200, nil, `{"a":1}`, bridge.PresetJSON}},
			ok("content-length: 7\r\n" + json), "done", nil},
		{"preset for 1.0", "GET/1.0", false, []step{{opHead | opEnd, 200, nil, `1`, bridge.PresetJSON}},
			ok("content-length: 1\r\n"+json+"connection: keep-alive\r\n") + "1", "done", nil},
		{"preset of 204", "GET", false, []step{{opHead | opEnd, 204, nil, "null", bridge.PresetJSON}},
			"HTTP/1.1 204 No Content\r\n" + start + json + "\r\n", "done", nil},
		{"preset for CONNECT", "CONNECT", false, []step{{opHead | opEnd, 200, nil, `1`, bridge.PresetJSON}},
			ok(json+"connection: close\r\n") + "1", "close", nil},
		{"preset without the end", "GET", false, []step{{opHead, 200, nil, "1", bridge.PresetJSON}}, failed, "close", errPreset},

		{"fields and body", "GET", false, []step{{opHead | opEnd, 200, []string{"X-A", "b", "set-cookie", "1", "set-cookie", "2"}, "body", 0}},
			ok("X-A: b\r\nset-cookie: 1\r\nset-cookie: 2\r\n"+chunked) + "4\r\nbody\r\n0\r\n\r\n", "done", nil},
		{"empty body", "GET", false, []step{{opHead | opEnd, 200, nil, "", 0}}, ok(chunked) + "0\r\n\r\n", "done", nil},
		{"announced length", "GET", false, []step{{opHead | opEnd, 200, length("4"), "body", 0}}, ok("content-length: 4\r\n") + "body", "done", nil},
		{"wrong length", "GET", false, []step{{opHead | opEnd, 200, length("5"), "body", 0}}, failed, "close", errAny},
		{"the application closes", "GET", false, []step{{opHead | opEnd, 200, []string{"connection", "close"}, "", 0}},
			ok("connection: close\r\n"+chunked) + "0\r\n\r\n", "close", nil},
		{"a body of 304 is dropped", "GET", false, []step{{opHead | opEnd, 304, nil, "body", 0}}, "HTTP/1.1 304 Not Modified\r\n" + start + "\r\n", "done", nil},
		{"streamed body of 204 is dropped", "GET", false, []step{{opHead, 204, nil, "", 0}, {0, 0, nil, "body", 0}, {opEnd, 0, nil, "", 0}},
			"HTTP/1.1 204 No Content\r\n" + start + "\r\n", "done", nil},
		{"HEAD with a body", "HEAD", false, []step{{opHead | opEnd, 200, length("4"), "body", 0}}, ok("content-length: 4\r\n"), "done", nil},
		{"HEAD with a streamed body", "HEAD", false, []step{{opHead, 200, length("9"), "body", 0}, {opEnd, 0, nil, "body", 0}}, ok("content-length: 9\r\n"), "done", nil},

		{"chunks", "GET", false, []step{{opHead, 200, nil, "", 0}, {0, 0, nil, "one", 0}, {0, 0, nil, "", 0}, {0, 0, nil, strings.Repeat("x", 5000), 0}, {opEnd, 0, nil, "", 0}},
			ok("transfer-encoding: chunked\r\n") + "3\r\none\r\n1388\r\n" + strings.Repeat("x", 5000) + "\r\n0\r\n\r\n", "done", nil},
		{"first chunk with the head", "GET", false, []step{{opHead, 200, nil, "one", 0}, {opEnd, 0, nil, "last", 0}},
			ok("transfer-encoding: chunked\r\n") + "3\r\none\r\n4\r\nlast\r\n0\r\n\r\n", "done", nil},
		{"its own transfer-encoding", "GET", false, []step{{opHead, 200, []string{"transfer-encoding", "chunked"}, "a", 0}, {opEnd, 0, nil, "", 0}},
			ok("transfer-encoding: chunked\r\n") + "1\r\na\r\n0\r\n\r\n", "done", nil},
		{"streamed to 1.0", "GET/1.0", false, []step{{opHead, 200, nil, "one", 0}, {opEnd, 0, nil, "two", 0}},
			ok("connection: close\r\n") + "onetwo", "close", nil},
		{"streamed, length known", "GET", false, []step{{opHead, 200, length("6"), "", 0}, {0, 0, nil, "one", 0}, {opEnd, 0, nil, "two", 0}},
			ok("content-length: 6\r\n") + "onetwo", "done", nil},
		{"closed after the stream", "GET", false, []step{{opHead, 200, length("3"), "", 0}, {opEnd | opClose, 0, nil, "one", 0}},
			ok("content-length: 3\r\n") + "one", "close", nil},
		{"not complete", "GET", false, []step{{opHead, 200, length("6"), "one", 0}}, ok("content-length: 6\r\n") + "one", "", nil},
		{"too long", "GET", false, []step{{opHead, 200, length("4"), "one", 0}, {0, 0, nil, "two", 0}, {opEnd, 0, nil, "later", 0}},
			ok("content-length: 4\r\n") + "one", "abort", errTooLong},
		{"too long at once", "GET", false, []step{{opHead, 200, length("2"), "one", 0}}, ok("content-length: 2\r\n"), "abort", errTooLong},
		{"too short", "GET", false, []step{{opHead, 200, length("4"), "one", 0}, {opEnd, 0, nil, "", 0}},
			ok("content-length: 4\r\n") + "one", "abort", errTooShort},
		{"CONNECT", "CONNECT", false, []step{{opHead | opEnd, 200, nil, "", 0}}, ok("connection: close\r\n"), "close", nil},

		{"early hints", "GET", false, []step{{opEarly, 0, []string{"link", "</a>"}, "", 0}, {opHead | opEnd, 200, []string{"x", "y"}, "", 0}},
			"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + ok("x: y\r\n"+chunked) + "0\r\n\r\n", "done", nil},
		{"early hints for 1.0", "GET/1.0", false, []step{{opEarly, 0, []string{"link", "</a>"}, "", 0}}, "", "", nil},
		{"late early hints", "GET", false, []step{{opHead, 200, length("4"), "", 0}, {opEarly, 0, []string{"link", "</a>"}, "", 0}},
			ok("content-length: 4\r\n"), "abort", errEarly},

		{"bad name", "GET", false, []step{{opHead | opEnd, 200, []string{"a b", "c"}, "x", 0}}, failed, "close", errAny},
		{"line feed in a value", "GET", false, []step{{opHead, 200, []string{"a", "b\nc: d"}, "x", 0}, {opEnd, 0, nil, "later", 0}}, failed, "close", errAny},
		{"bad head for HEAD", "HEAD", false, []step{{opHead | opEnd, 200, []string{"a b", "c"}, "x", 0}}, strings.TrimSuffix(failed, errorBody), "close", errAny},
		{"status 99", "GET", false, []step{{opHead | opEnd, 99, nil, "", 0}}, failed, "close", errStatus},
		{"status 101", "GET", false, []step{{opHead | opEnd, 101, nil, "", 0}}, failed, "close", errStatus},
		{"status 1000", "GET", false, []step{{opHead | opEnd, 1000, nil, "", 0}}, failed, "close", errAny},
		{"end without a head", "GET", false, []step{{opEnd, 0, nil, "", 0}}, failed, "close", errNoHead},
		{"body without a head", "GET", false, []step{{0, 0, nil, "x", 0}}, failed, "close", errNoHead},
		{"two heads", "GET", false, []step{{opHead, 200, length("4"), "", 0}, {opHead, 200, nil, "x", 0}}, ok("content-length: 4\r\n"), "abort", errHeadTwice},
		{"after the end nothing counts", "GET", false, []step{{opHead | opEnd, 200, nil, "", 0}, {opHead | opEnd, 200, nil, "more", 0}},
			ok(chunked) + "0\r\n\r\n", "done", nil},
		{"abort", "GET", false, []step{{opHead, 200, nil, "a", 0}, {opAbort, 0, nil, "b", 0}},
			ok("transfer-encoding: chunked\r\n") + "1\r\na\r\n", "abort", nil},
		{"nothing asked", "GET", false, []step{{bridge.OpWant, 0, nil, "", 0}}, "", "", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			// Once appended, once in parts.
			for _, parts := range []bool{false, true} {
				x := answer(t, tc.request)
				var out []byte
				var hold [][]byte
				var end string
				var failure error
				for _, s := range tc.steps {
					put(x, s, &hold)
					var r Result
					var err error
					if parts {
						out, r, err = Format(out, x, !tc.close, date)
						out = append(append(out, r.Payload...), r.Tail...)
					} else {
						out, r, err = AppendReply(out, x, !tc.close, date)
					}
					if r.Ops != s.ops || x.Ops != 0 || x.OutLen != 0 {
						t.Errorf("ops %#x in the result, %#x left; %d bytes left", r.Ops, x.Ops, x.OutLen)
					}
					failure = errors.Join(failure, err)
					switch {
					case r.Abort:
						end += "abort"
					case r.Done && r.Close:
						end += "close"
					case r.Done:
						end += "done"
					}
				}
				x.FieldsPtr, x.OutPtr = nil, nil
				if string(out) != tc.want || end != tc.end {
					t.Errorf("%q %s\nwant %q %s", out, end, tc.want, tc.end)
				}
				if (failure == nil) != (tc.err == nil) || tc.err != nil && tc.err != errAny && !errors.Is(failure, tc.err) {
					t.Errorf("error %v, want %v", failure, tc.err)
				}
			}
		})
	}
}

var errAny = errors.New("any")

func TestAGoneClientGetsNothing(t *testing.T) {
	x := answer(t, "GET")
	x.Flags |= bridge.ReqGone
	put(x, step{opHead | opEnd | bridge.OpRelease, 200, nil, "x", 0}, new([][]byte))
	out, r, err := AppendReply(nil, x, true, date)
	if len(out) != 0 || err != nil || !r.Abort || r.Ops&bridge.OpRelease == 0 {
		t.Errorf("%q %+v %v", out, r, err)
	}
}

func TestResultSaysWhatWasSent(t *testing.T) {
	x := answer(t, "GET")
	put(x, step{opHead, 201, nil, "x", 0}, new([][]byte))
	if _, r, _ := AppendReply(nil, x, true, nil); !r.Head || r.Status != 201 || r.Done {
		t.Errorf("%+v", r)
	}
	put(x, step{opEnd, 0, nil, "x", 0}, new([][]byte))
	if _, r, _ := AppendReply(nil, x, true, nil); r.Head || !r.Done || r.Close {
		t.Errorf("%+v", r)
	}
	y := answer(t, "GET")
	put(y, step{opHead | opEnd, 99, nil, "", 0}, new([][]byte))
	if _, r, _ := AppendReply(nil, y, true, nil); !r.Head || r.Status != 500 {
		t.Errorf("%+v", r)
	}
}

func TestAppendStatic(t *testing.T) {
	tab := table(t)
	for _, tc := range []struct {
		head, want string
		status     int
		closes     bool
	}{
		{get("/nothing"), "HTTP/1.1 404 Not Found\r\n" + start + "content-length: 22\r\ncontent-type: application/json\r\n\r\n" + `{"detail":"Not Found"}`, 404, false},
		{"HEAD /nothing HTTP/1.1\nHost: h\n\n", "HTTP/1.1 404 Not Found\r\n" + start + "content-length: 22\r\ncontent-type: application/json\r\n\r\n", 404, false},
		{"DELETE / HTTP/1.1\nHost: h\nConnection: close\n\n", "HTTP/1.1 405 Method Not Allowed\r\n" + start + "allow: GET\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n2\r\nno\r\n0\r\n\r\n", 405, true},
	} {
		h, buf := parse(t, tc.head)
		x := bridge.Acquire()
		if tab.Fill(x, h, buf) != Static {
			t.Fatal("not static")
		}
		out, status, closes := tab.AppendStatic([]byte(">"), x, h.KeepAlive, date)
		if string(out) != ">"+tc.want || status != tc.status || closes != tc.closes {
			t.Errorf("%d %v %q\nwant %q", status, closes, out, tc.want)
		}
		bridge.Release(x)
	}
}

func TestAppendReplyAllocatesNothing(t *testing.T) {
	x := answer(t, "GET")
	x.Status = 200
	buf := make([]byte, 0, 4096)
	packed := pack(pack(nil, "content-length", "4"), "content-type", "text/plain")
	flush := func(ops uint32, preset uint8, fields []byte) {
		x.Ops, x.Preset, x.OutLen = ops, preset, 4
		x.FieldsPtr, x.FieldsLen = unsafe.SliceData(fields), uint32(len(fields))
		AppendReply(buf, x, true, date)
	}
	for name, run := range map[string]func(){
		"preset": func() { flush(opHead|opEnd, bridge.PresetJSON, nil) },
		"fields": func() { flush(opHead|opEnd, 0, packed) },
		"chunks": func() {
			flush(opHead, 0, nil)
			flush(opEnd, 0, nil)
		},
	} {
		if n := testing.AllocsPerRun(100, func() {
			x.SentHead, x.Ended = 0, 0
			run()
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	x.FieldsPtr = nil
}

func BenchmarkAppendReply(b *testing.B) {
	x := bridge.Acquire()
	defer bridge.Release(x)
	x.Minor, x.Status = 1, 200
	buf := make([]byte, 0, 4096)
	for name, preset := range map[string]uint8{"preset": bridge.PresetJSON, "fields": 0} {
		packed := pack(pack(nil, "content-length", "27"), "content-type", "text/plain")
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				x.SentHead, x.Ended = 0, 0
				x.Ops, x.OutLen, x.Preset = opHead|opEnd, 27, preset
				x.FieldsPtr, x.FieldsLen = unsafe.SliceData(packed), uint32(len(packed))
				AppendReply(buf, x, true, date)
			}
		})
	}
	x.FieldsPtr = nil
}
