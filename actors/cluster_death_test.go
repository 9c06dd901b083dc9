package actors_test

import (
	"fmt"
	"testing"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

func TestWhatANodeAcknowledgedLastBeforeItDiedIsDelivered(t *testing.T) {
	tr := newTroupe(t)
	one, two := tr.start(actors.Config{}), tr.start(actors.Config{})
	together(t, one, two)
	ann, bob := one.dial("ann", "1"), two.dial("bob", "1")
	room := sessionAt(t, ann, one, "bob")
	ann.sends(room, "a", "hello")
	message := func(id string) {
		bob.wait("message "+id, func(f *protocol.Frame) bool { return f.GetMsgPush().GetClientMsgId() == id })
	}
	message("a")
	one.way.shut() // what it tells others does not get out any more
	ann.send(room, "b", "my last words")
	one.dies()
	one.ended = true
	t.Cleanup(func() { one.node.Drain(canceled(), 0) })
	message("b") // though nobody asks for anything in that session
}

func TestWhoHeardAllThatANodeSaidBeforeItDiedReadsNoRowAndCountsNothing(t *testing.T) {
	tr := newTroupe(t)
	j := &reads{Journal: tr.store}
	tr.store = j
	one, two, three := tr.start(actors.Config{}), tr.start(actors.Config{}), tr.start(actors.Config{})
	together(t, one, two, three)
	zoe := three.dial("zoe", "1")
	var rooms []protocol.SessionID
	for range 5 {
		room := sessionAt(t, zoe, three, "ann", "bob", "cid")
		rooms = append(rooms, room)
		zoe.sends(room, "a", "hello")
	}
	ann := one.dial("ann", "1") // whose lists are read whole, as those of the others
	all := []*client{ann, two.dial("bob", "1"), two.dial("cid", "1")}
	heard := func(sender *client, id string, seq int64) {
		t.Helper()
		for _, room := range rooms {
			sender.sends(room, id, "hello")
			for _, c := range all {
				if c != sender {
					c.wait(fmt.Sprint(room, " ", seq), func(f *protocol.Frame) bool {
						return f.GetMsgPush().GetSession() == room && f.GetMsgPush().Seq == seq
					})
				}
			}
		}
	}
	heard(zoe, "b", 2)
	loaded := func() (all int) {
		for _, p := range []*part{one, two} {
			sessions, _ := p.node.Loaded()
			all += sessions
		}
		return all
	}
	were := loaded()
	lists, rows, counts := j.lists.Load(), j.rows.Load(), j.counts.Load()
	three.dies()
	three.ended = true
	t.Cleanup(func() { three.node.Drain(canceled(), 0) })
	eventually(t, "all lists are compared", func() bool { return j.lists.Load() >= lists+3 })
	if n := loaded() - were; n < len(rooms) { // each may end with what nobody was told of
		t.Errorf("%d of the %d sessions that the node had are loaded elsewhere", n, len(rooms))
	}
	heard(ann, "c", 3) // what comes behind a row that is being read waits for it
	if n := j.rows.Load() - rows; n > 0 {
		t.Errorf("%d rows were read of three people who had heard all", n)
	}
	if n := j.counts.Load() - counts; n > 0 {
		t.Errorf("what is unread was counted %d times for three people who had heard all", n)
	}
}
