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

// Log is a bounded queue of log lines on their way to Python's logging. Each is
// a JSON object and a line feed:
//
//	{"log":"error","level":"error"|"warning"|"info","text":"..."}
//	{"log":"access","client":"127.0.0.1:40000","method":"GET","target":"/a?b",
//	 "version":"1.1","status":200,"bytes":27,"seconds":0.000123}
//
// Text that is not UTF-8 comes with replacement characters. Any thread may
// write.
type Log struct {
	count *Counters

	mu      sync.Mutex
	lines   []byte
	dropped int64 // since the last Take
	waiting atomic.Bool
}

// Error queues a line for the error log, formatted as by fmt.Sprintf.
func (l *Log) Error(format string, args ...any) { l.text("error", fmt.Sprintf(format, args...)) }

// Warn is Error with level "warning".
func (l *Log) Warn(format string, args ...any) { l.text("warning", fmt.Sprintf(format, args...)) }

func (l *Log) text(level, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.room(len(text)) {
		return
	}
	b := append(l.lines, `{"log":"error","level":"`...)
	b = append(b, level...)
	b = append(b, `","text":"`...)
	b = appendText(b, text)
	l.lines = append(b, "\"}\n"...)
}

// Access queues a line for the access log about x, whose response had that
// status and that many payload bytes and was complete at end (monotonic ns, as
// x.TRead). Call it before x is released and only when Options.AccessLog is set.
func (l *Log) Access(x *bridge.Exchange, status int, bytes int64, end uint64) {
	method, target := x.Span(x.MethodName), x.Span(x.Target)
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.room(len(method) + len(target)) {
		return
	}
	b := append(l.lines, `{"log":"access","client":"`...)
	if x.Flags&bridge.ReqUnix == 0 {
		b = appendText(b, cString(x.ClientHost[:]))
		b = append(b, ':')
		b = strconv.AppendUint(b, uint64(x.ClientPort), 10)
	}
	b = append(b, `","method":"`...)
	b = appendText(b, method)
	b = append(b, `","target":"`...)
	b = appendText(b, target)
	b = append(b, `","version":"1.`...)
	b = strconv.AppendUint(b, uint64(x.Minor), 10)
	b = append(b, `","status":`...)
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(b, `,"bytes":`...)
	b = strconv.AppendInt(b, bytes, 10)
	b = append(b, `,"seconds":`...)
	b = strconv.AppendFloat(b, time.Duration(end-x.TRead).Seconds(), 'f', 6, 64)
	l.lines = append(b, "}\n"...)
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

// Take returns the queued lines and forgets them; the caller owns the result.
// If lines were dropped since the last Take, a warning that says how many is
// the last of them.
func (l *Log) Take() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.lines
	l.lines = nil
	if l.dropped > 0 {
		b = append(b, `{"log":"error","level":"warning","text":"`...)
		b = strconv.AppendInt(b, l.dropped, 10)
		b = append(b, " log lines were dropped\"}\n"...)
		l.dropped = 0
	}
	l.waiting.Store(false)
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
