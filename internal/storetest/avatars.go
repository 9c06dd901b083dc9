package storetest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/troupe-im/troupe/filectr"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/userctr"
)

// AvatarStore is a store of avatars, and of the rows that name them.
type AvatarStore interface {
	FileStore
	userctr.Store
}

// Avatars checks what a filectr.AvatarStore promises. open gives an empty store each time.
func Avatars(t *testing.T, open func(t *testing.T) AvatarStore) {
	for _, c := range []struct {
		says string
		test func(t *testing.T, s AvatarStore)
	}{
		{"AvatarIsReadAsLongAsItsUserNamesIt", avatarOfAUser},
		{"AvatarIsReadAsLongAsItsSessionNamesIt", avatarOfASession},
		{"AvatarThatAnotherNamesIsNobodys", avatarOfAnother},
		{"AvatarThatNobodyNamesIsIdleAndGoes", idleAvatars},
		{"AvatarLetGoAndTakenAgainIsNotIdle", avatarTakenAgain},
		{"ErasedUsersAvatarsGoWithIt", erasedAvatars},
	} {
		t.Run(c.says, func(t *testing.T) { c.test(t, open(t)) })
	}
}

// avatar keeps an avatar whose contents are first and the two behind it.
func avatar(t *testing.T, s AvatarStore, of filectr.Holder, first byte) *filectr.Avatar {
	t.Helper()
	a := &filectr.Avatar{Path: protocol.NewAvatar(), Of: of, Small: filectr.Sum{first}, Large: filectr.Sum{first + 1}, Tile: filectr.Sum{first + 2}, Created: fileTime}
	must(t, s.Claim(background, a.Sums(), a.Path, time.Now()))
	must(t, s.AddAvatar(background, a))
	return a
}

// wears has a user's row name an avatar.
func wears(t *testing.T, s AvatarStore, id, path string) {
	t.Helper()
	u, err := s.User(background, id)
	if protocol.Code_NOT_FOUND.Is(err) {
		must(t, s.AddUser(background, user(id, id), ""))
		u, err = s.User(background, id)
	}
	must(t, err)
	u.Avatar = path
	must(t, s.UpdateUser(background, u))
}

func wearsInGroup(t *testing.T, s AvatarStore, path string) {
	t.Helper()
	a := says(room)
	a.Info = &protocol.SessionInfo{Session: room, SessionType: protocol.SessionType_GROUP, Avatar: path}
	commit(t, s, a)
}

func isShown(t *testing.T, s AvatarStore, a *filectr.Avatar, want bool) {
	t.Helper()
	switch got, err := s.Avatar(background, a.Path); {
	case want && (err != nil || !got.Created.Equal(a.Created) || got.Of != a.Of || !slices.Equal(got.Sums(), a.Sums())):
		t.Errorf("%+v, %v, want %+v", got, err, a)
	case !want && !protocol.Code_NOT_FOUND.Is(err):
		t.Errorf("%+v, %v, want NOT_FOUND", got, err)
	}
}

func idle(t *testing.T, s AvatarStore, want ...string) {
	t.Helper()
	got, err := s.IdleAvatars(background, time.Now(), 10)
	slices.Sort(got)
	slices.Sort(want)
	if got = slices.Compact(got); err != nil || !slices.Equal(got, want) {
		t.Errorf("idle are %v, %v, want %v", got, err, want)
	}
}

func avatarOfAUser(t *testing.T, s AvatarStore) {
	a := avatar(t, s, filectr.Holder{User: "ann"}, 1)
	isShown(t, s, a, false)
	wears(t, s, "ann", a.Path)
	isShown(t, s, a, true)
	wears(t, s, "ann", "")
	isShown(t, s, a, false)
}

func avatarOfASession(t *testing.T, s AvatarStore) {
	a := avatar(t, s, filectr.Holder{Session: room}, 1)
	isShown(t, s, a, false)
	commit(t, s, create(room, "ann"))
	isShown(t, s, a, false)
	wearsInGroup(t, s, a.Path)
	isShown(t, s, a, true)
	idle(t, s)
	wearsInGroup(t, s, "https://example.com/a")
	isShown(t, s, a, false)
	idle(t, s, a.Path)
	b := avatar(t, s, filectr.Holder{Session: room}, 5)
	wearsInGroup(t, s, b.Path)
	dead := says(room)
	dead.Info = &protocol.SessionInfo{Session: room, SessionType: protocol.SessionType_GROUP, Avatar: b.Path, Dead: true}
	commit(t, s, dead)
	isShown(t, s, b, false)
	idle(t, s, a.Path, b.Path)
}

func avatarOfAnother(t *testing.T, s AvatarStore) {
	a := avatar(t, s, filectr.Holder{User: "ann"}, 1)
	wears(t, s, "bob", a.Path)
	isShown(t, s, a, false)
	for _, path := range []string{"", "a", protocol.MadeAvatar("ann"), protocol.NewAvatar()} {
		if _, err := s.Avatar(background, path); !protocol.Code_NOT_FOUND.Is(err) {
			t.Errorf("%q: %v", path, err)
		}
	}
}

func idleAvatars(t *testing.T, s AvatarStore) {
	a, b := avatar(t, s, filectr.Holder{User: "ann"}, 1), avatar(t, s, filectr.Holder{User: "ann"}, 2) // which share contents
	if got, err := s.IdleAvatars(background, fileTime, 10); err != nil || len(got) > 0 {
		t.Errorf("those on their way are idle: %v, %v", got, err)
	}
	idle(t, s, a.Path, b.Path)
	wears(t, s, "ann", a.Path)
	idle(t, s, b.Path)
	if err := s.RemoveAvatar(background, a.Path, time.Now()); !errors.Is(err, filectr.ErrInUse) {
		t.Errorf("what ann shows is removed: %v", err)
	}
	for range 2 {
		must(t, s.RemoveAvatar(background, b.Path, time.Now()))
		idle(t, s)
		doubted(t, s, filectr.Sum{4})
	}
	wears(t, s, "ann", b.Path) // which is gone
	isShown(t, s, b, false)
	idle(t, s, a.Path)
	must(t, s.RemoveAvatar(background, a.Path, time.Now()))
	doubted(t, s, filectr.Sum{1}, filectr.Sum{2}, filectr.Sum{3}, filectr.Sum{4})
}

func doubted(t *testing.T, s AvatarStore, want ...filectr.Sum) {
	t.Helper()
	got, err := s.Doubtful(background, time.Now().Add(time.Minute), 100)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("doubtful are %v, %v, want %v", got, err, want)
	}
	for _, sum := range want {
		if has, err := s.HasContent(background, sum); has || err != nil {
			t.Errorf("%v is had: %v, %v", sum, has, err)
		}
	}
}

func avatarTakenAgain(t *testing.T, s AvatarStore) {
	a := avatar(t, s, filectr.Holder{User: "ann"}, 1)
	for _, path := range []string{a.Path, "", a.Path} {
		wears(t, s, "ann", path)
	}
	idle(t, s)
	isShown(t, s, a, true)
	wears(t, s, "ann", "")
	idle(t, s, a.Path)
}

func erasedAvatars(t *testing.T, s AvatarStore) {
	mine, old := avatar(t, s, filectr.Holder{User: "ann"}, 1), avatar(t, s, filectr.Holder{User: "ann"}, 10)
	bobs, rooms := avatar(t, s, filectr.Holder{User: "bob"}, 1), avatar(t, s, filectr.Holder{Session: room}, 20)
	commit(t, s, create(room, "ann"))
	wearsInGroup(t, s, rooms.Path)
	wears(t, s, "ann", old.Path)
	wears(t, s, "ann", mine.Path)
	wears(t, s, "bob", bobs.Path)
	must(t, s.EraseUser(background, "ann", time.Now()))
	isShown(t, s, mine, false)
	isShown(t, s, bobs, true)
	isShown(t, s, rooms, true)
	got, err := s.Doubtful(background, fileTime, 100)
	if want := old.Sums(); err != nil || !slices.Equal(got, want) {
		t.Errorf("of long ago are in doubt %v, %v, want %v", got, err, want)
	}
	ids, err := s.IdleAvatars(background, time.Now(), 10)
	must(t, err)
	for _, path := range ids {
		must(t, s.RemoveAvatar(background, path, time.Now()))
	}
	idle(t, s)
}
