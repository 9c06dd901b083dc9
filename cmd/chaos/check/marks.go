package check

import (
	"slices"

	"github.com/troupe-im/troupe/cmd/chaos/history"
)

// messageIDs is I17: the same id with the same text gets the first answer back
// (I3 compares them), with other text it is refused and leaves nothing; the same
// id of another person or in another session is another message.
func messageIDs(r *run) {
	for k, ops := range r.sends {
		first := r.first[k]
		for _, o := range ops {
			switch {
			case o.ok() && first != nil && first.Text != o.Text && !r.mayStandAs(first, o.Text):
				r.say("I17", k.session, o.end.Seq, "%s of %s holds %q and was acknowledged for %q too", k.cmid, k.sender, first.Text, o.Text)
			case o.fail() && o.end.Code == "CONFLICT" && !slices.ContainsFunc(ops, func(p *operation) bool { return p.Text != o.Text }):
				r.say("I17", k.session, 0, "%s of %s was refused as a conflict, it was never sent with other text", k.cmid, k.sender)
			}
		}
		r.acksAreOfOneText(k, ops)
	}
	for _, s := range r.Dump.Sessions {
		for _, sent := range s.Sent {
			e := r.logs[s.Session][sent.Seq]
			if e == nil || e.Cmid == "" || sentKey(e.Sender, e.Cmid) != sent.Key {
				r.say("I17", s.Session, sent.Seq, "a row of client ids points here, where there is no such message")
			}
		}
		rows := map[int64]bool{}
		for _, sent := range s.Sent {
			rows[sent.Seq] = true
		}
		for _, e := range s.Entries {
			if e.Kind == "" && e.Cmid != "" && !rows[e.Seq] {
				r.say("I17", s.Session, e.Seq, "no row holds the client id %s of this message", e.Cmid)
			}
		}
	}
}

func (r *run) acksAreOfOneText(k key, ops []*operation) {
	var first *operation
	for _, o := range ops {
		if !o.ok() {
			continue
		}
		if first == nil {
			first = o
		} else if o.Text != first.Text {
			r.say("I17", k.session, o.end.Seq, "%s of %s was acknowledged for %q and for %q", k.cmid, k.sender, first.Text, o.Text)
		}
	}
}

// receipts is I19: a read mark never falls and never passes the head; at rest
// it is at least the highest acknowledged and at most the highest asked for.
func receipts(r *run) {
	type mark struct{ session, user string }
	asked, acked := map[mark]int64{}, map[mark]int64{}
	type view struct {
		client string
		conn   int
		mark
	}
	seen := map[view]int64{}
	see := func(e *history.Event, m mark, seq int64) {
		at := view{e.Client, e.Conn, m}
		if seq < seen[at] {
			r.say("I19", m.session, seq, "%s saw the mark of %s here after %d", e.Client, m.user, seen[at])
		}
		seen[at] = max(seen[at], seq)
		if s := r.stored[m.session]; s != nil && seq > s.Head {
			r.say("I19", m.session, seq, "%s saw the mark of %s past the head %d", e.Client, m.user, s.Head)
		}
	}
	ends := map[int64]*operation{}
	before := map[int64]int64{} // by operation: the mark acknowledged before it was asked
	for _, o := range r.ops {
		if o.Verb == history.Read {
			ends[o.Op] = o
		}
	}
	for _, e := range r.Events {
		m := mark{e.Session, e.User}
		switch {
		case e.What == history.Invoke && e.Verb == history.Read:
			asked[m] = max(asked[m], e.Seq)
			before[e.Op] = acked[m]
		case e.What == history.OK && e.Verb == history.Read:
			if o := ends[e.Op]; o != nil && o.end == e {
				if due := max(o.Seq, before[e.Op]); e.ReadSeq < due {
					r.say("I19", e.Session, e.ReadSeq, "%s was told this mark where %d was due", e.Client, due)
				}
				acked[m] = max(acked[m], e.ReadSeq)
			}
		case e.What == history.Receipt:
			see(e, mark{e.Session, e.By}, e.ReadSeq)
		case e.What == history.Unread:
			see(e, m, e.ReadSeq)
		case e.What == history.Open:
			for _, row := range e.Rows {
				see(e, mark{row.Session, e.User}, row.Read)
			}
		}
	}
	for _, s := range r.Dump.Sessions {
		for _, member := range s.Members {
			m := mark{s.Session, member.User}
			if member.Read < acked[m] && !r.everLeft(m.session, m.user) {
				r.say("I19", s.Session, member.Read, "the stored mark of %s; %d was acknowledged", member.User, acked[m])
			}
			if member.Read > max(asked[m], acked[m]) && !r.everLeft(m.session, m.user) {
				r.say("I19", s.Session, member.Read, "the stored mark of %s; he asked for %d at most", member.User, asked[m])
			}
		}
	}
}

// everLeft says whether user may have been out of session at some time, when
// his mark began anew.
func (r *run) everLeft(session, user string) bool {
	return slices.ContainsFunc(r.ops, func(o *operation) bool {
		return (o.Verb == history.Remove || o.Verb == history.Add) && o.Session == session && slices.Contains(o.Members, user)
	})
}

// unread is I20: at rest every list of a user says for every session how many
// messages of others stand after his read mark, and their sum.
func unread(r *run) {
	for _, home := range r.Homes {
		total := int64(0)
		rows := map[string]history.Row{}
		for _, row := range home.Rows {
			rows[row.Session] = row
		}
		for _, s := range r.Dump.Sessions {
			i := slices.IndexFunc(s.Members, func(m history.Member) bool { return m.User == home.User })
			row, listed := rows[s.Session]
			if i < 0 {
				if listed {
					r.say("I20", s.Session, 0, "in the list of %s by %s, who is no member", home.User, home.Path)
				}
				continue
			}
			if !listed {
				r.say("I20", s.Session, 0, "not in the list of %s by %s", home.User, home.Path)
				continue
			}
			want := countable(s, s.Members[i])
			total += want
			if row.Unread != want {
				r.say("I20", s.Session, row.Read, "%s has %d unread by %s after this mark, counted %d", home.User, row.Unread, home.Path, want)
			}
			if row.Read != s.Members[i].Read {
				r.say("I20", s.Session, row.Read, "the mark of %s by %s, the store has %d", home.User, home.Path, s.Members[i].Read)
			}
		}
		if home.Total != total {
			r.say("I20", "", 0, "%s has %d unread in all by %s, counted %d", home.User, home.Total, home.Path, total)
		}
	}
}

// countable counts the messages of others after the member's mark that can be read.
func countable(s *history.Stored, m history.Member) int64 {
	n := int64(0)
	for _, e := range s.Entries {
		if e.Kind == "" && e.Seq > m.Read && e.Seq >= m.Floor && e.Sender != m.User && !e.Recalled && !e.Expired {
			n++
		}
	}
	return n
}
