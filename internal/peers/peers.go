// Package peers carries records between the nodes of one installation: in order, and
// each once, as long as both nodes live. Below it is protoactor's remote, which loses
// what is under way when a connection breaks and says nothing; so what is sent is
// numbered, kept until the other side has said that it has it, and sent again.
package peers

//go:generate sh -c "cd ../.. && protoc --plugin=protoc-gen-go=$(go tool -n protoc-gen-go) --go_out=. --go_opt=paths=source_relative internal/peers/envelope.proto"

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Transport brings envelopes to where they are addressed, or not. Send does not wait.
type Transport interface {
	Send(address string, e *Envelope)
}

// Config is what a node's end needs. A zero number means its written default.
type Config struct {
	ID      string // of this node: new with each start
	Address string // where others reach it
	// Receive takes a record: those of one node in order, one at a time.
	Receive func(from string, record []byte)
	// Heard takes what was said by Say.
	Heard func(from string, record []byte)
	Log   *slog.Logger

	Parcel   int           // bytes of records sent in one envelope; default 512 KiB, gRPC takes 4 MiB
	Window   int           // bytes on their way to one node and not taken yet; default 8 MiB
	Backlog  int           // bytes that wait for one node, those on their way included; default 16 MiB
	Patience time.Duration // before what was not taken is sent again; default 400 ms
}

func (c Config) withDefaults() Config {
	def := func(n *int, v int) {
		if *n == 0 {
			*n = v
		}
	}
	def(&c.Parcel, 512<<10)
	def(&c.Window, 8<<20)
	def(&c.Backlog, 16<<20)
	if c.Patience == 0 {
		c.Patience = 400 * time.Millisecond
	}
	return c
}

// Peers is one node's end of the links to all others.
type Peers struct {
	cfg       Config
	transport Transport

	mu     sync.Mutex
	links  map[string]*link
	parted map[string]bool // who has gone: an id never comes back
	closed bool

	stop    chan struct{}
	running sync.WaitGroup
	stats   Stats
}

// Stats counts what happened since the start; read them with sync/atomic loads.
type Stats struct {
	Sent     atomic.Int64 // records
	Received atomic.Int64
	Again    atomic.Int64 // parcels that were sent once more
	Unknown  atomic.Int64 // envelopes of an unknown kind, or that could not be read
}

// Stats gives the counts.
func (p *Peers) Stats() *Stats { return &p.stats }

// New starts a node's end. Envelopes that come are given to Take.
func New(cfg Config, transport Transport) *Peers {
	p := &Peers{cfg: cfg.withDefaults(), transport: transport, links: map[string]*link{}, parted: map[string]bool{}, stop: make(chan struct{})}
	p.running.Go(p.remind)
	return p
}

// Close ends all links. What waits is dropped.
func (p *Peers) Close() {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.closed = true
	all := p.links
	p.links = map[string]*link{}
	p.mu.Unlock()
	close(p.stop)
	for _, l := range all {
		l.close()
	}
	p.running.Wait()
}

// Meet says that there is a node. What is sent to it waits until it is reached.
func (p *Peers) Meet(id, address string) {
	if l := p.link(id, address, true); l != nil {
		l.met.Store(true)
	}
}

// Part says that a node has gone for good: what waits for it is dropped, what comes
// from it is passed over.
func (p *Peers) Part(id string) {
	p.mu.Lock()
	l := p.links[id]
	delete(p.links, id)
	p.parted[id] = true
	p.mu.Unlock()
	if l != nil {
		l.close()
	}
}

// link finds a link; make: it is made where there is none. nil: there is none, or the
// node has gone.
func (p *Peers) link(id, address string, make bool) *link {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.links[id]
	if l == nil && make && !p.closed && !p.parted[id] && id != p.cfg.ID {
		l = newLink(p, id, address)
		p.links[id] = l
	}
	return l
}

// Send gives a node a record. False: it is not known, or too much waits for it, and the
// record was not taken. With must only the first is a reason.
func (p *Peers) Send(to string, record []byte, must bool) bool {
	l := p.link(to, "", false)
	return l != nil && l.add(record, must)
}

// Heard is when a node last said something over its link, whatever it was; zero: there is no
// link to it.
func (p *Peers) Heard(id string) time.Time {
	if l := p.link(id, "", false); l != nil {
		return time.Unix(0, l.heard.Load())
	}
	return time.Time{}
}

// Overdue is for how long a node has taken nothing of what waits for it; 0: nothing waits.
func (p *Peers) Overdue(id string, now time.Time) time.Duration {
	if l := p.link(id, "", false); l != nil {
		return l.overdue(now)
	}
	return 0
}

// Probe has a node say something, by sending it a record, unless it has something to take
// anyway: one of any version says that it took it, whether it knows the record or not.
func (p *Peers) Probe(to string, record []byte) {
	if l := p.link(to, "", false); l != nil && l.idle() {
		l.add(record, true)
	}
}

// Say tells whoever is at an address something, once and for what it is worth.
func (p *Peers) Say(address string, record []byte) {
	p.transport.Send(address, &Envelope{Kind: kindWord, Body: appendWord(nil, p.cfg.ID, record)})
}

// Take takes an envelope that came. It does not wait, and keeps the body.
func (p *Peers) Take(e *Envelope) {
	switch e.GetKind() {
	case kindParcel:
		c, err := readParcel(e.Body)
		if err != nil {
			p.unreadable(err)
			return
		}
		if c.to != p.cfg.ID {
			return // for one that was here before
		}
		// Who is not known yet is answered: it may have seen us first. A link is begun
		// at its beginning only.
		if l := p.link(c.from, c.address, c.seq == 1); l != nil {
			l.take(c)
		}
	case kindWord:
		from, record, err := readWord(e.Body)
		if err != nil {
			p.unreadable(err)
			return
		}
		if p.cfg.Heard != nil {
			p.cfg.Heard(from, record)
		}
	default:
		p.stats.Unknown.Add(1)
	}
}

func (p *Peers) unreadable(err error) {
	p.stats.Unknown.Add(1)
	p.cfg.Log.Warn("a node says what cannot be read", "err", err)
}

// remind has links look whether what they sent was taken, and lets go of those to nodes
// that were never met and are silent.
func (p *Peers) remind() {
	tick := time.NewTicker(p.cfg.Patience / 4)
	defer tick.Stop()
	for {
		select {
		case <-p.stop:
			return
		case now := <-tick.C:
			p.mu.Lock()
			all := make([]*link, 0, len(p.links))
			for _, l := range p.links {
				all = append(all, l)
			}
			p.mu.Unlock()
			for _, l := range all {
				if !l.met.Load() && now.Sub(time.Unix(0, l.heard.Load())) > strangerKept {
					p.Part(l.id)
					continue
				}
				l.look(now)
			}
		}
	}
}

// strangerKept is how long a link stays to a node that speaks to us and is in nobody's list.
const strangerKept = time.Minute
