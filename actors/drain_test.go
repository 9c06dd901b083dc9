package actors_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

// stuck is a journal elsewhere, which does not answer until it is given up.
type stuck struct {
	actors.Journal
	come, over chan struct{}
}

func (j *stuck) Commit(batch []*actors.Append) error {
	if len(batch[0].Entries) == 0 || batch[0].Create {
		return j.Journal.Commit(batch)
	}
	close(j.come)
	<-j.over
	for _, a := range batch {
		a.Err = fmt.Errorf("test: %w", actors.ErrUnknown)
	}
	return nil
}

func (j *stuck) GiveUp() { close(j.over) }

func TestAStopDoesNotWaitForAStoreThatDoesNotAnswer(t *testing.T) {
	j := &stuck{come: make(chan struct{}), over: make(chan struct{})}
	s := wrappedStage(t, actors.Config{}, func(inner actors.Journal) actors.Journal { j.Journal = inner; return j })
	ann := s.dial("ann", "d")
	room := ann.create(protocol.SessionType_GROUP, "bob")
	ann.post(send(room, "1", "hello"))
	<-j.come
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	s.node.Drain(ctx, 0) // which returns
	for _, f := range ann.drain() {
		if f.GetMsgSendReply() != nil {
			t.Errorf("what nobody knows of is answered %v", f)
		}
	}
}
