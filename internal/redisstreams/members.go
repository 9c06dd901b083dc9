package redisstreams

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/troupe-im/troupe/actors"
)

// Members is who is there, by what each node writes into this Redis: it fills
// actors.Members. Nobody's clock is believed, and no key expires to say that a node has
// gone: each counts, and one whose count stands still for long enough, while it could be
// seen, is given up by whoever notices. A node that was given up never comes back; it ends
// and starts as another one.
//
// One hash has a field for each node, its address; a version that rises with each change; and
// an epoch, which is gone when Redis has lost what it had. Another one has the counts.
type Members struct {
	s    *Streams
	key  string
	look chan struct{} // has room for one

	begun    time.Time
	answered atomic.Int64 // when Redis last answered, in nanoseconds since begun, as clocks jump

	mu      sync.Mutex // of all below, and of each exchange
	self    actors.Member
	seen    func(actors.View)
	out     func(error)
	epoch   string
	known   map[string]*sighting // the others
	view    actors.View
	told    bool      // view was given to seen
	last    time.Time // when Redis last answered
	patient time.Time // nobody is given up before
	ended   bool
}

// sighting is what was last seen of another node.
type sighting struct {
	member  actors.Member
	beat    string
	moved   time.Time // when beat was last another
	missing bool      // Redis has lost it: it will say again that it is there
}

const (
	fieldVersion = "#"
	fieldEpoch   = "!"
	wordLeaving  = "leaving"
	wordDim      = "dim"
	wordBlind    = "blind"
	wordMisses   = "misses="
	wordKey      = "key="

	// outKept is how long it is known that a node was given up. One that was away for
	// longer finds nothing of itself, and registers again: its id is new to everybody then.
	outKept = 24 * time.Hour
)

// Members gives who is there. key is the same at all nodes of an installation.
func (s *Streams) Members(key string) *Members {
	return &Members{s: s, key: key, look: make(chan struct{}, 1), begun: time.Now(), known: map[string]*sighting{}}
}

func (m *Members) who() string           { return m.s.key("{members}:who") }
func (m *Members) beats() string         { return m.s.key("{members}:beat") }
func (m *Members) gone(id string) string { return m.s.key("{members}:out:" + id) }

// Join makes self known. A Redis that does not answer is asked until it does.
func (m *Members) Join(self actors.Member, seen func(actors.View), out func(error)) error {
	m.mu.Lock()
	m.self, m.seen, m.out = self, seen, out
	m.view = actors.View{Members: []actors.Member{self}}
	m.last = time.Now()
	err := m.foreign()
	m.mu.Unlock()
	if err != nil {
		return err
	}
	m.poll()
	m.s.running.Go(m.run)
	return nil
}

// foreign says what is wrong when there are nodes of another installation. mu is held.
func (m *Members) foreign() error {
	ctx, cancel := m.s.timed()
	defer cancel()
	who, err := m.s.db.HGetAll(ctx, m.who()).Result()
	if err != nil {
		return nil // poll says so
	}
	for id, value := range who {
		words := strings.Fields(value)
		if id == fieldVersion || id == fieldEpoch || len(words) == 0 || words[0] == m.self.Address {
			continue
		}
		for _, w := range words[1:] {
			if key, ok := strings.CutPrefix(w, wordKey); ok && key != m.key {
				return fmt.Errorf("redis: the node at %s has other secrets than this one: all nodes of an installation need the same secrets.json in their data directories, and two installations on one Redis different prefixes", words[0])
			}
		}
	}
	return nil
}

// Look asks Redis soon.
func (m *Members) Look() {
	select {
	case m.look <- struct{}{}:
	default:
	}
}

// See says whether this node reaches the store. Where Redis does not take it, it is in what
// this node writes next.
func (m *Members) See(ctx context.Context, sight actors.Sight) error {
	m.mu.Lock()
	m.self.Sight = sight
	err := m.register(ctx)
	m.mu.Unlock()
	m.poll()
	return err
}

// Miss says which others this node does not reach, as See does.
func (m *Members) Miss(ctx context.Context, nodes string) error {
	m.mu.Lock()
	m.self.Misses = nodes
	err := m.register(ctx)
	m.mu.Unlock()
	m.poll()
	return err
}

// Lost says that Redis has not answered for so long that this node gives nobody up.
func (m *Members) Lost() bool {
	return time.Since(m.begun)-time.Duration(m.answered.Load()) > m.s.cfg.memberLife/2
}

// Leave says that this node gives its sessions away.
func (m *Members) Leave(ctx context.Context) error {
	m.mu.Lock()
	m.self.Leaving = true
	err := m.register(ctx)
	m.mu.Unlock()
	m.poll()
	return err
}

// Quit says that this node has gone.
func (m *Members) Quit(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ended = true
	ctx, cancel := context.WithTimeout(ctx, m.s.cfg.Timeout)
	defer cancel()
	_, err := m.s.db.TxPipelined(ctx, func(tx redis.Pipeliner) error {
		tx.HDel(ctx, m.who(), m.self.ID)
		tx.HDel(ctx, m.beats(), m.self.ID)
		tx.HIncrBy(ctx, m.who(), fieldVersion, 1)
		return nil
	})
	return err
}

func (m *Members) run() {
	tick := time.NewTicker(m.s.cfg.memberBeat)
	defer tick.Stop()
	for {
		select {
		case <-m.s.ctx.Done():
			return
		case <-tick.C:
		case <-m.look:
		}
		m.poll()
		if !m.s.pause(m.s.ctx, m.s.cfg.memberBeat/10) { // however many want it to look
			return
		}
	}
}

// register writes this node into the hash, unless it was given up: poll finds that out. mu is held.
func (m *Members) register(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, m.s.cfg.Timeout)
	defer cancel()
	if n, err := m.s.db.Exists(ctx, m.gone(m.self.ID)).Result(); err != nil || n > 0 {
		return err
	}
	value := m.self.Address + " " + wordKey + m.key
	if m.self.Leaving {
		value += " " + wordLeaving
	}
	switch m.self.Sight {
	case actors.Dim:
		value += " " + wordDim
	case actors.Blind:
		value += " " + wordBlind
	}
	if m.self.Misses != "" {
		value += " " + wordMisses + m.self.Misses
	}
	_, err := m.s.db.TxPipelined(ctx, func(tx redis.Pipeliner) error {
		tx.HSet(ctx, m.who(), m.self.ID, value)
		tx.HIncrBy(ctx, m.who(), fieldVersion, 1)
		tx.HIncrBy(ctx, m.beats(), m.self.ID, 1)
		return nil
	})
	return err
}

// reading is what Redis says at once.
type reading struct {
	who, beats map[string]string
	out        bool // this node was given up
	version    int64
}

func (m *Members) read() (*reading, error) {
	ctx, cancel := m.s.timed()
	defer cancel()
	var who, beats *redis.MapStringStringCmd
	var out *redis.IntCmd
	var version *redis.IntCmd
	_, err := m.s.db.TxPipelined(ctx, func(tx redis.Pipeliner) error {
		tx.HIncrBy(ctx, m.beats(), m.self.ID, 1)
		version = tx.HIncrBy(ctx, m.who(), fieldVersion, 0)
		who, beats = tx.HGetAll(ctx, m.who()), tx.HGetAll(ctx, m.beats())
		out = tx.Exists(ctx, m.gone(m.self.ID))
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &reading{who: who.Val(), beats: beats.Val(), out: out.Val() > 0, version: version.Val()}, nil
}

// poll looks at Redis once and says what has changed.
func (m *Members) poll() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ended {
		return
	}
	r, err := m.read()
	lost := err == nil && (m.epoch != "" && r.who[fieldEpoch] != m.epoch || r.version < m.view.Version)
	for range 3 { // what it lacks of this node is written, and read again
		if err != nil || r.out {
			break
		}
		var wrote bool
		if wrote, err = m.mend(r); !wrote || err != nil {
			break
		}
		r, err = m.read()
	}
	now := time.Now()
	if err != nil {
		m.s.failed(err)
		m.tell(m.view.Version, m.view.Members)
		return
	}
	if r.out {
		m.ended = true
		m.out(errors.New("it was not seen for some time"))
		return
	}
	m.answered.Store(int64(time.Since(m.begun)))
	if now.Sub(m.last) > m.s.cfg.memberLife/2 { // what was not seen meanwhile says nothing
		m.patience(now)
	}
	m.last = now
	if lost {
		m.s.log.Warn("Redis has lost who is there: the nodes say it again")
		m.patience(now)
		for id, k := range m.known {
			if _, ok := r.who[id]; !ok {
				k.missing = true
			}
		}
	}
	m.epoch = r.who[fieldEpoch]
	m.judge(r, now)
}

// patience lets everybody be for a while. mu is held.
func (m *Members) patience(now time.Time) {
	m.patient = now.Add(m.s.cfg.memberLife)
	for _, k := range m.known {
		k.moved = now
	}
}

// mend writes what is missing of this node, and drops who was at its address before. mu is held.
func (m *Members) mend(r *reading) (wrote bool, err error) {
	if _, ok := r.who[fieldEpoch]; !ok {
		ctx, cancel := m.s.timed()
		defer cancel()
		if err := m.s.db.HSet(ctx, m.who(), fieldEpoch, newID()).Err(); err != nil {
			return false, err
		}
		wrote = true
	}
	for id, value := range r.who {
		if address, _, _ := strings.Cut(value, " "); address == m.self.Address && id != m.self.ID && id != fieldEpoch && id != fieldVersion {
			if err := m.giveUp(id); err != nil {
				return wrote, err
			}
			wrote = true
		}
	}
	if _, ok := r.who[m.self.ID]; !ok {
		if err := m.register(m.s.ctx); err != nil {
			return wrote, err
		}
		wrote = true
	}
	if r.version < m.view.Version { // an older Redis than we know: versions never fall
		ctx, cancel := m.s.timed()
		defer cancel()
		if err := m.s.db.HIncrBy(ctx, m.who(), fieldVersion, m.view.Version-r.version+1).Err(); err != nil {
			return wrote, err
		}
		wrote = true
	}
	return wrote, nil
}

// giveUp takes a node out for good.
func (m *Members) giveUp(id string) error {
	ctx, cancel := m.s.timed()
	defer cancel()
	_, err := m.s.db.TxPipelined(ctx, func(tx redis.Pipeliner) error {
		tx.Set(ctx, m.gone(id), 1, outKept)
		tx.HDel(ctx, m.who(), id)
		tx.HDel(ctx, m.beats(), id)
		tx.HIncrBy(ctx, m.who(), fieldVersion, 1)
		return nil
	})
	return err
}

// judge makes of what was read who is there, and gives up who is not. mu is held.
func (m *Members) judge(r *reading, now time.Time) {
	there := []actors.Member{m.self}
	for id, value := range r.who {
		if id == m.self.ID || id == fieldEpoch || id == fieldVersion {
			continue
		}
		k := m.known[id]
		if k == nil {
			k = &sighting{moved: now}
			m.known[id] = k
		}
		address, words, _ := strings.Cut(value, " ")
		said := strings.Fields(words)
		k.member = actors.Member{ID: id, Address: address, Leaving: slices.Contains(said, wordLeaving)}
		switch {
		case slices.Contains(said, wordBlind):
			k.member.Sight = actors.Blind
		case slices.Contains(said, wordDim):
			k.member.Sight = actors.Dim
		}
		for _, w := range said {
			if misses, ok := strings.CutPrefix(w, wordMisses); ok {
				k.member.Misses = misses
			}
		}
		if beat := r.beats[id]; beat != k.beat {
			k.beat, k.moved = beat, now
		}
	}
	waits := now.Before(m.patient)
	for id, k := range maps.Clone(m.known) {
		_, is := r.who[id]
		k.missing = k.missing && !is
		switch {
		case !is && !k.missing: // it has gone, or another one gave it up
			delete(m.known, id)
			continue
		case waits, is && now.Sub(k.moved) < m.s.cfg.memberLife:
		default:
			if err := m.giveUp(id); err != nil {
				m.s.failed(err)
				break // it stays until that can be written: others have to know as well
			}
			m.s.log.Warn("a node is not seen any more: it is given up", "node", id, "address", k.member.Address)
			delete(m.known, id)
			continue
		}
		there = append(there, k.member)
	}
	m.tell(r.version, there)
}

// tell gives on who is there, if that is new. mu is held.
func (m *Members) tell(version int64, members []actors.Member) {
	slices.SortFunc(members, func(a, b actors.Member) int { return strings.Compare(a.ID, b.ID) })
	if m.told && version == m.view.Version && slices.Equal(members, m.view.Members) {
		return
	}
	m.told = true
	m.view = actors.View{Version: version, Members: members}
	m.seen(actors.View{Version: version, Members: slices.Clone(members)})
}
