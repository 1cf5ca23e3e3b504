package wire

import "testing"

func post(lines string) string {
	return "POST / HTTP/1.1\r\nHost: a\r\n" + lines + "\r\n"
}

func TestContentLengthValues(t *testing.T) {
	for value, want := range map[string]int64{
		"0": 0, "5": 5, "00": 0, "0005": 5, "9223372036854775799": 9223372036854775799,
		" 7 \t": 7,
	} {
		if h := accept(t, post("Content-Length: "+value+"\r\n")); h.ContentLength != want || h.Chunked || h.HasBody() != (want > 0) {
			t.Errorf("%q: %+v", value, h)
		}
	}
	for _, value := range []string{
		"", " ", "+5", "-5", "-0", "5 5", "5,5", "5, 5", "5;5", "0x5", "5a", "a", "1e3", "5.0", "٥", "'5'", "\"5\"", "5_0",
		"9223372036854775808", "18446744073709551621", "99999999999999999999999999", "5\t5",
	} {
		refuse(t, post("Content-Length: "+value+"\r\n"), errLength)
	}
}

func TestSeveralContentLengthsHaveToAgree(t *testing.T) {
	h := accept(t, post("Content-Length: 5\r\ncontent-length: 5\r\nContent-Length: 05\r\n"))
	if h.ContentLength != 5 || len(h.Fields) != 4 {
		t.Errorf("%+v", h)
	}
	refuse(t, post("Content-Length: 5\r\nContent-Length: 6\r\n"), errLengthDiffers)
	refuse(t, post("Content-Length: 0\r\nContent-Length: 6\r\n"), errLengthDiffers)
	refuse(t, post("Content-Length: 5\r\nContent-Length: \r\n"), errLength)
}

func TestNoLengthMeansNoBody(t *testing.T) {
	if h := accept(t, post("")); h.ContentLength != -1 || h.HasBody() {
		t.Errorf("%+v", h)
	}
}

func TestChunkedIsTheOnlyTransferCoding(t *testing.T) {
	for _, lines := range []string{
		"Transfer-Encoding: chunked\r\n", "transfer-encoding:CHUNKED\r\n", "Transfer-Encoding:\t chunked \t\r\n",
		"Transfer-Encoding: , chunked\r\n", "Transfer-Encoding: chunked ,\r\n",
		"Transfer-Encoding: \r\nTransfer-Encoding: chunked\r\n",
	} {
		if h := accept(t, post(lines)); !h.Chunked || h.ContentLength != -1 || !h.HasBody() {
			t.Errorf("%q: %+v", lines, h)
		}
	}
	for _, value := range []string{
		"", ",", "identity", "gzip", "chunked, chunked", "chunked,chunked", "identity, chunked", "chunked, identity", "gzip, chunked",
		"chunked, gzip", "chunked;q=1", "chunked; a=b", "chunked chunked", "xchunked", "chunkedx", "chunke", "\"chunked\"", "'chunked'",
		"chunked;", "c hunked", "chunked\xa0", "\xefchunked",
	} {
		refuse(t, post("Transfer-Encoding: "+value+"\r\n"), errCoding)
	}
	refuse(t, post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), errCoding)
	refuse(t, post("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"), errCoding)
	refuse(t, post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"), errCoding)
}

func TestControlBytesHideNoTransferCoding(t *testing.T) {
	for _, line := range []string{"Transfer-Encoding:\x0bchunked\r\n", "Transfer-Encoding: chunked\x0c\r\n", "Transfer-Encoding: chunk\x00ed\r\n"} {
		refuse(t, post(line), errValueByte)
	}
	refuse(t, post("Transfer-Encoding : chunked\r\n"), errNameSpace)
	refuse(t, post("X: 1\nTransfer-Encoding: chunked\r\n"), errBareLF)
	refuse(t, post("X: 1\rTransfer-Encoding: chunked\r\n"), errBareCR)
	refuse(t, post("Transfer-Encoding:\r\n chunked\r\n"), errFold)
}

func TestTransferEncodingAndContentLengthExcludeEachOther(t *testing.T) {
	refuse(t, post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), errLengthCoding)
	refuse(t, post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), errLengthCoding)
	refuse(t, post("Transfer-Encoding: chunked\r\nX: 1\r\nContent-Length: 0\r\n"), errLengthCoding)
	refuse(t, post("Content-Length: 0\r\nTransfer-Encoding: identity\r\n"), errLengthCoding)
	refuse(t, post("Transfer-Encoding:\r\nContent-Length: 5\r\n"), errLengthCoding)
}

func TestHTTP10HasNoTransferEncoding(t *testing.T) {
	refuse(t, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", errCodingOld)
	refuse(t, "POST / HTTP/1.0\r\nTransfer-Encoding:\r\n\r\n", errCodingOld)
	if h := accept(t, "POST / HTTP/1.0\r\nContent-Length: 4\r\n\r\n"); h.ContentLength != 4 {
		t.Errorf("%+v", h)
	}
}

func TestKeepAlive(t *testing.T) {
	for _, c := range []struct {
		version, lines string
		want           bool
	}{
		{"1.1", "", true},
		{"1.1", "Connection: close\r\n", false},
		{"1.1", "connection: CLOSE\r\n", false},
		{"1.1", "Connection: keep-alive\r\n", true},
		{"1.1", "Connection: keep-alive, close\r\n", false},
		{"1.1", "Connection: close, keep-alive\r\n", false},
		{"1.1", "Connection: close\r\nConnection: keep-alive\r\n", false},
		{"1.1", "Connection: a\r\nConnection:  b ,\tclose\t, c\r\n", false},
		{"1.1", "Connection: ,,close\r\n", false},
		{"1.1", "Connection: closed\r\n", true},
		{"1.1", "Connection: x-close\r\n", true},
		{"1.1", "Connection: \"close\"\r\n", true},
		{"1.1", "Connection:\r\n", true},
		{"1.1", "Proxy-Connection: close\r\n", true},
		{"1.2", "", true},
		{"1.0", "", false},
		{"1.0", "Connection: keep-alive\r\n", true},
		{"1.0", "Connection: Keep-Alive\r\n", true},
		{"1.0", "Connection: a, keep-alive\r\n", true},
		{"1.0", "Connection: keep-alive, close\r\n", false},
		{"1.0", "Connection: keep-alive\r\nConnection: close\r\n", false},
		{"1.0", "Keep-Alive: timeout=5\r\n", false},
	} {
		h := accept(t, "GET / HTTP/"+c.version+"\r\nHost: a\r\n"+c.lines+"\r\n")
		if h.KeepAlive != c.want {
			t.Errorf("%s %q: %v", c.version, c.lines, h.KeepAlive)
		}
	}
}

func TestExpect100(t *testing.T) {
	const body = "Content-Length: 5\r\n"
	for _, c := range []struct {
		request string
		want    bool
	}{
		{post(body + "Expect: 100-continue\r\n"), true},
		{post("Expect: 100-Continue\r\n" + body), true},
		{post("expect:100-CONTINUE\r\nTransfer-Encoding: chunked\r\n"), true},
		{post(body + "Expect: 100-continue, 100-continue\r\n"), true},
		{post(body + "Expect: \r\n"), false},
		{post("Expect: 100-continue\r\n"), false},
		{post("Content-Length: 0\r\nExpect: 100-continue\r\n"), false},
		{"POST / HTTP/1.0\r\n" + body + "Expect: 100-continue\r\n\r\n", false},
		{"POST / HTTP/1.0\r\n" + body + "Expect: anything\r\n\r\n", false},
	} {
		if h := accept(t, c.request); h.Expect100 != c.want {
			t.Errorf("%q: %v", c.request, h.Expect100)
		}
	}
}

func TestWebSocketHandshakeIsNoticed(t *testing.T) {
	for _, c := range []struct {
		line, fields string
		upgrade      bool
	}{
		{"GET / HTTP/1.1", "Connection: Upgrade\r\nUpgrade: websocket\r\n", true},
		{"GET /?x HTTP/1.1", "Upgrade: WebSocket\r\nConnection: keep-alive, upgrade\r\n", true},
		{"GET http://a/ HTTP/1.1", "Connection: upgrade\r\nUpgrade: h2c, , websocket/13\r\n", true},
		{"GET / HTTP/1.1", "Connection: upgrade\r\nUpgrade: h2c\r\nUpgrade: websocket\r\n", true},
		// RFC 9110, 7.8: what else is offered is ignored.
		{"GET / HTTP/1.1", "Upgrade: websocket\r\n", false},
		{"GET / HTTP/1.1", "Connection: upgrade\r\n", false},
		{"GET / HTTP/1.1", "Connection: upgrade\r\nUpgrade:\r\n", false},
		{"GET / HTTP/1.1", "Connection: upgrade\r\nUpgrade: h2c, websockets, xwebsocket, websocket;13, web/websocket\r\n", false},
		{"GET / HTTP/1.0", "Connection: upgrade\r\nUpgrade: websocket\r\n", false},
		{"POST / HTTP/1.1", "Connection: upgrade\r\nUpgrade: websocket\r\n", false},
	} {
		s := c.line + "\r\nHost: a\r\n" + c.fields + "\r\n"
		if h := accept(t, s); h.WebSocket != c.upgrade {
			t.Errorf("%q: WebSocket is %v", s, h.WebSocket)
		}
	}
}
