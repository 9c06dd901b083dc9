package desk

import (
	"context"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// is says whether a user is one of the plugin's; of one that is reached elsewhere its name says so.
// The caller holds mu.
func (p *plug) is(user protocol.UserID) bool {
	if p.link != nil {
		return p.selves[user] != nil
	}
	return protocol.IsBot(user) && pluginOf(user) == p.id
}

// judgesHere says whether the plugin moderates, as it last said.
func (p *plug) judgesHere() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.judges
}

// judge gives as whom the plugin looks at what sender writes; "": it does not, or is reached
// nowhere where that lets it pass. sure is false where the store has to say whether the group
// allows it; as is then what it last said.
func (p *plug) judge(session protocol.SessionID, typ protocol.SessionType, bots []protocol.UserID, sender protocol.UserID) (as protocol.UserID, sure bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.judges || p.is(sender) {
		return "", true
	}
	switch {
	case p.of.Everywhere:
		sure = true
		for user := range p.selves {
			if as == "" || user < as {
				as = user
			}
		}
	case typ == protocol.SessionType_P2P:
		sure = true
		if i := slices.IndexFunc(bots, p.is); i >= 0 {
			as = bots[i]
		}
	default:
		as, sure = p.consenting(session, bots)
	}
	if as == "" && sure || p.link == nil && !p.d.cfg.FailClosed && !p.d.Elsewhere(p.id) {
		return "", true
	}
	return as, sure
}

// Judges fills actors.Robots.
func (d *Desks) Judges(session *protocol.SessionInfo, bots []protocol.UserID, sender protocol.UserID) bool {
	for _, p := range d.judging() {
		if as, sure := p.judge(session.Session, session.SessionType, bots, sender); as != "" || !sure {
			return true
		}
	}
	return false
}

// judgeNow is judge, which asks the store where it has to.
func (p *plug) judgeNow(ctx context.Context, session protocol.SessionID, typ protocol.SessionType, bots []protocol.UserID, sender protocol.UserID) (protocol.UserID, error) {
	as, sure := p.judge(session, typ, bots, sender)
	if sure {
		return as, nil
	}
	now, err := p.readConsent(ctx, session, bots)
	if err != nil && as != "" {
		return as, nil // as it was when the store was last there
	}
	return now, err
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
		as, err := p.judgeNow(ctx, t.Session.Session, t.Session.SessionType, t.Bots, t.Sender.User)
		if as == "" && err == nil {
			continue
		}
		var v *botv1.Verdict
		if err == nil {
			v, err = p.verdict(ctx, &botv1.Moderate{
				Session: t.Session.Session, SessionType: typeWord(t.Session.SessionType), Sender: person,
				Text: content.GetText(), Content: contentJSON(content), Files: filesOf(content),
			})
		}
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
