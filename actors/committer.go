package actors

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// committer is the one writer of the journal. One goroutine commits what queued
// during the last commit, without a timer: an idle system commits at once, a busy
// one in large batches. A second goroutine reports, so that the next sync runs
// while the last batch is told about (hotpath: 17 → 12 µs a message).
type committer struct {
	journal Journal
	log     *slog.Logger
	fatal   func(error)

	mu      sync.Mutex
	queue   []*Append
	wake    chan struct{} // of one: there is something in the queue
	closing bool
	done    chan struct{}
}

func newCommitter(j Journal, log *slog.Logger, fatal func(error)) *committer {
	c := &committer{journal: j, log: log, fatal: fatal, wake: make(chan struct{}, 1), done: make(chan struct{})}
	reports := make(chan []*Append, 1)
	go c.commit(reports)
	go c.report(reports)
	return c
}

// add queues an append. Its Owner is a *pending, whose session is told when it is done.
func (c *committer) add(a *Append) {
	c.mu.Lock()
	c.queue = append(c.queue, a)
	first := len(c.queue) == 1
	c.mu.Unlock()
	if first {
		select {
		case c.wake <- struct{}{}:
		default:
		}
	}
}

// close commits what is queued, reports it and ends both goroutines. Where that takes longer
// than ctx lets it, and the journal is elsewhere, what is under way is given up: nobody is told
// what became of it, and clients ask again.
func (c *committer) close(ctx context.Context) {
	c.mu.Lock()
	c.closing = true
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
	if j, ok := c.journal.(GivesUp); ok {
		stop := context.AfterFunc(ctx, func() {
			select {
			case <-c.done:
				return
			case <-time.After(lastCommit):
			}
			c.log.Warn("the store does not answer: what is under way is given up")
			j.GiveUp()
		})
		defer stop()
	}
	<-c.done
}

// lastCommit is what a commit gets when the time of a stop is over already: one that is well
// takes some milliseconds.
const lastCommit = 500 * time.Millisecond

func (c *committer) commit(reports chan<- []*Append) {
	defer close(reports)
	for range c.wake {
		c.mu.Lock()
		batch := c.queue
		c.queue = make([]*Append, 0, len(batch))
		closing := c.closing
		c.mu.Unlock()
		if len(batch) > 0 {
			if plantedAckBeforeCommit {
				reports <- append([]*Append(nil), batch...)
			}
			plantedDelay()
			if err := c.journal.Commit(batch); err != nil {
				// Nobody may be told anything: what is stored is only known after a restart.
				c.log.Error("the journal failed", "err", err)
				c.fatal(err)
				return
			}
			if !plantedAckBeforeCommit {
				reports <- batch
			}
		}
		if closing {
			return
		}
	}
}

// report tells each session of a batch once what became of its appends.
func (c *committer) report(reports <-chan []*Append) {
	defer close(c.done)
	var sessions []*Session
	var room []Flusher
	for batch := range reports {
		burst := &Burst{links: room}
		sessions = sessions[:0]
		for _, a := range batch {
			p := a.Owner.(*pending)
			m := p.home.reporting
			if m == nil {
				sessions = append(sessions, p.home)
				m = &committed{burst: burst}
				m.done, p.home.reporting = m.one[:0], m
			}
			m.done = append(m.done, p)
		}
		for _, s := range sessions {
			m := s.reporting
			s.reporting = nil
			s.ref.tell(m)
		}
		room = burst.End()
	}
}
