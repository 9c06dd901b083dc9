package desk

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// Bounds of single calls.
const (
	callTime  = 15 * time.Second
	maxValue  = 64 << 10
	maxKey    = 256
	maxBody   = 16 << 10
	maxFile   = 16 << 20
	maxFuture = 5 * 365 * 24 * time.Hour // of a schedule
)

// wish is a call with what it is about.
type wish struct {
	*botv1.Call
	l       *link
	bot     protocol.UserID
	session protocol.SessionID
	event   *botv1.Event // nil: it belongs to none that is known
	hand    *hand        // nil: it is not in hand any more
	attempt uint32
}

func (w *wish) hops() uint32 {
	if w.event == nil {
		return 1
	}
	return w.event.Hops + 1
}

// call takes one call. What is seen in a session is done in the order of the calls of one
// event; the rest at once.
func (l *link) call(c *botv1.Call) {
	p := l.p
	w, err := l.about(c)
	if err == nil {
		if scope := botv1.ScopeOf(c); scope != "" && !p.grants(scope) {
			err = protocol.Denied("the scope %s is needed", scope)
		}
	}
	if err != nil {
		l.answer(c, failed(err))
		return
	}
	if d := c.GetDelta(); d != nil {
		if err := p.delta(w, d); err != nil || c.Id != 0 {
			l.answer(c, failed(err))
		}
		return
	}
	if !l.enter() {
		return
	}
	p.begin(w)
	do := func() {
		defer l.leave()
		ctx, cancel := context.WithTimeout(l.ctx, callTime)
		if c.GetToolCall() != nil || c.GetFileGet() != nil || c.GetFilePut() != nil || c.GetFetch() != nil {
			cancel()
			ctx, cancel = context.WithTimeout(l.ctx, toolTime+callTime)
		}
		r, err := w.do(ctx)
		cancel()
		if err != nil {
			r = failed(err)
			if protocol.AsError(err).Code == protocol.Code_INTERNAL {
				p.d.need.Log.Error("a bot's call", "plugin", p.id, "call", fmt.Sprintf("%T", c.Do), "session", w.session, "err", err)
			}
		}
		l.answer(c, r)
		p.end(w, err)
	}
	switch c.Do.(type) {
	case *botv1.Call_Post, *botv1.Call_End, *botv1.Call_Whisper, *botv1.Call_Edit, *botv1.Call_Recall,
		*botv1.Call_React, *botv1.Call_Handoff, *botv1.Call_Silence:
		name := "e " + c.Event
		if c.Event == "" {
			name = "s " + w.session
		}
		l.ordered(name, do)
	default:
		l.tasks.Go(do)
	}
}

// failed is the result of a call that was not done; nil: of one that was.
func failed(err error) *botv1.Result {
	if err == nil {
		return &botv1.Result{}
	}
	e := protocol.AsError(err)
	return &botv1.Result{Code: e.Code.Word(), Error: e.Detail, RetryAfterMs: e.RetryAfterMs}
}

// about finds out what a call belongs to.
func (l *link) about(c *botv1.Call) (*wish, error) {
	p := l.p
	p.mu.Lock()
	defer p.mu.Unlock()
	w := &wish{Call: c, l: l, bot: c.As, session: c.Session}
	if c.Event != "" {
		if h := p.hands[c.Event]; h != nil && h.link == l {
			w.hand, w.event, w.attempt = h, h.event, h.attempt
		} else if m, ok := p.past.get(c.Event); ok {
			w.event = m.event
		}
		if w.event != nil {
			if w.bot == "" {
				w.bot = w.event.To
			}
			if w.session == "" {
				w.session = w.event.Session
			}
		}
	}
	if w.bot == "" {
		if len(p.selves) > 1 {
			return nil, protocol.BadRequest("call.as: which of the personas is it?")
		}
		for user := range p.selves {
			w.bot = user
		}
	}
	if p.selves[w.bot] == nil {
		return nil, protocol.Denied("%.64q is none of this plugin's users", w.bot)
	}
	return w, nil
}

// begin and end count what is under way for an event, as its Ack comes behind it.
func (p *plug) begin(w *wish) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if w.hand != nil {
		w.hand.calls++
	}
}

func (p *plug) end(w *wish, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := w.hand
	if h == nil || h.attempt != w.attempt || h.calls == 0 {
		return
	}
	if h.calls--; err != nil && w.Id == 0 && !lasting(err) { // nobody hears of it: the event comes again
		h.failed, h.back = protocol.AsError(err).Detail, protocol.AsError(err).RetryAfterMs
	}
	if h.calls == 0 && h.acked != nil {
		a := h.acked
		h.acked = nil
		p.acknowledge(h, a)
	}
}

// do does a call.
func (w *wish) do(ctx context.Context) (*botv1.Result, error) {
	switch m := w.Do.(type) {
	case *botv1.Call_Post:
		return w.post(ctx, m.Post)
	case *botv1.Call_End:
		return w.endStream(ctx, m.End)
	case *botv1.Call_Typing:
		return w.plain(ctx, &protocol.Frame{Body: &protocol.Frame_MsgEditing{MsgEditing: &protocol.MsgEditing{Session: w.session}}})
	case *botv1.Call_Whisper:
		return w.whisper(ctx, m.Whisper)
	case *botv1.Call_Edit:
		return w.edit(ctx, m.Edit)
	case *botv1.Call_Recall:
		return w.recall(ctx, m.Recall)
	case *botv1.Call_React:
		if err := w.l.p.d.rates.take(w.bot, w.session); err != nil {
			return nil, err
		}
		return w.plain(ctx, &protocol.Frame{Body: &protocol.Frame_MsgReact{MsgReact: &protocol.MsgReact{
			Session: w.session, MessagerecvId: m.React.Message, Reaction: m.React.Reaction, Removed: m.React.Removed}}})
	case *botv1.Call_Silence:
		if err := w.mayModerate(ctx); err != nil {
			return nil, err
		}
		until := m.Silence.Until
		return w.plain(ctx, &protocol.Frame{Body: &protocol.Frame_SessionSet{SessionSet: &protocol.SessionSet{
			Session: w.session, Members: []string{m.Silence.User}, SilencedUntil: &until}}})
	case *botv1.Call_History:
		return w.history(ctx, m.History)
	case *botv1.Call_Members:
		return w.members(ctx, m.Members)
	case *botv1.Call_KvGet:
		return w.kvGet(ctx, m.KvGet)
	case *botv1.Call_KvSet:
		return w.kvSet(ctx, m.KvSet)
	case *botv1.Call_KvList:
		return w.kvList(ctx, m.KvList)
	case *botv1.Call_Schedule:
		return w.schedule(ctx, m.Schedule)
	case *botv1.Call_Unschedule:
		return w.unschedule(ctx, m.Unschedule)
	case *botv1.Call_FileGet:
		return w.fileGet(ctx, m.FileGet)
	case *botv1.Call_FilePut:
		return w.filePut(ctx, m.FilePut)
	case *botv1.Call_Handoff:
		return w.handoff(ctx, m.Handoff)
	case *botv1.Call_Tools:
		return w.tools(ctx)
	case *botv1.Call_ToolCall:
		return w.toolCall(ctx, m.ToolCall)
	case *botv1.Call_Usage:
		return w.usage(ctx, m.Usage)
	case *botv1.Call_Fetch:
		return w.fetch(ctx, m.Fetch)
	case *botv1.Call_HookMake, *botv1.Call_HookList, *botv1.Call_HookDrop:
		return w.hooked(ctx)
	case *botv1.Call_Secret:
		w.l.p.mu.Lock()
		value, ok := w.l.p.of.Secrets[m.Secret.Name]
		w.l.p.mu.Unlock()
		if !ok {
			return nil, protocol.NotFound("secret %.64q", m.Secret.Name)
		}
		return &botv1.Result{Got: &botv1.Result_Secret{Secret: &botv1.SecretValue{Value: value}}}, nil
	}
	return nil, protocol.Errorf(protocol.Code_UNKNOWN_TYPE, "the host knows no such call")
}

// ask does a frame as the bot.
func (w *wish) ask(ctx context.Context, f *protocol.Frame) (*protocol.Frame, error) {
	return w.l.p.d.need.Actors.Ask(ctx, w.l.p.speak(w.bot), f)
}

// plain does a frame whose answer says nothing that a bot needs.
func (w *wish) plain(ctx context.Context, f *protocol.Frame) (*botv1.Result, error) {
	if _, err := w.ask(ctx, f); err != nil {
		return nil, err
	}
	return &botv1.Result{}, nil
}

// content makes what a bot wants to say: a text, or JSON of a content.
func (w *wish) content(text, content string) (*protocol.Content, error) {
	if content == "" {
		if !utf8.ValidString(text) {
			return nil, protocol.BadRequest("text: UTF-8 is needed")
		}
		return &protocol.Content{Type: protocol.ContentType_TEXT, Text: text}, nil
	}
	if len(content) > maxValue {
		return nil, protocol.TooLarge("content: %d bytes at most", maxValue)
	}
	return parseContent(content)
}

// own reads a message, and refuses it where the bot did not write it or the desk did.
func (w *wish) own(ctx context.Context, message string) error {
	p := w.l.p
	l := &lane{p: p, place: place{w.bot, w.session}}
	e, err := l.entry(ctx, message)
	switch {
	case err != nil:
		return err
	case e == nil:
		return protocol.NotFound("message %.80q", message)
	case e.Sender != w.bot || strings.HasPrefix(e.ClientMsgId, "desk."):
		return protocol.Denied("message %.80q is not the bot's own", message)
	}
	return nil
}

func (w *wish) edit(ctx context.Context, m *botv1.Edit) (*botv1.Result, error) {
	if err := w.own(ctx, m.Message); err != nil {
		return nil, err
	}
	c, err := w.content(m.Text, m.Content)
	if err != nil {
		return nil, err
	}
	if err := w.l.p.d.rates.take(w.bot, w.session); err != nil {
		return nil, err
	}
	return w.plain(ctx, &protocol.Frame{Body: &protocol.Frame_MsgEdit{MsgEdit: &protocol.MsgEdit{Session: w.session, MessagerecvId: m.Message, Content: c}}})
}

// recall takes back one's own message; another's with the scope moderate, and consent.
func (w *wish) recall(ctx context.Context, m *botv1.Recall) (*botv1.Result, error) {
	if err := w.own(ctx, m.Message); err != nil {
		if !protocol.Code_DENIED.Is(err) || !w.l.p.granted("moderate") {
			return nil, err
		}
		if err := w.mayModerate(ctx); err != nil {
			return nil, err
		}
	}
	return w.plain(ctx, &protocol.Frame{Body: &protocol.Frame_MsgCancel{MsgCancel: &protocol.MsgCancel{Session: w.session, MessagerecvId: m.Message}}})
}

func (w *wish) whisper(ctx context.Context, m *botv1.Whisper) (*botv1.Result, error) {
	to := m.User
	if to == "" {
		to = w.event.GetSender().GetUser()
	}
	if to == "" {
		return nil, protocol.BadRequest("whisper.user: to whom?")
	}
	c, err := w.content(m.Text, m.Content)
	if err != nil {
		return nil, err
	}
	if err := w.l.p.d.rates.take(w.bot, w.session); err != nil {
		return nil, err
	}
	id := "w." + hashed("whisper", w.Event, fmt.Sprint(m.N), to)
	if w.Event == "" {
		id = "w." + hashed("whisper", trace())
	}
	under := w.event.GetMessage()
	if w.event.GetKind() == "action" { // nobody is shown a press: its card is what was meant
		under = w.event.GetReplyTo().GetMessage()
	}
	err = w.l.p.d.need.Actors.Whisper(ctx, &protocol.MsgWhisper{
		Session: w.session, WhisperId: id, Sender: w.bot, Content: c, CreatedAt: w.l.p.d.now(), ReplyTo: under,
	}, to)
	if err != nil {
		return nil, err
	}
	return &botv1.Result{}, nil
}

// handoff gives the session to people, or takes it back.
func (w *wish) handoff(ctx context.Context, m *botv1.Handoff) (*botv1.Result, error) {
	p := w.l.p
	if m.To != "human" && m.To != "bot" {
		return nil, protocol.BadRequest("handoff.to: human or bot")
	}
	if len(m.Summary) > p.d.cfg.MaxText/2 {
		return nil, protocol.TooLarge("handoff.summary: %d bytes at most", p.d.cfg.MaxText/2)
	}
	info, err := p.d.session(ctx, p.speak(w.bot), w.session)
	if err != nil {
		return nil, err
	}
	was := false // before; when this is done again for an event, what is said of it may be lacking
	err = p.change(ctx, place{w.bot, w.session}, func(s *State) {
		was = s.Human && (w.Event == "" || s.Handed != w.Event)
		if m.To == "bot" {
			s.Human, s.Handed = false, ""
		} else if !s.Human {
			s.Human, s.Handed = true, w.Event
		}
	})
	if err != nil {
		return nil, err
	}
	if m.To == "bot" || was {
		return &botv1.Result{}, nil
	}
	say := words(cmp.Or(w.event.GetLocale(), p.d.locale()))
	ask := []string{m.User}
	if m.User == "" {
		if ask, err = w.heads(ctx); err != nil {
			return nil, err
		}
	}
	of := w.Event
	if of == "" {
		of = fmt.Sprint(p.d.now() / 60_000)
	}
	_, err = p.d.say(ctx, p.host(w.bot), &protocol.MsgSend{
		Session: w.session, ClientMsgId: "desk.human." + hashed(of, w.session),
		Content: &protocol.Content{Type: protocol.ContentType_TEXT, Text: say.human},
	})
	if err != nil && !lasting(err) {
		return nil, err
	}
	if m.Summary == "" || info.SessionType == protocol.SessionType_P2P {
		return &botv1.Result{}, nil
	}
	for _, user := range ask {
		err := p.d.need.Actors.Whisper(ctx, &protocol.MsgWhisper{
			Session: w.session, WhisperId: "w." + hashed("handoff", w.Event, user), Sender: w.bot, CreatedAt: p.d.now(),
			Content: &protocol.Content{Type: protocol.ContentType_TEXT, Text: fmt.Sprintf(say.handoffFor, m.Summary)},
		}, user)
		if err != nil && !lasting(err) {
			return nil, err
		}
	}
	return &botv1.Result{}, nil
}

// heads are the owner and the admins among the session's first members.
func (w *wish) heads(ctx context.Context) (all []string, err error) {
	r, err := w.ask(ctx, &protocol.Frame{Body: &protocol.Frame_SessionGet{SessionGet: &protocol.SessionGet{Session: w.session}}})
	if err != nil {
		return nil, err
	}
	for _, m := range r.GetSessionGetReply().GetInfo().GetMembers() {
		if m.Role != protocol.Role_MEMBER && !protocol.IsBot(m.User) && len(all) < 20 {
			all = append(all, m.User)
		}
	}
	return all, nil
}

func (w *wish) usage(ctx context.Context, m *botv1.Usage) (*botv1.Result, error) {
	left := int64(-1)
	if m.PromptTokens < 0 || m.CompletionTokens < 0 {
		return nil, protocol.Errorf(protocol.Code_OUT_OF_RANGE, "usage: tokens are not negative")
	}
	if u := w.l.p.d.need.Usage; u != nil {
		var err error
		if left, err = u.Spend(ctx, Spent{
			Plugin: w.l.p.id, User: w.event.GetSender().GetUser(), Session: w.session,
			Model: cutText(m.Model, 128), Prompt: m.PromptTokens, Completion: m.CompletionTokens,
		}); err != nil {
			return nil, err
		}
	}
	return &botv1.Result{Got: &botv1.Result_Usage{Usage: &botv1.UsageLeft{Tokens: left}}}, nil
}
