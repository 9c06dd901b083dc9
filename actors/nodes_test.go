package actors_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"testing"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/internal/redisstreams"
	"github.com/troupe-im/troupe/internal/redisstreams/redistest"
	"github.com/troupe-im/troupe/pushctr"
)

func TestTwoNodesThatShareARedis(t *testing.T) {
	address, redis := redistest.Start(t)
	one := newStage(t, actors.Config{}) // its store is that of both nodes
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	node := func() *stage {
		c, err := redisstreams.ParseURL("redis://" + address)
		if err != nil {
			t.Fatal(err)
		}
		streams, err := redisstreams.Open(context.Background(), c, log)
		if err != nil {
			t.Fatal(err)
		}
		n := actors.New(actors.Config{Rate: -1, Attendance: streams.Attendance()}, one.store, streams, anybody{}, log)
		t.Cleanup(func() {
			n.Drain(context.Background(), 0)
			if err := streams.Close(); err != nil {
				t.Error(err)
			}
		})
		return &stage{t: t, node: n}
	}
	left, right := node(), node()
	phone, desk, bob := left.dial("ann", "phone"), right.dial("ann", "desk"), right.dial("bob", "1")
	session := phone.p2p("bob")
	eventually(t, "the session is on the other node for ann", func() bool { return desk.row(session) != nil })
	eventually(t, "the session is on the other node", func() bool { return bob.row(session) != nil })
	// Nothing places sessions yet: both nodes have this one, and take it from each other.
	say := func(session protocol.SessionID, id, what string) {
		eventually(t, "a message is taken", func() bool { return phone.ask(send(session, id, what)).Errcode == 0 })
	}
	message := func(c *client, id string) *protocol.Entry {
		return c.wait("message "+id, func(f *protocol.Frame) bool { return f.GetMsgPush().GetClientMsgId() == id }).GetMsgPush()
	}
	for i := range 20 {
		id := fmt.Sprint("a", i)
		say(session, id, "hello")
		if got := message(bob, id); got.Content.Text != "hello" || got.Sender != "ann" {
			t.Errorf("bob got %v", got)
		}
		message(desk, id)
	}
	if got := phone.pushes(); len(got) != 0 {
		t.Errorf("the connection that sent got %v as well", got)
	}
	bob.watch("ann")
	phone.must(be("busy"))
	bob.wait("how ann is seen", func(f *protocol.Frame) bool { return f.GetPresence().GetStatus() == "busy" })

	redis.Process.Kill()
	redis.Wait()
	for i := range 20 {
		say(session, fmt.Sprint("b", i), "you do not hear me") // is acknowledged all the same
	}
	right.dial("carol", "1") // whoever signs in then can do so
}

// deaf streams lose what is published.
type deaf struct {
	*pushctr.Local
	lose atomic.Bool
	lost atomic.Int64 // times that something was published in vain
}

func (d *deaf) Publish(subject string, events []*actors.Event, burst *actors.Burst) {
	if d.lose.Load() {
		d.lost.Add(1)
		return
	}
	d.Local.Publish(subject, events, burst)
}

func TestWhatStreamsLostIsReadFromTheLog(t *testing.T) {
	one := newStage(t, actors.Config{})
	streams := &deaf{Local: pushctr.NewLocal()}
	n := actors.New(actors.Config{Rate: -1}, one.store, streams, anybody{}, slog.New(slog.NewTextHandler(io.Discard, nil)))
	t.Cleanup(func() { n.Drain(context.Background(), 0) })
	s := &stage{t: t, node: n}
	ann, bob, carol := s.dial("ann", "1"), s.dial("bob", "1"), s.dial("carol", "1")
	session := ann.p2p("bob")
	ann.send(session, "a", "hello")
	message := func(c *client, id string) {
		t.Helper()
		c.wait("message "+id, func(f *protocol.Frame) bool { return f.GetMsgPush().GetClientMsgId() == id })
	}
	message(bob, "a")
	streams.lose.Store(true)
	for i := range 20 {
		ann.send(session, fmt.Sprint("b", i), "you do not hear me")
	}
	other := ann.p2p("carol")
	ann.send(other, "c", "you neither")
	streams.lose.Store(false)
	n.Lost()
	for i := range 20 {
		message(bob, fmt.Sprint("b", i))
	}
	carol.wait("the session she came into", func(f *protocol.Frame) bool { return f.GetSessionUpdate().GetSession() == other })
	message(carol, "c")
	ann.send(other, "d", "and now?")
	message(carol, "d")
	if h := carol.row(other); h == nil || h.Unread != 2 {
		t.Errorf("her row is %v, want 2 unread", h)
	}
}

func TestRequestsAndContactsThatStreamsLostAreReadAgain(t *testing.T) {
	one := newStage(t, actors.Config{})
	streams := &deaf{Local: pushctr.NewLocal()}
	n := actors.New(actors.Config{Rate: -1}, one.store, streams, anybody{}, slog.New(slog.NewTextHandler(io.Discard, nil)))
	t.Cleanup(func() { n.Drain(context.Background(), 0) })
	s := &stage{t: t, node: n}
	ann, bob, cid := s.dial("ann", "1"), s.dial("bob", "1"), s.dial("cid", "1")
	befriend := func(from *client, to protocol.UserID) string {
		return from.must(&protocol.Frame{Body: &protocol.Frame_RequestSend{RequestSend: &protocol.RequestSend{Kind: protocol.RequestKind_FRIEND_REQUEST, Target: to}}}).GetRequestSendReply().Request.Id
	}
	known := befriend(ann, "bob") // bob hears of it
	bob.wait("a request", func(f *protocol.Frame) bool { return f.GetRequestUpdate().GetRequest().GetId() == known })
	streams.lose.Store(true)
	unknown := befriend(cid, "bob")
	bob.must(&protocol.Frame{Body: &protocol.Frame_RequestAnswer{RequestAnswer: &protocol.RequestAnswer{Request: known, CallBackType: 2}}})
	streams.lose.Store(false)
	n.Lost()
	bob.wait("the request he did not hear of", func(f *protocol.Frame) bool { return f.GetRequestUpdate().GetRequest().GetId() == unknown })
	ann.wait("what became of hers", func(f *protocol.Frame) bool {
		r := f.GetRequestUpdate().GetRequest()
		return r.GetId() == known && r.GetCallBackType() == 2
	})
	ann.wait("her friend", func(f *protocol.Frame) bool {
		c := f.GetContactUpdate()
		return c.GetContact().GetUser() == "bob" && c.Contact.Friend && c.ContactsVersion == 1
	})
}
