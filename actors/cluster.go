package actors

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/troupe-im/troupe/internal/peers"
	"github.com/troupe-im/troupe/internal/protocol"
)

// Member is one node of an installation, from its start to its end.
type Member struct {
	ID      string // new with each start
	Address string // where other nodes reach it
	Leaving bool   // it has given its sessions away
	Sight   Sight  // whether it reaches the store
	Misses  string // those that it does not reach, by their ids, parted by commas
}

// View is who is there.
type View struct {
	Version int64    // rises with each change
	Members []Member // each once
}

// Members is who belongs to an installation, as all of its nodes see it, after a while.
type Members interface {
	// Join makes a node known. seen is called with what is so at first, before Join returns,
	// and with what is so from then on, one call at a time; self is always in it. out is
	// called, once, when the others have given this node up: it must end then. While nobody
	// can be asked, the node is alone.
	Join(self Member, seen func(View), out func(why error)) error
	// Look asks soon, as there may be news.
	Look()
	// Leave says that this node gives its sessions away, Quit that it has gone.
	Leave(ctx context.Context) error
	Quit(ctx context.Context) error
	// See says whether this node reaches the store.
	See(ctx context.Context, sight Sight) error
	// Miss says which other nodes this one does not reach, as in Member.Misses.
	Miss(ctx context.Context, nodes string) error
	// Lost says that nobody could be asked for more than a second. It is asked ten times a
	// second, so it does not wait.
	Lost() bool
}

// Cluster is what a node needs to be one of several.
type Cluster struct {
	Members Members
	// Listen begins to take what other nodes say, and says where they reach this one. A
	// transport that has a Close method is closed at the end.
	Listen func(take func(*peers.Envelope)) (transport peers.Transport, address string, err error)
	// Out is called when the others have given this node up. It should end the process.
	Out func(why error)

	Wait    time.Duration // for an answer from another node, before BUSY, or INTERNAL where it may have been done; default 8 s
	Pending int           // requests at one node that have no answer yet; default 20,000
}

// cluster is a node's part in an installation of several. Sessions are placed: each is at
// the node that owner names, and what is told to a session elsewhere goes there as an errand.
type cluster struct {
	Cluster
	node  *Node
	self  Member
	peers *peers.Peers
	took  peers.Transport
	view  atomic.Pointer[places]

	last    atomic.Uint64 // number of the newest errand
	mu      sync.Mutex
	pending map[uint64]*errand
	at      map[string]int             // how many of them are at each node
	open    map[protocol.SessionID]int // … and of each session
	waiting map[protocol.SessionID]int // how many wait for a node that takes them
	held    map[protocol.SessionID][]*visit
	guests  map[string]*visitor

	// What is for sessions here and has to keep its place in front of what comes next.
	backlog atomic.Int64
	queue   []placed
	wake    sync.Cond

	inquiries inquiries
	handovers handovers

	blind      blindness
	cut        cutoff
	neighbours neighbours
	late       belated
	given      atomic.Bool // the others have given this node up
	ended      atomic.Bool
	stop       chan struct{}
	running    sync.WaitGroup
	stats      ClusterStats
}

type placed struct {
	session protocol.SessionID
	m       any
}

// JoinCluster makes the node one of several. It is called before the first connection.
func (n *Node) JoinCluster(ctx context.Context, cfg Cluster) error {
	if cfg.Wait == 0 {
		cfg.Wait = 8 * time.Second
	}
	if cfg.Pending == 0 {
		cfg.Pending = 20_000
	}
	c := &cluster{
		Cluster: cfg, node: n, pending: map[uint64]*errand{}, at: map[string]int{}, open: map[protocol.SessionID]int{}, waiting: map[protocol.SessionID]int{},
		held: map[protocol.SessionID][]*visit{}, guests: map[string]*visitor{}, stop: make(chan struct{}),
	}
	c.wake.L = &c.mu
	c.self.ID = newEpoch()
	var early sync.Mutex // nothing is taken before there is somebody who takes it
	early.Lock()
	transport, address, err := cfg.Listen(func(e *peers.Envelope) {
		early.Lock()
		p := c.peers
		early.Unlock()
		if p != nil {
			p.Take(e)
		}
	})
	if err != nil {
		early.Unlock()
		return fmt.Errorf("actors: %w", err)
	}
	c.self.Address, c.took = address, transport
	c.peers = peers.New(peers.Config{ID: c.self.ID, Address: address, Receive: c.receive, Heard: c.heard, Log: n.log}, transport)
	c.view.Store(placesOf(View{Members: []Member{c.self}}, c.self.ID))
	early.Unlock()
	c.running.Go(c.deliver)
	c.running.Go(c.watch)
	n.cluster.Store(c)
	if err := n.streams.Follow(ctx, NodesSubject); err != nil {
		n.log.Warn("what other nodes say to all is not heard yet", "err", err)
	}
	if err := cfg.Members.Join(c.self, c.seen, func(why error) { c.out(why) }); err != nil {
		c.close()
		return fmt.Errorf("actors: %w", err)
	}
	c.nudge()
	return nil
}

// nudge has the others look who is there, so that they need not find out by themselves.
func (c *cluster) nudge() {
	for _, m := range c.view.Load().Members {
		if m.ID != c.self.ID {
			c.peers.Say(m.Address, []byte{recordLook})
		}
	}
}

// out ends a node that others have given up.
func (c *cluster) out(why error) {
	if c.ended.Load() || c.given.Swap(true) {
		return
	}
	c.node.log.Error("the other nodes have given this one up: it ends, and has to be started anew", "node", c.self.ID, "why", why)
	if c.Out != nil {
		c.Out(why)
	}
}

// seen takes a new View: requests at nodes that have gone are given to those that come
// after them, sessions that are not this node's any more are let go.
func (c *cluster) seen(v View) {
	before, now := c.view.Load(), placesOf(v, c.self.ID)
	for _, m := range v.Members {
		if m.ID != c.self.ID {
			c.peers.Meet(m.ID, m.Address)
		}
	}
	var gone []Member
	for _, m := range before.Members {
		if m.ID != c.self.ID && !now.has(m.ID) {
			gone = append(gone, m)
		}
	}
	c.mu.Lock()
	earlier := map[protocol.SessionID]bool{}
	for _, e := range c.inOrder() {
		c.place(e, now, earlier)
	}
	for id, visits := range c.held {
		c.settleHeld(id, visits, now, time.Now())
	}
	c.changes(before, now, time.Now())
	c.view.Store(now)
	var left []*visitor
	for _, m := range gone {
		if g := c.guests[m.ID]; g != nil {
			left = append(left, g)
			delete(c.guests, m.ID)
		}
		delete(c.at, m.ID)
	}
	c.mu.Unlock()
	for _, m := range gone {
		c.peers.Part(m.ID)
		if !m.Leaving {
			c.peers.Say(m.Address, appendOut(nil, m.ID))
		}
	}
	for _, g := range left {
		c.node.tell(g.pid, &end{})
	}
	if died := slices.DeleteFunc(gone, func(m Member) bool { return m.Leaving }); len(died) > 0 {
		well := before.asIfWell(died)
		c.node.lostBy(func(session protocol.SessionID) bool {
			owner := well.owner(session)
			return slices.ContainsFunc(died, func(m Member) bool { return m.ID == owner })
		})
	}
	if !slices.EqualFunc(before.Members, now.Members, Member.alike) || !slices.Equal(before.ids, now.ids) {
		c.node.log.Info("who is there has changed", "node", c.self.ID, "version", now.Version, "nodes", now.names(c.self.ID))
		c.node.moved()
		c.yield(now)
		if r, ok := c.node.robots.(interface{ Moved() }); ok {
			r.Moved()
		}
	}
}

// moved has sessions that are not this node's any more look at that.
func (n *Node) moved() {
	if n.cluster.Load() == nil {
		return
	}
	n.sessions.each(func(id string, r *ref) {
		if !n.Owns(id) {
			n.tell(r.pid, &move{})
		}
	})
}

// watch gives up what has waited too long, and tries again what nobody took.
func (c *cluster) watch() {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-c.stop:
			return
		case now := <-tick.C:
			c.review(now)
			c.lookAtStore(now)
			c.lookAtOthers(now)
			c.lookAround(now)
		}
	}
}

func (c *cluster) review(now time.Time) {
	var over []*errand
	c.mu.Lock()
	if len(c.pending) > 0 || len(c.held) > 0 {
		v := c.view.Load()
		for _, e := range c.pending {
			if now.Sub(e.since) >= c.Wait {
				c.drop(e)
				over = append(over, e)
			}
		}
		if len(c.waiting) > 0 {
			earlier := map[protocol.SessionID]bool{}
			for _, e := range c.inOrder() {
				if e.to == "" {
					c.place(e, v, earlier)
				}
				earlier[e.session] = true
			}
		}
		for id, visits := range c.held {
			c.settleHeld(id, visits, v, now)
		}
	}
	c.forgetRefused(now)
	c.late.forget(now)
	c.mu.Unlock()
	for _, e := range over {
		c.stats.Busy.Add(1)
		busy := protocol.Errorf(protocol.Code_BUSY, "session %s is not to be reached now, ask again", e.session)
		busy.RetryAfterMs = 500
		var out mail
		c.node.settle(e.m, c.definite(e, answer{err: busy}, e.given), &out)
		out.send(nil)
	}
}

// deliver is the goroutine that tells sessions here what waited.
func (c *cluster) deliver() {
	for {
		c.mu.Lock()
		for len(c.queue) == 0 && !c.ended.Load() {
			c.wake.Wait()
		}
		batch := c.queue
		c.queue = nil
		c.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		for _, p := range batch {
			c.node.session(p.session).tell(p.m)
			c.backlog.Add(-1)
		}
	}
}

// here has a session of this node told m, behind what waits. mu is held.
func (c *cluster) here(session protocol.SessionID, m any) {
	c.backlog.Add(1)
	c.queue = append(c.queue, placed{session, m})
	c.wake.Signal()
}
