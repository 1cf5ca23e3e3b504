package wire

import "testing"

const smallRequest = "GET /path HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n\r\n"

// browserRequest has what a browser sends with a click on a link.
const browserRequest = "GET /catalogue/books?page=2&sort=title HTTP/1.1\r\n" +
	"Host: www.example.com\r\n" +
	"Connection: keep-alive\r\n" +
	"sec-ch-ua: \"Chromium\";v=\"130\", \"Not?A_Brand\";v=\"99\"\r\n" +
	"sec-ch-ua-mobile: ?0\r\n" +
	"sec-ch-ua-platform: \"Linux\"\r\n" +
	"Upgrade-Insecure-Requests: 1\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36\r\n" +
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n" +
	"Sec-Fetch-Site: same-origin\r\n" +
	"Sec-Fetch-Mode: navigate\r\n" +
	"Sec-Fetch-User: ?1\r\n" +
	"Sec-Fetch-Dest: document\r\n" +
	"Referer: https://www.example.com/catalogue/\r\n" +
	"Accept-Encoding: gzip, deflate, br, zstd\r\n" +
	"Cookie: session=3f9a6c1e52b84d07; theme=dark\r\n\r\n"

const postRequest = "POST /items HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nContent-Type: application/json\r\nContent-Length: 43\r\n\r\n"

func benchHead(b *testing.B, request string) {
	buf := []byte(request)
	var p Parser
	var h Head
	b.ReportAllocs()
	b.SetBytes(int64(len(buf)))
	for b.Loop() {
		p.Reset(nil)
		if done, _ := p.Parse(buf, &h); !done {
			b.Fatal("not accepted")
		}
	}
}

func BenchmarkHeadSmall(b *testing.B)   { benchHead(b, smallRequest) }
func BenchmarkHeadPost(b *testing.B)    { benchHead(b, postRequest) }
func BenchmarkHeadBrowser(b *testing.B) { benchHead(b, browserRequest) }

// BenchmarkHeadBytewise is the slowest client: a call for every byte.
func BenchmarkHeadBytewise(b *testing.B) {
	buf := []byte(browserRequest)
	var p Parser
	var h Head
	b.ReportAllocs()
	b.SetBytes(int64(len(buf)))
	for b.Loop() {
		p.Reset(nil)
		for n := range buf {
			p.Parse(buf[:n+1], &h)
		}
	}
}

func BenchmarkBodyChunked(b *testing.B) {
	var body []byte
	for range 64 {
		body = AppendChunk(body, make([]byte, 1000))
	}
	body = AppendLastChunk(body)
	h := Head{Chunked: true}
	var d Body
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		d.Reset(&h, nil)
		for src := body; !d.Done(); {
			_, n, err := d.Next(src)
			if err != nil {
				b.Fatal(err)
			}
			src = src[n:]
		}
	}
}

func BenchmarkReplyJSON200(b *testing.B) {
	c := NewClock(true, "turboapi")
	date := c.Own()
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		out = AppendJSON200(out[:0], 27, date, 1, true)
	}
}

func BenchmarkReplyHead(b *testing.B) {
	c := NewClock(true, "turboapi")
	date := c.Own()
	packed := pack("content-length", "27", "content-type", "application/json", "x-request-id", "5f0c1a")
	r := Reply{Status: 200, Minor: 1, KeepAlive: true}
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		out, _, _ = AppendHead(out[:0], &r, packed, 27, date)
	}
}

func BenchmarkClockOwn(b *testing.B) {
	c := NewClock(true, "turboapi")
	b.ReportAllocs()
	for b.Loop() {
		c.Own()
	}
}

func BenchmarkUnescape(b *testing.B) {
	src := []byte("/items/caf%C3%A9%20au%20lait/42")
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		out = AppendUnescaped(out[:0], src)
	}
}
