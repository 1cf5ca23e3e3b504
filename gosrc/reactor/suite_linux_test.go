package reactor

import (
	"testing"

	"turboapi/gosrc/transporttest"
)

func TestTransport(t *testing.T) { transporttest.Run(t, Open) }
