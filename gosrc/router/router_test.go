package router

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"turboapi/gosrc/wire"
)

const aUUID = "01234567-89ab-cdef-0123-456789ABCDEF"

func get(paths ...string) (routes []Route) {
	for _, p := range paths {
		routes = append(routes, Route{Path: p, Methods: []string{"GET"}})
	}
	return routes
}

func TestFind(t *testing.T) {
	items := get("/", "/items", "/items/{id:int}", "/items/{name}", "/items/{id:int}/tags", "/files/{p:path}")
	for _, tc := range []struct {
		name, path string
		routes     []Route
		result     Result
		route      int
		params     string // "a|b"
	}{
		{"root", "/", items, Full, 0, ""},
		{"static", "/items", items, Full, 1, ""},
		{"trailing slash is another path", "/items/", items, None, 0, ""},
		{"int", "/items/42", items, Full, 2, "42"},
		{"leading zeros", "/items/007", items, Full, 2, "007"},
		{"not an int", "/items/42x", items, Full, 3, "42x"},
		{"sign is no digit", "/items/-1", items, Full, 3, "-1"},
		{"behind a parameter", "/items/42/tags", items, Full, 4, "42"},
		{"nothing there", "/items/x/tags", items, None, 0, ""},
		{"path", "/files/a/b/c", items, Full, 5, "a/b/c"},
		{"empty path", "/files/", items, Full, 5, ""},
		{"path without its slash", "/files", items, None, 0, ""},
		{"prefix of a literal", "/item", items, None, 0, ""},
		{"asterisk", "*", items, None, 0, ""},
		{"no path", "", items, None, 0, ""},
		{"encoded characters", "/items/é√", items, Full, 3, "é√"},
		{"line feed", "/items/a\n", items, App, 0, ""},
		{"too long", "/" + strings.Repeat("a", MaxPath), items, App, 0, ""},

		{"declared first wins", "/a/b", get("/a/{x}", "/a/b"), Full, 0, "b"},
		{"declared first wins over a longer literal", "/a/b/c", get("/a/{x}/c", "/a/b/c"), Full, 0, "b"},
		{"path before the rest", "/a/b", get("/{p:path}", "/a/b"), Full, 0, "a/b"},
		{"specific first", "/a/b", get("/a/b", "/{p:path}"), Full, 0, ""},
		{"same path twice", "/a", get("/a", "/a"), Full, 0, ""},

		{"float", "/3", get("/{f:float}"), Full, 0, "3"},
		{"float with a point", "/3.25", get("/{f:float}"), Full, 0, "3.25"},
		{"float without digits behind the point", "/3.", get("/{f:float}"), None, 0, ""},
		{"float without digits before", "/.5", get("/{f:float}"), None, 0, ""},
		{"float with an exponent", "/1e5", get("/{f:float}"), None, 0, ""},
		{"float with two points", "/1.2.3", get("/{f:float}"), None, 0, ""},
		{"uuid", "/" + aUUID, get("/{u:uuid}"), Full, 0, aUUID},
		{"uuid without dashes", "/" + strings.ReplaceAll(aUUID, "-", ""), get("/{u:uuid}"), Full, 0, strings.ReplaceAll(aUUID, "-", "")},
		{"uuid too short", "/" + aUUID[1:], get("/{u:uuid}"), None, 0, ""},
		{"uuid too long", "/" + aUUID + "0", get("/{u:uuid}"), None, 0, ""},

		{"two in a segment", "/ax-yb7", get("/a{x}b{y:int}"), Full, 0, "x-y|7"},
		{"the first takes most", "/x-y-z", get("/{a}-{b}"), Full, 0, "x-y|z"},
		{"text between is required", "/xyz", get("/{a}-{b}"), None, 0, ""},
		{"the last needs a character", "/x-", get("/{a}-{b}"), None, 0, ""},
		{"adjacent", "/xyz", get("/{a}{b}"), Full, 0, "xy|z"},
		{"adjacent splits characters, not bytes", "/xé", get("/{a}{b}"), Full, 0, "x|é"},
		{"one wide character is not two", "/é", get("/{a}{b}"), None, 0, ""},
		{"digits behind text", "/abc123", get("/{a}{n:int}"), Full, 0, "abc12|3"},
		{"suffix", "/report.json", get("/{name}.json"), Full, 0, "report"},
		{"suffix twice", "/a.json.json", get("/{name}.json"), Full, 0, "a.json"},
		{"prefix", "/v12/x", get("/v{n:int}/x"), Full, 0, "12"},
		{"float before text", "/1.5kg", get("/{w:float}{unit}"), Full, 0, "1.5|kg"},
		{"float gives its fraction back", "/1.5", get("/{w:float}.{n:int}"), Full, 0, "1|5"},
		{"float gives a digit back", "/1.55", get("/{w:float}{n:int}"), Full, 0, "1.5|5"},
		{"uuid before text", "/" + aUUID + "x", get("/{u:uuid}{rest}"), Full, 0, aUUID + "|x"},
		{"path in the middle", "/a/b/c/edit", get("/{p:path}/edit"), Full, 0, "a/b/c"},
		{"path takes the last of two", "/a/edit/b/edit/c", get("/{p:path}/edit/{x}"), Full, 0, "a/edit/b|c"},
		{"path may be empty in the middle", "//edit", get("/{p:path}/edit"), Full, 0, ""},
		{"two paths", "/a/b/c", get("/{p:path}/{q:path}"), Full, 0, "a/b|c"},

		{"braces that name nothing are text", "/{a-b}", get("/{a-b}"), Full, 0, ""},
		{"an open brace is text", "/{a", get("/{a"), Full, 0, ""},
		{"a second brace is text", "/{x}", get("/{{a}}"), Full, 0, "x"},
		{"unknown converter", "/a", get("/{x:date}", "/a"), App, 0, ""},
		{"before an unknown converter", "/a", get("/a", "/{x:date}"), Full, 0, ""},
		{"the same name twice", "/a/b", get("/{x}/{x}"), App, 0, ""},
		{"a host pattern", "/a", get("a", "/a"), App, 0, ""},

		{"below a mount", "/static/a/b", append([]Route{{Path: "/static", Mount: true}}, items...), Full, 0, "a/b"},
		{"a mount's root", "/static/", []Route{{Path: "/static/", Mount: true}}, Full, 0, ""},
		{"a mount without its slash", "/static", []Route{{Path: "/static", Mount: true}}, None, 0, ""},
		{"a longer name than the mount's", "/statics", []Route{{Path: "/static", Mount: true}}, None, 0, ""},
		{"mounted at the root", "/a", append(get("/b"), Route{Path: "", Mount: true}), Full, 1, "a"},
		{"a mount with a parameter", "/t1/x/y", []Route{{Path: "/{tenant}/x", Mount: true}}, Full, 0, "t1|y"},
		{"before a barrier", "/items", append(items, Route{Barrier: true}), Full, 1, ""},
		{"a barrier", "/nothing", append(items, Route{Barrier: true}), App, 0, ""},
		{"behind a barrier", "/b", append([]Route{{Barrier: true}}, get("/b")...), App, 0, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := New(tc.routes)
			result, route, params := find(r, tc.path, "GET")
			var values []string
			for _, p := range params {
				values = append(values, tc.path[p.Start:p.End])
			}
			if got := strings.Join(values, "|"); result != tc.result || route != tc.route || got != tc.params {
				t.Errorf("%q: result %d route %d params %q, want %d, %d, %q", tc.path, result, route, got, tc.result, tc.route, tc.params)
			}
			compare(t, tc.routes, tc.path, "GET")
		})
	}
}

func TestFindByMethod(t *testing.T) {
	routes := []Route{
		{Path: "/a/{x}", Methods: []string{"GET", "HEAD"}},
		{Path: "/a/b", Methods: []string{"POST", "BREW"}},
		{Path: "/a/{y}", Methods: []string{"PUT"}},
		{Path: "/any"},
	}
	for _, tc := range []struct {
		method, path string
		result       Result
		route        int
	}{
		{"GET", "/a/b", Full, 0},
		{"POST", "/a/b", Full, 1},
		{"BREW", "/a/b", Full, 1},
		{"PUT", "/a/b", Full, 2},
		{"DELETE", "/a/b", Partial, 0},
		{"MIX", "/a/b", Partial, 0},
		{"POST", "/a/c", Partial, 0},
		{"get", "/a/b", Partial, 0}, // methods are case-sensitive
		{"MIX", "/any", Full, 3},
		{"DELETE", "/any", Full, 3},
	} {
		result, route, _ := find(New(routes), tc.path, tc.method)
		if result != tc.result || route != tc.route {
			t.Errorf("%s %s: result %d route %d, want %d, %d", tc.method, tc.path, result, route, tc.result, tc.route)
		}
		compare(t, routes, tc.path, tc.method)
	}
}

func TestPartialBeforeABarrierIsTheApplications(t *testing.T) {
	r := New([]Route{{Path: "/a", Methods: []string{"GET"}}, {Barrier: true}})
	if result, _, _ := find(r, "/a", "POST"); result != App {
		t.Errorf("result %d", result)
	}
}

func TestMatches(t *testing.T) {
	r := New([]Route{{Path: "/a/", Methods: []string{"POST"}}, {Path: "/m", Mount: true}})
	for path, want := range map[string]bool{"/a/": true, "/a": false, "/m/": true, "/m": false, "/x\n": true} {
		if got := r.Matches([]byte(path)); got != want {
			t.Errorf("%q: %v", path, got)
		}
	}
	if !New([]Route{{Barrier: true}}).Matches([]byte("/a")) {
		t.Error("a barrier may match anything")
	}
}

// A pattern that would backtrack for long is given up, not waited for.
func TestHostilePathsAreBounded(t *testing.T) {
	r := New(get("/{a}-{b}-{c}-{d}-{e}-{f}x"))
	path := []byte("/" + strings.Repeat("-", 2000))
	var m Match
	if got := r.Find(path, wire.MethodGET, []byte("GET"), &m); got != App {
		t.Errorf("result %d", got)
	}
}

func TestParamsNameTheirKinds(t *testing.T) {
	r := New(get("/{a}/{b:int}/{c:float}/{d:uuid}/{e:path}"))
	want := []Param{{"a", Str}, {"b", Int}, {"c", Float}, {"d", UUID}, {"e", Path}}
	if got, ok := r.Params(0); !ok || !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
}

// compare checks that Router and naive agree.
func compare(t *testing.T, routes []Route, path, method string) {
	t.Helper()
	r1, i1, p1 := newNaive(routes).find(path, method)
	r2, i2, p2 := find(New(routes), path, method)
	if r1 != r2 || i1 != i2 || !slices.Equal(p1, p2) {
		t.Errorf("%s %q on %v: %d %d %v, but in order: %d %d %v", method, path, routes, r2, i2, p2, r1, i1, p1)
	}
}

// Random tables made of few pieces, so that routes overlap in every way.
func TestAgreesWithTheNaiveSearch(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	full, gaveUp := 0, 0
	for range 1000 {
		routes := randomRoutes(rng, 1+rng.IntN(12))
		r, n := New(routes), newNaive(routes)
		for range 20 {
			path, method := randomPath(rng, routes), pick(rng, "GET", "POST", "BREW")
			r1, i1, p1 := n.find(path, method)
			r2, i2, p2 := find(r, path, method)
			if r2 == App && r1 != App {
				gaveUp++ // too many steps: always allowed
				continue
			}
			if r1 != r2 || i1 != i2 || !slices.Equal(p1, p2) {
				t.Fatalf("%s %q on %+v: %d %d %v, but in order: %d %d %v", method, path, routes, r2, i2, p2, r1, i1, p1)
			}
			if r1 == Full {
				full++
			}
		}
	}
	if full < 2000 || gaveUp > 200 {
		t.Errorf("%d of 20000 matched, %d given up: the test is weak", full, gaveUp)
	}
}

func pick(rng *rand.Rand, from ...string) string { return from[rng.IntN(len(from))] }

func randomRoutes(rng *rand.Rand, count int) (routes []Route) {
	for range count {
		var b strings.Builder
		for s := range 1 + rng.IntN(4) {
			b.WriteByte('/')
			for p := range rng.IntN(3) + rng.IntN(2) {
				if rng.IntN(2) == 0 {
					b.WriteString(pick(rng, "a", "ab", "1", "-", ".", "é", "b"))
				} else {
					fmt.Fprintf(&b, "{p%d%d%s}", s, p, pick(rng, "", "", ":int", ":float", ":uuid", ":path", ":str"))
				}
			}
		}
		r := Route{Path: b.String()}
		switch rng.IntN(12) {
		case 0:
			r.Mount = true
		case 1:
		case 2:
			r.Methods = []string{"POST", "BREW"}
		default:
			r.Methods = []string{"GET"}
		}
		routes = append(routes, r)
	}
	return routes
}

// randomPath fills a route's placeholders and then perhaps damages the result.
func randomPath(rng *rand.Rand, routes []Route) string {
	path := routes[rng.IntN(len(routes))].Path
	path = placeholders.ReplaceAllStringFunc(path, func(string) string {
		return pick(rng, "a", "ab", "1", "12", "1.5", "1.5.2", "é", "aé-b", aUUID, strings.ReplaceAll(aUUID, "-", ""), "a/b", "", "1a", ".")
	})
	for rng.IntN(3) == 0 {
		path += pick(rng, "/", "a", "1", "/a", "-", "é")
	}
	return path
}

// FuzzRouter compares on arbitrary tables (one path per line) and paths.
func FuzzRouter(f *testing.F) {
	f.Add("/items/{id:int}\n/items/{name}", "/items/42")
	f.Add("/{a}{b}\n/{a:float}.{b:int}x", "/1.5.2x")
	f.Add("/{p:path}/edit\n/{{x}}", "/a/edit/edit")
	f.Add("/m*\n/{x}-{y}\n!", "/m/x-y")
	f.Fuzz(func(t *testing.T, table, path string) {
		if len(table) > 300 || len(path) > 60 {
			t.Skip()
		}
		// Paths are valid UTF-8 by contract; so are Python's route paths.
		table, path = strings.ToValidUTF8(table, "?"), strings.ToValidUTF8(path, "?")
		var routes []Route
		for line := range strings.SplitSeq(table, "\n") {
			r := Route{Path: line, Methods: []string{"GET"}}
			if mount, ok := strings.CutSuffix(line, "*"); ok {
				r = Route{Path: mount, Mount: true}
			} else if line == "!" {
				r = Route{Barrier: true}
			}
			if strings.Count(line, "{") > MaxParams-1 {
				t.Skip() // a barrier here, a pattern there
			}
			routes = append(routes, r)
		}
		for _, method := range []string{"GET", "POST", "BREW"} {
			r2, i2, p2 := find(New(routes), path, method)
			if r2 == App {
				continue // always allowed
			}
			r1, i1, p1 := newNaive(routes).find(path, method)
			if r1 != r2 || i1 != i2 || !slices.Equal(p1, p2) {
				t.Errorf("%s %q on %q: %d %d %v, but in order: %d %d %v", method, path, table, r2, i2, p2, r1, i1, p1)
			}
		}
	})
}

// large is a table of n routes as applications have them.
func large(n int) (routes []Route) {
	for i := range n / 5 {
		base := fmt.Sprintf("/api/v1/resource%d", i)
		routes = append(routes,
			Route{Path: base, Methods: []string{"GET"}},
			Route{Path: base, Methods: []string{"POST"}},
			Route{Path: base + "/{id}", Methods: []string{"GET"}},
			Route{Path: base + "/{id}", Methods: []string{"DELETE"}},
			Route{Path: base + "/{id}/parts/{part:int}", Methods: []string{"GET"}},
		)
	}
	return routes
}

func TestFindAllocatesNothing(t *testing.T) {
	r := New(append(large(500), get("/{a}-{b}")...))
	for _, path := range []string{"/api/v1/resource42/x/parts/7", "/x-y", "/nothing", "/api/v1/resource42"} {
		p := []byte(path)
		if n := testing.AllocsPerRun(100, func() {
			var m Match
			r.Find(p, wire.MethodGET, nil, &m)
		}); n != 0 {
			t.Errorf("%s: %v allocations", path, n)
		}
	}
}

func BenchmarkFind(b *testing.B) {
	for _, n := range []int{5, 500} {
		r := New(large(n))
		for _, path := range []string{"/api/v1/resource0", "/api/v1/resource0/42", "/api/v1/resource0/42/parts/7", "/nothing"} {
			b.Run(fmt.Sprintf("%d%s", n, path), func(b *testing.B) {
				p, name := []byte(path), []byte("GET")
				var m Match
				for b.Loop() {
					r.Find(p, wire.MethodGET, name, &m)
				}
			})
		}
	}
}
