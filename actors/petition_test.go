package actors_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

// contrary is a journal in whose contacts others get in between: it refuses changes,
// fails to be read, and makes the reading of two people wait until it is let go.
type contrary struct {
	actors.Journal
	refuse    atomic.Int32 // so many changes of contacts, with or without an append
	why       error
	messages  atomic.Int32 // so many appends of messages
	unread    atomic.Bool
	unloaded  atomic.Bool
	wait      atomic.Bool // before two people are read
	writing   atomic.Bool // before a change of contacts is written
	come, let chan struct{}
}

func newContrary(t *testing.T) (*contrary, *stage) {
	j := &contrary{why: actors.ErrChanged, come: make(chan struct{}), let: make(chan struct{})}
	return j, wrappedStage(t, actors.Config{}, func(inner actors.Journal) actors.Journal { j.Journal = inner; return j })
}

func take(n *atomic.Int32) bool {
	for {
		left := n.Load()
		if left <= 0 {
			return false
		}
		if n.CompareAndSwap(left, left-1) {
			return true
		}
	}
}

func (j *contrary) CommitContacts(ctx context.Context, c *actors.ContactChange) error {
	if j.writing.CompareAndSwap(true, false) {
		j.come <- struct{}{}
		<-j.let
	}
	if take(&j.refuse) {
		return j.why
	}
	return j.Journal.CommitContacts(ctx, c)
}

func (j *contrary) Load(ctx context.Context, id protocol.SessionID) (*actors.Stored, error) {
	if j.unloaded.CompareAndSwap(true, false) {
		return nil, errors.New("a disk that cannot be read")
	}
	return j.Journal.Load(ctx, id)
}

func (j *contrary) Commit(batch []*actors.Append) error {
	if a := batch[0]; len(batch) == 1 {
		if a.Contacts != nil && take(&j.refuse) || len(a.Entries) > 0 && a.Contacts == nil && take(&j.messages) {
			a.Err = j.why
			return nil
		}
	}
	return j.Journal.Commit(batch)
}

func (j *contrary) Pair(ctx context.Context, user, other protocol.UserID) (*actors.Pair, error) {
	if j.wait.CompareAndSwap(true, false) {
		j.come <- struct{}{}
		<-j.let
	}
	if j.unread.CompareAndSwap(true, false) {
		return nil, errors.New("a disk that cannot be read")
	}
	return j.Journal.Pair(ctx, user, other)
}

func TestWhatOthersChangedMeanwhileIsDecidedAnew(t *testing.T) {
	for _, why := range []error{actors.ErrChanged, actors.ErrStale} {
		j, s := newContrary(t)
		j.why = why
		ann, bob, dan := s.dial("ann", "1"), s.dial("bob", "1"), s.dial("dan", "1")
		j.refuse.Store(2)
		r := ann.befriend("bob")
		j.refuse.Store(2) // the session of the two is made in this commit
		bob.must(reply(r.Id, 2))
		id := protocol.P2PSessionID("ann", "bob")
		ann.send(id, "1", "hello")
		j.refuse.Store(1)
		ann.must(block("bob", true))
		j.refuse.Store(1)
		ann.must(unfriend("bob"))

		group := ann.group(&protocol.SessionCreate{Members: []string{"bob"}, JoinPolicy: protocol.JoinPolicy_ASK})
		r = dan.asks(group, "")
		j.refuse.Store(2) // so is the joining: the session is loaded again
		ann.must(reply(r.Id, 2))
		dan.send(group, "1", "I am in")
		if got := members(ann, group); !slices.Equal(got, []string{"ann", "bob", "dan"}) {
			t.Errorf("%v: members are %v", why, got)
		}
		if n := len(ann.history(group)); n != 2 {
			t.Errorf("%v: the log has %d entries, want the joining and a message", why, n)
		}
	}
}

func TestWhatIsChangedAgainAndAgainIsBusy(t *testing.T) {
	j, s := newContrary(t)
	ann, bob := s.dial("ann", "1"), s.dial("bob", "1")
	j.refuse.Store(5)
	ann.refused(befriend("bob", ""), protocol.Code_BUSY)
	r := ann.befriend("bob")
	j.refuse.Store(5)
	bob.refused(reply(r.Id, 2), protocol.Code_BUSY)
	if len(ann.contacts())+len(bob.contacts()) != 0 {
		t.Error("a refused change has left something")
	}
	j.why = protocol.Errorf(protocol.Code_BUSY, "the disk is full")
	j.refuse.Store(1)
	bob.refused(reply(r.Id, 2), protocol.Code_BUSY)
	bob.must(reply(r.Id, 2))
}

func TestARequestWaitsWhileTheSessionIsLoadedAgain(t *testing.T) {
	j, s := newContrary(t)
	j.why = actors.ErrStale
	ann, bob := s.dial("ann", "1"), s.dial("bob", "1")
	id := ann.p2p("bob")
	ann.send(id, "1", "hello")
	j.wait.Store(true)
	asked := ann.post(befriend("bob", ""))
	<-j.come
	behind := ann.post(block("bob", true))
	j.messages.Store(1)
	bob.refused(send(id, "b", "refused"), protocol.Code_BUSY)
	bob.send(id, "b", "the session is loaded again")
	close(j.let)
	for _, id := range []string{asked, behind} {
		if a := ann.answer(id); a.Errcode != 0 {
			t.Errorf("answered %s", a.Error)
		}
	}
	bob.refused(send(id, "c", "blocked"), protocol.Code_DENIED)
}

func TestWhoCannotBeReadIsAskedForAgain(t *testing.T) {
	j, s := newContrary(t)
	ann := s.dial("ann", "1")
	j.unread.Store(true)
	ann.refused(befriend("bob", ""), protocol.Code_BUSY)
	ann.befriend("bob")
	id := ann.p2p("bob")
	s.restart()
	ann = s.dial("ann", "1")
	j.unread.Store(true)
	ann.refused(block("bob", true), protocol.Code_BUSY) // the session of the two cannot be loaded
	ann.must(block("bob", true))
	s.dial("bob", "1").refused(send(id, "1", "x"), protocol.Code_DENIED)
}

func TestWhatIsWrittenWhileTheSessionCannotBeReadIsAnsweredOnce(t *testing.T) {
	j, s := newContrary(t)
	j.why = actors.ErrStale
	ann, bob := s.dial("ann", "1"), s.dial("bob", "1")
	id := ann.p2p("bob")
	ann.send(id, "1", "hello")
	j.writing.Store(true)
	asked := ann.post(block("bob", true))
	<-j.come
	j.unloaded.Store(true)
	j.messages.Store(1)
	ann.refused(send(id, "2", "the session is to be loaded again"), protocol.Code_BUSY)
	if a := ann.answer(asked); a.Errcode != int32(protocol.Code_BUSY) {
		t.Errorf("answered %v", a)
	}
	close(j.let)
	eventually(t, "it is written", func() bool { return len(ann.contacts()) == 1 })
	n := 0
	eventually(t, "the session knows it", func() bool {
		n++
		return bob.ask(send(id, fmt.Sprint(n), "blocked?")).Errcode == int32(protocol.Code_DENIED)
	})
	ann.mu.Lock()
	defer ann.mu.Unlock()
	if slices.ContainsFunc(ann.frames, func(f *protocol.Frame) bool { return f.Id == asked }) {
		t.Error("it is answered twice")
	}
}

func TestPeopleWithoutASessionLeaveNoneInMemory(t *testing.T) {
	s := newStage(t, actors.Config{})
	ann := s.dial("ann", "1")
	for _, who := range []string{"bob", "cid", "nobody-1", "nobody-2"} {
		ann.ask(befriend(who, ""))
		ann.ask(block(who, true))
		ann.ask(unfriend(who))
	}
	eventually(t, "no session is loaded", func() bool { n, _ := s.node.Loaded(); return n == 0 })
}
