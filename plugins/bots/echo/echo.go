// Package echo is the bot that says what it hears: the first one to talk to, and the one
// that shows whether everything is plugged together.
package echo

import (
	"strings"
	"time"

	"github.com/troupe-im/troupe/plugins/sdk"
)

// New is the bot.
func New() *sdk.Bot {
	return &sdk.Bot{
		ID: "echo", Version: "1.0.0", Name: "Echo", Avatar: "🦜",
		About: "Says what it hears · 你说什么，它就说什么",
		Commands: []sdk.Command{
			sdk.On("echo", "Say a text again", say).In("zh-CN", "重复一段话").ReadsOnly(),
			sdk.On("stream", "Say a text again, word by word", stream).In("zh-CN", "一个词一个词地重复一段话").ReadsOnly(),
		},
		OnMessage: func(c *sdk.Ctx) error {
			if c.Text == "" {
				return c.Reply(c.Say("我只会重复文字。", "I can only repeat words."))
			}
			return c.Reply(c.Text)
		},
		OnAdded: func(c *sdk.Ctx) error {
			if c.IsGroup() {
				return c.Reply(c.Say("大家好！@我，我就重复你的话。", "Hello! Mention me and I say what you said."))
			}
			return c.Reply(c.Say("你好！你说什么，我就说什么。", "Hello! I say what you say."))
		},
	}
}

type text struct {
	Text string `arg:"text,text" help:"what to say" zh:"要说的话"`
}

func say(c *sdk.Ctx, a text) error { return c.Reply(a.Text) }

// pace is so slow that one sees it.
const pace = 60 * time.Millisecond

// stream writes word by word; where words are not apart, as in Chinese, letter by letter.
func stream(c *sdk.Ctx, a text) error {
	s := c.Stream()
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for _, part := range parts(a.Text) {
		if _, err := s.WriteString(part); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-c.Done():
			return c.Err()
		}
	}
	return s.Close()
}

// parts cuts a text after its spaces, and words of more than 16 bytes after each letter.
func parts(text string) []string {
	var all []string
	for _, word := range strings.SplitAfter(text, " ") {
		if len(word) <= 16 {
			all = append(all, word)
			continue
		}
		for _, r := range word {
			all = append(all, string(r))
		}
	}
	return all
}
