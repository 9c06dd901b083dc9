package actors

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-im/troupe/internal/peers"
	"github.com/troupe-im/troupe/internal/protocol"
)

// visitor stands for another node among those who are answered here: what sessions
// answer to its errands in one commit goes back in one record.
type visitor struct {
	cluster *cluster
	id      string // of the node
	address
	refused map[protocol.SessionID]refusal // guarded by cluster.mu
}

// refusal is the first errand of a session that was given back. Those that its node had
// sent behind it, before it knew, are given back as well, whatever this node's view is by
// then: else they would come before it.
type refusal struct {
	number uint64
	at     time.Time
}

// visit is an errand of another node's.
type visit struct {
	*ask
	from  *visitor
	until time.Time // while it is held
}

func (v *visitor) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *answers:
		all := make([]answer, 0, len(m.frames))
		for _, f := range m.frames {
			number, err := strconv.ParseUint(f.Id, 36, 64)
			if err != nil {
				continue
			}
			all = append(all, answer{number: number, frame: f})
		}
		v.answer(all...)
	case *end:
		c.Stop(c.Self())
	}
}

func (v *visitor) answer(all ...answer) {
	v.cluster.peers.Send(v.id, appendAnswers(nil, all), true) // false: it has gone, and whoever asked with it
}

// visitor finds the visitor of a node.
func (c *cluster) visitor(id string) *visitor {
	c.mu.Lock()
	defer c.mu.Unlock()
	v := c.guests[id]
	if v == nil {
		v = &visitor{cluster: c, id: id}
		v.address = c.node.spawn(v)
		c.guests[id] = v
	}
	return v
}

// receive takes a record of another node's, one at a time of each.
func (c *cluster) receive(from string, record []byte) {
	defer func() {
		if e := recover(); e != nil {
			c.node.panicked("cluster", e)
		}
	}()
	what, fields := recordOf(record)
	var err error
	switch what {
	case recordAsk:
		err = c.asked(from, fields)
	case recordAnswers:
		var all []answer
		if all, err = readAnswers(fields); len(all) > 0 {
			c.settle(all)
		}
	case recordRefusal:
		var numbers []uint64
		if numbers, err = readRefusal(fields); len(numbers) > 0 {
			c.refused(from, numbers)
		}
	case recordDraft:
		var d *Draft
		if d, err = readDraft(fields); err == nil && c.view.Load().owner(d.Session) == c.self.ID {
			c.hereOrNow(d.Session, d)
		}
	case recordInquiry:
		err = c.inquired(from, fields)
	case recordFound:
		var f *found
		if f, err = readFound(fields); err == nil {
			c.inquiries.settle(f)
		}
	}
	if err != nil {
		c.node.log.Warn("a node says what cannot be read", "from", from, "err", err)
	}
}

// asked takes an errand: it is told to its session, held until it is known whether the
// session is here, or refused.
func (c *cluster) asked(from string, fields []byte) error {
	a, err := readAsk(fields)
	v := c.visitor(from)
	if err != nil {
		if a.number != 0 {
			v.answer(answer{number: a.number, err: protocol.Errorf(protocol.Code_UNSUPPORTED, "the session's server is of another version, which cannot do this yet")})
		}
		if errors.Is(err, errNoAsk) {
			return nil
		}
		return err
	}
	c.stats.Served.Add(1)
	v.arrives(a)
	now := c.view.Load()
	c.mu.Lock()
	switch {
	case v.behindRefused(a):
		c.refuse(v, a)
		c.mu.Unlock()
	case len(c.held[a.session]) > 0, now.owner(a.session) != c.self.ID && a.view > now.Version:
		c.held[a.session] = append(c.held[a.session], &visit{ask: a, from: v, until: time.Now().Add(heldFor)})
		c.mu.Unlock()
		c.Members.Look()
	case now.owner(a.session) != c.self.ID:
		c.refuse(v, a)
		c.mu.Unlock()
	default:
		c.mu.Unlock()
		c.hereOrNow(a.session, a.m)
	}
	return nil
}

// refuse gives an errand back. mu is held.
func (c *cluster) refuse(v *visitor, a *ask) {
	if v.refused == nil {
		v.refused = map[protocol.SessionID]refusal{}
	}
	if r, ok := v.refused[a.session]; !ok || a.number < r.number {
		v.refused[a.session] = refusal{number: a.number, at: time.Now()}
	}
	c.peers.Send(v.id, appendRefusal(nil, a.number), true)
}

// behindRefused says whether a was sent behind one that was given back and has not come
// again. cluster.mu is held.
func (v *visitor) behindRefused(a *ask) bool {
	r, ok := v.refused[a.session]
	if ok && a.behind && a.number > r.number {
		return true
	}
	delete(v.refused, a.session)
	return false
}

// forgetRefused drops what is too old for anything to be on its way behind it. mu is held.
func (c *cluster) forgetRefused(now time.Time) {
	for _, v := range c.guests {
		for session, r := range v.refused {
			if now.Sub(r.at) > c.Wait {
				delete(v.refused, session)
			}
		}
	}
}

// heldFor is how long an errand waits for the View by which its session is here: nodes
// look twice a second, and at once where they have a reason.
const heldFor = 1500 * time.Millisecond

// hereOrNow tells a session of this node something at once, unless others wait.
func (c *cluster) hereOrNow(session protocol.SessionID, m any) {
	if c.backlog.Load() > 0 {
		c.mu.Lock()
		c.here(session, m)
		c.mu.Unlock()
		return
	}
	c.node.session(session).tell(m)
}

// settleHeld decides on the errands that are held for a session, by v. mu is held.
func (c *cluster) settleHeld(id protocol.SessionID, all []*visit, v *places, now time.Time) {
	if v.owner(id) == c.self.ID {
		for _, h := range all {
			if h.from.behindRefused(h.ask) {
				c.refuse(h.from, h.ask)
				continue
			}
			c.here(id, h.m)
		}
		delete(c.held, id)
		return
	}
	for len(all) > 0 && (all[0].view <= v.Version || now.After(all[0].until)) {
		c.refuse(all[0].from, all[0].ask)
		all = all[1:]
	}
	if len(all) == 0 {
		delete(c.held, id)
	} else {
		c.held[id] = all
	}
}

// arrives makes what was read something that a session here answers.
func (v *visitor) arrives(a *ask) {
	name := strconv.FormatUint(a.number, 36)
	at := func(r *request) { r.from, r.frame.Id = v.address, name }
	switch m := a.m.(type) {
	case *request:
		at(m)
	case *petition:
		at(m.r)
	case *byCode:
		at(m.r)
	case *decree:
		var once sync.Once
		m.told = func(err error) {
			once.Do(func() {
				one := answer{number: a.number}
				if err != nil {
					one.err = protocol.AsError(err)
				}
				v.answer(one)
			})
		}
	}
}

// heard takes a word: what is said without a link.
func (c *cluster) heard(from string, record []byte) {
	what, fields := recordOf(record)
	if what == recordLook {
		c.Members.Look()
	}
	if what != recordOut {
		return
	}
	_ = peers.Fields(fields, func(field protowire.Number, _ uint64, text []byte) {
		if field == 1 && string(text) == c.self.ID {
			c.out(fmt.Errorf("node %s says so", from)) // one that is cut off from Redis learns it from others alone
		}
	})
}
