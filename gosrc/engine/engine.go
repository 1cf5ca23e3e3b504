// Package engine is the control plane that Python calls through gopy.
//
// Every function takes and returns plain values, returns (T, error), never
// lets a panic out, and is short: a caller holds up Ctrl-C until it returns.
// A handle names one server; those that only act return the handle.
package engine

import (
	"fmt"
	"runtime"
	"runtime/debug"

	jsoniter "github.com/json-iterator/go"

	"turboapi/gosrc/bridge"
	"turboapi/gosrc/core"
	_ "turboapi/gosrc/reactor" // registers the transport
	_ "turboapi/gosrc/server"  // registers the transport
)

func init() {
	// A call from C needs a free scheduler slot. Two more than there are cores
	// keep one free for the loop's turn while goroutines are busy.
	runtime.GOMAXPROCS(runtime.NumCPU() + 2)
	// The heap is small and the hot path does not allocate; returning memory
	// early costs nothing that a request would notice.
	debug.SetGCPercent(50)
}

// Version returns the release of the Go toolchain that built the engine.
func Version() (v string, err error) {
	defer guard(&err)
	return runtime.Version(), nil
}

// Open makes a server from settings (JSON, see core.Open) and returns its
// handle. It accepts connections from the first turn on.
func Open(settings string) (handle int64, err error) {
	defer guard(&err)
	return core.Open([]byte(settings))
}

// FD returns the descriptor that is readable when a turn has work.
func FD(handle int64) (fd int, err error) {
	defer guard(&err)
	c, err := lookup(handle)
	if err != nil {
		return 0, err
	}
	return c.FD(), nil
}

// SetTable replaces the server's route table (JSON). The loop's thread, between turns.
func SetTable(handle int64, table string) (h int64, err error) {
	defer guard(&err)
	c, err := lookup(handle)
	if err != nil {
		return 0, err
	}
	return handle, c.SetTable(table)
}

// Drain accepts nothing more and closes connections as they become idle.
func Drain(handle int64) (h int64, err error) {
	defer guard(&err)
	c, err := lookup(handle)
	if err != nil {
		return 0, err
	}
	c.Drain()
	return handle, nil
}

// Active returns the number of open connections and unreleased exchanges.
func Active(handle int64) (n int64, err error) {
	defer guard(&err)
	c, err := lookup(handle)
	if err != nil {
		return 0, err
	}
	return c.Active(), nil
}

// Logs takes the log lines that wait: {"dropped": int, "lines": [...]}.
func Logs(handle int64) (lines string, err error) {
	defer guard(&err)
	c, err := lookup(handle)
	if err != nil {
		return "", err
	}
	return string(c.Logs()), nil
}

// Stats returns the counters of one server as a JSON object, or with handle 0
// those of the process.
func Stats(handle int64) (counters string, err error) {
	defer guard(&err)
	if handle == 0 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return jsoniter.MarshalToString(map[string]any{
			"live":       bridge.Live(),
			"held":       bridge.Held(),
			"servers":    core.Servers(),
			"goroutines": runtime.NumGoroutine(),
			"heap_bytes": m.HeapAlloc,
		})
	}
	c, err := lookup(handle)
	if err != nil {
		return "", err
	}
	return string(c.Stats()), nil
}

// Close closes everything that the server holds; the handle is dead afterwards.
func Close(handle int64) (h int64, err error) {
	defer guard(&err)
	c, err := lookup(handle)
	if err != nil {
		return 0, err
	}
	c.Close()
	return handle, nil
}

func lookup(handle int64) (*core.Core, error) {
	if c := core.Lookup(handle); c != nil {
		return c, nil
	}
	return nil, fmt.Errorf("engine: no server has the handle %d", handle)
}

// guard turns a panic of the calling function into its error. Defer it first.
func guard(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("engine: panic: %v\n%s", r, debug.Stack())
	}
}
