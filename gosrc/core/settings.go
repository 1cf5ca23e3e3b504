package core

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	jsoniter "github.com/json-iterator/go"

	"turboapi/gosrc/websocket"
	"turboapi/gosrc/wire"
)

var errSettings = errors.New("core: settings")

// Limits bound what a client may ask for. Times and sizes of 0 mean no limit,
// except for those of the parser (wire.Limits), where 0 means the default.
type Limits struct {
	Wire wire.Limits

	// Body is the most bytes of a body that is collected before its exchange is
	// dispatched; beyond it 413. Streamed bodies have no limit. Default 64 MB.
	Body int64
	// Memory is the most that the requests and answers of the process may take
	// (bridge.Held) before a body that would have to be collected is answered
	// with 503, and who produces an answer waits for its client. Default 1 GB.
	Memory int64
	// Connections is the most connections open at once; beyond it the server
	// stops accepting until one is closed. Default: no limit.
	Connections int

	Header    time.Duration // from accept or the first byte to the complete head: 10 s
	KeepAlive time.Duration // between an answer and the next request: 75 s
	Write     time.Duration // without progress of an answer, or of a body that is waited for: 30 s
	Linger    time.Duration // reading on after a refusal, so that the client sees it: 2 s

	WebSocket websocket.Limits
}

// DefaultLimits returns the limits of a server that was given none.
func DefaultLimits() Limits {
	return Limits{
		Wire:   wire.Limits{}.WithDefaults(),
		Body:   64 << 20,
		Memory: 1 << 30,
		Header: 10 * time.Second, KeepAlive: 75 * time.Second, Write: 30 * time.Second,
		Linger: 2 * time.Second, WebSocket: websocket.DefaultLimits(),
	}
}

// Listener is a bound and listening, non-blocking socket of the family "inet",
// "inet6" or "unix".
type Listener struct {
	FD     int    `json:"fd"`
	Family string `json:"family"`
}

// Options switch things that are not limits.
type Options struct {
	AccessLog  bool
	Server     string // value of the Server field, "" for none
	DateHeader bool
}

// settings is the JSON that Open takes. docs/internals/contracts.md has an
// example.
type settings struct {
	Version   int        `json:"version"`
	Transport string     `json:"transport"` // "auto", "reactor", "fasthttp"
	Listeners []Listener `json:"listeners"`

	AccessLog bool   `json:"access_log"`
	LogLevel  int    `json:"log_level"` // as Python's logging: 10 debug to 40 error
	Server    string `json:"server_header"`
	Date      bool   `json:"date_header"`

	RequestLine int   `json:"limit_request_line"`
	Headers     int   `json:"limit_headers"`
	Fields      int   `json:"limit_fields"`
	Body        int64 `json:"limit_body"`
	Memory      int64 `json:"limit_memory"`
	Connections int   `json:"limit_connections"`
	HeaderMS    int64 `json:"timeout_header_ms"`
	IdleMS      int64 `json:"timeout_idle_ms"`
	WriteMS     int64 `json:"timeout_write_ms"`

	WSMaxSize    int64 `json:"ws_max_size"`
	WSMaxQueue   int64 `json:"ws_max_queue"`
	WSIntervalMS int64 `json:"ws_ping_interval_ms"`
	WSTimeoutMS  int64 `json:"ws_ping_timeout_ms"`
	WSIdleMS     int64 `json:"ws_idle_timeout_ms"`
	WSDeflate    bool  `json:"ws_per_message_deflate"`
}

// settingsVersion grows when a key changes its meaning.
const settingsVersion = 1

// parserMax is more than any parser limit can be.
const parserMax = 1 << 30

// maxMessage keeps every message within what its exchange can describe.
const maxMessage = 1 << 30

// An unknown key is an error: a misspelt limit that is not in force would be
// found out by an attacker.
var strict = jsoniter.Config{DisallowUnknownFields: true, CaseSensitive: true}.Froze()

// parseSettings reads Open's JSON. A missing key means its default.
func parseSettings(b []byte) (*settings, error) {
	d := DefaultLimits()
	s := &settings{
		Version: settingsVersion, Transport: "auto", LogLevel: levelInfo, Server: "turboapi", Date: true,
		RequestLine: d.Wire.RequestLine, Headers: d.Wire.Header, Fields: d.Wire.Fields,
		Body: d.Body, Memory: d.Memory, Connections: d.Connections,
		HeaderMS: d.Header.Milliseconds(), IdleMS: d.KeepAlive.Milliseconds(), WriteMS: d.Write.Milliseconds(),
		WSMaxSize: int64(d.WebSocket.Size), WSMaxQueue: int64(d.WebSocket.Queue), WSDeflate: d.WebSocket.Deflate,
		WSIntervalMS: d.WebSocket.PingInterval.Milliseconds(), WSTimeoutMS: d.WebSocket.PingTimeout.Milliseconds(),
	}
	dec := strict.NewDecoder(bytes.NewReader(b))
	if err := dec.Decode(s); err != nil {
		return nil, fmt.Errorf("%w: %v", errSettings, err)
	}
	var more any
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: something follows the JSON object", errSettings)
	}
	return s, s.check()
}

func (s *settings) check() error {
	if s.Version != settingsVersion {
		return fmt.Errorf("%w: version %d, known is %d", errSettings, s.Version, settingsVersion)
	}
	for i, l := range s.Listeners {
		if l.FD < 0 {
			return fmt.Errorf("%w: listener %d has no descriptor", errSettings, i)
		}
		if l.Family != "inet" && l.Family != "inet6" && l.Family != "unix" {
			return fmt.Errorf("%w: listener %d: unknown family %q", errSettings, i, l.Family)
		}
	}
	// A year in ms: more is a mistake of units, and still far from overflow.
	const year = 366 * 86400 * 1000
	for _, n := range []struct {
		key   string
		value int64
		most  int64
	}{
		{"limit_request_line", int64(s.RequestLine), 1 << 30}, {"limit_headers", int64(s.Headers), 1 << 30},
		{"limit_fields", int64(s.Fields), 1 << 30}, {"limit_body", s.Body, 1 << 62}, {"limit_memory", s.Memory, 1 << 62},
		{"limit_connections", int64(s.Connections), 1 << 30}, {"timeout_header_ms", s.HeaderMS, year},
		{"timeout_idle_ms", s.IdleMS, year}, {"timeout_write_ms", s.WriteMS, year},
		{"ws_max_size", s.WSMaxSize, maxMessage}, {"ws_max_queue", s.WSMaxQueue, 1 << 20},
		{"ws_ping_interval_ms", s.WSIntervalMS, year}, {"ws_ping_timeout_ms", s.WSTimeoutMS, year}, {"ws_idle_timeout_ms", s.WSIdleMS, year},
	} {
		if n.value < 0 || n.value > n.most {
			return fmt.Errorf("%w: %s is %d, allowed is 0 to %d", errSettings, n.key, n.value, n.most)
		}
	}
	return nil
}

// limits returns s as the transports want it.
func (s *settings) limits() Limits {
	l := DefaultLimits()
	l.Wire.RequestLine = unlimited(s.RequestLine)
	l.Wire.Header = unlimited(s.Headers)
	l.Wire.Fields = unlimited(s.Fields)
	l.Body, l.Memory, l.Connections = s.Body, s.Memory, s.Connections
	l.Header = time.Duration(s.HeaderMS) * time.Millisecond
	l.KeepAlive = time.Duration(s.IdleMS) * time.Millisecond
	l.Write = time.Duration(s.WriteMS) * time.Millisecond
	l.WebSocket = websocket.Limits{
		Size: orMost(s.WSMaxSize, maxMessage), Queue: orMost(s.WSMaxQueue, 1<<20), Deflate: s.WSDeflate,
		PingInterval: time.Duration(s.WSIntervalMS) * time.Millisecond,
		PingTimeout:  time.Duration(s.WSTimeoutMS) * time.Millisecond,
		Idle:         time.Duration(s.WSIdleMS) * time.Millisecond,
	}
	return l
}

// orMost is the value of a limit of which 0 means none.
func orMost(n, most int64) int {
	if n == 0 {
		n = most
	}
	return int(n)
}

// unlimited gives the parser, which knows no limit of 0, the largest it has.
func unlimited(n int) int {
	if n == 0 {
		return parserMax
	}
	return n
}
