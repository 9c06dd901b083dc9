package desk

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/plugins/sdk/args"
	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

const (
	toolTime = 30 * time.Second // until a tool has answered
	wishLife = 24 * time.Hour   // within which a person can allow one
	maxHeard = 16 << 10         // bytes of what a tool says
)

// tool is a command of another bot in the session, which is reached here or at another node.
type tool struct {
	name string
	bot  *botv1.Self
	cmd  *botv1.Command
}

// toolName is BOT__COMMAND in the letters that models allow.
func toolName(bot protocol.UserID, command string) string {
	return strings.ReplaceAll(strings.TrimPrefix(bot, "b_"), ".", "_") + "__" + command
}

// toolsIn gives what other bots in a session can do, in the order of their names.
func (w *wish) toolsIn(ctx context.Context) (all []tool, err error) {
	d := w.l.p.d
	for plugin, s := range d.speakers() {
		if plugin == w.l.p.id {
			continue
		}
		for _, self := range selvesOf(s.says) {
			commands := commandsOf(s.says, self.Handle)
			if len(commands) == 0 {
				continue
			}
			if _, err := d.roleOf(ctx, w.l.p.speak(w.bot), w.session, self.User); protocol.Code_NOT_FOUND.Is(err) {
				continue
			} else if err != nil {
				return nil, err
			}
			for _, c := range commands {
				all = append(all, tool{toolName(self.User, c.Name), self, c})
			}
		}
	}
	slices.SortFunc(all, func(a, b tool) int { return strings.Compare(a.name, b.name) })
	return all, nil
}

func (w *wish) tools(ctx context.Context) (*botv1.Result, error) {
	all, err := w.toolsIn(ctx)
	if err != nil {
		return nil, err
	}
	list := &botv1.ToolList{}
	for _, t := range all {
		list.Tools = append(list.Tools, &botv1.Tool{Name: t.name, Help: t.cmd.Help, Schema: args.Schema(t.cmd), Destructive: t.cmd.Destructive})
	}
	return &botv1.Result{Got: &botv1.Result_Tools{Tools: list}}, nil
}

// toolCall has another bot do a command for the person who asked this one. What cannot
// be taken back is done only when that person clicks.
func (w *wish) toolCall(ctx context.Context, m *botv1.ToolCall) (*botv1.Result, error) {
	p := w.l.p
	asker := w.event.GetSender()
	switch {
	case w.hand == nil || asker.GetUser() == "" || w.event.Session != w.session: // what was asked long ago lets it do nothing now
		return nil, protocol.Denied("a tool is used for a person who asked, in the session of the event")
	case w.hops() >= maxHops:
		return nil, protocol.Denied("bots call bots: %d of them are enough", maxHops)
	case len(m.Args) > maxValue:
		return nil, protocol.TooLarge("tool_call.args: %d bytes at most", maxValue)
	}
	all, err := w.toolsIn(ctx)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(all, func(t tool) bool { return t.name == m.Name })
	if i < 0 {
		return nil, protocol.NotFound("tool %.80q", m.Name)
	}
	t := all[i]
	raw := m.Args
	if raw == "" {
		raw = "{}"
	}
	c := &checker{say: &english, locale: "en", cmd: t.cmd, member: func(user string) bool {
		_, err := p.d.roleOf(ctx, p.speak(w.bot), w.session, user)
		return err == nil
	}}
	given, bad := c.object([]byte(raw))
	if bad != nil {
		return nil, protocol.BadRequest("%s", bad.Error())
	}
	text, err := json.Marshal(given)
	if err != nil {
		return nil, err
	}
	if t.cmd.Destructive {
		return w.askFor(ctx, t, string(text))
	}
	said, err := p.d.use(ctx, &botv1.Event{
		Id: "tool." + hashed(w.Event, trace()), Kind: "tool", To: t.bot.User, Command: t.cmd.Name, Session: w.session, SessionType: w.event.SessionType, Hops: w.hops(), Sender: asker,
		Args: string(text), CreatedAt: p.d.now(), Traceparent: w.event.Traceparent, Locale: w.event.Locale, Message: w.event.Message,
	})
	if err != nil {
		return nil, err
	}
	return &botv1.Result{Got: &botv1.Result_Tool{Tool: &botv1.ToolResult{Text: said}}}, nil
}

// use gives a bot an event of kind tool, here or at a node that reaches it, and what it says for it.
func (d *Desks) use(ctx context.Context, ev *botv1.Event) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, toolTime)
	defer cancel()
	plugin := pluginOf(ev.To)
	if p := d.known(plugin); p != nil && p.linked() {
		return p.use(ctx, ev)
	}
	nodes := d.reach.nodes(plugin, d.need.Now())
	if len(nodes) == 0 || !d.several() {
		return "", errAway
	}
	asked, err := proto.Marshal(ev)
	if err != nil {
		return "", err
	}
	said, err := d.need.Nodes.Inquire(ctx, cmp.Or(d.need.Nodes.OwnerAmong(ev.Session, nodes), nodes[0]), askedUse, plugin, asked)
	return string(said), err
}

// askedUse is what a desk asks another one about a plugin that is reached there: an Event of kind
// tool, answered by the text that it says for it. BUSY: it is not reached there, or took too long.
const askedUse = "use"

// usedFor answers askedUse.
func (d *Desks) usedFor(ctx context.Context, plugin string, body []byte) ([]byte, error) {
	ev := &botv1.Event{}
	if err := proto.Unmarshal(body, ev); err != nil || ev.Kind != "tool" || pluginOf(ev.To) != plugin {
		return nil, protocol.BadRequest("an Event that cannot be used")
	}
	p := d.known(plugin)
	if p == nil {
		return nil, errAway
	}
	said, err := p.use(ctx, ev)
	return []byte(said), err
}

func (p *plug) use(ctx context.Context, ev *botv1.Event) (string, error) {
	heard := &heard{}
	done := make(chan error, 1)
	h := &hand{bot: ev.To, session: ev.Session, kind: "tool", key: ev.Id, quick: true, event: ev, heard: heard, told: func(err error) { done <- err }}
	if !p.hold(h) {
		return "", errAway
	}
	select {
	case err := <-done:
		return heard.all(), err
	case <-ctx.Done():
		p.mu.Lock()
		defer p.mu.Unlock()
		if h.state != over {
			if h.link != nil && h.state == given {
				h.link.push(&botv1.HostFrame{Body: &botv1.HostFrame_Cancel{Cancel: &botv1.Cancel{Event: ev.Id}}})
			}
			h.told = nil
			p.finish(h, nil)
		}
		return "", &protocol.Error{Code: protocol.Code_BUSY, Detail: "the other bot did not answer in time"}
	}
}

// heard is what a tool said: texts are for who called it, all else is for the session.
type heard struct {
	mu   sync.Mutex
	text strings.Builder
}

// take keeps a text. False: it is to be posted.
func (h *heard) take(c *protocol.Content) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	text := c.Text
	if c.Type != protocol.ContentType_TEXT {
		text = "(posted in the session: " + c.Title + " " + c.Text + ")"
	}
	if h.text.Len() > 0 {
		h.text.WriteString("\n")
	}
	h.text.WriteString(cutText(text, max(0, maxHeard-h.text.Len())))
	return c.Type == protocol.ContentType_TEXT
}

func (h *heard) all() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.String()
}

// maxShown is how many letters of an argument stand on the card that asks about it.
const maxShown = 400

// shown writes an argument for who allows it: whole where it is short, else its beginning and
// its end, and how much is between.
func shown(v any, say *language) string {
	text, ok := v.(string)
	if !ok {
		raw, err := json.Marshal(v)
		if err != nil {
			return "?"
		}
		text = string(raw)
	}
	letters := []rune(text)
	if len(letters) <= maxShown {
		return text
	}
	const end = maxShown / 4
	return string(letters[:maxShown-end]) + fmt.Sprintf(say.more, len(letters)-maxShown) + string(letters[len(letters)-end:])
}

// askFor posts a card on which the asker allows a tool. What a click allows is durable before
// somebody sees the card; when this is done again, it may have been decided already.
func (w *wish) askFor(ctx context.Context, t tool, raw string) (*botv1.Result, error) {
	p := w.l.p
	say := words(w.event.Locale)
	rows := []map[string]string{}
	var given map[string]any
	_ = json.Unmarshal([]byte(raw), &given) // we wrote it
	for _, a := range t.cmd.Args {
		if v, ok := given[a.Name]; ok {
			rows = append(rows, map[string]string{"label": a.Name, "value": shown(v, say)})
		}
	}
	content := card(say.toolTitle, fmt.Sprintf(say.toolText, p.nameOf(w.bot), t.cmd.Name, t.bot.Name), map[string]any{
		"rows": rows,
		"buttons": []map[string]string{
			{"action": actRun, "label": say.run, "style": "danger"},
			{"action": actSkip, "label": say.cancel},
		},
	})
	id := "desk.tool." + hashed(w.Event, t.name, raw)
	_, err := p.d.need.Store.BotWish(ctx, id)
	if protocol.Code_NOT_FOUND.Is(err) {
		err = p.d.need.Store.PutBotWish(ctx, id, &Wish{
			Plugin: p.id, Bot: w.bot, Session: w.session, Asker: w.event.Sender.User, Target: t.bot.User, Command: t.cmd.Name, Args: raw,
			Hops: w.hops(), Expires: p.d.now() + wishLife.Milliseconds(),
		})
	}
	if err != nil {
		return nil, err
	}
	if _, err := p.d.say(ctx, p.host(w.bot), &protocol.MsgSend{Session: w.session, ClientMsgId: id, Content: content, ReplyTo: w.replyTo("")}); err != nil {
		return nil, err
	}
	return &botv1.Result{Got: &botv1.Result_Tool{Tool: &botv1.ToolResult{Pending: true}}}, nil
}

// ranWish serves a click on a tool's card: the asker's own has it done. The command is
// durable before the card says so, and the wish tells by which click: when this is done
// again, nothing is done twice.
func (l *lane) ranWish(ctx context.Context, e, target *protocol.Entry, run bool) error {
	d := l.p.d
	say := words(d.localeOf(ctx, e))
	wish, err := d.need.Store.BotWish(ctx, target.ClientMsgId)
	switch {
	case protocol.Code_NOT_FOUND.Is(err):
		return l.whisper(ctx, e, "tool", say.toolGone)
	case err != nil:
		return err
	case wish.Asker != e.Sender:
		return l.whisper(ctx, e, "tool", say.notAsker)
	case wish.Click == e.MessagerecvId:
		return nil // it was seen to before the server ended
	case wish.Click != "":
		return l.whisper(ctx, e, "tool", say.toolGone)
	}
	action, text, why := actSkip, say.cancel, ""
	p := d.of(wish.Target)
	if p == nil { // it is about to come, as the server is
		p = d.plug(pluginOf(wish.Target))
	}
	if run {
		if why = p.unable(wish, say); why == "" {
			err := p.errand(ctx, &botv1.Event{
				Id: protocol.DeliveryID(e.MessagerecvId, wish.Target), Kind: "command", Session: wish.Session, SessionType: typeWord(l.typ), Seq: e.Seq,
				Message: e.MessagerecvId, To: wish.Target, Sender: l.person(ctx, e.Sender), Command: wish.Command, Args: wish.Args,
				Hops: wish.Hops, CreatedAt: e.CreatedAt, Locale: d.localeOf(ctx, e), Traceparent: trace(),
			})
			switch {
			case err == nil:
				action, text = actRun, say.run
			case lasting(err):
				d.need.Log.Warn("a command that a person allowed", "plugin", p.id, "session", l.session, "err", err)
				why = fmt.Sprintf(say.toolFailed, wish.Command)
			default:
				return err
			}
		}
	}
	if why != "" {
		text = why
	}
	if err := l.doneCard(ctx, e, target, action, text); err != nil {
		return err
	}
	wish.Click = e.MessagerecvId
	if err := d.need.Store.PutBotWish(ctx, target.ClientMsgId, wish); err != nil {
		return err
	}
	if why != "" {
		return l.whisper(ctx, e, "tool", why)
	}
	p.planned(wish.Session, d.now())
	return nil
}

// unable says why a bot does not do what it was wished for; "": it does, as far as is known.
func (p *plug) unable(w *Wish, say *language) string {
	p.mu.Lock()
	known, away := p.says != nil, p.state == "offline"
	p.mu.Unlock()
	switch {
	case w.Expires < p.d.now() || known && p.commandOf(w.Target, w.Command) == nil:
		return say.toolGone
	case known && away:
		return say.late
	}
	return ""
}
