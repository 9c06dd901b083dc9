package actors_test

import (
	"testing"
	"time"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

// slowCommit is a journal whose commits wait to be let go.
type slowCommit struct {
	actors.Journal
	gate
}

func (j *slowCommit) Commit(batch []*actors.Append) error {
	j.wait()
	return j.Journal.Commit(batch)
}

func TestAMessageThatIsStoredAfterItsSenderGaveUpComesToTheSenderToo(t *testing.T) {
	tr := newTroupe(t)
	tr.wait = 4 * time.Second
	inner := tr.store
	one := tr.start(actors.Config{})
	j := &slowCommit{Journal: inner}
	tr.store = j
	two := tr.start(actors.Config{})
	together(t, one, two)
	ann, bob := one.dial("ann", "1"), one.dial("bob", "1")
	room := sessionAt(t, ann, two, "bob")
	ann.sends(room, "a", "in time")
	bob.wait("the first", func(f *protocol.Frame) bool { return f.GetMsgPush().GetClientMsgId() == "a" })
	let := j.hold(t)
	ann.refused(send(room, "b", "late"), protocol.Code_INTERNAL)
	let()
	for _, c := range []*client{bob, ann} {
		c.wait("the late one", func(f *protocol.Frame) bool { return f.GetMsgPush().GetClientMsgId() == "b" })
	}
	if again := ann.sends(room, "b", "late"); again.Seq != 2 {
		t.Errorf("it is sent again as %v, want seq 2", again)
	}
}
