package actors

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/troupe-im/troupe/internal/protocol"
)

// When a session moves between nodes that are both well, what the one has on the way into the
// store would become durable behind what the other has read, or be refused by it: everything is
// read again then, and what was refused comes behind what its sender sent later. So who loads a
// session that may have been another node's a moment ago asks that one first whether it has
// gone, and waits. Nothing depends on it: who has no answer goes on, and the store decides.

const (
	// handoverFor is how long after a change of who is there others are asked: what a node had on the way
	// has come to its end by then, also when MongoDB elects a primary.
	handoverFor = 10 * time.Second
	// askGiven is how long an answer may take that says no more than "not yet": a node that
	// hangs, or that died as it left, costs as much, once.
	askGiven = 400 * time.Millisecond
	// awaitFor bounds the waiting for a node that says so.
	awaitFor = 2 * time.Second
	// maxAwaited is how many sessions wait at the same time: half of maxInquiries, as bots that
	// moderate are asked by those, too.
	maxAwaited = maxInquiries / 2
)

// inquiryGiven is the kind of an inquiry about a session, with the version of the asker's view. It
// is answered with nothing when the node does not have the session, or stillHere.
const (
	inquiryGiven = "given"
	stillHere    = 1
)

// handovers is what a node knows of who had what until a moment ago.
type handovers struct {
	former  []former
	mute    map[string]time.Time // nodes that do not answer, until when they are not asked
	awaited int
}

type former struct {
	*places
	until time.Time
}

// farewell is told to a session that is to say when it goes.
type farewell struct{ gone chan struct{} }

// changes remembers who had what by the view before now. mu is held.
func (c *cluster) changes(before, now *places, at time.Time) {
	switch {
	case slices.Equal(before.Members, now.Members):
		return
	case len(before.Members) == 1: // it has just come, or was alone: what it has now was with the others
		others := slices.DeleteFunc(slices.Clone(now.Members), func(m Member) bool { return m.ID == c.self.ID })
		if len(others) == 0 {
			return
		}
		before = placesOf(View{Members: others}, "")
	}
	c.handovers.former = append(c.handovers.former, former{before, at.Add(handoverFor)})
}

// givers are the nodes that may still have something of a session of this node's on the way.
func (c *cluster) givers(session protocol.SessionID) (nodes []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	h, now, v := &c.handovers, time.Now(), c.view.Load()
	h.former = slices.DeleteFunc(h.former, func(f former) bool { return now.After(f.until) })
	for _, f := range h.former {
		id := f.owner(session)
		if id != c.self.ID && v.sees(id) && now.After(h.mute[id]) && !slices.Contains(nodes, id) {
			nodes = append(nodes, id)
		}
	}
	return nodes
}

// sees says whether a node is there, and reaches the store and the others.
func (p *places) sees(id string) bool {
	return slices.ContainsFunc(p.Members, func(m Member) bool { return m.ID == id && m.Sight != Blind && !p.shunned(id) })
}

// whenGiven is off for what reads a session that may have been another node's a moment ago.
func (n *Node) whenGiven(session protocol.SessionID, read func()) {
	c := n.cluster.Load()
	if c == nil {
		n.off(read)
		return
	}
	nodes := c.givers(session)
	if len(nodes) == 0 {
		n.off(read)
		return
	}
	n.aside(func() {
		c.await(n.life, session, nodes)
		n.off(read)
	})
}

// await waits until the nodes have let go of a session, as far as they say so.
func (c *cluster) await(ctx context.Context, session protocol.SessionID, nodes []string) {
	if !c.mayAwait(1) {
		return
	}
	defer c.mayAwait(-1)
	ctx, cancel := context.WithTimeout(ctx, awaitFor)
	defer cancel()
	var all sync.WaitGroup
	for _, node := range nodes {
		all.Go(func() {
			for ctx.Err() == nil && c.has(ctx, node, session) {
				if v := c.view.Load(); v.owner(session) != c.self.ID || !v.sees(node) {
					return
				}
			}
		})
	}
	all.Wait()
}

// mayAwait counts who waits; false: too many do.
func (c *cluster) mayAwait(n int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.handovers.awaited+n > maxAwaited {
		return false
	}
	c.handovers.awaited += n
	return true
}

// has says whether a node says that it has a session still.
func (c *cluster) has(ctx context.Context, node string, session protocol.SessionID) bool {
	ask, cancel := context.WithTimeout(ctx, askGiven)
	defer cancel()
	answer, err := c.node.Inquire(ask, node, inquiryGiven, session, ofView(c.view.Load().Version))
	switch {
	case err == nil:
		return len(answer) > 0 && answer[0] == stillHere
	case ctx.Err() == nil && (errors.Is(err, context.DeadlineExceeded) || protocol.Code_UNSUPPORTED.Is(err)):
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.handovers.mute == nil {
			c.handovers.mute = map[string]time.Time{}
		}
		c.handovers.mute[node] = time.Now().Add(handoverFor)
	}
	return false
}

// ofView is the body of such an inquiry.
func ofView(version int64) []byte { return protowire.AppendVarint(nil, uint64(version)) }

// given answers whether this node has let go of a session, when it has, or at the latest when half
// of the time for it has passed.
func (n *Node) given(ctx context.Context, _, session string, body []byte) ([]byte, error) {
	c := n.cluster.Load()
	version, read := protowire.ConsumeVarint(body)
	if read < 0 {
		return nil, protocol.BadRequest("the version of a view that cannot be read")
	}
	v := c.view.Load()
	if v.Version < int64(version) {
		c.Members.Look()
	} else if v.owner(session) == c.self.ID {
		return nil, nil // who asks will see
	}
	r := n.sessions.find(session)
	if r == nil {
		return nil, nil
	}
	f := &farewell{gone: make(chan struct{})}
	n.tell(r.pid, f)
	until, _ := ctx.Deadline()
	half := time.NewTimer(time.Until(until) / 2)
	defer half.Stop()
	select {
	case <-f.gone:
		return nil, nil
	case <-half.C:
	case <-ctx.Done():
	}
	return []byte{stillHere}, nil
}
