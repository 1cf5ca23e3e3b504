//go:build !linux

package form

import "errors"

func openUnnamed(string) (int, error) { return -1, errors.ErrUnsupported }
