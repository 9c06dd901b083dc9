package plugins_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/troupe-im/troupe/plugins"
	"github.com/troupe-im/troupe/plugins/desk"
	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// fakeDesk shakes hands and keeps the channels, by plugin and version.
type fakeDesk struct {
	mu       sync.Mutex
	channels map[string]desk.Channel
	acks     map[string]int
}

func (d *fakeDesk) Serve(ctx context.Context, p desk.Plugin, c desk.Channel) error {
	defer c.Close("over")
	f, err := c.Recv()
	if err != nil {
		return err
	}
	if f.GetDescribe() == nil {
		return errors.New("no describe")
	}
	if err := c.Send(ctx, &botv1.HostFrame{Body: &botv1.HostFrame_Welcome{Welcome: &botv1.Welcome{Protocol: 1, Scopes: p.Scopes, ModelSocket: p.Model.Socket}}}); err != nil {
		return err
	}
	d.mu.Lock()
	d.channels[p.ID], d.channels[p.ID+"/"+p.Version] = c, c
	d.mu.Unlock()
	stop := context.AfterFunc(ctx, func() {
		_ = c.Send(context.Background(), &botv1.HostFrame{Body: &botv1.HostFrame_Drain{Drain: &botv1.Drain{}}})
	})
	defer stop()
	for {
		f, err := c.Recv()
		if err != nil {
			return err
		}
		switch body := f.Body.(type) {
		case *botv1.BotFrame_Ack:
			d.mu.Lock()
			d.acks[body.Ack.Event]++
			d.mu.Unlock()
		case *botv1.BotFrame_Drained:
			return nil
		}
	}
}

func (d *fakeDesk) tell(t *testing.T, bot, event, text string) {
	t.Helper()
	d.mu.Lock()
	c := d.channels[bot]
	d.mu.Unlock()
	if c == nil {
		t.Fatalf("%s has no channel", bot)
	}
	if err := c.Send(context.Background(), &botv1.HostFrame{Body: &botv1.HostFrame_Event{Event: &botv1.Event{Id: event, Text: text, Attempt: 1}}}); err != nil {
		t.Fatal(err)
	}
}

func (d *fakeDesk) acked(event string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.acks[event] > 0
}

// eventually polls until something holds, or fails saying what did not.
func eventually(t *testing.T, within time.Duration, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); ; time.Sleep(2 * time.Millisecond) {
		if holds() {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", within, what)
		}
	}
}

type hosted struct {
	*plugins.Host
	desk *fakeDesk
	data string
	log  *syncBuilder
}

type syncBuilder struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *syncBuilder) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuilder) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// host starts a host with built-in bots of these ids.
func host(t *testing.T, change func(*plugins.Config), ids ...string) *hosted {
	t.Helper()
	data, err := os.MkdirTemp("", "bots")
	if err != nil {
		t.Fatal(err)
	}
	h := &hosted{desk: &fakeDesk{channels: map[string]desk.Channel{}, acks: map[string]int{}}, data: data, log: &syncBuilder{}}
	cfg := plugins.Config{Data: data, Isolation: plugins.Auto, Poll: 20 * time.Millisecond, Unbounded: race}
	if change != nil {
		change(&cfg)
	}
	builtIn := map[string]plugins.BuiltIn{}
	for _, id := range ids {
		builtIn[id] = plugins.BuiltIn{Version: "1.0.0"}
	}
	if h.Host, err = plugins.New(cfg, plugins.Needs{Desk: h.desk, BuiltIn: builtIn, Log: slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug}))}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if h.Running() {
			h.Stop(context.Background())
		}
		os.RemoveAll(data)
		if t.Failed() {
			text := h.log.String()
			t.Logf("log:\n%s", text[:min(len(text), 4000)])
		}
	})
	if err := h.Start(); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *hosted) is(t *testing.T, id string, want plugins.State) *plugins.Status {
	t.Helper()
	var s *plugins.Status
	eventually(t, 10*time.Second, fmt.Sprintf("%s is %s", id, want), func() bool {
		var err error
		if s, err = h.StatusOf(id); err != nil {
			t.Fatal(err)
		}
		return s.State == want
	})
	return s
}

// nothingLeft says whether no process and no socket of a bot is left.
func (h *hosted) nothingLeft(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d is still there: %v", pid, err)
	}
}

func TestABotIsReadyAndDrainsInPeace(t *testing.T) {
	h := host(t, nil, "good")
	s := h.is(t, "good", plugins.Ready)
	if s.PID == 0 || s.Personas[0].User != "b_good" || s.Version != "1.0.0" || s.Scopes[0] != "send" {
		t.Errorf("status %+v", s)
	}
	h.desk.tell(t, "good", "e1", "say hello there")
	eventually(t, 5*time.Second, "the event is acknowledged", func() bool { return h.desk.acked("e1") })
	eventually(t, 5*time.Second, "what it wrote is in its log", func() bool {
		lines, _, err := h.Logs("good", 0)
		return err == nil && len(lines) > 0 && lines[len(lines)-1].Text == "hello there"
	})
	start := time.Now()
	h.Stop(context.Background())
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("a bot with nothing in hand took %v to stop", took)
	}
	h.nothingLeft(t, s.PID)
	var states []string
	s, _ = h.StatusOf("good")
	for _, e := range s.Events {
		states = append(states, string(e.State))
	}
	if got := strings.Join(states, " "); got != "discovered verified starting handshaken described ready draining stopped" {
		t.Errorf("its states were %s", got)
	}
}

func TestAStopTakesFourSecondsAtMostWhateverABotDoes(t *testing.T) {
	for _, id := range []string{"parent", "deaf", "stubborn", "loud", "halted"} {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			h := host(t, nil, id)
			s := h.is(t, id, plugins.Ready)
			if id == "halted" {
				if err := syscall.Kill(s.PID, syscall.SIGSTOP); err != nil {
					t.Fatal(err)
				}
			}
			start := time.Now()
			h.Stop(context.Background())
			took := time.Since(start)
			t.Logf("it took %v", took)
			if took > 4*time.Second {
				t.Errorf("it took %v", took)
			}
			h.nothingLeft(t, s.PID)
			for _, socket := range regexp.MustCompile(`address=(\S+)`).FindAllStringSubmatch(h.log.String(), -1) {
				for dir := socket[1]; strings.Contains(dir, "troupe-"); dir = filepath.Dir(dir) {
					if _, err := os.Lstat(dir); err == nil {
						t.Errorf("left: %s", dir)
					}
				}
			}
		})
	}
}

func TestABotThatCrashesIsStartedAgain(t *testing.T) {
	h := host(t, nil, "good")
	first := h.is(t, "good", plugins.Ready)
	if err := syscall.Kill(first.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, 5*time.Second, "it runs again", func() bool {
		s, _ := h.StatusOf("good")
		return s.State == plugins.Ready && s.PID != first.PID
	})
	s, _ := h.StatusOf("good")
	if s.Crashes != 1 || s.Starts != 2 || s.Circuit != plugins.Closed {
		t.Errorf("status %+v", s)
	}
}

func TestABotThatLiesIsBrokenAndNotTriedAgain(t *testing.T) {
	h := host(t, nil, "liar")
	s := h.is(t, "liar", plugins.Broken)
	if s.Starts != 1 || !strings.Contains(s.Why, "somebody-else") {
		t.Errorf("status %+v", s)
	}
}

func TestABotThatSaysNothingIsGivenUpInThreeSeconds(t *testing.T) {
	h := host(t, nil, "mute", "dies")
	s := h.is(t, "dies", plugins.Stopped)
	if s.Crashes == 0 {
		t.Errorf("status %+v", s)
	}
	eventually(t, 8*time.Second, "the mute one is given up", func() bool { s, _ := h.StatusOf("mute"); return s.Crashes > 0 })
	lines, _, _ := h.Logs("dies", 0)
	if len(lines) == 0 || lines[0].Text != "panic: it dies at once" {
		t.Errorf("its last words are %v", lines)
	}
}

func TestAMemoryHogDiesAlone(t *testing.T) {
	if race {
		t.Skip("under the race detector no process has a bound of memory")
	}
	h := host(t, nil, "good")
	s := h.is(t, "good", plugins.Ready)
	h.desk.tell(t, "good", "e1", "eat")
	eventually(t, 20*time.Second, "it died of its bounds", func() bool {
		now, _ := h.StatusOf("good")
		return now.Crashes == 1
	})
	h.nothingLeft(t, s.PID)
	eventually(t, 5*time.Second, "it runs again", func() bool { s, _ := h.StatusOf("good"); return s.State == plugins.Ready })
	s, _ = h.StatusOf("good")
	if text := fmt.Sprint(s.Events); !strings.Contains(text, "out of memory") && !strings.Contains(text, "pthread_create failed") {
		t.Errorf("its changes do not say why: %s", text)
	}
	lines, _, _ := h.Logs("good", 0)
	if said := fmt.Sprint(lines); !strings.Contains(said, "out of memory") && !strings.Contains(said, "pthread_create failed") { // with cgo a thread may be what there was no room for
		t.Errorf("its log of %d lines does not say why", len(lines))
	}
}

func TestADisabledBotStopsAndStaysStopped(t *testing.T) {
	h := host(t, nil, "good")
	h.is(t, "good", plugins.Ready)
	if err := h.Enable("good", false); err != nil {
		t.Fatal(err)
	}
	h.is(t, "good", plugins.Disabled)
	h.Stop(context.Background())
	again, err := plugins.New(plugins.Config{Data: h.data, Unbounded: race}, plugins.Needs{Desk: h.desk, BuiltIn: map[string]plugins.BuiltIn{"good": {}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, 5*time.Second, "it is disabled after a restart too", func() bool { s, _ := again.StatusOf("good"); return s.State == plugins.Disabled })
	defer again.Stop(context.Background())
	if err := again.Enable("good", true); err != nil {
		t.Fatal(err)
	}
	eventually(t, 5*time.Second, "it runs", func() bool { s, _ := again.StatusOf("good"); return s.State == plugins.Ready })
	if err := again.Restart("good"); err != nil {
		t.Fatal(err)
	}
	eventually(t, 5*time.Second, "it was started anew", func() bool { s, _ := again.StatusOf("good"); return s.State == plugins.Ready && s.Starts == 2 })
}
