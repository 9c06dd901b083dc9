package actors

import (
	"context"
	"errors"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
)

// petition is a frame about a contact or a request on its way to the session that
// puts such frames in order: of two people their p2p session, which need not exist,
// of a group the group itself. So two answers at once come one after the other
// there, whoever gives them; the store's compare-and-set is what makes one final.
type petition struct {
	r     *request
	other protocol.UserID   // the other one of two people
	about *protocol.Request // with a request_answer: as whoever sent it on saw it
	tries int
	ended func() // called before the answer; nil: nobody waits for that
	over  bool   // it is answered
}

// end says whether m is to be answered now. False: it is answered already, as its
// session could not be read while what it led to was being written.
func (m *petition) end() bool {
	if m.over {
		return false
	}
	m.over = true
	if m.ended != nil {
		m.ended()
	}
	return true
}

// findings are what a worker read for a petition.
type findings struct {
	pair    *Pair             // of two people, as the one who asks sees it
	request *protocol.Request // what is answered; or what is asked for and waits already
	hidden  bool              // an invitation to somebody who has blocked the inviter
	looks   looks             // of the people in it
}

// maxTries bounds how often a petition is decided anew as its rows changed meanwhile.
const maxTries = 5

func (s *Session) petition(m *petition) {
	if !s.ready(m) {
		return
	}
	s.petitions = append(s.petitions, m)
	s.nextPetition()
}

// nextPetition begins with the first petition that waits, when the session is in a
// state to decide; the state's change calls it again.
func (s *Session) nextPetition() {
	if s.moving {
		s.depart()
		return
	}
	if s.deciding || len(s.petitions) == 0 || s.state != active || s.broken || s.making {
		return
	}
	s.deciding = true
	m := s.petitions[0]
	s.node.off(func() {
		ctx, cancel := s.node.background()
		defer cancel()
		var f *findings
		var err error
		if protocol.IsP2P(s.id) {
			f, err = s.node.findPair(ctx, m)
		} else {
			f, err = s.node.findGroup(ctx, m)
		}
		s.node.tell(s.pid, done(func() { s.guarded(m, func() { s.found(m, f, err) }) }))
	})
}

// guarded runs f; its panic ends the petition and nothing else.
func (s *Session) guarded(m *petition, f func()) {
	defer func() {
		if e := recover(); e != nil {
			s.node.panicked("session", e)
			s.declined(m, protocol.Errorf(protocol.Code_INTERNAL, "internal error"))
		}
	}()
	f()
}

func (s *Session) found(m *petition, f *findings, err error) {
	if s.state != active || s.broken || s.making {
		s.deciding = false // it is begun again when the session is loaded or made
		if s.moving {
			s.depart()
		}
		return
	}
	if err != nil {
		err = s.node.notRead(err)
	}
	var d *decision
	if err == nil && protocol.IsP2P(s.id) {
		d, err = s.decidePair(m, f)
	} else if err == nil {
		d, err = s.decideGroup(m, f)
	}
	switch {
	case err != nil:
		s.declined(m, err)
	case d.change == nil:
		s.settled(m, f, d, nil)
	case d.meet && s.info == nil:
		s.meet(m, f, d)
	case d.enters != "":
		s.welcome(m, f, d)
	default:
		s.node.off(func() {
			ctx, cancel := s.node.background()
			defer cancel()
			err := s.node.journal.CommitContacts(ctx, d.change)
			s.node.tell(s.pid, done(func() {
				s.guarded(m, func() {
					if err != nil {
						s.unwritten(m, err)
						return
					}
					s.settled(m, f, d, nil)
				})
			}))
		})
	}
}

// unwritten decides anew on a petition whose rows changed meanwhile.
func (s *Session) unwritten(m *petition, err error) {
	m.tries++
	again := errors.Is(err, ErrChanged) || errors.Is(err, ErrStale) || errors.Is(err, ErrTaken) || s.making && protocol.Code_CONFLICT.Is(err)
	if again && m.tries < maxTries {
		s.deciding = false
		s.nextPetition()
		return
	}
	if again {
		err = protocol.Errorf(protocol.Code_BUSY, "others change the same, ask again")
	}
	s.declined(m, err)
}

// declined answers a petition that nothing comes of.
func (s *Session) declined(m *petition, err error) {
	coded := protocol.AsError(err)
	if coded.Code == protocol.Code_INTERNAL {
		s.node.log.Error("a contact or request", "session", s.id, "user", m.r.who.User, "err", err)
	}
	if m.end() {
		s.fail(m.r, coded)
	}
	s.decided(m)
}

// settled tells everybody what is durable now, the one who asked last.
func (s *Session) settled(m *petition, f *findings, d *decision, b *Burst) {
	if f.pair != nil {
		if d.change != nil {
			f.pair = f.pair.with(d.change)
		}
		s.keep(f.pair)
	}
	d.request, d.shown = f.looks.dressed(d.request), f.looks.dressed(d.shown)
	if d.change != nil {
		for _, row := range d.change.Contacts {
			s.tellUser(row.User, &protocol.Frame{Body: &protocol.Frame_ContactUpdate{ContactUpdate: &protocol.ContactUpdate{
				Contact: f.looks.view(row), Gone: !row.Kept(), ContactsVersion: d.change.Versions[row.User],
			}}}, b)
		}
		if d.request != nil {
			s.tellRequest(d.request, s.concerned(d), b)
		}
	}
	if d.shown != nil {
		s.tellRequest(d.shown, []protocol.UserID{m.r.who.User}, b)
	}
	if m.end() {
		s.reply(m.r, petitioned(m, f, d))
	}
	s.decided(m)
}

// decided lets the next petition begin.
func (s *Session) decided(m *petition) {
	if len(s.petitions) > 0 && s.petitions[0] == m {
		s.petitions = s.petitions[1:]
		s.deciding = false
	}
	s.nextPetition()
	s.vanish()
}

// forsake answers all petitions of a session that cannot be read.
func (s *Session) forsake() {
	all := s.petitions
	s.petitions, s.deciding = nil, false
	for _, m := range all {
		if !m.end() {
			continue
		}
		s.fail(m.r, protocol.Errorf(protocol.Code_BUSY, "session %s cannot be read now", s.id))
	}
}

// concerned are those who learn of what became of a request.
func (s *Session) concerned(d *decision) []protocol.UserID {
	r := d.request
	who := []protocol.UserID{r.From}
	switch to := receiver(r); {
	case d.hidden:
	case to != "":
		who = append(who, to)
	default:
		for _, m := range s.order.leaders {
			if m.User != r.From {
				who = append(who, m.User)
			}
		}
	}
	return who
}

func (s *Session) tellRequest(r *protocol.Request, who []protocol.UserID, b *Burst) {
	e := []*Event{{Shared: protocol.NewShared(&protocol.Frame{Body: &protocol.Frame_RequestUpdate{RequestUpdate: &protocol.RequestUpdate{Request: r}}})}}
	for _, u := range who {
		s.node.streams.Publish(UserSubject(u), e, b)
	}
}

func (s *Session) tellUser(user protocol.UserID, f *protocol.Frame, b *Burst) {
	s.node.streams.Publish(UserSubject(user), []*Event{{Shared: protocol.NewShared(f)}}, b)
}

// petitioned is the answer to a petition that was granted.
func petitioned(m *petition, f *findings, d *decision) *protocol.Frame {
	switch body := m.r.frame.Body.(type) {
	case *protocol.Frame_RequestSend:
		return &protocol.Frame{Body: &protocol.Frame_RequestSendReply{RequestSendReply: &protocol.RequestSendReply{Request: d.request}}}
	case *protocol.Frame_ContactSet:
		return &protocol.Frame{Body: &protocol.Frame_ContactSetReply{ContactSetReply: &protocol.ContactSetReply{Contact: f.looks.view(d.contact)}}}
	case *protocol.Frame_ContactRemove:
		return &protocol.Frame{Body: &protocol.Frame_ContactRemoveReply{ContactRemoveReply: &protocol.ContactRemoveReply{User: body.ContactRemove.User}}}
	}
	return &protocol.Frame{Body: &protocol.Frame_RequestAnswerReply{RequestAnswerReply: &protocol.RequestAnswerReply{Request: d.request}}}
}

// notRead is what is told of contacts and requests that cannot be read.
func (n *Node) notRead(err error) *protocol.Error {
	coded := protocol.AsError(err)
	if coded.Code != protocol.Code_INTERNAL {
		return coded
	}
	n.log.Error("reading contacts and requests", "err", err)
	return protocol.Errorf(protocol.Code_BUSY, "contacts and requests cannot be read now")
}

func (n *Node) rules() rules {
	return rules{now: time.Now(), life: n.cfg.RequestLife, tell: n.cfg.TellBlocked}
}

// findPair reads what a petition between two people is decided from.
func (n *Node) findPair(ctx context.Context, m *petition) (f *findings, err error) {
	f = &findings{}
	switch m.r.frame.Body.(type) {
	case *protocol.Frame_RequestSend, *protocol.Frame_ContactSet:
		if err := n.vet(ctx, []protocol.UserID{m.other}); err != nil {
			return nil, err
		}
	case *protocol.Frame_RequestAnswer:
		if f.request, err = n.journal.Request(ctx, m.about.Id); err != nil {
			return nil, err
		}
	}
	f.looks = n.looksOf(m.r.who.User, m.other)
	f.pair, err = n.pair(ctx, m.r.who.User, m.other)
	return f, err
}

// decidePair decides on a petition between two people.
func (s *Session) decidePair(m *petition, f *findings) (*decision, error) {
	rules := s.node.rules()
	switch body := m.r.frame.Body.(type) {
	case *protocol.Frame_RequestSend:
		return askFriend(f.pair, m.r.who.User, body.RequestSend, rules)
	case *protocol.Frame_RequestAnswer:
		return answerFriend(f.pair, f.request, m.r.who.User, body.RequestAnswer.CallBackType, rules)
	case *protocol.Frame_ContactSet:
		return setContact(f.pair, body.ContactSet)
	case *protocol.Frame_ContactRemove:
		return unfriend(f.pair)
	}
	return nil, protocol.Errorf(protocol.Code_UNKNOWN_TYPE, "a session does not serve %s", m.r.frame.Type())
}
