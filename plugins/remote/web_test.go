package remote

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/troupe-im/troupe/internal/egress"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/plugins/desk"
)

func TestABotAsksOnlyTheHostsThatWereGranted(t *testing.T) {
	at := time.Unix(1_760_000_000, 0)
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, "/", http.StatusFound)
		case "/large":
			io.WriteString(w, strings.Repeat("x", maxAnswer+1))
		default:
			w.Header().Set("X-Signed", r.Header.Get(egress.SignatureHeader))
			w.WriteHeader(http.StatusTeapot)
			io.WriteString(w, r.Method+" "+r.Header.Get("X-Asked")+" "+string(body))
		}
	}))
	defer far.Close()
	host := strings.TrimPrefix(far.URL, "http://")
	open := NewWeb(egress.Config{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, func() time.Time { return at })
	closed := NewWeb(egress.Config{}, time.Now)
	for name, c := range map[string]struct {
		web    *Web
		path   string
		hosts  []string
		status int
		code   protocol.Code
	}{
		"the public web":               {open, "/", nil, 418, 0},
		"a host that was granted":      {open, "/", []string{"a.example", host}, 418, 0},
		"another host":                 {open, "/", []string{"a.example"}, 0, protocol.Code_DENIED},
		"a host at another port":       {open, "/", []string{"127.0.0.1"}, 0, protocol.Code_DENIED},
		"a redirect is followed":       {open, "/away", nil, 418, 0},
		"not where hosts were granted": {open, "/away", []string{host}, 302, 0},
		"a private address":            {closed, "/", nil, 0, protocol.Code_DENIED},
		"a large answer":               {open, "/large", nil, 0, protocol.Code_TOO_LARGE},
	} {
		got, err := c.web.Fetch(t.Context(), &desk.WebRequest{Method: "GET", URL: far.URL + c.path, Hosts: c.hosts})
		switch {
		case c.code != 0 && !c.code.Is(err):
			t.Errorf("%s: %v", name, err)
		case c.code == 0 && (err != nil || got.Status != c.status):
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	got, err := open.Fetch(t.Context(), &desk.WebRequest{
		Method: "POST", URL: far.URL, Body: []byte("hello"), Sign: "secret",
		Header: map[string]string{"X-Asked": "yes", egress.SignatureHeader: "forged"},
	})
	if err != nil || string(got.Body) != "POST yes hello" || got.Header["x-signed"] != egress.Sign("secret", at, []byte("hello")) {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []string{"", "ftp://a.example", "http://", "not an address"} {
		if _, err := open.Fetch(t.Context(), &desk.WebRequest{Method: "GET", URL: bad}); !protocol.Code_BAD_REQUEST.Is(err) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
