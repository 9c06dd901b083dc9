package actors_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

func TestTwoPeopleChat(t *testing.T) {
	s := newStage(t, actors.Config{})
	ann, bob := s.dial("ann", "a1"), s.dial("bob", "b1")
	id := ann.p2p("bob")
	if again := bob.p2p("ann"); again != id {
		t.Errorf("the p2p session of the same two is %s and %s", id, again)
	}
	sent := ann.send(id, "c1", "hello")
	if sent.Seq != 1 || sent.MessagerecvId != id+".1" || sent.Duplicate {
		t.Errorf("answer = %v", sent)
	}
	got := bob.push(1)
	if got.Content.Text != "hello" || got.Sender != "ann" || got.CreatedAt != sent.CreatedAt {
		t.Errorf("bob got %v", got)
	}
	if row := bob.row(id); row.Unread != 1 || row.HeadSeq != 1 || row.Last.GetContent().GetText() != "hello" {
		t.Errorf("bob's row = %v", row)
	}
	if row := ann.row(id); row.Unread != 0 {
		t.Errorf("ann has %d unread of her own", row.Unread)
	}
	bob.must(read(id, 1))
	if u := bob.wait("unread", func(f *protocol.Frame) bool { return f.GetUnread() != nil }).GetUnread(); u.Unread != 0 || u.ReadSeq != 1 {
		t.Errorf("unread = %v", u)
	}
	if r := ann.wait("receipt", func(f *protocol.Frame) bool { return f.GetReceipt() != nil }).GetReceipt(); r.UserId != "bob" || r.ReadSeq != 1 {
		t.Errorf("receipt = %v", r)
	}
}

func TestEveryDeviceSeesAMessageOnceAndTheSendersConnectionItsAnswer(t *testing.T) {
	s := newStage(t, actors.Config{})
	phone, laptop, bob := s.dial("ann", "phone"), s.dial("ann", "laptop"), s.dial("bob", "b1")
	id := phone.p2p("bob")
	for _, c := range []*client{phone, laptop, bob} {
		c.hears(t, id)
	}
	phone.send(id, "c1", "one")
	laptop.push(1)
	bob.push(1)
	laptop.send(id, "c2", "two")
	phone.push(2)
	bob.push(2)
	for _, c := range []*client{phone, laptop, bob} {
		if left := c.pushes(); len(left) > 0 {
			t.Errorf("%s got %v too", c.user, left)
		}
	}
}

func TestASendMadeAgainGetsTheFirstAnswer(t *testing.T) {
	s := newStage(t, actors.Config{})
	phone, laptop := s.dial("ann", "phone"), s.dial("ann", "laptop")
	id := phone.p2p("bob")
	first := phone.send(id, "c1", "one")
	for _, c := range []*client{phone, laptop} {
		again := c.send(id, "c1", "one")
		if !again.Duplicate || again.Seq != first.Seq || again.CreatedAt != first.CreatedAt {
			t.Errorf("again = %v, first %v", again, first)
		}
	}
	phone.refused(send(id, "c1", "other"), protocol.Code_CONFLICT)
	s.restart()
	phone = s.dial("ann", "phone")
	if again := phone.send(id, "c1", "one"); !again.Duplicate || again.Seq != first.Seq {
		t.Errorf("after a restart = %v", again)
	}
	phone.refused(send(id, "c1", "other"), protocol.Code_CONFLICT)
	if n := len(phone.history(id)); n != 1 {
		t.Errorf("the log has %d entries", n)
	}
}

// A session whose log is longer than the window finds old messages by the filter,
// then the store, and new ones keep their order behind such a question.
func TestAnOldMessageSentAgainIsFoundBehindTheWindow(t *testing.T) {
	s := newStage(t, actors.Config{InFlight: 10_000})
	ann := s.dial("ann", "a1")
	id := ann.p2p("bob")
	const n = 5000
	for i := range n {
		ann.post(send(id, fmt.Sprint("c", i), "x"))
	}
	for i := range n {
		if a := ann.answer(fmt.Sprint(i + 2)); a.Errcode != 0 {
			t.Fatal(a)
		}
	}
	for range 2 {
		if again := ann.send(id, "c7", "x"); !again.Duplicate || again.Seq != 8 {
			t.Errorf("again = %v", again)
		}
		var ids []string
		for i := range 20 {
			ids = append(ids, ann.post(send(id, fmt.Sprint("c", i), "x")), ann.post(send(id, fmt.Sprint("new", s.cfg.Rate, ann.nextID), "y")))
		}
		last := int64(0)
		for i, a := range ids {
			m := ann.answer(a).GetMsgSendReply()
			if want := i%2 == 0; m.Duplicate != want {
				t.Errorf("answer %d = %v", i, m)
			}
			if !m.Duplicate {
				if m.Seq <= last {
					t.Errorf("seq %d after %d: a sender's messages changed places", m.Seq, last)
				}
				last = m.Seq
			}
		}
		s.restart()
		ann = s.dial("ann", "a1")
	}
}

func TestManySendersGetOneOrder(t *testing.T) {
	s := newStage(t, actors.Config{})
	const people, each = 8, 200
	clients := make([]*client, people)
	var names []protocol.UserID
	for i := range clients {
		names = append(names, fmt.Sprint("user", i))
		clients[i] = s.dial(names[i], "d")
	}
	id := clients[0].create(protocol.SessionType_GROUP, names...)
	for _, c := range clients {
		c.wait("the new session", func(f *protocol.Frame) bool { return f.GetSessionUpdate() != nil })
	}
	var all sync.WaitGroup
	for _, c := range clients {
		all.Go(func() {
			for i := range each {
				c.post(send(id, fmt.Sprint(c.user, "-", i), "x"))
			}
		})
	}
	all.Wait()
	for _, c := range clients {
		eventually(t, "all answers and pushes", func() bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			n := 0
			for _, f := range c.frames {
				if f.GetMsgPush() != nil || f.GetMsgSendReply() != nil {
					n++
				}
			}
			return n == people*each
		})
		seen := c.pushes()
		if !slices.IsSorted(seen) {
			t.Errorf("%s got pushes out of order", c.user)
		}
	}
	log := clients[0].history(id)
	if len(log) != people*each {
		t.Fatalf("the log has %d entries", len(log))
	}
	next := map[string]int{}
	for i, e := range log {
		if e.Seq != int64(i+1) {
			t.Fatalf("entry %d has seq %d", i, e.Seq)
		}
		if want := fmt.Sprint(e.Sender, "-", next[e.Sender]); e.ClientMsgId != want {
			t.Fatalf("seq %d is %s, want %s: a sender's order is kept", e.Seq, e.ClientMsgId, want)
		}
		next[e.Sender]++
	}
}

func TestStrangersFindNothing(t *testing.T) {
	s := newStage(t, actors.Config{})
	ann, eve := s.dial("ann", "a1"), s.dial("eve", "e1")
	id := ann.p2p("bob")
	ann.send(id, "c1", "secret")
	zero := int64(0)
	for _, session := range []string{id, protocol.NewSessionID(), "no session", "recent"} {
		for _, f := range []*protocol.Frame{
			send(session, "c1", "hi"),
			read(session, 1),
			{Body: &protocol.Frame_Sync{Sync: &protocol.Sync{Session: session, AfterSeq: &zero}}},
			{Body: &protocol.Frame_MsgRecv{MsgRecv: &protocol.MsgRecv{Session: session, Seq: 1}}},
			{Body: &protocol.Frame_MsgEditing{MsgEditing: &protocol.MsgEditing{Session: session}}},
			{Body: &protocol.Frame_MsgCancel{MsgCancel: &protocol.MsgCancel{Session: session, MessagerecvId: session + ".1"}}},
			{Body: &protocol.Frame_MsgReact{MsgReact: &protocol.MsgReact{Session: session, MessagerecvId: session + ".1", Reaction: "x"}}},
			{Body: &protocol.Frame_MsgEdit{MsgEdit: &protocol.MsgEdit{Session: session, MessagerecvId: session + ".1", Content: text("x")}}},
			{Body: &protocol.Frame_SessionAddUser{SessionAddUser: &protocol.SessionAddUser{Session: session, Members: []string{"eve"}}}},
			{Body: &protocol.Frame_SessionRemoveUser{SessionRemoveUser: &protocol.SessionRemoveUser{Session: session, Members: []string{"ann"}}}},
			{Body: &protocol.Frame_SessionExit{SessionExit: &protocol.SessionExit{Session: session}}},
			{Body: &protocol.Frame_SessionGet{SessionGet: &protocol.SessionGet{Session: session}}},
			{Body: &protocol.Frame_SessionSet{SessionSet: &protocol.SessionSet{Session: session, Sticky: new(bool)}}},
		} {
			eve.refused(f, protocol.Code_NOT_FOUND)
		}
	}
	if n := len(ann.history(id)); n != 1 {
		t.Errorf("the log has %d entries", n)
	}
}

func TestMarksAreRefusedOutsideTheLogAndNeverGoBack(t *testing.T) {
	s := newStage(t, actors.Config{})
	ann, bob := s.dial("ann", "a1"), s.dial("bob", "b1")
	id := ann.p2p("bob")
	bob.refused(read(id, 1), protocol.Code_OUT_OF_RANGE)
	for i := range 5 {
		ann.send(id, fmt.Sprint("c", i), "x")
	}
	for _, seq := range []int64{-1, 0, 6, 1 << 52} {
		bob.refused(read(id, seq), protocol.Code_OUT_OF_RANGE)
	}
	bob.must(read(id, 3))
	eventually(t, "two unread", func() bool { return bob.row(id).Unread == 2 })
	if a := bob.must(read(id, 2)).GetMsgReadReply(); a.ReadSeq != 3 {
		t.Errorf("the mark went back to %d", a.ReadSeq)
	}
	s.restart()
	bob = s.dial("bob", "b1")
	if row := bob.row(id); row.ReadSeq != 3 || row.Unread != 2 {
		t.Errorf("after a restart: %v", row)
	}
}

func TestAHandlerThatPanicsHarmsNobodyElse(t *testing.T) {
	s := newStage(t, actors.Config{})
	ann, bob := s.dial("ann", "a1"), s.dial("bob", "b1")
	id, other := ann.p2p("bob"), ann.create(protocol.SessionType_GROUP, "bob")
	ann.send(id, "c1", "before")
	// A frame that no codec makes: its body is there, its content's parts are nil.
	bad := &protocol.Frame{Body: &protocol.Frame_MsgSend{MsgSend: &protocol.MsgSend{Session: id, ClientMsgId: "bad",
		Content: &protocol.Content{Type: protocol.ContentType_FORWARD, Forwarded: nil, Text: "x"}, Mentions: []string{"*"}}}}
	bad.GetMsgSend().ReplyTo = id + ".1"
	ann.must(bad) // this one is fine
	ids := []string{}
	for i := range 50 {
		ids = append(ids, ann.post(send(id, fmt.Sprint("d", i), "x")), bob.post(send(other, fmt.Sprint("e", i), "y")))
	}
	ann.refused(&protocol.Frame{Body: &protocol.Frame_SessionSet{}}, protocol.Code_INTERNAL)
	for i, a := range ids {
		c := ann
		if i%2 == 1 {
			c = bob
		}
		if f := c.answer(a); f.Errcode != 0 {
			t.Errorf("answer %d = %v", i, f)
		}
	}
	ann.send(id, "after", "still here")
}

func TestASyncBehindTheHighestNumberIsRefused(t *testing.T) {
	s := newStage(t, actors.Config{})
	ann := s.dial("ann", "d")
	room := ann.create(protocol.SessionType_GROUP, "bob")
	ann.send(room, "1", "x")
	for _, after := range []int64{1<<63 - 1, 1<<63 - 2, 2} {
		ann.refused(&protocol.Frame{Body: &protocol.Frame_Sync{Sync: &protocol.Sync{Session: room, AfterSeq: &after}}}, protocol.Code_OUT_OF_RANGE)
	}
}

func TestADeliveryToAnotherIsNotOnesOwn(t *testing.T) {
	s := newStage(t, actors.Config{})
	ann, bob := s.dial("ann", "a1"), s.dial("bob", "b1")
	id := ann.p2p("bob")
	sent := ann.send(id, "c1", "one")
	bob.push(1)
	recv := func(delivery string) *protocol.Frame {
		return &protocol.Frame{Body: &protocol.Frame_MsgRecv{MsgRecv: &protocol.MsgRecv{Session: id, MessagesendId: delivery}}}
	}
	for _, wrong := range []string{protocol.DeliveryID(sent.MessagerecvId, "ann"), sent.MessagerecvId + "@", "rubbish@bob", protocol.NewSessionID() + ".1@bob"} {
		bob.refused(recv(wrong), protocol.Code_BAD_REQUEST)
	}
	if a := bob.must(recv(protocol.DeliveryID(sent.MessagerecvId, "bob"))).GetMsgRecvReply(); a.Seq != 1 {
		t.Errorf("answer = %v", a)
	}
}
