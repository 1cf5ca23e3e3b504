package core

import (
	"syscall"
	"time"
	"unsafe"
)

func monotonicAt(t time.Time) uint64 {
	const clockMonotonic = 1
	var ts syscall.Timespec
	// Safe: the kernel writes ts during the call, which can't fail.
	syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, clockMonotonic, uintptr(unsafe.Pointer(&ts)), 0)
	return uint64(ts.Nano()) - uint64(time.Since(t))
}
