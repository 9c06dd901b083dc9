package talk

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/troupe-im/troupe/internal/openaistub"
)

// The client before a provider without any gateway between: it guards by itself.

func clientOf(t *testing.T, turns ...openaistub.Turn) (*Client, *openaistub.Server) {
	t.Helper()
	return impatient(t, time.Minute, turns...)
}

// impatient is a client that waits for so long.
func impatient(t *testing.T, idle time.Duration, turns ...openaistub.Turn) (*Client, *openaistub.Server) {
	t.Helper()
	s := openaistub.Start(turns...)
	tr := &http.Transport{}
	t.Cleanup(func() { s.Close(); tr.CloseIdleConnections() })
	return New(s.URL, "token", &http.Client{Transport: tr}, idle), s
}

func hello() Request { return Request{Messages: []Message{{Role: User, Text: "hi"}}, MaxTokens: 50} }

func TestAnAnswerIsOneWhenItsEndCame(t *testing.T) {
	for name, c := range map[string]struct {
		turn openaistub.Turn
		text string
		kind Kind // "": it is good
	}{
		"good":             {openaistub.Answer(7, 3, "a ", "b"), "a b", ""},
		"usage":            {openaistub.TrapUsage(), "good", ""},
		"comments":         {openaistub.TrapComments(), "at last", ""},
		"no words":         {openaistub.TrapEmptyAnswer(), "", ""},
		"cut":              {openaistub.TrapCut(), "half an ", Cut},
		"done, no reason":  {openaistub.Turn{openaistub.Text("x"), openaistub.Done()}, "x", Cut},
		"in one piece":     {openaistub.TrapPlain(), "", Cut}, // the gateway would make a stream of it
		"a page":           {openaistub.TrapNotJSON(), "", Cut},
		"error, comment":   {openaistub.TrapErrorAfterComment(), "", Cut},
		"error, event":     {openaistub.TrapErrorEvent(), "so ", Cut},
		"error, space":     {openaistub.TrapErrorWithSpace(), "so ", Cut},
		"empty":            {openaistub.TrapEmptyChunks(), "", Cut},
		"empty for ever":   {openaistub.Turn{openaistub.Empty(1000), openaistub.Hang()}, "", Cut},
		"half a chunk":     {openaistub.TrapBadChunk(), "so ", Cut},
		"stalled":          {openaistub.TrapStall(), "wait ", Silent},
		"silent":           {openaistub.TrapSilence(), "", Silent},
		"busy":             {openaistub.TrapBusy("1"), "", Busy},
		"broken":           {openaistub.TrapBroken(), "", Down},
		"a broken socket":  {openaistub.Turn{openaistub.Text("x"), openaistub.Abort()}, "x", Cut},
		"no such model":    {openaistub.Turn{openaistub.Status(404, openaistub.Error("no", "", "model_not_found"))}, "", NoModel},
		"a budget":         {openaistub.Turn{openaistub.Status(429, openaistub.Error("no", "insufficient_quota", "budget_user"))}, "", Budget},
		"too long":         {openaistub.Turn{openaistub.Status(400, openaistub.Error("this model's maximum context length is 5", "", ""))}, "", TooLong},
		"a page of errors": {openaistub.Turn{openaistub.Status(503, "<html>")}, "", Down},
	} {
		t.Run(name, func(t *testing.T) {
			idle := time.Minute
			if c.kind == Silent {
				idle = 400 * time.Millisecond
			}
			client, _ := impatient(t, idle, c.turn)
			said := ""
			a, err := client.Ask(t.Context(), hello(), func(s string) error { said += s; return nil })
			var f *Failure
			if said != c.text || a.Text != c.text || c.kind == "" && (err != nil || a.Finish != "stop") || c.kind != "" && (!errors.As(err, &f) || f.Kind != c.kind) {
				t.Errorf("it said %q, %+v, %v", said, a, err)
			}
		})
	}
}

func TestUsageAndModelAreTold(t *testing.T) {
	client, _ := clientOf(t, openaistub.Answer(7, 3, "x"))
	a, err := client.Ask(t.Context(), hello(), func(string) error { return nil })
	if err != nil || a.Prompt != 7 || a.Completion != 3 || a.Model != "stub-1" {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestWhoStopsGetsTheirOwnReason(t *testing.T) {
	client, s := clientOf(t, openaistub.TrapStall())
	mine := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	_, err := client.Ask(ctx, hello(), func(string) error { cancel(mine); return nil })
	if err != mine {
		t.Errorf("it ended by %v", err)
	}
	<-s.Asked()[0].Gone
	if a, err := client.Ask(t.Context(), hello(), func(string) error { return mine }); err != mine || a.Text != "wait " {
		t.Errorf("it ended by %v with %+v", err, a)
	}
	<-s.Asked()[1].Gone
}

func TestNoStreamIsLeftOpen(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	t.Run("", func(t *testing.T) {
		client, s := clientOf(t, openaistub.TrapStall())
		enough := errors.New("enough")
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				if _, err := client.Ask(t.Context(), hello(), func(string) error { return enough }); err != enough {
					t.Error(err)
				}
			})
		}
		all.Wait()
		for _, q := range s.Asked() {
			<-q.Gone
		}
	})
}

func TestWhatIsAskedIsWhole(t *testing.T) {
	client, s := clientOf(t, openaistub.Answer(1, 1, "x"))
	none := 0.0
	_, err := client.Ask(t.Context(), Request{Warmth: &none, MaxTokens: 9, Messages: []Message{
		{Role: System, Text: "rules"}, {Role: User}, {Role: User, Text: "see", Pictures: []string{"data:image/png;base64,AA=="}},
		{Role: Assistant, Calls: []Call{{ID: "a", Name: "f", Args: "{}"}}}, {Role: ToolSays, Call: "a"},
	}, Tools: []Tool{{Name: "f", Help: "h", Schema: []byte(`{"type":"object"}`)}}}, func(string) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	q := s.Asked()[0].Chat
	if len(q.Messages) != 4 || q.Messages[1].Text() != "see" || len(q.Messages[1].Pictures()) != 1 || q.Messages[3].Text() == "" || q.Messages[3].CallID != "a" || len(q.Tools) != 1 {
		t.Errorf("the messages are %s", s.Asked()[0].Body)
	}
	if q.Model != Default || q.Temperature == nil || *q.Temperature > 1e-6 || q.MaxCompletionTokens == nil || q.MaxTokens != nil {
		t.Errorf("the request is %s", s.Asked()[0].Body)
	}
	if h := s.Asked()[0].Header.Get("Authorization"); h != "Bearer token" {
		t.Errorf("the token is sent as %q", h)
	}
}

func TestCallsArePutTogetherByTheirIndex(t *testing.T) {
	client, _ := clientOf(t, openaistub.Turn{openaistub.Tool(0, "a", "one", `{"x"`), openaistub.Tool(1, "b", "two", `{`), openaistub.Tool(0, "", "", `:1}`), openaistub.Tool(1, "", "", `}`),
		openaistub.Tool(99, "z", "far", ""), openaistub.Tool(-1, "y", "back", ""),
		openaistub.Raw(`data: {"choices":[{"index":0,"delta":{"tool_calls":[{"id":"c","type":"function","function":{"name":"three","arguments":"{}"}}]}}]}` + "\n\n"),
		openaistub.Finish("tool_calls"), openaistub.Done()})
	a, err := client.Ask(t.Context(), hello(), func(string) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range a.Calls {
		got = append(got, c.ID+c.Name+c.Args)
	}
	if s := strings.Join(got, " "); s != `aone{"x":1} btwo{} cthree{}` {
		t.Errorf("the calls are %s", s)
	}
}
