// Package moderator is the bot that looks at messages before others see them: for words,
// for floods and for links. What it finds it stars, holds for an administrator, or
// refuses.
package moderator

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/troupe-im/troupe/plugins/sdk"
)

// Config is what an installation sets, for all sessions.
type Config struct {
	Builtin bool     `json:"builtin" default:"true" help:"begin with the words that come with it"`
	Hide    []string `json:"hide" help:"words that are starred"`
	Hold    []string `json:"hold" help:"words for which a message waits for an administrator"`
	Reject  []string `json:"reject" help:"words for which a message is refused"`
	Allow   []string `json:"allow" help:"words of the built-in ones that may be said"`
	Links   int      `json:"links" default:"5" min:"-1" help:"links in one message; -1: any number"`
	Flood   int      `json:"flood" default:"10" min:"0" help:"messages of one person in 10 seconds; 0: any number"`
	Same    int      `json:"same" default:"3" min:"0" help:"how often in 10 seconds the same text; 0: any number"`
}

// within is the time in which floods are counted.
const within = 10 * time.Second

type moderator struct {
	config   *Config
	flood    *flood
	sessions sessions
}

// New is the bot.
func New() *sdk.Bot {
	m := &moderator{config: &Config{}, flood: newFlood()}
	return &sdk.Bot{
		ID: "moderator", Version: "1.0.0", Name: "Moderator", Avatar: "🛡️",
		About:  "Keeps a session civil: /mod · 维护秩序：/mod",
		Scopes: []string{"moderate", "kv"},
		Config: m.config,
		Commands: []sdk.Command{
			sdk.On("mod", "What may be said here: /mod list, /mod hide WORD, /mod off", m.command).
				In("zh-CN", "本群规则：/mod list、/mod hide 词、/mod off").Destroys(),
		},
		OnStart: func(*sdk.Ctx) error { m.sessions.start(m.config); return nil },
		OnAdded: func(c *sdk.Ctx) error {
			return c.Reply(c.Say("我会在消息发出前看一眼。管理员用 /mod 设置规则。", "I look at messages before others see them. Administrators set the rules by /mod."))
		},
		Moderate: m.judge,
	}
}

// judge says what becomes of a message.
func (m *moderator) judge(d *sdk.Draft) sdk.Verdict {
	rules, err := m.sessions.rules(d.Global(), d.Session)
	if err != nil {
		d.Log.Warn("the session's rules can't be read: the installation's are used", "error", err)
	}
	if rules.Off {
		return sdk.Allow()
	}
	if v, found := m.rate(d, rules); found {
		return v
	}
	return m.words(d, rules)
}

// rate judges how much somebody writes. Owners and bots know what they do.
func (m *moderator) rate(d *sdk.Draft, r *rules) (sdk.Verdict, bool) {
	if d.ByBot || d.Sender.IsAdmin() || d.Sender.Kind == "bot" {
		return sdk.Verdict{}, false
	}
	flood, links := or(r.Flood, m.config.Flood), or(r.Links, m.config.Links)
	count, same := m.flood.wrote(d.Session+" "+d.Sender.User, d.Text, d.Now, within)
	switch {
	case flood > 0 && count > flood:
		return sdk.Reject(d.Say("发得太快了，歇一会儿。", "That was too quick: take a break.")), true
	case m.config.Same > 0 && same > m.config.Same && strings.TrimSpace(d.Text) != "":
		return sdk.Reject(d.Say("这句话刚说过几遍了。", "You have said that a few times already.")), true
	case links >= 0 && len(link.FindAllString(d.Text, links+1)) > links:
		return sdk.Hold(d.Say("链接太多，等管理员看一下。", "Many links: an administrator looks first.")), true
	}
	return sdk.Verdict{}, false
}

var link = regexp.MustCompile(`(?i)(?:https?://|www\.)[^\s]+|\b[a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?:com|net|org|cn|top|xyz|vip|club|io|cc|info|shop|site)\b`)

// words judges what is said.
func (m *moderator) words(d *sdk.Draft, r *rules) sdk.Verdict {
	text := []rune(d.Text)
	worst := none
	for _, s := range r.list.find(fold(text)) {
		worst = max(worst, s.level)
		for i := s.from; i < s.to; i++ {
			if text[i] != ' ' {
				text[i] = '*'
			}
		}
	}
	for _, other := range others(d.Content) { // a card's title, a file's name: what cannot be starred is held
		for _, s := range r.list.find(fold([]rune(other))) {
			worst = max(worst, s.level, hold)
		}
	}
	switch worst {
	case reject:
		return sdk.Reject(d.Say("这里不能这么说。", "That is not said here."))
	case hold:
		return sdk.Hold(d.Say("等管理员看一下。", "An administrator looks at it first."))
	case hide:
		return sdk.Rewrite(string(text), d.Say("有的词被遮住了。", "Some words are starred."))
	}
	return sdk.Allow()
}

// others are the texts of a content besides its text, wherever they stand in it.
func others(content json.RawMessage) (all []string) {
	var c map[string]any
	if json.Unmarshal(content, &c) != nil {
		return nil
	}
	delete(c, "text")
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case string:
			all = append(all, v)
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			for _, e := range v {
				walk(e)
			}
		}
	}
	walk(c)
	return all
}

// or is a session's own number, or else the installation's.
func or(own *int, all int) int {
	if own != nil {
		return *own
	}
	return all
}

type order struct {
	Do   string `arg:"do" choices:"list,hide,hold,reject,allow,links,flood,on,off" default:"list" help:"what" zh:"做什么"`
	What string `arg:"what,text,optional" help:"a word, or a number" zh:"词或数字"`
}

// command is /mod. Words are told in private alone.
func (m *moderator) command(c *sdk.Ctx, o order) error {
	if c.IsGroup() && !c.Sender.IsAdmin() {
		return c.Whisper(c.Say("只有管理员可以设置规则。", "Only administrators set the rules."))
	}
	if o.Do == "list" {
		r, err := m.sessions.rules(c.Global(), c.Session)
		if err != nil {
			return err
		}
		return c.WhisperTo("", sdk.Post{Card: m.card(c, r)})
	}
	r, err := m.sessions.change(c.Global(), c.Session, func(r *rules) error { return r.do(c, o) })
	if err != nil {
		if t := (*told)(nil); asTold(err, &t) {
			return c.Whisper(t.text)
		}
		return err
	}
	return c.WhisperTo("", sdk.Post{Card: m.card(c, r)})
}

// do changes a session's rules as an administrator says.
func (r *rules) do(c *sdk.Ctx, o order) error {
	switch o.Do {
	case "on", "off":
		r.Off = o.Do == "off"
	case "links", "flood":
		n, err := strconv.Atoi(strings.TrimSpace(o.What))
		if err != nil || n < -1 || n > 200 {
			return &told{c.Say("要一个 -1 到 200 的数字。", "That needs a number from -1 to 200.")}
		}
		if o.Do == "links" {
			r.Links = &n
		} else {
			n = max(n, 0)
			r.Flood = &n
		}
	default:
		word := strings.Join(strings.Fields(o.What), " ")
		if len(fold([]rune(word))) == 0 || len(word) > 100 {
			return &told{c.Say("要一个词。", "That needs a word.")}
		}
		r.Words = slices.DeleteFunc(r.Words, func(w rule) bool { return same(w.Word, word) })
		if len(r.Words) >= mostWords {
			return &told{fmt.Sprintf(c.Say("最多 %d 个词。", "A session has %d words at most."), mostWords)}
		}
		r.Words = append(r.Words, rule{word, o.Do})
	}
	return nil
}

// card is the rules of a session.
func (m *moderator) card(c *sdk.Ctx, r *rules) *sdk.Card {
	k := sdk.NewCard(c.Say("本会话的规则", "The rules of this session"))
	if r.Off {
		return k.Say(c.Say("已关闭：/mod on 打开", "Off: /mod on"))
	}
	number := func(n, any int) string {
		if n == any {
			return c.Say("不限", "any number")
		}
		return strconv.Itoa(n)
	}
	k.Row(c.Say("十秒内的消息", "Messages in 10 seconds"), number(or(r.Flood, m.config.Flood), 0))
	k.Row(c.Say("一条里的链接", "Links in a message"), number(or(r.Links, m.config.Links), -1))
	for _, name := range []string{"hide", "hold", "reject", "allow"} {
		var words []string
		for _, w := range r.Words {
			if w.Do == name {
				words = append(words, w.Word)
			}
		}
		if len(words) > 0 {
			k.Row(name, strings.Join(words, c.Say("、", ", ")))
		}
	}
	return k.Say(cmp.Or(map[bool]string{true: c.Say("另有自带词库", "and the words that come with it")}[m.config.Builtin], ""))
}
