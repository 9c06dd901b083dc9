package load

import (
	"fmt"
	"sync"
)

// flow is what one connection sends into one session: up to window messages
// without an answer, or (open loop) at a rate, whatever the answers do.
type flow struct {
	conn    *conn
	sender  int // counts the flows of a run
	session string
	window  int

	mu                     sync.Mutex
	message                []byte // the template, filled in by the wire's stamp
	idAt, clientAt, textAt int    // where stamp writes
	out                    []byte // frames that leave in one write
	limit                  uint32 // 0: none; else send so many
	sent, acked            uint32
	flying                 []int64           // ring by number: when it was sent, 0: not in flight
	refused                map[uint32]string // number → code
	sum                    uint64            // over the acked, see mix
}

// openWindow is how many unanswered messages an open-loop flow may have before it
// says that the server can't keep up.
const openWindow = 1 << 14

func newFlow(c *conn, sender int, session string, window int) *flow {
	ring := 1
	for ring < window {
		ring *= 2
	}
	f := &flow{conn: c, sender: sender, session: session, window: window, flying: make([]int64, ring)}
	c.wire.template(f)
	return f
}

// fill sends until window messages are in flight. Closed loop only.
func (f *flow) fill() error {
	r := f.conn.run
	if r.open || r.phase.Load() == draining {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	now := since()
	for f.inFlight() < f.window && (f.limit == 0 || f.sent < f.limit) {
		if !f.add(now) {
			break
		}
		if err := f.flushEach(); err != nil {
			return err
		}
	}
	return f.flush()
}

// flushEach sends what was added as a frame of its own write, as people's clients
// do: many frames in one write would let a server read them all at once, which
// makes every message several times cheaper than it is in life.
func (f *flow) flushEach() error {
	if f.conn.run.coalesce {
		return nil
	}
	return f.flush()
}

// due sends those messages of an open loop whose time has come, stamped with the
// time they were due and not with the time they left: a stalled server makes all of
// them late, which a closed loop would hide (coordinated omission).
func (f *flow) due(times []int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, at := range times {
		if !f.add(at) {
			return fmt.Errorf("sender %d: %d messages unanswered: the server does not keep up with the rate", f.sender, f.inFlight())
		}
		if err := f.flushEach(); err != nil {
			return err
		}
	}
	return f.flush()
}

func (f *flow) inFlight() int { return int(f.sent) - int(f.acked) - len(f.refused) }

// add stamps the next message into out; false: its place in the ring is taken by
// one that is still unanswered.
func (f *flow) add(at int64) bool {
	slot := &f.flying[int(f.sent)&(len(f.flying)-1)]
	if *slot != 0 {
		return false
	}
	*slot = at
	f.conn.wire.stamp(f, f.sent, at)
	f.out = appendHead(f.out, f.conn.wire.opcode(), len(f.message))
	f.out = append(f.out, f.message...)
	f.sent++
	return true
}

func (f *flow) flush() error {
	if len(f.out) == 0 {
		return nil
	}
	_, err := f.conn.nc.Write(f.out)
	f.out = f.out[:0]
	return err
}

// answered notes an answer and gives when its message was sent.
func (f *flow) answered(e *event) (sent int64, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	slot := &f.flying[int(e.n)&(len(f.flying)-1)]
	if *slot == 0 || e.n >= f.sent {
		return 0, fmt.Errorf("sender %d: a second answer to message %d, or one to none", f.sender, e.n)
	}
	sent, *slot = *slot, 0
	if e.kind == refusedEvent {
		if f.refused == nil {
			f.refused = map[uint32]string{}
		}
		f.refused[e.n] = e.why
		return sent, nil
	}
	f.acked++
	f.sum += mix(e.seq, f.sender, e.n)
	return sent, nil
}

// idle says that nothing is in flight.
func (f *flow) idle() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.inFlight() == 0
}

func (f *flow) counts() (sent, acked uint32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sent, f.acked
}

// ackedNumber says of one number whether it was acked, for the time after the run.
func (f *flow) ackedNumber(n uint32) bool {
	if n >= f.sent || f.refused[n] != "" {
		return false
	}
	// A number still in the ring is unanswered; the ring holds the last ones only.
	inRing := int(f.sent)-int(n) <= len(f.flying)
	return !inRing || f.flying[int(n)&(len(f.flying)-1)] == 0
}
