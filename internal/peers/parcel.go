package peers

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// The kinds of envelopes. Numbers are for ever.
const (
	kindParcel = 1
	kindWord   = 2
)

// The fields of a parcel and a word, in protobuf's encoding, under the rule of events
// between nodes: a number keeps its meaning, and an unknown one is passed over.
const (
	fieldFrom    = 1
	fieldTo      = 2
	fieldAddress = 3 // of from
	fieldSeq     = 4 // of the parcel; none: it has no records
	fieldAck     = 5 // all parcels up to this one were taken
	fieldMissing = 6 // the one after ack is missing, though later ones came
	fieldRecord  = 7 // repeated
)

// parcel is what goes over a link at once.
type parcel struct {
	from, to, address string
	seq, ack          uint64
	missing           bool
	records           [][]byte
	size              int // of records
}

func (c *parcel) append(b []byte) []byte {
	text := func(field protowire.Number, s string) {
		b = protowire.AppendTag(b, field, protowire.BytesType)
		b = protowire.AppendString(b, s)
	}
	number := func(field protowire.Number, n uint64) {
		if n != 0 {
			b = protowire.AppendTag(b, field, protowire.VarintType)
			b = protowire.AppendVarint(b, n)
		}
	}
	text(fieldFrom, c.from)
	text(fieldTo, c.to)
	text(fieldAddress, c.address)
	number(fieldSeq, c.seq)
	number(fieldAck, c.ack)
	if c.missing {
		number(fieldMissing, 1)
	}
	for _, r := range c.records {
		b = protowire.AppendTag(b, fieldRecord, protowire.BytesType)
		b = protowire.AppendBytes(b, r)
	}
	return b
}

// readParcel keeps parts of b.
func readParcel(b []byte) (*parcel, error) {
	c := &parcel{}
	err := Fields(b, func(field protowire.Number, n uint64, text []byte) {
		switch field {
		case fieldFrom:
			c.from = string(text)
		case fieldTo:
			c.to = string(text)
		case fieldAddress:
			c.address = string(text)
		case fieldSeq:
			c.seq = n
		case fieldAck:
			c.ack = n
		case fieldMissing:
			c.missing = n != 0
		case fieldRecord:
			c.records = append(c.records, text)
		}
	})
	if err == nil && (c.from == "" || c.to == "") {
		err = errors.New("nobody's, or for nobody")
	}
	if err != nil {
		return nil, fmt.Errorf("peers: a parcel: %w", err)
	}
	return c, nil
}

func appendWord(b []byte, from string, record []byte) []byte {
	b = protowire.AppendTag(b, fieldFrom, protowire.BytesType)
	b = protowire.AppendString(b, from)
	b = protowire.AppendTag(b, fieldRecord, protowire.BytesType)
	return protowire.AppendBytes(b, record)
}

func readWord(b []byte) (from string, record []byte, err error) {
	err = Fields(b, func(field protowire.Number, _ uint64, text []byte) {
		switch field {
		case fieldFrom:
			from = string(text)
		case fieldRecord:
			record = text
		}
	})
	if err == nil && from == "" {
		err = errors.New("nobody's")
	}
	if err != nil {
		return "", nil, fmt.Errorf("peers: a word: %w", err)
	}
	return from, record, nil
}

// Fields calls each with every field of b, which is in protobuf's encoding, that is a number or
// bytes. Those of other kinds are passed over.
func Fields(b []byte, each func(field protowire.Number, n uint64, text []byte)) error {
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
			n = protowire.ConsumeFieldValue(field, kind, b)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		if kind == protowire.VarintType || kind == protowire.BytesType {
			each(field, number, text)
		}
	}
	return nil
}
