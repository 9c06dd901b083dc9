package actors_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

// blinded is a journal that loses sight of an append: once it has written it, or without.
type blinded struct {
	actors.Journal
	written, lost atomic.Bool  // what happens to the next append with an entry
	away          atomic.Bool  // nothing is written or known
	marks         atomic.Bool  // the next marks are written, and nobody knows
	unread        atomic.Int32 // so often a session cannot be loaded
}

func (j *blinded) Load(ctx context.Context, session protocol.SessionID) (*actors.Stored, error) {
	if j.unread.Add(-1) >= 0 {
		return nil, protocol.Errorf(protocol.Code_BUSY, "not now")
	}
	return j.Journal.Load(ctx, session)
}

func (j *blinded) Commit(batch []*actors.Append) error {
	if j.away.Load() {
		for _, a := range batch {
			a.Err = protocol.Errorf(protocol.Code_BUSY, "away")
		}
		return nil
	}
	entry := len(batch) == 1 && len(batch[0].Entries) > 0
	if entry && j.lost.CompareAndSwap(true, false) {
		batch[0].Err = fmt.Errorf("test: %w", actors.ErrUnknown)
		return nil
	}
	err := j.Journal.Commit(batch)
	if len(batch) == 1 && len(batch[0].Marks) > 0 && j.marks.CompareAndSwap(true, false) {
		batch[0].Err = fmt.Errorf("test: %w", actors.ErrUnknown)
	}
	if entry && j.written.CompareAndSwap(true, false) {
		batch[0].Err = fmt.Errorf("test: %w", actors.ErrUnknown)
	}
	return err
}

func TestAMessageOfWhichNobodyKnowsIsAnsweredOnceAndThereOnce(t *testing.T) {
	j := &blinded{}
	s := wrappedStage(t, actors.Config{}, func(inner actors.Journal) actors.Journal { j.Journal = inner; return j })
	ann := s.dial("ann", "d")
	room := ann.create(protocol.SessionType_GROUP, "bob")
	for i, what := range []*atomic.Bool{&j.written, &j.lost, &j.written} {
		what.Store(true)
		id := ann.post(send(room, fmt.Sprint(i), "hello"))
		a := ann.answer(id)
		if a.Errcode != 0 || a.GetMsgSendReply().GetSeq() != int64(i+1) {
			t.Errorf("message %d is answered %v", i+1, a)
		}
	}
	if got := ann.history(room); len(got) != 3 {
		t.Errorf("the log has %d entries, want 3", len(got))
	}
}

func TestAnOutageIsAnsweredBusyAndGoesBy(t *testing.T) {
	j := &blinded{}
	s := wrappedStage(t, actors.Config{}, func(inner actors.Journal) actors.Journal { j.Journal = inner; return j })
	ann := s.dial("ann", "d")
	room := ann.create(protocol.SessionType_GROUP, "bob")
	j.away.Store(true)
	ann.refused(send(room, "a", "hello"), protocol.Code_BUSY)
	ann.refused(react(room, 1, "x", false), protocol.Code_NOT_FOUND)
	j.away.Store(false)
	for i := range 3 {
		ann.sends(room, fmt.Sprint(i), "hello") // BUSY until the session has claimed its log
	}
	if got := ann.history(room); len(got) != 3 {
		t.Errorf("the log has %d entries, want 3", len(got))
	}
}

func TestWhatElseNobodyKnowsOfIsAnsweredWithoutSayingThatItWasNotDone(t *testing.T) {
	j := &blinded{}
	s := wrappedStage(t, actors.Config{}, func(inner actors.Journal) actors.Journal { j.Journal = inner; return j })
	ann := s.dial("ann", "d")
	room := ann.create(protocol.SessionType_GROUP, "bob")
	ann.send(room, "a", "hello")
	j.written.Store(true)
	ann.refused(react(room, 1, "x", false), protocol.Code_INTERNAL)
	if got := ann.history(room)[0].Reactions; len(got) != 1 {
		t.Errorf("reactions %v, want the one that was written", got)
	}
}

func TestWhatBecameDurableWithoutAnybodyKnowingIsToldThoughNobodyAsksAgain(t *testing.T) {
	j := &blinded{}
	s := wrappedStage(t, actors.Config{}, func(inner actors.Journal) actors.Journal { j.Journal = inner; return j })
	ann, bob := s.dial("ann", "d"), s.dial("bob", "d")
	room := ann.create(protocol.SessionType_GROUP, "bob")
	ann.send(room, "a", "hello")
	bob.push(1)
	j.unread.Store(2)
	j.written.Store(true)
	ann.refused(react(room, 1, "x", false), protocol.Code_INTERNAL)
	bob.push(2)
}

func TestAMarkThatBecameDurableWithoutAnybodyKnowingIsTold(t *testing.T) {
	j := &blinded{}
	s := wrappedStage(t, actors.Config{}, func(inner actors.Journal) actors.Journal { j.Journal = inner; return j })
	ann, phone, desk := s.dial("ann", "d"), s.dial("bob", "phone"), s.dial("bob", "desk")
	room := ann.create(protocol.SessionType_GROUP, "bob")
	ann.send(room, "a", "hello")
	phone.push(1)
	j.marks.Store(true)
	if a := phone.ask(read(room, 1)); a.GetMsgReadReply().GetReadSeq() != 1 {
		t.Errorf("it is answered %v", a)
	}
	desk.wait("the mark", func(f *protocol.Frame) bool { return f.GetUnread().GetReadSeq() == 1 && f.GetUnread().Unread == 0 })
}

func TestAMessageOfWhichNobodyKnowsKeepsItsPlaceWhileTheSessionCannotBeRead(t *testing.T) {
	j := &blinded{}
	s := wrappedStage(t, actors.Config{}, func(inner actors.Journal) actors.Journal { j.Journal = inner; return j })
	ann := s.dial("ann", "d")
	room := ann.create(protocol.SessionType_GROUP, "bob")
	ann.send(room, "a", "hello")
	j.unread.Store(2)
	j.lost.Store(true)
	first := ann.post(send(room, "first", "hello"))
	eventually(t, "the session could not be read", func() bool { return j.unread.Load() < 2 })
	second := ann.sends(room, "second", "hello")
	a := ann.answer(first)
	if got := a.GetMsgSendReply().GetSeq(); a.Errcode != 0 || got >= second.Seq {
		t.Errorf("the first is answered %v, the second has seq %d", a, second.Seq)
	}
}
