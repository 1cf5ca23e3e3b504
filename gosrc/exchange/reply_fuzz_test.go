package exchange

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"turboapi/gosrc/bridge"
)

// FuzzReply plays a lane that does as the bytes say, right or wrong, and reads
// what the client got with another implementation of HTTP.
func FuzzReply(f *testing.F) {
	f.Add([]byte{0x00, 0x83, 5})             // head, body and end at once
	f.Add([]byte{0x00, 0x01, 5, 0, 7, 2, 0}) // chunks
	f.Add([]byte{0x02, 0x11, 5, 0, 6, 2, 0}) // announced length
	f.Add([]byte{0x01, 0x0b, 9})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < 1 || len(b) > 40 {
			t.Skip()
		}
		x := bridge.Acquire()
		defer bridge.Release(x)
		method := "GET"
		x.Minor = 1
		if b[0]&1 != 0 {
			x.Flags, method = bridge.ReqHead, "HEAD"
		}
		if b[0]&2 != 0 {
			x.Minor = 0
		}
		keep := b[0]&4 == 0
		var out []byte
		var sent strings.Builder
		var done, aborted, failed bool
		for b = b[1:]; len(b) >= 2 && !done; b = b[2:] {
			n := int(b[1])
			x.Ops = uint32(b[0]) & (opHead | opEnd)
			if b[0]&4 != 0 {
				x.Ops |= opClose
			}
			if x.Ops&opHead != 0 {
				x.Status = []uint16{200, 204, 304, 404}[b[0]>>6]
				x.Preset = uint8(b[0] >> 3 & 1)
				if b[0]&16 != 0 {
					x.AppendField("content-length", strconv.Itoa(n+n%7))
				}
				if b[0]&32 != 0 {
					x.AppendField("connection", "close")
				}
			}
			payload := bytes.Repeat([]byte{'a' + byte(n%26)}, n)
			x.AppendOut(payload)
			before := len(out)
			var r Result
			var err error
			out, r, err = AppendReply(out, x, keep, date)
			failed = failed || err != nil
			if err == nil {
				sent.Write(payload)
			}
			done, aborted = r.Done, r.Abort
			if r.Done && r.Close != (x.KeepAlive == 0) && !r.Abort && r.Ops&opClose == 0 {
				t.Errorf("closes: %v, but the head said keep-alive: %v", r.Close, x.KeepAlive != 0)
			}
			if r.Abort && len(out) != before {
				t.Error("bytes of a response that is given up")
			}
		}
		if !done || aborted {
			return
		}
		request := &http.Request{Method: method}
		in := bufio.NewReader(bytes.NewReader(out))
		resp, err := http.ReadResponse(in, request)
		if err != nil {
			t.Fatalf("%v in %q", err, out)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatalf("%v in %q", err, out)
		}
		if rest, _ := io.ReadAll(in); len(rest) > 0 {
			t.Errorf("%q behind the response %q", rest, out)
		}
		want := sent.String()
		if failed {
			want = errorBody
		}
		if method == "HEAD" || resp.StatusCode == 204 || resp.StatusCode == 304 {
			want = ""
		}
		if string(body) != want {
			t.Errorf("body %q, want %q", body, want)
		}
	})
}
