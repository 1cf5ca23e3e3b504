//go:build !linux

package server

import "syscall"

func recv(fd int, b []byte) (int, error) { return syscall.Read(fd, b) }

// send is a plain write: Python ignores SIGPIPE, and so does Go.
func send(fd int, b []byte) (int, error) { return syscall.Write(fd, b) }
