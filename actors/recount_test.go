package actors_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

// gated is a journal at which a reading of one home row and the report of one
// commit wait until they are let go.
type gated struct {
	actors.Journal
	on             atomic.Bool
	reading, read  chan struct{}
	written, write chan struct{}
	rows           atomic.Int32 // of bob's that were read
}

func (g *gated) HomeOf(ctx context.Context, user protocol.UserID, session protocol.SessionID, device string) (*actors.HomeRow, error) {
	if user == "bob" && g.on.Load() {
		g.reading <- struct{}{}
		<-g.read
	}
	row, err := g.Journal.HomeOf(ctx, user, session, device)
	if user == "bob" {
		g.rows.Add(1)
	}
	return row, err
}

func (g *gated) Commit(batch []*actors.Append) error {
	err := g.Journal.Commit(batch)
	if g.on.Load() && len(batch[0].Entries) > 0 {
		g.written <- struct{}{}
		<-g.write
	}
	return err
}

func TestAMessageThatARecountSawBeforeItsPushIsPushedAllTheSame(t *testing.T) {
	g := &gated{reading: make(chan struct{}), read: make(chan struct{}), written: make(chan struct{}), write: make(chan struct{})}
	s := wrappedStage(t, actors.Config{}, func(j actors.Journal) actors.Journal { g.Journal = j; return g })
	ann, bob := s.dial("ann", "phone"), s.dial("bob", "phone")
	room := ann.create(protocol.SessionType_GROUP, "bob")
	first := ann.send(room, "1", "one")
	second := ann.send(room, "2", "two")
	bob.push(second.Seq)
	eventually(t, "the session, which is new to bob, is counted", func() bool { return g.rows.Load() > 0 })

	g.on.Store(true)
	bob.post(read(room, first.Seq)) // one is left: the store has to count
	<-g.reading
	ann.post(send(room, "3", "three"))
	<-g.written // in the store, and nobody was told yet
	g.read <- struct{}{}
	bob.wait("the count", func(f *protocol.Frame) bool { return f.GetUnread().GetReadSeq() == first.Seq })
	g.on.Store(false)
	g.write <- struct{}{}
	bob.push(second.Seq + 1)
	if row := bob.row(room); row.HeadSeq != second.Seq+1 || row.Unread != 2 {
		t.Errorf("row = %v, want 2 unread", row)
	}
}
