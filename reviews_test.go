package main

import (
	"bytes"
	"encoding/json"
	"image"
	"image/png"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/troupe-im/troupe/internal/egress"
)

const ourReviewSecret = "d41ba8e0c7f2931b5a6e44d2f0981c3e"

func TestAReviewUnderWayAtAKillIsTakenUpAgainAndItsDecisionStays(t *testing.T) {
	type question struct{ ID, URL string }
	asked, answers := make(chan question, 10), make(chan string, 10)
	var mu sync.Mutex
	var server string
	desk := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if !strings.HasPrefix(r.Header.Get(egress.SignatureHeader), "t=") {
			t.Error("it is not signed")
		}
		var q question
		if err := json.Unmarshal(body, &q); err != nil {
			t.Error(err)
		}
		mu.Lock()
		from := server
		mu.Unlock()
		if resp, err := http.Get(from + q.URL); err != nil {
			t.Error(err)
		} else {
			if _, err := png.DecodeConfig(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
				t.Errorf("the service reads the picture: %d, %v", resp.StatusCode, err)
			}
			resp.Body.Close()
		}
		asked <- q
		select {
		case a := <-answers:
			io.WriteString(w, a)
		case <-r.Context().Done():
		}
	}))
	defer func() { desk.CloseClientConnections(); desk.Close() }()
	s := startServer(t, "TROUPE_REVIEW_URL="+desk.URL, "TROUPE_REVIEW_SECRET="+ourReviewSecret, "TROUPE_REVIEW_WITHIN=1h")
	mu.Lock()
	server = s.url
	mu.Unlock()
	ann := s.join("ann", "laptop")
	session := s.pair(ann, "ann", "bob")
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewRGBA(image.Rect(0, 0, 50, 40))); err != nil {
		t.Fatal(err)
	}
	file := s.upload("ann", "a.png", picture.Bytes())
	if status, _ := s.send("ann", session, "1", file, 0); status != http.StatusCreated {
		t.Fatalf("ann sends what waits: %d", status)
	}
	first := <-asked
	if got := s.reads("bob", file); got != http.StatusNotFound {
		t.Errorf("bob reads what waits: %d", got)
	}
	s.kill()
	s.start()
	mu.Lock()
	server = s.url
	mu.Unlock()
	if again := <-asked; again.ID != first.ID {
		t.Errorf("after the kill it is asked for %s, was %s", again.ID, first.ID)
	}
	if got := s.reads("bob", file); got != http.StatusNotFound {
		t.Errorf("bob reads what waits after the kill: %d", got)
	}
	answers <- `{"deal":"reject","reason":"not here"}`
	state := func(user string) string {
		_, _, text := s.ask(user, "GET", "/api/v2/files/"+file+"/info", nil)
		var f struct{ State, Reason string }
		if err := json.Unmarshal(text, &f); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		return f.State + " " + f.Reason
	}
	soon(t, "the decision", func() bool { return state("bob") == "rejected not here" })
	s.kill()
	s.start()
	if got := state("ann"); got != "rejected not here" {
		t.Errorf("after another kill it is %q", got)
	}
	for _, user := range []string{"ann", "bob"} {
		if got := s.reads(user, file); got != http.StatusNotFound {
			t.Errorf("%s reads what was rejected: %d", user, got)
		}
	}
	if out, err := s.command("audit", "export"); err != nil || !strings.Contains(out, `"action":"file-rejected","by":"reviewer","about":"`+file+`"`) {
		t.Errorf("the audit log has no row of it: %v\n%s", err, out)
	}
}
