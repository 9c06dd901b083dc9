package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/troupe-im/troupe/internal/client"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// far registers a bot that runs elsewhere, and gives its token.
func (s *testServer) far(admin, id string, scopes string) string {
	s.t.Helper()
	var made remoteSecrets
	if got := s.post(admin, "/api/v2/admin/remote-bots", fmt.Sprintf(`{"id":%q,"way":"websocket","scopes":[%s]}`, id, scopes), &made); got != 200 {
		s.t.Fatalf("%s is registered: %d", id, got)
	}
	return made.Token
}

// event gives the next event of a kind. Those of others are acknowledged.
func (b *farBot) event(kind string) *botv1.Event {
	b.t.Helper()
	for {
		e := b.hear().GetEvent()
		if e.GetKind() == kind {
			return e
		}
		if e != nil {
			b.done(e)
		}
	}
}

// eventIn is event in one session.
func (b *farBot) eventIn(kind, session string) *botv1.Event {
	b.t.Helper()
	for {
		e := b.event(kind)
		if e.Session == session {
			return e
		}
		b.done(e)
	}
}

// eventOf is event with an id.
func (b *farBot) eventOf(kind, id string) *botv1.Event {
	b.t.Helper()
	for {
		e := b.event(kind)
		if e.Id == id {
			return e
		}
		b.done(e)
	}
}

func (b *farBot) done(e *botv1.Event) {
	b.t.Helper()
	b.say(&botv1.BotFrame{Body: &botv1.BotFrame_Ack{Ack: &botv1.Ack{Event: e.Id}}})
}

// group makes one of p with bots.
func (p *person) group(bots ...string) protocol.SessionID {
	p.t.Helper()
	made := p.ask(&protocol.Frame{Body: &protocol.Frame_SessionCreate{SessionCreate: &protocol.SessionCreate{
		SessionType: protocol.SessionType_GROUP, Members: bots, Name: "x",
	}}})
	return made.GetSessionCreateReply().Result[0]
}

func (p *person) send(m *protocol.MsgSend) *protocol.MsgSendReply {
	p.t.Helper()
	return p.ask(&protocol.Frame{Body: &protocol.Frame_MsgSend{MsgSend: m}}).GetMsgSendReply()
}

// A command that a person allowed by a click is done, though the server is killed between
// the click and the bot's answer.
func TestWhatAPersonAllowedIsDoneThoughTheServerIsKilled(t *testing.T) {
	s := startServer(t)
	admin := s.administrator("root")
	asks, wipes := s.far(admin, "asks", `"write","tools"`), s.far(admin, "wipes", `"write"`)
	wiper := &botv1.Describe{Id: "wipes", Commands: []*botv1.Command{{Name: "wipe", Destructive: true}}}
	asker, target := s.meets(asks, &botv1.Describe{Id: "asks", Scopes: []string{"tools"}}), s.meets(wipes, wiper)
	ann := s.join("ann", "phone")
	session := ann.group("b_asks", "b_wipes")
	for round, when := range []string{"when the click is acknowledged", "when the bot has it in hand"} {
		ann.send(&protocol.MsgSend{Session: session, ClientMsgId: fmt.Sprint("ask", round), Mentions: []string{"b_asks"},
			Content: &protocol.Content{Type: protocol.ContentType_TEXT, Text: fmt.Sprint("@asks ", round)}})
		e := asker.event("message")
		for ; !strings.HasSuffix(e.Text, fmt.Sprint(round)); e = asker.event("message") { // what it had done may come again
			asker.done(e)
		}
		asker.say(&botv1.BotFrame{Body: &botv1.BotFrame_Call{Call: &botv1.Call{Id: 1, Event: e.Id, Do: &botv1.Call_ToolCall{ToolCall: &botv1.ToolCall{Name: "wipes__wipe"}}}}})
		if r := asker.hear().GetResult(); !r.GetTool().GetPending() {
			t.Fatalf("a destructive command is not asked about: %v", r)
		}
		asker.done(e)
		var card string
		soon(t, "the card", func() bool { card = ann.newestCard(session, "b_asks"); return card != "" })
		click := ann.send(&protocol.MsgSend{Session: session, ClientMsgId: fmt.Sprint("click", round), ReplyTo: card,
			Content: &protocol.Content{Type: protocol.ContentType_CARD, Data: `{"troupe":{"action":"troupe.tool.run"}}`}})
		id := protocol.DeliveryID(click.MessagerecvId, "b_wipes")
		if round == 1 {
			target.eventOf("command", id)
		}
		s.kill()
		s.start()
		target, asker = s.meets(wipes, wiper), s.meets(asks, &botv1.Describe{Id: "asks", Scopes: []string{"tools"}})
		c := target.eventOf("command", id)
		if c.Command != "wipe" || c.Sender.GetUser() != "ann" {
			t.Fatalf("killed %s it is given %v", when, c)
		}
		target.say(&botv1.BotFrame{Body: &botv1.BotFrame_Call{Call: &botv1.Call{Id: 2, Event: c.Id, Do: &botv1.Call_Post{Post: &botv1.Post{Text: fmt.Sprint("wiped ", round)}}}}})
		target.hear()
		target.done(c)
		soon(t, "the answer", func() bool { return slices.Contains(ann.said(session, "b_wipes"), fmt.Sprint("wiped ", round)) })
	}
}

// newestCard is the last card of sender's that waits for a click.
func (p *person) newestCard(session protocol.SessionID, sender string) (message string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.events {
		entry, ok := e.(*client.Entry)
		if !ok || entry.Session != session || entry.Sender != sender || entry.Content.GetType() != protocol.ContentType_CARD {
			continue
		}
		switch waits := strings.Contains(entry.Content.Data, "buttons"); {
		case entry.Kind == protocol.Kind_MESSAGE && waits:
			message = entry.MessagerecvId
		case entry.Kind == protocol.Kind_EDIT && !waits && protocol.MessageID(session, entry.Target) == message:
			message = ""
		}
	}
	return message
}

// An event that crashes its bot does so twice in all, though the server is killed between.
func TestAnEventThatCrashesItsBotIsNotTriedAnewByEachServer(t *testing.T) {
	s := startServer(t)
	dir := filepath.Join(s.data, "plugins", "fragile", "0.1.0")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "fragile"), "./testdata/fragile")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	manifest := "id: fragile\nversion: 0.1.0\nprotocol: 1\nbinaries: {any: {path: fragile}}\nscopes: [write, kv]\n"
	if err := os.WriteFile(filepath.Join(dir, "manifest.yaml"), []byte(manifest), 0o644); err != nil {
		t.Fatal(err)
	}
	soon(t, "the plugin to be found and approved", func() bool { _, err := s.command("bot", "approve", "fragile"); return err == nil })
	ready := func() bool {
		out, err := s.command("bot", "ps")
		return err == nil && strings.Contains(out, "  ready  ")
	}
	soon(t, "the bot", ready)
	ann := s.join("ann", "phone")
	session := ann.with("b_fragile")
	ann.say(session, "1", "crash")
	soon(t, "its crash", func() bool { return strings.Contains(s.log.String(), "is started again in") })
	s.kill()
	s.start()
	soon(t, "the event to be given up", func() bool {
		out, err := s.command("bot", "dead")
		return err == nil && strings.Contains(out, "POISON")
	})
	ann.say(session, "2", "how often?")
	soon(t, "an answer", func() bool { return len(ann.said(session, "b_fragile")) > 0 })
	if got := ann.said(session, "b_fragile"); !slices.Equal(got, []string{"crashed: **"}) {
		t.Errorf("it says %q", got)
	}
}

// An event's attempts go on where they were when the server was killed.
func TestAttemptsGoOnBehindTheEndOfTheServer(t *testing.T) {
	s := startServer(t)
	token := s.far(s.administrator("root"), "far", `"write"`)
	bot := s.meets(token, &botv1.Describe{Id: "far"})
	ann := s.join("ann", "phone")
	session := ann.with("b_far")
	ann.say(session, "1", "hello")
	for want := uint32(1); want <= 3; want++ {
		e := bot.event("message")
		if e.Attempt != want {
			t.Fatalf("attempt %d, want %d", e.Attempt, want)
		}
		if want < 3 {
			bot.say(&botv1.BotFrame{Body: &botv1.BotFrame_Ack{Ack: &botv1.Ack{Event: e.Id, Error: "not now"}}})
		}
	}
	s.kill()
	s.start()
	bot = s.meets(token, &botv1.Describe{Id: "far"})
	if e := bot.event("message"); e.Attempt != 3 || e.Text != "hello" {
		t.Errorf("behind the restart it is given %v", e)
	}
}

// A bot is told that it came into a session and that it was taken out, though the server is
// killed at that moment.
func TestABotIsToldWhereItIsThoughTheServerIsKilled(t *testing.T) {
	s := startServer(t)
	token := s.far(s.administrator("root"), "far", `"write"`)
	about := &botv1.Describe{Id: "far"}
	bot := s.meets(token, about)
	ann := s.join("ann", "phone")
	again := func() {
		t.Helper()
		s.kill()
		s.start()
		bot = s.meets(token, about)
	}
	for round, held := range []bool{false, true} { // killed before it is told, or while it has it in hand
		session := ann.group("b_far")
		if held {
			bot.eventIn("added", session)
		}
		again()
		e := bot.eventIn("added", session)
		bot.done(e)
		ann.ask(&protocol.Frame{Body: &protocol.Frame_SessionRemoveUser{SessionRemoveUser: &protocol.SessionRemoveUser{Session: session, Members: []string{"b_far"}}}})
		id := ""
		if held {
			id = bot.eventIn("removed", session).Id
		}
		again()
		if e = bot.eventIn("removed", session); held && e.Id != id {
			t.Fatalf("round %d: it is told %v, and was told %s", round, e, id)
		}
		bot.done(e)
	}
}
