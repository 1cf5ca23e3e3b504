package reactor

import (
	"syscall"
	"unsafe"
)

// All descriptors here are non-blocking, so no call sleeps and the scheduler
// need not be told: RawSyscall saves the hand-over of the P.

// read returns what read(2) does; EINTR is tried again.
func read(fd int32, p []byte) (int, syscall.Errno) {
	for {
		// Safe: the kernel writes at most len(p) bytes during the call.
		n, _, e := syscall.RawSyscall(syscall.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
		if e != syscall.EINTR {
			return int(n), e
		}
	}
}

// send writes p as far as the kernel takes it, without SIGPIPE.
func send(fd int32, p []byte) (int, syscall.Errno) {
	for {
		// Safe: the kernel reads len(p) bytes during the call.
		n, _, e := syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), syscall.MSG_NOSIGNAL, 0, 0)
		if e != syscall.EINTR {
			return int(n), e
		}
	}
}

// sendParts is send for several pieces, of which the first is not empty.
func sendParts(fd int32, parts *[3]syscall.Iovec) (int, syscall.Errno) {
	msg := syscall.Msghdr{Iov: &parts[0]}
	msg.Iovlen = 3 // its type differs between systems
	for {
		// Safe: the kernel reads msg and what it points at during the call.
		n, _, e := syscall.RawSyscall(syscall.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&msg)), syscall.MSG_NOSIGNAL)
		if e != syscall.EINTR {
			return int(n), e
		}
	}
}

// iovec describes p for sendParts; p has to stay reachable until after it.
func iovec(p []byte) (v syscall.Iovec) {
	v.Base = unsafe.SliceData(p)
	v.SetLen(len(p))
	return v
}

// accept takes a connection off a listener's queue and notes its peer in sa.
func accept(fd int, sa *syscall.RawSockaddrAny) (int, syscall.Errno) {
	for {
		size := uint32(syscall.SizeofSockaddrAny)
		// Safe: the kernel writes at most size bytes into sa during the call.
		n, _, e := syscall.RawSyscall6(syscall.SYS_ACCEPT4, uintptr(fd), uintptr(unsafe.Pointer(sa)), uintptr(unsafe.Pointer(&size)), syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0, 0)
		if e == syscall.EINTR {
			continue
		}
		if size <= 2 {
			*sa = syscall.RawSockaddrAny{} // an unnamed Unix socket
		}
		return int(n), e
	}
}

// sockname notes in sa the address that fd is bound to.
func sockname(fd int, sa *syscall.RawSockaddrAny) syscall.Errno {
	size := uint32(syscall.SizeofSockaddrAny)
	// Safe: the kernel writes at most size bytes into sa during the call.
	_, _, e := syscall.RawSyscall(syscall.SYS_GETSOCKNAME, uintptr(fd), uintptr(unsafe.Pointer(sa)), uintptr(unsafe.Pointer(&size)))
	return e
}

// wait returns the events that are there already.
func wait(epoll int, events []syscall.EpollEvent) int {
	// Safe: the kernel writes at most len(events) records during the call.
	n, _, e := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(epoll), uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)), 0, 0, 0)
	if e != 0 {
		return 0
	}
	return int(n)
}

// control adds, changes or removes fd in an epoll set; id comes back with its
// events.
func control(epoll, op, fd int, events uint32, id uint64) syscall.Errno {
	ev := syscall.EpollEvent{Events: events, Fd: int32(uint32(id)), Pad: int32(uint32(id >> 32))}
	// Safe: the kernel reads ev during the call.
	_, _, e := syscall.RawSyscall6(syscall.SYS_EPOLL_CTL, uintptr(epoll), uintptr(op), uintptr(fd), uintptr(unsafe.Pointer(&ev)), 0, 0)
	return e
}

// idOf returns the id that was given to control.
func idOf(ev *syscall.EpollEvent) uint64 {
	return uint64(uint32(ev.Pad))<<32 | uint64(uint32(ev.Fd))
}

const (
	epollET    = 1 << 31
	connEvents = syscall.EPOLLIN | syscall.EPOLLRDHUP | epollET // and EPOLLOUT, see arrive
)

func setNoDelay(fd int) {
	one := int32(1)
	// Safe: the kernel reads one during the call. Failing leaves a slower, but
	// right, connection.
	syscall.RawSyscall6(syscall.SYS_SETSOCKOPT, uintptr(fd), syscall.IPPROTO_TCP, syscall.TCP_NODELAY, uintptr(unsafe.Pointer(&one)), 4, 0)
}

// setLinger0 makes the close of fd drop what is unsent and reset the connection.
func setLinger0(fd int32) {
	on := syscall.Linger{Onoff: 1}
	// Safe: the kernel reads on during the call. Failing makes the close a plain
	// one.
	syscall.RawSyscall6(syscall.SYS_SETSOCKOPT, uintptr(fd), syscall.SOL_SOCKET, syscall.SO_LINGER, uintptr(unsafe.Pointer(&on)), unsafe.Sizeof(on), 0)
}

// outQueue is how many bytes the kernel holds that were sent to fd and that its
// peer has not taken; 0 where the kernel does not say.
func outQueue(fd int32) (n int32) {
	// Safe: the kernel writes n during the call.
	syscall.RawSyscall(syscall.SYS_IOCTL, uintptr(fd), syscall.TIOCOUTQ, uintptr(unsafe.Pointer(&n)))
	return n
}

func shutdown(fd int32, how int) {
	// Fails only where the peer has left already.
	syscall.RawSyscall(syscall.SYS_SHUTDOWN, uintptr(fd), uintptr(how), 0)
}

func closeFD(fd int) {
	syscall.RawSyscall(syscall.SYS_CLOSE, uintptr(fd), 0, 0)
}

// newTimer makes a timer descriptor on the monotonic clock.
func newTimer() (int, syscall.Errno) {
	const clockMonotonic = 1
	n, _, e := syscall.RawSyscall(syscall.SYS_TIMERFD_CREATE, clockMonotonic, syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	return int(n), e
}

// setTimer makes fd readable once, at ns on the monotonic clock.
func setTimer(fd int, ns uint64) {
	const absolute = 1
	spec := [4]int64{0, 0, int64(ns / 1e9), int64(ns % 1e9)}
	// Safe: the kernel reads spec during the call, which can't fail.
	syscall.RawSyscall6(syscall.SYS_TIMERFD_SETTIME, uintptr(fd), absolute, uintptr(unsafe.Pointer(&spec)), 0, 0, 0)
}
