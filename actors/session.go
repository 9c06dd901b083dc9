package actors

import (
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
	now  time.Time // when what it does now came

	subject string // that its events are published on

	state   state
	stashed []any // what came while it was loading

	info     *protocol.SessionInfo // nil: the session does not exist
	logEpoch string
	epoch    int64 // of this activation
	members  map[protocol.UserID]*MemberRow
	order    order
	former   silences
	lastJoin int64 // the highest Order ever given

	head    int64 // seq of the newest durable entry; the first is 1
	given   int64 // the highest seq given, durable or not
	last    int64 // createdAt of the newest entry: times never fall
	waiting int   // appends not reported yet
	broken  bool  // load again once nothing waits
	moving  bool  // … or go, as another node's it is
	redo    []any // what a newer activation was in the way of, in order: it is served again
	owing   bool  // entries may be durable that nobody was told of: it is loaded until that is known
	trying  bool  // … and a further try is under way
	unread  bool  // … after one that was in vain
	making  bool  // a session_create is not durable yet
	ending  bool  // members of a dissolved session are being taken out
	sent    *window
	held    map[protocol.UserID][]*request // a send that the store is asked about, and those behind it
	links   map[string]*LinkRow            // as they were last changed here, durable or not
	targets map[int64][]*change            // changes of one entry, one after the other: the first is under way

	petitions []*petition // about contacts and requests, one after the other
	deciding  bool        // the first of them is under way
	kept      *Pair       // of a p2p session: what its people keep of each other
	keptAt    int         // counts how often kept was set

	farewells []*farewell // of nodes that wait until it goes

	bots   []protocol.UserID // of the members: never changed, only replaced
	drafts *drafts           // what they are writing; nil: nothing

	reporting *committed // the committer's, while it reports
}

type state int

const (
	unloaded state = iota
	loading
	active
	leaving
)

func (s *Session) Receive(c actor.Context) {
	s.now = time.Now()
	switch m := c.Message().(type) {
	case *request:
		s.request(m)
	case *committed:
		s.committed(m)
	case done:
		s.done(m)
	case *passivate:
		s.passivate(m)
	case *move:
		s.move()
	case *farewell:
		s.farewell(m)
	case *draftsDue:
		s.draftsDue()
	case *end:
		c.Stop(c.Self())
	default:
		s.serve(m)
	}
}

// serve does what a session is asked for, now or when it is loaded.
func (s *Session) serve(m any) {
	switch m := m.(type) {
	case *request:
		s.request(m)
	case *petition:
		s.petition(m)
	case *expire:
		s.expire(m)
	case *decree:
		s.decreed(m)
	case *timeUp:
		s.timeUp(m)
	case *byCode:
		s.byCode(m)
	case *Draft:
		s.draft(m)
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
	if r.notice != nil {
		s.notice(r)
		return
	}
	if create := r.frame.GetSessionCreate(); create != nil {
		s.create(r, create)
		return
	}
	if r.frame.GetSessionJoin() != nil {
		s.join(r)
		return
	}
	me := s.members[r.who.User]
	if s.info == nil || s.info.Dead || me == nil {
		s.fail(r, s.unknown())
		return
	}
	if err := s.admit(r); err != nil {
		s.fail(r, err)
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
		s.editing(r, me)
	case *protocol.Frame_Sync:
		s.sync(r, me, m.Sync)
	case *protocol.Frame_MsgCancel:
		if d := s.drafts.of(m.MsgCancel.MessagerecvId); d != nil {
			s.stop(r, d)
			return
		}
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
	case *protocol.Frame_SessionDissolve:
		s.dissolve(r, me)
	case *protocol.Frame_LinkCreate:
		s.createLink(r, m.LinkCreate)
	case *protocol.Frame_LinkList:
		s.listLinks(r, me, m.LinkList)
	case *protocol.Frame_LinkRevoke:
		s.revokeLink(r, m.LinkRevoke)
	case *protocol.Frame_SessionGet:
		s.get(r, m.SessionGet)
	case *protocol.Frame_SessionSet:
		s.set(r, me, m.SessionSet)
	case *protocol.Frame_RequestList:
		s.requestsInto(r, me, m.RequestList)
	default:
		s.fail(r, protocol.Errorf(protocol.Code_UNKNOWN_TYPE, "a session does not serve %s", r.frame.Type()))
	}
}

// ready says whether m can be served now. Otherwise it is kept, or sent on.
func (s *Session) ready(m any) bool {
	now := s.now.UnixMilli()
	if now-s.ref.active.Load() > 1000 {
		s.ref.active.Store(now)
	}
	switch {
	case s.state == leaving:
		s.node.tellSession(s.id, m)
		return false
	case s.state == active && !s.broken && !s.making:
		return true
	}
	s.stashed = append(s.stashed, m)
	if s.state == unloaded {
		s.load()
	}
	return false
}

// unknown is what strangers and members of nothing are told alike.
func (s *Session) unknown() error { return protocol.NotFound("session %s", s.id) }

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

// passivate lets the session go when nothing is under way. Whoever still has its
// address is sent on to the next activation until the end.
func (s *Session) passivate(m *passivate) {
	idle := m.now || time.Since(time.UnixMilli(s.ref.active.Load())) >= s.node.cfg.SessionIdle
	if !idle || s.making || s.owing || len(s.stashed) > 0 || s.waiting > 0 || s.state == loading || s.state == leaving || len(s.held) > 0 || len(s.targets) > 0 || len(s.petitions) > 0 || s.drafts != nil {
		if m.now {
			s.ref.active.Store(0) // the next sweep asks again
		}
		return
	}
	s.leave()
}

// vanish lets a session go at once that does not exist: clients name what they
// like, and must not fill the memory with it.
func (s *Session) vanish() {
	if s.info == nil && s.state == active && !s.making && s.waiting == 0 && len(s.petitions) == 0 {
		s.leave()
	}
}

func (s *Session) leave() {
	s.state = leaving
	s.node.sessions.remove(s.id, s.ref)
	for _, f := range s.farewells {
		close(f.gone)
	}
	s.farewells = nil
	pid := s.pid
	time.AfterFunc(leaveTime, func() { s.node.tell(pid, &end{}) })
}

// leaveTime is how long an actor that passivated sends on what still reaches it.
// An address is used at once where it was looked up, so seconds are ample.
const leaveTime = 10 * time.Second
