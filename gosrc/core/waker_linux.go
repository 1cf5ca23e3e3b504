package core

import (
	"fmt"
	"syscall"
	"unsafe"
)

// NewWaker makes a Waker on an eventfd.
func NewWaker() (*Waker, error) {
	fd, _, errno := syscall.RawSyscall(syscall.SYS_EVENTFD2, 0, syscall.O_CLOEXEC|syscall.O_NONBLOCK, 0)
	if errno != 0 {
		return nil, fmt.Errorf("core: eventfd: %w", errno)
	}
	return &Waker{rd: int(fd), wr: int(fd)}, nil
}

func (w *Waker) write() {
	one := uint64(1)
	// Safe: the kernel reads 8 bytes during the call. It can't fail: the
	// counter is at most 1.
	syscall.RawSyscall(syscall.SYS_WRITE, uintptr(w.wr), uintptr(unsafe.Pointer(&one)), 8)
}

// read reports whether there was something to read.
func (w *Waker) read() bool {
	// Safe: the kernel writes 8 bytes during the call.
	n, _, _ := syscall.RawSyscall(syscall.SYS_READ, uintptr(w.rd), uintptr(unsafe.Pointer(&w.pending)), 8)
	return n == 8
}

func (w *Waker) eventFD() int { return w.wr }

func (w *Waker) free() { syscall.Close(w.rd) }
