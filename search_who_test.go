package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/troupe-im/troupe/internal/protocol"
)

// foundBy searches with a token or key and gives the status and the texts found.
func (s *testServer) foundBy(token, words string, header ...string) (int, string) {
	s.t.Helper()
	status, _, body := s.ask("", "GET", "/api/v2/messages/search?q="+url.QueryEscape(words), nil, append(header, "Authorization", "Bearer "+token)...)
	if status != http.StatusOK {
		return status, ""
	}
	var page searched
	if err := json.Unmarshal(body, &page); err != nil {
		s.t.Fatal(err)
	}
	return status, strings.Join(page.texts(), " | ")
}

func TestAGuestSearchesItsOwnSession(t *testing.T) {
	s := startServer(t)
	admin := s.administrator("root")
	s.join("doctor", "d").Close()
	status, app := s.asks(admin, "POST", "/apps", map[string]any{"name": "Shop", "origins": []string{"https://shop.example.com"}, "guests": true, "members": []string{"doctor"}})
	if status != http.StatusCreated {
		t.Fatalf("the application: %d %v", status, app)
	}
	var tokens []string
	for _, says := range []string{"我的头很疼 since Monday", "另一个人的头"} {
		status, guest := s.asks("", "POST", fmt.Sprint("/apps/", app["app"], "/guests"), map[string]any{"platform": "web"})
		if status/100 != 2 {
			t.Fatalf("a guest: %d %v", status, guest)
		}
		token := guest["token"].(string)
		status, made := s.asks(token, "POST", "/sessions", map[string]any{"sessionType": "muc"})
		if status != http.StatusCreated {
			t.Fatalf("its session: %d %v", status, made)
		}
		if status, out := s.asks(token, "POST", "/sessions/"+made["session"].(string)+"/messages", map[string]any{"clientMsgId": "1", "content": map[string]any{"type": "text", "text": says}}); status != http.StatusCreated {
			t.Fatalf("it writes: %d %v", status, out)
		}
		tokens = append(tokens, token)
	}
	if status, found := s.foundBy(tokens[0], "头"); status != http.StatusOK || found != "我的头很疼 since Monday" {
		t.Errorf("the guest's search: %d %q", status, found)
	}
	if status, found := s.foundBy(tokens[1], "monday"); status != http.StatusOK || found != "" {
		t.Errorf("another guest's search: %d %q", status, found)
	}
	s.wantFound("doctor", "头 monday", "我的头很疼 since Monday")
	s.wantFound("doctor", "另一个人的头", "另一个人的头")
}

func TestAServerKeySearchesForAUser(t *testing.T) {
	s := startServer(t)
	admin := s.administrator("root")
	ann := s.join("ann", "d")
	session := s.pair(ann, "ann", "bob")
	s.join("cid", "d").Close()
	ann.say(session, "1", "老地方见")
	key := func(scopes ...string) string {
		t.Helper()
		status, key := s.asks(admin, "POST", "/keys", map[string]any{"name": strings.Join(scopes, " "), "scopes": scopes})
		if status != http.StatusCreated {
			t.Fatalf("the key: %d %v", status, key)
		}
		return key["key"].(string)
	}
	reads := key("read")
	for user, want := range map[string]string{"ann": "老地方见", "bob": "老地方见", "cid": ""} {
		if status, found := s.foundBy(reads, "地方", "X-Troupe-User", user); status != http.StatusOK || found != want {
			t.Errorf("for %s the key finds %d %q, want %q", user, status, found, want)
		}
	}
	if status, found := s.foundBy(reads, "地方"); status != http.StatusOK || found != "" {
		t.Errorf("as itself the key finds %d %q", status, found)
	}
	if status, _ := s.foundBy(key("messages"), "地方", "X-Troupe-User", "ann"); status != http.StatusForbidden {
		t.Errorf("a key without the scope read is answered %d", status)
	}
	if status, _ := s.foundBy(reads, "地方", "X-Troupe-User", "nobody"); status == http.StatusOK {
		t.Error("the key searches for nobody")
	}
}

func TestWhatIsRestoredIsFound(t *testing.T) {
	s := startServer(t, "TROUPE_SEARCH_RATE=0")
	ann := s.join("ann", "d")
	session := s.pair(ann, "ann", "bob")
	ann.say(session, "old", "老地方 in a full block")
	for i := range 100 {
		ann.say(session, fmt.Sprint(i), fmt.Sprint("filler ", i))
	}
	recalled := ann.say(session, "end", "老地方 at the end")
	s.kill()
	s.start() // what is not signed yet is signed now
	copied := filepath.Join(t.TempDir(), "copy")
	if out, err := s.command("backup", copied); err != nil {
		t.Fatalf("backup: %v\n%s", err, out)
	}
	s.do("ann", "DELETE", "/api/v2/sessions/"+session+"/messages/"+protocol.MessageID(session, recalled), nil, http.StatusOK, nil)
	s.join("ann", "d").say(session, "after", "老地方 behind the backup")
	s.wantFound("bob", "老地方", "老地方 behind the backup | 老地方 in a full block")
	if _, err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(copied, s.data+".restored"); err != nil {
		t.Fatal(err)
	}
	s.data += ".restored"
	s.start()
	s.wantFound("bob", "老地方", "老地方 at the end | 老地方 in a full block")
	s.join("ann", "d").say(session, "again", "老地方 after it was restored")
	s.wantFound("bob", "老地方", "老地方 after it was restored | 老地方 at the end | 老地方 in a full block")
}

func TestSendingGoesOnWhileAnotherSearches(t *testing.T) {
	s := startServer(t, "TROUPE_SEARCH_RATE=0")
	ann := s.join("ann", "d")
	session := s.pair(ann, "ann", "bob")
	for i := range 500 {
		ann.say(session, fmt.Sprint("before ", i), fmt.Sprint("what was said before, number ", i))
	}
	end := make(chan struct{})
	var searching sync.WaitGroup
	token := s.token("bob")
	for range 8 {
		searching.Go(func() {
			for {
				select {
				case <-end:
					return
				default:
				}
				req, err := http.NewRequest("GET", s.url+"/api/v2/messages/search?limit=100&q=e", nil)
				if err != nil {
					t.Error(err)
					return
				}
				req.Header.Set("Authorization", "Bearer "+token)
				res, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Error(err)
					return
				}
				res.Body.Close()
				if res.StatusCode != http.StatusOK {
					t.Errorf("a search: %s", res.Status)
					return
				}
			}
		})
	}
	for i := range 200 {
		ann.say(session, fmt.Sprint(i), "said meanwhile") // fails the test if it is not acknowledged
	}
	close(end)
	searching.Wait()
	if n := len(s.finds("bob", "meanwhile", "limit=100").Items); n != 100 {
		t.Errorf("%d are found of what was said meanwhile", n)
	}
}
