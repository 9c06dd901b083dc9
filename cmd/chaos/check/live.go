package check

import (
	"cmp"
	"slices"

	"github.com/troupe-im/troupe/cmd/chaos/history"
)

// committedOnly is I8: whatever was delivered or read during the run is in the
// log at the end, and said what was sent or edited.
func committedOnly(r *run) {
	for _, e := range r.Events {
		if e.What == history.Push {
			r.wasCommitted(e.Client, "was delivered", e.Entry)
		}
		for _, entry := range e.Entries {
			r.wasCommitted(e.Client, "read", entry)
		}
	}
}

func (r *run) wasCommitted(client, how string, e *history.Entry) {
	stored := r.logs[e.Session][e.Seq]
	switch {
	case stored == nil:
		r.say("I8", e.Session, e.Seq, "%s %s %q, which is not in the store", client, how, e.Text)
	case !identical(e, stored):
		r.say("I8", e.Session, e.Seq, "%s %s %+v, the store has %+v", client, how, *e, *stored)
	case e.Kind == "" && e.Text != "" && e.Text != stored.Text && !r.everSaid(stored, e.Text):
		r.say("I8", e.Session, e.Seq, "%s %s %q, which nobody wrote there", client, how, e.Text)
	}
}

// everSaid says whether text was sent as e or edited into it.
func (r *run) everSaid(e *history.Entry, text string) bool {
	return slices.ContainsFunc(r.sends[key{e.Session, e.Sender, e.Cmid}], func(o *operation) bool { return o.Text == text }) ||
		slices.ContainsFunc(r.ops, func(o *operation) bool {
			return o.Verb == history.Edit && o.Target == e.ID && o.Text == text
		})
}

// readYourAck is I9: a sync asked for after an acknowledgement has that entry,
// whoever asks.
func readYourAck(r *run) {
	for _, o := range r.ops {
		if o.Verb != history.Sync || !o.ok() {
			continue
		}
		if due := r.ackedBefore(o.Session, o.T); o.end.Head < due {
			r.say("I9", o.Session, due, "acknowledged before %s asked, who was told head %d", o.Client, o.end.Head)
		}
		r.rangeIsWhole(o)
	}
}

// ack is the highest seq of a session that was acknowledged at a time.
type ack struct{ t, seq int64 }

// ackedBefore gives the highest seq of session that was acknowledged before t.
func (r *run) ackedBefore(session string, t int64) int64 {
	list := r.acks[session]
	i, _ := slices.BinarySearchFunc(list, t, func(a ack, t int64) int { return cmp.Compare(a.t, t) })
	if i == 0 {
		return 0
	}
	return list[i-1].seq
}

func (r *run) indexAcks() {
	r.acks = map[string][]ack{}
	for _, e := range r.Events {
		if e.What != history.OK || e.Seq == 0 || !slices.Contains(writes, e.Verb) {
			continue
		}
		list := r.acks[e.Session]
		if len(list) == 0 || e.Seq > list[len(list)-1].seq {
			r.acks[e.Session] = append(list, ack{e.T, e.Seq})
		}
	}
}

// rangeIsWhole: an answer to sync has every seq from the one asked for to its
// last, and says when there is more.
func (r *run) rangeIsWhole(o *operation) {
	next := max(o.After, o.end.GoneUpTo) + 1
	for _, e := range o.end.Entries {
		if e.Seq != next {
			r.say("I9", o.Session, e.Seq, "in the answer to %s where %d was due", o.Client, next)
			return
		}
		next++
	}
	if !o.end.More && next <= o.end.Head {
		r.say("I9", o.Session, next, "left out of the answer to %s, which says that there is no more", o.Client)
	}
}

// stream is what one client has of one session without asking: base and what
// came after it.
type stream struct {
	base, top int64
	got       map[int64]bool
}

// resumeComplete is I12: from the state that a connection began with, every
// entry is delivered, none left out, over a resume as over a live connection,
// up to the head at rest. A client's own entries count as told by their answer.
func resumeComplete(r *run) {
	byClient := map[string][]*history.Event{}
	for _, e := range r.Events {
		byClient[e.Client] = append(byClient[e.Client], e)
	}
	for client, events := range byClient {
		r.clientStreams(client, events)
	}
}

func (r *run) clientStreams(client string, events []*history.Event) {
	streams := map[string]*stream{}
	live, user := false, ""
	lastOffset := int64(0)
	ended := map[string]bool{} // sessions this user is out of
	for _, e := range events {
		switch e.What {
		case history.Open:
			live, user = true, e.User
			if e.Resumed {
				lastOffset = max(lastOffset, e.From)
				break
			}
			lastOffset = 0
			for session, s := range streams {
				r.whole(client, user, session, s, s.top)
			}
			clear(streams)
			clear(ended)
			for _, row := range e.Rows {
				streams[row.Session] = &stream{base: row.Head, top: row.Head, got: map[int64]bool{}}
			}
		case history.Closed:
			live = false
		case history.Push:
			if e.Offset > 0 {
				if e.Offset <= lastOffset {
					r.say("I12", e.Entry.Session, e.Entry.Seq, "delivered to %s at offset %d after offset %d", client, e.Offset, lastOffset)
				}
				lastOffset = e.Offset
			}
			s := streams[e.Entry.Session]
			if s == nil {
				if ended[e.Entry.Session] && e.Entry.Kind != "join" {
					break
				}
				s = &stream{base: e.Entry.Seq - 1, got: map[int64]bool{}}
				streams[e.Entry.Session] = s
			}
			s.got[e.Entry.Seq] = true
			s.top = max(s.top, e.Entry.Seq)
		case history.OK:
			if s := streams[e.Session]; s != nil && e.Seq > 0 && slices.Contains(writes, e.Verb) {
				s.got[e.Seq] = true
			}
		case history.Update:
			if s := streams[e.Session]; e.Gone && s != nil {
				r.whole(client, user, e.Session, s, s.top)
				delete(streams, e.Session)
				ended[e.Session] = true
			} else if s == nil && !e.Gone {
				delete(ended, e.Session)
			}
		}
	}
	for session, s := range streams {
		top := s.top
		if stored := r.stored[session]; live && stored != nil && slices.ContainsFunc(stored.Members, func(m history.Member) bool { return m.User == user }) {
			top = stored.Head
		}
		r.whole(client, user, session, s, top)
	}
}

func (r *run) whole(client, user, session string, s *stream, top int64) {
	var missing []int64
	for seq := s.base + 1; seq <= top; seq++ {
		if !s.got[seq] && !r.ownWithoutAnswer(client, r.logs[session][seq]) {
			missing = append(missing, seq)
		}
	}
	if len(missing) > 0 {
		r.say("I12", session, missing[0], "never delivered to %s, with %d more, between %d and %d", client, len(missing)-1, s.base+1, top)
	}
}

// ownWithoutAnswer says whether this client itself asked for e and may have
// been answered on a connection that broke.
func (r *run) ownWithoutAnswer(client string, e *history.Entry) bool {
	if e == nil {
		return false
	}
	return slices.ContainsFunc(r.ops, func(o *operation) bool {
		if o.Client != client || o.User != e.Sender || o.Session != e.Session || o.fail() || kindOf[o.Verb] != e.Kind {
			return false
		}
		if o.Verb == history.Send {
			return o.Cmid == e.Cmid
		}
		return o.info() || o.ok() && o.end.Seq == e.Seq
	})
}

// honestRefusal is I13: who does not get a replay gets a list with every
// session he was in all the time, each head at least at what was acknowledged
// before he connected, so that he can see what he missed; or, of several nodes, what was
// acknowledged a while before, as a list is kept up to date by what nodes tell each other.
func honestRefusal(r *run) {
	changing := map[[2]string]bool{} // session and user
	for _, o := range r.ops {
		if o.Verb == history.Add || o.Verb == history.Remove {
			for _, m := range o.Members {
				changing[[2]string{o.Session, m}] = true
			}
		}
	}
	since := map[string]int64{}
	for _, e := range r.Events {
		if e.What == history.OK && e.Verb == history.Create {
			since[e.Session] = e.T
		}
		if e.What != history.Open || e.Resumed || e.Next {
			continue
		}
		for session, s := range r.stored {
			if t, ok := since[session]; !ok || t > e.Began || changing[[2]string{session, e.User}] ||
				!slices.ContainsFunc(s.Members, func(m history.Member) bool { return m.User == e.User }) {
				continue
			}
			i := slices.IndexFunc(e.Rows, func(row history.Row) bool { return row.Session == session })
			if i < 0 {
				r.say("I13", session, 0, "%s was given a list without it", e.Client)
			} else if due := r.ackedBefore(session, e.Began-r.Lag); e.Rows[i].Head < due {
				r.say("I13", session, due, "acknowledged before %s connected, whose list ends at %d", e.Client, e.Rows[i].Head)
			}
		}
	}
}
