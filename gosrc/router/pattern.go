package router

import "strings"

// Kind is what a path parameter may be: Starlette's converters.
type Kind uint8

// The converters, with their regular expressions.
const (
	Str   Kind = iota // [^/]+
	Path              // .*
	Int               // [0-9]+
	Float             // [0-9]+(\.[0-9]+)?
	UUID              // 8-4-4-4-12 hexadecimal digits, each '-' optional
)

// Param is one parameter of a route.
type Param struct {
	Name string
	Kind Kind
}

// elem is one step of a pattern: a parameter, or literal text where kind is
// literal.
type elem struct {
	kind Kind
	lit  string
}

const literal Kind = 255

type pattern struct {
	elems  []elem // literal text is never empty, and no two are adjacent
	params []Param
}

// compile reads a path as Starlette's compile_path does. ok is false for what
// is not understood: it is a barrier.
func compile(r Route) (p pattern, ok bool) {
	path := r.Path
	if r.Mount {
		// A mount is a prefix and then "/{path:path}"; the parameter counts for
		// the matching only.
		path = strings.TrimRight(path, "/") + "/"
	}
	if r.Barrier || !strings.HasPrefix(path, "/") {
		// A path without the slash would be a pattern for host names.
		return p, false
	}
	text := 0
	for i := 0; i < len(path); {
		name, converter, end := placeholder(path, i)
		if end == 0 {
			i++
			continue
		}
		kind, known := kindOf(converter)
		if !known || len(p.params) == MaxParams || p.has(name) {
			return p, false
		}
		p.literal(path[text:i])
		p.elems = append(p.elems, elem{kind: kind})
		p.params = append(p.params, Param{strings.Clone(name), kind})
		text, i = end, end
	}
	p.literal(path[text:])
	if r.Mount {
		if len(p.params) == MaxParams || p.has("path") {
			return p, false
		}
		p.elems = append(p.elems, elem{kind: Path})
		p.params = append(p.params, Param{"path", Path})
	}
	return p, true
}

func (p *pattern) has(name string) bool {
	for _, q := range p.params {
		if q.Name == name {
			return true
		}
	}
	return false
}

func (p *pattern) literal(s string) {
	if s != "" {
		p.elems = append(p.elems, elem{literal, strings.Clone(s)})
	}
}

// placeholder reads {name} or {name:converter} at path[i:]. end is 0 where
// there is none: then a brace is text like any other.
func placeholder(path string, i int) (name, converter string, end int) {
	if path[i] != '{' {
		return "", "", 0
	}
	stop := identifier(path, i+1)
	if stop == i+1 {
		return "", "", 0
	}
	name, converter = path[i+1:stop], "str"
	if stop < len(path) && path[stop] == ':' {
		from := stop + 1
		if stop = identifier(path, from); stop == from {
			return "", "", 0
		}
		converter = path[from:stop]
	}
	if stop == len(path) || path[stop] != '}' {
		return "", "", 0
	}
	return name, converter, stop + 1
}

// identifier returns where the identifier [a-zA-Z_][a-zA-Z0-9_]* at i ends.
func identifier(s string, i int) int {
	for j := i; j < len(s); j++ {
		c := s[j]
		letter := c == '_' || c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (j == i || !isDigit(c)) {
			return j
		}
	}
	return len(s)
}

func kindOf(converter string) (Kind, bool) {
	switch converter {
	case "str":
		return Str, true
	case "path":
		return Path, true
	case "int":
		return Int, true
	case "float":
		return Float, true
	case "uuid":
		return UUID, true
	}
	return 0, false
}

// fits reports whether v as a whole is of that kind. v has no line feed.
func (k Kind) fits(v []byte) bool {
	switch k {
	case Str:
		for _, c := range v {
			if c == '/' {
				return false
			}
		}
		return len(v) > 0
	case Path:
		return true
	case Int:
		return len(v) > 0 && digits(v, 0) == len(v)
	case Float:
		n := digits(v, 0)
		if n == 0 || n == len(v) {
			return n > 0
		}
		return v[n] == '.' && n+1 < len(v) && digits(v, n+1) == len(v)
	default:
		return uuid(v, 0) == len(v) && len(v) > 0
	}
}

func isDigit(c byte) bool { return c-'0' <= 9 }

// digits returns where the digits that start at i end.
func digits(v []byte, i int) int {
	for i < len(v) && isDigit(v[i]) {
		i++
	}
	return i
}

// uuid returns where the UUID that starts at i ends, or 0. There is only one
// way to read it: a '-' is no hexadecimal digit.
func uuid(v []byte, i int) int {
	for part, n := range [...]int{8, 4, 4, 4, 12} {
		if part > 0 && i < len(v) && v[i] == '-' {
			i++
		}
		if len(v)-i < n {
			return 0
		}
		for _, c := range v[i : i+n] {
			if !isDigit(c) && (c|0x20 < 'a' || c|0x20 > 'f') {
				return 0
			}
		}
		i += n
	}
	return i
}
