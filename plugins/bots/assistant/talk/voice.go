package talk

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/troupe-im/troupe/plugins/sdk"
)

// MaxAnswer is in bytes: a message has 8 KiB at most, and its frame something besides.
const MaxAnswer = 7600

// ErrFull says that an answer is as long as a message may be.
var ErrFull = errors.New("a message is full")

// Voice says an answer while it is written. Nothing is begun before there is something to
// say, so that an answer that fails at once leaves no empty draft.
type Voice struct {
	C         *sdk.Ctx
	ReplyTo   string // as in sdk.Post
	VariantOf string
	Chinese   bool // what it says of itself

	s *sdk.Stream
	n int
}

// Begun says whether anything was said.
func (v *Voice) Begun() bool { return v.s != nil }

// Say says a part. ErrFull: it was the last; sdk.ErrStopped.
func (v *Voice) Say(part string) error {
	if v.s == nil {
		if strings.TrimSpace(part) == "" {
			return nil
		}
		part = strings.TrimLeft(part, " \n")
		v.s = v.C.Stream()
		v.s.ReplyTo, v.s.VariantOf = v.ReplyTo, v.VariantOf
	}
	full := v.n+len(part) > MaxAnswer
	if full {
		part = strings.ToValidUTF8(part[:max(MaxAnswer-v.n, 0)], "")
	}
	v.n += len(part)
	if _, err := v.s.WriteString(part); err != nil {
		return err
	}
	if full {
		return ErrFull
	}
	return nil
}

// Instead says a whole text where there is no answer.
func (v *Voice) Instead(text string) error {
	_, err := v.C.Post(sdk.Post{Text: text, ReplyTo: v.ReplyTo, VariantOf: v.VariantOf})
	return err
}

// Settle ends what was said by how Ask ended: it is whole; or it broke off, and people are told
// why in a few words. Its error is for the SDK: the event comes again.
func (v *Voice) Settle(a *Answer, err error) error {
	c := v.C
	var f *Failure
	switch {
	case err == nil && v.s == nil:
		return v.Instead(say(v.Chinese, "模型没有给出任何回答，请换个说法再试。", "The model had nothing to say. Try to ask in another way."))
	case err == nil:
		return v.end(finishOf(a.Finish), a)
	case errors.Is(err, ErrFull):
		return v.end("length", a)
	case errors.Is(context.Cause(c), sdk.ErrStopped):
		if v.s == nil {
			return nil
		}
		return v.end("cancelled", a)
	case c.Err() != nil || !errors.As(err, &f): // the host has gone, or it took too long
		return err
	}
	c.Log.Warn("the model did not answer", "kind", string(f.Kind), "status", f.Status) // not its words: they may quote what was said
	if v.s == nil {
		return v.Instead(Words(f, v.Chinese))
	}
	if err := v.end("interrupted", a); err != nil {
		return err
	}
	if err := c.Whisper(Words(f, v.Chinese)); err != nil { // people see that it was interrupted
		c.Log.Debug("the reason could not be whispered", "error", err)
	}
	return nil
}

func (v *Voice) end(finish string, a *Answer) error {
	_, err := v.s.Finish(sdk.End{Finish: finish, Model: a.Model, PromptTokens: a.Prompt, CompletionTokens: a.Completion})
	return err
}

// finishOf is a model's finish_reason as the host has it.
func finishOf(reason string) string {
	switch reason {
	case "length":
		return "length"
	case "content_filter":
		return "interrupted"
	}
	return "stop"
}

func say(chinese bool, zh, en string) string {
	if chinese {
		return zh
	}
	return en
}

// Words tell people of a failure.
func Words(f *Failure, chinese bool) string {
	say := func(zh, en string) string { return say(chinese, zh, en) }
	switch f.Kind {
	case Budget:
		return fmt.Sprintf(say("今天的额度用完了（%s），明天（UTC）再来吧。", "Today's budget is used up (%s). Come back tomorrow (UTC)."), map[string]string{
			"user": say("你的", "yours"), "session": say("这个会话的", "this conversation's"), "bot": say("这个机器人的", "this bot's"), "all": say("整个系统的", "the installation's"),
		}[f.Whose])
	case Busy:
		return say("模型现在太忙，请稍后再试。", "The model is too busy. Try again in a moment.")
	case Cut:
		return say("模型的回答中断了。", "The model's answer broke off.")
	case Silent:
		return say("模型太久没有回应。", "The model took too long.")
	case TooLong:
		return say("这段内容对模型来说太长了。", "This is too long for the model.")
	case Refused:
		return say("模型不接受这个请求。", "The model does not take this request.")
	}
	return say("现在联系不上模型，请告诉管理员。", "The model cannot be reached. Tell an administrator.")
}

// NoModelHere is what a bot says that can do nothing without one.
func NoModelHere(chinese bool) string {
	return say(chinese, "这里没有配置模型，我做不了这件事。管理员可以设置 --model-url 和 --model（见 docs/assistant.md）。",
		"This installation has no model, so I cannot do that. An administrator sets --model-url and --model: docs/assistant.md.")
}

// Of is a client of the event's model; nil: there is none.
func Of(c *sdk.Ctx) *Client {
	m := c.Model()
	if m == nil {
		return nil
	}
	return New(m.BaseURL, m.Token, m.Client, 0)
}
