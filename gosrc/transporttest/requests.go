package transporttest

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"turboapi/gosrc/core"
)

// What a client may send, in whatever pieces.
var requests = []suite{
	{"one request after the other", oneAfterTheOther},
	{"a Unix socket", unixSocket},
	{"pipelined requests are answered in order", pipelined},
	{"answers are in order, whatever lane is first", pipelinedOutOfOrder},
	{"a request split at every byte", splitEverywhere},
	{"byte by byte", byteByByte},
	{"an answer is not held back by half a request", notHeldBack},
	{"Connection: close and HTTP/1.0", closes},
	{"addresses reach the exchange", addresses},
	{"a long path of a Unix socket reaches the exchange", longPath},
	{"many clients, random pieces and pipelining", crowd},
	{"a large head", largeHead},
}

var plain = map[string]func(*Call){
	"/": func(c *Call) { c.JSON(`{"a":1}`) },
	"/echo": func(c *Call) {
		c.ReadAll(func(body []byte) { c.Reply(200, string(body)) })
	},
	"/name": func(c *Call) { c.Reply(200, c.Query()) },
	"/away": func(c *Call) {
		body := c.Query()
		c.Elsewhere(func(c *Call) { c.Reply(200, body) })
	},
}

// On has all options of a usual server switched on.
var On = core.Options{Server: "turboapi", DateHeader: true}

func oneAfterTheOther(t *testing.T, open core.Opener) {
	b := Start(t, open, Config{Options: On}, plain)
	c := b.Dial()
	for range 3 {
		c.Send(fmt.Sprintf(get, "/"))
		r := c.Expect("GET", 200, `{"a":1}`)
		if r.Get("content-type") != "application/json" || r.Get("connection") != "" || r.Get("date") == "" {
			t.Errorf("head is %q", r.Raw)
		}
		c.Send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
		c.Expect("POST", 200, "abc")
		c.Send(fmt.Sprintf(get, "/away?q"))
		c.Expect("GET", 200, "q")
		c.Send("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
		if r := c.Expect("HEAD", 200, ""); r.Get("content-length") != "7" {
			t.Errorf("HEAD is answered with %q", r.Raw)
		}
	}
	if n := b.Host.Count.Requests.Load(); n != 12 {
		t.Errorf("%d requests were counted", n)
	}
	// Counted when they are written, which the client may see first.
	Await(t, func() bool { return b.Host.Count.Responses.Load() == 12 }, func() string {
		return fmt.Sprintf("%d responses were counted", b.Host.Count.Responses.Load())
	})
}

func unixSocket(t *testing.T, open core.Opener) {
	b := Start(t, open, Config{Unix: true}, plain)
	c := b.Dial()
	for i := range 3 {
		c.Send(fmt.Sprintf(get, fmt.Sprint("/name?", i)))
		c.Expect("GET", 200, fmt.Sprint(i))
	}
}

func pipelined(t *testing.T, open core.Opener) {
	b := Start(t, open, Config{}, plain)
	c := b.Dial()
	const n = 500
	var all strings.Builder
	for i := range n {
		fmt.Fprintf(&all, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n%04d", i)
	}
	go c.Send(all.String()) // stops when it is sent, or the test's end closes the connection
	for i := range n {
		c.Expect("POST", 200, fmt.Sprintf("%04d", i))
	}
}

func pipelinedOutOfOrder(t *testing.T, open core.Opener) {
	var mu sync.Mutex
	var order []string
	release := make(chan struct{})
	b := Start(t, open, Config{}, map[string]func(*Call){
		"/slow": func(c *Call) {
			c.Elsewhere(func(c *Call) {
				<-release
				mu.Lock()
				order = append(order, "slow")
				mu.Unlock()
				c.Reply(200, "slow")
			})
		},
		"/fast": func(c *Call) {
			mu.Lock()
			order = append(order, "fast")
			mu.Unlock()
			c.Reply(200, "fast")
		},
	})
	c := b.Dial()
	c.Send(fmt.Sprintf(get, "/slow") + fmt.Sprintf(get, "/fast"))
	Await(t, func() bool { return b.Requests.Load() == 1 }, func() string { return "the first request did not arrive" })
	close(release)
	c.Expect("GET", 200, "slow")
	c.Expect("GET", 200, "fast")
	mu.Lock()
	defer mu.Unlock()
	if fmt.Sprint(order) != "[slow fast]" {
		t.Errorf("the lanes had them in the order %v", order)
	}
}

const chunkedRequest = "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;e=1\r\nde\r\n0\r\nt: v\r\n\r\n"

func splitEverywhere(t *testing.T, open core.Opener) {
	b := Start(t, open, Config{}, plain)
	c := b.Dial()
	for i := 1; i < len(chunkedRequest); i++ {
		c.Send(chunkedRequest[:i])
		b.awaitRead(int64(i*len(chunkedRequest) - len(chunkedRequest) + i))
		c.Send(chunkedRequest[i:])
		c.Expect("POST", 200, "abcde")
	}
}

// awaitRead waits until the server has read n bytes in all.
func (b *Bench) awaitRead(n int64) {
	b.T.Helper()
	Await(b.T, func() bool { return b.Host.Count.BytesIn.Load() >= n }, func() string {
		return fmt.Sprintf("%d bytes were read, not %d", b.Host.Count.BytesIn.Load(), n)
	})
}

func byteByByte(t *testing.T, open core.Opener) {
	b := Start(t, open, Config{}, plain)
	c := b.Dial()
	for i := range len(chunkedRequest) {
		c.Send(chunkedRequest[i : i+1])
		b.awaitRead(int64(i + 1))
	}
	c.Expect("POST", 200, "abcde")
}

func notHeldBack(t *testing.T, open core.Opener) {
	b := Start(t, open, Config{}, plain)
	c := b.Dial()
	c.Send(fmt.Sprintf(get, "/name?1") + "GET /name?2 HTTP/1.1\r\nHo")
	c.Expect("GET", 200, "1")
	c.Send("st: x\r\n\r\n")
	c.Expect("GET", 200, "2")
	c.Send(fmt.Sprintf(get, "/name?3") + "\r\n")
	c.Expect("GET", 200, "3")
	c.Send("\r\n" + fmt.Sprintf(get, "/name?4"))
	c.Expect("GET", 200, "4")
}

func closes(t *testing.T, open core.Opener) {
	b := Start(t, open, Config{}, plain)
	for _, request := range []string{
		"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
		"GET / HTTP/1.0\r\n\r\n",
		"POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 7\r\n\r\n{\"a\":1}",
		"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		c := b.Dial()
		c.Send(request)
		if r := c.Expect("GET", 200, `{"a":1}`); r.Get("connection") != "close" {
			t.Errorf("%q is answered with %q", request, r.Raw)
		}
		c.ExpectEnd()
	}
	c := b.Dial()
	for range 2 {
		c.Send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
		if r := c.Expect("GET", 200, `{"a":1}`); r.Get("connection") != "keep-alive" {
			t.Errorf("HTTP/1.0 keep-alive is answered with %q", r.Raw)
		}
	}
}

// showAddresses answers with the addresses of the exchange.
var showAddresses = map[string]func(*Call){"/": func(c *Call) {
	x := c.X()
	text := func(b []byte) string { return string(b[:strings.IndexByte(string(b), 0)]) }
	c.Reply(200, fmt.Sprintf("%s:%d %s:%d", text(x.ClientHost[:]), x.ClientPort, text(x.ServerHost[:]), x.ServerPort))
}}

func addresses(t *testing.T, open core.Opener) {
	b := Start(t, open, Config{}, showAddresses)
	c := b.Dial()
	c.Send(fmt.Sprintf(get, "/"))
	c.Expect("GET", 200, c.LocalAddr().String()+" "+c.RemoteAddr().String())
}

func longPath(t *testing.T, open core.Opener) {
	b := Start(t, open, Config{Unix: true}, showAddresses)
	path, c := b.Addr.String(), b.Dial()
	if len(path) != unixPathMax {
		t.Fatalf("the path is %q", path)
	}
	for range 2 {
		c.Send(fmt.Sprintf(get, "/"))
		c.Expect("GET", 200, ":0 "+path+":0")
	}
}

func crowd(t *testing.T, open core.Opener) {
	b := Start(t, open, Config{}, plain)
	const clients, each = 40, 60
	var wg sync.WaitGroup
	for i := range clients {
		c := b.Dial()
		wg.Add(1)
		go func() {
			defer wg.Done()
			rnd := rand.New(rand.NewPCG(1, uint64(i)))
			var all []byte
			var want []string
			for k := range each {
				name := fmt.Sprintf("%d-%d-%s", i, k, strings.Repeat("z", rnd.IntN(300)))
				switch rnd.IntN(4) {
				case 0:
					all = fmt.Appendf(all, get, "/name?"+name)
				case 1:
					all = fmt.Appendf(all, get, "/away?"+name)
				case 2:
					all = fmt.Appendf(all, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(name), name)
				default:
					cut := rnd.IntN(len(name)-1) + 1
					all = fmt.Appendf(all, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n",
						cut, name[:cut], len(name)-cut, name[cut:])
				}
				want = append(want, name)
			}
			sent := make(chan struct{})
			go func() { // stops when all is sent, or the test's end closes the connection
				defer close(sent)
				for len(all) > 0 {
					n := min(1+rnd.IntN(700), len(all))
					if _, err := c.Write(all[:n]); err != nil {
						t.Errorf("client %d: %v", i, err)
						return
					}
					all = all[n:]
				}
			}()
			for k, w := range want {
				r, err := c.read("GET")
				if err != nil || r.Status != 200 || string(r.Body) != w {
					t.Errorf("client %d, answer %d: %.100q, %v, want %.60q", i, k, r.Raw, err, w)
					break
				}
			}
			c.Close()
			<-sent
		}()
	}
	wg.Wait()
	b.AwaitIdle()
}

func largeHead(t *testing.T, open core.Opener) {
	b := Start(t, open, Config{}, map[string]func(*Call){"/": func(c *Call) {
		c.Reply(200, fmt.Sprint(len(c.Header("x-large"))))
	}})
	c := b.Dial()
	for _, n := range []int{3000, 10000, 60000, 10} {
		c.Send("GET / HTTP/1.1\r\nHost: x\r\nX-Large: " + strings.Repeat("l", n) + "\r\n\r\n")
		c.Expect("GET", 200, fmt.Sprint(n))
	}
}
