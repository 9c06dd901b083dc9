package actors

import (
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/internal/protocol"
)

// The fields of an event between nodes, in protobuf's encoding. Nodes of different
// versions tell each other events: numbers and what they mean stay as they are, a new
// field gets a new number, and who does not know it passes over it.
const (
	eventFrame     = 1 // the frame as a binary frame, without a tail
	eventEphemeral = 2
	eventOnly      = 3
	eventNot       = 4
	eventHidden    = 5 // repeated
	eventSkip      = 6
	eventWord      = 7 // instead of a frame
)

// ErrUnknownFrame says that an event is of a newer version: it is left out.
var ErrUnknownFrame = errors.New("actors: a frame of an unknown type")

// AppendEvent appends e as nodes tell it each other.
func AppendEvent(b []byte, e *Event) []byte {
	if e.Shared == nil {
		b = protowire.AppendTag(b, eventWord, protowire.BytesType)
		return protowire.AppendBytes(b, e.Word)
	}
	b = protowire.AppendTag(b, eventFrame, protowire.BytesType)
	b = protowire.AppendBytes(b, protocol.AppendBinary(nil, e.Shared.Frame))
	if e.Ephemeral {
		b = protowire.AppendTag(b, eventEphemeral, protowire.VarintType)
		b = protowire.AppendVarint(b, 1)
	}
	text := func(field protowire.Number, s string) {
		if s != "" {
			b = protowire.AppendTag(b, field, protowire.BytesType)
			b = protowire.AppendString(b, s)
		}
	}
	text(eventOnly, e.Only)
	text(eventNot, e.Not)
	if len(e.Hidden) > 0 {
		hidden := make([]protocol.UserID, 0, len(e.Hidden))
		for user, is := range e.Hidden {
			if is {
				hidden = append(hidden, user)
			}
		}
		slices.Sort(hidden)
		for _, user := range hidden {
			text(eventHidden, user)
		}
	}
	if e.Skip != 0 {
		b = protowire.AppendTag(b, eventSkip, protowire.VarintType)
		b = protowire.AppendVarint(b, uint64(e.Skip))
	}
	return b
}

// ReadEvent reads what AppendEvent wrote and keeps nothing of b. The error is
// ErrUnknownFrame, or that b is damaged.
func ReadEvent(b []byte) (*Event, error) {
	e, frame := &Event{}, []byte(nil)
	for len(b) > 0 {
		field, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return nil, fmt.Errorf("actors: an event: %w", protowire.ParseError(n))
		}
		b = b[n:]
		var number uint64
		var text []byte
		switch kind {
		case protowire.VarintType:
			number, n = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			text, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(field, kind, b)
		}
		if n < 0 {
			return nil, fmt.Errorf("actors: an event: %w", protowire.ParseError(n))
		}
		b = b[n:]
		switch {
		case field == eventFrame && kind == protowire.BytesType:
			frame = text
		case field == eventEphemeral && kind == protowire.VarintType:
			e.Ephemeral = number != 0
		case field == eventOnly && kind == protowire.BytesType:
			e.Only = string(text)
		case field == eventNot && kind == protowire.BytesType:
			e.Not = string(text)
		case field == eventHidden && kind == protowire.BytesType:
			if e.Hidden == nil {
				e.Hidden = map[protocol.UserID]bool{}
			}
			e.Hidden[string(text)] = true
		case field == eventWord && kind == protowire.BytesType:
			e.Word = slices.Clone(text)
		case field == eventSkip && kind == protowire.VarintType:
			e.Skip = int64(number)
		}
	}
	if frame == nil && e.Word != nil {
		return e, nil
	}
	f := new(protocol.Frame)
	if err := proto.Unmarshal(frame, f); err != nil {
		return nil, fmt.Errorf("actors: an event's frame: %w", err)
	}
	if f.Body == nil {
		return nil, ErrUnknownFrame
	}
	e.Shared = protocol.NewShared(f)
	return e, nil
}
