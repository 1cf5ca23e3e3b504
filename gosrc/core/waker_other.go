//go:build !linux

package core

import (
	"fmt"
	"syscall"
)

// NewWaker makes a Waker on a socket pair, where there is no eventfd.
func NewWaker() (*Waker, error) {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		return nil, fmt.Errorf("core: socketpair: %w", err)
	}
	for _, fd := range pair {
		syscall.CloseOnExec(fd)
		if err := syscall.SetNonblock(fd, true); err != nil {
			syscall.Close(pair[0])
			syscall.Close(pair[1])
			return nil, fmt.Errorf("core: socketpair: %w", err)
		}
	}
	return &Waker{rd: pair[0], wr: pair[1]}, nil
}

// A failed write means that bytes are waiting already.
func (w *Waker) write() { _, _ = syscall.Write(w.wr, []byte{1}) }

// read reports whether there was something to read: one byte for each Wake that
// found the flag clear, so one at most.
func (w *Waker) read() bool {
	n, err := syscall.Read(w.rd, w.pending[:1])
	return n == 1 && err == nil
}

func (w *Waker) eventFD() int { return -1 }

func (w *Waker) free() {
	syscall.Close(w.rd)
	syscall.Close(w.wr)
}
