// Package storetest is the one suite that every store passes for what it keeps.
package storetest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

// Store is a journal under test, empty.
type Store struct {
	actors.Journal
	// Reopen closes the journal and gives it again, with what was committed.
	Reopen func() actors.Journal
}

// Journal tries everything that actors.Journal says of a store. Each open gives
// a store of its own, whose end is open's to arrange (t.Cleanup).
func Journal(t *testing.T, open func(t testing.TB) Store) {
	for name, test := range map[string]func(*testing.T, Store){
		"a log is contiguous from 1":                         contiguous,
		"an unknown session is not found":                    unknown,
		"a session is created once":                          created,
		"a claim ends older activations":                     fenced,
		"of two activations that race one writes":            racing,
		"a client message id is taken once":                  unique,
		"a vouched client message id is found":               vouched,
		"a refused append leaves no trace":                   traceless,
		"text that cannot be kept harms its own append only": poison,
		"marks only rise":                                    marks,
		"devices' marks are bounded":                         devices,
		"deeds are those that were not taken back":           deeds,
		"members come in order of joining":                   membersInOrder,
		"a home row says how a session stands":               home,
		"unread counts what others said":                     unread,
		"what is quiet counts for nobody":                    quiet,
		"ranges are bounded":                                 ranges,
		"a rewritten entry is as it was written last":        rewritten,
		"an original is there as long as it is kept":         originals,
		"due messages come oldest first":                     due,
		"sessions end in the order of their times":           dueSessions,
		"links are written with the rest of an append":       links,
		"a silence is kept, and a dead session is nobody's":  silenceAndDeath,
		"what was committed is there after reopening":        reopened,
		"parallel commits of one session make one log":       parallel,
		"a store does what the model does":                   likeTheModel,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
	for name, test := range contactTests {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

const (
	room = "s_aaaaaaaaaaaaaaaa"
	hall = "s_bbbbbbbbbbbbbbbb"
	pair = "p_aaaaaaaaaaaaaaaa" // the same bytes as room, another session
)

var background = context.Background()

// create is the Append that makes a session with members in it, at epoch 1.
func create(id protocol.SessionID, users ...protocol.UserID) *actors.Append {
	kind := protocol.SessionType_GROUP
	if id[0] == 'p' {
		kind = protocol.SessionType_P2P
	}
	a := &actors.Append{Session: id, Epoch: 1, Claim: true, Create: true,
		Info: &protocol.SessionInfo{Session: id, SessionType: kind, Name: "the " + id, Creator: users[0], CreatedAt: 1000}}
	for i, user := range users {
		a.Members = append(a.Members, &actors.MemberRow{User: user, Inviter: users[0], Order: int64(i + 1), JoinedAt: 1000, Floor: 1})
	}
	return a
}

// message is an entry that sender says.
func message(seq int64, sender protocol.UserID, id protocol.ClientMsgID) *protocol.Entry {
	return &protocol.Entry{Seq: seq, Sender: sender, ClientMsgId: id, CreatedAt: 1000 + seq,
		Content: &protocol.Content{Type: protocol.ContentType_TEXT, Text: fmt.Sprintf("%s says %d", sender, seq)}}
}

// says is an Append of messages at epoch 1.
func says(id protocol.SessionID, entries ...*protocol.Entry) *actors.Append {
	return &actors.Append{Session: id, Epoch: 1, Entries: entries, Hashes: make([][8]byte, len(entries))}
}

// commit commits appends of which none may be refused.
func commit(t testing.TB, j actors.Journal, batch ...*actors.Append) {
	t.Helper()
	if err := j.Commit(batch); err != nil {
		t.Fatalf("Commit = %v", err)
	}
	for i, a := range batch {
		if a.Err != nil {
			t.Fatalf("append %d of %d refused: %v", i+1, len(batch), a.Err)
		}
	}
}

// refused commits one append and gives what it was refused with.
func refused(t testing.TB, j actors.Journal, a *actors.Append) error {
	t.Helper()
	if err := j.Commit([]*actors.Append{a}); err != nil {
		t.Fatalf("Commit = %v", err)
	}
	return a.Err
}

// log gives the seqs of all entries of a session, checking that each is what message made.
func log(t testing.TB, j actors.Journal, id protocol.SessionID) (seqs []int64) {
	t.Helper()
	entries, err := j.Range(background, id, 1, 1<<53, 1<<30, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Session != id || e.MessagerecvId != protocol.MessageID(id, e.Seq) {
			t.Errorf("an entry of %s calls itself %s of %s", id, e.MessagerecvId, e.Session)
		}
		seqs = append(seqs, e.Seq)
	}
	return seqs
}

func oneTo(n int64) (seqs []int64) {
	for seq := range n {
		seqs = append(seqs, seq+1)
	}
	return seqs
}

func equal[T any](t testing.TB, what string, got, want T) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("%s = %s, want %s", what, g, w)
	}
}

func contiguous(t *testing.T, s Store) {
	commit(t, s, create(room, "ann"), says(room, message(1, "ann", "a"), message(2, "ann", "b")), says(room, message(3, "ann", "c")))
	for _, seq := range []int64{0, 1, 3, 5, -1} {
		if err := refused(t, s, says(room, message(seq, "ann", fmt.Sprint("x", seq)))); !errors.Is(err, actors.ErrTaken) {
			t.Errorf("an entry %d behind 3 is refused with %v, want ErrTaken", seq, err)
		}
	}
	if err := refused(t, s, says(room, message(4, "ann", "d"), message(6, "ann", "f"))); !errors.Is(err, actors.ErrTaken) {
		t.Errorf("entries with a hole are refused with %v, want ErrTaken", err)
	}
	commit(t, s, says(room, message(4, "ann", "d")))
	equal(t, "log", log(t, s, room), oneTo(4))
}

func unknown(t *testing.T, s Store) {
	for _, id := range []protocol.SessionID{room, "", "nonsense", "s_", "s_AAAAAAAAAAAAAAAA"} {
		_, load := s.Load(background, id)
		_, forth := s.Range(background, id, 1, 9, 9, 9)
		_, back := s.Backward(background, id, 1, 9, 9, 9)
		_, sent := s.Sent(background, id, "ann", "a")
		_, _, unread := s.Unread(background, id, "ann", 0, 9)
		_, home := s.HomeOf(background, "ann", id, "")
		for what, err := range map[string]error{
			"Load": load, "Range": forth, "Backward": back, "Sent": sent, "Unread": unread, "HomeOf": home,
			"SentKeys": s.SentKeys(background, id, 1, 9, func([16]byte, actors.Sent) {}),
			"Commit":   refused(t, s, says(id, message(1, "ann", "a"))),
		} {
			if !protocol.Code_NOT_FOUND.Is(err) {
				t.Errorf("%s of unknown session %q = %v, want NOT_FOUND", what, id, err)
			}
		}
	}
}

func created(t *testing.T, s Store) {
	commit(t, s, create(room, "ann"))
	if err := refused(t, s, create(room, "bob")); !protocol.Code_CONFLICT.Is(err) {
		t.Errorf("created again: %v, want CONFLICT", err)
	}
	twice := []*actors.Append{create(hall, "ann"), create(hall, "bob")}
	if err := s.Commit(twice); err != nil || twice[0].Err != nil || !protocol.Code_CONFLICT.Is(twice[1].Err) {
		t.Errorf("created twice in one batch: %v, %v, %v, want the second refused with CONFLICT", err, twice[0].Err, twice[1].Err)
	}
	commit(t, s, create(pair, "ann", "bob"), says(pair, message(1, "ann", "a")))
	equal(t, "log of room", log(t, s, room), nil)
	stored, err := s.Load(background, hall)
	if err != nil || stored.Info.Creator != "ann" || stored.Epoch != 1 || stored.Head != 0 || stored.LogEpoch == "" || stored.LogEpoch != twice[0].LogEpoch {
		t.Errorf("Load = %+v, %v", stored, err)
	}
}

func fenced(t *testing.T, s Store) {
	commit(t, s, create(room, "ann"), says(room, message(1, "ann", "a")))
	claim := func(epoch int64) *actors.Append { return &actors.Append{Session: room, Epoch: epoch, Claim: true} }
	for _, epoch := range []int64{0, 1} {
		if err := refused(t, s, claim(epoch)); !errors.Is(err, actors.ErrStale) {
			t.Errorf("claim of epoch %d at 1: %v, want ErrStale", epoch, err)
		}
	}
	commit(t, s, claim(5))
	for _, epoch := range []int64{1, 4, 6} {
		a := says(room, message(2, "ann", "b"))
		a.Epoch = epoch
		if err := refused(t, s, a); !errors.Is(err, actors.ErrStale) {
			t.Errorf("append of epoch %d at 5: %v, want ErrStale", epoch, err)
		}
	}
	a := says(room, message(2, "ann", "b"))
	a.Epoch = 5
	commit(t, s, a)
	if stored, err := s.Load(background, room); err != nil || stored.Epoch != 5 || stored.Head != 2 {
		t.Errorf("Load = %+v, %v, want epoch 5, head 2", stored, err)
	}
	// In one batch the second claim ends the first one's right.
	late := says(room, message(3, "ann", "c"))
	late.Epoch = 6
	if err := s.Commit([]*actors.Append{claim(6), claim(7), late}); err != nil || !errors.Is(late.Err, actors.ErrStale) {
		t.Errorf("append of epoch 6 behind a claim of 7: %v, %v, want ErrStale", err, late.Err)
	}
}

func racing(t *testing.T, s Store) {
	commit(t, s, create(room, "ann"))
	done := make(chan int, 2)
	for i := range 2 {
		go func() {
			wrote := 0
			for n := 0; n < 40; n++ {
				// Each activation claims once, then believes that it owns the log until it is told otherwise.
				stored, err := s.Load(background, room)
				if err != nil {
					t.Error(err)
					break
				}
				claim := &actors.Append{Session: room, Epoch: stored.Epoch + 1, Claim: true}
				first := says(room, message(stored.Head+1, "ann", fmt.Sprint(i, "-", n)))
				second := says(room, message(stored.Head+2, "ann", fmt.Sprint(i, "-", n, "b")))
				first.Epoch, second.Epoch = claim.Epoch, claim.Epoch
				if err := s.Commit([]*actors.Append{claim}); err != nil {
					t.Error(err)
					break
				}
				if claim.Err != nil {
					continue
				}
				for _, a := range []*actors.Append{first, second} {
					if err := s.Commit([]*actors.Append{a}); err != nil {
						t.Error(err)
					}
					if a.Err == nil {
						wrote++
					}
				}
			}
			done <- wrote
		}()
	}
	wrote := <-done + <-done
	equal(t, "log", log(t, s, room), oneTo(int64(wrote)))
}

func unique(t *testing.T, s Store) {
	commit(t, s, create(room, "ann", "bob"), create(hall, "ann"))
	a := says(room, message(1, "ann", "a"))
	a.Hashes[0] = [8]byte{1, 2, 3}
	commit(t, s, a)
	want := actors.Sent{Seq: 1, CreatedAt: 1001, Hash: a.Hashes[0]}
	if sent, err := s.Sent(background, room, "ann", "a"); err != nil || sent != want {
		t.Errorf("Sent = %+v, %v, want %+v", sent, err, want)
	}
	var duplicate *actors.DuplicateError
	if err := refused(t, s, says(room, message(2, "ann", "b"), message(3, "ann", "a"))); !errors.As(err, &duplicate) || duplicate.Sent != want {
		t.Errorf("the same id again: %v, want a DuplicateError with %+v", err, want)
	}
	if err := refused(t, s, says(room, message(2, "ann", "b"), message(3, "ann", "b"))); !errors.As(err, &duplicate) || duplicate.Sent.Seq != 2 {
		t.Errorf("an id twice in one append: %v, want a DuplicateError", err)
	}
	batch := []*actors.Append{says(room, message(2, "ann", "c")), says(room, message(3, "ann", "c"))}
	if err := s.Commit(batch); err != nil || batch[0].Err != nil || !errors.As(batch[1].Err, &duplicate) || duplicate.Sent.Seq != 2 {
		t.Errorf("an id twice in one batch: %v, %v, %v, want the second refused", err, batch[0].Err, batch[1].Err)
	}
	commit(t, s, says(room, message(3, "bob", "a")), says(hall, message(1, "ann", "a")),
		says(room, message(4, "ann", ""), message(5, "ann", ""))) // another sender, another session, no id at all
	if sent, err := s.Sent(background, room, "ann", "none"); err != nil || sent != (actors.Sent{}) {
		t.Errorf("Sent of an unknown id = %+v, %v", sent, err)
	}
}

func vouched(t *testing.T, s Store) {
	commit(t, s, create(room, "ann"))
	a := says(room, message(1, "ann", "a"), message(2, "ann", ""), message(3, "ann", "b"))
	a.Vouched = true
	a.Hashes = [][8]byte{{1}, {2}, {3}}
	commit(t, s, a)
	var duplicate *actors.DuplicateError
	if err := refused(t, s, says(room, message(4, "ann", "a"))); !errors.As(err, &duplicate) {
		t.Errorf("an id that was vouched for, again: %v, want a DuplicateError", err)
	}
	got := map[[16]byte]actors.Sent{}
	if err := s.SentKeys(background, room, 1, 2, func(key [16]byte, sent actors.Sent) { got[key] = sent }); err != nil {
		t.Fatal(err)
	}
	equal(t, "SentKeys of 1 to 2", got, map[[16]byte]actors.Sent{
		protocol.SentKey("ann", "a"): {Seq: 1, CreatedAt: 1001, Hash: [8]byte{1}}})
}

func traceless(t *testing.T, s Store) {
	commit(t, s, create(room, "ann", "bob"), says(room, message(1, "ann", "a")))
	before := everything(t, s, room)
	bad := says(room, message(2, "ann", "b"), message(3, "ann", "a")) // a was sent before
	bad.Rewrites = []*protocol.Entry{{Seq: 1, Sender: "ann", Recalled: true}}
	bad.Info = &protocol.SessionInfo{Session: room, Name: "other"}
	bad.Members = []*actors.MemberRow{{User: "cid", Order: 9}}
	bad.Removed = []protocol.UserID{"bob"}
	bad.Marks = []actors.Mark{{User: "ann", ReadSeq: 1, Device: "d", RecvSeq: 1}}
	missing := says(room, message(2, "ann", "b"))
	missing.Rewrites = []*protocol.Entry{{Seq: 7, Sender: "ann"}}
	good := create(hall, "ann")
	if err := s.Commit([]*actors.Append{bad, good, missing}); err != nil || bad.Err == nil || good.Err != nil || missing.Err == nil {
		t.Fatalf("Commit = %v, %v, %v, %v, want the outer two refused", err, bad.Err, good.Err, missing.Err)
	}
	equal(t, "the session", everything(t, s, room), before)
	equal(t, "log of the other", log(t, s, hall), nil)
	commit(t, s, says(room, message(2, "ann", "b")))
}

func poison(t *testing.T, s Store) {
	commit(t, s, create(room, "ann"), create(hall, "ann"))
	bad := says(room, message(1, "ann", "a"), message(2, "ann", "b"))
	bad.Entries[1].Content.Text = "\xff"
	good := says(hall, message(1, "ann", "a"))
	if err := s.Commit([]*actors.Append{bad, good}); err != nil || good.Err != nil || bad.Err == nil {
		t.Fatalf("Commit = %v, %v, %v, want the first refused", err, bad.Err, good.Err)
	}
	equal(t, "log", log(t, s, room), nil)
}

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
	rows, err := s.Home(background, "ann", "phone")
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
		switch {
		case row.LogEpoch == "" || row.Info.MemberCount != 2 || row.Member.User != "ann":
			t.Errorf("row of %s = %+v", want, row)
		case want == "room" && (row.Head != 3 || row.Last == nil || row.Last.Seq != 2 || row.Unread != 1 || len(row.Info.Members) != 0):
			t.Errorf("row of room = %+v, want head 3, last 2, 1 unread, no members", row)
		case want == "pair" && (row.Head != 0 || row.Last != nil || row.Unread != 0 || len(row.Info.Members) != 2):
			t.Errorf("row of pair = %+v, want nothing said, both members", row)
		}
	}
	if _, err := s.HomeOf(background, "ann", hall, ""); !protocol.Code_NOT_FOUND.Is(err) {
		t.Errorf("HomeOf a session that ann is not in = %v, want NOT_FOUND", err)
	}
	commit(t, s, &actors.Append{Session: room, Epoch: 1, Removed: []protocol.UserID{"ann"}})
	if rows, err := s.Home(background, "ann", ""); err != nil || len(rows) != 1 || rows[0].Info.Session != pair {
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

func ranges(t *testing.T, s Store) {
	a := says(room)
	for seq := range int64(50) {
		e := message(seq+1, "ann", fmt.Sprint(seq))
		e.Content.Text = fmt.Sprintf("%0100d", seq)
		a.Entries, a.Hashes = append(a.Entries, e), append(a.Hashes, [8]byte{})
	}
	commit(t, s, create(room, "ann"), create(pair, "ann"), a, says(pair, message(1, "ann", "a")))
	for _, test := range []struct {
		from, to     int64
		limit, bytes int
		first, last  int64 // of Range; 0: nothing
	}{
		{1, 50, 100, 1 << 20, 1, 50}, {10, 19, 100, 1 << 20, 10, 19}, {10, 19, 3, 1 << 20, 10, 12}, {40, 1 << 53, 100, 1 << 20, 40, 50},
		{-3, 2, 100, 1 << 20, 1, 2}, {51, 60, 100, 1 << 20, 0, 0}, {20, 10, 100, 1 << 20, 0, 0}, {1, 50, 0, 1 << 20, 0, 0}, {7, 50, 100, 1, 7, 7},
	} {
		forth, err := s.Range(background, room, test.from, test.to, test.limit, test.bytes)
		if err != nil {
			t.Fatal(err)
		}
		var want []int64
		for seq := test.first; seq <= test.last && seq > 0; seq++ {
			want = append(want, seq)
		}
		equal(t, fmt.Sprintf("Range %+v", test), seqs(forth), want)
		back, err := s.Backward(background, room, test.from, test.to, test.limit, test.bytes)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, fmt.Sprintf("Backward %+v", test), len(back), len(forth))
		for i, e := range back {
			if e.Seq != min(test.to, 50)-int64(i) {
				t.Errorf("Backward %+v: %v", test, seqs(back))
				break
			}
		}
	}
	some, err := s.Range(background, room, 1, 50, 100, 1000)
	if err != nil || len(some) < 2 || len(some) > 10 {
		t.Errorf("Range of about 1000 bytes of entries of over 100 = %d entries, %v", len(some), err)
	}
	stopped, stop := context.WithCancel(background)
	stop()
	if _, err := s.Range(stopped, room, 1, 50, 100, 1000); !errors.Is(err, context.Canceled) {
		t.Errorf("Range of an ended context = %v", err)
	}
}

func seqs(entries []*protocol.Entry) (seqs []int64) {
	for _, e := range entries {
		seqs = append(seqs, e.Seq)
	}
	return seqs
}

func rewritten(t *testing.T, s Store) {
	commit(t, s, create(room, "ann"))
	a := says(room, message(1, "ann", "a"))
	a.Hashes[0] = [8]byte{9}
	commit(t, s, a)
	edit := message(1, "ann", "a")
	edit.Content.Text, edit.EditedAt = "better", 2000
	recall := &protocol.Entry{Seq: 1, Sender: "ann", ClientMsgId: "a", CreatedAt: 1001, Recalled: true}
	// The second append of the batch rewrites what the first one made.
	second := says(room, message(3, "ann", "c"))
	second.Rewrites = []*protocol.Entry{{Seq: 2, Sender: "ann", ClientMsgId: "b", CreatedAt: 1002, Recalled: true}, edit}
	commit(t, s, says(room, message(2, "ann", "b")), second)
	entries, err := s.Range(background, room, 1, 3, 9, 1<<20)
	if err != nil || len(entries) != 3 || entries[0].Content.GetText() != "better" || !entries[1].Recalled || entries[1].Content != nil {
		t.Fatalf("Range = %v, %v, want 1 edited and 2 recalled", entries, err)
	}
	commit(t, s, &actors.Append{Session: room, Epoch: 1, Rewrites: []*protocol.Entry{recall}})
	if entries, err = s.Backward(background, room, 1, 1, 1, 1); err != nil || len(entries) != 1 || entries[0].Content != nil {
		t.Errorf("a recalled entry = %v, %v, want no content", entries, err)
	}
	sent := map[int64]actors.Sent{}
	if err := s.SentKeys(background, room, 1, 1, func(_ [16]byte, s actors.Sent) { sent[s.Seq] = s }); err != nil || sent[1].Hash != a.Hashes[0] {
		t.Errorf("SentKeys after rewriting = %v, %v, want the hash of what was sent", sent, err)
	}
}

func originals(t *testing.T, s Store) {
	commit(t, s, create(room, "ann"), create(pair, "ann"))
	held := message(1, "ann", "a")
	said := &actors.Original{Seq: 1, Content: held.Content, Mentions: []protocol.UserID{"bob"}}
	held.Content, held.Deal = nil, &protocol.Deal{State: "held", By: "b_mod", Reason: "why", At: 1}
	a := says(room, held)
	a.Original = said
	commit(t, s, a, says(pair, message(1, "ann", "a")))
	if _, err := s.Original(background, pair, 1); !protocol.Code_NOT_FOUND.Is(err) {
		t.Errorf("the original of what nobody held back: %v", err)
	}
	if _, err := s.Original(background, hall, 1); !protocol.Code_NOT_FOUND.Is(err) {
		t.Errorf("an original in no session: %v", err)
	}
	is := func(want *actors.Original) {
		t.Helper()
		got, err := s.Original(background, room, 1)
		if want == nil {
			if !protocol.Code_NOT_FOUND.Is(err) {
				t.Errorf("Original = %v, %v, want none", got, err)
			}
			return
		}
		if err != nil || got.Seq != 1 || !proto.Equal(got.Content, want.Content) || !slices.Equal(got.Mentions, want.Mentions) {
			t.Errorf("Original = %+v, %v, want %+v", got, err, want)
		}
	}
	dealt := func(id protocol.SessionID, before int64, limit int, want ...int64) {
		t.Helper()
		entries, err := s.Dealt(background, id, before, limit)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "dealt", seqs(entries), want)
	}
	is(said)
	dealt(room, 0, 9, 1)
	dealt(pair, 0, 9)
	entries, err := s.Range(background, room, 1, 1, 1, 1<<20)
	if err != nil || len(entries) != 1 || entries[0].Content != nil || entries[0].Deal.GetReason() != "why" {
		t.Errorf("the log has %v, %v", entries, err)
	}
	other := &actors.Original{Seq: 1, Content: &protocol.Content{Type: protocol.ContentType_TEXT, Text: "other"}}
	commit(t, s, &actors.Append{Session: room, Epoch: 1, Rewrites: []*protocol.Entry{held}, Original: other})
	is(other)
	s.Journal = s.Reopen()
	is(other)
	refused := &actors.Append{Session: room, Epoch: 7, Rewrites: []*protocol.Entry{held}, Original: &actors.Original{Seq: 1}}
	if err := s.Commit([]*actors.Append{refused}); err != nil || refused.Err == nil {
		t.Errorf("an old activation ends an original: %v, %v", err, refused.Err)
	}
	is(other)
	for seq := int64(2); seq < 6; seq++ {
		e := message(seq, "ann", fmt.Sprint(seq))
		a := says(room, e)
		if seq != 3 {
			a.Original = &actors.Original{Seq: seq, Content: e.Content}
			e.Content, e.Deal = nil, held.Deal
		}
		commit(t, s, a)
	}
	dealt(room, 0, 2, 5, 4)
	dealt(room, 4, 9, 2, 1)
	dealt(room, 1, 9)
	commit(t, s, &actors.Append{Session: room, Epoch: 1, Rewrites: []*protocol.Entry{held}, Original: &actors.Original{Seq: 1}})
	is(nil)
	dealt(room, 0, 9, 5, 4, 2)

	// A page is full also when what was written together lies on both sides of its end.
	e := message(7, "ann", "7")
	together := says(room, message(6, "ann", "6"), e)
	together.Original = &actors.Original{Seq: 7, Content: e.Content}
	e.Content, e.Deal = nil, held.Deal
	commit(t, s, together)
	dealt(room, 7, 3, 5, 4, 2)
}

func due(t *testing.T, s Store) {
	at := func(seq, createdAt, expire int64) *protocol.Entry {
		e := message(seq, "ann", fmt.Sprint(seq))
		e.CreatedAt, e.Expire = createdAt, expire
		return e
	}
	one, two := at(1, 5000, 10), at(2, 5000, 5)
	commit(t, s, create(room, "ann"), create(pair, "ann"), says(room, one, two, at(3, 5000, 0)), says(pair, at(1, 5000, 7)))
	is := func(now int64, limit int, want ...actors.Due) {
		t.Helper()
		got, err := s.Due(background, time.UnixMilli(now), limit)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, fmt.Sprint("due at ", now), got, want)
	}
	first, second, third := actors.Due{Session: room, Seq: 2, At: time.UnixMilli(10000)},
		actors.Due{Session: pair, Seq: 1, At: time.UnixMilli(12000)}, actors.Due{Session: room, Seq: 1, At: time.UnixMilli(15000)}
	is(9999, 9)
	is(10000, 9, first)
	is(99999, 9, first, second, third)
	is(99999, 2, first, second)
	is(99999, 0)
	two.Expired, two.Content = true, nil
	commit(t, s, &actors.Append{Session: room, Epoch: 1, Rewrites: []*protocol.Entry{two}})
	is(99999, 9, second, third)
	one.Recalled, one.Content = true, nil
	commit(t, s, &actors.Append{Session: room, Epoch: 1, Rewrites: []*protocol.Entry{one}})
	is(99999, 9, second) // a recalled message has nothing left that could expire
}

func reopened(t *testing.T, s Store) {
	commit(t, s, create(room, "ann", "bob"), create(pair, "ann", "bob"), says(pair, message(1, "ann", "a")))
	for seq := range int64(100) {
		e := message(seq+1, "ann", fmt.Sprint(seq))
		e.Expire = seq
		commit(t, s, says(room, e))
	}
	commit(t, s, &actors.Append{Session: room, Epoch: 9, Claim: true, Marks: []actors.Mark{{User: "bob", ReadSeq: 5, Device: "d", RecvSeq: 8}}})
	before, epoch := everything(t, s, room), logEpoch(t, s)
	for range 3 {
		s.Journal = s.Reopen()
		equal(t, "the session", everything(t, s, room), before)
		equal(t, "log of pair", log(t, s, pair), oneTo(1))
		equal(t, "log epoch", logEpoch(t, s), epoch)
	}
	if err := refused(t, s, says(room, message(101, "ann", "x"))); !errors.Is(err, actors.ErrStale) {
		t.Errorf("an append of epoch 1 after reopening at 9: %v, want ErrStale", err)
	}
}

func logEpoch(t testing.TB, j actors.Journal) string {
	stored, err := j.Load(background, room)
	if err != nil {
		t.Fatal(err)
	}
	return stored.LogEpoch
}

func parallel(t *testing.T, s Store) {
	commit(t, s, create(room, "ann"), create(hall, "ann"))
	const writers, each = 8, 30
	done := make(chan bool)
	for w := range writers {
		id := []protocol.SessionID{room, hall}[w%2]
		go func() {
			defer func() { done <- true }()
			for n := 0; n < each; {
				stored, err := s.Load(background, id)
				if err != nil {
					t.Error(err)
					return
				}
				a := says(id, message(stored.Head+1, "ann", fmt.Sprint(w, "-", n)))
				a.Vouched = n%2 == 0
				switch err := refused(t, s, a); {
				case err == nil:
					n++
				case !errors.Is(err, actors.ErrTaken):
					t.Errorf("refused: %v", err)
					return
				}
			}
		}()
	}
	for range writers {
		<-done
	}
	equal(t, "log of room", log(t, s, room), oneTo(writers/2*each))
	equal(t, "log of hall", log(t, s, hall), oneTo(writers/2*each))
	s.Journal = s.Reopen()
	equal(t, "log of room", log(t, s, room), oneTo(writers/2*each))
}
