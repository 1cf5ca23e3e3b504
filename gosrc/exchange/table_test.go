package exchange

import (
	"strings"
	"testing"

	"turboapi/gosrc/bridge"
)

// An error says where in the table the fault is.
func TestBadTables(t *testing.T) {
	for name, tc := range map[string]struct {
		edit  [2]string
		words []string
	}{
		"not JSON":                 {[2]string{`"version"`, `version`}, []string{"route table"}},
		"not an object":            {[2]string{bookTable, `[]`}, []string{"route table"}},
		"cut short":                {[2]string{`"params": []}]}`, `"params": []}`}, []string{"route table"}},
		"unknown member":           {[2]string{`"cors"`, `"corse"`}, []string{"corse"}},
		"negative version":         {[2]string{`"version": 7`, `"version": -1`}, []string{"version -1"}},
		"path of another type":     {[2]string{`{"path": "/app"`, `{"path": 1`}, []string{"routes[5]", "Path"}},
		"unknown route member":     {[2]string{`"/app", "methods"`, `"/app", "verbs"`}, []string{"routes[5]", "verbs"}},
		"no such plan":             {[2]string{`"methods": ["POST"], "plan": 3`, `"methods": ["POST"], "plan": 6`}, []string{`routes[3] "/items"`, "plan 6"}},
		"negative plan":            {[2]string{`"methods": ["POST"], "plan": 3`, `"methods": ["POST"], "plan": -2`}, []string{`routes[3] "/items"`, "plan -2"}},
		"a barrier with a plan":    {[2]string{`"path": "/static", "mount": true, "plan": -1`, `"barrier": true, "plan": 0`}, []string{"routes[8]", "plan 0"}},
		"parameter not in path":    {[2]string{`"/items/{name}"`, `"/items/{nam}"`}, []string{`routes[2] "/items/{nam}"`, `"name"`}},
		"unknown form":             {[2]string{`"form": "strs"`, `"form": "list"`}, []string{"plans[2]", `"tag"`, `"list"`}},
		"unknown place":            {[2]string{`"in": "cookie"`, `"in": "body"`}, []string{"plans[1]", `"session"`, `"body"`}},
		"upper case header":        {[2]string{`"x-token"`, `"X-Token"`}, []string{"plans[1]", `"X-Token"`}},
		"unknown body":             {[2]string{`"body": "json"`, `"body": "formed"`}, []string{"plans[3]", `"formed"`}},
		"form without limits":      {[2]string{`"body": "json"`, `"body": "form"`}, []string{"plans[3]", `"form"`, "limits"}},
		"limits without form":      {[2]string{`"body": "json"`, `"body": "json", "form": {"spool": 1, "dir": ""}`}, []string{"plans[3]", `"json"`, "limits"}},
		"negative limit":           {[2]string{`"max_body": 100`, `"max_body": -1`}, []string{"plans[3]", "max_body -1"}},
		"plan out of order":        {[2]string{`"id": 2`, `"id": 4`}, []string{"plans[2]", "id 4"}},
		"static with a bad name":   {[2]string{`["allow", "GET"]`, `["al low", "GET"]`}, []string{"routes[0]", "partial", "header name"}},
		"static of another length": {[2]string{`["content-length", "22"]`, `["content-length", "23"]`}, []string{"not_found", "Content-Length"}},
		"no plan of the rest":      {[2]string{`"root_path"`, `"rest": 9, "root_path"`}, []string{"rest", "plan 9"}},
		"a plan of more":           {[2]string{`"root_path"`, `"missing": 3, "root_path"`}, []string{"missing", "plan 3"}},
		"interim static":           {[2]string{`"status": 404`, `"status": 103`}, []string{"not_found", "status 103"}},
	} {
		_, err := NewTable([]byte(strings.Replace(bookTable, tc.edit[0], tc.edit[1], 1)))
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		for _, w := range append(tc.words, "exchange:") {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %q does not say %q", name, err, w)
			}
		}
	}
}

// Routes behind a barrier are not compiled, but their plans are checked.
func TestBehindABarrier(t *testing.T) {
	tab := table(t, `{"path": "/items/{name}"`, `{"barrier": true}, {"path": "/items/{name}"`)
	for path, plan := range map[string]int32{"/items/1": 1, "/items/x": planApp, "/nothing": planApp} {
		x, d := fill(t, tab, get(path))
		if x.Plan != plan || d != Dispatch {
			t.Errorf("%s: plan %d disposition %d", path, x.Plan, d)
		}
	}
}

func TestAnEmptyTableLeavesAllToTheApplication(t *testing.T) {
	tab, err := NewTable([]byte(`{"version":3,"cors":false,"redirect_slashes":false,"root_path":"","not_found":null,"routes":[],"plans":[]}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/", "/a?b", "*"} {
		method := "GET"
		if path == "*" {
			method = "OPTIONS"
		}
		x, d := fill(t, tab, method+" "+path+" HTTP/1.1\nHost: h\n\n")
		if x.Plan != bridge.PlanApp || d != Dispatch || x.Version != 3 || tab.Version() != 3 {
			t.Errorf("%s: plan %d disposition %d version %d", path, x.Plan, d, x.Version)
		}
	}
}

// A handshake is looked for among the sockets only, and a request among the routes only.
func TestSockets(t *testing.T) {
	const upgrade = " HTTP/1.1\nHost: h\nUpgrade: websocket\nConnection: Upgrade\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\nSec-WebSocket-Version: 13\n\n"
	tab := table(t, `"routes": [`, `"sockets": [{"path": "/ws/{n:int}", "plan": 0}, {"path": "/below", "mount": true, "plan": -1},
		{"path": "/below/it", "plan": 0}, {"path": "/items/{n}", "plan": -1}, {"barrier": true}, {"path": "/late", "plan": 0}],
	"routes": [`)
	for path, plan := range map[string]int32{
		"/ws/1": 0, "/ws/x": planApp, "/": planApp, "/below/it": planApp, "/items/1": planApp, "/late": planApp,
	} {
		x, d := fill(t, tab, "GET "+path+upgrade)
		if x.Plan != plan || d != Dispatch || x.Flags&bridge.ReqWebSocket == 0 {
			t.Errorf("%s: plan %d disposition %d flags %x", path, x.Plan, d, x.Flags)
		}
	}
	if x, d := fill(t, tab, get("/ws/1")); d != Static {
		t.Errorf("a request for a socket's path: plan %d disposition %d", x.Plan, d)
	}
}
