// Package assistant is the bot that answers. With a model behind the host's gateway it is an
// AI's voice: it streams, remembers, looks at pictures and uses other bots' commands. Without
// one it answers by a few rules, and says that it is no AI.
package assistant

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/troupe-im/troupe/plugins/bots/assistant/talk"
	"github.com/troupe-im/troupe/plugins/sdk"
)

// Config is what an installation may set.
type Config struct {
	Prompt      string  `json:"prompt" help:"who the assistant is, in a few sentences to the model"`
	Locale      string  `json:"locale" help:"the language to answer in where the question has none" choices:",zh-CN,en"`
	TimeZone    string  `json:"timeZone" help:"of the people here, like Asia/Shanghai" default:"UTC"`
	Window      int     `json:"window" help:"tokens of the conversation that the model sees as it was said" default:"3000" min:"200" max:"100000"`
	MaxTokens   int     `json:"maxTokens" help:"tokens of an answer" default:"1200" min:"16" max:"8000"`
	Temperature float64 `json:"temperature" help:"0 is the same answer each time; -1: the model's own" default:"-1" min:"-1" max:"2"`
	Memory      bool    `json:"memory" help:"older parts of a conversation are summed up and kept" default:"true"`
	Tools       bool    `json:"tools" help:"it may use the commands of the other bots in a session" default:"true"`
	Pictures    bool    `json:"pictures" help:"pictures are shown to the model" default:"true"`
	Voice       bool    `json:"voice" help:"voice messages are put into words by the model" default:"true"`
	Pace        int     `json:"pace" help:"milliseconds between two words, where no model sets the pace" default:"30" min:"0" max:"1000"`
}

// bot is the assistant of one process.
type bot struct {
	cfg Config
	faq map[string]*index // by language
}

// New makes it.
func New() *sdk.Bot {
	b := &bot{faq: map[string]*index{"zh": newIndex(corpus, "zh"), "en": newIndex(corpus, "en")}}
	type onOff struct {
		State string `choices:"on,off" arg:",optional" help:"on or off" zh:"on 开启，off 关闭"`
	}
	type words struct {
		Text string `arg:",text,optional" help:"who it is to be here; reset: as usual" zh:"在这里扮演谁；reset 恢复"`
	}
	return &sdk.Bot{
		ID: "assistant", Version: "1.0.0", Name: "Assistant", Avatar: "🤖",
		About:  "Answers questions. An AI where this installation has a model, else a few rules",
		Scopes: []string{"write", "history", "kv", "files", "tools", "model"},
		Config: &b.cfg, Ordering: sdk.ByUser, Parallel: 32,
		Commands: []sdk.Command{ // what they change is a person's to change: another assistant has to ask
			sdk.Command{Name: "forget", Help: "The assistant forgets what was said here", Run: b.forget}.In("zh-CN", "让助手忘记这里说过的话").Destroys(),
			sdk.On("assistant", "Switch the assistant on or off here", func(c *sdk.Ctx, a onOff) error { return b.toggle(c, a.State) }).In("zh-CN", "在这里开启或关闭助手").Destroys(),
			sdk.On("persona", "Show or set who the assistant is here", func(c *sdk.Ctx, a words) error { return b.persona(c, a.Text) }).In("zh-CN", "查看或设置助手在这里的角色").Destroys(),
		},
		OnMessage: b.message,
		OnAdded:   b.added,
		Actions:   map[string]func(*sdk.Ctx) error{"regenerate": b.again},
	}
}

// room is what the assistant keeps of a session, besides its memory.
type room struct {
	Off     bool   `json:"off,omitempty"`
	Persona string `json:"persona,omitempty"`
}

const roomKey = "room"

func (b *bot) message(c *sdk.Ctx) error {
	var r room
	if _, err := c.KV().GetJSON(roomKey, &r); err != nil {
		return err
	}
	if r.Off {
		if c.IsGroup() {
			return nil
		}
		return c.Reply(tongue(c).say("我在这里被关闭了，发送 /assistant on 可以重新开启。", "I am switched off here; /assistant on switches me on again."))
	}
	if client := talk.Of(c); client != nil {
		return b.answer(c, client, r, question{text: c.Text, files: c.Files, seq: c.Seq})
	}
	return b.rule(c, c.Text, 0, "", "")
}

func (b *bot) added(c *sdk.Ctx) error {
	if !c.IsGroup() {
		return nil
	}
	what := c.Say("我是助手，背后是一个人工智能模型，可能会出错。", "I am the assistant; an AI model is behind me, and it can be wrong.")
	if c.Model() == nil {
		what = c.Say("我是助手，按规则回答，不是人工智能。", "I am the assistant; I answer by rules and am no AI.")
	}
	return c.Reply(what + c.Say("需要我时请 @我 或回复我的消息。", " Mention me or reply to me when you want something."))
}

// mayDecide says whether who asks may change what holds for all in a session.
func mayDecide(c *sdk.Ctx) bool { return !c.IsGroup() || c.Sender.IsAdmin() }

func notYours(c *sdk.Ctx) error {
	return c.Whisper(c.Say("在群里，只有群主和管理员可以这样做。", "In a group its owner and administrators do that."))
}

func (b *bot) toggle(c *sdk.Ctx, state string) error {
	if state == "" {
		var r room
		if _, err := c.KV().GetJSON(roomKey, &r); err != nil {
			return err
		}
		if r.Off {
			return c.Reply(c.Say("助手在这里是关闭的。", "The assistant is off here."))
		}
		return c.Reply(c.Say("助手在这里是开启的。", "The assistant is on here."))
	}
	if !mayDecide(c) {
		return notYours(c)
	}
	if _, err := sdk.Update(c.KV(), roomKey, func(r *room) error { r.Off = state == "off"; return nil }); err != nil {
		return err
	}
	if state == "off" {
		return c.Reply(c.Say("好的，我在这里不再回答。", "All right, I answer nothing here any more."))
	}
	return c.Reply(c.Say("我回来了。", "I am back."))
}

// maxPersona is in letters.
const maxPersona = 500

func (b *bot) persona(c *sdk.Ctx, text string) error {
	if c.Model() == nil {
		return c.Reply(c.Say("这里没有配置模型，我只按规则回答，没有角色可换。", "There is no model here; I answer by rules and have no other role to play."))
	}
	if text == "" {
		var r room
		if _, err := c.KV().GetJSON(roomKey, &r); err != nil {
			return err
		}
		if r.Persona == "" {
			return c.Reply(c.Say("我在这里没有特别的角色。", "I have no particular role here."))
		}
		return c.Reply(c.Say("我在这里的角色：", "My role here: ") + r.Persona)
	}
	if !mayDecide(c) {
		return notYours(c)
	}
	if text == "reset" {
		text = ""
	}
	if utf8.RuneCountInString(text) > maxPersona {
		return c.Reply(fmt.Sprintf(c.Say("角色最多 %d 个字。", "A role has %d letters at most."), maxPersona))
	}
	if _, err := sdk.Update(c.KV(), roomKey, func(r *room) error { r.Persona = text; return nil }); err != nil {
		return err
	}
	return c.Reply(c.Say("好的。", "All right."))
}

// lang is the language of an answer.
type lang bool // Chinese

func (l lang) say(zh, en string) string {
	if l {
		return zh
	}
	return en
}

func (l lang) String() string { return l.say("zh", "en") }

// tongue is the language of what was said, or where that has none, of who said it.
func tongue(c *sdk.Ctx) lang { return tongueOf(c.Text, c.Locale) }

func tongueOf(text, locale string) lang {
	latin := false
	for _, r := range text {
		if isHan(r) {
			return true
		}
		latin = latin || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
	}
	return lang(!latin && strings.HasPrefix(strings.ToLower(locale), "zh"))
}

// zone is where the people are.
func (b *bot) zone() *time.Location {
	if l, err := time.LoadLocation(b.cfg.TimeZone); err == nil {
		return l
	}
	return time.UTC
}
