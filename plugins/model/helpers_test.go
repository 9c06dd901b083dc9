package model

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	openai "github.com/sashabaranov/go-openai"

	"github.com/troupe-im/troupe/internal/openaistub"
)

// shelf is a Store in memory.
type shelf struct {
	mu   sync.Mutex
	rows []Row
}

func (s *shelf) AddUsage(_ context.Context, r Row) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.rows {
		if o := &s.rows[i]; o.Day == r.Day && o.Bot == r.Bot && o.User == r.User && o.Session == r.Session {
			o.add(r)
			return nil
		}
	}
	s.rows = append(s.rows, r)
	return nil
}

func (s *shelf) UsageOf(_ context.Context, day string, each func(Row) bool) error {
	for _, r := range s.all() {
		if r.Day == day && !each(r) {
			return nil
		}
	}
	return nil
}

func (s *shelf) UsageTotals(_ context.Context, from, to string) ([]Row, error) {
	return slices.DeleteFunc(s.all(), func(r Row) bool { return r.Day < from || r.Day > to }), nil
}

func (s *shelf) DropUsage(_ context.Context, before string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows = slices.DeleteFunc(s.rows, func(r Row) bool { return r.Day < before })
	return nil
}

func (s *shelf) all() []Row {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.rows)
}

// desk has the events u1, u2, … of those people in hand, in session s_1.
type hands struct{}

func (hands) InHand(plugin, event string) (bot, user, session, trace string, ok bool) {
	if plugin != "ai" || !strings.HasPrefix(event, "u") {
		return "", "", "", "", false
	}
	return "b_ai", event, "s_1", "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01", true
}

const secretKey = "sk-canary-of-the-key"

type rig struct {
	*Gateway
	t      *testing.T
	stub   *openaistub.Server
	shelf  *shelf
	log    *bytes.Buffer
	slept  []time.Duration
	socket string
	token  string
	shut   func()
}

// gateway starts a gateway before a provider with these turns; sleeping costs no time.
func gatewayTo(t *testing.T, stub *openaistub.Server, change func(*Config)) *rig {
	t.Helper()
	r := &rig{t: t, stub: stub, shelf: &shelf{}, log: &bytes.Buffer{}}
	cfg := Config{}
	cfg.Providers, cfg.Models = Simple(stub.URL, secretKey, "stub-1", "stub-eyes")
	if change != nil {
		change(&cfg)
	}
	var err error
	r.Gateway, err = New(cfg, Needs{Store: r.shelf, Desk: hands{}, Log: slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if err != nil {
		t.Fatal(err)
	}
	r.sleep = func(_ context.Context, d time.Duration) error { r.slept = append(r.slept, d); return nil }
	dir, err := os.MkdirTemp("", "gw") // a short path, as sockets' are bounded
	if err != nil {
		t.Fatal(err)
	}
	if r.socket, r.token, r.shut, err = r.Open("ai", dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.shut(); r.Close(); stub.Close(); os.RemoveAll(dir) })
	return r
}

func gateway(t *testing.T, turns ...openaistub.Turn) *rig {
	t.Helper()
	return gatewayTo(t, openaistub.Start(turns...), nil)
}

type carrier struct {
	http.RoundTripper
	event string
}

func (c carrier) RoundTrip(r *http.Request) (*http.Response, error) {
	if c.event != "" {
		r = r.Clone(r.Context())
		r.Header.Set(EventHeader, c.event)
	}
	return c.RoundTripper.RoundTrip(r)
}

// client is a plain go-openai client, as a bot's author writes it.
func (r *rig) client(event string) *openai.Client {
	cfg := openai.DefaultConfig(r.token)
	cfg.BaseURL = "http://model/v1"
	t := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", r.socket)
	}}
	r.t.Cleanup(t.CloseIdleConnections)
	cfg.HTTPClient = &http.Client{Transport: carrier{t, event}}
	return openai.NewClientWithConfig(cfg)
}

func asks(text string) openai.ChatCompletionRequest {
	return openai.ChatCompletionRequest{Model: Default, MaxTokens: 100, Messages: []openai.ChatCompletionMessage{{Role: "user", Content: text}}}
}

// read reads a stream to its end, which is nil only if io.EOF is.
func read(s *openai.ChatCompletionStream) (text, finish string, err error) {
	for {
		c, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return text, finish, nil
		}
		if err != nil {
			return text, finish, err
		}
		text += c.Choices[0].Delta.Content // as most write it
		finish += string(c.Choices[0].FinishReason)
	}
}

// stream asks once and reads all of it.
func (r *rig) stream() (text, finish string, err error) {
	r.t.Helper()
	s, err := r.client("u1").CreateChatCompletionStream(r.t.Context(), asks("hi"))
	if err != nil {
		return "", "", err
	}
	defer s.Close()
	return read(s)
}

func (r *rig) goodAnswer(want string) {
	r.t.Helper()
	text, finish, err := r.stream()
	if text != want || finish != "stop" || err != nil {
		r.t.Errorf("the answer is %q, %q, %v; want %q, and a good end", text, finish, err, want)
	}
}

func (r *rig) badAnswer(text, wantErr string) {
	r.t.Helper()
	got, _, err := r.stream()
	if got != text || err == nil || !strings.Contains(err.Error(), wantErr) {
		r.t.Errorf("the answer is %q and then %v; want %q, and an error that says %q", got, err, text, wantErr)
	}
}

func (r *rig) used() string {
	var b strings.Builder
	for _, u := range r.shelf.all() {
		fmt.Fprintf(&b, "%s %s %s %d+%d in %d, %d failed;", u.Bot, u.User, u.Session, u.Prompt, u.Completion, u.Requests, u.Failed)
	}
	return b.String()
}

func statusOf(err error) (int, any) {
	var e *openai.APIError
	if !errors.As(err, &e) {
		return 0, nil
	}
	return e.HTTPStatusCode, e.Code
}
