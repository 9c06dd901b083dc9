package bottest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/troupe-im/troupe/plugins/sdk"
	"github.com/troupe-im/troupe/plugins/sdk/args"
	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// Say has the person say text, and waits for what the bot makes of it. In a group the
// bot hears it when it is granted read.all, is mentioned (@ and its name), or when the
// text is one of its commands.
func (h *Host) Say(text string) *Turn { h.t.Helper(); return h.Begin(text).Wait() }

// SayIn is Say in another session.
func (h *Host) SayIn(session, text string) *Turn { h.t.Helper(); return h.In(session).Say(text) }

// Mention is Say of a text that mentions the bot: in the group "team", where the view is
// of a private session.
func (h *Host) Mention(text string) *Turn {
	h.t.Helper()
	if h.session == h.who {
		h = h.In("team")
	}
	return h.say(text, nil, true).Wait()
}

// Answer is Say of a text that answers a message.
func (h *Host) Answer(m *Message, text string) *Turn {
	h.t.Helper()
	return h.say(text, m, false).Wait()
}

// Command is Say of a command: /remind 10m tea. Arguments that its Command does not
// allow fail the test; use Say to see what people are told.
func (h *Host) Command(line string) *Turn {
	h.t.Helper()
	name, _, rest := args.Split(line)
	if c := h.command(name); c == nil {
		h.t.Fatalf("the bot has no command %q", line)
	} else if _, err := args.Parse(c, rest, h.find); err != nil {
		h.t.Fatalf("%s: %v", line, err)
	}
	return h.Say(line)
}

// Begin is Say that does not wait: see Turn.Drafted and Turn.Stop.
func (h *Host) Begin(text string) *Turn { return h.say(text, nil, false) }

func (h *Host) say(text string, to *Message, mention bool) *Turn {
	h.t.Helper()
	h.mu.Lock()
	s := h.join()
	m := h.add(s, &Message{Sender: user(h.who), Text: text})
	h.heard(h.who, "%s", text)
	e := &botv1.Event{
		Kind: "message", Seq: m.Seq, Message: m.ID, Text: text,
		Content: contentOf(text),
	}
	for _, self := range h.selves {
		if rest, ok := strings.CutPrefix(text, "@"+self.Name); ok {
			mention, e.Text, e.To = true, strings.TrimSpace(rest), self.User
		}
	}
	e.Mentioned = mention
	answersBot := false
	if to != nil {
		m.ReplyTo = to.ID
		answersBot = strings.HasPrefix(to.Sender, "b_")
		e.ReplyTo = &botv1.Quote{Message: to.ID, Sender: to.Sender, Text: to.Text, Mine: answersBot}
	}
	name, handle, rest := args.Split(e.Text)
	if c := h.command(name); c != nil && (handle == "" || h.isSelf(handle)) {
		object, err := args.Parse(c, rest, h.find)
		if err != nil { // the host tells the person; the bot hears nothing
			fmt.Fprintf(&h.script, "  (%v; %s)\n", err, args.Usage(c))
			h.mu.Unlock()
			return h.unheard(e, err)
		}
		e.Kind, e.Command, e.Args = "command", c.Name, object
		if c.Persona != "" {
			e.To = h.selfCalled(c.Persona)
		}
	} else if s.kind != "p2p" && !mention && !answersBot && !slices.Contains(h.scopes, "read.all") || s.handed {
		h.mu.Unlock()
		return h.unheard(e, nil)
	}
	h.mu.Unlock()
	return h.give(e)
}

// unheard is a turn that the bot does not get.
func (h *Host) unheard(e *botv1.Event, err error) *Turn {
	t := newTurn(h.world, e)
	a := &botv1.Ack{}
	if err != nil {
		a.Error = err.Error()
	}
	t.acked(a)
	return t
}

func contentOf(text string) string {
	b, _ := json.Marshal(map[string]string{"type": "text", "text": text})
	return string(b)
}

// Click presses a button of a card that the bot has sent.
func (h *Host) Click(card *Message, action string) *Turn {
	h.t.Helper()
	return h.Submit(card, action, nil)
}

// Submit sends a form of a card with values, a struct or map.
func (h *Host) Submit(card *Message, action string, values any) *Turn {
	h.t.Helper()
	if card == nil || card.Card() == nil {
		h.t.Fatalf("%q is pressed on what is no card", action)
	}
	k := card.Card()
	known := k.Form != nil && k.Form.Action == action
	label := action
	for _, b := range k.Buttons {
		if b.Action == action {
			known, label = true, b.Label
		}
	}
	switch {
	case !known:
		h.t.Fatalf("the card %q has no button or form %q", k.Title, action)
	case k.Done != nil:
		h.t.Fatalf("the card %q is locked", k.Title)
	}
	text := "{}"
	if values != nil {
		b, err := json.Marshal(values)
		if err != nil {
			h.t.Fatal(err)
		}
		text = string(b)
	}
	h.mu.Lock()
	s := h.join()
	if s.find(card.ID) == nil && card.To == "" {
		h.mu.Unlock()
		h.t.Fatalf("the card %q is not in the session %s", k.Title, h.session)
	}
	m := h.add(s, &Message{Sender: user(h.who), ReplyTo: card.ID})
	h.heard(h.who, "<%s>", label)
	e := &botv1.Event{
		Kind: "action", Action: action, Values: text, Seq: m.Seq, Message: m.ID,
		ReplyTo: &botv1.Quote{Message: card.ID, Sender: card.Sender, Text: card.Text, Mine: true},
	}
	h.mu.Unlock()
	return h.give(e).Wait()
}

// Added has the person add the bot to the session.
func (h *Host) Added() *Turn { h.t.Helper(); return h.happened("added") }

// Removed has the person remove the bot from the session.
func (h *Host) Removed() *Turn { h.t.Helper(); return h.happened("removed") }

func (h *Host) happened(kind string) *Turn {
	h.t.Helper()
	h.mu.Lock()
	s := h.join()
	h.heard(h.who, "(%s the bot)", kind)
	e := &botv1.Event{Kind: kind, Seq: int64(len(s.log) + 1)}
	h.mu.Unlock()
	return h.give(e).Wait()
}

// Webhook gives the bot what came to one of its addresses.
func (h *Host) Webhook(body string) *Turn {
	h.t.Helper()
	return h.give(&botv1.Event{Kind: "webhook", Body: body}).Wait()
}

// Event gives the bot an event as it is; what is empty of id, session, sender and time is filled.
func (h *Host) Event(e *botv1.Event) *Turn { return h.give(e) }

// Advance turns the clock, and gives the bot what it has scheduled until then, in order.
func (h *Host) Advance(d time.Duration) []*Turn {
	h.t.Helper()
	h.mu.Lock()
	until := h.now.Add(d)
	h.mu.Unlock()
	var turns []*Turn
	for {
		h.mu.Lock()
		var first string
		for place, s := range h.schedules {
			if at := time.UnixMilli(s.At); !at.After(until) && (first == "" || at.Before(time.UnixMilli(h.schedules[first].At)) || s.At == h.schedules[first].At && place < first) {
				first = place
			}
		}
		if first == "" {
			h.now = until
			h.mu.Unlock()
			return turns
		}
		s := h.schedules[first]
		delete(h.schedules, first)
		if at := time.UnixMilli(s.At); at.After(h.now) {
			h.now = at
		}
		session, _, _ := strings.Cut(first, " ")
		fmt.Fprintf(&h.script, "(%s)\n", h.now.UTC().Format("Mon 15:04:05"))
		h.mu.Unlock()
		e := &botv1.Event{Kind: "schedule", Body: s.Body, Action: s.Id, Sender: &botv1.Person{Kind: "system"}}
		turns = append(turns, h.In(session).give(e).Wait())
	}
}

// Scheduled is when the schedules of the session are due, by id.
func (h *Host) Scheduled() map[string]time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := map[string]time.Time{}
	for place, s := range h.schedules {
		if id, ok := strings.CutPrefix(place, h.session+" "); ok {
			all[id] = time.UnixMilli(s.At).UTC()
		}
	}
	return all
}

// Moderate asks the bot what becomes of a text of the person's.
func (h *Host) Moderate(text string) sdk.Verdict {
	h.t.Helper()
	return h.ModerateContent(text, contentOf(text))
}

// ModerateContent is Moderate for what is more than a text: JSON, as clients get it.
func (h *Host) ModerateContent(text, content string) sdk.Verdict {
	h.t.Helper()
	h.mu.Lock()
	s := h.join()
	h.moderated++
	n, answer := h.moderated, make(chan *botv1.Verdict, 1)
	h.verdicts[n] = answer
	c := h.conn
	m := &botv1.Moderate{
		Id: n, Session: h.session, SessionType: s.kind, Sender: h.person(s, h.who), Text: text, Content: content,
	}
	h.mu.Unlock()
	c.give(&botv1.HostFrame{Body: &botv1.HostFrame_Moderate{Moderate: m}})
	select {
	case v := <-answer:
		switch v.Verdict {
		case "rewrite":
			return sdk.Rewrite(v.Text, v.Reason)
		case "reject":
			return sdk.Reject(v.Reason)
		case "hold":
			return sdk.Hold(v.Reason)
		}
		return sdk.Allow()
	case <-time.After(patience):
		h.t.Fatalf("the bot does not say what becomes of %q", text)
	}
	return sdk.Verdict{}
}

// Role gives the person a role in the session: member, admin or owner.
func (h *Host) Role(role string) *Host {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.join().roles[h.who] = role
	return h
}

// Fail has the host refuse the next call of a kind, as bot.proto names it (post, kv_set,
// …; "": of any), with a code. It may be called more than once.
func (h *Host) Fail(call, code string, retryAfter ...time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f := failure{what: call, code: code}
	if len(retryAfter) > 0 {
		f.retryAfter = retryAfter[0]
	}
	h.failures = append(h.failures, f)
}

// Crash ends the bot as a killed process would end, starts it again, and gives it the
// last event again, as if its acknowledgement had been lost. After CrashAfter it waits
// for that crash.
func (h *Host) Crash() *Turn {
	h.t.Helper()
	h.mu.Lock()
	armed, ended := h.crash > 0, h.ended
	h.mu.Unlock()
	if armed {
		select {
		case <-ended:
		case <-time.After(patience):
			h.t.Fatal("the bot has made too few calls to crash")
		}
	} else {
		h.stop()
	}
	h.mu.Lock()
	last := h.last
	clear(h.turns)
	h.script.WriteString("(the bot crashes)\n")
	h.mu.Unlock()
	h.start()
	if last == nil {
		return nil
	}
	return h.again(last)
}

// CrashAfter has the bot end after it has made so many calls more, in the middle of what
// it does. Crash starts it again.
func (h *Host) CrashAfter(calls int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.crash = calls
}

// Redeliver gives the bot the last event again, one attempt later.
func (h *Host) Redeliver() *Turn {
	h.t.Helper()
	h.mu.Lock()
	last := h.last
	h.mu.Unlock()
	if last == nil {
		h.t.Fatal("nothing has happened yet")
	}
	return h.again(last)
}

func (h *Host) again(last *Turn) *Turn {
	h.t.Helper()
	e := new(botv1.Event)
	if err := copyFrame(last.event, e); err != nil {
		h.t.Fatal(err)
	}
	e.Attempt++
	return h.give(e).Wait()
}

// Drain tells the bot to finish what it has in hand, and waits for it.
func (h *Host) Drain() {
	h.t.Helper()
	h.mu.Lock()
	c, drained := h.conn, make(chan struct{})
	h.drained = drained
	h.mu.Unlock()
	c.give(&botv1.HostFrame{Body: &botv1.HostFrame_Drain{Drain: &botv1.Drain{}}})
	select {
	case <-drained:
	case <-time.After(patience):
		h.t.Fatal("the bot does not come to an end")
	}
}

// Messages is all that was said in the session, in order.
func (h *Host) Messages() []*Message {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.join().log)
}

// Upload keeps a file for the bot to find.
func (h *Host) Upload(name, mime string, data []byte) (id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.file(&botv1.Call{Do: &botv1.Call_FilePut{FilePut: &botv1.FilePut{Name: name, Mime: mime, Data: data}}})
	return r.GetFile().GetFile()
}

// Value is what a key of the session has; "" when it is not there. The session "-" has
// the keys outside of sessions.
func (h *Host) Value(key string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.keys(&botv1.Call{Session: h.session, Do: &botv1.Call_KvGet{KvGet: &botv1.KvGet{Key: key}}})
	return string(r.GetKv().GetValue())
}

// SetValue writes a key of the session.
func (h *Host) SetValue(key, value string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.keys(&botv1.Call{Session: h.session, Do: &botv1.Call_KvSet{KvSet: &botv1.KvSet{Key: key, Value: []byte(value)}}})
}

// give has the bot get an event.
func (h *Host) give(e *botv1.Event) *Turn {
	h.mu.Lock()
	s := h.join()
	if e.Id == "" {
		h.events++
		e.Id = id("e", h.events)
	}
	if e.Session == "" {
		e.Session, e.SessionType = h.session, s.kind
	}
	if e.Sender == nil {
		e.Sender = h.person(s, h.who)
	}
	if e.CreatedAt == 0 {
		e.CreatedAt = h.now.UnixMilli()
	}
	if e.To == "" {
		e.To = h.selves[0].User
	}
	if e.Attempt == 0 {
		e.Attempt = 1
	}
	t := newTurn(h.world, e)
	h.turns[e.Id], h.last = t, t
	c := h.conn
	h.mu.Unlock()
	c.give(&botv1.HostFrame{Body: &botv1.HostFrame_Event{Event: e}})
	return t
}

func newTurn(w *world, e *botv1.Event) *Turn {
	return &Turn{w: w, event: e, done: make(chan struct{}), drafts: map[uint32]string{}, news: make(chan struct{})}
}

// join is the view's session, with the person in it.
func (h *Host) join() *session {
	s := h.sessions[h.session]
	if s == nil {
		s = &session{id: h.session, kind: "group", members: []string{"ann", "bob"}, roles: map[string]string{"ann": "owner"}}
		if h.session == h.who {
			s.kind, s.members, s.roles = "p2p", []string{h.who}, map[string]string{}
		}
		h.sessions[h.session] = s
	}
	if !slices.Contains(s.members, h.who) && s.kind != "p2p" {
		s.members = append(s.members, h.who)
	}
	return s
}

func (h *Host) command(name string) *botv1.Command {
	for _, c := range h.describe.GetCommands() {
		if name != "" && c.Name == name {
			return c
		}
	}
	return nil
}

func (h *Host) isSelf(handle string) bool {
	return slices.ContainsFunc(h.selves, func(s *botv1.Self) bool {
		return s.Handle == handle || s.Name == handle || s.User == "b_"+handle
	})
}

func (h *Host) selfCalled(handle string) string {
	for _, s := range h.selves {
		if s.Handle == handle {
			return s.User
		}
	}
	return ""
}

// find is whom a word means: anybody.
func (h *Host) find(word string) (string, bool) {
	word = strings.TrimPrefix(word, "@")
	return user(strings.ToLower(word)), word != ""
}
