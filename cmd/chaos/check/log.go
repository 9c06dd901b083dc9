package check

import (
	"slices"

	"github.com/troupe-im/troupe/cmd/chaos/history"
)

// durable is I1: what was acknowledged is in the dump and in every entitled
// reader's final read, by both paths.
func durable(r *run) {
	r.acked(func(o *operation) {
		e := r.logs[o.Session][o.end.Seq]
		switch {
		case e == nil:
			r.say("I1", o.Session, o.end.Seq, "%s by %s was acknowledged and is not in the store", o.Verb, o.Client)
		case e.Kind != kindOf[o.Verb] || e.Sender != o.User:
			r.say("I1", o.Session, o.end.Seq, "%s by %s was acknowledged, the store has %q by %s there", o.Verb, o.Client, e.Kind, e.Sender)
		case o.Verb == history.Send && (e.Cmid != o.Cmid || e.ID != o.end.ID):
			r.say("I1", o.Session, o.end.Seq, "acknowledged as %s, client id %s; stored as %s, client id %s", o.end.ID, o.Cmid, e.ID, e.Cmid)
		case o.Verb == history.Send && !r.mayStandAs(e, o.Text):
			r.say("I1", o.Session, o.end.Seq, "sent %q, stored %q", o.Text, e.Text)
		}
	}, writes...)
	r.edited()
	r.finalReads()
}

// mayStandAs says whether text, as sent, may stand as it does in e: unchanged,
// or changed by an edit, or gone by a recall.
func (r *run) mayStandAs(e *history.Entry, text string) bool {
	if e.Recalled || e.Expired {
		return e.Text == ""
	}
	if e.Text == text {
		return true
	}
	return slices.ContainsFunc(r.ops, func(o *operation) bool {
		return o.Verb == history.Edit && !o.fail() && o.Target == e.ID && o.Text == e.Text
	})
}

// edited: a message stands as its last stored edit or recall says.
func (r *run) edited() {
	edits := map[int64]*operation{}
	for _, s := range r.Dump.Sessions {
		clear(edits)
		for _, o := range r.ops {
			if o.Verb == history.Edit && o.Session == s.Session && o.ok() && o.end.Seq > 0 { // 0: it said that already
				edits[o.end.Seq] = o
			}
		}
		recalled := map[int64]bool{}
		last := map[int64]int64{}
		for _, e := range s.Entries {
			switch e.Kind {
			case "recall":
				recalled[e.Target] = true
			case "edit":
				last[e.Target] = max(last[e.Target], e.Seq)
			}
		}
		for _, e := range s.Entries {
			if e.Kind != "" {
				continue
			}
			if slices.Contains(s.Originals, e.Seq) && (!e.Dealt || e.Recalled || e.Expired) {
				r.say("I1", s.Session, e.Seq, "what it said before moderation is kept, and nothing says that it was moderated")
			}
			if recalled[e.Seq] != e.Recalled {
				r.say("I1", s.Session, e.Seq, "recalled is %v, by the log it should be %v", e.Recalled, recalled[e.Seq])
			}
			if o := edits[last[e.Seq]]; o != nil && !e.Recalled && e.Text != o.Text {
				r.say("I1", s.Session, e.Seq, "the edit at %d was acknowledged with %q, the message stands as %q", o.end.Seq, o.Text, e.Text)
			}
		}
	}
}

// finalReads: every member reads what the store holds, from the first entry he
// may read; who is no member reads nothing.
func (r *run) finalReads() {
	for _, read := range r.Reads {
		s := r.stored[read.Session]
		if s == nil {
			r.say("I1", read.Session, 0, "%s read it by %s, the store does not have it", read.User, read.Path)
			continue
		}
		i := slices.IndexFunc(s.Members, func(m history.Member) bool { return m.User == read.User })
		if i < 0 {
			if read.Refused == "" {
				r.say("I1", read.Session, 0, "%s is no member and read %d entries by %s", read.User, len(read.Entries), read.Path)
			}
			continue
		}
		if read.Refused != "" {
			r.say("I1", read.Session, 0, "%s is a member and was refused with %s by %s", read.User, read.Refused, read.Path)
			continue
		}
		r.compare(read, s, max(s.Members[i].Floor, 1))
	}
}

func (r *run) compare(read history.Log, s *history.Stored, floor int64) {
	if read.Head != s.Head {
		r.say("I1", s.Session, read.Head, "%s was told this head by %s, the store has %d", read.User, read.Path, s.Head)
	}
	next := max(floor, read.Gone+1)
	for _, e := range read.Entries {
		if e.Seq != next {
			r.say("I1", s.Session, e.Seq, "%s read this by %s where %d was due", read.User, read.Path, next)
			return
		}
		next++
		if was := r.logs[s.Session][e.Seq]; was == nil || !same(e, was) {
			r.say("I1", s.Session, e.Seq, "%s read %+v by %s, the store has %+v", read.User, *e, read.Path, was)
		}
	}
	if next != s.Head+1 {
		r.say("I1", s.Session, next, "%s could read up to %d by %s, the store has %d entries", read.User, next-1, read.Path, s.Head)
	}
}

// same compares what an entry is, and what a message now says.
func same(a, b *history.Entry) bool {
	return identical(a, b) && a.Text == b.Text && a.Recalled == b.Recalled && a.Expired == b.Expired
}

// identical compares what never changes in an entry.
func identical(a, b *history.Entry) bool {
	return a.Seq == b.Seq && a.ID == b.ID && a.Kind == b.Kind && a.Sender == b.Sender &&
		a.Cmid == b.Cmid && a.CreatedAt == b.CreatedAt && a.Target == b.Target
}

// noInvention is I2: every entry was asked for by its sender, with that text.
func noInvention(r *run) {
	asked := map[key]map[string]bool{} // by session, sender, and verb with target
	for _, o := range r.ops {
		if o.fail() {
			continue
		}
		k := key{o.Session, o.User, o.Verb + " " + o.Target}
		if asked[k] == nil {
			asked[k] = map[string]bool{}
		}
		asked[k][o.Text] = true
	}
	verbs := map[string]string{"edit": history.Edit, "recall": history.Recall, "react": history.React}
	for _, s := range r.Dump.Sessions {
		for _, e := range s.Entries {
			switch e.Kind {
			case "":
				if !slices.ContainsFunc(r.sends[key{s.Session, e.Sender, e.Cmid}], func(o *operation) bool {
					return !o.fail() && r.mayStandAs(e, o.Text)
				}) {
					r.say("I2", s.Session, e.Seq, "nobody sent %q as %s under the client id %q", e.Text, e.Sender, e.Cmid)
				}
			case "edit", "recall", "react":
				target := r.logs[s.Session][e.Target]
				if target == nil || asked[key{s.Session, e.Sender, verbs[e.Kind] + " " + target.ID}] == nil {
					r.say("I2", s.Session, e.Seq, "%s never asked for this %s of %d", e.Sender, e.Kind, e.Target)
				}
			case "join", "leave":
				r.memberChangeWasAsked(s.Session, e)
			}
		}
	}
}

func (r *run) memberChangeWasAsked(session string, e *history.Entry) {
	for _, o := range r.ops {
		create := o.Verb == history.Create && o.ok() && o.end.Session == session
		change := o.Session == session && kindOf[o.Verb] == e.Kind && (o.Verb == history.Add || o.Verb == history.Remove) && !o.fail()
		if o.User != e.Sender || !create && !change {
			continue
		}
		all := true
		for _, m := range e.Members {
			all = all && (m == e.Sender || slices.Contains(o.Members, m))
		}
		if all {
			return
		}
	}
	r.say("I2", session, e.Seq, "%s never asked for this %s of %v", e.Sender, e.Kind, e.Members)
}

// once is I3: a client message id is in the log at most once, and all its
// acknowledgements are the same.
func once(r *run) {
	for _, s := range r.Dump.Sessions {
		for _, e := range s.Entries {
			if e.Kind != "" || e.Cmid == "" {
				continue
			}
			if f := r.first[key{s.Session, e.Sender, e.Cmid}]; f.Seq != e.Seq {
				r.say("I3", s.Session, e.Seq, "the client id %s of %s is stored at %d already", e.Cmid, e.Sender, f.Seq)
			}
		}
	}
	for k, ops := range r.sends {
		var first *operation
		for _, o := range ops {
			if !o.ok() {
				continue
			}
			if first == nil {
				first = o
			} else if a, b := first.end, o.end; a.Seq != b.Seq || a.ID != b.ID || a.CreatedAt != b.CreatedAt {
				r.say("I3", k.session, b.Seq, "%s of %s was acknowledged as %s at %d, then as %s at %d", k.cmid, k.sender, a.ID, a.CreatedAt, b.ID, b.CreatedAt)
			}
		}
	}
}

// contiguous is I4: the store has 1 to head, each once, and a head never falls.
func contiguous(r *run) {
	for _, s := range r.Dump.Sessions {
		next := int64(1)
		for _, e := range s.Entries {
			if e.Seq != next {
				r.say("I4", s.Session, e.Seq, "stored where %d was due", next)
			}
			next = e.Seq + 1
		}
		if next-1 != s.Head {
			r.say("I4", s.Session, s.Head, "this is the stored head, the log ends at %d", next-1)
		}
	}
	told := map[[3]string]int64{} // the highest head by client, session and node: another node may be behind (see Lag)
	for _, e := range r.Events {
		for session, head := range headsTold(e) {
			at := [3]string{e.Client, session, e.Node}
			if e.Verb != history.Sync { // an answer to sync comes another way than the user's own list
				if head < told[at] {
					r.say("I4", session, head, "%s was told this head after %d", e.Client, told[at])
				}
				told[at] = max(told[at], head)
			}
			if s := r.stored[session]; s == nil || head > s.Head {
				r.say("I4", session, head, "%s was told a head that the store does not have", e.Client)
			}
		}
	}
}

// headsTold gives the heads that an event told its client.
func headsTold(e *history.Event) map[string]int64 {
	heads := map[string]int64{}
	switch {
	case e.What == history.Open:
		for _, row := range e.Rows {
			heads[row.Session] = row.Head
		}
	case e.What == history.Heads:
		return e.Heads
	case e.What == history.OK && e.Verb == history.Sync:
		heads[e.Session] = e.Head
	}
	return heads
}
