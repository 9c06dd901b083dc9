package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/troupe-im/troupe/internal/egress"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/plugins/desk"
	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// kept is a Store in memory.
type kept struct {
	mu    sync.Mutex
	bots  map[string]Bot
	hooks map[string]*Hook
}

func (k *kept) Hooks(context.Context) ([]*Hook, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Collect(maps.Values(k.hooks)), nil
}

func (k *kept) KeepHook(_ context.Context, h *Hook) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.hooks == nil {
		k.hooks = map[string]*Hook{}
	}
	k.hooks[h.Token] = h
	return nil
}

func (k *kept) RemoveHook(_ context.Context, token string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.hooks, token)
	return nil
}

func (k *kept) RemoteBots(context.Context) (all []*Bot, _ error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, b := range k.bots {
		all = append(all, &b)
	}
	return all, nil
}

func (k *kept) KeepRemoteBot(_ context.Context, b *Bot) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.bots == nil {
		k.bots = map[string]Bot{}
	}
	k.bots[b.ID] = *b
	return nil
}

func (k *kept) RemoveRemoteBot(_ context.Context, id string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.bots, id)
	return nil
}

// host is Desks: it greets who comes and hands frames to the test.
type host struct {
	came chan *visit
	told chan desk.Incoming
}

func (h *host) Incoming(_ context.Context, in desk.Incoming) error {
	h.told <- in
	return nil
}

type visit struct {
	plugin   desk.Plugin
	describe *botv1.Describe
	ch       desk.Channel
	frames   chan *botv1.BotFrame
	ctx      context.Context
}

func (h *host) Serve(ctx context.Context, p desk.Plugin, ch desk.Channel) error {
	first, err := ch.Recv()
	if err != nil {
		return err
	}
	if first.GetDescribe() == nil {
		return errors.New("the first frame is no Describe")
	}
	err = ch.Send(ctx, &botv1.HostFrame{Body: &botv1.HostFrame_Welcome{Welcome: &botv1.Welcome{Protocol: 1, Scopes: p.Scopes, Config: p.Config}}})
	if err != nil {
		return err
	}
	v := &visit{p, first.GetDescribe(), ch, make(chan *botv1.BotFrame, 16), ctx}
	h.came <- v
	go func() {
		<-ctx.Done()
		ch.Close("let go")
	}()
	for {
		f, err := ch.Recv()
		if err != nil {
			close(v.frames)
			return err
		}
		v.frames <- f
	}
}

func (v *visit) send(t *testing.T, f *botv1.HostFrame) {
	t.Helper()
	if err := v.ch.Send(t.Context(), f); err != nil {
		t.Fatal(err)
	}
}

func (v *visit) next(t *testing.T) *botv1.BotFrame {
	t.Helper()
	select {
	case f, ok := <-v.frames:
		if !ok {
			t.Fatal("the channel ended")
		}
		return f
	case <-time.After(20 * time.Second):
		t.Fatal("no frame came")
	}
	return nil
}

func event(id, text string) *botv1.HostFrame {
	return &botv1.HostFrame{Body: &botv1.HostFrame_Event{Event: &botv1.Event{Id: id, Kind: "message", Text: text}}}
}

type installation struct {
	*Center
	host  *host
	store *kept
	http  *httptest.Server
	stop  context.CancelFunc // of the server
}

func start(t *testing.T) *installation {
	t.Helper()
	i := &installation{host: &host{came: make(chan *visit, 8), told: make(chan desk.Incoming, 100)}, store: &kept{}}
	local := egress.Config{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	c, err := New(t.Context(), Config{Egress: local, Backoff: time.Millisecond}, Needs{
		Store: i.store, Desks: i.host, Log: slog.New(slog.DiscardHandler),
		Scopes: []string{"write", "kv"}, Taken: func(id string) bool { return id == "echo" },
		Problem: func(w http.ResponseWriter, err error) {
			e := protocol.AsError(err)
			http.Error(w, e.Code.Word()+" "+e.Detail, e.Code.HTTPStatus())
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	i.Center = c
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { c.Run(ctx); close(ended) }()
	for running := false; !running; {
		c.mu.Lock()
		running = c.ctx != nil
		c.mu.Unlock()
	}
	i.http, i.stop = httptest.NewServer(c), stop
	t.Cleanup(func() {
		stop()
		<-ended
		i.http.Close()
	})
	return i
}

func (i *installation) came(t *testing.T) *visit {
	t.Helper()
	select {
	case v := <-i.host.came:
		return v
	case <-time.After(20 * time.Second):
		t.Fatal("nobody came")
	}
	return nil
}

func (i *installation) dial(t *testing.T, token string) (*websocket.Conn, error) {
	t.Helper()
	ws, _, err := websocket.Dial(t.Context(), i.http.URL+ConnectPath, &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + token}}})
	return ws, err
}

func say(t *testing.T, ws *websocket.Conn, f *botv1.BotFrame) {
	t.Helper()
	text, err := protojson.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	if err := ws.Write(t.Context(), websocket.MessageText, text); err != nil {
		t.Fatal(err)
	}
}

func hear(t *testing.T, ws *websocket.Conn) *botv1.HostFrame {
	t.Helper()
	_, text, err := ws.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f := &botv1.HostFrame{}
	if err := protojson.Unmarshal(text, f); err != nil {
		t.Fatal(err)
	}
	return f
}

func described(id string) *botv1.BotFrame {
	return &botv1.BotFrame{Body: &botv1.BotFrame_Describe{Describe: &botv1.Describe{Protocol: 1, Id: id}}}
}

func acked(id string) *botv1.BotFrame {
	return &botv1.BotFrame{Body: &botv1.BotFrame_Ack{Ack: &botv1.Ack{Event: id}}}
}

func TestABotWithAWebSocketIsServedOverIt(t *testing.T) {
	i := start(t)
	_, token, secret, err := i.Add(t.Context(), Wish{ID: "far", Way: Socket, Scopes: []string{"write"}, Config: `{"a":1}`})
	if err != nil || secret != "" {
		t.Fatal(err, secret)
	}
	ws, err := i.dial(t, token)
	if err != nil {
		t.Fatal(err)
	}
	say(t, ws, described("far"))
	if w := hear(t, ws).GetWelcome(); w == nil || w.Config != `{"a":1}` || len(w.Scopes) != 1 {
		t.Errorf("the welcome is %v", w)
	}
	v := i.came(t)
	if v.plugin.ID != "far" || !v.plugin.Remote {
		t.Errorf("served as %+v", v.plugin)
	}
	v.send(t, event("e1", "你好"))
	if e := hear(t, ws).GetEvent(); e.GetText() != "你好" {
		t.Errorf("heard %v", e)
	}
	if err := ws.Write(t.Context(), websocket.MessageText, []byte(`{"ack":{"event":"e1"},"newer":{"than":"us"}}`)); err != nil {
		t.Fatal(err)
	}
	if f := v.next(t); f.GetAck().GetEvent() != "e1" {
		t.Errorf("it said %v", f)
	}
}

func TestOfTwoWebSocketsOfABotTheNewerOneTakesOver(t *testing.T) {
	i := start(t)
	_, token, _, err := i.Add(t.Context(), Wish{ID: "far", Way: Socket})
	if err != nil {
		t.Fatal(err)
	}
	first, err := i.dial(t, token)
	if err != nil {
		t.Fatal(err)
	}
	say(t, first, described("far"))
	old := i.came(t)
	second, err := i.dial(t, token)
	if err != nil {
		t.Fatal(err)
	}
	say(t, second, described("far"))
	fresh := i.came(t)
	<-old.ctx.Done()
	if fresh.ctx.Err() != nil {
		t.Error("the newer one was let go")
	}
	if l := i.List(); len(l) != 1 || !l[0].There {
		t.Errorf("listed as %+v", l)
	}
}

func TestOnlyTheTokenOfABotThatIsThereOpensAWebSocket(t *testing.T) {
	i := start(t)
	_, token, _, err := i.Add(t.Context(), Wish{ID: "far", Way: Socket})
	if err != nil {
		t.Fatal(err)
	}
	renewed, _, err := i.Rotate(t.Context(), "far")
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", token, "tb_", renewed + "x", strings.ToUpper(renewed)} {
		if ws, err := i.dial(t, bad); err == nil {
			t.Errorf("the token %q was taken", bad)
			ws.CloseNow()
		}
	}
	page := http.Header{"Authorization": {"Bearer " + renewed}, "Origin": {"https://evil.example"}}
	if ws, _, err := websocket.Dial(t.Context(), i.http.URL+ConnectPath, &websocket.DialOptions{HTTPHeader: page}); err == nil {
		t.Error("a page was let in")
		ws.CloseNow()
	}
	if err := i.Set(t.Context(), "far", true); err != nil {
		t.Fatal(err)
	}
	if ws, err := i.dial(t, renewed); err == nil {
		t.Error("a disabled bot was let in")
		ws.CloseNow()
	}
}

func TestWhatIsNoFrameEndsTheWebSocket(t *testing.T) {
	i := start(t)
	_, token, _, err := i.Add(t.Context(), Wish{ID: "far", Way: Socket})
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"hello", `{"describe":5}`, `[]`} {
		ws, err := i.dial(t, token)
		if err != nil {
			t.Fatal(err)
		}
		if err := ws.Write(t.Context(), websocket.MessageText, []byte(bad)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := ws.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusUnsupportedData {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestAFrameThatIsTooLargeEndsTheWebSocketAndSaysSo(t *testing.T) {
	i := start(t)
	i.cfg.Frame = 1000
	var said lockedText
	i.Log = slog.New(slog.NewTextHandler(&said, nil))
	_, token, _, err := i.Add(t.Context(), Wish{ID: "far", Way: Socket})
	if err != nil {
		t.Fatal(err)
	}
	ws, err := i.dial(t, token)
	if err != nil {
		t.Fatal(err)
	}
	if err := ws.Write(t.Context(), websocket.MessageText, []byte(`{"describe":{"id":"`+strings.Repeat("x", 1000)+`"}}`)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := ws.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusMessageTooBig {
		t.Errorf("it ends with %v", err)
	}
	for end := time.Now().Add(time.Minute); !strings.Contains(said.String(), "TOO_LARGE: a frame of it has more than 1000 bytes"); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the log says %q", said.String())
		}
	}
}

type lockedText struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// far is a bot's own web server.
type far struct {
	*httptest.Server
	secret  atomic.Pointer[string] // known when it is registered
	answers chan answer            // to POSTs of events
	got     chan *botv1.HostFrame
}

type answer struct {
	status int
	body   string
}

func newFar(t *testing.T) *far {
	f := &far{answers: make(chan answer, 8), got: make(chan *botv1.HostFrame, 8)}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		secret := f.secret.Load()
		if secret == nil {
			http.Error(w, "not yet", http.StatusServiceUnavailable)
			return
		}
		var at int64
		fmt.Sscanf(r.Header.Get(egress.SignatureHeader), "t=%d,", &at)
		if r.Header.Get(egress.SignatureHeader) != egress.Sign(*secret, time.Unix(at, 0), body) {
			t.Errorf("%s with the signature %q", r.Method, r.Header.Get(egress.SignatureHeader))
		}
		if r.Method == http.MethodGet {
			io.WriteString(w, `{"protocol":1,"id":"far"}`)
			return
		}
		h := &botv1.HostFrame{}
		if err := protojson.Unmarshal(body, h); err != nil {
			t.Error(err)
		}
		if h.GetEvent() == nil {
			return
		}
		f.got <- h
		a := <-f.answers
		w.WriteHeader(a.status)
		io.WriteString(w, a.body)
	}))
	t.Cleanup(f.Close)
	return f
}

func (i *installation) addFar(t *testing.T) (f *far, token string, v *visit) {
	t.Helper()
	f = newFar(t)
	b, token, _, err := i.Add(t.Context(), Wish{ID: "far", Way: Webhook, URL: f.URL + "/hook"})
	if err != nil {
		t.Fatal(err)
	}
	f.secret.Store(&b.Secret)
	return f, token, i.came(t)
}

func TestAWebhookAnswersAnEventWithCalls(t *testing.T) {
	i := start(t)
	f, _, v := i.addFar(t)
	for _, c := range []struct {
		answer
		want []string // what the desk hears
	}{
		{answer{200, `{"frames":[{"call":{"event":"e","post":{"n":0,"text":"hi"}}}]}`}, []string{"call", "ack"}},
		{answer{200, ``}, []string{"ack"}},
		{answer{204, ``}, []string{"ack"}},
		{answer{200, `{"frames":[{"ack":{"event":"e","error":"not now","retryAfterMs":"5"}}]}`}, []string{"ack: not now"}},
		{answer{500, `oh`}, []string{"ack: the webhook answered 500"}},
		{answer{200, `oh`}, []string{`ack: no JSON of {"frames": […]}`}},
		{answer{200, `{"frames":[{"describe":{}}]}`}, []string{"ack: frames[0]: a webhook says who it is when it is asked by GET"}},
	} {
		f.answers <- c.answer
		v.send(t, event("e", "hello"))
		<-f.got
		for _, want := range c.want {
			got := v.next(t)
			word := "call"
			if a := got.GetAck(); a != nil {
				word = "ack"
				if a.Error != "" {
					word += ": " + a.Error
				}
			}
			if word != want {
				t.Errorf("%d %s: the desk heard %q, not %q", c.status, c.body, word, want)
			}
		}
	}
}

func TestAWebhookThatAccepts202SaysTheRestByCalls(t *testing.T) {
	i := start(t)
	f, token, v := i.addFar(t)
	f.answers <- answer{202, ""}
	v.send(t, event("e", "hello"))
	<-f.got
	post := func(token, body string) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, i.http.URL+CallsPath, bytes.NewBufferString(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		text, _ := io.ReadAll(a.Body)
		return a.StatusCode, string(text)
	}
	go func() {
		call := <-v.frames
		v.ch.Send(context.Background(), &botv1.HostFrame{Body: &botv1.HostFrame_Result{Result: &botv1.Result{
			Id: call.GetCall().Id, Got: &botv1.Result_Posted{Posted: &botv1.Posted{Message: "s_x.1", Seq: 1}}}}})
	}()
	status, text := post(token, `{"frames":[{"call":{"id":"7","event":"e","post":{"text":"late"}}},{"ack":{"event":"e"}}]}`)
	var said struct{ Results []json.RawMessage }
	if err := json.Unmarshal([]byte(text), &said); err != nil || status != 200 || len(said.Results) != 1 {
		t.Fatalf("%d %s", status, text)
	}
	got := &botv1.Result{}
	if err := protojson.Unmarshal(said.Results[0], got); err != nil || got.Id != 7 || got.GetPosted().GetSeq() != 1 {
		t.Errorf("the result is %s", said.Results[0])
	}
	if a := v.next(t); a.GetAck().GetEvent() != "e" {
		t.Errorf("the desk heard %v", a)
	}
	for _, c := range []struct {
		token, body string
		want        int
	}{
		{"tb_no", `{}`, 401},
		{token, `{`, 400},
		{token, `{"frames":[{"call":{"id":"x"}}]}`, 400},
	} {
		if status, text := post(c.token, c.body); status != c.want {
			t.Errorf("%s: %d %s", c.body, status, text)
		}
	}
}

func TestARemovedBotIsLetGo(t *testing.T) {
	i := start(t)
	_, _, v := i.addFar(t)
	if err := i.Remove(t.Context(), "far"); err != nil {
		t.Fatal(err)
	}
	<-v.ctx.Done()
	if err := i.Remove(t.Context(), "far"); !protocol.Code_NOT_FOUND.Is(err) {
		t.Errorf("removed again: %v", err)
	}
	if len(i.List()) != 0 || len(i.store.bots) != 0 {
		t.Error("it is still listed")
	}
}

func TestWhoeverIsRegisteredHasToMakeSense(t *testing.T) {
	i := start(t)
	for name, c := range map[string]struct {
		wish Wish
		code protocol.Code
	}{
		"no id":               {Wish{Way: Socket}, protocol.Code_BAD_REQUEST},
		"a strange id":        {Wish{ID: "Far Away", Way: Socket}, protocol.Code_BAD_REQUEST},
		"a plugin's id":       {Wish{ID: "echo", Way: Socket}, protocol.Code_CONFLICT},
		"no way":              {Wish{ID: "far"}, protocol.Code_BAD_REQUEST},
		"a webhook nowhere":   {Wish{ID: "far", Way: Webhook}, protocol.Code_BAD_REQUEST},
		"a socket somewhere":  {Wish{ID: "far", Way: Socket, URL: "https://a.example"}, protocol.Code_BAD_REQUEST},
		"an unknown scope":    {Wish{ID: "far", Way: Socket, Scopes: []string{"everything"}}, protocol.Code_BAD_REQUEST},
		"a very large config": {Wish{ID: "far", Way: Socket, Config: strings.Repeat(" ", maxConfig+1)}, protocol.Code_TOO_LARGE},
	} {
		if _, _, _, err := i.Add(t.Context(), c.wish); !c.code.Is(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func (i *installation) hook(t *testing.T, path, key, body string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, i.http.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	a.Body.Close()
	return a.StatusCode
}

func TestWhoeverHasAHooksAddressTellsItsBot(t *testing.T) {
	i := start(t)
	id, path, err := i.MakeHook(t.Context(), "bridge", "b_bridge", "s_abcdefghijklmnop", "ci")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path, key, body string
		want            int
	}{
		{path, "1", `{"text":"built"}`, 202},
		{path, "1", `{"text":"built"}`, 202},
		{path, "2", "plain", 202},
		{path + "x", "", "plain", 404},
		{HooksPath, "", "plain", 404},
		{path, "", "", 400},
		{path, "", "\xff", 400},
		{path, "", strings.Repeat("x", maxHook+1), 413},
	} {
		if got := i.hook(t, c.path, c.key, c.body); got != c.want {
			t.Errorf("%.20q: %d, want %d", c.body, got, c.want)
		}
	}
	first, again, second := <-i.host.told, <-i.host.told, <-i.host.told
	if first != again || first.ID == second.ID {
		t.Errorf("told %+v, %+v, %+v", first, again, second)
	}
	if second.Bot != "b_bridge" || second.Session != "s_abcdefghijklmnop" || !strings.Contains(second.Body, `"body":"plain"`) || !strings.Contains(second.Body, `"name":"ci"`) {
		t.Errorf("told %+v", second)
	}
	if l := i.HooksOf("b_bridge", "s_abcdefghijklmnop"); len(l) != 1 || l[0].ID != id {
		t.Errorf("hooks are %v", l)
	}
	if err := i.DropHook(t.Context(), "b_other", "s_abcdefghijklmnop", id); !protocol.Code_NOT_FOUND.Is(err) {
		t.Errorf("another bot's hook: %v", err)
	}
	if err := i.DropHook(t.Context(), "b_bridge", "s_abcdefghijklmnop", id); err != nil {
		t.Fatal(err)
	}
	if got := i.hook(t, path, "", "plain"); got != 404 {
		t.Errorf("after its end: %d", got)
	}
}

func TestAHookIsToldOnlySoOften(t *testing.T) {
	i := start(t)
	_, path, err := i.MakeHook(t.Context(), "bridge", "b_bridge", "s_abcdefghijklmnop", "")
	if err != nil {
		t.Fatal(err)
	}
	slow := 0
	for range 3 * hookBurst {
		if i.hook(t, path, "", "x") == http.StatusTooManyRequests {
			slow++
		}
	}
	if slow == 0 {
		t.Error("it was never too often")
	}
}

func TestABotHasOnlySoManyHooksInASession(t *testing.T) {
	i := start(t)
	for range maxHooks {
		if _, _, err := i.MakeHook(t.Context(), "bridge", "b_bridge", "s_abcdefghijklmnop", ""); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := i.MakeHook(t.Context(), "bridge", "b_bridge", "s_abcdefghijklmnop", ""); !protocol.Code_TOO_MANY.Is(err) {
		t.Errorf("one more: %v", err)
	}
	if err := i.DropHook(t.Context(), "b_bridge", "s_abcdefghijklmnop", ""); err != nil || len(i.store.hooks) != 0 {
		t.Error("they are still there:", err)
	}
}

// Recall fills Desks.
func (h *host) Recall(context.Context, string, string) error { return nil }
