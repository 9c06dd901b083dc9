package main

import (
	"reflect"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/cmd/chaos/history"
	"github.com/troupe-im/troupe/internal/pebblestore"
	"github.com/troupe-im/troupe/internal/protocol"
)

func TestTheDumpReadsWhatTheStoreWrote(t *testing.T) {
	dir := t.TempDir()
	store, err := pebblestore.Open(dir, pebblestore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	room := protocol.P2PSessionID("ann", "bob")
	message := &protocol.Entry{
		Session: room, Seq: 1, MessagerecvId: protocol.MessageID(room, 1), Sender: "ann", ClientMsgId: "c1", CreatedAt: 1000,
		Content: &protocol.Content{Type: protocol.ContentType_TEXT, Text: "hello"},
	}
	recall := &protocol.Entry{
		Session: room, Seq: 2, MessagerecvId: protocol.MessageID(room, 2), Sender: "ann", CreatedAt: 2000,
		Kind: protocol.Kind_RECALL, Target: 1, TargetSender: "ann",
	}
	hollow := &protocol.Entry{
		Session: room, Seq: 1, MessagerecvId: protocol.MessageID(room, 1), Sender: "ann", ClientMsgId: "c1", CreatedAt: 1000, Recalled: true,
	}
	held := &protocol.Entry{
		Session: room, Seq: 3, MessagerecvId: protocol.MessageID(room, 3), Sender: "ann", ClientMsgId: "c3", CreatedAt: 3000,
		Deal: &protocol.Deal{State: "held", By: "b_mod"},
	}
	for _, a := range []*actors.Append{
		{
			Session: room, Epoch: 1, Claim: true, Create: true,
			Info:    &protocol.SessionInfo{Session: room, SessionType: protocol.SessionType_P2P, Creator: "ann", CreatedAt: 900},
			Members: []*actors.MemberRow{{User: "ann", Order: 1, Role: protocol.Role_OWNER}, {User: "bob", Order: 2, Inviter: "ann", Floor: 2}},
		},
		{Session: room, Epoch: 1, Entries: []*protocol.Entry{message}, Hashes: make([][8]byte, 1)},
		{Session: room, Epoch: 1, Entries: []*protocol.Entry{recall}, Hashes: make([][8]byte, 1), Rewrites: []*protocol.Entry{hollow}},
		{Session: room, Epoch: 1, Marks: []actors.Mark{{User: "bob", ReadSeq: 2}}},
		{Session: room, Epoch: 1, Entries: []*protocol.Entry{held}, Hashes: make([][8]byte, 1), Original: &actors.Original{Seq: 3, Content: message.Content}},
	} {
		if err := store.Commit([]*actors.Append{a}); err != nil || a.Err != nil {
			t.Fatal(err, a.Err)
		}
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := pebble.Open(dir, &pebble.Options{ReadOnly: true, Logger: quiet{}})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	got, err := read(db)
	if err != nil {
		t.Fatal(err)
	}
	want := []*history.Stored{{
		Session: room, Head: 3, Originals: []int64{3},
		Entries: []*history.Entry{
			{Session: room, Seq: 1, ID: room + ".1", Sender: "ann", Cmid: "c1", CreatedAt: 1000, Recalled: true},
			{Session: room, Seq: 2, ID: room + ".2", Kind: "recall", Sender: "ann", CreatedAt: 2000, Target: 1},
			{Session: room, Seq: 3, ID: room + ".3", Sender: "ann", Cmid: "c3", CreatedAt: 3000, Dealt: true},
		},
		Members: []history.Member{{User: "ann"}, {User: "bob", Floor: 2, Read: 2}},
		Sent:    got.Sessions[0].Sent,
	}}
	if !reflect.DeepEqual(got.Sessions, want) || len(want[0].Sent) != 2 {
		t.Errorf("read %+v, want %+v", *got.Sessions[0], *want[0])
	}
}
