package storetest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/userctr"
)

// place is an entry of the index of names, in one word.
func place(p userctr.TermPlace) string { return p.Term + "/" + p.User }

// terms gives all entries that begin with prefix, two at a time.
func terms(t *testing.T, s userctr.Store, prefix string) (all []string) {
	t.Helper()
	for after := (userctr.TermPlace{}); ; {
		page, err := s.FindTerms(t.Context(), prefix, after, 2)
		must(t, err)
		for _, p := range page {
			all = append(all, place(p))
			after = p
		}
		if len(page) < 2 {
			return all
		}
	}
}

func namesAreIndexed(t *testing.T, s userctr.Store) {
	add := func(id, nickname string) *userctr.User {
		u := &userctr.User{ID: id, Nickname: nickname, Kind: userctr.Human, Created: began}
		must(t, s.AddUser(t.Context(), u, ""))
		return u
	}
	ann, bob := add("u1", "Ann Lee"), add("u2", "小明 an")
	add("u3", "lee")
	wantTerms := func(prefix string, want ...string) {
		t.Helper()
		if got := terms(t, s, prefix); !slices.Equal(got, want) {
			t.Errorf("terms with %q: %q, want %q", prefix, got, want)
		}
	}
	wantTerms("an", "an/u2", "ann/u1")
	wantTerms("lee", "lee/u1", "lee/u3")
	wantTerms("小", "小明/u2")
	wantTerms("lees")
	ann.Nickname = "Anna"
	must(t, s.UpdateUser(t.Context(), ann))
	wantTerms("an", "an/u2", "anna/u1")
	wantTerms("lee", "lee/u3")
	bob.Disabled = true
	must(t, s.UpdateUser(t.Context(), bob))
	wantTerms("an", "anna/u1")
	wantTerms("明")
	bob.Version-- // an update that is refused
	bob.Disabled = false
	if err := s.UpdateUser(t.Context(), bob); err == nil {
		t.Error("an older row was taken")
	}
	wantTerms("明")
	bob.Version++
	must(t, s.UpdateUser(t.Context(), bob))
	wantTerms("明", "明/u2")
	found, err := s.Users(t.Context(), []string{"u3", "nobody", "u1"})
	if err != nil || len(found) != 2 {
		t.Errorf("users = %v, %v, want u1 and u3", found, err)
	}
}

// Standings checks what an actors.Standings promises. open gives an empty one, and
// what gives it again after a restart.
func Standings(t *testing.T, open func(t *testing.T) (s actors.Standings, reopen func() actors.Standings)) {
	s, reopen := open(t)
	keep := func(users ...actors.Standing) {
		t.Helper()
		must(t, s.KeepStandings(t.Context(), users))
	}
	want := func(want ...string) {
		t.Helper()
		all, err := s.Standings(t.Context(), []string{"ann", "bob", "nobody"})
		must(t, err)
		var got []string
		for _, u := range all {
			got = append(got, fmt.Sprint(u.User, " ", u.Status, " ", u.LastActive))
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("standings = %q, want %q", got, want)
		}
	}
	want()
	keep(actors.Standing{User: "ann", LastActive: 10}, actors.Standing{User: "bob", Status: "busy"})
	want("ann  10", "bob busy 0")
	keep(actors.Standing{User: "ann", Status: "offline", LastActive: 5}, actors.Standing{User: "bob", LastActive: 7})
	want("ann offline 10", "bob busy 7")
	keep(actors.Standing{User: "ann", Status: "online"})
	s = reopen()
	want("ann online 10", "bob busy 7")
}
