package desk

import (
	"context"
	"time"
	"unicode/utf8"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// history gives what was said before. In groups a bot may look back where a person called
// it, or where it gets all messages anyway.
func (w *wish) history(ctx context.Context, m *botv1.History) (*botv1.Result, error) {
	p := w.l.p
	all := protocol.IsP2P(w.session)
	if !all && p.granted("read.all") {
		s, err := p.d.need.Store.BotState(ctx, w.bot, w.session)
		if err != nil {
			return nil, err
		}
		all = s.Consent == consentAllowed
	}
	if !all && !w.called() {
		return nil, protocol.Denied("in a group a bot looks back when it is called, or with the scope read.all and consent")
	}
	limit := int64(m.Limit)
	if limit <= 0 || limit > 50 {
		limit = 50
	}
	before := m.Before
	if before == 0 {
		before = w.event.GetSeq()
	}
	if before == 0 {
		before = 1<<53 - 1
	}
	if !all { // what is said after the call is not for it
		before = min(before, w.event.Seq)
	}
	l := &lane{p: p, place: place{w.bot, w.session}}
	lines := []*botv1.Line{}
	room := 96 << 10 // bytes
	for pages := 0; pages < 4 && int64(len(lines)) < limit; pages++ {
		r, err := l.sync(ctx, &protocol.Sync{Session: w.session, BeforeSeq: &before, Limit: 100})
		if err != nil {
			return nil, err
		}
		for i := len(r.Messages) - 1; i >= 0 && int64(len(lines)) < limit && room > 0; i-- {
			e := r.Messages[i]
			before = e.Seq
			if e.Kind != protocol.Kind_MESSAGE || e.Content == nil || e.Deal.GetState() == "held" || e.Deal.GetState() == "rejected" {
				continue
			}
			line := &botv1.Line{
				Message: e.MessagerecvId, Seq: e.Seq, Sender: &botv1.Person{User: e.Sender}, Text: e.Content.Text, Content: contentJSON(e.Content),
				Files: filesOf(e.Content), ReplyTo: e.ReplyTo, CreatedAt: e.CreatedAt, Mine: e.Sender == w.bot,
			}
			room -= len(line.Content) + len(line.Text)
			lines = append(lines, line)
		}
		if !r.HasMore || len(r.Messages) == 0 || room <= 0 {
			break
		}
	}
	ids := make([]protocol.UserID, len(lines))
	for i, line := range lines {
		ids[i] = line.Sender.User
	}
	for i, person := range p.d.people.all(ctx, ids) {
		lines[i].Sender = person
	}
	for i, j := 0, len(lines)-1; i < j; i, j = i+1, j-1 {
		lines[i], lines[j] = lines[j], lines[i]
	}
	return &botv1.Result{Got: &botv1.Result_Entries{Entries: &botv1.Entries{Lines: lines}}}, nil
}

// called says that a person wants something of the bot, in this session and now. That it
// was let in, or once was asked something, is no call.
func (w *wish) called() bool {
	if w.hand == nil || w.event.Session != w.session || w.event.Hops != 0 || w.event.Seq == 0 ||
		w.event.GetSender().GetKind() == "" || protocol.IsBot(w.event.Sender.User) {
		return false
	}
	return w.event.Kind == "message" || w.event.Kind == "command" || w.event.Kind == "action"
}

func (w *wish) members(ctx context.Context, m *botv1.Members) (*botv1.Result, error) {
	f, err := w.ask(ctx, &protocol.Frame{Body: &protocol.Frame_SessionGet{SessionGet: &protocol.SessionGet{Session: w.session, Cursor: m.Cursor, Limit: 200}}})
	if err != nil {
		return nil, err
	}
	r := f.GetSessionGetReply()
	ids := make([]protocol.UserID, len(r.Info.Members))
	for i, m := range r.Info.Members {
		ids[i] = m.User
	}
	people := w.l.p.d.people.all(ctx, ids)
	for i, m := range r.Info.Members {
		people[i].Role = roleWord(m.Role)
	}
	return &botv1.Result{Got: &botv1.Result_Members{Members: &botv1.MemberList{People: people, Next: r.Next}}}, nil
}

// room is where a call's keys are: a session's, which the bot has to be in, or the one outside.
func (w *wish) room(ctx context.Context) (string, error) {
	if w.session == "" || w.Session == nowhere {
		return nowhere, nil
	}
	if w.event != nil && w.event.Session == w.session {
		return w.session, nil
	}
	if _, err := w.l.p.d.session(ctx, w.l.p.speak(w.bot), w.session); err != nil {
		return "", err
	}
	return w.session, nil
}

func (w *wish) keyAt(ctx context.Context, key string, least int) (KeyAt, error) {
	if len(key) < least || len(key) > maxKey || !utf8.ValidString(key) {
		return KeyAt{}, protocol.BadRequest("kv.key: %d to %d bytes of UTF-8", least, maxKey)
	}
	room, err := w.room(ctx)
	return KeyAt{Plugin: w.l.p.id, Room: room, Key: key}, err
}

func (w *wish) kvGet(ctx context.Context, m *botv1.KvGet) (*botv1.Result, error) {
	at, err := w.keyAt(ctx, m.Key, 1)
	if err != nil {
		return nil, err
	}
	item, err := w.l.p.d.need.Store.BotKey(ctx, at, w.l.p.d.need.Now())
	if err != nil {
		return nil, err
	}
	return &botv1.Result{Got: &botv1.Result_Kv{Kv: kvItem(item)}}, nil
}

func kvItem(i KeyItem) *botv1.KvItem {
	return &botv1.KvItem{Key: i.Key, Value: i.Value, Version: i.Version, ExpiresAt: i.Expires}
}

func (w *wish) kvSet(ctx context.Context, m *botv1.KvSet) (*botv1.Result, error) {
	at, err := w.keyAt(ctx, m.Key, 1)
	if err != nil {
		return nil, err
	}
	d := w.l.p.d
	switch {
	case len(m.Value) > maxValue:
		return nil, protocol.TooLarge("kv.value: %d bytes at most", maxValue)
	case m.TtlMs < 0 || m.TtlMs > (10*365*24*time.Hour).Milliseconds():
		return nil, protocol.Errorf(protocol.Code_OUT_OF_RANGE, "kv.ttlMs: 0 to ten years")
	}
	write := KeyWrite{Value: m.Value, Remove: m.Remove, If: m.IfVersion}
	if m.TtlMs > 0 {
		write.Expires = d.now() + m.TtlMs
	}
	item, err := d.need.Store.SetBotKey(ctx, at, write, d.cfg.Keys, d.need.Now())
	if err != nil {
		return nil, err
	}
	item.Value = nil // the bot has it
	return &botv1.Result{Got: &botv1.Result_Kv{Kv: kvItem(item)}}, nil
}

func (w *wish) kvList(ctx context.Context, m *botv1.KvList) (*botv1.Result, error) {
	at, err := w.keyAt(ctx, m.Prefix, 0)
	if err != nil {
		return nil, err
	}
	limit := int(m.Limit)
	if limit <= 0 || limit > 100 {
		limit = 100
	}
	items, err := w.l.p.d.need.Store.BotKeys(ctx, at, m.After, limit+1, w.l.p.d.need.Now())
	if err != nil {
		return nil, err
	}
	list := &botv1.KvItems{}
	room := 4 << 20 // bytes of one frame's values
	for _, i := range items {
		if room -= len(i.Value); len(list.Items) == limit || room < 0 && len(list.Items) > 0 {
			list.More = true
			break
		}
		list.Items = append(list.Items, kvItem(i))
	}
	return &botv1.Result{Got: &botv1.Result_KvList{KvList: list}}, nil
}

func (w *wish) schedule(ctx context.Context, m *botv1.Schedule) (*botv1.Result, error) {
	d := w.l.p.d
	switch {
	case m.Id == "" || len(m.Id) > 128 || !utf8.ValidString(m.Id):
		return nil, protocol.BadRequest("schedule.id: 1 to 128 bytes of UTF-8")
	case len(m.Body) > maxBody:
		return nil, protocol.TooLarge("schedule.body: %d bytes at most", maxBody)
	case m.At <= 0 || m.At > d.now()+maxFuture.Milliseconds():
		return nil, protocol.Errorf(protocol.Code_OUT_OF_RANGE, "schedule.at: within five years")
	}
	room, err := w.room(ctx)
	if err != nil {
		return nil, err
	}
	s := &Schedule{Plugin: w.l.p.id, Bot: w.bot, Session: room, ID: "s." + m.Id, At: m.At, Body: m.Body, Kind: "schedule"}
	if err := d.need.Store.PutBotSchedule(ctx, s, d.cfg.Schedules); err != nil {
		return nil, err
	}
	w.l.p.planned(s.falls(), m.At)
	return &botv1.Result{Got: &botv1.Result_Scheduled{Scheduled: &botv1.Scheduled{Id: m.Id, At: m.At}}}, nil
}

func (w *wish) unschedule(ctx context.Context, m *botv1.Unschedule) (*botv1.Result, error) {
	room, err := w.room(ctx)
	if err != nil {
		return nil, err
	}
	s := &Schedule{Plugin: w.l.p.id, Bot: w.bot, Session: room, ID: "s." + m.Id}
	if err := w.l.p.d.need.Store.DropBotSchedule(ctx, s, 0); err != nil {
		return nil, err
	}
	return &botv1.Result{}, nil
}

func (w *wish) fileGet(ctx context.Context, m *botv1.FileGet) (*botv1.Result, error) {
	files := w.l.p.d.need.Files
	if files == nil {
		return nil, protocol.Errorf(protocol.Code_UNSUPPORTED, "bots have no files here")
	}
	f, err := files.Read(ctx, w.l.p.speak(w.bot), m.File, maxFile)
	if err != nil {
		return nil, err
	}
	return &botv1.Result{Got: &botv1.Result_File{File: &botv1.FileData{File: m.File, Name: f.Name, Mime: f.Mime, Data: f.Data}}}, nil
}

func (w *wish) filePut(ctx context.Context, m *botv1.FilePut) (*botv1.Result, error) {
	files := w.l.p.d.need.Files
	switch {
	case files == nil:
		return nil, protocol.Errorf(protocol.Code_UNSUPPORTED, "bots have no files here")
	case len(m.Data) > maxFile:
		return nil, protocol.TooLarge("file: %d bytes at most", maxFile)
	}
	id, err := files.Write(ctx, w.l.p.speak(w.bot), &File{Name: m.Name, Mime: m.Mime, Data: m.Data})
	if err != nil {
		return nil, err
	}
	return &botv1.Result{Got: &botv1.Result_File{File: &botv1.FileData{File: id, Name: m.Name, Mime: m.Mime}}}, nil
}
