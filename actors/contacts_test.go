package actors_test

import (
	"testing"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

func befriend(who protocol.UserID, note string) *protocol.Frame {
	return &protocol.Frame{Body: &protocol.Frame_RequestSend{RequestSend: &protocol.RequestSend{Target: who, Note: note}}}
}

func reply(request string, to int64) *protocol.Frame {
	return &protocol.Frame{Body: &protocol.Frame_RequestAnswer{RequestAnswer: &protocol.RequestAnswer{Request: request, CallBackType: to}}}
}

func block(who protocol.UserID, yes bool) *protocol.Frame {
	return &protocol.Frame{Body: &protocol.Frame_ContactSet{ContactSet: &protocol.ContactSet{User: who, Blocked: &yes}}}
}

func unfriend(who protocol.UserID) *protocol.Frame {
	return &protocol.Frame{Body: &protocol.Frame_ContactRemove{ContactRemove: &protocol.ContactRemove{User: who}}}
}

// befriend asks another to be a friend and gives the request.
func (c *client) befriend(who protocol.UserID) *protocol.Request {
	c.t.Helper()
	return c.must(befriend(who, "")).GetRequestSendReply().Request
}

// update takes the next request_update of a request with this callBackType.
func (c *client) update(request string, is int64) *protocol.Request {
	c.t.Helper()
	return c.wait("the update of "+request, func(f *protocol.Frame) bool {
		r := f.GetRequestUpdate().GetRequest()
		return r.GetId() == request && r.CallBackType == is
	}).GetRequestUpdate().Request
}

// contact takes the next contact_update about a user.
func (c *client) contact(who protocol.UserID) *protocol.ContactUpdate {
	c.t.Helper()
	return c.wait("the contact "+who, func(f *protocol.Frame) bool {
		return f.GetContactUpdate().GetContact().GetUser() == who
	}).GetContactUpdate()
}

func (c *client) contacts() (list []*protocol.Contact) {
	c.t.Helper()
	for cursor := ""; ; {
		a := c.must(&protocol.Frame{Body: &protocol.Frame_ContactList{ContactList: &protocol.ContactList{Cursor: cursor, Limit: 2}}}).GetContactListReply()
		list = append(list, a.Contacts...)
		if cursor = a.Next; cursor == "" {
			return list
		}
	}
}

func (c *client) requests(waiting bool) (list []*protocol.Request) {
	c.t.Helper()
	for cursor := ""; ; {
		a := c.must(&protocol.Frame{Body: &protocol.Frame_RequestList{RequestList: &protocol.RequestList{Cursor: cursor, Limit: 2, Waiting: waiting}}}).GetRequestListReply()
		list = append(list, a.Requests...)
		if cursor = a.Next; cursor == "" {
			return list
		}
	}
}

func (s *stage) friends(a, b *client) {
	s.t.Helper()
	b.must(reply(a.befriend(b.user).Id, 2))
	a.contact(b.user)
	b.contact(a.user)
}

func TestAnAcceptedRequestMakesFriendsOnAllDevices(t *testing.T) {
	s := newStage(t, actors.Config{})
	ann, phone, bob, tablet := s.dial("ann", "1"), s.dial("ann", "2"), s.dial("bob", "1"), s.dial("bob", "2")
	r := ann.must(befriend("bob", "it is me")).GetRequestSendReply().Request
	if r.From != "ann" || r.Target != "bob" || r.Note != "it is me" || r.CallBackType != 1 || r.State || r.ExpireTime <= r.CreateTime {
		t.Errorf("the request is %v", r)
	}
	for _, c := range []*client{phone, bob, tablet} {
		if got := c.update(r.Id, 1); got.Note != "it is me" {
			t.Errorf("%s sees %v", c.user, got)
		}
	}
	a := bob.must(reply(r.Id, 2)).GetRequestAnswerReply().Request
	want := protocol.P2PSessionID("ann", "bob")
	if a.CallBackType != 2 || !a.State || a.AnsweredBy != "bob" || a.Session != want {
		t.Errorf("the accepted request is %v", a)
	}
	for _, c := range []*client{ann, phone, bob, tablet} {
		other := map[string]string{"ann": "bob", "bob": "ann"}[c.user]
		if got := c.update(r.Id, 2); got.Session != want {
			t.Errorf("%s sees %v", c.user, got)
		}
		if got := c.contact(other); !got.Contact.Friend || got.Contact.Session != want || got.ContactsVersion != 1 || got.Gone {
			t.Errorf("%s sees the contact %v", c.user, got)
		}
	}
	if list := ann.contacts(); len(list) != 1 || list[0].User != "bob" || !list[0].Friend || list[0].Since == 0 {
		t.Errorf("ann's contacts are %v", list)
	}
	ann.send(want, "1", "hello friend") // the session is there
	if bob.push(1).Content.Text != "hello friend" {
		t.Error("bob read something else")
	}
	if ann.row(want) == nil || bob.row(want) == nil {
		t.Error("the session is not in both lists")
	}
}

func TestWhatHappenedWhileOneWasAwayIsInTheSnapshot(t *testing.T) {
	s := newStage(t, actors.Config{})
	ann := s.dial("ann", "1")
	r := ann.befriend("bob")
	ann.befriend("cid")
	s.restart()
	for user, n := range map[string]int{"ann": 2, "bob": 1, "cid": 1, "dan": 0} {
		snap := s.connect(user, "1", nil).welcome().GetAuthReply().Snapshot
		if len(snap.Requests) != n {
			t.Errorf("%s finds %v", user, snap.Requests)
		}
	}
	s.dial("bob", "2").must(reply(r.Id, 2))
	s.restart()
	snap := s.connect("ann", "1", nil).welcome().GetAuthReply().Snapshot
	if len(snap.Requests) != 1 || snap.Requests[0].Target != "cid" || snap.ContactsVersion != 1 || len(snap.Sessions) != 1 {
		t.Errorf("ann finds %v", snap)
	}
}

func TestAResumeBringsTheUpdatesThatWereMissed(t *testing.T) {
	s := newStage(t, actors.Config{})
	bob := s.connect("bob", "1", nil)
	w := bob.welcome()
	bob.hangUp()
	r := s.dial("ann", "1").befriend("bob")
	bob = s.connect("bob", "1", &protocol.Resume{Epoch: w.GetAuthReply().Epoch, Offset: w.Offset})
	if !bob.welcome().GetAuthReply().Resumed {
		t.Fatal("bob was not resumed")
	}
	bob.update(r.Id, 1)
}

func ask(session protocol.SessionID, user protocol.UserID) *protocol.Frame {
	return &protocol.Frame{Body: &protocol.Frame_RequestSend{RequestSend: &protocol.RequestSend{
		Kind: protocol.RequestKind_GROUP_REQUEST, Target: session, User: user,
	}}}
}

func TestRequestsThatCannotBeAreRefused(t *testing.T) {
	s := newStage(t, actors.Config{MaxRequests: 3})
	ann, bob, cid := s.dial("ann", "1"), s.dial("bob", "1"), s.dial("cid", "1")
	ann.refused(befriend("ann", ""), protocol.Code_BAD_REQUEST)
	ann.refused(befriend("nobody", ""), protocol.Code_NOT_FOUND)
	ann.refused(befriend("*", ""), protocol.Code_NOT_FOUND)
	ann.refused(befriend("bob", string(make([]byte, 201))), protocol.Code_TOO_LARGE)
	ann.refused(ask("s_aaaaaaaaaaaaaaaa", ""), protocol.Code_NOT_FOUND)
	ann.refused(ask(protocol.P2PSessionID("ann", "bob"), "cid"), protocol.Code_NOT_FOUND)
	ann.refused(reply("r_aaaaaaaaaaaaaaaa", 2), protocol.Code_NOT_FOUND)

	s.friends(ann, bob)
	ann.refused(befriend("bob", ""), protocol.Code_CONFLICT)
	bob.refused(befriend("ann", ""), protocol.Code_CONFLICT)

	r := ann.befriend("cid")
	if again := ann.befriend("cid"); again.Id != r.Id {
		t.Errorf("asked twice, ann has %s and %s", r.Id, again.Id)
	}
	bob.refused(reply(r.Id, 2), protocol.Code_NOT_FOUND)
	for _, id := range []string{r.Id, "r_bbbbbbbbbbbbbbbb"} { // one that is not there is no other news
		if a := bob.ask(reply(id, 2)); a.Error != "request "+id {
			t.Errorf("bob is told %q", a.Error)
		}
	}
	bob.refused(reply(r.Id, 3), protocol.Code_NOT_FOUND)
	bob.refused(reply(r.Id, 4), protocol.Code_NOT_FOUND)
	ann.refused(reply(r.Id, 2), protocol.Code_DENIED)
	cid.refused(reply(r.Id, 4), protocol.Code_DENIED)
	cid.refused(reply(r.Id, 1), protocol.Code_BAD_REQUEST)
	if a := cid.must(reply(r.Id, 3)).GetRequestAnswerReply().Request; a.CallBackType != 3 || a.State {
		t.Errorf("refused, it is %v", a)
	}
	cid.must(reply(r.Id, 3)) // the same answer again
	cid.refused(reply(r.Id, 2), protocol.Code_CONFLICT)
	ann.refused(reply(r.Id, 4), protocol.Code_CONFLICT)
	if list := ann.contacts(); len(list) != 1 {
		t.Errorf("ann's contacts are %v", list)
	}

	ann.must(reply(ann.befriend("cid").Id, 4)) // refused once, one may ask again
	for _, who := range []string{"dan", "eve", "fay"} {
		ann.befriend(who)
	}
	ann.refused(befriend("gus", ""), protocol.Code_RATE_LIMITED)
	ann.befriend("eve") // waits already
	ann.must(reply(ann.requests(true)[0].Id, 4))
	ann.befriend("gus")
	if all, open := len(ann.requests(false)), len(ann.requests(true)); all != 7 || open != 3 {
		t.Errorf("ann has %d requests, %d wait", all, open)
	}
}

func TestARequestBothWaysIsAccepted(t *testing.T) {
	s := newStage(t, actors.Config{})
	ann, bob := s.dial("ann", "1"), s.dial("bob", "1")
	r := ann.befriend("bob")
	if a := bob.befriend("ann"); a.Id != r.Id || a.CallBackType != 2 {
		t.Errorf("bob wants it too and gets %v", a)
	}
	ann.update(r.Id, 2)
	if len(ann.contacts()) != 1 || len(bob.contacts()) != 1 {
		t.Error("they are no friends")
	}
}

func TestARequestExpires(t *testing.T) {
	s := newStage(t, actors.Config{RequestLife: 1}) // a nanosecond: less than the clock's millisecond
	ann, bob := s.dial("ann", "1"), s.dial("bob", "1")
	r := ann.befriend("bob")
	bob.refused(reply(r.Id, 2), protocol.Code_EXPIRED)
	bob.refused(reply(r.Id, 3), protocol.Code_EXPIRED)
	ann.refused(reply(r.Id, 4), protocol.Code_EXPIRED)
	if n := len(bob.requests(true)); n != 0 {
		t.Errorf("%d requests wait", n)
	}
	if again := ann.befriend("bob"); again.Id == r.Id {
		t.Error("an expired request is given back as if it waited")
	}
	if n := len(s.connect("bob", "2", nil).welcome().GetAuthReply().Snapshot.Requests); n != 0 {
		t.Errorf("the snapshot has %d", n)
	}
}

func TestUnfriendingEndsBothRows(t *testing.T) {
	s := newStage(t, actors.Config{})
	ann, bob := s.dial("ann", "1"), s.dial("bob", "1")
	s.friends(ann, bob)
	remark, yes := "Bobby", true
	a := ann.must(&protocol.Frame{Body: &protocol.Frame_ContactSet{ContactSet: &protocol.ContactSet{User: "bob", Remark: &remark, Tags: []string{"work", "chess", "work"}}}}).GetContactSetReply().Contact
	if a.Remark != "Bobby" || len(a.Tags) != 2 || !a.Friend {
		t.Errorf("the contact is %v", a)
	}
	if got := ann.contact("bob"); got.ContactsVersion != 2 {
		t.Errorf("the version is %d", got.ContactsVersion)
	}
	a = ann.must(&protocol.Frame{Body: &protocol.Frame_ContactSet{ContactSet: &protocol.ContactSet{User: "bob", SetTags: &yes}}}).GetContactSetReply().Contact
	if a.Remark != "Bobby" || len(a.Tags) != 0 {
		t.Errorf("without tags the contact is %v", a)
	}
	ann.contact("bob")
	bob.must(unfriend("ann"))
	if got := ann.contact("bob"); !got.Gone || got.Contact.Friend || got.Contact.Session != "" {
		t.Errorf("ann is told %v", got)
	}
	if !bob.contact("ann").Gone || len(ann.contacts()) != 0 || len(bob.contacts()) != 0 {
		t.Error("a row is left")
	}
	ann.refused(unfriend("bob"), protocol.Code_NOT_FOUND)
	ann.refused(&protocol.Frame{Body: &protocol.Frame_ContactSet{ContactSet: &protocol.ContactSet{User: "bob", Remark: &remark}}}, protocol.Code_NOT_FOUND)
	ann.send(protocol.P2PSessionID("ann", "bob"), "1", "still here") // the session stays
	s.friends(bob, ann)
}

func TestWhoIsBlockedIsNotHeardAndNotTold(t *testing.T) {
	s := newStage(t, actors.Config{})
	ann, bob := s.dial("ann", "1"), s.dial("bob", "1")
	id := bob.p2p("ann")
	bob.send(id, "1", "hi")
	if c := ann.must(block("bob", true)).GetContactSetReply().Contact; !c.Blocked || c.Friend {
		t.Errorf("the contact is %v", c)
	}
	bob.refused(send(id, "2", "are you there?"), protocol.Code_DENIED)
	if a := bob.send(id, "1", "hi"); !a.Duplicate {
		t.Error("a message from before the block is not known any more")
	}
	bob.refused(&protocol.Frame{Body: &protocol.Frame_MsgEdit{MsgEdit: &protocol.MsgEdit{Session: id, MessagerecvId: protocol.MessageID(id, 1), Content: text("hey!")}}}, protocol.Code_DENIED)
	bob.refused(&protocol.Frame{Body: &protocol.Frame_MsgReact{MsgReact: &protocol.MsgReact{Session: id, MessagerecvId: protocol.MessageID(id, 1), Reaction: "+1"}}}, protocol.Code_DENIED)
	bob.must(&protocol.Frame{Body: &protocol.Frame_MsgEditing{MsgEditing: &protocol.MsgEditing{Session: id}}})
	ann.send(id, "1", "you are blocked")

	r := bob.befriend("ann") // looks as if it waited
	if r.CallBackType != 1 || len(bob.requests(true)) != 1 {
		t.Errorf("bob has %v", r)
	}
	if n := len(ann.requests(false)); n != 0 {
		t.Errorf("ann sees %d requests", n)
	}
	ann.refused(reply(r.Id, 2), protocol.Code_NOT_FOUND)
	ann.refused(befriend("bob", ""), protocol.Code_CONFLICT)
	group := ann.create(protocol.SessionType_GROUP, "bob")
	bob.send(group, "1", "in groups I am heard")
	ann.push(1)

	s.restart() // and the session knows it when it is loaded
	ann, bob = s.dial("ann", "1"), s.dial("bob", "1")
	bob.refused(send(id, "3", "hello?"), protocol.Code_DENIED)
	if snap := s.connect("ann", "2", nil).welcome().GetAuthReply().Snapshot; len(snap.Requests) != 0 {
		t.Errorf("ann finds %v", snap.Requests)
	}
	ann.must(block("bob", false))
	ann.update(r.Id, 1) // now she sees it
	bob.send(id, "3", "hello?")
	ann.must(reply(r.Id, 2))
	ann.must(block("bob", true)) // a friend, too
	bob.refused(send(id, "4", "why?"), protocol.Code_DENIED)
	if c := ann.contacts()[0]; !c.Friend || !c.Blocked {
		t.Errorf("the contact is %v", c)
	}
	bob.must(unfriend("ann"))
	if c := ann.contacts()[0]; c.Friend || !c.Blocked {
		t.Errorf("the contact is %v", c)
	}
	cid := s.dial("cid", "1")
	ann.must(block("cid", true))
	cid.refused(&protocol.Frame{Body: &protocol.Frame_SessionCreate{SessionCreate: &protocol.SessionCreate{SessionType: protocol.SessionType_P2P, Members: []string{"ann"}}}}, protocol.Code_DENIED)
}

func TestWhoIsBlockedIsToldWhereTheSettingSaysSo(t *testing.T) {
	s := newStage(t, actors.Config{TellBlocked: true})
	ann, bob := s.dial("ann", "1"), s.dial("bob", "1")
	id := bob.p2p("ann")
	ann.must(block("bob", true))
	bob.refused(send(id, "1", "hi"), protocol.Code_BLOCKED)
	bob.refused(befriend("ann", ""), protocol.Code_BLOCKED)
}

func TestStrangersDoNotTalkWhereTheSettingSaysSo(t *testing.T) {
	s := newStage(t, actors.Config{Strangers: actors.FriendsOnly})
	ann, bob := s.dial("ann", "1"), s.dial("bob", "1")
	create := &protocol.Frame{Body: &protocol.Frame_SessionCreate{SessionCreate: &protocol.SessionCreate{SessionType: protocol.SessionType_P2P, Members: []string{"ann"}}}}
	bob.refused(create, protocol.Code_DENIED)
	s.friends(ann, bob)
	id := bob.p2p("ann")
	bob.send(id, "1", "hi")
	ann.must(unfriend("bob"))
	bob.refused(send(id, "2", "hi?"), protocol.Code_DENIED)
	ann.refused(send(id, "1", "no"), protocol.Code_DENIED)
	bob.send(id, "1", "hi") // the first answer again
	if len(bob.history(id)) != 1 {
		t.Error("what was said before cannot be read")
	}
}

func TestWithABotOneTalksWithoutBeingFriends(t *testing.T) {
	f := newFaces("ann", "bob", "echo")
	f.all["echo"].Kind = "bot"
	s := facedStage(t, actors.Config{Strangers: actors.FriendsOnly}, f)
	ann := s.dial("ann", "1")
	id := ann.p2p("echo")
	ann.send(id, "1", "hello")
	ann.refused(&protocol.Frame{Body: &protocol.Frame_SessionCreate{SessionCreate: &protocol.SessionCreate{SessionType: protocol.SessionType_P2P, Members: []string{"bob"}}}}, protocol.Code_DENIED)
	s.dial("echo", "1").must(block("ann", true))
	ann.refused(send(id, "2", "hello?"), protocol.Code_DENIED)
}

func TestRequestsAndContactsShowNamesAndFaces(t *testing.T) {
	f := newFaces("ann", "bob")
	s := facedStage(t, actors.Config{}, f)
	ann, bob := s.dial("ann", "1"), s.dial("bob", "1")
	r := ann.befriend("bob")
	if got := bob.update(r.Id, 1); r.TargetName != "N bob" || got.UserName != "N ann" {
		t.Errorf("the names in it are %q, %q", r.TargetName, got.UserName)
	}
	f.change("ann", "Annabel")
	if got := bob.requests(true)[0]; got.UserName != "Annabel" {
		t.Errorf("listed, it is from %q", got.UserName)
	}
	bob.must(reply(r.Id, 2))
	if got := bob.contact("ann").Contact.Profile.GetNickname(); got != "Annabel" {
		t.Errorf("the new friend is called %q", got)
	}
	if got := bob.contacts()[0].Profile.GetNickname(); got != "Annabel" {
		t.Errorf("the friend in the list is called %q", got)
	}
}
