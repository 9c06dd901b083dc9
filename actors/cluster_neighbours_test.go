package actors_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

// gossiping has all see what each says of whom it does not reach, as they do where only the way
// between nodes is broken.
func gossiping(all []*side) {
	var mu sync.Mutex
	var members []actors.Member
	for _, s := range all {
		members = append(members, s.members.self)
	}
	version := int64(1)
	for i, s := range all {
		s.members.miss = func(nodes string) {
			mu.Lock()
			defer mu.Unlock()
			members[i].Misses = nodes
			version++
			for _, s := range all {
				s.sees(version, members...)
			}
		}
	}
}

// apart says whether two of them hear each other.
func apart(all []*side, a, b int, is bool) {
	all[a].out.lose(fmt.Sprint(b), is)
	all[b].out.lose(fmt.Sprint(a), is)
}

// roomAt makes a session of a client's that falls to a node.
func roomAt(c *client, at *side, with string) (room string) {
	for room == "" || !at.node.Owns(room) {
		room = c.create(protocol.SessionType_GROUP, with)
	}
	return room
}

func TestTheSessionsOfANodeThatTheOthersDoNotReachAreServedByThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := sidesOf(t, 3)
		gossiping(all)
		time.Sleep(5 * time.Second)
		cut, ann := all[0], all[1].client
		room := roomAt(ann, cut, "user2")
		ann.send(room, "0", "hello")
		apart(all, 0, 1, true)
		apart(all, 0, 2, true)
		began := time.Now()
		ids := []string{ann.post(send(room, "1", "hello")), all[2].client.post(send(room, "2", "hello"))}
		for i, c := range []*client{ann, all[2].client} {
			if f := c.answer(ids[i]); f.Errcode != 0 {
				t.Errorf("%s is answered %v", c.user, f)
			}
		}
		if took := time.Since(began); took > 3500*time.Millisecond {
			t.Errorf("they are answered after %v", took)
		}
		if cut.node.Owns(room) || cut.node.CutOff() {
			t.Errorf("at the node that is not reached: it owns the session: %v, it sent its clients away at once: %v", cut.node.Owns(room), cut.node.CutOff())
		}
		time.Sleep(time.Until(began.Add(4 * time.Second)))
		if !cut.sent() || !cut.node.CutOff() {
			t.Error("the clients of a node that is not reached stay there")
		}
		apart(all, 0, 1, false)
		apart(all, 0, 2, false)
		time.Sleep(10 * time.Second)
		if !cut.node.Owns(room) || cut.node.CutOff() {
			t.Errorf("when it is reached again it owns the session: %v, is cut off: %v", cut.node.Owns(room), cut.node.CutOff())
		}
		ann.send(room, "3", "hello")
		again := cut.dial("user0", "2")
		again.send(roomAt(again, all[2], "user2"), "4", "hello")
	})
}

func TestANodeThatHearsThoseWhoMissItKeepsItsClientsForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // as after a pause
		all := sidesOf(t, 3)
		time.Sleep(5 * time.Second)
		say := func(version int64, misses string) {
			members := []actors.Member{all[0].members.self, all[1].members.self, all[2].members.self}
			members[1].Misses, members[2].Misses = misses, misses
			for _, s := range all {
				s.sees(version, members...)
			}
		}
		say(2, "0")
		time.Sleep(1500 * time.Millisecond)
		if all[0].node.CutOff() || all[0].sent() {
			t.Error("its clients were sent away at once")
		}
		say(3, "")
		time.Sleep(5 * time.Second)
		if all[0].node.CutOff() || all[0].sent() {
			t.Error("its clients were sent away")
		}
	})
}

func TestTwoNodesThatDoNotReachEachOtherKeepTheirSessions(t *testing.T) {
	for nodes := 2; nodes <= 3; nodes++ {
		synctest.Test(t, func(t *testing.T) {
			all := sidesOf(t, nodes)
			gossiping(all)
			time.Sleep(5 * time.Second)
			ann := all[1].client
			room := roomAt(ann, all[0], "user0")
			ann.send(room, "0", "hello")
			apart(all, 0, 1, true)
			id := ann.post(send(room, "1", "hello"))
			all[0].client.send(room, "2", "hello")
			if f := ann.answer(id); f.Errcode == 0 {
				t.Errorf("it is answered %v", f)
			}
			if !all[0].node.Owns(room) || all[0].node.CutOff() || all[1].node.CutOff() {
				t.Error("something moves")
			}
			apart(all, 0, 1, false)
			time.Sleep(10 * time.Second)
			ann.send(room, "1", "hello")
		})
	}
}
