package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/troupe-im/troupe/userctr"
)

// said collects what is logged.
type said struct {
	mu sync.Mutex
	bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Buffer.Write(p)
}

// TestSecretsAreSeenNowhere goes through all that has to do with secrets, with words
// that nobody else says, and looks for them wherever the server tells of itself.
func TestSecretsAreSeenNowhere(t *testing.T) {
	l, err := loadConfig([]string{"--data", t.TempDir(), "--listen", "127.0.0.1:0", "--register", "open", "--rate", "0", "--bots", "off", "--log", "debug"},
		[]string{"TROUPE_IDENTITY_SECRET=canary of the identity secret, long", "TROUPE_MODEL_KEY=canary of the model key", "TROUPE_MODEL_URL=http://127.0.0.1:1/v1", "TROUPE_MODEL=m"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	l.Users.Argon2 = userctr.Argon2{Memory: 64, Passes: 1, Threads: 1}
	log := &said{}
	s, err := start(&l.Config, slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})), func(err error) { panic(err) })
	if err != nil {
		t.Fatal(err)
	}
	running := true
	stop := func() {
		if running {
			running = false
			if err := s.stop(context.Background()); err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(stop)
	secrets := map[string]string{"the identity secret": "canary of the identity secret", "the model key": "canary of the model key"}
	call := func(token, method, path, body string, want int) map[string]any {
		t.Helper()
		req := httptest.NewRequest(method, "/api/v2"+path, strings.NewReader(body))
		req.Header.Set("Content-Type", "application/json")
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		w := httptest.NewRecorder()
		s.gateway.ServeHTTP(w, req)
		if w.Code != want {
			t.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
		}
		var m map[string]any
		_ = json.Unmarshal(w.Body.Bytes(), &m) // an answer may have no body
		return m
	}
	text := func(m map[string]any, field string) string {
		t.Helper()
		v, _ := m[field].(string)
		if v == "" {
			t.Fatalf("no %s in %v", field, m)
		}
		return v
	}
	const good, bad, said = "canary-password-good", "canary-password-bad", "canary of what was said"
	for name, word := range map[string]string{"a password": good, "a wrong password": bad, "a message": said, "a note": "canary of a note", "a nickname": "canary nickname"} {
		secrets[name] = word
	}
	if _, err := s.users.CreateUser(t.Context(), userctr.NewUser{Name: "root", Password: good, Nickname: "canary nickname", Admin: true}); err != nil {
		t.Fatal(err)
	}
	call("", "POST", "/users/login", `{"name":"root","password":"`+bad+`"}`, 401)
	root := call("", "POST", "/users/login", `{"name":"root","password":"`+good+`"}`, 200)
	token := text(root, "token")
	secrets["an access token"], secrets["a refresh token"] = token, text(root, "refreshToken")
	fresh := call("", "POST", "/users/refresh", `{"refreshToken":"`+text(root, "refreshToken")+`"}`, 200)
	token = text(fresh, "token")
	secrets["a newer access token"], secrets["a newer refresh token"] = token, text(fresh, "refreshToken")
	call("", "POST", "/users/refresh", `{"refreshToken":"canary-refresh"}`, 401)
	call("canary-token", "GET", "/users/me", "", 401)
	secrets["a token that is none"], secrets["a refresh token that is none"] = "canary-token", "canary-refresh"
	ann := call("", "POST", "/users", `{"name":"ann","password":"`+good+`2"}`, 201)
	secrets["an invitation"] = text(call(token, "POST", "/users/invites", `{}`, 201), "code")
	key := text(call(token, "POST", "/keys", `{"name":"shop","scopes":["users"]}`, 201), "key")
	secrets["a server key"] = key
	call(key, "POST", "/keys/users", `{"nickname":"canary nickname"}`, 201)
	app := call(token, "POST", "/apps", `{"name":"shop","guests":true}`, 201)
	secrets["an application's secret"] = text(app, "secret")
	secrets["a password that was reset"] = text(call(token, "POST", "/admin/users/"+text(ann, "userId")+"/password", "", 200), "password")
	session := text(call(token, "POST", "/sessions", `{"sessionType":"group","name":"g"}`, 201), "session")
	call(token, "POST", "/sessions/"+session+"/messages", `{"clientMsgId":"c1","content":{"type":"text","text":"`+said+`"}}`, 201)
	call(token, "POST", "/sessions/"+session+"/messages", `{"clientMsgId":"c1","content":{"type":"text","text":"`+said+` again"}}`, 409)
	call(token, "POST", "/sessions/"+session+"/messages", `{"clientMsgId":"c2","content":{"type":"nothing","text":"`+said+`"}}`, 400)
	call(token, "POST", "/users/requests", `{"kind":"FRIEND","target":"`+text(ann, "userId")+`","note":"canary of a note"}`, 201)

	req := httptest.NewRequest("GET", "/metrics", nil)
	w := httptest.NewRecorder()
	s.gateway.ServeHTTP(w, req)
	audit := &bytes.Buffer{}
	status, err := json.Marshal(s.status())
	if err != nil {
		t.Fatal(err)
	}
	err = s.users.ExportAudit(t.Context(), func(line []byte) error { audit.Write(line); return nil })
	if err != nil || audit.Len() == 0 || w.Body.Len() == 0 {
		t.Fatalf("no audit log or no metrics: %v", err)
	}
	stop()
	places := map[string]string{"the log": log.String(), "/metrics": w.Body.String(), "the audit log": audit.String(), "the status": string(status)}
	for place, text := range places {
		for name, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("%s has %s in it: %s", place, name, around(text, secret))
			}
		}
	}
	// What is only compared is kept as a hash; what has to be had again is sealed.
	for name, secret := range secrets {
		if !strings.Contains(name, "password") && !strings.Contains(name, "token") && !strings.Contains(name, "key") && !strings.Contains(name, "application") && !strings.Contains(name, "invitation") {
			continue
		}
		if found := rawly(t, filepath.Join(l.Data, storeDir), secret); len(found) > 0 {
			t.Errorf("%s is kept as it is: %v", name, found)
		}
	}
	if _, err := os.Stat(filepath.Join(l.Data, userctr.SecretsFile)); err != nil {
		t.Error(err)
	}
}

func around(text, word string) string {
	i := strings.Index(text, word)
	return text[max(0, i-120):min(len(text), i+len(word)+40)]
}
