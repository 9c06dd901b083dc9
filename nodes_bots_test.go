package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/troupe-im/troupe/internal/mongostore/mongotest"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/internal/redisstreams/redistest"
	"github.com/troupe-im/troupe/plugins/remote"
	"github.com/troupe-im/troupe/plugins/sdk"
	"github.com/troupe-im/troupe/plugins/sdk/botv1"
	far "github.com/troupe-im/troupe/plugins/sdk/elsewhere"
)

// startNodes starts an installation of several nodes with a Redis and a database of its own.
func startNodes(t *testing.T, n int) (nodes []*testServer) {
	t.Helper()
	return startNodesWith(t, n, func(int, string, string) []string { return nil })
}

// startNodesWith is startNodes with settings of each node's own, made of where Redis and the
// database are.
func startNodesWith(t *testing.T, n int, own func(i int, redis, mongo string) []string) (nodes []*testServer) {
	t.Helper()
	address, _ := redistest.Start(t)
	uri, dir := mongotest.URI(t), t.TempDir()
	built, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	secrets := filepath.Join(dir, "secrets.json")
	if out, err := exec.Command(built, "secrets", "new", secrets).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	identity := strings.Repeat("0123456789abcdef", 4)
	for i := range n {
		s := startServer(t, append([]string{"TROUPE_MONGO=" + uri, "TROUPE_REDIS=redis://" + address, "TROUPE_SECRETS=" + secrets,
			"TROUPE_FILES_DIR=" + filepath.Join(dir, "files"), "TROUPE_IDENTITY_SECRET=" + identity}, own(i, address, uri)...)...)
		s.secret = identity
		nodes = append(nodes, s)
	}
	return nodes
}

// talk has people, each at one of the nodes, each with a session of its own with a bot, say
// something that is to be answered with "so: " in front of it.
type talk struct {
	t        *testing.T
	people   []*person
	sessions []protocol.SessionID
}

func startTalk(t *testing.T, nodes []*testServer, bot string, n int) *talk {
	k := &talk{t: t}
	soon(t, "the bot's user", func() bool {
		return nodes[0].post(nodes[0].token("person0"), "/api/v2/sessions", fmt.Sprintf(`{"sessionType":"p2p","members":[%q]}`, bot), nil) < 300
	})
	for i := range n {
		p := nodes[i%len(nodes)].join(fmt.Sprintf("person%d", i), "phone")
		k.people, k.sessions = append(k.people, p), append(k.sessions, p.with(bot))
	}
	return k
}

func (k *talk) say(text string) {
	k.t.Helper()
	for i, p := range k.people {
		p.say(k.sessions[i], text, text)
	}
}

// answered waits until everybody has heard the answers to texts, each once and nothing else.
func (k *talk) answered(bot string, texts ...string) {
	k.t.Helper()
	want := "so: " + strings.Join(texts, "|so: ")
	soon(k.t, "answers to "+want, func() bool {
		for i, p := range k.people {
			if got := strings.Join(p.said(k.sessions[i], bot), "|"); len(got) < len(want) {
				return false
			}
		}
		return true
	})
	for i, p := range k.people {
		if got := strings.Join(p.said(k.sessions[i], bot), "|"); got != want {
			k.t.Errorf("person %d hears %q, want %q", i, got, want)
		}
	}
}

// seen counts how often each message was given to a bot.
type seen struct {
	mu sync.Mutex
	n  map[string]int
}

func (s *seen) count(session, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n == nil {
		s.n = map[string]int{}
	}
	s.n[session+" "+text]++
}

func (s *seen) once(t *testing.T, want int) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.n) != want {
		t.Errorf("it was given %d messages, want %d", len(s.n), want)
	}
	for what, n := range s.n {
		if n != 1 {
			t.Errorf("it was given %q %d times", what, n)
		}
	}
}

// serve answers everything, until its connection ends.
func (b *farBot) serve(given *seen) {
	for {
		f, err := b.next(b.t.Context())
		if err != nil {
			return
		}
		e := f.GetEvent()
		if e == nil {
			continue
		}
		if e.Kind == "message" {
			given.count(e.Session, e.Text)
			b.say(&botv1.BotFrame{Body: &botv1.BotFrame_Call{Call: &botv1.Call{Event: e.Id, Do: &botv1.Call_Post{Post: &botv1.Post{Text: "so: " + e.Text}}}}})
		}
		b.say(&botv1.BotFrame{Body: &botv1.BotFrame_Ack{Ack: &botv1.Ack{Event: e.Id}}})
	}
}

func TestABotThatComesToOneOfThreeNodesIsServedInAllSessions(t *testing.T) {
	nodes := startNodes(t, 3)
	var made remoteSecrets
	if got := nodes[0].post(nodes[0].administrator("root"), "/api/v2/admin/remote-bots", `{"id":"far","way":"websocket","scopes":["write"]}`, &made); got != 200 {
		t.Fatalf("it is registered: %d", got)
	}
	known := func(s *testServer) func() bool {
		return func() bool { return s.post(made.Token, "/bots/v1/calls", `{}`, nil) == http.StatusConflict }
	}
	soon(t, "the second node to know the bot", known(nodes[1]))
	soon(t, "the third node to know the bot", known(nodes[2]))
	var given seen
	go nodes[1].meets(made.Token, &botv1.Describe{Id: "far"}).serve(&given)
	k := startTalk(t, nodes, "b_far", 9)
	k.say("one")
	k.answered("b_far", "one")
	k.say("two")
	k.answered("b_far", "one", "two")
	given.once(t, 18)

	// Its node dies with what it was about, and the bot comes to another one.
	k.people = append(k.people[:0:0], k.people[0], k.people[2], k.people[3], k.people[5])
	k.sessions = []protocol.SessionID{k.sessions[0], k.sessions[2], k.sessions[3], k.sessions[5]}
	nodes[1].kill()
	k.say("three")
	go nodes[2].meets(made.Token, &botv1.Describe{Id: "far"}).serve(new(seen))
	k.answered("b_far", "one", "two", "three")
}

func TestAWebhookIsToldOnceByWhicheverNodeAndMayAnswerAnother(t *testing.T) {
	nodes := startNodes(t, 3)
	var made remoteSecrets
	var given seen
	var mu sync.Mutex
	asked := 0
	late := func(e *botEvent, n int) { // at any node, which need not be the one that asked
		answer := fmt.Sprintf(`{"frames": [{"call": {"id": 1, "event": %q, "post": {"text": %q}}}, {"ack": {"event": %q}}]}`, e.ID, "so: "+e.Text, e.ID)
		if got := nodes[n%3].post(made.Token, "/bots/v1/calls", answer, nil); got != 200 {
			t.Errorf("what it says later: %d", got)
		}
	}
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			io.WriteString(w, `{"protocol": 1, "id": "hooked", "personas": [{"name": "Hooked"}]}`)
			return
		}
		var frame struct{ Event *botEvent }
		if err := json.NewDecoder(r.Body).Decode(&frame); err != nil {
			t.Error(err)
		}
		e := frame.Event
		if e == nil || e.Kind != "message" {
			return
		}
		given.count(e.Session, e.Text)
		mu.Lock()
		asked++
		n := asked
		mu.Unlock()
		if n%2 == 0 {
			w.WriteHeader(http.StatusAccepted)
			go late(e, n/2)
			return
		}
		fmt.Fprintf(w, `{"frames": [{"call": {"event": %q, "post": {"text": %q}}}]}`, e.ID, "so: "+e.Text)
	}))
	defer hook.Close()
	root := nodes[0].administrator("root")
	if got := nodes[0].post(root, "/api/v2/admin/remote-bots", fmt.Sprintf(`{"id":"hooked","way":"webhook","url":%q,"scopes":["write"]}`, hook.URL), &made); got != 200 {
		t.Fatalf("it is registered: %d", got)
	}
	for i, s := range nodes {
		soon(t, fmt.Sprintf("node %d to reach it", i), func() bool { return s.post(made.Token, "/bots/v1/calls", `{"frames":[]}`, nil) == 200 })
	}
	k := startTalk(t, nodes, "b_hooked", 9)
	for i, text := range []string{"one", "two"} {
		k.say(text)
		k.answered("b_hooked", []string{"one", "two"}[:i+1]...)
	}
	given.once(t, 18)
	// What it acknowledged at another node is done at the one that asked.
	for i, s := range nodes {
		soon(t, fmt.Sprintf("nothing to be in hand at node %d", i), func() bool {
			b, known := s.botAs(root, "hooked")
			return known && b.InHand == 0
		})
	}
}

// botState is what administrators are told of a bot.
type botState struct {
	ID               string
	Nodes            []string
	InHand           int
	Judged, Unjudged int64
}

// botAs gives it to whom a token is.
func (s *testServer) botAs(token, id string) (b botState, known bool) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.url+"/api/v2/admin/bots/"+id, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer a.Body.Close()
	if err := json.NewDecoder(a.Body).Decode(&b); err != nil {
		s.t.Fatal(err)
	}
	return b, a.StatusCode == http.StatusOK
}

// botEvent is what a webhook reads of an event.
type botEvent struct{ ID, Kind, Session, Text string }

func TestABotThatModeratesAtOneOfThreeNodesModeratesAllSessions(t *testing.T) {
	nodes := startNodes(t, 3)
	root := nodes[0].administrator("root")
	var made remoteSecrets
	if got := nodes[0].post(root, "/api/v2/admin/remote-bots", `{"id":"strict","way":"websocket","scopes":["write","moderate"]}`, &made); got != 200 {
		t.Fatalf("it is registered: %d", got)
	}
	soon(t, "the second node to know the bot", func() bool { return nodes[1].post(made.Token, "/bots/v1/calls", `{}`, nil) == http.StatusConflict })
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	bot := &sdk.Bot{ID: "strict", Scopes: []string{"write", "moderate"}, Moderate: func(d *sdk.Draft) sdk.Verdict {
		if strings.HasPrefix(d.Text, "BUY") {
			return sdk.Hold("no advertising")
		}
		return sdk.Allow()
	}}
	go func() {
		served <- far.Serve(ctx, far.Config{URL: "ws" + strings.TrimPrefix(nodes[1].url, "http") + remote.ConnectPath, Token: made.Token, Log: slog.New(slog.DiscardHandler)}, bot)
	}()
	reachedAt := func(s *testServer) []string {
		b, _ := s.botAs(root, "strict")
		return b.Nodes
	}
	for i, s := range nodes {
		soon(t, fmt.Sprintf("node %d to reach the bot", i), func() bool { return len(reachedAt(s)) == 1 })
	}
	if a, b := reachedAt(nodes[0]), reachedAt(nodes[2]); a[0] != b[0] || !strings.HasPrefix(a[0], "127.0.0.1:") {
		t.Errorf("it is reached at %v, and at %v", a, b)
	}
	k := startTalk(t, nodes, "b_strict", 9) // of three nodes, so that some of each are at each
	n := 0
	say := func(i int, text string) *protocol.Deal {
		n++
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		a, err := k.people[i].Send(ctx, &protocol.MsgSend{Session: k.sessions[i], ClientMsgId: fmt.Sprint(n), Content: &protocol.Content{Type: protocol.ContentType_TEXT, Text: text}})
		if err != nil {
			t.Fatalf("person %d says %q: %v", i, text, err)
		}
		return a.Deal
	}
	for i := range k.people { // on a slow machine it may not answer in time
		soon(t, fmt.Sprintf("what person %d says to be looked at", i), func() bool { return say(i, "BUY this").GetState() == "held" })
		if deal := say(i, "hello"); deal != nil {
			t.Errorf("what is fine becomes %v", deal)
		}
	}
	if b, _ := nodes[1].botAs(root, "strict"); b.Judged < 9 {
		t.Errorf("it judged %d messages", b.Judged)
	}

	// Its node dies: it is absent, until it has come to another one.
	nodes[1].kill()
	for i := range k.people {
		if i%3 == 1 {
			continue // who was connected there is not
		}
		if deal := say(i, "BUY this"); deal != nil {
			t.Errorf("a bot that is nowhere rules: %v", deal)
		}
	}
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
}
