package extract

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"turboapi/gosrc/bridge"
)

// parseQSL is Python's urllib.parse.parse_qsl with keep_blank_values, written
// for clarity. Text that is not UTF-8 is given as it is.
func parseQSL(query string) (all [][2]string) {
	decode := func(s string) string {
		var b strings.Builder
		for s = strings.ReplaceAll(s, "+", " "); s != ""; s = s[1:] {
			if s[0] == '%' && len(s) > 2 {
				if n, err := strconv.ParseUint(s[1:3], 16, 8); err == nil {
					b.WriteByte(byte(n))
					s = s[2:]
					continue
				}
			}
			b.WriteByte(s[0])
		}
		return b.String()
	}
	for piece := range strings.SplitSeq(query, "&") {
		if piece != "" {
			name, value, _ := strings.Cut(piece, "=")
			all = append(all, [2]string{decode(name), decode(value)})
		}
	}
	return all
}

// want is what the parameters q (text), q (list) and n (integer) have to be;
// "odd" is always allowed.
func want(query string) string {
	text, list, number := "-", []string(nil), "-"
	for _, pair := range parseQSL(query) {
		switch pair[0] {
		case "q":
			text = fmt.Sprintf("%q", pair[1])
			if strings.ContainsFunc(pair[1], func(r rune) bool { return r >= utf8.RuneSelf }) {
				text = "wide" + text
			}
			list = append(list, pair[1])
		case "n":
			n, err := strconv.ParseInt(pair[1], 10, 64)
			number = "int:" + strconv.FormatInt(n, 10)
			if err != nil || strconv.FormatInt(n, 10) != pair[1] {
				number = "never"
			}
		}
	}
	lists := "-"
	if list != nil {
		lists = fmt.Sprintf("%q", list)
	}
	return text + " " + lists + " " + number
}

func FuzzQuery(f *testing.F) {
	for _, s := range []string{"q=1&n=2", "q=a+b%20c&q&n=-7", "%71=%C3%A9&&=x&q=%ff", "q=%4&n=%31&q=%zz"} {
		f.Add(s)
	}
	params := append(query("str"), append(query("strs"), Param{In: "query", Name: "n", Form: "int"})...)
	f.Fuzz(func(t *testing.T, q string) {
		for i := range len(q) {
			if q[i] <= ' ' || q[i] >= 0x7f {
				t.Skip() // the head's parser refuses it
			}
		}
		got := fill(t, params, request{query: q})
		if got != "odd" && got != want(q) {
			t.Errorf("%q: %s, want %s", q, got, want(q))
		}
		// What is plainly canonical must not be odd.
		if got == "odd" && !strings.ContainsAny(q, "%n") {
			t.Errorf("%q is odd", q)
		}
	})
}

func FuzzCookies(f *testing.F) {
	for _, s := range []string{"c=1; d=2", `c="x"; c`, "c =\t; =;;c=a=b"} {
		f.Add(s)
	}
	params := []Param{{In: "cookie", Name: "c", Form: "str"}}
	f.Fuzz(func(t *testing.T, v string) {
		plain := true
		for i := range len(v) {
			if v[i] < ' ' && v[i] != '\t' || v[i] == 0x7f {
				t.Skip() // the head's parser refuses it
			}
			plain = plain && v[i] < 0x7f && v[i] != '"'
		}
		want := "-"
		for piece := range strings.SplitSeq(v, ";") {
			name, value, found := strings.Cut(piece, "=")
			if found && strings.Trim(name, " \t") == "c" {
				want = fmt.Sprintf("%q", strings.Trim(value, " \t"))
			}
		}
		got := fill(t, params, request{fields: [][2]string{{"cookie", v}}, cookies: 1})
		if got == "odd" && !plain {
			return
		}
		if got != want {
			t.Errorf("%q: %s, want %s", v, got, want)
		}
	})
}

func TestFillAllocatesNothing(t *testing.T) {
	p, err := NewPlan([]Param{{In: "query", Name: "q", Form: "str"}, {In: "query", Name: "l", Form: "strs"}, {In: "query", Name: "n", Form: "int"}})
	if err != nil {
		t.Fatal(err)
	}
	x := bridge.Acquire()
	defer bridge.Release(x)
	bindPath(t, p, x, request{query: "q=%C3%A9+a&l=1&l=2&n=7"})
	used := x.ReqLen
	if n := testing.AllocsPerRun(100, func() {
		x.ReqLen = used
		if !p.Fill(x, nil, nil, 0) {
			t.Fatal("odd")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
