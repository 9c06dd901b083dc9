package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/troupe-im/troupe/cmd/chaos/check"
	"github.com/troupe-im/troupe/cmd/chaos/history"
)

// config is the shape of a run.
type config struct {
	Seed      int64
	Kills     int
	Every     time.Duration // about the time between two kills
	Rate      float64       // requests per second, of all devices
	Users     int
	Strangers int    // members that never connect
	Binary    string // of the server
	Dump      string // of the dump
	Nodes     int    // more than one: an installation, see cluster.go
	Cluster   cluster
	Dir       string        // for data, history and logs
	Planted   string        // the bug that a server built with the tag planted shall have
	Allowed   time.Duration // from a start to ready
	Log       io.Writer     // progress
}

// run is one run: phases warm-up, load with kills, heal, quiesce, final reads.
type run struct {
	config
	secret  string
	started time.Time
	op      atomic.Int64
	rush    atomic.Bool // clients ask without pausing
	site    site
	devices []*device
	history history.History
	chaos   *history.Recorder // what the nemesis did
	rng     *rand.Rand        // of the nemesis

	// Set before play begins.
	sessions []string
	busy     string // the session with most members
	changing string // the session whose members come and go
	owner    string // of changing
	guests   []string
}

const secret = "a secret of at least thirty-two bytes, for this run only"

func play(ctx context.Context, cfg config) (*check.Report, error) {
	r := &run{config: cfg, secret: secret, started: time.Now(), rng: rand.New(rand.NewPCG(uint64(cfg.Seed), 0))}
	r.history = history.History{Seed: cfg.Seed, Allowed: int64(cfg.Allowed)}
	if err := os.MkdirAll(cfg.Dir, 0o755); err != nil {
		return nil, err
	}
	var err error
	if r.chaos, err = history.NewRecorder(cfg.Dir, "nemesis"); err != nil {
		return nil, err
	}
	if cfg.Nodes > 1 {
		r.history.Lag = int64(cfg.Cluster.Lag)
		r.history.Answers, r.history.Leaves = int64(cfg.Cluster.Answers), int64(cfg.Cluster.Leaves)
		r.site, err = newInstallation(r)
	} else {
		r.site, err = newAlone(r)
	}
	if err != nil {
		return nil, err
	}
	defer r.site.stop()
	if err := errors.Join(r.phases(ctx), r.history.Save(cfg.Dir)); err != nil {
		return nil, err
	}
	return check.All(&r.history), nil
}

func (r *run) phases(ctx context.Context) error {
	if err := r.site.start(ctx); err != nil {
		return err
	}
	users, err := r.people(ctx)
	if err != nil {
		return err
	}
	living, die := context.WithCancel(ctx)
	playing, curtain := context.WithCancel(living)
	var lives sync.WaitGroup
	defer lives.Wait()
	defer die()
	defer curtain()
	lives.Go(func() { r.watchMachine(living) })
	pause := time.Duration(float64(time.Second) * float64(len(r.devices)) / r.Rate)
	for _, d := range r.devices {
		lives.Go(func() { d.live(living, playing, pause) })
	}
	r.say("load: %d devices of %d users, %d sessions, %s about %v apart", len(r.devices), r.Users, len(r.sessions), r.site, r.Every)
	if err := r.site.trouble(ctx); err != nil {
		return err
	}
	r.pause(ctx, max(r.Every, 2*time.Second)) // what is only in memory drifts from here on
	curtain()
	if !r.quiesce(ctx) {
		r.say("clients did not catch up in %v", quiesceTime)
	}
	events, err := r.closeHistories()
	if err != nil {
		return err
	}
	r.history.Events = events
	r.say("final reads")
	if err := r.finalReads(ctx, r.sessions, users); err != nil {
		r.site.explain()
		return err
	}
	if err := r.site.dump(ctx); err != nil {
		return err
	}
	return r.homes(ctx, users)
}

// watchMachine writes down when the machine let this program do nothing for some time: the
// nodes, on the same processors, could do nothing either, and no wait is their fault then.
func (r *run) watchMachine(ctx context.Context) {
	const every, late = 10 * time.Millisecond, 40 * time.Millisecond
	for ctx.Err() == nil {
		began := r.now()
		time.Sleep(every)
		if now := r.now(); now-began > int64(every+late) {
			r.chaos.Add(&history.Event{T: now, What: history.Stall, Began: began + int64(every)})
		}
	}
}

// pause waits for half to one and a half of about.
func (r *run) pause(ctx context.Context, about time.Duration) {
	t := time.NewTimer(about/2 + time.Duration(r.rng.Int64N(int64(about))))
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// quiesceTime is how long clients may take to catch up once the server is left alone.
const quiesceTime = 30 * time.Second

// quiesce waits until every device is connected, has an answer to everything, and
// all of them have the same heads, twice in a row.
func (r *run) quiesce(ctx context.Context) bool {
	calm := 0
	for end := time.Now().Add(quiesceTime); time.Now().Before(end) && ctx.Err() == nil; {
		if r.calm() {
			if calm++; calm == 3 {
				return true
			}
		} else {
			calm = 0
		}
		time.Sleep(100 * time.Millisecond)
	}
	return false
}

func (r *run) calm() bool {
	heads := map[string]int64{}
	var all []map[string]int64
	for _, d := range r.devices {
		if !d.settled() {
			return false
		}
		have := d.haves()
		all = append(all, have)
		for session, seq := range have {
			heads[session] = max(heads[session], seq)
		}
	}
	for _, have := range all {
		for session, seq := range have {
			if seq < heads[session] {
				return false
			}
		}
	}
	return true
}

// people makes the users, their devices and the sessions.
func (r *run) people(ctx context.Context) (users []string, err error) {
	var everybody []string
	for i := range r.Users + r.Strangers {
		name := fmt.Sprintf("u%02d", i)
		everybody = append(everybody, name)
		rd, _, err := r.newReader(ctx, r.site.places()[0], name) // first sight makes the user
		if err != nil {
			return nil, err
		}
		rd.conn.CloseNow()
	}
	users = everybody[:r.Users]
	for i, user := range users {
		var first *device
		for n := range 1 + i%3 {
			d, err := r.newDevice(user, n+1)
			if err != nil {
				return nil, err
			}
			if first == nil {
				first = d
			} else {
				first.sibling, d.sibling = d, first
			}
		}
	}
	r.owner = users[0]
	rd, _, err := r.newReader(ctx, r.site.places()[0], r.owner)
	if err != nil {
		return nil, err
	}
	defer rd.conn.CloseNow()
	few, most := min(5, len(users)), len(users)
	r.guests = append(slices.Clone(users[most-few+1:]), everybody[most:most+min(4, r.Strangers)]...)
	for _, s := range []struct {
		kind    string
		members []string
	}{
		{"p2p", users[1:2]}, {"p2p", users[2:3]}, {"p2p", users[3:4]},
		{"group", users[1:few]}, {"group", users[most-few : most]},
		{"group", users[1:]}, {"group", append(slices.Clone(users[1:]), r.guests...)}, {"group", everybody[1:]},
	} {
		session, err := r.create(ctx, rd, s.kind, s.members)
		if err != nil {
			return nil, err
		}
		r.sessions = append(r.sessions, session)
	}
	n := len(r.sessions)
	r.changing, r.busy = r.sessions[n-2], r.sessions[n-1]
	return users, nil
}

func (r *run) create(ctx context.Context, rd *reader, kind string, members []string) (string, error) {
	e := history.Event{T: r.now(), What: history.Invoke, Client: rd.user + ".reader", User: rd.user, Op: r.nextOp(), Verb: history.Create, Members: members}
	invoked := e
	r.chaos.Add(&invoked)
	f, err := rd.ask(ctx, map[string]any{"type": "session_create", "sessionType": kind, "members": members})
	if err != nil || f.Errcode != 0 || len(f.Result) != 1 {
		return "", fmt.Errorf("session_create: %v %+v", err, f)
	}
	e.T, e.What, e.Session, e.Members = r.now(), history.OK, f.Result[0], nil
	r.chaos.Add(&e)
	return e.Session, nil
}

func (r *run) newDevice(user string, n int) (*device, error) {
	name := fmt.Sprintf("%s.%d", user, n)
	rec, err := history.NewRecorder(r.Dir, name)
	if err != nil {
		return nil, err
	}
	d := &device{
		run: r, name: name, user: user, rec: rec, have: map[string]int64{}, pending: map[string]*asked{},
		copies: make(chan *asked, 16), rng: rand.New(rand.NewPCG(uint64(r.Seed), uint64(len(r.devices)+1))),
	}
	r.devices = append(r.devices, d)
	return d, nil
}

// closeHistories ends all recording: what happens from now on is not judged.
func (r *run) closeHistories() ([]*history.Event, error) {
	all, err := r.chaos.Close()
	for _, d := range r.devices {
		events, e := d.rec.Close()
		all, err = append(all, events...), errors.Join(err, e)
	}
	history.Sort(all)
	return all, err
}

func (r *run) now() int64    { return int64(time.Since(r.started)) }
func (r *run) nextOp() int64 { return r.op.Add(1) }

func (r *run) nemesis(what, node string) {
	r.chaos.Add(&history.Event{T: r.now(), What: what, Node: node})
}

func (r *run) say(format string, args ...any) { fmt.Fprintf(r.Log, format+"\n", args...) }
