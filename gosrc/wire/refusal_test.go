package wire

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestRefusalIsACompleteAnswer(t *testing.T) {
	const want = "HTTP/1.1 400 Bad Request\r\n" + ours +
		"content-type: application/json\r\ncontent-length: 20\r\nconnection: close\r\n\r\n" + `{"detail":"Bare CR"}`
	if got := string(AppendRefusal([]byte("x"), errBareCR, Own(ours))); got != "x"+want {
		t.Errorf("%q", got)
	}
	head := strings.TrimSuffix(want, `{"detail":"Bare CR"}`)
	if got := string(AppendRefusalHead(nil, errBareCR, Own(ours))); got != head {
		t.Errorf("%q", got)
	}
	if got := string(AppendRefusal(nil, errBareCR, nil)); strings.Contains(got, "date") {
		t.Errorf("%q", got)
	}
}

func TestDetailIsValidJSONWhateverItSays(t *testing.T) {
	for in, want := range map[string]string{
		"plain": "plain", `a"b\c`: `a"b\c`, "a\r\n\x00\x1f": "a\r\n\x00\x1f", "é€": "é€", "\xff": "\ufffd",
	} {
		answer := string(AppendRefusal(nil, &Refusal{400, in}, nil))
		var body struct{ Detail string }
		_, text, _ := strings.Cut(answer, "\r\n\r\n")
		if err := json.Unmarshal([]byte(text), &body); err != nil || body.Detail != want {
			t.Errorf("%q: %q %v", in, text, err)
		}
	}
}

func TestRefusalsAreErrors(t *testing.T) {
	if got := error(ErrContentTooLarge).Error(); got != "wire: 413 Request body too large" {
		t.Errorf("%q", got)
	}
}
