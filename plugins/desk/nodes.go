package desk

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

// Nodes is the installation of several nodes that the desk is a part of. *actors.Node fills it.
type Nodes interface {
	// NodeID names this node until it ends; "": it is alone.
	NodeID() string
	// OwnerAmong is the node that id falls to, of those named that are there; "": none is.
	OwnerAmong(id string, nodes []string) string
	// Changed says something to all nodes, whose desks are given it by Heard. It does not
	// block, and may be lost.
	Changed(kind, id string)
	// Inquire asks another node's desk something, which its Inquired answers, ctx's end at most.
	Inquire(ctx context.Context, node, kind, about string, body []byte) ([]byte, error)
}

// A bot that opens a WebSocket comes to one node, or to some, and its sessions are at all of
// them. Of the nodes that reach it, each of its sessions falls to one, which serves it there:
// the session's own, where that one reaches it. It reads the log, and does what the bot calls
// for, as it would for a session of its own; what it is not offered the session's node tells it.
// What is to be ruled on the session's node asks it about.

// What desks tell each other. Words are parted by spaces.
const (
	HeardHere    = "bot-here"    // plugin, node, wordModerates or wordNot, and versionOf what it says: it is reached there
	HeardGone    = "bot-gone"    // plugin, node: no more
	HeardNew     = "bot-new"     // bot, session, head, bots of the session: there is something new
	HeardLeft    = "bot-left"    // bot: it was taken out of a session
	HeardStop    = "bot-stop"    // session, bot, stream, who: the rest of a draft is not wanted
	HeardConsent = "bot-consent" // bot, session: it was decided whether it may
	HeardDue     = "bot-due"     // plugin, whose node it falls to, Unix milliseconds: something is due then
)

const (
	wordModerates = "moderates"
	wordNot       = "-"
)

const (
	// hereEvery is how often it is said that a bot is reached, and walkEvery how often it is looked
	// for what nobody told, both in flushes, which are seconds.
	hereEvery = 5
	walkEvery = 25
	// herePatience is how long it is believed.
	herePatience = 3 * hereEvery * time.Second
)

// reach is where else bots are reached that come by a WebSocket.
type reach struct {
	mu sync.Mutex
	at map[string]map[string]time.Time // by plugin and node: when it was last said
}

// saw notes that a plugin is reached at a node, and says whether that is news.
func (r *reach) saw(plugin, node string, now time.Time) (news bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.at == nil {
		r.at = map[string]map[string]time.Time{}
	}
	if r.at[plugin] == nil {
		r.at[plugin] = map[string]time.Time{}
	}
	_, known := r.at[plugin][node]
	r.at[plugin][node] = now
	return !known
}

func (r *reach) gone(plugin, node string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.at[plugin], node)
}

// nodes are those where a plugin is reached.
func (r *reach) nodes(plugin string, now time.Time) (nodes []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for node, at := range r.at[plugin] {
		if now.Sub(at) > herePatience {
			delete(r.at[plugin], node)
		} else {
			nodes = append(nodes, node)
		}
	}
	return nodes
}

// several says whether there are other nodes.
func (d *Desks) several() bool { return d.need.Nodes != nil && d.need.Nodes.NodeID() != "" }

// Elsewhere says whether a plugin is reached by other nodes: those serve it.
func (d *Desks) Elsewhere(plugin string) bool {
	return d.several() && len(d.reach.nodes(plugin, d.need.Now())) > 0
}

// serves says whether it is this node that gives the bot what falls to id, a session or
// another word.
func (p *plug) serves(id string) bool {
	if !p.single.Load() || !p.d.several() {
		return p.d.need.Owns(id)
	}
	n := p.d.need.Nodes
	return n.OwnerAmong(id, append(p.d.reach.nodes(p.id, p.d.need.Now()), n.NodeID())) == n.NodeID()
}

// sayHere tells the others that the bot is reached here, or no more.
func (p *plug) sayHere(here bool) {
	if !p.single.Load() || !p.d.several() {
		return
	}
	kind, words := HeardHere, p.id+" "+p.d.need.Nodes.NodeID()
	if !here {
		kind = HeardGone
	} else {
		word := wordNot
		if p.judgesHere() {
			word = wordModerates
		}
		p.mu.Lock()
		words += " " + word + " " + versionOf(p.says)
		p.mu.Unlock()
	}
	p.d.need.Nodes.Changed(kind, words)
}

// ReachedAt are the nodes, by their ids, where a plugin is reached that comes by a WebSocket.
func (d *Desks) ReachedAt(plugin string) []string {
	if !d.several() {
		return nil
	}
	nodes := d.reach.nodes(plugin, d.need.Now())
	if p := d.known(plugin); p != nil && p.single.Load() && p.linked() {
		nodes = append(nodes, d.need.Nodes.NodeID())
	}
	slices.Sort(nodes)
	return nodes
}

// heardJudges notes whether a plugin moderates that is reached elsewhere.
func (d *Desks) heardJudges(plugin string, judges bool) {
	p := d.known(plugin)
	if p == nil && judges {
		p = d.plug(plugin)
	}
	if p == nil {
		return
	}
	p.mu.Lock()
	if p.link == nil {
		p.judges = judges
	}
	p.mu.Unlock()
	if judges {
		d.hasJudge(p)
	}
}

// linked says whether the bot takes new events here.
func (p *plug) linked() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.link != nil
}

// afar tells the nodes that reach a bot what is offered to it here, where it is not reached.
func (d *Desks) afar(bot protocol.UserID, o *actors.Offer) {
	if !d.Elsewhere(pluginOf(bot)) {
		return
	}
	head := o.Info.GetHeadSeq()
	for _, e := range o.Entries {
		head = max(head, e.Seq)
	}
	d.need.Nodes.Changed(HeardNew, fmt.Sprint(bot, " ", o.Session, " ", head, " ", strings.Join(o.Bots, " ")))
}

// Heard takes what the desk of a node says, this one's or another's. It does not block.
func (d *Desks) Heard(kind, id string) {
	words := strings.Fields(id)
	word := func(i int) string {
		if i < len(words) {
			return words[i]
		}
		return ""
	}
	switch kind {
	case HeardHere, HeardGone:
		if !d.several() || word(1) == "" || word(1) == d.need.Nodes.NodeID() {
			return
		}
		if kind == HeardGone {
			d.reach.gone(word(0), word(1))
		} else {
			d.heardJudges(word(0), word(2) == wordModerates)
			d.learn(word(0), word(1), word(3))
			if !d.reach.saw(word(0), word(1), d.need.Now()) {
				return
			}
		}
		d.lookAgain(word(0))
	case HeardNew:
		head, err := strconv.ParseInt(word(2), 10, 64)
		if p := d.of(word(0)); p != nil && err == nil {
			p.heardNew(place{word(0), word(1)}, head, words[3:])
		}
	case HeardLeft:
		d.lookAgain(pluginOf(word(0)))
	case HeardStop:
		if p := d.of(word(1)); p != nil && p.linked() {
			p.stopDraft(word(0), word(2), word(3))
		}
	case HeardConsent:
		d.forgetConsent(word(0), word(1))
	case HeardDue:
		at, err := strconv.ParseInt(word(2), 10, 64)
		if p := d.known(word(0)); p != nil && err == nil && p.waitsPast(at) && p.serves(word(1)) {
			p.dueSoon(at)
		}
	}
}

// lookAgain has what is new for a plugin looked for soon, as others serve it otherwise now.
func (d *Desks) lookAgain(plugin string) {
	if p := d.known(plugin); p != nil {
		p.mu.Lock()
		p.overflow, p.dueAt = true, 0
		p.mu.Unlock()
	}
}

// heardNew is offer for a session at another node.
func (p *plug) heardNew(at place, head int64, bots []protocol.UserID) {
	if !p.linked() || !p.serves(at.session) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.lane(at)
	if l == nil {
		return
	}
	l.bots, l.used, l.head = slices.Clone(bots), p.d.need.Now(), max(l.head, head)
	if !l.loaded || l.head > l.read {
		p.want(l)
	}
}
