package pebblestore

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/troupe-im/troupe/internal/protocol"
)

func spoken() *protocol.Entry {
	return &protocol.Entry{Session: someRoom, Seq: 7, MessagerecvId: someRoom + ".7", Sender: "ann", ClientMsgId: "c", CreatedAt: 5,
		Content: &protocol.Content{Type: protocol.ContentType_TEXT, Text: "今晚七点"}}
}

// setting has each field of a message set, one at a time.
func setting(t *testing.T, m protoreflect.Message, each func(field string)) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		had, before := m.Has(f), m.Get(f)
		var v protoreflect.Value
		switch {
		case f.IsList() && f.Kind() == protoreflect.MessageKind:
			v = m.NewField(f)
			v.List().Append(v.List().NewElement())
		case f.IsList():
			v = m.NewField(f)
			v.List().Append(protoreflect.ValueOfString("one"))
		case f.Kind() == protoreflect.MessageKind:
			v = m.NewField(f)
		case f.Kind() == protoreflect.StringKind:
			v = protoreflect.ValueOfString("some")
		case f.Kind() == protoreflect.BoolKind:
			v = protoreflect.ValueOfBool(true)
		case f.Kind() == protoreflect.Int64Kind:
			v = protoreflect.ValueOfInt64(1 << 40)
		case f.Kind() == protoreflect.EnumKind:
			v = protoreflect.ValueOfEnum(f.Enum().Values().Get(f.Enum().Values().Len() - 1).Number())
		default:
			t.Fatalf("%s is of a kind that this test does not know", f.FullName())
		}
		m.Set(f, v)
		each(string(f.FullName()))
		if m.Clear(f); had {
			m.Set(f, before)
		}
	}
}

func TestWordsAreWrittenAsAnyEntryIs(t *testing.T) {
	same := func(e *protocol.Entry, what string) {
		t.Helper()
		want, _, err := appendProto(nil, e, nil)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if got, ok := appendText(nil, e); ok && !bytes.Equal(got, want) {
			t.Errorf("with %s:\n%x, want\n%x", what, got, want)
		}
	}
	e := spoken()
	if _, ok := appendText(nil, e); !ok {
		t.Fatal("words are not taken for words")
	}
	same(e, "nothing more")
	setting(t, e.ProtoReflect(), func(field string) { same(e, field) })
	e = spoken()
	setting(t, e.Content.ProtoReflect(), func(field string) { same(e, field) })

	for _, text := range []string{"", string(bytes.Repeat([]byte("x"), 127)), string(bytes.Repeat([]byte("x"), 20_000))} {
		e = spoken()
		e.Content.Text = text
		same(e, "another text")
	}
	e = spoken()
	e.Content.ProtoReflect().SetUnknown([]byte{0xf8, 0x07, 1})
	same(e, "a field of a later version")
	e = spoken()
	e.ProtoReflect().SetUnknown([]byte{0xf8, 0x07, 1})
	same(e, "a field of a later version beside the content")
	if _, ok := appendText(nil, &protocol.Entry{}); ok {
		t.Error("an entry without content is taken for words")
	}
}

func TestWordsThatAreNotUTF8AreRefused(t *testing.T) {
	for what, e := range map[string]*protocol.Entry{"text": spoken(), "sender": spoken(), "id": spoken(), "reply": spoken(), "platform": spoken()} {
		switch what {
		case "text":
			e.Content.Text = "\xff"
		case "sender":
			e.Sender = "\xff"
		case "id":
			e.ClientMsgId = "\xff"
		case "reply":
			e.ReplyTo = "\xff"
		case "platform":
			e.Platform = "\xff"
		}
		if _, err := proto.Marshal(e); err == nil {
			t.Fatalf("%s that is not UTF-8 is encoded", what)
		}
		if _, _, err := entryRow(nil, e, [8]byte{}, nil); err == nil {
			t.Errorf("%s that is not UTF-8 is written", what)
		}
	}
}

func BenchmarkEntryRow(b *testing.B) {
	e := benchEntry(7, "0123456789abcdef-00000001")
	b.Run("words", func(b *testing.B) {
		var room []byte
		for b.Loop() {
			room, _ = appendText(room[:0], e)
		}
	})
	b.Run("any", func(b *testing.B) {
		var room, scratch []byte
		for b.Loop() {
			room, scratch, _ = appendProto(room[:0], e, scratch)
		}
	})
}
