package load

import (
	"fmt"
	"sync/atomic"
)

// room is one session that is measured: its members, and who sends.
type room struct {
	members []*conn
	flows   []*flow
}

// inbox is what one member got of its session: every message exactly once, each
// sender's in the order sent, all in the order of seq. Its connection alone writes it.
type inbox struct {
	first   int      // the sender number of the room's first flow
	next    []uint32 // by flow: the number that comes next
	missing map[uint64]struct{}
	lastSeq int64
	sum     uint64
	count   atomic.Int64 // messages got, without duplicates

	duplicate, disorder int64
}

func newInbox(r *room) *inbox {
	return &inbox{first: r.flows[0].sender, next: make([]uint32, len(r.flows))}
}

// note takes a seq that carries no message of ours.
func (i *inbox) note(seq int64) {
	if seq <= i.lastSeq {
		i.disorder++
	}
	i.lastSeq = max(i.lastSeq, seq)
}

// got takes one message; false: it was here before.
func (i *inbox) got(sender int, n uint32, seq int64) bool {
	at := sender - i.first
	if at < 0 || at >= len(i.next) {
		i.disorder++ // a message of another session
		return false
	}
	key := uint64(at)<<32 | uint64(n)
	switch next := i.next[at]; {
	case n == next:
		i.next[at]++
	case n > next:
		if i.missing == nil {
			i.missing = map[uint64]struct{}{}
		}
		for ; next < n; next++ {
			i.missing[uint64(at)<<32|uint64(next)] = struct{}{}
		}
		i.next[at] = n + 1
	default:
		if _, late := i.missing[key]; !late {
			i.duplicate++
			return false
		}
		delete(i.missing, key)
		i.disorder++
	}
	i.note(seq)
	i.sum += mix(seq, sender, n)
	i.count.Add(1)
	return true
}

// mix makes a number of a message and its place in the log. Sums of it tell
// whether a member saw each acked message under the seq that its sender was told.
func mix(seq int64, sender int, n uint32) uint64 {
	x := uint64(seq)*0x9e3779b97f4a7c15 ^ uint64(sender)<<32 ^ uint64(n)
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Checks counts what must all be 0.
type Checks struct {
	Lost       int64 `json:"lost"`       // acked, and not delivered to a member that was online while that was waited for (drain)
	Duplicate  int64 `json:"duplicate"`  // delivered twice to one member
	Disorder   int64 `json:"disorder"`   // against the sender's order, or the order of seq, or under another seq than acked
	Refused    int64 `json:"refused"`    // answered with an error
	Unanswered int64 `json:"unanswered"` // sent, and no answer when the run ended
	Broken     int64 `json:"broken"`     // connections that ended by themselves

	Why []string `json:"why,omitempty"` // of the first few
}

const maxWhy = 8

func (c *Checks) say(format string, args ...any) {
	if len(c.Why) < maxWhy {
		c.Why = append(c.Why, fmt.Sprintf(format, args...))
	}
}

// Err is nil when nothing went wrong.
func (c *Checks) Err() error {
	if c.Lost|c.Duplicate|c.Disorder|c.Refused|c.Unanswered|c.Broken == 0 {
		return nil
	}
	return fmt.Errorf("lost %d, duplicate %d, disorder %d, refused %d, unanswered %d, broken connections %d %v",
		c.Lost, c.Duplicate, c.Disorder, c.Refused, c.Unanswered, c.Broken, c.Why)
}

// check compares what was acked with what each member got. The readers have ended.
func (c *Checks) check(rooms []*room) {
	for _, r := range rooms {
		for _, f := range r.flows {
			c.Refused += int64(len(f.refused))
			for n, code := range f.refused {
				c.say("sender %d message %d: %s", f.sender, n, code)
				break
			}
			if open := f.inFlight(); open > 0 {
				c.Unanswered += int64(open)
				c.say("sender %d: %d unanswered", f.sender, open)
			}
		}
		for _, m := range r.members {
			c.member(r, m)
		}
	}
}

func (c *Checks) member(r *room, m *conn) {
	i := m.inbox
	c.Duplicate += i.duplicate
	c.Disorder += i.disorder
	var lost int64
	var want uint64
	for at, f := range r.flows {
		if f.conn == m {
			continue // the sender's own connection got the answers
		}
		want += f.sum
		for key := range i.missing {
			if int(key>>32) == at && f.ackedNumber(uint32(key)) {
				lost++
			}
		}
		for n := i.next[at]; n < f.sent; n++ {
			if f.ackedNumber(n) {
				lost++
			}
		}
	}
	c.Lost += lost
	switch {
	case lost > 0:
		c.say("member %d: %d lost", m.user, lost)
	case i.duplicate > 0 || i.disorder > 0:
		c.say("member %d: %d duplicate, %d out of order", m.user, i.duplicate, i.disorder)
	case i.sum != want && i.agrees(r, m):
		c.Disorder++
		c.say("member %d: saw messages under other seqs than their senders were told", m.user)
	}
}

// agrees says that m got exactly what was acked, so that the sums must be equal:
// a message that was stored but never answered may be delivered all the same.
func (i *inbox) agrees(r *room, m *conn) bool {
	var acked int64
	for _, f := range r.flows {
		if f.conn != m {
			acked += int64(f.acked)
		}
	}
	return acked == i.count.Load()
}
