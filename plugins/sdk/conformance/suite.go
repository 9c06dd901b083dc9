package conformance

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// Run checks the bot to which open makes a new connection each time. A few are made: most
// checks share one, as long as nothing fails.
func Run(t *testing.T, open func(*testing.T) Channel) {
	var h *host
	for _, c := range []struct {
		name string
		f    func(*testing.T, *host)
	}{
		{"It introduces itself", introduction},
		{"It answers", answers},
		{"What it says is numbered alike each time", numbers},
		{"Letters of all the world come back as they went", unicode},
		{"Four mebibytes come back", big},
		{"A stream goes on where it was", stream},
		{"Stop keeps what was written", stop},
		{"Errors and panics are nacks", failures},
		{"What the host refuses is an error with its code", refusals},
		{"What the host puts off is tried again", later},
		{"What it does not know it ignores", unknown},
		{"It answers pings while it is busy", pings},
		{"Sessions do not wait for each other", parallel},
		{"It judges", moderation},
		{"Keys are compared and set", keys},
		{"Members are read page by page", members},
		{"Cards are locked by their actions", cards},
		{"Commands have typed arguments", commands},
		{"Schedules come back", schedules},
		{"Whispers have a number of their own", whispers},
		{"What it prints breaks nothing", noise},
	} {
		if h == nil {
			h = meet(t, open(t), "")
		}
		ok := t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			h.t = t
			c.f(t, h)
		})
		if h.answerBy(nil); !ok {
			h.close()
			h = nil
		}
	}
	t.Run("Drained_comes_after_the_last_Ack", func(t *testing.T) { drain(t, meet(t, open(t), "")) })
	t.Run("It_takes_its_settings", func(t *testing.T) {
		h := meet(t, open(t), `{"greeting":"servus"}`)
		if got := h.says(h.message("s", "greet")); !slices.Equal(got, []string{"servus"}) {
			t.Errorf("with a setting it says %q", got)
		}
	})
	t.Run("It_ends_when_it_is_refused", func(t *testing.T) {
		c := open(t)
		defer c.Close("the test is over")
		if f, err := c.Recv(); err != nil || f.GetDescribe() == nil {
			t.Fatalf("instead of Describe: %v, %v", f, err)
		}
		h := &host{t: t, c: c}
		h.send(&botv1.HostFrame{Body: &botv1.HostFrame_Refused{Refused: &botv1.Refused{Code: "DENIED", Reason: "as the test wants it"}}})
		for {
			if _, err := c.Recv(); err != nil {
				return
			}
		}
	})
}

func introduction(t *testing.T, h *host) {
	d := h.describe
	if d.Protocol != 1 || d.Id != "conformance" || d.Version != "1.2.3" || d.Parallel != 8 || !d.Moderates || d.Sdk == "" {
		t.Errorf("it is %v", d)
	}
	if !slices.Equal(d.Scopes, []string{"kv", "moderate"}) {
		t.Errorf("its scopes are %v", d.Scopes)
	}
	var schema struct {
		Properties map[string]struct{ Type string }
	}
	if err := json.Unmarshal([]byte(d.ConfigSchema), &schema); err != nil || schema.Properties["greeting"].Type != "string" {
		t.Errorf("its settings are %s", d.ConfigSchema)
	}
	if len(d.Commands) != 1 || len(d.Commands[0].Args) != 3 {
		t.Fatalf("its commands are %v", d.Commands)
	}
	c := d.Commands[0]
	a, b, in := c.Args[0], c.Args[1], c.Args[2]
	if c.Name != "sum" || c.Help == "" || c.HelpIn["zh-CN"] == "" || !c.ReadOnly ||
		a.Type != "integer" || !a.Required || b.Required || b.Std != "1" || in.Type != "duration" || in.Required {
		t.Errorf("its command is %v", c)
	}
	if got := h.says(h.message("s", "greet")); !slices.Equal(got, []string{"hello"}) {
		t.Errorf("without settings it says %q", got)
	}
}

func answers(t *testing.T, h *host) {
	e := h.message("s", "echo hi")
	calls := h.ok(e)
	if len(calls) != 1 {
		t.Fatalf("it called %v", calls)
	}
	c, p := calls[0], calls[0].GetPost()
	if c.Id == 0 || c.Event != e.Id || p.GetText() != "hi" || p.GetN() != 1 {
		t.Errorf("it called %v", c)
	}
	if got := h.ok(h.message("s", "nothing known")); len(got) != 0 {
		t.Errorf("it called %v", got)
	}
}

func numbers(t *testing.T, h *host) {
	e := h.message("s", "twice x")
	h.ok(e)
	e.Attempt = 2
	h.give(e)
	var n []uint32
	for _, c := range h.ok(e) {
		n = append(n, c.GetPost().GetN())
	}
	if !slices.Equal(n, []uint32{1, 2, 1, 2}) {
		t.Errorf("what it says has the numbers %v", n)
	}
}

const letters = "你好，世界 👩‍👩‍👧 עברית e\u0301 \u2028 ﷽ 𝔘𝔫𝔦 \"'\\<&> \u0001 — 🦜"

func unicode(t *testing.T, h *host) {
	if got := h.says(h.message("s", "echo "+letters)); len(got) != 1 || got[0] != letters {
		t.Errorf("%q comes back as %q", letters, got)
	}
}

func big(t *testing.T, h *host) {
	text := strings.Repeat("好", 4<<20/3)
	if got := h.says(h.message("s", "echo "+text)); len(got) != 1 || got[0] != text {
		t.Errorf("4 MiB come back as %d texts", len(got))
	}
}

func stream(t *testing.T, h *host) {
	text := strings.Repeat(letters, 20)
	calls := h.ok(h.message("s", "stream "+text))
	sofar := ""
	for i, c := range calls {
		if d := c.GetDelta(); d != nil {
			if d.N != 1 || d.Offset != int64(len(sofar)) || c.Id != 0 {
				t.Fatalf("the part is %v, and %d bytes were sent", c, len(sofar))
			}
			sofar += d.Text
			continue
		}
		end := c.GetEnd()
		if end == nil || i != len(calls)-1 {
			t.Fatalf("call %d is %v", i, c)
		}
		if end.N != 1 || end.Text != text || end.Finish != "stop" {
			t.Errorf("the end is %v", end)
		}
	}
	if !strings.HasPrefix(text, sofar) || sofar == "" {
		t.Errorf("the parts are %q", sofar)
	}
	if len(calls) > 400 {
		t.Errorf("%d letters come in %d parts", len([]rune(text)), len(calls))
	}
}

func stop(t *testing.T, h *host) {
	e := h.message("s", "slow")
	h.wait(e, "delta", func(c *botv1.Call) bool { return c.GetDelta().GetText() == "begin" })
	h.send(&botv1.HostFrame{Body: &botv1.HostFrame_Cancel{Cancel: &botv1.Cancel{Event: e.Id, By: "u_1"}}})
	calls := h.ok(e)
	end := calls[len(calls)-1].GetEnd()
	if end.GetText() != "begin" || end.GetFinish() != "cancelled" || end.GetN() != 1 {
		t.Errorf("the end is %v", calls[len(calls)-1])
	}
	h.send(&botv1.HostFrame{Body: &botv1.HostFrame_Cancel{Cancel: &botv1.Cancel{Event: "nobody's"}}})
	h.ok(h.message("s", "echo still here"))
}

func failures(t *testing.T, h *host) {
	for text, drop := range map[string]bool{"fail me": false, "drop me": true, "panic me": false} {
		_, a := h.done(h.message("s", text))
		if !strings.Contains(a.Error, "ed: me") || a.Drop != drop {
			t.Errorf("%s is acknowledged as %v", text, a)
		}
	}
	h.ok(h.message("s", "echo still here"))
}

func refusals(t *testing.T, h *host) {
	for code, drop := range map[string]bool{"DENIED": true, "NOT_FOUND": true, "TOO_LARGE": true, "INTERNAL": false, "QUOTA": false} {
		h.answerBy(func(*botv1.Call) *botv1.Result { return &botv1.Result{Code: code, Error: "says the host"} })
		_, a := h.done(h.message("s", "echo x"))
		if !strings.Contains(a.Error, code) || !strings.Contains(a.Error, "says the host") || a.Drop != drop {
			t.Errorf("%s is acknowledged as %v", code, a)
		}
	}
	h.answerBy(func(*botv1.Call) *botv1.Result { return &botv1.Result{Code: "RATE_LIMITED", RetryAfterMs: 60_000} })
	if _, a := h.done(h.message("s", "echo x")); a.RetryAfterMs != 60_000 || a.Drop || a.Error == "" {
		t.Errorf("what has to wait a minute is acknowledged as %v", a)
	}
}

func later(t *testing.T, h *host) {
	tries := 0
	h.answerBy(func(*botv1.Call) *botv1.Result {
		if tries++; tries < 3 {
			return &botv1.Result{Code: "RATE_LIMITED", RetryAfterMs: 5}
		}
		return nil
	})
	calls := h.ok(h.message("s", "echo x"))
	if len(calls) != 3 || calls[0].GetPost().GetN() != 1 || calls[2].GetPost().GetN() != 1 || calls[0].Id == calls[2].Id {
		t.Errorf("it called %v", calls)
	}
}

func unknown(t *testing.T, h *host) {
	strange := &botv1.HostFrame{}
	strange.ProtoReflect().SetUnknown(protowire.AppendString(protowire.AppendTag(nil, 1999, protowire.BytesType), "of tomorrow"))
	h.send(strange)
	h.send(&botv1.HostFrame{})
	h.send(&botv1.HostFrame{Body: &botv1.HostFrame_Result{Result: &botv1.Result{Id: 999_999}}})
	e := &botv1.Event{Id: "x", Kind: "tomorrow", Session: "s", Attempt: 1}
	h.give(e)
	if calls := h.ok(e); len(calls) != 0 {
		t.Errorf("for an event of an unknown kind it called %v", calls)
	}
	h.ok(h.message("s", "echo still here"))
}

func pings(t *testing.T, h *host) {
	e := h.message("s", "pause 100")
	for n := range uint64(20) {
		h.send(&botv1.HostFrame{Body: &botv1.HostFrame_Ping{Ping: &botv1.Ping{N: n | 1<<63}}})
	}
	seen := map[uint64]bool{}
	acked := false
	for len(seen) < 20 || !acked {
		f := h.next("Pong")
		switch {
		case f.GetPong() != nil:
			seen[f.GetPong().N] = true
		case f.GetAck().GetEvent() == e.Id:
			acked = true
		}
	}
	for n := range uint64(20) {
		if !seen[n|1<<63] {
			t.Errorf("ping %d has no answer", n)
		}
	}
}

func parallel(t *testing.T, h *host) {
	slow := h.message("a", "slow")
	h.wait(slow, "delta", func(c *botv1.Call) bool { return c.GetDelta() != nil })
	for i := range 5 {
		if got := h.says(h.message(fmt.Sprintf("b%d", i), "echo quick")); len(got) != 1 {
			t.Errorf("beside a slow session it says %q", got)
		}
	}
	h.send(&botv1.HostFrame{Body: &botv1.HostFrame_Cancel{Cancel: &botv1.Cancel{Event: slow.Id}}})
	h.ok(slow)
}

func drain(t *testing.T, h *host) {
	e := h.message("s", "pause 150")
	h.send(&botv1.HostFrame{Body: &botv1.HostFrame_Drain{Drain: &botv1.Drain{}}})
	h.ok(e)
	if f := h.next("Drained"); f.GetDrained() == nil {
		t.Errorf("instead of Drained came %v", f)
	}
}

func moderation(t *testing.T, h *host) {
	for i, c := range []struct{ text, verdict, rewritten, reason string }{
		{"bad", "reject", "", "because"}, {"rude", "rewrite", "****", "because"},
		{"odd", "hold", "", "because"}, {"fine", "allow", "", ""},
	} {
		h.send(&botv1.HostFrame{Body: &botv1.HostFrame_Moderate{Moderate: &botv1.Moderate{Id: uint64(i + 7), Session: "s", Text: c.text}}})
		v := h.next("Verdict").GetVerdict()
		if v.GetId() != uint64(i+7) || v.GetVerdict() != c.verdict || v.GetText() != c.rewritten || v.GetReason() != c.reason {
			t.Errorf("%s is judged %v", c.text, v)
		}
	}
}

func keys(t *testing.T, h *host) {
	conflicts := 0
	h.answerBy(func(c *botv1.Call) *botv1.Result {
		if s := c.GetKvSet(); s != nil && conflicts < 2 {
			if conflicts++; s.IfVersion == nil {
				t.Errorf("it sets without comparing: %v", s)
			}
			return &botv1.Result{Code: "CONFLICT", Error: "somebody was quicker"}
		}
		return nil
	})
	if got := h.says(h.message("s", "count")); !slices.Equal(got, []string{"1"}) {
		t.Errorf("the first count is %q", got)
	}
	if got := h.says(h.message("s", "count")); !slices.Equal(got, []string{"2"}) || conflicts != 2 {
		t.Errorf("the second count is %q, after %d conflicts", got, conflicts)
	}
}

func members(t *testing.T, h *host) {
	if got := h.says(h.message("s", "who")); !slices.Equal(got, []string{"Ann Bob 陈"}) {
		t.Errorf("the members are %q", got)
	}
}

type card struct {
	Type, Title string
	Data        struct {
		Rows    []struct{ Label, Value string }
		Buttons []struct{ Action, Label, Style string }
		Done    *struct {
			Action, By string
			At         int64
		}
	}
}

func cards(t *testing.T, h *host) {
	calls := h.ok(h.message("s", "card "+letters))
	var k card
	if err := json.Unmarshal([]byte(calls[0].GetPost().GetContent()), &k); err != nil || calls[0].GetPost().GetText() != "" {
		t.Fatalf("the card is %v", calls[0])
	}
	if k.Type != "card" || k.Title != letters || len(k.Data.Rows) != 1 || k.Data.Rows[0].Label != "a" || k.Data.Rows[0].Value != "1" ||
		len(k.Data.Buttons) != 1 || k.Data.Buttons[0].Action != "press" || k.Data.Buttons[0].Style != "primary" || k.Data.Done != nil {
		t.Errorf("the card is %+v", k)
	}
	e := &botv1.Event{
		Id: "pressed", Kind: "action", Session: "s", Attempt: 1, Action: "press", Values: `{"how":"hard"}`, To: "b_conformance",
		Message: "in9", ReplyTo: &botv1.Quote{Message: "m1", Mine: true}, Sender: &botv1.Person{User: "u_2", Name: "Bob"},
	}
	h.give(e)
	calls = h.ok(e)
	k = card{}
	if len(calls) != 1 || json.Unmarshal([]byte(calls[0].GetEdit().GetContent()), &k) != nil {
		t.Fatalf("it called %v", calls)
	}
	if d := k.Data.Done; calls[0].GetEdit().Message != "m1" || k.Title != "pressed hard" || d == nil || d.Action != "press" || d.By != "u_2" || d.At == 0 {
		t.Errorf("the locked card is %+v", k)
	}
}

func commands(t *testing.T, h *host) {
	for args, want := range map[string]string{`{"a":2,"b":3,"in":600000}`: "5 600000", `{"a":-4}`: "-3 0"} {
		e := &botv1.Event{Id: args, Kind: "command", Session: "s", Attempt: 1, Command: "sum", Args: args, Sender: &botv1.Person{User: "u_1"}}
		h.give(e)
		if got := h.says(e); !slices.Equal(got, []string{want}) {
			t.Errorf("sum %s is %q", args, got)
		}
		e = &botv1.Event{Id: "tool" + args, Kind: "tool", Session: "s", Attempt: 1, Command: "sum", Args: args, Sender: &botv1.Person{User: "u_1"}}
		h.give(e)
		if got := h.says(e); !slices.Equal(got, []string{want}) {
			t.Errorf("sum %s as a tool is %q", args, got)
		}
	}
}

func schedules(t *testing.T, h *host) {
	calls := h.ok(h.message("s", "later tea"))
	if s := calls[0].GetSchedule(); s.GetId() != "later" || s.GetAt() != 2_000_000_000_000 || s.GetBody() != "tea" {
		t.Errorf("it called %v", calls)
	}
	e := &botv1.Event{Id: "due", Kind: "schedule", Session: "s", Attempt: 1, Action: "later", Body: "tea"}
	h.give(e)
	if got := h.says(e); !slices.Equal(got, []string{"later tea"}) {
		t.Errorf("at its time it says %q", got)
	}
}

func whispers(t *testing.T, h *host) {
	calls := h.ok(h.message("s", "whisper psst"))
	if w := calls[0].GetWhisper(); w.GetText() != "psst" || w.GetN() != 1 {
		t.Errorf("it called %v", calls)
	}
}

func noise(t *testing.T, h *host) {
	if got := h.says(h.message("s", "noise")); !slices.Equal(got, []string{"quiet again"}) {
		t.Errorf("after printing it says %q", got)
	}
}
