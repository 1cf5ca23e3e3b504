package form

import "golang.org/x/sys/unix"

// openUnnamed makes a file that never had a name; not every file system can.
func openUnnamed(dir string) (int, error) {
	return unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
}
