package form

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"turboapi/gosrc/bridge"
)

// openSpool returns the descriptor of a new file in dir that has no name, so that
// nothing is left of it when it is closed, however that comes about.
func openSpool(dir string) (int, error) {
	if fd, err := openUnnamed(dir); err == nil {
		return fd, nil
	}
	return openNamed(dir)
}

// openNamed makes a file and takes its name away.
func openNamed(dir string) (int, error) {
	f, err := os.CreateTemp(dir, "turboapi-")
	if err != nil {
		return -1, fmt.Errorf("%w: %w", errSpool, err)
	}
	defer f.Close()
	if err := os.Remove(f.Name()); err != nil {
		return -1, fmt.Errorf("%w: %w", errSpool, err)
	}
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("%w: %w", errSpool, err)
	}
	return fd, nil
}

// spool writes b behind what the last file of x has, and returns how much of it
// is there; less than all with an error only. The descriptor's own offset stays 0.
func spool(x *bridge.Exchange, b []byte) (int, error) {
	files := x.SpoolList()
	f := &files[len(files)-1]
	done := 0
	for done < len(b) {
		n, err := unix.Pwrite(int(f.FD), b[done:], int64(f.Len))
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return done, fmt.Errorf("%w: %w", errSpool, err)
		}
		done += n
		f.Len += uint64(n)
	}
	return done, nil
}
