package storetest

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/troupe-im/troupe/filectr"
	"github.com/troupe-im/troupe/internal/protocol"
)

// releasedFile: a released file is the installation's, and is kept while a release of it stands.
func releasedFile(t *testing.T, s FileStore) {
	f := &filectr.File{ID: protocol.NewFileID(), Owner: "ann", App: "shop", Guest: true, Size: 10, Kind: filectr.Package, Sum: filectr.Sum{1}, Created: fileTime}
	must(t, s.Reserve(background, &filectr.Reservation{ID: f.ID, User: "ann", App: "shop", Guest: true, Bytes: 10}, plenty))
	must(t, add(t, s, f, plenty))
	usedIn(t, s, "shop", 10, 10)
	r := &filectr.Release{
		ID: "r_1", App: "shop", Platform: "android", Channel: "stable", Version: "1.2", Build: 3, Minimum: "1.1", Notes: map[string]string{"en": "new"},
		By: "ann", Created: began, File: f.ID, Name: "a.apk", Mime: "m", Size: 10, Sum: filectr.Sum{1},
	}
	must(t, s.AddRelease(background, r))
	other := *r
	other.ID, other.Channel = "r_2", "beta"
	must(t, s.AddRelease(background, &other))
	if err := s.AddRelease(background, r); !protocol.Code_CONFLICT.Is(err) {
		t.Errorf("the same id again: %v, want CONFLICT", err)
	}
	none := *r
	none.ID, none.File = "r_3", protocol.NewFileID()
	if err := s.AddRelease(background, &none); !protocol.Code_NOT_FOUND.Is(err) {
		t.Errorf("of no file: %v, want NOT_FOUND", err)
	}
	used(t, s, "ann", 0)
	used(t, s, "", 10)
	usedIn(t, s, "shop", 0, 0)
	if got, err := s.File(background, f.ID); err != nil || got.Owner != "" || got.App != "" || got.Guest {
		t.Errorf("the file is %+v, %v", got, err)
	}
	if own, err := s.Files(background, "ann", "", 10); err != nil || len(own) != 0 {
		t.Errorf("ann has %v, %v", own, err)
	}
	later := time.Now().Add(time.Hour)
	loose := func(want int) {
		t.Helper()
		if ids, err := s.Loose(background, later, later, 10); err != nil || len(ids) != want {
			t.Errorf("loose are %v, %v, want %d", ids, err, want)
		}
	}
	loose(0)
	if err := s.RemoveFile(background, f.ID, later); !errors.Is(err, filectr.ErrInUse) {
		t.Errorf("removing it: %v, want ErrInUse", err)
	}
	at := time.Now()
	for range 2 {
		must(t, s.WithdrawRelease(background, "r_1", "bob", at))
		loose(0) // the other one stands
	}
	must(t, s.WithdrawRelease(background, "r_1", "cid", later))
	all, err := s.Releases(background)
	if err != nil || len(all) != 2 || !all[0].Withdrawn.Equal(at) || all[0].WithdrawnBy != "bob" || !all[0].Created.Equal(began) {
		t.Fatalf("%+v, %v", all, err)
	}
	all[0].Withdrawn, all[0].WithdrawnBy, all[0].Created = r.Withdrawn, "", r.Created
	if !reflect.DeepEqual(all[0], r) {
		t.Errorf("it came back as %+v, and was %+v", all[0], r)
	}
	if err := s.WithdrawRelease(background, "r_9", "bob", at); !protocol.Code_NOT_FOUND.Is(err) {
		t.Errorf("withdrawing none: %v, want NOT_FOUND", err)
	}
	must(t, s.WithdrawRelease(background, "r_2", "bob", at))
	loose(1)
	must(t, s.RemoveFile(background, f.ID, later))
	used(t, s, "", 0)
}

func usedIn(t testing.TB, s FileStore, app string, all, guests int64) {
	t.Helper()
	for of, want := range map[bool]int64{false: all, true: guests} {
		if got, err := s.UsedIn(background, app, of); err != nil || got != want {
			t.Errorf("%q uses %d, %v, want %d (guests: %v)", app, got, err, want, of)
		}
	}
}

// applicationsQuota holds for all who came by one, and for its visitors.
func applicationsQuota(t *testing.T, s FileStore) {
	q := filectr.Quota{User: 100, All: 1000, App: 150, Guests: 60}
	take := func(id, app string, guest bool, bytes int64) error {
		return s.Reserve(background, &filectr.Reservation{ID: id, User: "of " + id, App: app, Guest: guest, Bytes: bytes}, q)
	}
	must(t, take("a", "shop", true, 60))
	var no filectr.ErrQuota
	if err := take("b", "shop", true, 1); !errors.As(err, &no) || !no.Guests {
		t.Errorf("%v, want the quota of the visitors", err)
	}
	must(t, take("b", "shop", false, 90))
	if err := take("c", "shop", false, 1); !errors.As(err, &no) || !no.App {
		t.Errorf("%v, want the quota of the application", err)
	}
	usedIn(t, s, "shop", 150, 60)
	must(t, take("c", "club", true, 60))
	must(t, take("d", "", false, 100))
	used(t, s, "", 310)
	must(t, s.Release(background, "a"))
	usedIn(t, s, "shop", 90, 0)
	must(t, take("e", "shop", false, 60))
	if all, err := s.Reservations(background); err != nil || len(all) != 4 || all[0].App != "shop" || all[1].App != "club" || !all[1].Guest {
		t.Errorf("%v, %v", all, err)
	}
}
