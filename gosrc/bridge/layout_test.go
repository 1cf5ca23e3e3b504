package bridge

import (
	"strings"
	"testing"
)

// Every field of a twin is where C has it. cgo keeps the order of the C
// fields, so the two are walked side by side.
func TestTwinsHaveCsLayout(t *testing.T) {
	for _, pair := range twins {
		ours, theirs := pair[0], pair[1]
		t.Run(ours.Name(), func(t *testing.T) {
			type place struct {
				offset, size uintptr
				name         string
			}
			fields := func(i int) (all []place) {
				typ := pair[i]
				for i := range typ.NumField() {
					f := typ.Field(i)
					if f.Name == "_" || strings.HasPrefix(f.Name, "pad") {
						continue
					}
					all = append(all, place{f.Offset, f.Type.Size(), strings.ReplaceAll(f.Name, "_", "")})
				}
				return all
			}
			g, c := fields(0), fields(1)
			if len(g) != len(c) {
				t.Fatalf("%d fields in Go, %d in C", len(g), len(c))
			}
			for i := range g {
				if g[i].offset != c[i].offset || g[i].size != c[i].size {
					t.Errorf("%s: %d+%d in Go, %s: %d+%d in C", g[i].name, g[i].offset, g[i].size, c[i].name, c[i].offset, c[i].size)
				}
				name := strings.ToLower(g[i].name)
				if name != c[i].name && name != c[i].name+"ptr" {
					t.Errorf("%s stands where C has %s", g[i].name, c[i].name)
				}
			}
			if ours.Size() != theirs.Size() {
				t.Errorf("%d bytes in Go, %d in C", ours.Size(), theirs.Size())
			}
		})
	}
}
