package actors_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/access"
	"github.com/troupe-im/troupe/internal/protocol"
)

// moderated is a stage where b_mod rules by the first word of a text.
func moderated(t *testing.T) (*stage, *robots) {
	s, r := robotic(t, actors.Config{})
	r.judges = func(sender protocol.UserID) bool { return sender != "eve" }
	r.rule = func(t *actors.Trial) (*actors.Ruling, error) {
		word, rest, _ := strings.Cut(t.Message.Content.Text, " ")
		g := &actors.Ruling{By: "b_mod", Reason: "because"}
		switch word {
		case "rewrite":
			g.State, g.Content = "rewritten", text("*** "+rest)
		case "hold":
			g.State = "held"
		case "reject":
			g.State = "rejected"
		case "nonsense":
			g.State, g.Content = "rewritten", text("")
		case "fail":
			return nil, protocol.Errorf(protocol.Code_BUSY, "moderation is closed")
		case "panic":
			panic("a bug")
		default:
			return nil, nil
		}
		return g, nil
	}
	return s, r
}

// original asks for one as ann, whose session it is.
func (s *stage) original(id protocol.SessionID, seq int64) (string, error) {
	e, err := s.node.Original(context.Background(), protocol.Identity{User: "ann"}, protocol.MessageID(id, seq))
	if err != nil {
		return "", err
	}
	return e.Content.Text, nil
}

func (s *stage) noOriginal(id protocol.SessionID, seq int64) {
	s.t.Helper()
	if _, err := s.store.Original(context.Background(), id, seq); !protocol.Code_NOT_FOUND.Is(err) {
		s.t.Errorf("the original of %d is still kept: %v", seq, err)
	}
}

func TestAModeratorChangesHoldsAndRejectsMessages(t *testing.T) {
	s, r := moderated(t)
	ann, bob, desk := s.dial("ann", "d"), s.dial("bob", "d"), s.dial("ann", "desk")
	id := ann.create(protocol.SessionType_GROUP, "bob", "b_echo")
	for i, c := range []struct{ says, state, shown string }{
		{"fine", "", "fine"},
		{"rewrite it", "rewritten", "*** it"},
		{"hold it", "held", ""},
		{"reject it", "rejected", ""},
		{"nonsense it", "held", ""},
	} {
		seq := int64(i + 1)
		f := send(id, fmt.Sprint(i), c.says)
		f.GetMsgSend().Mentions = []string{"bob"}
		a := ann.must(f).GetMsgSendReply()
		if a.Deal.GetState() != c.state || a.Seq != seq || c.state != "" && (a.Deal.By != "b_mod" || a.Deal.Reason != "because" || a.Deal.At == 0) {
			t.Errorf("%q is answered %v", c.says, a)
		}
		again := ann.must(send2(f)).GetMsgSendReply()
		if !again.Duplicate || again.Seq != seq || again.Deal.GetState() != c.state {
			t.Errorf("%q again is answered %v", c.says, again)
		}
		for _, other := range []*client{bob, desk} {
			e := other.push(seq)
			if e.Content.GetText() != c.shown || (e.Content == nil) != (c.shown == "") || e.Deal.GetState() != c.state || (len(e.Mentions) == 0) != (c.shown == "") {
				t.Errorf("%q comes as %v", c.says, e)
			}
		}
		if c.state == "" {
			continue
		}
		if got, err := s.original(id, seq); got != c.says || err != nil {
			t.Errorf("the original of %q is %q, %v", c.says, got, err)
		}
	}
	log := ann.history(id)
	if len(log) != 5 || log[2].Content != nil || log[2].Deal.GetState() != "held" || log[1].Content.Text != "*** it" {
		t.Errorf("the log has %v", log)
	}
	eventually(t, "the bot is offered all", func() bool { return len(r.entries(id)) == 5 })
	if e := r.entries(id)[2]; e.Content != nil || e.Deal.GetState() != "held" {
		t.Errorf("a bot is offered %v", e)
	}
	if h := bob.row(id); h.Last.Content != nil || h.Last.Deal.GetState() != "held" {
		t.Errorf("the home list shows %v", h.Last)
	}
	if _, err := s.original(id, 1); !protocol.Code_NOT_FOUND.Is(err) {
		t.Errorf("the original of what nobody touched: %v", err)
	}
}

// send2 is the same message once more.
func send2(f *protocol.Frame) *protocol.Frame {
	return &protocol.Frame{Body: &protocol.Frame_MsgSend{MsgSend: f.GetMsgSend()}}
}

func TestAModeratorsErrorIsTheSenders(t *testing.T) {
	s, _ := moderated(t)
	ann := s.dial("ann", "d")
	id := ann.p2p("bob")
	ann.refused(send(id, "1", "fail it"), protocol.Code_BUSY)
	ann.refused(send(id, "2", "panic now"), protocol.Code_INTERNAL)
	if a := ann.send(id, "1", "fine"); a.Duplicate || a.Seq != 1 {
		t.Errorf("what was refused is answered %v", a)
	}
	eve := s.dial("eve", "d")
	if a := eve.send(eve.p2p("ann"), "1", "reject it"); a.Deal != nil {
		t.Errorf("whom nobody judges is answered %v", a)
	}
	if a := s.says("b_echo", ann.p2p("b_echo"), "1", "hold it"); a.Deal.GetState() != "held" {
		t.Errorf("a bot's message is answered %v", a)
	}
}

func TestASenderKeepsItsOrderWhileItIsJudged(t *testing.T) {
	s, r := robotic(t, actors.Config{})
	first, go1 := make(chan struct{}), make(chan struct{})
	r.judges = func(sender protocol.UserID) bool { return sender == "ann" }
	r.rule = func(t *actors.Trial) (*actors.Ruling, error) {
		if t.Message.ClientMsgId == "1" {
			close(first)
			<-go1
		}
		return nil, nil
	}
	ann, bob := s.dial("ann", "d"), s.dial("bob", "d")
	id := ann.p2p("bob")
	one := ann.post(send(id, "1", "one"))
	<-first
	two, again := ann.post(send(id, "2", "two")), ann.post(send(id, "1", "one"))
	bob.send(id, "1", "waits for nobody")
	close(go1)
	if a, b, c := ann.answer(one).GetMsgSendReply(), ann.answer(two).GetMsgSendReply(), ann.answer(again).GetMsgSendReply(); a.Seq != 2 || b.Seq != 3 || c.Seq != 2 || !c.Duplicate {
		t.Errorf("they are answered %v, %v, %v", a, b, c)
	}
}

func TestWhoMayNotWriteTakesUpNoModerator(t *testing.T) {
	s, r := robotic(t, actors.Config{})
	r.judges = func(protocol.UserID) bool { return true }
	r.rule = func(tr *actors.Trial) (*actors.Ruling, error) {
		t.Errorf("it is asked about %v", tr.Message)
		return nil, nil
	}
	ann, bob := s.dial("ann", "d"), s.dial("bob", "d")
	id := ann.create(protocol.SessionType_GROUP, "bob")
	ann.must(&protocol.Frame{Body: &protocol.Frame_SessionSet{SessionSet: &protocol.SessionSet{Session: id, ReadOnly: new(true)}}})
	bob.refused(send(id, "1", "may I?"), protocol.Code_DENIED)
}

func TestAnEditIsJudgedToo(t *testing.T) {
	s, _ := moderated(t)
	ann, bob := s.dial("ann", "d"), s.dial("bob", "d")
	id := ann.p2p("bob")
	ann.send(id, "1", "fine")
	ann.must(edit(id, 1, "rewrite that"))
	if e := bob.push(2); e.Kind != protocol.Kind_EDIT || e.Content.Text != "*** that" || e.Deal.GetState() != "rewritten" {
		t.Errorf("the edit comes as %v", e)
	}
	if e := ann.history(id)[0]; e.Content.Text != "*** that" || e.Deal.GetState() != "rewritten" {
		t.Errorf("the message is %v", e)
	}
	ann.refused(edit(id, 1, "reject that"), protocol.Code_DENIED)
	ann.refused(edit(id, 1, "fail that"), protocol.Code_BUSY)
	if e := ann.history(id)[0]; e.Content.Text != "*** that" {
		t.Errorf("after a refused edit the message is %v", e)
	}
	ann.must(edit(id, 1, "better"))
	if e := ann.history(id)[0]; e.Content.Text != "better" || e.Deal != nil {
		t.Errorf("after a good edit the message is %v", e)
	}
	s.noOriginal(id, 1)
	ann.must(edit(id, 1, "hold that"))
	if e := ann.history(id)[0]; e.Content != nil || e.Deal.GetState() != "held" {
		t.Errorf("after an edit that is held back the message is %v", e)
	}
	ann.refused(edit(id, 1, "fine again"), protocol.Code_CONFLICT)
}

func TestAnOriginalGoesWithItsMessage(t *testing.T) {
	s, _ := moderated(t)
	ann, bob := s.dial("ann", "d"), s.dial("bob", "d")
	id := ann.create(protocol.SessionType_GROUP, "bob")
	bob.send(id, "1", "hold it")
	bob.send(id, "2", "rewrite it")
	bob.must(cancel(id, 1))
	bob.must(cancel(id, 2))
	s.noOriginal(id, 1)
	s.noOriginal(id, 2)
	for _, e := range ann.history(id)[:2] {
		if !e.Recalled || e.Deal != nil || e.Content != nil {
			t.Errorf("a recalled message is %v", e)
		}
	}
	f := send(id, "3", "hold it for a second")
	f.GetMsgSend().Expire = 1
	a := bob.must(f).GetMsgSendReply()
	eventually(t, "it has expired", func() bool { return ann.history(id)[a.Seq-1].Expired })
	s.noOriginal(id, a.Seq)
	b := bob.send(id, "4", "hold it until I am erased")
	if err := s.node.EraseMessages(t.Context(), id, "bob", []int64{b.Seq}); err != nil {
		t.Fatal(err)
	}
	s.noOriginal(id, b.Seq)
}

func TestWhatAnErasedUserSaidGoesOutOfOriginals(t *testing.T) {
	s, _ := moderated(t)
	ann, bob := s.dial("ann", "d"), s.dial("bob", "d")
	id := ann.create(protocol.SessionType_GROUP, "bob")
	bob.send(id, "1", "secret")
	f := &protocol.Frame{Body: &protocol.Frame_MsgSend{MsgSend: &protocol.MsgSend{Session: id, ClientMsgId: "2", Content: &protocol.Content{
		Type: protocol.ContentType_FORWARD, Text: "hold what bob says", Forwarded: []*protocol.Forwarded{{MessagerecvId: protocol.MessageID(id, 1)}}}}}}
	if a := ann.must(f).GetMsgSendReply(); a.Deal.GetState() != "held" {
		t.Fatalf("it is answered %v", a)
	}
	var seqs []int64
	err := s.store.WrittenBy(t.Context(), "bob", func(_ protocol.SessionID, e *protocol.Entry) error { seqs = append(seqs, e.Seq); return nil })
	if err != nil || len(seqs) != 2 {
		t.Fatalf("bob's words are in %v, %v", seqs, err)
	}
	if err := s.node.EraseMessages(t.Context(), id, "bob", seqs); err != nil {
		t.Fatal(err)
	}
	o, err := s.store.Original(t.Context(), id, 2)
	if err != nil || o.Content.Text != "hold what bob says" || o.Content.Forwarded[0].Text != "" {
		t.Errorf("the original is %v, %v", o, err)
	}
}

func TestTheOwnerDecidesOnWhatIsHeldBack(t *testing.T) {
	s, _ := moderated(t)
	ann, bob, cid := s.dial("ann", "d"), s.dial("bob", "d"), s.dial("cid", "d")
	id := ann.create(protocol.SessionType_GROUP, "bob", "cid")
	f := send(id, "1", "hold it")
	f.GetMsgSend().Mentions = []string{"cid"}
	message := bob.must(f).GetMsgSendReply().MessagerecvId
	decide := func(user protocol.UserID, verdict string) error {
		return s.node.Decide(t.Context(), protocol.Identity{User: user}, message, verdict, "because I say so")
	}
	for user, code := range map[protocol.UserID]protocol.Code{"bob": protocol.Code_DENIED, "cid": protocol.Code_DENIED, "zoe": protocol.Code_NOT_FOUND} {
		if err := decide(user, actors.VerdictAllow); !code.Is(err) {
			t.Errorf("%s decides: %v, want %s", user, err, code.Word())
		}
		if _, err := s.node.Original(t.Context(), protocol.Identity{User: user}, message); !code.Is(err) {
			t.Errorf("%s reads the original: %v, want %s", user, err, code.Word())
		}
	}
	if err := decide("ann", "perhaps"); !protocol.Code_BAD_REQUEST.Is(err) {
		t.Errorf("no verdict: %v", err)
	}
	if h := cid.row(id); h.Mentioned {
		t.Error("what is held back mentions cid")
	}
	if err := decide("ann", actors.VerdictReject); err != nil {
		t.Fatal(err)
	}
	if e := cid.push(2); e.Kind != protocol.Kind_EDIT || e.Sender != "ann" || e.Target != 1 || e.Content != nil || e.Deal.GetState() != "rejected" || e.Deal.By != "ann" || e.Deal.Reason != "because I say so" {
		t.Errorf("the rejection comes as %v", e)
	}
	if err := decide("ann", actors.VerdictReject); err != nil {
		t.Errorf("once more: %v", err)
	}
	if err := decide("ann", actors.VerdictAllow); err != nil {
		t.Fatal(err)
	}
	if e := cid.push(3); e.Content.GetText() != "hold it" || e.Deal != nil || len(e.Mentions) != 1 {
		t.Errorf("what is let through comes as %v", e)
	}
	if h := cid.row(id); !h.Mentioned || h.Unread != 1 || len(h.Last.Mentions) != 1 {
		t.Errorf("what is let through and mentions cid stands in its list as %v", h)
	}
	if e := cid.history(id)[0]; e.Content.GetText() != "hold it" || e.Deal != nil || len(e.Mentions) != 1 || e.Sender != "bob" {
		t.Errorf("the message is %v", e)
	}
	s.noOriginal(id, 1)
	if err := decide("ann", actors.VerdictReject); !protocol.Code_CONFLICT.Is(err) {
		t.Errorf("what stands is decided on: %v", err)
	}
	// An administrator of the installation, who is not in the session.
	second := bob.send(id, "2", "hold that").MessagerecvId
	root := protocol.Identity{User: "root", Admin: true}
	if e, err := s.node.Original(t.Context(), root, second); err != nil || e.Content.Text != "hold that" {
		t.Errorf("an administrator reads %v, %v", e, err)
	}
	if err := s.node.Decide(t.Context(), root, second, actors.VerdictAllow, ""); err != nil {
		t.Fatal(err)
	}
	if e := cid.push(5); e.Sender != actors.System || e.Content.GetText() != "hold that" {
		t.Errorf("what an administrator lets through comes as %v", e)
	}
	// A bot with the scope.
	third := bob.send(id, "3", "hold this").MessagerecvId
	ann.must(&protocol.Frame{Body: &protocol.Frame_SessionAddUser{SessionAddUser: &protocol.SessionAddUser{Session: id, Members: []string{"b_mod"}}}})
	mod := protocol.Identity{User: "b_mod", Kind: access.KindBot}
	if err := s.node.Decide(t.Context(), mod, third, actors.VerdictAllow, ""); !protocol.Code_DENIED.Is(err) {
		t.Errorf("a bot without the scope decides: %v", err)
	}
	mod.Scopes = []string{access.ScopeModerate}
	if err := s.node.Decide(t.Context(), mod, third, actors.VerdictAllow, ""); err != nil {
		t.Error(err)
	}
}

func TestADecisionIsThereAfterARestart(t *testing.T) {
	s, _ := moderated(t)
	ann := s.dial("ann", "d")
	id := ann.create(protocol.SessionType_GROUP, "bob")
	ann.send(id, "1", "hold it")
	s.restart()
	s.node.UseRobots(&robots{})
	ann = s.dial("ann", "d")
	if a := ann.send(id, "1", "hold it"); !a.Duplicate || a.Deal.GetState() != "held" {
		t.Errorf("the same message again is answered %v", a)
	}
	if got, err := s.original(id, 1); got != "hold it" || err != nil {
		t.Errorf("the original is %q, %v", got, err)
	}
}

func TestWhatIsHeldBackIsListedToWhoDecides(t *testing.T) {
	s, _ := moderated(t)
	ann, bob := s.dial("ann", "d"), s.dial("bob", "d")
	id := ann.create(protocol.SessionType_GROUP, "bob")
	for i, what := range []string{"fine", "hold a", "rewrite it", "hold b", "reject it", "hold c", "hold d"} {
		bob.send(id, fmt.Sprint(i), what)
	}
	bob.must(&protocol.Frame{Body: &protocol.Frame_MsgCancel{MsgCancel: &protocol.MsgCancel{Session: id, MessagerecvId: protocol.MessageID(id, 7)}}})
	held := func(user protocol.UserID, before int64, limit int) (seqs []int64, next int64, err error) {
		entries, next, err := s.node.Held(t.Context(), protocol.Identity{User: user}, id, before, limit)
		for _, e := range entries {
			if e.Content != nil || e.Deal.GetState() != "held" {
				t.Errorf("what is held is shown as %v", e)
			}
			seqs = append(seqs, e.Seq)
		}
		return seqs, next, err
	}
	if seqs, next, err := held("ann", 0, 2); err != nil || !slices.Equal(seqs, []int64{6, 4}) || next != 4 {
		t.Errorf("the first page is %v, next %d, %v", seqs, next, err)
	}
	if seqs, next, err := held("ann", 4, 2); err != nil || !slices.Equal(seqs, []int64{2}) || next != 0 {
		t.Errorf("the second page is %v, next %d, %v", seqs, next, err)
	}
	for user, code := range map[protocol.UserID]protocol.Code{"bob": protocol.Code_DENIED, "zoe": protocol.Code_NOT_FOUND} {
		if _, _, err := held(user, 0, 9); !code.Is(err) {
			t.Errorf("%s lists what is held back: %v, want %s", user, err, code.Word())
		}
	}
}
