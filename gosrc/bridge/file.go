package bridge

import "syscall"

// File is a part of an open file, which its holder has to close. The zero File
// is none.
type File struct {
	fd   int32 // descriptor + 1
	At   int64 // where the next byte is read
	Left int64 // bytes still to send
}

// TakeFile gives the file that the lane left in x, if any. The caller closes it.
func (x *Exchange) TakeFile() File {
	f := File{fd: x.File, At: x.FileAt, Left: x.FileLen}
	x.File = 0
	return f
}

// DropFile closes the file that nobody has taken out of x.
func (x *Exchange) DropFile() {
	if x.File != 0 {
		f := x.TakeFile()
		f.Close()
	}
}

// OpenFile is a File of a descriptor, which it takes over.
func OpenFile(fd int, at, left int64) File { return File{fd: int32(fd) + 1, At: at, Left: left} }

// Is reports whether there is a file.
func (f *File) Is() bool { return f.fd != 0 }

// FD is the descriptor of a file that is.
func (f *File) FD() int { return int(f.fd) - 1 }

// Close closes the file; a second time it does nothing.
func (f *File) Close() {
	if f.fd != 0 {
		// What was only read has nothing to lose.
		_ = syscall.Close(f.FD())
		f.fd = 0
	}
}

// Read fills b, as far as bytes are left, from the file's current place, and
// moves on. It gives 0 where the file is shorter than it has to be.
func (f *File) Read(b []byte) (int, error) {
	if int64(len(b)) > f.Left {
		b = b[:f.Left]
	}
	for {
		n, err := syscall.Pread(f.FD(), b, f.At)
		if err == syscall.EINTR {
			continue
		}
		if n < 0 {
			n = 0
		}
		f.At += int64(n)
		f.Left -= int64(n)
		return n, err
	}
}
