package actors_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

// looked counts how often somebody looks what is due.
type looked struct {
	actors.Journal
	n atomic.Int64
}

func (l *looked) Due(ctx context.Context, now time.Time, limit int) ([]actors.Due, error) {
	l.n.Add(1)
	return l.Journal.Due(ctx, now, limit)
}

func TestOneNodeLooksWhatIsDueAndEachDoesItsOwn(t *testing.T) {
	tr := newTroupe(t)
	journal := &looked{Journal: tr.store}
	tr.store = journal
	all := []*part{tr.start(actors.Config{}), tr.start(actors.Config{}), tr.start(actors.Config{})}
	together(t, all...)
	ann := all[0].connect("ann", "phone", nil)
	said := map[protocol.SessionID]string{}
	for i, p := range all { // each node has one
		session := sessionAt(t, ann, p, "bob")
		id := fmt.Sprint(i)
		r := ann.ask(&protocol.Frame{Body: &protocol.Frame_MsgSend{MsgSend: &protocol.MsgSend{
			Session: session, ClientMsgId: id, Expire: 1, Content: &protocol.Content{Type: protocol.ContentType_TEXT, Text: id},
		}}})
		said[session] = r.GetMsgSendReply().MessagerecvId
	}
	for session := range said {
		eventually(t, "the message to expire", func() bool {
			after := int64(0)
			r := ann.ask(&protocol.Frame{Body: &protocol.Frame_Sync{Sync: &protocol.Sync{Session: session, AfterSeq: &after}}})
			for _, e := range r.GetSyncReply().GetMessages() {
				if e.MessagerecvId == said[session] && e.Expired {
					return true
				}
			}
			return false
		})
	}
	// Were each to look every second, ten looks would be over after three.
	began, first := time.Now(), journal.n.Load()
	eventually(t, "the nodes to have looked", func() bool { return journal.n.Load() >= first+10 })
	if took := time.Since(began); took < 4*time.Second {
		t.Errorf("three nodes have looked 10 times within %v", took)
	}
}
