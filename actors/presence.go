package actors

import (
	"context"
	"hash/maphash"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
)

// What a user may be seen as. Whoever chose offline is there and is not seen.
const (
	statusOnline  = "online"
	statusBusy    = "busy"
	statusAway    = "away"
	statusOffline = "offline"
)

// statuses in the order of their numbers in a ref.
var statuses = []string{statusOnline, statusBusy, statusAway, statusOffline}

const offline = 3

// Standing is how a user is seen: on one node, or altogether.
type Standing struct {
	User       protocol.UserID
	Status     string // online, busy, away or offline
	LastActive int64  // Unix milliseconds, 0: not known
}

// Attendance keeps what the nodes say of who is there. A node's word is good as
// long as it holds its lease, so that nobody stays online on a node that died. Its
// methods may wait.
type Attendance interface {
	// Renew makes node's word good for ttl from now on. True: it was not good any
	// more, or never was: what was Put is forgotten.
	Renew(ctx context.Context, node string, ttl time.Duration) (forgotten bool, err error)
	// Put says how users are seen on node from now on, and gives those who are seen in
	// another way than before, as they are seen altogether: on any node is there, and
	// of several nodes the one that spoke last.
	Put(ctx context.Context, node string, users []Standing) (changed []Standing, err error)
	// Find gives those of ids who are seen as something else than offline.
	Find(ctx context.Context, ids []protocol.UserID) ([]Standing, error)
	// Lapsed gives those who are not seen any more as the lease of their node ended;
	// of several nodes that ask, one is given each.
	Lapsed(ctx context.Context) ([]Standing, error)
}

// Standings is what is kept of how users want to be seen, and of when they were last
// active. A Journal that fills it keeps it; with another it is gone at the end.
type Standings interface {
	// Standings gives what is kept of ids, of whom something is. Status is what was
	// chosen, "": nothing.
	Standings(ctx context.Context, ids []protocol.UserID) ([]Standing, error)
	// KeepStandings keeps users as they are from now on: a Status that is "" leaves
	// the kept one as it is, LastActive never falls.
	KeepStandings(ctx context.Context, users []Standing) error
}

type nothingKept struct{}

func (nothingKept) Standings(context.Context, []protocol.UserID) ([]Standing, error) { return nil, nil }
func (nothingKept) KeepStandings(context.Context, []Standing) error                  { return nil }

// PresenceSubject names what Streams carries of how a user is seen.
func PresenceSubject(id protocol.UserID) string { return "p:" + id }

// presence notices who comes and goes on this node, and says so once a beat: so a
// user changes at most once a beat, and whoever sees many of them gets one write.
type presence struct {
	node       *Node
	attendance Attendance
	kept       Standings
	id         string // of this start of the node

	mu   sync.Mutex
	bots map[protocol.UserID]attended // those that were told of: they have no connections
	due  map[protocol.UserID]int64    // who is to be looked at, and when (Unix milliseconds)

	// Of one user one choice is kept and told after the other.
	seed     maphash.Seed
	choosing [64]sync.Mutex

	renewed, saved time.Time // the beat's own
}

// saveEvery is how often the times of those who are there are kept: after a
// crash they are behind by no more than that.
const saveEvery = 5 * time.Minute

func newPresence(n *Node) *presence {
	p := &presence{node: n, id: newEpoch(), kept: nothingKept{}, attendance: n.cfg.Attendance, seed: maphash.MakeSeed(), saved: time.Now()}
	if p.attendance == nil {
		p.attendance = alone{n}
	}
	if k, ok := n.journal.(Standings); ok {
		p.kept = k
	}
	return p
}

// look has the next beat from at on look at a user.
func (p *presence) look(user protocol.UserID, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.due == nil {
		p.due = map[protocol.UserID]int64{}
	}
	p.due[user] = at.UnixMilli()
}

// attended is how a bot is seen: statuses by their places.
type attended struct {
	status uint32
	shown  uint32 // as ref.shown
}

// attend notes how a bot is seen from the next beat on.
func (p *presence) attend(bot protocol.UserID, status string) {
	p.mu.Lock()
	if p.bots == nil {
		p.bots = map[protocol.UserID]attended{}
	}
	at := p.bots[bot]
	if at.status = offline; slices.Contains(statuses, status) {
		at.status = uint32(slices.Index(statuses, status))
	}
	p.bots[bot] = at
	p.mu.Unlock()
	p.look(bot, time.Now())
}

// bot gives how a bot is seen; false: nothing was told of it.
func (p *presence) bot(id protocol.UserID) (attended, bool) {
	if !protocol.IsBot(id) {
		return attended{}, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	at, ok := p.bots[id]
	return at, ok
}

// show notes as what a bot is shown, and says whether that is something else than before.
func (p *presence) show(id protocol.UserID, shown uint32) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	at, ok := p.bots[id]
	was := at.shown
	if at.shown = shown; ok {
		p.bots[id] = at
	}
	return ok && was != shown
}

func (p *presence) run() {
	defer p.node.sweeper.Done()
	beat := time.NewTicker(p.node.cfg.PresenceBeat)
	defer beat.Stop()
	for {
		select {
		case <-p.node.stop:
			p.save(context.Background())
			return
		case <-beat.C:
			p.beat()
		}
	}
}

// beat keeps this node's lease and says what changed since the last one.
func (p *presence) beat() {
	ctx, cancel := p.node.background()
	defer cancel()
	now := time.Now()
	if now.Sub(p.renewed) >= p.node.cfg.PresenceLease/3 {
		forgotten, err := p.attendance.Renew(ctx, p.id, p.node.cfg.PresenceLease)
		if err != nil {
			p.node.log.Error("renewing the lease of who is there", "err", err)
		} else {
			p.renewed = now
		}
		if forgotten {
			p.lookAtAll(now)
		}
	}
	users := p.take(now)
	if len(users) > 0 {
		all := make([]Standing, len(users))
		var gone []Standing
		for i, id := range users {
			all[i] = p.standing(id)
			if r := p.node.people.find(id); r != nil && r.connections.Load() == 0 && r.status.Load() != offline {
				gone = append(gone, Standing{User: id, LastActive: all[i].LastActive})
			}
		}
		changed, err := p.attendance.Put(ctx, p.id, all)
		if err != nil {
			p.node.log.Error("saying who is there", "err", err)
			for _, id := range users {
				p.look(id, now)
			}
		}
		p.tell(changed)
		p.keep(ctx, gone)
	}
	lapsed, err := p.attendance.Lapsed(ctx)
	if err != nil {
		p.node.failed("asking who is not there any more", err)
	}
	p.tell(lapsed)
	if now.Sub(p.saved) >= saveEvery {
		p.save(ctx)
	}
}

// take gives those who are to be looked at by now, in order of their ids.
func (p *presence) take(now time.Time) (users []protocol.UserID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, at := range p.due {
		if at <= now.UnixMilli() {
			users = append(users, id)
			delete(p.due, id)
		}
	}
	if len(p.due) == 0 {
		p.due = nil // a map keeps the room of a crowd
	}
	slices.Sort(users)
	return users
}

// standing is how this node sees a user: of one who is not to be seen as of one who
// went just now.
func (p *presence) standing(id protocol.UserID) Standing {
	s := Standing{User: id, Status: statusOffline}
	if at, ok := p.bot(id); ok {
		s.Status = statuses[at.status]
		return s
	}
	r := p.node.people.find(id)
	if r == nil {
		return s
	}
	s.LastActive = r.active.Load()
	if r.connections.Load() > 0 {
		s.Status = statuses[r.status.Load()]
	}
	return s
}

func (p *presence) lookAtAll(now time.Time) {
	p.node.people.each(func(id string, r *ref) {
		if r.connections.Load() > 0 {
			p.look(id, now)
		}
	})
	p.mu.Lock()
	bots := slices.Collect(maps.Keys(p.bots))
	p.mu.Unlock()
	for _, id := range bots {
		p.look(id, now)
	}
}

// tell publishes how users are seen from now on.
func (p *presence) tell(users []Standing) {
	var burst Burst
	for _, s := range users {
		e := &Event{Ephemeral: true, Shared: protocol.NewShared(s.frame())}
		if r := p.node.people.find(s.User); r != nil {
			if hidden := r.hidden.Load(); hidden != nil {
				e.Hidden = *hidden
			}
		}
		p.node.streams.Publish(PresenceSubject(s.User), []*Event{e}, &burst)
	}
	burst.End()
}

func (s *Standing) presence() *protocol.Presence {
	return &protocol.Presence{UserId: s.User, Status: s.Status, LastActiveAt: s.LastActive}
}

func (s *Standing) frame() *protocol.Frame {
	return &protocol.Frame{Body: &protocol.Frame_Presence{Presence: s.presence()}}
}

// save keeps the times of those who are there and seen.
func (p *presence) save(ctx context.Context) {
	var users []Standing
	since := p.saved.UnixMilli()
	p.node.people.each(func(id string, r *ref) {
		if at := r.active.Load(); r.connections.Load() > 0 && at > since && r.status.Load() != offline {
			users = append(users, Standing{User: id, LastActive: at})
		}
	})
	p.saved = time.Now()
	p.keep(ctx, users)
}

// keepAtOnce bounds the rows of one commit.
const keepAtOnce = 1000

// keep keeps times. Who was erased, which ended its connections, has none any more.
func (p *presence) keep(ctx context.Context, users []Standing) {
	users = slices.DeleteFunc(users, func(s Standing) bool {
		known, _ := p.node.profiles.Known([]protocol.UserID{s.User})
		return len(known) == 1 && known[0].Gone
	})
	for part := range slices.Chunk(users, keepAtOnce) {
		if err := p.kept.KeepStandings(ctx, part); err != nil {
			p.node.log.Error("keeping when users were active", "err", err)
			return
		}
	}
}

// find gives how ids are seen, each of them, in no order.
func (p *presence) find(ctx context.Context, ids []protocol.UserID) ([]Standing, error) {
	seen, err := p.attendance.Find(ctx, ids)
	if err != nil {
		return nil, err
	}
	there := make(map[protocol.UserID]bool, len(seen))
	for _, s := range seen {
		there[s.User] = true
	}
	away := slices.DeleteFunc(slices.Clone(ids), func(id protocol.UserID) bool { return there[id] })
	if len(away) == 0 {
		return seen, nil
	}
	kept, err := p.kept.Standings(ctx, away)
	if err != nil {
		return nil, err
	}
	last := make(map[protocol.UserID]int64, len(kept))
	for _, k := range kept {
		last[k.User] = k.LastActive
	}
	for _, id := range away {
		seen = append(seen, Standing{User: id, Status: statusOffline, LastActive: last[id]})
	}
	return seen, nil
}

// choose keeps how a user wants to be seen, and tells its nodes and devices.
func (p *presence) choose(ctx context.Context, user protocol.UserID, status string) error {
	one := &p.choosing[maphash.String(p.seed, user)%uint64(len(p.choosing))]
	one.Lock()
	defer one.Unlock()
	s := Standing{User: user, Status: status}
	if r := p.node.people.find(user); r != nil && r.status.Load() != offline {
		s.LastActive = r.active.Load() // the last that is seen of who is not seen from now on
	}
	if err := p.kept.KeepStandings(ctx, []Standing{s}); err != nil {
		return err
	}
	p.node.streams.Publish(UserSubject(user), []*Event{{Ephemeral: true, Shared: protocol.NewShared(s.frame())}}, nil)
	return nil
}
