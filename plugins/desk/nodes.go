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
	// OwnsAmong says whether id falls to this node, of those named that are there.
	OwnsAmong(id string, nodes []string) bool
	// Changed says something to all nodes, whose desks are given it by Heard. It does not
	// block, and may be lost.
	Changed(kind, id string)
}

// A bot that opens a WebSocket comes to one node, or to some, and its sessions are at all of
// them. Of the nodes that reach it, each of its sessions falls to one, which serves it there:
// the session's own, where that one reaches it. It reads the log, and does what the bot calls
// for, as it would for a session of its own; what it is not offered the session's node tells it.

// What desks tell each other. Words are parted by spaces.
const (
	HeardHere = "bot-here" // plugin, node: it is reached there
	HeardGone = "bot-gone" // plugin, node: no more
	HeardNew  = "bot-new"  // bot, session, head, bots of the session: there is something new
	HeardLeft = "bot-left" // bot: it was taken out of a session
	HeardStop = "bot-stop" // session, bot, stream, who: the rest of a draft is not wanted
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
	return n.OwnsAmong(id, append(p.d.reach.nodes(p.id, p.d.need.Now()), n.NodeID()))
}

// sayHere tells the others that the bot is reached here, or no more.
func (p *plug) sayHere(here bool) {
	if !p.single.Load() || !p.d.several() {
		return
	}
	kind := HeardHere
	if !here {
		kind = HeardGone
	}
	p.d.need.Nodes.Changed(kind, p.id+" "+p.d.need.Nodes.NodeID())
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
		} else if !d.reach.saw(word(0), word(1), d.need.Now()) {
			return
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
	}
}

// lookAgain has what is new for a plugin looked for soon, as others serve it otherwise now.
func (d *Desks) lookAgain(plugin string) {
	d.mu.RLock()
	p := d.plugs[plugin]
	d.mu.RUnlock()
	if p == nil {
		return
	}
	p.mu.Lock()
	p.overflow = true
	p.mu.Unlock()
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

// Recall has the desk know what an event of a bot's was about that another node gave it, so that
// calls for it are done here as they would be there. Of what is in no log it knows nothing.
func (d *Desks) Recall(ctx context.Context, plugin, event string) error {
	p := d.plug(plugin)
	message, bot, _ := strings.Cut(event, "@")
	session, _, err := protocol.ParseMessageID(message)
	p.mu.Lock()
	_, known := p.past.get(event)
	mine := p.selves[bot] != nil
	p.mu.Unlock()
	if known || !mine || err != nil {
		return nil
	}
	l := &lane{p: p, place: place{bot, session}, replay: true}
	e, err := l.entry(ctx, message)
	if err != nil || e == nil {
		return err
	}
	h, err := l.reread(ctx, e)
	if err != nil || h == nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.past.put(event, moment{bot, session, h.event})
	return nil
}

// reread makes an event of an entry, for a lane that is for nothing else.
func (l *lane) reread(ctx context.Context, e *protocol.Entry) (*hand, error) {
	info, err := l.p.d.session(ctx, l.p.speak(l.bot), l.session)
	if err != nil {
		return nil, err
	}
	l.typ = info.SessionType
	if l.state, err = l.p.d.need.Store.BotState(ctx, l.bot, l.session); err != nil {
		return nil, err
	}
	return l.event(ctx, e)
}
