package wire

// target reads a request target that is not in origin-form (RFC 9112, 3.2). t
// is not empty and has only visible ASCII without '#'.
func target(b []byte, t Span, h *Head) *Refusal {
	v := t.Of(b)
	switch {
	case h.MethodID == MethodCONNECT:
		// RFC 9112, 3.2.3; RFC 9110, 9.3.6: an empty or invalid port is refused.
		host, port, ok := splitAuthority(v)
		if !ok || len(host) == 0 || !validPort(port) {
			return errConnect
		}
		h.Form, h.Authority = FormAuthority, t
		return nil
	case v[0] == '*':
		if len(v) > 1 {
			return errTargetForm
		}
		h.Form, h.Path = FormAsterisk, t
		return nil
	}

	var scheme int
	switch {
	case len(v) > 7 && same(v[:4], "http") && string(v[4:7]) == "://":
		scheme = 7
	case len(v) > 8 && same(v[:5], "https") && string(v[5:8]) == "://":
		scheme = 8
	default:
		return errTargetForm
	}
	end := scheme
	for end < len(v) && v[end] != '/' && v[end] != '?' {
		end++
	}
	// RFC 9110, 4.2.1 and 4.2.4: an empty host is invalid, userinfo an error
	// ('@' is no host character).
	if host, _, ok := splitAuthority(v[scheme:end]); !ok || len(host) == 0 {
		return errAuthority
	}
	at := int(t.Off)
	h.Form = FormAbsolute
	h.Authority = span(at+scheme, at+end)
	path := end
	for end < len(v) && v[end] != '?' {
		end++
	}
	h.Path = span(at+path, at+end)
	h.EmptyPath = path == end
	if end < len(v) {
		h.HasQuery = true
		h.Query = span(at+end+1, t.End())
	}
	return nil
}

// splitAuthority splits uri-host [ ":" port ] (RFC 9110, 7.2; RFC 3986, 3.2.2)
// and checks both. port is nil where there is no colon. host may be empty only
// together with the port.
func splitAuthority(v []byte) (host, port []byte, ok bool) {
	i := 0
	if len(v) > 0 && v[0] == '[' {
		for i < len(v) && v[i] != ']' {
			i++
		}
		if i == len(v) || !validLiteral(v[1:i]) {
			return nil, nil, false
		}
		i++
	} else {
		for i < len(v) && v[i] != ':' {
			switch {
			case class[v[i]]&isHost != 0:
				i++
			case v[i] == '%' && i+2 < len(v) && class[v[i+1]]&class[v[i+2]]&isHex != 0:
				i += 3
			default:
				return nil, nil, false
			}
		}
	}
	if i == len(v) {
		return v, nil, true
	}
	if i == 0 || v[i] != ':' {
		return nil, nil, false
	}
	host, port = v[:i], v[i+1:]
	for _, c := range port {
		if class[c]&isDigit == 0 {
			return nil, nil, false
		}
	}
	if _, fits := portNumber(port); !fits {
		return nil, nil, false
	}
	return host, port, true
}

// validPort reports whether p, digits only, names a port that can be connected to.
func validPort(p []byte) bool {
	n, fits := portNumber(p)
	return fits && n > 0
}

func portNumber(p []byte) (n int, fits bool) {
	for _, c := range p {
		n = n*10 + int(c-'0')
		if n > 65535 {
			return 0, false
		}
	}
	return n, true
}

// validLiteral checks what stands between the brackets of an IP-literal.
func validLiteral(v []byte) bool {
	if len(v) > 0 && v[0]|0x20 == 'v' {
		return validFuture(v[1:])
	}
	return validIPv6(v)
}

// validFuture: 1*HEXDIG "." 1*( unreserved / sub-delims / ":" ).
func validFuture(v []byte) bool {
	i := 0
	for i < len(v) && class[v[i]]&isHex != 0 {
		i++
	}
	if i == 0 || i+1 >= len(v) || v[i] != '.' {
		return false
	}
	for _, c := range v[i+1:] {
		if class[c]&isHost == 0 && c != ':' {
			return false
		}
	}
	return true
}

// validIPv6 checks an IPv6address. Zone identifiers are not part of it.
func validIPv6(v []byte) bool {
	groups, gap, i := 0, false, 0
	if len(v) >= 2 && v[0] == ':' && v[1] == ':' {
		gap, i = true, 2
	}
	for i < len(v) {
		start := i
		for i < len(v) && class[v[i]]&isHex != 0 {
			i++
		}
		if i < len(v) && v[i] == '.' {
			// The last 32 bits as IPv4: two groups.
			if !validIPv4(v[start:]) {
				return false
			}
			groups += 2
			break
		}
		if i == start || i-start > 4 {
			return false
		}
		if groups++; groups > 8 {
			return false
		}
		if i == len(v) {
			break
		}
		if v[i] != ':' {
			return false
		}
		if i++; i == len(v) {
			return false
		}
		if v[i] == ':' {
			if gap {
				return false
			}
			gap = true
			i++
		}
	}
	if gap {
		return groups < 8 // "::" stands for one group at least
	}
	return groups == 8
}

// validIPv4 checks four decimal octets without leading zeros.
func validIPv4(v []byte) bool {
	for octet := 0; ; octet++ {
		n, i := 0, 0
		for i < len(v) && i < 4 && class[v[i]]&isDigit != 0 {
			n = n*10 + int(v[i]-'0')
			i++
		}
		if i == 0 || n > 255 || (i > 1 && v[0] == '0') {
			return false
		}
		if octet == 3 {
			return i == len(v)
		}
		if i == len(v) || v[i] != '.' {
			return false
		}
		v = v[i+1:]
	}
}
