package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

// until is an Append that says when a session ends.
func until(id protocol.SessionID, at int64) *actors.Append {
	return &actors.Append{Session: id, Epoch: 1, Info: &protocol.SessionInfo{Session: id, SessionType: protocol.SessionType_GROUP, Until: at}}
}

func dueSessions(t *testing.T, s Store) {
	now := func(at int64) []protocol.SessionID {
		t.Helper()
		due, err := s.DueSessions(background, time.UnixMilli(at), 10)
		if err != nil {
			t.Fatal(err)
		}
		return due
	}
	commit(t, s, create(room, "ann"), create(hall, "ann"))
	equal(t, "due before any", now(1<<50), []string{})
	commit(t, s, until(room, 5000), until(hall, 3000))
	equal(t, "due too early", now(2999), []string{})
	equal(t, "due at the time", now(3000), []string{hall})
	equal(t, "due in order", now(5000), []string{hall, room})
	commit(t, s, until(hall, 9000), until(hall, 7000), until(room, 0)) // twice in one batch
	s.Journal = s.Reopen()
	equal(t, "due after both changed", now(1<<50), []string{hall})
	equal(t, "due at the later time", now(6999), []string{})
	if due, err := s.DueSessions(background, time.UnixMilli(1<<50), 0); err != nil || len(due) != 0 {
		t.Errorf("none of them = %v, %v", due, err)
	}
}

func links(t *testing.T, s Store) {
	commit(t, s, create(room, "ann"), create(hall, "ann"))
	link := func(session, id string, at int64) *actors.LinkRow {
		return &actors.LinkRow{ID: id, Hash: [32]byte{1, 2, 3, 31: 4}, Session: session, By: "ann", Uses: 5, CreatedAt: at, ExpiresAt: at + 10}
	}
	all := func(session string, after *actors.LinkRow, limit int) (ids []string) {
		t.Helper()
		rows, err := s.LinksOf(background, session, after, limit)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range rows {
			ids = append(ids, l.ID)
		}
		return ids
	}
	first, second, third := link(room, "l_c", 100), link(room, "l_a", 100), link(room, "l_b", 300)
	commit(t, s, &actors.Append{Session: room, Epoch: 1, Links: []*actors.LinkRow{third, first, second}},
		&actors.Append{Session: hall, Epoch: 1, Links: []*actors.LinkRow{link(hall, "l_d", 1)}})
	equal(t, "links by time", all(room, nil, 10), []string{"l_a", "l_c", "l_b"})
	equal(t, "a page", all(room, second, 1), []string{"l_c"})
	equal(t, "the last page", all(room, third, 10), []string{})
	used := *first
	used.Used, used.Revoked = 3, true
	if err := refused(t, s, &actors.Append{Session: room, Epoch: 9, Links: []*actors.LinkRow{&used}}); !errors.Is(err, actors.ErrStale) {
		t.Errorf("a stale activation counts a use: %v", err)
	}
	if l, err := s.Link(background, "l_c"); err != nil || *l != *first {
		t.Errorf("the link = %+v, %v, want %+v", l, err, first)
	}
	commit(t, s, &actors.Append{Session: room, Epoch: 1, Links: []*actors.LinkRow{&used}, Unlinked: []*actors.LinkRow{third}})
	s.Journal = s.Reopen()
	if l, err := s.Link(background, "l_c"); err != nil || *l != used {
		t.Errorf("the used link = %+v, %v, want %+v", l, err, used)
	}
	equal(t, "those left", all(room, nil, 10), []string{"l_a", "l_c"})
	for _, id := range []string{"l_b", "l_x", ""} {
		if _, err := s.Link(background, id); !protocol.Code_NOT_FOUND.Is(err) {
			t.Errorf("link %q: %v, want NOT_FOUND", id, err)
		}
	}
}

func silenceAndDeath(t *testing.T, s Store) {
	commit(t, s, create(room, "ann", "bob"))
	row := &actors.MemberRow{User: "bob", Inviter: "ann", Order: 2, JoinedAt: 1000, Floor: 1, Muted: true, SilencedUntil: actors.Forever}
	commit(t, s, &actors.Append{Session: room, Epoch: 1, Members: []*actors.MemberRow{row}})
	s.Journal = s.Reopen()
	home, err := s.HomeOf(background, "bob", room, "")
	if err != nil || home.Member != *row {
		t.Errorf("bob's row = %+v, %v, want %+v", home.Member, err, row)
	}
	dead := until(room, 1)
	dead.Info.Dead = true
	commit(t, s, dead)
	if _, err := s.HomeOf(background, "bob", room, ""); !protocol.Code_NOT_FOUND.Is(err) {
		t.Errorf("bob's row of a dead session: %v, want NOT_FOUND", err)
	}
	if rows, err := s.Home(background, "bob", "", nil); err != nil || len(rows) != 0 {
		t.Errorf("bob's home list has %v, %v", rows, err)
	}
	if stored, err := s.Load(background, room); err != nil || len(stored.Members) != 2 {
		t.Errorf("a dead session with members is loaded with %v, %v", stored, err)
	}
}
