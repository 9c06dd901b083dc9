package actors

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
)

// Who waited too long for another node is told that nobody knows whether a message was stored. It
// may be stored later: then its event passes over the connection that sent it, as that gets the
// answer, which it does not get any more. So it is given the message as everybody is.

// belated are the messages of this node's connections that may come so.
type belated struct {
	some  atomic.Bool // there are any
	mu    sync.Mutex
	until map[sending]time.Time
}

// sending is one try of a connection's to send a message.
type sending struct {
	conn    int64
	session protocol.SessionID
	id      protocol.ClientMsgID
}

const (
	// belatedFor is longer than a session keeps a message that waits for the store.
	belatedFor  = 5 * time.Minute
	belatedMost = 10_000 // at 150 bytes each
)

// add notes a message whose sender is told that it is not known what became of it.
func (o *belated) add(m any) {
	r, ok := m.(*request)
	if !ok || r.conn == 0 || r.frame.GetMsgSend() == nil {
		return
	}
	send := r.frame.GetMsgSend()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.until == nil {
		o.until = map[sending]time.Time{}
	}
	if len(o.until) < belatedMost {
		o.until[sending{r.conn, send.Session, send.ClientMsgId}] = time.Now().Add(belatedFor)
		o.some.Store(true)
	}
}

// forget drops what has not come for long.
func (o *belated) forget(now time.Time) {
	if !o.some.Load() {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for k, until := range o.until {
		if now.After(until) {
			delete(o.until, k)
		}
	}
	o.some.Store(len(o.until) > 0)
}

// forAll gives events as they are to be delivered: to those who sent them as well, who have
// no answer.
func (o *belated) forAll(events []*Event) []*Event {
	if !o.some.Load() {
		return events
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	own := false
	for i, e := range events {
		m := e.Shared.Frame.GetMsgPush()
		if e.Skip == 0 || m == nil {
			continue
		}
		k := sending{e.Skip, m.Session, m.ClientMsgId}
		if _, ok := o.until[k]; !ok {
			continue
		}
		delete(o.until, k)
		if !own {
			own, events = true, slices.Clone(events) // other nodes' readers have them too
		}
		all := *e
		all.Skip = 0
		events[i] = &all
	}
	return events
}
