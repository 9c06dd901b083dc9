package actors_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/pushctr"
)

// hard are streams that lose what is published, and know it.
type hard struct {
	deaf
	knows atomic.Bool
}

func (h *hard) Deaf() bool { return h.knows.Load() }

// silence has a node hear nothing, and know it or not.
func (h *hard) silence(is, known bool) {
	h.lose.Store(is)
	h.knows.Store(known)
}

func newHard() *hard { return &hard{deaf: deaf{Local: pushctr.NewLocal()}} }

// talk is bob's session with ann, who has written one message in it that bob's phone has.
func talk(s *stage) (ann, phone *client, room protocol.SessionID) {
	ann, phone = s.dial("ann", "1"), s.dial("bob", "phone")
	room = ann.create(protocol.SessionType_GROUP, "bob")
	ann.send(room, "a", "hello")
	phone.push(1)
	return ann, phone, room
}

// headIn is how far the list of an answer to auth goes in a session; -1: it is not in it.
func headIn(t *testing.T, welcome *protocol.Frame, room protocol.SessionID) int64 {
	t.Helper()
	r := welcome.GetAuthReply()
	if r.GetSnapshot() == nil {
		t.Fatalf("the answer to auth is %v, want a list", welcome)
	}
	for _, h := range r.Snapshot.Sessions {
		if h.Session == room {
			return h.HeadSeq
		}
	}
	return -1
}

func TestWhoeverConnectsToADeafNodeGetsTheListOfTheStore(t *testing.T) {
	streams := newHard()
	s := over(t, newStage(t, actors.Config{}).store, streams)
	ann, phone, room := talk(s)
	streams.silence(true, false)
	ann.send(room, "b", "you do not hear me")
	other := ann.create(protocol.SessionType_GROUP, "bob")
	ann.send(other, "c", "nor of this")
	streams.knows.Store(true)
	for _, device := range []string{"phone", "desk"} { // known, and not
		c := s.connect("bob", device, nil)
		welcome := c.welcome()
		if at := headIn(t, welcome, room); at != 2 {
			t.Errorf("%s: the list ends at %d, want 2", device, at)
		}
		if at := headIn(t, welcome, other); at != 1 {
			t.Errorf("%s: the session that bob came into ends at %d, want 1", device, at)
		}
		if n := welcome.GetAuthReply().Snapshot.UnreadTotal; n != 3 {
			t.Errorf("%s: %d are unread, want 3", device, n)
		}
	}
	phone.push(2) // what was found is brought to who is there
	phone.wait("the other session", func(f *protocol.Frame) bool { return f.GetMsgPush().GetSession() == other })
	streams.silence(false, false)
	ann.send(room, "d", "now you do")
	phone.push(3)
}

func TestWhoeverIsConnectedToADeafNodeIsBroughtWhatOthersWrite(t *testing.T) {
	streams := newHard()
	s := over(t, newStage(t, actors.Config{}).store, streams)
	ann, phone, room := talk(s)
	streams.silence(true, true)
	ann.send(room, "b", "hello")
	phone.push(2)
	ann.send(room, "c", "hello")
	phone.push(3)
	ann.must(&protocol.Frame{Body: &protocol.Frame_SessionRemoveUser{SessionRemoveUser: &protocol.SessionRemoveUser{Session: room, Members: []string{"bob"}}}})
	phone.wait("the session's end", func(f *protocol.Frame) bool {
		return f.GetSessionUpdate().GetSession() == room && f.GetSessionUpdate().Gone
	})
	if phone.row(room) != nil {
		t.Error("bob's list has a session that he was taken out of")
	}
}

func TestAResumeAtADeafNodeIsOneOnlyWhereNothingIsMissing(t *testing.T) {
	streams := newHard()
	j := &heldHome{Journal: newStage(t, actors.Config{}).store}
	s := over(t, j, streams)
	ann, phone, room := talk(s)
	epoch := s.connect("bob", "phone", nil).welcome()
	at := &protocol.Resume{Epoch: epoch.GetAuthReply().Epoch, Offset: epoch.Offset}
	streams.silence(true, true)
	if r := s.connect("bob", "phone", at).welcome().GetAuthReply(); !r.Resumed {
		t.Errorf("nothing is missing, and the answer is %v", r)
	}
	let := j.hold(t) // what is missing is not brought to anybody yet
	ann.send(room, "b", "you do not hear me")
	c := s.connect("bob", "phone", at)
	welcome := c.welcome()
	if welcome.GetAuthReply().Resumed || headIn(t, welcome, room) != 2 {
		t.Errorf("an event is missing in the ring, and the answer is %v", welcome)
	}
	let()
	phone.push(2)
}

// heldHome is a journal whose rows, and whose lists without a device, wait to be let go: what
// catches up with a loss does not come to its end.
type heldHome struct {
	actors.Journal
	gate
}

func (j *heldHome) Home(ctx context.Context, user protocol.UserID, device string, counts func(*actors.HomeRow) bool) ([]*actors.HomeRow, error) {
	if device == "" {
		j.wait()
	}
	return j.Journal.Home(ctx, user, device, counts)
}

func (j *heldHome) HomeOf(ctx context.Context, user protocol.UserID, session protocol.SessionID, device string) (*actors.HomeRow, error) {
	j.wait()
	return j.Journal.HomeOf(ctx, user, session, device)
}

func (j *heldHome) RowOf(ctx context.Context, user protocol.UserID, session protocol.SessionID, device string) (*actors.HomeRow, error) {
	j.wait()
	return j.Journal.RowOf(ctx, user, session, device)
}

func TestAListThatIsGivenWhileALossIsCaughtUpWithIsTheStores(t *testing.T) {
	streams := newHard()
	j := &heldHome{Journal: newStage(t, actors.Config{}).store}
	s := over(t, j, streams)
	ann, phone, room := talk(s)
	let := j.hold(t)
	streams.silence(true, false)
	ann.send(room, "b", "you do not hear me")
	streams.silence(false, false)
	s.node.Lost()
	if at := headIn(t, s.connect("bob", "phone", nil).welcome(), room); at != 2 {
		t.Errorf("the list ends at %d, want 2", at)
	}
	let()
	phone.push(2)
}

func TestALossWhileAListIsReadIsCaughtUpWith(t *testing.T) {
	j := &slowHome{Journal: newStage(t, actors.Config{}).store, have: make(chan struct{}), give: make(chan struct{})}
	streams := newHard()
	s := over(t, j, streams)
	ann := s.dial("ann", "1")
	room := ann.create(protocol.SessionType_GROUP, "bob")
	bob := s.connect("bob", "1", nil)
	<-j.have // the list is read, and bob is not told yet
	streams.silence(true, false)
	lost := streams.lost.Load()
	ann.send(room, "a", "you do not hear me")
	eventually(t, "it is told in vain", func() bool { return streams.lost.Load() > lost }) // its sender may be told before the others
	streams.silence(false, false)
	s.node.Lost()
	j.give <- struct{}{}
	bob.welcome()
	select { // it is read again
	case <-j.have:
	case <-time.After(10 * time.Second):
		t.Fatal("the list is not read again")
	}
	j.give <- struct{}{}
	bob.push(1)
}

func TestWhoeverConnectsToADeafNodeThatCannotReadTheStoreIsSentElsewhere(t *testing.T) {
	streams := newHard()
	j := &noHome{Journal: newStage(t, actors.Config{}).store}
	s := over(t, j, streams)
	talk(s)
	streams.silence(true, true)
	j.is.Store(true)
	c := s.connect("bob", "phone", nil)
	c.wait("a refusal", func(f *protocol.Frame) bool { return f.Id == "auth" && f.Errcode == int32(protocol.Code_BUSY) })
	eventually(t, "the connection is closed", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.closed
	})
	j.is.Store(false)
	if r := s.connect("bob", "phone", nil).welcome(); r.Errcode != 0 {
		t.Errorf("the answer is %v", r)
	}
}

// noHome is a journal whose lists cannot be read.
type noHome struct {
	actors.Journal
	is atomic.Bool
}

func (j *noHome) Home(ctx context.Context, user protocol.UserID, device string, counts func(*actors.HomeRow) bool) ([]*actors.HomeRow, error) {
	if j.is.Load() {
		return nil, protocol.Errorf(protocol.Code_BUSY, "not now")
	}
	return j.Journal.Home(ctx, user, device, counts)
}

func TestLossesInARowAreCaughtUpWithOnce(t *testing.T) {
	streams := newHard()
	j := &countedHome{Journal: newStage(t, actors.Config{}).store}
	j.open = make(chan struct{})
	s := over(t, j, streams)
	ann, phone, room := talk(s)
	j.shut.Store(true)
	before := j.lists.Load()
	streams.silence(true, false)
	ann.send(room, "b", "you do not hear me")
	streams.silence(false, false)
	for range 50 {
		s.node.Lost()
	}
	eventually(t, "bob's list is read", func() bool { return j.lists.Load() > before })
	j.shut.Store(false)
	close(j.open)
	phone.push(2)
	ann.send(room, "c", "hello")
	phone.push(3)
	// One that was under way, and one that sees what was lost after it began.
	if n := j.lists.Load() - before; n > 2 {
		t.Errorf("bob's list was read %d times for 50 losses in a row", n)
	}
}

func TestOfAListThatIsReadAgainOnlyWhatMovedIsCounted(t *testing.T) {
	streams := newHard()
	j := &reads{Journal: newStage(t, actors.Config{}).store}
	s := over(t, j, streams)
	zoe := s.dial("zoe", "1")
	var rooms []protocol.SessionID
	for range 4 {
		rooms = append(rooms, zoe.create(protocol.SessionType_GROUP, "bob"))
		zoe.send(rooms[len(rooms)-1], "a", "hello")
	}
	phone := s.dial("bob", "phone")
	before := j.counts.Load()
	streams.silence(true, false)
	zoe.send(rooms[2], "b", "you do not hear me")
	streams.silence(false, false)
	s.node.Lost()
	phone.push(2)
	phone.wait("the count", func(f *protocol.Frame) bool { return f.GetUnread().GetUnreadTotal() == 5 })
	if n := j.counts.Load() - before; n != 1 {
		t.Errorf("%d of four rows were counted after a loss, want the one that lacked something", n)
	}
	desk := s.connect("bob", "desk", nil).welcome().GetAuthReply().GetSnapshot()
	if n := j.counts.Load() - before; n != 1 || desk.GetUnreadTotal() != 5 {
		t.Errorf("a device that is new had %d rows counted again, and is told %d are unread, want 0 and 5", n-1, desk.GetUnreadTotal())
	}
}

// countedHome counts how often bob's list is read, and holds that up.
type countedHome struct {
	actors.Journal
	lists atomic.Int64
	shut  atomic.Bool
	open  chan struct{}
}

func (j *countedHome) Home(ctx context.Context, user protocol.UserID, device string, counts func(*actors.HomeRow) bool) ([]*actors.HomeRow, error) {
	if user == "bob" {
		j.lists.Add(1)
		if j.shut.Load() {
			select {
			case <-j.open:
			case <-time.After(10 * time.Second):
			}
		}
	}
	return j.Journal.Home(ctx, user, device, counts)
}
