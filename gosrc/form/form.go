// Package form reads the bodies of HTML forms as they arrive: multipart/form-data
// (RFC 7578) and application/x-www-form-urlencoded. What it makes is an index in
// the exchange's memory; large files go to disk on the way.
//
// It is strict, and refuses nothing: whatever is not the one usual spelling, or
// is more than the application's limits allow, is an error here, which means that
// the application reads the body itself, as it came, and has the answer. So a
// form that is taken is one that every parser understands alike.
package form

import (
	"bytes"
	"errors"
	"math"

	"turboapi/gosrc/bridge"
)

// Why a body is the application's. Callers need only know that it is.
var (
	errTooLong  = errors.New("form: the body is longer than the route allows")
	errMemory   = errors.New("form: more than the engine keeps in memory")
	errFields   = errors.New("form: too many fields")
	errFiles    = errors.New("form: too many files")
	errPart     = errors.New("form: a field is too long")
	errUTF8     = errors.New("form: not UTF-8")
	errEmpty    = errors.New("form: a field without name, or without '='")
	errStart    = errors.New("form: does not begin with its boundary")
	errBoundary = errors.New("form: something else behind a boundary")
	errHead     = errors.New("form: a part's head is malformed or unusual")
	errName     = errors.New("form: a part's Content-Disposition is missing or unusual")
	errCut      = errors.New("form: ends before its last boundary")
	errAfter    = errors.New("form: something behind its last boundary")
	errSpool    = errors.New("form: cannot be written to disk")

	errWait = errors.New("form: has to be written to disk") // no caller sees it
)

// Limits are the application's, by the names of Starlette's parsers; a limit that
// is not there is math.MaxInt64. Spool: a file with more bytes goes to disk, 0:
// none does. Dir is where. Body is the longest body, Memory the most that may
// stay in memory.
type Limits struct {
	Files, Fields, Part int64
	URLFields, URLPart  int64
	Spool               int64
	Dir                 string
	Body, Memory        int64
}

// maxMemory keeps every place in the inbox within a span.
const maxMemory = 1 << 30

// Parser reads one body. Its owner is who owns the exchange before it is
// dispatched; it holds no memory of the exchange.
type Parser struct {
	lim    *Limits
	total  int64
	memory uint64
	multi  *multipart // nil: urlencoded
	url    urlencoded
	spools bool
}

// New returns the parser for a body with this Content-Type, nil where the
// application has to read it. It keeps lim, and nothing of contentType.
func New(lim *Limits, contentType []byte) *Parser {
	media, rest := contentType, []byte(nil)
	if i := bytes.IndexByte(contentType, ';'); i >= 0 {
		media, rest = contentType[:i], contentType[i+1:]
	}
	p := &Parser{lim: lim, memory: uint64(min(lim.Memory, maxMemory))}
	if lim.Memory <= 0 {
		p.memory = maxMemory
	}
	media = bytes.Trim(media, " \t")
	switch {
	case bytes.EqualFold(media, []byte("application/x-www-form-urlencoded")):
		return p
	case bytes.EqualFold(media, []byte("multipart/form-data")):
		boundary, ok := boundaryOf(rest)
		if !ok {
			return nil
		}
		p.multi = newMultipart(boundary)
		return p
	}
	return nil
}

// Canonical reports whether New returns a parser.
func Canonical(contentType []byte) bool { return New(&Limits{Memory: 1}, contentType) != nil }

// Write takes the next bytes of the body, which are then in x's inbox or files.
// After an error they are so too, and the rest of the body belongs behind them,
// for the application to read; no other method may be called.
//
// It does not block before Spool was called. Where it cannot go on without, Waits
// says so, and nothing else may be called then.
func (p *Parser) Write(x *bridge.Exchange, data []byte) error {
	p.total += int64(len(data))
	var err error
	if p.multi != nil {
		err = p.settle(p.multi.write(p.lim, x, data))
	} else {
		x.AppendBody(data)
		err = p.url.write(p.lim, data)
	}
	switch {
	case err != nil:
		return err
	case p.total > p.lim.Body:
		return errTooLong
	case x.BodyLen > p.memory:
		return errMemory
	}
	return nil
}

// Waits reports whether a file has become too large for memory. It has to be
// written to disk, which takes as long as the disk does: Spool is next.
func (p *Parser) Waits() bool { return !p.spools && p.multi != nil && p.multi.waits }

// Spools reports whether Spool was called: each Write may take as long as a disk does.
func (p *Parser) Spools() bool { return p.spools }

// Spool goes on with a form that waits, on a thread that may block, as has every
// Write from here on. Errors are those of Write.
func (p *Parser) Spool(x *bridge.Exchange) error {
	p.spools, p.multi.mayBlock, p.multi.waits = true, true, false
	return p.settle(p.multi.steps(p.lim, x))
}

// settle takes the reason to wait for what it is.
func (p *Parser) settle(err error) error {
	if err == errWait {
		p.multi.waits = true
		return nil
	}
	return err
}

// Finish is called when the body is complete. The form is in x then; after an
// error it is not, as with Write.
func (p *Parser) Finish(x *bridge.Exchange) error {
	if p.multi != nil {
		return p.multi.finish(x)
	}
	return p.url.finish(p.lim, x)
}

// Unlimited is the limit that is none.
const Unlimited = math.MaxInt64
