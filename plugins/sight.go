package plugins

import (
	"sync"

	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// sight is what passes over one stream, as the supervisor sees it.
type sight struct {
	bot     *bot
	version string

	mu      sync.Mutex
	sent    map[string]bool // events in hand
	refused string          // the desk does not want the bot
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
		s.sent[body.Event.Id] = true
		s.mu.Unlock()
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
		delete(s.sent, body.Ack.Event)
		s.mu.Unlock()
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
