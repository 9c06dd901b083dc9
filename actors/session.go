package actors

import (
	"errors"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-im/troupe/internal/protocol"
)

// Session puts the entries of one session in order. Members and seq live here and
// nowhere else. It never waits: the committer does, workers do, and both say when
// they are done. What it keeps it can load again: an idle session leaves, one
// whose log is held by a newer activation, or in which a handler panicked, loads
// itself anew.
type Session struct {
	node *Node
	ref  *ref
	pid  *actor.PID
	id   protocol.SessionID

	state   state
	stashed []any // what came while it was loading

	info     *protocol.SessionInfo // nil: the session does not exist
	logEpoch string
	epoch    int64 // of this activation
	members  map[protocol.UserID]*MemberRow
	order    []*MemberRow // in order of joining
	lastJoin int64        // the highest Order ever given

	head    int64 // seq of the newest durable entry; the first is 1
	given   int64 // the highest seq given, durable or not
	last    int64 // createdAt of the newest entry: times never fall
	waiting int   // appends not reported yet
	broken  bool  // load again once nothing waits
	making  bool  // a session_create is not durable yet
	sent    *window
	held    map[protocol.UserID][]*request // sends behind one that the store is asked about
	targets map[int64][]*change            // changes of one entry, one after the other: the first is under way

	reporting []*pending // the committer's, while it reports
}

type state int

const (
	unloaded state = iota
	loading
	active
	leaving
)

// pending is one append on its way, and what follows when it is durable.
type pending struct {
	Append
	home  *Session
	req   *request // answered with answer; nil: nobody asked
	also  []*request
	entry *protocol.Entry
	key   [16]byte // of a message, in the window
	oneE  [1]*protocol.Entry
	oneH  [1][8]byte

	answer *protocol.Frame // nil with a message: made from entry
	after  func(*Burst)    // tells others than the session's members
	failed func()          // when it was refused
}

func (s *Session) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *request:
		s.request(m)
	case *committed:
		s.committed(m)
	case done:
		s.done(m)
	case *expire:
		s.expire(m)
	case *passivate:
		s.passivate()
	case *end:
		c.Stop(c.Self())
	}
}

// request serves a frame, or keeps it until the session is loaded. A panic is a
// bug: it answers this request, and the session loads itself anew once what it had
// in flight is reported, so that nobody else notices.
func (s *Session) request(r *request) {
	if !s.ready(r) {
		return
	}
	defer func() {
		if e := recover(); e != nil {
			s.node.panicked("session", e)
			s.fail(r, protocol.Errorf(protocol.Code_INTERNAL, "internal error"))
			s.reload()
		}
	}()
	if create := r.frame.GetSessionCreate(); create != nil {
		s.create(r, create)
		return
	}
	me := s.members[r.who.User]
	if s.info == nil || me == nil {
		s.fail(r, s.unknown())
		return
	}
	switch m := r.frame.Body.(type) {
	case *protocol.Frame_MsgSend:
		s.send(r, m.MsgSend)
	case *protocol.Frame_MsgRead:
		s.read(r, me, m.MsgRead.Seq)
	case *protocol.Frame_MsgRecv:
		s.recv(r, me, m.MsgRecv)
	case *protocol.Frame_MsgEditing:
		s.editing(r)
	case *protocol.Frame_Sync:
		s.sync(r, me, m.Sync)
	case *protocol.Frame_MsgCancel:
		s.cancel(r, m.MsgCancel)
	case *protocol.Frame_MsgEdit:
		s.edit(r, m.MsgEdit)
	case *protocol.Frame_MsgReact:
		s.react(r, m.MsgReact)
	case *protocol.Frame_MsgAccept:
		s.answerCall(r, "accept", m.MsgAccept.MessagerecvId, m.MsgAccept.MessagesendId)
	case *protocol.Frame_MsgRefuse:
		s.answerCall(r, "refuse", m.MsgRefuse.MessagerecvId, m.MsgRefuse.MessagesendId)
	case *protocol.Frame_SessionAddUser:
		s.addUsers(r, m.SessionAddUser.Members)
	case *protocol.Frame_SessionRemoveUser:
		s.removeUsers(r, me, m.SessionRemoveUser.Members)
	case *protocol.Frame_SessionExit:
		s.exit(r)
	case *protocol.Frame_SessionGet:
		s.get(r, m.SessionGet)
	case *protocol.Frame_SessionSet:
		s.set(r, me, m.SessionSet)
	default:
		s.fail(r, protocol.Errorf(protocol.Code_UNKNOWN_TYPE, "a session does not serve %s", r.frame.Type()))
	}
}

// ready says whether m can be served now. Otherwise it is kept, or sent on.
func (s *Session) ready(m any) bool {
	now := time.Now().UnixMilli()
	if now-s.ref.active.Load() > 1000 {
		s.ref.active.Store(now)
	}
	switch {
	case s.state == leaving:
		s.node.tell(s.node.session(s.id), m)
		return false
	case s.state == active && !s.broken && !s.making:
		return true
	case s.state == unloaded:
		s.load()
	}
	s.stashed = append(s.stashed, m)
	return false
}

// unknown is what strangers and members of nothing are told alike.
func (s *Session) unknown() error { return protocol.NotFound("session %s", s.id) }

// load reads the session and takes a new epoch for it, away from the mailbox.
func (s *Session) load() {
	s.state = loading
	s.node.off(func() {
		ctx, cancel := s.node.background()
		defer cancel()
		stored, sent, err := s.read1(ctx)
		s.node.tell(s.pid, done(func() { s.loaded(stored, sent, err) }))
	})
}

func (s *Session) loaded(stored *Stored, sent *window, err error) {
	switch {
	case protocol.Code_NOT_FOUND.Is(err):
		s.info, s.members, s.order = nil, nil, nil
		s.making = false
	case err != nil:
		s.node.log.Error("loading a session", "session", s.id, "err", err)
		s.state = unloaded
		stashed := s.stashed
		s.stashed = nil
		for _, m := range stashed {
			if r, ok := m.(*request); ok {
				s.fail(r, protocol.Errorf(protocol.Code_BUSY, "session %s cannot be read now", s.id))
			}
		}
		return
	default:
		s.adopt(stored)
		s.sent = sent
		s.append(&pending{Append: Append{Claim: true}})
	}
	s.state = active
	s.unstash()
	s.vanish()
}

// adopt takes the stored state as its own.
func (s *Session) adopt(stored *Stored) {
	s.info, s.logEpoch = stored.Info, stored.LogEpoch
	s.epoch = stored.Epoch + 1
	s.head, s.given = stored.Head, stored.Head
	s.order = stored.Members
	s.members = make(map[protocol.UserID]*MemberRow, len(s.order))
	s.lastJoin = 0
	for _, m := range s.order {
		s.members[m.User] = m
		s.lastJoin = max(s.lastJoin, m.Order)
	}
	s.last = max(s.info.UpdatedAt, s.info.CreatedAt)
	s.held, s.targets, s.making = nil, nil, false
}

func (s *Session) unstash() {
	stashed := s.stashed
	s.stashed = nil
	for _, m := range stashed {
		switch m := m.(type) {
		case *request:
			s.request(m)
		case *expire:
			s.expire(m)
		}
	}
}

// reload forgets what is known and loads it again, once all that is under way is
// reported: what became durable is still answered.
func (s *Session) reload() {
	s.broken = true
	if s.waiting > 0 || s.state != active {
		return
	}
	s.broken = false
	held := s.held
	targets := s.targets
	s.held, s.targets = nil, nil
	s.load()
	for _, rs := range held {
		for _, r := range rs {
			s.stashed = append(s.stashed, r)
		}
	}
	for _, changes := range targets {
		for _, c := range changes {
			if c.r != nil { // that it is asked for again shows in the target
				s.stashed = append(s.stashed, c.r)
			}
		}
	}
}

// done runs what was brought back from a worker, unless the session left meanwhile.
func (s *Session) done(f done) {
	defer func() {
		if e := recover(); e != nil {
			s.node.panicked("session", e)
			s.reload()
		}
	}()
	f()
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
	s.waiting++
	if plantedPublishBeforeCommit && p.entry != nil {
		s.publish([]*Event{s.push(p)}, nil)
	}
	s.node.committer.add(&p.Append)
}

// next makes e the next entry of the log.
func (s *Session) next(e *protocol.Entry) *protocol.Entry {
	s.given++
	s.last = max(s.last, time.Now().UnixMilli())
	e.Session, e.Seq, e.CreatedAt = s.id, s.given, s.last
	e.MessagerecvId = protocol.MessageID(s.id, e.Seq)
	return e
}

// appendEntry gives an entry to the committer, with what else is in p.
func (s *Session) appendEntry(p *pending, e *protocol.Entry) {
	p.entry = s.next(e)
	p.oneE[0] = e
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
	events := make([]*Event, 0, len(m.done))
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
			p.answer = s.created()
			s.making, made = false, true
		}
		s.answer(p, &out)
		if p.entry != nil && !plantedPublishBeforeCommit {
			events = append(events, s.push(p))
		}
		if p.after != nil {
			if len(events) > 0 {
				s.publish(events, m.burst)
				events = make([]*Event, 0, 4)
			}
			p.after(m.burst)
		}
	}
	out.send(s.node, m.burst)
	if len(events) > 0 {
		s.publish(events, m.burst)
	}
	switch {
	case s.broken:
		s.reload()
	case made:
		s.unstash()
	}
}

func (s *Session) publish(events []*Event, burst *Burst) {
	s.node.streams.Publish(SessionSubject(s.id), events, burst)
}

// push is the event of an entry. The connection that sent it gets the answer instead.
func (s *Session) push(p *pending) *Event {
	e := &Event{Shared: protocol.NewShared(&protocol.Frame{Body: &protocol.Frame_MsgPush{MsgPush: p.entry}})}
	if p.req != nil && p.entry.Kind == protocol.Kind_MESSAGE {
		e.Skip = p.req.conn
	}
	return e
}

// answer adds the answers to p's requests to out.
func (s *Session) answer(p *pending, out *mail) {
	if p.entry != nil && p.entry.Kind == protocol.Kind_MESSAGE {
		s.node.stats.Acked.Add(1)
		if k := s.sent.recent[p.key]; k != nil {
			k.waiting = nil
		}
		out.add(p.req.from, p.req.ok(stored(p.entry.Session, p.entry.ClientMsgId, p.entry.Seq, p.entry.CreatedAt, false)))
		for _, r := range p.also {
			out.add(r.from, r.ok(stored(p.entry.Session, p.entry.ClientMsgId, p.entry.Seq, p.entry.CreatedAt, true)))
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
	if errors.Is(p.Err, ErrStale) || errors.Is(p.Err, ErrTaken) {
		s.node.log.Warn("a newer activation of the session writes its log", "session", s.id)
	}
	s.broken = true
	if p.entry != nil && p.key != [16]byte{} {
		s.sent.forget(p.key)
	}
	if p.failed != nil {
		p.failed()
	}
	var err error = p.Err
	var coded *protocol.Error
	if !errors.As(err, &coded) {
		coded = protocol.Errorf(protocol.Code_BUSY, "session %s is being moved, ask again", s.id)
		coded.RetryAfterMs = 50
	}
	if p.req != nil {
		s.fail(p.req, coded)
	}
	for _, r := range p.also {
		s.fail(r, coded)
	}
}

func (s *Session) fail(r *request, err error) {
	s.node.tell(r.from, &answers{frames: []*protocol.Frame{protocol.Fail(r.frame, err)}})
}

// reply answers a request that nothing had to be made durable for.
func (s *Session) reply(r *request, f *protocol.Frame) {
	s.node.tell(r.from, &answers{frames: []*protocol.Frame{r.ok(f)}})
}

// passivate lets the session go when nothing is under way. Whoever still has its
// address is sent on to the next activation until the end.
func (s *Session) passivate() {
	idle := time.Since(time.UnixMilli(s.ref.active.Load())) >= s.node.cfg.SessionIdle
	if !idle || s.making || s.waiting > 0 || s.state == loading || s.state == leaving || len(s.held) > 0 || len(s.targets) > 0 {
		return
	}
	s.leave()
}

// vanish lets a session go at once that does not exist: clients name what they
// like, and must not fill the memory with it.
func (s *Session) vanish() {
	if s.info == nil && s.state == active && !s.making && s.waiting == 0 {
		s.leave()
	}
}

func (s *Session) leave() {
	s.state = leaving
	s.node.sessions.remove(s.id, s.ref)
	pid := s.pid
	time.AfterFunc(leaveTime, func() { s.node.tell(pid, &end{}) })
}

// leaveTime is how long an actor that passivated sends on what still reaches it.
// An address is used at once where it was looked up, so seconds are ample.
const leaveTime = 10 * time.Second

// mail gathers the answers of one commit by connection, so that each is told once.
type mail struct {
	to     []*actor.PID
	frames [][]*protocol.Frame
	index  map[*actor.PID]int
}

func (m *mail) add(to *actor.PID, f *protocol.Frame) {
	at := -1
	if m.index != nil {
		if i, ok := m.index[to]; ok {
			at = i
		}
	} else {
		for i, pid := range m.to {
			if pid == to {
				at = i
				break
			}
		}
	}
	if at < 0 {
		at = len(m.to)
		m.to = append(m.to, to)
		m.frames = append(m.frames, nil)
		if m.index != nil {
			m.index[to] = at
		} else if len(m.to) > 16 {
			m.index = make(map[*actor.PID]int, 64)
			for i, pid := range m.to {
				m.index[pid] = i
			}
		}
	}
	m.frames[at] = append(m.frames[at], f)
}

func (m *mail) send(n *Node, burst *Burst) {
	for i, to := range m.to {
		n.tell(to, &answers{frames: m.frames[i], burst: burst})
	}
}
