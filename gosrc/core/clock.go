package core

import "time"

var (
	epoch = time.Now()
	// What the system's monotonic clock showed at epoch, so that Now can be
	// compared with what C reads from it.
	epochNS = monotonicAt(epoch)
)

// Now is the system's monotonic clock in ns: the one that C's hot_now reads,
// where the two are comparable (Linux).
func Now() uint64 { return epochNS + uint64(time.Since(epoch)) }
