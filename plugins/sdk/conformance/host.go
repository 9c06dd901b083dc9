package conformance

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// Channel is one way to one bot: package desk has the same.
type Channel interface {
	Send(ctx context.Context, f *botv1.HostFrame) error
	Recv() (*botv1.BotFrame, error)
	Close(why string)
}

// patience is how long a bot may take for anything. A slow machine is no failure.
const patience = 30 * time.Second

// host plays the host for one bot.
type host struct {
	t        *testing.T
	c        Channel
	describe *botv1.Describe
	events   int

	sending sync.Mutex
	closing sync.Once

	mu     sync.Mutex
	calls  []*botv1.Call // all, in order
	frames chan *botv1.BotFrame
	answer func(*botv1.Call) *botv1.Result // nil, or its nil: as a good host
	kv     map[string]*botv1.KvItem
	posts  int
}

// meet waits for the bot's introduction and welcomes it.
func meet(t *testing.T, c Channel, config string) *host {
	t.Helper()
	h := &host{t: t, c: c, frames: make(chan *botv1.BotFrame, 1024), kv: map[string]*botv1.KvItem{}}
	t.Cleanup(h.close)
	go h.read()
	d := h.next("Describe").GetDescribe()
	if d == nil {
		t.Fatal("the bot's first frame is not Describe")
	}
	h.describe = d
	h.send(&botv1.HostFrame{Body: &botv1.HostFrame_Welcome{Welcome: &botv1.Welcome{
		Protocol: 1, Selves: []*botv1.Self{{User: "b_conformance", Name: "Conformance"}}, Config: config,
		Scopes: []string{"kv", "moderate"}, Locale: "en", HostVersion: "conformance",
	}}})
	return h
}

func (h *host) close() { h.closing.Do(func() { h.c.Close("the test is over") }) }

// read takes the bot's frames, and answers its calls.
func (h *host) read() {
	defer close(h.frames)
	for {
		f, err := h.c.Recv()
		if err != nil {
			return
		}
		call := f.GetCall()
		if call == nil {
			if f.GetWorking() == nil {
				h.frames <- f
			}
			continue
		}
		h.mu.Lock()
		h.calls = append(h.calls, call)
		answer := h.answer
		h.mu.Unlock()
		var r *botv1.Result
		if answer != nil {
			r = answer(call)
		}
		if r == nil {
			r = h.good(call)
		}
		if r.Id = call.Id; r.Id != 0 {
			_ = h.put(context.Background(), &botv1.HostFrame{Body: &botv1.HostFrame_Result{Result: r}})
		}
	}
}

// good is what a host answers that does everything.
func (h *host) good(c *botv1.Call) *botv1.Result {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch do := c.Do.(type) {
	case *botv1.Call_Post, *botv1.Call_End:
		h.posts++
		return &botv1.Result{Got: &botv1.Result_Posted{Posted: &botv1.Posted{Message: fmt.Sprintf("m%d", h.posts), Seq: int64(h.posts)}}}
	case *botv1.Call_KvGet:
		i := h.kv[do.KvGet.Key]
		if i == nil {
			i = &botv1.KvItem{Key: do.KvGet.Key}
		}
		return &botv1.Result{Got: &botv1.Result_Kv{Kv: i}}
	case *botv1.Call_KvSet:
		var version int64
		if i := h.kv[do.KvSet.Key]; i != nil {
			version = i.Version
		}
		if do.KvSet.IfVersion != nil && *do.KvSet.IfVersion != version {
			return &botv1.Result{Code: "CONFLICT", Error: "another version"}
		}
		i := &botv1.KvItem{Key: do.KvSet.Key, Value: do.KvSet.Value, Version: version + 1}
		h.kv[i.Key] = i
		return &botv1.Result{Got: &botv1.Result_Kv{Kv: i}}
	case *botv1.Call_Members:
		list := &botv1.MemberList{People: []*botv1.Person{{User: "u_1", Name: "Ann"}, {User: "u_2", Name: "Bob"}}, Next: "more"}
		if do.Members.Cursor == "more" {
			list = &botv1.MemberList{People: []*botv1.Person{{User: "u_3", Name: "陈"}}}
		}
		return &botv1.Result{Got: &botv1.Result_Members{Members: list}}
	}
	return &botv1.Result{}
}

func (h *host) answerBy(f func(*botv1.Call) *botv1.Result) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answer = f
}

func (h *host) send(f *botv1.HostFrame) {
	h.t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	if err := h.put(ctx, f); err != nil {
		h.t.Fatalf("the bot takes no frame: %v", err)
	}
}

func (h *host) put(ctx context.Context, f *botv1.HostFrame) error {
	h.sending.Lock()
	defer h.sending.Unlock()
	return h.c.Send(ctx, f)
}

// next is the bot's next frame that is no Call.
func (h *host) next(what string) *botv1.BotFrame {
	h.t.Helper()
	select {
	case f, ok := <-h.frames:
		if !ok {
			h.t.Fatalf("the bot is gone, instead of %s", what)
		}
		return f
	case <-time.After(patience):
		h.t.Fatalf("there is no %s", what)
	}
	return nil
}

// message gives the bot a text, and its event's id.
func (h *host) message(session, text string) *botv1.Event {
	h.t.Helper()
	h.events++
	e := &botv1.Event{
		Id: fmt.Sprintf("e%d", h.events), Kind: "message", Session: session, SessionType: "p2p", Seq: int64(h.events),
		Message: fmt.Sprintf("in%d", h.events), Attempt: 1, To: "b_conformance", Text: text, CreatedAt: 1_700_000_000_000,
		Sender: &botv1.Person{User: "u_1", Name: "Ann", Kind: "human", Role: "member"}, Locale: "en",
	}
	h.give(e)
	return e
}

func (h *host) give(e *botv1.Event) {
	h.t.Helper()
	h.send(&botv1.HostFrame{Body: &botv1.HostFrame_Event{Event: e}})
}

// done waits until an event is acknowledged, and gives what the bot called for it.
func (h *host) done(e *botv1.Event) ([]*botv1.Call, *botv1.Ack) {
	h.t.Helper()
	f := h.next("Ack of " + e.Text)
	a := f.GetAck()
	if a == nil || a.Event != e.Id {
		h.t.Fatalf("instead of the Ack of %q came %v", cut(e.Text), f)
	}
	return h.of(e), a
}

func (h *host) of(e *botv1.Event) (calls []*botv1.Call) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.calls {
		if c.Event == e.Id {
			calls = append(calls, c)
		}
	}
	return calls
}

// wait waits until the bot has made a call for an event that is as f says.
func (h *host) wait(e *botv1.Event, what string, f func(*botv1.Call) bool) {
	h.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		for _, c := range h.of(e) {
			if f(c) {
				return
			}
		}
	}
	h.t.Fatalf("for %q there is no %s", e.Text, what)
}

// ok is done of an event that must succeed.
func (h *host) ok(e *botv1.Event) []*botv1.Call {
	h.t.Helper()
	calls, a := h.done(e)
	if a.Error != "" {
		h.t.Fatalf("%q failed: %s", cut(e.Text), a.Error)
	}
	return calls
}

// says is what an event that must succeed made the bot say.
func (h *host) says(e *botv1.Event) (all []string) {
	h.t.Helper()
	for _, c := range h.ok(e) {
		if p := c.GetPost(); p != nil {
			all = append(all, p.Text)
		}
	}
	return all
}

func cut(s string) string {
	if len(s) > 60 {
		return s[:60] + "…"
	}
	return s
}
