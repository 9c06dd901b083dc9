package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// examples gives the blocks of docs/identity.md that are to be run, by name and language.
func examples(t *testing.T) map[string]string {
	text, err := os.ReadFile("docs/identity.md")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, m := range regexp.MustCompile("(?s)<!-- run: ([a-z ]+) -->\n```([a-z]+)\n(.*?)\n```").FindAllStringSubmatch(string(text), -1) {
		all[m[1]+" "+m[2]] = m[3] + "\n"
	}
	return all
}

// tool is a program that an example needs. Where there is none the example is skipped, unless
// TROUPE_TEST_NEED names it.
func tool(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err == nil {
		return
	}
	if strings.Contains(os.Getenv("TROUPE_TEST_NEED"), name) {
		t.Fatalf("there is no %s, and TROUPE_TEST_NEED says that it is needed", name)
	}
	t.Skipf("there is no %s here: the example is not run", name)
}

// runExample runs an example and gives what it prints.
func runExample(t *testing.T, language, text string, env ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "example."+map[string]string{"js": "cjs", "go": "go", "sh": "sh"}[language])
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	command := map[string][]string{"js": {"node", file}, "go": {"go", "run", file}, "sh": {"sh", file}}[language]
	tool(t, command[0])
	if language == "sh" {
		tool(t, "curl")
	}
	c := exec.CommandContext(t.Context(), command[0], command[1:]...)
	c.Env = append(os.Environ(), env...)
	var failed bytes.Buffer
	c.Stderr = &failed
	out, err := c.Output()
	if err != nil {
		t.Fatalf("the example fails: %v\n%s%s", err, out, &failed)
	}
	return strings.TrimSpace(string(out))
}

// asks calls the server and gives the status and what it answers.
func (s *testServer) asks(token, method, path string, body any) (int, map[string]any) {
	s.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		s.t.Fatal(err)
	}
	req, err := http.NewRequest(method, s.url+"/api/v2"+path, bytes.NewReader(text))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	var out map[string]any
	json.NewDecoder(res.Body).Decode(&out) // 204 has none
	return res.StatusCode, out
}

func TestTheExamplesOfIdentityRun(t *testing.T) {
	all := examples(t)
	for _, name := range []string{
		"outside token js", "outside token go", "server key js", "server key go", "application sh", "embed js", "embed go", "guest sh", "merge sh",
	} {
		if all[name] == "" {
			t.Fatalf("docs/identity.md has no example %q", name)
		}
	}
	s := startServer(t)
	admin := s.administrator("root")
	who := func(t *testing.T, token string) map[string]any {
		t.Helper()
		status, me := s.asks(token, "GET", "/users/me", nil)
		if status != http.StatusOK {
			t.Fatalf("the token is answered with %d %v", status, me)
		}
		return me
	}
	for _, language := range []string{"js", "go"} {
		t.Run("outside token "+language, func(t *testing.T) {
			token := runExample(t, language, all["outside token "+language], "TROUPE_IDENTITY_SECRET="+s.secret)
			if me := who(t, token); me["userId"] != "doctor-7" || me["nickname"] != "Dr. Wang" {
				t.Errorf("the token is of %v", me)
			}
		})
		t.Run("server key "+language, func(t *testing.T) {
			status, key := s.asks(admin, "POST", "/keys", map[string]any{"name": "hospital", "scopes": []string{"users", "sessions", "messages"}})
			if status != http.StatusCreated {
				t.Fatalf("the key is answered with %d %v", status, key)
			}
			token := runExample(t, language, all["server key "+language], "TROUPE_URL="+s.url, "TROUPE_KEY="+key["key"].(string))
			if me := who(t, token); me["userId"] != "patient-12" {
				t.Errorf("the token is of %v", me)
			}
			_, home := s.asks(token, "GET", "/sessions/recent", nil)
			text, _ := json.Marshal(home)
			if !strings.Contains(string(text), "Good morning") {
				t.Errorf("the patient sees %s", text)
			}
			if status, out := s.asks(key["key"].(string), "GET", "/sessions/recent", nil); status != http.StatusForbidden {
				t.Errorf("without the scope read the key reads: %d %v", status, out)
			}
			if status, _ := s.asks(admin, "DELETE", "/keys/"+key["id"].(string), nil); status != http.StatusNoContent {
				t.Errorf("revoking is answered with %d", status)
			}
			if status, _ := s.asks(key["key"].(string), "POST", "/keys/users", map[string]any{"id": "x"}); status != http.StatusUnauthorized {
				t.Errorf("a revoked key is answered with %d", status)
			}
		})
	}
	t.Run("application", func(t *testing.T) {
		var app struct{ App, Secret string }
		if err := json.Unmarshal([]byte(runExample(t, "sh", all["application sh"], "TROUPE_URL="+s.url, "TROUPE_ADMIN="+admin)), &app); err != nil || app.App == "" || app.Secret == "" {
			t.Fatalf("application = %+v, %v", app, err)
		}
		env := []string{"TROUPE_URL=" + s.url, "TROUPE_APP=" + app.App, "TROUPE_APP_SECRET=" + app.Secret}
		var customer string
		for _, language := range []string{"js", "go"} {
			token := runExample(t, language, all["embed "+language], env...)
			status, grant := s.asks("", "POST", "/apps/"+app.App+"/exchange", map[string]any{"token": token})
			if status != http.StatusOK {
				t.Fatalf("%s: the token is answered with %d %v", language, status, grant)
			}
			customer = grant["token"].(string)
			if me := who(t, customer); me["nickname"] != "Ms. Li" {
				t.Errorf("%s: the token is of %v", language, me)
			}
			if status, _ := s.asks("", "POST", "/apps/"+app.App+"/exchange", map[string]any{"token": token}); status != http.StatusUnauthorized {
				t.Errorf("%s: the second use is answered with %d", language, status)
			}
		}
		var guest struct{ UserID, Token string }
		if err := json.Unmarshal([]byte(runExample(t, "sh", all["guest sh"], env...)), &guest); err != nil || !strings.HasPrefix(guest.UserID, "g_") {
			t.Fatalf("guest = %+v, %v", guest, err)
		}
		status, made := s.asks(guest.Token, "POST", "/sessions", map[string]any{"sessionType": "muc"})
		if status != http.StatusCreated {
			t.Fatalf("the guest's session is answered with %d %v", status, made)
		}
		session := made["session"].(string)
		if status, out := s.asks(guest.Token, "POST", "/sessions/"+session+"/messages", map[string]any{"clientMsgId": "1", "content": map[string]any{"type": "text", "text": "hello?"}}); status != http.StatusCreated {
			t.Fatalf("the guest writes: %d %v", status, out)
		}
		if status, _ := s.asks(guest.Token, "POST", "/sessions", map[string]any{"sessionType": "group"}); status != http.StatusForbidden {
			t.Errorf("a guest makes a group: %d", status)
		}
		runExample(t, "sh", all["merge sh"], append(env, "TROUPE_TOKEN="+customer, "TROUPE_GUEST_TOKEN="+guest.Token)...)
		if status, log := s.asks(customer, "GET", "/sessions/"+session+"/messages", nil); status != http.StatusOK || !strings.Contains(mustJSON(t, log), "hello?") {
			t.Errorf("the customer reads %d %v", status, log)
		}
		if status, _ := s.asks(guest.Token, "GET", "/users/me", nil); status != http.StatusUnauthorized {
			t.Errorf("the guest's token is answered with %d", status)
		}
	})
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
