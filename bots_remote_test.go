package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/troupe-im/troupe/internal/client"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/plugins/remote"
	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// post sends a request with a token, and reads the answer into out.
func (s *testServer) post(token, path, body string, out any) int {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.url+path, bytes.NewBufferString(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer a.Body.Close()
	if out != nil {
		if err := json.NewDecoder(a.Body).Decode(out); err != nil {
			s.t.Fatalf("POST %s: %s, %v", path, a.Status, err)
		}
	}
	return a.StatusCode
}

// farBot is a bot that runs elsewhere: here.
type farBot struct {
	t    *testing.T
	conn *websocket.Conn
}

func (s *testServer) farBot(token, id string) *farBot {
	s.t.Helper()
	return s.meets(token, &botv1.Describe{Id: id, Scopes: []string{"hooks", "handoff"}})
}

// meets lets a bot in that says this of itself.
func (s *testServer) meets(token string, says *botv1.Describe) *farBot {
	s.t.Helper()
	says.Protocol, says.Personas = 1, []*botv1.Persona{{Name: "Far"}}
	conn, _, err := websocket.Dial(s.t.Context(), s.url+remote.ConnectPath, &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + token}}})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.CloseNow() })
	b := &farBot{s.t, conn}
	b.say(&botv1.BotFrame{Body: &botv1.BotFrame_Describe{Describe: says}})
	if b.hear().GetWelcome() == nil {
		s.t.Fatal("it is not welcome")
	}
	return b
}

func (b *farBot) say(f *botv1.BotFrame) {
	b.t.Helper()
	text, err := protojson.Marshal(f)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := b.conn.Write(b.t.Context(), websocket.MessageText, text); err != nil {
		b.t.Fatal(err)
	}
}

// hear gives the next frame that is no ping.
func (b *farBot) hear() *botv1.HostFrame {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	f, err := b.next(ctx)
	if err != nil {
		b.t.Fatal(err)
	}
	return f
}

// next is hear, which fails when the connection ends.
func (b *farBot) next(ctx context.Context) (*botv1.HostFrame, error) {
	for {
		_, text, err := b.conn.Read(ctx)
		if err != nil {
			return nil, err
		}
		f := &botv1.HostFrame{}
		if err := protojson.Unmarshal(text, f); err != nil {
			return nil, err
		}
		if p := f.GetPing(); p != nil {
			b.say(&botv1.BotFrame{Body: &botv1.BotFrame_Pong{Pong: &botv1.Pong{N: p.N}}})
			continue
		}
		return f, nil
	}
}

// said gives what sender said in session, as it arrived.
func (p *person) said(session protocol.SessionID, sender string) (texts []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.events {
		if entry, ok := e.(*client.Entry); ok && entry.Session == session && entry.Sender == sender && entry.Content != nil {
			texts = append(texts, entry.Content.Text)
		}
	}
	return texts
}

func (p *person) with(bot string) protocol.SessionID {
	p.t.Helper()
	made := p.ask(&protocol.Frame{Body: &protocol.Frame_SessionCreate{SessionCreate: &protocol.SessionCreate{
		SessionType: protocol.SessionType_P2P, Members: []string{bot},
	}}})
	return made.GetSessionCreateReply().Result[0]
}

func TestABotThatRunsElsewhereIsAMember(t *testing.T) {
	s := startServer(t)
	admin := s.administrator("root")
	var made remoteSecrets
	if got := s.post(admin, "/api/v2/admin/remote-bots", `{"id":"far","way":"websocket","scopes":["write","hooks","handoff"]}`, &made); got != 200 || made.Token == "" {
		t.Fatalf("it is registered: %d %+v", got, made)
	}
	if got := s.post(s.token("ann"), "/api/v2/admin/remote-bots", `{"id":"far2","way":"websocket"}`, nil); got != 403 {
		t.Errorf("somebody who is no administrator registers one: %d", got)
	}
	bot := s.farBot(made.Token, "far")
	ann := s.join("ann", "phone")
	session := ann.with("b_far")
	ann.say(session, "1", "hello")
	e := bot.hear().GetEvent()
	if e.GetKind() == "added" {
		bot.say(&botv1.BotFrame{Body: &botv1.BotFrame_Ack{Ack: &botv1.Ack{Event: e.Id}}})
		e = bot.hear().GetEvent()
	}
	if e.GetText() != "hello" || e.GetSession() != session || e.GetSender().GetUser() != "ann" {
		t.Fatalf("it is told %v", e)
	}
	for range 2 { // said twice it is seen once
		bot.say(&botv1.BotFrame{Body: &botv1.BotFrame_Call{Call: &botv1.Call{Id: 1, Event: e.Id, Do: &botv1.Call_Post{Post: &botv1.Post{Text: "hello from afar"}}}}})
		if r := bot.hear().GetResult(); r.GetCode() != "" || r.GetPosted().GetSeq() != 2 {
			t.Fatalf("the result is %v", r)
		}
	}
	bot.say(&botv1.BotFrame{Body: &botv1.BotFrame_Ack{Ack: &botv1.Ack{Event: e.Id}}})
	soon(t, "the answer", func() bool { return strings.Join(ann.said(session, "b_far"), "|") == "hello from afar" })

	bot.say(&botv1.BotFrame{Body: &botv1.BotFrame_Call{Call: &botv1.Call{Id: 2, Session: session, Do: &botv1.Call_HookMake{HookMake: &botv1.HookMake{Name: "ci"}}}}})
	f := bot.hear()
	hooks := f.GetResult().GetHooks().GetHooks()
	if len(hooks) != 1 {
		t.Fatalf("it hears %v", f)
	}
	if got := s.post("", hooks[0].Path, `built`, nil); got != http.StatusAccepted {
		t.Errorf("the hook is told: %d", got)
	}
	if e := bot.hear().GetEvent(); e.GetKind() != "webhook" || !strings.Contains(e.GetBody(), `"body":"built"`) || e.GetSession() != session {
		t.Errorf("it is told %v", e)
	}

	bot.say(&botv1.BotFrame{Body: &botv1.BotFrame_Call{Call: &botv1.Call{Id: 3, Session: session, Do: &botv1.Call_Handoff{Handoff: &botv1.Handoff{To: "human"}}}}})
	if r := bot.hear().GetResult(); r.GetCode() != "" {
		t.Fatalf("people take over: %v", r)
	}
	ann.say(session, "2", "is a person there?")
	ann.say(session, "3", "/bot")
	soon(t, "the bot to be back", func() bool {
		return strings.Contains(strings.Join(ann.said(session, "b_far"), "|"), "The bot is back.")
	})
	ann.say(session, "4", "and now?")
	for {
		e := bot.hear().GetEvent()
		if e.GetText() == "is a person there?" {
			t.Error("it is given what was meant for people")
		}
		if e.GetKind() != "webhook" { // that one is done after the restart
			bot.say(&botv1.BotFrame{Body: &botv1.BotFrame_Ack{Ack: &botv1.Ack{Event: e.Id}}})
		}
		if e.GetText() == "and now?" {
			break
		}
	}

	// After a crash of the server it comes again, and is told what it did not acknowledge,
	// and perhaps what the server had not noted yet.
	s.kill()
	s.start()
	bot = s.farBot(made.Token, "far")
	for e = bot.hear().GetEvent(); e.GetKind() == "message" || e.GetKind() == "added"; e = bot.hear().GetEvent() {
		bot.say(&botv1.BotFrame{Body: &botv1.BotFrame_Ack{Ack: &botv1.Ack{Event: e.Id}}})
	}
	if e.GetKind() != "webhook" {
		t.Errorf("after a restart it is told %v", e)
	}
}
