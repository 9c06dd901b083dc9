package actors_test

import (
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
