package remote

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/troupe-im/troupe/internal/egress"
)

// theBotOfTheDocs is what docs/bots-remote.md shows, between two lines that the test finds.
func theBotOfTheDocs(secret string) *http.ServeMux {
	mux := http.NewServeMux()
	// begin
	mux.HandleFunc("/troupe", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		var at int64
		fmt.Sscanf(r.Header.Get("Troupe-Signature"), "t=%d,", &at)
		mac := hmac.New(sha256.New, []byte(secret))
		fmt.Fprintf(mac, "%d.%s", at, body)
		want := fmt.Sprintf("t=%d,v1=%x", at, mac.Sum(nil))
		if !hmac.Equal([]byte(want), []byte(r.Header.Get("Troupe-Signature"))) {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		if r.Method == http.MethodGet {
			io.WriteString(w, `{"protocol": 1, "id": "crm", "personas": [{"name": "CRM"}]}`)
			return
		}
		var frame struct {
			Event struct{ ID, Kind, Text string }
		}
		json.Unmarshal(body, &frame)
		if frame.Event.Kind == "message" { // it is also told that it was added, and more
			answer := map[string]any{"event": frame.Event.ID, "post": map[string]any{"text": "You said: " + frame.Event.Text}}
			json.NewEncoder(w).Encode(map[string]any{"frames": []any{map[string]any{"call": answer}}})
		}
	})
	// end
	return mux
}

func TestTheBotOfTheDocsAnswers(t *testing.T) {
	i := start(t)
	secret := make(chan string, 1)
	var bot http.Handler
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if bot == nil {
			bot = theBotOfTheDocs(<-secret)
		}
		bot.ServeHTTP(w, r)
	}))
	defer far.Close()
	b, _, _, err := i.Add(t.Context(), Wish{ID: "crm", Way: Webhook, URL: far.URL + "/troupe"})
	if err != nil {
		t.Fatal(err)
	}
	secret <- b.Secret
	v := i.came(t)
	if v.describe.Id != "crm" {
		t.Errorf("it says it is %v", v.describe)
	}
	v.send(t, event("e", "hello"))
	if c := v.next(t).GetCall(); c.GetPost().GetText() != "You said: hello" || c.GetEvent() != "e" {
		t.Errorf("it wants %v", c)
	}
	if a := v.next(t).GetAck(); a.GetEvent() != "e" || a.GetError() != "" {
		t.Errorf("it acknowledges %v", a)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, far.URL+"/troupe", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set(egress.SignatureHeader, "t=1,v1=00")
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if a.Body.Close(); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("a stranger is answered %d", a.StatusCode)
	}
}

func TestTheDocsShowTheBotThatIsTested(t *testing.T) {
	docs, err := os.ReadFile("../../docs/bots-remote.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, tested, _ := strings.Cut(string(source), "\t// begin\n")
	tested, _, _ = strings.Cut(tested, "\t// end\n")
	tested = strings.ReplaceAll(strings.TrimPrefix(tested, "\t"), "\n\t", "\n")
	if tested = strings.Replace(tested, "mux.", "http.", 1); tested == "" || !strings.Contains(string(docs), tested) {
		t.Errorf("docs/bots-remote.md has not\n%s", tested)
	}
}
