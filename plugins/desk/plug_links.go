package desk

import (
	"context"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// attach has a channel take what is new from now on.
func (p *plug) attach(l *link, of Plugin, says *botv1.Describe, selves []*botv1.Self, scopes map[string]bool) {
	p.turn.Lock()
	defer p.turn.Unlock()
	p.single.Store(of.Single)
	p.mu.Lock()
	decided := p.decided
	p.mu.Unlock()
	consents := p.readConsents(selves, scopes)
	p.readTries()
	p.mu.Lock()
	old := p.link
	if p.decided != decided { // meanwhile: each is read again when it is needed
		clear(consents)
	}
	p.of, p.says, p.scopes, p.link, p.state, p.since = of, says, scopes, l, "online", p.d.need.Now()
	p.judges, p.consents, p.dueAt = says.Moderates && scopes["moderate"], consents, 0
	p.selves = map[protocol.UserID]*botv1.Self{}
	for _, s := range selves {
		p.selves[s.User] = s
	}
	for _, l := range p.lanes {
		l.wake() // what was retired waits for somebody to take it
	}
	p.mu.Unlock()
	p.d.mu.Lock()
	for _, s := range selves {
		p.d.bots[s.User] = p
	}
	p.d.mu.Unlock()
	if p.judgesHere() {
		p.d.hasJudge(p)
	}
	if old != nil {
		close(old.replaced)
	}
	for _, s := range selves {
		p.d.need.Actors.Attend(s.User, "online")
	}
	p.sayHere(true)
	p.mu.Lock()
	p.overflow = true // whatever happened without it
	p.dispatch()
	p.mu.Unlock()
	p.walkOn()
}

// retire has a channel finish what it has in hand, and take nothing new.
func (p *plug) retire(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.link == l {
		p.link, p.state = nil, "draining"
	}
}

func (p *plug) inHand(l *link) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, h := range p.hands {
		if h.link == l && h.state == given {
			n++
		}
	}
	return n
}

// detach takes back what an ended channel had in hand.
func (p *plug) detach(l *link) {
	l.tasks.Wait()
	p.turn.Lock()
	defer p.turn.Unlock()
	drained := l.quiet.Load()
	select {
	case <-l.drained:
		drained = true
	default:
	}
	calm := drained || l.remote
	p.writing.Lock()
	p.mu.Lock()
	if p.link == l {
		p.link = nil
	}
	rows := p.blame(l, calm)
	p.mu.Unlock()
	_ = p.putTries(context.Background(), rows) // before anything of it is given again
	p.writing.Unlock()
	p.mu.Lock()
	p.lost(l)
	p.loseDrafts(l)
	if p.link != nil || p.others(l) {
		p.dispatch()
		p.mu.Unlock()
		return
	}
	selves := p.selves
	p.mu.Unlock()
	p.writing.Lock()
	p.mu.Lock()
	p.state, p.since = "offline", p.d.need.Now()
	cursors := p.clear()
	p.mu.Unlock()
	defer p.sayHere(false) // when it is written down how far it was
	p.put(context.Background(), cursors)
	p.writing.Unlock()
	for user := range selves {
		p.d.need.Actors.Attend(user, "offline")
	}
}

// has says whether a user is one of the plugin's, as it said here.
func (p *plug) has(user protocol.UserID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.selves[user] != nil
}

// others says whether another channel still has something in hand.
func (p *plug) others(l *link) bool {
	for _, h := range p.hands {
		if h.state == given && h.link != nil && h.link != l {
			return true
		}
	}
	return false
}

// clear forgets all that the store knows, and gives the cursors to be written.
func (p *plug) clear() (cursors []*Cursor) {
	for _, l := range p.lanes {
		if l.dirty {
			cursors = append(cursors, l.cursor())
		}
		l.gone = true
	}
	for _, h := range p.hands {
		h.rest()
		if h.lane == nil && h.told != nil {
			h.told(errAway)
		}
	}
	p.lanes, p.hands = map[place]*lane{}, map[string]*hand{}
	p.work, p.ready, p.starved, p.full, p.held = nil, nil, nil, nil, 0
	p.given, p.slow, p.suspect = 0, 0, nil
	return cursors
}
