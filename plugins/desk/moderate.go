package desk

import (
	"context"
	"errors"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// judge gives as whom and where p looks at what sender writes; nil: it does not, or is
// offline where that lets it pass.
func (p *plug) judge(session protocol.SessionID, typ protocol.SessionType, bots []protocol.UserID, sender protocol.UserID) (l *link, as protocol.UserID, judges bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.says.GetModerates() || !p.scopes["moderate"] || p.selves[sender] != nil {
		return nil, "", false
	}
	for user := range p.selves {
		if as == "" || user < as {
			as = user
		}
	}
	if !p.of.Everywhere {
		i := slices.IndexFunc(bots, func(b protocol.UserID) bool { return p.selves[b] != nil })
		if i < 0 || typ != protocol.SessionType_P2P && !p.consents[session] {
			return nil, "", false
		}
		as = bots[i]
	}
	return p.link, as, p.link != nil || p.d.cfg.FailClosed
}

// Judges fills actors.Robots.
func (d *Desks) Judges(session *protocol.SessionInfo, bots []protocol.UserID, sender protocol.UserID) bool {
	for _, p := range d.judging() {
		if _, _, judges := p.judge(session.Session, session.SessionType, bots, sender); judges {
			return true
		}
	}
	return false
}

// Rule fills actors.Robots: the moderators are asked one after the other, in the order of
// their ids, as each sees what the one before made of the message.
func (d *Desks) Rule(ctx context.Context, t *actors.Trial) (*actors.Ruling, error) {
	ctx, cancel := context.WithTimeout(ctx, d.cfg.Moderate)
	defer cancel()
	var ruling *actors.Ruling
	content := t.Message.GetContent()
	person := d.people.of(ctx, t.Sender.User)
	if person.Role = roleWord(t.Role); t.Sender.Kind != "" {
		person.Kind = t.Sender.Kind
	}
	for _, p := range d.judging() {
		l, as, judges := p.judge(t.Session.Session, t.Session.SessionType, t.Bots, t.Sender.User)
		if !judges {
			continue
		}
		v, err := l.moderate(ctx, &botv1.Moderate{
			Session: t.Session.Session, SessionType: typeWord(t.Session.SessionType), Sender: person,
			Text: content.GetText(), Content: contentJSON(content), Files: filesOf(content),
		})
		if err != nil {
			p.mu.Lock()
			p.count.unjudged++
			p.mu.Unlock()
			d.need.Log.Warn("a moderator did not answer", "plugin", p.id, "session", t.Session.Session, "err", err)
			if d.cfg.FailClosed {
				return nil, &protocol.Error{Code: protocol.Code_BUSY, Detail: "messages are looked at first, and nobody does now", RetryAfterMs: 1000}
			}
			continue
		}
		p.mu.Lock()
		p.count.judged++
		p.mu.Unlock()
		switch v.Verdict {
		case "reject":
			return &actors.Ruling{State: "rejected", By: as, Reason: cutText(v.Reason, 500)}, nil
		case "hold":
			return &actors.Ruling{State: "held", By: as, Reason: cutText(v.Reason, 500)}, nil
		case "rewrite":
			content = proto.CloneOf(content)
			content.Text = cutText(v.Text, d.cfg.MaxText)
			ruling = &actors.Ruling{State: "rewritten", By: as, Reason: cutText(v.Reason, 500), Content: content}
		}
	}
	return ruling, nil
}

func filesOf(c *protocol.Content) (files []*botv1.File) {
	for _, f := range c.FileNames() {
		if f != c.Thumb {
			files = append(files, &botv1.File{File: f, Name: c.Name, Mime: c.Mime, Size: c.Size})
		}
	}
	return files
}

var errOffline = errors.New("the moderator is offline")

// moderate asks the bot what becomes of a message. nil is an offline one.
func (l *link) moderate(ctx context.Context, m *botv1.Moderate) (*botv1.Verdict, error) {
	if l == nil {
		return nil, errOffline
	}
	answer := make(chan *botv1.Verdict, 1)
	l.asking.Lock()
	l.lastAsk++
	m.Id = l.lastAsk
	l.asks[m.Id] = answer
	l.asking.Unlock()
	defer func() {
		l.asking.Lock()
		delete(l.asks, m.Id)
		l.asking.Unlock()
	}()
	if at, ok := ctx.Deadline(); ok {
		m.DeadlineMs = max(1, time.Until(at).Milliseconds())
	}
	l.push(&botv1.HostFrame{Body: &botv1.HostFrame_Moderate{Moderate: m}})
	select {
	case v := <-answer:
		switch v.Verdict {
		case "allow", "rewrite", "reject", "hold":
			return v, nil
		}
		return nil, errors.New("there is no such verdict")
	case <-l.ctx.Done():
		return nil, errOffline
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *link) verdict(v *botv1.Verdict) {
	l.asking.Lock()
	answer := l.asks[v.Id]
	l.asking.Unlock()
	if answer != nil {
		select {
		case answer <- v:
		default:
		}
	}
}
