package router

import "bytes"

// maxSteps bounds the backtracking of one search; what needs more is left to
// the application, whose regular expressions are no faster.
const maxSteps = 10000

// search is one walk through the tree. It visits a node at most once, since
// only one way leads there, and skips those whose routes all come after the
// best one found.
type search struct {
	path  []byte
	name  []byte // of the method
	m     *Match
	bit   uint32 // of the method
	best  uint32 // route index
	steps int
	over  bool // gave up
	stack [MaxParams]Span
}

// walk looks for a better route at or below n, whose prefix ends at path[i].
// depth parameters are on the stack.
func (s *search) walk(n *node, i, depth int) {
	for {
		if i == len(s.path) {
			for k := range n.leaves {
				if l := &n.leaves[k]; l.route >= s.best {
					break
				} else if l.has(s.bit, s.name) {
					s.found(l.route, depth)
					break
				}
			}
		} else {
			if len(n.params) > 0 {
				s.segment(n, i, depth)
			}
		}
		if len(n.tails) > 0 {
			s.tails(n, i, depth)
		}
		if i == len(s.path) {
			return
		}
		at := n.child(s.path[i])
		if at < 0 {
			return
		}
		n = n.kids[at]
		if n.min >= s.best || len(s.path)-i < len(n.prefix) || string(s.path[i:i+len(n.prefix)]) != n.prefix {
			return
		}
		i += len(n.prefix)
	}
}

// segment tries the parameters that take the rest of the segment.
func (s *search) segment(n *node, i, depth int) {
	j := bytes.IndexByte(s.path[i:], '/')
	if j < 0 {
		j = len(s.path)
	} else {
		j += i
	}
	if j == i {
		return
	}
	for k := range n.params {
		e := &n.params[k]
		if e.to.min < s.best && (e.kind == Str || e.kind.fits(s.path[i:j])) {
			s.stack[depth] = Span{uint32(i), uint32(j)}
			s.walk(e.to, j, depth+1)
		}
	}
}

// tails tries the patterns that need steps, in order.
func (s *search) tails(n *node, i, depth int) {
	for k := range n.tails {
		t := &n.tails[k]
		if t.route >= s.best || s.over {
			return
		}
		if t.has(s.bit, s.name) && s.match(t.steps, i, depth) {
			s.found(t.route, depth+len(t.steps))
			return
		}
	}
}

func (s *search) found(route uint32, depth int) {
	s.best = route
	copy(s.m.Params[:depth], s.stack[:depth])
}

// match reports whether the path from i on is what steps say, and leaves the
// parameters on the stack: those that a backtracking regular expression finds,
// the longest possible for the first, and so on.
func (s *search) match(steps []step, i, depth int) bool {
	st, rest := steps[0], steps[1:]
	if len(rest) == 0 {
		// The pattern ends here, so the path has to.
		end := len(s.path) - len(st.lit)
		if end < i || string(s.path[end:]) != st.lit {
			return false
		}
		s.steps += (end - i) / 32 // what is looked at counts too
		if !st.kind.fits(s.path[i:end]) {
			return false
		}
		s.stack[depth] = Span{uint32(i), uint32(end)}
		return true
	}
	switch st.kind {
	case UUID:
		end := uuid(s.path, i)
		return end > 0 && s.try(st, rest, i, end, depth)
	case Float:
		whole := digits(s.path, i)
		if whole == i {
			return false
		}
		if whole < len(s.path) && s.path[whole] == '.' {
			for end := digits(s.path, whole+1); end > whole+1; end-- {
				if s.try(st, rest, i, end, depth) {
					return true
				}
			}
		}
		return s.shrink(st, rest, i, whole, i+1, depth)
	case Int:
		return s.shrink(st, rest, i, digits(s.path, i), i+1, depth)
	case Path:
		return s.shrink(st, rest, i, len(s.path), i, depth)
	default:
		end := len(s.path)
		if j := bytes.IndexByte(s.path[i:], '/'); j >= 0 {
			end = i + j
		}
		return s.shrink(st, rest, i, end, i+1, depth)
	}
}

// shrink tries the parameter from its longest end down to its shortest.
func (s *search) shrink(st step, rest []step, i, longest, shortest, depth int) bool {
	for end := longest; end >= shortest; end-- {
		if end < len(s.path) && s.path[end]&0xc0 == 0x80 {
			continue // within a character
		}
		if s.try(st, rest, i, end, depth) {
			return true
		}
		if s.over {
			return false
		}
	}
	return false
}

// try takes path[i:end] as the parameter of st and goes on behind its text.
func (s *search) try(st step, rest []step, i, end, depth int) bool {
	if s.steps++; s.steps > maxSteps {
		s.over = true
		return false
	}
	after := end + len(st.lit)
	if after > len(s.path) || string(s.path[end:after]) != st.lit {
		return false
	}
	s.stack[depth] = Span{uint32(i), uint32(end)}
	return s.match(rest, after, depth+1)
}
