package websocket

import (
	"strings"
	"testing"

	"turboapi/gosrc/bridge"
	"turboapi/gosrc/exchange"
	"turboapi/gosrc/wire"
)

const (
	upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\n"
	key     = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	version = "Sec-WebSocket-Version: 13\r\n"
)

// request fills a record with a handshake that has these fields.
func request(t *testing.T, fields string) (*bridge.Exchange, *wire.Head) {
	t.Helper()
	table, err := exchange.NewTable([]byte(`{"version":0,"routes":[{"barrier":true}]}`))
	if err != nil {
		t.Fatal(err)
	}
	b := []byte("GET /chat HTTP/1.1\r\nHost: x\r\n" + fields + "\r\n")
	var p wire.Parser
	h := new(wire.Head)
	p.Reset(&wire.Limits{})
	if done, refusal := p.Parse(b, h); !done || refusal != nil {
		t.Fatalf("%q: %v %v", fields, done, refusal)
	}
	x := bridge.Acquire()
	t.Cleanup(func() { bridge.Release(x) })
	table.Fill(x, h, b)
	if x.Flags&bridge.ReqWebSocket == 0 || x.Plan != bridge.PlanApp {
		t.Fatalf("%q: flags %x, plan %d", fields, x.Flags, x.Plan)
	}
	return x, h
}

func TestCheck(t *testing.T) {
	for fields, want := range map[string]*wire.Refusal{
		upgrade + key + version: nil,
		upgrade + key + version + "Sec-WebSocket-Protocol: a, b\r\n": nil,
		upgrade + key + version + "Sec-WebSocket-Protocol: \r\n":     errProtocols,
		upgrade + key + version + "Sec-WebSocket-Protocol: a b\r\n":  errProtocols,
		upgrade + key + version + "Sec-WebSocket-Extensions: ;\r\n":  errExtensions,
		upgrade + key + version + "Content-Length: 1\r\n":            errBody,
		upgrade + key + "Sec-WebSocket-Version: 8\r\n":               errVersion,
		upgrade + key:                                 errNoVersion,
		upgrade + key + version + version:             errVersions,
		upgrade + version:                             errNoKey,
		upgrade + version + key + key:                 errKeys,
		upgrade + version + "Sec-WebSocket-Key: \r\n": errKey,
		upgrade + version + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ\r\n":           errKey,
		upgrade + version + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZR==\r\n":         errKey,
		upgrade + version + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZWVl\r\n":         errKey,
		upgrade + version + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==x\r\n":        errKey,
		upgrade + version + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j ZQ==\r\n":        errKey,
		upgrade + version + "Sec-WebSocket-Key: " + strings.Repeat("x", 999) + "\r\n": errKey,
	} {
		x, h := request(t, fields)
		if got := Check(x, h); got != want {
			t.Errorf("%q: %v, not %v", fields, got, want)
		}
	}
}

func TestAccept(t *testing.T) {
	for offer, want := range map[string]string{
		"":                   "",
		"permessage-deflate": "permessage-deflate;server_no_context_takeover;client_no_context_takeover",
		"permessage-deflate; client_max_window_bits":                                 "permessage-deflate;server_no_context_takeover;client_no_context_takeover",
		"permessage-deflate; server_max_window_bits=10":                              "",
		"permessage-deflate; nonsense":                                               "",
		"x-other, permessage-deflate; server_max_window_bits=10, permessage-deflate": "permessage-deflate;server_no_context_takeover;client_no_context_takeover",
	} {
		fields := upgrade + key + version
		if offer != "" {
			fields += "Sec-WebSocket-Extensions: " + offer + "\r\n"
		}
		x, _ := request(t, fields)
		x.AppendField("sec-websocket-protocol", "chat")
		l := DefaultLimits()
		out, s, err := Accept([]byte("-"), x, &l, wire.Own("server: t\r\n"), 0)
		if err != nil {
			t.Fatal(err)
		}
		head := "-HTTP/1.1 101 Switching Protocols\r\nserver: t\r\nupgrade: websocket\r\nconnection: Upgrade\r\n" +
			"sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
		if want != "" {
			head += "sec-websocket-extensions: " + want + "\r\n"
		}
		if head += "sec-websocket-protocol: chat\r\n\r\n"; string(out) != head || s.deflate != (want != "") {
			t.Errorf("%q: %q, not %q", offer, out, head)
		}
	}
}

func TestAcceptWithFieldsThatCannotBeSent(t *testing.T) {
	x, _ := request(t, upgrade+key+version)
	x.AppendField("x-split", "a\r\nb: c")
	l := DefaultLimits()
	if out, s, err := Accept([]byte("-"), x, &l, nil, 0); err == nil || s != nil || string(out) != "-" {
		t.Errorf("%q, %v", out, err)
	}
}
