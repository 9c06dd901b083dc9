// Package check judges the history of a chaos run. Every invariant is one pure
// function over the history; the numbers are those of docs/reliability.md.
package check

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/troupe-im/troupe/cmd/chaos/history"
)

// Violation is one thing that must never be true.
type Violation struct {
	Invariant string `json:"invariant"`
	Session   string `json:"session,omitempty"`
	Seq       int64  `json:"seq,omitempty"`
	Detail    string `json:"detail"`
}

func (v Violation) String() string {
	return fmt.Sprintf("%-4s session %s seq %d: %s", v.Invariant, v.Session, v.Seq, v.Detail)
}

// operation is an invocation and its end.
type operation struct {
	*history.Event
	end *history.Event // nil: none was seen, which is as good as Info
}

func (o *operation) ok() bool   { return o.end != nil && o.end.What == history.OK }
func (o *operation) fail() bool { return o.end != nil && o.end.What == history.Fail }
func (o *operation) info() bool { return !o.ok() && !o.fail() }

// returned is when the end was seen, for ever later when it was indeterminate.
func (o *operation) returned() int64 {
	if o.info() {
		return math.MaxInt64
	}
	return o.end.T
}

// key is what makes a message unique: its session, sender and client message id.
type key struct{ session, sender, cmid string }

// run is a history with its indexes.
type run struct {
	*history.History
	ops    []*operation // in the order of their invocations
	sends  map[key][]*operation
	stored map[string]*history.Stored
	logs   map[string]map[int64]*history.Entry // by session and seq, from the dump
	first  map[key]*history.Entry              // the dump's first entry of a key
	acks   map[string][]ack                    // by session, rising
	found  []Violation
}

func newRun(h *history.History) *run {
	r := &run{
		History: h,
		sends:   map[key][]*operation{},
		stored:  map[string]*history.Stored{},
		logs:    map[string]map[int64]*history.Entry{},
		first:   map[key]*history.Entry{},
	}
	ops := map[int64]*operation{}
	for _, e := range h.Events {
		switch e.What {
		case history.Invoke:
			o := &operation{Event: e}
			ops[e.Op] = o
			r.ops = append(r.ops, o)
			if e.Verb == history.Send {
				k := key{e.Session, e.User, e.Cmid}
				r.sends[k] = append(r.sends[k], o)
			}
		case history.OK, history.Fail, history.Info:
			if o := ops[e.Op]; o != nil && o.end == nil {
				o.end = e
			}
		}
	}
	for _, s := range h.Dump.Sessions {
		r.stored[s.Session] = s
		log := make(map[int64]*history.Entry, len(s.Entries))
		for _, e := range s.Entries {
			if log[e.Seq] == nil {
				log[e.Seq] = e
			}
			k := key{s.Session, e.Sender, e.Cmid}
			if e.Kind == "" && e.Cmid != "" && (r.first[k] == nil || e.Seq < r.first[k].Seq) {
				r.first[k] = e
			}
		}
		r.logs[s.Session] = log
	}
	r.indexAcks()
	return r
}

func (r *run) say(invariant, session string, seq int64, format string, args ...any) {
	r.found = append(r.found, Violation{invariant, session, seq, fmt.Sprintf(format, args...)})
}

// acked calls each for every operation of these verbs that was answered with a seq.
func (r *run) acked(each func(o *operation), verbs ...string) {
	for _, o := range r.ops {
		if o.ok() && o.end.Seq > 0 && slices.Contains(verbs, o.Verb) {
			each(o)
		}
	}
}

// writes are the verbs whose answer names an entry.
var writes = []string{history.Send, history.Edit, history.Recall, history.React, history.Add, history.Remove}

// kindOf is the kind of entry that a verb makes.
var kindOf = map[string]string{
	history.Send: "", history.Edit: "edit", history.Recall: "recall", history.React: "react",
	history.Add: "join", history.Remove: "leave",
}

// All checks every invariant and gives the report, its violations ordered by invariant.
func All(h *history.History) *Report {
	r := newRun(h)
	for _, check := range []func(*run){
		durable, noInvention, once, contiguous, oneOrder, senderFIFO, linearizable,
		fenced, committedOnly, readYourAck, resumeComplete, honestRefusal, messageIDs, receipts, unread, answered, recovery, drained, leaves, answersAgain,
	} {
		check(r)
	}
	slices.SortStableFunc(r.found, func(a, b Violation) int { return cmp.Compare(number(a.Invariant), number(b.Invariant)) })
	return r.report()
}

func number(invariant string) int {
	n := 0
	for _, c := range invariant {
		if c >= '0' && c <= '9' {
			n = n*10 + int(c-'0')
		}
	}
	return n
}
