package wire

import "bytes"

// AppendUnescaped appends src with its percent-escapes decoded to dst. A '%'
// that two hexadecimal digits do not follow stays as it is, as Python's
// urllib.parse.unquote has it. The result may be invalid UTF-8. dst and src
// must not overlap, unless dst is src[:0].
func AppendUnescaped(dst, src []byte) []byte {
	i := bytes.IndexByte(src, '%')
	if i < 0 {
		return append(dst, src...)
	}
	dst = append(dst, src[:i]...)
	for i < len(src) {
		c := src[i]
		if c == '%' && i+2 < len(src) {
			if v := hexValue[src[i+1]]<<4 | hexValue[src[i+2]]; class[src[i+1]]&class[src[i+2]]&isHex != 0 {
				c = v
				i += 2
			}
		}
		dst = append(dst, c)
		i++
	}
	return dst
}

// AppendUnescapedQuery is AppendUnescaped for a name or value of a query or
// form: '+' is a space.
func AppendUnescapedQuery(dst, src []byte) []byte {
	for i := 0; i < len(src); i++ {
		c := src[i]
		if c == '+' {
			c = ' '
		} else if c == '%' && i+2 < len(src) && class[src[i+1]]&class[src[i+2]]&isHex != 0 {
			c = hexValue[src[i+1]]<<4 | hexValue[src[i+2]]
			i += 2
		}
		dst = append(dst, c)
	}
	return dst
}
