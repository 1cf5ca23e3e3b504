package wire

import (
	"errors"
	"strings"
	"testing"
)

const testDate = "Mon, 23 Nov 2026 10:00:00 GMT"

const ours = "date: " + testDate + "\r\nserver: turboapi\r\n"

// keep is what most requests are: HTTP/1.1, not HEAD, the connection stays.
func keep(status int) Reply { return Reply{Status: status, Minor: 1, KeepAlive: true} }

func TestReplyHeads(t *testing.T) {
	jsonFields := pack("content-length", "2", "content-type", "application/json")
	for name, c := range map[string]struct {
		r       Reply
		packed  []byte
		bodyLen int64
		want    string
		framing Framing
	}{
		"fields as they came": {
			keep(200), pack("X-A", "1", "x-a", "2", "Set-Cookie", "a=b", "X-A", "", "set-cookie", "\xe9 \t", "content-length", "0"), 0,
			"HTTP/1.1 200 OK\r\n" + ours + "X-A: 1\r\nx-a: 2\r\nSet-Cookie: a=b\r\nX-A: \r\nset-cookie: \xe9 \t\r\ncontent-length: 0\r\n\r\n",
			Framing{BodyLength, true, 0},
		},
		"length of the application": {
			keep(201), jsonFields, 2,
			"HTTP/1.1 201 Created\r\n" + ours + "content-length: 2\r\ncontent-type: application/json\r\n\r\n",
			Framing{BodyLength, true, 2},
		},
		"length of the application for a stream": {
			keep(200), jsonFields, -1,
			"HTTP/1.1 200 OK\r\n" + ours + "content-length: 2\r\ncontent-type: application/json\r\n\r\n",
			Framing{BodyLength, true, 2},
		},
		"length twice": {
			keep(200), pack("content-length", "2", "Content-Length", "2"), 2,
			"HTTP/1.1 200 OK\r\n" + ours + "content-length: 2\r\n\r\n", Framing{BodyLength, true, 2},
		},
		"a length is not added": {
			keep(404), pack("x", "y"), 9,
			"HTTP/1.1 404 Not Found\r\n" + ours + "x: y\r\ntransfer-encoding: chunked\r\n\r\n", Framing{BodyChunked, true, 0},
		},
		"no body": {
			keep(200), nil, 0,
			"HTTP/1.1 200 OK\r\n" + ours + "transfer-encoding: chunked\r\n\r\n", Framing{BodyChunked, true, 0},
		},
		"stream": {
			keep(200), pack("x", "y"), -1,
			"HTTP/1.1 200 OK\r\n" + ours + "x: y\r\ntransfer-encoding: chunked\r\n\r\n", Framing{BodyChunked, true, 0},
		},
		"stream whose application says chunked": {
			keep(200), pack("Transfer-Encoding", "chunked", "x", "y"), -1,
			"HTTP/1.1 200 OK\r\n" + ours + "x: y\r\ntransfer-encoding: chunked\r\n\r\n", Framing{BodyChunked, true, 0},
		},
		"application says chunked, length is known": {
			keep(200), pack("Transfer-Encoding", "gzip, chunked"), 3,
			"HTTP/1.1 200 OK\r\n" + ours + "transfer-encoding: chunked\r\n\r\n", Framing{BodyChunked, true, 0},
		},
		"stream to HTTP/1.0": {
			Reply{Status: 200, Minor: 0, KeepAlive: true}, pack("x", "y"), -1,
			"HTTP/1.1 200 OK\r\n" + ours + "x: y\r\nconnection: close\r\n\r\n", Framing{BodyUntilClose, false, 0},
		},
		"stream to HTTP/1.0 whose application keeps alive": {
			Reply{Status: 200, Minor: 0, KeepAlive: true}, pack("connection", "keep-alive"), -1,
			"HTTP/1.1 200 OK\r\n" + ours + "connection: close\r\n\r\n", Framing{BodyUntilClose, false, 0},
		},
		"HTTP/1.0 kept alive": {
			Reply{Status: 200, Minor: 0, KeepAlive: true}, nil, 1,
			"HTTP/1.1 200 OK\r\n" + ours + "content-length: 1\r\nconnection: keep-alive\r\n\r\n", Framing{BodyLength, true, 1},
		},
		"HTTP/1.0 kept alive, and says so": {
			Reply{Status: 200, Minor: 0, KeepAlive: true}, pack("Connection", "Keep-Alive"), 1,
			"HTTP/1.1 200 OK\r\n" + ours + "Connection: Keep-Alive\r\ncontent-length: 1\r\n\r\n", Framing{BodyLength, true, 1},
		},
		"closed by the server": {
			Reply{Status: 200, Minor: 1}, nil, 1,
			"HTTP/1.1 200 OK\r\n" + ours + "transfer-encoding: chunked\r\nconnection: close\r\n\r\n", Framing{BodyChunked, false, 0},
		},
		"closed by the server against the application": {
			Reply{Status: 200, Minor: 1}, pack("connection", "keep-alive", "x", "y"), 1,
			"HTTP/1.1 200 OK\r\n" + ours + "x: y\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n", Framing{BodyChunked, false, 0},
		},
		"closed by the application": {
			keep(200), pack("Connection", "Close", "x", "y"), 1,
			"HTTP/1.1 200 OK\r\n" + ours + "Connection: Close\r\nx: y\r\ntransfer-encoding: chunked\r\n\r\n", Framing{BodyChunked, false, 0},
		},
		"closed by the application among other options": {
			keep(200), pack("connection", "x-a, close"), 1,
			"HTTP/1.1 200 OK\r\n" + ours + "connection: x-a, close\r\ntransfer-encoding: chunked\r\n\r\n", Framing{BodyChunked, false, 0},
		},
		"own date and server": {
			keep(200), pack("Date", "today", "SERVER", "mine"), 0,
			"HTTP/1.1 200 OK\r\nDate: today\r\nSERVER: mine\r\ntransfer-encoding: chunked\r\n\r\n", Framing{BodyChunked, true, 0},
		},
		"205 tells that it is empty": {
			keep(205), pack("content-length", "7", "x", "y"), 0,
			"HTTP/1.1 205 Reset Content\r\n" + ours + "x: y\r\ncontent-length: 0\r\n\r\n", Framing{BodyLength, true, 0},
		},
		"204": {
			keep(204), pack("x", "y"), 0, "HTTP/1.1 204 No Content\r\n" + ours + "x: y\r\n\r\n", Framing{BodyNone, true, 0},
		},
		"204 with a length and a coding": {
			keep(204), pack("content-length", "0", "x", "y", "transfer-encoding", "chunked"), -1,
			"HTTP/1.1 204 No Content\r\n" + ours + "x: y\r\n\r\n", Framing{BodyNone, true, 0},
		},
		"304": {
			keep(304), pack("etag", "a"), 0, "HTTP/1.1 304 Not Modified\r\n" + ours + "etag: a\r\n\r\n", Framing{BodyNone, true, 0},
		},
		"304 with the length of the 200": {
			keep(304), pack("content-length", "77"), 0,
			"HTTP/1.1 304 Not Modified\r\n" + ours + "content-length: 77\r\n\r\n", Framing{BodyNone, true, 0},
		},
		"304 stream": {
			keep(304), nil, -1, "HTTP/1.1 304 Not Modified\r\n" + ours + "\r\n", Framing{BodyNone, true, 0},
		},
		"HEAD keeps the length": {
			Reply{Status: 200, Minor: 1, HEAD: true, KeepAlive: true}, jsonFields, 0,
			"HTTP/1.1 200 OK\r\n" + ours + "content-length: 2\r\ncontent-type: application/json\r\n\r\n", Framing{BodyNone, true, 0},
		},
		"HEAD is given no length": {
			Reply{Status: 200, Minor: 1, HEAD: true, KeepAlive: true}, nil, 12,
			"HTTP/1.1 200 OK\r\n" + ours + "\r\n", Framing{BodyNone, true, 0},
		},
		"HEAD of a stream": {
			Reply{Status: 200, Minor: 1, HEAD: true, KeepAlive: true}, nil, -1,
			"HTTP/1.1 200 OK\r\n" + ours + "\r\n", Framing{BodyNone, true, 0},
		},
		"HEAD of a stream, HTTP/1.0": {
			Reply{Status: 200, Minor: 0, HEAD: true, KeepAlive: true}, nil, -1,
			"HTTP/1.1 200 OK\r\n" + ours + "connection: keep-alive\r\n\r\n", Framing{BodyNone, true, 0},
		},
		"101": {
			keep(101), pack("connection", "upgrade", "upgrade", "websocket", "content-length", "0"), -1,
			"HTTP/1.1 101 Switching Protocols\r\ndate: Mon, 23 Nov 2026 10:00:00 GMT\r\nserver: turboapi\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n", Framing{BodyNone, true, 0},
		},
		"CONNECT answered with 200": {
			Reply{Status: 200, Minor: 1, CONNECT: true, KeepAlive: true}, pack("content-length", "2"), 2,
			"HTTP/1.1 200 OK\r\n" + ours + "connection: close\r\n\r\n", Framing{BodyUntilClose, false, 0},
		},
		"CONNECT answered with 405": {
			Reply{Status: 405, Minor: 1, CONNECT: true}, nil, 2,
			"HTTP/1.1 405 Method Not Allowed\r\n" + ours + "transfer-encoding: chunked\r\nconnection: close\r\n\r\n", Framing{BodyChunked, false, 0},
		},
		"status without a phrase": {
			keep(599), nil, 0, "HTTP/1.1 599 \r\n" + ours + "transfer-encoding: chunked\r\n\r\n", Framing{BodyChunked, true, 0},
		},
	} {
		t.Run(name, func(t *testing.T) {
			out, framing, err := AppendHead([]byte("before"), &c.r, c.packed, c.bodyLen, Own(ours))
			if err != nil || string(out) != "before"+c.want || framing != c.framing {
				t.Errorf("%q\n%+v %v, want\n%q\n%+v", out, framing, err, "before"+c.want, c.framing)
			}
		})
	}
}

func TestRepliesThatAreRefused(t *testing.T) {
	short := pack("a", "b")
	for name, c := range map[string]struct {
		status  int
		packed  []byte
		bodyLen int64
		want    error
	}{
		"CR in a value":           {200, pack("a", "b\rc"), 0, errReplyValue},
		"LF in a value":           {200, pack("a", "b\r\nc: d"), 0, errReplyValue},
		"NUL in a value":          {200, pack("a", "\x00"), 0, errReplyValue},
		"LF at the end":           {200, pack("a", "b\n"), 0, errReplyValue},
		"LF in a long value":      {200, pack("a", strings.Repeat("v", 99)+"\n"+strings.Repeat("v", 99)), 0, errReplyValue},
		"LF in a name":            {200, pack("a\nb", "c"), 0, errReplyName},
		"colon in a name":         {200, pack("a:b", "c"), 0, errReplyName},
		"space in a name":         {200, pack("a ", "c"), 0, errReplyName},
		"non-ASCII name":          {200, pack("\xe9", "c"), 0, errReplyName},
		"empty name":              {200, pack("", "c"), 0, errReplyPacked},
		"fields cut short":        {200, short[:len(short)-1], 0, errReplyPacked},
		"lengths cut short":       {200, append(short, 1, 0, 0, 0), 0, errReplyPacked},
		"status below the range":  {99, nil, 0, errReplyStatus},
		"status above the range":  {1000, nil, 0, errReplyStatus},
		"length with a sign":      {200, pack("content-length", "+5"), 5, errReplyLength},
		"empty length":            {200, pack("content-length", ""), 0, errReplyLength},
		"lengths that differ":     {200, pack("content-length", "5", "content-length", "6"), 5, errReplyLength},
		"length above the body's": {200, pack("content-length", "6"), 5, errReplyDiffer},
		"length below the body's": {200, pack("content-length", "4"), 5, errReplyDiffer},
		"bad length of a 204":     {204, pack("content-length", "a\r\nb"), 0, errReplyValue},
	} {
		t.Run(name, func(t *testing.T) {
			r := keep(c.status)
			out, _, err := AppendHead([]byte("before"), &r, c.packed, c.bodyLen, Own(ours))
			if !errors.Is(err, c.want) || string(out) != "before" {
				t.Errorf("%q %v, want %v", out, err, c.want)
			}
		})
	}
}

func TestPresetIsWhatTheGeneralWayWrites(t *testing.T) {
	for _, length := range []string{"0", "7", "1234567"} {
		n, _ := contentLength([]byte(length))
		for _, r := range []Reply{
			{200, 1, false, false, true}, {200, 1, false, false, false}, {200, 0, false, false, true},
			{200, 0, false, false, false}, {200, 1, true, false, true}, {422, 1, false, false, true}, {599, 1, false, false, true},
		} {
			want, _, err := AppendHead(nil, &r, pack("content-length", length, "content-type", "application/json"), n, Own(ours))
			if err != nil {
				t.Fatal(err)
			}
			got := AppendJSON(nil, r.Status, int(n), Own(ours), r.Minor, r.KeepAlive)
			if string(got) != string(want) {
				t.Errorf("%+v: %q, want %q", r, got, want)
			}
			if r.Status == 200 {
				if got := AppendJSON200(nil, int(n), Own(ours), r.Minor, r.KeepAlive); string(got) != string(want) {
					t.Errorf("%+v: %q, want %q", r, got, want)
				}
			}
		}
	}
}

func TestInterimReplies(t *testing.T) {
	if got := string(AppendContinue([]byte("x"))); got != "xHTTP/1.1 100 Continue\r\n\r\n" {
		t.Errorf("%q", got)
	}
	got, err := AppendEarlyHints([]byte("x"), pack("link", "</a>; rel=preload", "Link", "</b>"))
	if err != nil || string(got) != "xHTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\nLink: </b>\r\n\r\n" {
		t.Errorf("%q %v", got, err)
	}
	if got, err := AppendEarlyHints([]byte("x"), pack("link", "\r\n\r\nHTTP/1.1 200 OK")); !errors.Is(err, errReplyValue) || string(got) != "x" {
		t.Errorf("%q %v", got, err)
	}
}

func TestChunksAreReadBackByBody(t *testing.T) {
	var b []byte
	for _, part := range []string{"hello", "", " ", strings.Repeat("x", 300)} {
		b = AppendChunk(b, []byte(part))
	}
	b = append(append(AppendChunkHead(b, 3), "abc"...), "\r\n"...)
	b = AppendLastChunk(b)
	payload, n, done, err := sameBody(t, &chunkedHead, nil, b)
	if string(payload) != "hello "+strings.Repeat("x", 300)+"abc" || n != len(b) || !done {
		t.Errorf("%q %d %v %v", payload, n, done, err)
	}
}
