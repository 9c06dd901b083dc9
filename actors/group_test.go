package actors_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

func set(session protocol.SessionID, m *protocol.SessionSet) *protocol.Frame {
	m.Session = session
	return &protocol.Frame{Body: &protocol.Frame_SessionSet{SessionSet: m}}
}

func silence(session protocol.SessionID, until int64, users ...string) *protocol.Frame {
	return set(session, &protocol.SessionSet{Members: users, SilencedUntil: &until})
}

func dissolve(session protocol.SessionID) *protocol.Frame {
	return &protocol.Frame{Body: &protocol.Frame_SessionDissolve{SessionDissolve: &protocol.SessionDissolve{Session: session}}}
}

func join(session protocol.SessionID) *protocol.Frame {
	return &protocol.Frame{Body: &protocol.Frame_SessionJoin{SessionJoin: &protocol.SessionJoin{Session: session}}}
}

// group makes a group of ann with the others, of whom cid is an admin.
func (c *client) group(m *protocol.SessionCreate) protocol.SessionID {
	c.t.Helper()
	m.SessionType = protocol.SessionType_GROUP
	id := c.must(&protocol.Frame{Body: &protocol.Frame_SessionCreate{SessionCreate: m}}).GetSessionCreateReply().Result[0]
	if slices.Contains(m.Members, "cid") {
		role := protocol.Role_ADMIN
		c.must(set(id, &protocol.SessionSet{Members: []string{"cid"}, Role: &role}))
	}
	return id
}

func ptr[T any](v T) *T { return &v }

func TestWhoIsSilencedWritesNothing(t *testing.T) {
	s := newStage(t, actors.Config{})
	ann, bob, cid := s.dial("ann", "d"), s.dial("bob", "d"), s.dial("cid", "d")
	id := ann.group(&protocol.SessionCreate{Members: []string{"bob", "cid"}})
	bob.send(id, "b1", "hello")
	until := time.Now().Add(time.Hour).UnixMilli()
	bob.refused(silence(id, until, "cid"), protocol.Code_DENIED)
	cid.refused(silence(id, until, "ann"), protocol.Code_DENIED)
	cid.refused(silence(id, until, "cid"), protocol.Code_DENIED)
	cid.refused(silence(id, until, "nobody-1"), protocol.Code_NOT_FOUND)
	cid.refused(silence(id, until), protocol.Code_BAD_REQUEST)
	cid.refused(silence(id, -1, "bob"), protocol.Code_OUT_OF_RANGE)
	cid.must(silence(id, until, "bob"))
	a := bob.ask(send(id, "b2", "more"))
	if a.Errcode != int32(protocol.Code_SILENCED) || a.RetryAfterMs <= 59*60*1000 || a.RetryAfterMs > 60*60*1000 {
		t.Errorf("bob is answered %s, again in %d ms", a.Code, a.RetryAfterMs)
	}
	if again := bob.must(send(id, "b1", "hello")).GetMsgSendReply(); !again.Duplicate {
		t.Errorf("what was said before is answered %v", again)
	}
	said := bob.push(3)
	if said.Kind != protocol.Kind_CHANGE || said.GetChange().GetSilencedUntil() != until || !slices.Equal(said.Members, []string{"bob"}) {
		t.Errorf("the entry is %v", said)
	}
	bob.refused(edit(id, 2, "hello!"), protocol.Code_SILENCED)
	bob.refused(react(id, 2, "x", false), protocol.Code_SILENCED)
	bob.refused(&protocol.Frame{Body: &protocol.Frame_MsgEditing{MsgEditing: &protocol.MsgEditing{Session: id}}}, protocol.Code_SILENCED)
	eventually(t, "bob's row says so", func() bool { r := bob.row(id); return r.SilencedUntil == until && r.Role == protocol.Role_MEMBER })
	s.restart()
	ann, bob = s.dial("ann", "d"), s.dial("bob", "other")
	if r := bob.row(id); r.SilencedUntil != until {
		t.Errorf("after a restart: %v", r)
	}
	bob.refused(send(id, "b2", "more"), protocol.Code_SILENCED)
	ann.must(silence(id, actors.Forever, "bob", "cid"))
	if a := bob.ask(send(id, "b2", "more")); a.Errcode != int32(protocol.Code_SILENCED) || a.RetryAfterMs != 0 {
		t.Errorf("for ever silenced: %v", a)
	}
	ann.must(silence(id, 0, "bob"))
	bob.send(id, "b2", "more")
	owner := "cid"
	ann.must(set(id, &protocol.SessionSet{Owner: &owner}))
	s.dial("cid", "d").send(id, "c1", "an owner is not silenced")
}

func TestASilentGroupAndABroadcast(t *testing.T) {
	s := newStage(t, actors.Config{})
	ann, bob, cid := s.dial("ann", "d"), s.dial("bob", "d"), s.dial("cid", "d")
	id := ann.group(&protocol.SessionCreate{Members: []string{"bob", "cid"}})
	bob.send(id, "b1", "hello")
	bob.refused(set(id, &protocol.SessionSet{SilenceAll: ptr(true)}), protocol.Code_DENIED)
	cid.must(set(id, &protocol.SessionSet{SilenceAll: ptr(true)}))
	bob.refused(send(id, "b2", "x"), protocol.Code_SILENCED)
	bob.refused(react(id, 2, "x", false), protocol.Code_SILENCED)
	cid.send(id, "c1", "x")
	eventually(t, "bob's row says so", func() bool { return bob.row(id).SilenceAll })
	cid.must(set(id, &protocol.SessionSet{SilenceAll: ptr(false), ReadOnly: ptr(true)}))
	bob.refused(send(id, "b2", "x"), protocol.Code_DENIED)
	bob.refused(edit(id, 2, "x"), protocol.Code_DENIED)
	bob.must(react(id, 2, "x", false))
	ann.send(id, "a1", "x")
	eventually(t, "bob's row says so", func() bool { r := bob.row(id); return r.ReadOnly && !r.SilenceAll })
	eventually(t, "cid's row says what cid is", func() bool { return cid.row(id).Role == protocol.Role_ADMIN })
}

func TestASettingIsAnEntryAndInEverybodysRow(t *testing.T) {
	s := newStage(t, actors.Config{})
	ann, bob, phone := s.dial("ann", "d"), s.dial("bob", "d"), s.dial("bob", "phone")
	id := ann.group(&protocol.SessionCreate{Members: []string{"bob"}, Avatar: "a1", JoinPolicy: protocol.JoinPolicy_ASK, InvitePolicy: protocol.InvitePolicy_ADMINS_INVITE})
	eventually(t, "both have it", func() bool { return bob.row(id).Avatar == "a1" && ann.row(id).Role == protocol.Role_OWNER })
	for _, m := range []*protocol.SessionSet{
		{Announcement: ptr(strings.Repeat("ü", 2001))},
		{Avatar: ptr(strings.Repeat("x", 1025))},
	} {
		ann.refused(set(id, m), protocol.Code_TOO_LARGE)
	}
	for _, m := range []*protocol.SessionSet{{JoinPolicy: ptr(protocol.JoinPolicy(9))}, {InvitePolicy: ptr(protocol.InvitePolicy(-1))},
		{Avatar: ptr("javascript:alert(1)")}, {Avatar: ptr("a\x00")}, {Name: ptr("a\nb")}, {Name: ptr("\u202eyrret")},
	} {
		ann.refused(set(id, m), protocol.Code_BAD_REQUEST)
	}
	ann.refused(set(id, &protocol.SessionSet{Until: ptr(time.Now().UnixMilli() - 1)}), protocol.Code_OUT_OF_RANGE)
	notice := strings.Repeat("ü", 2000)
	got := ann.must(set(id, &protocol.SessionSet{Avatar: ptr("a2"), Announcement: &notice, JoinPolicy: ptr(protocol.JoinPolicy_ASK)})).GetSessionSetReply()
	for _, c := range []*client{bob, phone} {
		e := c.push(got.Seq)
		if x := e.GetChange(); x.GetAvatar() != "a2" || x.GetAnnouncement() != notice || x.JoinPolicy != nil || x.SilenceAll != nil {
			t.Errorf("the entry says %v", x)
		}
	}
	eventually(t, "bob's row has it", func() bool { return bob.row(id).Avatar == "a2" })
	if again := ann.must(set(id, &protocol.SessionSet{Avatar: ptr("a2")})).GetSessionSetReply(); again.Seq != 0 {
		t.Errorf("what is so already is said again: %v", again)
	}
	info := bob.about(id)
	if info.Announcement != notice || info.AnnouncedBy != "ann" || info.AnnouncedAt == 0 || info.JoinPolicy != protocol.JoinPolicy_ASK {
		t.Errorf("session = %v", info)
	}
	bob.refused(add(id, "eve"), protocol.Code_DENIED)
	bob.refused(set(id, &protocol.SessionSet{Announcement: ptr("")}), protocol.Code_DENIED)
	ann.must(set(id, &protocol.SessionSet{Announcement: ptr(""), InvitePolicy: ptr(protocol.InvitePolicy_MEMBERS_INVITE)}))
	if info := bob.about(id); info.Announcement != "" || info.AnnouncedBy != "" || info.AnnouncedAt != 0 {
		t.Errorf("taken down: %v", info)
	}
	bob.must(add(id, "eve"))
	p2p := ann.p2p("bob")
	ann.refused(set(p2p, &protocol.SessionSet{SilenceAll: ptr(true)}), protocol.Code_DENIED)
	ann.refused(dissolve(p2p), protocol.Code_DENIED)
}

func TestAnOpenGroupIsJoined(t *testing.T) {
	s := newStage(t, actors.Config{MaxGroup: 3})
	ann, bob := s.dial("ann", "d"), s.dial("bob", "d")
	open := ann.group(&protocol.SessionCreate{JoinPolicy: protocol.JoinPolicy_OPEN, History: "joined"})
	ask := ann.group(&protocol.SessionCreate{JoinPolicy: protocol.JoinPolicy_ASK})
	closed := ann.group(&protocol.SessionCreate{})
	bob.refused(join(closed), protocol.Code_NOT_FOUND)
	bob.refused(join("s_aaaaaaaaaaaaaaaa"), protocol.Code_NOT_FOUND)
	bob.refused(join(""), protocol.Code_BAD_REQUEST)
	bob.refused(join(ask), protocol.Code_DENIED)
	bob.refused(join(ann.p2p("cid")), protocol.Code_NOT_FOUND)
	in := bob.must(join(open)).GetSessionJoinReply()
	if e := ann.push(in.Seq); e.Kind != protocol.Kind_JOIN || e.Sender != "bob" || !slices.Equal(e.Members, []string{"bob"}) || in.Session != open {
		t.Errorf("the entry is %v", e)
	}
	if again := bob.must(join(open)).GetSessionJoinReply(); again.Seq != 0 {
		t.Errorf("joined again: %v", again)
	}
	bob.send(open, "b1", "hello")
	bob.wait("the session", func(f *protocol.Frame) bool { return f.GetSessionUpdate().GetHead() != nil })
	s.dial("cid", "d").must(join(open))
	s.dial("dan", "d").refused(join(open), protocol.Code_TOO_MANY)
	ann.refused(add(open, "dan"), protocol.Code_TOO_MANY)
	ann.must(remove(open, "cid"))
	s.dial("dan", "e").must(join(open))
}

func TestADissolvedGroupIsGoneForEverybody(t *testing.T) {
	for _, n := range []int{2, 2600} { // members in one step, and in three
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			s := newStage(t, actors.Config{MaxMembers: 5000})
			ann, bob := s.dial("ann", "d"), s.dial("bob", "d")
			members := []string{"bob", "cid"}
			for i := range n {
				members = append(members, fmt.Sprint("u", i))
			}
			id := ann.group(&protocol.SessionCreate{Members: members, JoinPolicy: protocol.JoinPolicy_OPEN})
			bob.wait("the session", func(f *protocol.Frame) bool { return f.GetSessionUpdate().GetHead() != nil })
			bob.send(id, "b1", "hello")
			bob.refused(dissolve(id), protocol.Code_DENIED)
			seq := ann.must(dissolve(id)).GetSessionDissolveReply().Seq
			if e := bob.push(seq); !e.GetChange().GetDissolved() || e.Sender != "ann" {
				t.Errorf("the entry is %v", e)
			}
			gone := bob.wait("its end", func(f *protocol.Frame) bool { return f.GetSessionUpdate().GetGone() }).GetSessionUpdate()
			if gone.Session != id || gone.GoneSeq != seq {
				t.Errorf("gone = %v", gone)
			}
			for _, f := range []*protocol.Frame{send(id, "b2", "x"), join(id), dissolve(id), exit(id)} {
				bob.refused(f, protocol.Code_NOT_FOUND)
			}
			if r := ann.row(id); r != nil {
				t.Errorf("ann still has %v", r)
			}
			eventually(t, "all are out", func() bool {
				stored, err := s.store.Load(t.Context(), id)
				return err == nil && len(stored.Members) == 0 && stored.Info.Until == 0 && stored.Info.Dead
			})
			s.restart()
			if r := s.dial("cid", "d").row(id); r != nil {
				t.Errorf("cid still has %v", r)
			}
		})
	}
}

// soon asks for something that is to end at a time to come, which on a busy machine
// may have come already.
func (c *client) soon(f func(until int64) *protocol.Frame) *protocol.Frame {
	c.t.Helper()
	for wait := 200 * time.Millisecond; ; wait *= 2 {
		if a := c.ask(f(time.Now().Add(wait).UnixMilli())); a.Errcode != int32(protocol.Code_OUT_OF_RANGE) || wait > time.Minute {
			return a
		}
	}
}

func TestATemporaryGroupEndsAtItsTime(t *testing.T) {
	s := newStage(t, actors.Config{})
	ann := s.dial("ann", "d")
	kept := ann.group(&protocol.SessionCreate{Members: []string{"bob"}, Until: time.Now().Add(time.Hour).UnixMilli()})
	if info := ann.about(kept); !info.Temporary || info.Until == 0 {
		t.Errorf("session = %v", info)
	}
	ann.must(set(kept, &protocol.SessionSet{Until: ptr(int64(0))}))
	left := ann.group(&protocol.SessionCreate{Members: []string{"bob"}, Temporary: true})
	if a := ann.soon(func(until int64) *protocol.Frame { return set(left, &protocol.SessionSet{Until: &until}) }); a.Errcode != 0 {
		t.Fatal(a)
	}
	made := ann.soon(func(until int64) *protocol.Frame {
		return &protocol.Frame{Body: &protocol.Frame_SessionCreate{SessionCreate: &protocol.SessionCreate{
			SessionType: protocol.SessionType_GROUP, Members: []string{"bob"}, Until: until}}}
	})
	watched := made.GetSessionCreateReply().Result[0]
	if e := ann.wait("its end", func(f *protocol.Frame) bool { return f.GetMsgPush().GetChange().GetDissolved() }).GetMsgPush(); e.Sender != actors.System {
		t.Errorf("the entry is %v", e)
	}
	eventually(t, "both are gone", func() bool { return ann.row(watched) == nil && ann.row(left) == nil })
	if r := ann.row(kept); r == nil || ann.about(kept).Temporary {
		t.Errorf("the one that stays: %v", r)
	}
}

func TestATemporaryGroupEndsThoughNobodyIsThere(t *testing.T) {
	s := newStage(t, actors.Config{})
	ann := s.dial("ann", "d")
	id := ann.group(&protocol.SessionCreate{Members: []string{"bob"}, Until: time.Now().Add(time.Hour).UnixMilli()})
	stored, err := s.store.Load(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	stored.Info.Until = 1000 // as if the hour had passed
	past := &actors.Append{Session: id, Epoch: stored.Epoch, Info: stored.Info}
	if err := s.store.Commit([]*actors.Append{past}); err != nil || past.Err != nil {
		t.Fatal(err, past.Err)
	}
	s.restart()
	eventually(t, "it is gone", func() bool {
		stored, err := s.store.Load(t.Context(), id)
		return err == nil && stored.Info.Dead && len(stored.Members) == 0 && stored.Info.Until == 0
	})
}

func TestAnEndThatWasInterruptedGoesOn(t *testing.T) {
	s := newStage(t, actors.Config{})
	ann := s.dial("ann", "d")
	id := ann.group(&protocol.SessionCreate{Members: []string{"bob", "cid"}})
	stored, err := s.store.Load(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	stored.Info.Dead, stored.Info.Until = true, 1
	half := &actors.Append{Session: id, Epoch: stored.Epoch, Info: stored.Info, Removed: []string{"ann"}}
	if err := s.store.Commit([]*actors.Append{half}); err != nil || half.Err != nil {
		t.Fatal(err, half.Err)
	}
	s.restart()
	eventually(t, "all are out", func() bool {
		stored, err := s.store.Load(t.Context(), id)
		return err == nil && len(stored.Members) == 0 && stored.Info.Until == 0
	})
}
