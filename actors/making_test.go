package actors_test

import (
	"testing"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

// slowCreate is a journal that waits before it commits the making of a session.
type slowCreate struct {
	actors.Journal
	have, give chan struct{}
}

func (j *slowCreate) Commit(batch []*actors.Append) error {
	if batch[0].Create && j.have != nil {
		j.have <- struct{}{}
		<-j.give
	}
	return j.Journal.Commit(batch)
}

func TestASessionIsNotAnsweredBeforeItIsDurable(t *testing.T) {
	j := &slowCreate{have: make(chan struct{}), give: make(chan struct{})}
	s := wrappedStage(t, actors.Config{}, func(inner actors.Journal) actors.Journal { j.Journal = inner; return j })
	ann, bob := s.dial("ann", "d"), s.dial("bob", "d")
	create := func(with protocol.UserID) *protocol.Frame {
		return &protocol.Frame{Body: &protocol.Frame_SessionCreate{SessionCreate: &protocol.SessionCreate{SessionType: protocol.SessionType_P2P, Members: []string{with}}}}
	}
	first := ann.post(create("bob"))
	<-j.have
	second := bob.post(create("ann"))
	for _, f := range bob.drain() {
		if f.Id == second {
			t.Fatalf("bob is told of %v before it is on the disk", f)
		}
	}
	j.give <- struct{}{}
	a := ann.answer(first).GetSessionCreateReply()
	b := bob.answer(second).GetSessionCreateReply()
	id := a.Result[0]
	if b.Result[0] != id || b.Entities.Session[id].Epoch == "" || b.Entities.Session[id].Epoch != a.Entities.Session[id].Epoch {
		t.Errorf("ann has %v, bob %v", a, b)
	}
}
