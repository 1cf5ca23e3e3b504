package websocket

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"strings"

	"github.com/gobwas/httphead"
	"github.com/gobwas/ws/wsflate"

	"turboapi/gosrc/bridge"
	"turboapi/gosrc/wire"
)

// Refusals of a handshake (RFC 6455, 4.2.1 and 4.4).
var (
	errBody       = &wire.Refusal{Status: 400, Detail: "A WebSocket handshake has no body"}
	errVersion    = &wire.Refusal{Status: 426, Detail: "WebSocket version not supported"}
	errNoVersion  = &wire.Refusal{Status: 400, Detail: "Missing Sec-WebSocket-Version header"}
	errVersions   = &wire.Refusal{Status: 400, Detail: "More than one Sec-WebSocket-Version header"}
	errNoKey      = &wire.Refusal{Status: 400, Detail: "Missing Sec-WebSocket-Key header"}
	errKeys       = &wire.Refusal{Status: 400, Detail: "More than one Sec-WebSocket-Key header"}
	errKey        = &wire.Refusal{Status: 400, Detail: "Invalid Sec-WebSocket-Key header"}
	errProtocols  = &wire.Refusal{Status: 400, Detail: "Invalid Sec-WebSocket-Protocol header"}
	errExtensions = &wire.Refusal{Status: 400, Detail: "Invalid Sec-WebSocket-Extensions header"}
)

const (
	fieldVersion    = "sec-websocket-version"
	fieldKey        = "sec-websocket-key"
	fieldProtocol   = "sec-websocket-protocol"
	fieldExtensions = "sec-websocket-extensions"
)

// Check looks at the handshake that Fill has put into x, before any lane does.
// nil: it is sound.
func Check(x *bridge.Exchange, h *wire.Head) *wire.Refusal {
	if h.HasBody() {
		return errBody
	}
	version, key := []byte(nil), []byte(nil)
	for _, f := range x.Fields() {
		value := x.Span(f.Value)
		switch string(x.Span(f.Name)) {
		case fieldVersion:
			if version != nil {
				return errVersions
			}
			version = value
		case fieldKey:
			if key != nil {
				return errKeys
			}
			key = value
		case fieldProtocol:
			if !tokens(value) {
				return errProtocols
			}
		case fieldExtensions:
			if _, ok := httphead.ParseOptions(value, nil); !ok {
				return errExtensions
			}
		}
	}
	switch {
	case version == nil:
		return errNoVersion
	case string(version) != "13":
		return errVersion
	case key == nil:
		return errNoKey
	}
	var nonce [18]byte // a nonce of 16 bytes is 24 characters
	if n, err := base64.StdEncoding.Strict().Decode(nonce[:], key[:min(len(key), 24)]); err != nil || n != 16 || len(key) != 24 {
		return errKey
	}
	return nil
}

// tokens reports whether v is a list of tokens, at least one (RFC 9110, 5.6.1).
func tokens(v []byte) bool {
	for element := range bytes.SplitSeq(v, []byte(",")) {
		element = bytes.Trim(element, " \t")
		if len(element) == 0 || bytes.ContainsFunc(element, func(c rune) bool {
			return c <= ' ' || c >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, c)
		}) {
			return false
		}
	}
	return true
}

// keyGUID is RFC 6455's (1.3).
const keyGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// Accept appends the answer to x's handshake, whose ops say ACCEPT: its fields
// behind the server's own. It returns the session of the conversation that
// follows. An error is about the application's fields; dst is then as it was.
func Accept(dst []byte, x *bridge.Exchange, l *Limits, own wire.Own, now uint64) ([]byte, *Session, error) {
	s := newSession(l, now)
	packed := field(nil, "upgrade", "websocket")
	packed = field(packed, "connection", "Upgrade")
	packed = field(packed, "sec-websocket-accept", acceptance(x))
	if l.Deflate {
		if answer := negotiate(x); answer != nil {
			packed = field(packed, fieldExtensions, string(answer))
			s.deflates()
		}
	}
	packed = append(packed, x.PackedFields()...)
	x.FieldsLen = 0
	r := wire.Reply{Status: 101, Minor: 1, KeepAlive: true}
	out, _, err := wire.AppendHead(dst, &r, packed, -1, own)
	if err != nil {
		return dst, nil, err
	}
	return out, s, nil
}

// acceptance is the value of Sec-WebSocket-Accept (RFC 6455, 4.2.2).
func acceptance(x *bridge.Exchange) string {
	for _, f := range x.Fields() {
		if string(x.Span(f.Name)) == fieldKey {
			sum := sha1.Sum(append(bytes.Clone(x.Span(f.Value)), keyGUID...))
			return base64.StdEncoding.EncodeToString(sum[:])
		}
	}
	return ""
}

// negotiate returns the extension field of the answer, nil where nothing is
// agreed on. Both sides begin every message anew, so that a connection needs no
// window of its own between messages (RFC 7692, 7.1.1). An offer that asks for
// a smaller window of ours is declined: the compressor has one size.
func negotiate(x *bridge.Exchange) []byte {
	for _, f := range x.Fields() {
		if string(x.Span(f.Name)) != fieldExtensions {
			continue
		}
		offers, _ := httphead.ParseOptions(x.Span(f.Value), nil)
		for _, offer := range offers {
			var p wsflate.Parameters
			if string(offer.Name) != wsflate.ExtensionName || p.Parse(offer) != nil {
				continue
			}
			if p.ServerMaxWindowBits.Defined() && p.ServerMaxWindowBits.Bytes() < wsflate.MaxLZ77WindowSize {
				continue
			}
			answer := wsflate.Parameters{ServerNoContextTakeover: true, ClientNoContextTakeover: true, ServerMaxWindowBits: p.ServerMaxWindowBits}
			var b bytes.Buffer
			_, _ = httphead.WriteOptions(&b, []httphead.Option{answer.Option()})
			return b.Bytes()
		}
	}
	return nil
}

// field appends a response field as lanes pack them.
func field(dst []byte, name, value string) []byte {
	dst = binary.NativeEndian.AppendUint32(dst, uint32(len(name)))
	dst = binary.NativeEndian.AppendUint32(dst, uint32(len(value)))
	return append(append(dst, name...), value...)
}
