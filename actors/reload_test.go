package actors_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

// refusing is a journal that refuses one message, and makes the reading of one
// entry wait until it is let go.
type refusing struct {
	actors.Journal
	refuse, wait atomic.Bool
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
