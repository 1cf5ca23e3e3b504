package transporttest

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"turboapi/gosrc/bridge"
	"turboapi/gosrc/core"
)

// Everything at once.
var wild = []suite{
	{"clients and lanes that do anything at any time", anything},
	{"a drain while clients do anything", drainUnderLoad},
}

// wildHandlers answer with the query string, each in another way.
func wildHandlers() map[string]func(*Call) {
	away := func(f func(c *Call, q string)) func(*Call) {
		return func(c *Call) {
			q := c.Query()
			c.Elsewhere(func(c *Call) { f(c, q) })
		}
	}
	pieces := func(c *Call, q string) {
		c.Head(200, "x-pieces", "1")
		c.Flush()
		for len(q) > 0 {
			n := (len(q) + 2) / 3
			c.Write([]byte(q[:n]))
			c.Flush()
			q = q[n:]
		}
		c.End()
	}
	return map[string]func(*Call){
		"/now":    func(c *Call) { c.Reply(200, c.Query()) },
		"/away":   away(func(c *Call, q string) { c.Reply(200, q) }),
		"/pieces": func(c *Call) { pieces(c, c.Query()) },
		"/late": func(c *Call) {
			q := c.Query()
			time.AfterFunc(time.Duration(len(q)%5)*time.Millisecond, func() {
				c.b.Post(func() {
					if !c.over {
						c.Reply(200, q)
					}
				})
			})
		},
		"/after": func(c *Call) { // answers, and keeps the exchange for a while
			q := c.Query()
			c.Head(200, "content-length", strconv.Itoa(len(q)))
			c.Write([]byte(q))
			c.Op(bridge.OpEnd)
			time.AfterFunc(time.Millisecond, func() {
				c.b.Post(func() {
					if !c.over {
						c.Release()
					}
				})
			})
		},
		"/body": func(c *Call) { c.ReadAll(func(b []byte) { c.Reply(200, string(b)) }) },
		"/deaf": func(c *Call) { c.Reply(200, c.Query()) }, // reads no body
		"/collect": func(c *Call) {
			b, _ := c.Take()
			s := string(b)
			c.Elsewhere(func(c *Call) { c.Reply(200, s) })
		},
		"/large": func(c *Call) { c.Reply(200, strings.Repeat(c.Query(), 20000)) },
		"/abort": func(c *Call) { c.Head(200); c.Write([]byte("x")); c.Flush(); c.Op(bridge.OpAbort); c.Release() },
	}
}

// wildRequest makes a random request and what its answer has to be.
func wildRequest(rnd *rand.Rand, name string) (request, want string) {
	switch path := []string{"/now", "/away", "/pieces", "/late", "/after", "/body", "/deaf", "/collect", "/large"}[rnd.IntN(9)]; path {
	case "/body", "/collect":
		body := strings.Repeat(name, rnd.IntN(2000))
		if rnd.IntN(2) == 0 || body == "" {
			return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body), body
		}
		cut := rnd.IntN(len(body)-1) + 1
		return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n%x;q=\"a\"\r\n%s\r\n0\r\n\r\n",
			path, cut, body[:cut], len(body)-cut, body[cut:]), body
	case "/deaf":
		n := rnd.IntN(3000)
		return fmt.Sprintf("POST /deaf?%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", name, n, strings.Repeat("d", n)), name
	case "/large":
		return fmt.Sprintf(get, path+"?"+name), strings.Repeat(name, 20000)
	default:
		return fmt.Sprintf(get, path+"?"+name), name
	}
}

func anything(t *testing.T, open core.Opener) {
	b := Start(t, open, Config{Table: bytesTable, MaxEvents: 8}, wildHandlers())
	const clients, connections, each = 16, 6, 8
	var wg sync.WaitGroup
	for i := range clients {
		wg.Add(1)
		go func() { // stops when its connections are over
			defer wg.Done()
			rnd := rand.New(rand.NewPCG(7, uint64(i)))
			for k := range connections {
				wildConnection(t, b, rnd, fmt.Sprintf("c%d-%d", i, k), each)
			}
		}()
	}
	wg.Wait()
	b.AwaitIdle()
}

// wildConnection sends requests in random pieces and leaves when it likes.
// Every answer that comes in whole has to be the right one.
func wildConnection(t *testing.T, b *Bench, rnd *rand.Rand, name string, n int) {
	conn, err := net.Dial(b.Addr.Network(), b.Addr.String())
	if err != nil {
		t.Error(err)
		return
	}
	_ = conn.SetDeadline(time.Now().Add(2 * patience))
	c := newClient(t, conn)
	var all strings.Builder
	var wants []string
	for i := range n {
		r, w := wildRequest(rnd, fmt.Sprintf("%s-%d", name, i))
		all.WriteString(r)
		wants = append(wants, w)
	}
	data := all.String()
	stays, cut := true, false
	switch rnd.IntN(4) {
	case 0: // leaves in the middle of sending
		data, stays, cut = data[:rnd.IntN(len(data))], false, true
	case 1: // leaves in the middle of reading
		wants, stays = wants[:rnd.IntN(len(wants))], false
	case 2: // has its last answer broken off, or its last request refused
		data += []string{fmt.Sprintf(get, "/abort"), "BAD\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\nN : v\r\n\r\n"}[rnd.IntN(3)]
	}
	cuts := rand.New(rand.NewPCG(rnd.Uint64(), 1))
	sent := make(chan struct{})
	go func() { // stops when all is sent or the connection is over
		defer close(sent)
		for rest := data; len(rest) > 0; {
			m := min(1+cuts.IntN(6000), len(rest))
			if _, err := io.WriteString(conn, rest[:m]); err != nil {
				return
			}
			rest = rest[m:]
		}
		if cut {
			// Else it would wait for answers to what it has not sent.
			_ = conn.(*net.TCPConn).CloseWrite()
		}
	}()
	for i, w := range wants {
		r, err := c.read("GET")
		if err != nil {
			if stays {
				t.Errorf("%s: answer %d: %.200q, %v", name, i, r.Raw, err)
			}
			break
		}
		if r.Status != 200 || string(r.Body) != w {
			t.Errorf("%s: answer %d is %.100q, want %.60q", name, i, r.Raw, w)
			break
		}
	}
	if rnd.IntN(2) == 0 {
		reset(c)
	} else {
		conn.Close()
	}
	<-sent
}

func drainUnderLoad(t *testing.T, open core.Opener) {
	for round := range 8 {
		b := Start(t, open, Config{Table: bytesTable}, wildHandlers())
		var wg sync.WaitGroup
		for i := range 12 {
			conn, err := net.Dial(b.Addr.Network(), b.Addr.String())
			if err != nil {
				t.Fatal(err)
			}
			_ = conn.SetDeadline(time.Now().Add(2 * patience))
			c := newClient(t, conn)
			wg.Add(1)
			go func() { // stops when the server has drained
				defer wg.Done()
				defer conn.Close()
				for k := 0; ; k++ {
					want := fmt.Sprintf("r%d-%d-%d", round, i, k)
					path := []string{"/now", "/away", "/pieces", "/late"}[k%4]
					if _, err := fmt.Fprintf(conn, get, path+"?"+want); err != nil {
						return
					}
					r, err := c.read("GET")
					if err != nil {
						// Closed between two requests: nothing of an answer came.
						if len(r.Raw) > 0 || isTimeout(err) {
							t.Errorf("got %.100q and %v", r.Raw, err)
						}
						return
					}
					if string(r.Body) != want {
						t.Errorf("got %q, want %q", r.Body, want)
						return
					}
				}
			}()
		}
		Await(t, func() bool { return b.Requests.Load() > 100 }, func() string { return "no load" })
		b.Do(func() { b.Tr.Drain() })
		wg.Wait()
		b.AwaitIdle()
		if n := b.Host.Count.Requests.Load() - b.Host.Count.Responses.Load(); n != 0 {
			t.Errorf("%d requests were read and not answered", n)
		}
		b.Close()
	}
}
