package actors_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

func (c *client) link(session protocol.SessionID, uses, expires int64) *protocol.Link {
	c.t.Helper()
	return c.must(linkCreate(session, uses, expires)).GetLinkCreateReply().Link
}

func linkCreate(session protocol.SessionID, uses, expires int64) *protocol.Frame {
	return &protocol.Frame{Body: &protocol.Frame_LinkCreate{LinkCreate: &protocol.LinkCreate{Session: session, Uses: uses, ExpiresIn: expires}}}
}

func joinBy(code string) *protocol.Frame {
	return &protocol.Frame{Body: &protocol.Frame_SessionJoin{SessionJoin: &protocol.SessionJoin{Code: code}}}
}

func linkGet(code string) *protocol.Frame {
	return &protocol.Frame{Body: &protocol.Frame_LinkGet{LinkGet: &protocol.LinkGet{Code: code}}}
}

func linkRevoke(session protocol.SessionID, link string) *protocol.Frame {
	return &protocol.Frame{Body: &protocol.Frame_LinkRevoke{LinkRevoke: &protocol.LinkRevoke{Session: session, Link: link}}}
}

func (c *client) links(session protocol.SessionID) (all []*protocol.Link) {
	c.t.Helper()
	for cursor := ""; ; {
		r := c.must(&protocol.Frame{Body: &protocol.Frame_LinkList{LinkList: &protocol.LinkList{Session: session, Cursor: cursor, Limit: 2}}}).GetLinkListReply()
		if all = append(all, r.Links...); r.Next == "" {
			return all
		}
		cursor = r.Next
	}
}

func TestALinkLetsPeopleIn(t *testing.T) {
	s := newStage(t, actors.Config{})
	ann, bob, eve := s.dial("ann", "d"), s.dial("bob", "d"), s.dial("eve", "d")
	id := ann.group(&protocol.SessionCreate{Name: "team", Avatar: "a1", Members: []string{"bob"}})
	l := bob.link(id, 1, 60)
	if len(l.Code) != 26 || l.By != "bob" || l.Uses != 1 || l.ExpiresAt-l.CreatedAt != 60_000 {
		t.Errorf("link = %v", l)
	}
	if got := eve.must(linkGet(l.Code)).GetLinkGetReply(); got.Session != id || got.Name != "team" || got.Avatar != "a1" || got.MemberCount != 2 || got.By != "bob" || got.Member {
		t.Errorf("eve sees %v", got)
	}
	in := eve.must(joinBy(" " + l.Code + "\n")).GetSessionJoinReply()
	if e := ann.push(in.Seq); e.Kind != protocol.Kind_JOIN || e.Sender != "eve" {
		t.Errorf("the entry is %v", e)
	}
	if m := ann.about(id).Members; m[2].User != "eve" || m[2].Inviter != "bob" {
		t.Errorf("members %v", m)
	}
	dan := s.dial("dan", "d")
	dan.refused(joinBy(l.Code), protocol.Code_EXPIRED)
	dan.refused(linkGet(l.Code), protocol.Code_EXPIRED)
	if again := eve.must(joinBy(l.Code)).GetSessionJoinReply(); again.Seq != 0 || again.Session != id {
		t.Errorf("eve joins again: %v", again)
	}
	bob.must(remove(id, "eve")) // whoever made the link invited her
	dan.refused(linkGet("aaaaaaaaaaaaaaaaaaaaaaaaaa"), protocol.Code_NOT_FOUND)
	dan.refused(linkCreate(id, 0, 0), protocol.Code_NOT_FOUND)
	ann.refused(linkCreate(id, -1, 0), protocol.Code_OUT_OF_RANGE)
	ann.refused(linkCreate(id, 0, 366*24*3600), protocol.Code_OUT_OF_RANGE)
	ann.refused(linkCreate(ann.p2p("bob"), 0, 0), protocol.Code_DENIED)
}

func TestALinkEnds(t *testing.T) {
	s := newStage(t, actors.Config{})
	ann, bob, cid, eve := s.dial("ann", "d"), s.dial("bob", "d"), s.dial("cid", "d"), s.dial("eve", "d")
	id := ann.group(&protocol.SessionCreate{Members: []string{"bob", "cid", "dan"}})
	a, b, c := ann.link(id, 0, 0), bob.link(id, 0, 0), cid.link(id, 0, 1)
	if life := a.ExpiresAt - a.CreatedAt; life != 7*24*time.Hour.Milliseconds() {
		t.Errorf("a link lives for %d ms", life)
	}
	if n := len(ann.links(id)); n != 3 {
		t.Errorf("ann sees %d links", n)
	}
	if mine := bob.links(id); len(mine) != 1 || mine[0].Link != b.Link || mine[0].Code != "" {
		t.Errorf("bob sees %v", mine)
	}
	bob.refused(linkRevoke(id, a.Link), protocol.Code_NOT_FOUND)
	bob.refused(linkRevoke(id, "l_x"), protocol.Code_NOT_FOUND)
	eventually(t, "cid's link is over", func() bool { return eve.ask(linkGet(c.Code)).Errcode == int32(protocol.Code_EXPIRED) })
	eve.must(linkGet(b.Code))
	// What its maker may not do any more, a link does not.
	ann.must(set(id, &protocol.SessionSet{InvitePolicy: ptr(protocol.InvitePolicy_ADMINS_INVITE)}))
	eve.refused(joinBy(b.Code), protocol.Code_EXPIRED)
	bob.refused(linkCreate(id, 0, 0), protocol.Code_DENIED)
	ann.must(set(id, &protocol.SessionSet{InvitePolicy: ptr(protocol.InvitePolicy_MEMBERS_INVITE)}))
	eve.must(linkGet(b.Code))
	ann.must(remove(id, "bob"))
	eve.refused(joinBy(b.Code), protocol.Code_EXPIRED)
	cid.must(linkRevoke(id, a.Link))
	cid.must(linkRevoke(id, a.Link))
	eve.refused(joinBy(a.Code), protocol.Code_EXPIRED)
	s.restart()
	ann, eve = s.dial("ann", "d"), s.dial("eve", "d")
	eve.refused(joinBy(a.Code), protocol.Code_EXPIRED)
	last := ann.link(id, 0, 0)
	ann.must(dissolve(id))
	eve.refused(joinBy(last.Code), protocol.Code_EXPIRED)
}

func TestALinkIsUsedNoOftenerThanItSays(t *testing.T) {
	s := newStage(t, actors.Config{})
	ann := s.dial("ann", "d")
	id := ann.group(&protocol.SessionCreate{})
	for round, restart := range []bool{false, true} {
		l := ann.link(id, 10, 0)
		if restart {
			s.restart()
			ann = s.dial("ann", "d")
		}
		var wait sync.WaitGroup
		var mu sync.Mutex
		in := 0
		for i := range 50 {
			c := s.dial(fmt.Sprintf("u%d-%d", round, i), "d")
			wait.Go(func() {
				a := c.ask(joinBy(l.Code))
				mu.Lock()
				defer mu.Unlock()
				switch protocol.Code(a.Errcode) {
				case protocol.Code_OK:
					in++
				case protocol.Code_EXPIRED:
				default:
					t.Errorf("answered %s", a.Code)
				}
			})
		}
		wait.Wait()
		if all := ann.about(id); in != 10 || all.MemberCount != int64(1+10*(round+1)) {
			t.Errorf("%d of 50 came in, %d are", in, all.MemberCount)
		}
		if row, err := s.store.Link(t.Context(), l.Link); err != nil || row.Used != 10 {
			t.Errorf("the link is used %v, %v", row, err)
		}
	}
}

func TestWhoGuessesCodesIsSlowedDown(t *testing.T) {
	s := newStage(t, actors.Config{})
	ann, eve := s.dial("ann", "d"), s.dial("eve", "d")
	id := ann.group(&protocol.SessionCreate{})
	l := ann.link(id, 0, 0)
	for range 30 {
		eve.must(linkGet(l.Code))
	}
	tries, limited := 0, (*protocol.Frame)(nil)
	for ; limited == nil && tries < 1000; tries++ {
		a := eve.ask(joinBy(fmt.Sprint("guess", tries)))
		if protocol.Code(a.Errcode) == protocol.Code_RATE_LIMITED {
			limited = a
		} else if protocol.Code(a.Errcode) != protocol.Code_NOT_FOUND {
			t.Fatalf("a guess is answered %s", a.Code)
		}
	}
	if limited == nil || tries <= 20 || limited.RetryAfterMs <= 0 || limited.RetryAfterMs > 10_000 {
		t.Errorf("the guess %d is answered %v", tries, limited)
	}
	eve.refused(linkGet(l.Code), protocol.Code_RATE_LIMITED)
	s.dial("dan", "d").must(joinBy(l.Code))
}

func TestLinksAreFew(t *testing.T) {
	s := newStage(t, actors.Config{})
	ann := s.dial("ann", "d")
	id := ann.group(&protocol.SessionCreate{})
	first := ann.link(id, 0, 0)
	for range 199 {
		ann.link(id, 0, 0)
	}
	ann.refused(linkCreate(id, 0, 0), protocol.Code_TOO_MANY)
	ann.must(linkRevoke(id, first.Link))
	ann.link(id, 0, 0)
	ann.refused(linkCreate(id, 0, 0), protocol.Code_TOO_MANY)
	if n := len(ann.links(id)); n != 200 {
		t.Errorf("%d links", n)
	}
}
