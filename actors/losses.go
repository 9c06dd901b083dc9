package actors

import (
	"context"
	"sync"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
)

// What becomes of the users of a node when events were lost.

// Lost is told by streams that may have missed events.
func (n *Node) Lost() {
	n.losses.Add(1) // from now on no list is given that was read before
	n.people.each(func(_ string, r *ref) { n.tell(r.pid, &lost{}) })
}

// lostBy is told when a node died that had the sessions of had: the last of what it made
// durable it may have told nobody of. What people ask of those sessions now comes first, so
// it begins a moment later and goes on user by user.
func (n *Node) lostBy(had func(session protocol.SessionID) bool) {
	const after, between = 300 * time.Millisecond, time.Millisecond
	n.losses.Add(1)
	d := &death{node: n, had: had, asked: map[protocol.SessionID]*asked{}}
	wait := time.Duration(after)
	n.people.each(func(_ string, r *ref) {
		time.AfterFunc(wait, func() { n.tell(r.pid, &lost{by: d}) })
		wait += between
	})
}

// death is of a node. Its sessions are asked for something, each once: whoever has one now loads
// it, so that nothing is written behind what the store has, brings its rows up to what was
// committed, and tells all nodes what its log ends with. Who has heard that needs to read nothing of it.
type death struct {
	node *Node
	had  func(session protocol.SessionID) bool

	mu    sync.Mutex
	asked map[protocol.SessionID]*asked
}

type asked struct {
	done chan struct{}
	err  error
}

// ask returns when the sessions were asked, at most a member's time for that later, and gives those that did not answer.
func (d *death) ask(member protocol.UserID, sessions []protocol.SessionID) (silent []protocol.SessionID) {
	waits := make([]*asked, len(sessions))
	for i, id := range sessions {
		waits[i] = d.askOnce(member, id)
	}
	for i, a := range waits {
		if <-a.done; a.err != nil {
			silent = append(silent, sessions[i])
		}
	}
	return silent
}

func (d *death) askOnce(member protocol.UserID, session protocol.SessionID) *asked {
	d.mu.Lock()
	defer d.mu.Unlock()
	a := d.asked[session]
	if a == nil {
		a = &asked{done: make(chan struct{})}
		d.asked[session] = a
		go func() {
			defer close(a.done)
			ctx, cancel := d.node.background()
			defer cancel()
			_, a.err = d.node.headOf(ctx, member, session)
		}()
	}
	return a
}

// headOf asks a session how far it has published, as the store may be ahead of that.
func (n *Node) headOf(ctx context.Context, member protocol.UserID, session protocol.SessionID) (int64, error) {
	f := &protocol.Frame{Body: &protocol.Frame_SessionGet{SessionGet: &protocol.SessionGet{Session: session, Limit: 1}}}
	about, err := n.Ask(ctx, protocol.Identity{User: member}, f)
	return about.GetSessionGetReply().GetInfo().GetHeadSeq(), err
}

// lost says that events may be missing: of the sessions that a node had; nil: of all.
type lost struct {
	by *death
}

// lost reads the rows again, the requests and contacts, and finds the sessions that the user has come into. The
// next heartbeat names the heads that moved.
func (u *User) lost(m *lost) {
	switch u.state {
	case active:
	case loading: // the list may have been read before
		u.stashed = append(u.stashed, done(func() { u.lost(m) }))
		return
	default:
		return
	}
	if m.by == nil {
		u.compare(0)
	} else {
		u.bereaved(m.by)
	}
	u.requestsLost()
	u.presenceLost()
}

// bereaved compares the list with the store's once that has all of what a node wrote that died.
func (u *User) bereaved(d *death) {
	var had []protocol.SessionID
	for id := range u.rows {
		if d.had(id) {
			had = append(had, id)
		}
	}
	if len(had) == 0 {
		u.compare(0)
		return
	}
	u.node.aside(func() {
		silent := d.ask(u.id, had)
		u.node.tell(u.pid, done(func() {
			if u.state != active {
				return
			}
			for _, id := range silent {
				if u.rows[id] != nil {
					u.reread(id, 0, true, false)
				}
			}
			u.compare(0)
		}))
	})
}
