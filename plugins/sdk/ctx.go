package sdk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// Ctx is an event and all that a bot can do about it. It is a context.Context that ends
// when a person presses Stop (its cause is ErrStopped), when the bot's Deadline is over,
// or when the host is gone. What is said for an event is numbered in the order in which
// it is said, so that it shows once although the event may come twice: a function should
// say things in the same order each time. The methods may be called from several
// goroutines; who says things from several gives each its own Post.N.
type Ctx struct {
	context.Context
	Event
	Log *slog.Logger // knows the event and the session

	link *link
	said *said
}

// said is what was said for one event.
type said struct {
	mu      sync.Mutex
	n       uint32
	streams []*Stream
}

func (s *said) next() uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	return s.n
}

// In is the same event seen from another session, of which the bot is a member: what is
// said goes there.
func (c *Ctx) In(session string) *Ctx {
	d := *c
	d.Session, d.Message = session, ""
	return &d
}

// With is c under another context: to do something after a Stop, for instance.
func (c *Ctx) With(ctx context.Context) *Ctx {
	d := *c
	d.Context = ctx
	return &d
}

// Now is the time, which a test may turn.
func (c *Ctx) Now() time.Time { return c.link.clock() }

// Say is zh where the event's locale is Chinese, else en.
func (c *Ctx) Say(zh, en string) string { return say(c.Locale, zh, en) }

func say(locale, zh, en string) string {
	if strings.HasPrefix(strings.ToLower(locale), "zh") {
		return zh
	}
	return en
}

// IsGroup says whether more than two are in the session.
func (c *Ctx) IsGroup() bool { return c.SessionType != "" && c.SessionType != "p2p" }

// Self is the user id of the persona that is meant; of the first one outside an event.
func (c *Ctx) Self() string {
	if c.To != "" {
		return c.To
	}
	c.link.mu.Lock()
	defer c.link.mu.Unlock()
	if selves := c.link.welcome.GetSelves(); len(selves) > 0 {
		return selves[0].User
	}
	return ""
}

// Granted says whether the bot was given a scope.
func (c *Ctx) Granted(scope string) bool {
	c.link.mu.Lock()
	defer c.link.mu.Unlock()
	for _, s := range c.link.welcome.GetScopes() {
		if s == scope {
			return true
		}
	}
	return false
}

// Form puts the values of an action's form into a struct, by its fields' json names.
func (c *Ctx) Form(into any) error {
	if len(c.Values) == 0 {
		return nil
	}
	if err := json.Unmarshal(c.Values, into); err != nil {
		return Drop(fmt.Errorf("the form %s: %w", c.Action, err))
	}
	return nil
}

// Field is one value of an action's form as text, "" when it is not there.
func (c *Ctx) Field(name string) string {
	var all map[string]any
	if json.Unmarshal(c.Values, &all) != nil || all[name] == nil {
		return ""
	}
	if s, ok := all[name].(string); ok {
		return s
	}
	return fmt.Sprint(all[name])
}

// Decode puts the JSON of Body into v: of a schedule what was kept, of a webhook what came.
func (c *Ctx) Decode(v any) error {
	if err := json.Unmarshal([]byte(c.Body), v); err != nil {
		return Drop(fmt.Errorf("what came with the %s: %w", c.Kind, err))
	}
	return nil
}

// call is a Call for this event.
func (c *Ctx) call() *botv1.Call {
	return &botv1.Call{Event: c.ID, Session: c.Session, As: c.To}
}

// do makes a call and waits for the answer. What the host puts off for a few seconds it
// asks for again: the numbers of what is said make that safe.
func (c *Ctx) do(ctx context.Context, call *botv1.Call) (*botv1.Result, error) {
	const tries, patience = 4, 10 * time.Second
	for try := 1; ; try++ {
		r, err := c.link.do(ctx, call)
		var e *Error
		if !errors.As(err, &e) || e.Code != "RATE_LIMITED" && e.Code != "BUSY" ||
			e.RetryAfter <= 0 || e.RetryAfter > patience || try == tries {
			return r, err
		}
		t := time.NewTimer(e.RetryAfter)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return nil, over(ctx)
		}
	}
}

// tell makes a call that nobody answers.
func (c *Ctx) tell(call *botv1.Call) error {
	if c.Err() != nil {
		return over(c)
	}
	return c.link.send(&botv1.BotFrame{Body: &botv1.BotFrame_Call{Call: call}})
}

// finish brings to an end what a function has left open, and says how the event ended.
func (c *Ctx) finish(err error) error {
	stopped := errors.Is(context.Cause(c), ErrStopped)
	if stopped && (errors.Is(err, context.Canceled) || errors.Is(err, ErrStopped)) {
		err = nil // it did what it was told
	}
	c.said.mu.Lock()
	open := c.said.streams
	c.said.mu.Unlock()
	for _, s := range open {
		switch {
		case err == nil:
			err = s.Close()
		case ack(c.ID, err).Drop:
			_ = s.Fail(err)
		default:
			s.abandon() // the event comes again, and with it the draft
		}
	}
	return err
}

// clean is s as the wire takes it: UTF-8.
func clean(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
