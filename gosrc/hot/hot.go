// Package hot is the C that touches Python objects, and the Go functions that
// this C calls. It is a leaf: nothing but the generated main package imports
// it, because a package that includes Python.h cannot be tested by go test.
package hot

/*
#cgo CFLAGS: -std=c11 -fvisibility=hidden -Wall -Wextra
#cgo strict CFLAGS: -Werror
*/
import "C"

import "turboapi/gosrc/engine"

// hotPing reports whether the Go side answers: 1, or 0 if it does not.
// Any thread, with or without the GIL.
//
//export hotPing
func hotPing() C.int {
	v, err := engine.Version()
	if err != nil || v == "" {
		return 0
	}
	return 1
}
