package desk_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/plugins/desk"
	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// caller is a bot whose calls a test makes: it holds its events until the test lets go of them.
type caller struct {
	*visit
	t       testing.TB
	bot     *robot
	mu      sync.Mutex
	last    uint64
	results map[uint64]chan *botv1.Result
	events  chan *botv1.Event
	frames  chan *botv1.HostFrame // all others
}

func (s *stage) caller(bot *robot) *caller {
	s.t.Helper()
	c := &caller{t: s.t, bot: bot, results: map[uint64]chan *botv1.Result{}, events: make(chan *botv1.Event, 100), frames: make(chan *botv1.HostFrame, 100)}
	bot.on = func(_ *wire, e *botv1.Event) { c.events <- e }
	bot.frame = func(_ *wire, f *botv1.HostFrame) bool {
		switch m := f.Body.(type) {
		case *botv1.HostFrame_Result:
			c.mu.Lock()
			ch := c.results[m.Result.Id]
			c.mu.Unlock()
			ch <- m.Result
			return true
		case *botv1.HostFrame_Cancel, *botv1.HostFrame_Moderate:
			c.frames <- f
			return true
		}
		return false
	}
	c.visit = s.enter(bot)
	return c
}

// event gives the next event of a kind; those of other kinds are acknowledged.
func (c *caller) event(kind string) *botv1.Event {
	c.t.Helper()
	for {
		select {
		case e := <-c.events:
			if e.Kind == kind {
				return e
			}
			c.ack(&botv1.Ack{Event: e.Id})
		case <-time.After(time.Minute):
			c.t.Fatalf("no event %s came", kind)
		}
	}
}

func (c *caller) done(e *botv1.Event) { c.ack(&botv1.Ack{Event: e.Id}) }

// do makes a call and gives its result.
func (c *caller) do(call *botv1.Call) *botv1.Result {
	c.t.Helper()
	c.mu.Lock()
	c.last++
	call.Id = c.last
	ch := make(chan *botv1.Result, 1)
	c.results[call.Id] = ch
	c.mu.Unlock()
	c.call(call)
	select {
	case r := <-ch:
		return r
	case <-time.After(time.Minute):
		c.t.Fatalf("no result came of %v", call)
		return nil
	}
}

// ok is do, of a call that has to succeed; fails of one that must not.
func (c *caller) ok(call *botv1.Call) *botv1.Result {
	c.t.Helper()
	r := c.do(call)
	if r.Code != "" {
		c.t.Fatalf("%v: %s: %s", call, r.Code, r.Error)
	}
	return r
}

func (c *caller) fails(code string, call *botv1.Call) *botv1.Result {
	c.t.Helper()
	r := c.do(call)
	if r.Code != code {
		c.t.Errorf("%v: %q (%s), want %s", call, r.Code, r.Error, code)
	}
	return r
}

func (c *caller) frame() *botv1.HostFrame {
	c.t.Helper()
	select {
	case f := <-c.frames:
		return f
	case <-time.After(time.Minute):
		c.t.Fatal("no frame came")
		return nil
	}
}

func delta(event string, at int, text string) *botv1.Call {
	return &botv1.Call{Event: event, Do: &botv1.Call_Delta{Delta: &botv1.StreamDelta{N: 1, Offset: int64(at), Text: text}}}
}

func end(event, text, finish string) *botv1.Call {
	return &botv1.Call{Event: event, Do: &botv1.Call_End{End: &botv1.StreamEnd{N: 1, Text: text, Finish: finish}}}
}

func TestAPostIsOneMessageHoweverOftenItIsAskedFor(t *testing.T) {
	s := newStage(t, quick)
	bot := aBot("echo")
	c := s.caller(bot)
	id := s.p2p("b_echo")
	s.say("ann", id, "hi")
	e := c.event("message")
	first := c.ok(post(e.Id, 1, "one")).GetPosted()
	again := c.ok(post(e.Id, 1, "one")).GetPosted()
	if first.Message == "" || first.Duplicate || again.Message != first.Message || !again.Duplicate {
		t.Errorf("posted %v, then %v", first, again)
	}
	c.ok(post(e.Id, 2, "two"))
	key := func(key, text string) *botv1.Call {
		return &botv1.Call{Session: id, Do: &botv1.Call_Post{Post: &botv1.Post{Key: key, Text: text}}}
	}
	c.ok(key("a", "by key"))
	c.ok(key("a", "by key"))
	c.fails("BAD_REQUEST", key("", "x"))
	c.Close("crash") // another channel, which knows nothing: it asks with other words
	<-c.visit.done
	c = s.caller(bot)
	if e = c.event("message"); e.Attempt != 2 {
		t.Errorf("the attempt is %d", e.Attempt)
	}
	third := c.ok(post(e.Id, 1, "in other words")).GetPosted()
	if third.Message != first.Message || !third.Duplicate {
		t.Errorf("posted %v, and before %v", third, first)
	}
	c.done(e)
	if got := s.texts(id, "b_echo"); !slices.Equal(got, []string{"one", "two", "by key"}) {
		t.Errorf("it said %q", got)
	}
}

func TestATextThatIsTooLongBecomesSeveralMessages(t *testing.T) {
	s := newStage(t, quick)
	c := s.caller(aBot("echo"))
	id := s.p2p("b_echo")
	s.say("ann", id, "hi")
	e := c.event("message")
	long := strings.Repeat("一二三四五六七八九。", 600) // 18,000 bytes
	c.ok(post(e.Id, 1, long))
	got := s.texts(id, "b_echo")
	if len(got) != 3 || strings.Join(got, "") != long {
		t.Errorf("it became %d messages of %d bytes", len(got), len(strings.Join(got, "")))
	}
}

func TestWhatABotMayNotIsDenied(t *testing.T) {
	s := newStage(t, quick)
	c := s.caller(aBot("echo", "kv"))
	id := s.p2p("b_echo")
	other := s.create(protocol.SessionType_GROUP, "bob")
	s.say("ann", id, "hi")
	e := c.event("message")
	for _, call := range []*botv1.Call{
		post(e.Id, 1, "x"),
		{Event: e.Id, Do: &botv1.Call_History{History: &botv1.History{}}},
		{Event: e.Id, Do: &botv1.Call_Members{Members: &botv1.Members{}}},
		{Event: e.Id, Do: &botv1.Call_Schedule{Schedule: &botv1.Schedule{Id: "x", At: 1}}},
		{Event: e.Id, Do: &botv1.Call_FileGet{FileGet: &botv1.FileGet{}}},
		{Event: e.Id, Do: &botv1.Call_Handoff{Handoff: &botv1.Handoff{To: "human"}}},
		{Event: e.Id, Do: &botv1.Call_Tools{Tools: &botv1.Tools{}}},
		{Event: e.Id, Do: &botv1.Call_Silence{Silence: &botv1.Silence{User: "ann"}}},
		{Event: e.Id, Do: &botv1.Call_Usage{Usage: &botv1.Usage{}}},
		{Event: e.Id, Do: &botv1.Call_Fetch{Fetch: &botv1.Fetch{}}},
		{Event: e.Id, Do: &botv1.Call_HookList{HookList: &botv1.HookList{}}},
		{Event: e.Id, As: "b_other", Do: &botv1.Call_KvGet{KvGet: &botv1.KvGet{Key: "x"}}},
	} {
		c.fails("DENIED", call)
	}
	c.fails("NOT_FOUND", &botv1.Call{Session: other, Do: &botv1.Call_KvGet{KvGet: &botv1.KvGet{Key: "x"}}})
	c.fails("NOT_FOUND", &botv1.Call{Do: &botv1.Call_Secret{Secret: &botv1.Secret{Name: "x"}}})
	c.fails("UNKNOWN_TYPE", &botv1.Call{Event: e.Id})
}

func TestABotThatSaysTooMuchIsToldWhenItMayGoOn(t *testing.T) {
	s := newStage(t, desk.Config{})
	c := s.caller(aBot("echo"))
	id := s.p2p("b_echo")
	s.say("ann", id, "hi")
	e := c.event("message")
	for n := range 5 {
		c.ok(post(e.Id, uint32(n), "text "+strings.Repeat("x", n)))
	}
	if r := c.fails("RATE_LIMITED", post(e.Id, 9, "one more")); r.RetryAfterMs < 1 || r.RetryAfterMs > 1000 {
		t.Errorf("it may go on after %d ms", r.RetryAfterMs)
	}
	c.ok(post(e.Id, 1, "text x")) // it is there already
	c.ok(&botv1.Call{Event: e.Id, Do: &botv1.Call_Typing{Typing: &botv1.Typing{}}})
}

func TestKeysAreComparedAndEnd(t *testing.T) {
	cfg := quick
	cfg.Keys = 1000
	s := newStage(t, cfg)
	c := s.caller(aBot("echo"))
	id := s.p2p("b_echo")
	s.say("ann", id, "hi")
	e := c.event("message")
	set := func(key, value string, version *int64, ttl int64) *botv1.Call {
		return &botv1.Call{Event: e.Id, Do: &botv1.Call_KvSet{KvSet: &botv1.KvSet{Key: key, Value: []byte(value), IfVersion: version, TtlMs: ttl}}}
	}
	get := func(session, key string) *botv1.KvItem {
		return c.ok(&botv1.Call{Event: e.Id, Session: session, Do: &botv1.Call_KvGet{KvGet: &botv1.KvGet{Key: key}}}).GetKv()
	}
	first := c.ok(set("k", "one", new(int64), 0)).GetKv()
	c.fails("CONFLICT", set("k", "two", new(int64), 0))
	c.ok(set("k", "two", &first.Version, 0))
	if got := get("", "k"); string(got.Value) != "two" || got.Version <= first.Version {
		t.Errorf("the key is %v", got)
	}
	if got := get("-", "k"); got.Version != 0 {
		t.Errorf("outside the session it is %v", got)
	}
	c.ok(set("short", "x", nil, 1))
	eventually(t, "its time is over", func() bool { return get("", "short").Version == 0 })
	c.fails("QUOTA", set("big", strings.Repeat("x", 1000), nil, 0))
	c.fails("TOO_LARGE", set("big", strings.Repeat("x", 64<<10+1), nil, 0))
	c.fails("BAD_REQUEST", set("", "x", nil, 0))
	c.ok(set("k2", "x", nil, 0))
	list := c.ok(&botv1.Call{Event: e.Id, Do: &botv1.Call_KvList{KvList: &botv1.KvList{Prefix: "k", Limit: 1}}}).GetKvList()
	if len(list.Items) != 1 || !list.More || list.Items[0].Key != "k" {
		t.Errorf("listed are %v", list)
	}
	if c.ok(&botv1.Call{Event: e.Id, Do: &botv1.Call_KvSet{KvSet: &botv1.KvSet{Key: "k", Remove: true}}}); get("", "k").Version != 0 {
		t.Error("it was not removed")
	}
}

func TestASchedulesEventComesOnceItIsTime(t *testing.T) {
	s := newStage(t, quick)
	bot := aBot("echo")
	c := s.caller(bot)
	id := s.p2p("b_echo")
	s.say("ann", id, "hi")
	e := c.event("message")
	at := time.Now().UnixMilli()
	schedule := func(name string, at int64) *botv1.Call {
		return &botv1.Call{Event: e.Id, Do: &botv1.Call_Schedule{Schedule: &botv1.Schedule{Id: name, At: at, Body: "tea"}}}
	}
	c.ok(schedule("far", at+time.Hour.Milliseconds()))
	c.fails("OUT_OF_RANGE", schedule("never", at+20*365*24*time.Hour.Milliseconds()))
	c.ok(schedule("now", at))
	due := c.event("schedule")
	if due.Body != "tea" || due.Session != id || due.SessionType != "p2p" || due.Action != "now" {
		t.Errorf("it came as %v", due)
	}
	c.Close("crash")
	<-c.visit.done
	c = s.caller(bot)
	if again := c.event("schedule"); again.Id != due.Id || again.Attempt != 2 {
		t.Errorf("it came again as %v", again)
	}
	c.ok(post(due.Id, 1, "tea is ready"))
	c.done(due)
	c.ok(&botv1.Call{Event: e.Id, Do: &botv1.Call_Unschedule{Unschedule: &botv1.Unschedule{Id: "far"}}})
	eventually(t, "it is forgotten", func() bool {
		return c.do(&botv1.Call{Event: e.Id, Do: &botv1.Call_Unschedule{Unschedule: &botv1.Unschedule{Id: "now"}}}).Code == "NOT_FOUND"
	})
}

func TestWhatComesFromOutsideIsGivenOnce(t *testing.T) {
	s := newStage(t, quick)
	id := s.p2p("b_echo")
	in := desk.Incoming{Plugin: "echo", Bot: "b_echo", Session: id, ID: "1", Body: "built"}
	for range 2 {
		if err := s.desks.Incoming(t.Context(), in); err != nil {
			t.Fatal(err)
		}
	}
	c := s.caller(aBot("echo"))
	e := c.event("webhook")
	if e.Body != "built" || e.Session != id {
		t.Errorf("it came as %v", e)
	}
	c.done(e)
	in.ID = "2"
	if err := s.desks.Incoming(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	if next := c.event("webhook"); next.Id == e.Id {
		t.Error("the first one came again")
	}
}

func TestADraftBecomesAMessage(t *testing.T) {
	s := newStage(t, quick)
	c := s.caller(aBot("echo"))
	id := s.p2p("b_echo")
	s.say("ann", id, "hi")
	e := c.event("message")
	c.ok(delta(e.Id, 0, "你好"))
	c.ok(delta(e.Id, 6, ", ann"))
	c.fails("OUT_OF_RANGE", delta(e.Id, 99, "hole"))
	r := s.must("ann", &protocol.Frame{Body: &protocol.Frame_Sync{Sync: &protocol.Sync{Session: id, AfterSeq: new(int64)}}}).GetSyncReply()
	if len(r.Streams) != 1 || r.Streams[0].Text != "你好, ann" {
		t.Errorf("the draft is seen as %v", r.Streams)
	}
	got := c.ok(end(e.Id, "", "stop")).GetPosted()
	c.done(e)
	if e := s.log(id)[1]; e.Content.Text != "你好, ann" || e.MessagerecvId != got.Message || e.ClientMsgId != r.Streams[0].StreamId {
		t.Errorf("it became %v", e)
	}
}

func TestADraftThatIsStoppedIsEndedByTheBotOrForIt(t *testing.T) {
	cfg := quick
	s := newStage(t, cfg)
	c := s.caller(aBot("echo"))
	id := s.p2p("b_echo")
	for _, ends := range []bool{true, false} {
		if !ends {
			cfg.StopIn = time.Millisecond
			s = newStage(t, cfg)
			c = s.caller(aBot("echo"))
			id = s.p2p("b_echo")
		}
		s.say("ann", id, "hi")
		e := c.event("message")
		c.ok(delta(e.Id, 0, "It was a"))
		var stream string
		eventually(t, "the draft is seen", func() bool {
			r := s.must("ann", &protocol.Frame{Body: &protocol.Frame_Sync{Sync: &protocol.Sync{Session: id, AfterSeq: new(int64)}}}).GetSyncReply()
			if len(r.Streams) == 1 {
				stream = r.Streams[0].StreamId
			}
			return stream != ""
		})
		s.must("ann", &protocol.Frame{Body: &protocol.Frame_MsgCancel{MsgCancel: &protocol.MsgCancel{Session: id, MessagerecvId: stream}}})
		if f := c.frame(); f.GetCancel().GetEvent() != e.Id || f.GetCancel().GetBy() != "ann" {
			t.Errorf("the bot is told %v", f)
		}
		if ends {
			c.ok(end(e.Id, "", "stop"))
			c.done(e)
		}
		s.saysInTheEnd(id, "b_echo", "It was a")
		if e := s.log(id)[1]; !strings.Contains(e.Content.Data, `"finish":"cancelled"`) {
			t.Errorf("it is told as %v", e.Content)
		}
	}
}

func TestADraftWhoseBotIsLostBecomesAMessageUnlessItGoesOn(t *testing.T) {
	cfg := quick
	s := newStage(t, cfg)
	bot := aBot("echo")
	c := s.caller(bot)
	id := s.p2p("b_echo")
	s.say("ann", id, "hi")
	e := c.event("message")
	c.ok(delta(e.Id, 0, "Once"))
	c.Close("crash")
	<-c.visit.done
	c = s.caller(bot)
	e = c.event("message")
	c.ok(delta(e.Id, 0, "Twice"))
	c.ok(end(e.Id, "Twice told", "stop"))
	c.done(e)
	s.saysInTheEnd(id, "b_echo", "Twice told")

	cfg.Interrupted = time.Millisecond
	s = newStage(t, cfg)
	c = s.caller(bot)
	id = s.p2p("b_echo")
	s.say("ann", id, "hi")
	e = c.event("message")
	c.ok(delta(e.Id, 0, "Once"))
	c.Close("crash")
	<-c.visit.done
	s.saysInTheEnd(id, "b_echo", "Once")
	s.say("ann", id, "and?")
	c = s.caller(bot)
	if e := c.event("message"); e.Text != "and?" {
		t.Errorf("the event that was answered comes again: %v", e)
	}
}

func TestABotLooksBackAndKnowsWhoIsThere(t *testing.T) {
	s := newStage(t, quick)
	c := s.caller(aBot("echo"))
	id := s.create(protocol.SessionType_GROUP, "bob", "b_echo")
	for _, text := range []string{"one", "two", "three"} {
		s.say("bob", id, text)
	}
	s.say("ann", id, "@echo what was it?", mention("b_echo"))
	e := c.event("message")
	history := func(session string) *botv1.Call {
		return &botv1.Call{Event: e.Id, Session: session, Do: &botv1.Call_History{History: &botv1.History{Limit: 2}}}
	}
	var texts []string
	for _, line := range c.ok(history("")).GetEntries().GetLines() {
		texts = append(texts, line.Text+" of "+line.Sender.Name)
	}
	if !slices.Equal(texts, []string{"two of bob", "three of bob"}) {
		t.Errorf("it was said %q", texts)
	}
	other := s.create(protocol.SessionType_GROUP, "b_echo")
	c.fails("DENIED", history(other))
	people := c.ok(&botv1.Call{Event: e.Id, Do: &botv1.Call_Members{Members: &botv1.Members{}}}).GetMembers().GetPeople()
	if len(people) != 3 || people[0].User != "ann" || people[0].Role != "owner" {
		t.Errorf("there are %v", people)
	}
}

func TestPeopleTakeOverAndGiveBack(t *testing.T) {
	s := newStage(t, quick)
	c := s.caller(aBot("echo"))
	id := s.create(protocol.SessionType_GROUP, "bob", "b_echo")
	s.say("bob", id, "@echo help", mention("b_echo"))
	e := c.event("message")
	c.ok(&botv1.Call{Event: e.Id, Do: &botv1.Call_Handoff{Handoff: &botv1.Handoff{To: "human", Summary: "bob needs help"}}})
	c.done(e)
	eventually(t, "the owner is asked", func() bool {
		return slices.Contains(s.told.whispered(), "The bot asks you to take over: bob needs help")
	})
	s.say("bob", id, "@echo are you there?", mention("b_echo"))
	s.say("bob", id, "/bot")
	s.say("bob", id, "@echo and now?", mention("b_echo"))
	if e := c.event("message"); e.Text != "and now?" {
		t.Errorf("while people had taken over it got %v", e)
	}
	if got := s.texts(id, "b_echo"); !slices.Equal(got, []string{"People take over here. /bot brings the bot back.", "The bot is back."}) {
		t.Errorf("the session was told %q", got)
	}
}

func TestABotIsToldWhenItIsTakenOut(t *testing.T) {
	s := newStage(t, quick)
	c := s.caller(aBot("echo"))
	id := s.create(protocol.SessionType_GROUP, "b_echo")
	added := c.event("added")
	c.done(added)
	s.must("ann", &protocol.Frame{Body: &protocol.Frame_SessionRemoveUser{SessionRemoveUser: &protocol.SessionRemoveUser{Session: id, Members: []string{"b_echo"}}}})
	e := c.event("removed")
	c.done(e)
	if e.Session != id || e.Sender.User != "ann" {
		t.Errorf("it is told %v", e)
	}
	s.say("ann", id, "gone?")
	s.must("ann", &protocol.Frame{Body: &protocol.Frame_SessionAddUser{SessionAddUser: &protocol.SessionAddUser{Session: id, Members: []string{"b_echo"}}}})
	s.say("ann", id, "@echo back?", mention("b_echo"))
	if e := c.event("message"); e.Text != "back?" {
		t.Errorf("it got %v", e)
	}
}

func TestABotHearsThatItIsInASessionWheneverItComesBack(t *testing.T) {
	s := newStage(t, quick)
	c := s.caller(aBot("echo"))
	id := s.create(protocol.SessionType_GROUP, "b_echo")
	first := c.event("added")
	eventually(t, "it is noted that this is still to do", func() bool {
		at, err := s.store.BotCursor(t.Context(), "b_echo", id)
		return err == nil && at != nil && at.Seq == -1
	})
	c.Close("")
	<-c.visit.done
	c = s.caller(aBot("echo"))
	if e := c.event("added"); e.Id != first.Id || e.Attempt != 2 {
		t.Errorf("it is told %v, and was told %v", e, first)
	} else {
		c.done(e)
	}
	eventually(t, "it is noted that this is done", func() bool {
		at, err := s.store.BotCursor(t.Context(), "b_echo", id)
		return err == nil && at != nil && at.Seq == 0
	})
}

func TestABotThatIsAwayHearsLaterThatItWasTakenOut(t *testing.T) {
	s := newStage(t, quick)
	c := s.caller(aBot("echo"))
	id := s.create(protocol.SessionType_GROUP, "b_echo")
	c.done(c.event("added"))
	eventually(t, "it is noted that it is in it", func() bool {
		at, err := s.store.BotCursor(t.Context(), "b_echo", id)
		return err == nil && at != nil
	})
	c.Close("")
	<-c.visit.done
	s.must("ann", &protocol.Frame{Body: &protocol.Frame_SessionRemoveUser{SessionRemoveUser: &protocol.SessionRemoveUser{Session: id, Members: []string{"b_echo"}}}})
	c = s.caller(aBot("echo"))
	e := c.event("removed")
	if c.done(e); e.Session != id || e.Sender.GetUser() != "ann" {
		t.Errorf("it is told %v", e)
	}
	eventually(t, "nothing is kept of it", func() bool {
		at, err := s.store.BotCursor(t.Context(), "b_echo", id)
		due, _, dueErr := s.store.DueBotSchedules(t.Context(), "echo", time.Now().Add(time.Hour), 9)
		return err == nil && dueErr == nil && at == nil && len(due) == 0
	})
}

func TestAnEventSaysWhatLanguageItsSenderSpeaks(t *testing.T) {
	for installation, want := range map[string][]string{
		"":   {"en", "zh-CN", "fr", "zh-TW", "en"},
		"de": {"de", "de", "fr", "zh-TW", "de"}, // nothing is guessed
	} {
		cfg := quick
		cfg.Locale = installation
		s := newStage(t, cfg)
		c := s.caller(aBot("echo"))
		id := s.create(protocol.SessionType_GROUP, "yan", "b_echo")
		for i, said := range []struct{ user, text, data string }{
			{"ann", "hello", ""}, {"ann", "你好", ""}, {"ann", "你好", `{"troupe":{"locale":"fr"}}`}, {"yan", "hello", ""}, {"ann", "hello", `{"troupe":{"locale":"not one"}}`},
		} {
			s.say(said.user, id, "@echo "+said.text, mention("b_echo"), data(protocol.ContentType_TEXT, said.data))
			e := c.event("message")
			if c.done(e); e.Locale != want[i] {
				t.Errorf("installation %q, %+v: it is %q, want %q", installation, said, e.Locale, want[i])
			}
		}
	}
}

func TestModeratorsRule(t *testing.T) {
	s := newStage(t, quick)
	bot := aBot("mod", "moderate")
	bot.says.Moderates = true
	bot.plugin.Everywhere = true
	c := s.caller(bot)
	answer := func(v *botv1.Verdict) chan *botv1.Moderate {
		asked := make(chan *botv1.Moderate, 1)
		go func() {
			f := c.frame()
			if v != nil {
				v.Id = f.GetModerate().GetId()
				c.send(&botv1.BotFrame{Body: &botv1.BotFrame_Verdict{Verdict: v}})
			}
			asked <- f.GetModerate()
		}()
		return asked
	}
	trial := &actors.Trial{
		Session: &protocol.SessionInfo{Session: protocol.NewSessionID(), SessionType: protocol.SessionType_GROUP, Owner: "ann"},
		Sender:  &protocol.Identity{User: "ann"}, Role: protocol.Role_OWNER,
		Message: &protocol.MsgSend{Content: &protocol.Content{Type: protocol.ContentType_TEXT, Text: "a bad word"}},
	}
	if !s.desks.Judges(trial.Session, nil, "ann") || s.desks.Judges(trial.Session, nil, "b_mod") {
		t.Error("it judges others everywhere, and not itself")
	}
	for verdict, want := range map[string]string{"allow": "", "reject": "rejected", "hold": "held", "rewrite": "rewritten", "shrug": ""} {
		asked := answer(&botv1.Verdict{Verdict: verdict, Text: "a *** word", Reason: "rude"})
		got, err := s.desks.Rule(t.Context(), trial)
		if m := <-asked; m.Text != "a bad word" || m.Sender.Role != "owner" || m.Sender.Name != "ann" || m.DeadlineMs < 1 || m.DeadlineMs > 300 {
			t.Errorf("it was asked %v", m)
		}
		switch {
		case err != nil:
			t.Errorf("%s: %v", verdict, err)
		case want == "" && got != nil, want != "" && (got == nil || got.State != want || got.By != "b_mod" || got.Reason != "rude"):
			t.Errorf("%s: %+v", verdict, got)
		case want == "rewritten" && got.Content.Text != "a *** word":
			t.Errorf("rewritten as %v", got.Content)
		}
	}
	asked := answer(nil)
	if got, err := s.desks.Rule(t.Context(), trial); got != nil || err != nil {
		t.Errorf("without an answer in time: %+v, %v", got, err)
	}
	<-asked
}

func TestWhatWasHeldBackIsGivenToBotsWhenItIsLetGo(t *testing.T) {
	s := newStage(t, quick)
	mod := aBot("mod", "moderate")
	mod.says.Moderates, mod.plugin.Everywhere = true, true
	mod.frame = func(w *wire, f *botv1.HostFrame) bool {
		m := f.GetModerate()
		if m == nil {
			return false
		}
		v := &botv1.Verdict{Id: m.Id, Verdict: "allow"}
		if strings.Contains(m.Text, "hold") {
			v.Verdict = "hold"
		}
		return w.send(&botv1.BotFrame{Body: &botv1.BotFrame_Verdict{Verdict: v}})
	}
	s.enter(mod)
	echoes := aBot("echo")
	echoes.on = func(w *wire, e *botv1.Event) { // what bots say is judged too
		e.Text = strings.TrimPrefix(e.Text, "hold ")
		echo(w, e)
	}
	s.enter(echoes)
	id := s.create(protocol.SessionType_GROUP, "bob", "b_echo")
	held := s.say("bob", id, "@echo hold this", mention("b_echo"))
	s.say("bob", id, "@echo not this", mention("b_echo"))
	s.saysInTheEnd(id, "b_echo", "echo not this")
	if held.Deal.GetState() != "held" {
		t.Fatalf("it was stored as %v", held)
	}
	if err := s.node.Decide(t.Context(), protocol.Identity{User: "ann", Device: "d"}, held.MessagerecvId, actors.VerdictAllow, ""); err != nil {
		t.Fatal(err)
	}
	s.saysInTheEnd(id, "b_echo", "echo not this", "echo this")
}

func TestADraftThatAModeratorRejectsIsNotGoneOnWith(t *testing.T) {
	s := newStage(t, quick)
	mod := aBot("mod", "moderate")
	mod.says.Moderates, mod.plugin.Everywhere = true, true
	mod.frame = func(w *wire, f *botv1.HostFrame) bool {
		m := f.GetModerate()
		if m == nil {
			return false
		}
		v := &botv1.Verdict{Id: m.Id, Verdict: "allow"}
		if m.Draft && strings.Contains(m.Text, "bad") {
			v.Verdict = "reject"
		}
		return w.send(&botv1.BotFrame{Body: &botv1.BotFrame_Verdict{Verdict: v}})
	}
	s.enter(mod)
	c := s.caller(aBot("echo"))
	id := s.p2p("b_echo")
	s.say("ann", id, "hi")
	e := c.event("message")
	c.ok(delta(e.Id, 0, strings.Repeat("good ", 30)))
	c.ok(delta(e.Id, 150, strings.Repeat("bad ", 30)))
	if f := c.frame(); f.GetCancel().GetEvent() != e.Id {
		t.Errorf("it is told %v", f)
	}
	if got := c.ok(end(e.Id, "good bad", "stop")).GetPosted(); got.Message != "" {
		t.Errorf("it became %v", got)
	}
	c.done(e)
	if got := s.texts(id, "b_echo"); len(got) != 0 {
		t.Errorf("it said %q", got)
	}
}
