package actors_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/peers"
	"github.com/troupe-im/troupe/internal/protocol"
)

// side is one of several nodes that can lose whatever it needs.
type side struct {
	*ruled
	journal *hidden
	client  *client
}

// sidesOf starts n nodes that see each other, with a client at each.
func sidesOf(t *testing.T, n int) (all []*side) {
	store := newStage(t, actors.Config{}).store
	w := &wires{to: map[string]func(*peers.Envelope){}}
	var members []actors.Member
	for i := range n {
		s := &side{journal: &hidden{Journal: store, yielded: make(chan struct{})}}
		s.ruled = rule(t, s.journal, w, fmt.Sprint(i))
		s.out.to = map[string]bool{}
		all, members = append(all, s), append(members, s.members.self)
	}
	for i, s := range all {
		s.sees(1, members...)
		s.client = s.dial(fmt.Sprint("user", i), "1")
	}
	return all
}

// sent says whether the node has sent its client away.
func (s *side) sent() bool {
	s.client.mu.Lock()
	defer s.client.mu.Unlock()
	told := slices.ContainsFunc(s.client.frames, func(f *protocol.Frame) bool { return f.GetGoaway().GetRetryInMs() > 0 })
	return told && s.client.closed && s.client.code == protocol.Code_GOAWAY.CloseCode()
}

func TestWhoReachesNeitherRedisNorTheStoreNorMostNodesSendsItsClientsAway(t *testing.T) {
	const redis, store = 1, 2
	for name, c := range map[string]struct {
		nodes, lost int
		of          []int    // who loses it
		apart       [][2]int // who do not hear each other
		away        []int    // who sends clients away
	}{
		"one of three":                   {3, redis | store, []int{0}, [][2]int{{0, 1}, {0, 2}}, []int{0}},
		"one of two":                     {2, redis | store, []int{0}, [][2]int{{0, 1}}, []int{0}},
		"half of four":                   {4, redis | store, []int{0, 1}, [][2]int{{0, 2}, {0, 3}, {1, 2}, {1, 3}}, []int{0, 1}},
		"two of five":                    {5, redis | store, []int{0, 1}, [][2]int{{0, 2}, {0, 3}, {0, 4}, {1, 2}, {1, 3}, {1, 4}}, []int{0, 1}},
		"both are away for everybody":    {3, redis | store, []int{0, 1, 2}, nil, nil},
		"... and one of three has died":  {3, redis | store, []int{0, 1}, [][2]int{{0, 2}, {1, 2}}, nil},
		"both, and the others are heard": {3, redis | store, []int{0}, nil, nil},
		"Redis and the others":           {3, redis, []int{0}, [][2]int{{0, 1}, {0, 2}}, nil},
		"the store and the others":       {3, store, []int{0}, [][2]int{{0, 1}, {0, 2}}, nil},
		"the only one there is":          {1, redis | store, []int{0}, nil, nil},
		"the others, and nothing else":   {3, 0, nil, [][2]int{{0, 1}, {0, 2}}, nil},
		"both, and one of two others":    {3, redis | store, []int{0}, [][2]int{{0, 1}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				all := sidesOf(t, c.nodes)
				time.Sleep(5 * time.Second)
				lose := func(is bool) {
					for _, i := range c.of {
						all[i].members.lost.Store(is && c.lost&redis != 0)
						all[i].journal.is.Store(is && c.lost&store != 0)
					}
					for _, p := range c.apart {
						all[p[0]].out.lose(fmt.Sprint(p[1]), is)
						all[p[1]].out.lose(fmt.Sprint(p[0]), is)
					}
				}
				lose(true)
				time.Sleep(time.Second) // a moment is not enough
				for i, s := range all {
					if s.node.CutOff() {
						t.Errorf("node %d says so after a second", i)
					}
				}
				time.Sleep(9 * time.Second)
				for i, s := range all {
					want := slices.Contains(c.away, i)
					if s.node.CutOff() != want || s.sent() != want {
						t.Errorf("node %d: it is cut off: %v, its client was sent away: %v, want %v", i, s.node.CutOff(), s.sent(), want)
					}
				}
				lose(false)
				time.Sleep(10 * time.Second)
				for i, s := range all {
					if s.node.CutOff() {
						t.Errorf("node %d reaches everything, and says that it is cut off", i)
					}
					s.dial(fmt.Sprint("again", i), "1")
				}
			})
		})
	}
}

func TestWhoComesToANodeThatIsCutOffIsSentAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := sidesOf(t, 2)
		all[0].members.lost.Store(true)
		all[0].journal.is.Store(true)
		all[0].out.lose("1", true)
		time.Sleep(5 * time.Second)
		late := all[0].connect("late", "1", nil)
		time.Sleep(2 * time.Second)
		late.mu.Lock()
		defer late.mu.Unlock()
		if !late.closed || late.code != protocol.Code_GOAWAY.CloseCode() {
			t.Errorf("closed: %v with %d", late.closed, late.code)
		}
	})
}

func TestTheClientsOfANodeThatIsCutOffAreServedByTheOthersAndItEndsLater(t *testing.T) {
	tr := newTroupe(t)
	inner := tr.store
	one, two := tr.start(actors.Config{}), tr.start(actors.Config{})
	j := &hidden{Journal: inner, yielded: make(chan struct{})}
	tr.store = j
	three := tr.start(actors.Config{})
	together(t, one, two, three)
	ann, bob := three.dial("ann", "1"), one.dial("bob", "1")
	session := sessionAt(t, ann, three, "bob")
	ann.sends(session, "a", "before")
	j.is.Store(true)
	three.dies()
	eventually(t, "ann is sent away", func() bool {
		ann.mu.Lock()
		defer ann.mu.Unlock()
		return ann.closed && ann.code == protocol.Code_GOAWAY.CloseCode()
	})
	again := two.dial("ann", "1")
	again.sends(session, "b", "after")
	bob.wait("what she says elsewhere", func(f *protocol.Frame) bool { return f.GetMsgPush().GetClientMsgId() == "b" })
	if !three.node.CutOff() {
		t.Error("it takes clients again, and still reaches nobody")
	}
	j.is.Store(false)
	three.cut.Store(false)
	three.way.open()
	select {
	case <-three.outs:
	case <-time.After(30 * time.Second):
		t.Error("a node that was given up does not know")
	}
	three.ended = true
	go three.node.Drain(canceled(), 0)
}
