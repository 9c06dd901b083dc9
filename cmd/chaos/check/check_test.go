package check

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/troupe-im/troupe/cmd/chaos/history"
)

// story is a small run made by hand: Ann and Bob in one session, Ann with two devices.
type story struct {
	history.History
	now, op int64
}

const room = "s_room"

func (s *story) add(e history.Event) *history.Event {
	s.now += 10
	e.T = s.now
	s.Events = append(s.Events, &e)
	return &e
}

// do records an operation that was answered with seq.
func (s *story) do(client, verb, cmid, text string, seq int64) (asked, told *history.Event) {
	s.op++
	user, _, _ := strings.Cut(client, ".")
	e := history.Event{What: history.Invoke, Client: client, User: user, Conn: 1, Op: s.op, Verb: verb, Session: room, Cmid: cmid, Text: text}
	asked = s.add(e)
	e.What, e.Seq, e.ID, e.CreatedAt = history.OK, seq, id(seq), 1000+seq
	return asked, s.add(e)
}

func id(seq int64) string { return fmt.Sprintf("%s.%d", room, seq) }

func (s *story) push(client string, e *history.Entry) *history.Event {
	user, _, _ := strings.Cut(client, ".")
	seen := *e
	return s.add(history.Event{What: history.Push, Client: client, User: user, Conn: 1, Entry: &seen, Offset: e.Seq})
}

func message(seq int64, sender, cmid, text string) *history.Entry {
	return &history.Entry{Session: room, Seq: seq, ID: id(seq), Sender: sender, Cmid: cmid, Text: text, CreatedAt: 1000 + seq}
}

// good is a run in which nothing is wrong: Ann makes the session (1) and sends
// (2), Bob sends (3, and once more from a lost connection), Ann sends again from
// her tablet (4), Bob reads up to 2.
func good() *story {
	s := &story{History: history.History{Seed: 1, Allowed: 1000}}
	s.add(history.Event{What: history.Start})
	s.add(history.Event{What: history.Ready})
	created, _ := s.do("ann.1", history.Create, "", "", 0)
	created.Members = []string{"bob"}
	for _, client := range []string{"ann.1", "ann.2", "bob.1"} {
		user, _, _ := strings.Cut(client, ".")
		s.add(history.Event{What: history.Open, Client: client, User: user, Conn: 1, Began: s.now, Rows: []history.Row{{Session: room, Head: 1}}})
	}
	log := []*history.Entry{
		{Session: room, Seq: 1, ID: id(1), Kind: "join", Sender: "ann", Members: []string{"ann", "bob"}, CreatedAt: 1001},
		message(2, "ann", "c1", "hello"), message(3, "bob", "c1", "hi"), message(4, "ann", "c2", "how are you"),
	}
	s.do("ann.1", history.Send, "c1", "hello", 2)
	s.push("ann.2", log[1])
	s.push("bob.1", log[1])
	s.do("bob.1", history.Send, "c1", "hi", 3)
	s.do("bob.1", history.Send, "c1", "hi", 3)
	s.push("ann.1", log[2])
	s.push("ann.2", log[2])
	s.do("ann.2", history.Send, "c2", "how are you", 4)
	s.push("ann.1", log[3])
	s.push("bob.1", log[3])
	asked, told := s.do("bob.1", history.Read, "", "", 0)
	asked.Seq, told.Seq, told.ReadSeq = 2, 2, 2
	s.add(history.Event{What: history.Receipt, Client: "ann.1", User: "ann", Conn: 1, Session: room, By: "bob", ReadSeq: 2})
	_, synced := s.do("ann.1", history.Sync, "", "", 0)
	synced.Head, synced.Entries = 4, log

	st := &history.Stored{Session: room, Head: 4, Members: []history.Member{{User: "ann"}, {User: "bob", Read: 2}}}
	for _, e := range log {
		stored := *e
		st.Entries = append(st.Entries, &stored)
		if e.Cmid != "" {
			st.Sent = append(st.Sent, history.Sent{Key: sentKey(e.Sender, e.Cmid), Seq: e.Seq})
		}
	}
	s.Dump.Sessions = []*history.Stored{st}
	for _, user := range []string{"ann", "bob"} {
		s.Reads = append(s.Reads, history.Log{Path: "rest", User: user, Session: room, Head: 4, Entries: slices.Clone(log)})
	}
	s.Homes = []history.Home{
		{Path: "ws", User: "ann", Rows: []history.Row{{Session: room, Head: 4, Unread: 1}}, Total: 1},
		{Path: "ws", User: "bob", Rows: []history.Row{{Session: room, Head: 4, Read: 2, Unread: 1}}, Total: 1},
	}
	return s
}

func (s *story) find(what, client, verb string, nth int) *history.Event {
	for _, e := range s.Events {
		if e.What == what && e.Client == client && e.Verb == verb {
			if nth--; nth < 0 {
				return e
			}
		}
	}
	return nil
}

func (s *story) remove(gone *history.Event) {
	s.Events = slices.DeleteFunc(s.Events, func(e *history.Event) bool { return e == gone })
}

func TestAGoodHistoryHasNoBreach(t *testing.T) {
	p := All(&good().History)
	if len(p.Violations) > 0 {
		t.Errorf("breaches: %v", p.Violations)
	}
	if p.Acked != 3 || p.Entries != 4 || p.Deliveries != 6 || p.Indeterminate != 0 {
		t.Errorf("report = %+v", p)
	}
}

func TestWhatMayHappenIsNoBreach(t *testing.T) {
	for name, change := range map[string]func(s *story){
		"a message without an answer is stored": func(s *story) {
			s.find(history.OK, "ann.2", history.Send, 0).What = history.Info
		},
		"a message without an answer is not stored": func(s *story) {
			_, told := s.do("bob.1", history.Send, "c9", "lost on the way", 0)
			told.What = history.Info
		},
		"an entry is delivered twice": func(s *story) {
			e := s.push("bob.1", s.Dump.Sessions[0].Entries[1])
			e.Offset = 0
		},
		"other text under a known id is refused": func(s *story) {
			_, told := s.do("bob.1", history.Send, "c1", "something else", 0)
			told.What, told.Code = history.Fail, "CONFLICT"
		},
		"a message is edited": func(s *story) {
			asked, _ := s.do("ann.1", history.Edit, "", "hello all", 5)
			asked.Target = id(2)
			e := &history.Entry{Session: room, Seq: 5, ID: id(5), Kind: "edit", Sender: "ann", Target: 2, CreatedAt: 1005}
			s.grow(e)
			s.push("ann.2", e)
			s.push("bob.1", e)
			s.Dump.Sessions[0].Entries[1].Text = "hello all"
			s.read(2, func(e *history.Entry) { e.Text = "hello all" })
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := good()
			change(s)
			if p := All(&s.History); len(p.Violations) > 0 {
				t.Errorf("breaches: %v", p.Violations)
			}
		})
	}
}

// grow puts an entry at the end of the log, the final reads and the lists.
func (s *story) grow(e *history.Entry) {
	d := s.Dump.Sessions[0]
	stored := *e
	d.Entries = append(d.Entries, &stored)
	d.Head = e.Seq
	for i := range s.Reads {
		s.Reads[i].Head = e.Seq
		s.Reads[i].Entries = append(s.Reads[i].Entries, e)
	}
}

// read changes what the final reads say of one entry.
func (s *story) read(seq int64, change func(*history.Entry)) {
	for i := range s.Reads {
		for j, e := range s.Reads[i].Entries {
			if e.Seq == seq {
				copied := *e
				change(&copied)
				s.Reads[i].Entries[j] = &copied
			}
		}
	}
}

func TestEveryInvariantSeesItsBreach(t *testing.T) {
	dump := func(s *story) *history.Stored { return s.Dump.Sessions[0] }
	for _, c := range []struct {
		invariant, name string
		spoil           func(s *story)
	}{
		{"I1", "an acknowledged message is not stored", func(s *story) {
			d := dump(s)
			d.Entries, d.Sent, d.Head = d.Entries[:3], d.Sent[:2], 3
		}},
		{"I1", "another message stands at the acknowledged place", func(s *story) { dump(s).Entries[3].Cmid = "c7" }},
		{"I1", "the stored text is another", func(s *story) { dump(s).Entries[1].Text = "hullo" }},
		{"I1", "a member cannot read an entry by one path", func(s *story) { s.Reads[1].Entries = slices.Delete(s.Reads[1].Entries, 1, 2) }},
		{"I1", "a member cannot read the last entry", func(s *story) { s.Reads[0].Entries = s.Reads[0].Entries[:3] }},
		{"I1", "a member is refused", func(s *story) { s.Reads[0] = history.Log{Path: "ws", User: "ann", Session: room, Refused: "NOT_FOUND"} }},
		{"I1", "a stranger may read", func(s *story) {
			s.Reads = append(s.Reads, history.Log{Path: "ws", User: "eve", Session: room, Head: 4, Entries: s.Reads[0].Entries})
		}},
		{"I1", "an acknowledged edit left no trace", func(s *story) {
			asked, _ := s.do("ann.1", history.Edit, "", "hello all", 5)
			asked.Target = id(2)
			s.grow(&history.Entry{Session: room, Seq: 5, ID: id(5), Kind: "edit", Sender: "ann", Target: 2, CreatedAt: 1005})
		}},
		{"I1", "a recalled message still says something", func(s *story) {
			e := dump(s).Entries[1]
			e.Recalled = true
		}},
		{"I2", "a message that nobody sent is stored", func(s *story) { s.grow(message(5, "bob", "c5", "not me")) }},
		{"I2", "a member came in whom nobody asked in", func(s *story) {
			s.grow(&history.Entry{Session: room, Seq: 5, ID: id(5), Kind: "join", Sender: "ann", Members: []string{"eve"}, CreatedAt: 1005})
		}},
		{"I3", "a message is stored twice", func(s *story) { s.grow(message(5, "ann", "c1", "hello")) }},
		{"I3", "a second request got another answer", func(s *story) { s.find(history.OK, "bob.1", history.Send, 1).CreatedAt++ }},
		{"I4", "the log has a hole", func(s *story) { dump(s).Entries = slices.Delete(dump(s).Entries, 2, 3) }},
		{"I4", "a seq is stored twice", func(s *story) { dump(s).Entries[2].Seq = 2 }},
		{"I4", "the head is not the log's end", func(s *story) { dump(s).Head = 5 }},
		{"I4", "a head falls", func(s *story) {
			s.add(history.Event{What: history.Heads, Client: "bob.1", User: "bob", Conn: 1, Heads: map[string]int64{room: 4}})
			s.add(history.Event{What: history.Heads, Client: "bob.1", User: "bob", Conn: 1, Heads: map[string]int64{room: 3}})
		}},
		{"I4", "a head was told that nobody stored", func(s *story) {
			s.add(history.Event{What: history.Heads, Client: "bob.1", User: "bob", Conn: 1, Heads: map[string]int64{room: 9}})
		}},
		{"I5", "two readers see different entries at one seq", func(s *story) { s.find(history.Push, "ann.2", "", 0).Entry.Cmid = "c7" }},
		{"I5", "an entry is delivered after a later one", func(s *story) {
			a, b := s.find(history.Push, "bob.1", "", 0), s.find(history.Push, "bob.1", "", 1)
			a.Entry, b.Entry = b.Entry, a.Entry
		}},
		{"I6", "a device's second message is before its first", func(s *story) {
			one, _ := s.do("bob.1", history.Send, "c8", "first", 6)
			two, _ := s.do("bob.1", history.Send, "c9", "second", 5)
			two.T = one.T + 1 // sent without waiting for the first's answer
			s.grow(message(5, "bob", "c9", "second"))
			s.grow(message(6, "bob", "c8", "first"))
		}},
		{"I7", "what was acknowledged before is behind what was asked after", func(s *story) {
			s.do("ann.1", history.Send, "c8", "first", 6)
			s.do("bob.1", history.Send, "c9", "second", 5)
			s.grow(message(5, "bob", "c9", "second"))
			s.grow(message(6, "ann", "c8", "first"))
		}},
		{"I7", "a read does not see what was acknowledged before it", func(s *story) {
			_, told := s.do("bob.1", history.Sync, "", "", 0)
			told.Head, told.Entries = 3, s.Reads[1].Entries[:3]
		}},
		{"I7", "a read sees what is sent after it", func(s *story) {
			_, told := s.do("bob.1", history.Sync, "", "", 0)
			told.Head, told.More = 5, true
			s.do("bob.1", history.Send, "c9", "later", 5)
			s.grow(message(5, "bob", "c9", "later"))
		}},
		{"I8", "what was delivered is not stored", func(s *story) { s.push("bob.1", message(5, "ann", "c9", "taken back")) }},
		{"I8", "what was delivered says something else", func(s *story) { s.find(history.Push, "bob.1", "", 0).Entry.Text = "hullo" }},
		{"I9", "a sync misses an acknowledged entry", func(s *story) {
			_, told := s.do("bob.1", history.Sync, "", "", 0)
			told.Head, told.Entries = 3, s.Reads[1].Entries[:3]
		}},
		{"I9", "a sync leaves one out in the middle", func(s *story) {
			_, told := s.do("bob.1", history.Sync, "", "", 0)
			told.Head, told.Entries = 4, slices.Delete(slices.Clone(s.Reads[1].Entries), 1, 2)
		}},
		{"I12", "an entry is never delivered", func(s *story) { s.remove(s.find(history.Push, "bob.1", "", 0)) }},
		{"I12", "the last entry is never delivered", func(s *story) { s.remove(s.find(history.Push, "bob.1", "", 1)) }},
		{"I12", "a resume leaves one out", func(s *story) {
			s.add(history.Event{What: history.Closed, Client: "bob.1", User: "bob", Conn: 1})
			s.remove(s.find(history.Push, "bob.1", "", 1))
			s.add(history.Event{What: history.Open, Client: "bob.1", User: "bob", Conn: 2, Resumed: true, From: 2, Offset: 4})
		}},
		{"I12", "a resume gives what was had already", func(s *story) {
			s.add(history.Event{What: history.Open, Client: "bob.1", User: "bob", Conn: 2, Resumed: true, From: 4, Offset: 4})
			s.push("bob.1", dump(s).Entries[3])
		}},
		{"I13", "a list leaves a session out", func(s *story) {
			s.add(history.Event{What: history.Open, Client: "bob.1", User: "bob", Conn: 2, Began: s.now})
		}},
		{"I13", "a list says an old head", func(s *story) {
			s.add(history.Event{What: history.Open, Client: "bob.9", User: "bob", Conn: 1, Began: s.now, Rows: []history.Row{{Session: room, Head: 3}}})
		}},
		{"I1", "an original is kept of what nobody moderated", func(s *story) { dump(s).Originals = []int64{2} }},
		{"I17", "other text under a known id is acknowledged", func(s *story) { s.do("bob.1", history.Send, "c1", "something else", 3) }},
		{"I17", "the same text is refused", func(s *story) {
			_, told := s.do("ann.2", history.Send, "c1", "hello", 0)
			told.What, told.Code = history.Fail, "CONFLICT"
		}},
		{"I17", "a row of client ids is missing", func(s *story) { dump(s).Sent = dump(s).Sent[1:] }},
		{"I17", "a row of client ids points elsewhere", func(s *story) { dump(s).Sent[0].Seq = 3 }},
		{"I19", "an acknowledged mark is not stored", func(s *story) { dump(s).Members[1].Read = 1 }},
		{"I19", "a mark is stored that nobody set", func(s *story) { dump(s).Members[0].Read = 1 }},
		{"I19", "a mark falls", func(s *story) {
			s.add(history.Event{What: history.Receipt, Client: "ann.1", User: "ann", Conn: 1, Session: room, By: "bob", ReadSeq: 1})
		}},
		{"I19", "a mark passes the head", func(s *story) {
			s.add(history.Event{What: history.Receipt, Client: "ann.1", User: "ann", Conn: 1, Session: room, By: "bob", ReadSeq: 9})
		}},
		{"I19", "an answer says less than was asked", func(s *story) { s.find(history.OK, "bob.1", history.Read, 0).ReadSeq = 1 }},
		{"I20", "a count is too high", func(s *story) { s.Homes[1].Rows[0].Unread, s.Homes[1].Total = 2, 2 }},
		{"I20", "a total is not the sum", func(s *story) { s.Homes[0].Total = 0 }},
		{"I20", "a session is not in the list", func(s *story) { s.Homes[0].Rows = nil }},
		{"live", "a request is never answered", func(s *story) {
			_, told := s.do("bob.1", history.Send, "c9", "anybody there", 0)
			s.remove(told)
		}},
		{"live", "a restart takes too long", func(s *story) {
			s.add(history.Event{What: history.Kill})
			s.add(history.Event{What: history.Start})
			s.now += 5000
			s.add(history.Event{What: history.Ready})
		}},
	} {
		t.Run(c.invariant+" "+c.name, func(t *testing.T) {
			s := good()
			c.spoil(s)
			history.Sort(s.Events)
			p := All(&s.History)
			if !slices.ContainsFunc(p.Violations, func(v Violation) bool { return v.Invariant == c.invariant }) {
				t.Errorf("not seen; seen: %v", p.Violations)
			}
		})
	}
}

func TestTheReportSaysWhereMessagesWereLost(t *testing.T) {
	for name, c := range map[string]struct {
		keep                   []int
		prefix, middle, suffix int
	}{
		"the oldest": {[]int{2, 3}, 1, 0, 0},
		"between":    {[]int{0, 1, 3}, 0, 1, 0},
		"the newest": {[]int{0, 1, 2}, 0, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := good()
			d := s.Dump.Sessions[0]
			all := d.Entries
			d.Entries = nil
			for _, i := range c.keep {
				d.Entries = append(d.Entries, all[i])
			}
			p := All(&s.History)
			if p.LostPrefix != c.prefix || p.LostMiddle != c.middle || p.LostSuffix != c.suffix {
				t.Errorf("lost = %d prefix, %d middle, %d suffix", p.LostPrefix, p.LostMiddle, p.LostSuffix)
			}
		})
	}
}

func TestAHistoryIsReadBackAsItWasWritten(t *testing.T) {
	dir, s := t.TempDir(), good()
	rec, err := history.NewRecorder(dir, "all")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range s.Events {
		rec.Add(e)
	}
	if _, err := rec.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Save(dir); err != nil {
		t.Fatal(err)
	}
	h, err := history.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if p := All(h); len(p.Violations) > 0 || p.Acked != 3 || len(h.Events) != len(s.Events) {
		t.Errorf("read back: %+v", p)
	}
}
