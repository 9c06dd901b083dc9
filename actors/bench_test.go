package actors_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/pushctr"
)

// instant is a journal that keeps nothing: what is measured is the actors.
type instant struct {
	actors.Contacts // of which there are none
	mu              sync.Mutex
	sessions        map[protocol.SessionID]*actors.Stored
}

func (j *instant) Commit(batch []*actors.Append) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, a := range batch {
		if a.Create {
			j.sessions[a.Session] = &actors.Stored{Info: a.Info, Epoch: a.Epoch, Members: a.Members, LogEpoch: "e"}
		}
	}
	return nil
}

func (j *instant) Load(_ context.Context, id protocol.SessionID) (*actors.Stored, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if s := j.sessions[id]; s != nil {
		return s, nil
	}
	return nil, protocol.NotFound("session %s", id)
}

func (j *instant) SessionsOf(context.Context, protocol.UserID) ([]protocol.SessionID, error) {
	return nil, nil
}

func (j *instant) Home(context.Context, protocol.UserID, string, func(*actors.HomeRow) bool) ([]*actors.HomeRow, error) {
	return nil, nil
}

func (j *instant) HomeOf(_ context.Context, user protocol.UserID, id protocol.SessionID, _ string) (*actors.HomeRow, error) {
	s, err := j.Load(context.Background(), id)
	if err != nil {
		return nil, err
	}
	return &actors.HomeRow{Info: s.Info, LogEpoch: "e", Member: actors.MemberRow{User: user}}, nil
}
func (j *instant) RowOf(ctx context.Context, user protocol.UserID, id protocol.SessionID, device string) (*actors.HomeRow, error) {
	return j.HomeOf(ctx, user, id, device)
}

func (j *instant) Range(context.Context, protocol.SessionID, int64, int64, int, int) ([]*protocol.Entry, error) {
	return nil, nil
}

func (j *instant) Backward(context.Context, protocol.SessionID, int64, int64, int, int) ([]*protocol.Entry, error) {
	return nil, nil
}

func (j *instant) Sent(context.Context, protocol.SessionID, protocol.UserID, protocol.ClientMsgID) (actors.Sent, error) {
	return actors.Sent{}, nil
}

func (j *instant) Original(context.Context, protocol.SessionID, int64) (*actors.Original, error) {
	return nil, protocol.NotFound("original")
}

func (j *instant) Dealt(context.Context, protocol.SessionID, int64, int) ([]*protocol.Entry, error) {
	return nil, nil
}

func (j *instant) Deeds(context.Context, protocol.SessionID, int64, protocol.UserID) ([]actors.Deed, error) {
	return nil, nil
}

func (j *instant) SentKeys(context.Context, protocol.SessionID, int64, int64, func([16]byte, actors.Sent)) error {
	return nil
}

func (j *instant) Unread(context.Context, protocol.SessionID, protocol.UserID, int64, int64) (int64, bool, error) {
	return 0, false, nil
}

func (j *instant) Pair(_ context.Context, user, other protocol.UserID) (*actors.Pair, error) {
	return &actors.Pair{Mine: actors.ContactRow{User: user, Other: other}, Theirs: actors.ContactRow{User: other, Other: user}}, nil
}

func (j *instant) ContactsOf(context.Context, protocol.UserID, protocol.UserID, int) ([]*actors.ContactRow, int64, error) {
	return nil, 0, nil
}

func (j *instant) RequestsOf(context.Context, protocol.UserID, actors.RequestPage) ([]*protocol.Request, error) {
	return nil, nil
}

func (j *instant) WaitingInto(context.Context, []protocol.SessionID, int) ([]*protocol.Request, error) {
	return nil, nil
}

func (j *instant) Due(context.Context, time.Time, int) ([]actors.Due, error) { return nil, nil }

func (j *instant) DueSessions(context.Context, time.Time, int) ([]protocol.SessionID, error) {
	return nil, nil
}

func (j *instant) Link(_ context.Context, id string) (*actors.LinkRow, error) {
	return nil, protocol.NotFound("link %s", id)
}

func (j *instant) LinksOf(context.Context, protocol.SessionID, *actors.LinkRow, int) ([]*actors.LinkRow, error) {
	return nil, nil
}

// sink is a link that counts what it gets.
type sink struct {
	mu     sync.Mutex
	acks   int
	pushes int
	news   *sync.Cond
}

func newSink() *sink {
	s := &sink{}
	s.news = sync.NewCond(&s.mu)
	return s
}

func (s *sink) Deliver(frames []actors.Outgoing, _ *actors.Burst) {
	s.mu.Lock()
	for _, f := range frames {
		switch {
		case f.Shared != nil && f.To != "":
			s.pushes++
		case f.Frame.GetMsgSendReply() != nil:
			s.acks++
		}
	}
	s.mu.Unlock()
	s.news.Broadcast()
}

func (s *sink) Close(int, string) {}

func (s *sink) waitAcks(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.acks < n {
		s.news.Wait()
	}
}

// BenchmarkSend is the way of one message through the actors: from its frame to
// the answer and the pushes in the links' queues, without codec, store and socket.
func BenchmarkSend(b *testing.B) {
	for _, members := range []int{2, 100} {
		for _, window := range []int{1, 10} {
			b.Run(fmt.Sprintf("members=%d/window=%d", members, window), func(b *testing.B) {
				log := slog.New(slog.NewTextHandler(io.Discard, nil))
				n := actors.New(actors.Config{Rate: -1}, &instant{sessions: map[protocol.SessionID]*actors.Stored{}}, pushctr.NewLocal(), anybody{}, log)
				defer n.Drain(context.Background(), 0)
				var names []protocol.UserID
				var links []*sink
				var conns []*actors.Connection
				for i := range members {
					names = append(names, fmt.Sprint("user", i))
					links = append(links, newSink())
					c := n.Connect(links[i], actors.Remote{})
					c.Authenticated(&protocol.Identity{User: names[i], Device: "d"}, &protocol.Frame{Body: &protocol.Frame_Auth{Auth: &protocol.Auth{}}})
					conns = append(conns, c)
				}
				a, err := n.Ask(context.Background(), protocol.Identity{User: names[0]}, &protocol.Frame{Body: &protocol.Frame_SessionCreate{
					SessionCreate: &protocol.SessionCreate{SessionType: protocol.SessionType_GROUP, Members: names[1:]}}})
				if err != nil {
					b.Fatal(err)
				}
				id := a.GetSessionCreateReply().Result[0]
				frames := make([]*protocol.Frame, b.N)
				for i := range frames {
					frames[i] = send(id, fmt.Sprint("c", i), "128 bytes would change nothing here")
					frames[i].Id = "1"
				}
				b.ReportAllocs()
				b.ResetTimer()
				for i, f := range frames {
					conns[0].Tell(f)
					if (i+1)%window == 0 {
						links[0].waitAcks(i + 1)
					}
				}
				links[0].waitAcks(b.N)
			})
		}
	}
}

// BenchmarkSendOfPairs has a hundred pairs send one message each, and each again when all were
// answered: what one message needs the others have driven out of the caches, as on a busy node.
func BenchmarkSendOfPairs(b *testing.B) {
	const pairs = 100
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	n := actors.New(actors.Config{Rate: -1}, &instant{sessions: map[protocol.SessionID]*actors.Stored{}}, pushctr.NewLocal(), anybody{}, log)
	defer n.Drain(context.Background(), 0)
	connect := func(name protocol.UserID) (*actors.Connection, *sink) {
		link := newSink()
		c := n.Connect(link, actors.Remote{})
		c.Authenticated(&protocol.Identity{User: name, Device: "d"}, &protocol.Frame{Body: &protocol.Frame_Auth{Auth: &protocol.Auth{}}})
		return c, link
	}
	var conns [pairs]*actors.Connection
	var links [pairs]*sink
	frames := make([]*protocol.Frame, b.N)
	for i := range pairs {
		one, other := fmt.Sprint("user", i), fmt.Sprint("friend", i)
		conns[i], links[i] = connect(one)
		connect(other)
		a, err := n.Ask(context.Background(), protocol.Identity{User: one}, &protocol.Frame{Body: &protocol.Frame_SessionCreate{
			SessionCreate: &protocol.SessionCreate{SessionType: protocol.SessionType_P2P, Members: []protocol.UserID{other}}}})
		if err != nil {
			b.Fatal(err)
		}
		for j := i; j < b.N; j += pairs {
			frames[j] = send(a.GetSessionCreateReply().Result[0], fmt.Sprint("c", j), "128 bytes would change nothing here")
			frames[j].Id = "1"
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	began := processor()
	for i, f := range frames {
		if i >= pairs {
			links[i%pairs].waitAcks(i / pairs)
		}
		conns[i%pairs].Tell(f)
	}
	for i := range min(pairs, b.N) {
		links[i].waitAcks((b.N-1-i)/pairs + 1)
	}
	b.ReportMetric((processor()-began)*1e6/float64(b.N), "cpu-µs/op")
}

// processor is the time in seconds that this process has computed for.
func processor() float64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return float64(u.Utime.Sec+u.Stime.Sec) + float64(u.Utime.Usec+u.Stime.Usec)/1e6
}
