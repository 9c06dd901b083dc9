package peers

import (
	"sync"
	"sync/atomic"
	"time"
)

// link is one node's end of what two nodes say to each other.
type link struct {
	peers *Peers
	id    string
	met   atomic.Bool  // it is in the list of nodes
	heard atomic.Int64 // Unix nanoseconds, of its last parcel

	mu      sync.Mutex
	outward sync.Cond // something may be due
	inward  sync.Cond // something came
	address string
	closed  bool

	// what goes out
	queue   [][]byte  // not sent yet
	queued  int       // bytes of it
	sent    []*parcel // and not taken yet
	flying  int       // bytes of them
	seq     uint64    // of the newest
	moved   time.Time // when sent last became shorter, or something was sent again
	since   time.Time // when something was last taken, or began to wait where nothing did
	hurry   bool      // send again now
	again   time.Time // when that was last done
	backoff time.Duration

	// what comes in
	taken   uint64    // the newest parcel that came in its turn
	acked   uint64    // what the other side was told of that
	owes    time.Time // when it was first not told
	missing bool
	inbox   [][]byte
}

func newLink(p *Peers, id, address string) *link {
	l := &link{peers: p, id: id, address: address}
	l.outward.L, l.inward.L = &l.mu, &l.mu
	l.heard.Store(time.Now().UnixNano())
	p.running.Go(l.write)
	p.running.Go(l.read)
	return l
}

func (l *link) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.outward.Signal()
	l.inward.Signal()
}

func (l *link) add(record []byte, must bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || !must && l.queued+l.flying+len(record) > l.peers.cfg.Backlog {
		return false
	}
	if len(l.queue)+len(l.sent) == 0 {
		l.since = time.Now()
	}
	l.queue = append(l.queue, record)
	l.queued += len(record)
	l.outward.Signal()
	return true
}

// overdue is for how long the other side has taken nothing of what waits for it.
func (l *link) overdue(now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue)+len(l.sent) == 0 {
		return 0
	}
	return max(0, now.Sub(l.since))
}

// idle says that there is nothing that the other side has to take.
func (l *link) idle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.queue)+len(l.sent) == 0
}

// write is the goroutine that sends: all that gathered while it sent the last parcel
// goes in the next.
func (l *link) write() {
	for {
		l.mu.Lock()
		for !l.closed && !l.due() {
			l.outward.Wait()
		}
		if l.closed {
			l.mu.Unlock()
			return
		}
		var out []*parcel
		again := 0
		if l.hurry {
			l.hurry = false
			out = append(out, l.sent...)
			again = len(out)
		}
		if len(l.queue) > 0 && l.flying < l.peers.cfg.Window {
			out = append(out, l.next())
		}
		if len(out) == 0 {
			out = append(out, &parcel{})
		}
		address := l.address
		now := time.Now()
		if len(l.sent) > 0 && (again > 0 || len(l.sent) == 1) {
			l.moved = now
		}
		if again > 0 {
			l.again = now
		}
		bodies := make([][]byte, len(out))
		for i, c := range out {
			head := *c // what it says of itself changes, its records do not
			head.from, head.to, head.address = l.peers.cfg.ID, l.id, l.peers.cfg.Address
			head.ack, head.missing = l.taken, l.missing
			bodies[i] = head.append(make([]byte, 0, c.size+8*len(c.records)+128))
		}
		l.acked, l.missing, l.owes = l.taken, false, time.Time{}
		l.mu.Unlock()
		l.peers.stats.Again.Add(int64(again))
		for _, b := range bodies {
			l.peers.transport.Send(address, &Envelope{Kind: kindParcel, Body: b})
		}
	}
}

// due says whether there is something to send. mu is held.
func (l *link) due() bool {
	return l.address != "" && (l.hurry || l.missing || len(l.queue) > 0 && l.flying < l.peers.cfg.Window ||
		l.taken-l.acked >= ackEvery || !l.owes.IsZero() && time.Since(l.owes) >= ackWithin)
}

const (
	ackEvery  = 16                    // parcels
	ackWithin = 20 * time.Millisecond // where nothing else is said to the other side
)

// next makes a parcel of what is queued. mu is held.
func (l *link) next() *parcel {
	l.seq++
	c := &parcel{seq: l.seq}
	n := 0
	for n < len(l.queue) && (n == 0 || c.size+len(l.queue[n]) <= l.peers.cfg.Parcel) {
		c.size += len(l.queue[n])
		n++
	}
	c.records = l.queue[:n:n]
	if n == len(l.queue) {
		l.queue = nil
	} else {
		l.queue = l.queue[n:]
	}
	l.queued -= c.size
	l.sent = append(l.sent, c)
	l.flying += c.size
	l.peers.stats.Sent.Add(int64(n))
	return c
}

// look has what was not taken in time sent again, and what came said.
func (l *link) look(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.sent) > 0 && now.Sub(l.moved) >= l.peers.cfg.Patience+l.backoff {
		l.hurry = true
		l.backoff = min(2*l.backoff+l.peers.cfg.Patience/2, maxBackoff)
	}
	if l.due() {
		l.outward.Signal()
	}
}

// maxBackoff bounds the time between two tries to reach a node: protoactor's remote
// itself waits two seconds before it dials again.
const maxBackoff = 2 * time.Second

// take takes a parcel of the other side's.
func (l *link) take(c *parcel) {
	l.heard.Store(time.Now().UnixNano())
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	if c.address != "" {
		l.address = c.address
	}
	n := 0
	for n < len(l.sent) && l.sent[n].seq <= c.ack {
		l.flying -= l.sent[n].size
		n++
	}
	if n > 0 {
		clear(l.sent[:n])
		l.sent = l.sent[n:]
		l.moved, l.backoff = time.Now(), 0
		l.since = l.moved
	}
	if c.missing && len(l.sent) > 0 && l.sent[0].seq == c.ack+1 && time.Since(l.again) >= l.peers.cfg.Patience/8 {
		l.hurry = true // each parcel behind a gap says that there is one: once is enough
	}
	switch {
	case c.seq == 0:
	case c.seq == l.taken+1:
		l.taken = c.seq
		l.inbox = append(l.inbox, c.records...)
		if l.owes.IsZero() {
			l.owes = time.Now()
			time.AfterFunc(ackWithin, l.ackDue)
		}
	case c.seq <= l.taken: // sent again, as our word of it was lost
		l.owes = time.Unix(1, 0)
	default:
		l.missing = true
	}
	if len(l.inbox) > 0 {
		l.inward.Signal()
	}
	if l.due() {
		l.outward.Signal()
	}
}

func (l *link) ackDue() {
	l.mu.Lock()
	due := l.due()
	l.mu.Unlock()
	if due {
		l.outward.Signal()
	}
}

// read is the goroutine that gives records on.
func (l *link) read() {
	for {
		l.mu.Lock()
		for !l.closed && len(l.inbox) == 0 {
			l.inward.Wait()
		}
		batch := l.inbox
		l.inbox = nil
		closed := l.closed
		l.mu.Unlock()
		if closed {
			return
		}
		l.peers.stats.Received.Add(int64(len(batch)))
		for _, r := range batch {
			l.peers.cfg.Receive(l.id, r)
		}
	}
}
