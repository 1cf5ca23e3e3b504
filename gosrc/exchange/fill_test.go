package exchange

import (
	"fmt"
	"strings"
	"testing"

	"turboapi/gosrc/bridge"
	"turboapi/gosrc/wire"
)

const notFound = `{"status": 404, "fields": [["content-length", "22"], ["content-type", "application/json"]], "body": "{\"detail\":\"Not Found\"}"}`

// bookTable is a table with one of everything.
const bookTable = `{"version": 7, "cors": false, "redirect_slashes": true, "root_path": "",
 "not_found": ` + notFound + `,
 "routes": [
  {"path": "/", "methods": ["GET"], "plan": 0, "partial": {"status": 405, "fields": [["allow", "GET"]], "body": "no"}},
  {"path": "/items/{item_id:int}", "methods": ["GET"], "plan": 1, "partial": null},
  {"path": "/items/{name}", "methods": ["GET"], "plan": 2, "partial": null},
  {"path": "/items", "methods": ["POST"], "plan": 3, "partial": null},
  {"path": "/raw", "methods": ["PUT", "OPTIONS"], "plan": 4, "partial": null},
  {"path": "/app", "methods": null, "plan": -1, "partial": null},
  {"path": "/slash/", "methods": ["GET"], "plan": 0, "partial": null},
  {"path": "/limited", "methods": ["PUT"], "plan": 5, "partial": null},
  {"path": "/static", "mount": true, "plan": -1}],
 "plans": [
  {"id": 0, "body": "none", "max_body": null, "params": []},
  {"id": 1, "body": "none", "max_body": null, "params": [
    {"in": "path", "name": "item_id", "form": "int", "required": true},
    {"in": "query", "name": "q", "form": "str", "required": false},
    {"in": "header", "name": "x-token", "form": "str", "required": false},
    {"in": "cookie", "name": "session", "form": "str", "required": false}]},
  {"id": 2, "body": "none", "max_body": null, "params": [
    {"in": "path", "name": "name", "form": "str", "required": true},
    {"in": "query", "name": "tag", "form": "strs", "required": false}]},
  {"id": 3, "body": "json", "max_body": 100, "params": []},
  {"id": 4, "body": "bytes", "max_body": null, "params": []},
  {"id": 5, "body": "none", "max_body": 10, "params": []}]}`

// formed makes plan 3 one that reads a form.
var formed = []string{`"body": "json"`, `"body": "form", "form": {"files": 1, "fields": null, "part": 5, "url_fields": 2, "url_part": null, "spool": 7, "dir": "/d"}`}

func table(t testing.TB, edits ...string) *Table {
	t.Helper()
	tab, err := NewTable([]byte(strings.NewReplacer(edits...).Replace(bookTable)))
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

// parse reads one head; line ends are written as "\n".
func parse(t testing.TB, head string) (*wire.Head, []byte) {
	t.Helper()
	buf := []byte(strings.ReplaceAll(head, "\n", "\r\n"))
	var p wire.Parser
	var h wire.Head
	p.Reset(nil)
	if done, err := p.Parse(buf, &h); !done {
		t.Fatalf("%q: %v", head, err)
	}
	return &h, buf
}

// fill gives a record that is released when the test ends.
func fill(t testing.TB, tab *Table, head string) (*bridge.Exchange, Disposition) {
	t.Helper()
	h, buf := parse(t, head)
	x := bridge.Acquire()
	t.Cleanup(func() { bridge.Release(x) })
	d := tab.Fill(x, h, buf)
	clear(buf) // Fill keeps nothing of it
	if x.ReqLen > x.ReqCap {
		t.Fatalf("%d bytes used of %d", x.ReqLen, x.ReqCap)
	}
	return x, d
}

func get(path string) string { return "GET " + path + " HTTP/1.1\nHost: h\n\n" }

func TestFillCopiesTheHead(t *testing.T) {
	x, d := fill(t, table(t), "GET /items/42?q=a%20b HTTP/1.1\nHost: Example\nX-Token: Secret\nContent-TYPE: text/x\nORIGIN: http://o\nX-Token: 2\n\n")
	if d != Dispatch || x.Plan != 1 || x.Version != 7 || x.Method != uint8(wire.MethodGET) || x.Minor != 1 {
		t.Errorf("disposition %d plan %d version %d method %d minor %d", d, x.Plan, x.Version, x.Method, x.Minor)
	}
	if want := uint32(bridge.ReqBodyEnd | bridge.ReqOrigin | bridge.ReqHasQuery); x.Flags != want {
		t.Errorf("flags %#x, want %#x", x.Flags, want)
	}
	for name, s := range map[string]bridge.Span{"GET": x.MethodName, "/items/42?q=a%20b": x.Target, "/items/42": x.RawPath, "q=a%20b": x.Query} {
		if string(x.Span(s)) != name {
			t.Errorf("%q, want %q", x.Span(s), name)
		}
	}
	var fields []string
	for _, f := range x.Fields() {
		fields = append(fields, fmt.Sprintf("%s: %s", x.Span(f.Name), x.Span(f.Value)))
	}
	if got, want := strings.Join(fields, "|"), "host: Example|x-token: Secret|content-type: text/x|origin: http://o|x-token: 2"; got != want {
		t.Errorf("fields %q, want %q", got, want)
	}
	if x.ContentType != 2 || x.Origin != 3 {
		t.Errorf("content-type %d origin %d", x.ContentType, x.Origin)
	}
	s := x.Slots()
	if len(s) != 4 || s[0].Int() != 42 || string(x.Span(s[1].Span())) != "a b" || string(x.Span(s[2].Span())) != "Secret" || s[3].Kind != bridge.SlotMissing {
		t.Errorf("slots %v", s)
	}
}

func TestFillChoosesPlanAndDisposition(t *testing.T) {
	const app = planApp
	const odd, end = bridge.ReqOdd, bridge.ReqBodyEnd
	loose := []string{`"body": "json"`, `"body": "json?"`}
	post := func(rest string) string { return "POST /items HTTP/1.1\nHost: h\n" + rest + "\n" }
	for _, tc := range []struct {
		name, head string
		edits      []string
		plan       int32
		d          Disposition
		flags      uint32
	}{
		{"plan", get("/"), nil, 0, Dispatch, end},
		{"parameters", get("/items/42"), nil, 1, Dispatch, end},
		{"next route", get("/items/x"), nil, 2, Dispatch, end},
		{"odd parameter", get("/items/042"), nil, 1, Dispatch, end | odd},
		{"odd cookie", "GET /items/1 HTTP/1.1\nHost: h\nCookie: session=\"x\"\n\n", nil, 1, Dispatch, end | odd},
		{"fallback route", get("/app"), nil, app, Dispatch, end},
		{"mount", get("/static/x"), nil, app, Dispatch, end},
		{"encoded slash stays in the segment's text", get("/items/a%2Fb"), nil, app, Static, end},
		{"encoded path", get("/%69tems/42"), nil, 1, Dispatch, end},
		{"path that is not UTF-8", get("/items/%FF"), nil, app, Dispatch, end},
		{"line feed in the path", get("/items/%0A"), nil, app, Dispatch, end},
		{"absolute-form", "GET http://h/items/42 HTTP/1.1\nHost: h\n\n", nil, 1, Dispatch, end},
		{"absolute-form without a path", "GET http://h HTTP/1.1\nHost: h\n\n", nil, 0, Dispatch, end},
		{"asterisk", "OPTIONS * HTTP/1.1\nHost: h\n\n", nil, app, Static, end},
		{"authority-form", "CONNECT h:1 HTTP/1.1\nHost: h\n\n", nil, app, Dispatch, end},

		{"not found", get("/nothing"), nil, app, Static, end},
		{"not found by the application", get("/nothing"), []string{notFound, "null"}, app, Dispatch, end},
		{"method not allowed", "DELETE / HTTP/1.1\nHost: h\n\n", nil, app, Static, end},
		{"method not allowed by the application", "DELETE /raw HTTP/1.1\nHost: h\n\n", nil, app, Dispatch, end},
		{"unknown method", "BREW / HTTP/1.1\nHost: h\n\n", nil, app, Static, end},
		{"not found with an origin", "GET /nothing HTTP/1.1\nHost: h\nOrigin: o\n\n", nil, app, Static, end | bridge.ReqOrigin},
		{"not found with an origin and cors", "GET /nothing HTTP/1.1\nHost: h\nOrigin: o\n\n", []string{`"cors": false`, `"cors": true`}, app, Dispatch, end | bridge.ReqOrigin},
		{"preflight with cors", "OPTIONS /raw HTTP/1.1\nHost: h\nOrigin: o\n\n", []string{`"cors": false`, `"cors": true`}, app, Dispatch, end | bridge.ReqOrigin},
		{"preflight without cors", "OPTIONS /raw HTTP/1.1\nHost: h\nOrigin: o\n\n", nil, 4, Dispatch, end | bridge.ReqOrigin},
		{"a slash too many", get("/items/"), nil, app, Dispatch, end},
		{"slashes too many", get("/raw//"), nil, app, Dispatch, end},
		{"a slash too few", get("/slash"), nil, app, Dispatch, end},
		{"a mount without its slash", get("/static"), nil, app, Dispatch, end},
		{"a slash too few, not redirected", get("/slash"), []string{`"redirect_slashes": true`, `"redirect_slashes": false`}, app, Static, end},
		{"below the root path", get("/v1/items/42"), []string{`"root_path": ""`, `"root_path": "/v1"`}, app, Dispatch, end},
		{"beside the root path", get("/items/42"), []string{`"root_path": ""`, `"root_path": "/v1"`}, 1, Dispatch, end},

		{"json", post("Content-Type: application/json\nContent-Length: 2\n"), nil, 3, Buffer, 0},
		{"json, chunked", post("Content-Type: Application/JSON ; charset=utf-8\nTransfer-Encoding: chunked\n"), nil, 3, Buffer, 0},
		{"json that waits", post("Content-Type: application/json\nContent-Length: 2\nExpect: 100-continue\n"), nil, 3, Buffer, bridge.ReqContinue},
		{"json without a type", post("Content-Length: 2\n"), nil, 3, Dispatch, odd},
		{"json with an empty type", post("Content-Type:\nContent-Length: 2\n"), nil, 3, Dispatch, odd},
		{"json of another type", post("Content-Type: application/problem+json\nContent-Length: 2\n"), nil, 3, Buffer, 0},
		{"json of any type", post("Content-Type: APPLICATION/vnd.api+JSON; charset=utf-8\nContent-Length: 2\n"), nil, 3, Buffer, 0},
		{"a plus alone", post("Content-Type: application/+json\nContent-Length: 2\n"), nil, 3, Buffer, 0},
		{"json of no application", post("Content-Type: text/x+json\nContent-Length: 2\n"), nil, 3, Dispatch, odd},
		{"a type with two slashes", post("Content-Type: application/a/b+json\nContent-Length: 2\n"), nil, 3, Dispatch, odd},
		{"a type with a space", post("Content-Type: application/a +json\nContent-Length: 2\n"), nil, 3, Dispatch, odd},
		{"a type that overlaps itself", post("Content-Type: application/json+\nContent-Length: 2\n"), nil, 3, Dispatch, odd},
		{"json without a type, not strict", post("Content-Length: 2\n"), loose, 3, Buffer, 0},
		{"json of another type, not strict", post("Content-Type: text/plain\nContent-Length: 2\n"), loose, 3, Dispatch, odd},
		{"an empty type, not strict", post("Content-Type:\nContent-Length: 2\n"), loose, 3, Dispatch, odd},
		{"the first type counts", post("Content-Type: text/plain\nContent-Type: application/json\nContent-Length: 2\n"), nil, 3, Dispatch, odd},
		{"json without a body", post("Content-Type: application/json\n"), nil, 3, Dispatch, end | odd},
		{"json with an empty body", post("Content-Type: application/json\nContent-Length: 0\n"), nil, 3, Dispatch, end | odd},
		{"at the plan's limit", post("Content-Type: application/json\nContent-Length: 100\n"), nil, 3, Buffer, 0},
		{"above the plan's limit", post("Content-Type: application/json\nContent-Length: 101\n"), nil, 3, Dispatch, odd},
		{"bytes", "PUT /raw HTTP/1.1\nHost: h\nContent-Length: 2\n\n", nil, 4, Buffer, 0},
		{"bytes without a body", "PUT /raw HTTP/1.1\nHost: h\n\n", nil, 4, Dispatch, end},
		{"a form", post("Content-Type: application/x-www-form-urlencoded\nContent-Length: 2\n"), formed, 3, Form, 0},
		{"a form in parts", post("Content-Type: multipart/form-data; boundary=x\nTransfer-Encoding: chunked\n"), formed, 3, Form, 0},
		{"a form without a boundary", post("Content-Type: multipart/form-data\nContent-Length: 2\n"), formed, 3, Dispatch, odd},
		{"a form without a type", post("Content-Length: 2\n"), formed, 3, Dispatch, odd},
		{"a form without a body", post("Content-Type: application/x-www-form-urlencoded\n"), formed, 3, Dispatch, end | odd},
		{"a form above the plan's limit", post("Content-Type: application/x-www-form-urlencoded\nContent-Length: 101\n"), formed, 3, Dispatch, odd},
		{"a body that nobody reads", "GET / HTTP/1.1\nHost: h\nContent-Length: 2\n\n", nil, 0, Dispatch, 0},
		{"a small one, and a limit", "PUT /limited HTTP/1.1\nHost: h\nContent-Length: 10\n\n", nil, 5, Dispatch, 0},
		{"above the limit of a plan that does not read it", "PUT /limited HTTP/1.1\nHost: h\nContent-Length: 11\n\n", nil, 5, Dispatch, odd},
		{"a limit, and a length that is not known", "PUT /limited HTTP/1.1\nHost: h\nTransfer-Encoding: chunked\n\n", nil, 5, Dispatch, odd},
		{"head", "HEAD / HTTP/1.1\nHost: h\n\n", nil, app, Static, end | bridge.ReqHead},
	} {
		t.Run(tc.name, func(t *testing.T) {
			x, d := fill(t, table(t, tc.edits...), tc.head)
			plan := x.Plan
			if d == Static && plan < planApp {
				plan = planApp
			}
			flags := x.Flags &^ bridge.ReqHasQuery
			if plan != tc.plan || d != tc.d || flags != tc.flags {
				t.Errorf("plan %d disposition %d flags %#x, want %d, %d, %#x", plan, d, flags, tc.plan, tc.d, tc.flags)
			}
		})
	}
}

// With plans for what no other plan takes, the application answers nothing by itself, and nothing is odd.
func TestPlansOfWhatIsLeft(t *testing.T) {
	const rest = 5 // the plan that is added
	edit := []string{`{"id": 5, "body": "none", "max_body": 10, "params": []}`, `{"id": 5, "body": "none", "max_body": null, "params": []}`,
		`"not_found": ` + notFound, `"not_found": null, "rest": 5, "missing": 0`}
	tab := table(t, edit...)
	for _, tc := range []struct {
		head string
		plan int32
	}{
		{get("/nothing"), 0},
		{get("/items/1"), 1},
		{get("/items/1/"), rest},
		{get("/app"), rest},
		{get("/static/x"), rest},
		{get("/items"), rest},
		{get("/items/%0A"), rest},
		{"POST /items HTTP/1.1\nHost: h\nContent-Length: 1\n\n", rest},
		{"POST /items HTTP/1.1\nHost: h\nContent-Type: application/json\nContent-Length: 200\n\n", rest},
	} {
		x, d := fill(t, tab, tc.head)
		if x.Plan != tc.plan || d != Dispatch || x.Flags&bridge.ReqOdd != 0 {
			t.Errorf("%q: plan %d, not %d; disposition %d, flags %x", tc.head, x.Plan, tc.plan, d, x.Flags)
		}
	}
	if x, d := fill(t, tab, "POST / HTTP/1.1\nHost: h\n\n"); d != Static || x.Plan == rest {
		t.Errorf("a ready answer: plan %d disposition %d", x.Plan, d)
	}
	if x, _ := fill(t, tab, "GET /app HTTP/1.1\nHost: h\nUpgrade: websocket\nConnection: upgrade\n\n"); x.Plan != planApp {
		t.Errorf("a handshake: plan %d", x.Plan)
	}
	if x, _ := fill(t, table(t, append(edit, `"root_path": ""`, `"root_path": "/root"`)...), get("/root/nothing")); x.Plan != rest {
		t.Errorf("below the root path: plan %d", x.Plan)
	}
}

func TestAMountWithAPlan(t *testing.T) {
	tab := table(t, `"mount": true, "plan": -1`, `"mount": true, "plan": 0`)
	for path, plan := range map[string]int32{"/static/": 0, "/static/a/b": 0, "/static": planApp} {
		if x, _ := fill(t, tab, get(path)); x.Plan != plan {
			t.Errorf("%s: plan %d, not %d", path, x.Plan, plan)
		}
	}
}

func TestFillDecodesThePath(t *testing.T) {
	for target, want := range map[string][2]string{
		"/items/a%20b?x":   {"/items/a%20b", "/items/a b"},
		"/a%2Fb":           {"/a%2Fb", "/a/b"},
		"/%zz%4":           {"/%zz%4", "/%zz%4"},
		"/%C3%A9+":         {"/%C3%A9+", "/é+"},
		"http://h/a%2Cb?c": {"/a%2Cb", "/a,b"},
		"http://h?c":       {"/", "/"},
		"/plain":           {"/plain", "/plain"},
		"/a%00b":           {"/a%00b", "/a\x00b"},
	} {
		x, _ := fill(t, table(t), get(target))
		if raw, path := string(x.Span(x.RawPath)), string(x.Span(x.Path)); raw != want[0] || path != want[1] {
			t.Errorf("%s: %q %q, want %q", target, raw, path, want)
		}
	}
}

func TestLower(t *testing.T) {
	for n := range 40 {
		for _, text := range []string{"ABCXYZ@[`{!~^_09az|", "X-Forwarded-For-Some-Long-Name", "\xc1\xdaAZ\xff"} {
			b := []byte(strings.Repeat(text, 12))[:n+8]
			token := n
			if text[0] >= 0x80 {
				token = 0 // what comes behind a name may be anything
			}
			want := strings.ToLower(string(b[:token])) + string(b[token:])
			if lower(b, uint32(token)); string(b) != want {
				t.Errorf("%q, want %q", b, want)
			}
		}
	}
}

func TestFillKeepsTheTransportsFlags(t *testing.T) {
	h, buf := parse(t, get("/"))
	x := bridge.Acquire()
	defer bridge.Release(x)
	x.Flags = bridge.ReqTLS | bridge.ReqUnix
	table(t).Fill(x, h, buf)
	if x.Flags != bridge.ReqTLS|bridge.ReqUnix|bridge.ReqBodyEnd {
		t.Errorf("flags %#x", x.Flags)
	}
}

func TestLargeHeadsMoveToMemory(t *testing.T) {
	value := strings.Repeat("v", 60000)
	query := strings.Repeat("tag=%C3%A9&", 600)
	x, d := fill(t, table(t), "GET /items/x?"+query+" HTTP/1.1\nHost: h\nX-Token: "+value+"\n\n")
	if d != Dispatch || x.Plan != 2 || x.ReqCap <= bridge.ReqInline {
		t.Fatalf("disposition %d plan %d cap %d", d, x.Plan, x.ReqCap)
	}
	list := x.Spans(x.Slots()[1].Span())
	if len(list) != 600 || string(x.Span(list[599])) != "é" {
		t.Errorf("%d elements", len(list))
	}
	if got := x.Span(x.Fields()[1].Value); string(got) != value {
		t.Errorf("%d bytes of a value", len(got))
	}
}

func TestReady(t *testing.T) {
	tab := table(t)
	for _, tc := range []struct {
		name string
		size int
		edit func(x *bridge.Exchange)
		odd  bool
	}{
		{"complete", 10, nil, false},
		{"at the limit", 100, nil, false},
		{"above the limit", 101, nil, true},
		{"chunked and empty", 0, nil, true},
		{"of an older table", 10, func(x *bridge.Exchange) { x.Version-- }, true},
	} {
		x, d := fill(t, tab, "POST /items HTTP/1.1\nHost: h\nContent-Type: application/json\nTransfer-Encoding: chunked\n\n")
		if d != Buffer {
			t.Fatal("not buffered")
		}
		x.AppendBody(make([]byte, tc.size))
		if tc.edit != nil {
			tc.edit(x)
		}
		tab.Ready(x)
		if odd := x.Flags&bridge.ReqOdd != 0; odd != tc.odd || x.Flags&bridge.ReqBodyEnd == 0 {
			t.Errorf("%s: flags %#x", tc.name, x.Flags)
		}
	}
}

// A form's parser has the plan's limits; Ready leaves its verdict alone.
func TestForm(t *testing.T) {
	tab := table(t, formed...)
	for body, odd := range map[string]bool{"a=1&b=2": false, "a=1&b=2&c=3": true, "a=" + strings.Repeat("1", 99): true} {
		x, d := fill(t, tab, "POST /items HTTP/1.1\nHost: h\nContent-Type: application/x-www-form-urlencoded\nTransfer-Encoding: chunked\n\n")
		if d != Form {
			t.Fatal("not a form")
		}
		p := tab.NewForm(x, 1000)
		err := p.Write(x, []byte(body))
		if err == nil {
			err = p.Finish(x)
		}
		if (err != nil) != odd {
			t.Errorf("%q: %v", body, err)
		}
		if tab.Ready(x); x.Flags&bridge.ReqOdd != 0 {
			t.Errorf("%q: flags %#x", body, x.Flags)
		}
	}
}

func TestFillAllocatesNothing(t *testing.T) {
	tab := table(t)
	for _, head := range []string{get("/"), get("/items/42?q=a%20b"), get("/items/%C3%A9?tag=1&tag=2"), get("/nothing")} {
		h, buf := parse(t, head)
		if n := testing.AllocsPerRun(100, func() {
			x := bridge.Acquire()
			tab.Fill(x, h, buf)
			bridge.Release(x)
		}); n != 0 {
			t.Errorf("%q: %v allocations", head, n)
		}
	}
}

// FuzzFill: whatever head the parser lets through fits the room that was asked
// for, and all that the record names lies within it.
func FuzzFill(f *testing.F) {
	for _, s := range []string{
		"GET /items/42?q=1 HTTP/1.1\r\nHost: h\r\nCookie: session=1\r\n\r\n",
		"GET /items/%41b%?tag=%&tag HTTP/1.1\r\nHost: h\r\n\r\n",
		"POST /items HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 3\r\n\r\n",
	} {
		f.Add(s)
	}
	tab := table(f)
	f.Fuzz(func(t *testing.T, s string) {
		buf := []byte(s)
		var p wire.Parser
		var h wire.Head
		p.Reset(nil)
		if done, _ := p.Parse(buf, &h); !done {
			t.Skip()
		}
		x := bridge.Acquire()
		defer bridge.Release(x)
		d := tab.Fill(x, &h, buf)
		if x.ReqLen > x.ReqCap {
			t.Fatalf("%d bytes used of %d", x.ReqLen, x.ReqCap)
		}
		for _, v := range []bridge.Span{x.MethodName, x.Target, x.RawPath, x.Query, x.Path} {
			x.Span(v)
		}
		for _, v := range x.Fields() {
			if strings.ToLower(string(x.Span(v.Name))) != string(x.Span(v.Name)) {
				t.Errorf("name %q", x.Span(v.Name))
			}
			x.Span(v.Value)
		}
		if x.Flags&bridge.ReqOdd == 0 && x.Plan >= 0 {
			for i := range x.Slots() {
				switch s := &x.Slots()[i]; s.Kind {
				case bridge.SlotStr, bridge.SlotLatin1:
					x.Span(s.Span())
				case bridge.SlotList:
					for _, v := range x.Spans(s.Span()) {
						x.Span(v)
					}
				}
			}
		}
		if d == Static {
			out, _, _ := tab.AppendStatic(nil, x, true, nil)
			if !strings.HasPrefix(string(out), "HTTP/1.1 40") {
				t.Errorf("%q", out)
			}
		}
	})
}

func BenchmarkFill(b *testing.B) {
	tab := table(b)
	for _, path := range []string{"/", "/items/42?q=x", "/nothing"} {
		b.Run(path, func(b *testing.B) {
			h, buf := parse(b, "GET "+path+" HTTP/1.1\nHost: 127.0.0.1:8000\n\n")
			x := bridge.Acquire()
			defer bridge.Release(x)
			for b.Loop() {
				x.Flags = 0
				tab.Fill(x, h, buf)
			}
		})
	}
	b.Run("browser", func(b *testing.B) {
		h, buf := parse(b, "GET /items/42?q=x HTTP/1.1\nHost: 127.0.0.1:8000\n"+strings.Repeat("Sec-Fetch-Something: some value that is long\n", 12)+"\n")
		x := bridge.Acquire()
		defer bridge.Release(x)
		for b.Loop() {
			x.Flags = 0
			tab.Fill(x, h, buf)
		}
	})
}
