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

// step is one operation as the model sees it: the append of one entry, or a read
// of the head.
type step struct {
	read bool
	seq  int64
}

// sessionModel is a session as a list that is only appended to. The list's end is
// known from the dump, so the state is how much of it is there already; the map
// from client message ids to places is the ids up to there (see steps).
var sessionModel = porcupine.Model{
	Init: func() any { return int64(0) },
	Step: func(state, input, _ any) (bool, any) {
		head, in := state.(int64), input.(step)
		if in.read {
			return in.seq == head, head
		}
		return in.seq == head+1, head + 1
	},
}

// linearizable is I7: every session behaves as if its operations were done one
// at a time, each at some moment between its request and its answer. Porcupine
// looks for such an order.
func linearizable(r *run) {
	for _, s := range r.Dump.Sessions {
		ops := r.steps(s)
		switch porcupine.CheckOperationsTimeout(sessionModel, ops, linearTimeout) {
		case porcupine.Illegal:
			r.say("I7", s.Session, s.Head, "no order explains the answers around its %d entries", len(s.Entries))
		case porcupine.Unknown:
			r.say("I7", s.Session, s.Head, "no order was found in %v for %d operations", linearTimeout, len(ops))
		}
	}
}

// steps gives an append for every entry and the reads. An entry that was asked for
// several times was appended by one of these requests: after the first of them, and
// before the first answer to any of them, or before anybody saw it or a later one,
// whichever was first. So a request without an answer, which may take effect at any
// later time, needs no search over all times; and an answer naming another place
// than its client message id has in the log is no answer of such a list at all.
func (r *run) steps(s *history.Stored) []porcupine.Operation {
	asked, told := map[int64]int64{}, r.firstSeen(s)
	var ops []porcupine.Operation
	clients := map[string]int{}
	add := func(client string, in step, call, ret int64) {
		if _, ok := clients[client]; !ok {
			clients[client] = len(clients)
		}
		ops = append(ops, porcupine.Operation{ClientId: clients[client], Input: in, Call: call, Return: ret})
	}
	place := func(o *operation, seq int64) {
		if t, ok := asked[seq]; !ok || o.T < t {
			asked[seq] = o.T
		}
	}
	for _, o := range r.ops {
		if o.Session != s.Session {
			continue
		}
		e := r.first[key{o.Session, o.User, o.Cmid}]
		switch {
		case o.Verb == history.Sync && o.ok():
			add(o.Client, step{read: true, seq: o.end.Head}, o.T, o.end.T)
		case o.Verb == history.Send && o.ok() && (e == nil || e.Seq != o.end.Seq):
			r.say("I7", s.Session, o.end.Seq, "%s was told this place of %s, which is not where it is", o.Client, o.Cmid)
		case o.Verb == history.Send && !o.fail() && e != nil:
			place(o, e.Seq)
		case o.Verb != history.Send && slices.Contains(writes, o.Verb) && o.ok() && o.end.Seq > 0:
			place(o, o.end.Seq)
		}
	}
	for _, e := range s.Entries {
		ret, seen := told[e.Seq]
		if !seen {
			ret = math.MaxInt64
		}
		call := asked[e.Seq]
		if ret < call && e.Kind == "" {
			r.say("I7", s.Session, e.Seq, "it, or what comes after it, was seen before %s asked for it", e.Sender)
		}
		if ret < call { // a second request was answered with what a first one did that has no answer
			call = 0
		}
		add(e.Sender, step{seq: e.Seq}, call, ret)
	}
	return ops
}

// firstSeen gives for every seq the time at which somebody first was told of it or
// of a later one.
func (r *run) firstSeen(s *history.Stored) map[int64]int64 {
	told := map[int64]int64{}
	top := int64(0)
	for _, e := range r.Events {
		seq := headsTold(e)[s.Session]
		switch {
		case e.What == history.Push && e.Entry.Session == s.Session:
			seq = e.Entry.Seq
		case e.What == history.OK && e.Session == s.Session && slices.Contains(writes, e.Verb):
			seq = e.Seq
		}
		for ; top < seq; top++ {
			told[top+1] = e.T
		}
	}
	return told
}
