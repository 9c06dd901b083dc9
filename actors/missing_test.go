package actors_test

import (
	"context"
	"io"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/pushctr"
)

// over is a node over a stage's store, with streams of its own.
func over(t *testing.T, journal actors.Journal, streams actors.Streams) *stage {
	n := actors.New(actors.Config{Rate: -1}, journal, streams, anybody{}, slog.New(slog.NewTextHandler(io.Discard, nil)))
	t.Cleanup(func() { n.Drain(context.Background(), 0) })
	return &stage{t: t, node: n}
}

func TestWhatIsMissingIsReadLaterWhereItCannotBeReadAtOnce(t *testing.T) {
	j := &refusing{Journal: newStage(t, actors.Config{}).store}
	streams := &deaf{Local: pushctr.NewLocal()}
	s := over(t, j, streams)
	ann, bob := s.dial("ann", "1"), s.dial("bob", "1")
	room := ann.create(protocol.SessionType_GROUP, "bob")
	ann.send(room, "a", "hello")
	bob.push(1)
	streams.lose.Store(true)
	ann.send(room, "b", "you do not hear me")
	streams.lose.Store(false)
	j.blind.Store(true)
	s.node.Lost()
	bob.push(2) // and nobody writes again
}

func TestWhatIsUnreadIsCountedLaterWhereItCannotBeCountedAtOnce(t *testing.T) {
	j := &refusing{}
	s := wrappedStage(t, actors.Config{}, func(inner actors.Journal) actors.Journal { j.Journal = inner; return j })
	ann, bob := s.dial("ann", "1"), s.dial("bob", "1")
	room := ann.create(protocol.SessionType_GROUP, "bob")
	for _, id := range []string{"a", "b", "c"} {
		ann.send(room, id, "hello")
	}
	bob.push(3)
	j.blind.Store(true)
	bob.must(read(room, 2))
	bob.wait("the count", func(f *protocol.Frame) bool { return f.GetUnread().GetReadSeq() == 2 && f.GetUnread().Unread == 1 })
}

// slowRow is a journal in which one reading of bob's row waits to be let go.
type slowRow struct {
	actors.Journal
	wait      atomic.Bool
	come, let chan struct{}
}

func (j *slowRow) HomeOf(ctx context.Context, user protocol.UserID, session protocol.SessionID, device string) (*actors.HomeRow, error) {
	if user == "bob" && j.wait.CompareAndSwap(true, false) {
		j.come <- struct{}{}
		<-j.let
	}
	return j.Journal.HomeOf(ctx, user, session, device)
}

func TestWhatGetsLostWhileARowIsReadIsReadAfterIt(t *testing.T) {
	j := &slowRow{Journal: newStage(t, actors.Config{}).store, come: make(chan struct{}), let: make(chan struct{})}
	streams := &deaf{Local: pushctr.NewLocal()}
	s := over(t, j, streams)
	ann, bob := s.dial("ann", "1"), s.dial("bob", "1")
	room := ann.create(protocol.SessionType_GROUP, "bob")
	ann.send(room, "a", "hello")
	ann.send(room, "b", "hello")
	bob.push(2)
	j.wait.Store(true)
	bob.must(read(room, 1)) // one is left: the store has to count
	<-j.come
	streams.lose.Store(true)
	ann.send(room, "c", "you do not hear me")
	streams.lose.Store(false)
	s.node.Lost()
	bob.row(room) // he was told
	close(j.let)
	bob.push(3)
}

func TestAListThatIsGivenWhileARowIsReadHasWhatOthersWereGivenMeanwhile(t *testing.T) {
	j := &slowRow{come: make(chan struct{}), let: make(chan struct{})}
	s := wrappedStage(t, actors.Config{}, func(inner actors.Journal) actors.Journal { j.Journal = inner; return j })
	ann, phone := s.dial("ann", "1"), s.dial("bob", "phone")
	room := ann.create(protocol.SessionType_GROUP, "bob")
	ann.send(room, "a", "hello")
	ann.send(room, "b", "hello")
	phone.push(2)
	j.wait.Store(true)
	phone.must(read(room, 1)) // one is left: the store has to count
	<-j.come
	ann.send(room, "c", "hello")
	phone.push(3)
	desk := s.connect("bob", "desk", nil)
	list := desk.welcome().GetAuthReply().GetSnapshot().GetSessions()
	close(j.let)
	if len(list) != 1 || list[0].HeadSeq != 3 || list[0].Last.GetSeq() != 3 {
		t.Errorf("the list is %v, want one session with head 3", list)
	}
	desk.wait("the count", func(f *protocol.Frame) bool { return f.GetUnread().GetUnread() == 2 })
}

// shy are streams whose Follow waits until it is let go, as that of several nodes may.
type shy struct {
	inner   *pushctr.Local
	on      atomic.Bool
	waiting atomic.Int32
	let     chan struct{}
}

func (s *shy) Publish(subject string, events []*actors.Event, burst *actors.Burst) {
	s.inner.Publish(subject, events, burst)
}
func (s *shy) Unfollow(subject string)        { s.inner.Unfollow(subject) }
func (s *shy) Start(receiver actors.Receiver) { s.inner.Start(receiver) }
func (s *shy) Follow(ctx context.Context, subjects ...string) error {
	if s.on.Load() {
		s.waiting.Add(1)
		<-s.let
	}
	return s.inner.Follow(ctx, subjects...)
}

func TestASessionIsLoadedHoweverManyWaitForOtherNodes(t *testing.T) {
	first := newStage(t, actors.Config{})
	room := first.dial("ann", "1").create(protocol.SessionType_GROUP, "bob")
	streams := &shy{inner: pushctr.NewLocal(), let: make(chan struct{})}
	s := over(t, first.store, streams)
	ann := s.dial("ann", "1")
	streams.on.Store(true)
	let := sync.OnceFunc(func() { close(streams.let) })
	t.Cleanup(let)
	workers := 4 * runtime.GOMAXPROCS(0)
	for i := range 2 * workers {
		s.connect(string(rune('A'+i%26))+string(rune('a'+i/26)), "1", nil)
	}
	eventually(t, "as many wait as there are workers", func() bool { return streams.waiting.Load() >= int32(workers) })
	ann.send(room, "a", "hello")
}

// behind is a journal that once gives bob's row as it was when it was given last.
type behind struct {
	actors.Journal
	mu    sync.Mutex
	given *actors.HomeRow
	old   bool
}

func (j *behind) HomeOf(ctx context.Context, user protocol.UserID, session protocol.SessionID, device string) (*actors.HomeRow, error) {
	return j.last(user)(j.Journal.HomeOf(ctx, user, session, device))
}

func (j *behind) RowOf(ctx context.Context, user protocol.UserID, session protocol.SessionID, device string) (*actors.HomeRow, error) {
	return j.last(user)(j.Journal.RowOf(ctx, user, session, device))
}

func (j *behind) last(user protocol.UserID) func(*actors.HomeRow, error) (*actors.HomeRow, error) {
	return func(row *actors.HomeRow, err error) (*actors.HomeRow, error) {
		if user != "bob" || err != nil {
			return row, err
		}
		j.mu.Lock()
		defer j.mu.Unlock()
		if j.old {
			j.old = false
			return j.given, nil
		}
		j.given = row
		return row, nil
	}
}

func TestARowThatIsOlderThanWhatWasToldIsReadOnceMore(t *testing.T) {
	j := &behind{Journal: newStage(t, actors.Config{}).store}
	streams := &deaf{Local: pushctr.NewLocal()}
	s := over(t, j, streams)
	ann, bob := s.dial("ann", "1"), s.dial("bob", "1")
	room := ann.create(protocol.SessionType_GROUP, "bob")
	eventually(t, "bob has a row", func() bool { return bob.row(room) != nil })
	ann.send(room, "a", "hello")
	bob.push(1)
	streams.lose.Store(true)
	ann.send(room, "b", "you do not hear me")
	streams.lose.Store(false)
	j.mu.Lock()
	j.old = true
	j.mu.Unlock()
	s.node.Lost()
	bob.push(2)
	eventually(t, "both are counted", func() bool { r := bob.row(room); return r.HeadSeq == 2 && r.Unread == 2 })
}
