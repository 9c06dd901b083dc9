package actors_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

// crowd is everybody there is.
type crowd []protocol.UserID

func (c crowd) Everybody(_ context.Context, after protocol.UserID, limit int) ([]protocol.UserID, error) {
	i, found := slices.BinarySearch(c, after)
	if found {
		i++
	}
	return c[i:min(i+limit, len(c))], nil
}

// notices sends notices of a stage until stop is called.
func (s *stage) notices(store actors.NoticeStore, people actors.Everybody) (n *actors.Notices, stop func()) {
	n = actors.NewNotices(s.node, store, people, slog.New(slog.NewTextHandler(io.Discard, nil)))
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { n.Run(ctx) })
	stop = sync.OnceFunc(func() {
		cancel()
		done.Wait()
	})
	s.t.Cleanup(stop)
	return n, stop
}

func (s *stage) sent(n *actors.Notices, id string) *actors.NoticeRow {
	s.t.Helper()
	var row *actors.NoticeRow
	eventually(s.t, "the notice is sent", func() bool {
		var err error
		if row, err = n.Read(context.Background(), id); err != nil {
			s.t.Fatal(err)
		}
		return row.DoneAt != 0
	})
	return row
}

func TestANoticeIsInEachOnesSystemSession(t *testing.T) {
	s := newStage(t, actors.Config{})
	ann := s.dial("ann", "d")
	n, _ := s.notices(s.store, crowd{})
	said := &protocol.Content{Type: protocol.ContentType_SYSTEM, Text: "the ward closes"}
	row, err := n.Send(t.Context(), "root", "k1", []string{"ann", "bob"}, said)
	if err != nil {
		t.Fatal(err)
	}
	id := protocol.SystemSessionID("ann")
	if e := ann.push(1); e.Session != id || e.Sender != actors.System || e.Content.Text != "the ward closes" || e.Content.Type != protocol.ContentType_SYSTEM {
		t.Errorf("ann is pushed %v", e)
	}
	if done := s.sent(n, row.ID); done.Told != 2 || done.Failed != 0 {
		t.Errorf("notice = %+v", done)
	}
	again, err := n.Send(t.Context(), "root", "k1", []string{"ann", "bob"}, said)
	if err != nil || again.ID != row.ID || again.DoneAt == 0 {
		t.Errorf("sent again = %+v, %v", again, err)
	}
	for what, send := range map[string]func() error{
		"other content": func() error {
			_, err := n.Send(t.Context(), "root", "k1", []string{"ann", "bob"}, text("x"))
			return err
		},
		"other users": func() error { _, err := n.Send(t.Context(), "root", "k1", nil, said); return err },
	} {
		if err := send(); !protocol.Code_CONFLICT.Is(err) {
			t.Errorf("%s: %v, want CONFLICT", what, err)
		}
	}
	bob := s.dial("bob", "d")
	if r := bob.row(protocol.SystemSessionID("bob")); r == nil || r.Unread != 1 || r.SessionType != protocol.SessionType_SYSTEM_SESSION || r.Last.Content.Text != "the ward closes" {
		t.Errorf("bob's row: %v", r)
	}
	for _, f := range []*protocol.Frame{send(id, "a1", "x"), exit(id), remove(id, "ann"), add(id, "bob"), dissolve(id), react(id, 1, "x", false), edit(id, 1, "x"),
		set(id, &protocol.SessionSet{Name: ptr("x")}), linkCreate(id, 0, 0)} {
		ann.refused(f, protocol.Code_DENIED)
	}
	ann.must(set(id, &protocol.SessionSet{Sticky: ptr(true)}))
	ann.must(read(id, 1))
	bob.refused(read(id, 1), protocol.Code_NOT_FOUND)
	eventually(t, "ann has read it", func() bool { r := ann.row(id); return r.Unread == 0 && r.Sticky })
	for code, ask := range map[protocol.Code]func() error{
		protocol.Code_NOT_FOUND:   func() error { _, err := n.Send(t.Context(), "root", "k2", []string{"ann", "nobody"}, said); return err },
		protocol.Code_TOO_MANY:    func() error { _, err := n.Send(t.Context(), "root", "k2", make([]string, 501), said); return err },
		protocol.Code_BAD_REQUEST: func() error { _, err := n.Send(t.Context(), "root", "", nil, said); return err },
	} {
		if err := ask(); !code.Is(err) {
			t.Errorf("%v, want %s", err, code.Word())
		}
	}
}

// halting is a store of notices that stops being able to note after some pages.
type halting struct {
	actors.NoticeStore
	pages atomic.Int64
	stop  func()
}

func (h *halting) MoveNotice(ctx context.Context, n *actors.NoticeRow) error {
	if h.pages.Add(-1) < 0 {
		go h.stop() // it was told, but that is not noted: as if the process had died
		<-ctx.Done()
		return ctx.Err()
	}
	return h.NoticeStore.MoveNotice(ctx, n)
}

func TestANoticeToEverybodyReachesEachOnceThroughARestart(t *testing.T) {
	s := newStage(t, actors.Config{})
	var all crowd
	for i := range 1000 {
		all = append(all, fmt.Sprintf("u%04d", i))
	}
	h := &halting{NoticeStore: s.store}
	h.pages.Store(2)
	n, stop := s.notices(h, all)
	h.stop = stop
	row, err := n.Send(t.Context(), "root", "k1", nil, text("hello all"))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "it stopped", func() bool { return h.pages.Load() < 0 })
	stop()
	s.restart()
	if half, err := s.store.Notice(t.Context(), row.ID); err != nil || half.Told != 400 || half.DoneAt != 0 {
		t.Fatalf("half way: %+v, %v", half, err)
	}
	n, _ = s.notices(s.store, all)
	if done := s.sent(n, row.ID); done.Told != 1000 || done.Failed != 0 {
		t.Errorf("notice = %+v", done)
	}
	for _, user := range all {
		home, err := s.store.Home(t.Context(), user, "", nil)
		if err != nil || len(home) != 1 || home[0].Head != 1 || home[0].Unread != 1 {
			t.Fatalf("%s has %+v, %v", user, home, err)
		}
	}
	eventually(t, "nobody's session stays in memory", func() bool { sessions, _ := s.node.Loaded(); return sessions < 100 })
}
