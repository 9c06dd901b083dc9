package actors

import (
	"errors"
	"slices"

	"github.com/troupe-im/troupe/internal/protocol"
)

// pending is one append on its way, and what follows when it is durable.
type pending struct {
	Append
	home  *Session
	req   *request // answered with answer; nil: nobody asked
	also  []*request
	entry *protocol.Entry
	known *known // of a message, in the window
	event Event  // that tells of entry
	oneE  [1]*protocol.Entry
	oneH  [1][8]byte

	answer *protocol.Frame // nil with a message: made from entry
	after  func(*Burst)    // tells others than the session's members
	failed func()          // when it was refused
}

// append gives p to the committer. Its answer and events follow when it is durable.
func (s *Session) append(p *pending) {
	p.home, p.Owner = s, p
	p.Session, p.Epoch = s.id, s.epoch
	for i, m := range p.Members {
		if i == 0 {
			p.Members = slices.Clone(p.Members)
		}
		row := *m // the session goes on changing its own
		p.Members[i] = &row
	}
	if p.Info != nil {
		p.Info = s.former.within(p.Info)
	}
	s.waiting++
	if plantedPublishBeforeCommit && p.entry != nil {
		s.publish([]*Event{s.push(p)}, nil)
	}
	s.node.committer.add(&p.Append)
}

// next makes e the next entry of the log.
func (s *Session) next(e *protocol.Entry) *protocol.Entry {
	s.given++
	s.last = max(s.last, s.now.UnixMilli())
	e.Session, e.Seq, e.CreatedAt = s.id, s.given, s.last
	e.MessagerecvId = protocol.MessageID(s.id, e.Seq)
	return e
}

// appendEntry gives an entry to the committer, with what else is in p.
func (s *Session) appendEntry(p *pending, e *protocol.Entry) {
	p.entry = s.next(e)
	p.oneE[0] = e
	if p.Original != nil && p.Original.Seq == 0 {
		p.Original.Seq = e.Seq
	}
	p.Entries = p.oneE[:]
	s.append(p)
}

// committed answers and publishes what became durable, in order: durable first,
// told after.
func (s *Session) committed(m *committed) {
	defer func() {
		if e := recover(); e != nil {
			s.node.panicked("session", e)
			s.reload()
		}
	}()
	s.waiting -= len(m.done)
	var out mail
	made := false
	var offered []*protocol.Entry
	events := m.event[:0]
	for _, p := range m.done {
		if p.Err != nil {
			s.refused(p)
			continue
		}
		if n := len(p.Entries); n > 0 {
			s.head = p.Entries[n-1].Seq
		}
		if p.Create {
			s.logEpoch, s.epoch = p.LogEpoch, p.Epoch
			if p.req != nil { // nobody asked for the system's
				p.answer = s.created(p.req.who.User)
			}
			s.making, made = false, true
		}
		s.answer(p, &out)
		if p.entry != nil && !plantedPublishBeforeCommit {
			events = append(events, s.push(p))
			if s.drafts != nil {
				if d := s.drafts.by(p.entry.Sender, p.entry.ClientMsgId); d != nil {
					events = append(events, s.became(d, p.entry.Seq))
				}
			}
		}
		if len(s.bots) > 0 || slices.ContainsFunc(p.Removed, protocol.IsBot) {
			offered = append(offered, p.Entries...)
		}
		if p.after != nil {
			if len(events) > 0 {
				s.publish(events, m.burst)
				events = make([]*Event, 0, 4)
			}
			p.after(m.burst)
		}
	}
	out.send(m.burst)
	if len(events) > 0 {
		s.publish(events, m.burst)
	}
	if s.node.robots != nil && (len(offered) > 0 || made && len(s.bots) > 0) {
		s.offer(offered)
	}
	switch {
	case s.broken:
		s.reload()
	case made:
		s.unstash()
	}
}

func (s *Session) publish(events []*Event, burst *Burst) {
	s.node.streams.Publish(s.subject, events, burst)
}

// push is the event of an entry. The connection that sent it gets the answer instead.
func (s *Session) push(p *pending) *Event {
	e := &p.event
	e.Shared = protocol.NewSharedPush(p.entry)
	if p.req != nil && p.entry.Kind == protocol.Kind_MESSAGE {
		e.Skip = p.req.conn
	}
	return e
}

// answer adds the answers to p's requests to out.
func (s *Session) answer(p *pending, out *mail) {
	if p.entry != nil && p.entry.Kind == protocol.Kind_MESSAGE {
		s.node.stats.Acked.Add(1)
		if p.known != nil {
			p.known.waiting = nil
		}
		out.add(p.req.from, p.req.ok(stored(p.entry, false)))
		for _, r := range p.also {
			out.add(r.from, r.ok(stored(p.entry, true)))
		}
		return
	}
	if p.req != nil && p.answer != nil {
		out.add(p.req.from, p.req.ok(p.answer))
	}
}

// refused serves an append that the store did not take: nothing of it is stored.
// Whatever is behind it was given its seq in vain, so all is loaded again, and
// clients ask again.
func (s *Session) refused(p *pending) {
	moved := errors.Is(p.Err, ErrStale) || errors.Is(p.Err, ErrTaken)
	if moved {
		s.node.log.Warn("a newer activation of the session writes its log", "session", s.id, "epoch", s.epoch, "err", p.Err)
	}
	s.broken = true
	if p.known != nil {
		s.sent.forget(p.known)
	}
	if p.failed != nil {
		p.failed()
	}
	if errors.Is(p.Err, ErrUnknown) {
		s.owing = true
		s.unsure(p)
		return
	}
	if s.overtaken(p) {
		return
	}
	var coded *protocol.Error
	switch {
	case errors.As(p.Err, &coded):
	case moved:
		coded = protocol.Errorf(protocol.Code_BUSY, "session %s is being moved, ask again", s.id)
		coded.RetryAfterMs = 50
	default:
		if !errors.Is(p.Err, ErrChanged) { // which whoever asked makes something of
			s.node.log.Error("the store does not take an append", "session", s.id, "err", p.Err)
		}
		coded = protocol.Errorf(protocol.Code_INTERNAL, "it could not be stored")
	}
	if p.req != nil && !s.retains(p.req, coded) {
		s.fail(p.req, coded)
	}
	for _, r := range p.also {
		if !s.retains(r, coded) {
			s.fail(r, coded)
		}
	}
}

// retains has a request of which nobody knows whether it was done keep its place where it is
// only the store that cannot tell now: what its sender sent behind it must not come before it.
func (s *Session) retains(r *request, err error) bool {
	if !r.unsure || !protocol.Code_BUSY.Is(err) || r.tries >= maxOvertaken {
		return false
	}
	r.tries++
	s.broken = true
	s.redo = append(s.redo, r)
	return true
}

// unsure serves an append of which nobody knows whether it is stored, or will be. A message is
// sent once more, when the session is loaded again: its client message id tells. So is a mark,
// which only rises. Whoever asked for anything else is told that something went wrong, and
// nothing of what became of it.
func (s *Session) unsure(p *pending) {
	if p.req == nil {
		return
	}
	for _, r := range append([]*request{p.req}, p.also...) {
		switch r.frame.Body.(type) {
		case *protocol.Frame_MsgSend, *protocol.Frame_MsgRead, *protocol.Frame_MsgRecv:
			r.unsure = true
			s.redo = append(s.redo, r)
		default:
			s.fail(r, protocol.Errorf(protocol.Code_INTERNAL, "it is not known whether this was done"))
		}
	}
}

// silent gives a request up without an answer: none would be true. Its client asks
// again under the same client message id.
func (s *Session) silent(r *request) { r.from.tell(&answers{silent: 1}) }

func (s *Session) fail(r *request, err error) {
	if r.unsure && protocol.Code_BUSY.Is(err) { // which means that it was not done
		s.silent(r)
		return
	}
	r.from.tell(&answers{frames: []*protocol.Frame{protocol.Fail(r.frame, err)}})
}

// reply answers a request that nothing had to be made durable for.
func (s *Session) reply(r *request, f *protocol.Frame) {
	r.from.tell(&answers{frames: []*protocol.Frame{r.ok(f)}})
}

// mail gathers the answers of one commit by connection, so that each is told once.
type mail struct {
	letters []*letter
	index   map[*mailbox]*letter // of many
}

// letter is what one connection is told.
type letter struct {
	answers
	to  address
	one [1]*protocol.Frame // room for frames
}

func (m *mail) add(to address, f *protocol.Frame) {
	l := m.letter(to)
	if l == nil {
		l = &letter{to: to}
		l.frames = l.one[:0]
		m.letters = append(m.letters, l)
		switch {
		case m.index != nil:
			m.index[to.box] = l
		case len(m.letters) > 16:
			m.index = make(map[*mailbox]*letter, 64)
			for _, l := range m.letters {
				m.index[l.to.box] = l
			}
		}
	}
	l.frames = append(l.frames, f)
}

// letter finds what to is told already.
func (m *mail) letter(to address) *letter {
	if m.index != nil {
		return m.index[to.box]
	}
	for _, l := range m.letters {
		if l.to.box == to.box {
			return l
		}
	}
	return nil
}

func (m *mail) send(burst *Burst) {
	for _, l := range m.letters {
		l.burst = burst
		l.to.tell(&l.answers)
	}
}
