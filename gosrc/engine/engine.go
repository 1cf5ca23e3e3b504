// Package engine is the control plane that Python calls through gopy.
//
// Every function takes and returns plain values, returns (T, error), never
// lets a panic out, and is short: a caller holds up Ctrl-C until it returns.
package engine

import (
	"fmt"
	"runtime"
)

// Version returns the release of the Go toolchain that built the engine.
func Version() (v string, err error) {
	defer guard(&err)
	return runtime.Version(), nil
}

// guard turns a panic of the calling function into its error. Defer it first.
func guard(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("engine: panic: %v", r)
	}
}
