package storetest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

// likeTheModel does at random what actors may do, to the store and to the
// model, and compares all that can be asked. Sessions of one try are not those of another.
func likeTheModel(t *testing.T, s Store) {
	try := 0
	rapid.Check(t, func(r *rapid.T) {
		try++
		m := newMachine(s, try)
		r.Repeat(map[string]func(*rapid.T){
			"commit": m.commit,
			"reopen": func(r *rapid.T) {
				if m.touched = nil; rapid.IntRange(0, 4).Draw(r, "really") == 0 {
					s.Journal = s.Reopen()
					m.store.Journal, m.touched = s.Journal, m.sessions
				}
			},
			"": m.compare,
		})
	})
}

// newMachine is one with sessions and people of its own, which no other try has.
func newMachine(s Store, try int) *machine {
	m := &machine{store: s, model: NewModel()}
	for i := range 3 {
		word := fmt.Sprintf("%016b", try*4+i) // base32 has no 0 and 1
		id := []byte{"sps"[i], '_'}
		for _, c := range word {
			id = append(id, "ab"[c-'0'])
		}
		m.sessions = append(m.sessions, string(id))
	}
	for i := range 3 {
		m.users = append(m.users, fmt.Sprintf("u%d-%d", try, i))
	}
	return m
}

type machine struct {
	store    Store
	model    *Model
	sessions []protocol.SessionID
	users    []protocol.UserID
	touched  []protocol.SessionID // by the last step
	ids      int
}

func (m *machine) commit(r *rapid.T) {
	var forStore, forModel []*actors.Append
	m.touched = nil
	for range rapid.IntRange(1, 4).Draw(r, "appends") {
		// What one append makes of the model the next one is drawn from.
		a := m.append(r)
		b := *a
		if err := m.model.Commit([]*actors.Append{&b}); err != nil {
			r.Fatal(err)
		}
		m.touched = append(m.touched, a.Session)
		forStore, forModel = append(forStore, a), append(forModel, &b)
	}
	if err := m.store.Commit(forStore); err != nil {
		r.Fatalf("Commit = %v", err)
	}
	for i, a := range forStore {
		if got, want := word(a.Err), word(forModel[i].Err); got != want {
			r.Fatalf("append %d is refused with %q, want %q", i, got, want)
		}
	}
}

// word says of an error what must be the same in every store.
func word(err error) string {
	var d *actors.DuplicateError
	var e *protocol.Error
	switch {
	case errors.As(err, &d):
		return fmt.Sprint("duplicate of ", d.Sent.Seq)
	case errors.As(err, &e):
		return e.Code.Word()
	case errors.Is(err, actors.ErrStale):
		return "stale"
	case errors.Is(err, actors.ErrTaken):
		return "taken"
	default:
		return fmt.Sprint(err)
	}
}

func (m *machine) append(r *rapid.T) *actors.Append {
	often := func(what string) bool { return rapid.IntRange(0, 7).Draw(r, what) > 0 }
	seldom := func(what string) bool { return rapid.IntRange(0, 5).Draw(r, what) == 0 }
	id := rapid.SampledFrom(m.sessions).Draw(r, "session")
	s := m.model.sessions[id]
	if s == nil && often("create") || s != nil && !often("create again") {
		a := create(id, m.users[:rapid.IntRange(1, len(m.users)).Draw(r, "members")]...)
		a.Epoch = rapid.Int64Range(1, 3).Draw(r, "epoch")
		return a
	}
	if s == nil {
		s = &modelSession{}
	}
	a := &actors.Append{Session: id, Epoch: s.epoch, Vouched: rapid.Bool().Draw(r, "vouched")}
	if seldom("other epoch") {
		a.Epoch += rapid.Int64Range(-1, 2).Draw(r, "epoch by")
	}
	a.Claim, a.Head = seldom("claim"), int64(len(s.entries))
	if seldom("read earlier") {
		a.Head--
	}
	next := int64(len(s.entries)) + 1
	if seldom("wrong seq") {
		next += rapid.Int64Range(-2, 2).Draw(r, "seq by")
	}
	for range rapid.IntRange(0, 3).Draw(r, "entries") {
		a.Entries = append(a.Entries, m.entry(r, next, !a.Vouched && seldom("old id")))
		a.Hashes = append(a.Hashes, [8]byte(rapid.SliceOfN(rapid.Byte(), 8, 8).Draw(r, "hash")))
		if e := a.Entries[len(a.Entries)-1]; a.Original == nil && seldom("dealt") {
			a.Original = &actors.Original{Seq: e.Seq, Content: e.Content, Mentions: e.Mentions}
			e.Deal, e.Content, e.Mentions = &protocol.Deal{State: "held", By: "b_mod"}, nil, nil
		}
		next++
	}
	if len(s.entries) > 0 && seldom("rewrite") {
		e := proto.CloneOf(rapid.SampledFrom(s.entries).Draw(r, "entry"))
		switch rapid.IntRange(0, 3).Draw(r, "how") {
		case 0:
			e.Recalled, e.Content = true, nil
		case 1:
			e.Expired, e.Content = true, nil
		case 2:
			e.Content, e.EditedAt, e.Mentions = &protocol.Content{Text: "edited"}, 9, rapid.SliceOf(rapid.SampledFrom(m.users)).Draw(r, "mentions")
		case 3:
			e.Seq = next + 5
		}
		a.Rewrites = append(a.Rewrites, e)
		if e.Seq <= int64(len(s.entries)) && seldom("original ends") {
			a.Original = &actors.Original{Seq: e.Seq}
		}
	}
	user := func(what string) protocol.UserID { return rapid.SampledFrom(m.users).Draw(r, what) }
	if seldom("removed") {
		a.Removed = append(a.Removed, user("who"))
	}
	if seldom("member") {
		m.ids++
		a.Members = append(a.Members, &actors.MemberRow{User: user("who"), Role: protocol.Role_ADMIN, Order: 100 + int64(m.ids),
			Floor: rapid.Int64Range(0, max(next, 0)).Draw(r, "floor"), Sticky: true, SilencedUntil: rapid.SampledFrom([]int64{0, 0, 77, actors.Forever}).Draw(r, "silenced"), Muted: rapid.Bool().Draw(r, "muted"), Inviter: user("inviter")})
	}
	for range rapid.IntRange(0, 2).Draw(r, "marks") {
		next := max(next, 0)
		a.Marks = append(a.Marks, actors.Mark{User: user("marks"), Device: rapid.SampledFrom([]string{"", "d", "e"}).Draw(r, "device"),
			ReadSeq: rapid.Int64Range(0, next).Draw(r, "read"), RecvSeq: rapid.Int64Range(0, next).Draw(r, "received")})
	}
	if seldom("info") {
		a.Info = &protocol.SessionInfo{Session: id, SessionType: protocol.SessionType(rapid.IntRange(2, 3).Draw(r, "type")), Name: "renamed", Announcement: "hear",
			Until: rapid.Int64Range(0, 5000).Draw(r, "until"), Dead: seldom("dead")}
	}
	if seldom("link") {
		l := &actors.LinkRow{ID: fmt.Sprintf("l_%s_%d", id, rapid.IntRange(0, 3).Draw(r, "which link")), Session: id, By: user("maker"),
			Uses: rapid.Int64Range(0, 9).Draw(r, "uses"), Used: rapid.Int64Range(0, 9).Draw(r, "used"), ExpiresAt: 9, Revoked: seldom("revoked")}
		l.CreatedAt = int64(l.ID[len(l.ID)-1]) // as a link's time of making never changes
		l.Hash[5] = 1
		if seldom("unlinked") {
			a.Unlinked = append(a.Unlinked, l)
		} else {
			a.Links = append(a.Links, l)
		}
	}
	return a
}

func (m *machine) entry(r *rapid.T, seq int64, old bool) *protocol.Entry {
	m.ids++
	id := fmt.Sprint("m", m.ids)
	if old {
		id = fmt.Sprint("m", rapid.IntRange(1, m.ids).Draw(r, "old id"))
	}
	e := &protocol.Entry{Seq: seq, Sender: rapid.SampledFrom(m.users).Draw(r, "sender"), ClientMsgId: id,
		CreatedAt: rapid.Int64Range(1, 1000).Draw(r, "created"), Content: &protocol.Content{Text: rapid.StringN(0, 20, 60).Draw(r, "text")}}
	switch rapid.IntRange(0, 5).Draw(r, "kind") {
	case 0:
		e.Kind, e.ClientMsgId, e.Target = protocol.Kind_REACT, "", 1
	case 1:
		e.Mentions = []string{rapid.SampledFrom(append(m.users, "*")).Draw(r, "mention")}
	case 2:
		e.Expire = rapid.Int64Range(1, 5).Draw(r, "expire")
	case 3:
		e.Quiet = true
	}
	return e
}

func (m *machine) compare(r *rapid.T) {
	for _, id := range m.touched {
		if got, want := everything(r, m.store, id), everything(r, m.model, id); got != want {
			r.Fatalf("session %s:\n%s\nwant\n%s", id, got, want)
		}
	}
	now, limit := time.UnixMilli(rapid.Int64Range(0, 7000).Draw(r, "now")), 1<<20
	if got, want := m.due(r, m.store, now, limit), m.due(r, m.model, now, limit); got != want {
		r.Fatalf("due:\n%s\nwant\n%s", got, want)
	}
	over, err := m.store.DueSessions(background, now, limit)
	if err != nil {
		r.Fatalf("DueSessions = %v", err)
	}
	wantOver, _ := m.model.DueSessions(background, now, limit)
	over = slices.DeleteFunc(over, func(id string) bool { return !slices.Contains(m.sessions, id) })
	slices.Sort(over) // of one time in no order
	slices.Sort(wantOver)
	if !slices.Equal(over, wantOver) {
		r.Fatalf("DueSessions = %v, want %v", over, wantOver)
	}
	for _, user := range []string{rapid.SampledFrom(m.users).Draw(r, "whose home")} {
		got, err := m.store.Home(background, user, "d", nil)
		want, _ := m.model.Home(background, user, "d", nil)
		bySession := func(a, b *actors.HomeRow) int { return cmp.Compare(a.Info.Session, b.Info.Session) }
		slices.SortFunc(got, bySession)
		slices.SortFunc(want, bySession)
		if g, w := homeText(got), homeText(want); g != w || err != nil {
			r.Fatalf("home of %s: %v\n%s\nwant\n%s", user, err, g, w)
		}
	}
}

// due says what is due in this machine's sessions, where the times are equal in no order.
func (m *machine) due(t fataler, j actors.Journal, now time.Time, limit int) string {
	all, err := j.Due(background, now, limit)
	if err != nil {
		t.Fatalf("Due = %v", err)
	}
	if !slices.IsSortedFunc(all, func(a, b actors.Due) int { return a.At.Compare(b.At) }) {
		t.Fatalf("Due is not in order: %v", all)
	}
	var lines []string
	for _, d := range all {
		if slices.Contains(m.sessions, d.Session) {
			lines = append(lines, fmt.Sprint(d))
		}
	}
	slices.Sort(lines)
	return fmt.Sprint(lines)
}

type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

var _ fataler = (testing.TB)(nil)

// everything is all that a store says of one session, without the log's epoch.
func everything(t fataler, j actors.Journal, id protocol.SessionID) string {
	t.Helper()
	stored, err := j.Load(background, id)
	if err != nil {
		return word(err)
	}
	stored.Info.Epoch = ""
	text := fmt.Sprintln(stored.Epoch, stored.Head, print(stored.Info), print(stored.Newest))
	for _, m := range stored.Members {
		text += fmt.Sprintf("%+v\n", *m)
	}
	forth, err := j.Range(background, id, 1, 1<<53, 1<<30, 1<<30)
	if err != nil {
		t.Fatalf("Range = %v", err)
	}
	back, err := j.Backward(background, id, 1, 1<<53, 1<<30, 1<<30)
	if err != nil {
		t.Fatalf("Backward = %v", err)
	}
	for i, e := range forth {
		text += fmt.Sprintln(print(e), proto.Equal(e, back[len(back)-1-i]))
		sent, err := j.Sent(background, id, e.Sender, e.ClientMsgId)
		if err != nil {
			t.Fatalf("Sent = %v", err)
		}
		if e.ClientMsgId != "" {
			text += fmt.Sprintf("%+v\n", sent)
		}
		o, err := j.Original(background, id, e.Seq)
		if err == nil {
			text += fmt.Sprintln("original", o.Seq, print(o.Content), o.Mentions)
		} else if !protocol.Code_NOT_FOUND.Is(err) {
			t.Fatalf("Original = %v", err)
		}
	}
	dealt, err := j.Dealt(background, id, stored.Head, 3)
	if err != nil {
		t.Fatalf("Dealt = %v", err)
	}
	text += fmt.Sprintln("dealt", seqs(dealt))
	if err := j.SentKeys(background, id, 2, stored.Head, func(key [16]byte, sent actors.Sent) { text += fmt.Sprintln(key, sent) }); err != nil {
		t.Fatalf("SentKeys = %v", err)
	}
	links, err := j.LinksOf(background, id, nil, 2)
	if err == nil && len(links) == 2 {
		var rest []*actors.LinkRow
		rest, err = j.LinksOf(background, id, links[1], 100)
		links = append(links, rest...)
	}
	if err != nil {
		t.Fatalf("LinksOf = %v", err)
	}
	for _, l := range links {
		one, err := j.Link(background, l.ID)
		text += fmt.Sprintf("%+v %v %v\n", *l, err, err == nil && *one == *l)
	}
	return text
}

func print(m proto.Message) string {
	b, _ := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	return fmt.Sprintf("%q", b)
}

func homeText(rows []*actors.HomeRow) (text string) {
	for _, r := range rows {
		r.Info.Epoch, r.LogEpoch = "", ""
		last := ""
		if r.Last != nil {
			last = print(r.Last)
		}
		text += fmt.Sprintln(print(r.Info), r.Head, last, r.Member, r.DeviceRecv, r.Unread, r.Mentioned)
	}
	return text
}
