package storetest

import (
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/userctr"
)

func keyComesBack(t *testing.T, s userctr.Store) {
	ctx := t.Context()
	k := &userctr.Key{ID: "k_1", Hash: hash("key"), User: "u_k", Name: "shop", Scopes: []string{"users"}, By: "u_0", Created: began, Expires: began.Add(time.Hour)}
	must(t, s.AddKey(ctx, k, user("u_k", "")))
	wants(t, s.AddKey(ctx, k, user("u_k2", "")), protocol.Code_CONFLICT)
	wants(t, s.AddKey(ctx, &userctr.Key{ID: "k_2"}, user("u_k", "")), protocol.Code_CONFLICT)
	if got, err := s.Key(ctx, "k_1"); err != nil || !reflect.DeepEqual(got, k) {
		t.Errorf("read %+v, %v, want %+v", got, err, k)
	}
	_, err := s.Key(ctx, "k_2")
	wants(t, err, protocol.Code_NOT_FOUND)
	must(t, s.AddKey(ctx, &userctr.Key{ID: "k_2", User: "u_k2", Created: began}, user("u_k2", "")))
	for after, want := range map[string][]string{"": {"k_1"}, "k_1": {"k_2"}, "k_2": nil} {
		page, err := s.Keys(ctx, after, 1)
		var got []string
		for _, k := range page {
			got = append(got, k.ID)
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("keys behind %q = %q, %v, want %q", after, got, err, want)
		}
	}
	must(t, s.UsedKey(ctx, "k_1", began.Add(time.Minute)))
	must(t, s.UsedKey(ctx, "k_1", began)) // never back
	must(t, s.UsedKey(ctx, "k_9", began))
	must(t, s.RevokeKey(ctx, "k_1", began.Add(time.Hour)))
	must(t, s.RevokeKey(ctx, "k_1", began.Add(2*time.Hour))) // the first time stays
	if got, err := s.Key(ctx, "k_1"); err != nil || !got.Revoked.Equal(began.Add(time.Hour)) || !got.LastUsed.Equal(began.Add(time.Minute)) {
		t.Errorf("read %+v, %v", got, err)
	}
}

func appComesBack(t *testing.T, s userctr.Store) {
	ctx := t.Context()
	a := &userctr.App{
		ID: "app_1", Name: "Shop", Origins: []string{"https://a"}, Colours: map[string]string{"a": "b"}, Texts: map[string]string{"c": "d"}, Features: []string{"e"},
		Members: []string{"u_1"}, Guests: true, PublicKey: "pem", Secrets: []userctr.AppSecret{{ID: "s_1", Sealed: []byte{1}, Created: began}}, By: "u_0", Created: began,
	}
	must(t, s.PutApp(ctx, a))
	if all, err := s.Apps(ctx); err != nil || a.Version != 1 || len(all) != 1 || !reflect.DeepEqual(all[0], a) {
		t.Errorf("read %+v, %v, want %+v", all, err, a)
	}
	old := *a
	a.Name = "Shop 2"
	must(t, s.PutApp(ctx, a))
	if err := s.PutApp(ctx, &old); !errors.Is(err, userctr.ErrChanged) {
		t.Errorf("an older row is taken: %v", err)
	}
	if err := s.PutApp(ctx, &userctr.App{ID: "app_1"}); !errors.Is(err, userctr.ErrChanged) {
		t.Errorf("a new row over another is taken: %v", err)
	}
	must(t, s.RemoveApp(ctx, "app_1"))
	if all, err := s.Apps(ctx); err != nil || len(all) != 0 {
		t.Errorf("left %+v, %v", all, err)
	}
}

func spentOnce(t *testing.T, s userctr.Store) {
	ctx := t.Context()
	ok := atOnce(t, 20, protocol.Code_CONFLICT.Is, func(int) error { return s.Spend(ctx, "app:a", hash("jti"), began.Add(time.Minute)) })
	if ok != 1 {
		t.Errorf("%d of 20 spent it, want 1", ok)
	}
	must(t, s.Spend(ctx, "app:b", hash("jti"), began.Add(time.Minute)))
	must(t, s.SweepSpent(ctx, began.Add(time.Minute)))
	wants(t, s.Spend(ctx, "app:a", hash("jti"), began), protocol.Code_CONFLICT)
	must(t, s.SweepSpent(ctx, began.Add(time.Minute+1)))
	must(t, s.Spend(ctx, "app:a", hash("jti"), began))
}

func guestsAndMerges(t *testing.T, s userctr.Store) {
	ctx := t.Context()
	for _, id := range []string{"g_1", "g_2"} {
		u := user(id, "")
		u.Kind, u.App = userctr.Guest, "app_1"
		must(t, s.AddGuest(ctx, u))
		if got, err := s.User(ctx, id); err != nil || !reflect.DeepEqual(got, u) {
			t.Errorf("read %+v, %v, want %+v", got, err, u)
		}
	}
	wants(t, s.AddGuest(ctx, user("g_1", "")), protocol.Code_CONFLICT)
	if got, err := s.Guests(ctx, "g_1", 10); err != nil || !slices.Equal(got, []string{"g_2"}) {
		t.Errorf("guests = %q, %v", got, err)
	}
	must(t, s.RemoveGuest(ctx, "g_2"))
	_, err := s.User(ctx, "g_2")
	wants(t, err, protocol.Code_NOT_FOUND)
	must(t, s.AddUser(ctx, user("u_1", "ann"), ""))
	wants(t, s.RemoveGuest(ctx, "u_1"), protocol.Code_NOT_FOUND)

	_, err = s.MergeOf(ctx, "g_1")
	wants(t, err, protocol.Code_NOT_FOUND)
	for _, who := range []string{"u_1", "u_2"} { // the first stays
		if m, err := s.AddMerge(ctx, &userctr.Merge{Guest: "g_1", User: who, Begun: began}); err != nil || m.User != "u_1" {
			t.Errorf("merge = %+v, %v", m, err)
		}
	}
	if open, err := s.OpenMerges(ctx, 10); err != nil || len(open) != 1 || open[0].Guest != "g_1" {
		t.Errorf("open = %v, %v", open, err)
	}
	must(t, s.DoneMerge(ctx, "g_1", began.Add(time.Second)))
	if m, err := s.MergeOf(ctx, "g_1"); err != nil || !m.Done.Equal(began.Add(time.Second)) {
		t.Errorf("merge = %+v, %v", m, err)
	}
	for who, want := range map[string]int{"u_1": 1, "u_2": 0} {
		if got, err := s.MergedInto(ctx, who); err != nil || len(got) != want {
			t.Errorf("merged into %s: %q, %v", who, got, err)
		}
	}
	if open, err := s.OpenMerges(ctx, 10); err != nil || len(open) != 0 {
		t.Errorf("open = %v, %v", open, err)
	}
}
