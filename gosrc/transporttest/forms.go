package transporttest

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"turboapi/gosrc/bridge"
	"turboapi/gosrc/core"
)

// Forms, which are read as they arrive.
var forms = []suite{
	{"a form is read before it is dispatched", formRead},
	{"a large file goes to disk, whatever the body limit", formSpooled},
	{"a form that is not understood is streamed from there on", formOdd},
	{"a form of a client that leaves leaves nothing", formLeft},
	{"a form with a malformed chunk leaves nothing", formMalformed},
	{"a form is asked for with 100 Continue", formContinue},
}

// formTable reads the form of POST /form.
func formTable() string {
	return fmt.Sprintf(`{"version":1,"cors":false,"redirect_slashes":false,"root_path":"","not_found":null,
	"routes":[{"path":"/form","methods":["POST"],"plan":0},{"barrier":true}],
	"plans":[{"id":0,"body":"form","max_body":null,"params":[],"form":{"files":3,"fields":3,"part":1000,
	"url_fields":null,"url_part":null,"spool":100000,"dir":%q}}]}`, os.TempDir())
}

// formBody is a form with a field and a file.
func formBody(data []byte) string {
	return "--XX\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb\r\n" +
		"--XX\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x\"\r\n\r\n" + string(data) + "\r\n--XX--\r\n"
}

func formPost(body string) string {
	return fmt.Sprintf("POST /form HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=XX\r\nContent-Length: %d\r\n\r\n%s",
		len(body), body)
}

func chunked(body string, size int) string {
	var b strings.Builder
	b.WriteString("POST /form HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=XX\r\nTransfer-Encoding: chunked\r\n\r\n")
	for len(body) > 0 {
		n := min(size, len(body))
		fmt.Fprintf(&b, "%x\r\n%s\r\n", n, body[:n])
		body = body[n:]
	}
	b.WriteString("0\r\n\r\n")
	return b.String()
}

// whole gives the application's view of a form: the body as it came.
func whole(c *Call, done func(body []byte)) {
	var before bytes.Buffer
	body, from := c.X().BodyBytes(), uint64(0)
	for _, f := range c.X().SpoolList() {
		before.Write(body[from:f.At])
		before.Write(spooled(f))
		from = f.At
	}
	before.Write(body[from:])
	if c.X().Flags&bridge.ReqBodyEnd != 0 {
		done(before.Bytes())
		return
	}
	c.X().BodyLen = 0
	c.ReadAll(func(rest []byte) { done(append(before.Bytes(), rest...)) })
}

func spooled(f bridge.Spool) []byte {
	b := make([]byte, f.Len)
	n, _ := unix.Pread(int(f.FD), b, 0)
	return b[:n]
}

// formBench answers with what it got: "form" and the sum of its last part, or
// "app" and the sum of the body.
func formBench(t *testing.T, open core.Opener, change func(*core.Limits)) *Bench {
	return Start(t, open, Config{Table: formTable(), Limits: change}, map[string]func(*Call){"/form": func(c *Call) {
		x := c.X()
		if x.Flags&bridge.ReqForm == 0 {
			if x.Flags&bridge.ReqOdd == 0 {
				t.Error("no form, and not odd")
			}
			whole(c, func(body []byte) { c.Reply(200, "app "+sum(body)) })
			return
		}
		if x.Flags&(bridge.ReqOdd|bridge.ReqBodyEnd) != bridge.ReqBodyEnd {
			t.Errorf("flags %#x", x.Flags)
		}
		parts := x.PartList()
		p := parts[len(parts)-1]
		data := x.BodyRoom(0)[p.Value.Off : p.Value.Off+p.Value.Len]
		if p.Kind == bridge.PartSpooled {
			data = spooled(x.SpoolList()[p.File])
		}
		c.Reply(200, fmt.Sprintf("form %d %d %s", len(parts), p.Kind, sum(data)))
	}})
}

func formRead(t *testing.T, open core.Opener) {
	b := formBench(t, open, nil)
	c := b.Dial()
	for _, n := range []int{0, 1, 3000, 70000, 100000, 100001, 400000} {
		data := pattern(n)
		kind := bridge.PartFile
		if n > 100000 {
			kind = bridge.PartSpooled
		}
		want := fmt.Sprintf("form 2 %d %s", kind, sum(data))
		go c.Send(formPost(formBody(data)))
		c.Expect("POST", 200, want)
		for _, size := range []int{1000, 5000, 1 << 20} {
			go c.Send(chunked(formBody(data), size))
			c.Expect("POST", 200, want)
		}
	}
	c.Send("POST /form HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 9\r\n\r\na=1&b=%20")
	c.Expect("POST", 200, "form 2 0 "+sum([]byte(" ")))
	// Not a form: nothing of it is read before the lane has it.
	c.Send("POST /form HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\na=1")
	c.Expect("POST", 200, "app "+sum([]byte("a=1")))
	c.Send("POST /form HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n")
	c.Expect("POST", 200, "app "+sum(nil))
}

func formSpooled(t *testing.T, open core.Opener) {
	b := formBench(t, open, func(l *core.Limits) { l.Body = 200000 })
	c := b.Dial()
	data := pattern(5 << 20)
	go c.Send(formPost(formBody(data)))
	c.Expect("POST", 200, fmt.Sprintf("form 2 %d %s", bridge.PartSpooled, sum(data)))
}

func formOdd(t *testing.T, open core.Opener) {
	// In memory no more than the limit, so that a form of small files is odd, too.
	b := formBench(t, open, func(l *core.Limits) { l.Body = 250000 })
	c := b.Dial()
	good := formBody(pattern(3 << 20))
	files := strings.Repeat("--XX\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x\"\r\n\r\n"+string(pattern(90000))+"\r\n", 3)
	for name, body := range map[string]string{
		"at once":               "x" + good,
		"behind the file":       strings.TrimSuffix(good, "--\r\n") + "!" + good,
		"a field that is long":  strings.TrimSuffix(good, "--\r\n") + "\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n" + string(pattern(1<<20)) + good,
		"four files":            strings.Repeat(strings.TrimSuffix(good, "--XX--\r\n"), 4) + "--XX--\r\n",
		"too much for memory":   files + "--XX--\r\n",
		"cut":                   good[:2<<20],
		"nothing but the start": "--XX\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			go c.Send(formPost(body))
			c.Expect("POST", 200, "app "+sum([]byte(body)))
			go c.Send(chunked(body, 60000))
			c.Expect("POST", 200, "app "+sum([]byte(body)))
		})
	}
}

func formLeft(t *testing.T, open core.Opener) {
	b := formBench(t, open, nil)
	b.Dial().Close()
	before := openFiles(t)
	body := formPost(formBody(pattern(3 << 20)))
	var all []*Client
	for range 5 {
		c := b.Dial()
		c.Send(body[:2<<20])
		all = append(all, c)
	}
	Await(t, func() bool { return spoolFiles(t) == 5 }, func() string { return "the files are not on disk" })
	for i, c := range all {
		if i%2 == 0 {
			if tcp, ok := c.Conn.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0) // a reset
			}
		}
		c.Close()
	}
	Await(t, func() bool { return spoolFiles(t) == 0 && openFiles(t) <= before }, func() string {
		return fmt.Sprintf("%d files and %d descriptors are left of %d", spoolFiles(t), openFiles(t), before)
	})
	if n := b.Requests.Load(); n != 0 {
		t.Errorf("%d requests were dispatched", n)
	}
}

func formMalformed(t *testing.T, open core.Opener) {
	b := formBench(t, open, nil)
	c := b.Dial()
	body := chunked(formBody(pattern(1 << 20))[:600000], 60000)
	c.Send(strings.TrimSuffix(body, "0\r\n\r\n") + "zz\r\n")
	if r := c.Read("POST"); r.Status != 400 {
		t.Errorf("got %q", r.Raw)
	}
	Await(t, func() bool { return spoolFiles(t) == 0 }, func() string { return "a file is left" })
}

func formContinue(t *testing.T, open core.Opener) {
	b := formBench(t, open, nil)
	c := b.Dial()
	body := formBody([]byte("hello"))
	head, _, _ := strings.Cut(formPost(body), "\r\n\r\n")
	c.Send(head + "\r\nExpect: 100-continue\r\n\r\n")
	if r := c.Read("POST"); r.Status != 100 {
		t.Fatalf("got %q", r.Raw)
	}
	c.Send(body)
	c.Expect("POST", 200, fmt.Sprintf("form 2 %d %s", bridge.PartFile, sum([]byte("hello"))))
	// What cannot be a form is the application's when its first bytes are there.
	c.Send(strings.Replace(head, fmt.Sprint(len(body)), "5", 1) + "\r\nExpect: 100-continue\r\n\r\n")
	if r := c.Read("POST"); r.Status != 100 {
		t.Fatalf("got %q", r.Raw)
	}
	c.Send("hello")
	c.Expect("POST", 200, "app "+sum([]byte("hello")))
}

// openFiles is the number of descriptors of the process; spoolFiles of those, the
// files without a name.
func openFiles(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip(err)
	}
	return len(list)
}

func spoolFiles(t *testing.T) (n int) {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip(err)
	}
	for _, e := range list {
		to, _ := os.Readlink("/proc/self/fd/" + e.Name())
		if strings.HasSuffix(to, " (deleted)") {
			n++
		}
	}
	return n
}
