package storetest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

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
	head := int64(1)
	claim := func(epoch int64) *actors.Append {
		return &actors.Append{Session: room, Epoch: epoch, Claim: true, Head: head}
	}
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
	head = 2
	// In one batch the second claim ends the first one's right.
	late := says(room, message(3, "ann", "c"))
	late.Epoch = 6
	if err := s.Commit([]*actors.Append{claim(6), claim(7), late}); err != nil || !errors.Is(late.Err, actors.ErrStale) {
		t.Errorf("append of epoch 6 behind a claim of 7: %v, %v, want ErrStale", err, late.Err)
	}
}

// claimsOnWhatItRead: of an activation that read the log before another one wrote, the first
// entries have seqs that are taken, and those behind them would fit.
func claimsOnWhatItRead(t *testing.T, s Store) {
	commit(t, s, create(room, "ann"), says(room, message(1, "ann", "a")))
	stored, err := s.Load(background, room)
	must(t, err)
	commit(t, s, says(room, message(2, "ann", "b")), says(room, message(3, "ann", "c")))
	late := []*actors.Append{{Session: room, Epoch: stored.Epoch + 1, Claim: true, Head: stored.Head}}
	for i, id := range []string{"d", "e", "b", "f"} { // b is one that it does not know
		a := says(room, message(stored.Head+1+int64(i), "ann", id))
		a.Epoch, a.Vouched = stored.Epoch+1, true
		late = append(late, a)
	}
	must(t, s.Commit(late[:3]))
	must(t, s.Commit(late[3:]))
	for i, a := range late {
		if !errors.Is(a.Err, actors.ErrStale) {
			t.Errorf("append %d of an activation that read too early: %v, want ErrStale", i, a.Err)
		}
	}
	equal(t, "log", log(t, s, room), oneTo(3))
	stored, err = s.Load(background, room)
	must(t, err)
	commit(t, s, &actors.Append{Session: room, Epoch: stored.Epoch + 1, Claim: true, Head: stored.Head})
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
				claim := &actors.Append{Session: room, Epoch: stored.Epoch + 1, Claim: true, Head: stored.Head}
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
