package check

import (
	"cmp"
	"fmt"
	"io"
	"maps"
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

// Trouble is one thing that happened to an installation, and what came of it.
type Trouble struct {
	What     string        `json:"what"`
	Node     string        `json:"node,omitempty"`
	Lasted   time.Duration `json:"lasted"`
	Answered time.Duration `json:"answered"` // from its begin, or its end where nothing can be acknowledged before, until every session had acknowledged something asked after it
	Slowest  time.Duration `json:"slowest"`  // the longest that a send asked while it lasted took until its answer
	Session  string        `json:"session,omitempty"`
	Never    bool          `json:"never,omitempty"` // a session that was asked never answered again
}

type fault struct {
	*history.Event
	mended int64
}

// faults pairs what began with its end.
func (r *run) faults() (all []fault) {
	for i, e := range r.Events {
		if e.What != history.Fault {
			continue
		}
		f := fault{e, e.T}
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
	for _, f := range r.faults() {
		from := f.T
		if f.Dark {
			from = f.mended
		}
		t := Trouble{What: f.Verb, Node: f.Node, Lasted: time.Duration(f.mended - f.T)}
		asked, answered := map[string]bool{}, map[string]int64{}
		for _, o := range r.ops {
			if o.Verb != history.Send || o.T < from || o.fail() {
				continue
			}
			asked[o.Session] = true
			if t := answered[o.Session]; o.ok() && (t == 0 || o.end.T < t) {
				answered[o.Session] = o.end.T
			}
			if o.ok() && o.T <= f.mended {
				t.Slowest = max(t.Slowest, time.Duration(o.end.T-o.T))
			}
		}
		for _, s := range slices.Sorted(maps.Keys(asked)) {
			end, ok := answered[s]
			if !ok {
				t.Never, t.Session = true, s
			} else if took := time.Duration(end - from); took > t.Answered {
				t.Answered, t.Session = took, cmp.Or(t.Session, s)
			}
		}
		all = append(all, t)
	}
	return all
}

// answersAgain: whatever happens, each session acknowledges again within the time that is
// promised, while it lasts or, where nothing can be acknowledged then, after.
func answersAgain(r *run) {
	for _, t := range r.troubles() {
		switch {
		case r.Answers == 0:
		case t.Never:
			r.say("live", t.Session, 0, "after %s %s it was asked and never acknowledged anything again", t.What, t.Node)
		case t.Answered > time.Duration(r.Answers):
			r.say("live", t.Session, 0, "%v after %s %s it acknowledged something again, %v are allowed", t.Answered.Round(time.Millisecond), t.What, t.Node, time.Duration(r.Answers))
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
		var answered, lasted []time.Duration
		for _, t := range kinds[what] {
			answered, lasted = append(answered, t.Answered), append(lasted, t.Lasted)
		}
		slices.Sort(answered)
		fmt.Fprintf(w, "  %-38s %2d times, up to %5.1f s; every session answers again after %.2f s, at most %.2f s\n", what, len(answered),
			slices.Max(lasted).Seconds(), answered[len(answered)/2].Seconds(), answered[len(answered)-1].Seconds())
	}
}
