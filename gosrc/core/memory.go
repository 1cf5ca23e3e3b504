package core

import (
	"math"
	"os"
	"runtime/debug"

	"turboapi/gosrc/bridge"
	"turboapi/gosrc/wire"
)

// goBase is what Go needs beside the queues of its servers, in bytes.
const goBase = 64 << 20

// Full reports whether more bytes would be beyond the limit of what requests and
// answers may take. Any thread.
//
// Only what can do without memory asks: a body that is not collected yet, and who
// would produce more of an answer. A whole answer exists already, and is kept.
func (h *Host) Full(more int64) bool {
	l := h.Limits.Memory
	return l > 0 && bridge.Held()+more > l
}

// Collect adds data to a body that is collected before its exchange is
// dispatched; left is how much of it is to come, -1 where that is not known. It
// refuses what there is no memory for. The owner of x.
func (h *Host) Collect(x *bridge.Exchange, data []byte, left int64) *wire.Refusal {
	if n := x.BodyLen + uint64(len(data)); !x.HasRoom(n) {
		// Doubling keeps the copying linear; more than all of it is a waste.
		want := max(n, 2*x.BodyCap, 4096)
		if left >= 0 {
			want = min(want, n+uint64(left))
		}
		if h.Full(int64(want - x.BodyCap)) {
			return wire.ErrMemory
		}
		x.ReserveBody(want)
	}
	x.AppendBody(data)
	return nil
}

// limitMemory has Go's garbage collector follow the limits of all servers, unless
// the environment says what it is to keep to. The registry is locked.
func limitMemory() {
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	sum, servers := int64(goBase), *registry.cores.Load()
	for _, c := range servers {
		l := c.host.Limits.Memory
		if l == 0 || l > math.MaxInt64-sum {
			sum = math.MaxInt64
			break
		}
		sum += l
	}
	if len(servers) == 0 {
		sum = math.MaxInt64
	}
	debug.SetMemoryLimit(sum)
}
