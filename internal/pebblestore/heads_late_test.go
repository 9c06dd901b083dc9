package pebblestore

import (
	"context"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/migrate"
	"github.com/troupe-im/troupe/internal/protocol"
)

// rowOf is what a head's row says.
func rowOf(t *testing.T, s *Store, id protocol.SessionID) head {
	t.Helper()
	k, _ := parseSession(id)
	row, found, err := s.get(k.head())
	if err != nil || !found {
		t.Fatalf("the head of %s: %v, %v", id, found, err)
	}
	h, err := parseHead(row)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// talked is a store in which one session's head is late: its newest message is 20, its newest entry 22.
func talked(t *testing.T, fs vfs.FS) *Store {
	t.Helper()
	s := openIn(t, fs)
	makeRoom(t, s, someRoom)
	for seq := int64(1); seq <= 20; seq++ {
		say(t, s, someRoom, seq, seq)
	}
	quietly, recall := entry(someRoom, 21), entry(someRoom, 22)
	quietly.Quiet = true
	recall.Kind, recall.Target, recall.Content = protocol.Kind_RECALL, 3, nil
	a := &actors.Append{Session: someRoom, Epoch: 1, Vouched: true, Entries: []*protocol.Entry{quietly, recall}, Hashes: make([][8]byte, 2)}
	if err := s.Commit([]*actors.Append{a}); err != nil || a.Err != nil {
		t.Fatal(err, a.Err)
	}
	if h := rowOf(t, s, someRoom); h.last != 0 || s.late.len() != 1 {
		t.Fatalf("the head's row says %+v, %d are late; this test is of one that is", h, s.late.len())
	}
	return s
}

func isTalked(t *testing.T, s *Store) {
	t.Helper()
	row, err := s.HomeOf(context.Background(), "ann", someRoom, "")
	if err != nil || row.Info.HeadSeq != 22 || row.Last.Seq != 20 || row.Info.MemberCount != 1 {
		t.Errorf("the home list has %+v, %v, want 22 entries and message 20", row, err)
	}
	if h := rowOf(t, s, someRoom); h != (head{epoch: 1, last: 22, message: 20, members: 1}) || s.late.len() != 0 {
		t.Errorf("after a view the head's row says %+v, and %d are late", h, s.late.len())
	}
	say(t, s, someRoom, 23, 23)
}

func TestALateHeadIsFoundAgainAfterAKill(t *testing.T) {
	for what, before := range map[string]func(s *Store) error{
		"of what is in the log":    func(*Store) error { return nil },
		"of what is in the tables": func(s *Store) error { return s.db.Flush() },
		"of both": func(s *Store) error {
			err := s.db.Flush()
			say(t, s, otherRoom, 1, 1)
			return err
		},
	} {
		t.Run(what, func(t *testing.T) {
			mem := vfs.NewCrashableMem()
			s := talked(t, mem)
			defer s.Close()
			makeRoom(t, s, otherRoom)
			if err := before(s); err != nil {
				t.Fatal(err)
			}
			killed := mem.CrashClone(vfs.CrashCloneCfg{})
			after, err := Open(s.dir, quiet(killed))
			if err != nil {
				t.Fatal(err)
			}
			defer after.Close()
			if err := stored(after, 22); err != nil {
				t.Error(err)
			}
			isTalked(t, after)
		})
	}
}

// stored says whether the session is as long as that for those who load it.
func stored(s *Store, head int64) error {
	stored, err := s.Load(context.Background(), someRoom)
	if err == nil && stored.Head != head {
		err = fmt.Errorf("the head is %d, want %d", stored.Head, head)
	}
	return err
}

func TestViewsHaveNoLateHead(t *testing.T) {
	s := talked(t, vfs.NewMem())
	defer s.Close()
	isTalked(t, s)
}

func TestALateHeadIsAllThatACommitAsks(t *testing.T) {
	s := talked(t, vfs.NewMem())
	defer s.Close()
	s.heads = headCache{} // as if many others had been used since
	for _, seq := range []int64{22, 24} {
		a := &actors.Append{Session: someRoom, Epoch: 1, Entries: []*protocol.Entry{entry(someRoom, seq)}, Hashes: make([][8]byte, 1)}
		if err := s.Commit([]*actors.Append{a}); err != nil || a.Err != actors.ErrTaken {
			t.Errorf("entry %d behind 22: %v, %v", seq, err, a.Err)
		}
	}
	say(t, s, someRoom, 23, 23)
	claim := &actors.Append{Session: someRoom, Epoch: 2, Claim: true, Head: 23}
	if err := s.Commit([]*actors.Append{claim}); err != nil || claim.Err != nil {
		t.Fatal(err, claim.Err)
	}
	if h := rowOf(t, s, someRoom); h.epoch != 2 || h.last != 23 || s.late.len() != 0 {
		t.Errorf("after a claim the head's row says %+v, and %d are late", h, s.late.len())
	}
}

func TestAStoreThatWasClosedHasNoLateHead(t *testing.T) {
	fs := vfs.NewMem()
	s := talked(t, fs)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again := openIn(t, fs)
	defer again.Close()
	if h := rowOf(t, again, someRoom); h.last != 22 || again.late.len() != 0 {
		t.Errorf("the head's row says %+v, and %d are late: an earlier version would take it for damage", h, again.late.len())
	}
}

func TestABackupHasNoLateHead(t *testing.T) {
	fs := vfs.NewMem()
	s := talked(t, fs)
	defer s.Close()
	if err := s.Backup("copy", nil); err != nil {
		t.Fatal(err)
	}
	copied, err := Open("copy", quiet(fs))
	if err != nil {
		t.Fatal(err)
	}
	defer copied.Close()
	if h := rowOf(t, copied, someRoom); h.last != 22 {
		t.Errorf("the head's row says %+v", h)
	}
}

func TestAStoreThatWasKilledIsMovedWithItsLateHeads(t *testing.T) {
	mem := vfs.NewCrashableMem()
	s := talked(t, mem)
	defer s.Close()
	x, err := OpenExport(s.dir, quiet(mem.CrashClone(vfs.CrashCloneCfg{})))
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	found := 0
	err = x.Each(t.Context(), migrate.Sessions, "", func(_ string, item migrate.Item) error {
		found++
		if m := item.(*migrate.Session); m.Head != 22 || m.Message != 20 || len(m.Last) == 0 {
			t.Errorf("session %+v", m)
		}
		return nil
	})
	if err != nil || found != 1 {
		t.Errorf("%d sessions, %v", found, err)
	}
}

func TestNotTooManyHeadsAreLate(t *testing.T) {
	s := openIn(t, vfs.NewMem())
	defer s.Close()
	const rooms = mostLate + mostLate/2
	for _, seq := range []int64{0, 1} {
		for from := 0; from < rooms; from += mostLate / 4 {
			var batch []*actors.Append
			for n := from; n < from+mostLate/4; n++ {
				a := &actors.Append{Session: benchRoom(n), Epoch: 1, Vouched: true}
				if seq == 0 {
					a.Claim, a.Create, a.Info = true, true, &protocol.SessionInfo{Session: a.Session}
				} else {
					a.Entries, a.Hashes = []*protocol.Entry{entry(a.Session, seq)}, make([][8]byte, 1)
				}
				batch = append(batch, a)
			}
			if err := s.Commit(batch); err != nil || batch[0].Err != nil {
				t.Fatal(err, batch[0].Err)
			}
			if s.late.len() > mostLate {
				t.Fatalf("%d heads are late", s.late.len())
			}
		}
	}
	for n := range rooms {
		k, _ := parseSession(benchRoom(n))
		if h, found, err := s.now().head(k); err != nil || !found || h.last != 1 {
			t.Fatalf("session %d: %+v, %v, %v", n, h, found, err)
		}
	}
}
