// Package websocket is RFC 6455 on bytes, for both transports: the handshake,
// the frames of one connection in both directions, and permessage-deflate (RFC
// 7692). Frame headers, masking, the rules for headers and the deflate stream's
// ends are github.com/gobwas/ws's; what makes messages of frames is here. It
// reads no socket and starts no goroutine.
//
// A Session belongs to one connection, whose lock guards it.
package websocket

import "time"

// Limits bound what a WebSocket client may do. Times of 0 mean no limit.
type Limits struct {
	// Size is the most bytes of a message, as sent and as decompressed; beyond
	// it 1009. At most 1 GB. Default 16 MB.
	Size int
	// Queue is the most messages that wait for their application before the
	// client is read no further. Default 32.
	Queue int
	// PingInterval is how often a client is asked for a sign of life, 20 s, and
	// PingTimeout how long it may take to answer, 20 s; then 1011.
	PingInterval, PingTimeout time.Duration
	// Idle is how long a client may send no message; then 1001. No limit.
	Idle time.Duration
	// Deflate: permessage-deflate is agreed to where a client offers it.
	Deflate bool
}

// DefaultLimits returns uvicorn's.
func DefaultLimits() Limits {
	return Limits{Size: 16 << 20, Queue: 32, PingInterval: 20 * time.Second, PingTimeout: 20 * time.Second, Deflate: true}
}

// CloseTimeout is how long a client is given to answer a Close (uvicorn's).
const CloseTimeout = 10 * time.Second

// Close codes that the engine itself gives (RFC 6455, 7.4.1, and the registry
// of 11.7).
const (
	CodeGoingAway  = 1001 // idle for too long
	CodeProtocol   = 1002
	CodeNoCode     = 1005 // a Close without one; never sent
	CodeInvalid    = 1007 // text that is not UTF-8
	CodeTooBig     = 1009
	CodeInternal   = 1011
	CodeRestarting = 1012 // the server stops
)

// validCode reports whether a Close may have that code (RFC 6455, 7.4).
func validCode(code int) bool {
	switch {
	case code >= 3000 && code <= 4999:
		return true
	case code < 1000 || code > 1014:
		return false
	}
	return code != 1004 && code != 1005 && code != 1006
}
