package actors_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

func cancel(session protocol.SessionID, seq int64) *protocol.Frame {
	return &protocol.Frame{Body: &protocol.Frame_MsgCancel{MsgCancel: &protocol.MsgCancel{Session: session, MessagerecvId: protocol.MessageID(session, seq)}}}
}

func edit(session protocol.SessionID, seq int64, to string) *protocol.Frame {
	return &protocol.Frame{Body: &protocol.Frame_MsgEdit{MsgEdit: &protocol.MsgEdit{Session: session, MessagerecvId: protocol.MessageID(session, seq), Content: text(to)}}}
}

func react(session protocol.SessionID, seq int64, with string, removed bool) *protocol.Frame {
	return &protocol.Frame{Body: &protocol.Frame_MsgReact{MsgReact: &protocol.MsgReact{Session: session, MessagerecvId: protocol.MessageID(session, seq), Reaction: with, Removed: removed}}}
}

func TestARecalledMessageIsGoneFromEverywhere(t *testing.T) {
	s := newStage(t, actors.Config{})
	ann, bob := s.dial("ann", "d"), s.dial("bob", "d")
	id := ann.p2p("bob")
	ann.send(id, "c1", "one")
	ann.send(id, "c2", "secret")
	bob.push(2)
	bob.refused(cancel(id, 2), protocol.Code_DENIED)
	bob.refused(cancel(id, 9), protocol.Code_NOT_FOUND)
	bob.refused(cancel(protocol.NewSessionID(), 1), protocol.Code_NOT_FOUND)
	a := ann.must(cancel(id, 2)).GetMsgCancelReply()
	if a.Seq != 3 {
		t.Errorf("answer = %v", a)
	}
	if e := bob.push(3); e.Kind != protocol.Kind_RECALL || e.Target != 2 || e.TargetSender != "ann" || e.Content != nil {
		t.Errorf("entry = %v", e)
	}
	if row := bob.row(id); row.Unread != 1 || row.Last.Content != nil || !row.Last.Recalled {
		t.Errorf("row = %v", row)
	}
	ann.must(cancel(id, 2)) // again: as it should be
	ann.refused(edit(id, 2, "x"), protocol.Code_CONFLICT)
	ann.refused(react(id, 2, "👍", false), protocol.Code_CONFLICT)
	for range 2 {
		log := bob.history(id)
		if len(log) != 3 || log[1].Content != nil || !log[1].Recalled || log[0].Content.Text != "one" {
			t.Errorf("log = %v", log)
		}
		s.restart()
		bob = s.dial("bob", "d")
		if row := bob.row(id); row.Unread != 1 {
			t.Errorf("after a restart: %v", row)
		}
	}
}

func TestTheOwnerRecallsAnybodysMessageAndTimeBoundsTheOthers(t *testing.T) {
	s := newStage(t, actors.Config{RecallWindow: time.Nanosecond, EditWindow: time.Nanosecond})
	ann, bob := s.dial("ann", "d"), s.dial("bob", "d")
	id := ann.create(protocol.SessionType_GROUP, "bob")
	bob.send(id, "c1", "one")
	eventually(t, "the window is over", func() bool { return bob.ask(cancel(id, 1)).Errcode == int32(protocol.Code_WINDOW_OVER) })
	bob.refused(edit(id, 1, "two"), protocol.Code_WINDOW_OVER)
	ann.must(cancel(id, 1))
}

func TestAnEditReplacesWhatWasSaid(t *testing.T) {
	s := newStage(t, actors.Config{})
	ann, bob := s.dial("ann", "d"), s.dial("bob", "d")
	id := ann.p2p("bob")
	ann.send(id, "c1", "helo")
	bob.refused(edit(id, 1, "mine"), protocol.Code_DENIED)
	ann.refused(edit(id, 1, ""), protocol.Code_BAD_REQUEST)
	ann.must(edit(id, 1, "hello"))
	if e := bob.push(2); e.Kind != protocol.Kind_EDIT || e.Target != 1 || e.Content.Text != "hello" {
		t.Errorf("entry = %v", e)
	}
	if row := bob.row(id); row.Unread != 1 || row.Last.Content.Text != "hello" || row.Last.EditedAt == 0 {
		t.Errorf("row = %v", row)
	}
	if seq := ann.must(edit(id, 1, "hello")).GetMsgEditReply().Seq; seq != 2 {
		t.Errorf("the same edit once more is at %d, want 2, as the first", seq)
	}
	ann.refused(edit(id, 2, "x"), protocol.Code_BAD_REQUEST) // an edit is no message
	if again := ann.send(id, "c1", "helo"); !again.Duplicate || again.Seq != 1 {
		t.Errorf("the first send again = %v", again)
	}
	if log := bob.history(id); log[0].Content.Text != "hello" {
		t.Errorf("log = %v", log)
	}
}

func TestWhatAnEditSaidGoesWithItsMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, actors.Config{RecallWindow: time.Hour})
		ann, bob := s.dial("ann", "d"), s.dial("bob", "d")
		id := ann.p2p("bob")
		ann.send(id, "c1", "recalled")
		ann.must(edit(id, 1, "once"))
		bob.send(id, "c2", "between")
		ann.must(&protocol.Frame{Body: &protocol.Frame_MsgSend{MsgSend: &protocol.MsgSend{Session: id, ClientMsgId: "c3", Content: text("expires"), Expire: 60}}})
		ann.must(edit(id, 4, "other"))
		time.Sleep(time.Second)
		ann.must(edit(id, 1, "twice"))
		ann.must(cancel(id, 1))
		time.Sleep(2 * time.Minute)
		log := bob.history(id)
		for _, e := range log {
			if e.Content != nil && e.Seq != 3 {
				t.Errorf("entry %d still says %q", e.Seq, e.Content.Text)
			}
		}
		if len(log) != 8 || log[1].Kind != protocol.Kind_EDIT || log[1].Target != 1 || log[2].Content == nil {
			t.Errorf("log = %v", log)
		}
	})
}

func TestReactionsOfManyAreCountedOnce(t *testing.T) {
	s := newStage(t, actors.Config{})
	names := []string{"u0", "u1", "u2", "u3", "u4", "u5"}
	var people []*client
	for _, n := range names {
		people = append(people, s.dial(n, "d"))
	}
	id := people[0].create(protocol.SessionType_GROUP, names...)
	people[0].send(id, "c1", "vote")
	for range 2 {
		var asked []string
		for _, c := range people {
			asked = append(asked, c.post(react(id, 1, "👍", false)))
		}
		for i, c := range people {
			if a := c.answer(asked[i]); a.Errcode != 0 {
				t.Errorf("answer = %v", a)
			}
		}
	}
	people[3].must(react(id, 1, "👍", true))
	people[3].must(react(id, 1, "👍", true))
	log := people[0].history(id)
	if len(log) != 1+6+1 || len(log[0].Reactions) != 1 || len(log[0].Reactions[0].Users) != 5 {
		t.Errorf("log = %v", log)
	}
	people[0].refused(react(id, 1, "", false), protocol.Code_BAD_REQUEST)
	for i := range 40 { // one of the 32 is there
		f := people[i%5].ask(react(id, 1, fmt.Sprint("r", i), false))
		if want := i >= 31; (f.Errcode == int32(protocol.Code_TOO_MANY)) != want {
			t.Errorf("reaction %d = %v", i, f)
		}
	}
	people[0].send(id, "c2", "again")
	var two int64
	for _, e := range people[0].history(id) {
		if e.ClientMsgId == "c2" {
			two = e.Seq
		}
	}
	for i := range 9 {
		f := people[5].ask(react(id, two, fmt.Sprint("own", i), false))
		if want := i >= 8; (f.Errcode == int32(protocol.Code_TOO_MANY)) != want {
			t.Errorf("own reaction %d = %v", i, f)
		}
	}
	people[5].must(react(id, two, "own3", true))
	people[5].must(react(id, two, "own8", false))
}

func TestOfManyWhoReactAnEntryNamesSomeAndCountsAll(t *testing.T) {
	s := newStage(t, actors.Config{})
	names := make([]string, 60)
	for i := range names {
		names[i] = fmt.Sprint("u", i)
	}
	first := s.dial(names[0], "d")
	id := first.create(protocol.SessionType_GROUP, names...)
	first.send(id, "c1", "vote")
	people := map[string]*client{}
	for _, n := range names {
		people[n] = s.dial(n, "d")
		people[n].must(react(id, 1, "+1", false))
	}
	check := func(count, users int64) {
		t.Helper()
		log := first.history(id)
		x, last := log[0].Reactions[0], log[len(log)-1]
		if x.Count != count || int64(len(x.Users)) != users || log[0].ReactedSeq != last.Seq {
			t.Errorf("%d of %d are named, as of %d; want %d of %d as of %d", len(x.Users), x.Count, log[0].ReactedSeq, users, count, last.Seq)
		}
	}
	check(60, 50)
	if a := people["u59"].must(react(id, 1, "+1", false)).GetMsgReactReply(); a.Seq != 0 {
		t.Errorf("who isn't named reacted once more: %v", a)
	}
	s.restart()
	first = s.dial("u0", "d")
	last, named := s.dial("u59", "d"), s.dial("u3", "d")
	last.must(react(id, 1, "+1", true))
	last.must(react(id, 1, "+1", true))
	check(59, 50)
	named.must(react(id, 1, "+1", true))
	check(58, 49)
	last.must(react(id, 1, "+1", false))
	check(59, 50)
}

func TestAnExpiredMessageIsGone(t *testing.T) {
	s := newStage(t, actors.Config{})
	ann, bob := s.dial("ann", "d"), s.dial("bob", "d")
	id := ann.p2p("bob")
	f := send(id, "c1", "for a second")
	f.GetMsgSend().Expire = 1
	ann.must(f)
	e := bob.push(2)
	if e.Kind != protocol.Kind_EXPIRE || e.Target != 1 {
		t.Errorf("entry = %v", e)
	}
	if row := bob.row(id); row.Unread != 0 || row.Last.Content != nil {
		t.Errorf("row = %v", row)
	}
	if log := bob.history(id); len(log) != 2 || log[0].Content != nil || !log[0].Expired {
		t.Errorf("log = %v", log)
	}
}

func TestAForwardCarriesWhatWasReallySaid(t *testing.T) {
	s := newStage(t, actors.Config{})
	ann, bob := s.dial("ann", "d"), s.dial("bob", "d")
	from, to := ann.p2p("bob"), bob.p2p("cid")
	ann.send(from, "c1", "the original")
	forward := func(id, of string) *protocol.Frame {
		return &protocol.Frame{Body: &protocol.Frame_MsgSend{MsgSend: &protocol.MsgSend{Session: to, ClientMsgId: id,
			Content: &protocol.Content{Type: protocol.ContentType_FORWARD, Forwarded: []*protocol.Forwarded{{MessagerecvId: of, Sender: "eve", Text: "forged"}}}}}}
	}
	first := bob.post(forward("f1", from+".1"))
	second := bob.post(send(to, "c2", "behind it"))
	if a, b := bob.answer(first).GetMsgSendReply(), bob.answer(second).GetMsgSendReply(); a.Seq != 1 || b.Seq != 2 {
		t.Errorf("answers = %v, %v", a, b)
	}
	f := bob.history(to)[0].Content.Forwarded[0]
	if f.Text != "the original" || f.Sender != "ann" || f.Session != from {
		t.Errorf("forwarded = %v", f)
	}
	bob.refused(forward("f2", from+".7"), protocol.Code_NOT_FOUND)
	bob.refused(forward("f3", protocol.NewSessionID()+".1"), protocol.Code_NOT_FOUND)
	bob.refused(forward("f4", "rubbish"), protocol.Code_BAD_REQUEST)
}

func TestACallIsAnsweredInTheLog(t *testing.T) {
	s := newStage(t, actors.Config{})
	ann, bob := s.dial("ann", "d"), s.dial("bob", "d")
	id := ann.p2p("bob")
	ann.must(&protocol.Frame{Body: &protocol.Frame_MsgSend{MsgSend: &protocol.MsgSend{Session: id, ClientMsgId: "c1", Content: &protocol.Content{Type: protocol.ContentType_LIVEVIDEO}}}})
	call := bob.push(1)
	bob.must(&protocol.Frame{Body: &protocol.Frame_MsgAccept{MsgAccept: &protocol.MsgAccept{Session: id, MessagesendId: protocol.DeliveryID(call.MessagerecvId, "bob")}}})
	if e := ann.push(2); e.Kind != protocol.Kind_ANSWER || e.Answer != "accept" || e.Target != 1 {
		t.Errorf("entry = %v", e)
	}
	accept := func(id string) *protocol.Frame {
		return &protocol.Frame{Body: &protocol.Frame_MsgAccept{MsgAccept: &protocol.MsgAccept{Session: call.Session, MessagerecvId: id}}}
	}
	refuse := &protocol.Frame{Body: &protocol.Frame_MsgRefuse{MsgRefuse: &protocol.MsgRefuse{Session: id, MessagerecvId: call.MessagerecvId}}}
	if again := s.dial("bob", "other").must(accept(call.MessagerecvId)).GetMsgAcceptReply(); again.Seq != 2 {
		t.Errorf("accepted once more = %v, want the first answer", again)
	}
	bob.refused(refuse, protocol.Code_CONFLICT)
	bob.refused(accept(protocol.DeliveryID(call.MessagerecvId, "ann")), protocol.Code_BAD_REQUEST)
	ann.must(refuse)
	bob.refused(refuse, protocol.Code_CONFLICT)
	ann.refused(&protocol.Frame{Body: &protocol.Frame_MsgAccept{MsgAccept: &protocol.MsgAccept{Session: id, MessagerecvId: id + ".2"}}}, protocol.Code_BAD_REQUEST)
}

func TestAMessageThatExpiredIsNotTakenOffTheUnreadTwice(t *testing.T) {
	s := newStage(t, actors.Config{})
	ann, bob := s.dial("ann", "d"), s.dial("bob", "d")
	room := ann.create(protocol.SessionType_GROUP, "bob")
	ann.send(room, "1", "stays")
	f := send(room, "2", "goes")
	f.GetMsgSend().Expire = 1
	gone := ann.must(f).GetMsgSendReply()
	bob.wait("its end", func(f *protocol.Frame) bool { return f.GetMsgPush().GetKind() == protocol.Kind_EXPIRE })
	ann.must(&protocol.Frame{Body: &protocol.Frame_MsgCancel{MsgCancel: &protocol.MsgCancel{Session: room, MessagerecvId: gone.MessagerecvId}}})
	last := ann.send(room, "3", "also stays")
	bob.push(last.Seq)
	if n := bob.row(room).Unread; n != 2 {
		t.Errorf("%d unread, want 2", n)
	}
}
