package server

import (
	"fmt"
	"testing"

	"turboapi/gosrc/exchange"
	"turboapi/gosrc/transporttest"
)

func TestTransport(t *testing.T) { transporttest.Run(t, Open) }

const (
	oldTable = `{"version":1,"cors":false,"redirect_slashes":false,"root_path":"",
		"not_found":{"status":404,"fields":[],"body":"none"},"routes":[],"plans":[]}`
	newTable = `{"version":2,"cors":false,"redirect_slashes":false,"root_path":"",
		"not_found":null,"routes":[],"plans":[]}`
)

func TestStaticAnswerOfATableThatWasReplacedIsNotGiven(t *testing.T) {
	b := transporttest.Start(t, Open, transporttest.Config{Table: oldTable}, map[string]func(*transporttest.Call){
		"/new": func(c *transporttest.Call) { c.ReadAll(func(body []byte) { c.Reply(200, string(body)) }) },
	})
	c := b.Dial()
	c.Send("GET /new HTTP/1.1\r\nHost: x\r\n\r\n")
	c.Expect("GET", 404, "none")
	table, err := exchange.NewTable([]byte(newTable))
	if err != nil {
		t.Fatal(err)
	}
	read := b.Host.Count.Requests.Load()
	busy, release := make(chan struct{}), make(chan struct{})
	b.Post(func() {
		close(busy)
		<-release
		b.Host.SetTable(table)
	})
	<-busy // else the loop may take the request's turn first
	body := string(make([]byte, 100000))
	c.Send(fmt.Sprintf("POST /new HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
	// Read and routed by the old table while the loop is busy.
	transporttest.Await(t, func() bool { return b.Host.Count.Requests.Load() > read }, func() string { return "no request" })
	close(release)
	c.Expect("POST", 200, body)
}
