package actors_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

// refusing is a journal that refuses one message, makes the reading of one entry, or of
// one forwarded, wait until it is let go, and fails to read one home row.
type refusing struct {
	actors.Journal
	refuse, wait atomic.Bool
	look, blind  atomic.Bool
	come, let    chan struct{}
}

func (j *refusing) Commit(batch []*actors.Append) error {
	if len(batch) == 1 && len(batch[0].Entries) > 0 && j.refuse.CompareAndSwap(true, false) {
		batch[0].Err = actors.ErrStale
		return nil
	}
	return j.Journal.Commit(batch)
}

func (j *refusing) Range(ctx context.Context, session protocol.SessionID, from, to int64, limit, bytes int) ([]*protocol.Entry, error) {
	if from == to && j.wait.CompareAndSwap(true, false) {
		j.come <- struct{}{}
		<-j.let
	}
	return j.Journal.Range(ctx, session, from, to, limit, bytes)
}

func TestChangesThatWaitAreAnsweredWhenTheSessionIsLoadedAgain(t *testing.T) {
	j := &refusing{come: make(chan struct{}), let: make(chan struct{})}
	s := wrappedStage(t, actors.Config{}, func(inner actors.Journal) actors.Journal { j.Journal = inner; return j })
	ann := s.dial("ann", "d")
	room := ann.create(protocol.SessionType_GROUP, "bob")
	ann.send(room, "1", "hello")
	j.wait.Store(true)
	first := ann.post(react(room, 1, "a", false))
	<-j.come
	second := ann.post(react(room, 1, "b", false))
	j.refuse.Store(true)
	ann.refused(send(room, "2", "refused"), protocol.Code_BUSY)
	ann.send(room, "3", "the session is loaded again")
	close(j.let)
	for _, id := range []string{first, second} {
		if a := ann.answer(id); a.Errcode != 0 {
			t.Errorf("a reaction is answered %s", a.Error)
		}
	}
	if got := ann.history(room)[0].Reactions; len(got) != 2 {
		t.Errorf("reactions %v, want both", got)
	}
}

func (j *refusing) Backward(ctx context.Context, session protocol.SessionID, from, to int64, limit, bytes int) ([]*protocol.Entry, error) {
	if j.look.CompareAndSwap(true, false) {
		j.come <- struct{}{}
		<-j.let
	}
	return j.Journal.Backward(ctx, session, from, to, limit, bytes)
}

func (j *refusing) HomeOf(ctx context.Context, user protocol.UserID, session protocol.SessionID, device string) (*actors.HomeRow, error) {
	if user == "bob" && j.blind.CompareAndSwap(true, false) {
		return nil, protocol.Errorf(protocol.Code_BUSY, "not now")
	}
	return j.Journal.HomeOf(ctx, user, session, device)
}

func (j *refusing) RowOf(ctx context.Context, user protocol.UserID, session protocol.SessionID, device string) (*actors.HomeRow, error) {
	if user == "bob" && j.blind.CompareAndSwap(true, false) {
		return nil, protocol.Errorf(protocol.Code_BUSY, "not now")
	}
	return j.Journal.RowOf(ctx, user, session, device)
}

func TestMessagesKeepTheirOrderWhenTheSessionIsLoadedAgainBeforeTheFirstIsLookedUp(t *testing.T) {
	j := &refusing{come: make(chan struct{}), let: make(chan struct{})}
	s := wrappedStage(t, actors.Config{}, func(inner actors.Journal) actors.Journal { j.Journal = inner; return j })
	ann, bob := s.dial("ann", "d"), s.dial("bob", "d")
	room := ann.create(protocol.SessionType_GROUP, "bob")
	ann.send(room, "1", "hello")
	f := send(room, "first", "")
	f.GetMsgSend().Content = &protocol.Content{Type: protocol.ContentType_FORWARD, Forwarded: []*protocol.Forwarded{{MessagerecvId: room + ".1"}}}
	j.look.Store(true)
	asked := []string{ann.post(f)}
	<-j.come
	asked = append(asked, ann.post(send(room, "second", "x")))
	j.refuse.Store(true)
	bob.refused(send(room, "b", "refused"), protocol.Code_BUSY)
	bob.send(room, "c", "the session is loaded again")
	asked = append(asked, ann.post(send(room, "third", "x")))
	close(j.let)
	last := int64(0)
	for i, id := range asked {
		a := ann.answer(id)
		if seq := a.GetMsgSendReply().GetSeq(); a.Errcode != 0 || seq <= last {
			t.Errorf("message %d is answered %v, the one before has seq %d", i, a, last)
		} else {
			last = seq
		}
	}
}

func TestASessionThatCouldNotBeReadComesIntoTheHomeListLater(t *testing.T) {
	j := &refusing{}
	s := wrappedStage(t, actors.Config{}, func(inner actors.Journal) actors.Journal { j.Journal = inner; return j })
	ann, bob := s.dial("ann", "d"), s.dial("bob", "d")
	j.blind.Store(true)
	room := ann.create(protocol.SessionType_GROUP, "bob")
	ann.send(room, "1", "hello")
	eventually(t, "the row was tried", func() bool { return !j.blind.Load() })
	eventually(t, "the row is there, and whole", func() bool {
		r := bob.row(room)
		return r != nil && r.SessionType == protocol.SessionType_GROUP && r.Unread == 1 && r.Last.GetSeq() == 1
	})
}
