package pebblestore

import (
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/troupe-im/troupe/internal/protocol"
)

// appendText appends the protobuf of an entry that is somebody's words and nothing else, as most are: what
// appendProto does, for a third of the time. Not ok is any other entry, and one that cannot be encoded.
func appendText(b []byte, e *protocol.Entry) (with []byte, ok bool) {
	c := e.Content
	if c == nil || !isText(e, c) {
		return b, false
	}
	b = appendWord(b, 5, e.Sender)
	b = appendWord(b, 6, e.ClientMsgId)
	size := sizeOfNumber(1, int64(c.Type)) + sizeOfWord(2, c.Text)
	b = protowire.AppendVarint(protowire.AppendTag(b, 7, protowire.BytesType), uint64(size))
	b = appendNumber(b, 1, int64(c.Type))
	b = appendWord(b, 2, c.Text)
	b = appendNumber(b, 8, e.CreatedAt)
	b = appendNumber(b, 9, e.Expire)
	b = appendWord(b, 10, e.ReplyTo)
	return appendWord(b, 24, e.Platform), true
}

// isText says that an entry has no other fields than appendText writes. A test holds each field of both against it.
func isText(e *protocol.Entry, c *protocol.Content) bool {
	return e.Kind == protocol.Kind_MESSAGE && len(e.Mentions) == 0 && e.Target == 0 && e.TargetSender == "" && len(e.Members) == 0 &&
		e.Reaction == "" && !e.Removed && len(e.Reactions) == 0 && e.EditedAt == 0 && !e.Recalled && !e.Expired &&
		e.Name == "" && e.Owner == "" && e.Answer == "" && e.Role == 0 && e.Change == nil && e.ReactedSeq == 0 &&
		!e.Cut && e.Deal == nil && !e.Quiet && len(e.ProtoReflect().GetUnknown()) == 0 &&
		c.File == "" && len(c.Files) == 0 && c.Name == "" && c.Mime == "" && c.Size == 0 && c.Width == 0 && c.Height == 0 &&
		c.Duration == 0 && c.Url == "" && c.Title == "" && c.Digest == "" && c.Thumb == "" && len(c.Forwarded) == 0 &&
		c.Data == "" && len(c.ProtoReflect().GetUnknown()) == 0 &&
		utf8.ValidString(e.Sender) && utf8.ValidString(e.ClientMsgId) && utf8.ValidString(c.Text) &&
		utf8.ValidString(e.ReplyTo) && utf8.ValidString(e.Platform)
}

func appendWord(b []byte, field protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), s)
}

func sizeOfWord(field protowire.Number, s string) int {
	if s == "" {
		return 0
	}
	return protowire.SizeTag(field) + protowire.SizeBytes(len(s))
}

func appendNumber(b []byte, field protowire.Number, n int64) []byte {
	if n == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), uint64(n))
}

func sizeOfNumber(field protowire.Number, n int64) int {
	if n == 0 {
		return 0
	}
	return protowire.SizeTag(field) + protowire.SizeVarint(uint64(n))
}
