package actors_test

import (
	"context"
	"sync"
	"testing"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

// slowHome is a journal whose home list of bob is read and then waits to be let go.
type slowHome struct {
	actors.Journal
	have, give chan struct{}
}

func (j *slowHome) Home(ctx context.Context, user protocol.UserID, device string, counts func(*actors.HomeRow) bool) ([]*actors.HomeRow, error) {
	rows, err := j.Journal.Home(ctx, user, device, counts)
	if user == "bob" {
		j.have <- struct{}{}
		<-j.give
	}
	return rows, err
}

func TestWhatHappensToTheHomeListWhileItIsReadIsNotLost(t *testing.T) {
	j := &slowHome{have: make(chan struct{}), give: make(chan struct{})}
	s := wrappedStage(t, actors.Config{}, func(inner actors.Journal) actors.Journal { j.Journal = inner; return j })
	ann, cid := s.dial("ann", "d"), s.dial("cid", "d")
	left := ann.create(protocol.SessionType_GROUP, "bob", "cid")
	bob := s.connect("bob", "d", nil)
	<-j.have
	added := ann.create(protocol.SessionType_GROUP, "bob")
	ann.must(&protocol.Frame{Body: &protocol.Frame_SessionRemoveUser{SessionRemoveUser: &protocol.SessionRemoveUser{Session: left, Members: []string{"bob"}}}})
	j.give <- struct{}{}
	bob.welcome()
	eventually(t, "the new session is in bob's list", func() bool { return bob.row(added) != nil })
	if bob.row(left) != nil {
		t.Error("bob's list has a session that he was taken out of")
	}
	secret := ann.send(left, "1", "not for bob")
	cid.push(secret.Seq)
	ann.send(added, "1", "for bob")
	bob.wait("the message", func(f *protocol.Frame) bool { return f.GetMsgPush().GetSession() == added })
	for _, f := range bob.drain() {
		if p := f.GetMsgPush(); p.GetSession() == left && p.Seq >= secret.Seq {
			t.Errorf("bob got %v", p)
		}
	}
}

// between does something once each behind the reading of bob's sessions and of his list.
type between struct {
	actors.Journal
	sessions, list func()
}

func (j *between) SessionsOf(ctx context.Context, user protocol.UserID) ([]protocol.SessionID, error) {
	ids, err := j.Journal.SessionsOf(ctx, user)
	if user == "bob" {
		j.sessions()
	}
	return ids, err
}

func (j *between) Home(ctx context.Context, user protocol.UserID, device string, counts func(*actors.HomeRow) bool) ([]*actors.HomeRow, error) {
	rows, err := j.Journal.Home(ctx, user, device, counts)
	if user == "bob" {
		j.list()
	}
	return rows, err
}

func TestWhatIsSaidInASessionThatComesAboutWhileTheListIsReadIsNotMissed(t *testing.T) {
	j := &between{}
	s := wrappedStage(t, actors.Config{}, func(inner actors.Journal) actors.Journal { j.Journal = inner; return j })
	ann := s.dial("ann", "d")
	ann.create(protocol.SessionType_GROUP, "bob")
	var room protocol.SessionID
	j.sessions = sync.OnceFunc(func() { room = ann.create(protocol.SessionType_GROUP, "bob") })
	j.list = sync.OnceFunc(func() { ann.send(room, "1", "hello") })
	bob := s.connect("bob", "d", nil)
	for _, h := range bob.welcome().GetAuthReply().GetSnapshot().GetSessions() {
		if h.Session == room && h.HeadSeq == 1 {
			return // it came along
		}
	}
	bob.wait("the message", func(f *protocol.Frame) bool { return f.GetMsgPush().GetSession() == room })
}
