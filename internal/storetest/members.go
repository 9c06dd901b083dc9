package storetest

import (
	"cmp"
	"fmt"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

func marks(t *testing.T, s Store) {
	commit(t, s, create(room, "ann", "bob"), says(room, message(1, "ann", "a"), message(2, "ann", "b"), message(3, "ann", "c")))
	mark := func(marks ...actors.Mark) {
		t.Helper()
		commit(t, s, &actors.Append{Session: room, Epoch: 1, Marks: marks})
	}
	is := func(read, recv, device int64) {
		t.Helper()
		row, err := s.HomeOf(background, "bob", room, "phone")
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "read, received, received by phone", []int64{row.Member.ReadSeq, row.Member.RecvSeq, row.DeviceRecv}, []int64{read, recv, device})
		stored, err := s.Load(background, room)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "read, received of Load", []int64{stored.Members[1].ReadSeq, stored.Members[1].RecvSeq}, []int64{read, recv})
	}
	is(0, 0, 0)
	mark(actors.Mark{User: "bob", Device: "phone", RecvSeq: 1})
	is(0, 1, 1)
	mark(actors.Mark{User: "bob", ReadSeq: 2}, actors.Mark{User: "bob", Device: "tablet", RecvSeq: 3}, actors.Mark{User: "bob", ReadSeq: 1})
	is(2, 3, 1)
	mark(actors.Mark{User: "bob", ReadSeq: 1, Device: "tablet", RecvSeq: 1})
	is(2, 3, 1)
	commit(t, s, &actors.Append{Session: room, Epoch: 1, Removed: []protocol.UserID{"bob"}},
		&actors.Append{Session: room, Epoch: 1, Members: []*actors.MemberRow{{User: "bob", Order: 3}}})
	is(2, 3, 1) // marks outlive membership: they never go back
}

func devices(t *testing.T, s Store) {
	const extra = 10
	commit(t, s, create(room, "ann", "bob"))
	for i := range int64(actors.MaxDevices + extra) {
		commit(t, s, says(room, message(i+1, "ann", fmt.Sprint("m", i))),
			&actors.Append{Session: room, Epoch: 1, Marks: []actors.Mark{{User: "bob", Device: fmt.Sprint("d", i), RecvSeq: i + 1}, {User: "ann", Device: "phone", RecvSeq: 1}}})
	}
	for device, want := range map[string]int64{"d0": 0, fmt.Sprint("d", extra-1): 0, fmt.Sprint("d", extra): extra + 1, fmt.Sprint("d", actors.MaxDevices+extra-1): actors.MaxDevices + extra} {
		row, err := s.HomeOf(background, "bob", room, device)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "received by "+device+", by any", []int64{row.DeviceRecv, row.Member.RecvSeq}, []int64{want, actors.MaxDevices + extra})
	}
	row, err := s.HomeOf(background, "ann", room, "phone")
	if err != nil || row.DeviceRecv != 1 {
		t.Errorf("another user's mark = %v, %v", row, err)
	}
}

func deeds(t *testing.T, s Store) {
	react := func(seq, target int64, user, word string, removed bool) *protocol.Entry {
		return &protocol.Entry{Session: room, Seq: seq, Kind: protocol.Kind_REACT, Sender: user, Target: target, Reaction: word, Removed: removed, CreatedAt: 1}
	}
	commit(t, s, create(room, "ann", "bob"), says(room, message(1, "ann", "a"), message(2, "ann", "b"),
		react(3, 1, "bob", "+1", false), react(4, 1, "bob", "", false), react(5, 2, "bob", "x", false), react(6, 1, "bobby", "+1", false),
		&protocol.Entry{Session: room, Seq: 7, Kind: protocol.Kind_ANSWER, Sender: "bob", Target: 2, Answer: "accept", CreatedAt: 1}),
		says(room, react(8, 1, "bob", "+1", true), react(9, 1, "ann", "+1", true)))
	commit(t, s, says(room, react(10, 1, "bob", "y", false)))
	for _, x := range []struct {
		target int64
		user   protocol.UserID
		want   string
	}{
		{1, "bob", "[{REACT  4} {REACT y 10}]"},
		{1, "bobby", "[{REACT +1 6}]"},
		{1, "ann", "[]"},
		{2, "bob", "[{REACT x 5} {ANSWER accept 7}]"},
		{3, "bob", "[]"},
	} {
		got, err := s.Deeds(background, room, x.target, x.user)
		if err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(got, func(a, b actors.Deed) int { return cmp.Compare(a.Seq, b.Seq) })
		equal(t, fmt.Sprint("deeds of ", x.user, " to ", x.target), []string{fmt.Sprint(got)}, []string{x.want})
	}
}

func membersInOrder(t *testing.T, s Store) {
	commit(t, s, create(room, "zoe", "ann", "mia"))
	users := func() (users []string) {
		stored, err := s.Load(background, room)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range stored.Members {
			users = append(users, m.User)
		}
		equal(t, "MemberCount", stored.Info.MemberCount, int64(len(users)))
		return users
	}
	equal(t, "members", users(), []string{"zoe", "ann", "mia"})
	full := &actors.MemberRow{User: "ann", Role: protocol.Role_ADMIN, Inviter: "zoe", Order: 2, JoinedAt: 77, Floor: 3, Sticky: true, Muted: true}
	commit(t, s, &actors.Append{Session: room, Epoch: 1, Removed: []protocol.UserID{"zoe", "nobody"},
		Members: []*actors.MemberRow{{User: "bob", Order: 4}, full}})
	equal(t, "members", users(), []string{"ann", "mia", "bob"})
	stored, err := s.Load(background, room)
	if err != nil || *stored.Members[0] != *full {
		t.Errorf("member = %+v, %v, want %+v", stored.Members[0], err, full)
	}
	commit(t, s, &actors.Append{Session: room, Epoch: 1, Members: []*actors.MemberRow{{User: "zoe", Order: 5}}})
	equal(t, "members", users(), []string{"ann", "mia", "bob", "zoe"})
}

func home(t *testing.T, s Store) {
	commit(t, s, create(room, "ann", "bob"), create(pair, "ann", "bob"), create(hall, "cid"),
		says(room, message(1, "bob", "a"), message(2, "ann", "b"), &protocol.Entry{Seq: 3, Kind: protocol.Kind_JOIN, Sender: "bob", Members: []string{"x"}}))
	rows, err := s.Home(background, "ann", "phone", nil)
	if err != nil || len(rows) != 2 {
		t.Fatalf("Home = %d rows, %v, want 2", len(rows), err)
	}
	ids, err := s.SessionsOf(background, "ann")
	if err != nil || len(ids) != 2 {
		t.Errorf("SessionsOf = %v, %v, want 2", ids, err)
	}
	for _, row := range rows {
		want := "room"
		if row.Info.Session == pair {
			want = "pair"
		}
		alone, err := s.HomeOf(background, "ann", row.Info.Session, "phone")
		if err != nil || !proto.Equal(alone.Info, row.Info) || !proto.Equal(alone.Last, row.Last) || alone.Unread != row.Unread {
			t.Errorf("HomeOf = %+v, %v, want what Home says: %+v", alone, err, row)
		}
		bare, err := s.RowOf(background, "ann", row.Info.Session, "phone")
		if err != nil || !proto.Equal(bare.Info, row.Info) || !proto.Equal(bare.Last, row.Last) || bare.Head != row.Head || bare.Member != row.Member ||
			bare.LogEpoch != row.LogEpoch || bare.DeviceRecv != alone.DeviceRecv || bare.Unread != 0 || bare.Mentioned {
			t.Errorf("RowOf = %+v, %v, want what HomeOf says but for what is unread: %+v", bare, err, alone)
		}
		switch {
		case row.LogEpoch == "" || row.Info.MemberCount != 2 || row.Member.User != "ann":
			t.Errorf("row of %s = %+v", want, row)
		case want == "room" && (row.Head != 3 || row.Last == nil || row.Last.Seq != 2 || row.Unread != 1 || len(row.Info.Members) != 0):
			t.Errorf("row of room = %+v, want head 3, last 2, 1 unread, no members", row)
		case want == "pair" && (row.Head != 0 || row.Last != nil || row.Unread != 0 || len(row.Info.Members) != 2):
			t.Errorf("row of pair = %+v, want nothing said, both members", row)
		}
	}
	rows, err = s.Home(background, "ann", "", func(h *actors.HomeRow) bool { return h.Info.Session == pair || h.Head != 3 || h.Member.User != "ann" })
	if err != nil || len(rows) != 2 {
		t.Fatalf("Home = %d rows, %v, want 2", len(rows), err)
	}
	for _, row := range rows {
		if row.Unread != 0 || row.Mentioned || row.Info.Session == room && row.Last.GetSeq() != 2 {
			t.Errorf("row of %s, of which nothing is to be counted, = %+v", row.Info.Session, row)
		}
	}
	if _, err := s.HomeOf(background, "ann", hall, ""); !protocol.Code_NOT_FOUND.Is(err) {
		t.Errorf("HomeOf a session that ann is not in = %v, want NOT_FOUND", err)
	}
	if _, err := s.RowOf(background, "ann", hall, ""); !protocol.Code_NOT_FOUND.Is(err) {
		t.Errorf("RowOf a session that ann is not in = %v, want NOT_FOUND", err)
	}
	commit(t, s, &actors.Append{Session: room, Epoch: 1, Removed: []protocol.UserID{"ann"}})
	if rows, err := s.Home(background, "ann", "", nil); err != nil || len(rows) != 1 || rows[0].Info.Session != pair {
		t.Errorf("Home after leaving = %v, %v, want pair only", rows, err)
	}
}

func unread(t *testing.T, s Store) {
	entries := []*protocol.Entry{message(1, "ann", "a"), message(2, "bob", "b"), message(3, "cid", "c"), message(4, "bob", "d"),
		{Seq: 5, Kind: protocol.Kind_RECALL, Sender: "bob", Target: 4}, message(6, "bob", "f")}
	entries[1].Mentions, entries[5].Mentions = []string{"cid"}, []string{"*"}
	commit(t, s, create(room, "ann", "bob", "cid"), says(room, entries...))
	is := func(user string, after, to, n int64, mentioned bool) {
		t.Helper()
		if got, m, err := s.Unread(background, room, user, after, to); got != n || m != mentioned || err != nil {
			t.Errorf("unread of %s in (%d,%d] = %d, %v, %v, want %d, %v", user, after, to, got, m, err, n, mentioned)
		}
	}
	is("ann", 0, 6, 4, true)
	is("ann", 0, 4, 3, false)
	is("ann", 3, 3, 0, false)
	is("ann", 9, 3, 0, false)
	is("cid", 0, 4, 3, true)
	is("cid", 2, 4, 1, false)
	is("bob", 0, 6, 2, false)
	is("dan", -5, 1<<53, 5, true)
	recalled, expired := proto.CloneOf(entries[3]), proto.CloneOf(entries[5])
	recalled.Recalled, expired.Expired = true, true
	commit(t, s, &actors.Append{Session: room, Epoch: 1, Rewrites: []*protocol.Entry{recalled, expired}})
	is("ann", 0, 6, 2, false)
	is("ann", 3, 6, 0, false)
}

func quiet(t *testing.T, s Store) {
	press, other := message(2, "bob", "b"), message(4, "bob", "d")
	press.Content, press.Mentions, press.Quiet = &protocol.Content{Type: protocol.ContentType_CARD, Data: `{"troupe":{"action":"vote"}}`}, []string{"ann"}, true
	other.Content, other.Quiet = press.Content, true
	is := func(last, unread int64) {
		t.Helper()
		row, err := s.HomeOf(background, "ann", room, "")
		if err != nil {
			t.Fatal(err)
		}
		n, mentioned, err := s.Unread(background, room, "ann", 0, row.Head)
		if err != nil || row.Last.GetSeq() != last || row.Unread != unread || n != unread || row.Mentioned || mentioned {
			t.Errorf("last %d, unread %d and %d, mentioned %v and %v, %v; want last %d, unread %d, not mentioned", row.Last.GetSeq(), row.Unread, n, row.Mentioned, mentioned, err, last, unread)
		}
	}
	commit(t, s, create(room, "ann", "bob"))
	is(0, 0)
	commit(t, s, says(room, message(1, "bob", "a"), press))
	is(1, 1)
	commit(t, s, says(room, message(3, "bob", "c"), other))
	is(3, 2)
	gone := proto.CloneOf(other)
	gone.Recalled, gone.Content = true, nil
	commit(t, s, &actors.Append{Session: room, Epoch: 1, Rewrites: []*protocol.Entry{gone}})
	is(3, 2)
}
