package actors

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"slices"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-im/troupe/internal/protocol"
)

// User is a user with a connection on this node: its connections, its home list
// with what is unread, and the ring of recent events that makes a resume cheap.
// Every event gets its offset here, so all of the user's connections agree on it.
// It is loaded from the store, and lingers a while after the last connection.
type User struct {
	node *Node
	ref  *ref
	pid  *actor.PID
	at   address
	id   protocol.UserID

	state  state
	*early // nil: not loading

	rows    map[protocol.SessionID]*row
	unread  int64           // of all rows
	devices map[string]bool // whose received marks are in the rows
	acquaintance

	epoch  string // of the offsets: new with every activation
	offset int64  // of the newest event
	ring   []ringed
	conns  []attached
	coming map[int64]bool // connections for which something is being read
	out    []Outgoing     // room for one delivery
	looks  []look         // profiles that were told of lately
	views  *views         // whose presence comes; nil: nobody's
}

// early is what came while a user was loading.
type early struct {
	stashed []any
	late    []*protocol.Entry
}

// attached is one of the user's connections.
type attached struct {
	conn int64
	pid  *actor.PID
	link Link
	who  *protocol.Identity
	beat int64 // offset at the last heartbeat

	watching *watching // whose presence it asked for; nil: nobody's
}

// attach signs a connection in. The User answers the auth frame, as what follows
// must not overtake it.
type attach struct {
	conn    int64
	pid     *actor.PID
	link    Link
	who     *protocol.Identity
	frame   *protocol.Frame
	welcome *protocol.Frame
	faces   *[]*protocol.Profile // what was read of those who were not known; nil: nothing yet
}

type detach struct{ conn int64 }

// renew answers a later auth of a connection: its resume position is where it is.
type renew struct {
	from    *actor.PID
	welcome *protocol.Frame
}

// ringed is an event that a resume may ask for.
type ringed struct {
	offset int64
	shared *protocol.Shared
}

// ringSize is how many events a resume can be behind: a phone that was in a tunnel.
// An event of a p2p session keeps about 1.1 KB, so a busy user keeps some 100 KB.
const ringSize = 64

func (u *User) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *delivery:
		u.deliver(m)
	case *attach:
		u.attach(m)
	case *renew:
		u.renew(m)
	case *detach:
		u.detach(m)
	case *request:
		u.request(m)
	case *appears:
		u.appears(m)
	case done:
		u.guard(m)
	case *lost:
		u.lost()
	case *passivate:
		u.passivate()
	case *end:
		c.Stop(c.Self())
	}
}

// guard keeps a panic of f from taking the connections' state along.
func (u *User) guard(f func()) {
	defer func() {
		if e := recover(); e != nil {
			u.node.panicked("user", e)
		}
	}()
	f()
}

// ready says whether m can be served now. Otherwise it is kept, or sent on.
func (u *User) ready(m any) bool {
	u.ref.active.Store(time.Now().UnixMilli())
	switch u.state {
	case active:
		return true
	case leaving:
		u.node.tell(u.node.user(u.id), m)
		return false
	case unloaded:
		device := ""
		if a, ok := m.(*attach); ok {
			device = a.who.Device
		}
		u.load(device)
	}
	u.stashed = append(u.stashed, m)
	return false
}

// load follows the user's sessions and reads the home list, in this order: what
// comes between the two is in late, so nothing falls between.
func (u *User) load(device string) {
	u.state = loading
	u.early = &early{}
	u.epoch = newEpoch()
	u.node.off(func() {
		ctx, cancel := u.node.background()
		defer cancel()
		rows, err := u.read(ctx, device)
		var held *acquaintance
		if err == nil {
			held, err = u.node.readRequests(ctx, u.id, rows)
		}
		var s stands
		if err == nil {
			s, err = u.readStands(ctx, held.version > 0)
		}
		u.node.tell(u.pid, done(func() {
			if err == nil {
				u.acquaintance = *held
				u.stand(s)
			}
			u.loaded(rows, device, err)
		}))
	})
}

func newEpoch() string {
	var b [8]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

func (u *User) read(ctx context.Context, device string) ([]*HomeRow, error) {
	n, subject := u.node, UserSubject(u.id)
	n.audience.join(subject, u.at)
	if err := n.streams.Follow(ctx, subject); err != nil {
		return nil, err
	}
	sessions, err := n.journal.SessionsOf(ctx, u.id)
	if err != nil || len(sessions) == 0 {
		return nil, err
	}
	for _, s := range sessions {
		if err := u.follow(ctx, s); err != nil {
			return nil, err
		}
	}
	return n.journal.Home(ctx, u.id, device)
}

// follow makes the session's events arrive here.
func (u *User) follow(ctx context.Context, session protocol.SessionID) error {
	if u.node.audience.join(SessionSubject(session), u.at) {
		return u.node.streams.Follow(ctx, SessionSubject(session))
	}
	return nil
}

func (u *User) unfollow(session protocol.SessionID) {
	if u.node.audience.leave(SessionSubject(session), u.at) {
		u.node.streams.Unfollow(SessionSubject(session))
	}
}

func (u *User) loaded(rows []*HomeRow, device string, err error) {
	stashed, late := u.stashed, u.late
	u.early = nil
	if err != nil {
		u.node.log.Error("loading a user", "user", u.id, "err", err)
		u.state = unloaded
		for _, m := range stashed {
			u.turnAway(m)
		}
		return
	}
	u.state = active
	if len(rows) > 0 {
		u.rows = make(map[protocol.SessionID]*row, len(rows))
		u.devices = map[string]bool{device: true}
	}
	for _, h := range rows {
		r := &row{}
		r.adopt(h, device)
		r.told = r.head // whoever attaches gets it in the snapshot
		u.rows[h.Info.Session] = r
		u.unread += r.unread
	}
	for _, e := range late {
		if r := u.rows[e.Session]; r != nil && e.Seq > r.head {
			u.count(r, e)
			r.told = r.head
		}
	}
	for _, m := range stashed {
		switch m := m.(type) {
		case *attach:
			u.attach(m)
		case *detach:
			u.detach(m)
		case *renew:
			u.renew(m)
		case *request:
			u.request(m)
		case *appears:
			u.appears(m)
		case done: // what came about the list while it was read
			u.guard(m)
		}
	}
}

// turnAway answers what cannot be served as the store cannot be read.
func (u *User) turnAway(m any) {
	busy := protocol.Errorf(protocol.Code_BUSY, "the home list cannot be read now")
	switch m := m.(type) {
	case *attach:
		u.node.tell(m.pid, &answers{frames: []*protocol.Frame{protocol.Fail(m.frame, busy)}})
		u.node.tell(m.pid, &kick{code: protocol.Code_GOAWAY, why: "not ready"})
	case *request:
		u.node.tell(m.from, &answers{frames: []*protocol.Frame{protocol.Fail(m.frame, busy)}})
	case *renew:
		u.node.tell(m.from, &answers{frames: []*protocol.Frame{protocol.Fail(m.welcome, busy)}})
	}
}

// attach signs a connection in: with what it missed when that is in the ring, else
// with a snapshot of the home list.
func (u *User) attach(m *attach) {
	if !u.ready(m) {
		return
	}
	resume := m.frame.GetAuth().GetResume()
	missed, resumed := u.missed(resume)
	if !resumed && !u.devices[m.who.Device] && len(u.rows) > 0 {
		u.readDevice(m)
		return
	}
	var snapshot *protocol.Snapshot
	if !resumed {
		snapshot = u.snapshot(m.who.Device)
		var shown bool
		snapshot.Users, shown = u.faces(people(snapshot.Sessions, snapshot.Requests), m.faces, func(read *[]*protocol.Profile) {
			if u.coming[m.conn] { // else it went meanwhile
				delete(u.coming, m.conn)
				m.faces = read
				u.attach(m)
			}
		})
		if !shown {
			u.comes(m)
			return
		}
	}
	u.replaceOthers(m.who)
	reply := m.welcome.GetAuthReply()
	reply.Epoch, reply.Resumed = u.epoch, resumed
	if m.welcome.Offset = u.offset; resumed {
		m.welcome.Offset = resume.Offset // the missed events move it on one by one
	}
	out := make([]Outgoing, 0, 1+len(missed))
	out = append(out, Outgoing{Frame: m.welcome})
	if resumed {
		for _, e := range missed {
			out = append(out, u.outgoing(e.shared, e.offset))
		}
	} else {
		reply.Snapshot = snapshot
	}
	m.link.Deliver(out, nil)
	u.conns = append(u.conns, attached{conn: m.conn, pid: m.pid, link: m.link, who: m.who, beat: u.offset})
	if u.ref.connections.Add(1) == 1 {
		u.node.presence.look(u.id, time.Now())
	}
	u.node.tell(m.pid, &settled{user: u.pid, seen: &u.ref.active})
}

// settled tells a connection that its auth frame is answered, and by which
// activation; seen takes the time (Unix milliseconds) of its signs of life.
type settled struct {
	user *actor.PID
	seen *atomic.Int64
}

func (u *User) renew(m *renew) {
	if !u.ready(m) {
		return
	}
	m.welcome.GetAuthReply().Epoch, m.welcome.Offset = u.epoch, u.offset
	u.node.tell(m.from, &answers{frames: []*protocol.Frame{m.welcome}})
}

// missed gives the events after a resume's position, if all of them are known.
func (u *User) missed(r *protocol.Resume) ([]ringed, bool) {
	if r == nil || r.Epoch != u.epoch || r.Offset > u.offset || r.Offset < 0 {
		return nil, false
	}
	behind := int(u.offset - r.Offset)
	if behind > len(u.ring) {
		return nil, false
	}
	if plantedResumeSkips && behind > 0 {
		behind--
	}
	return u.ring[len(u.ring)-behind:], true
}

// comes notes that a connection will be attached when something was read.
func (u *User) comes(m *attach) {
	if u.coming == nil {
		u.coming = map[int64]bool{}
	}
	u.coming[m.conn] = true
}

// readDevice reads how far another device has come, then attaches it.
func (u *User) readDevice(m *attach) {
	u.comes(m)
	u.node.off(func() {
		ctx, cancel := u.node.background()
		defer cancel()
		rows, err := u.node.journal.Home(ctx, u.id, m.who.Device)
		u.node.tell(u.pid, done(func() {
			if !u.coming[m.conn] {
				return // it went meanwhile
			}
			delete(u.coming, m.conn)
			if err != nil {
				u.node.log.Error("reading a device's marks", "user", u.id, "err", err)
			}
			for _, h := range rows {
				if r := u.rows[h.Info.Session]; r != nil {
					r.received(m.who.Device, h.DeviceRecv)
				}
			}
			if u.devices == nil {
				u.devices = map[string]bool{}
			}
			u.devices[m.who.Device] = true
			u.forgetDevices(m.who.Device)
			u.attach(m)
		}))
	})
}

// forgetDevices lets go of the marks of devices that are not connected, but one, when
// there are more than the store keeps: who comes back is read about again.
func (u *User) forgetDevices(but string) {
	if len(u.devices) <= MaxDevices {
		return
	}
	for d := range u.devices {
		if d == but || slices.ContainsFunc(u.conns, func(c attached) bool { return c.who.Device == d }) {
			continue
		}
		delete(u.devices, d)
		for _, r := range u.rows {
			delete(r.recv, d)
		}
	}
}

// replaceOthers closes the user's connections that the platform's policy does not
// allow beside a new one.
func (u *User) replaceOthers(who *protocol.Identity) {
	policy, ok := u.node.cfg.Platforms[who.Platform]
	if !ok {
		policy = u.node.cfg.Platforms["*"]
	}
	if policy != "replace" {
		return
	}
	for _, c := range u.conns {
		if c.who.Platform == who.Platform && c.who.Device != who.Device {
			u.node.tell(c.pid, &kick{code: protocol.Code_REPLACED, why: "signed in on another device"})
		}
	}
}

func (u *User) detach(m *detach) {
	if u.state == leaving { // the attach was sent on, too
		if next := u.node.people.find(u.id); next != nil {
			u.node.tell(next.pid, m)
		}
		return
	}
	if u.state == loading {
		u.stashed = append(u.stashed, m)
		return
	}
	delete(u.coming, m.conn)
	for i, c := range u.conns {
		if c.conn == m.conn {
			u.conns = append(u.conns[:i:i], u.conns[i+1:]...)
			u.ref.active.Store(time.Now().UnixMilli())
			if u.ref.connections.Add(-1) == 0 {
				u.node.presence.look(u.id, time.Now().Add(u.node.cfg.PresenceLinger))
			}
			if c.watching != nil {
				u.unsee(c.watching.users)
			}
			return
		}
	}
}

// passivate lets the user go when there is no connection any more. A resume after
// that gets a snapshot.
func (u *User) passivate() {
	idle := time.Since(time.UnixMilli(u.ref.active.Load())) >= u.node.cfg.UserLinger
	if !idle || u.ref.shown.Load() != 0 || len(u.conns) > 0 || len(u.coming) > 0 || u.state == loading || u.state == leaving {
		return
	}
	for _, r := range u.rows {
		if r.reading != nil { // it would follow the session once more
			return
		}
	}
	u.state = leaving
	u.node.people.remove(u.id, u.ref)
	for id := range u.rows {
		u.unfollow(id)
	}
	u.unseeAll()
	if u.node.audience.leave(UserSubject(u.id), u.at) {
		u.node.streams.Unfollow(UserSubject(u.id))
	}
	pid := u.pid
	time.AfterFunc(leaveTime, func() { u.node.tell(pid, &end{}) })
}
