package desk

import (
	"context"
	"maps"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// draft is an answer that a bot is writing. It is the plug's, as it outlives a channel.
type draft struct {
	stream  string
	event   string
	n       uint32
	bot     protocol.UserID
	session protocol.SessionID
	typ     string
	hops    uint32
	replyTo string
	text    []byte
	link    *link // nil: it is lost
	timer   *time.Timer
	ended   bool // it is a message, or nothing will come of it
	stopped bool

	judged  int // runes of text that were looked at
	judging bool
}

// maxDrafts is how many one plugin writes at once, draftSize how long one may be, as a
// multiple of a message: what is longer becomes several messages.
const (
	maxDrafts  = 1024
	draftSize  = 4
	judgeEvery = 200 // characters
)

// delta is a part of a draft. It does not wait.
func (p *plug) delta(w *wish, m *botv1.StreamDelta) error {
	if w.event == nil {
		return protocol.BadRequest("delta.event: a draft belongs to an event")
	}
	if w.hand != nil && w.hand.heard != nil {
		return nil // nobody looks on
	}
	stream := replyID(w.Event+"\x00"+w.bot, m.N, w.hops())
	p.mu.Lock()
	d := p.drafts[stream]
	if _, done := p.posted.get(stream); done {
		p.mu.Unlock()
		return nil
	}
	switch {
	case d == nil && m.Offset != 0:
		p.mu.Unlock()
		return protocol.Errorf(protocol.Code_OUT_OF_RANGE, "delta.offset: the draft begins at 0")
	case d == nil && len(p.drafts) >= maxDrafts:
		p.mu.Unlock()
		return protocol.Errorf(protocol.Code_TOO_MANY, "%d drafts at most", maxDrafts)
	case d == nil:
		d = &draft{stream: stream, event: w.Event, n: m.N, bot: w.bot, session: w.session, typ: w.event.SessionType, hops: w.hops()}
		if d.session != w.event.Session && d.typ == "p2p" { // what is written elsewhere is looked at as there
			d.typ = "group"
		}
		p.drafts[stream] = d
	}
	if d.ended || d.stopped {
		p.mu.Unlock()
		return nil
	}
	if m.Offset < 0 || m.Offset > int64(len(d.text)) {
		p.mu.Unlock()
		return protocol.Errorf(protocol.Code_OUT_OF_RANGE, "delta.offset: %d bytes are here", len(d.text))
	}
	if m.Offset == 0 || d.replyTo == "" {
		d.replyTo = w.replyTo(m.ReplyTo)
	}
	d.link = w.l
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	text := m.Text
	if room := draftSize*p.d.cfg.MaxText - int(m.Offset); len(text) > room {
		text = cutText(text, max(0, room))
	}
	d.text = append(d.text[:m.Offset], text...)
	d.judged = min(d.judged, utf8.RuneCount(d.text[:m.Offset]))
	part := &actors.Draft{Session: d.session, Bot: d.bot, Stream: d.stream, ReplyTo: d.replyTo, At: m.Offset, Text: text}
	look := !d.judging && utf8.RuneCount(d.text)-d.judged >= judgeEvery
	d.judging = d.judging || look
	p.mu.Unlock()
	p.d.need.Actors.Draft(part)
	if look {
		p.d.spawn(func() { p.judgeDraft(d) })
	}
	return nil
}

// judgeDraft has the moderators look at a draft while it is written.
func (p *plug) judgeDraft(d *draft) {
	typ := protocol.SessionType_GROUP
	switch d.typ {
	case "p2p":
		typ = protocol.SessionType_P2P
	case "muc":
		typ = protocol.SessionType_MUC
	}
	p.mu.Lock()
	text := string(d.text)
	var bots []protocol.UserID
	if l := p.lanes[place{d.bot, d.session}]; l != nil {
		bots = l.bots
	}
	p.mu.Unlock()
	if len(bots) == 0 && typ != protocol.SessionType_P2P { // who is none of its bots has no consent there
		bots = slices.Collect(maps.Keys(p.d.everyBot()))
	}
	rejected := false
	ctx, cancel := context.WithTimeout(p.d.ctx, p.d.cfg.Moderate)
	defer cancel()
	for _, m := range p.d.judging() {
		if m == p || rejected {
			continue
		}
		if as, err := m.judgeNow(ctx, d.session, typ, bots, d.bot); as == "" || err != nil {
			continue
		}
		v, err := m.verdict(ctx, &botv1.Moderate{
			Session: d.session, SessionType: d.typ, Sender: &botv1.Person{User: d.bot, Name: p.nameOf(d.bot), Kind: "bot"}, Text: text, Draft: true,
		})
		rejected = err == nil && v.Verdict == "reject"
	}
	p.mu.Lock()
	d.judging, d.judged = false, utf8.RuneCountInString(text)
	if !rejected || d.ended {
		p.mu.Unlock()
		return
	}
	d.ended = true
	if d.link != nil {
		d.link.push(&botv1.HostFrame{Body: &botv1.HostFrame_Cancel{Cancel: &botv1.Cancel{Event: d.event}}})
	}
	p.mu.Unlock()
	p.d.need.Actors.Draft(&actors.Draft{Session: d.session, Bot: d.bot, Stream: d.stream, Over: "cancelled"})
}

// endStream makes a draft the message that stays.
func (w *wish) endStream(ctx context.Context, m *botv1.StreamEnd) (*botv1.Result, error) {
	p := w.l.p
	if w.event == nil {
		return nil, protocol.BadRequest("end.event: a draft belongs to an event")
	}
	stream := replyID(w.Event+"\x00"+w.bot, m.N, w.hops())
	p.mu.Lock()
	d := p.drafts[stream]
	text, replyTo := m.Text, ""
	if d != nil {
		if text == "" && m.Content == "" {
			text = string(d.text)
		}
		replyTo = d.replyTo
		if d.timer != nil {
			d.timer.Stop()
			d.timer = nil
		}
		if d.stopped && (m.Finish == "" || m.Finish == "stop") {
			m.Finish = "cancelled"
		}
		rejected := d.ended
		d.ended = true
		if rejected && !d.stopped {
			delete(p.drafts, stream)
			p.mu.Unlock()
			return &botv1.Result{Got: &botv1.Result_Posted{Posted: &botv1.Posted{}}}, nil
		}
	}
	p.mu.Unlock()
	r, err := w.commit(ctx, stream, text, m, replyTo)
	p.mu.Lock()
	if err == nil || lasting(err) {
		delete(p.drafts, stream)
	} else if d != nil {
		d.ended = false
	}
	p.mu.Unlock()
	if err != nil && lasting(err) {
		p.d.need.Actors.Draft(&actors.Draft{Session: w.session, Bot: w.bot, Stream: stream, Over: "failed"})
	}
	return r, err
}

func (w *wish) commit(ctx context.Context, stream, text string, m *botv1.StreamEnd, replyTo string) (*botv1.Result, error) {
	p := w.l.p
	if text == "" && m.Content == "" {
		over := "cancelled"
		if m.Finish == "failed" {
			over = "failed"
		}
		p.d.need.Actors.Draft(&actors.Draft{Session: w.session, Bot: w.bot, Stream: stream, Over: over})
		return &botv1.Result{Got: &botv1.Result_Posted{Posted: &botv1.Posted{}}}, nil
	}
	c, err := w.content(text, m.Content)
	if err != nil {
		return nil, err
	}
	if m.ReplyTo != "" || replyTo == "" {
		replyTo = w.replyTo(m.ReplyTo)
	}
	extra := map[string]any{}
	if m.Finish != "" && m.Finish != "stop" {
		extra["finish"] = cutText(m.Finish, 32)
	}
	if m.Model != "" {
		extra["model"] = cutText(m.Model, 128)
	}
	if m.PromptTokens+m.CompletionTokens > 0 {
		extra["tokens"] = map[string]int64{"prompt": m.PromptTokens, "completion": m.CompletionTokens}
	}
	if m.VariantOf != "" {
		extra["variantOf"] = m.VariantOf
	}
	return w.say(ctx, &protocol.MsgSend{Session: w.session, ClientMsgId: stream, Content: c, ReplyTo: replyTo}, extra)
}

// loseDrafts has those of an ended channel become messages, unless they are gone on with.
// The caller holds mu.
func (p *plug) loseDrafts(l *link) {
	for _, d := range p.drafts {
		if d.link != l || d.ended {
			continue
		}
		d.link = nil
		if d.timer == nil {
			d.timer = time.AfterFunc(p.d.cfg.Interrupted, func() { p.settle(d, "interrupted") })
		}
	}
}

// stopDraft tells the bot that somebody does not want the rest of what it writes.
func (p *plug) stopDraft(session protocol.SessionID, stream string, by protocol.UserID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := p.drafts[stream]
	if d == nil || d.session != session || d.ended || d.stopped {
		return
	}
	d.stopped = true
	if d.link != nil {
		d.link.push(&botv1.HostFrame{Body: &botv1.HostFrame_Cancel{Cancel: &botv1.Cancel{Event: d.event, By: by}}})
	}
	if d.timer != nil {
		d.timer.Stop()
	}
	d.timer = time.AfterFunc(p.d.cfg.StopIn, func() { p.settle(d, "cancelled") })
}

// settle makes of a draft what there is of it, and has its event be done: the bot did not.
func (p *plug) settle(d *draft, finish string) {
	p.mu.Lock()
	if d.ended || p.d.ctx.Err() != nil {
		p.mu.Unlock()
		return
	}
	d.ended = true
	text := string(d.text)
	p.mu.Unlock()
	p.d.spawn(func() {
		ctx, cancel := p.d.background()
		defer cancel()
		var err error
		if text != "" {
			text, _ = split(text, p.d.cfg.MaxText)
			c := &protocol.Content{Type: protocol.ContentType_TEXT, Text: text}
			if err = withTroupe(c, map[string]any{"finish": finish}); err == nil {
				_, err = p.d.say(ctx, p.host(d.bot), &protocol.MsgSend{Session: d.session, ClientMsgId: d.stream, Content: c, ReplyTo: d.replyTo})
			}
		}
		if text == "" || err != nil {
			p.d.need.Actors.Draft(&actors.Draft{Session: d.session, Bot: d.bot, Stream: d.stream, Over: "cancelled"})
		}
		if err != nil {
			p.d.need.Log.Warn("a draft did not become a message", "user", d.bot, "session", d.session, "err", err)
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.drafts, d.stream)
		p.posted.put(d.stream, posted{})
		p.settled.put(d.event, true)
		if h := p.hands[d.event]; h != nil && h.state != ending {
			p.finish(h, nil)
			return
		}
		for _, l := range p.lanes { // it waits to come again
			for _, h := range l.pending {
				if h.event.Id == d.event && h.state != ending {
					p.finish(h, nil)
					return
				}
			}
		}
	})
}

// endDrafts ends those that an event left behind when it was done. The caller holds mu.
func (p *plug) endDrafts(event string) {
	for _, d := range p.drafts {
		if d.event != event || d.ended {
			continue
		}
		d.ended = true
		if d.timer != nil {
			d.timer.Stop()
		}
		delete(p.drafts, d.stream)
		p.d.spawn(func() {
			p.d.need.Actors.Draft(&actors.Draft{Session: d.session, Bot: d.bot, Stream: d.stream, Over: "cancelled"})
		})
	}
}
