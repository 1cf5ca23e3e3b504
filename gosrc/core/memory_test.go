package core

import (
	"math"
	"runtime/debug"
	"testing"

	"turboapi/gosrc/bridge"
)

func TestGoFollowsTheLimitsOfAllServers(t *testing.T) {
	t.Setenv("GOMEMLIMIT", "")
	limit := func() int64 { return debug.SetMemoryLimit(-1) }
	open := func(memory string) *Core {
		h, err := Open([]byte(`{"transport":"fake","limit_memory":` + memory + `}`))
		if err != nil {
			t.Fatal(err)
		}
		return Lookup(h)
	}
	a, b := open("1000"), open("2000")
	if n := limit(); n != goBase+3000 {
		t.Errorf("two servers: %d", n)
	}
	c := open("0")
	if n := limit(); n != math.MaxInt64 {
		t.Errorf("one without a limit: %d", n)
	}
	c.Close()
	a.Close()
	if n := limit(); n != goBase+2000 {
		t.Errorf("one is left: %d", n)
	}
	t.Setenv("GOMEMLIMIT", "1GiB")
	b.Close()
	if n := limit(); n != goBase+2000 {
		t.Errorf("changed against the environment: %d", n)
	}
	debug.SetMemoryLimit(math.MaxInt64)
}

func TestFull(t *testing.T) {
	h := &Host{}
	before := bridge.Held()
	h.Limits.Memory = before + 100
	if h.Full(100) || !h.Full(101) {
		t.Error("without anything held")
	}
	bridge.Hold(60)
	defer bridge.Hold(-60)
	if h.Full(40) || !h.Full(41) {
		t.Error("with 60 of 100 held")
	}
	h.Limits.Memory = 0
	if h.Full(math.MaxInt64 / 2) {
		t.Error("without a limit")
	}
}
