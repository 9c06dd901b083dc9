package check

import (
	"strings"
	"testing"
	"time"

	"github.com/troupe-im/troupe/cmd/chaos/history"
)

// atNodes has Ann's phone and Bob speak to one node and Ann's tablet to another.
func atNodes() *story {
	s := good()
	for _, e := range s.Events {
		switch e.Client {
		case "ann.1", "bob.1":
			e.Node = "n1"
		case "ann.2":
			e.Node = "n2"
		}
	}
	return s
}

// trouble has something happen to a node, and be mended after some time.
func (s *story) trouble(what, node string, lasts int64, dark bool) *history.Event {
	f := s.add(history.Event{What: history.Fault, Verb: what, Node: node, Dark: dark})
	s.now += lasts
	s.add(history.Event{What: history.Mend, Verb: what, Node: node})
	return f
}

func TestWhatSeveralNodesMayNotDo(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(s *story)
		want  string
	}{
		"nothing is wrong": {func(s *story) {}, ""},
		"two owners gave one place to two messages": {func(s *story) {
			s.do("ann.2", history.Send, "c9", "mine", 3)
		}, "I16"},
		"two owners gave one message two places": {func(s *story) {
			asked, told := s.do("ann.2", history.Send, "c1", "hello", 4)
			asked.Node, told.Node = "n2", "n2"
		}, "I16"},
		"two nodes show two orders": {func(s *story) {
			s.push("bob.1", message(5, "ann", "c5", "five")).Node = "n1"
			s.push("ann.2", message(5, "bob", "c6", "another five")).Node = "n2"
		}, "I16"},
		"a message is stored twice": {func(s *story) {
			st := s.Dump.Sessions[0]
			twice := *message(5, "ann", "c1", "hello")
			st.Entries, st.Head = append(st.Entries, &twice), 5
		}, "I3"},
		"a node that was asked to stop did not answer": {func(s *story) {
			s.add(history.Event{What: history.Fault, Verb: history.Stop, Node: "n1"})
			asked, told := s.do("ann.1", history.Send, "c8", "anybody?", 0)
			asked.Node, told.Node, told.What, told.Seq = "n1", "n1", history.Info, 0
			s.add(history.Event{What: history.Mend, Verb: history.Stop, Node: "n1"})
		}, "I27"},
		"nor did one that was killed, which is no breach": {func(s *story) {
			s.add(history.Event{What: history.Fault, Verb: "kill", Node: "n1"})
			asked, told := s.do("ann.1", history.Send, "c8", "anybody?", 0)
			asked.Node, told.Node, told.What, told.Seq = "n1", "n1", history.Info, 0
			s.add(history.Event{What: history.Mend, Verb: "kill", Node: "n1"})
		}, ""},
		"a node takes too long to stop": {func(s *story) {
			s.Leaves = 15
			s.add(history.Event{What: history.Fault, Verb: history.Stop, Node: "n1"})
			s.add(history.Event{What: history.Kill, Node: "n2"})
			s.add(history.Event{What: history.Left, Node: "n1"})
			s.add(history.Event{What: history.Mend, Verb: history.Stop, Node: "n1"})
		}, "live"},
		"a session answers too late": {func(s *story) {
			s.Answers = 1000
			s.trouble("kill", "n2", 10, false)
			_, told := s.do("ann.1", history.Send, "c1", "hello", 2)
			s.now += 2000
			told.T = s.now
		}, "live"},
		"the machine stood still so long, which is no breach": {func(s *story) {
			s.Answers = 1000
			s.trouble("kill", "n2", 10, false)
			asked, told := s.do("ann.1", history.Send, "c1", "hello", 2)
			s.now += 2000
			told.T = s.now
			s.add(history.Event{What: history.Stall, Began: asked.T + 100})
		}, ""},
		"one message is given up and the next is sent much later, which is no breach": {func(s *story) {
			s.Answers = 1000
			s.trouble("kill", "n2", 10, false)
			_, told := s.do("ann.1", history.Send, "c8", "anybody?", 0)
			told.What, told.Seq = history.Info, 0
			s.now += 5000
			s.do("ann.1", history.Send, "c1", "hello", 2)
		}, ""},
		"but it is when its client found nobody to ask again": {func(s *story) {
			s.Answers = 1000
			s.trouble("kill", "n2", 10, false)
			_, told := s.do("ann.1", history.Send, "c8", "anybody?", 0)
			told.What, told.Seq = history.Info, 0
			s.now += 5000
			s.do("ann.1", history.Send, "c8", "anybody?", 5)
		}, "live"},
		"who asks a node that hears nothing has no way to know": {func(s *story) {
			s.Answers = 1000
			s.trouble("a node is stopped", "n1", 10, false).Deaf = true
			s.Events[len(s.Events)-1].T += 100
			s.now -= 10
			asked, told := s.do("ann.1", history.Send, "c1", "hello", 2)
			s.now += 3000
			asked.Node, told.Node, told.T = "n1", "n1", s.now
		}, ""},
		"not so where nothing can be acknowledged meanwhile": {func(s *story) {
			s.Answers = 1000
			s.trouble("the store is killed", "", 2000, true)
			s.do("ann.1", history.Send, "c1", "hello", 2)
		}, ""},
		"a session never answers again": {func(s *story) {
			s.Answers = 1000
			s.trouble("kill", "n2", 10, false)
			_, told := s.do("ann.1", history.Send, "c8", "anybody?", 0)
			told.What, told.Seq = history.Info, 0
		}, "live"},
	} {
		t.Run(name, func(t *testing.T) {
			s := atNodes()
			c.spoil(s)
			p := All(&s.History)
			var seen []string
			for _, v := range p.Violations {
				seen = append(seen, v.Invariant)
			}
			if found := strings.Contains(strings.Join(seen, " ")+" ", c.want+" "); c.want == "" && len(seen) > 0 || c.want != "" && !found {
				t.Errorf("breaches %v, want %q", p.Violations, c.want)
			}
		})
	}
}

func TestWhoTriesToConnectToANodeThatHearsNothingHasNoWayToKnow(t *testing.T) {
	for node, kept := range map[string]bool{"n1": false, "n2": true} {
		s := atNodes()
		s.Answers = 1000
		s.trouble("a node is stopped", "n1", 4000, false).Deaf = true
		s.now -= 4000
		asked, told := s.do("ann.1", history.Send, "c8", "anybody?", 0)
		asked.Node, told.Node, told.What, told.Seq = "n2", "n2", history.Info, 0
		began := s.now + 5
		s.now += 3000
		s.add(history.Event{What: history.Missed, Client: "ann.1", User: "ann", Node: node, Began: began})
		s.do("ann.1", history.Send, "c8", "anybody?", 5)
		live := 0
		for _, v := range All(&s.History).Violations {
			if v.Invariant == "live" {
				live++
			}
		}
		if live > 0 != kept {
			t.Errorf("%d waits too long while a client tries to connect to %s, which is not stopped: %v", live, node, kept)
		}
	}
}

func TestARecoveryIsMeasuredFromWhereItCanBegin(t *testing.T) {
	s := atNodes()
	s.trouble("cut", "n1", 500, false)
	asked, told := s.do("bob.1", history.Send, "c1", "hi", 3)
	p := All(&s.History)
	if len(p.Troubles) != 1 || p.Troubles[0].Answered != time.Duration(told.T-asked.T) || p.Troubles[0].Lasted != 510 {
		t.Errorf("troubles %+v, want one of 510 ns, answered after %d ns", p.Troubles, told.T-asked.T)
	}
	var out strings.Builder
	p.Print(&out)
	if !strings.Contains(out.String(), "cut") {
		t.Errorf("the report does not say it:\n%s", &out)
	}
}

func TestStartsAreCountedByNode(t *testing.T) {
	s := atNodes()
	s.add(history.Event{What: history.Start, Node: "n1"})
	s.add(history.Event{What: history.Start, Node: "n2"})
	s.add(history.Event{What: history.Ready, Node: "n1"})
	s.add(history.Event{What: history.Ready, Node: "n2"})
	if p := All(&s.History); len(p.Recovery) != 3 || p.Recovery[1] != 20 || p.Recovery[2] != 20 {
		t.Errorf("starts took %v, want the first and two of 20 ns", p.Recovery)
	}
}
