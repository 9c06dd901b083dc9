package userctr_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"github.com/go-chi/chi/v5"
	"github.com/golang-jwt/jwt/v5"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/userctr"
)

// rest serves the centre's operations, with as little of a gateway as they need.
func (b *bench) rest() http.Handler {
	router := chi.NewRouter()
	api := humachi.New(router, huma.DefaultConfig("test", "1"))
	group := huma.NewGroup(api, "/api/v2")
	group.UseMiddleware(func(ctx huma.Context, next func(huma.Context)) {
		token, found := strings.CutPrefix(ctx.Header("Authorization"), "Bearer ")
		if found {
			id, err := b.Authenticate(ctx.Context(), token)
			if err != nil {
				_ = huma.WriteErr(api, ctx, protocol.AsError(err).Code.HTTPStatus(), err.Error())
				return
			}
			ctx = huma.WithContext(ctx, protocol.WithIdentity(ctx.Context(), id))
		}
		next(ctx)
	})
	b.Register(group)
	return router
}

// call asks and gives status and body. What fails with one of our errors is an
// unexpected one to huma alone, so its text is looked at: the gateway maps it.
func call(t *testing.T, h http.Handler, token, method, path, body string) (int, map[string]any) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, "/api/v2"+path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	var out map[string]any
	if w.Body.Len() > 0 {
		if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
			t.Fatalf("%s %s answered %d %q", method, path, w.Code, w.Body)
		}
	}
	status := w.Code
	for _, code := range []protocol.Code{protocol.Code_UNAUTHORIZED, protocol.Code_DENIED, protocol.Code_NOT_FOUND, protocol.Code_CONFLICT, protocol.Code_BAD_REQUEST, protocol.Code_RATE_LIMITED} {
		if status == 500 && strings.Contains(w.Body.String(), (&protocol.Error{Code: code}).Error()) {
			status = code.HTTPStatus()
		}
	}
	return status, out
}

type talks struct{}

func (talks) BlockedBy(_ context.Context, _ protocol.UserID, ids []protocol.UserID) (by []protocol.UserID, _ error) {
	for _, id := range ids {
		if strings.HasPrefix(id, "blocks-") {
			by = append(by, id)
		}
	}
	return by, nil
}

func (talks) LastTogether(_ context.Context, a, b protocol.UserID) (time.Time, error) {
	if a == b {
		return time.Time{}, nil
	}
	return time.Unix(2000, 0), nil
}

func TestOperations(t *testing.T) {
	b := start(t, nil)
	h := b.rest()
	root := b.admin()
	want := func(status int, fields string, token, method, path, body string) map[string]any {
		t.Helper()
		got, out := call(t, h, token, method, path, body)
		if got != status {
			t.Fatalf("%s %s %s answered %d %v, want %d", method, path, body, got, out, status)
		}
		for _, f := range strings.Fields(fields) {
			if _, ok := out[f]; !ok {
				t.Errorf("%s %s answered %v, which has no %s", method, path, out, f)
			}
		}
		return out
	}
	grant := "userId token expiresAt refreshToken device addresses"
	ann := want(201, grant, "", "POST", "/users", `{"name":"ann","password":"correct horse","nickname":"Ann"}`)
	want(409, "", "", "POST", "/users", `{"name":"Ann","password":"correct horse"}`)
	want(422, "", "", "POST", "/users", `{"name":"bob","password":"short"}`)
	want(422, "", "", "POST", "/users", `{"name":"","password":"correct horse"}`)
	want(400, "", "", "POST", "/users", `{"name":"a b","password":"correct horse"}`)
	want(422, "", "", "POST", "/users", `{"name":{"$gt":""},"password":"correct horse"}`)
	want(403, "", "", "POST", "/users", `{"name":"bob","password":"correct horse","code":"setup-x"}`)
	want(401, "", "", "POST", "/users/login", `{"name":"ann","password":"wrong horse"}`)
	in := want(200, grant, "", "POST", "/users/login", `{"name":"ANN","password":"correct horse","device":"phone","deviceName":"Ann's phone","platform":"ios","version":"3"}`)
	if in["userId"] != ann["userId"] || in["device"] != "phone" {
		t.Errorf("login = %v", in)
	}
	if at, err := time.Parse(time.RFC3339, in["expiresAt"].(string)); err != nil || !at.After(b.now()) {
		t.Errorf("expiresAt = %v, %v", in["expiresAt"], err)
	}
	again := want(200, grant, "", "POST", "/users/refresh", fmt.Sprintf(`{"refreshToken":%q,"device":"phone"}`, in["refreshToken"]))
	want(401, "", "", "POST", "/users/refresh", `{"refreshToken":"tr_x"}`)
	token := again["token"].(string)

	for _, path := range []string{"/users/me", "/users/u_x", "/users?name=ann", "/users/me/devices", "/users/u_x/consult/time"} {
		want(401, "", "", "GET", path, "")
	}
	want(401, "", "forged", "GET", "/users/me", "")
	me := want(200, "userId name nickname kind admin createdAt", token, "GET", "/users/me", "")
	if me["userId"] != ann["userId"] || me["nickname"] != "Ann" || me["admin"] != false {
		t.Errorf("me = %v", me)
	}
	if me = want(200, "", token, "PUT", "/users/me", `{"nickname":"  Anna ","avatar":"https://example.com/a.png"}`); me["nickname"] != "Anna" {
		t.Errorf("me = %v", me)
	}
	want(400, "", token, "PUT", "/users/me", `{"avatar":"javascript:1"}`)
	if me = want(200, "", token, "PUT", "/users/me", `{}`); me["avatar"] != "https://example.com/a.png" {
		t.Errorf("me = %v", me)
	}
	other := want(200, "userId nickname kind", root.Token, "GET", "/users/"+ann["userId"].(string), "")
	for _, private := range []string{"admin", "createdAt", "password"} {
		if _, ok := other[private]; ok {
			t.Errorf("others see %s: %v", private, other)
		}
	}
	want(404, "", token, "GET", "/users/u_nobody", "")
	if got := want(200, "items", token, "GET", "/users?name=ROOT", "")["items"].([]any); len(got) != 1 {
		t.Errorf("found %v", got)
	}
	for _, query := range []string{"?name=roo", "?kind=bot", "?name=root&kind=bot", "?name=%00"} {
		if got := want(200, "items", token, "GET", "/users"+query, "")["items"].([]any); len(got) != 0 {
			t.Errorf("%s found %v", query, got)
		}
	}
	if err := b.EnsureBot(t.Context(), userctr.BotUser{ID: "b_echo", Name: "Echo"}); err != nil {
		t.Fatal(err)
	}
	if got := want(200, "items", token, "GET", "/users?kind=bot", "")["items"].([]any); len(got) != 1 || got[0].(map[string]any)["userId"] != "b_echo" {
		t.Errorf("the bots are %v", got)
	}
	want(400, "", token, "GET", "/users", "")
	want(400, "", token, "GET", "/users?kind=human", "")
	want(422, "", token, "GET", "/users?kind=cat", "")

	b.FollowActivity(talks{})
	if got := want(200, "userId", token, "GET", "/users/"+root.User.ID+"/consult/time", ""); got["time"] != "1970-01-01T00:33:20Z" {
		t.Errorf("consult time = %v", got)
	}
	if got := want(200, "userId", token, "GET", "/users/"+ann["userId"].(string)+"/consult/time", ""); got["time"] != nil {
		t.Errorf("consult time = %v", got)
	}

	devices := want(200, "items", token, "GET", "/users/me/devices", "")["items"].([]any)
	if len(devices) != 2 {
		t.Errorf("devices = %v", devices)
	}
	want(404, "", token, "DELETE", "/users/me/devices/toaster", "")
	want(204, "", token, "DELETE", "/users/me/devices?others=true", "")
	want(401, "", ann["token"].(string), "GET", "/users/me", "")
	want(200, "", token, "GET", "/users/me", "")

	want(403, "", token, "POST", "/users/invites", `{}`)
	want(422, "", root.Token, "POST", "/users/invites", `{"uses":0}`)
	invite := want(201, "code uses expiresAt", root.Token, "POST", "/users/invites", `{"uses":2}`)
	want(201, grant, "", "POST", "/users", fmt.Sprintf(`{"name":"bob","password":"correct horse","code":%q}`, invite["code"]))

	want(403, "", token, "PUT", "/users/me/password", `{"old":"wrong horse","new":"another horse"}`)
	fresh := want(200, grant, token, "PUT", "/users/me/password", `{"old":"correct horse","new":"another horse"}`)
	want(401, "", token, "GET", "/users/me", "")
	token = fresh["token"].(string)

	want(403, "", token, "POST", "/users/"+root.User.ID+"/disable", `{}`)
	want(204, "", root.Token, "POST", "/users/"+ann["userId"].(string)+"/disable", "")
	want(401, "", token, "GET", "/users/me", "")
	want(204, "", root.Token, "POST", "/users/"+ann["userId"].(string)+"/disable", `{"disabled":false}`)
	last := want(200, grant, "", "POST", "/users/login", `{"name":"ann","password":"another horse"}`)
	want(204, "", last["token"].(string), "POST", "/users/logout", "")
	want(401, "", last["token"].(string), "POST", "/users/logout", "")
}

func TestDevicesAreListedByThePage(t *testing.T) {
	b := start(t, nil)
	h := b.rest()
	var token string
	for i := range 7 {
		device := fmt.Sprint("d", i)
		if i == 0 {
			token = b.signUp("ann").Token // on its phone
		} else {
			b.login("ann", device, "web")
		}
		if i%3 == 2 { // three of them are seen at the same time
			b.pass(time.Minute)
		}
	}
	want := []string{"d6", "d3", "d4", "d5", "d1", "d2", "phone"}
	for limit := 1; limit <= 8; limit++ {
		var got []string
		for cursor := ""; ; {
			status, out := call(t, h, token, "GET", fmt.Sprintf("/users/me/devices?limit=%d&cursor=%s", limit, cursor), "")
			items, _ := out["items"].([]any)
			if status != 200 || len(items) == 0 || len(items) > limit {
				t.Fatalf("limit %d answered %d %v", limit, status, out)
			}
			for _, item := range items {
				got = append(got, item.(map[string]any)["device"].(string))
			}
			if cursor, _ = out["next"].(string); cursor == "" {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("limit %d: devices = %q, want %q", limit, got, want)
		}
	}
	for query, want := range map[string]int{"limit=0": 422, "limit=201": 422, "limit=x": 422, "cursor=x": 400, "cursor=!!": 400, "limit=200": 200} {
		for _, path := range []string{"/users/me/devices?", "/users?name=ann&"} {
			if status, out := call(t, h, token, "GET", path+query, ""); status != want {
				t.Errorf("%s%s answered %d %v, want %d", path, query, status, out, want)
			}
		}
	}
}

func TestLogTellsNeitherPasswordsNorTokens(t *testing.T) {
	b := start(t, func(c *userctr.Config) { c.IdentitySecret, c.Policy = identitySecret, userctr.InviteOnly })
	h := b.rest()
	code, err := b.SetupCode(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	secrets := []string{password, "wrong " + password, "new " + password, code, identitySecret}
	_, out := call(t, h, "", "POST", "/users", fmt.Sprintf(`{"name":"root","password":%q,"code":%q}`, password, code))
	for range 2 {
		secrets = append(secrets, out["token"].(string), out["refreshToken"].(string))
		_, out = call(t, h, "", "POST", "/users/refresh", fmt.Sprintf(`{"refreshToken":%q}`, out["refreshToken"]))
	}
	call(t, h, "", "POST", "/users/refresh", fmt.Sprintf(`{"refreshToken":%q}`, secrets[6])) // the first: a reuse
	call(t, h, "", "POST", "/users/login", fmt.Sprintf(`{"name":"root","password":%q}`, "wrong "+password))
	_, out = call(t, h, "", "POST", "/users/login", fmt.Sprintf(`{"name":"root","password":%q}`, password))
	_, invite := call(t, h, out["token"].(string), "POST", "/users/invites", `{}`)
	secrets = append(secrets, invite["code"].(string))
	call(t, h, out["token"].(string), "PUT", "/users/me/password", fmt.Sprintf(`{"old":%q,"new":%q}`, password, "new "+password))
	outside := sign(t, jwt.SigningMethodHS256, []byte(identitySecret), nil, map[string]any{"sub": "ann", "exp": b.now().Unix() + 60})
	b.who(outside)
	secrets = append(secrets, out["token"].(string), out["refreshToken"].(string), outside)
	slogged := fmt.Sprintf("%v %+v %#v", b.cfg.IdentitySecret, b.cfg, b.cfg)

	b.mu.Lock()
	log := b.log.String() + slogged
	b.mu.Unlock()
	if strings.Count(log, "\n") < 5 {
		t.Fatalf("hardly anything was logged: %s", log)
	}
	for i, s := range secrets {
		if strings.Contains(log, s) {
			t.Errorf("the log tells secret %d", i)
		}
	}
	if strings.Contains(log, "argon2id") {
		t.Error("the log tells a password's hash")
	}
}

func TestOperationsAreLimitedPerAddress(t *testing.T) {
	b := start(t, func(c *userctr.Config) { c.Limits.Address = userctr.Rate{Burst: 1, Every: time.Minute} })
	h := b.rest()
	if status, out := call(t, h, "", "POST", "/users", `{"name":"ann","password":"correct horse"}`); status != 201 {
		t.Fatalf("register answered %d %v", status, out)
	}
	for path, body := range map[string]string{"/users": `{"name":"bob","password":"correct horse"}`, "/users/login": `{"name":"ann","password":"correct horse"}`} {
		if status, out := call(t, h, "", "POST", path, body); status != 429 {
			t.Errorf("%s answered %d %v, want 429", path, status, out)
		}
	}
}
