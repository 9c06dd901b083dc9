package sdk

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// Post is something to say. One of Text, Card and Content is given.
type Post struct {
	Text     string
	Markdown bool // the text is Markdown
	Card     *Card
	Content  any // a Content of docs/protocol.md, as it is marshalled to JSON

	ReplyTo   string        // a message's id; NoReply: none; "": in groups the event's message
	Mentions  []string      // user ids
	Expire    time.Duration // it is gone after that; whole seconds
	VariantOf string        // the id of one's own answer, of which this is another

	N   uint32 // which of the event's posts it is; 0: the next one
	Key string // outside an event: the same key again is the same message
}

// NoReply as a Post's ReplyTo: it answers no message, not even in a group.
const NoReply = "-"

// Posted is a message that was said.
type Posted struct {
	Message   string
	Seq       int64
	Duplicate bool // it was there already: the event came twice
	Held      bool // a moderator looks at it first
}

// Reply says text.
func (c *Ctx) Reply(text string) error {
	_, err := c.Post(Post{Text: text})
	return err
}

// Replyf says a text made as by fmt.Sprintf.
func (c *Ctx) Replyf(format string, args ...any) error { return c.Reply(fmt.Sprintf(format, args...)) }

// Post says p.
func (c *Ctx) Post(p Post) (*Posted, error) {
	content, err := p.content()
	if err != nil {
		return nil, err
	}
	call := c.call()
	post := &botv1.Post{
		Key: p.Key, Text: clean(p.Text), Content: content, ReplyTo: p.ReplyTo, Mentions: p.Mentions,
		Expire: int64(p.Expire / time.Second), VariantOf: p.VariantOf,
	}
	if content != "" {
		post.Text = ""
	}
	if p.Key == "" && c.ID != "" {
		post.N = p.N
		if post.N == 0 {
			post.N = c.said.next()
		}
	}
	call.Do = &botv1.Call_Post{Post: post}
	r, err := c.do(c, call)
	return posted(r), err
}

func posted(r *botv1.Result) *Posted {
	p := r.GetPosted()
	if p == nil {
		return nil
	}
	return &Posted{Message: p.Message, Seq: p.Seq, Duplicate: p.Duplicate, Held: p.Held}
}

// content is the JSON of what is not plain text.
func (p *Post) content() (string, error) {
	switch {
	case p.Card != nil:
		return p.Card.content()
	case p.Content != nil:
		text, err := json.Marshal(p.Content)
		return string(text), err
	case p.Markdown:
		text, err := json.Marshal(map[string]any{"type": "text", "text": clean(p.Text), "data": map[string]any{"format": "md"}})
		return string(text), err
	}
	return "", nil
}

// Typing shows that the bot writes, for a few seconds.
func (c *Ctx) Typing() error {
	call := c.call()
	call.Do = &botv1.Call_Typing{Typing: &botv1.Typing{}}
	return c.tell(call)
}

// Whisper says text to the event's sender alone; it is in no history.
func (c *Ctx) Whisper(text string) error { return c.WhisperTo("", Post{Text: text}) }

// WhisperTo says a text or card to one member alone. "" is the event's sender.
func (c *Ctx) WhisperTo(user string, p Post) error {
	content, err := p.content()
	if err != nil {
		return err
	}
	w := &botv1.Whisper{User: user, Text: clean(p.Text), Content: content, N: p.N}
	if content != "" {
		w.Text = ""
	}
	if w.N == 0 && c.ID != "" {
		w.N = c.said.next()
	}
	call := c.call()
	call.Do = &botv1.Call_Whisper{Whisper: w}
	_, err = c.do(c, call)
	return err
}

// Edit puts something else where one of the bot's messages is.
func (c *Ctx) Edit(message string, p Post) error {
	content, err := p.content()
	if err != nil {
		return err
	}
	e := &botv1.Edit{Message: message, Text: clean(p.Text), Content: content}
	if content != "" {
		e.Text = ""
	}
	call := c.call()
	call.Do = &botv1.Call_Edit{Edit: e}
	_, err = c.do(c, call)
	return err
}

// Recall takes one of the bot's messages back.
func (c *Ctx) Recall(message string) error {
	call := c.call()
	call.Do = &botv1.Call_Recall{Recall: &botv1.Recall{Message: message}}
	_, err := c.do(c, call)
	return err
}

// React puts a reaction to the event's message.
func (c *Ctx) React(reaction string) error { return c.ReactTo(c.Message, reaction, false) }

// ReactTo puts a reaction to a message, or takes it away.
func (c *Ctx) ReactTo(message, reaction string, remove bool) error {
	call := c.call()
	call.Do = &botv1.Call_React{React: &botv1.React{Message: message, Reaction: clean(reaction), Removed: remove}}
	_, err := c.do(c, call)
	return err
}

// Silence keeps a member from writing until then; the zero time lifts it.
func (c *Ctx) Silence(user string, until time.Time) error {
	s := &botv1.Silence{User: user}
	if !until.IsZero() {
		s.Until = until.UnixMilli()
	}
	call := c.call()
	call.Do = &botv1.Call_Silence{Silence: s}
	_, err := c.do(c, call)
	return err
}
