package check

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/troupe-im/troupe/cmd/chaos/history"
)

// fenced is I16: where two nodes hold a session to be theirs, one of them gets nothing
// done. No place in a log was given to two requests, and no request two places; and what
// two nodes told of a place is the same.
func fenced(r *run) {
	type place struct {
		session string
		seq     int64
	}
	given := map[place]*operation{}
	r.acked(func(o *operation) {
		at := place{o.Session, o.end.Seq}
		was := given[at]
		switch {
		case was == nil:
			given[at] = o
		case !again(was, o):
			r.say("I16", o.Session, o.end.Seq, "given to %s by %s and to %s by %s", was.Client, node(was.end), o.Client, node(o.end))
		}
	}, writes...)
	for k, ops := range r.sends {
		var first *operation
		for _, o := range ops {
			switch {
			case !o.ok():
			case first == nil:
				first = o
			case first.end.Seq != o.end.Seq:
				r.say("I16", k.session, o.end.Seq, "%s of %s is here by %s and at %d by %s", k.cmid, k.sender, node(o.end), first.end.Seq, node(first.end))
			}
		}
	}
	type teller struct {
		entry *history.Entry
		node  string
	}
	told := map[place]teller{}
	for _, e := range r.Events {
		entries := e.Entries
		if e.What == history.Push {
			entries = []*history.Entry{e.Entry}
		}
		for _, entry := range entries {
			at := place{entry.Session, entry.Seq}
			was, ok := told[at]
			if !ok {
				told[at] = teller{entry, e.Node}
			} else if was.node != e.Node && !identical(was.entry, entry) {
				r.say("I16", entry.Session, entry.Seq, "%s tells %+v, %s tells %+v", node(e), *entry, was.node, *was.entry)
			}
		}
	}
}

func node(e *history.Event) string { return cmp.Or(e.Node, "the server") }

// again says whether two requests are the same one asked for twice.
func again(a, b *operation) bool {
	if a.Verb != b.Verb || a.User != b.User {
		return false
	}
	return a.Verb == history.Send && a.Cmid == b.Cmid || a.Verb != history.Send && a.Target == b.Target && slices.Equal(a.Members, b.Members)
}

// drained is I27: a node that is asked to stop answers what it was asked before it goes.
func drained(r *run) {
	type window struct{ from, to int64 }
	stops := map[string][]window{}
	for _, f := range r.faults() {
		if f.Verb == history.Stop {
			stops[f.Node] = append(stops[f.Node], window{f.T, f.mended})
		}
	}
	for _, o := range r.ops {
		if o.Verb != history.Send || o.end == nil || o.end.What != history.Info {
			continue
		}
		for _, w := range stops[o.Node] {
			if o.T >= w.from && o.end.T <= w.to {
				r.say("I27", o.Session, 0, "%s asked %s for %s while it was asked to stop, and was not answered", o.Client, o.Node, o.Cmid)
			}
		}
	}
}

// leaves: a node that is asked to stop is gone in the time that is promised.
func leaves(r *run) {
	for _, took := range stops(r.Events) {
		if r.Leaves > 0 && took > time.Duration(r.Leaves) {
			r.say("live", "", 0, "a node took %v to stop, %v are allowed", took.Round(time.Millisecond), time.Duration(r.Leaves))
		}
	}
}

// stops are the times from SIGTERM to the end of a node.
func stops(events []*history.Event) (took []time.Duration) {
	asked := map[string]int64{}
	for _, e := range events {
		switch {
		case e.What == history.Fault && e.Verb == history.Stop:
			asked[e.Node] = e.T
		case e.What == history.Left && asked[e.Node] > 0:
			took = append(took, time.Duration(e.T-asked[e.Node]))
			delete(asked, e.Node)
		}
	}
	return took
}

// Trouble is one thing that happened to an installation, and what came of it.
type Trouble struct {
	What   string        `json:"what"`
	Node   string        `json:"node,omitempty"`
	Lasted time.Duration `json:"lasted"`
	// Answered is the longest that a session said nothing to anybody while somebody waited
	// for it: from when that was first so after the begin, or after the end where nothing can
	// be acknowledged before. Who asks a node that hears nothing does not count so long.
	Answered time.Duration `json:"answered"`
	Waited   time.Duration `json:"waited"`  // the longest that somebody waited for a message sent meanwhile, over all tries
	Stalled  time.Duration `json:"stalled"` // for so long of Answered the machine let nobody work
	Session  string        `json:"session,omitempty"`
	Never    bool          `json:"never,omitempty"` // a session that was asked never answered again
}

type fault struct {
	*history.Event
	mended int64
	next   int64 // when the one after it begins
}

// faults pairs what began with its end.
func (r *run) faults() (all []fault) {
	for i, e := range r.Events {
		if e.What != history.Fault {
			continue
		}
		if n := len(all); n > 0 {
			all[n-1].next = e.T
		}
		f := fault{e, e.T, math.MaxInt64}
		for _, m := range r.Events[i:] {
			if m.What == history.Mend && m.Verb == e.Verb && m.Node == e.Node {
				f.mended = m.T
				break
			}
		}
		all = append(all, f)
	}
	return all
}

func (r *run) troubles() (all []Trouble) {
	faults := r.faults()
	silences := r.silences(faults)
	for _, f := range faults {
		from, next := f.T, cmp.Or(f.next, math.MaxInt64)
		if f.Dark {
			from = f.mended
		}
		t := Trouble{What: f.Verb, Node: f.Node, Lasted: time.Duration(f.mended - f.T)}
		for _, s := range silences {
			if s.to <= from || s.from >= next {
				continue
			}
			began := max(s.from, from)
			switch took := time.Duration(s.to - began); {
			case s.ended && !t.Never:
				t.Never, t.Answered, t.Stalled, t.Session = true, took, r.stalled(began, s.to), s.session
			case took > t.Answered && !t.Never:
				t.Answered, t.Stalled, t.Session = took, r.stalled(began, s.to), s.session
			}
		}
		for _, ops := range r.sends {
			if i := slices.IndexFunc(ops, (*operation).ok); i >= 0 && ops[0].T >= f.T && ops[0].T <= f.mended {
				t.Waited = max(t.Waited, time.Duration(ops[i].end.T-ops[0].T))
			}
		}
		all = append(all, t)
	}
	return all
}

// answersAgain: whatever happens, each session acknowledges again within the time that is
// promised, while it lasts or, where nothing can be acknowledged then, after. What the
// machine itself stood still is not the server's.
func answersAgain(r *run) {
	for _, t := range r.troubles() {
		switch {
		case r.Answers == 0:
		case t.Never:
			r.say("live", t.Session, 0, "after %s %s it was asked and never acknowledged anything again", t.What, t.Node)
		case t.Answered-t.Stalled > time.Duration(r.Answers):
			r.say("live", t.Session, 0, "%v after %s %s it acknowledged something again, %v are allowed (the machine stood still for %v)",
				t.Answered.Round(time.Millisecond), t.What, t.Node, time.Duration(r.Answers), t.Stalled.Round(time.Millisecond))
		}
	}
}

// printTroubles writes what each kind of trouble came to.
func printTroubles(w io.Writer, all []Trouble) {
	kinds := map[string][]Trouble{}
	for _, t := range all {
		kinds[t.What] = append(kinds[t.What], t)
	}
	for _, what := range slices.Sorted(maps.Keys(kinds)) {
		var worst Trouble
		var waited, lasted time.Duration
		for _, t := range kinds[what] {
			waited, lasted = max(waited, t.Waited), max(lasted, t.Lasted)
			if t.Answered >= worst.Answered {
				worst = t
			}
		}
		fmt.Fprintf(w, "  %-40s %2d ×, up to %4.1f s: all sessions answer after %4.2f s (the machine stood still for %4.2f), longest wait %5.2f s\n", what, len(kinds[what]),
			lasted.Seconds(), worst.Answered.Seconds(), worst.Stalled.Seconds(), waited.Seconds())
	}
}
