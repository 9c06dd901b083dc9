package sdk

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// Draft is a message that nobody has seen yet. Its context ends when the host does not
// wait for the Verdict any longer.
type Draft struct {
	context.Context
	Log *slog.Logger

	Session     string
	SessionType string
	Sender      Person
	Text        string
	Content     json.RawMessage
	Files       []File
	ByBot       bool // what another bot has written so far
	Now         time.Time
	Locale      string // of the installation

	c *Ctx
}

// Global is the bot's room of keys outside of sessions.
func (d *Draft) Global() KV { return d.c.Global() }

// Say is zh where the installation speaks Chinese, else en.
func (d *Draft) Say(zh, en string) string { return say(d.Locale, zh, en) }

// Verdict is what becomes of a message: Allow, Rewrite, Reject or Hold make one.
type Verdict struct {
	word   string
	text   string
	reason string
}

// Allow lets a message through as it is. So does the zero Verdict.
func Allow() Verdict { return Verdict{word: "allow"} }

// Rewrite has others see text instead. The reason is told to the sender.
func Rewrite(text, reason string) Verdict { return Verdict{"rewrite", text, reason} }

// Reject has nobody see it. The reason is told to the sender.
func Reject(reason string) Verdict { return Verdict{"reject", "", reason} }

// Hold has others see it when an administrator has let it through.
func Hold(reason string) Verdict { return Verdict{"hold", "", reason} }

// Word is allow, rewrite, reject or hold.
func (v Verdict) Word() string {
	if v.word == "" {
		return "allow"
	}
	return v.word
}

// Text is what others see, with rewrite.
func (v Verdict) Text() string { return v.text }

// Reason is for people.
func (v Verdict) Reason() string { return v.reason }

// moderate answers a Moderate. A panic is no answer: the host does then what it does
// when a moderator is silent.
func (l *link) moderate(m *botv1.Moderate) {
	defer func() {
		if p := recover(); p != nil {
			l.log.Error("panic", "panic", fmt.Sprint(p), "stack", string(debug.Stack()), "session", m.Session)
		}
	}()
	select {
	case <-l.started:
	case <-l.ctx.Done():
		return
	}
	ctx, cancel := l.ctx, context.CancelFunc(func() {})
	if m.DeadlineMs > 0 {
		ctx, cancel = context.WithTimeout(l.ctx, time.Duration(m.DeadlineMs)*time.Millisecond)
	}
	defer cancel()
	v := Allow()
	if l.bot.Moderate != nil {
		c := l.context(&botv1.Event{}).With(ctx)
		v = l.bot.Moderate(&Draft{
			c: c, Context: ctx, Log: l.log.With("session", m.Session), Session: m.Session, SessionType: m.SessionType,
			Sender: person(m.Sender), Text: m.Text, Content: json.RawMessage(m.Content), Files: files(m.Files),
			ByBot: m.Draft, Now: l.clock(), Locale: c.Locale,
		})
	}
	_ = l.send(&botv1.BotFrame{Body: &botv1.BotFrame_Verdict{Verdict: &botv1.Verdict{
		Id: m.Id, Verdict: v.Word(), Text: clean(v.text), Reason: clean(v.reason),
	}}})
}
