package model

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	openai "github.com/sashabaranov/go-openai"

	"github.com/troupe-im/troupe/internal/openaistub"
)

// raw asks without a client that knows the API.
func (r *rig) raw(method, path, body, token, event string) *http.Response {
	r.t.Helper()
	q, err := http.NewRequestWithContext(r.t.Context(), method, "http://model"+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	q.Header.Set("Authorization", "Bearer "+token)
	t := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", r.socket)
	}}
	resp, err := carrier{t, event}.RoundTrip(q)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func TestBudgetsHoldForManyAtOnce(t *testing.T) {
	// Each answer holds 5+100 tokens of prompt and answer and takes all of them; there is room for 20 and a bit.
	for _, of := range []string{"user", "session", "bot", "all"} {
		t.Run(of, func(t *testing.T) {
			stub := openaistub.Start()
			open := make(chan struct{})
			prompt := int(promptOf(map[string]json.RawMessage{"messages": json.RawMessage(`[{"role":"user","content":"hi"}]`)}))
			each := prompt + 100
			stub.Play(append(openaistub.Turn{openaistub.Wait(open)}, openaistub.Answer(prompt, 100, "x")...))
			r := gatewayTo(t, stub, func(c *Config) {
				c.Parallel, c.Waiting = 50, 100
				n := int64(20*each + each/2)
				switch of {
				case "user":
					c.Budgets.User = n
				case "session":
					c.Budgets.Session = n
				case "bot":
					c.Budgets.Bot = n
				case "all":
					c.Budgets.All = n
				}
			})
			client := r.client("u1")
			var all sync.WaitGroup
			var mu sync.Mutex
			good, over := 0, 0
			for range 50 {
				all.Go(func() {
					s, err := client.CreateChatCompletion(t.Context(), asks("hi"))
					mu.Lock()
					defer mu.Unlock()
					status, code := statusOf(err)
					switch {
					case err == nil && s.Usage.CompletionTokens == 100:
						good++
					case status == http.StatusTooManyRequests && code == codeBudget+of:
						if over++; over == 30 { // the 20 that have room are answered when all others were refused
							close(open)
						}
					default:
						t.Errorf("%v", err)
					}
				})
			}
			all.Wait()
			if good != 20 || over != 30 {
				t.Errorf("%d answers and %d refusals, want 20 and 30", good, over)
			}
			if u := r.shelf.all(); u[0].Prompt+u[0].Completion != int64(20*each) || u[0].Requests != 20 {
				t.Errorf("used: %s", r.used())
			}
			if left := r.Left("b_ai", "u1", "s_1"); left != int64(each/2) {
				t.Errorf("%d tokens are left, want %d", left, each/2)
			}
		})
	}
}

func TestABudgetIsForADayAndOutlivesARestart(t *testing.T) {
	now := time.Date(2026, 3, 1, 23, 0, 0, 0, time.UTC)
	s := &shelf{}
	providers, models := Simple("http://127.0.0.1:1", "", "m", "")
	make := func() *Gateway {
		g, err := New(Config{Providers: providers, Models: models, Budgets: Budgets{User: 100}}, Needs{Store: s, Now: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	g := make()
	if left, err := g.Told(t.Context(), "b_ai", "u1", "s_1", "other", 60, 20); left != 20 || err != nil {
		t.Errorf("left %d, %v", left, err)
	}
	if g = make(); g.Left("b_ai", "u1", "s_9") != 20 || g.Left("b_ai", "u2", "s_1") != 100 {
		t.Errorf("after a restart %d are left", g.Left("b_ai", "u1", "s_9"))
	}
	if _, f := g.ledger.hold(Who{Bot: "b_ai", User: "u1"}, 21); f == nil || f.after != time.Hour {
		t.Errorf("more than is left: %+v", f)
	}
	now = now.Add(time.Hour)
	if left := g.Left("b_ai", "u1", "s_1"); left != 100 {
		t.Errorf("the next day %d are left", left)
	}
}

func TestAnAnswerThatSaysNothingOfItsUsageIsEstimated(t *testing.T) {
	r := gateway(t, openaistub.Turn{openaistub.Text("你好，世界"), openaistub.Finish("stop"), openaistub.Done()})
	r.goodAnswer("你好，世界")
	if u := r.shelf.all(); len(u) != 1 || u[0].Prompt < 2 || u[0].Completion < 5 || u[0].Completion > 10 {
		t.Errorf("used: %s", r.used())
	}
}

func TestWhoAsksIsWhatTheDeskSays(t *testing.T) {
	r := gateway(t, openaistub.Answer(7, 3, "x"))
	ask := func(token, event string, want int) {
		t.Helper()
		resp := r.raw("POST", "/v1/chat/completions", `{"model":"default","messages":[{"role":"user","content":"hi"}]}`, token, event)
		if resp.StatusCode != want {
			t.Errorf("status %d, want %d", resp.StatusCode, want)
		}
	}
	ask("another", "u1", 401)
	ask("", "u1", 401)
	ask(r.token, "x1", 403)
	if len(r.stub.Asked()) > 0 {
		t.Error("the provider was asked")
	}
	ask(r.token, "u1", 200)
	ask(r.token, "", 200)
	if got := r.used(); got != "b_ai u1 s_1 7+3 in 1, 0 failed;b_ai   7+3 in 1, 0 failed;" {
		t.Errorf("used: %s", got)
	}
}

func TestAModelIsAskedForByItsAlias(t *testing.T) {
	r := gateway(t, openaistub.Answer(7, 3, "x"))
	list, err := r.client("").ListModels(t.Context())
	if err != nil || len(list.Models) != 3 || list.Models[0].ID != Default {
		t.Errorf("models: %+v, %v", list, err)
	}
	for body, want := range map[string]int{
		`{"model":"stub-1","messages":[]}`: 404,
		`{"messages":[]}`:                  400,
		`nonsense`:                         400,
		`{"model":"default","stream":"yes","messages":[]}`:    400,
		`{"model":"` + strings.Repeat("x", 21<<20) + `"}`:     413,
		`{"model":"default","stream_options":7,"messages":1}`: 400,
	} {
		if resp := r.raw("POST", "/v1/chat/completions", body, r.token, ""); resp.StatusCode != want {
			t.Errorf("%.60s: status %d, want %d", body, resp.StatusCode, want)
		}
	}
	if resp := r.raw("GET", "/v1/files", "", r.token, ""); resp.StatusCode != 404 {
		t.Errorf("what there is not: %d", resp.StatusCode)
	}
}

func TestToolCallsArriveInPartsAndWhole(t *testing.T) {
	turn := openaistub.Turn{openaistub.Tool(0, "a", "one", `{"x"`), openaistub.Tool(1, "b", "two", `{"y":`), openaistub.Tool(0, "", "", `:1}`),
		openaistub.Tool(1, "", "", `2}`), openaistub.Finish("tool_calls"), openaistub.Usage(1, 1), openaistub.Done()}
	r := gateway(t, turn)
	got, err := r.client("u1").CreateChatCompletion(t.Context(), asks("hi"))
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	for _, c := range got.Choices[0].Message.ToolCalls {
		said = append(said, fmt.Sprint(c.ID, " ", c.Function.Name, c.Function.Arguments))
	}
	if strings.Join(said, " ") != `a one{"x":1} b two{"y":2}` || got.Choices[0].FinishReason != openai.FinishReasonToolCalls {
		t.Errorf("the calls are %q", said)
	}
}

func TestOneBotHasSoManyAnswersAtOnce(t *testing.T) {
	open := make(chan struct{})
	r := gatewayTo(t, openaistub.Start(append(openaistub.Turn{openaistub.Wait(open)}, openaistub.Answer(1, 1, "x")...)), func(c *Config) { c.Parallel, c.Waiting = 2, 1 })
	results := make(chan error, 4)
	client := r.client("u1")
	for range 4 {
		go func() {
			_, err := client.CreateChatCompletion(t.Context(), asks("hi"))
			results <- err
		}()
	}
	if status, code := statusOf(<-results); status != 429 || code != codeTooMany {
		t.Errorf("the fourth: %d %v", status, code)
	}
	close(open)
	for range 3 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
}

func TestEmbeddingsAndSoundPass(t *testing.T) {
	stub := openaistub.Start(
		openaistub.Turn{openaistub.Status(200, `{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5,0.25]}],"usage":{"prompt_tokens":4}}`)},
		openaistub.TrapBroken(), openaistub.Turn{openaistub.Status(200, `{"text":"what was said"}`)})
	r := gatewayTo(t, stub, func(c *Config) {
		c.Models = append(c.Models, Model{Alias: Embedding, Model: "embed-1"}, Model{Alias: Speech, Model: "whisper-1"})
	})
	got, err := r.client("u1").CreateEmbeddings(t.Context(), openai.EmbeddingRequest{Model: Embedding, Input: []string{"a"}})
	if err != nil || got.Data[0].Embedding[0] != 0.5 || stub.Asked()[0].Path != "/embeddings" {
		t.Errorf("%+v, %v", got, err)
	}
	said, err := r.client("u1").CreateTranscription(t.Context(), openai.AudioRequest{Model: Speech, FilePath: "a.ogg", Reader: strings.NewReader("sound"), Language: "zh"})
	if err != nil || said.Text != "what was said" {
		t.Errorf("%+v, %v", said, err)
	}
	if body := string(stub.Asked()[2].Body); !strings.Contains(body, "whisper-1") || !strings.Contains(body, "sound") || !strings.Contains(body, "zh") {
		t.Errorf("the provider is told %q", body)
	}
	if got := r.used(); got != "b_ai u1 s_1 1004+0 in 2, 0 failed;" {
		t.Errorf("used: %s", got)
	}
}

func TestASocketIsItsPluginsAlone(t *testing.T) {
	r := gateway(t, openaistub.TrapStall())
	if about, err := os.Stat(r.socket); err != nil || about.Mode().Perm() != 0o600 {
		t.Errorf("the socket is %v, %v", about, err)
	}
	dir := t.TempDir()
	other, token, shut, err := r.Open("tr", dir)
	if err != nil || token == r.token || other == r.socket {
		t.Errorf("another plugin gets %s, %v", other, err)
	}
	shut()
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	s, err := r.client("u1").CreateChatCompletionStream(t.Context(), asks("hi"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	r.shut() // with an answer on its way
	<-r.stub.Asked()[0].Gone
	if _, _, err := read(s); err == nil {
		t.Error("a stream went on behind its end")
	}
}

func TestNothingOfWhatIsSaidIsKept(t *testing.T) {
	r := gateway(t, openaistub.Turn{openaistub.Text("canary of an answer"), openaistub.Finish("stop"), openaistub.Done()}, openaistub.Turn{openaistub.Status(400, openaistub.Error("canary of an error", "", ""))})
	for range 2 {
		_, _ = r.client("u1").CreateChatCompletion(t.Context(), asks("canary of a question"))
	}
	rows, err := json.Marshal(r.shelf.all())
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"log": r.log.String(), "rows": string(rows), "numbers": fmt.Sprint(r.Numbers())} {
		if strings.Contains(text, "canary") || text == "" {
			t.Errorf("the %s: %s", name, text)
		}
	}
}

func TestUsageIsAskedFor(t *testing.T) {
	s := &shelf{}
	g, err := New(Config{}, Needs{Store: s, Now: func() time.Time { return time.Date(2026, 3, 10, 1, 0, 0, 0, time.UTC) }})
	if err != nil {
		t.Fatal(err)
	}
	for i, day := range []string{"2026-02-01", "2026-03-01", "2026-03-02", "2026-03-02"} {
		r := Row{Day: day, Bot: "b_ai", User: fmt.Sprint("u", i%2), Session: "s_1", Prompt: int64(i + 1), Requests: 1}
		if err := s.AddUsage(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	for by, want := range map[string]string{"": "9", "day": "2 7", "user": "6 3", "session": "9"} {
		rows, err := g.Usage(t.Context(), Query{By: by})
		var got []string
		for _, r := range rows {
			got = append(got, fmt.Sprint(r.Prompt))
		}
		if strings.Join(got, " ") != want || err != nil {
			t.Errorf("by %q: %q, %v, want %s", by, got, err, want)
		}
	}
	for _, q := range []Query{{From: "yesterday"}, {To: "2026-13-01"}, {From: "2026-03-02", To: "2026-03-01"}, {By: "moon"}, {From: "2025-01-01", By: "user"}} {
		if _, err := g.Usage(t.Context(), q); err == nil {
			t.Errorf("%+v is answered", q)
		}
	}
	var none *Gateway
	if socket, _, shut, err := none.Open("ai", t.TempDir()); socket != "" || err != nil {
		t.Errorf("without a model a plugin gets %q, %v", socket, err)
	} else {
		shut()
	}
}

func TestWrongSettingsAreRefused(t *testing.T) {
	good := Config{Providers: []Provider{{Name: "a", URL: "https://example.com/v1"}}, Models: []Model{{Alias: "default", Model: "m"}}}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	for what, change := range map[string]func(*Config){
		"a name twice":            func(c *Config) { c.Providers = append(c.Providers, c.Providers[0]) },
		"no address":              func(c *Config) { c.Providers[0].URL = "example.com" },
		"a key in the address":    func(c *Config) { c.Providers[0].URL = "https://me:canary@example.com" },
		"no default":              func(c *Config) { c.Models[0].Alias = "fast" },
		"an unknown provider":     func(c *Config) { c.Models[0].Provider = "b" },
		"an unknown profile":      func(c *Config) { c.Models[0].Profile = "b" },
		"a key of two lines":      func(c *Config) { c.Providers[0].Key = "canary\ncanary" },
		"a budget below nothing":  func(c *Config) { c.Budgets.User = -1 },
		"a price below nothing":   func(c *Config) { c.Models[0].PriceIn = -1 },
		"a model without its own": func(c *Config) { c.Models[0].Model = "" },
	} {
		c := Config{Providers: []Provider{good.Providers[0]}, Models: []Model{good.Models[0]}}
		change(&c)
		if err := c.Check(); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", what, err)
		}
	}
	k := Key("canary")
	if text, err := json.Marshal(struct{ K Key }{k}); err != nil || strings.Contains(fmt.Sprintf("%s %v %#v %s", k, k, k, text), "canary") {
		t.Errorf("a key is seen: %s", text)
	}
}

func FuzzStream(f *testing.F) {
	for _, seed := range []string{"data: {}\n\n", "data: [DONE]\n\n", ": c\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"}}]}\ndata: [DONE]", "event: error\ndata: x\r\n\r\n", "data:{\"error\":{}}\n\n", "data: [1]\ndata: null\n\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e := newEvents(strings.NewReader(text), func() {})
		for range 10000 {
			name, data, err := e.next()
			if err != nil {
				if err != io.EOF && err != errLine {
					t.Errorf("the end is %v", err)
				}
				return
			}
			c, bad := parseChunk(name, data, "")
			if bad == nil && c.text != nil && strings.HasPrefix(string(c.text), `{"error":`) {
				t.Errorf("a chunk looks like an error: %s", c.text)
			}
		}
		t.Error("it has no end")
	})
}
