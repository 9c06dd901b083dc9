package actors_test

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/access"
	"github.com/troupe-im/troupe/internal/protocol"
)

// robots keeps what it is told.
type robots struct {
	mu      sync.Mutex
	offers  []*actors.Offer
	stopped []string // stream and who
	judges  func(sender protocol.UserID) bool
	rule    func(*actors.Trial) (*actors.Ruling, error)
}

func (r *robots) Offer(o *actors.Offer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.offers = append(r.offers, o)
}

func (r *robots) Stop(_ protocol.SessionID, bot protocol.UserID, stream string, by protocol.UserID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopped = append(r.stopped, bot+" "+stream+" by "+by)
}

func (r *robots) Judges(_ *protocol.SessionInfo, _ []protocol.UserID, sender protocol.UserID) bool {
	return r.judges != nil && r.judges(sender)
}

func (r *robots) Rule(_ context.Context, t *actors.Trial) (*actors.Ruling, error) { return r.rule(t) }

// entries are those that were offered of a session so far.
func (r *robots) entries(id protocol.SessionID) (all []*protocol.Entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, o := range r.offers {
		if o.Session == id {
			all = append(all, o.Entries...)
		}
	}
	return all
}

func (r *robots) last() *actors.Offer {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.offers) == 0 {
		return nil
	}
	return r.offers[len(r.offers)-1]
}

func (r *robots) stops() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.stopped)
}

// robotic is a stage whose bots are run by robots.
func robotic(t *testing.T, cfg actors.Config) (*stage, *robots) {
	s, r := newStage(t, cfg), &robots{}
	s.node.UseRobots(r)
	return s, r
}

// as does a frame for a bot, as its plugin has it done.
func (s *stage) as(bot protocol.UserID, f *protocol.Frame) (*protocol.Frame, error) {
	return s.node.Ask(context.Background(), protocol.Identity{User: bot, Kind: access.KindBot, Scopes: []string{access.ScopeSend}}, f)
}

func (s *stage) says(bot protocol.UserID, session protocol.SessionID, id, what string) *protocol.MsgSendReply {
	s.t.Helper()
	a, err := s.as(bot, send(session, id, what))
	if err != nil {
		s.t.Fatalf("%s says %q: %v", bot, what, err)
	}
	return a.GetMsgSendReply()
}

func TestWhatBecomesDurableIsOfferedToTheBotsOfASession(t *testing.T) {
	s, r := robotic(t, actors.Config{})
	ann := s.dial("ann", "d")
	id := ann.p2p("b_echo")
	eventually(t, "the new session is offered", func() bool { o := r.last(); return o != nil && o.Session == id })
	if o := r.last(); len(o.Entries) != 0 || !slices.Equal(o.Bots, []protocol.UserID{"b_echo"}) || o.Info.HeadSeq != 0 || o.Info.Epoch == "" {
		t.Errorf("a new session is offered as %+v", o)
	}
	ann.send(id, "1", "hi")
	card := ann.must(&protocol.Frame{Body: &protocol.Frame_MsgSend{MsgSend: &protocol.MsgSend{
		Session: id, ClientMsgId: "2", ReplyTo: protocol.MessageID(id, 1),
		Content: &protocol.Content{Type: protocol.ContentType_CARD, Data: `{"troupe":{"action":"vote"}}`},
	}}}).GetMsgSendReply()
	s.says("b_echo", id, "3", "hi")
	eventually(t, "all is offered", func() bool { return len(r.entries(id)) == 3 })
	got := r.entries(id)
	for i, e := range got {
		if e.Seq != int64(i+1) {
			t.Errorf("entry %d has the seq %d", i, e.Seq)
		}
	}
	if e := got[1]; e.Sender != "ann" || e.ReplyTo != protocol.MessageID(id, 1) || e.Content.Data != `{"troupe":{"action":"vote"}}` || e.MessagerecvId != card.MessagerecvId {
		t.Errorf("a click is offered as %v", e)
	}
	if got[2].Sender != "b_echo" {
		t.Errorf("the bot's own message is %v's", got[2].Sender)
	}
	if o := r.last(); o.Info.HeadSeq != 3 {
		t.Errorf("the last offer says that the head is %d", o.Info.HeadSeq)
	}
}

func TestASessionThatIsLoadedIsOffered(t *testing.T) {
	s, _ := robotic(t, actors.Config{})
	ann := s.dial("ann", "d")
	id, other := ann.p2p("b_echo"), ann.p2p("bob")
	ann.send(id, "1", "hi")
	ann.send(other, "1", "hi")
	s.restart()
	r := &robots{}
	s.node.UseRobots(r)
	ann = s.dial("ann", "d")
	ann.history(other)
	ann.history(id)
	eventually(t, "it is offered", func() bool { return r.last() != nil })
	if o := r.last(); o.Session != id || o.Info.HeadSeq != 1 || len(o.Entries) != 0 {
		t.Errorf("a loaded session is offered as %+v", o)
	}
}

func TestBotsAreOfferedThatTheyCameAndLeft(t *testing.T) {
	s, r := robotic(t, actors.Config{})
	ann := s.dial("ann", "d")
	id := ann.create(protocol.SessionType_GROUP, "bob")
	ann.send(id, "1", "nobody hears it")
	ann.must(&protocol.Frame{Body: &protocol.Frame_SessionAddUser{SessionAddUser: &protocol.SessionAddUser{Session: id, Members: []string{"b_echo"}}}})
	ann.must(&protocol.Frame{Body: &protocol.Frame_SessionRemoveUser{SessionRemoveUser: &protocol.SessionRemoveUser{Session: id, Members: []string{"b_echo"}}}})
	ann.send(id, "2", "nobody hears it either")
	ann.history(id)
	got := r.entries(id)
	if len(got) != 2 || got[0].Kind != protocol.Kind_JOIN || got[1].Kind != protocol.Kind_LEAVE {
		t.Fatalf("offered are %v", got)
	}
	if o := r.last(); len(o.Bots) != 0 {
		t.Errorf("when the bot is gone, %v are said to be in the session", o.Bots)
	}
}

func TestABotNeverOwnsAGroup(t *testing.T) {
	s, r := robotic(t, actors.Config{})
	ann, bob := s.dial("ann", "d"), s.dial("bob", "d")
	id := ann.create(protocol.SessionType_GROUP, "b_echo", "bob")
	owner := "b_echo"
	ann.refused(&protocol.Frame{Body: &protocol.Frame_SessionSet{SessionSet: &protocol.SessionSet{Session: id, Owner: &owner}}}, protocol.Code_DENIED)
	exit := func() *protocol.Frame {
		return &protocol.Frame{Body: &protocol.Frame_SessionExit{SessionExit: &protocol.SessionExit{Session: id}}}
	}
	ann.must(exit())
	eventually(t, "bob owns it", func() bool { h := bob.row(id); return h != nil && h.Role == protocol.Role_OWNER })
	bob.must(exit())
	eventually(t, "the bot is out", func() bool { o := r.last(); return o != nil && o.Info.Dead && len(o.Bots) == 0 })
	if in, err := s.node.SessionsOf(t.Context(), "b_echo"); err != nil || len(in) != 0 {
		t.Errorf("a bot that is left alone is in %v, %v", in, err)
	}
}

func TestPeopleTalkToBotsWhereStrangersMayNot(t *testing.T) {
	s, _ := robotic(t, actors.Config{Strangers: actors.FriendsOnly})
	ann := s.dial("ann", "d")
	id := ann.p2p("b_echo")
	ann.send(id, "1", "hi")
	s.says("b_echo", id, "1", "hi")
	ann.must(&protocol.Frame{Body: &protocol.Frame_ContactSet{ContactSet: &protocol.ContactSet{User: "b_echo", Blocked: new(true)}}})
	if _, err := s.as("b_echo", send(id, "2", "still there")); !protocol.Code_DENIED.Is(err) {
		t.Errorf("a blocked bot's message is answered %v", err)
	}
	ann.refused(&protocol.Frame{Body: &protocol.Frame_RequestSend{RequestSend: &protocol.RequestSend{
		Kind: protocol.RequestKind_FRIEND_REQUEST, Target: "b_echo"}}}, protocol.Code_DENIED)
}

func TestABotNeedsNoActorOfItsOwn(t *testing.T) {
	s, _ := robotic(t, actors.Config{})
	ann := s.dial("ann", "d")
	id := ann.p2p("b_echo")
	ann.send(id, "1", "hi")
	s.says("b_echo", id, "1", "hi")
	after := int64(0)
	a, err := s.as("b_echo", &protocol.Frame{Body: &protocol.Frame_Sync{Sync: &protocol.Sync{Session: id, AfterSeq: &after}}})
	if err != nil || len(a.GetSyncReply().Messages) != 2 {
		t.Errorf("the bot reads %v, %v", a, err)
	}
	if in, err := s.node.SessionsOf(t.Context(), "b_echo"); err != nil || !slices.Equal(in, []protocol.SessionID{id}) {
		t.Errorf("the bot is in %v, %v", in, err)
	}
	if _, users := s.node.Loaded(); users != 1 {
		t.Errorf("%d users are loaded, ann is one", users)
	}
}

func TestAWhisperIsForOneMemberAlone(t *testing.T) {
	s, _ := robotic(t, actors.Config{})
	ann, bob := s.dial("ann", "d"), s.dial("bob", "d")
	id := ann.create(protocol.SessionType_GROUP, "bob", "b_echo")
	m := &protocol.MsgWhisper{Session: id, WhisperId: "w1", Sender: "b_echo", Content: text("only for you")}
	if err := s.node.Whisper(t.Context(), m, "ann"); err != nil {
		t.Fatal(err)
	}
	got := ann.wait("the whisper", func(f *protocol.Frame) bool { return f.GetMsgWhisper() != nil }).GetMsgWhisper()
	if got.Content.Text != "only for you" || got.Sender != "b_echo" || got.WhisperId != "w1" || got.CreatedAt == 0 {
		t.Errorf("the whisper is %v", got)
	}
	ann.send(id, "1", "x")
	eventually(t, "bob is told", func() bool { return slices.Contains(bob.pushes(), 1) })
	bob.mu.Lock()
	if slices.ContainsFunc(bob.frames, func(f *protocol.Frame) bool { return f.GetMsgWhisper() != nil }) {
		t.Error("bob hears what is whispered to ann")
	}
	bob.mu.Unlock()
	if all := ann.history(id); len(all) != 1 {
		t.Errorf("the log has %v", all)
	}
	if err := s.node.Whisper(t.Context(), m, "zoe"); !protocol.Code_NOT_FOUND.Is(err) {
		t.Errorf("a whisper to a stranger: %v", err)
	}
	m.Sender = "b_other"
	if err := s.node.Whisper(t.Context(), m, "ann"); !protocol.Code_NOT_FOUND.Is(err) {
		t.Errorf("a whisper by a stranger: %v", err)
	}
}

func TestABotIsSeenAsItsProcessIs(t *testing.T) {
	for name, a := range map[string]actors.Attendance{"alone": nil, "several": actors.NewRegister()} {
		t.Run(name, func(t *testing.T) {
			cfg := quick
			cfg.Attendance = a
			s, _ := robotic(t, cfg)
			ann := s.dial("ann", "d")
			ann.p2p("b_echo")
			if got := ann.watch("b_echo"); got["b_echo"] != "offline" {
				t.Errorf("before it is up a bot is %v", got)
			}
			s.node.Attend("b_echo", "online")
			ann.sees("b_echo", "online")
			if got := s.dial("ann", "2").watch("b_echo"); got["b_echo"] != "online" {
				t.Errorf("who asks later sees %v", got)
			}
			s.node.Attend("b_echo", "offline")
			ann.sees("b_echo", "offline")
		})
	}
}
