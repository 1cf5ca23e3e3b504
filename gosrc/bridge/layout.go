package bridge

/*
#include "exchange.h"
*/
import "C"

import (
	"reflect"
	"unsafe"
)

// Span is a range of bytes in Exchange.Req (turbo_span).
type Span struct{ Off, Len uint32 }

// Field is one request field (turbo_field): the name in lower case, the value
// without the white space around it.
type Field struct{ Name, Value Span }

// Slot is what the engine made of one plan parameter (turbo_slot).
type Slot struct {
	Kind  uint8 // SlotMissing ...
	ASCII uint8 // 1: a SlotStr is pure ASCII
	_     [6]byte
	u     uint64
}

// Event is one thing that Turn tells the lanes (turbo_event).
type Event struct {
	X    *Exchange
	Gen  uint32
	Kind uint32 // EvRequest ...
}

// Part is one part of a form (turbo_part): exchange.h explains it.
type Part struct {
	Name, Filename, Value Span
	Fields, NFields       uint32
	File                  uint32
	Kind                  uint8
	_                     [3]uint8
	Size                  uint64
}

// Spool is a piece of the body that went to a file (turbo_spool).
type Spool struct {
	At, Len uint64
	FD      int32
	_       [4]uint8
}

// Exchange is the Go twin of turbo_exchange. It lives in C memory only: get
// one from Acquire, never make one. Its pointers are C's. exchange.h explains
// the fields and says who may touch them at what time.
type Exchange struct {
	Gen       uint32
	Index     uint32
	Conn      uint64
	TRead     uint64
	Version   uint32
	Plan      int32
	Transport uint8
	Method    uint8
	Minor     uint8
	LaneState uint8
	Flags     uint32

	Req                                      *byte
	ReqCap, ReqLen                           uint32
	MethodName, Target, RawPath, Query, Path Span
	FieldsOff, NFields                       uint32
	SlotsOff, NSlots                         uint32
	Origin, ContentType                      int32

	Body             *byte
	BodyLen, BodyCap uint64
	Want             uint8
	SentHead         uint8
	Ended            uint8
	Framing          uint8
	KeepAlive        uint8
	Listed           uint8
	_                [2]uint8
	LengthLeft       uint64

	Parts                        *Part
	PartFields                   *Field
	Spools                       *Spool
	NParts, NPartFields, NSpools uint32
	_                            [4]uint8

	Ops                  uint32
	Status               uint16
	Preset               uint8
	_                    uint8
	FieldsPtr            *byte
	FieldsLen, FieldsCap uint32
	OutPtr               *byte
	OutLen, OutCap       uint64
	Unsent               uint64
	FileAt, FileLen      int64
	File                 int32
	_                    uint32

	ClientHost [46]byte
	ClientPort uint16

	LanePlan    unsafe.Pointer
	LaneObj     unsafe.Pointer
	LaneArg     uint64
	LaneNext    *Exchange
	LaneContext uint64

	ServerPort uint16
	ServerHost [ServerHostSize]byte

	ReqInline [ReqInline]byte
	OutInline [OutInline]byte
}

// What the engine made of a plan parameter.
const (
	SlotMissing    = C.TURBO_SLOT_MISSING
	SlotStr        = C.TURBO_SLOT_STR
	SlotLatin1     = C.TURBO_SLOT_LATIN1
	SlotInt        = C.TURBO_SLOT_INT
	SlotFloat      = C.TURBO_SLOT_FLOAT
	SlotBool       = C.TURBO_SLOT_BOOL
	SlotList       = C.TURBO_SLOT_LIST
	SlotListLatin1 = C.TURBO_SLOT_LIST_LATIN1
)

// Request flags.
const (
	ReqBodyEnd   = C.TURBO_REQ_BODY_END
	ReqOdd       = C.TURBO_REQ_ODD
	ReqGone      = C.TURBO_REQ_GONE
	ReqHead      = C.TURBO_REQ_HEAD
	ReqOrigin    = C.TURBO_REQ_ORIGIN
	ReqHasQuery  = C.TURBO_REQ_HAS_QUERY
	ReqUnix      = C.TURBO_REQ_UNIX
	ReqTLS       = C.TURBO_REQ_TLS
	ReqContinue  = C.TURBO_REQ_CONTINUE
	ReqWebSocket = C.TURBO_REQ_WEBSOCKET
	ReqForm      = C.TURBO_REQ_FORM
)

// Kinds of part.
const (
	PartText    = C.TURBO_PART_TEXT
	PartFile    = C.TURBO_PART_FILE
	PartSpooled = C.TURBO_PART_SPOOLED
)

// What the lane asks of the transport.
const (
	OpHead    = C.TURBO_OP_HEAD
	OpEnd     = C.TURBO_OP_END
	OpRelease = C.TURBO_OP_RELEASE
	OpAbort   = C.TURBO_OP_ABORT
	OpWant    = C.TURBO_OP_WANT
	OpEarly   = C.TURBO_OP_EARLY
	OpClose   = C.TURBO_OP_CLOSE
	OpAccept  = C.TURBO_OP_ACCEPT
)

// Kinds of WebSocket message, and the size of the head before each.
const (
	MsgText   = C.TURBO_MSG_TEXT
	MsgBinary = C.TURBO_MSG_BINARY
	MsgClose  = C.TURBO_MSG_CLOSE

	MessageHead = C.sizeof_turbo_message
)

// Kinds of event, presets, sizes and marks; see exchange.h.
const (
	EvRequest = C.TURBO_EV_REQUEST
	EvBody    = C.TURBO_EV_BODY
	EvGone    = C.TURBO_EV_GONE
	EvDrained = C.TURBO_EV_DRAINED

	PresetNone = C.TURBO_PRESET_NONE
	PresetJSON = C.TURBO_PRESET_JSON

	PlanApp = C.TURBO_PLAN_APP

	ReqInline = C.TURBO_REQ_INLINE
	OutInline = C.TURBO_OUT_INLINE

	ServerHostSize = C.TURBO_SERVER_HOST

	HighWater = C.TURBO_HIGH_WATER
	LowWater  = C.TURBO_LOW_WATER
	InboxMax  = C.TURBO_INBOX_MAX
)

// The part of a record that Acquire zeroes: from here up to there.
const (
	identityEnd = unsafe.Offsetof(Exchange{}.Conn)
	recordHead  = unsafe.Offsetof(Exchange{}.ServerHost)
)

// A twin of another size does not compile. That every field is where C has it
// is a test.
var (
	_ [unsafe.Sizeof(Exchange{})]byte = [unsafe.Sizeof(C.turbo_exchange{})]byte{}
	_ [unsafe.Sizeof(Slot{})]byte     = [unsafe.Sizeof(C.turbo_slot{})]byte{}
	_ [unsafe.Sizeof(Field{})]byte    = [unsafe.Sizeof(C.turbo_field{})]byte{}
	_ [unsafe.Sizeof(Event{})]byte    = [unsafe.Sizeof(C.turbo_event{})]byte{}
	_ [unsafe.Sizeof(Part{})]byte     = [unsafe.Sizeof(C.turbo_part{})]byte{}
	_ [unsafe.Sizeof(Spool{})]byte    = [unsafe.Sizeof(C.turbo_spool{})]byte{}
)

// twins pairs each Go type with cgo's view of the C one.
var twins = [][2]reflect.Type{
	{reflect.TypeFor[Exchange](), reflect.TypeFor[C.turbo_exchange]()},
	{reflect.TypeFor[Slot](), reflect.TypeFor[C.turbo_slot]()},
	{reflect.TypeFor[Span](), reflect.TypeFor[C.turbo_span]()},
	{reflect.TypeFor[Field](), reflect.TypeFor[C.turbo_field]()},
	{reflect.TypeFor[Event](), reflect.TypeFor[C.turbo_event]()},
	{reflect.TypeFor[Part](), reflect.TypeFor[C.turbo_part]()},
	{reflect.TypeFor[Spool](), reflect.TypeFor[C.turbo_spool]()},
}
