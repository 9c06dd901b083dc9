package actors

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// gazer is a node that looks at a store ten times a second. What it says the others know a little later.
type gazer struct {
	blindness
	answered time.Time     // when the store last answered it
	every    time.Duration // between its questions
	phase    time.Duration
	late     time.Duration // until the others know what it says
	known    []Sight       // what it has said, one for each look
}

// tell says what the others know of it at a look.
func (g *gazer) tell(i int) Sight {
	if i -= int(g.late / tenth); i >= 0 {
		return g.known[i]
	}
	return Clear
}

const tenth = 100 * time.Millisecond

// gaze has nodes look for so long; away says whether the store is away for a node at a time.
func gaze(nodes []*gazer, long time.Duration, away func(node int, at time.Duration) bool) {
	start := time.Unix(1e9, 0)
	for _, g := range nodes {
		g.answered = start
	}
	for i := range int(long / tenth) {
		at := time.Duration(i) * tenth
		for n, g := range nodes {
			if (at+g.phase)%g.every < tenth && !away(n, at) {
				g.answered = start.Add(at)
			}
			others := false
			for m, o := range nodes {
				others = others || m != n && o.tell(i-1) == Clear
			}
			g.said = g.look(start.Add(at), start.Add(at).Sub(g.answered), others)
			g.known = append(g.known, g.said)
		}
	}
}

func TestNodesThatLoseTheStoreTogetherGiveNoSessionAway(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var nodes []*gazer
		var from []time.Duration
		for range 3 {
			nodes = append(nodes, &gazer{
				every: 500 * time.Millisecond,
				phase: time.Duration(rapid.IntRange(0, 4).Draw(t, "phase")) * tenth,
				late:  time.Duration(rapid.IntRange(0, 3).Draw(t, "late")) * tenth,
			})
			from = append(from, 10*time.Second-time.Duration(rapid.IntRange(0, 2).Draw(t, "from"))*tenth)
		}
		to := 10*time.Second + time.Duration(rapid.IntRange(15, 200).Draw(t, "for"))*tenth
		gaze(nodes, 40*time.Second, func(n int, at time.Duration) bool {
			return at >= from[n] && at < to+time.Duration(n)*5*tenth // which also find it again one after the other
		})
		for n, g := range nodes {
			for i, s := range g.known {
				if s == Blind {
					t.Fatalf("node %d says %v after the loss that it alone is blind", n, time.Duration(i)*tenth-from[n])
				}
			}
			if g.said != Clear {
				t.Fatalf("node %d does not see the store again", n)
			}
		}
	})
}

func TestANodeThatLosesTheStoreAloneGivesItsSessionsAwayUntilItSeesIt(t *testing.T) {
	nodes := []*gazer{{every: 500 * time.Millisecond}, {every: 500 * time.Millisecond}}
	from, to := 10*time.Second, 20*time.Second
	gaze(nodes, 30*time.Second, func(n int, at time.Duration) bool { return n == 1 && at >= from && at < to })
	for i, s := range nodes[1].known {
		at := time.Duration(i) * tenth
		switch blind := s == Blind; {
		case at < from, at > to+sightAgain+500*time.Millisecond:
			if blind {
				t.Errorf("at %v it is blind", at)
			}
		case at > from+blindAfter && at < to+sightAgain-500*time.Millisecond:
			if !blind {
				t.Errorf("at %v it is not blind", at)
			}
		}
		if nodes[0].known[i] != Clear {
			t.Errorf("at %v the other one says %d", at, nodes[0].known[i])
		}
	}
}
