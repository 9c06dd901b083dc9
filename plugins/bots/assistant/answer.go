package assistant

import (
	"cmp"
	"slices"

	"github.com/troupe-im/troupe/plugins/bots/assistant/talk"
	"github.com/troupe-im/troupe/plugins/sdk"
)

// question is what is to be answered.
type question struct {
	text     string
	quote    string // what it answers
	from     sdk.Person
	files    []sdk.File
	pictures []string // data URLs
	seq      int64    // what comes before is the past
	replyTo  string
	variant  string // the first answer, of which this is another
}

// answer has the model answer.
func (b *bot) answer(c *sdk.Ctx, client *talk.Client, r room, q question) error {
	_ = c.Typing() // whoever does not see it sees the answer
	q.from = cmp.Or(q.from, c.Sender)
	l := tongueOf(q.text, c.Locale)
	p, err := b.past(c, q.seq)
	if err != nil {
		return err
	}
	if c.ReplyTo != nil && q.variant == "" && !slices.ContainsFunc(p.lines[max(0, len(p.lines)-2):], func(l sdk.Line) bool { return l.Message == c.ReplyTo.Message }) {
		q.quote = c.ReplyTo.Text
	}
	model, why, err := b.senses(c, client, &q, l)
	if err != nil {
		return err
	}
	v := &talk.Voice{C: c, ReplyTo: q.replyTo, VariantOf: q.variant, Chinese: bool(l)}
	if why != "" {
		return v.Instead(why)
	}
	a, err := b.rounds(c, client, model, b.conversation(c, r, p, q), q.variant != "", v)
	if bad := v.Settle(a, err); bad != nil || err != nil {
		return bad
	}
	b.fold(c, client, p)
	return nil
}

// again answers the same question once more: somebody wants another answer.
func (b *bot) again(c *sdk.Ctx) error {
	var r room
	if _, err := c.KV().GetJSON(roomKey, &r); err != nil {
		return err
	}
	if r.Off || c.ReplyTo == nil {
		return nil
	}
	lines, err := c.HistoryBefore(c.Seq, page)
	if err != nil {
		return err
	}
	find := func(id string) int { return slices.IndexFunc(lines, func(l sdk.Line) bool { return l.Message == id }) }
	at := find(c.ReplyTo.Message)
	if at < 0 || !lines[at].Mine {
		return c.Whisper(c.Say("这条回答太早了，请重新提问。", "That answer is too far back. Ask again."))
	}
	first := at
	if id := troupeOf(lines[at].Content).VariantOf; id != "" {
		if first = find(id); first < 0 {
			first = at
		}
	}
	root := lines[first].Message
	asked := -1
	if id := lines[first].ReplyTo; id != "" {
		asked = find(id)
	}
	if asked < 0 { // what a person said last before
		for i := first - 1; i >= 0 && asked < 0; i-- {
			if l := lines[i]; !l.Mine && !isAction(l.Content) && (l.Text != "" || len(l.Files) > 0) {
				asked = i
			}
		}
	}
	if asked < 0 {
		return c.Whisper(c.Say("找不到对应的问题，请重新提问。", "The question is not there any more. Ask again."))
	}
	l := lines[asked]
	q := question{text: l.Text, files: l.Files, from: l.Sender, seq: l.Seq, variant: root, replyTo: sdk.NoReply}
	if c.IsGroup() {
		q.replyTo = l.Message
	}
	nth := 1 + len(slices.DeleteFunc(slices.Clone(lines), func(l sdk.Line) bool { return troupeOf(l.Content).VariantOf != root }))
	if client := talk.Of(c); client != nil {
		return b.answer(c, client, r, q)
	}
	return b.rule(c, l.Text, nth, root, q.replyTo)
}
