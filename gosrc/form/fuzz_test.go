package form

import (
	"bytes"
	"errors"
	"io"
	"mime"
	std "mime/multipart"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"turboapi/gosrc/bridge"
)

// What is taken is what the standard library understands too, wherever it is cut;
// and the body can be had as it came, whether it is taken or not.
func FuzzMultipart(f *testing.F) {
	for _, body := range []string{
		text("a", "b") + end, file("f", "x", strings.Repeat("ab\r\n", 40)) + text("a", "") + end,
		"--XX\r\n\r\n", "--XX--\r\n", text("a", "\r\n--X") + "--XX--", "--XX \r\n",
	} {
		f.Add([]byte(body), "multipart/form-data; boundary=XX", uint8(3))
	}
	f.Add([]byte("a=1&b=%20+"), plain, uint8(1))
	f.Fuzz(func(t *testing.T, body []byte, contentType string, size uint8) {
		if !Canonical([]byte(contentType)) {
			return
		}
		both := records(t, 2)
		whole, pieces := both[0], both[1]
		err := parse(whole, small(), contentType, string(body))
		other := parse(pieces, small(), contentType, string(body), int(size)+1)
		if (err == nil) != (other == nil) {
			t.Fatalf("whole: %v, in pieces: %v", err, other)
		}
		if replay(t, whole) != string(body) || replay(t, pieces) != string(body) {
			t.Fatal("the body is another one")
		}
		if err != nil {
			return
		}
		all := parts(t, whole)
		if !reflect.DeepEqual(all, parts(t, pieces)) {
			t.Fatalf("in pieces it is %v, not %v", parts(t, pieces), all)
		}
		if want := reference(t, body, contentType); !same(all, want) {
			t.Fatalf("%q\nis %v\nnot %v", body, all, want)
		}
	})
}

// reference reads a body with the standard library.
func reference(t *testing.T, body []byte, contentType string) (all []got) {
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		if p := New(small(), []byte(contentType)); p.multi == nil {
			media = plain // its parameters do not matter
		} else {
			t.Skip(err)
		}
	}
	if media == plain {
		for _, pair := range strings.Split(string(body), "&") {
			name, value, _ := strings.Cut(pair, "=")
			all = append(all, got{name: unescape(name), content: unescape(value)})
		}
		return all
	}
	r := std.NewReader(bytes.NewReader(body), params["boundary"])
	for {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("taken, but %v", err)
		}
		content, err := io.ReadAll(p)
		if err != nil {
			t.Fatalf("taken, but %v", err)
		}
		_, params, err := mime.ParseMediaType(p.Header.Get("Content-Disposition"))
		if err != nil {
			params = map[string]string{"name": "?"}
		}
		all = append(all, got{name: params["name"], filename: params["filename"], content: string(content)})
	}
}

// unescape is Python's unquote_plus: what is no escape stays as it is.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if c, err := url.PathUnescape(s[i : i+3]); err == nil {
				b.WriteString(c)
				i += 2
				continue
			}
		}
		b.WriteString(strings.ReplaceAll(s[i:i+1], "+", " "))
	}
	return b.String()
}

func same(ours, theirs []got) bool {
	if len(ours) != len(theirs) {
		return false
	}
	for i, a := range ours {
		b := theirs[i]
		// The library reads names more freely than parsers of forms do.
		if a.content != b.content || isToken(a.name) && b.name != "?" && a.name != b.name {
			return false
		}
		if a.kind != bridge.PartText && isToken(a.filename) && b.name != "?" && a.filename != b.filename {
			return false
		}
	}
	return true
}

func isToken(s string) bool { return all([]byte(s), &tokenChars) }
