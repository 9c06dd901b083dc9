package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/filectr"
	"github.com/troupe-im/troupe/internal/protocol"
)

// FileStore is a store of files, and of the logs whose entries name them.
type FileStore interface {
	filectr.Store
	actors.Journal
}

// Files checks what a filectr.Store promises. open gives an empty store each time.
func Files(t *testing.T, open func(t *testing.T) FileStore) {
	for _, c := range []struct {
		says string
		test func(t *testing.T, s FileStore)
	}{
		{"FileComesBackAsItWasKept", fileComesBack},
		{"RoomIsTakenAndGivenBack", roomIsGivenBack},
		{"OfManyWhoReserveAsManyGetRoomAsThereIs", roomForAsMany},
		{"QuotaOfAllHoldsForEverybody", quotaOfAll},
		{"FileLargerThanItsReservationNeedsRoom", largerFile},
		{"ReservationsAreKnownToTheNextProcess", reservationsAreKnown},
		{"ContentIsDoubtfulUntilAFileHasIt", doubtful},
		{"ContentIsCondemnedWhenNobodyHasItNorClaimsIt", condemn},
		{"ContentOfTwoFilesIsKeptForTheSecond", sharedContent},
		{"UnsentFileIsItsOwnersAlone", unsentFile},
		{"SentFileIsItsSessionsToo", sentFile},
		{"FileIsReadFromTheFloorOn", fileFromTheFloor},
		{"RecalledFileIsNobodys", recalledFile},
		{"ExpiredFileIsNobodysReader", expiredFile},
		{"EditTakesTheOldFileAway", editedFile},
		{"FileOfAMessageThatIsHeldBackStays", heldFile},
		{"ReactionLeavesTheFile", reactedFile},
		{"EntryThatIsRefusedRefersToNothing", refusedEntry},
		{"FileInManySessionsIsFoundInOne", fileInMany},
		{"LooseFilesAreThoseThatNobodyNames", looseFiles},
		{"FileThatIsNamedIsNotRemoved", namedFile},
		{"FilesOfAUserComeInPages", filesInPages},
		{"ReleasedFileIsNobodysUntilItIsWithdrawn", releasedFile},
		{"QuotaOfAnApplicationHoldsForAllWhoCameByIt", applicationsQuota},
		{"WhatWasDecidedOfAFileIsKept", dealIsKept},
		{"FilesThatWaitForAReviewComeInOrder", reviewsInOrder},
		{"WhatStandsInAFilesPlaceIsKeptAndCountedWithIt", replacedFile},
	} {
		t.Run(c.says, func(t *testing.T) { c.test(t, open(t)) })
	}
}

var plenty = filectr.Quota{User: 1 << 40, All: 1 << 40}

// fileTime is before everything that these tests do by the real clock.
var fileTime = began

func reserve(t testing.TB, s FileStore, user string, bytes int64) string {
	t.Helper()
	id := protocol.NewFileID()
	if err := s.Reserve(background, &filectr.Reservation{ID: id, User: user, Bytes: bytes}, plenty); err != nil {
		t.Fatal(err)
	}
	return id
}

// keep keeps a file of 10 bytes.
func keep(t testing.TB, s FileStore, owner string, sum filectr.Sum) *filectr.File {
	t.Helper()
	f := &filectr.File{ID: reserve(t, s, owner, 10), Owner: owner, Name: "a.txt", Mime: "text/plain", Kind: filectr.Document, Size: 10, Sum: sum, Created: fileTime}
	if err := add(t, s, f, plenty); err != nil {
		t.Fatal(err)
	}
	return f
}

func used(t testing.TB, s FileStore, user string, want int64) {
	t.Helper()
	if got, err := s.Used(background, user); err != nil || got != want {
		t.Errorf("%q uses %d, %v, want %d", user, got, err, want)
	}
}

func fileComesBack(t *testing.T, s FileStore) {
	f := &filectr.File{
		ID: reserve(t, s, "ann", 1000), Owner: "ann", Name: "人.png", Mime: "image/png", Kind: filectr.Image, Size: 700, Sum: filectr.Sum{1},
		Created: began, Width: 30, Height: 20, Frames: 3, Placeholder: "LEHV6nWB2yk8", Duration: time.Second, Peaks: []byte{1, 2},
		Thumbs: []filectr.Thumb{{Size: "small", Sum: filectr.Sum{2}, Mime: "image/jpeg", Bytes: 200, Width: 3, Height: 2}},
	}
	must(t, add(t, s, f, plenty))
	got, err := s.File(background, f.ID)
	if err != nil || !got.Created.Equal(f.Created) {
		t.Fatalf("%+v, %v", got, err)
	}
	got.Created = f.Created
	if !reflect.DeepEqual(got, f) {
		t.Errorf("it came back as %+v, and was %+v", got, f)
	}
	used(t, s, "ann", 900)
	if _, err := s.File(background, protocol.NewFileID()); !protocol.Code_NOT_FOUND.Is(err) {
		t.Errorf("another: %v, want NOT_FOUND", err)
	}
	if err := s.AddFile(background, f, plenty); !protocol.Code_NOT_FOUND.Is(err) {
		t.Errorf("without a reservation: %v, want NOT_FOUND", err)
	}
}

func roomIsGivenBack(t *testing.T, s FileStore) {
	id := reserve(t, s, "ann", 100)
	reserve(t, s, "bob", 7)
	used(t, s, "ann", 100)
	used(t, s, "", 107)
	if err := s.Reserve(background, &filectr.Reservation{ID: id, User: "ann", Bytes: 1}, plenty); !protocol.Code_CONFLICT.Is(err) {
		t.Errorf("the same id again: %v, want CONFLICT", err)
	}
	for range 2 {
		must(t, s.Release(background, id))
		used(t, s, "ann", 0)
		used(t, s, "", 7)
	}
	f := keep(t, s, "ann", filectr.Sum{1})
	must(t, s.Release(background, f.ID))
	used(t, s, "ann", 10)
	must(t, s.RemoveFile(background, f.ID, time.Now()))
	must(t, s.RemoveFile(background, f.ID, time.Now()))
	used(t, s, "ann", 0)
	used(t, s, "", 7)
}

func roomForAsMany(t *testing.T, s FileStore) {
	q := filectr.Quota{User: 105, All: 1000}
	var wg sync.WaitGroup
	var mu sync.Mutex
	got := 0
	for i := range 50 {
		wg.Go(func() {
			err := s.Reserve(background, &filectr.Reservation{ID: fmt.Sprint(i), User: "ann", Bytes: 10}, q)
			var no filectr.ErrQuota
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				got++
			case !errors.As(err, &no) || !no.User:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got != 10 {
		t.Errorf("%d of 50 got room, and there was room for 10", got)
	}
	used(t, s, "ann", 100)
}

func quotaOfAll(t *testing.T, s FileStore) {
	q := filectr.Quota{User: 100, All: 150}
	must(t, s.Reserve(background, &filectr.Reservation{ID: "a", User: "ann", Bytes: 100}, q))
	err := s.Reserve(background, &filectr.Reservation{ID: "b", User: "bob", Bytes: 51}, q)
	var no filectr.ErrQuota
	if !errors.As(err, &no) || no.User {
		t.Errorf("%v, want the quota of all", err)
	}
	must(t, s.Reserve(background, &filectr.Reservation{ID: "b", User: "bob", Bytes: 50}, q))
}

func largerFile(t *testing.T, s FileStore) {
	q := filectr.Quota{User: 100, All: 100}
	f := &filectr.File{ID: reserve(t, s, "ann", 10), Owner: "ann", Size: 101, Sum: filectr.Sum{1}, Created: fileTime}
	if err := add(t, s, f, q); !errors.As(err, &filectr.ErrQuota{}) {
		t.Errorf("%v, want ErrQuota", err)
	}
	used(t, s, "ann", 10)
	f.Size = 100
	must(t, add(t, s, f, q))
	used(t, s, "ann", 100)
}

func reservationsAreKnown(t *testing.T, s FileStore) {
	r := &filectr.Reservation{ID: "one", User: "ann", Bytes: 10, Resumable: true}
	must(t, s.Reserve(background, r, plenty))
	all, err := s.Reservations(background)
	if err != nil || len(all) != 1 || *all[0] != *r {
		t.Errorf("%v, %v", all, err)
	}
}

func doubts(t testing.TB, s FileStore, want ...filectr.Sum) {
	t.Helper()
	got, err := s.Doubtful(background, time.Now().Add(time.Hour), 100)
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("doubtful are %v, %v, want %v", got, err, want)
	}
}

// add adds a file whose contents it claims before.
func add(t testing.TB, s FileStore, f *filectr.File, q filectr.Quota) error {
	t.Helper()
	if err := s.Claim(background, f.Sums(), f.ID, fileTime); err != nil {
		return err
	}
	return s.AddFile(background, f, q)
}

func doubtful(t *testing.T, s FileStore) {
	now := time.Now()
	must(t, s.Claim(background, []filectr.Sum{{1}, {2}}, "one", now))
	must(t, s.Claim(background, []filectr.Sum{{2}}, "two", now))
	if early, err := s.Doubtful(background, now, 10); err != nil || len(early) > 0 {
		t.Errorf("before they were claimed: %v, %v", early, err)
	}
	doubts(t, s, filectr.Sum{1}, filectr.Sum{2})
	f := keep(t, s, "ann", filectr.Sum{3})
	doubts(t, s, filectr.Sum{1}, filectr.Sum{2})
	must(t, s.RemoveFile(background, f.ID, now))
	doubts(t, s, filectr.Sum{3}, filectr.Sum{1}, filectr.Sum{2})
	if has, err := s.HasContent(background, filectr.Sum{3}); err != nil || has {
		t.Errorf("%v, %v: no file has it any more", has, err)
	}
}

func condemned(t testing.TB, s FileStore, sum filectr.Sum, before time.Time, want bool) {
	t.Helper()
	if got, err := s.Condemn(background, sum, before); err != nil || got != want {
		t.Errorf("%v is condemned: %v, %v, want %v", sum[0], got, err, want)
	}
}

func isWanted(t testing.TB, s FileStore, sum filectr.Sum, want bool) {
	t.Helper()
	if got, err := s.Wanted(background, sum); err != nil || got != want {
		t.Errorf("%v is wanted: %v, %v, want %v", sum[0], got, err, want)
	}
}

func condemn(t *testing.T, s FileStore) {
	now, sum := time.Now(), filectr.Sum{1}
	soon := now.Add(time.Hour)
	isWanted(t, s, sum, false)
	condemned(t, s, sum, soon, true) // nobody has heard of it
	f := &filectr.File{ID: reserve(t, s, "ann", 10), Owner: "ann", Name: "a.txt", Mime: "text/plain", Kind: filectr.Document, Size: 10, Sum: sum, Created: fileTime}
	unclaimed := func() {
		t.Helper()
		if err := s.AddFile(background, f, plenty); !errors.Is(err, filectr.ErrUnclaimed) {
			t.Errorf("without a claim: %v, want ErrUnclaimed", err)
		}
		used(t, s, "ann", 10)
	}
	unclaimed()
	must(t, s.Claim(background, []filectr.Sum{sum}, "another", now))
	unclaimed() // that is another's
	must(t, s.Claim(background, []filectr.Sum{sum}, f.ID, now))
	condemned(t, s, sum, now, false)
	isWanted(t, s, sum, true)
	condemned(t, s, sum, soon, true) // both claims are too old, and end
	isWanted(t, s, sum, false)
	doubts(t, s)
	unclaimed()

	must(t, s.Claim(background, []filectr.Sum{sum}, f.ID, now))
	must(t, s.AddFile(background, f, plenty))
	doubts(t, s)
	must(t, s.Claim(background, []filectr.Sum{sum}, "gone", now))
	must(t, s.Claim(background, []filectr.Sum{{2}}, "gone", now))
	for range 2 {
		must(t, s.Unclaim(background, sum, soon))
		must(t, s.Unclaim(background, filectr.Sum{2}, soon)) // no file has it: that is Condemn's
	}
	doubts(t, s, filectr.Sum{2})
	condemned(t, s, sum, soon, false)
	isWanted(t, s, sum, true)

	must(t, s.RemoveFile(background, f.ID, now))
	isWanted(t, s, sum, true) // it is in doubt
	later := now.Add(2 * time.Hour)
	must(t, s.Claim(background, []filectr.Sum{sum}, "new", later))
	condemned(t, s, sum, later, false)
	doubts(t, s, filectr.Sum{2})
	isWanted(t, s, sum, true)
	condemned(t, s, sum, later.Add(time.Millisecond), true)
	isWanted(t, s, sum, false)
}

func sharedContent(t *testing.T, s FileStore) {
	a, b := keep(t, s, "ann", filectr.Sum{1}), keep(t, s, "bob", filectr.Sum{1})
	must(t, s.RemoveFile(background, a.ID, time.Now()))
	doubts(t, s)
	if has, err := s.HasContent(background, filectr.Sum{1}); err != nil || !has {
		t.Errorf("%v, %v: bob's file has it", has, err)
	}
	must(t, s.RemoveFile(background, b.ID, time.Now()))
	doubts(t, s, filectr.Sum{1})
}

func loose(t testing.TB, s FileStore, unsent, dropped time.Time, want ...string) {
	t.Helper()
	got, err := s.Loose(background, unsent, dropped, 100)
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("loose are %v, %v, want %v", got, err, want)
	}
}

func looseFiles(t *testing.T, s FileStore) {
	f, g := keep(t, s, "ann", filectr.Sum{1}), keep(t, s, "ann", filectr.Sum{2})
	e := picture(1, "ann", g)
	commit(t, s, create(room, "ann"), says(room, e))
	later := time.Now().Add(time.Hour)
	loose(t, s, fileTime, later)
	loose(t, s, later, fileTime, f.ID)
	commit(t, s, gone(2, e))
	loose(t, s, fileTime, later, g.ID)
	loose(t, s, later, fileTime, f.ID)
	must(t, s.RemoveFile(background, f.ID, later))
	must(t, s.RemoveFile(background, g.ID, later))
	loose(t, s, later, later)
}

func namedFile(t *testing.T, s FileStore) {
	f := keep(t, s, "ann", filectr.Sum{1})
	e := picture(1, "ann", f)
	commit(t, s, create(room, "ann"), says(room, e))
	if err := s.RemoveFile(background, f.ID, time.Now()); !errors.Is(err, filectr.ErrInUse) {
		t.Fatalf("%v, want ErrInUse", err)
	}
	commit(t, s, gone(2, e))
	must(t, s.RemoveFile(background, f.ID, time.Now()))
	if _, err := s.File(background, f.ID); !protocol.Code_NOT_FOUND.Is(err) {
		t.Errorf("%v, want NOT_FOUND", err)
	}
	used(t, s, "ann", 0)
}

func filesInPages(t *testing.T, s FileStore) {
	for i := range 5 {
		keep(t, s, "ann", filectr.Sum{byte(i + 1)})
	}
	keep(t, s, "anna", filectr.Sum{9})
	seen, from := map[string]bool{}, ""
	for {
		page, err := s.Files(background, "ann", from, 2)
		must(t, err)
		if len(page) == 0 {
			break
		}
		for _, f := range page {
			if f.Owner != "ann" || seen[f.ID] {
				t.Errorf("%s came, of %s", f.ID, f.Owner)
			}
			seen[f.ID], from = true, f.ID
		}
	}
	if len(seen) != 5 {
		t.Errorf("%d of 5 came", len(seen))
	}
}
