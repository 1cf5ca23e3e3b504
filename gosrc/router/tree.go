package router

import "strings"

// none is larger than any route's index.
const none = 1<<32 - 1

// node is a place in the radix tree: the text on the way to it decides what
// the path may look like from here on.
type node struct {
	prefix string // the path has it where the node begins
	first  string // the first byte of each child's prefix
	kids   []*node
	params []edge // a parameter that takes the rest of the segment
	tails  []tail // patterns that are matched step by step from here on
	leaves []leaf // routes that end here, in order
	min    uint32 // the lowest route here or below
}

// leaf is the end of a route's pattern.
type leaf struct {
	route uint32
	methods
}

type edge struct {
	kind Kind
	to   *node
}

// tail is the rest of a pattern from its first parameter that does not simply
// take the rest of a segment.
type tail struct {
	leaf
	steps []step
}

// step is a parameter and the text that follows it.
type step struct {
	kind Kind
	lit  string
}

// insert adds the rest of a route's pattern below n, whose prefix it has
// already passed. Routes come in order.
func (n *node) insert(rest []elem, l leaf) {
	n.min = min(n.min, l.route)
	switch {
	case len(rest) == 0:
		n.leaves = append(n.leaves, l)
	case rest[0].kind == literal:
		n.text(rest[0].lit, rest[1:], l)
	case rest[0].kind != Path && (len(rest) == 1 || rest[1].kind == literal && rest[1].lit[0] == '/'):
		n.param(rest[0].kind).insert(rest[1:], l)
	default:
		n.tails = append(n.tails, tail{l, steps(rest)})
	}
}

// steps turns elements that begin with a parameter into steps.
func steps(rest []elem) (all []step) {
	for _, e := range rest {
		if e.kind == literal {
			all[len(all)-1].lit = e.lit
		} else {
			all = append(all, step{kind: e.kind})
		}
	}
	return all
}

// param returns the node behind a parameter of that kind, new if need be.
func (n *node) param(kind Kind) *node {
	for _, e := range n.params {
		if e.kind == kind {
			return e.to
		}
	}
	to := &node{min: none}
	n.params = append(n.params, edge{kind, to})
	return to
}

// text inserts a pattern that begins with text.
func (n *node) text(text string, rest []elem, l leaf) {
	at := n.child(text[0])
	if at < 0 {
		kid := &node{prefix: text, min: none}
		n.first += text[:1]
		n.kids = append(n.kids, kid)
		kid.insert(rest, l)
		return
	}
	kid := n.kids[at]
	same := common(kid.prefix, text)
	if same < len(kid.prefix) {
		// The texts part within the child's: a new node stands where they do.
		fork := &node{prefix: kid.prefix[:same], first: kid.prefix[same : same+1], kids: []*node{kid}, min: kid.min}
		kid.prefix = kid.prefix[same:]
		n.kids[at] = fork
		kid = fork
	}
	if same == len(text) {
		kid.insert(rest, l)
		return
	}
	kid.min = min(kid.min, l.route)
	kid.text(text[same:], rest, l)
}

// child is the index of the child whose prefix begins with c, or -1. Most nodes
// have few, for which a call is dearer than a look.
func (n *node) child(c byte) int {
	if len(n.first) > 8 {
		return strings.IndexByte(n.first, c)
	}
	for i := range len(n.first) {
		if n.first[i] == c {
			return i
		}
	}
	return -1
}

// common is the length of the text with which both begin.
func common(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}
