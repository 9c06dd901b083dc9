package load

import "testing"

// story is a room of a sender and one reader; each send is acked under its own number + 1.
type story struct {
	room *room
	read *conn
}

func newStory() *story {
	sender, reader := &conn{wire: &floorWire{payload: minPayload}, user: 0}, &conn{user: 1}
	r := &room{members: []*conn{sender, reader}}
	sender.flow = newFlow(sender, 0, "1", 16)
	r.flows = []*flow{sender.flow}
	sender.inbox, reader.inbox = newInbox(r), newInbox(r)
	return &story{room: r, read: reader}
}

func (s *story) acked(n uint32) {
	f := s.room.flows[0]
	f.add(1)
	f.answered(&event{kind: ackEvent, n: n, seq: int64(n) + 1})
}

func TestChecksCountWhatWentWrong(t *testing.T) {
	type got struct {
		n   uint32
		seq int64
	}
	for name, c := range map[string]struct {
		got  []got
		want Checks
	}{
		"all in order":            {got: []got{{0, 1}, {1, 2}, {2, 3}}},
		"the last one lost":       {got: []got{{0, 1}, {1, 2}}, want: Checks{Lost: 1}},
		"the first one lost":      {got: []got{{1, 2}, {2, 3}}, want: Checks{Lost: 1}},
		"all lost":                {want: Checks{Lost: 3}},
		"one twice":               {got: []got{{0, 1}, {1, 2}, {1, 2}, {2, 3}}, want: Checks{Duplicate: 1}},
		"two exchanged":           {got: []got{{0, 1}, {2, 3}, {1, 2}}, want: Checks{Disorder: 2}}, // in number and in seq
		"seq falls":               {got: []got{{0, 3}, {1, 2}, {2, 4}}, want: Checks{Disorder: 1}},
		"another seq than acked":  {got: []got{{0, 1}, {1, 2}, {2, 4}}, want: Checks{Disorder: 1}},
		"the same seq twice":      {got: []got{{0, 1}, {1, 1}, {2, 3}}, want: Checks{Disorder: 1}},
		"one lost, another twice": {got: []got{{0, 1}, {0, 1}, {2, 3}}, want: Checks{Lost: 1, Duplicate: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStory()
			for n := range uint32(3) {
				s.acked(n)
			}
			for _, g := range c.got {
				s.read.inbox.got(0, g.n, g.seq)
			}
			var have Checks
			have.check([]*room{s.room})
			have.Why = nil
			if have.Lost != c.want.Lost || have.Duplicate != c.want.Duplicate || have.Disorder != c.want.Disorder {
				t.Errorf("checks = %+v, want %+v", have, c.want)
			}
			if failed := have.Err() != nil; failed != (name != "all in order") {
				t.Errorf("Err() = %v", have.Err())
			}
		})
	}
}

func TestChecksTellRefusedAndUnansweredFromLost(t *testing.T) {
	s := newStory()
	f := s.room.flows[0]
	s.acked(0)
	f.add(1)
	f.answered(&event{kind: refusedEvent, n: 1, why: "RATE_LIMITED"})
	f.add(1) // 2 has no answer
	s.read.inbox.got(0, 0, 1)
	var c Checks
	c.check([]*room{s.room})
	if c.Lost != 0 || c.Refused != 1 || c.Unanswered != 1 {
		t.Errorf("checks = %+v", c)
	}
	if _, err := f.answered(&event{kind: ackEvent, n: 0, seq: 1}); err == nil {
		t.Error("a second answer was taken")
	}
}
