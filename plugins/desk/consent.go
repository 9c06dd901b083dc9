package desk

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// What State.Consent may be.
const (
	consentAsked   = "asked"
	consentAllowed = "allowed"
	consentDenied  = "denied"
)

// ownActions begins the actions that the desk itself serves.
const ownActions = "troupe."

const (
	actAllow = ownActions + "consent.allow"
	actDeny  = ownActions + "consent.deny"
	actRun   = ownActions + "tool.run"
	actSkip  = ownActions + "tool.cancel"
)

// consent is whether a group lets a bot moderate.
type consent struct {
	allowed bool
	at      time.Time // when it was read, or decided here
}

const (
	// consentLife is how long that is believed where other nodes decide on it as well. They say so
	// when they do; it is for what is lost of that, as Redis was away (reliability 4.1: 30 s).
	consentLife = 25 * time.Second
	// maxConsents bounds how many are known at once of one plugin, at some 100 bytes each.
	maxConsents = 1 << 16
)

// keepConsent notes one. The caller holds mu.
func (p *plug) keepConsent(at place, allowed bool) {
	if len(p.consents) >= maxConsents {
		clear(p.consents)
	}
	p.consents[at] = consent{allowed, p.d.need.Now()}
}

// forgetConsent has it read again whether a group lets a bot moderate.
func (d *Desks) forgetConsent(bot protocol.UserID, session protocol.SessionID) {
	if p := d.known(pluginOf(bot)); p != nil {
		p.mu.Lock()
		delete(p.consents, place{bot, session})
		p.decided++
		p.mu.Unlock()
	}
}

// consenting is the first of a group's bots that is the plugin's and may moderate there, as far
// as that is known; sure: all of it is. The caller holds mu.
func (p *plug) consenting(session protocol.SessionID, bots []protocol.UserID) (as protocol.UserID, sure bool) {
	sure = true
	for _, bot := range bots {
		if !p.is(bot) {
			continue
		}
		c, known := p.consents[place{bot, session}]
		if c.allowed && as == "" {
			as = bot
		}
		if !known || p.d.several() && p.d.need.Now().Sub(c.at) > consentLife {
			sure = false
		}
	}
	return as, sure
}

// readConsent is consenting by what the store says.
func (p *plug) readConsent(ctx context.Context, session protocol.SessionID, bots []protocol.UserID) (as protocol.UserID, err error) {
	p.mu.Lock()
	decided := p.decided
	var ours []protocol.UserID
	for _, bot := range bots {
		if p.is(bot) {
			ours = append(ours, bot)
		}
	}
	p.mu.Unlock()
	for _, bot := range ours {
		s, err := p.d.need.Store.BotState(ctx, bot, session)
		if err != nil {
			return "", fmt.Errorf("whether a bot may moderate: %w", err)
		}
		allowed := s.Consent == consentAllowed
		if allowed && as == "" {
			as = bot
		}
		p.mu.Lock()
		if p.decided == decided { // else what was read may be old
			p.keepConsent(place{bot, session}, allowed)
		}
		p.mu.Unlock()
	}
	return as, nil
}

// readConsents gives where a moderator may look at what is written, so that the first message
// of a group does not wait for the store.
func (p *plug) readConsents(selves []*botv1.Self, scopes map[string]bool) map[place]consent {
	all, now := map[place]consent{}, p.d.need.Now()
	if !scopes["moderate"] {
		return all
	}
	for _, self := range selves {
		err := p.d.need.Store.BotStates(p.d.ctx, self.User, func(session protocol.SessionID, s State) error {
			if s.Consent == consentAllowed && len(all) < maxConsents {
				all[place{self.User, session}] = consent{true, now}
			}
			return nil
		})
		if err != nil {
			p.d.need.Log.Error("reading where a bot may moderate", "user", self.User, "err", err)
		}
	}
	return all
}

// mayModerate says whether the bot may do to others what its scope moderate is for: where
// the group allowed it, or everywhere when the installation says so.
func (w *wish) mayModerate(ctx context.Context) error {
	p := w.l.p
	p.mu.Lock()
	everywhere := p.of.Everywhere
	p.mu.Unlock()
	if everywhere {
		return nil
	}
	if !protocol.IsP2P(w.session) {
		s, err := p.d.need.Store.BotState(ctx, w.bot, w.session)
		if err != nil || s.Consent == consentAllowed {
			return err
		}
	}
	return protocol.Denied("the group's owner or an admin has to allow it first")
}

// askConsent posts the card that asks a group whether the bot may do more than others,
// once. at is the seq of its coming.
func (l *lane) askConsent(ctx context.Context, at int64) error {
	p := l.p
	if !l.group() || l.consent() != "" || !(p.granted("read.all") || p.granted("moderate")) {
		return nil
	}
	say := words(p.d.locale())
	var rows []map[string]string
	if p.granted("read.all") {
		rows = append(rows, map[string]string{"label": "•", "value": say.readAll})
	}
	if p.granted("moderate") {
		rows = append(rows, map[string]string{"label": "•", "value": say.moderate})
	}
	card := card(fmt.Sprintf(say.consentTitle, l.name()), say.consentText, map[string]any{
		"rows": rows,
		"buttons": []map[string]string{
			{"action": actAllow, "label": say.allow, "style": "primary"},
			{"action": actDeny, "label": say.deny},
		},
	})
	if _, err := p.d.say(ctx, p.host(l.bot), &protocol.MsgSend{
		Session: l.session, ClientMsgId: "desk.consent." + strconv.FormatInt(at, 10), Content: card,
	}); err != nil && !lasting(err) {
		return err
	}
	return l.change(ctx, func(s *State) { s.Consent = consentAsked })
}

// card makes a card's content.
func card(title, text string, data map[string]any) *protocol.Content {
	d, _ := json.Marshal(data)
	return &protocol.Content{Type: protocol.ContentType_CARD, Title: title, Text: text, Data: string(d)}
}

// say sends a message. One that was sent before with other words is as good as sent.
func (d *Desks) say(ctx context.Context, who protocol.Identity, m *protocol.MsgSend) (*protocol.MsgSendReply, error) {
	r, err := d.need.Actors.Ask(ctx, who, &protocol.Frame{Body: &protocol.Frame_MsgSend{MsgSend: m}})
	if protocol.Code_CONFLICT.Is(err) {
		return &protocol.MsgSendReply{Session: m.Session, ClientMsgId: m.ClientMsgId, Duplicate: true}, nil
	}
	if err != nil {
		return nil, err
	}
	return r.GetMsgSendReply(), nil
}

// lasting is an error that trying again does not mend.
func lasting(err error) bool {
	switch protocol.AsError(err).Code {
	case protocol.Code_BUSY, protocol.Code_INTERNAL, protocol.Code_GOAWAY, protocol.Code_RATE_LIMITED:
		return false
	}
	return true
}

// change makes the bot's state in the session another one, durably.
func (l *lane) change(ctx context.Context, f func(*State)) error {
	return l.p.change(ctx, l.place, f)
}

// change makes a bot's state in a session another one, durably.
func (p *plug) change(ctx context.Context, at place, f func(*State)) error {
	p.stating.Lock()
	defer p.stating.Unlock()
	s, err := p.d.need.Store.BotState(ctx, at.bot, at.session)
	if err != nil {
		return err
	}
	was := s
	if f(&s); s == was {
		return nil
	}
	if err := p.d.need.Store.PutBotState(ctx, at.bot, at.session, s); err != nil {
		return err
	}
	p.mu.Lock()
	if l := p.lanes[at]; l != nil {
		l.state = s
	}
	p.decided++
	p.keepConsent(at, s.Consent == consentAllowed)
	p.mu.Unlock()
	if p.d.several() && s.Consent != was.Consent {
		p.d.need.Nodes.Changed(HeardConsent, at.bot+" "+at.session)
	}
	return nil
}

// ownAction serves a click on a card of the desk's.
func (l *lane) ownAction(ctx context.Context, e, target *protocol.Entry, action string) error {
	switch action {
	case actAllow, actDeny:
		if !strings.HasPrefix(target.ClientMsgId, "desk.consent.") {
			return nil // a bot's card that looks like ours
		}
		say := words(l.p.d.locale())
		allowed := action == actAllow
		ok, err := l.decide(ctx, e, allowed)
		if !ok || err != nil {
			return err
		}
		text := say.denied
		if allowed {
			text = say.allowed
		}
		return l.doneCard(ctx, e, target, action, text)
	case actRun, actSkip:
		if !strings.HasPrefix(target.ClientMsgId, "desk.tool.") {
			return nil
		}
		return l.ranWish(ctx, e, target, action == actRun)
	}
	return nil
}

// setConsent serves /consent NAME on and off.
func (l *lane) setConsent(ctx context.Context, e *protocol.Entry, what string) error {
	say := words(l.p.d.localeOf(ctx, e))
	if what != "on" && what != "off" {
		return l.whisper(ctx, e, "usage", fmt.Sprintf(say.usage, "/consent "+l.handle()+" on|off"))
	}
	ok, err := l.decide(ctx, e, what == "on")
	if !ok || err != nil {
		return err
	}
	return l.whisper(ctx, e, "consent", fmt.Sprintf(say.consentGone, l.name(), what))
}

// decide lets the owner or an admin allow or deny; others are told that they may not.
func (l *lane) decide(ctx context.Context, e *protocol.Entry, allowed bool) (bool, error) {
	role, err := l.p.d.roleOf(ctx, l.p.speak(l.bot), l.session, e.Sender)
	if err != nil && !protocol.Code_NOT_FOUND.Is(err) {
		return false, err
	}
	if err != nil || role == protocol.Role_MEMBER {
		return false, l.whisper(ctx, e, "denied", words(l.p.d.localeOf(ctx, e)).notOwner)
	}
	return true, l.change(ctx, func(s *State) {
		s.By, s.Consent = e.Sender, consentDenied
		if allowed {
			s.Consent = consentAllowed
		}
	})
}

// doneCard has a card of the desk's show what was decided, and by whom.
func (l *lane) doneCard(ctx context.Context, e, target *protocol.Entry, action, text string) error {
	data := map[string]any{}
	_ = json.Unmarshal([]byte(target.Content.GetData()), &data) // we wrote it
	delete(data, "buttons")
	data["done"] = map[string]any{"action": action, "by": e.Sender, "at": e.CreatedAt}
	data["rows"] = append(rowsOf(data), map[string]any{"label": "→", "value": text})
	_, err := l.p.d.need.Actors.Ask(ctx, l.p.host(l.bot), &protocol.Frame{Body: &protocol.Frame_MsgEdit{MsgEdit: &protocol.MsgEdit{
		Session: l.session, MessagerecvId: target.MessagerecvId, Content: card(target.Content.GetTitle(), target.Content.GetText(), data),
	}}})
	if err != nil && lasting(err) { // too late to edit: the decision stands all the same
		return nil
	}
	return err
}

func rowsOf(data map[string]any) []any {
	rows, _ := data["rows"].([]any)
	return rows
}

// comeBack serves /bot: the bot gets what is said behind it again.
func (l *lane) comeBack(ctx context.Context, e *protocol.Entry) error {
	if !l.human() {
		return nil
	}
	_, err := l.p.d.say(ctx, l.p.host(l.bot), &protocol.MsgSend{
		Session: l.session, ClientMsgId: "desk.bot." + strconv.FormatInt(e.Seq, 10),
		Content: &protocol.Content{Type: protocol.ContentType_TEXT, Text: words(l.p.d.localeOf(ctx, e)).bot},
	})
	if err != nil && !lasting(err) {
		return err
	}
	return l.change(ctx, func(s *State) { s.Human, s.Handed = false, "" }) // this last: without it all of this is done again
}
