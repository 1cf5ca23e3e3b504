package reactor

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"turboapi/gosrc/bridge"
)

// formTable reads the form of POST /f and gives the rest to the application.
func formTable() []byte {
	return fmt.Appendf(nil, `{"version":1,"plans":[{"id":0,"body":"form","params":[],"form":{"files":9,"fields":9,"part":1000,
	"url_fields":null,"url_part":null,"spool":1000,"dir":%q}}],"routes":[{"path":"/f","methods":["POST"],"plan":0},{"barrier":true}]}`, os.TempDir())
}

// upload is a request with a file of n bytes.
func upload(n int) string {
	body := "--XX\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x\"\r\n\r\n" + strings.Repeat("x", n) + "\r\n--XX--\r\n"
	return fmt.Sprintf("POST /f HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=XX\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// files answers with the number of bytes in files.
func files(l *lane, ev bridge.Event) {
	if ev.Kind != bridge.EvRequest {
		return
	}
	n := uint64(0)
	for _, s := range ev.X.SpoolList() {
		n += s.Len
	}
	l.answer(ev.X, 200, fmt.Appendf(nil, "%d", n))
}

// blockDisk has all spoolers busy until the returned function is called, as if
// each waited for a disk.
func blockDisk(l *lane) (unblock func()) {
	s := &l.r.spoolers
	s.Lock()
	s.running += maxSpoolers
	s.Unlock()
	return func() {
		for range maxSpoolers {
			go l.r.runSpooler()
		}
	}
}

func (l *lane) spooling() int {
	l.r.spoolers.Lock()
	defer l.r.spoolers.Unlock()
	return len(l.r.spoolers.queue)
}

func TestABlockedDiskBlocksNobodyElse(t *testing.T) {
	l := start(t, withTable(formTable()), withHandler(files))
	unblock := blockDisk(l)
	var all []*client
	for range 2 * maxSpoolers {
		c := l.dial()
		go c.send("%s", upload(8<<20)) // more than the socket holds
		all = append(all, c)
	}
	eventually(t, "they wait for the disk", func() bool { return l.spooling() == len(all) })
	l.settle()
	read := l.host.Count.BytesIn.Load()
	other := l.dial()
	for range 10 {
		other.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		other.expect(200, "0")
	}
	// Nothing more is read of them: their clients are held up, not our memory.
	if n := l.host.Count.BytesIn.Load() - read; n > 1000 {
		t.Errorf("%d bytes were read meanwhile", n)
	}
	unblock()
	for _, c := range all {
		c.expect(200, fmt.Sprint(8<<20))
		c.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n") // the connection goes on
		c.expect(200, "0")
	}
	eventually(t, "the spoolers have ended", func() bool {
		l.r.spoolers.Lock()
		defer l.r.spoolers.Unlock()
		return l.r.spoolers.running == 0
	})
}

func TestRequestsBehindAnUpload(t *testing.T) {
	l := start(t, withTable(formTable()), withHandler(files))
	c := l.dial()
	for _, n := range []int{1001, 5000, 100 << 10, 3 << 20} {
		go c.send("%s", strings.Repeat(upload(n), 3)+"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		for range 3 {
			c.expect(200, fmt.Sprint(n))
		}
		c.expect(200, "0")
	}
}

func TestClientThatLeavesWhileTheDiskIsWaitedFor(t *testing.T) {
	for name, reset := range map[string]bool{"FIN": false, "RST": true} {
		for what, request := range map[string]string{"half": upload(100 << 10)[:50<<10], "whole": upload(100 << 10)} {
			t.Run(name+" "+what, func(t *testing.T) {
				before := descriptors(t)
				l := start(t, withTable(formTable()), withHandler(files))
				unblock := blockDisk(l)
				c := l.dial()
				c.send("%s", request)
				eventually(t, "it waits for the disk", func() bool { return l.spooling() == 1 })
				if reset {
					_ = c.Conn.(*net.TCPConn).SetLinger(0)
				}
				c.Close()
				l.settle()
				unblock()
				l.alone(t)
				l.do(l.r.Close)
				eventually(t, "nothing is open", func() bool { return descriptors(t) <= before+8 && l.r.live.Load() == 0 })
			})
		}
	}
}

// Close does not wait for a disk; who has written closes what is left.
func TestCloseWhileTheDiskIsWaitedFor(t *testing.T) {
	l := start(t, withTable(formTable()), withHandler(files))
	unblock := blockDisk(l)
	for _, n := range []int{2000, 100 << 10} {
		l.dial().send("%s", upload(n))
	}
	eventually(t, "they wait for the disk", func() bool { return l.spooling() == 2 })
	l.do(l.r.Close)
	if n := l.host.Count.Connections.Load(); n != 2 {
		t.Errorf("%d connections", n)
	}
	unblock()
	l.alone(t)
	eventually(t, "the exchanges are back", func() bool { return l.r.live.Load() == 0 })
}

func TestPanicOfASpoolerCostsItsConnectionOnly(t *testing.T) {
	l := start(t, withTable(formTable()), withHandler(files))
	unblock := blockDisk(l)
	c := l.dial()
	c.send("%s", upload(2000))
	eventually(t, "it waits for the disk", func() bool { return l.spooling() == 1 })
	l.r.spoolers.queue[0].in.form = nil
	unblock()
	l.alone(t)
	other := l.dial()
	other.send("%s", upload(2000))
	other.expect(200, "2000")
	if n := l.host.Count.Panics.Swap(0); n != 1 {
		t.Errorf("%d panics", n)
	}
}
