package pebblestore

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

func TestAnEntryRowHasAllOfTheEntry(t *testing.T) {
	e := &protocol.Entry{Session: someRoom, Seq: 7, MessagerecvId: someRoom + ".7", Kind: protocol.Kind_REACT, Sender: "ann", ClientMsgId: "c",
		Content:   &protocol.Content{Type: protocol.ContentType_TEXT, Text: "hi", Data: `{"a":1}`, Files: []string{"f"}},
		CreatedAt: 5, Expire: 6, ReplyTo: "r", Mentions: []string{"*"}, Target: 3, TargetSender: "bob", Members: []string{"cid"},
		Reaction: "+1", Removed: true, Reactions: []*protocol.Reaction{{Reaction: "x", Users: []string{"ann"}, Count: 1}}, ReactedSeq: 4, EditedAt: 9,
		Recalled: true, Expired: true, Name: "n", Owner: "o", Answer: "accept", Platform: "web", Role: protocol.Role_OWNER,
		Change: &protocol.SessionChange{Dissolved: true}, Cut: true, Quiet: true,
		Deal: &protocol.Deal{State: "rewritten", By: "b_mod", Reason: "why", At: 8}}
	fields := e.ProtoReflect()
	for i := range fields.Descriptor().Fields().Len() {
		if f := fields.Descriptor().Fields().Get(i); !fields.Has(f) {
			t.Errorf("this test leaves %s out", f.Name())
		}
	}
	k, _ := parseSession(someRoom)
	row, _, err := entryRow(nil, e, [8]byte{1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := parseEntry(someRoom, k.entry(7), row)
	if err != nil || !proto.Equal(got, e) {
		t.Errorf("entry = %v, %v, want %v", got, err, e)
	}
	key, createdAt, hash, err := sentOf(row)
	if err != nil || key != protocol.SentKey("ann", "c") || createdAt != 5 || hash != [8]byte{1} {
		t.Errorf("sent = %x, %d, %x, %v", key, createdAt, hash, err)
	}
	if bytes.Contains(row, []byte(someRoom)) {
		t.Error("the row repeats the session, which its key says")
	}
}

func TestAPanicInWhatWritesHoldsUpNobody(t *testing.T) {
	s := openIn(t, vfs.NewMem())
	defer s.Close()
	makeRoom(t, s, someRoom)
	panics := func(f func()) {
		defer func() {
			if recover() == nil {
				t.Error("it did not panic")
			}
		}()
		f()
	}
	panics(func() { _ = s.update(func(*tx) error { panic("a bug") }) })
	panics(func() { _ = s.Commit([]*actors.Append{{Session: someRoom, Epoch: 1, Entries: []*protocol.Entry{nil}}}) })
	say(t, s, someRoom, 1, 5)
}

func TestAClosedStoreRefusesWrites(t *testing.T) {
	s := openIn(t, vfs.NewMem())
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit([]*actors.Append{{Session: someRoom}}); err != errClosed {
		t.Errorf("Commit = %v, want that it is closed", err)
	}
}

// FuzzRows gives any bytes to what reads rows: it may refuse them, not panic.
func FuzzRows(f *testing.F) {
	k, _ := parseSession(otherRoom)
	row, _, _ := entryRow(nil, entry(otherRoom, 3), [8]byte{}, nil)
	f.Add(row)
	f.Add(head{1, 2, 3, 4}.row())
	f.Add(memberRow(&actors.MemberRow{User: "ann", Order: 1 << 40, Inviter: "bob"}))
	f.Add(mark{1, 2, 3}.bytes())
	f.Add([]byte(otherRoom))
	f.Fuzz(func(t *testing.T, b []byte) {
		if e, err := parseEntry(otherRoom, k.entry(9), b); err == nil && e.Seq != 9 {
			t.Error("the seq is not the key's")
		}
		if len(b) >= entryHeader {
			_, _, _, _ = sentOf(b)
		}
		if h, err := parseHead(b); err == nil && !bytes.Equal(h.row(), b) {
			t.Errorf("head %v", h)
		}
		if m, err := parseMark(b); err == nil && !bytes.Equal(m.bytes(), b) {
			t.Errorf("mark %v", m)
		}
		if k, ok := parseSession(string(b)); ok && k.String() != string(b) {
			t.Errorf("session %q", b)
		}
		_, _ = parseMember("ann", b)
		_, _ = parseSent(b)
		_, _ = parseNumber(b)
	})
}
