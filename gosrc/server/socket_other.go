//go:build !linux

package server

import "syscall"

func recv(fd int, b []byte) (int, error) { return syscall.Read(fd, b) }

// send is a plain write: Python ignores SIGPIPE, and so does Go.
func send(fd int, b []byte) (int, error) { return syscall.Write(fd, b) }

// outQueue is not known here: a client shows that it reads when it has taken
// enough for the socket to take more.
func outQueue(int) int { return 0 }
