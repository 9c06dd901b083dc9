package bottest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/troupe-im/troupe/plugins/sdk"
	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// world is everything the host has.
type world struct {
	t      testing.TB
	bot    *sdk.Bot
	config Config
	socket string

	mu       sync.Mutex
	now      time.Time
	conn     *conn
	ended    chan error
	welcomed chan struct{}
	describe *botv1.Describe
	scopes   []string
	selves   []*botv1.Self

	sessions  map[string]*session
	kv        map[string]map[string]*item // by session
	versions  int64
	schedules map[string]*botv1.Schedule // by session and id
	files     map[string]*botv1.FileData
	hooks     map[string][]*botv1.Hook // by session
	posts     map[string]*Message      // by event and n
	events    int
	moderated uint64
	verdicts  map[uint64]chan *botv1.Verdict
	turns     map[string]*Turn // by event
	last      *Turn
	failures  []failure
	crash     int // after so many calls more; 0: not
	script    strings.Builder
	drained   chan struct{}
}

type session struct {
	id      string
	kind    string
	members []string
	log     []*Message
	roles   map[string]string
	handed  bool
}

type item struct {
	value   []byte
	version int64
	expires time.Time
}

type failure struct {
	what       string
	code       string
	retryAfter time.Duration
}

// Message is something that was said. Its fields are read when the bot is done with what
// changes them, as it is after a Turn; Card may be asked for at any time.
type Message struct {
	ID       string
	Seq      int64
	Sender   string // a user id
	Text     string
	Content  string // JSON
	ReplyTo  string
	Mentions []string
	Streamed bool   // it was written while people saw it
	Finish   string // how the stream ended
	To       string // a whisper's reader
	Edited   int    // how often
	Recalled bool
	At       time.Time
	Model    string
	Tokens   int64
	Variant  string

	Reactions []string

	world *world
}

// Card is the message's card; nil when it is none.
func (m *Message) Card() *sdk.Card {
	if m.world != nil {
		m.world.mu.Lock()
		defer m.world.mu.Unlock()
	}
	return m.card()
}

// card is Card where the world is locked.
func (m *Message) card() *sdk.Card { return sdk.ParseCard([]byte(m.Content)) }

// room is a session that the bot speaks of.
func (w *world) room(name string) *session {
	s := w.sessions[name]
	if s == nil {
		s = &session{id: name, kind: "group", members: []string{"ann", "bob"}, roles: map[string]string{"ann": "owner"}}
		w.sessions[name] = s
	}
	return s
}

func (w *world) person(s *session, who string) *botv1.Person {
	if strings.HasPrefix(who, "b_") {
		return &botv1.Person{User: who, Name: who, Kind: "bot", Role: "member"}
	}
	who = strings.TrimPrefix(who, "u_")
	return &botv1.Person{User: user(who), Name: name(who), Kind: "human", Role: cmp.Or(s.roles[who], "member")}
}

func (s *session) find(message string) *Message {
	for _, m := range s.log {
		if m.ID == message {
			return m
		}
	}
	return nil
}

// add puts a message into a session's log.
func (w *world) add(s *session, m *Message) *Message {
	m.Seq = int64(len(s.log) + 1)
	n := 1
	for _, other := range w.sessions {
		n += len(other.log)
	}
	m.ID, m.At, m.world = id("m", n), w.now, w
	s.log = append(s.log, m)
	return m
}

// frame is what the bot says. It comes from the bot's goroutines.
func (w *world) frame(c *conn, f *botv1.BotFrame) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conn != c {
		return // of a bot that has crashed
	}
	switch b := f.Body.(type) {
	case *botv1.BotFrame_Describe:
		w.welcome(c, b.Describe)
	case *botv1.BotFrame_Ack:
		if t := w.turns[b.Ack.Event]; t != nil {
			delete(w.turns, b.Ack.Event)
			t.acked(b.Ack)
		}
	case *botv1.BotFrame_Call:
		r := w.call(b.Call)
		if w.crash > 0 {
			if w.crash--; w.crash == 0 {
				go c.end()
				return
			}
		}
		if b.Call.Id != 0 {
			r.Id = b.Call.Id
			c.give(&botv1.HostFrame{Body: &botv1.HostFrame_Result{Result: r}})
		}
	case *botv1.BotFrame_Drained:
		if w.drained != nil {
			close(w.drained)
			w.drained = nil
		}
	case *botv1.BotFrame_Verdict:
		if v := w.verdicts[b.Verdict.Id]; v != nil {
			delete(w.verdicts, b.Verdict.Id)
			v <- b.Verdict
		}
	}
}

func refuse(code, format string, args ...any) *botv1.Result {
	return &botv1.Result{Code: code, Error: fmt.Sprintf(format, args...)}
}

// call does what the bot wants.
func (w *world) call(c *botv1.Call) *botv1.Result {
	what := callName(c)
	for i, f := range w.failures {
		if f.what == what || f.what == "" {
			w.failures = slices.Delete(w.failures, i, i+1)
			return &botv1.Result{Code: f.code, Error: "as the test said", RetryAfterMs: f.retryAfter.Milliseconds()}
		}
	}
	if scope := botv1.ScopeOf(c); scope != "" && !botv1.Grants(w.scopes, scope) {
		return refuse("DENIED", "the scope %s is needed", scope)
	}
	s := w.room(cmp.Or(c.Session, "-"))
	t := w.turns[c.Event]
	self := cmp.Or(c.As, w.selves[0].User)
	switch do := c.Do.(type) {
	case *botv1.Call_Post:
		p := do.Post
		return w.post(c, t, s, &Message{Sender: self, Text: p.Text, Content: p.Content, ReplyTo: p.ReplyTo, Mentions: p.Mentions, Variant: p.VariantOf}, p.N, p.Key)
	case *botv1.Call_Delta:
		if t != nil {
			t.draft(do.Delta)
		}
	case *botv1.Call_End:
		e := do.End
		if e.Text == "" && e.Content == "" {
			return refuse("BAD_REQUEST", "a stream ended without a text")
		}
		return w.post(c, t, s, &Message{
			Sender: self, Text: e.Text, Content: e.Content, ReplyTo: e.ReplyTo, Streamed: true, Finish: e.Finish,
			Model: e.Model, Tokens: e.PromptTokens + e.CompletionTokens, Variant: e.VariantOf,
		}, e.N, "")
	case *botv1.Call_Whisper:
		to := cmp.Or(do.Whisper.User, t.by())
		m := &Message{Sender: self, Text: textOf(do.Whisper.Text, do.Whisper.Content), Content: do.Whisper.Content, To: to, world: w}
		key := fmt.Sprintf("%s %d whisper", c.Event, do.Whisper.N)
		if w.posts[key] == nil {
			w.posts[key] = m
			t.add(m)
			w.write("(to %s) %s", name(to), w.shown(m))
		}
	case *botv1.Call_Edit:
		m := s.find(do.Edit.Message)
		switch {
		case m == nil:
			return refuse("NOT_FOUND", "message %s", do.Edit.Message)
		case m.Sender != self:
			return refuse("DENIED", "message %s is not the bot's", do.Edit.Message)
		}
		m.Text, m.Content = textOf(do.Edit.Text, do.Edit.Content), do.Edit.Content
		m.Edited++
		t.change(m)
		w.write("(%s is now) %s", m.ID, w.shown(m))
	case *botv1.Call_Recall:
		m := s.find(do.Recall.Message)
		if m == nil || m.Sender != self {
			return refuse("NOT_FOUND", "message %s", do.Recall.Message)
		}
		m.Recalled, m.Text, m.Content = true, "", ""
		w.write("(takes %s back)", m.ID)
	case *botv1.Call_React:
		m := s.find(do.React.Message)
		if m == nil {
			return refuse("NOT_FOUND", "message %s", do.React.Message)
		}
		if do.React.Removed {
			m.Reactions = slices.DeleteFunc(m.Reactions, func(r string) bool { return r == do.React.Reaction })
		} else if !slices.Contains(m.Reactions, do.React.Reaction) {
			m.Reactions = append(m.Reactions, do.React.Reaction)
			w.write("(%s to %s)", do.React.Reaction, m.ID)
		}
	case *botv1.Call_Typing:
	case *botv1.Call_Silence:
		w.write("(silences %s)", name(do.Silence.User))
	case *botv1.Call_Handoff:
		s.handed = do.Handoff.To == "human"
		w.write("(gives the session to %s) %s", do.Handoff.To, do.Handoff.Summary)
	case *botv1.Call_History:
		return w.history(s, do.History)
	case *botv1.Call_Members:
		list := &botv1.MemberList{}
		for _, who := range s.members {
			list.People = append(list.People, w.person(s, who))
		}
		for _, self := range w.selves {
			list.People = append(list.People, &botv1.Person{User: self.User, Name: self.Name, Kind: "bot", Role: "member"})
		}
		return &botv1.Result{Got: &botv1.Result_Members{Members: list}}
	case *botv1.Call_Tools, *botv1.Call_ToolCall:
		return w.tools(c)
	case *botv1.Call_Secret:
		v, ok := w.config.Secrets[do.Secret.Name]
		if !ok {
			return refuse("NOT_FOUND", "secret %s", do.Secret.Name)
		}
		return &botv1.Result{Got: &botv1.Result_Secret{Secret: &botv1.SecretValue{Value: v}}}
	case *botv1.Call_Usage:
		return &botv1.Result{Got: &botv1.Result_Usage{Usage: &botv1.UsageLeft{Tokens: -1}}}
	case *botv1.Call_FilePut, *botv1.Call_FileGet:
		return w.file(c)
	case *botv1.Call_Fetch:
		return w.fetch(do.Fetch)
	case *botv1.Call_HookMake, *botv1.Call_HookList, *botv1.Call_HookDrop:
		return w.hook(c)
	case *botv1.Call_KvGet, *botv1.Call_KvSet, *botv1.Call_KvList:
		return w.keys(c)
	case *botv1.Call_Schedule:
		if len(do.Schedule.Body) > 16<<10 {
			return refuse("TOO_LARGE", "a schedule keeps 16 KiB")
		}
		w.schedules[c.Session+" "+do.Schedule.Id] = do.Schedule
		return &botv1.Result{Got: &botv1.Result_Scheduled{Scheduled: &botv1.Scheduled{Id: do.Schedule.Id, At: do.Schedule.At}}}
	case *botv1.Call_Unschedule:
		delete(w.schedules, c.Session+" "+do.Unschedule.Id)
	default:
		return refuse("UNSUPPORTED", "%s", what)
	}
	return &botv1.Result{}
}

func (w *world) post(c *botv1.Call, t *Turn, s *session, m *Message, n uint32, key string) *botv1.Result {
	if n == 0 && key == "" {
		return refuse("BAD_REQUEST", "a post needs n or key")
	}
	m.Text = textOf(m.Text, m.Content)
	if m.Text == "" && m.Content == "" {
		return refuse("BAD_REQUEST", "a message without content")
	}
	switch {
	case m.ReplyTo == sdk.NoReply:
		m.ReplyTo = ""
	case m.ReplyTo == "" && s.kind != "p2p" && t != nil && s.id == t.event.Session:
		m.ReplyTo = t.event.Message
	}
	place := fmt.Sprintf("%s %d %s %s", c.Event, n, key, s.id)
	was := w.posts[place]
	if was == nil {
		w.posts[place] = w.add(s, m)
		t.add(m)
		where := ""
		if t == nil || s.id != t.event.Session {
			where = "(in " + s.id + ") "
		}
		w.write("%s%s", where, w.shown(m))
	} else {
		m = was
		t.again(m)
	}
	return &botv1.Result{Got: &botv1.Result_Posted{Posted: &botv1.Posted{Message: m.ID, Seq: m.Seq, Duplicate: was != nil}}}
}

// textOf is what people read of a content.
func textOf(text, content string) string {
	if content == "" {
		return text
	}
	var c struct{ Text, Title string }
	_ = json.Unmarshal([]byte(content), &c)
	return cmp.Or(c.Text, c.Title)
}

func (w *world) history(s *session, h *botv1.History) *botv1.Result {
	before, limit := h.Before, int(h.Limit)
	if before == 0 {
		before = int64(len(s.log)) + 1
	}
	if limit <= 0 || limit > 50 {
		limit = 50
	}
	var lines []*botv1.Line
	for _, m := range s.log {
		if m.Seq < before && !m.Recalled {
			lines = append(lines, &botv1.Line{
				Message: m.ID, Seq: m.Seq, Sender: w.person(s, m.Sender), Text: m.Text, Content: m.Content,
				ReplyTo: m.ReplyTo, CreatedAt: m.At.UnixMilli(), Mine: strings.HasPrefix(m.Sender, "b_"+w.describe.Id),
			})
		}
	}
	lines = lines[max(0, len(lines)-limit):]
	return &botv1.Result{Got: &botv1.Result_Entries{Entries: &botv1.Entries{Lines: lines}}}
}

func (w *world) tools(c *botv1.Call) *botv1.Result {
	list := &botv1.ToolList{}
	for _, t := range w.config.Tools {
		if call := c.GetToolCall(); call != nil && call.Name == t.Name {
			if t.Destructive {
				return &botv1.Result{Got: &botv1.Result_Tool{Tool: &botv1.ToolResult{Pending: true}}}
			}
			return &botv1.Result{Got: &botv1.Result_Tool{Tool: &botv1.ToolResult{Text: t.Run(call.Args)}}}
		}
		list.Tools = append(list.Tools, &botv1.Tool{Name: t.Name, Help: t.Help, Schema: cmp.Or(t.Schema, `{"type":"object"}`), Destructive: t.Destructive})
	}
	if call := c.GetToolCall(); call != nil {
		return refuse("NOT_FOUND", "tool %s", call.Name)
	}
	return &botv1.Result{Got: &botv1.Result_Tools{Tools: list}}
}

func (w *world) file(c *botv1.Call) *botv1.Result {
	if put := c.GetFilePut(); put != nil {
		if len(put.Data) > 16<<20 {
			return refuse("TOO_LARGE", "a file has 16 MiB here")
		}
		f := &botv1.FileData{File: id("f", len(w.files)+1), Name: put.Name, Mime: put.Mime, Data: put.Data}
		w.files[f.File] = f
		return &botv1.Result{Got: &botv1.Result_File{File: &botv1.FileData{File: f.File, Name: f.Name, Mime: f.Mime}}}
	}
	f := w.files[c.GetFileGet().File]
	if f == nil {
		return refuse("NOT_FOUND", "file %s", c.GetFileGet().File)
	}
	return &botv1.Result{Got: &botv1.Result_File{File: f}}
}

// keys does what a bot wants of its keys.
func (w *world) keys(c *botv1.Call) *botv1.Result {
	room := w.kv[c.Session]
	if room == nil {
		room = map[string]*item{}
		w.kv[c.Session] = room
	}
	for key, i := range room {
		if !i.expires.IsZero() && !i.expires.After(w.now) {
			delete(room, key)
		}
	}
	wire := func(key string) *botv1.KvItem {
		i := room[key]
		if i == nil {
			return &botv1.KvItem{Key: key}
		}
		k := &botv1.KvItem{Key: key, Value: i.value, Version: i.version}
		if !i.expires.IsZero() {
			k.ExpiresAt = i.expires.UnixMilli()
		}
		return k
	}
	switch do := c.Do.(type) {
	case *botv1.Call_KvGet:
		return &botv1.Result{Got: &botv1.Result_Kv{Kv: wire(do.KvGet.Key)}}
	case *botv1.Call_KvSet:
		s := do.KvSet
		switch {
		case s.Key == "" || len(s.Key) > 256:
			return refuse("BAD_REQUEST", "a key has 1 to 256 bytes")
		case len(s.Value) > 64<<10:
			return refuse("TOO_LARGE", "a value has 64 KiB")
		case s.IfVersion != nil && wire(s.Key).Version != *s.IfVersion:
			return refuse("CONFLICT", "key %s has version %d", s.Key, wire(s.Key).Version)
		}
		if s.Remove {
			delete(room, s.Key)
			return &botv1.Result{Got: &botv1.Result_Kv{Kv: wire(s.Key)}}
		}
		w.versions++
		i := &item{value: s.Value, version: w.versions}
		if s.TtlMs > 0 {
			i.expires = w.now.Add(time.Duration(s.TtlMs) * time.Millisecond)
		}
		room[s.Key] = i
		return &botv1.Result{Got: &botv1.Result_Kv{Kv: wire(s.Key)}}
	}
	list := c.GetKvList()
	limit := int(list.Limit)
	if limit <= 0 || limit > 100 {
		limit = 100
	}
	var names []string
	for key := range room {
		if strings.HasPrefix(key, list.Prefix) && key > list.After {
			names = append(names, key)
		}
	}
	slices.Sort(names)
	out := &botv1.KvItems{More: len(names) > limit}
	for _, key := range names[:min(limit, len(names))] {
		out.Items = append(out.Items, wire(key))
	}
	return &botv1.Result{Got: &botv1.Result_KvList{KvList: out}}
}

// callName is what a call is named in bot.proto: post, kv_set, …
func callName(c *botv1.Call) string {
	m := c.ProtoReflect()
	if f := m.WhichOneof(m.Descriptor().Oneofs().ByName("do")); f != nil {
		return string(f.Name())
	}
	return "nothing"
}
