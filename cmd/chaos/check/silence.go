package check

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/troupe-im/troupe/cmd/chaos/history"
)

// silence is a time in which somebody waited for a session, and it said nothing to
// anybody. That a message was asked for once and then given up is none: with few requests
// the next one comes much later.
type silence struct {
	session  string
	from, to int64
	ended    bool // the history ended before it did
}

// silences are those of all sessions.
func (r *run) silences(faults []fault) (all []silence) {
	type moment struct {
		t      int64
		more   int  // how many more wait from here on
		answer bool // the session said something
	}
	last := int64(0)
	if n := len(r.Events); n > 0 {
		last = r.Events[n-1].T
	}
	by := map[string][]moment{}
	wait := func(session string, from, to int64) {
		if from < to {
			by[session] = append(by[session], moment{t: from, more: 1}, moment{t: to, more: -1})
		}
	}
	for k, ops := range r.sends {
		acked := slices.IndexFunc(ops, (*operation).ok)
		for i, o := range ops {
			to := last
			if o.end != nil {
				to = o.end.T
			}
			if o.ok() || o.fail() && o.end.Code != "BUSY" {
				by[k.session] = append(by[k.session], moment{t: to, answer: true})
			}
			wait(k.session, o.T, deaf(faults, o, to))
			if i+1 < len(ops) && !o.fail() && i < acked { // its client looks for a node that takes it
				until := min(ops[i+1].T, r.connects(o.Client, to))
				for _, w := range r.unheard(faults, o.Client, to, until) {
					wait(k.session, to, w[0])
					to = w[1]
				}
				wait(k.session, to, until)
			}
		}
	}
	for session, moments := range by {
		slices.SortStableFunc(moments, func(a, b moment) int {
			return cmp.Or(cmp.Compare(a.t, b.t), first(a.answer, b.answer), cmp.Compare(a.more, b.more))
		})
		waiting, since := 0, int64(0)
		for _, m := range moments {
			if waiting > 0 && (m.answer || waiting+m.more == 0) && m.t > since {
				all = append(all, silence{session, since, m.t, m.t == last && !m.answer})
			}
			if m.answer || waiting == 0 {
				since = m.t
			}
			waiting += m.more
		}
	}
	return all
}

// connects is when a client is connected again after t.
func (r *run) connects(client string, t int64) int64 {
	for _, e := range r.Events {
		if e.What == history.Open && e.Client == client && e.T > t {
			return e.T
		}
	}
	return math.MaxInt64
}

// unheard are the parts of a time in which a client tried to connect to a node that hears nothing, in
// their order: that one has no way to know either.
func (r *run) unheard(faults []fault, client string, from, to int64) (all [][2]int64) {
	for _, e := range r.Events {
		if e.What != history.Missed && e.What != history.Open || e.Client != client || e.T <= from || e.Began >= to {
			continue
		}
		for _, f := range faults {
			if f.Deaf && f.Node == e.Node && e.Began < f.mended && e.T > f.T {
				all = append(all, [2]int64{max(from, e.Began, f.T), min(to, e.T)})
			}
		}
	}
	return all
}

func first(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// deaf gives until when who asked for o, which ended at to, waited for something that could
// have answered: a node that hears nothing does not, and its client has no way to know.
func deaf(faults []fault, o *operation, to int64) int64 {
	for _, f := range faults {
		if f.Deaf && f.Node == o.Node && o.T < f.mended && to > f.T {
			return max(o.T, f.T)
		}
	}
	return to
}

// stalled is how much of a time the machine let the run itself do nothing.
func (r *run) stalled(from, to int64) (all time.Duration) {
	for _, e := range r.Events {
		if e.What == history.Stall {
			all += time.Duration(max(0, min(to, e.T)-max(from, e.Began)))
		}
	}
	return all
}
