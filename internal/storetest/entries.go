package storetest

import (
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
	commit(t, s, &actors.Append{Session: room, Epoch: 9, Claim: true, Head: 100, Marks: []actors.Mark{{User: "bob", ReadSeq: 5, Device: "d", RecvSeq: 8}}})
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
