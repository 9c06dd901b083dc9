package desk

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/plugins/sdk/args"
	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// Bounds of what an event repeats.
const maxQuote = 2000 // bytes of the message that is answered

// event makes of an entry what the bot gets, nil: it is none of its events. What the
// host answers itself (commands that are typed wrong, its own cards) is done here.
func (l *lane) event(ctx context.Context, e *protocol.Entry) (*hand, error) {
	switch e.Kind {
	case protocol.Kind_JOIN:
		if !slices.Contains(e.Members, l.bot) {
			return nil, nil
		}
		if err := l.askConsent(ctx, e.Seq); err != nil {
			return nil, err
		}
		if l.tooOld(e) {
			return nil, nil
		}
		return l.hand(ctx, e, "added"), nil
	case protocol.Kind_MESSAGE:
		return l.message(ctx, e)
	case protocol.Kind_EDIT:
		// The installation also edits what repeats an erased user.
		if e.Sender != e.TargetSender && e.Content != nil && e.Deal == nil && (e.Sender != actors.System || len(e.Content.Forwarded) == 0) {
			return l.released(ctx, e)
		}
		if e.Sender == l.bot || l.human() || e.Content == nil || protocol.IsBot(e.Sender) || !l.all() || e.TargetSender == l.bot || l.tooOld(e) {
			return nil, nil
		}
		h := l.hand(ctx, e, "edited")
		h.event.Message = protocol.MessageID(l.session, e.Target)
		return h, nil
	case protocol.Kind_RECALL:
		l.p.unsaid(l, e)
		if e.Sender == l.bot || l.human() || protocol.IsBot(e.Sender) || !l.all() || e.TargetSender == l.bot || l.tooOld(e) {
			return nil, nil
		}
		h := l.hand(ctx, e, "recalled")
		h.event.Message = protocol.MessageID(l.session, e.Target)
		return h, nil
	}
	return nil, nil
}

// released makes of a message that was held back, and that somebody let go by e, what it
// would have been.
func (l *lane) released(ctx context.Context, e *protocol.Entry) (*hand, error) {
	target, err := l.entry(ctx, protocol.MessageID(l.session, e.Target))
	if err != nil || target == nil || target.Kind != protocol.Kind_MESSAGE {
		return nil, err
	}
	target = proto.CloneOf(target)
	target.CreatedAt = e.CreatedAt // it is as old as that
	h, err := l.message(ctx, target)
	if h != nil {
		h.seq = e.Seq
	}
	return h, err
}

// all says whether the bot gets all that people say here.
func (l *lane) all() bool {
	return !l.group() || l.p.granted("read.all") && l.consent() == consentAllowed
}

func (p *plug) granted(scope string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.scopes[scope]
}

// grants is granted, also for a part of the scope.
func (p *plug) grants(scope string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.scopes[scope] || botv1.Grants(slices.Collect(maps.Keys(p.scopes)), scope)
}

func (l *lane) consent() string {
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	return l.state.Consent
}

// human says that people took over.
func (l *lane) human() bool {
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	return l.state.Human
}

// muted says that the bot talked in circles here.
func (l *lane) muted() bool {
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	return l.state.MutedTill > l.p.d.now()
}

// age of events that the bot answers; 0: any.
func (p *plug) maxAge() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch ms := p.says.GetMaxEventAgeMs(); {
	case ms < 0:
		return 0
	case ms == 0:
		return p.d.cfg.MaxAge
	default:
		return time.Duration(ms) * time.Millisecond
	}
}

// tooOld says that nobody waits for an answer to e any more.
func (l *lane) tooOld(e *protocol.Entry) bool {
	age := l.p.maxAge()
	if l.replay || age == 0 || l.p.d.now()-e.CreatedAt <= age.Milliseconds() {
		return false
	}
	l.p.mu.Lock()
	l.p.count.old++
	l.p.mu.Unlock()
	return true
}

// hand makes an event of an entry with what is the same for all kinds.
func (l *lane) hand(ctx context.Context, e *protocol.Entry, kind string) *hand {
	ev := &botv1.Event{
		Id: protocol.DeliveryID(e.MessagerecvId, l.bot), Kind: kind, Session: l.session, SessionType: typeWord(l.typ),
		Seq: e.Seq, Message: e.MessagerecvId, To: l.bot, Sender: l.person(ctx, e.Sender), CreatedAt: e.CreatedAt,
		Locale: l.p.d.localeOf(ctx, e), Traceparent: trace(),
		Late: l.p.d.now()-e.CreatedAt > l.p.d.cfg.MaxAge.Milliseconds(),
	}
	if c := e.Content; c != nil {
		ev.Text, ev.Content = c.Text, contentJSON(c)
		for _, f := range c.FileNames() {
			if f != c.Thumb {
				ev.Files = append(ev.Files, &botv1.File{File: f, Name: c.Name, Mime: c.Mime, Size: c.Size})
			}
		}
	}
	h := &hand{lane: l, bot: l.bot, session: l.session, seq: e.Seq, kind: kind, event: ev, quick: !l.group()}
	l.p.mu.Lock()
	ordering := l.p.says.GetOrdering()
	l.p.mu.Unlock()
	switch ordering {
	case botv1.Ordering_BY_USER:
		h.key = "m " + e.Sender
	case botv1.Ordering_NONE:
		h.key = ev.Id
	default:
		h.key = "m"
	}
	if kind == "command" || kind == "action" {
		h.quick, h.key = true, "c"+h.key[1:]
		if ordering == botv1.Ordering_NONE {
			h.key = ev.Id
		}
	}
	return h
}

func typeWord(t protocol.SessionType) string {
	switch t {
	case protocol.SessionType_P2P:
		return "p2p"
	case protocol.SessionType_GROUP:
		return "group"
	case protocol.SessionType_MUC:
		return "muc"
	}
	return "system"
}

// message looks at what somebody said.
func (l *lane) message(ctx context.Context, e *protocol.Entry) (*hand, error) {
	c := e.Content
	if e.Sender == l.bot || c == nil || c.Type == protocol.ContentType_SYSTEM || e.Deal.GetState() == "held" || e.Deal.GetState() == "rejected" {
		return nil, nil
	}
	var hops uint32
	fromBot := protocol.IsBot(e.Sender)
	if fromBot {
		hops = hopsOf(e.ClientMsgId)
		if !l.p.granted("bots.read") || hops >= maxHops || l.p.d.of(e.Sender) == l.p || l.muted() {
			return nil, nil
		}
	}
	said := troupeOf(c)
	if !fromBot && said.Action == "" {
		if name, handle, rest := args.Split(c.Text); name != "" {
			// What is done is what others read: a form's arguments count where its text says the same command.
			if form, of, _ := strings.Cut(said.Command, "@"); form == "" || !strings.EqualFold(form, name) {
				said.Command = ""
			} else if handle == "" {
				handle = of
			}
			h, mine, err := l.command(ctx, e, said, name, handle, rest)
			if mine || err != nil {
				return h, err
			}
		}
	}
	if l.human() {
		return nil, nil
	}
	var target *protocol.Entry
	if e.ReplyTo != "" {
		var err error
		if target, err = l.entry(ctx, e.ReplyTo); err != nil {
			return nil, err
		}
	}
	mine := target != nil && target.Sender == l.bot
	if said.Action != "" && c.Type == protocol.ContentType_CARD {
		if !mine || fromBot {
			return nil, nil
		}
		if strings.HasPrefix(said.Action, ownActions) {
			return nil, l.ownAction(ctx, e, target, said.Action)
		}
		if l.tooOld(e) {
			return nil, l.whisper(ctx, e, "late", words(l.p.d.localeOf(ctx, e)).late)
		}
		h := l.hand(ctx, e, "action")
		h.event.Action, h.event.Values = said.Action, said.values()
		h.event.ReplyTo = l.quote(target)
		return h, nil
	}
	mentioned := slices.Contains(e.Mentions, l.bot)
	if !(mentioned || mine || l.all()) || l.tooOld(e) {
		return nil, nil
	}
	h := l.hand(ctx, e, "message")
	h.event.Mentioned, h.event.Hops = mentioned, hops
	if mentioned {
		h.event.Text = l.withoutMention(c.Text)
	}
	if target != nil {
		h.event.ReplyTo = l.quote(target)
	}
	return h, nil
}

// withoutMention takes the bot's name out of a text.
func (l *lane) withoutMention(text string) string {
	l.p.mu.Lock()
	self := l.p.selves[l.bot]
	l.p.mu.Unlock()
	for _, name := range []string{self.GetName(), self.GetHandle()} {
		if name == "" {
			continue
		}
		for from := 0; ; {
			i := indexFold(text[from:], "@"+name)
			if i < 0 {
				break
			}
			at, end := from+i, from+i+1+len(name)
			if end < len(text) && wordy(rune(name[len(name)-1])) && wordy(rune(text[end])) { // @ann is no @anna
				from = end
				continue
			}
			text = strings.TrimRight(text[:at], " \u2005") + " " + strings.TrimLeft(text[end:], " \u2005,，:：")
			from = 0
		}
	}
	return strings.TrimSpace(text)
}

// wordy is a letter, digit or _ of ASCII: others end where a name ends.
func wordy(r rune) bool {
	return r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_')
}

// indexFold is strings.Index without regard to the case of ASCII.
func indexFold(s, part string) int {
	for i := 0; i+len(part) <= len(s); i++ {
		if strings.EqualFold(s[i:i+len(part)], part) {
			return i
		}
	}
	return -1
}

// entry reads one message of the session, nil: the bot may not read it, or it is gone.
func (l *lane) entry(ctx context.Context, message string) (*protocol.Entry, error) {
	session, seq, err := protocol.ParseMessageID(message)
	if err != nil || session != l.session {
		return nil, nil
	}
	before := seq + 1
	r, err := l.sync(ctx, &protocol.Sync{Session: session, BeforeSeq: &before, Limit: 1})
	if err != nil {
		return nil, err
	}
	if len(r.Messages) == 1 && r.Messages[0].Seq == seq {
		return r.Messages[0], nil
	}
	return nil, nil
}

func (l *lane) quote(e *protocol.Entry) *botv1.Quote {
	text := e.Content.GetText()
	if text == "" {
		text = e.Content.GetTitle()
	}
	return &botv1.Quote{Message: e.MessagerecvId, Sender: e.Sender, Text: cutText(text, maxQuote), Mine: e.Sender == l.bot}
}

// cutText is s in at most n bytes, without half a character.
func cutText(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n]
}

// unsaid tells the bot that nobody wants an answer to what was taken back.
func (p *plug) unsaid(l *lane, e *protocol.Entry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	id := protocol.DeliveryID(protocol.MessageID(l.session, e.Target), l.bot)
	if h := p.hands[id]; h != nil && h.state == given && h.link != nil {
		h.link.push(&botv1.HostFrame{Body: &botv1.HostFrame_Cancel{Cancel: &botv1.Cancel{Event: id, By: e.Sender}}})
	}
}

// said is what stands in content.data.troupe.
type said struct {
	Action  string          `json:"action"`
	Values  json.RawMessage `json:"values"`
	Command string          `json:"command"`
	Args    json.RawMessage `json:"args"`
	Locale  string          `json:"locale"` // of the client
}

func (s said) values() string {
	if len(s.Values) == 0 || string(s.Values) == "null" {
		return "{}"
	}
	return string(s.Values)
}

func troupeOf(c *protocol.Content) said {
	var d struct {
		Troupe said `json:"troupe"`
	}
	if c.Data != "" {
		_ = json.Unmarshal([]byte(c.Data), &d) // another application's data is not ours to judge
	}
	return d.Troupe
}

// contentJSON writes a content as clients get it.
func contentJSON(c *protocol.Content) string {
	b, err := json.Marshal(&protocol.Frame{Body: &protocol.Frame_MsgEdit{MsgEdit: &protocol.MsgEdit{Content: c}}})
	var f struct {
		Content json.RawMessage `json:"content"`
	}
	if err != nil || json.Unmarshal(b, &f) != nil {
		return "{}"
	}
	return string(f.Content)
}

// parseContent reads what contentJSON writes. The error is a BAD_REQUEST.
func parseContent(text string) (*protocol.Content, error) {
	if !json.Valid([]byte(text)) {
		return nil, protocol.BadRequest("content: not JSON")
	}
	f, err := protocol.DecodeJSON([]byte(`{"type":"msg_edit","session":"-","messagerecvId":"-","content":` + text + `}`))
	if err != nil {
		return nil, protocol.BadRequest("content: %v", err)
	}
	return f.GetMsgEdit().GetContent(), nil
}
