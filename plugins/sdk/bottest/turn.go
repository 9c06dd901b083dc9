package bottest

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/troupe-im/troupe/plugins/sdk"
	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// Turn is one event, and what the bot did about it.
type Turn struct {
	w     *world
	event *botv1.Event
	done  chan struct{}

	mu      sync.Mutex
	said    []*Message
	changed []*Message
	same    []*Message
	drafts  map[uint32]string
	news    chan struct{} // closed and made anew when a draft grows
	ack     *botv1.Ack
}

func (t *Turn) by() string {
	if t == nil {
		return ""
	}
	return t.event.GetSender().GetUser()
}

func (t *Turn) add(m *Message) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.said = append(t.said, m)
}

func (t *Turn) change(m *Message) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.changed = append(t.changed, m)
}

func (t *Turn) again(m *Message) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.same = append(t.same, m)
}

func (t *Turn) draft(d *botv1.StreamDelta) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if d.Offset == 0 {
		t.drafts[d.N] = ""
	}
	if int64(len(t.drafts[d.N])) != d.Offset {
		t.w.t.Errorf("a draft has %d bytes, and goes on at %d", len(t.drafts[d.N]), d.Offset)
	}
	t.drafts[d.N] += d.Text
	close(t.news)
	t.news = make(chan struct{})
}

func (t *Turn) acked(a *botv1.Ack) {
	t.mu.Lock()
	t.ack = a
	t.mu.Unlock()
	close(t.done)
}

// Wait waits until the bot has acknowledged the event.
func (t *Turn) Wait() *Turn {
	t.w.t.Helper()
	select {
	case <-t.done:
	case <-time.After(patience):
		t.w.t.Fatalf("the bot is still at %s %q", t.event.Kind, t.event.Text)
	}
	return t
}

// Drafted waits until people see text in what the bot is writing.
func (t *Turn) Drafted(text string) *Turn {
	t.w.t.Helper()
	late := time.After(patience)
	for {
		t.mu.Lock()
		news := t.news
		for _, d := range t.drafts {
			if strings.Contains(d, text) {
				t.mu.Unlock()
				return t
			}
		}
		t.mu.Unlock()
		select {
		case <-news:
		case <-late:
			t.w.t.Fatalf("the bot does not write %q", text)
		}
	}
}

// Stop says that the person does not want the answer any more, and waits for the bot.
func (t *Turn) Stop() *Turn {
	t.w.t.Helper()
	t.w.mu.Lock()
	c := t.w.conn
	t.w.mu.Unlock()
	c.give(&botv1.HostFrame{Body: &botv1.HostFrame_Cancel{Cancel: &botv1.Cancel{Event: t.event.Id, By: t.by()}}})
	return t.Wait()
}

// Said is what the bot said, whispers included, in order. What was there already, as
// the event came twice, is not.
func (t *Turn) Said() []*Message {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]*Message(nil), t.said...)
}

// Changed is what the bot edited.
func (t *Turn) Changed() []*Message {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]*Message(nil), t.changed...)
}

// Repeated is what the bot said a second time: people saw it once.
func (t *Turn) Repeated() []*Message {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]*Message(nil), t.same...)
}

// Text is all that the bot said and edited, one message a line.
func (t *Turn) Text() string {
	var lines []string
	for _, m := range append(t.Said(), t.Changed()...) {
		lines = append(lines, t.w.shown(m))
	}
	return strings.Join(lines, "\n")
}

// Card is the last card that the bot said or edited; nil when there is none.
func (t *Turn) Card() *sdk.Card {
	if m := t.CardMessage(); m != nil {
		return m.Card()
	}
	return nil
}

// CardMessage is the message with that card.
func (t *Turn) CardMessage() *Message {
	all := append(t.Said(), t.Changed()...)
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].Card() != nil {
			return all[i]
		}
	}
	return nil
}

// Err is what the bot said was wrong; nil when it was done.
func (t *Turn) Err() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ack.GetError() == "" {
		return nil
	}
	return fmt.Errorf("%s", t.ack.Error)
}

// Ack is how the bot acknowledged the event.
func (t *Turn) Ack() *botv1.Ack {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ack
}

// Expect fails the test unless all that the bot said has these in it, in that order.
func (t *Turn) Expect(parts ...string) *Turn {
	t.w.t.Helper()
	all := t.Text()
	rest := all
	for _, p := range parts {
		i := strings.Index(rest, p)
		if i < 0 {
			t.w.t.Errorf("after %q the bot said\n%s\nin which %q is missing (error: %v)", t.what(), all, p, t.Err())
			return t
		}
		rest = rest[i+len(p):]
	}
	return t
}

// ExpectNothing fails the test if the bot said anything.
func (t *Turn) ExpectNothing() *Turn {
	t.w.t.Helper()
	if all := t.Text(); all != "" {
		t.w.t.Errorf("after %q the bot said\n%s\nand should have said nothing", t.what(), all)
	}
	return t
}

func (t *Turn) what() string {
	if t.event.Text != "" {
		return t.event.Text
	}
	return t.event.Kind + " " + t.event.Action
}
