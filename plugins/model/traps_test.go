package model

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	openai "github.com/sashabaranov/go-openai"
	"go.uber.org/goleak"

	"github.com/troupe-im/troupe/internal/openaistub"
)

// A plain client through the gateway, before each of the ways in which providers deceive one.

func TestTrap1AnAnswerThatIsCutIsNoSuccess(t *testing.T) {
	gateway(t, openaistub.TrapCut()).badAnswer("half an ", "broke off")
	t.Run("not by a broken connection either", func(t *testing.T) {
		gateway(t, openaistub.Turn{openaistub.Text("half "), openaistub.Abort()}).badAnswer("half ", "broke off")
	})
	t.Run("nor by an end without a reason", func(t *testing.T) {
		gateway(t, openaistub.Turn{openaistub.Text("half "), openaistub.Done()}).badAnswer("half ", "broke off")
	})
	t.Run("an end with a reason and without DONE is a good one", func(t *testing.T) {
		gateway(t, openaistub.Turn{openaistub.Text("whole"), openaistub.Finish("stop"), openaistub.Cut()}).goodAnswer("whole")
	})
}

func TestTrap1AnAnswerInOnePieceIsAStreamToo(t *testing.T) {
	gateway(t, openaistub.TrapPlain()).goodAnswer("all at once")
}

func TestTrap1AStreamIsToldByItself(t *testing.T) {
	nameless := func(kind string) openaistub.Step {
		return func(c *openaistub.Call) bool {
			c.W.Header().Set("Content-Type", kind)
			_, _ = c.W.Write([]byte("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"))
			return true
		}
	}
	gateway(t, openaistub.Turn{nameless("text/plain")}).goodAnswer("x")
	gateway(t, openaistub.Turn{nameless("application/json")}).goodAnswer("x")
	gateway(t, openaistub.Turn{openaistub.Raw("\n " + openaistub.Error("out of luck", "", ""))}).badAnswer("", "out of luck")
}

func TestTrap2ErrorsInAStreamAreTold(t *testing.T) {
	for name, c := range map[string]struct {
		turn openaistub.Turn
		text string
		want string
	}{
		"behind a comment":            {openaistub.TrapErrorAfterComment(), "", "the engine is on fire"},
		"with an event's name":        {openaistub.TrapErrorEvent(), "so ", "the engine is on fire"},
		"with spaces":                 {openaistub.TrapErrorWithSpace(), "so ", "the engine is on fire"},
		"that is a bare text":         {openaistub.Turn{openaistub.Text("so "), openaistub.Raw("event: error\ndata: out of luck\n\n")}, "so ", "the provider answers"},
		"that is half a chunk":        {openaistub.TrapBadChunk(), "so ", "no JSON"},
		"that nothing is said":        {openaistub.TrapEmptyChunks(), "", "broke off"},
		"that nothing is ever said":   {openaistub.Turn{openaistub.Empty(1000), openaistub.Hang()}, "", "says nothing"},
		"that a page is said":         {openaistub.TrapNotJSON(), "", "no JSON"},
		"whose status is a good one":  {openaistub.Turn{openaistub.Status(200, `{"error":"no luck"}`)}, "", "no luck"},
		"whose chunk has a null, not": {openaistub.Turn{openaistub.Raw(`data: {"error":null,"choices":[{"index":0,"delta":{"content":"x"}}]}` + "\n\n"), openaistub.Cut()}, "x", "broke off"},
	} {
		t.Run(name, func(t *testing.T) { gateway(t, c.turn).badAnswer(c.text, c.want) })
	}
}

func TestTrap3SignsOfLifeAreNoAnswer(t *testing.T) {
	gateway(t, openaistub.TrapComments()).goodAnswer("at last")
}

func TestTrap4SilenceEnds(t *testing.T) {
	brief := func(c *Config) { c.Header, c.Idle = 400*time.Millisecond, 400*time.Millisecond }
	t.Run("before an answer", func(t *testing.T) {
		r := gatewayTo(t, openaistub.Start(openaistub.TrapSilence()), brief)
		r.badAnswer("", "says nothing for too long")
		if n := len(r.stub.Asked()); n != 1 {
			t.Errorf("a silent provider was asked %d times", n)
		}
	})
	t.Run("after the head of an answer", func(t *testing.T) {
		gatewayTo(t, openaistub.Start(openaistub.Turn{openaistub.Headers(), openaistub.Hang()}), brief).badAnswer("", "says nothing for too long")
	})
	t.Run("in the middle", func(t *testing.T) {
		r := gatewayTo(t, openaistub.Start(openaistub.TrapStall()), brief)
		r.badAnswer("wait ", "says nothing for too long")
		<-r.stub.Asked()[0].Gone
	})
	t.Run("and an endless answer, too", func(t *testing.T) {
		endless := openaistub.Step(func(c *openaistub.Call) bool {
			for c.R.Context().Err() == nil {
				c.Write(": still thinking\n\n")
			}
			return true
		})
		r := gatewayTo(t, openaistub.Start(openaistub.Turn{openaistub.Text("hm "), endless}), func(c *Config) { c.Total = time.Second })
		r.badAnswer("hm ", "takes too long")
	})
}

func TestTrap5AbandonedStreamsLeaveNothingBehind(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	t.Run("", func(t *testing.T) {
		r := gatewayTo(t, openaistub.Start(openaistub.TrapStall()), func(c *Config) { c.Parallel = 100 })
		client := r.client("u1")
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel() // and no Close
				s, err := client.CreateChatCompletionStream(ctx, asks("hi"))
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := s.Recv(); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		for _, q := range r.stub.Asked() {
			<-q.Gone
		}
		r.shut()
		if u := r.shelf.all(); len(u) != 1 || u[0].Requests != 100 || u[0].Failed != 100 || u[0].Prompt == 0 || u[0].Completion == 0 {
			t.Errorf("what they had is counted as %+v", u)
		}
		if left := r.ledger.today.held; len(left) > 0 {
			t.Errorf("held still: %v", left)
		}
	})
}

func TestTrap6AStopReachesTheProvider(t *testing.T) {
	r := gateway(t, openaistub.TrapStall())
	ctx, cancel := context.WithCancel(t.Context())
	s, err := r.client("u1").CreateChatCompletionStream(ctx, asks("hi"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Recv(); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := s.Recv(); !errors.Is(err, context.Canceled) {
		t.Errorf("the stream ends with %v", err)
	}
	<-r.stub.Asked()[0].Gone
}

func TestTrap7ItIsTriedAgainBeforeTheFirstTokenAlone(t *testing.T) {
	good := openaistub.Answer(7, 3, "good")
	t.Run("a provider that is busy", func(t *testing.T) {
		r := gateway(t, openaistub.TrapBusy("3"), openaistub.TrapBusy("4"), good)
		r.goodAnswer("good")
		if len(r.slept) != 2 || r.slept[0] != 3*time.Second || r.slept[1] != 4*time.Second {
			t.Errorf("it waited %v", r.slept)
		}
	})
	t.Run("a provider that fails", func(t *testing.T) {
		r := gateway(t, openaistub.TrapBroken(), openaistub.TrapBroken(), good)
		r.goodAnswer("good")
		if len(r.slept) != 2 || r.slept[0] != 500*time.Millisecond || r.slept[1] != time.Second {
			t.Errorf("it waited %v", r.slept)
		}
	})
	t.Run("one that breaks the connection", func(t *testing.T) { gateway(t, openaistub.Turn{openaistub.Abort()}, good).goodAnswer("good") })
	t.Run("one that fails behind its head", func(t *testing.T) { gateway(t, openaistub.TrapErrorAfterComment(), good).goodAnswer("good") })
	t.Run("twice and no more", func(t *testing.T) {
		r := gateway(t, openaistub.TrapBroken())
		r.badAnswer("", "oops")
		if n := len(r.stub.Asked()); n != 3 {
			t.Errorf("it was asked %d times", n)
		}
	})
	t.Run("not when it says to wait for long", func(t *testing.T) {
		r := gateway(t, openaistub.TrapBusy("90"), good)
		resp := r.raw("POST", "/v1/chat/completions", `{"model":"default","messages":[{"role":"user","content":"hi"}]}`, r.token, "u1")
		if resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") != "90" || len(r.stub.Asked()) != 1 {
			t.Errorf("the answer is %d, %v, of %d tries", resp.StatusCode, resp.Header, len(r.stub.Asked()))
		}
	})
	t.Run("not after a token", func(t *testing.T) {
		r := gateway(t, openaistub.TrapErrorEvent(), good)
		r.badAnswer("so ", "the engine is on fire")
		if n := len(r.stub.Asked()); n != 1 {
			t.Errorf("it was asked %d times", n)
		}
	})
	t.Run("not when we are wrong", func(t *testing.T) {
		r := gateway(t, openaistub.Turn{openaistub.Status(400, openaistub.Error("context_length_exceeded", "invalid_request_error", ""))}, good)
		_, _, err := r.stream()
		if status, _ := statusOf(err); status != 400 || len(r.stub.Asked()) != 1 {
			t.Errorf("%v, of %d tries", err, len(r.stub.Asked()))
		}
	})
}

func TestTrap8NoughtArrives(t *testing.T) {
	r := gateway(t, openaistub.TrapEmptyAnswer(), openaistub.Answer(1, 1, "x"))
	q := asks("hi")
	q.Temperature = math.SmallestNonzeroFloat32
	q.Messages = append(q.Messages, openai.ChatCompletionMessage{Role: "user"})
	s, err := r.client("u1").CreateChatCompletionStream(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if text, finish, err := read(s); text != "" || finish != "stop" || err != nil {
		t.Errorf("an answer without words is %q, %q, %v", text, finish, err)
	}
	asked := r.stub.Asked()[0].Chat
	if asked.Temperature == nil || *asked.Temperature != 0 {
		t.Errorf("the temperature is %v", asked.Temperature)
	}
	if string(asked.Messages[1].Content) != `""` {
		t.Errorf("an empty message has the content %s", asked.Messages[1].Content)
	}
}

func TestTrap9TheProfilePicksTheFields(t *testing.T) {
	for _, c := range []struct{ url, model, profile, want string }{
		{"https://api.openai.com/v1", "gpt-4.1-mini", "", ProfileOpenAI},
		{"https://api.openai.com/v1", "o3-mini", "", ProfileReasoning},
		{"https://api.openai.com/v1", "o1", "", ProfileReasoning},
		{"https://api.openai.com/v1", "gpt-5.1", "", ProfileReasoning},
		{"https://me.openai.azure.com/openai/v1", "gpt-5-nano", "", ProfileReasoning},
		{"https://api.openai.com/v1", "o10", "", ProfileOpenAI},
		{"http://127.0.0.1:11434/v1", "o3-local-llama", "", ProfilePlain},
		{"http://127.0.0.1:11434/v1", "gpt-5-look-alike", ProfileReasoning, ProfileReasoning},
		{"https://api.openai.com.example.com/v1", "o3", "", ProfilePlain},
	} {
		if got := profileOf(&Provider{URL: c.url}, &Model{Model: c.model, Profile: c.profile}); got != c.want {
			t.Errorf("%s at %s takes %s, want %s", c.model, c.url, got, c.want)
		}
	}
	for profile, fields := range map[string][]string{
		ProfilePlain:     {"max_tokens", "temperature", "top_p"},
		ProfileOpenAI:    {"max_completion_tokens", "temperature", "top_p"},
		ProfileReasoning: {"max_completion_tokens"},
	} {
		t.Run(profile, func(t *testing.T) {
			stub := openaistub.Start(openaistub.Answer(1, 1, "x"))
			r := gatewayTo(t, stub, func(c *Config) { c.Models[0].Profile, c.Models[0].Model = profile, "o3-local-llama" })
			q := asks("hi")
			q.MaxTokens, q.Temperature, q.TopP, q.User, q.N = 50, 0.5, 0.9, "who asks", 3
			s, err := r.client("u1").CreateChatCompletionStream(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if _, _, err := read(s); err != nil {
				t.Error(err)
			}
			asked := stub.Asked()[0].Chat.Rest
			for _, name := range []string{"max_tokens", "max_completion_tokens", "temperature", "top_p", "user", "n"} {
				if _, has := asked[name]; has != strings.Contains(strings.Join(fields, " ")+" ", name+" ") {
					t.Errorf("the provider is told %s = %s", name, asked[name])
				}
			}
			if string(asked["model"]) != `"o3-local-llama"` {
				t.Errorf("the model is %s", asked["model"])
			}
		})
	}
}

func TestTrap10UsageComesToWhoWantsIt(t *testing.T) {
	r := gateway(t, openaistub.TrapUsage())
	r.goodAnswer("good") // it reads Choices[0] of every chunk
	q := asks("hi")
	q.StreamOptions = &openai.StreamOptions{IncludeUsage: true}
	s, err := r.client("u1").CreateChatCompletionStream(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var last openai.ChatCompletionStreamResponse
	for {
		c, err := s.Recv()
		if err != nil {
			break
		}
		last = c
	}
	if last.Usage == nil || last.Usage.PromptTokens != 7 || last.Usage.CompletionTokens != 3 || len(last.Choices) != 0 {
		t.Errorf("the last chunk is %+v", last)
	}
	if got := r.used(); got != "b_ai u1 s_1 14+6 in 2, 0 failed;" {
		t.Errorf("used: %s", got)
	}
}

func TestTrap11TheKeyIsTheProvidersAlone(t *testing.T) {
	echo := openaistub.Step(func(c *openaistub.Call) bool {
		body, err := json.Marshal(map[string]any{"error": map[string]string{"message": "Incorrect API key: " + c.R.Header.Get("Authorization")}})
		if err != nil {
			t.Error(err)
		}
		return openaistub.Status(400, string(body))(c)
	})
	refuse := openaistub.Turn{openaistub.Status(401, openaistub.Error("Incorrect API key: sk-canary-of-the-****", "invalid_request_error", "invalid_api_key"))}
	r := gateway(t, openaistub.Answer(1, 1, "x"), openaistub.Turn{echo}, refuse)
	r.goodAnswer("x")
	h := r.stub.Asked()[0].Header
	if h.Get("Authorization") != "Bearer "+secretKey || h.Get(EventHeader) != "" {
		t.Errorf("the provider is told %v", h)
	}
	if h.Get("Traceparent") == "" {
		t.Error("the trace ends at the gateway")
	}
	_, _, echoed := r.stream()
	_, _, refused := r.stream()
	if status, code := statusOf(refused); status != 502 || code != codeProviderKey {
		t.Errorf("a key that is refused is %v", refused)
	}
	for name, text := range map[string]string{"an error": echoed.Error(), "another": refused.Error(), "the log": r.log.String()} {
		if strings.Contains(text, "canary") || strings.Contains(text, r.token) {
			t.Errorf("%s has the key: %s", name, text)
		}
	}
}
