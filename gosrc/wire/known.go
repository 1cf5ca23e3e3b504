package wire

import "math"

// knownLengths has bit n set when a field name of n bytes may be one that
// known looks at.
const knownLengths = 1<<4 | 1<<6 | 1<<7 | 1<<10 | 1<<12 | 1<<13 | 1<<14 | 1<<17

// known acts on the last field of h when its meaning is the server's.
func (p *Parser) known(name, value []byte, h *Head) *Refusal {
	at := len(h.Fields) - 1
	switch len(name) {
	case 4:
		if same(name, "host") {
			return p.host(value, at, h)
		}
	case 6:
		switch name[0] | 0x20 {
		case 'c':
			if same(name, "cookie") {
				h.CookieCount++
				first(&h.Cookie, at)
			}
		case 'o':
			if same(name, "origin") {
				first(&h.Origin, at)
			}
		case 'e':
			if same(name, "expect") {
				first(&h.Expect, at)
				return p.expectation(value, h)
			}
		}
	case 7:
		if same(name, "upgrade") {
			p.upgrade(value)
		}
	case 10:
		if same(name, "connection") {
			p.connection(value)
		}
	case 12:
		if same(name, "content-type") {
			first(&h.ContentType, at)
		}
	case 13:
		if same(name, "authorization") {
			first(&h.Authorization, at)
		}
	case 14:
		if same(name, "content-length") {
			return p.length(value, h)
		}
	case 17:
		if same(name, "transfer-encoding") {
			return p.transferCoding(value, h)
		}
	}
	return nil
}

func first(index *int, at int) {
	if *index < 0 {
		*index = at
	}
}

// host checks a Host field (RFC 9112, 3.2). An empty value is valid: it is what
// a client sends whose target has no authority.
func (p *Parser) host(v []byte, at int, h *Head) *Refusal {
	if h.Host >= 0 {
		return errHostSeveral
	}
	h.Host = at
	if _, _, ok := splitAuthority(v); !ok {
		return errHostInvalid
	}
	return nil
}

// length checks a Content-Length field (RFC 9112, 6.3; RFC 9110, 8.6). Several
// fields have to agree; a list within one is refused.
func (p *Parser) length(v []byte, h *Head) *Refusal {
	n, ok := contentLength(v)
	switch {
	case !ok:
		return errLength
	case p.coding:
		return errLengthCoding
	case h.ContentLength >= 0 && h.ContentLength != n:
		return errLengthDiffers
	}
	h.ContentLength = n
	return nil
}

// contentLength reads 1*DIGIT (RFC 9110, 8.6).
func contentLength(v []byte) (n int64, ok bool) {
	for _, c := range v {
		// Checked before the digit is added, so n never wraps.
		if c < '0' || c > '9' || n > (math.MaxInt64-9)/10 {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, len(v) > 0
}

// transferCoding checks a Transfer-Encoding field: "chunked", once, is the only
// value that is served (RFC 9112, 6.1 and 7). Empty elements are ignored as RFC
// 9110, 5.6.1.2 demands; a field without any coding is refused at the end.
func (p *Parser) transferCoding(v []byte, h *Head) *Refusal {
	if h.Minor == 0 {
		return errCodingOld // RFC 9112, 6.1: faulty framing
	}
	if h.ContentLength >= 0 {
		return errLengthCoding // RFC 9112, 6.3: may be an attempt at smuggling
	}
	p.coding = true
	for len(v) > 0 {
		var coding []byte
		coding, v = element(v)
		switch {
		case len(coding) == 0:
		case h.Chunked || !same(coding, "chunked"):
			// Chunked twice, chunked not last, unknown, or with parameters.
			return errCoding
		default:
			h.Chunked = true
		}
	}
	return nil
}

// connection reads the options that concern the server (RFC 9110, 7.6.1).
func (p *Parser) connection(v []byte) {
	for len(v) > 0 {
		var option []byte
		option, v = element(v)
		switch len(option) {
		case 5:
			p.close = p.close || same(option, "close")
		case 7:
			p.option = p.option || same(option, "upgrade")
		case 10:
			p.keep = p.keep || same(option, "keep-alive")
		}
	}
}

// upgrade looks for WebSocket among the protocols that the client offers. All
// others are ignored, as a server may (RFC 9110, 7.8).
func (p *Parser) upgrade(v []byte) {
	const name = "websocket"
	for len(v) > 0 {
		var protocol []byte
		protocol, v = element(v)
		if len(protocol) > len(name) && protocol[len(name)] == '/' {
			protocol = protocol[:len(name)] // the version
		}
		p.websocket = p.websocket || same(protocol, name)
	}
}

// expectation reads an Expect field (RFC 9110, 10.1.1). HTTP/1.0 has none.
func (p *Parser) expectation(v []byte, h *Head) *Refusal {
	if h.Minor == 0 {
		return nil
	}
	for len(v) > 0 {
		var member []byte
		member, v = element(v)
		switch {
		case len(member) == 0:
		case same(member, "100-continue"):
			p.expect = true
		default:
			return errExpectation
		}
	}
	return nil
}

// end checks the head as a whole. n is its length.
func (p *Parser) end(n int, h *Head) (bool, *Refusal) {
	if h.Minor >= 1 && h.Host < 0 {
		return p.fail(errHostMissing) // RFC 9112, 3.2
	}
	if p.coding && !h.Chunked {
		return p.fail(errCoding) // RFC 9112, 6.3
	}
	h.WebSocket = p.websocket && p.option && h.MethodID == MethodGET && h.Minor >= 1
	if h.Form == FormAbsolute && h.Host >= 0 {
		// RFC 9112, 3.2.2: the field is ignored, the target's authority takes
		// its place. Whoever reads the fields sees that one.
		h.Fields[h.Host].Value = h.Authority
	}
	// RFC 9112, 9.3. What follows the head of a CONNECT is no request.
	h.KeepAlive = !p.close && (h.Minor >= 1 || p.keep) && h.MethodID != MethodCONNECT
	h.Expect100 = p.expect && h.HasBody()
	h.Len = n
	p.pos, p.state = n, atDone
	return true, nil
}
