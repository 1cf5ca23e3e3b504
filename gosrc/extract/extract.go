// Package extract turns the query, fields, cookies and path of a request into
// the slots of a plan. It reads canonical forms only, those for which Python
// cannot come to another value; whatever else was sent is odd, and the
// application itself decides.
package extract

import (
	"errors"
	"fmt"
	"strings"

	"turboapi/gosrc/bridge"
	"turboapi/gosrc/router"
)

// Form is what a parameter's text becomes.
type Form uint8

// The forms.
const (
	Str   Form = iota // text
	Int               // SlotInt
	Float             // SlotFloat
	Bool              // SlotBool
	Strs              // all values, as a list of text
	Odd               // the request is odd when it has the parameter
)

var forms = map[string]Form{"str": Str, "int": Int, "float": Float, "bool": Bool, "strs": Strs, "odd_if_present": Odd}

// Param is one parameter of a plan, as the route table has it.
type Param struct {
	In       string // path, query, header, cookie
	Name     string // as on the wire; header names in lower case
	Form     string // str, int, float, bool, strs, odd_if_present
	Required bool   // the request is odd without it
}

var (
	errPlace = errors.New("extract: unknown place")
	errForm  = errors.New("extract: unknown form")
	errLower = errors.New("extract: header name not in lower case")
	errPath  = errors.New("extract: no such parameter in the route's path")
)

// param is a Param that is ready for use.
type param struct {
	name     string
	slot     int
	form     Form
	required bool
}

// Plan is the compiled parameter list of one plan. It is immutable: any number
// of threads may use it.
type Plan struct {
	slots                       int
	path, query, header, cookie []param
	queryLists, headerLists     int
}

// NewPlan compiles params, which it does not keep. Slot i belongs to params[i].
func NewPlan(params []Param) (*Plan, error) {
	p := &Plan{slots: len(params)}
	for i, q := range params {
		form, ok := forms[q.Form]
		if !ok {
			return nil, fmt.Errorf("parameter %q: %w: %q", q.Name, errForm, q.Form)
		}
		ready := param{strings.Clone(q.Name), i, form, q.Required}
		switch q.In {
		case "path":
			p.path = append(p.path, ready)
		case "query":
			p.query = append(p.query, ready)
			if form == Strs {
				p.queryLists++
			}
		case "header":
			if q.Name != strings.ToLower(q.Name) {
				return nil, fmt.Errorf("parameter %q: %w", q.Name, errLower)
			}
			p.header = append(p.header, ready)
			if form == Strs {
				p.headerLists++
			}
		case "cookie":
			if form == Strs {
				// Cookies are a plain dict in Starlette: there is no list of them.
				ready.form = Odd
			}
			p.cookie = append(p.cookie, ready)
		default:
			return nil, fmt.Errorf("parameter %q: %w: %q", q.Name, errPlace, q.In)
		}
	}
	return p, nil
}

// Path says which of a route's path parameters each of the plan's is. Its
// elements are made by Plan.Bind.
type Path []bound

type bound struct {
	slot, param int
	form        Form
}

// Slots is the number of values that the plan takes.
func (p *Plan) Slots() int { return p.slots }

// Bind looks the plan's path parameters up in a route's.
func (p *Plan) Bind(route []router.Param) (Path, error) {
	var all Path
	for _, q := range p.path {
		at := -1
		for i, r := range route {
			if r.Name == q.name {
				at = i
			}
		}
		if at < 0 {
			return nil, fmt.Errorf("parameter %q: %w", q.name, errPath)
		}
		all = append(all, bound{q.slot, at, convertible(route[at].Kind, q.form)})
	}
	return all, nil
}

// convertible is the form in which Python sees a path parameter. A converter
// makes an int, a float or a UUID of the text before anything is validated, so
// only the same form gives the same value.
func convertible(kind router.Kind, form Form) Form {
	switch {
	case form == Strs:
		return Odd
	case kind == router.Str || kind == router.Path,
		kind == router.Int && form == Int,
		kind == router.Float && form == Float,
		kind == router.UUID && form == Str:
		return form
	}
	return Odd
}

// Sizes are what bounds the memory that Fill takes.
type Sizes struct {
	Slots       int // parameters
	QueryLists  int // of them, lists in the query
	HeaderLists int // of them, lists of header fields
	Copies      int // how often a piece of the query may be decoded
}

// Sizes returns those of p.
func (p *Plan) Sizes() Sizes {
	names := map[string]int{}
	copies := 0
	for _, q := range p.query {
		names[q.name]++
		copies = max(copies, names[q.name])
	}
	return Sizes{p.slots, p.queryLists, p.headerLists, copies}
}

// Max returns what is enough for both.
func (s Sizes) Max(o Sizes) Sizes {
	return Sizes{max(s.Slots, o.Slots), max(s.QueryLists, o.QueryLists), max(s.HeaderLists, o.HeaderLists), max(s.Copies, o.Copies)}
}

const (
	slotSize = 16
	spanSize = 8
)

// Room is the most bytes that Fill takes of the request buffer, for a query
// and a number of fields.
func (s Sizes) Room(query []byte, fields int) int {
	n := 8 + slotSize*s.Slots + s.HeaderLists*(8+spanSize*fields) + s.Copies*len(query)
	if s.QueryLists > 0 {
		n += s.QueryLists * (8 + spanSize*pieces(query))
	}
	return n
}

// Fill makes the plan's slots behind x.ReqLen, which grows. The request part of
// x must be complete but for them, and its buffer must have Room. where is the
// plan's Path for the route, found the route's parameters. It reports whether
// the request is canonical; if not, the slots are not to be used.
func (p *Plan) Fill(x *bridge.Exchange, where Path, found []router.Span, cookies int) bool {
	a := arena{x.ReqBytes(), x.ReqLen}
	x.SlotsOff, x.NSlots = a.aligned(slotSize*p.slots), uint32(p.slots)
	x.ReqLen = a.used
	if p.slots == 0 {
		return true
	}
	slots := x.Slots()
	clear(slots)
	ok := fillPath(x, where, found, slots) &&
		(len(p.query) == 0 || p.fillQuery(&a, x.Query, slots)) &&
		(len(p.header) == 0 || p.fillHeaders(&a, x, slots)) &&
		(len(p.cookie) == 0 || p.fillCookies(&a, x, cookies, slots))
	x.ReqLen = a.used
	return ok
}

// arena hands out the request buffer from the front to the back.
type arena struct {
	buf  []byte
	used uint32
}

// aligned takes n bytes at a multiple of 8.
func (a *arena) aligned(n int) uint32 {
	at := (a.used + 7) &^ 7
	a.used = at + uint32(n)
	return at
}

func (a *arena) bytes(s bridge.Span) []byte { return a.buf[s.Off : s.Off+s.Len] }

func fillPath(x *bridge.Exchange, where Path, found []router.Span, slots []bridge.Slot) bool {
	for _, b := range where {
		f := found[b.param]
		at := bridge.Span{Off: x.Path.Off + f.Start, Len: f.End - f.Start}
		if b.form == Odd || !convert(&slots[b.slot], b.form, bridge.SlotStr, at, x.Span(at)) {
			return false
		}
	}
	return true
}

// complete reports whether no required parameter is missing.
func complete(params []param, slots []bridge.Slot) bool {
	for i := range params {
		if params[i].required && slots[params[i].slot].Kind == bridge.SlotMissing {
			return false
		}
	}
	return true
}
