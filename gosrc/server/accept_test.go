package server

import (
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"turboapi/gosrc/transporttest"
)

// poor is a listener that has no descriptors for a while.
type poor struct {
	*net.TCPListener
	fails atomic.Int64
}

func (p *poor) Accept() (net.Conn, error) {
	if p.fails.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	return p.TCPListener.Accept()
}

func TestFailedAcceptsNeitherSpinNorEndTheServer(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &poor{TCPListener: ln.(*net.TCPListener)}
	const fails = 6
	p.fails.Store(fails)
	b := transporttest.Start(t, Open, transporttest.Config{}, hello)
	s := b.Tr.(*Server)
	b.Do(func() {
		s.listeners = append(s.listeners, p)
		s.accepting.Add(1)
	})
	began := time.Now()
	go s.accept(p) // stops at Close
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	ask(t, c, make([]byte, 4096))
	// 5 + 10 + 20 + ... ms: it waited in between.
	if d := time.Since(began); d < (1<<fails-1)*acceptPause {
		t.Errorf("served after %v", d)
	}
	if n := b.Host.Count.AcceptFails.Load(); n != fails {
		t.Errorf("%d failures were counted", n)
	}
	if log := string(b.Host.Log.Take()); strings.Count(log, `"msg"`) != 1 || !strings.Contains(log, fmt.Sprint(syscall.EMFILE)) {
		t.Errorf("the log is %q", log)
	}
}
