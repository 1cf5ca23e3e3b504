package exchange

import (
	"bytes"
	"encoding/binary"
	"math"
	"strings"
	"unicode/utf8"

	"turboapi/gosrc/bridge"
	"turboapi/gosrc/form"
	"turboapi/gosrc/router"
	"turboapi/gosrc/wire"
)

const planApp = bridge.PlanApp

// Disposition is what the transport has to do with a filled exchange.
type Disposition uint8

// The dispositions.
const (
	// Dispatch: give it to the lanes now. A body that follows is streamed to
	// them, or skipped when they never ask for it.
	Dispatch Disposition = iota
	// Buffer: collect the body (AppendBody), up to the transport's limit, then
	// call Ready, then give it to the lanes.
	Buffer
	// Form: give the body to NewForm's parser as it comes, then call Ready, then
	// give it to the lanes. Where the parser fails, set ReqOdd and give it to
	// the lanes at once; the rest of the body is streamed to them.
	Form
	// Static: answer it with AppendStatic; no lane sees it. The transport
	// skips a body that follows.
	Static
)

// Fill makes the request part of x from a parsed head and the buffer that it
// was parsed from: the head's bytes, the index of its fields with names in
// lower case, the decoded path, route, plan and slots. Any thread that owns x:
// the table does not change. x must be fresh from Acquire; flags that are set already (TLS, Unix) stay.
// Nothing of h and buf is kept.
func (t *Table) Fill(x *bridge.Exchange, h *wire.Head, buf []byte) Disposition {
	query := h.Query.Of(buf)
	x.NeedReq(h.Len + int(h.Path.Len) + 16 + fieldSize*len(h.Fields) + t.sizes.Room(query, len(h.Fields)))
	req := x.ReqBytes()
	copy(req, buf[:h.Len])
	x.ReqLen = uint32(h.Len)

	x.Version = t.version
	x.Method, x.Minor = uint8(h.MethodID), h.Minor
	x.MethodName = bridge.Span(h.Method)
	x.Target, x.Query = bridge.Span(h.Target), bridge.Span(h.Query)
	x.Origin, x.ContentType = int32(h.Origin), int32(h.ContentType)
	x.Flags |= flags(h)
	fillFields(x, h, req)
	x.Plan = planApp
	if !fillPath(x, h, req) {
		return Dispatch
	}
	if h.WebSocket {
		return t.fillSocket(x, h, req)
	}

	var m router.Match
	path := x.Span(x.Path)
	switch t.find(t.router, path, h, req, &m) {
	case router.Full:
		r := &t.routes[m.Route]
		if r.plan == planApp || t.preflight(h) {
			break
		}
		x.Plan = r.plan
		d := t.fillPlan(x, h, &t.plans[r.plan], r, &m)
		if x.Flags&bridge.ReqOdd != 0 && t.rest != planApp {
			x.Flags &^= bridge.ReqOdd
			break
		}
		return d
	case router.Partial:
		if t.routes[m.Route].partial >= 0 {
			return t.answer(x, h, t.routes[m.Route].partial)
		}
	case router.None:
		if (t.notFound >= 0 || t.missing != planApp) && !t.redirected(path) {
			if t.missing != planApp {
				x.Plan = t.missing
				return Dispatch
			}
			return t.answer(x, h, t.notFound)
		}
	}
	x.Plan = t.rest
	return Dispatch
}

// fillSocket finds the plan of a WebSocket's handshake, where there is one.
func (t *Table) fillSocket(x *bridge.Exchange, h *wire.Head, req []byte) Disposition {
	var m router.Match
	if t.find(t.doors, x.Span(x.Path), h, req, &m) == router.Full {
		if r := &t.sockets[m.Route]; r.plan != planApp {
			x.Plan = r.plan
			return t.fillPlan(x, h, &t.plans[r.plan], r, &m)
		}
	}
	return Dispatch
}

// find is the router's search, where the path is what it would look at.
func (t *Table) find(in *router.Router, path []byte, h *wire.Head, req []byte, m *router.Match) router.Result {
	if t.rootPath != "" && bytes.HasPrefix(path, []byte(t.rootPath)) {
		return router.App // Starlette may take the root path off first
	}
	return in.Find(path, h.MethodID, h.Method.Of(req), m)
}

// preflight reports whether the CORS middleware answers before any route.
func (t *Table) preflight(h *wire.Head) bool {
	return t.cors && h.Origin >= 0 && h.MethodID == wire.MethodOPTIONS
}

// fillPlan makes the slots and says what is to be done with the body.
func (t *Table) fillPlan(x *bridge.Exchange, h *wire.Head, p *plan, r *route, m *router.Match) Disposition {
	// An announced body that is too large is FastAPI's to refuse, whether or not the route reads it.
	canonical := p.Fill(x, r.where, m.Params[:], h.CookieCount) && h.ContentLength <= p.maxBody
	switch p.body {
	case bodyNone:
		// One of unknown length, which the code may read, is counted as it arrives: by the application.
		canonical = canonical && (p.maxBody == math.MaxInt64 || !h.Chunked)
	case bodyJSON, bodyLoose:
		canonical = canonical && h.HasBody() && p.declared(x, h)
	case bodyForm:
		canonical = canonical && h.HasBody() && h.ContentType >= 0 && form.Canonical(h.Fields[h.ContentType].Value.Of(x.ReqBytes()))
	case bodyBytes:
	}
	if !canonical {
		// The application reads the body itself.
		x.Flags |= bridge.ReqOdd
		return Dispatch
	}
	if p.body == bodyForm {
		return Form
	}
	if p.body != bodyNone && h.HasBody() {
		return Buffer
	}
	return Dispatch
}

// NewForm returns the parser for x's body, after Fill said Form. memory is the
// most of it that may stay in memory, 0: no limit. The owner of x.
func (t *Table) NewForm(x *bridge.Exchange, memory int64) *form.Parser {
	p := &t.plans[x.Plan]
	lim := &form.Limits{
		Files: limit(p.form.Files), Fields: limit(p.form.Fields), Part: limit(p.form.Part),
		URLFields: limit(p.form.URLFields), URLPart: limit(p.form.URLPart),
		Spool: p.form.Spool, Dir: p.form.Dir, Body: p.maxBody, Memory: memory,
	}
	return form.New(lim, x.Span(x.Fields()[x.ContentType].Value))
}

func limit(n *int64) int64 {
	if n == nil {
		return form.Unlimited
	}
	return *n
}

// Ready ends the collection of a body: x.BodyLen bytes are all of it. Any thread
// that owns x, after Fill said Buffer.
func (t *Table) Ready(x *bridge.Exchange) {
	x.Flags |= bridge.ReqBodyEnd
	if x.Version != t.version || x.Plan < 0 || int(x.Plan) >= len(t.plans) {
		// Another table chose the plan; what it asks of the body is not known.
		x.Flags |= bridge.ReqOdd
		return
	}
	p := &t.plans[x.Plan]
	if p.body == bodyForm {
		return // its parser has looked
	}
	if x.BodyLen > uint64(p.maxBody) || (p.body == bodyJSON || p.body == bodyLoose) && x.BodyLen == 0 {
		x.Flags |= bridge.ReqOdd
	}
}

// redirected reports whether a path that no route matches may be redirected to
// one with or without its final slashes, as Starlette does.
func (t *Table) redirected(path []byte) bool {
	if !t.slashes || string(path) == "/" {
		return false
	}
	if t.rootPath != "" {
		return true
	}
	if path[len(path)-1] == '/' {
		return t.router.Matches(bytes.TrimRight(path, "/"))
	}
	var buf [256]byte
	if len(path) >= len(buf) {
		return true
	}
	return t.router.Matches(append(append(buf[:0], path...), '/'))
}

// answer makes x one that is answered by a static response, if there is one
// and nothing is added to it.
func (t *Table) answer(x *bridge.Exchange, h *wire.Head, static int32) Disposition {
	if static < 0 || t.cors && h.Origin >= 0 {
		return Dispatch
	}
	// A plan below PlanApp never leaves this package.
	x.Plan = firstStatic - static
	return Static
}

const firstStatic = planApp - 1

const fieldSize = 16

func flags(h *wire.Head) (f uint32) {
	if !h.HasBody() {
		f |= bridge.ReqBodyEnd
	}
	if h.MethodID == wire.MethodHEAD {
		f |= bridge.ReqHead
	}
	if h.Origin >= 0 {
		f |= bridge.ReqOrigin
	}
	if h.HasQuery {
		f |= bridge.ReqHasQuery
	}
	if h.Expect100 {
		f |= bridge.ReqContinue
	}
	if h.WebSocket {
		f |= bridge.ReqWebSocket
	}
	return f
}

// fillFields copies the index of the fields and makes their names lower case.
func fillFields(x *bridge.Exchange, h *wire.Head, req []byte) {
	x.FieldsOff, x.NFields = (x.ReqLen+7)&^7, uint32(len(h.Fields))
	x.ReqLen = x.FieldsOff + fieldSize*x.NFields
	fields := x.Fields()
	for i, f := range h.Fields {
		fields[i] = bridge.Field{Name: bridge.Span(f.Name), Value: bridge.Span(f.Value)}
		lower(req[f.Name.Off:], f.Name.Len)
	}
}

// lower turns A-Z into a-z in the first n bytes of b, which are a token (so
// ASCII), eight at a time. Behind a name there are at least seven bytes: those
// of the head's end, and the 16 that Fill asks for beyond it.
func lower(b []byte, n uint32) {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	for ; ; b = b[8:] {
		x := binary.LittleEndian.Uint64(b)
		// The top bit of a byte tells that it is at least 'A', and not above 'Z'.
		// No token byte carries into the next.
		upper := (x + (0x80-'A')*ones) &^ (x + (0x7f-'Z')*ones) & tops
		if n < 8 {
			upper &= 1<<(8*n) - 1
		}
		binary.LittleEndian.PutUint64(b, x|upper>>2)
		if n <= 8 {
			return
		}
		n -= 8
	}
}

// fillPath sets the raw and the decoded path. It reports false where only
// Python can tell what the path is: it decodes what is not UTF-8 its own way.
func fillPath(x *bridge.Exchange, h *wire.Head, req []byte) bool {
	x.RawPath = bridge.Span(h.Path)
	if h.EmptyPath {
		// http://host and no path mean "/" (RFC 9112, 3.2.1).
		x.RawPath = bridge.Span{Off: x.ReqLen, Len: 1}
		req[x.ReqLen] = '/'
		x.ReqLen++
	}
	x.Path = x.RawPath
	raw := x.Span(x.RawPath)
	if bytes.IndexByte(raw, '%') < 0 {
		return len(raw) > 0
	}
	out := wire.AppendUnescaped(req[x.ReqLen:x.ReqLen:len(req)], raw)
	x.Path = bridge.Span{Off: x.ReqLen, Len: uint32(len(out))}
	x.ReqLen += uint32(len(out))
	return utf8.Valid(out)
}

// declared reports whether the head says, as FastAPI understands it, that the body is JSON.
func (p *plan) declared(x *bridge.Exchange, h *wire.Head) bool {
	if h.ContentType < 0 {
		return p.body == bodyLoose
	}
	return isJSON(h.Fields[h.ContentType].Value.Of(x.ReqBytes()))
}

// isJSON reports whether a Content-Type is application/json or application/*+json,
// with or without parameters. What else FastAPI may take for JSON is the application's to see.
func isJSON(v []byte) bool {
	const media, prefix, suffix = "application/json", "application/", "+json"
	if string(v) == media {
		return true
	}
	if i := bytes.IndexByte(v, ';'); i >= 0 {
		v = v[:i]
	}
	v = bytes.TrimSpace(v)
	if len(v) == len(media) && strings.EqualFold(string(v), media) {
		return true
	}
	if len(v) < len(prefix)+len(suffix) || !strings.EqualFold(string(v[:len(prefix)]), prefix) ||
		!strings.EqualFold(string(v[len(v)-len(suffix):]), suffix) {
		return false
	}
	for _, c := range v[len(prefix):] {
		if c <= ' ' || c >= 0x7f || c == '/' {
			return false
		}
	}
	return true
}
