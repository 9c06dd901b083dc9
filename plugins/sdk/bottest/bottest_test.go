package bottest_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/troupe-im/troupe/plugins/sdk"
	"github.com/troupe-im/troupe/plugins/sdk/bottest"
)

func greeter() *sdk.Bot {
	return &sdk.Bot{
		ID: "hello", Name: "Hello", Scopes: []string{"kv"},
		OnMessage: func(c *sdk.Ctx) error { return c.Reply("Hello " + c.Sender.Name + ": " + c.Text) },
	}
}

func TestABotAnswersWhoSpeaksToIt(t *testing.T) {
	h := bottest.New(t, greeter())
	h.Say("hi").Expect("Hello Ann: hi")
	h.By("bob").Say("hi").Expect("Hello Bob: hi")
	h.SayIn("team", "hi").ExpectNothing()
	h.Mention("hi").Expect("Hello Ann: hi")
	h.In("team").Say("@Hello hi").Expect("Hello Ann: hi")
}

func TestWhatWasSaidBeforeACrashIsNotSaidAgain(t *testing.T) {
	h := bottest.New(t, greeter())
	h.Say("hi").Expect("Hello Ann: hi")
	again := h.Crash().ExpectNothing()
	if len(again.Repeated()) != 1 || len(h.Messages()) != 2 {
		t.Errorf("after a crash there are %d messages, %d of them said twice", len(h.Messages()), len(again.Repeated()))
	}
}

func TestABotThatDiesHalfWayGoesOnWhereItWas(t *testing.T) {
	attempts := make(chan int, 8)
	h := bottest.New(t, &sdk.Bot{ID: "three", OnMessage: func(c *sdk.Ctx) error {
		attempts <- c.Attempt
		for i := range 3 {
			if err := c.Replyf("part %d", i); err != nil {
				return err
			}
		}
		return nil
	}})
	h.CrashAfter(2)
	h.Begin("go")
	if n := <-attempts; n != 1 {
		t.Errorf("the first attempt is %d", n)
	}
	second := h.Crash()
	if n := <-attempts; n != 2 {
		t.Errorf("the second attempt is %d", n)
	}
	// One reply may have been on its way when the bot died: it is the host's in any case.
	if all := h.Messages(); len(all) != 4 || len(second.Said())+len(second.Repeated()) != 3 {
		t.Errorf("there are %d messages after the crash", len(all))
	}
}

func TestAPanicIsANack(t *testing.T) {
	h := bottest.New(t, &sdk.Bot{ID: "oops", OnMessage: func(c *sdk.Ctx) error {
		if c.Attempt == 1 {
			panic("oops")
		}
		return c.Reply("better")
	}})
	if err := h.Say("hi").Err(); err == nil || !strings.Contains(err.Error(), "oops") {
		t.Errorf("a panic is acknowledged with %v", err)
	}
	h.Redeliver().Expect("better")
}

func TestErrorsSayWhetherAnotherTryHelps(t *testing.T) {
	var what error
	h := bottest.New(t, &sdk.Bot{ID: "err", OnMessage: func(c *sdk.Ctx) error { return what }})
	for _, c := range []struct {
		err   error
		drop  bool
		after int64
	}{
		{errors.New("network"), false, 0},
		{sdk.Drop(errors.New("never")), true, 0},
		{&sdk.Error{Code: "DENIED"}, true, 0},
		{fmt.Errorf("posting: %w", &sdk.Error{Code: "RATE_LIMITED", RetryAfter: time.Minute}), false, 60_000},
		{sdk.RetryIn(time.Second, errors.New("busy")), false, 1000},
	} {
		what = c.err
		a := h.Say("x").Ack()
		if a.Error == "" || a.Drop != c.drop || a.RetryAfterMs != c.after {
			t.Errorf("%v is acknowledged as %v", c.err, a)
		}
	}
}

func TestStreamsAreCutBetweenLetters(t *testing.T) {
	text := "你好，世界 🎭 — done"
	h := bottest.New(t, &sdk.Bot{ID: "slow", OnMessage: func(c *sdk.Ctx) error {
		s := c.Stream()
		for i := range len(text) {
			if _, err := s.Write([]byte(text[i : i+1])); err != nil {
				return err
			}
		}
		return s.Close()
	}})
	turn := h.Say("go").Expect(text)
	if m := turn.Said()[0]; !m.Streamed || m.Finish != "stop" || m.Text != text {
		t.Errorf("the message is %+v", m)
	}
}

func TestStopKeepsWhatWasWritten(t *testing.T) {
	h := bottest.New(t, &sdk.Bot{ID: "slow", OnMessage: func(c *sdk.Ctx) error {
		s := c.Stream()
		fmt.Fprint(s, "one two")
		<-c.Done()
		_, err := fmt.Fprint(s, "never")
		return err
	}})
	turn := h.Begin("go").Drafted("one two").Stop()
	if err := turn.Err(); err != nil {
		t.Errorf("a stop is an error: %v", err)
	}
	if said := turn.Said(); len(said) != 1 || said[0].Finish != "cancelled" || said[0].Text != "one two" {
		t.Errorf("after Stop there is %+v", said)
	}
}

func TestCommandsHaveTypedArguments(t *testing.T) {
	type order struct {
		In    time.Duration `help:"when" zh:"多久"`
		Who   sdk.Person
		Count int      `min:"1" max:"9" default:"2"`
		Size  string   `choices:"small,large" default:"small"`
		What  []string `arg:"what,optional"`
	}
	bot := &sdk.Bot{ID: "shop", Commands: []sdk.Command{
		sdk.On("order", "Order", func(c *sdk.Ctx, o order) error {
			return c.Replyf("%v %s %d %s %q", o.In, o.Who.User, o.Count, o.Size, o.What)
		}).In("zh-CN", "点单"),
		{Name: "ping", Help: "Ping", Run: func(c *sdk.Ctx) error { return c.Reply("pong") }},
	}}
	h := bottest.New(t, bot)
	h.Command(`/order 90s @bob 3 large tea "green tea"`).Expect(`1m30s u_bob 3 large ["tea" "green tea"]`)
	h.Command("/order 1h30m ann").Expect(`1h30m0s u_ann 2 small []`)
	h.Command("/ping").Expect("pong")
	if err := h.Say("/order soon ann").Err(); err == nil || !strings.HasPrefix(err.Error(), "in: ") {
		t.Errorf("a wrong argument: %v", err)
	}
	h.Say("/order 1m ann 10").ExpectNothing()
	d := h.Describe().Commands[0]
	if d.HelpIn["zh-CN"] != "点单" || d.Args[0].HelpIn["zh-CN"] != "多久" || !d.Args[1].Required || d.Args[2].Required {
		t.Errorf("the command is described as %v", d)
	}
}

func TestKeysAreSwappedSchedulesComeAndCardsAreLocked(t *testing.T) {
	h := bottest.Config{Locale: "zh-CN", Secrets: map[string]string{"key": "s3"}}.New(t, &sdk.Bot{
		ID: "all", Scopes: []string{"kv", "schedule"},
		OnMessage: func(c *sdk.Ctx) error {
			n, err := sdk.Update(c.KV(), "n", func(n *int) error { *n++; return nil })
			if err != nil {
				return err
			}
			if err := c.Global().SetFor("soon", []byte("x"), time.Minute); err != nil {
				return err
			}
			if err := c.KV().Swap("n", nil, 0); sdk.Code(err) != "CONFLICT" {
				return fmt.Errorf("a swap of what is there: %v", err)
			}
			secret, err := c.Secret("key")
			if err != nil {
				return err
			}
			if err := c.Schedule("tick", c.Now().Add(time.Hour), map[string]int{"n": n}); err != nil {
				return err
			}
			_, err = c.Card(sdk.NewCard(c.Say("好", "ok")).Row("n", fmt.Sprint(n)).Row("secret", secret).Primary("yes", "Yes"))
			return err
		},
		Actions: map[string]func(*sdk.Ctx) error{
			"yes": func(c *sdk.Ctx) error { return c.Lock(sdk.NewCard("thanks")) },
		},
		OnSchedule: func(c *sdk.Ctx) error { return c.Reply(c.Action + " " + c.Body) },
	})
	card := h.Say("go").Expect("[好]", "| n | 1", "| secret | s3", "<Yes>").CardMessage()
	h.Click(card, "yes").Expect("[thanks]", "(done: yes)")
	if v := h.In("-").Value("soon"); v != "x" {
		t.Errorf("the key is %q", v)
	}
	turns := h.Advance(time.Hour)
	if len(turns) != 1 {
		t.Fatalf("%d schedules came", len(turns))
	}
	turns[0].Expect(`tick {"n":1}`)
	if v := h.In("-").Value("soon"); v != "" {
		t.Errorf("the key is still %q after an hour", v)
	}
	h.Say("go").Expect("| n | 2")
}

func TestAFailureOfTheHostIsAnErrorWithACode(t *testing.T) {
	h := bottest.New(t, greeter())
	h.Fail("post", "DENIED")
	if a := h.Say("hi").Ack(); a.Error != "DENIED: as the test said" || !a.Drop {
		t.Errorf("acknowledged as %v", a)
	}
	h.Fail("post", "RATE_LIMITED", 5*time.Millisecond)
	h.Say("hi").Expect("Hello Ann")
}

func TestWhatABotWasNotGrantedIsDenied(t *testing.T) {
	use := func(c *sdk.Ctx) error { _, err := c.KV().Get("x"); return err }
	if err := bottest.New(t, &sdk.Bot{ID: "x", OnMessage: use}).Say("x").Err(); err == nil || !strings.Contains(err.Error(), "the scope kv") {
		t.Errorf("without the scope kv: %v", err)
	}
	asks := &sdk.Bot{ID: "x", Scopes: []string{"kv"}, OnMessage: use}
	if err := bottest.New(t, asks).Say("x").Err(); err != nil {
		t.Errorf("with the scope kv: %v", err)
	}
	if err := (bottest.Config{Scopes: []string{}}).New(t, asks).Say("x").Err(); err == nil {
		t.Error("it asked for the scope kv, which was not granted, and has it")
	}
}

func TestModerationHasItsVerdict(t *testing.T) {
	h := bottest.New(t, &sdk.Bot{ID: "mod", Moderate: func(d *sdk.Draft) sdk.Verdict {
		switch d.Text {
		case "bad":
			return sdk.Reject("no")
		case "rude":
			return sdk.Rewrite("****", "language")
		case "odd":
			return sdk.Hold("let me see")
		}
		return sdk.Allow()
	}})
	for text, word := range map[string]string{"bad": "reject", "rude": "rewrite", "odd": "hold", "good": "allow"} {
		if v := h.Moderate(text); v.Word() != word {
			t.Errorf("%s: %v", text, v)
		}
	}
}

func TestSettingsAreFilledOverTheirDefaults(t *testing.T) {
	type config struct {
		Word string   `json:"word" default:"hi" help:"what it says"`
		Max  int      `json:"max" default:"3"`
		Wait sdk.Span `json:"wait" default:"10m"`
		List []string `json:"list"`
	}
	c := &config{}
	h := bottest.Config{Config: `{"max":5,"list":["a"]}`}.New(t, &sdk.Bot{ID: "set", Config: c, OnMessage: func(x *sdk.Ctx) error {
		return x.Replyf("%s %d %v %v", c.Word, c.Max, time.Duration(c.Wait), c.List)
	}})
	h.Say("?").Expect("hi 5 10m0s [a]")
	if s := h.Describe().ConfigSchema; !strings.Contains(s, `"word":{"default":"hi","description":"what it says","type":"string"}`) {
		t.Errorf("the schema is %s", s)
	}
}

func TestDrainWaitsForWhatIsInHand(t *testing.T) {
	enter, leave := make(chan bool), make(chan bool)
	h := bottest.New(t, &sdk.Bot{ID: "slow", OnMessage: func(c *sdk.Ctx) error {
		enter <- true
		<-leave
		return c.Reply("done")
	}})
	turn := h.Begin("go")
	<-enter
	go func() { leave <- true }()
	h.Drain()
	turn.Wait().Expect("done")
}

func TestTheTranscriptIsWhatPeopleSaw(t *testing.T) {
	h := bottest.New(t, greeter())
	h.Say("hi")
	h.Crash()
	want := "ann: hi\n  bot: Hello Ann: hi\n(the bot crashes)\n"
	if got := h.Transcript(); got != want {
		t.Errorf("the transcript is %q", got)
	}
}
