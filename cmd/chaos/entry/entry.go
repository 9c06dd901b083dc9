// Package entry reads an entry of a session's log as the stores keep it: by its own
// reading of the protobuf message, for programs that judge what the server wrote.
package entry

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/troupe-im/troupe/cmd/chaos/history"
)

// kinds are the entries' kinds by their number; 0 is a message.
var kinds = []string{"", "recall", "edit", "react", "join", "leave", "change", "expire", "answer"}

// Parse reads the fields that a history compares: kind 4, sender 5, client
// message id 6, content 7 (its text is 2), created at 8, target 12, members 14,
// recalled 19, expired 20, deal 29.
func Parse(b []byte) (*history.Entry, error) {
	e := &history.Entry{}
	err := fields(b, func(field protowire.Number, v uint64, word []byte) error {
		switch field {
		case 4:
			if v >= uint64(len(kinds)) {
				return fmt.Errorf("kind %d is unknown", v)
			}
			e.Kind = kinds[v]
		case 5:
			e.Sender = string(word)
		case 6:
			e.Cmid = string(word)
		case 7:
			return fields(word, func(field protowire.Number, _ uint64, text []byte) error {
				if field == 2 {
					e.Text = string(text)
				}
				return nil
			})
		case 8:
			e.CreatedAt = int64(v)
		case 12:
			e.Target = int64(v)
		case 14:
			e.Members = append(e.Members, string(word))
		case 19:
			e.Recalled = v != 0
		case 20:
			e.Expired = v != 0
		case 29:
			e.Dealt = true
		}
		return nil
	})
	if e.Kind != "" {
		e.Text = "" // only what a message says is compared
	}
	return e, err
}

// fields calls each with every field of a protobuf message: v of a varint, word of bytes.
func fields(b []byte, each func(field protowire.Number, v uint64, word []byte) error) error {
	for len(b) > 0 {
		field, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		var v uint64
		var word []byte
		switch kind {
		case protowire.VarintType:
			v, n = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			word, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(field, kind, b)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		if err := each(field, v, word); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}
