package gateway

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// pages are the origins of two applications.
type pages struct{}

func (pages) Origin(app, origin string) bool {
	is := map[string]string{"https://shop.example.com": "shop", "http://localhost:5173": "clinic"}[origin]
	return is != "" && (app == "" || app == is)
}

// variants are ways of almost being https://shop.example.com.
var variants = map[string]string{
	"evil":              "https://evil.example.com",
	"null":              "null",
	"empty":             "",
	"a suffix":          "https://shop.example.com.evil.com",
	"a prefix":          "https://evilshop.example.com",
	"below it":          "https://a.shop.example.com",
	"above it":          "https://example.com",
	"a port":            "https://shop.example.com:8443",
	"the default port":  "https://shop.example.com:443",
	"another scheme":    "http://shop.example.com",
	"upper case":        "https://Shop.example.com",
	"a slash":           "https://shop.example.com/",
	"a path":            "https://shop.example.com/chat",
	"two of them":       "https://shop.example.com https://shop.example.com",
	"a space before it": " https://shop.example.com",
	"another port here": "http://localhost:5174",
}

func TestPagesOfApplicationsMayConnectAndNoOthers(t *testing.T) {
	s, err := New(Config{}, Needs{Actors: &stage{}, Auth: &doorman{}, Home: shelf{}, Profiles: shelf{}, Origins: pages{}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Shutdown(context.Background()) })
	ask := func(method, path, origin string) *http.Response {
		r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
		r.Header["Origin"] = []string{origin}
		if method == http.MethodOptions {
			r.Header.Set("Access-Control-Request-Method", "POST")
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		return w.Result()
	}
	socket := func(origin string) int {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/ws", nil)
		r.Header["Origin"] = []string{origin}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		return w.Code
	}
	const good = "https://shop.example.com"
	if got := socket(good); got != http.StatusBadRequest { // the origin is good, and it is no WebSocket
		t.Errorf("/ws from %s answered %d, want 400", good, got)
	}
	for _, path := range []string{"/api/v2/users/me", "/api/v2/apps/shop", "/api/v2/apps/shop/guests"} {
		pre := ask(http.MethodOptions, path, good)
		if pre.StatusCode != http.StatusNoContent || pre.Header.Get("Access-Control-Allow-Origin") != good || !strings.Contains(pre.Header.Get("Access-Control-Allow-Methods"), "PATCH") {
			t.Errorf("OPTIONS %s answered %d %v", path, pre.StatusCode, pre.Header)
		}
		for _, header := range []string{"Authorization", "Content-Digest", "Range", "Upload-Checksum"} {
			if !strings.Contains(pre.Header.Get("Access-Control-Allow-Headers"), header) {
				t.Errorf("a page may not say %s: %v", header, pre.Header)
			}
		}
		got := ask(http.MethodGet, path, good)
		if got.Header.Get("Access-Control-Allow-Origin") != good || got.Header.Get("Access-Control-Allow-Credentials") != "" || got.Header.Get("Vary") == "" {
			t.Errorf("GET %s answered %v", path, got.Header)
		}
	}
	for says, origin := range variants {
		if got := socket(origin); got != http.StatusForbidden {
			t.Errorf("%s: /ws answered %d, want 403", says, got)
		}
		if got := ask(http.MethodOptions, "/api/v2/users/me", origin); got.StatusCode != http.StatusForbidden || got.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: OPTIONS answered %d %v", says, got.StatusCode, got.Header)
		}
		if got := ask(http.MethodGet, "/api/v2/users/me", origin); got.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: GET answered %v", says, got.Header)
		}
		if got := ask(http.MethodPost, "/api/v2/apps/shop/guests", origin); got.StatusCode != http.StatusForbidden {
			t.Errorf("%s: a guest is made with %d, want 403", says, got.StatusCode)
		}
	}
	if got := ask(http.MethodPost, "/api/v2/apps/clinic/guests", good); got.StatusCode != http.StatusForbidden {
		t.Errorf("one application's page makes another's guest: %d", got.StatusCode)
	}
	if got := ask(http.MethodGet, "/api/v2/apps/clinic", good); got.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("one application's page reads another's: %v", got.Header)
	}
	own := ask(http.MethodPost, "/api/v2/apps/shop/guests", "http://example.com") // httptest's own host
	if own.StatusCode == http.StatusForbidden {
		t.Error("our own page is refused")
	}
}
