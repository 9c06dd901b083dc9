package userctr_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/userctr"
)

func TestSearchTerms(t *testing.T) {
	for _, c := range []struct {
		name, nickname string
		want           []string
	}{
		{"li.wei", "Anna Lindström", []string{"anna", "li", "lindström", "wei"}},
		{"wang", "王小明 Ming", []string{"ming", "wang", "小明", "明", "王小"}},
		{"", "ＡＢＣ１２３", []string{"abc123"}}, // full-width
		{"", "李Ann", []string{"ann", "李"}},
		{"", "☺ … !", nil},
		{"", strings.Repeat("界", 25), []string{"界", "界界"}},
		{strings.Repeat("x", 64), "", []string{strings.Repeat("x", 60)}},
	} {
		if got := userctr.SearchTerms(&userctr.User{Name: c.name, Nickname: c.nickname}); !slices.Equal(got, c.want) {
			t.Errorf("SearchTerms(%q, %q) = %q, want %q", c.name, c.nickname, got, c.want)
		}
	}
	for _, hidden := range []userctr.User{{Findable: userctr.FindableByExact}, {Findable: userctr.FindableByNone}, {Disabled: true}, {Kind: userctr.Guest}} {
		if hidden.Name = "ann"; userctr.SearchTerms(&hidden) != nil {
			t.Errorf("%+v has terms", hidden)
		}
	}
}

// person adds a user as an operator would, with an id of the test's.
func (b *bench) person(id, name, nickname string) {
	b.t.Helper()
	u := &userctr.User{ID: id, Name: name, Folded: name, Nickname: nickname, Kind: userctr.Human, Created: b.now()}
	if err := b.store.AddUser(b.t.Context(), u, ""); err != nil {
		b.t.Fatal(err)
	}
}

// find gives the ids that a search finds, page by page.
func (b *bench) find(asker protocol.UserID, text string, limit int) (ids []string) {
	b.t.Helper()
	for cursor := ""; ; {
		b.pass(time.Minute)
		found, next, err := b.Find(b.t.Context(), asker, text, cursor, limit)
		if err != nil {
			b.t.Fatal(err)
		}
		if len(found) > limit {
			b.t.Fatalf("%d on a page of %d", len(found), limit)
		}
		for _, u := range found {
			ids = append(ids, u.ID)
		}
		if cursor = next; cursor == "" {
			return ids
		}
	}
}

func TestPeopleAreFoundByPartsOfTheirNames(t *testing.T) {
	b := start(t, nil)
	b.FollowActivity(talks{})
	b.person("1", "ann", "Ann Anderson")
	b.person("2", "annika", "小明")
	b.person("3", "bob", "王小明")
	b.person("4", "ming", "王 明")
	b.person("blocks-5", "anne", "Anne 小明")
	for text, want := range map[string]string{
		"an": "1 2", "ANN": "1 2", "ann and": "1", "anderson ann": "1", "nn": "", "小明": "2 3", "明": "2 3 4", "王小明": "3", "王 明": "4 3",
		"明 bo": "3", "小王": "", "bob": "3", "zz": "",
	} {
		if got := strings.Join(b.find("me", text, 50), " "); got != want {
			t.Errorf("%q finds %q, want %q", text, got, want)
		}
		if got := strings.Join(b.find("me", text, 1), " "); got != want {
			t.Errorf("%q finds %q one by one, want %q", text, got, want)
		}
	}
	if got := b.find("1", "ann", 50); !slices.Equal(got, []string{"2"}) {
		t.Errorf("ann finds %v, want all but herself", got)
	}
	for text, cursor := range map[string]string{"": "", " !": "", strings.Repeat("x", 65): "", "x": "=no"} {
		if _, _, err := b.Find(t.Context(), "me", text, cursor, 1); !protocol.Code_BAD_REQUEST.Is(err) {
			t.Errorf("%q, %q: %v, want BAD_REQUEST", text, cursor, err)
		}
	}
}

func TestWhoDoesNotWantToBeFoundIsNot(t *testing.T) {
	b := start(t, nil)
	b.FollowActivity(talks{})
	b.person("1", "ann", "Ann")
	b.person("blocks-2", "anne", "")
	exact := func(name string) bool {
		_, err := b.FindExact(t.Context(), "me", name)
		if err != nil && !protocol.Code_NOT_FOUND.Is(err) {
			t.Fatal(err)
		}
		return err == nil
	}
	for _, c := range []struct {
		findable      userctr.Findable
		search, exact bool
	}{{userctr.FindableByExact, false, true}, {userctr.FindableByNone, false, false}, {userctr.FindableByAll, true, true}} {
		if _, err := b.SetProfile(t.Context(), "1", userctr.Looks{Findable: &c.findable}); err != nil {
			t.Fatal(err)
		}
		if got := len(b.find("me", "an", 50)) == 1; got != c.search {
			t.Errorf("%s: found by search: %v", c.findable, got)
		}
		if got := exact("ANN"); got != c.exact {
			t.Errorf("%s: found by exact name: %v", c.findable, got)
		}
	}
	if exact("anne") {
		t.Error("who blocked the asker is found")
	}
	none := userctr.Findable("some")
	if _, err := b.SetProfile(t.Context(), "1", userctr.Looks{Findable: &none}); !protocol.Code_BAD_REQUEST.Is(err) {
		t.Errorf("findable some: %v", err)
	}
	nickname := "Zoe"
	if _, err := b.SetProfile(t.Context(), "1", userctr.Looks{Nickname: &nickname}); err != nil {
		t.Fatal(err)
	}
	if got := b.find("me", "zo", 50); len(got) != 1 {
		t.Errorf("by the new nickname: %v", got)
	}
	u, err := b.User(t.Context(), "1")
	if err != nil {
		t.Fatal(err)
	}
	u.Disabled = true
	if err := b.store.UpdateUser(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	if got := b.find("me", "zo", 50); len(got) != 0 || exact("ann") {
		t.Errorf("disabled, and found: %v", got)
	}
}

func TestSearchesAreLimitedAndPagesAreBounded(t *testing.T) {
	b := start(t, nil)
	for i := range 700 {
		b.person(fmt.Sprintf("u%03d", i), fmt.Sprintf("name%03d", i), "Other")
	}
	if got := b.find("me", "name", 50); len(got) != 700 || !slices.IsSorted(got) {
		t.Errorf("found %d of 700", len(got))
	}
	if got := b.find("me", "other name69", 50); len(got) != 10 {
		t.Errorf("found %v, want the ten of 690 to 699", got)
	}
	var err error
	for range 40 {
		_, _, err = b.Find(t.Context(), "me", "name", "", 1)
	}
	if !protocol.Code_RATE_LIMITED.Is(err) {
		t.Errorf("after 40 searches at once: %v, want RATE_LIMITED", err)
	}
}
