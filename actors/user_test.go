package actors_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

func (c *client) drain() (events []*protocol.Frame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	events, c.frames = c.frames, nil
	return events
}

func TestAResumeBringsExactlyWhatWasMissed(t *testing.T) {
	s := newStage(t, actors.Config{})
	ann, bob := s.dial("ann", "d"), s.connect("bob", "d", nil)
	hello := bob.welcome()
	if r := hello.GetAuthReply(); r.Resumed || r.Snapshot == nil || len(r.Snapshot.Sessions) != 0 {
		t.Errorf("welcome = %v", r)
	}
	id := ann.p2p("bob")
	for i := range 10 {
		ann.send(id, fmt.Sprint("c", i), "x")
	}
	var last *protocol.Frame
	for i := range 10 {
		last = bob.wait("push", func(f *protocol.Frame) bool { return f.GetMsgPush().GetSeq() == int64(i+1) })
	}
	bob.hangUp()
	for i := range 20 {
		ann.send(id, fmt.Sprint("d", i), "y")
	}
	at := &protocol.Resume{Epoch: hello.GetAuthReply().Epoch, Offset: last.Offset}
	bob = s.connect("bob", "d", at)
	if r := bob.welcome(); !r.GetAuthReply().Resumed || r.GetAuthReply().Snapshot != nil || r.Offset != last.Offset {
		t.Errorf("welcome = %v", r)
	}
	offset := last.Offset
	for i := range 20 {
		f := bob.wait("push", func(f *protocol.Frame) bool { return f.GetMsgPush() != nil })
		if f.GetMsgPush().Seq != int64(11+i) || f.Offset <= offset {
			t.Errorf("event %d = %v", i, f)
		}
		offset = f.Offset
	}
	for _, wrong := range []*protocol.Resume{
		{Epoch: at.Epoch, Offset: offset + 100}, {Epoch: at.Epoch, Offset: -1}, {Epoch: "other", Offset: offset},
	} {
		c := s.connect("bob", "d", wrong)
		if r := c.welcome().GetAuthReply(); r.Resumed || r.Snapshot == nil || r.Snapshot.UnreadTotal != 30 {
			t.Errorf("resume %v = %v", wrong, r)
		}
		c.hangUp()
	}
	for i := range 600 {
		ann.send(id, fmt.Sprint("e", i), "z")
	}
	if r := s.connect("bob", "d", at).welcome().GetAuthReply(); r.Resumed {
		t.Error("a position that the ring has lost was resumed")
	}
}

func TestTheHomeListIsTheSameOnEveryDeviceAndAfterARestart(t *testing.T) {
	s := newStage(t, actors.Config{})
	ann, bob := s.dial("ann", "d"), s.dial("bob", "d")
	var ids []protocol.SessionID
	for i := range 70 {
		id := ann.create(protocol.SessionType_GROUP, "bob")
		ann.send(id, "c1", fmt.Sprint("hello ", i))
		ids = append(ids, id)
	}
	bob.must(read(ids[69], 1))
	yes := true
	bob.must(&protocol.Frame{Body: &protocol.Frame_SessionSet{SessionSet: &protocol.SessionSet{Session: ids[5], Sticky: &yes}}})
	check := func(where string, c *client) {
		t.Helper()
		var got []string
		var total int64
		cursor := ""
		for {
			a := c.must(&protocol.Frame{Body: &protocol.Frame_SessionList{SessionList: &protocol.SessionList{Cursor: cursor, Limit: 30}}}).GetSessionListReply()
			for _, h := range a.Sessions {
				got = append(got, h.Session)
				total += h.Unread
			}
			if a.UnreadTotal != 69 {
				t.Errorf("%s: unread total = %d", where, a.UnreadTotal)
			}
			if cursor = a.Next; cursor == "" {
				break
			}
		}
		if len(got) != 70 || got[0] != ids[5] || total != 69 {
			t.Errorf("%s: %d sessions, first %s, %d unread", where, len(got), got[0], total)
		}
	}
	eventually(t, "all is there", func() bool {
		a := bob.must(&protocol.Frame{Body: &protocol.Frame_SessionList{SessionList: &protocol.SessionList{Limit: 1}}}).GetSessionListReply()
		return a.UnreadTotal == 69 && a.Sessions[0].Session == ids[5]
	})
	check("live", bob)
	phone := s.connect("bob", "phone", nil)
	snapshot := phone.welcome().GetAuthReply().Snapshot
	if len(snapshot.Sessions) != 50 || snapshot.UnreadTotal != 69 || snapshot.Next == "" || !snapshot.Sessions[0].Sticky {
		t.Errorf("snapshot of %d sessions, %d unread, next %q", len(snapshot.Sessions), snapshot.UnreadTotal, snapshot.Next)
	}
	check("on another device", phone)
	s.restart()
	check("after a restart", s.dial("bob", "d"))
	bob = s.dial("bob", "d")
	bob.refused(&protocol.Frame{Body: &protocol.Frame_SessionList{SessionList: &protocol.SessionList{Cursor: "?"}}}, protocol.Code_BAD_REQUEST)
}

func TestAPressOfACardIsUnreadForNobody(t *testing.T) {
	s := newStage(t, actors.Config{})
	ann, bob := s.dial("ann", "d"), s.dial("bob", "d")
	id := ann.create(protocol.SessionType_GROUP, "bob")
	ann.send(id, "1", "vote")
	press := func(c *client, key string) *protocol.MsgSendReply {
		return c.must(&protocol.Frame{Body: &protocol.Frame_MsgSend{MsgSend: &protocol.MsgSend{
			Session: id, ClientMsgId: key, ReplyTo: protocol.MessageID(id, 1), Mentions: []string{"bob"},
			Content: &protocol.Content{Type: protocol.ContentType_CARD, Title: "vote", Data: `{"troupe":{"action":"vote:1"}}`},
		}}}).GetMsgSendReply()
	}
	press(ann, "2")
	again := press(ann, "3")
	if e := bob.push(3); !e.Quiet || e.Content == nil {
		t.Errorf("a press comes as %v", e)
	}
	check := func(where string, bob *client) {
		t.Helper()
		h := bob.row(id)
		if h.Unread != 1 || h.Mentioned || h.Last.GetSeq() != 1 || h.UpdatedAt != h.Last.CreatedAt {
			t.Errorf("%s: unread %d, mentioned %v, last %v, updated at %d", where, h.Unread, h.Mentioned, h.Last, h.UpdatedAt)
		}
	}
	check("live", bob)
	ann.must(&protocol.Frame{Body: &protocol.Frame_MsgCancel{MsgCancel: &protocol.MsgCancel{Session: id, MessagerecvId: again.MessagerecvId}}})
	if e := bob.push(4); e.Kind != protocol.Kind_RECALL || !e.Quiet {
		t.Errorf("that one was taken back comes as %v", e)
	}
	check("after one was taken back", bob)
	s.restart()
	check("after a restart", s.dial("bob", "d"))
	bob = s.dial("bob", "d")
	bob.must(read(id, 1))
	eventually(t, "nothing is unread when the message was read", func() bool { return bob.row(id).Unread == 0 })
}

func TestAHeartbeatNamesTheHeadsThatMoved(t *testing.T) {
	s := newStage(t, actors.Config{})
	ann, bob := s.dial("ann", "d"), s.dial("bob", "d")
	id, other := ann.p2p("bob"), ann.create(protocol.SessionType_GROUP, "bob")
	beat := func() map[string]int64 {
		return bob.must(&protocol.Frame{Body: &protocol.Frame_Heartbeat{Heartbeat: &protocol.Heartbeat{}}}).GetHeartbeatReply().Heads
	}
	ann.send(id, "c1", "x")
	bob.push(1)
	eventually(t, "the head", func() bool { return beat()[id] == 1 || bob.row(id).HeadSeq == 1 })
	beat()
	if heads := beat(); len(heads) != 0 {
		t.Errorf("heads = %v, though nothing moved", heads)
	}
	ann.send(other, "c2", "y")
	bob.push(1)
	if heads := beat(); len(heads) != 1 || heads[other] != 1 {
		t.Errorf("heads = %v", heads)
	}
}

func TestDevicesKnowWhatTheyHave(t *testing.T) {
	s := newStage(t, actors.Config{})
	ann, phone := s.dial("ann", "d"), s.dial("bob", "phone")
	id := ann.hears(t, ann.p2p("bob")) // a receipt that comes sooner is in no log
	for i := range 3 {
		ann.send(id, fmt.Sprint("c", i), "x")
	}
	phone.push(3)
	recv := func(m *protocol.MsgRecv) *protocol.Frame {
		m.Session = id
		return &protocol.Frame{Body: &protocol.Frame_MsgRecv{MsgRecv: m}}
	}
	phone.must(recv(&protocol.MsgRecv{MessagesendId: protocol.DeliveryID(protocol.MessageID(id, 2), "bob")}))
	if r := ann.wait("receipt", func(f *protocol.Frame) bool { return f.GetReceipt() != nil }).GetReceipt(); r.RecvSeq != 2 || r.ReadSeq != 0 {
		t.Errorf("receipt = %v", r)
	}
	phone.refused(recv(&protocol.MsgRecv{Seq: 4}), protocol.Code_OUT_OF_RANGE)
	phone.refused(recv(&protocol.MsgRecv{MessagesendId: "rubbish"}), protocol.Code_BAD_REQUEST)
	s.restart()
	for device, want := range map[string]int64{"phone": 2, "laptop": 0} {
		c := s.connect("bob", device, nil)
		if got := c.welcome().GetAuthReply().Snapshot.Sessions[0].RecvSeq; got != want {
			t.Errorf("%s has up to %d, want %d", device, got, want)
		}
	}
}

func TestAPlatformMayAllowOneDevice(t *testing.T) {
	s := newStage(t, actors.Config{Platforms: map[string]string{"web": "replace"}})
	first := s.dial("ann", "one")
	same := s.dial("ann", "one")
	s.dial("ann", "two")
	for _, c := range []*client{first, same} {
		eventually(t, "replaced", func() bool { c.mu.Lock(); defer c.mu.Unlock(); return c.closed && c.code == 4509 })
	}
}

func TestAConnectionIsOnesOwn(t *testing.T) {
	s := newStage(t, actors.Config{})
	ann := s.dial("ann", "d")
	ann.conn.Authenticated(&protocol.Identity{User: "eve"}, &protocol.Frame{Id: "second", Body: &protocol.Frame_Auth{Auth: &protocol.Auth{}}})
	if f := ann.answer("second"); f.Errcode != int32(protocol.Code_DENIED) {
		t.Errorf("answer = %v", f)
	}
	ann.conn.Authenticated(&protocol.Identity{User: "ann"}, &protocol.Frame{Id: "renew", Body: &protocol.Frame_Auth{Auth: &protocol.Auth{}}})
	if f := ann.answer("renew"); f.Errcode != 0 || f.GetAuthReply().Epoch == "" || !f.GetAuthReply().Resumed {
		t.Errorf("answer = %v", f)
	}
	ann.p2p("bob")
}

func TestTypingIsSeenByTheOthersAndNotReplayed(t *testing.T) {
	s := newStage(t, actors.Config{})
	ann, bob := s.dial("ann", "d"), s.connect("bob", "d", nil)
	epoch := bob.welcome().GetAuthReply().Epoch
	id := ann.p2p("bob")
	at := bob.wait("the session", func(f *protocol.Frame) bool { return f.GetSessionUpdate() != nil }).Offset
	ann.must(&protocol.Frame{Body: &protocol.Frame_MsgEditing{MsgEditing: &protocol.MsgEditing{Session: id}}})
	if m := bob.wait("typing", func(f *protocol.Frame) bool { return f.GetMsgEditingReply() != nil }); m.GetMsgEditingReply().UserId != "ann" || m.Offset != 0 {
		t.Errorf("typing = %v", m)
	}
	bob.hangUp()
	bob = s.connect("bob", "d", &protocol.Resume{Epoch: epoch, Offset: at})
	if r := bob.welcome().GetAuthReply(); !r.Resumed {
		t.Error("not resumed")
	}
	if left := bob.drain(); slices.ContainsFunc(left, func(f *protocol.Frame) bool { return f.GetMsgEditingReply() != nil }) {
		t.Errorf("replayed: %v", left)
	}
}

func TestALogoutIsAnsweredBeforeItsConnectionIsClosed(t *testing.T) {
	s := newStage(t, actors.Config{})
	for _, ended := range []bool{false, true} {
		ann := s.dial("ann", "d")
		out := &protocol.Frame{Id: "out", Body: &protocol.Frame_Logout{Logout: &protocol.Logout{}}}
		ann.conn.LoggingOut(out)
		if ended { // the login's end comes first
			s.node.Kick("ann", "login-d", protocol.Code_UNAUTHORIZED, "the login has ended")
		}
		ann.conn.Tell(out)
		if f := ann.answer("out"); f.GetLogoutReply() == nil || f.Errcode != 0 {
			t.Errorf("answer = %v", f)
		}
		eventually(t, "closed", func() bool { ann.mu.Lock(); defer ann.mu.Unlock(); return ann.closed })
		if left := ann.drain(); len(left) > 0 {
			t.Errorf("then came %v", left)
		}
		ann.hangUp()
	}
}

func TestANewSessionsEpochIsTheSameEverywhere(t *testing.T) {
	s := newStage(t, actors.Config{})
	ann := s.dial("ann", "d")
	a := ann.must(&protocol.Frame{Body: &protocol.Frame_SessionCreate{SessionCreate: &protocol.SessionCreate{SessionType: protocol.SessionType_GROUP}}}).GetSessionCreateReply()
	id := a.Result[0]
	epoch := a.Entities.Session[id].Epoch
	zero := int64(0)
	ask := &protocol.Frame{Body: &protocol.Frame_Sync{Sync: &protocol.Sync{Session: id, AfterSeq: &zero, Epoch: epoch}}}
	if got := ann.must(ask).GetSyncReply().Epoch; got != epoch || epoch == "" || ann.about(id).Epoch != epoch {
		t.Errorf("the epoch is %q, then %q", epoch, got)
	}
	eventually(t, "the row has it", func() bool { return ann.row(id).Epoch == epoch })
	ask.GetSync().Epoch = "another"
	ann.refused(ask, protocol.Code_EPOCH_CHANGED)
}

func TestTheHomeListShowsOfALongMessageItsBeginning(t *testing.T) {
	s := newStage(t, actors.Config{})
	ann, bob := s.dial("ann", "a1"), s.dial("bob", "b1")
	id := ann.p2p("bob")
	ann.send(id, "c1", "short")
	bob.push(1)
	if last := bob.row(id).Last; last.Cut || last.Content.Text != "short" {
		t.Errorf("last = %v", last)
	}
	long := "a" + strings.Repeat("界", 2000) // 3 bytes each, so 256 is within one
	f := send(id, "c2", long)
	f.GetMsgSend().Content.Data = `{"of":"an application"}`
	ann.must(f)
	bob.push(2)
	check := func(where string, last *protocol.Entry) {
		t.Helper()
		if !last.Cut || last.Seq != 2 || last.Content.Text != long[:256] || last.Content.Data != "" || !utf8.ValidString(last.Content.Text) {
			t.Errorf("%s: last = %v", where, last)
		}
	}
	check("list", bob.row(id).Last)
	check("snapshot", s.connect("bob", "b2", nil).welcome().GetAuthReply().Snapshot.Sessions[0].Last)
	s.restart()
	bob = s.dial("bob", "b1")
	check("after a restart", bob.row(id).Last)
	if got := bob.history(id)[1]; got.Cut || got.Content.Text != long || got.Content.Data == "" {
		t.Errorf("the log says %v", got)
	}
}

func TestAPageOfTheHomeListIsBoundedByItsBytes(t *testing.T) {
	s := newStage(t, actors.Config{})
	ann := s.dial("ann", "a1")
	const sessions = 120
	long := strings.Repeat("x", 300)
	for i := range sessions {
		id := ann.create(protocol.SessionType_GROUP, fmt.Sprint("bob", i))
		f := send(id, "c", long)
		c := f.GetMsgSend().Content
		c.Title, c.Digest, c.Name = long, long, long
		ann.must(f)
	}
	s.restart() // nothing moves in the list any more
	ann = s.connect("ann", "a2", nil)
	snapshot := ann.welcome().GetAuthReply().Snapshot
	if n := len(snapshot.Sessions); n != 50 {
		t.Errorf("the snapshot has %d sessions", n)
	}
	seen, cursor := map[string]bool{}, ""
	for pages := 1; ; pages++ {
		f := ann.must(&protocol.Frame{Body: &protocol.Frame_SessionList{SessionList: &protocol.SessionList{Limit: 200, Cursor: cursor}}})
		if n := proto.Size(f); n > 100<<10 {
			t.Errorf("a page of %d bytes", n)
		}
		for _, h := range f.GetSessionListReply().Sessions {
			seen[h.Session] = true
		}
		if cursor = f.GetSessionListReply().Next; cursor == "" {
			if pages < 2 || len(seen) != sessions {
				t.Errorf("%d sessions on %d pages", len(seen), pages)
			}
			return
		}
	}
}

func TestAUserIsKnownByABoundedNumberOfDevices(t *testing.T) {
	s := newStage(t, actors.Config{})
	ann, bob := s.dial("ann", "a1"), s.dial("bob", "d0")
	id := ann.p2p("bob")
	for i := range actors.MaxDevices + 20 {
		seq := ann.send(id, fmt.Sprint("c", i), "x").Seq
		c := s.dial("bob", fmt.Sprint("d", i))
		eventually(t, "bob has it", func() bool { return c.row(id).HeadSeq >= seq })
		c.must(&protocol.Frame{Body: &protocol.Frame_MsgRecv{MsgRecv: &protocol.MsgRecv{Session: id, Seq: seq}}})
		c.hangUp()
	}
	bob.hangUp()
	for device, want := range map[string]int64{"d0": 0, "d19": 0, "d20": 21, fmt.Sprint("d", actors.MaxDevices+19): actors.MaxDevices + 20} {
		s.restart()
		if r := s.dial("bob", device).row(id); r.RecvSeq != want {
			t.Errorf("%s has everything up to %d, want %d", device, r.RecvSeq, want)
		}
	}
}
