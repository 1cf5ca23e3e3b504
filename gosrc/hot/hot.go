// Package hot is the C that touches Python objects, and the Go functions that
// this C calls. It is a leaf: nothing but the generated main package imports
// it, because a package that includes Python.h cannot be tested by go test.
package hot

/*
#cgo CFLAGS: -std=gnu11 -O2 -fvisibility=hidden -Wall -Wextra
#cgo strict CFLAGS: -Werror
#include "../bridge/exchange.h"
*/
import "C"

import (
	"unsafe"

	"turboapi/gosrc/bridge"
	"turboapi/gosrc/core"
)

// turboPing answers 1 where Go runs. Any thread, with or without the GIL.
//
//export turboPing
func turboPing() C.int { return 1 }

// turboTurn is core.Flush of nx exchanges and core.Turn, in one call. The loop's
// thread; ev has room for n events.
//
//export turboTurn
func turboTurn(handle C.int64_t, ev *C.turbo_event, n C.int32_t, xs **C.turbo_exchange, nx C.int32_t) C.int32_t {
	if nx > 0 {
		turboFlush(handle, xs, nx)
	}
	c := core.Lookup(int64(handle))
	if c == nil {
		return 0
	}
	// Safe: bridge.Event has the layout of turbo_event (bridge's layout test), and ev outlives the call.
	return C.int32_t(c.Turn(unsafe.Slice((*bridge.Event)(unsafe.Pointer(ev)), int(n))))
}

// turboFlush is core.Flush. Any thread; also after the server was closed.
//
//export turboFlush
func turboFlush(handle C.int64_t, xs **C.turbo_exchange, n C.int32_t) {
	// Safe: bridge.Exchange is the layout of turbo_exchange, records are C memory, and xs outlives the call.
	core.Flush(int64(handle), unsafe.Slice((**bridge.Exchange)(unsafe.Pointer(xs)), int(n)))
}

// turboWakeFD is core.WakeFD, -1 for an unknown server. The loop's thread.
//
//export turboWakeFD
func turboWakeFD(handle C.int64_t) C.int {
	c := core.Lookup(int64(handle))
	if c == nil {
		return -1
	}
	return C.int(c.WakeFD())
}

// turboWake is core.Wake. Any thread.
//
//export turboWake
func turboWake(handle C.int64_t) {
	if c := core.Lookup(int64(handle)); c != nil {
		c.Wake()
	}
}
