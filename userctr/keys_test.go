package userctr_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/troupe-im/troupe/internal/access"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/userctr"
)

func (b *bench) key(scopes ...string) (string, *userctr.Key) {
	b.t.Helper()
	root := b.who(b.admin().Token)
	text, k, err := b.MakeKey(b.t.Context(), root, "the shop", scopes, 0)
	if err != nil {
		b.t.Fatal(err)
	}
	return text, k
}

func TestAKeyIsGoodUntilItIsRevokedOrExpires(t *testing.T) {
	b := start(t, nil)
	root := b.who(b.admin().Token)
	text, k, err := b.MakeKey(t.Context(), root, "the shop", []string{"users", "read", "users"}, time.Hour)
	if err != nil || !strings.HasPrefix(text, "tk_") || len(text) != 71 {
		t.Fatalf("key = %q, %v", text, err)
	}
	id := b.who(text)
	if id.User != k.User || id.Login != k.ID || id.Kind != "key" || id.Admin || !slices.Equal(id.Scopes, []string{"read", "users"}) || !id.Expires.Equal(b.now().Add(time.Hour)) {
		t.Errorf("identity = %+v", id)
	}
	if u, err := b.User(t.Context(), k.User); err != nil || u.Kind != userctr.System || u.Nickname != "the shop" {
		t.Errorf("its user = %+v, %v", u, err)
	}
	for _, bad := range []string{"tk_", text[:70], text + "a", text[:70] + "~", "tk_" + strings.Repeat("a", 68), strings.ToUpper(text)} {
		b.refused(bad, protocol.Code_UNAUTHORIZED)
	}
	used := func() time.Time {
		keys, err := b.Keys(t.Context(), root, "", 10)
		if err != nil || len(keys) != 1 {
			t.Fatalf("keys = %v, %v", keys, err)
		}
		return keys[0].LastUsed
	}
	first := used()
	b.pass(30 * time.Second)
	b.who(text)
	if !first.Equal(used()) {
		t.Error("each use is written")
	}
	b.pass(31 * time.Second)
	b.who(text)
	if !used().Equal(b.now()) {
		t.Error("the use of a minute later is not written")
	}
	b.pass(time.Hour)
	b.refused(text, protocol.Code_UNAUTHORIZED)

	root = b.who(b.login("root", "desk", "web").Token)
	text, k, err = b.MakeKey(t.Context(), root, "another", []string{"users"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	id = b.who(text)
	b.told()
	if err := b.RevokeKey(t.Context(), root, k.ID); err != nil {
		t.Fatal(err)
	}
	if told := b.told(); !slices.Equal(told, []string{k.User + " " + k.ID + " UNAUTHORIZED"}) {
		t.Errorf("told = %q, so that no socket of the key is closed", told)
	}
	b.refused(text, protocol.Code_UNAUTHORIZED)
	wants(t, b.Alive(&id), protocol.Code_UNAUTHORIZED)
	b.restart()
	b.refused(text, protocol.Code_UNAUTHORIZED)
	wants(t, b.RevokeKey(t.Context(), root, "k_none"), protocol.Code_NOT_FOUND)
}

func TestKeysAreForAdministratorsToMake(t *testing.T) {
	b := start(t, nil)
	text, k := b.key("users", "sessions")
	ann := b.who(b.signUp("ann").Token)
	root := b.who(b.login("root", "desk", "web").Token)
	for says, by := range map[string]protocol.Identity{"a person": ann, "a key": b.who(text), "nobody": {}} {
		_, _, err := b.MakeKey(t.Context(), by, "x", []string{"users"}, 0)
		_, list := b.Keys(t.Context(), by, "", 10)
		for what, err := range map[string]error{"makes": err, "lists": list, "revokes": b.RevokeKey(t.Context(), by, k.ID)} {
			if !protocol.Code_DENIED.Is(err) && !protocol.Code_UNAUTHORIZED.Is(err) {
				t.Errorf("%s %s a key: %v", says, what, err)
			}
		}
	}
	for says, err := range map[string]error{
		"no name":        second(b.MakeKey(t.Context(), root, " ", []string{"users"}, 0)),
		"no scope":       second(b.MakeKey(t.Context(), root, "x", nil, 0)),
		"another scope":  second(b.MakeKey(t.Context(), root, "x", []string{"everything"}, 0)),
		"a bot's scope":  second(b.MakeKey(t.Context(), root, "x", []string{"invite"}, 0)),
		"too long":       second(b.MakeKey(t.Context(), root, "x", []string{"users"}, 3*366*24*time.Hour)),
		"ended long ago": second(b.MakeKey(t.Context(), root, "x", []string{"users"}, -1)),
	} {
		if !protocol.Code_BAD_REQUEST.Is(err) {
			t.Errorf("%s: %v, want BAD_REQUEST", says, err)
		}
	}
}

func TestAKeyMayHaveEveryScopeThatOpensSomethingToKeys(t *testing.T) {
	opens := map[string]bool{}
	for _, all := range [][]string{access.Operations(), access.Frames()} {
		for _, name := range all {
			for _, a := range append(access.Operation(name), access.Frame(name)...) {
				if verdict, scope := access.Of(a, access.Key); verdict == access.Scoped {
					opens[scope] = true
				}
			}
		}
	}
	if got, want := slices.Sorted(slices.Values(userctr.KeyScopes)), slices.Sorted(maps.Keys(opens)); !slices.Equal(got, want) {
		t.Errorf("keys have the scopes %q, and %q open something", got, want)
	}
}

func second(_ string, _ *userctr.Key, err error) error { return err }

func TestAKeyMakesUsersAndTokensForThem(t *testing.T) {
	b := start(t, nil)
	h := b.rest()
	text, k := b.key("users")
	weak, _, err := b.MakeKey(t.Context(), b.who(b.login("root", "desk", "web").Token), "weak", []string{"messages"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	ann := b.signUp("ann")
	want := func(status int, token, method, path, body string) map[string]any {
		t.Helper()
		got, out := call(t, h, token, method, path, body)
		if got != status {
			t.Fatalf("%s %s %s answered %d %v, want %d", method, path, body, got, out, status)
		}
		return out
	}
	if u := want(201, text, "POST", "/keys/users", `{"id":"patient-7","nickname":"Ms. Li"}`); u["userId"] != "patient-7" || u["nickname"] != "Ms. Li" || u["kind"] != "human" {
		t.Errorf("user = %v", u)
	}
	if u := want(200, text, "POST", "/keys/users", `{"id":"patient-7","avatar":"https://example.com/a"}`); u["nickname"] != "Ms. Li" || u["avatar"] != "https://example.com/a" {
		t.Errorf("user = %v", u)
	}
	made := want(201, text, "POST", "/keys/users", `{}`)["userId"].(string)
	if !strings.HasPrefix(made, "u_") {
		t.Errorf("an id that was made = %s", made)
	}
	want(200, text, "POST", "/keys/users", fmt.Sprintf(`{"id":%q,"nickname":"x"}`, made))
	for _, id := range []string{"u_none", "a/b", "me", "*", "system", "operator", "server", "reviewer"} {
		want(400, text, "POST", "/keys/users", fmt.Sprintf(`{"id":%q}`, id))
	}
	grant := want(200, text, "POST", "/keys/users/patient-7/token", `{"device":"phone","platform":"ios"}`)
	if id := b.who(grant["token"].(string)); id.User != "patient-7" || id.Device != "phone" || id.Kind != "" || id.Admin || len(id.Scopes) != 0 {
		t.Errorf("identity = %+v", id)
	}
	want(200, "", "POST", "/users/refresh", fmt.Sprintf(`{"refreshToken":%q}`, grant["refreshToken"]))
	want(200, text, "POST", "/keys/users/patient-7/token", "")
	want(404, text, "POST", "/keys/users/nobody/token", `{}`)
	for _, other := range []string{ann.User.ID, k.User} { // whoever has a password here, and keys' own
		want(403, text, "POST", "/keys/users", fmt.Sprintf(`{"id":%q,"nickname":"eve"}`, other))
		want(403, text, "POST", "/keys/users/"+other+"/token", `{}`)
	}
	for _, token := range []string{weak, ann.Token} {
		want(403, token, "POST", "/keys/users", `{"id":"x"}`)
		want(403, token, "POST", "/keys/users/patient-7/token", `{}`)
		want(403, token, "POST", "/keys", `{"name":"x","scopes":["users"]}`)
		want(403, token, "GET", "/keys", "")
	}

	root := b.login("root", "desk", "web").Token
	one := want(201, root, "POST", "/keys", `{"name":"one more","scopes":["read"],"expiresIn":60}`)
	b.who(one["key"].(string))
	seen, cursor := 0, ""
	for {
		page := want(200, root, "GET", "/keys?limit=1"+cursor, "")
		seen += len(page["items"].([]any))
		if strings.Contains(fmt.Sprint(page), "tk_") {
			t.Error("the list shows a key")
		}
		next, ok := page["next"].(string)
		if !ok {
			break
		}
		cursor = "&cursor=" + next
	}
	if seen != 3 {
		t.Errorf("%d keys are listed, want 3", seen)
	}
	want(204, root, "DELETE", "/keys/"+one["id"].(string), "")
	b.refused(one["key"].(string), protocol.Code_UNAUTHORIZED)
}

func TestAKeyActsForUsers(t *testing.T) {
	b := start(t, nil)
	text, _ := b.key("messages")
	ann := b.signUp("ann")
	key := b.who(text)
	got, err := b.ActFor(t.Context(), key, ann.User.ID)
	if err != nil || got.User != ann.User.ID || got.Kind != "key" || got.Login != key.Login || got.Admin || !slices.Equal(got.Scopes, key.Scopes) {
		t.Errorf("ActFor = %+v, %v", got, err)
	}
	_, err = b.ActFor(t.Context(), key, "nobody")
	wants(t, err, protocol.Code_NOT_FOUND)
	_, err = b.ActFor(t.Context(), b.who(ann.Token), ann.User.ID)
	wants(t, err, protocol.Code_DENIED)
	root := b.who(b.login("root", "desk", "web").Token)
	if err := b.Disable(t.Context(), root, ann.User.ID, true); err != nil {
		t.Fatal(err)
	}
	_, err = b.ActFor(t.Context(), key, ann.User.ID)
	wants(t, err, protocol.Code_NOT_FOUND)
}

func TestAKeyThatSignsOutIsAsGoodAsBefore(t *testing.T) {
	b := start(t, nil)
	text, _ := b.key("messages")
	key := b.who(text)
	if err := b.Logout(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	again := b.who(text)
	if err := b.Alive(&again); err != nil {
		t.Errorf("its sockets are closed: %v", err)
	}
}
