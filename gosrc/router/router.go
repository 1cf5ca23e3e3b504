// Package router finds the route of a request as Starlette does: the routes
// are tried in the order of their declaration, the first that matches path and
// method wins, else the first that matches the path. A radix tree makes this
// independent of their number.
package router

import (
	"bytes"
	"strings"

	"turboapi/gosrc/wire"
)

// MaxParams is the most parameters of a route that is understood.
const MaxParams = 16

// MaxPath is the longest path in bytes that is routed here. A longer one is the
// application's: Python refuses to read integers of more than 4300 digits.
const MaxPath = 4096

// Route is one entry of the application's route list.
type Route struct {
	Path    string   // in Starlette's notation: /items/{id:int}
	Methods []string // none: every method
	Mount   bool     // matches everything below Path, whatever the method
	Barrier bool     // not understood: a request that gets here is the application's
}

// Result says how a search ended.
type Result uint8

// The ends of a search.
const (
	None    Result = iota // no route matches the path
	Full                  // Match.Route matches path and method
	Partial               // Match.Route is the first that matches the path; no route matches both
	App                   // only the application can tell
)

// Span is a range of bytes of the path.
type Span struct{ Start, End uint32 }

// Match is what Find found. It belongs to the caller and holds no pointer.
type Match struct {
	Route  int // index in the list given to New
	Params [MaxParams]Span
}

// Router is a compiled route list. It is immutable: any number of threads may
// use it.
type Router struct {
	root   *node
	names  [][]Param // by route
	bar    uint32    // the first barrier, or the number of routes
	behind bool      // there is a barrier
}

// New compiles routes, which it does not keep. Routes after one that it does
// not understand are left to the application, as that one is.
func New(routes []Route) *Router {
	r := &Router{root: &node{min: none}, names: make([][]Param, len(routes)), bar: uint32(len(routes))}
	for i, route := range routes {
		p, ok := compile(route)
		if !ok {
			r.bar, r.behind = uint32(i), true
			break
		}
		r.names[i] = p.params
		r.root.insert(p.elems, leaf{uint32(i), methodsOf(route)})
	}
	return r
}

// Params are the path parameters of route i in the order of Match.Params; the
// caller must not change them. ok is false where i is a barrier or comes after
// one, and so is never found.
func (r *Router) Params(i int) (params []Param, ok bool) { return r.names[i], uint32(i) < r.bar }

// Find looks for the route of a percent-decoded path. name is the method, id
// its number. m is set for Full and Partial.
func (r *Router) Find(path []byte, id wire.Method, name []byte, m *Match) Result {
	if unroutable(path) {
		return App
	}
	s := search{path: path, bit: 1 << id, name: name, best: r.bar, m: m}
	s.walk(r.root, 0, 0)
	switch {
	case s.over:
		return App
	case s.best < r.bar:
		m.Route = int(s.best)
		return Full
	case r.behind:
		return App
	}
	s.bit = anyMethod
	s.walk(r.root, 0, 0)
	switch {
	case s.over:
		return App
	case s.best < r.bar:
		m.Route = int(s.best)
		return Partial
	}
	return None
}

// Matches reports whether any route matches path, whatever the method. It is
// true where only the application can tell.
func (r *Router) Matches(path []byte) bool {
	if unroutable(path) || r.behind {
		return true
	}
	var m Match
	s := search{path: path, bit: anyMethod, best: r.bar, m: &m}
	s.walk(r.root, 0, 0)
	return s.over || s.best < r.bar
}

// unroutable is true where Python's regular expressions are peculiar: '.' does
// not match a line feed, and '$' matches before one.
func unroutable(path []byte) bool {
	return len(path) > MaxPath || bytes.IndexByte(path, '\n') >= 0
}

// methods is a set of methods: a bit for each known one, and the others.
type methods struct {
	bits  uint32
	other []string
}

// known are the methods that have a number.
var known = map[string]wire.Method{
	"GET": wire.MethodGET, "HEAD": wire.MethodHEAD, "POST": wire.MethodPOST, "PUT": wire.MethodPUT,
	"PATCH": wire.MethodPATCH, "DELETE": wire.MethodDELETE, "OPTIONS": wire.MethodOPTIONS,
	"TRACE": wire.MethodTRACE, "CONNECT": wire.MethodCONNECT,
}

// anyMethod has a bit for every method, MethodOther too.
const anyMethod = 1<<32 - 1

func methodsOf(r Route) methods {
	if r.Mount || len(r.Methods) == 0 {
		return methods{bits: anyMethod}
	}
	var m methods
	for _, name := range r.Methods {
		if id, known := known[name]; known {
			m.bits |= 1 << id
		} else {
			m.other = append(m.other, strings.Clone(name))
		}
	}
	return m
}

// has reports whether the method is in the set: its bit, or its name where it
// is not a known one.
func (m *methods) has(bit uint32, name []byte) bool {
	if m.bits&bit != 0 || bit == anyMethod {
		return true
	}
	if bit == 1<<wire.MethodOther {
		for _, o := range m.other {
			if string(name) == o {
				return true
			}
		}
	}
	return false
}
