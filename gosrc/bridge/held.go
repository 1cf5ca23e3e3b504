package bridge

// #include "exchange.h"
import "C"

import (
	"sync/atomic"
	"unsafe"
)

// held is the process's counter; C adds to it, too, with atomic operations.
//
// Safe: it is a C variable of eight aligned bytes, which stays where it is.
var held = (*int64)(unsafe.Pointer(&C.turbo_held))

// Held is how many bytes requests and answers take in this process beyond their
// records: what does not fit into these, and what waits for clients. Any thread.
func Held() int64 { return atomic.LoadInt64(held) }

// Hold notes n more bytes, n < 0: fewer. A transport calls it for its queues. Any
// thread.
func Hold(n int64) { atomic.AddInt64(held, n) }
