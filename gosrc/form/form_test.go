package form

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"turboapi/gosrc/bridge"
)

const (
	mixed = "multipart/form-data; boundary=XX"
	plain = "application/x-www-form-urlencoded"
)

func text(name, value string) string {
	return "--XX\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n"
}

func file(name, filename, value string) string {
	return "--XX\r\nContent-Disposition: form-data; name=\"" + name + "\"; filename=\"" + filename +
		"\"\r\nContent-Type: text/plain\r\n\r\n" + value + "\r\n"
}

const end = "--XX--\r\n"

// Where a body is cut makes no difference, and it can always be had as it came.
func TestMultipart(t *testing.T) {
	big := strings.Repeat("0123456789abcde\r", 10<<10)
	near := strings.Repeat("\r\n--X", 40)
	for name, c := range map[string]struct {
		body string
		want []got
	}{
		"one field":          {text("a", "b") + end, []got{{name: "a", content: "b"}}},
		"an empty field":     {text("a", "") + end, []got{{name: "a"}}},
		"no last line's end": {text("a", "b") + "--XX--", []got{{name: "a", content: "b"}}},
		"not ASCII":          {text("ä", "€ 😀") + end, []got{{name: "ä", content: "€ 😀"}}},
		"an empty file": {file("f", "", "") + end, []got{{name: "f", kind: bridge.PartFile,
			fields: fields("f", "")}}},
		"a file at the limit": {file("f", "x.txt", big[:64]) + end, []got{{name: "f", filename: "x.txt", kind: bridge.PartFile,
			content: big[:64], fields: fields("f", "x.txt")}}},
		"a file above it": {file("f", "x.txt", big[:65]) + end, []got{{name: "f", filename: "x.txt", kind: bridge.PartSpooled,
			content: big[:65], fields: fields("f", "x.txt")}}},
		"large files between fields": {text("a", "1") + file("f", "x", big) + text("b", "2") + file("f", "y", big+"!") + file("g", "z", "") + end,
			[]got{{name: "a", content: "1"},
				{name: "f", filename: "x", kind: bridge.PartSpooled, content: big, fields: fields("f", "x")},
				{name: "b", content: "2"},
				{name: "f", filename: "y", kind: bridge.PartSpooled, content: big + "!", fields: fields("f", "y")},
				{name: "g", filename: "z", kind: bridge.PartFile, fields: fields("g", "z")}}},
		"what begins like a boundary": {file("f", "x", near) + text("a", "\r\n--X\r\n") + end,
			[]got{{name: "f", filename: "x", kind: bridge.PartSpooled, content: near, fields: fields("f", "x")},
				{name: "a", content: "\r\n--X\r\n"}}},
		"spaces that do not matter": {"--XX\r\nx-y:   1 2 \r\ncontent-DISPOSITION:Form-Data;name=\"a\";   filename=\"b c\"\r\n\r\nv\r\n" + end,
			[]got{{name: "a", filename: "b c", content: "v", kind: bridge.PartFile,
				fields: [][2]string{{"x-y", "1 2 "}, {"content-DISPOSITION", "Form-Data;name=\"a\";   filename=\"b c\""}}}}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, sizes := range [][]int{nil, {1}, {2}, {3}, {7}, {64}, {1, 5000}, {4 << 10}, {100, 4<<10 + 1}, {64 << 10}} {
				x := record(t)
				if err := parse(x, small(), mixed, c.body, sizes...); err != nil {
					t.Fatalf("in pieces of %v: %v", sizes, err)
				}
				if all := parts(t, x); !reflect.DeepEqual(all, c.want) {
					t.Fatalf("in pieces of %v: %.300q", sizes, fmt.Sprint(all))
				}
				if replay(t, x) != c.body {
					t.Fatalf("in pieces of %v: the body is another one", sizes)
				}
			}
		})
	}
}

func fields(name, filename string) [][2]string {
	return [][2]string{{"Content-Disposition", `form-data; name="` + name + `"; filename="` + filename + `"`}, {"Content-Type", "text/plain"}}
}

// Every error there is, and that the body is complete afterwards.
func TestWhatTheApplicationHasToRead(t *testing.T) {
	part := func(head string) string { return "--XX\r\n" + head + "\r\n\r\nv\r\n" + end }
	long := strings.Repeat("v", 101)
	for name, c := range map[string]struct {
		kind, body string
		want       error
		change     func(*Limits)
	}{
		"preamble":                     {mixed, "x" + text("a", "b") + end, errStart, nil},
		"line before the boundary":     {mixed, "\r\n" + text("a", "b") + end, errStart, nil},
		"another boundary":             {mixed, "--XY\r\n", errStart, nil},
		"no parts":                     {mixed, "--XX--\r\n", errStart, nil},
		"nothing":                      {mixed, "", errCut, nil},
		"only a piece of the boundary": {mixed, "--X", errCut, nil},
		"boundary without line's end":  {mixed, "--XX ", errCut, nil},
		"boundary with a space":        {mixed, "--XX \r\n", errStart, nil},
		"cut in the head":              {mixed, "--XX\r\nContent-Dis", errCut, nil},
		"cut in the data":              {mixed, text("a", "b"), errCut, nil},
		"cut behind a boundary":        {mixed, text("a", "b") + "--XX", errCut, nil},
		"half a line's end at the end": {mixed, text("a", "b") + "--XX--\r", errCut, nil},
		"epilogue":                     {mixed, text("a", "b") + end + "x", errAfter, nil},
		"something behind a boundary":  {mixed, text("a", "b") + "--XXX\r\n", errBoundary, nil},
		"padding behind a boundary":    {mixed, text("a", "b") + "--XX \r\n" + end, errBoundary, nil},
		"no head":                      {mixed, "--XX\r\n\r\nv\r\n\r\n" + end, errHead, nil},
		"no colon":                     {mixed, part("name"), errHead, nil},
		"no field name":                {mixed, part(": form-data; name=\"a\""), errHead, nil},
		"a space in a field name":      {mixed, part("Content-Disposition : form-data; name=\"a\""), errHead, nil},
		"a folded line":                {mixed, part("X: 1\r\n 2: form-data"), errHead, nil},
		"a control character":          {mixed, part("Content-Disposition: form-data; name=\"a\x01\""), errHead, nil},
		"a lone line feed":             {mixed, part("X: 1\nContent-Disposition: form-data; name=\"a\""), errHead, nil},
		"nine fields":                  {mixed, part(strings.Repeat("X: 1\r\n", 8) + "Content-Disposition: form-data; name=\"a\""), errHead, nil},
		"a long head":                  {mixed, part("X: " + strings.Repeat("1", maxHead) + "\r\nContent-Disposition: form-data; name=\"a\""), errHead, nil},
		"a head without end":           {mixed, "--XX\r\nX: " + strings.Repeat("1", 2*maxHead), errHead, nil},
		"no disposition":               {mixed, part("Content-Type: text/plain"), errName, nil},
		"two dispositions": {mixed, part("Content-Disposition: form-data; name=\"a\"\r\nContent-Disposition: form-data; name=\"b\""),
			errName, nil},
		"another disposition":      {mixed, part("Content-Disposition: attachment; name=\"a\""), errName, nil},
		"no name":                  {mixed, part("Content-Disposition: form-data"), errName, nil},
		"name without quotes":      {mixed, part("Content-Disposition: form-data; name=a"), errName, nil},
		"filename first":           {mixed, part("Content-Disposition: form-data; filename=\"b\"; name=\"a\""), errName, nil},
		"an escape":                {mixed, part(`Content-Disposition: form-data; name="a\"b"`), errName, nil},
		"a path of Windows":        {mixed, part(`Content-Disposition: form-data; name="a"; filename="C:\x"`), errName, nil},
		"an encoded filename":      {mixed, part("Content-Disposition: form-data; name=\"a\"; filename*=UTF-8''b"), errName, nil},
		"a third parameter":        {mixed, part("Content-Disposition: form-data; name=\"a\"; filename=\"b\"; size=1"), errName, nil},
		"quotes that do not close": {mixed, part("Content-Disposition: form-data; name=\"a"), errName, nil},
		"a name that is no UTF-8":  {mixed, part("Content-Disposition: form-data; name=\"\xff\""), errName, nil},
		"a value that is no UTF-8": {mixed, text("a", "\xff") + end, errUTF8, nil},
		"a long value":             {mixed, text("a", long) + end, errPart, nil},
		"a value without end":      {mixed, strings.TrimSuffix(text("a", long), "\r\n"), errPart, nil},
		"three fields":             {mixed, text("a", "") + text("b", "") + text("c", "") + end, errFields, func(l *Limits) { l.Fields = 2 }},
		"two files":                {mixed, file("a", "a", long) + file("b", "b", "") + end, errFiles, func(l *Limits) { l.Files = 1 }},
		"a long body":              {mixed, file("a", "a", long) + end, errTooLong, func(l *Limits) { l.Body = 100 }},
		"much memory":              {mixed, file("a", "a", long) + end, errMemory, func(l *Limits) { l.Memory, l.Spool = 150, 0 }},
		"no directory":             {mixed, file("a", "a", long) + text("b", "c") + end, errSpool, func(l *Limits) { l.Dir = "/nowhere" }},

		"no pairs":               {plain, "", errEmpty, nil},
		"no equals sign":         {plain, "a", errEmpty, nil},
		"no name in a form":      {plain, "a=1&=2", errEmpty, nil},
		"two ampersands":         {plain, "a=1&&b=2", errEmpty, nil},
		"ampersand at the end":   {plain, "a=1&", errEmpty, nil},
		"bytes":                  {plain, "a=\xc3\xa4", errUTF8, nil},
		"bytes in a name":        {plain, "\xc3\xa4=a", errUTF8, nil},
		"escapes that are none":  {plain, "a=%ff", errUTF8, nil},
		"a long pair":            {plain, "a=" + long + "&b=1", errPart, nil},
		"a long pair at the end": {plain, "b=1&a=" + long, errPart, nil},
		"three pairs":            {plain, "a=1&b=2&c=3", errFields, func(l *Limits) { l.URLFields = 2 }},
		"a long form":            {plain, "a=1234&b=1", errTooLong, func(l *Limits) { l.Body = 9 }},
		"a form for much memory": {plain, "a=1234&b=1", errMemory, func(l *Limits) { l.Memory = 9 }},
	} {
		t.Run(name, func(t *testing.T) {
			for _, sizes := range [][]int{nil, {1}, {3}, {70}} {
				lim := small()
				if c.change != nil {
					c.change(lim)
				}
				x := record(t)
				if err := parse(x, lim, c.kind, c.body, sizes...); !errors.Is(err, c.want) {
					t.Fatalf("in pieces of %v: %v, want %v", sizes, err, c.want)
				}
				if x.Flags&bridge.ReqForm != 0 {
					t.Error("the form is there all the same")
				}
				if replay(t, x) != c.body {
					t.Errorf("in pieces of %v: the body is another one", sizes)
				}
			}
		})
	}
}

func TestUrlencoded(t *testing.T) {
	for body, want := range map[string][]got{
		"a=1":                      {{name: "a", content: "1"}},
		"a=1&b=&a=x%3Dy":           {{name: "a", content: "1"}, {name: "b"}, {name: "a", content: "x=y"}},
		"a=b+c&%C3%A4+=%e2%82%ac%": {{name: "a", content: "b c"}, {name: "ä ", content: "€%"}},
		"a=b=c;d=%zz":              {{name: "a", content: "b=c;d=%zz"}},
	} {
		for _, sizes := range [][]int{nil, {1}, {2}} {
			x := record(t)
			if err := parse(x, limits(), plain+"; charset=utf-8", body, sizes...); err != nil {
				t.Fatalf("%q: %v", body, err)
			}
			if all := parts(t, x); !reflect.DeepEqual(all, want) {
				t.Errorf("%q gives %v", body, all)
			}
			if replay(t, x) != body {
				t.Errorf("%q is another body afterwards", body)
			}
		}
	}
}

func TestContentTypes(t *testing.T) {
	for _, v := range []string{
		plain, "Application/X-WWW-Form-Urlencoded", plain + " ; charset=UTF-8", mixed, "Multipart/Form-Data;Boundary=a'b",
		`multipart/form-data; boundary="a:b=c"`, "multipart/form-data; boundary=" + strings.Repeat("x", 70),
	} {
		if !Canonical([]byte(v)) {
			t.Errorf("%q is the application's", v)
		}
	}
	for _, v := range []string{
		"", "text/plain", "multipart/form-data", "multipart/mixed; boundary=x", "multipart/form-data; boundary=",
		"multipart/form-data; charset=utf-8; boundary=x", "multipart/form-data; boundary=x; charset=utf-8",
		`multipart/form-data; boundary="`, `multipart/form-data; boundary=""`, "multipart/form-data; boundary=a b",
		"multipart/form-data; boundary=a=b", "multipart/form-data; boundary=" + strings.Repeat("x", 71), plain + "x",
	} {
		if Canonical([]byte(v)) {
			t.Errorf("%q is taken", v)
		}
	}
	if p := New(&Limits{}, []byte(plain)); p.memory != maxMemory {
		t.Errorf("no limit of memory is %d", p.memory)
	}
}

// A file that cannot be written any more leaves a body that is complete.
func TestAFullDisk(t *testing.T) {
	x := record(t)
	lim := small()
	p := New(lim, []byte(mixed))
	body := file("f", "x", strings.Repeat("0123456789", 4000)) + end
	half := len(body) / 2
	if err := p.Write(x, []byte(body[:half])); err != nil || !p.Waits() || p.Spools() {
		t.Fatal(err)
	}
	if err := p.Spool(x); err != nil || p.Waits() || !p.Spools() {
		t.Fatal(err)
	}
	// From here on every write fails: the descriptor is one for reading only.
	fd := int(x.SpoolList()[0].FD)
	reader, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skip(err)
	}
	if err := unix.Dup3(reader, fd, unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	unix.Close(reader)
	for _, cut := range []int{direct, 10} { // by way of memory, and not
		if err := p.Write(x, []byte(body[half:half+cut])); !errors.Is(err, errSpool) {
			t.Fatalf("%d bytes: %v", cut, err)
		}
		half += cut
	}
	x.AppendBody([]byte(body[half:]))
	if replay(t, x) != body {
		t.Error("the body is another one")
	}
}

// Where a file system makes no files without a name, one loses its name at once.
func TestSpoolLeavesNoName(t *testing.T) {
	dir := t.TempDir()
	for _, open := range []func(string) (int, error){openSpool, openNamed} {
		fd, err := open(dir)
		if err != nil {
			t.Fatal(err)
		}
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("flags %#x, %v: a child would inherit it", flags, err)
		}
		unix.Close(fd)
		if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 0 {
			t.Errorf("left: %v", left)
		}
	}
	if _, err := openSpool(filepath.Join(dir, "none")); !errors.Is(err, errSpool) || !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// Ten thousand parts, and what they cost besides their bytes.
func TestManyParts(t *testing.T) {
	lim := limits()
	lim.Fields, lim.Files = Unlimited, Unlimited
	var b strings.Builder
	for i := range 10000 {
		if i%2 == 0 {
			b.WriteString(text(fmt.Sprint(i), "v"))
		} else {
			b.WriteString(file(fmt.Sprint(i), "f", "v"))
		}
	}
	b.WriteString(end)
	x := record(t)
	if err := parse(x, lim, mixed, b.String(), 1000); err != nil {
		t.Fatal(err)
	}
	if all := parts(t, x); len(all) != 10000 || all[9999].name != "9999" || all[9999].content != "v" {
		t.Errorf("%d parts", len(all))
	}
}

// Chunks of any size, at random.
func TestPiecesAtRandom(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		var b strings.Builder
		for range 1 + r.IntN(4) {
			value := strings.Repeat("\r\n--XY", r.IntN(2000)) + strings.Repeat("\r", r.IntN(3))
			b.WriteString(file("f", "x", value))
		}
		b.WriteString(end)
		both := records(t, 2)
		whole, x := both[0], both[1]
		if err := parse(whole, small(), mixed, b.String()); err != nil {
			t.Fatal(err)
		}
		var sizes []int
		for range 200 {
			sizes = append(sizes, 1+r.IntN(1<<r.IntN(14)))
		}
		if err := parse(x, small(), mixed, b.String(), sizes...); err != nil {
			t.Fatalf("%v: %v", sizes, err)
		}
		if !reflect.DeepEqual(parts(t, x), parts(t, whole)) || replay(t, x) != b.String() {
			t.Fatalf("pieces of %v give another form", sizes)
		}
	}
}
