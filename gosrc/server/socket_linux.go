package server

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The sockets are non-blocking, so no call sleeps and the scheduler need not be
// told: RawSyscall saves the hand-over of the P.

func recv(fd int, b []byte) (int, error) {
	// Safe: the kernel writes at most len(b) bytes during the call.
	n, _, e := syscall.RawSyscall(syscall.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	if e != 0 {
		return 0, e
	}
	return int(n), nil
}

// send is write without SIGPIPE, whatever Python has made of that signal.
func send(fd int, b []byte) (int, error) {
	// Safe: the kernel reads len(b) bytes during the call.
	n, _, e := syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), syscall.MSG_NOSIGNAL, 0, 0)
	if e != 0 {
		return 0, e
	}
	return int(n), nil
}

// outQueue is how many bytes the kernel holds that were sent to fd and that its
// peer has not taken; 0 where the kernel does not say.
func outQueue(fd int) int {
	n, err := unix.IoctlGetInt(fd, unix.TIOCOUTQ)
	if err != nil {
		return 0
	}
	return n
}
