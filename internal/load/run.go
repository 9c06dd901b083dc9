package load

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

type phase = int32

const (
	warming phase = iota
	measuring
	draining
)

// After the last send, answers and deliveries are waited for as long as some come: a server whose
// store is slow reads what a member missed again and again, 16 s apart and for 10 s each time.
const (
	drainTimeout = 30 * time.Second // without any
	drainAtMost  = 3 * time.Minute
)

// run is one measurement of traffic.
type run struct {
	open     bool // messages leave by the clock, not by the answers
	coalesce bool // see flushEach
	phase    atomic.Int32
	times    *times

	mu     sync.Mutex
	checks Checks
	ended  bool
	broken chan struct{} // closed when the first connection breaks
}

// traffic lets the rooms' flows send for warmup and then for duration, or until
// each has sent its limit, and measures the server's share of the machine meanwhile.
func traffic(ctx context.Context, o *options, t *target, rooms []*room) (*Result, error) {
	r := &run{times: newTimes(), open: o.rate > 0, coalesce: o.coalesce, broken: make(chan struct{})}
	var readers sync.WaitGroup
	var conns []*conn
	for _, room := range rooms {
		for _, c := range room.members {
			c.run, c.inbox = r, newInbox(room)
			conns = append(conns, c)
		}
	}
	for _, c := range conns {
		readers.Go(func() { r.brokeOff(c, c.loop()) })
	}
	if r.open {
		paceCtx, stop := context.WithCancel(ctx)
		defer stop()
		go r.pace(paceCtx, o.rate, rooms)
	}
	r.wait(ctx, o.warmup, rooms)
	r.phase.Store(measuring)
	profiled := func() error { return nil }
	if o.profiles != "" && t.name == "troupe" {
		profiled = t.profile(ctx, o.profiles, o.duration)
	}
	begin, cpu := time.Now(), t.cpu()
	r.wait(ctx, o.duration, rooms)
	cpu = t.cpu() - cpu
	r.phase.Store(draining)
	took := time.Since(begin)
	r.drain(ctx, rooms)
	pss := t.pss()
	if err := profiled(); err != nil {
		closeAll(conns)
		return nil, err
	}
	r.mu.Lock()
	r.ended = true
	r.mu.Unlock()
	closeAll(conns)
	readers.Wait()
	if err := ctx.Err(); err != nil {
		return nil, err
	}

	ack, deliver, acked, delivered := r.times.sum()
	r.checks.check(rooms)
	return &Result{
		Seconds: took.Seconds(), Acked: acked, Delivered: delivered,
		AckedPerSecond: float64(acked) / took.Seconds(), DeliveredPerSecond: float64(delivered) / took.Seconds(),
		CPUPerAcked: perUnit(cpu, acked), CPUPerDelivery: perUnit(cpu, delivered),
		Cores: cpu.Seconds() / took.Seconds(),
		Ack:   latency(ack), Deliver: latency(deliver), PSS: pss, Checks: r.checks,
	}, nil
}

// perUnit is in microseconds.
func perUnit(cpu time.Duration, n int64) float64 {
	if n == 0 {
		return 0
	}
	return float64(cpu.Nanoseconds()) / 1000 / float64(n)
}

// brokeOff notes a reader that ended before the run did.
func (r *run) brokeOff(c *conn, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended || errors.Is(err, net.ErrClosed) {
		return
	}
	if r.checks.Broken == 0 {
		close(r.broken)
	}
	r.checks.Broken++
	r.checks.say("connection %d: %v", c.user, err)
}

// wait passes the time; it ends early when a connection breaks or all is sent.
func (r *run) wait(ctx context.Context, d time.Duration, rooms []*room) {
	if d == 0 {
		return
	}
	end := time.NewTimer(d)
	defer end.Stop()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	limited := rooms[0].flows[0].limit > 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.broken:
			return
		case <-end.C:
			return
		case <-look.C:
			if limited && allSent(rooms) {
				return
			}
		}
	}
}

func allSent(rooms []*room) bool {
	for _, r := range rooms {
		for _, f := range r.flows {
			if _, acked := f.counts(); acked < f.limit {
				return false
			}
		}
	}
	return true
}

// drain waits until everything is answered and delivered.
func (r *run) drain(ctx context.Context, rooms []*room) {
	begin := time.Now()
	came, last := int64(-1), begin
	for time.Since(last) < drainTimeout && time.Since(begin) < drainAtMost && ctx.Err() == nil && !quiet(rooms) {
		if n := arrived(rooms); n > came {
			came, last = n, time.Now()
		}
		select {
		case <-r.broken:
			return
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// arrived counts answers and deliveries.
func arrived(rooms []*room) (n int64) {
	for _, r := range rooms {
		for _, f := range r.flows {
			_, acked := f.counts()
			n += int64(acked)
		}
		for _, m := range r.members {
			n += m.inbox.count.Load()
		}
	}
	return n
}

func quiet(rooms []*room) bool {
	for _, r := range rooms {
		var acked, own int64
		for _, f := range r.flows {
			if !f.idle() {
				return false
			}
			_, n := f.counts()
			acked += int64(n)
		}
		for _, m := range r.members {
			own = 0
			if m.flow != nil {
				_, n := m.flow.counts()
				own = int64(n)
			}
			if m.inbox.count.Load() < acked-own {
				return false
			}
		}
	}
	return true
}

// pace sends rate messages a second over all flows, each on its own beat.
func (r *run) pace(ctx context.Context, rate float64, rooms []*room) {
	var flows []*flow
	for _, room := range rooms {
		flows = append(flows, room.flows...)
	}
	gap := float64(time.Second) * float64(len(flows)) / rate // between two messages of a flow
	begin := float64(since())
	sent := make([]float64, len(flows))
	var times []int64
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if r.phase.Load() == draining {
			return
		}
		now := float64(since())
		for i, f := range flows {
			times = times[:0]
			for {
				at := begin + gap*(sent[i]+float64(i)/float64(len(flows)))
				if at > now {
					break
				}
				times = append(times, int64(at))
				sent[i]++
			}
			if err := f.due(times); err != nil {
				r.brokeOff(f.conn, err)
				return
			}
		}
	}
}

// pairs makes two-person sessions, in each of which the first person sends.
func pairs(ctx context.Context, o *options, t *target, w wire) ([]*room, error) {
	conns, err := connect(ctx, t, w, 0, 2*o.pairs)
	if err != nil {
		return nil, err
	}
	rooms := make([]*room, o.pairs)
	err = each(ctx, o.pairs, 16, func(i int) (err error) {
		rooms[i], err = makeRoom(w, conns[2*i:2*i+2], false, 1, i, o.flowWindow())
		return err
	})
	if err != nil {
		closeAll(conns)
		return nil, err
	}
	return rooms, nil
}

// groups makes o.groups sessions of o.members, in each of which o.senders send.
func groups(ctx context.Context, o *options, t *target, w wire) ([]*room, error) {
	conns, err := connect(ctx, t, w, 0, o.groups*o.members)
	if err != nil {
		return nil, err
	}
	rooms := make([]*room, o.groups)
	for i := range rooms {
		rooms[i], err = makeRoom(w, conns[i*o.members:(i+1)*o.members], true, o.senders, i*o.senders, o.flowWindow())
		if err != nil {
			closeAll(conns)
			return nil, err
		}
	}
	return rooms, nil
}

func makeRoom(w wire, members []*conn, group bool, senders, first, window int) (*room, error) {
	id, err := w.open(members, group)
	if err != nil {
		return nil, fmt.Errorf("open a session: %w", err)
	}
	r := &room{members: members}
	for i := range senders {
		f := newFlow(members[i], first+i, id, window)
		members[i].flow = f
		r.flows = append(r.flows, f)
	}
	return r, nil
}
