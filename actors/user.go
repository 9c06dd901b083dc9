package actors

import (
	"context"
	"crypto/rand"
	"encoding/hex"
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

	upTo      int64 // how many of the node's losses the list was read after
	comparing bool  // it is being read again
	again     bool  // … and something was lost meanwhile

	epoch  string // of the offsets: new with every activation
	offset int64  // of the newest event
	ring   ring
	conns  []attached
	coming map[int64]bool // connections for which something is being read
	out    []Outgoing     // room for one delivery
	pass   string         // what opens the pictures of its groups; "": none is without a picture
	looks  []look         // profiles that were told of lately
	views  *views         // whose presence comes; nil: nobody's
}

// early is what came while a user was loading.
type early struct {
	stashed []any
	late    []*protocol.Entry
}

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
		u.lost(m)
	case *recheck:
		u.recheck()
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
			device, a.fresh = a.who.Device, true
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
	u.upTo = u.node.losses.Load()
	u.node.apart(func() {
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
	left := followTime
	follow := func(subjects ...string) error {
		began := time.Now()
		ctx, enough := context.WithTimeout(ctx, left)
		defer enough()
		err := n.streams.Follow(ctx, subjects...)
		left -= time.Since(began)
		return err
	}
	n.audience.join(subject, u.at)
	if err := follow(subject); err != nil {
		return nil, err
	}
	sessions, err := n.journal.SessionsOf(ctx, u.id)
	if err != nil || len(sessions) == 0 {
		return nil, err
	}
	followed := make(map[protocol.SessionID]bool, len(sessions))
	for {
		subjects := make([]string, 0, len(sessions)) // together, as between nodes each call takes its time
		for _, s := range sessions {
			followed[s] = true
			if n.audience.join(SessionSubject(s), u.at) {
				subjects = append(subjects, SessionSubject(s))
			}
		}
		if err := follow(subjects...); err != nil {
			return nil, err
		}
		rows, err := n.journal.Home(ctx, u.id, device, nil)
		if err != nil {
			return nil, err
		}
		sessions = sessions[:0]
		for _, h := range rows {
			if !followed[h.Info.Session] { // it came about meanwhile: what was said in it did not come here
				sessions = append(sessions, h.Info.Session)
			}
		}
		if len(sessions) == 0 {
			return rows, nil
		}
	}
}

// followTime bounds how long a list waits in all until others, or a Redis that is silent, know
// that it is followed: what is written before they do is caught up with.
const followTime = 1500 * time.Millisecond

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
		u.node.failed("loading a user", err, "user", u.id)
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
		switch r := u.rows[e.Session]; {
		case r == nil, r.reading != nil, e.Seq <= r.head:
		case e.Seq == r.head+1:
			u.count(r, e)
			r.told = r.head
		default: // what is before it did not come
			u.reread(e.Session, 0, true, false)
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
		m.from.tell(&answers{frames: []*protocol.Frame{protocol.Fail(m.frame, busy)}})
	case *renew:
		u.node.tell(m.from, &answers{frames: []*protocol.Frame{protocol.Fail(m.welcome, busy)}})
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
