package actors

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/troupe-im/troupe/internal/protocol"
)

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
	fresh   bool                 // the list was read after this came
}

type detach struct{ conn int64 }

// renew answers a later auth of a connection: its resume position is where it is.
type renew struct {
	from    *actor.PID
	welcome *protocol.Frame
}

// attach signs a connection in: with what it missed when that is in the ring, else
// with a snapshot of the home list. Where either may lack what others have written, the
// list is read first, and a ring that lacks something is not given as if it were whole.
func (u *User) attach(m *attach) {
	if !u.ready(m) {
		return
	}
	resume := m.frame.GetAuth().GetResume()
	missed, resumed := u.missed(resume)
	doubtful := u.doubtful()
	if resumed && doubtful && m.fresh && u.lacks() {
		missed, resumed = nil, false
	}
	if doubtful && !m.fresh || !resumed && !u.devices[m.who.Device] && len(u.rows) > 0 {
		u.readList(m, doubtful)
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
		for i, e := range missed {
			out = append(out, u.outgoing(e, u.offset-int64(len(missed)-1-i)))
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
func (u *User) missed(r *protocol.Resume) ([]*protocol.Shared, bool) {
	if r == nil || r.Epoch != u.epoch || r.Offset > u.offset || r.Offset < 0 {
		return nil, false
	}
	behind := int(u.offset - r.Offset)
	if behind > len(u.ring.events) {
		return nil, false
	}
	if plantedResumeSkips && behind > 0 {
		behind--
	}
	return u.ring.newest(behind), true
}

// comes notes that a connection will be attached when something was read.
func (u *User) comes(m *attach) {
	if u.coming == nil {
		u.coming = map[int64]bool{}
	}
	u.coming[m.conn] = true
}

// readList reads how far another device has come, and where the list is doubtful what is in
// it, then attaches the device.
func (u *User) readList(m *attach, doubtful bool) {
	u.comes(m)
	sure := u.sure()
	u.node.apart(func() {
		ctx, cancel := u.node.background()
		defer cancel()
		losses := u.node.losses.Load()
		rows, err := u.node.journal.Home(ctx, u.id, m.who.Device, sure.counts)
		u.node.tell(u.pid, done(func() {
			if !u.coming[m.conn] {
				return // it went meanwhile
			}
			delete(u.coming, m.conn)
			if err != nil {
				u.node.failed("reading the list for a device", err, "user", u.id)
				if doubtful {
					u.turnAway(m)
					return
				}
			} else if doubtful {
				u.compared(rows, losses, sure)
			}
			m.fresh = true
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
