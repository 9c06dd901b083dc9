package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
)

func TestALinkIsPreviewedByTheServerAloneAndKept(t *testing.T) {
	var asked int
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		io.WriteString(w, "<!doctype html><title>A page</title>")
	}))
	defer web.Close()
	path := "/api/v2/links/preview?url=" + url.QueryEscape(web.URL)
	s := startServer(t)
	if status, _, text := s.ask("ann", "GET", path, nil); status != http.StatusNoContent || asked != 0 {
		t.Errorf("this machine itself: %d %s, asked %d times", status, text, asked)
	}
	s = startServer(t, "TROUPE_EGRESS_ALLOW=127.0.0.1")
	title := func() string {
		_, _, text := s.ask("ann", "GET", path, nil)
		var v struct{ Title string }
		if err := json.Unmarshal(text, &v); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		return v.Title
	}
	if got := title(); got != "A page" {
		t.Errorf("the title is %q", got)
	}
	s.kill()
	s.start()
	if got := title(); got != "A page" || asked != 1 {
		t.Errorf("after a kill: %q, asked %d times", got, asked)
	}
}
