package desk

import (
	"slices"
	"strings"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
)

// Status is how a plugin stands at the desk.
type Status struct {
	Plugin  string
	State   string // online, draining, offline
	Since   time.Time
	Version string // of the plugin; "": it was never here
	SDK     string
	Bots    []protocol.UserID
	Scopes  []string // granted
	Remote  bool
	Nodes   []string // of several, the ids of those that reach it, where it comes to some; this one may be among them

	LagEvents  int64   // entries that it was not asked about yet, in the sessions in memory
	LagSeconds float64 // how old the oldest event is that is not done
	Lanes      int     // sessions in memory
	Held       int     // events that wait in memory
	InHand     int
	Drafts     int

	Acked       int64
	Redelivered int64
	DeadLetters int64 // since the start
	Duplicates  int64 // posts that were there already
	TooOld      int64 // events that nobody waited for any more
	Crashes     int64 // channels that ended with something in hand, or without a word
	Judged      int64 // messages that it looked at as a moderator, at the node where it is
	Unjudged    int64 // that it did not answer about in time, at the session's

	Latency Histogram // from the first time it was given until it was acknowledged
}

// Histogram counts per bucket: Counts[i] took at most Bounds[i] seconds, and more than
// the bound before; the last one is what took longer than all.
type Histogram struct {
	Counts [len(bounds) + 1]int64
	Sum    float64 // seconds
}

// bounds of the buckets in seconds.
var bounds = [...]float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60}

// Bounds gives the buckets' upper bounds in seconds.
func Bounds() []float64 { return bounds[:] }

// counts are a plugin's, since the start.
type counts struct {
	acked, redelivered, dead, duplicates, old, crashes, judged, unjudged int64
	latency                                                              Histogram
}

func (c *counts) took(d time.Duration) {
	s := d.Seconds()
	i := 0
	for i < len(bounds) && s > bounds[i] {
		i++
	}
	c.latency.Counts[i]++
	c.latency.Sum += s
}

// Status says how every plugin stands that was here since the start, by id.
func (d *Desks) Status() []Status {
	all := []Status{}
	for _, p := range d.all() {
		s := p.status()
		s.Nodes = d.ReachedAt(p.id)
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b Status) int { return strings.Compare(a.Plugin, b.Plugin) })
	return all
}

func (p *plug) status() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := Status{
		Plugin: p.id, State: p.state, Since: p.since, Version: p.says.GetVersion(), SDK: p.says.GetSdk(), Remote: p.of.Remote,
		Lanes: len(p.lanes), Held: p.held, InHand: p.given, Drafts: len(p.drafts),
		Acked: p.count.acked, Redelivered: p.count.redelivered, DeadLetters: p.count.dead, Duplicates: p.count.duplicates,
		TooOld: p.count.old, Crashes: p.count.crashes, Judged: p.count.judged, Unjudged: p.count.unjudged, Latency: p.count.latency,
	}
	for user := range p.selves {
		s.Bots = append(s.Bots, user)
	}
	for scope := range p.scopes {
		s.Scopes = append(s.Scopes, scope)
	}
	slices.Sort(s.Bots)
	slices.Sort(s.Scopes)
	oldest := int64(0)
	for _, l := range p.lanes {
		if l.loaded {
			s.LagEvents += max(0, l.head-l.low)
		}
		if len(l.pending) > 0 {
			if at := l.pending[0].event.CreatedAt; oldest == 0 || at < oldest {
				oldest = at
			}
		}
	}
	if oldest != 0 {
		s.LagSeconds = max(0, float64(p.d.now()-oldest)/1000)
	}
	return s
}
