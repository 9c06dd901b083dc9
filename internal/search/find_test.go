package search_test

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/pebblestore"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/internal/search"
)

func openStore(t testing.TB) *pebblestore.Store {
	s, err := pebblestore.Open("store", pebblestore.Options{FS: vfs.NewMem(), MinFree: -1, Log: slog.New(slog.DiscardHandler), Fatal: func(err error) { panic(err) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// town is a store with sessions, and what should be in it.
type town struct {
	t      testing.TB
	store  *pebblestore.Store
	random *rand.Rand
	clock  int64
	rooms  []*theRoom
}

type theRoom struct {
	id      protocol.SessionID
	entries []*protocol.Entry
	floors  map[protocol.UserID]int64
}

func (w *town) commit(a *actors.Append) {
	w.t.Helper()
	a.Epoch = 1
	a.Hashes = make([][8]byte, len(a.Entries))
	if err := w.store.Commit([]*actors.Append{a}); err != nil || a.Err != nil {
		w.t.Fatal(err, a.Err)
	}
}

func (w *town) room() *theRoom {
	r := &theRoom{id: protocol.NewSessionID(), floors: map[protocol.UserID]int64{"ann": 1}}
	w.rooms = append(w.rooms, r)
	w.commit(&actors.Append{Session: r.id, Claim: true, Create: true, Info: &protocol.SessionInfo{Session: r.id, SessionType: protocol.SessionType_GROUP},
		Members: []*actors.MemberRow{{User: "ann", Order: 1, Floor: 1}}})
	return r
}

var vocabulary = strings.Fields("今晚 七点 老地方 见 会议 纪要 meeting report Alpha beta gamma 北京 上海 的 了 ok 👍 Café")

func (w *town) text() string {
	var words []string
	for range 1 + w.random.IntN(5) {
		words = append(words, vocabulary[w.random.IntN(len(vocabulary))])
	}
	return strings.Join(words, []string{"", " "}[w.random.IntN(2)])
}

// say adds n entries to a session, most of them messages.
func (w *town) say(r *theRoom, n int) {
	var entries []*protocol.Entry
	for range n {
		w.clock += w.random.Int64N(3)
		e := &protocol.Entry{Session: r.id, Seq: int64(len(r.entries) + 1), Sender: []string{"ann", "bob"}[w.random.IntN(2)], CreatedAt: w.clock,
			Content: &protocol.Content{Type: []protocol.ContentType{protocol.ContentType_TEXT, protocol.ContentType_FILE}[w.random.IntN(2)], Text: w.text()}}
		e.ClientMsgId = fmt.Sprint(e.Seq)
		if w.random.IntN(10) == 0 {
			e.Kind, e.Content, e.ClientMsgId = protocol.Kind_JOIN, nil, ""
		}
		r.entries, entries = append(r.entries, e), append(entries, e)
	}
	w.commit(&actors.Append{Session: r.id, Entries: entries})
}

// change recalls or edits one message.
func (w *town) change(r *theRoom) {
	i := w.random.IntN(len(r.entries))
	e := proto.CloneOf(r.entries[i])
	if e.Kind != protocol.Kind_MESSAGE {
		return
	}
	if w.random.IntN(2) == 0 {
		e.Content, e.Recalled = nil, true
	} else if e.Content != nil {
		e.Content.Text = w.text()
	}
	r.entries[i] = e
	w.commit(&actors.Append{Session: r.id, Rewrites: []*protocol.Entry{e}})
}

func (w *town) sign(r *theRoom) {
	if _, err := w.store.Sign(context.Background(), []protocol.SessionID{r.id}, w.random.IntN(2) == 0, search.Signer()); err != nil {
		w.t.Fatal(err)
	}
}

// wanted is what should be found, by looking at everything.
func (w *town) wanted(user protocol.UserID, q search.Query) (ids []string) {
	var all []*protocol.Entry
	for _, r := range w.rooms {
		floor, in := r.floors[user]
		if !in || q.Session != "" && q.Session != r.id {
			continue
		}
		for _, e := range r.entries {
			at := time.UnixMilli(e.CreatedAt)
			if e.Kind != protocol.Kind_MESSAGE || e.Content == nil || e.Seq < floor || q.Sender != "" && e.Sender != q.Sender || at.Before(q.After) ||
				!q.Before.IsZero() && !at.Before(q.Before) || len(q.Types) > 0 && !slices.Contains(q.Types, e.Content.Type) {
				continue
			}
			text := strings.ReplaceAll(strings.ToLower(e.Content.Text), "é", "e")
			if !slices.ContainsFunc(strings.Fields(strings.ToLower(q.Words)), func(word string) bool { return !strings.Contains(text, word) }) {
				all = append(all, e)
			}
		}
	}
	slices.SortFunc(all, func(a, b *protocol.Entry) int {
		return cmp.Or(cmp.Compare(b.CreatedAt, a.CreatedAt), cmp.Compare(a.Session, b.Session), cmp.Compare(b.Seq, a.Seq))
	})
	for _, e := range all {
		ids = append(ids, protocol.MessageID(e.Session, e.Seq))
	}
	return ids
}

// found is what is found, page by page.
func (w *town) found(c *search.Center, user protocol.UserID, q search.Query) (ids []string, partial int) {
	w.t.Helper()
	for pages := 0; ; pages++ {
		page, err := c.Find(context.Background(), user, q)
		if err != nil {
			w.t.Fatal(err)
		}
		if len(page.Hits) > q.Limit || !page.Partial && page.Next != "" && len(page.Hits) < q.Limit {
			w.t.Fatalf("a page of %d has %d, partial: %v, next: %q", q.Limit, len(page.Hits), page.Partial, page.Next)
		}
		if page.Partial {
			partial++
		}
		for _, h := range page.Hits {
			ids = append(ids, h.Entry.MessagerecvId)
		}
		if q.Cursor = page.Next; page.Next == "" {
			return ids, partial
		}
		if pages > 20_000 {
			w.t.Fatal("the pages do not end")
		}
	}
}

func center(s search.Store, rows int) *search.Center {
	return search.New(search.Config{Rate: -1, Rows: rows, Within: time.Hour}, s, time.Now, slog.New(slog.DiscardHandler))
}

func TestSearchFindsWhatLookingAtEverythingFinds(t *testing.T) {
	for seed := range uint64(6) {
		w := &town{t: t, store: openStore(t), random: rand.New(rand.NewPCG(seed, 1)), clock: 1_700_000_000_000}
		for range 12 {
			w.room()
		}
		for range 400 {
			r := w.rooms[w.random.IntN(1+w.random.IntN(len(w.rooms)))]
			switch n := w.random.IntN(20); {
			case n < 12:
				w.say(r, 1+w.random.IntN(30))
			case n < 15 && len(r.entries) > 0:
				w.change(r)
			case n < 19:
				w.sign(r)
			default:
				if _, in := r.floors["bob"]; !in {
					r.floors["bob"] = int64(1 + w.random.IntN(len(r.entries)+1))
					w.commit(&actors.Append{Session: r.id, Members: []*actors.MemberRow{{User: "bob", Order: 2, Floor: r.floors["bob"]}}})
				}
			}
		}
		whole, bits := center(w.store, 0), center(w.store, 40+w.random.IntN(200))
		parts := 0
		for _, words := range []string{"今晚", "老地方 会议", "alpha", "mee repor", "的", "ok", "👍 北京", "cafe", "今晚七点老地方见会议", "nowhere", "无处"} {
			for _, user := range []protocol.UserID{"ann", "bob", "eve"} {
				q := search.Query{Words: words, Limit: 1 + w.random.IntN(60)}
				switch w.random.IntN(6) {
				case 0:
					q.Sender = "bob"
				case 1:
					q.Types = []protocol.ContentType{protocol.ContentType_FILE}
				case 2:
					q.After = time.UnixMilli(1_700_000_000_000 + w.random.Int64N(w.clock-1_700_000_000_000))
				case 3:
					q.Before = time.UnixMilli(1_700_000_000_000 + w.random.Int64N(w.clock-1_700_000_000_000))
				case 4:
					if r := w.rooms[w.random.IntN(len(w.rooms))]; r.floors[user] > 0 {
						q.Session = r.id
					}
				}
				want := w.wanted(user, q)
				got, _ := w.found(whole, user, q)
				if !slices.Equal(got, want) {
					t.Fatalf("seed %d: %s finds %q (%+v):\n%d %v, want\n%d %v", seed, user, words, q, len(got), got, len(want), want)
				}
				got, partial := w.found(bits, user, q)
				if !slices.Equal(got, want) {
					t.Fatalf("seed %d: bit by bit %s finds %q (%+v):\n%d %v, want\n%d %v", seed, user, words, q, len(got), got, len(want), want)
				}
				parts += partial
			}
		}
		if parts == 0 {
			t.Error("no request was cut short")
		}
	}
}

func TestASearchIsRefusedClearly(t *testing.T) {
	w := &town{t: t, store: openStore(t), random: rand.New(rand.NewPCG(1, 1)), clock: 1_700_000_000_000}
	r := w.room()
	c := center(w.store, 0)
	for says, x := range map[string]struct {
		user string
		q    search.Query
		code protocol.Code
	}{
		"no words":         {"ann", search.Query{Words: " "}, protocol.Code_BAD_REQUEST},
		"a bad cursor":     {"ann", search.Query{Words: "a", Cursor: "x"}, protocol.Code_BAD_REQUEST},
		"a strange cursor": {"ann", search.Query{Words: "a", Cursor: "LTEuLTEu"}, protocol.Code_BAD_REQUEST},
		"another's room":   {"bob", search.Query{Words: "a", Session: r.id}, protocol.Code_NOT_FOUND},
		"no room":          {"ann", search.Query{Words: "a", Session: protocol.NewSessionID()}, protocol.Code_NOT_FOUND},
		"nobody":           {"", search.Query{Words: "a"}, protocol.Code_BAD_REQUEST},
	} {
		if _, err := c.Find(t.Context(), x.user, x.q); !x.code.Is(err) {
			t.Errorf("%s: %v, want %v", says, err, x.code)
		}
	}
	now := time.Now()
	c = search.New(search.Config{}, w.store, func() time.Time { return now }, slog.New(slog.DiscardHandler))
	var err error
	for i := 0; i < 11; i++ {
		if _, err = c.Find(t.Context(), "ann", search.Query{Words: "a"}); i < 10 && err != nil {
			t.Fatal(err)
		}
	}
	if e := protocol.AsError(err); e == nil || e.Code != protocol.Code_RATE_LIMITED || e.RetryAfterMs != 500 {
		t.Errorf("the eleventh search at once: %v", err)
	}
	if _, err = c.Find(t.Context(), "bob", search.Query{Words: "a"}); err != nil {
		t.Errorf("another's search: %v", err)
	}
	now = now.Add(500 * time.Millisecond)
	if _, err = c.Find(t.Context(), "ann", search.Query{Words: "a"}); err != nil {
		t.Errorf("half a second later: %v", err)
	}
}

func TestBlocksAreSignedSoonAfterTheyAreFullAndWhatWasThereBefore(t *testing.T) {
	w := &town{t: t, store: openStore(t), random: rand.New(rand.NewPCG(1, 1)), clock: 1_700_000_000_000}
	old := w.room()
	w.say(old, 1000)
	c := search.New(search.Config{Gather: time.Millisecond}, w.store, time.Now, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { c.Run(ctx); close(ended) }()
	signed := func(r *theRoom, want int64) {
		t.Helper()
		var n int64
		for end := time.Now().Add(20 * time.Second); n != want; time.Sleep(time.Millisecond) {
			n = 0
			err := w.store.Look(t.Context(), func(reader search.Reader) error {
				return reader.Signatures(r.id, 0, 1<<40, func(int64, int64, []byte) bool { n++; return true })
			})
			if err != nil || time.Now().After(end) {
				t.Fatalf("%d blocks are signed, want %d: %v", n, want, err)
			}
		}
	}
	signed(old, 1000/search.BlockSize+1) // and what stands behind the full ones
	r := w.room()
	for range 10 {
		w.say(r, 30)
	}
	signed(r, 300/search.BlockSize)
	for range 20 {
		w.change(old)
	}
	signed(old, 1000/search.BlockSize+1)
	cancel()
	<-ended
	if left, _, err := w.store.Unsigned(t.Context(), "", 10); err != nil || !slices.Equal(left, []string{r.id}) {
		t.Errorf("unsigned: %v, %v, want the end of what was said last", left, err)
	}

	c = search.New(search.Config{Gather: time.Millisecond, Sweep: time.Millisecond}, w.store, time.Now, slog.New(slog.DiscardHandler))
	ctx, cancel = context.WithCancel(t.Context())
	ended = make(chan struct{})
	go func() { c.Run(ctx); close(ended) }()
	signed(r, 300/search.BlockSize+1)
	w.say(r, 30)
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		left, _, err := w.store.Unsigned(t.Context(), "", 10)
		if err == nil && len(left) == 0 {
			break
		}
		if err != nil || time.Now().After(end) {
			t.Fatalf("unsigned: %v, %v", left, err)
		}
	}
	cancel()
	<-ended
}
