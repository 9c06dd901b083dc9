package actors_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

func add(session protocol.SessionID, users ...string) *protocol.Frame {
	return &protocol.Frame{Body: &protocol.Frame_SessionAddUser{SessionAddUser: &protocol.SessionAddUser{Session: session, Members: users}}}
}

func remove(session protocol.SessionID, users ...string) *protocol.Frame {
	return &protocol.Frame{Body: &protocol.Frame_SessionRemoveUser{SessionRemoveUser: &protocol.SessionRemoveUser{Session: session, Members: users}}}
}

func exit(session protocol.SessionID) *protocol.Frame {
	return &protocol.Frame{Body: &protocol.Frame_SessionExit{SessionExit: &protocol.SessionExit{Session: session}}}
}

func (c *client) about(session protocol.SessionID) *protocol.SessionInfo {
	c.t.Helper()
	return c.must(&protocol.Frame{Body: &protocol.Frame_SessionGet{SessionGet: &protocol.SessionGet{Session: session}}}).GetSessionGetReply().Info
}

func (c *client) names(session protocol.SessionID) (names []string) {
	c.t.Helper()
	for _, m := range c.about(session).Members {
		names = append(names, m.User)
	}
	return names
}

// Requirements 001: an inviter removes those he invited, anyone himself, owner and
// admins anyone else.
func TestWhoMayRemoveWhom(t *testing.T) {
	for _, row := range []struct {
		me, other string
		may       bool
	}{
		{"owner", "guest", true},
		{"owner", "admin", true},
		{"admin", "guest", true},
		{"admin", "owner", false},
		{"host", "guest", true}, // whom host invited
		{"host", "other", false},
		{"host", "owner", false},
		{"guest", "host", false},
		{"guest", "guest", true},
	} {
		t.Run(row.me+" removes "+row.other, func(t *testing.T) {
			s := newStage(t, actors.Config{})
			people := map[string]*client{}
			for _, p := range []string{"owner", "admin", "host", "guest", "other"} {
				people[p] = s.dial(p, "d")
			}
			id := people["owner"].create(protocol.SessionType_GROUP, "admin", "host", "other")
			role := protocol.Role_ADMIN
			people["owner"].must(&protocol.Frame{Body: &protocol.Frame_SessionSet{SessionSet: &protocol.SessionSet{Session: id, Members: []string{"admin"}, Role: &role}}})
			people["host"].must(add(id, "guest"))
			a := people[row.me].ask(remove(id, row.other))
			if (a.Errcode == 0) != row.may {
				t.Errorf("answer = %v", a)
			}
			viewer := people["other"]
			if gone := !slices.Contains(viewer.names(id), row.other); gone != row.may {
				t.Errorf("members = %v", viewer.names(id))
			}
		})
	}
}

func TestAnOwnerWhoLeavesHandsOverToTheFirstInOrder(t *testing.T) {
	s := newStage(t, actors.Config{})
	ann, bob, cid := s.dial("ann", "d"), s.dial("bob", "d"), s.dial("cid", "d")
	id := ann.create(protocol.SessionType_GROUP, "bob", "cid")
	ann.send(id, "c1", "hello")
	ann.must(exit(id))
	if left := bob.push(2); left.Kind != protocol.Kind_LEAVE || left.Owner != "bob" || !slices.Equal(left.Members, []string{"ann"}) {
		t.Errorf("entry = %v", left)
	}
	if info := bob.about(id); info.Owner != "bob" || info.Creator != "ann" {
		t.Errorf("owner %s, creator %s", info.Owner, info.Creator)
	}
	ann.refused(read(id, 1), protocol.Code_NOT_FOUND)
	if row := ann.row(id); row != nil {
		t.Errorf("ann's home list still has %v", row)
	}
	bob.send(id, "c2", "without ann")
	cid.push(3)
	if got := ann.pushes(); slices.Contains(got, 3) {
		t.Error("ann got a message after she left")
	}
	bob.must(exit(id))
	cid.must(exit(id))
	cid.refused(exit(id), protocol.Code_NOT_FOUND)
	s.restart()
	for _, p := range []string{"ann", "bob", "cid"} {
		if row := s.dial(p, "d").row(id); row != nil {
			t.Errorf("%s still has the dead session: %v", p, row)
		}
	}
}

func TestSomebodyAddedSeesTheSessionAndWhatFollowsAtOnce(t *testing.T) {
	for history, first := range map[string]int64{"": 1, "joined": 3} {
		t.Run("history "+history, func(t *testing.T) {
			s := newStage(t, actors.Config{})
			ann, bob := s.dial("ann", "d"), s.dial("bob", "d")
			a := ann.must(&protocol.Frame{Body: &protocol.Frame_SessionCreate{SessionCreate: &protocol.SessionCreate{SessionType: protocol.SessionType_GROUP, History: history}}})
			id := a.GetSessionCreateReply().Result[0]
			ann.send(id, "c1", "one")
			ann.send(id, "c2", "two")
			added := ann.must(add(id, "bob", "ann", "bob")).GetSessionAddUserReply()
			if added.Seq != 3 || !slices.Equal(added.Members, []string{"bob"}) {
				t.Errorf("answer = %v", added)
			}
			for i := range 20 {
				ann.send(id, fmt.Sprint("d", i), "x")
			}
			for i := range 20 {
				bob.push(int64(4 + i))
			}
			u := bob.wait("the session", func(f *protocol.Frame) bool { return f.GetSessionUpdate() != nil }).GetSessionUpdate()
			if u.Head.Session != id {
				t.Errorf("update = %v", u)
			}
			if row := bob.row(id); row.Unread != 20 || row.HeadSeq != 23 {
				t.Errorf("row = %v", row)
			}
			if got := bob.history(id)[0].Seq; got != first {
				t.Errorf("bob reads from seq %d, want %d", got, first)
			}
		})
	}
}

func TestMembersAreBounded(t *testing.T) {
	s := newStage(t, actors.Config{})
	ann := s.dial("ann", "d")
	id := ann.create(protocol.SessionType_GROUP)
	var many []string
	for i := range 501 {
		many = append(many, fmt.Sprint("u", i))
	}
	ann.refused(add(id, many...), protocol.Code_TOO_MANY)
	ann.refused(add(id), protocol.Code_BAD_REQUEST)
	ann.refused(add(id, "nobody-1"), protocol.Code_NOT_FOUND)
	ann.must(add(id, many[:500]...))
	if n := len(ann.about(id).Members); n != 500 {
		t.Errorf("the first page has %d members", n)
	}
	page := ann.must(&protocol.Frame{Body: &protocol.Frame_SessionGet{SessionGet: &protocol.SessionGet{Session: id}}}).GetSessionGetReply()
	rest := ann.must(&protocol.Frame{Body: &protocol.Frame_SessionGet{SessionGet: &protocol.SessionGet{Session: id, Cursor: page.Next}}}).GetSessionGetReply()
	if len(rest.Info.Members) != 1 || rest.Next != "" || rest.Info.MemberCount != 501 {
		t.Errorf("the second page = %d members of %d, next %q", len(rest.Info.Members), rest.Info.MemberCount, rest.Next)
	}
	p2p := ann.p2p("bob")
	ann.refused(add(p2p, "cid"), protocol.Code_DENIED)
	ann.refused(exit(p2p), protocol.Code_DENIED)
	ann.refused(&protocol.Frame{Body: &protocol.Frame_SessionCreate{SessionCreate: &protocol.SessionCreate{SessionType: protocol.SessionType_P2P, Members: []string{"nobody-2"}}}}, protocol.Code_NOT_FOUND)
	ann.refused(&protocol.Frame{Body: &protocol.Frame_SessionCreate{SessionCreate: &protocol.SessionCreate{SessionType: protocol.SessionType_SYSTEM_SESSION}}}, protocol.Code_DENIED)
}

func TestAGroupMadeAgainIsTheSame(t *testing.T) {
	s := newStage(t, actors.Config{})
	ann := s.dial("ann", "d")
	make := func() *protocol.Frame {
		return &protocol.Frame{Body: &protocol.Frame_SessionCreate{SessionCreate: &protocol.SessionCreate{
			SessionType: protocol.SessionType_GROUP, Name: "team", Members: []string{"bob"}, ClientMsgId: "make-1"}}}
	}
	first := ann.must(make()).GetSessionCreateReply()
	s.restart()
	ann = s.dial("ann", "d")
	again := ann.must(make()).GetSessionCreateReply()
	if first.Result[0] != again.Result[0] || again.Model != "session" || again.Entities.Session[again.Result[0]].Name != "team" {
		t.Errorf("made %v, then %v", first, again)
	}
}

func TestNameOwnerRolesStickyAndMuted(t *testing.T) {
	s := newStage(t, actors.Config{})
	ann, phone, bob := s.dial("ann", "d"), s.dial("ann", "phone"), s.dial("bob", "d")
	id := ann.create(protocol.SessionType_GROUP, "bob")
	set := func(m *protocol.SessionSet) *protocol.Frame {
		m.Session = id
		return &protocol.Frame{Body: &protocol.Frame_SessionSet{SessionSet: m}}
	}
	yes, no, name, owner := true, false, "new name", "bob"
	bob.refused(set(&protocol.SessionSet{Name: &name}), protocol.Code_DENIED)
	bob.refused(set(&protocol.SessionSet{Owner: &owner}), protocol.Code_DENIED)
	ann.refused(set(&protocol.SessionSet{}), protocol.Code_BAD_REQUEST)
	ann.must(set(&protocol.SessionSet{Name: &name, Sticky: &yes}))
	if e := bob.push(1); e.Kind != protocol.Kind_CHANGE || e.Name != name {
		t.Errorf("entry = %v", e)
	}
	phone.wait("sticky on the other device", func(f *protocol.Frame) bool { return f.GetSessionUpdate().GetHead().GetSticky() })
	eventually(t, "bob sees the name", func() bool { return bob.row(id).Name == name })
	ann.must(set(&protocol.SessionSet{Muted: &yes, Sticky: &no}))
	eventually(t, "muted, not sticky", func() bool { r := ann.row(id); return r.Muted && !r.Sticky })
	ann.must(set(&protocol.SessionSet{Owner: &owner}))
	if info := bob.about(id); info.Owner != "bob" || info.Members[0].Role != protocol.Role_ADMIN || info.Members[1].Role != protocol.Role_OWNER {
		t.Errorf("session = %v", info)
	}
	s.restart()
	if r := s.dial("ann", "d").row(id); !r.Muted || r.Name != name {
		t.Errorf("after a restart: %v", r)
	}
}

func TestOnlyRolesThatThereAreAreGiven(t *testing.T) {
	s := newStage(t, actors.Config{})
	ann := s.dial("ann", "d")
	room := ann.create(protocol.SessionType_GROUP, "bob")
	for _, role := range []protocol.Role{protocol.Role_OWNER, -1, 3, 258} {
		ann.refused(&protocol.Frame{Body: &protocol.Frame_SessionSet{SessionSet: &protocol.SessionSet{Session: room, Role: &role, Members: []string{"bob"}}}}, protocol.Code_BAD_REQUEST)
	}
}

func TestAnEditOfWhatWasSaidBeforeOnesTimeSaysNothing(t *testing.T) {
	s := newStage(t, actors.Config{})
	ann, bob, cid := s.dial("ann", "d"), s.dial("bob", "d"), s.dial("cid", "d")
	a := ann.must(&protocol.Frame{Body: &protocol.Frame_SessionCreate{SessionCreate: &protocol.SessionCreate{
		SessionType: protocol.SessionType_GROUP, History: "joined", Members: []string{"cid"}}}})
	id := a.GetSessionCreateReply().Result[0]
	ann.send(id, "c1", "secret")
	ann.must(add(id, "bob"))
	bob.wait("the session", func(f *protocol.Frame) bool { return f.GetSessionUpdate() != nil })
	ann.must(edit(id, 1, "another secret"))
	if e := bob.push(3); e.Kind != protocol.Kind_EDIT || e.Content != nil {
		t.Errorf("bob is pushed %v", e)
	}
	if e := cid.push(3); e.Content.GetText() != "another secret" {
		t.Errorf("cid is pushed %v", e)
	}
	if log := bob.history(id); len(log) != 2 || log[1].Content != nil {
		t.Errorf("bob reads %v", log)
	}
}
