package core

import (
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"turboapi/gosrc/bridge"
)

// maxLog is how many bytes of lines wait for the loop before new ones are
// dropped and counted.
const maxLog = 1 << 20

// Levels, as Python's logging numbers them.
const (
	levelInfo    = 20
	levelWarning = 30
	levelError   = 40
)

// Log is a bounded queue of lines on their way to Python's logging. Any thread
// may write. Text that is not UTF-8 comes out with replacement characters.
type Log struct {
	count *Counters
	level int

	mu      sync.Mutex
	lines   []byte // JSON objects, each with a comma behind it
	dropped int64  // since the last Take
	waiting atomic.Bool
}

// NewLog makes a queue for lines of that level and above (as Python's logging);
// access lines have none. It counts what it drops in c.
func NewLog(c *Counters, level int) *Log { return &Log{count: c, level: level} }

// Error queues a line for the error log, formatted as by fmt.Sprintf.
func (l *Log) Error(format string, args ...any) { l.text(levelError, "", format, args) }

// Warn is Error with the level warning.
func (l *Log) Warn(format string, args ...any) { l.text(levelWarning, "", format, args) }

// Accepted queues a line about a WebSocket handshake that was accepted, as uvicorn words it.
func (l *Log) Accepted(x *bridge.Exchange) {
	client := ""
	if x.Flags&bridge.ReqUnix == 0 {
		client = fmt.Sprintf("%s:%d", cString(x.ClientHost[:]), x.ClientPort)
	}
	l.text(levelInfo, "", "%s - \"WebSocket %s\" [accepted]", []any{client, x.Span(x.Target)})
}

// Stack is Error with a stack.
func (l *Log) Stack(stack []byte, format string, args ...any) {
	l.text(levelError, string(stack), format, args)
}

func (l *Log) text(level int, stack, format string, args []any) {
	if level < l.level {
		return
	}
	text := fmt.Sprintf(format, args...)
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.room(len(text) + len(stack)) {
		return
	}
	b := appendTime(l.lines)
	b = append(b, `"level":`...)
	b = strconv.AppendInt(b, int64(level), 10)
	b = append(b, `,"msg":"`...)
	b = appendText(b, text)
	b = append(b, `","stack":"`...)
	b = appendText(b, stack)
	l.lines = append(b, `"},`...)
}

// Access queues a line for the access log about x, whose response had that
// status and was complete at end (see Now). Call it before x is released, and
// only when Options.AccessLog is set.
func (l *Log) Access(x *bridge.Exchange, status int, end uint64) {
	client, port := cString(x.ClientHost[:]), x.ClientPort
	if x.Flags&bridge.ReqUnix != 0 {
		client = nil
	}
	l.access(client, port, x.Span(x.MethodName), x.Span(x.Target), x.Minor, status, (end-min(end, x.TRead))/1000)
}

// Refused is Access for a request without an exchange, since its head was not
// right or not complete. method and target are empty where they are not known,
// client is so on a Unix socket. It keeps nothing of what it is given.
func (l *Log) Refused(client []byte, port uint16, method, target []byte, minor uint8, status int) {
	l.access(client, port, method, target, minor, status, 0)
}

// access queues a line. method and target are no longer than the limits of a
// request line, since the parser took them.
func (l *Log) access(client []byte, port uint16, method, target []byte, minor uint8, status int, us uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.room(len(method) + len(target)) {
		return
	}
	b := append(appendTime(l.lines), `"a":["`...)
	if len(client) > 0 {
		b = appendText(b, client)
		b = append(b, ':')
		b = strconv.AppendUint(b, uint64(port), 10)
	}
	b = append(b, `","`...)
	b = appendText(b, orDash(method))
	b = append(b, `","`...)
	b = appendText(b, orDash(target))
	b = append(b, `",`...)
	b = strconv.AppendUint(b, uint64(minor), 10)
	b = append(b, ',')
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(b, ',')
	b = strconv.AppendUint(b, us, 10)
	l.lines = append(b, "]},"...)
}

var dash = []byte("-")

// orDash is what a line shows of b.
func orDash(b []byte) []byte {
	if len(b) == 0 {
		return dash
	}
	return b
}

// room reports whether a line with n bytes of text may be queued, and counts it
// as dropped if not. The caller holds mu.
func (l *Log) room(n int) bool {
	if len(l.lines)+n > maxLog {
		l.dropped++
		l.count.LogsDropped.Add(1)
		return false
	}
	l.waiting.Store(true)
	return true
}

// Waiting reports whether Take has something to give. Any thread, cheap.
func (l *Log) Waiting() bool { return l.waiting.Load() }

// Take returns the queued lines and forgets them, as JSON that the caller owns:
//
//	{"dropped":0,"lines":[
//	  {"t":1764000000.123,"level":40,"msg":"...","stack":"goroutine 1 ..."},
//	  {"t":1764000000.123,"a":["127.0.0.1:4242","GET","/x?y=1",1,200,57]}]}
//
// dropped counts the lines that found the queue full since the last Take; "a"
// has client (empty on a Unix socket), method, target, minor version, status,
// microseconds (0 where the head was refused). Method and target are "-" where
// they are not known.
func (l *Log) Take() []byte {
	l.mu.Lock()
	lines, dropped := l.lines, l.dropped
	l.lines, l.dropped = nil, 0
	l.waiting.Store(false)
	l.mu.Unlock()

	b := append(make([]byte, 0, len(lines)+40), `{"dropped":`...)
	b = strconv.AppendInt(b, dropped, 10)
	b = append(b, `,"lines":[`...)
	if len(lines) > 0 {
		b = append(b, lines[:len(lines)-1]...)
	}
	return append(b, "]}"...)
}

// appendTime opens a line with the time in seconds since 1970.
func appendTime(b []byte) []byte {
	ms := time.Now().UnixMilli()
	b = append(b, `{"t":`...)
	b = strconv.AppendInt(b, ms/1000, 10)
	b = append(b, '.', byte('0'+ms/100%10), byte('0'+ms/10%10), byte('0'+ms%10), ',')
	return b
}

func cString(b []byte) []byte {
	for i, c := range b {
		if c == 0 {
			return b[:i]
		}
	}
	return b
}

// appendText appends s as the inside of a JSON string (RFC 8259, 7).
func appendText[T string | []byte](b []byte, s T) []byte {
	const hex = "0123456789abcdef"
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, '\\', 'n')
		case c < 0x20 || c == 0x7f:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		case c < utf8.RuneSelf:
			b = append(b, c)
		default:
			r, n := utf8.DecodeRuneInString(string(s[i:min(i+utf8.UTFMax, len(s))]))
			b = utf8.AppendRune(b, r)
			i += n
			continue
		}
		i++
	}
	return b
}
