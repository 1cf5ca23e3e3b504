// Package exchange turns a parsed request head into an exchange record, by the
// route table, and a record's response part into bytes.
package exchange

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	jsoniter "github.com/json-iterator/go"

	"turboapi/gosrc/extract"
	"turboapi/gosrc/router"
	"turboapi/gosrc/wire"
)

// What NewTable refuses; the error says where in the table it is.
var (
	errTable  = errors.New("exchange: route table")
	errPlan   = errors.New("no such plan")
	errPlanID = errors.New("plans are not numbered in their order")
	errBody   = errors.New("unknown kind of body")
	errStatic = errors.New("not a response that can be sent")
	errNumber = errors.New("out of range")
	errWhole  = errors.New("a plan of any request has no parameters, body or limit")
	errForm   = errors.New("a form has limits, and nothing else has")
)

// Table is a route table with its plans. It is immutable: any number of
// threads may use it.
type Table struct {
	version  uint32
	cors     bool
	slashes  bool // a path that matches but for its final slash is redirected
	rootPath string
	router   *router.Router
	routes   []route
	doors    *router.Router // of WebSocket handshakes
	sockets  []route
	plans    []plan
	statics  []static
	notFound int32 // index in statics, -1: the application answers
	missing  int32 // index in plans: what no route matches, planApp: the application answers
	rest     int32 // index in plans: whatever else is the application's, planApp: it answers without a plan
	sizes    extract.Sizes
}

type route struct {
	plan    int32 // index in plans, or bridge.PlanApp
	partial int32 // index in statics, -1: the application answers
	where   extract.Path
}

type plan struct {
	*extract.Plan
	body    body
	maxBody int64
	form    *formJSON // of bodyForm
}

// body says what becomes of a plan's request body.
type body uint8

const (
	bodyNone  body = iota // never read
	bodyJSON              // collected; odd if empty or not declared as JSON
	bodyLoose             // the same, but no Content-Type declares JSON, too
	bodyBytes             // collected
	bodyForm              // read by form.Parser as it comes
)

// static is a response that the table holds ready.
type static struct {
	status int
	fields []byte // as wire.AppendHead wants them
	body   []byte
}

// The table's JSON form; docs/internals/contracts.md describes it.
type (
	tableJSON struct {
		Version       int64                 `json:"version"`
		CORS          bool                  `json:"cors"`
		RedirectSlash bool                  `json:"redirect_slashes"`
		RootPath      string                `json:"root_path"`
		NotFound      *staticJSON           `json:"not_found"`
		Missing       *int32                `json:"missing"`
		Rest          *int32                `json:"rest"`
		Routes        []jsoniter.RawMessage `json:"routes"`
		Sockets       []jsoniter.RawMessage `json:"sockets"`
		Plans         []jsoniter.RawMessage `json:"plans"`
	}
	routeJSON struct {
		Path    string      `json:"path"`
		Methods []string    `json:"methods"`
		Plan    *int32      `json:"plan"`
		Partial *staticJSON `json:"partial"`
		Mount   bool        `json:"mount"`
		Barrier bool        `json:"barrier"`
	}
	planJSON struct {
		ID      int32       `json:"id"`
		Body    string      `json:"body"`
		MaxBody *int64      `json:"max_body"`
		Form    *formJSON   `json:"form"`
		Params  []paramJSON `json:"params"`
	}
	formJSON struct {
		Files     *int64 `json:"files"`
		Fields    *int64 `json:"fields"`
		Part      *int64 `json:"part"`
		URLFields *int64 `json:"url_fields"`
		URLPart   *int64 `json:"url_part"`
		Spool     int64  `json:"spool"`
		Dir       string `json:"dir"`
	}
	paramJSON struct {
		In       string `json:"in"`
		Name     string `json:"name"`
		Form     string `json:"form"`
		Required bool   `json:"required"`
	}
	staticJSON struct {
		Status int         `json:"status"`
		Fields [][2]string `json:"fields"`
		Body   string      `json:"body"`
	}
)

// strict refuses members that nobody reads: the two sides would disagree.
var strict = jsoniter.Config{DisallowUnknownFields: true, CaseSensitive: true}.Froze()

// NewTable reads a table from its JSON form. It keeps nothing of data. The
// error names the route or plan and what is wrong with it.
func NewTable(data []byte) (*Table, error) {
	var in tableJSON
	if err := strict.Unmarshal(data, &in); err != nil {
		return nil, fmt.Errorf("%w: %w", errTable, err)
	}
	if in.Version < 0 || in.Version > math.MaxUint32 {
		return nil, fmt.Errorf("%w: version %d: %w", errTable, in.Version, errNumber)
	}
	t := &Table{version: uint32(in.Version), cors: in.CORS, slashes: in.RedirectSlash, rootPath: in.RootPath}
	var err error
	if t.notFound, err = t.static(in.NotFound); err != nil {
		return nil, fmt.Errorf("%w: not_found: %w", errTable, err)
	}
	for i, raw := range in.Plans {
		if err := t.addPlan(i, raw); err != nil {
			return nil, fmt.Errorf("%w: plans[%d]: %w", errTable, i, err)
		}
	}
	if t.missing, err = t.whole(in.Missing); err != nil {
		return nil, fmt.Errorf("%w: missing: %w", errTable, err)
	}
	if t.rest, err = t.whole(in.Rest); err != nil {
		return nil, fmt.Errorf("%w: rest: %w", errTable, err)
	}
	if t.router, t.routes, err = t.addRoutes("routes", in.Routes); err != nil {
		return nil, err
	}
	if t.doors, t.sockets, err = t.addRoutes("sockets", in.Sockets); err != nil {
		return nil, err
	}
	return t, nil
}

// Version is the number that the table was given.
func (t *Table) Version() uint32 { return t.version }

func (t *Table) addPlan(i int, raw []byte) error {
	var in planJSON
	if err := strict.Unmarshal(raw, &in); err != nil {
		return err
	}
	if int(in.ID) != i {
		return fmt.Errorf("id %d: %w", in.ID, errPlanID)
	}
	p := plan{maxBody: math.MaxInt64}
	switch in.Body {
	case "none":
	case "json":
		p.body = bodyJSON
	case "json?":
		p.body = bodyLoose
	case "bytes":
		p.body = bodyBytes
	case "form":
		p.body, p.form = bodyForm, in.Form
	default:
		return fmt.Errorf("body %q: %w", in.Body, errBody)
	}
	if in.MaxBody != nil {
		if *in.MaxBody < 0 {
			return fmt.Errorf("max_body %d: %w", *in.MaxBody, errNumber)
		}
		p.maxBody = *in.MaxBody
	}
	if (p.body == bodyForm) != (in.Form != nil) {
		return fmt.Errorf("body %q: %w", in.Body, errForm)
	}
	params := make([]extract.Param, len(in.Params))
	for k, q := range in.Params {
		params[k] = extract.Param(q)
	}
	var err error
	if p.Plan, err = extract.NewPlan(params); err != nil {
		return err
	}
	t.plans = append(t.plans, p)
	t.sizes = t.sizes.Max(p.Sizes())
	return nil
}

// addRoutes compiles one of the table's lists, which is called name.
func (t *Table) addRoutes(name string, list []jsoniter.RawMessage) (*router.Router, []route, error) {
	in := make([]routeJSON, len(list))
	of := make([]router.Route, len(list))
	for i := range list {
		if err := strict.Unmarshal(list[i], &in[i]); err != nil {
			return nil, nil, fmt.Errorf("%w: %s[%d]: %w", errTable, name, i, err)
		}
		of[i] = router.Route{Path: in[i].Path, Methods: in[i].Methods, Mount: in[i].Mount, Barrier: in[i].Barrier}
	}
	found := router.New(of)
	routes := make([]route, len(list))
	for i := range in {
		var err error
		if routes[i], err = t.route(found, i, &in[i]); err != nil {
			return nil, nil, fmt.Errorf("%w: %s[%d] %q: %w", errTable, name, i, in[i].Path, err)
		}
	}
	return found, routes, nil
}

func (t *Table) route(in *router.Router, i int, raw *routeJSON) (r route, err error) {
	r.plan = planApp
	if raw.Plan != nil {
		r.plan = *raw.Plan
	}
	if r.partial, err = t.static(raw.Partial); err != nil {
		return r, fmt.Errorf("partial: %w", err)
	}
	if r.plan != planApp {
		if r.plan < 0 || int(r.plan) >= len(t.plans) || raw.Barrier {
			return r, fmt.Errorf("plan %d: %w", r.plan, errPlan)
		}
		if params, ok := in.Params(i); ok {
			if r.where, err = t.plans[r.plan].Bind(params); err != nil {
				return r, fmt.Errorf("plan %d: %w", r.plan, err)
			}
		}
	}
	return r, nil
}

// whole returns the number of a plan that takes any request as it is.
func (t *Table) whole(in *int32) (int32, error) {
	if in == nil {
		return planApp, nil
	}
	if *in < 0 || int(*in) >= len(t.plans) {
		return planApp, fmt.Errorf("plan %d: %w", *in, errPlan)
	}
	p := &t.plans[*in]
	if p.body != bodyNone || p.maxBody != math.MaxInt64 || p.Slots() > 0 {
		return planApp, fmt.Errorf("plan %d: %w", *in, errWhole)
	}
	return *in, nil
}

// static notes a ready response and returns its index, -1 for none. The wire
// package has to accept it, so that nothing can go wrong when it is sent.
func (t *Table) static(in *staticJSON) (int32, error) {
	if in == nil {
		return -1, nil
	}
	s := static{status: in.Status, body: []byte(in.Body)}
	for _, f := range in.Fields {
		s.fields = pack(s.fields, f[0], f[1])
	}
	if s.status < 200 {
		return 0, fmt.Errorf("status %d: %w", s.status, errStatic)
	}
	r := wire.Reply{Status: s.status, Minor: 1}
	if _, _, err := wire.AppendHead(nil, &r, s.fields, int64(len(s.body)), nil); err != nil {
		return 0, fmt.Errorf("%w: %w", errStatic, err)
	}
	t.statics = append(t.statics, s)
	return int32(len(t.statics) - 1), nil
}

// pack appends a field as exchange.h has it.
func pack(dst []byte, name, value string) []byte {
	dst = binary.NativeEndian.AppendUint32(dst, uint32(len(name)))
	dst = binary.NativeEndian.AppendUint32(dst, uint32(len(value)))
	return append(append(dst, name...), value...)
}
