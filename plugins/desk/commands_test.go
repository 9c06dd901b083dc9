package desk_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2/humatest"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/plugins/desk"
	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// reminder is a bot with a command of every kind of argument.
func reminder(id string) *robot {
	bot := aBot(id)
	bot.says.Commands = []*botv1.Command{
		{Name: "remind", Help: "remind somebody", HelpIn: map[string]string{"zh-CN": "提醒某人"}, Args: []*botv1.Argument{
			{Name: "in", Type: "duration", Required: true, Help: "in how long", HelpIn: map[string]string{"zh-CN": "多久以后"}},
			{Name: "whom", Type: "user", Required: true},
			{Name: "what", Type: "text", Std: "something"},
		}},
		{Name: "set", Args: []*botv1.Argument{
			{Name: "n", Type: "integer", Required: true, Min: 1, Max: 10}, {Name: "x", Type: "number"}, {Name: "on", Type: "boolean"},
			{Name: "color", Type: "choice", Choices: []string{"Red", "Blue"}, Std: "Red"}, {Name: "name", Type: "word"},
		}},
		{Name: "wipe", Destructive: true, Args: []*botv1.Argument{{Name: "what", Type: "word", Required: true}}},
	}
	return bot
}

func TestCommandsAreCheckedBeforeTheBotSeesThem(t *testing.T) {
	s := newStage(t, quick)
	c := s.caller(reminder("rem"))
	id := s.create(protocol.SessionType_GROUP, "bob", "b_rem")
	for text, want := range map[string]map[string]any{
		`/remind 10m @bob tea "is" ready`: {"in": 600_000.0, "whom": "bob", "what": `tea "is" ready`},
		"/remind@rem 1h30m bob":           {"in": 5_400_000.0, "whom": "bob", "what": "something"},
		"/remind 2小时 @bob 喝茶":             {"in": 7_200_000.0, "whom": "bob", "what": "喝茶"},
		"/set 3":                          {"n": 3.0, "color": "Red"},
		`/SET 3 1.5 yes blue "two words"`: {"n": 3.0, "x": 1.5, "on": true, "color": "Blue", "name": "two words"},
		"/set 3 -1 关 “blue” 「a b」":        {"n": 3.0, "x": -1.0, "on": false, "color": "Blue", "name": "a b"},
	} {
		s.say("ann", id, text, mention("bob"))
		e := c.event("command")
		c.done(e)
		got := map[string]any{}
		if err := json.Unmarshal([]byte(e.Args), &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %s, want %v", text, e.Args, want)
		}
	}
	for text, want := range map[string]string{
		"/remind":                     "in (in how long) is missing.",
		"/remind soon @bob":           "in (in how long): a time like 90s",
		"/remind 1m @carol":           "whom: mention somebody who is here.",
		"/remind 1m bob 喝茶 /remind 秒": "",
		"/set x":                      "n: a whole number is needed.",
		"/set 11":                     "n: at most 10.",
		"/set 1 2 maybe":              "on: yes or no?",
		"/set 1 2 yes green":          "color: one of Red, Blue.",
		"/set 1 2 yes red a b":        "That is more than the command takes: b",
		"/remind 喝茶 @bob":             "in (多久以后)：需要时长",
	} {
		if want == "" {
			continue
		}
		s.say("ann", id, text, mention("bob"))
		eventually(t, text+" is answered "+want, func() bool {
			return slices.ContainsFunc(s.told.whispered(), func(w string) bool { return strings.HasPrefix(w, want) && strings.Contains(w, "/") })
		})
	}
	s.say("ann", id, "/set", data(protocol.ContentType_TEXT, `{"troupe":{"command":"set","args":{"n":"4","on":true,"x":2}}}`))
	if e := c.event("command"); e.Args != `{"color":"Red","n":4,"on":true,"x":2}` || e.Command != "set" {
		t.Errorf("a form's came as %v", e)
	}
	select {
	case e := <-c.events:
		t.Errorf("it got %v", e)
	default:
	}
}

func TestAFormsArgumentsCountWhereItsTextIsTheSameCommand(t *testing.T) {
	s := newStage(t, quick)
	c := s.caller(reminder("rem"))
	id := s.create(protocol.SessionType_GROUP, "bob", "b_rem")
	form := data(protocol.ContentType_TEXT, `{"troupe":{"command":"set","args":{"n":5}}}`)
	s.say("ann", id, "good morning", form)
	s.say("ann", id, "/help me", form)
	s.say("ann", id, "/set@b_rem", form)
	e := c.event("command")
	if e.Text != "/set@b_rem" || !strings.Contains(e.Args, `"n":5`) {
		t.Errorf("it got %v", e)
	}
}

func TestWhatIsNoCommandIsAMessageInAPrivateChat(t *testing.T) {
	s := newStage(t, quick)
	c := s.caller(reminder("rem"))
	id := s.p2p("b_rem")
	s.say("ann", id, "/unknown thing")
	if e := c.event("message"); e.Text != "/unknown thing" {
		t.Errorf("it got %v", e)
	}
}

func TestACommandOfTwoBotsIsAskedAbout(t *testing.T) {
	s := newStage(t, quick)
	one, two := s.caller(reminder("one")), s.caller(reminder("two"))
	id := s.create(protocol.SessionType_GROUP, "b_one", "b_two")
	s.say("ann", id, "/set 1")
	eventually(t, "it is asked which", func() bool {
		return slices.Contains(s.told.whispered(), "Several bots have this command. Say which: /set@one /set@two")
	})
	s.say("ann", id, "/set@two 2")
	two.done(two.event("command"))
	if n := len(s.told.whispered()); n != 1 {
		t.Errorf("%d whispers", n)
	}
	_ = one
}

func TestTheCommandsOfASessionAreListed(t *testing.T) {
	s := newStage(t, quick)
	s.enter(reminder("rem"))
	s.enter(aBot("echo"))
	id, other := s.create(protocol.SessionType_GROUP, "b_rem", "b_echo"), s.create(protocol.SessionType_GROUP, "b_echo")
	code, items := s.commands("ann", id, "?locale=zh-CN")
	if code != 200 || len(items) != 3 || items[0]["name"] != "remind" || items[0]["help"] != "提醒某人" || items[0]["bot"] != "b_rem" || items[0]["online"] != true {
		t.Errorf("%d %v", code, items)
	}
	if got := items[0]["usage"]; got != "/remind <in> <whom> [what] — 提醒某人" {
		t.Errorf("usage: %v", got)
	}
	if code, items := s.commands("ann", other, ""); code != 200 || len(items) != 0 {
		t.Errorf("of another session: %d %v", code, items)
	}
	if code, _ := s.commands("bob", id, ""); code == 200 {
		t.Error("a stranger gets them")
	}
}

// commands gives what REST says of a session's commands.
func (s *stage) commands(user, session, query string) (code int, items []map[string]any) {
	s.t.Helper()
	_, api := humatest.New(s.t)
	s.desks.Register(api)
	r := api.GetCtx(protocol.WithIdentity(s.t.Context(), protocol.Identity{User: user}), "/sessions/"+session+"/commands"+query)
	var body struct{ Items []map[string]any }
	if r.Code == 200 {
		if err := json.Unmarshal(r.Body.Bytes(), &body); err != nil {
			s.t.Fatal(err)
		}
	}
	return r.Code, body.Items
}

func pressOf(session, card, action string) *protocol.Frame {
	return &protocol.Frame{Body: &protocol.Frame_MsgSend{MsgSend: &protocol.MsgSend{Session: session, ClientMsgId: protocol.NewSessionID(), ReplyTo: card, Content: &protocol.Content{
		Type: protocol.ContentType_CARD, Data: fmt.Sprintf(`{"troupe":{"action":%q}}`, action),
	}}}}
}

// click presses a button of a card.
func (s *stage) click(user, session, card, action string) {
	s.t.Helper()
	s.say(user, session, "", answering(card), data(protocol.ContentType_CARD, fmt.Sprintf(`{"troupe":{"action":%q,"values":{"a":1}}}`, action)))
}

func (s *stage) card(session, bot, with string) *protocol.Entry {
	s.t.Helper()
	var card *protocol.Entry
	eventually(s.t, "a card with "+with, func() bool {
		for _, e := range s.log(session) {
			if e.Sender == bot && e.Kind == protocol.Kind_MESSAGE && e.Content.GetType() == protocol.ContentType_CARD && strings.Contains(e.Content.Data, with) {
				card = e
			}
		}
		return card != nil
	})
	return card
}

func TestABotReadsAllOfAGroupOnlyWithConsent(t *testing.T) {
	s := newStage(t, quick)
	c := s.caller(aBot("ear", "write", "read.all", "moderate"))
	id := s.create(protocol.SessionType_GROUP, "bob")
	s.say("ann", id, "before it came")
	s.must("ann", &protocol.Frame{Body: &protocol.Frame_SessionAddUser{SessionAddUser: &protocol.SessionAddUser{Session: id, Members: []string{"b_ear"}}}})
	c.done(c.event("added"))
	card := s.card(id, "b_ear", "troupe.consent.allow")
	s.say("ann", id, "not for it")
	s.click("bob", id, card.MessagerecvId, "troupe.consent.allow")
	eventually(t, "bob is told that it is not his to decide", func() bool {
		return slices.Contains(s.told.whispered(), "Only the owner and the admins of this group decide that.")
	})
	s.click("ann", id, card.MessagerecvId, "troupe.consent.allow")
	s.card(id, "b_ear", `"done"`)
	s.say("bob", id, "heard")
	if e := c.event("message"); e.Text != "heard" || e.Mentioned {
		t.Errorf("it got %v", e)
	} else {
		c.done(e)
	}
	s.say("ann", id, "/consent ear off")
	eventually(t, "it is said", func() bool { return slices.Contains(s.told.whispered(), "Consent of ear: off") })
	s.say("ann", id, "not heard")
	s.say("ann", id, "@ear asked", mention("b_ear"))
	if e := c.event("message"); e.Text != "asked" {
		t.Errorf("it got %v", e)
	}
}

func TestWithoutConsentABotDoesNothingToOthersAndLooksBackWhenCalledAlone(t *testing.T) {
	s := newStage(t, quick)
	c := s.caller(aBot("ear", "write", "history", "moderate", "tools"))
	other := s.caller(reminder("rem"))
	id := s.create(protocol.SessionType_GROUP, "bob", "b_ear", "b_rem")
	other.done(other.event("added"))
	said := s.say("bob", id, "not for it").MessagerecvId
	history := func(event string, before int64) *botv1.Call {
		return &botv1.Call{Event: event, Session: id, Do: &botv1.Call_History{History: &botv1.History{Before: before}}}
	}
	recall := &botv1.Call{Session: id, Do: &botv1.Call_Recall{Recall: &botv1.Recall{Message: said}}}
	silence := &botv1.Call{Session: id, Do: &botv1.Call_Silence{Silence: &botv1.Silence{User: "bob", Until: time.Now().Add(time.Hour).UnixMilli()}}}
	c.fails("DENIED", recall)
	c.fails("DENIED", silence)
	e := c.event("added")
	c.fails("DENIED", history(e.Id, 0)) // it came, and was asked nothing
	c.done(e)
	s.say("ann", id, "@ear look", mention("b_ear"))
	e = c.event("message")
	later := s.say("bob", id, "said later")
	for _, line := range c.ok(history(e.Id, later.Seq+1)).GetEntries().GetLines() {
		if line.Text == "said later" || line.Text == "@ear look" {
			t.Errorf("called once, it reads on: %q", line.Text)
		}
	}
	c.done(e)
	s.say("ann", id, "@ear again", mention("b_ear"))
	again := c.event("message")
	c.fails("DENIED", history(e.Id, 0)) // that call is over
	c.fails("DENIED", &botv1.Call{Event: e.Id, Do: &botv1.Call_ToolCall{ToolCall: &botv1.ToolCall{Name: "rem__set", Args: `{"n":1}`}}})
	c.done(again)
	s.click("ann", id, s.card(id, "b_ear", "troupe.consent.allow").MessagerecvId, "troupe.consent.allow")
	s.card(id, "b_ear", `"done"`)
	c.ok(silence)
	c.ok(recall)
}

func TestAClickIsGivenToTheBotWhoseCardItIs(t *testing.T) {
	s := newStage(t, quick)
	c, other := s.caller(aBot("poll")), s.caller(aBot("other"))
	id := s.create(protocol.SessionType_GROUP, "bob", "b_poll", "b_other")
	s.say("ann", id, "@poll", mention("b_poll"))
	e := c.event("message")
	card := c.ok(&botv1.Call{Event: e.Id, Do: &botv1.Call_Post{Post: &botv1.Post{N: 1, Content: `{"type":"card","title":"?","data":{"buttons":[{"action":"yes","label":"Yes"}]}}`}}}).GetPosted()
	c.done(e)
	s.click("bob", id, card.Message, "yes")
	e = c.event("action")
	if e.Action != "yes" || e.Values != `{"a":1}` || e.Sender.User != "bob" || e.ReplyTo.GetMessage() != card.Message || !e.ReplyTo.Mine {
		t.Errorf("it came as %v", e)
	}
	c.ok(&botv1.Call{Event: e.Id, Do: &botv1.Call_Edit{Edit: &botv1.Edit{Message: card.Message, Content: `{"type":"card","title":"done"}`}}})
	c.fails("DENIED", &botv1.Call{Event: e.Id, Do: &botv1.Call_Edit{Edit: &botv1.Edit{Message: e.Message, Text: "not its own"}}})
	c.done(e)
	s.say("ann", id, "@other", mention("b_other"))
	if e := other.event("message"); e.Text != "" {
		t.Errorf("the other one got %v", e)
	}
}

func TestTwoEchoesFallSilent(t *testing.T) {
	s := newStage(t, quick)
	parrot := func(id, other string) *robot {
		bot := aBot(id, "write", "bots.read")
		bot.on = func(w *wire, e *botv1.Event) {
			if e.Kind == "message" {
				w.call(&botv1.Call{Event: e.Id, Do: &botv1.Call_Post{Post: &botv1.Post{N: 1, Text: e.Text + "!", Mentions: []string{other}}}})
			}
			w.ack(&botv1.Ack{Event: e.Id})
		}
		return bot
	}
	s.enter(parrot("one", "b_two"))
	s.enter(parrot("two", "b_one"))
	id := s.create(protocol.SessionType_GROUP, "b_one", "b_two")
	s.say("ann", id, "hi", mention("b_one"))
	eventually(t, "the third one speaks", func() bool { return len(s.log(id)) == 4 })
	// One that has its say outside events is muted.
	cs := []*caller{s.caller(aBot("x", "write", "bots.read")), s.caller(aBot("y", "write", "bots.read"))}
	id = s.create(protocol.SessionType_GROUP, "b_x", "b_y")
	s.say("ann", id, "go")
	code := ""
	for i := 0; i < 20 && code == ""; i++ {
		r := cs[i%2].do(&botv1.Call{Session: id, Do: &botv1.Call_Post{Post: &botv1.Post{Key: fmt.Sprint(i), Text: fmt.Sprint("text ", i)}}})
		code = r.Code
		if i < 6 && code != "" || i > 8 {
			t.Fatalf("after %d messages: %v", i, r)
		}
	}
	if code != "SILENCED" {
		t.Errorf("they end with %s", code)
	}
	eventually(t, "it is said once", func() bool {
		return slices.ContainsFunc(append(s.texts(id, "b_x"), s.texts(id, "b_y")...), func(text string) bool { return strings.Contains(text, "in circles") })
	})
}

func TestTheSameTextAgainAndAgainIsDropped(t *testing.T) {
	s := newStage(t, quick)
	c := s.caller(aBot("echo"))
	id := s.p2p("b_echo")
	s.say("ann", id, "hi")
	e := c.event("message")
	c.ok(post(e.Id, 1, "same"))
	c.ok(post(e.Id, 2, "same"))
	c.fails("DENIED", post(e.Id, 3, "same"))
	c.ok(post(e.Id, 4, "other"))
	s.say("ann", id, "hi")
	c.ok(post(e.Id, 5, "same"))
}

func TestToolsAreTheOtherBotsCommands(t *testing.T) {
	s := newStage(t, quick)
	usesTools(t, s, s.create, func(rem *robot) { s.enter(rem) })
}

func TestToolsAreOfBotsAtOtherNodesToo(t *testing.T) {
	all, _ := newStages(t, 2, quick)
	here, far := all[0], all[1]
	usesTools(t, far, far.createAt, func(rem *robot) {
		rem.plugin.Remote, rem.plugin.Single = true, true
		here.enter(rem)
		reached(t, all, "rem", 1)
		eventually(t, "what it says is known", func() bool {
			id := far.createAt(protocol.SessionType_GROUP, "b_rem")
			_, items := far.commands("ann", id, "")
			return len(items) > 0
		})
	})
}

// usesTools has a bot at s use what another one can do, which enters wherever it does.
func usesTools(t *testing.T, s *stage, create func(protocol.SessionType, ...string) protocol.SessionID, enter func(*robot)) {
	rem := reminder("rem")
	var mu sync.Mutex
	var wiped []string
	rem.on = func(w *wire, e *botv1.Event) {
		switch {
		case e.Kind == "tool" && e.Command == "set":
			w.call(post(e.Id, 1, "set to "+e.Args+" for "+e.Sender.User))
		case e.Kind == "command" && e.Command == "wipe":
			mu.Lock()
			wiped = append(wiped, e.Args+" by "+e.Sender.User)
			mu.Unlock()
			w.call(post(e.Id, 1, "wiped"))
		}
		w.ack(&botv1.Ack{Event: e.Id})
	}
	enter(rem)
	c := s.caller(aBot("ai"))
	id := create(protocol.SessionType_GROUP, "bob", "b_rem", "b_ai")
	s.say("bob", id, "@ai", mention("b_ai"))
	e := c.event("message")
	list := c.ok(&botv1.Call{Event: e.Id, Do: &botv1.Call_Tools{Tools: &botv1.Tools{}}}).GetTools().GetTools()
	if len(list) != 3 || list[1].Name != "rem__set" || !json.Valid([]byte(list[1].Schema)) || !list[2].Destructive {
		t.Errorf("the tools are %v", list)
	}
	use := func(name, args string) *botv1.Call {
		return &botv1.Call{Event: e.Id, Do: &botv1.Call_ToolCall{ToolCall: &botv1.ToolCall{Name: name, Args: args}}}
	}
	if got := c.ok(use("rem__set", `{"n":2}`)).GetTool(); got.Text != `set to {"color":"Red","n":2} for bob` {
		t.Errorf("it said %v", got)
	}
	if texts := s.texts(id, "b_rem"); len(texts) != 0 {
		t.Errorf("the session was told %q", texts)
	}
	c.fails("BAD_REQUEST", use("rem__set", `{"n":200}`))
	c.fails("NOT_FOUND", use("rem__other", `{}`))
	if got := c.ok(use("rem__wipe", `{"what":"all"}`)).GetTool(); !got.Pending {
		t.Errorf("what destroys was done: %v", got)
	}
	card := s.card(id, "b_ai", "troupe.tool.run")
	s.click("ann", id, card.MessagerecvId, "troupe.tool.run")
	eventually(t, "ann is told that it is bob's", func() bool {
		return slices.Contains(s.told.whispered(), "Only who asked the bot decides that.")
	})
	s.click("bob", id, card.MessagerecvId, "troupe.tool.run")
	s.saysInTheEnd(id, "b_rem", "wiped")
	_, err := s.as("bob", pressOf(id, card.MessagerecvId, "troupe.tool.run"))
	if !protocol.Code_BAD_REQUEST.Is(err) { // the card does not offer it any more
		t.Errorf("a second click: %v", err)
	}
	mu.Lock()
	defer mu.Unlock()
	if !slices.Equal(wiped, []string{`{"what":"all"} by bob`}) {
		t.Errorf("wiped: %q", wiped)
	}
}

func BenchmarkEvent(b *testing.B) {
	s := newStage(b, desk.Config{SessionRate: -1, Flush: time.Second})
	bot := aBot("echo")
	acked := make(chan struct{}, 1<<20)
	bot.on = func(w *wire, e *botv1.Event) {
		w.ack(&botv1.Ack{Event: e.Id})
		if e.Kind == "message" {
			acked <- struct{}{}
		}
	}
	s.enter(bot)
	var ids [16]string
	for i := range ids {
		ids[i] = s.must(fmt.Sprint("u", i), &protocol.Frame{Body: &protocol.Frame_SessionCreate{SessionCreate: &protocol.SessionCreate{
			SessionType: protocol.SessionType_P2P, Members: []string{"b_echo"}}}}).GetSessionCreateReply().Result[0]
	}
	b.ReportAllocs()
	b.ResetTimer()
	var wait sync.WaitGroup
	for i, id := range ids {
		wait.Go(func() {
			for n := i; n < b.N; n += len(ids) {
				s.say(fmt.Sprint("u", i), id, "hi")
			}
		})
	}
	for range b.N {
		<-acked
	}
	wait.Wait()
	b.StopTimer()
	st := s.desks.Status()[0]
	b.ReportMetric(st.Latency.Sum/float64(max(1, st.Acked))*1e6, "µs/ack")
}
