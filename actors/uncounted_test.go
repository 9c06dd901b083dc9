package actors_test

import (
	"context"
	"slices"
	"testing"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/pushctr"
)

// uncounted is a journal whose rows answer, and whose counting of what is unread waits to be let go.
type uncounted struct {
	actors.Journal
	gate
}

func (j *uncounted) HomeOf(ctx context.Context, user protocol.UserID, session protocol.SessionID, device string) (*actors.HomeRow, error) {
	if user == "bob" {
		j.wait()
	}
	return j.Journal.HomeOf(ctx, user, session, device)
}

// inOrder says that a connection got each of a session's first n entries once and in order.
func (c *client) inOrder(room protocol.SessionID, n int64) {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	var got []int64
	for _, f := range c.kept {
		if f.GetMsgPush().GetSession() == room {
			got = append(got, f.GetMsgPush().Seq)
		}
	}
	var want []int64
	for seq := range n {
		want = append(want, seq+1)
	}
	if !slices.Equal(got, want) {
		c.t.Errorf("%s got %v, want %v", c.user, got, want)
	}
}

func TestWhatIsBehindAGapIsDeliveredThoughWhatIsUnreadIsNotCounted(t *testing.T) {
	j := &uncounted{Journal: newStage(t, actors.Config{}).store}
	streams := &deaf{Local: pushctr.NewLocal()}
	s := over(t, j, streams)
	ann, bob, room := talk(s)
	let := j.hold(t)
	streams.lose.Store(true)
	ann.send(room, "b", "you do not hear me")
	streams.lose.Store(false)
	ann.send(room, "c", "hello")
	bob.push(3)
	ann.send(room, "d", "hello")
	bob.push(4)
	streams.lose.Store(true) // once more, while it is counted
	ann.send(room, "e", "you do not hear me")
	streams.lose.Store(false)
	ann.send(room, "f", "hello")
	bob.push(6)
	desk := s.connect("bob", "desk", nil) // whoever comes meanwhile begins where the list ends
	from := headIn(t, desk.welcome(), room)
	ann.send(room, "g", "hello")
	desk.push(7)
	bob.push(7)
	if from != 6 || !slices.Equal(desk.pushes(), nil) {
		t.Errorf("a list ends at %d, and is followed by %v and 7", from, desk.pushes())
	}
	bob.inOrder(room, 7)
	let()
	eventually(t, "the list has the count", func() bool { r := bob.row(room); return r.HeadSeq == 7 && r.Unread == 7 })
}

func TestWhatIsMissedWhileWhatIsUnreadIsCountedDoesNotWaitForThat(t *testing.T) {
	j := &uncounted{Journal: newStage(t, actors.Config{}).store}
	streams := &deaf{Local: pushctr.NewLocal()}
	s := over(t, j, streams)
	ann, bob, room := talk(s)
	ann.send(room, "b", "hello")
	bob.push(2)
	let := j.hold(t)
	bob.must(read(room, 1)) // one is left: the store has to count
	eventually(t, "it is counted", func() bool { return j.waiting.Load() == 1 })
	streams.lose.Store(true)
	ann.send(room, "c", "you do not hear me")
	ann.must(cancel(room, 3))
	streams.lose.Store(false)
	ann.send(room, "e", "hello")
	bob.push(5)
	bob.inOrder(room, 5)
	let()
	eventually(t, "the list has the count", func() bool { r := bob.row(room); return r.HeadSeq == 5 && r.Unread == 2 })
}

func TestASessionThatIsNewToAMemberIsThereThoughWhatIsUnreadIsNotCounted(t *testing.T) {
	j := &uncounted{}
	s := wrappedStage(t, actors.Config{}, func(inner actors.Journal) actors.Journal { j.Journal = inner; return j })
	ann, bob := s.dial("ann", "1"), s.dial("bob", "1")
	let := j.hold(t)
	room := ann.create(protocol.SessionType_GROUP, "bob")
	ann.send(room, "a", "hello")
	bob.wait("the session", func(f *protocol.Frame) bool {
		h := f.GetSessionUpdate().GetHead()
		return h.GetSession() == room && h.SessionType == protocol.SessionType_GROUP && h.Epoch != ""
	})
	bob.push(1)
	ann.send(room, "b", "hello")
	bob.push(2)
	ann.must(cancel(room, 1))
	bob.push(3)
	if r := bob.row(room); r.HeadSeq != 3 || r.Unread < 0 || r.Unread > 1 {
		t.Errorf("the row is %v before it is counted", r)
	}
	let()
	eventually(t, "the list has the count", func() bool { r := bob.row(room); return r.HeadSeq == 3 && r.Unread == 1 })
	bob.inOrder(room, 3)
}

func TestWhatIsUnreadIsCountedLaterWhereThatFailsBehindAGap(t *testing.T) {
	j := &refusing{Journal: newStage(t, actors.Config{}).store}
	streams := &deaf{Local: pushctr.NewLocal()}
	s := over(t, &onlyRows{refusing: j}, streams)
	ann, bob, room := talk(s)
	j.blind.Store(true)
	streams.lose.Store(true)
	ann.send(room, "b", "you do not hear me")
	streams.lose.Store(false)
	ann.send(room, "c", "hello")
	bob.push(3)
	eventually(t, "the list has the count", func() bool { r := bob.row(room); return r.HeadSeq == 3 && r.Unread == 3 })
	bob.inOrder(room, 3)
}

// onlyRows is a refusing journal whose rows can be read, and not counted.
type onlyRows struct{ *refusing }

func (j *onlyRows) RowOf(ctx context.Context, user protocol.UserID, session protocol.SessionID, device string) (*actors.HomeRow, error) {
	return j.Journal.RowOf(ctx, user, session, device)
}
