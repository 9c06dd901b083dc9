package check

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/troupe-im/troupe/cmd/chaos/history"
)

// Report is what a run came to.
type Report struct {
	Seed          int64           `json:"seed"`
	Kills         int             `json:"kills"`
	Sessions      int             `json:"sessions"`
	Entries       int             `json:"entries"` // stored
	Operations    int             `json:"operations"`
	Deliveries    int             `json:"deliveries"`
	Acked         int             `json:"acked"`         // different messages acknowledged
	LostPrefix    int             `json:"lostPrefix"`    // acknowledged, and older than all that is stored
	LostMiddle    int             `json:"lostMiddle"`    // with stored entries on both sides
	LostSuffix    int             `json:"lostSuffix"`    // newer than all that is stored
	Duplicated    int             `json:"duplicated"`    // stored a second time
	Reordered     int             `json:"reordered"`     // breaches of I5, I6 and I7
	Phantom       int             `json:"phantom"`       // stored or delivered, and never sent or not stored
	Indeterminate int             `json:"indeterminate"` // messages sent and never answered
	StoredOfThose int             `json:"storedOfThose"`
	Refused       int             `json:"refused"` // requests answered with an error
	Holes         int             `json:"holes"`   // breaches of I4 and I12
	UnreadDrift   int             `json:"unreadDrift"`
	Resumed       int             `json:"resumed"`   // connections that were replayed what they missed
	Snapshots     int             `json:"snapshots"` // connections that began with a list
	Recovery      []time.Duration `json:"recovery"`  // from the start of each process to ready
	Troubles      []Trouble       `json:"troubles,omitempty"`
	Stops         []time.Duration `json:"stops,omitempty"` // from SIGTERM to the end

	Violations []Violation `json:"violations"`
}

func (r *run) report() *Report {
	p := &Report{Seed: r.Seed, Sessions: len(r.Dump.Sessions), Violations: r.found, Recovery: recoveries(r.Events), Troubles: r.troubles(), Stops: stops(r.Events)}
	for _, e := range r.Events {
		switch {
		case e.What == history.Kill:
			p.Kills++
		case e.What == history.Push:
			p.Deliveries++
		case e.What == history.Fail:
			p.Refused++
		case e.What == history.Open && e.Resumed:
			p.Resumed++
		case e.What == history.Open:
			p.Snapshots++
		}
	}
	p.Operations = len(r.ops)
	for _, s := range r.Dump.Sessions {
		p.Entries += len(s.Entries)
	}
	for k, ops := range r.sends {
		i := slices.IndexFunc(ops, (*operation).ok)
		switch {
		case i >= 0:
			p.Acked++
			r.countLost(p, k, ops[i].end.Seq)
		case slices.ContainsFunc(ops, (*operation).info):
			p.Indeterminate++
			if r.first[k] != nil {
				p.StoredOfThose++
			}
		}
	}
	for _, v := range r.found {
		switch v.Invariant {
		case "I3":
			p.Duplicated++
		case "I5", "I6", "I7":
			p.Reordered++
		case "I2", "I8":
			p.Phantom++
		case "I4", "I12":
			p.Holes++
		case "I20":
			p.UnreadDrift++
		}
	}
	return p
}

func (r *run) countLost(p *Report, k key, seq int64) {
	if e := r.logs[k.session][seq]; e != nil && e.Cmid == k.cmid && e.Sender == k.sender {
		return
	}
	s := r.stored[k.session]
	switch {
	case s == nil || len(s.Entries) == 0 || seq > s.Entries[len(s.Entries)-1].Seq:
		p.LostSuffix++
	case seq < s.Entries[0].Seq:
		p.LostPrefix++
	default:
		p.LostMiddle++
	}
}

// answered: at rest, on a connection that lives, no request is without an answer.
func answered(r *run) {
	last := map[string]*history.Event{} // a client's last opening or end of a connection
	for _, e := range r.Events {
		if e.What == history.Open || e.What == history.Closed {
			last[e.Client] = e
		}
	}
	for _, o := range r.ops {
		if l := last[o.Client]; o.end == nil && l != nil && l.What == history.Open && l.Conn == o.Conn {
			r.say("live", o.Session, o.Seq, "%s of %s was never answered on a connection that lived on", o.Verb, o.Client)
		}
	}
}

// recovery: after each kill the server was ready again in the time allowed.
func recovery(r *run) {
	for i, took := range recoveries(r.Events) {
		if r.Allowed > 0 && took > time.Duration(r.Allowed) {
			r.say("live", "", 0, "start %d took %v to be ready, %v are allowed", i+1, took, time.Duration(r.Allowed))
		}
	}
}

func recoveries(events []*history.Event) []time.Duration {
	var took []time.Duration
	started := map[string]int64{} // by node
	for _, e := range events {
		if e.What == history.Start {
			started[e.Node] = e.T
			continue
		}
		if t, ok := started[e.Node]; ok && e.What == history.Ready {
			took = append(took, time.Duration(e.T-t))
			delete(started, e.Node)
		}
	}
	return took
}

// sentKey is the key of a stored client message id, see history.Sent.
func sentKey(sender, cmid string) string {
	b := append([]byte{byte(len(sender) >> 8), byte(len(sender))}, sender+cmid...)
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}

// most is how many violations of one invariant are printed.
const most = 10

// Print writes the report for people.
func (p *Report) Print(w io.Writer) {
	fmt.Fprintf(w, "seed %d: %d kills, %d sessions, %d operations, %d entries stored, %d deliveries\n",
		p.Seed, p.Kills, p.Sessions, p.Operations, p.Entries, p.Deliveries)
	fmt.Fprintf(w, "  acked          %d messages\n", p.Acked)
	fmt.Fprintf(w, "  lost           %d prefix, %d middle, %d suffix\n", p.LostPrefix, p.LostMiddle, p.LostSuffix)
	fmt.Fprintf(w, "  duplicated     %d\n  reordered      %d\n  phantom        %d\n", p.Duplicated, p.Reordered, p.Phantom)
	fmt.Fprintf(w, "  indeterminate  %d, of which %d are stored\n", p.Indeterminate, p.StoredOfThose)
	fmt.Fprintf(w, "  refused        %d\n  holes          %d\n  unread drift   %d\n", p.Refused, p.Holes, p.UnreadDrift)
	fmt.Fprintf(w, "  connections    %d resumed, %d with a list\n", p.Resumed, p.Snapshots)
	if n := len(p.Recovery); n > 0 {
		sorted := slices.Sorted(slices.Values(p.Recovery))
		fmt.Fprintf(w, "  ready after    median %v, slowest %v of %d starts\n",
			sorted[n/2].Round(time.Millisecond), sorted[n-1].Round(time.Millisecond), n)
	}
	if n := len(p.Stops); n > 0 {
		sorted := slices.Sorted(slices.Values(p.Stops))
		fmt.Fprintf(w, "  gone after     median %v, slowest %v of %d stops\n", sorted[n/2].Round(time.Millisecond), sorted[n-1].Round(time.Millisecond), n)
	}
	printTroubles(w, p.Troubles)
	count := map[string]int{}
	for _, v := range p.Violations {
		if count[v.Invariant]++; count[v.Invariant] <= most {
			fmt.Fprintf(w, "  BREACH %v\n", v)
		}
	}
	for _, name := range slices.Sorted(func(yield func(string) bool) {
		for name := range count {
			if !yield(name) {
				return
			}
		}
	}) {
		fmt.Fprintf(w, "  breaches of %s: %d\n", name, count[name])
	}
	if len(p.Violations) == 0 {
		fmt.Fprintln(w, "  every invariant holds")
	}
}
