package mongostore

import (
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/mongostore/mongotest"
	"github.com/troupe-im/troupe/internal/protocol"
)

// sessionNumber is a session id of its own for each n.
func sessionNumber(n int) protocol.SessionID {
	id := []byte("s_")
	for _, c := range fmt.Sprintf("%016b", n) {
		id = append(id, "ab"[c-'0'])
	}
	return string(id)
}

// BenchmarkCommit commits one message each in as many sessions.
func BenchmarkCommit(b *testing.B) {
	for _, n := range []int{1, 20, 200} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := open(b)
			var made []*actors.Append
			for i := range n {
				made = append(made, creation(sessionNumber(i), "ann", "bob"))
			}
			commit(b, s, made...)
			seq := int64(0)
			for b.Loop() {
				seq++
				batch := make([]*actors.Append, n)
				for i := range batch {
					batch[i] = saying(sessionNumber(i), 1, said(seq, "ann", fmt.Sprint(seq), "a message as people write them"))
					batch[i].Vouched = true
				}
				commit(b, s, batch...)
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*n), "µs/message")
		})
	}
}

// BenchmarkRange reads 50 entries of a log of 1,000 in 1,000 commits' place.
func BenchmarkRange(b *testing.B) {
	s := open(b)
	commit(b, s, creation(room, "ann", "bob"))
	for seq := int64(1); seq <= 1000; {
		a := saying(room, 1)
		for range 5 {
			a.Entries, a.Hashes = append(a.Entries, said(seq, "ann", fmt.Sprint(seq), "a message as people write them")), append(a.Hashes, [8]byte{})
			seq++
		}
		a.Vouched = true
		commit(b, s, a)
	}
	for b.Loop() {
		entries, err := s.Range(background, room, 500, 549, 50, 1<<20)
		if err != nil || len(entries) != 50 {
			b.Fatal(len(entries), err)
		}
	}
}

// many makes a user's sessions, each with two messages of somebody else.
func many(t testing.TB, s *Store, n int) {
	t.Helper()
	var made []*actors.Append
	for i := range n {
		id := sessionNumber(i)
		a := saying(id, 1, said(1, "bob", "a", "hello"), said(2, "bob", "b", "again"))
		a.Vouched = true
		made = append(made, creation(id, "ann", "bob"), a)
	}
	commit(t, s, made...)
}

func BenchmarkHome(b *testing.B) {
	s := open(b)
	many(b, s, 100)
	for b.Loop() {
		rows, err := s.Home(background, "ann", "", nil)
		if err != nil || len(rows) != 100 {
			b.Fatal(len(rows), err)
		}
	}
}

// counting gives a store and what counts the queries that it asks.
func counting(t *testing.T) (*Store, *atomic.Int64) {
	t.Helper()
	uri := mongotest.URI(t)
	at, err := url.Parse(uri)
	if err != nil || strings.Contains(at.Host, ",") {
		t.Skip("a wire goes to one server")
	}
	w := wireTo(t, at.Host)
	s := openAt(t, Options{URI: w.uri(uri)})
	var asked atomic.Int64
	w.on(func(command, _ string) fault {
		if command == "find" || command == "aggregate" {
			asked.Add(1)
		}
		return none
	})
	return s, &asked
}

func TestAHomeListIsAHandfulOfQueries(t *testing.T) {
	s, asked := counting(t)
	const sessions = 60
	many(t, s, sessions)
	asked.Store(0)
	rows, err := s.Home(background, "ann", "", nil)
	if err != nil || len(rows) != sessions {
		t.Fatal(len(rows), err)
	}
	for _, r := range rows {
		if r.Unread != 2 || r.Last.GetSeq() != 2 {
			t.Fatalf("row %+v, want 2 unread", r)
		}
	}
	if n := asked.Swap(0); n > 5 {
		t.Errorf("a home list of %d sessions took %d queries, want 5: which sessions, marks, sessions, members, and one to count", sessions, n)
	}
	if _, err := s.HomeOf(background, "ann", sessionNumber(7), ""); err != nil {
		t.Fatal(err)
	}
	if n := asked.Load(); n > 4 {
		t.Errorf("a home row took %d queries, want 4: mark, session, member, and one to count", n)
	}
}

func TestASessionIsLoadedByFiveQueries(t *testing.T) {
	s, asked := counting(t)
	many(t, s, 2)
	joined := saying(sessionNumber(1), 1, &protocol.Entry{Seq: 3, Kind: protocol.Kind_JOIN, Sender: "bob", Members: []protocol.UserID{"cid"}, CreatedAt: 1003})
	commit(t, s, joined)
	for i, want := range []int64{2, 3} {
		asked.Store(0)
		stored, err := s.Load(background, sessionNumber(i))
		if err != nil || stored.Newest.GetSeq() != want || stored.Head != want {
			t.Fatalf("Load = %+v, %v, want %d entries", stored, err, want)
		}
		if n := asked.Load(); n > 5 {
			t.Errorf("a session that ends with %v took %d queries, want 5: session, the commit behind it, members, marks, and the newest entry", stored.Newest.Kind, n)
		}
	}
}
