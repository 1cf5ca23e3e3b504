// Package bridge holds the exchange record that Go and C share: its Go twin,
// its free list and the C memory that hangs on it. exchange.h says who owns
// which part at what time. Python is unknown here, so go test can run it.
package bridge

/*
#cgo CFLAGS: -std=c11 -Wall -Wextra
#cgo strict CFLAGS: -Werror
#include <stdlib.h>
#include "exchange.h"

#define SLAB_RECORDS 64

// A slab is never given back: a Python object may ask a record for its gen long
// after its exchange. The chain keeps all of them reachable for leak checkers.
typedef struct slab {
    struct slab *next;
    _Alignas(64) turbo_exchange records[SLAB_RECORDS];
} slab;

static slab *slabs;

// Make a slab. The caller holds the free list's lock. NULL: no memory.
static turbo_exchange *
slab_new(void)
{
    slab *s = aligned_alloc(64, sizeof(slab));
    if (s == NULL) {
        return NULL;
    }
    s->next = slabs;
    slabs = s;
    return s->records;
}

// Unlike cgo's own C.malloc these report NULL instead of ending the process.
static void *bridge_realloc(void *p, size_t n) { return realloc(p, n); }
*/
import "C"

import (
	"errors"
	"sync"
	"unsafe"
)

var (
	errMemory = errors.New("bridge: out of memory")
	errTwice  = errors.New("bridge: exchange released twice")
)

// list is the process's free list. The record used last is used next: it is
// the one that is still in the processor's cache.
var list struct {
	sync.Mutex
	free []*Exchange
	made int64
}

// Acquire takes a record off the free list. Any thread. Everything before the
// server's host is zero but gen, index, plan (PlanApp), origin and content
// type (-1), and req and out, which point at the inline buffers; the server's
// host is empty. The caller owns it until it hands it on or calls Release. It panics without memory.
func Acquire() *Exchange {
	list.Lock()
	if len(list.free) == 0 {
		if err := grow(); err != nil {
			list.Unlock()
			panic(err)
		}
	}
	last := len(list.free) - 1
	x := list.free[last]
	list.free = list.free[:last]
	list.Unlock()

	// Safe: the bytes between index and server_host belong to x, which nobody
	// else has; pointers among them are C's and were freed by Release.
	clear(unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(x), identityEnd)), recordHead-identityEnd))
	x.Plan = PlanApp
	x.Req, x.ReqCap = &x.ReqInline[0], ReqInline
	x.OutPtr, x.OutCap = &x.OutInline[0], OutInline
	x.Origin, x.ContentType = -1, -1
	x.ServerHost[0] = 0
	return x
}

// Release frees what hangs on x, ends its generation and gives it back. Any
// thread, the owner only; x must not be touched afterwards. It panics when x
// is in the list already, since two owners would get it next.
func Release(x *Exchange) {
	if x.Listed != 0 {
		panic(errTwice)
	}
	x.DropFile()
	had := uint64(0)
	if x.ReqCap > ReqInline {
		C.free(unsafe.Pointer(x.Req))
		had += uint64(x.ReqCap)
	}
	if x.BodyCap > 0 {
		C.free(unsafe.Pointer(x.Body))
		had += x.BodyCap
	}
	if x.NSpools > 0 || x.NParts > 0 {
		had += x.dropForm()
	}
	if x.FieldsCap > 0 {
		C.free(unsafe.Pointer(x.FieldsPtr))
		had += uint64(x.FieldsCap)
	}
	if x.OutCap > OutInline {
		C.free(unsafe.Pointer(x.OutPtr))
		had += x.OutCap
	}
	if had > 0 {
		Hold(-int64(had))
	}
	x.Gen++
	x.Listed = 1
	list.Lock()
	list.free = append(list.free, x)
	list.Unlock()
}

// Live is the number of records acquired and not released.
func Live() int64 {
	list.Lock()
	defer list.Unlock()
	return list.made - int64(len(list.free))
}

// grow adds a slab to the free list, whose lock the caller holds.
func grow() error {
	// Safe: slab_new gives SLAB_RECORDS records that are never freed.
	first := unsafe.Pointer(C.slab_new())
	if first == nil {
		return errMemory
	}
	records := unsafe.Slice((*Exchange)(first), C.SLAB_RECORDS)
	for i := len(records) - 1; i >= 0; i-- {
		x := &records[i]
		x.Gen, x.Index, x.Listed = 1, uint32(list.made)+uint32(i), 1
		list.free = append(list.free, x)
	}
	list.made += int64(len(records))
	return nil
}

// free gives back had bytes of C memory.
func free(p unsafe.Pointer, had uint64) {
	C.free(p)
	Hold(-int64(had))
}

// resize gives C memory of n bytes that begins with p's content. p is nil or
// from an earlier resize (or C's malloc), of had bytes, and is gone afterwards.
func resize(p unsafe.Pointer, had, n uint64) *byte {
	// Safe: p comes from malloc by contract, the result is C memory.
	q := C.bridge_realloc(p, C.size_t(n))
	if q == nil {
		panic(errMemory)
	}
	Hold(int64(n) - int64(had))
	return (*byte)(q)
}
