package transporttest

import (
	"testing"

	"turboapi/gosrc/core"
)

// suite is one test of a transport.
type suite struct {
	name string
	test func(t *testing.T, open core.Opener)
}

// Run runs every test of this package on the transport that open makes.
func Run(t *testing.T, open core.Opener) {
	for _, group := range [][]suite{requests, bodies, forms, answers, departures, refusals, limits, memory, ends, sockets, wild} {
		for _, s := range group {
			t.Run(s.name, func(t *testing.T) { s.test(t, open) })
		}
	}
}

const get = "GET %s HTTP/1.1\r\nHost: x\r\n\r\n"
