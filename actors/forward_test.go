package actors_test

import (
	"testing"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

func TestManyForwardsAtOnceDoNotWaitForEachOther(t *testing.T) {
	s := newStage(t, actors.Config{})
	ann := s.dial("ann", "d")
	from := ann.p2p("bob")
	what := ann.send(from, "1", "hello")
	const many = 64
	rooms := make([]protocol.SessionID, many)
	for i := range rooms {
		rooms[i] = ann.create(protocol.SessionType_GROUP, "cid")
	}
	ids := make([]string, many)
	for i, room := range rooms {
		f := send(room, "1", "see")
		f.GetMsgSend().Content = &protocol.Content{Type: protocol.ContentType_FORWARD, Forwarded: []*protocol.Forwarded{{MessagerecvId: what.MessagerecvId}}}
		ids[i] = ann.post(f)
	}
	for _, id := range ids {
		if a := ann.answer(id); a.Errcode != 0 {
			t.Fatal(a.Error)
		}
	}
}
