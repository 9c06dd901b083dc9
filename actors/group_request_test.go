package actors_test

import (
	"slices"
	"sync"
	"testing"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

func (c *client) asked(session protocol.SessionID) []*protocol.Request {
	c.t.Helper()
	return c.must(&protocol.Frame{Body: &protocol.Frame_RequestList{RequestList: &protocol.RequestList{Session: session, Waiting: true}}}).GetRequestListReply().Requests
}

func (c *client) asks(session protocol.SessionID, user protocol.UserID) *protocol.Request {
	c.t.Helper()
	return c.must(ask(session, user)).GetRequestSendReply().Request
}

func members(c *client, session protocol.SessionID) (ids []protocol.UserID) {
	c.t.Helper()
	a := c.must(&protocol.Frame{Body: &protocol.Frame_SessionGet{SessionGet: &protocol.SessionGet{Session: session}}}).GetSessionGetReply()
	for _, m := range a.Info.Members {
		ids = append(ids, m.User)
	}
	return ids
}

func TestWhoAsksIsLetInByTheOwnerOrAnAdmin(t *testing.T) {
	s := newStage(t, actors.Config{})
	ann, bob, cid, dan, eve := s.dial("ann", "1"), s.dial("bob", "1"), s.dial("cid", "1"), s.dial("dan", "1"), s.dial("eve", "1")
	id := ann.group(&protocol.SessionCreate{Name: "chess", Members: []string{"bob", "cid"}, JoinPolicy: protocol.JoinPolicy_ASK})
	r := dan.asks(id, "")
	if r.TargetName != "chess" || r.CallBackType != 1 || r.User != "" {
		t.Errorf("dan's request is %v", r)
	}
	ann.update(r.Id, 1)
	cid.update(r.Id, 1)
	if again := dan.asks(id, ""); again.Id != r.Id {
		t.Error("asked twice, there are two requests")
	}
	for _, admin := range []*client{ann, cid} {
		if list := admin.asked(id); len(list) != 1 || list[0].Id != r.Id {
			t.Errorf("%s sees %v", admin.user, list)
		}
		if list := s.connect(admin.user, "2", nil).welcome().GetAuthReply().Snapshot.Requests; len(list) != 1 {
			t.Errorf("%s finds %v", admin.user, list)
		}
	}
	list := &protocol.Frame{Body: &protocol.Frame_RequestList{RequestList: &protocol.RequestList{Session: id}}}
	bob.refused(list, protocol.Code_DENIED)
	eve.refused(list, protocol.Code_NOT_FOUND)
	bob.refused(reply(r.Id, 2), protocol.Code_NOT_FOUND)
	eve.refused(reply(r.Id, 2), protocol.Code_NOT_FOUND)
	eve.refused(reply(r.Id, 4), protocol.Code_NOT_FOUND)
	dan.refused(reply(r.Id, 2), protocol.Code_DENIED)

	if a := cid.must(reply(r.Id, 2)).GetRequestAnswerReply().Request; a.Session != id || a.AnsweredBy != "cid" || !a.State {
		t.Errorf("accepted, it is %v", a)
	}
	ann.update(r.Id, 2)
	dan.update(r.Id, 2)
	ann.refused(reply(r.Id, 3), protocol.Code_CONFLICT)
	eve.refused(reply(r.Id, 3), protocol.Code_NOT_FOUND)
	ann.must(reply(r.Id, 2))
	if got := members(ann, id); !slices.Equal(got, []string{"ann", "bob", "cid", "dan"}) {
		t.Errorf("members are %v", got)
	}
	dan.send(id, "1", "thank you")
	dan.refused(ask(id, ""), protocol.Code_CONFLICT)

	r = eve.asks(id, "")
	ann.must(reply(r.Id, 3))
	eve.update(r.Id, 3)
	eve.refused(send(id, "1", "why?"), protocol.Code_NOT_FOUND)
	r = eve.asks(id, "")
	eve.must(reply(r.Id, 4))
	ann.refused(reply(r.Id, 2), protocol.Code_CONFLICT)
	if n := len(ann.asked(id)); n != 0 {
		t.Errorf("%d still wait", n)
	}
}

func TestAGroupIsAskedOnlyWhereItWantsThat(t *testing.T) {
	s := newStage(t, actors.Config{})
	ann, dan := s.dial("ann", "1"), s.dial("dan", "1")
	closed := ann.group(&protocol.SessionCreate{Members: []string{"bob"}})
	dan.refused(ask(closed, ""), protocol.Code_NOT_FOUND)
	free := ann.group(&protocol.SessionCreate{Members: []string{"bob"}, JoinPolicy: protocol.JoinPolicy_OPEN})
	dan.refused(ask(free, ""), protocol.Code_CONFLICT)
	ended := ann.group(&protocol.SessionCreate{Members: []string{"bob"}, JoinPolicy: protocol.JoinPolicy_ASK})
	r := dan.asks(ended, "")
	ann.must(dissolve(ended))
	dan.refused(ask(ended, ""), protocol.Code_NOT_FOUND)
	ann.refused(reply(r.Id, 2), protocol.Code_NOT_FOUND)
	dan.must(reply(r.Id, 4))
}

func TestAnInvitationIsAnsweredByTheOneInvited(t *testing.T) {
	s := newStage(t, actors.Config{})
	ann, bob, cid, dan := s.dial("ann", "1"), s.dial("bob", "1"), s.dial("cid", "1"), s.dial("dan", "1")
	id := ann.group(&protocol.SessionCreate{Name: "chess", Members: []string{"bob", "cid"}})
	r := bob.asks(id, "dan")
	if got := dan.update(r.Id, 1); got.TargetName != "chess" || got.From != "bob" || got.User != "dan" {
		t.Errorf("dan is asked by %v", got)
	}
	if n := len(ann.asked(id)); n != 0 {
		t.Errorf("ann is to answer %d", n)
	}
	ann.refused(reply(r.Id, 2), protocol.Code_NOT_FOUND)
	bob.refused(ask(id, "cid"), protocol.Code_CONFLICT)
	bob.refused(ask(id, "nobody"), protocol.Code_NOT_FOUND)
	bob.refused(ask(id, "bob"), protocol.Code_BAD_REQUEST)
	dan.refused(ask(id, "eve"), protocol.Code_NOT_FOUND)

	dan.must(reply(r.Id, 2))
	bob.update(r.Id, 2)
	a := ann.must(&protocol.Frame{Body: &protocol.Frame_SessionGet{SessionGet: &protocol.SessionGet{Session: id}}}).GetSessionGetReply()
	if m := a.Info.Members[3]; m.User != "dan" || m.Inviter != "bob" {
		t.Errorf("the newest member is %v", m)
	}

	ann.must(set(id, &protocol.SessionSet{InvitePolicy: ptr(protocol.InvitePolicy_ADMINS_INVITE)}))
	bob.refused(ask(id, "eve"), protocol.Code_DENIED)
	r = cid.asks(id, "eve")
	eve := s.dial("eve", "1")
	ann.must(&protocol.Frame{Body: &protocol.Frame_SessionRemoveUser{SessionRemoveUser: &protocol.SessionRemoveUser{Session: id, Members: []string{"cid"}}}})
	eve.refused(reply(r.Id, 2), protocol.Code_EXPIRED) // who invited is out of it
	eve.must(reply(r.Id, 3))

	fay := s.dial("fay", "1")
	fay.must(block("ann", true))
	r = ann.asks(id, "fay")
	if n := len(fay.requests(false)); n != 0 {
		t.Errorf("fay sees %d requests of one she blocked", n)
	}
	fay.refused(reply(r.Id, 2), protocol.Code_NOT_FOUND)
	ann.must(reply(r.Id, 4))
}

func TestWhoCameInByAnotherWayIsAcceptedWithoutComingTwice(t *testing.T) {
	s := newStage(t, actors.Config{})
	ann, dan := s.dial("ann", "1"), s.dial("dan", "1")
	id := ann.group(&protocol.SessionCreate{Members: []string{"bob"}, JoinPolicy: protocol.JoinPolicy_ASK})
	r := dan.asks(id, "")
	ann.must(&protocol.Frame{Body: &protocol.Frame_SessionAddUser{SessionAddUser: &protocol.SessionAddUser{Session: id, Members: []string{"dan"}}}})
	if a := ann.must(reply(r.Id, 2)).GetRequestAnswerReply().Request; a.CallBackType != 2 {
		t.Errorf("accepted, it is %v", a)
	}
	if got := members(ann, id); !slices.Equal(got, []string{"ann", "bob", "dan"}) {
		t.Errorf("members are %v", got)
	}
}

// Of two who answer at once one wins, and what the answer leads to is there or not, as it says.
func TestOfTwoAnswersAtOnceOneWins(t *testing.T) {
	s := newStage(t, actors.Config{})
	bob := []*client{s.dial("bob", "1"), s.dial("bob", "2")}
	ann := s.dial("ann", "1")
	id := ann.group(&protocol.SessionCreate{Members: []string{"bob"}, JoinPolicy: protocol.JoinPolicy_ASK})
	ann.must(set(id, &protocol.SessionSet{Members: []string{"bob"}, Role: ptr(protocol.Role_ADMIN)}))
	for round := range 200 {
		kind := "friend"
		var r *protocol.Request
		if round%2 == 0 {
			r = ann.befriend("bob")
		} else {
			kind = "group"
			dan := s.dial("dan", "1")
			r = dan.asks(id, "")
			dan.hangUp()
		}
		var answers [2]*protocol.Frame
		var both sync.WaitGroup
		for i, c := range bob {
			both.Go(func() { answers[i] = c.ask(reply(r.Id, int64(2+i))) })
		}
		both.Wait()
		won := -1
		for i, a := range answers {
			switch protocol.Code(a.Errcode) {
			case protocol.Code_OK:
				if won >= 0 {
					t.Fatalf("round %d: both have won", round)
				}
				won = i
			case protocol.Code_CONFLICT:
			default:
				t.Fatalf("round %d: %s %s", round, a.Code, a.Error)
			}
		}
		if won < 0 {
			t.Fatalf("round %d: nobody has won", round)
		}
		accepted := won == 0
		if kind == "friend" {
			mine, theirs := len(ann.contacts()) == 1, len(bob[0].contacts()) == 1
			if mine != accepted || theirs != accepted {
				t.Fatalf("round %d: accepted: %v, but the rows are there: %v, %v", round, accepted, mine, theirs)
			}
			if accepted {
				ann.must(unfriend("bob"))
			}
			continue
		}
		if in := slices.Contains(members(ann, id), "dan"); in != accepted {
			t.Fatalf("round %d: accepted: %v, but dan is in: %v", round, accepted, in)
		}
		if accepted {
			ann.must(&protocol.Frame{Body: &protocol.Frame_SessionRemoveUser{SessionRemoveUser: &protocol.SessionRemoveUser{Session: id, Members: []string{"dan"}}}})
		}
	}
}
