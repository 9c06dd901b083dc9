package actors_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

func watch(users ...protocol.UserID) *protocol.Frame {
	return &protocol.Frame{Body: &protocol.Frame_PresenceWatch{PresenceWatch: &protocol.PresenceWatch{Users: users}}}
}

func be(status string) *protocol.Frame {
	return &protocol.Frame{Body: &protocol.Frame_PresenceSet{PresenceSet: &protocol.PresenceSet{Status: status}}}
}

// watch gives the statuses that presence_watch answers with.
func (c *client) watch(users ...protocol.UserID) map[protocol.UserID]string {
	c.t.Helper()
	seen := map[protocol.UserID]string{}
	for _, p := range c.must(watch(users...)).GetPresenceWatchReply().Users {
		seen[p.UserId] = p.Status
	}
	return seen
}

// sees waits until a user is pushed with a status.
func (c *client) sees(user protocol.UserID, status string) *protocol.Presence {
	c.t.Helper()
	f := c.wait(user+" to be "+status, func(f *protocol.Frame) bool {
		return f.GetPresence().GetUserId() == user && f.GetPresence().Status == status
	})
	if f.Offset != 0 {
		c.t.Errorf("presence has the offset %d: it is kept for a resume", f.Offset)
	}
	return f.GetPresence()
}

// presences takes the statuses of a user that were pushed.
func (c *client) presences(user protocol.UserID) (all []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.frames = slices.DeleteFunc(c.frames, func(f *protocol.Frame) bool {
		p := f.GetPresence()
		if p.GetUserId() == user {
			all = append(all, p.Status)
		}
		return p.GetUserId() == user
	})
	return all
}

// quick has presence told within a moment, for tests that wait for it in real time.
var quick = actors.Config{PresenceBeat: time.Millisecond, PresenceLinger: time.Millisecond, ReceiptSize: 3}

func TestPresenceIsSeenOfThoseOneHasToDoWith(t *testing.T) {
	f := newFaces("ann", "bob", "eve", "zoe", "fay", "robot", "stranger")
	f.all["robot"].Kind = "bot"
	s := facedStage(t, quick, f)
	ann, bob, fay := s.dial("ann", "1"), s.dial("bob", "1"), s.dial("fay", "1")
	s.dial("stranger", "1")
	ann.create(protocol.SessionType_GROUP, "bob", "eve")
	ann.create(protocol.SessionType_GROUP, "bob", "eve", "zoe") // too large for it
	s.friends(ann, fay)
	fay.sees("ann", "online") // a friend is seen without being watched
	eventually(t, "bob and fay are there", func() bool {
		got := ann.watch("bob", "eve", "zoe", "fay", "robot", "stranger", "nobody", "ann")
		want := map[protocol.UserID]string{"bob": "online", "eve": "offline", "fay": "online", "robot": "offline", "ann": "online"}
		return fmt.Sprint(got) == fmt.Sprint(want)
	})
	ann.refused(watch(slices.Repeat([]string{"bob"}, 501)...), protocol.Code_TOO_MANY)
	ann.refused(be("asleep"), protocol.Code_BAD_REQUEST)

	eve := s.dial("eve", "1")
	ann.sees("eve", "online")
	eve.must(be("busy"))
	ann.sees("eve", "busy")
	eve.hangUp()
	if p := ann.sees("eve", "offline"); p.LastActiveAt == 0 {
		t.Error("who went was never active")
	}
	bob.hangUp()
	ann.sees("bob", "offline")
	if got := ann.watch(); len(got) != 0 {
		t.Errorf("watching nobody shows %v", got)
	}
	again := s.dial("bob", "1")
	fay.hangUp()
	ann.sees("fay", "offline")
	eventually(t, "bob is there", func() bool { return again.watch("bob")["bob"] == "online" })
	if got := ann.presences("bob"); len(got) != 0 {
		t.Errorf("who is not watched any more is seen as %v", got)
	}
}

func TestWhoChoseOfflineIsNotSeen(t *testing.T) {
	s := newStage(t, quick)
	ann, desk, bob := s.dial("ann", "phone"), s.dial("ann", "desk"), s.dial("bob", "1")
	s.friends(ann, bob)
	bob.sees("ann", "online")
	bob.presences("ann")
	ann.must(be("offline"))
	desk.sees("ann", "offline") // one's own devices agree
	bob.sees("ann", "offline")
	pair := ann.p2p("bob")
	ann.send(pair, "1", "hi")
	bob.push(1) // frames work
	if got := bob.watch("ann"); got["ann"] != "offline" {
		t.Errorf("bob sees %v", got)
	}
	last := bob.must(watch("ann")).GetPresenceWatchReply().Users[0].LastActiveAt
	s.restart()
	bob, ann = s.dial("bob", "1"), s.dial("ann", "phone")
	ann.send(pair, "2", "hi")
	if got := ann.watch("ann"); got["ann"] != "offline" {
		t.Errorf("after a restart ann is %v to herself", got)
	}
	p := bob.must(watch("ann")).GetPresenceWatchReply().Users[0]
	if p.Status != "offline" || p.LastActiveAt != last || last == 0 {
		t.Errorf("after a restart bob sees %v, last active %d before: who is not seen does not move", p, last)
	}
	ann.must(be("online"))
	bob.sees("ann", "online")
}

func TestBlockingAndUnfriendingEndPresence(t *testing.T) {
	s := newStage(t, quick)
	ann, bob, eve := s.dial("ann", "1"), s.dial("bob", "1"), s.dial("eve", "1")
	s.friends(ann, bob)
	s.friends(ann, eve)
	bob.sees("ann", "online")
	eve.sees("ann", "online")
	bob.presences("ann")
	ann.must(block("bob", true))
	bob.sees("ann", "offline")
	ann.must(be("busy"))
	eve.sees("ann", "busy")
	if got := bob.watch("ann"); len(got) != 0 {
		t.Errorf("who is blocked sees %v", got)
	}
	ann.must(be("away"))
	eve.sees("ann", "away")
	if got := bob.presences("ann"); len(got) != 0 {
		t.Errorf("who is blocked is told %v", got)
	}
}

func TestWhoLeavesTheOneSessionInCommonIsNotSeenAnyMore(t *testing.T) {
	s := newStage(t, quick)
	ann, bob, eve := s.dial("ann", "1"), s.dial("bob", "1"), s.dial("eve", "1")
	group := ann.create(protocol.SessionType_GROUP, "bob", "eve")
	eventually(t, "all are seen", func() bool { return len(ann.watch("bob", "eve")) == 2 && len(eve.watch("bob")) == 1 })
	bob.must(&protocol.Frame{Body: &protocol.Frame_SessionExit{SessionExit: &protocol.SessionExit{Session: group}}})
	ann.sees("bob", "offline")
	eve.sees("bob", "offline")
	bob.must(be("busy"))
	eve.must(be("busy"))
	ann.sees("eve", "busy")
	if got := ann.presences("bob"); slices.Contains(got, "busy") {
		t.Errorf("who left is seen as %v", got)
	}
	if got := ann.watch("bob"); len(got) != 0 {
		t.Errorf("who left is %v", got)
	}
}

func TestAUserChangesOnceABeatAndAReconnectChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, actors.Config{})
		ann, bob := s.dial("ann", "1"), s.dial("bob", "1")
		s.friends(ann, bob)
		time.Sleep(3 * time.Second)
		bob.presences("ann")
		for _, status := range []string{"busy", "online", "away", "online", "busy"} {
			ann.must(be(status))
		}
		time.Sleep(3 * time.Second)
		if got := bob.presences("ann"); !slices.Equal(got, []string{"busy"}) {
			t.Errorf("of five changes at once bob sees %v, want the last", got)
		}
		ann.hangUp()
		time.Sleep(3 * time.Second)
		ann = s.dial("ann", "1")
		time.Sleep(10 * time.Second)
		if got := bob.presences("ann"); len(got) != 0 {
			t.Errorf("a reconnect within the linger shows %v", got)
		}
		ann.hangUp()
		time.Sleep(4 * time.Second)
		if got := bob.presences("ann"); len(got) != 0 {
			t.Errorf("too early: %v", got)
		}
		time.Sleep(3 * time.Second)
		if got := bob.presences("ann"); !slices.Equal(got, []string{"offline"}) {
			t.Errorf("who went is seen as %v, want offline once", got)
		}
		s.stop()
	})
}

func TestWhenOneWasLastActiveOutlivesTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, actors.Config{})
		ann, bob := s.dial("ann", "1"), s.dial("bob", "1")
		s.friends(ann, bob)
		time.Sleep(time.Minute)
		went := time.Now().UnixMilli()
		ann.hangUp()
		time.Sleep(time.Minute)
		for _, when := range []string{"before the restart", "after it"} {
			p := bob.must(watch("ann")).GetPresenceWatchReply().Users[0]
			if p.Status != "offline" || p.LastActiveAt != went {
				t.Errorf("%s ann is %v, last active at %d", when, p, went)
			}
			s.restart()
			bob = s.dial("bob", "1")
		}
		s.stop()
	})
}
