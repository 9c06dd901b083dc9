package actors

import (
	"context"
	"log/slog"
	"runtime"
	"testing"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
)

type emptyJournal struct{ Journal }

func (emptyJournal) SessionsOf(context.Context, protocol.UserID) ([]protocol.SessionID, error) {
	return nil, nil
}
func (emptyJournal) ContactsOf(context.Context, protocol.UserID, protocol.UserID, int) ([]*ContactRow, int64, error) {
	return nil, 0, nil
}
func (emptyJournal) RequestsOf(context.Context, protocol.UserID, RequestPage) ([]*protocol.Request, error) {
	return nil, nil
}
func (emptyJournal) WaitingInto(context.Context, []protocol.SessionID, int) ([]*protocol.Request, error) {
	return nil, nil
}
func (emptyJournal) Due(context.Context, time.Time, int) ([]Due, error) { return nil, nil }

type noStreams struct{}

func (noStreams) Publish(string, []*Event, *Burst)        {}
func (noStreams) Follow(context.Context, ...string) error { return nil }
func (noStreams) Unfollow(string)                         {}
func (noStreams) Start(Receiver)                          {}

type told struct{ news chan struct{} }

func (l told) Deliver([]Outgoing, *Burst) { l.news <- struct{}{} }
func (l told) Close(int, string)          {}

// A user may leave just after a connection has looked it up.
func TestAConnectionOfAUserWhoLeavesIsTheNextOnesAndIsTakenOff(t *testing.T) {
	n := New(Config{UserLinger: 1}, emptyJournal{}, noStreams{}, nil, slog.New(slog.DiscardHandler))
	defer n.Drain(context.Background(), 0)
	link := told{make(chan struct{}, 1)}
	c := &connection{node: n, link: link, who: &protocol.Identity{User: "ann"}, inFlight: 1}
	c.pid = n.spawn(c).pid
	old := n.user("ann")
	c.user = old
	n.tell(old, &passivate{})
	f := &protocol.Frame{Body: &protocol.Frame_Auth{Auth: &protocol.Auth{}}}
	n.tell(old, &attach{conn: 7, pid: c.pid, link: link, who: c.who, frame: f, welcome: c.welcome(f, false)})
	<-link.news
	n.tell(old, &detach{conn: 7})
	deadline := time.Now().Add(10 * time.Second)
	for online, _ := n.Online("ann"); online; online, _ = n.Online("ann") {
		if time.Now().After(deadline) {
			t.Fatal("ann is online for ever")
		}
		runtime.Gosched()
	}
}
