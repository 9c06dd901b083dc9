package check

import (
	"math"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/troupe-im/troupe/cmd/chaos/history"
)

// oneOrder is I5: all readers agree on what a seq is, and on one connection the
// first deliveries of a session rise.
func oneOrder(r *run) {
	type place struct {
		session string
		seq     int64
	}
	seen := map[place]*history.Entry{}
	agree := func(who string, e *history.Entry) {
		at := place{e.Session, e.Seq}
		if was := seen[at]; was == nil {
			seen[at] = e
		} else if !identical(was, e) {
			r.say("I5", e.Session, e.Seq, "%s saw %+v, others saw %+v", who, *e, *was)
		}
	}
	type stream struct {
		client  string
		conn    int
		session string
	}
	last := map[stream]int64{}
	had := map[stream]map[int64]bool{}
	for _, e := range r.Events {
		for _, entry := range e.Entries {
			agree(e.Client, entry)
		}
		if e.What != history.Push {
			continue
		}
		agree(e.Client, e.Entry)
		at := stream{e.Client, e.Conn, e.Entry.Session}
		if had[at] == nil {
			had[at] = map[int64]bool{}
		}
		if e.Entry.Seq < last[at] && !had[at][e.Entry.Seq] {
			r.say("I5", at.session, e.Entry.Seq, "delivered to %s for the first time after %d", e.Client, last[at])
		}
		had[at][e.Entry.Seq] = true
		last[at] = max(last[at], e.Entry.Seq)
	}
	for _, read := range r.Reads {
		for _, e := range read.Entries {
			agree(read.User+" by "+read.Path, e)
		}
	}
}

// senderFIFO is I6: what one device sent into a session in an order is in the
// log in that order. A message that another device sent as well before it was
// acknowledged may come earlier, so it is left out.
func senderFIFO(r *run) {
	type lane struct{ client, session string }
	last := map[lane]*operation{}
	lastSeq := map[lane]int64{}
	for _, o := range r.ops {
		if o.Verb != history.Send {
			continue
		}
		ops := r.sends[key{o.Session, o.User, o.Cmid}]
		if ops[0] != o || sharedBeforeAck(ops) {
			continue
		}
		seq := int64(0)
		for _, again := range ops {
			if again.ok() {
				seq = again.end.Seq
				break
			}
		}
		if seq == 0 {
			continue
		}
		at := lane{o.Client, o.Session}
		if seq < lastSeq[at] {
			r.say("I6", o.Session, seq, "%s sent %s after %s, which is at %d", o.Client, o.Cmid, last[at].Cmid, lastSeq[at])
		}
		last[at], lastSeq[at] = o, seq
	}
}

// sharedBeforeAck says whether a second device, or the same one with a later
// connection that may overtake, joined in before the first acknowledgement.
func sharedBeforeAck(ops []*operation) bool {
	acked := int64(math.MaxInt64)
	for _, o := range ops {
		if o.ok() {
			acked = min(acked, o.end.T)
		}
	}
	return slices.ContainsFunc(ops, func(o *operation) bool { return o.Client != ops[0].Client && o.T < acked })
}

// linearTimeout bounds one session's search for an order. 3,000 operations take
// some 30 ms when there is one.
const linearTimeout = 30 * time.Second

// step is one operation as the model sees it: an append at a seq (by a new or a
// repeated request), or a read of the head.
type step struct {
	read bool
	seq  int64
	// first is the seq at which the log first has this client message id; an
	// append elsewhere would be a second copy.
	first int64
}

// sessionModel is a session as a list that is only appended to, with a map from
// client message ids to places. As the list's end is known from the dump, the
// state is how much of it is there already; the map is the ids up to there.
var sessionModel = porcupine.Model{
	Init: func() any { return int64(0) },
	Step: func(state, input, output any) (bool, any) {
		head, in := state.(int64), input.(step)
		switch {
		case in.read:
			return in.seq == head, head
		case in.seq == head+1 && in.first == in.seq:
			return true, head + 1
		default: // said again: the first answer comes back
			return in.first == in.seq && in.seq <= head, head
		}
	},
}

// linearizable is I7: every session behaves as if its operations were done one
// at a time, each at some moment between its request and its answer. Porcupine
// looks for such an order; requests without an answer may take effect at any
// later time.
func linearizable(r *run) {
	for _, s := range r.Dump.Sessions {
		ops := r.steps(s)
		switch porcupine.CheckOperationsTimeout(sessionModel, ops, linearTimeout) {
		case porcupine.Illegal:
			r.say("I7", s.Session, s.Head, "no order explains the %d answers of this session", len(ops))
		case porcupine.Unknown:
			r.say("I7", s.Session, s.Head, "no order was found in %v for %d operations", linearTimeout, len(ops))
		}
	}
}

func (r *run) steps(s *history.Stored) []porcupine.Operation {
	var ops []porcupine.Operation
	clients := map[string]int{}
	add := func(client string, in step, call, ret int64) {
		if _, ok := clients[client]; !ok {
			clients[client] = len(clients)
		}
		ops = append(ops, porcupine.Operation{ClientId: clients[client], Input: in, Call: call, Return: ret})
	}
	covered := map[int64]bool{}
	log := r.logs[s.Session]
	for _, o := range r.ops {
		if o.Session != s.Session {
			continue
		}
		switch {
		case o.Verb == history.Sync && o.ok():
			add(o.Client, step{read: true, seq: o.end.Head}, o.T, o.end.T)
		case o.Verb == history.Send && !o.fail():
			e := r.first[key{o.Session, o.User, o.Cmid}]
			in := step{}
			if e != nil {
				in.seq, in.first = e.Seq, e.Seq
			}
			if o.ok() {
				in.seq = o.end.Seq
			} else if e == nil {
				continue // it never took effect
			}
			covered[in.seq] = true
			add(o.Client, in, o.T, o.returned())
		case slices.Contains(writes, o.Verb) && o.ok() && o.end.Seq > 0:
			in := step{seq: o.end.Seq}
			if e := log[o.end.Seq]; e != nil && e.Kind == kindOf[o.Verb] {
				in.first = in.seq
			}
			covered[in.seq] = true
			add(o.Client, in, o.T, o.returned())
		}
	}
	for seq := range log {
		if !covered[seq] { // by the server itself, or unanswered
			add("the server", step{seq: seq, first: seq}, 0, math.MaxInt64)
		}
	}
	return ops
}
