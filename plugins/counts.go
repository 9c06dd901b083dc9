package plugins

import (
	"slices"
	"sync"
	"time"

	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// ackBounds are in seconds: the upper bounds of Acks.Buckets, of which the last has none.
var ackBounds = []float64{0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30}

// Acks is how long events took until they were acknowledged.
type Acks struct {
	Bounds  []float64 `json:"bounds" doc:"Seconds"`
	Buckets []int64   `json:"buckets" doc:"One more than bounds; each has those above the bound before"`
	Sum     float64   `json:"sum" doc:"Seconds"`
	Count   int64     `json:"count"`
}

// counts is what passed over a plugin's streams, since the server started.
type counts struct {
	mu          sync.Mutex
	events      int64
	redelivered int64
	failed      int64
	acks        Acks
}

func (c *counts) event(again bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.events++
	if again {
		c.redelivered++
	}
}

func (c *counts) ack(took time.Duration, failed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.acks.Buckets == nil {
		c.acks.Bounds, c.acks.Buckets = ackBounds, make([]int64, len(ackBounds)+1)
	}
	s := took.Seconds()
	i, _ := slices.BinarySearch(ackBounds, s)
	c.acks.Buckets[i]++
	c.acks.Sum += s
	c.acks.Count++
	if failed {
		c.failed++
	}
}

func (c *counts) copy() (events, redelivered, failed int64, acks Acks) {
	c.mu.Lock()
	defer c.mu.Unlock()
	acks = c.acks
	acks.Buckets = slices.Clone(acks.Buckets)
	return c.events, c.redelivered, c.failed, acks
}

// sight is what passes over one stream, as the supervisor sees it.
type sight struct {
	bot     *bot
	version string

	mu      sync.Mutex
	sent    map[string]time.Time // events in hand
	refused string               // the desk does not want the bot
}

func (s *sight) inHand() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sent)
}

// event notes an event that is about to be sent: its ack may be quicker than whoever sent it.
func (s *sight) event(f *botv1.HostFrame) {
	if body, ok := f.GetBody().(*botv1.HostFrame_Event); ok {
		s.mu.Lock()
		s.sent[body.Event.Id] = time.Now()
		s.mu.Unlock()
		s.bot.counts.event(body.Event.Attempt > 1)
	}
}

// toBot and fromBot see a frame that has passed.
func (s *sight) toBot(f *botv1.HostFrame) {
	switch body := f.GetBody().(type) {
	case *botv1.HostFrame_Welcome:
		s.bot.enter(Ready, s.version, "")
	case *botv1.HostFrame_Refused:
		s.mu.Lock()
		s.refused = body.Refused.Code + ": " + body.Refused.Reason
		s.mu.Unlock()
	}
}

func (s *sight) fromBot(f *botv1.BotFrame) {
	if body, ok := f.GetBody().(*botv1.BotFrame_Ack); ok {
		s.mu.Lock()
		at, ok := s.sent[body.Ack.Event]
		delete(s.sent, body.Ack.Event)
		s.mu.Unlock()
		if ok {
			s.bot.counts.ack(time.Since(at), body.Ack.Error != "")
		}
	}
	s.bot.reads(s.version)
}

// stuck says that a frame was not taken in time.
func (s *sight) stuck(err error) { s.bot.stuck(s.version, err) }

func (s *sight) whyRefused() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused
}
