package router

import (
	"regexp"
	"strings"

	"turboapi/gosrc/wire"
)

// naive is what Router has to agree with: a list of regular expressions that
// are tried one after the other.
type naive struct {
	routes []Route
	res    []*regexp.Regexp // nil: a barrier
}

var placeholders = regexp.MustCompile(`\{([a-zA-Z_][a-zA-Z0-9_]*)(?::([a-zA-Z_][a-zA-Z0-9_]*))?\}`)

var converters = map[string]string{
	"": `[^/]+`, "str": `[^/]+`, "path": `.*`, "int": `[0-9]+`, "float": `[0-9]+(?:\.[0-9]+)?`,
	"uuid": `[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}`,
}

func newNaive(routes []Route) *naive {
	n := &naive{routes: routes}
	for _, r := range routes {
		n.res = append(n.res, expression(r))
	}
	return n
}

func expression(r Route) *regexp.Regexp {
	path := r.Path
	if r.Mount {
		path = strings.TrimRight(path, "/") + "/{path:path}"
	}
	if r.Barrier || !strings.HasPrefix(path, "/") {
		return nil
	}
	var b strings.Builder
	b.WriteString("^")
	at := 0
	seen := map[string]bool{}
	for _, m := range placeholders.FindAllStringSubmatchIndex(path, -1) {
		name, converter := path[m[2]:m[3]], ""
		if m[4] >= 0 {
			converter = path[m[4]:m[5]]
		}
		re, ok := converters[converter]
		if !ok || seen[name] {
			return nil
		}
		seen[name] = true
		b.WriteString(regexp.QuoteMeta(path[at:m[0]]) + "(" + re + ")")
		at = m[1]
	}
	b.WriteString(regexp.QuoteMeta(path[at:]) + `\z`)
	return regexp.MustCompile(b.String())
}

func (n *naive) find(path, method string) (Result, int, []Span) {
	if len(path) > MaxPath || strings.Contains(path, "\n") {
		return App, 0, nil
	}
	partial, at := -1, []int(nil)
	for i, re := range n.res {
		if re == nil {
			return App, 0, nil
		}
		m := re.FindStringSubmatchIndex(path)
		if m == nil {
			continue
		}
		r := n.routes[i]
		full := r.Mount || len(r.Methods) == 0
		for _, name := range r.Methods {
			full = full || name == method
		}
		if full {
			return Full, i, spans(m)
		}
		if partial < 0 {
			partial, at = i, m
		}
	}
	if partial >= 0 {
		return Partial, partial, spans(at)
	}
	return None, 0, nil
}

func spans(m []int) (all []Span) {
	for i := 2; i < len(m); i += 2 {
		all = append(all, Span{uint32(m[i]), uint32(m[i+1])})
	}
	return all
}

// find asks a Router in the same form.
func find(r *Router, path, method string) (Result, int, []Span) {
	id, ok := known[method]
	if !ok {
		id = wire.MethodOther
	}
	var m Match
	res := r.Find([]byte(path), id, []byte(method), &m)
	if res == App || res == None {
		return res, 0, nil
	}
	params, _ := r.Params(m.Route)
	return res, m.Route, m.Params[:len(params)]
}
