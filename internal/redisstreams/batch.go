package redisstreams

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/troupe-im/troupe/actors"
)

// An entry of a stream has one field, "b", and in it a batch in protobuf's encoding.
// As nodes of different versions read each other's, numbers and what they mean stay;
// what a node does not know it passes over.
const (
	batchFrom     = 1 // the sender's stream
	batchSeq      = 2 // 1, 2, 3… from this sender to this reader
	batchTail     = 3 // nothing new: batchSeq is the one of the last batch that was sent
	batchEvents   = 4 // repeated: 1 subject, 2 events, repeated
	batchFollow   = 5 // repeated: 1 token, 2 repeated: 1 subject, 2 generation
	batchFollowed = 6 // repeated: a token, given back
	batchUnwanted = 7 // repeated: 1 subject, 2 generation
	batchLost     = 8 // the sender may have dropped what was for this reader
)

// followed is an interest and which registration of it this is: they rise.
type followed struct {
	subject string
	gen     uint64
}

func appendNumber(b []byte, field protowire.Number, n uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), n)
}

func appendText(b []byte, field protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), s)
}

func appendPart(b []byte, field protowire.Number, part []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), part)
}

func appendFollowed(b []byte, field protowire.Number, f followed) []byte {
	return appendPart(b, field, appendNumber(appendText(nil, 1, f.subject), 2, f.gen))
}

// eventsItem is the item of a batch that brings events of a subject.
func eventsItem(subject string, events []*actors.Event) []byte {
	part := appendText(make([]byte, 0, 256*len(events)+len(subject)), 1, subject)
	var one []byte
	for _, e := range events {
		one = actors.AppendEvent(one[:0], e)
		part = appendPart(part, 2, one)
	}
	return appendPart(make([]byte, 0, len(part)+8), batchEvents, part)
}

func followItem(token uint64, all []followed) []byte {
	part := appendNumber(nil, 1, token)
	for _, f := range all {
		part = appendFollowed(part, 2, f)
	}
	return appendPart(nil, batchFollow, part)
}

// head begins a batch.
func head(b []byte, from string, seq uint64) []byte {
	return appendNumber(appendText(b, batchFrom, from), batchSeq, seq)
}

// batch is one as it was read. Parts point into what was read.
type batch struct {
	from     string
	seq      uint64
	tail     bool
	lost     bool
	events   [][]byte
	follows  []follow
	followed []uint64
	unwanted []followed
}

type follow struct {
	token uint64
	all   []followed
}

// fields calls each with every field of b: number or text has its value.
func fields(b []byte, each func(field protowire.Number, number uint64, text []byte) error) error {
	for len(b) > 0 {
		field, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
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
			if n = protowire.ConsumeFieldValue(field, kind, b); n >= 0 {
				b = b[n:]
				continue
			}
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		if err := each(field, number, text); err != nil {
			return err
		}
	}
	return nil
}

func readFollowed(b []byte) (f followed, err error) {
	err = fields(b, func(field protowire.Number, number uint64, text []byte) error {
		switch field {
		case 1:
			f.subject = string(text)
		case 2:
			f.gen = number
		}
		return nil
	})
	return f, err
}

// readBatch reads one.
func readBatch(data []byte) (*batch, error) {
	b := &batch{}
	err := fields(data, func(field protowire.Number, number uint64, text []byte) error {
		switch field {
		case batchFrom:
			b.from = string(text)
		case batchSeq:
			b.seq = number
		case batchTail:
			b.tail = number != 0
		case batchLost:
			b.lost = number != 0
		case batchEvents:
			b.events = append(b.events, text)
		case batchFollowed:
			b.followed = append(b.followed, number)
		case batchUnwanted:
			f, err := readFollowed(text)
			b.unwanted = append(b.unwanted, f)
			return err
		case batchFollow:
			var f follow
			err := fields(text, func(field protowire.Number, number uint64, text []byte) error {
				switch field {
				case 1:
					f.token = number
				case 2:
					one, err := readFollowed(text)
					f.all = append(f.all, one)
					return err
				}
				return nil
			})
			b.follows = append(b.follows, f)
			return err
		}
		return nil
	})
	if err == nil && (b.from == "" || b.seq == 0) {
		err = fmt.Errorf("nobody's")
	}
	if err != nil {
		return nil, fmt.Errorf("redisstreams: a batch: %w", err)
	}
	return b, nil
}

// readEvents reads the events of one subject. Those of a later version are left out.
func readEvents(part []byte) (subject string, events []*actors.Event, err error) {
	err = fields(part, func(field protowire.Number, _ uint64, text []byte) error {
		switch field {
		case 1:
			subject = string(text)
		case 2:
			e, err := actors.ReadEvent(text)
			if err == actors.ErrUnknownFrame {
				return nil
			}
			if err != nil {
				return err
			}
			events = append(events, e)
		}
		return nil
	})
	return subject, events, err
}
