package core

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	jsoniter "github.com/json-iterator/go"

	"turboapi/gosrc/wire"
)

var errSettings = errors.New("core: settings")

// Seconds is a duration that JSON gives as a number of seconds.
type Seconds float64

// Duration is s as Go's type.
func (s Seconds) Duration() time.Duration { return time.Duration(float64(s) * float64(time.Second)) }

// Limits bound what a client may ask for. In JSON a missing key means its
// default; times are in seconds and sizes in bytes.
type Limits struct {
	RequestLine int `json:"request_line"` // 8192; beyond it 414
	Header      int `json:"header"`       // 65536; beyond it 431
	Fields      int `json:"fields"`       // 200; beyond it 431
	ChunkExt    int `json:"chunk_ext"`    // 16384; beyond it 400
	Trailer     int `json:"trailer"`      // 8192; beyond it 431

	// Body is the largest body that is collected before its exchange is
	// dispatched: 64 MB; beyond it 413. Streamed bodies have no limit.
	Body int64 `json:"body"`

	HeaderTimeout Seconds `json:"header_timeout"` // 10: from accept or the first byte to the complete head
	KeepAlive     Seconds `json:"keep_alive"`     // 75: between an answer and the next request
	WriteStall    Seconds `json:"write_stall"`    // 30: without progress of an answer or a body
	Linger        Seconds `json:"linger"`         // 2: reading on after a refusal, so that the client sees it

	// Connections is the most connections open at once: 0, the default, is no
	// limit. Beyond it the server stops accepting until one is closed.
	Connections int `json:"connections"`
}

// Wire is the part of the limits that the parser needs.
func (l *Limits) Wire() wire.Limits {
	return wire.Limits{
		RequestLine: l.RequestLine, Header: l.Header, Fields: l.Fields,
		ChunkExt: l.ChunkExt, Trailer: l.Trailer,
	}
}

// DefaultLimits returns the limits of a server that was given none.
func DefaultLimits() Limits {
	w := wire.Limits{}.WithDefaults()
	return Limits{
		RequestLine: w.RequestLine, Header: w.Header, Fields: w.Fields,
		ChunkExt: w.ChunkExt, Trailer: w.Trailer,
		Body:          64 << 20,
		HeaderTimeout: 10, KeepAlive: 75, WriteStall: 30, Linger: 2,
	}
}

func (l *Limits) check() error {
	for name, n := range map[string]int64{
		"request_line": int64(l.RequestLine), "header": int64(l.Header), "fields": int64(l.Fields),
		"chunk_ext": int64(l.ChunkExt), "trailer": int64(l.Trailer), "body": l.Body,
		"connections": int64(l.Connections) + 1,
	} {
		if n <= 0 {
			return fmt.Errorf("%w: limit %s is too small", errSettings, name)
		}
	}
	for name, s := range map[string]Seconds{
		"header_timeout": l.HeaderTimeout, "keep_alive": l.KeepAlive,
		"write_stall": l.WriteStall, "linger": l.Linger,
	} {
		// A year: more overflows nothing, but is a mistake of units.
		if !(s > 0 && s < 366*86400) {
			return fmt.Errorf("%w: limit %s is not a number of seconds above 0", errSettings, name)
		}
	}
	return nil
}

// Listener is a bound and listening, non-blocking socket.
type Listener struct {
	FD   int    `json:"fd"`
	Host string `json:"host"` // as text, or the path of a Unix socket
	Port uint16 `json:"port"`
	Unix bool   `json:"unix"`
}

// Options switch things that are not limits.
type Options struct {
	AccessLog    bool
	ServerHeader bool
}

// settings is the JSON that Open takes.
type settings struct {
	Transport    string     `json:"transport"` // "auto", "reactor", "fasthttp"
	Listeners    []Listener `json:"listeners"`
	Limits       Limits     `json:"limits"`
	AccessLog    bool       `json:"access_log"`
	ServerHeader bool       `json:"server_header"`
}

// An unknown key is an error: a misspelt limit that is not in force would be
// found out by an attacker.
var strict = jsoniter.Config{DisallowUnknownFields: true, CaseSensitive: true}.Froze()

func parseSettings(b []byte) (*settings, error) {
	s := &settings{Transport: "auto", Limits: DefaultLimits(), ServerHeader: true}
	dec := strict.NewDecoder(bytes.NewReader(b))
	if err := dec.Decode(s); err != nil {
		return nil, fmt.Errorf("%w: %v", errSettings, err)
	}
	var more any
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: something follows the JSON object", errSettings)
	}
	for i, l := range s.Listeners {
		if l.FD < 0 || l.FD > math.MaxInt32 {
			return nil, fmt.Errorf("%w: listener %d has no descriptor", errSettings, i)
		}
	}
	return s, s.Limits.check()
}
