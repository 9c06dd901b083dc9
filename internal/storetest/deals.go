package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/troupe-im/troupe/filectr"
	"github.com/troupe-im/troupe/internal/protocol"
)

// waits is a deal that waits for a review since fileTime.
func waits(due time.Duration) *filectr.Deal {
	return &filectr.Deal{State: filectr.Pending, At: fileTime.UTC(), Due: fileTime.Add(due).UTC()}
}

// keepDealt keeps a file of 10 bytes that begins with a deal.
func keepDealt(t testing.TB, s FileStore, owner string, sum filectr.Sum, d *filectr.Deal) *filectr.File {
	t.Helper()
	f := &filectr.File{ID: reserve(t, s, owner, 10), Owner: owner, Name: "a.png", Mime: "image/png", Kind: filectr.Image, Size: 10, Sum: sum, Created: fileTime, Deal: d}
	if err := add(t, s, f, plenty); err != nil {
		t.Fatal(err)
	}
	return f
}

func dealtIs(t *testing.T, s FileStore, id protocol.FileID, want *filectr.Deal) {
	t.Helper()
	f, err := s.File(background, id)
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Deal; (got == nil) != (want == nil) || got != nil && fmt.Sprintf("%+v", plainDeal(got)) != fmt.Sprintf("%+v", plainDeal(want)) {
		t.Errorf("the deal is %+v, want %+v", got, want)
	}
	at, err := s.Standing(background, id, "ann", sooner)
	state := filectr.Unreviewed
	if want != nil {
		state = want.State
	}
	if err != nil || at.State != state {
		t.Errorf("its standing says %q, %v, want %q", at.State, err, state)
	}
}

// plainDeal is a deal with its times as numbers and its picture as a value.
func plainDeal(d *filectr.Deal) []any {
	all := []any{d.State, d.Reason, d.By, d.At.UnixNano(), d.Tries}
	if !d.Due.IsZero() {
		all = append(all, d.Due.UnixNano())
	}
	if p := d.Picture; p != nil {
		all = append(all, p.Name, p.Mime, p.Kind, p.Size, p.Sum, p.Width, p.Thumbs)
	}
	return all
}

func reviewsAre(t *testing.T, s FileStore, now time.Duration, limit int, next time.Duration, want ...protocol.FileID) {
	t.Helper()
	ids, at, err := s.Reviews(background, fileTime.Add(now), limit)
	if err != nil || fmt.Sprint(ids) != fmt.Sprint(want) {
		t.Errorf("what waits is %v, %v, want %v", ids, err, want)
	}
	if next == 0 && !at.IsZero() || next != 0 && !at.Equal(fileTime.Add(next)) {
		t.Errorf("the next is due at %v, want %v", at, fileTime.Add(next))
	}
}

func dealIsKept(t *testing.T, s FileStore) {
	f, bare := keepDealt(t, s, "ann", filectr.Sum{1}, waits(0)), keep(t, s, "ann", filectr.Sum{2})
	dealtIs(t, s, f.ID, waits(0))
	dealtIs(t, s, bare.ID, nil)
	rejected := &filectr.Deal{State: filectr.Rejected, Reason: "why", By: "root", At: fileTime.Add(time.Second).UTC()}
	wants(t, s.PutDeal(background, f.ID, rejected, filectr.Allowed), protocol.Code_CONFLICT)
	wants(t, s.PutDeal(background, bare.ID, rejected, filectr.Pending), protocol.Code_CONFLICT)
	wants(t, s.PutDeal(background, protocol.NewFileID(), rejected, filectr.Unreviewed), protocol.Code_NOT_FOUND)
	dealtIs(t, s, f.ID, waits(0))
	must(t, s.PutDeal(background, f.ID, rejected, filectr.Pending))
	must(t, s.PutDeal(background, bare.ID, rejected, filectr.Unreviewed))
	dealtIs(t, s, f.ID, rejected)
	dealtIs(t, s, bare.ID, rejected)
	must(t, s.RemoveFile(background, f.ID, time.Now()))
	if _, err := s.File(background, f.ID); !protocol.Code_NOT_FOUND.Is(err) {
		t.Error(err)
	}
}

func reviewsInOrder(t *testing.T, s FileStore) {
	third, first := keepDealt(t, s, "ann", filectr.Sum{1}, waits(3)), keepDealt(t, s, "ann", filectr.Sum{2}, waits(1))
	second, far := keepDealt(t, s, "bob", filectr.Sum{3}, waits(2)), keepDealt(t, s, "bob", filectr.Sum{4}, waits(time.Hour))
	reviewsAre(t, s, 0, 10, 1)
	reviewsAre(t, s, 3, 10, time.Hour, first.ID, second.ID, third.ID)
	reviewsAre(t, s, 3, 2, 0, first.ID, second.ID)
	later := waits(2 * time.Hour)
	later.Tries = 1
	must(t, s.PutDeal(background, first.ID, later, filectr.Pending))
	dealtIs(t, s, first.ID, later)
	must(t, s.PutDeal(background, second.ID, &filectr.Deal{State: filectr.Held, At: fileTime}, filectr.Pending))
	must(t, s.RemoveFile(background, third.ID, time.Now()))
	reviewsAre(t, s, 3, 10, time.Hour)
	reviewsAre(t, s, 2*time.Hour, 10, 0, far.ID, first.ID)
}

func replacedFile(t *testing.T, s FileStore) {
	f := keepDealt(t, s, "ann", filectr.Sum{1}, waits(0))
	other := func(sum byte, size int64) *filectr.Deal {
		return &filectr.Deal{State: filectr.Replaced, By: "reviewer", At: fileTime.UTC(), Picture: &filectr.File{
			Name: "b.png", Mime: "image/png", Kind: filectr.Image, Size: size, Sum: filectr.Sum{sum}, Created: fileTime, Width: 3,
			Thumbs: []filectr.Thumb{{Size: "small", Sum: filectr.Sum{sum + 1}, Mime: "image/png", Bytes: 5, Width: 1, Height: 1}},
		}}
	}
	contents := func(want ...byte) {
		t.Helper()
		var got []byte
		for i := range byte(30) {
			if has, err := s.HasContent(background, filectr.Sum{i}); err != nil {
				t.Fatal(err)
			} else if has {
				got = append(got, i)
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("contents are %v, want %v", got, want)
		}
	}
	put := func(d *filectr.Deal, was filectr.State) {
		t.Helper()
		must(t, s.Claim(background, d.Picture.Sums(), f.ID, fileTime))
		must(t, s.PutDeal(background, f.ID, d, was))
	}
	if err := s.PutDeal(background, f.ID, other(10, 100), filectr.Pending); !errors.Is(err, filectr.ErrUnclaimed) {
		t.Errorf("without a claim: %v, want ErrUnclaimed", err)
	}
	put(other(10, 100), filectr.Pending)
	dealtIs(t, s, f.ID, other(10, 100))
	contents(1, 10, 11)
	used(t, s, "ann", 115)
	used(t, s, "", 115)
	reviewsAre(t, s, time.Hour, 10, 0)
	doubt, err := s.Doubtful(background, fileTime.Add(time.Hour), 10)
	if err != nil || len(doubt) != 0 {
		t.Errorf("doubtful are %v, %v", doubt, err)
	}
	put(other(20, 50), filectr.Replaced)
	contents(1, 20, 21)
	used(t, s, "ann", 65)
	doubt, err = s.Doubtful(background, fileTime.Add(time.Hour), 10)
	if err != nil || fmt.Sprint(doubt) != fmt.Sprint([]filectr.Sum{{10}, {11}}) {
		t.Errorf("doubtful are %v, %v", doubt, err)
	}
	must(t, s.PutDeal(background, f.ID, &filectr.Deal{State: filectr.Allowed, At: fileTime}, filectr.Replaced))
	contents(1)
	used(t, s, "ann", 10)
	put(other(1, 10), filectr.Allowed) // the same content as the file's own
	contents(1, 2)
	must(t, s.RemoveFile(background, f.ID, fileTime))
	contents()
	used(t, s, "ann", 0)
	used(t, s, "", 0)
}
