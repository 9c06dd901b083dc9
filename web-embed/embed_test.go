package webembed

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

var shop = App{ID: "app_shop", Name: "Shop </script>", Origins: []string{"https://shop.example.com", "http://localhost:5173"}, Guests: true}

func site(change ...func(*Config)) *Site {
	c := Config{Register: "invite", Apps: func(id string) (App, bool) {
		switch id {
		case "app_shop":
			return shop, true
		case "app_none":
			return App{ID: "app_none", Name: "Nowhere"}, true
		}
		return App{}, false
	}}
	for _, f := range change {
		f(&c)
	}
	return New(c)
}

func get(t *testing.T, s http.Handler, path string, headers ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://im.example.com"+path, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	w.Header().Set("X-Frame-Options", "DENY") // as the gateway does for all
	s.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, res *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestAFrameIsForThePagesOfItsApplication(t *testing.T) {
	res := get(t, site(), "/embed/v1/frame?app=app_shop")
	policy := res.Header.Get("Content-Security-Policy")
	for _, want := range []string{
		"default-src 'none'", "script-src 'self';", "style-src 'self';", "connect-src 'self' ws://im.example.com wss://im.example.com;", "base-uri 'none'", "form-action 'none'",
		"frame-ancestors https://shop.example.com http://localhost:5173;", "require-trusted-types-for 'script'", "trusted-types vue",
	} {
		if !strings.Contains(policy, want) {
			t.Errorf("the policy has no %q: %s", want, policy)
		}
	}
	if strings.Contains(policy, "unsafe") || strings.Contains(policy, "*") {
		t.Errorf("the policy allows what is unsafe: %s", policy)
	}
	for name, want := range map[string]string{"X-Frame-Options": "", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "cross-origin"} {
		if got := res.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if p := res.Header.Get("Permissions-Policy"); !strings.Contains(p, "microphone=(self)") || !strings.Contains(p, "payment=()") {
		t.Errorf("Permissions-Policy is %q", p)
	}
	page := body(t, res)
	_, text, _ := strings.Cut(page, `id="troupe-config">`)
	text, _, _ = strings.Cut(text, "</script>")
	var config frameConfig
	if err := json.Unmarshal([]byte(text), &config); err != nil || config.Name != shop.Name || len(config.Origins) != 2 || !config.Guests || config.Self {
		t.Errorf("the page's list is %q: %v", text, err)
	}
	if strings.Count(page, "</script>") != 2 {
		t.Errorf("an application's name breaks out of its place: %s", page)
	}
}

func TestAFrameWithoutOriginsIsForNobody(t *testing.T) {
	if p := get(t, site(), "/embed/v1/frame?app=app_none").Header.Get("Content-Security-Policy"); !strings.Contains(p, "frame-ancestors 'none'") {
		t.Errorf("the policy is %s", p)
	}
	playing := site(func(c *Config) { c.Playground = true })
	if p := get(t, playing, "/embed/v1/frame?app=app_none").Header.Get("Content-Security-Policy"); !strings.Contains(p, "frame-ancestors 'self'") {
		t.Errorf("with a playground the policy is %s", p)
	}
}

func TestAFrameForNoApplicationSaysSo(t *testing.T) {
	for _, path := range []string{"/embed/v1/frame", "/embed/v1/frame?app=", "/embed/v1/frame?app=app_other", "/embed/v1/frame?app=playground", "/embed/v1/frame?app=%3Cscript%3E"} {
		res := get(t, site(), path)
		if page := body(t, res); res.StatusCode != http.StatusNotFound || !strings.Contains(page, "No chat here") || strings.Contains(page, "<script") {
			t.Errorf("%s answered %d: %s", path, res.StatusCode, page)
		}
		if p := res.Header.Get("Content-Security-Policy"); p != "default-src 'none'; frame-ancestors *" {
			t.Errorf("%s has the policy %q", path, p)
		}
	}
}

func TestThePlaygroundIsThereWhereItWasAskedFor(t *testing.T) {
	if res := get(t, site(), "/playground"); res.StatusCode != http.StatusNotFound {
		t.Errorf("/playground answered %d without the setting", res.StatusCode)
	}
	res := get(t, site(func(c *Config) { c.Playground = true }), "/playground")
	if res.StatusCode != http.StatusOK || !strings.Contains(res.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'") {
		t.Errorf("/playground answered %d %v", res.StatusCode, res.Header)
	}
}

func TestTheLoaderIsForEveryPageAndKeptByItsVersion(t *testing.T) {
	s := site()
	res := get(t, s, "/embed/v1/troupe.js")
	if res.StatusCode != http.StatusOK || res.Header.Get("Access-Control-Allow-Origin") != "*" || res.Header.Get("Cross-Origin-Resource-Policy") != "cross-origin" ||
		!strings.HasPrefix(res.Header.Get("Content-Type"), "text/javascript") || !strings.Contains(res.Header.Get("Cache-Control"), "max-age=3600") {
		t.Errorf("the loader answered %d %v", res.StatusCode, res.Header)
	}
	tag := res.Header.Get("ETag")
	if again := get(t, s, "/embed/v1/troupe.js", "If-None-Match", tag); again.StatusCode != http.StatusNotModified || body(t, again) != "" {
		t.Errorf("asked again for what it has, a browser gets %d", again.StatusCode)
	}
	if kept := get(t, s, "/embed/v1/troupe.js?v="+strings.Trim(tag, `"`)); !strings.Contains(kept.Header.Get("Cache-Control"), "immutable") {
		t.Errorf("by its version it is kept %q", kept.Header.Get("Cache-Control"))
	}
	if other := get(t, s, "/embed/v1/troupe.js?v=1234"); strings.Contains(other.Header.Get("Cache-Control"), "immutable") {
		t.Error("by another version it is kept for ever")
	}
	small := get(t, s, "/embed/v1/troupe.js", "Accept-Encoding", "gzip")
	r, err := gzip.NewReader(small.Body)
	if err != nil || small.Header.Get("Content-Encoding") != "gzip" || small.Header.Get("Vary") != "Accept-Encoding" || small.Header.Get("ETag") == tag {
		t.Fatalf("with gzip the answer is %v: %v", small.Header, err)
	}
	if text, err := io.ReadAll(r); err != nil || string(text) != body(t, res) {
		t.Errorf("with gzip it is another loader: %v", err)
	}
}

func TestBuiltFilesAreKeptForEverAtTheAddressOfTheirBuild(t *testing.T) {
	s := site()
	for entry := range s.files.needs {
		for _, name := range append(append([]string{entry + ".js"}, s.files.needs[entry]...), s.files.styles[entry]...) {
			res := get(t, s, "/embed/v1/assets/"+s.files.build+"/"+name)
			if res.StatusCode != http.StatusOK || !strings.Contains(res.Header.Get("Cache-Control"), "immutable") || res.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s answered %d %v", name, res.StatusCode, res.Header)
			}
		}
	}
	for _, path := range []string{"/embed/v1/assets/0123456789abcdef/frame.js", "/embed/v1/assets/" + s.files.build + "/none.js", "/embed/v1/assets/" + s.files.build + "/../../frame"} {
		if res := get(t, s, path); res.StatusCode == http.StatusOK {
			t.Errorf("%s answered %d", path, res.StatusCode)
		}
	}
	res := get(t, s, "/embed/v1/element.js")
	if text := body(t, res); !strings.Contains(text, "/"+s.files.build+"/element.js") || res.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("the element's address leads to %q", text)
	}
}

func TestOnlyReadingIsAnswered(t *testing.T) {
	w := httptest.NewRecorder()
	site().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/embed/v1/frame?app=app_shop", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST answered %d", w.Code)
	}
}
