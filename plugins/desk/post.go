package desk

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// post says something in a session, once however often it is asked for.
func (w *wish) post(ctx context.Context, m *botv1.Post) (*botv1.Result, error) {
	if w.Event == "" && m.Key == "" {
		return nil, protocol.BadRequest("post.key is needed outside an event")
	}
	c, err := w.content(m.Text, m.Content)
	if err != nil {
		return nil, err
	}
	id := replyID(w.Event+"\x00"+w.bot, m.N, w.hops())
	if m.Key != "" {
		id = keyID(w.session + "\x00" + w.bot + "\x00" + m.Key)
		if w.event != nil {
			id = postID(w.hops(), "key", w.session, w.bot, m.Key)
		}
	}
	extra := map[string]any{}
	if m.VariantOf != "" {
		extra["variantOf"] = m.VariantOf
	}
	return w.say(ctx, &protocol.MsgSend{
		Session: w.session, ClientMsgId: id, Content: c, Expire: m.Expire, ReplyTo: w.replyTo(m.ReplyTo), Mentions: m.Mentions,
	}, extra)
}

// replyTo is the message that an answer stands under: in groups the event's.
func (w *wish) replyTo(asked string) string {
	switch {
	case asked == nowhere:
		return ""
	case asked != "":
		return asked
	case w.event == nil || w.event.Session != w.session || w.event.SessionType == "p2p" || w.hand != nil && w.hand.heard != nil:
		return ""
	}
	switch w.event.Kind {
	case "message", "command", "edited":
		return w.event.Message
	case "action":
		return w.event.GetReplyTo().GetMessage()
	}
	return ""
}

// say sends a message of the bot's, with what clients are to know besides in data.troupe.
func (w *wish) say(ctx context.Context, m *protocol.MsgSend, extra map[string]any) (*botv1.Result, error) {
	p := w.l.p
	if h := w.hand; h != nil && h.heard != nil && h.heard.take(m.Content) {
		return &botv1.Result{Got: &botv1.Result_Posted{Posted: &botv1.Posted{}}}, nil
	}
	p.mu.Lock()
	was, known := p.posted.get(m.ClientMsgId)
	var state State
	if l := p.lanes[place{w.bot, m.Session}]; l != nil {
		state = l.state
	}
	if known {
		p.count.duplicates++
	}
	p.mu.Unlock()
	if known {
		return &botv1.Result{Got: &botv1.Result_Posted{Posted: &botv1.Posted{Message: was.message, Seq: was.seq, Duplicate: true}}}, nil
	}
	if err := p.d.loops.may(w.bot, m.Session, state, m.Content.GetText()); err != nil {
		return nil, err
	}
	if err := p.d.rates.take(w.bot, m.Session); err != nil {
		return nil, err
	}
	if len(extra) > 0 {
		if err := withTroupe(m.Content, extra); err != nil {
			return nil, err
		}
	}
	rest := ""
	if m.Content.Type == protocol.ContentType_TEXT {
		m.Content.Text, rest = split(m.Content.Text, p.d.cfg.MaxText)
	}
	got, err := p.d.say(ctx, p.speak(w.bot), m)
	if err != nil {
		return nil, err
	}
	if got.Duplicate && got.Seq == 0 {
		w.find(ctx, got)
	}
	p.mu.Lock()
	p.posted.put(m.ClientMsgId, posted{got.MessagerecvId, got.Seq})
	if got.Duplicate {
		p.count.duplicates++
	}
	p.mu.Unlock()
	p.d.need.Log.Debug("a bot has said something", "bot", w.bot, "session", m.Session, "seq", got.Seq, "event", w.Event, "trace", traceID(w.event.GetTraceparent()))
	if got.Seq > 0 && !got.Duplicate {
		p.d.loops.note(&protocol.Entry{Session: m.Session, Seq: got.Seq, Sender: w.bot, ClientMsgId: m.ClientMsgId, Content: m.Content})
	}
	for n := 2; rest != "" && n < 20; n++ { // what is too long for one message goes on in the next
		var part string
		part, rest = split(rest, p.d.cfg.MaxText)
		_, err := p.d.say(ctx, p.speak(w.bot), &protocol.MsgSend{
			Session: m.Session, ClientMsgId: m.ClientMsgId + "." + strconv.Itoa(n), Expire: m.Expire, ReplyTo: m.ReplyTo,
			Content: &protocol.Content{Type: protocol.ContentType_TEXT, Text: part},
		})
		if err != nil {
			return nil, err
		}
	}
	return &botv1.Result{Got: &botv1.Result_Posted{Posted: &botv1.Posted{
		Message: got.MessagerecvId, Seq: got.Seq, Duplicate: got.Duplicate, Held: got.Deal.GetState() == "held",
	}}}, nil
}

// find looks among the newest messages for the one that was sent under an id before.
func (w *wish) find(ctx context.Context, got *protocol.MsgSendReply) {
	before := int64(1<<53 - 1)
	l := &lane{p: w.l.p, place: place{w.bot, got.Session}}
	r, err := l.sync(ctx, &protocol.Sync{Session: got.Session, BeforeSeq: &before, Limit: 200})
	if err != nil {
		return // that it is there is what counts
	}
	for _, e := range r.Messages {
		if e.Sender == w.bot && e.ClientMsgId == got.ClientMsgId && e.Kind == protocol.Kind_MESSAGE {
			got.MessagerecvId, got.Seq, got.CreatedAt = e.MessagerecvId, e.Seq, e.CreatedAt
		}
	}
}

// withTroupe adds to data.troupe of a content.
func withTroupe(c *protocol.Content, extra map[string]any) error {
	data := map[string]any{}
	if c.Data != "" {
		if err := json.Unmarshal([]byte(c.Data), &data); err != nil {
			return protocol.BadRequest("content.data: an object is needed here")
		}
	}
	troupe, _ := data["troupe"].(map[string]any)
	if troupe == nil {
		troupe = map[string]any{}
	}
	for k, v := range extra {
		troupe[k] = v
	}
	data["troupe"] = troupe
	text, err := json.Marshal(data)
	c.Data = string(text)
	return err
}

// split cuts a text that is longer than n bytes where a line, sentence or word ends.
func split(text string, n int) (first, rest string) {
	if len(text) <= n {
		return text, ""
	}
	at := n
	for !utf8.RuneStart(text[at]) {
		at--
	}
	for _, end := range []string{"\n\n", "\n", "。", ". ", " "} {
		if i := strings.LastIndex(text[:at], end); i > n/2 {
			at = i + len(end)
			break
		}
	}
	return strings.TrimRight(text[:at], " \n"), strings.TrimLeft(text[at:], "\n")
}
