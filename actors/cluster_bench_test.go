package actors_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"testing"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/peers"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/pushctr"
)

// fixed are members who neither come nor go, once all are there.
type fixed struct {
	mu   sync.Mutex
	all  []actors.Member
	seen []func(actors.View)
	want int
}

func (f *fixed) Join(self actors.Member, seen func(actors.View), _ func(error)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all, f.seen = append(f.all, self), append(f.seen, seen)
	if len(f.all) == f.want {
		for _, s := range f.seen {
			s(actors.View{Version: 1, Members: f.all})
		}
	}
	return nil
}

func (*fixed) Look()                                   {}
func (*fixed) Leave(context.Context) error             { return nil }
func (*fixed) Quit(context.Context) error              { return nil }
func (*fixed) See(context.Context, actors.Sight) error { return nil }
func (*fixed) Miss(context.Context, string) error      { return nil }
func (*fixed) Lost() bool                              { return false }

// BenchmarkSendBetweenNodes is BenchmarkSend where the session is at the sender's node, of
// two, and where it is at the other one: over protoactor's remote and loopback, both nodes'
// work counted.
func BenchmarkSendBetweenNodes(b *testing.B) {
	for _, far := range []bool{false, true} {
		for _, window := range []int{1, 10, 100} {
			b.Run(fmt.Sprintf("far=%v/window=%d", far, window), func(b *testing.B) {
				log := slog.New(slog.NewTextHandler(io.Discard, nil))
				journal := &instant{sessions: map[protocol.SessionID]*actors.Stored{}}
				members := &fixed{want: 2}
				var nodes []*actors.Node
				for range 2 {
					n := actors.New(actors.Config{Rate: -1}, journal, pushctr.NewLocal(), anybody{}, log)
					err := n.JoinCluster(context.Background(), actors.Cluster{Members: members, Listen: func(take func(*peers.Envelope)) (peers.Transport, string, error) {
						r, err := peers.Listen(peers.RemoteConfig{Listen: "127.0.0.1:0", Log: log}, take)
						return r, r.Address(), err
					}})
					if err != nil {
						b.Fatal(err)
					}
					nodes = append(nodes, n)
				}
				done, cancel := context.WithCancel(context.Background())
				cancel()
				defer nodes[1].Drain(done, 0)
				defer nodes[0].Drain(done, 0)
				link := newSink()
				c := nodes[0].Connect(link, actors.Remote{})
				c.Authenticated(&protocol.Identity{User: "user0", Device: "d"}, &protocol.Frame{Body: &protocol.Frame_Auth{Auth: &protocol.Auth{}}})
				var id protocol.SessionID
				for id == "" || nodes[0].Owns(id) == far {
					a, err := nodes[0].Ask(context.Background(), protocol.Identity{User: "user0"}, &protocol.Frame{Body: &protocol.Frame_SessionCreate{
						SessionCreate: &protocol.SessionCreate{SessionType: protocol.SessionType_GROUP, Members: []string{"user1"}}}})
					if err != nil {
						b.Fatal(err)
					}
					id = a.GetSessionCreateReply().Result[0]
				}
				frames := make([]*protocol.Frame, b.N)
				for i := range frames {
					frames[i] = send(id, fmt.Sprint("c", i), "128 bytes would change nothing here")
					frames[i].Id = "1"
				}
				b.ReportAllocs()
				b.ResetTimer()
				for i, f := range frames {
					c.Tell(f)
					if (i+1)%window == 0 {
						link.waitAcks(i + 1)
					}
				}
				link.waitAcks(b.N)
				b.StopTimer() // the end takes its time
			})
		}
	}
}
