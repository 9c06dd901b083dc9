package preview_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/filectr/preview"
	"github.com/troupe-im/troupe/gateway"
	"github.com/troupe-im/troupe/internal/access"
	"github.com/troupe-im/troupe/internal/egress"
	"github.com/troupe-im/troupe/internal/pebblestore"
	"github.com/troupe-im/troupe/internal/protocol"
)

// stage is a preview centre behind the gateway, and a web that it asks. Every word is the
// token of the user with that name.
type stage struct {
	*preview.Center
	t     *testing.T
	cfg   preview.Config
	store *pebblestore.Store
	http  *httptest.Server
	web   *httptest.Server
	asked atomic.Int64 // questions that came to web

	mu    sync.Mutex
	clock time.Time
	pages map[string]http.HandlerFunc
}

func newStage(t *testing.T, change func(*preview.Config)) *stage {
	t.Helper()
	store, err := pebblestore.Open("data", pebblestore.Options{FS: vfs.NewMem(), Log: slog.New(slog.DiscardHandler), Fatal: func(error) {}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	s := &stage{t: t, store: store, clock: time.Now(), pages: map[string]http.HandlerFunc{}}
	s.web = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		s.mu.Lock()
		page := s.pages[r.URL.Path]
		s.mu.Unlock()
		if page == nil {
			http.NotFound(w, r)
			return
		}
		page(w, r)
	}))
	t.Cleanup(s.web.Close)
	s.cfg = preview.Config{Data: t.TempDir(), Egress: egress.Config{Agent: "Troupe", Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}}
	if change != nil {
		change(&s.cfg)
	}
	s.start()
	return s
}

// start makes the centre, as a new process would.
func (s *stage) start() {
	s.t.Helper()
	log := slog.New(slog.DiscardHandler)
	var err error
	if s.Center, err = preview.New(s.cfg, s.store, s.now, log); err != nil {
		s.t.Fatal(err)
	}
	g, err := gateway.New(gateway.Config{Rate: -1}, gateway.Needs{Actors: noActors{}, Auth: words{}, Log: log})
	if err != nil {
		s.t.Fatal(err)
	}
	s.Center.Register(g.API())
	if err := g.Rows(); err != nil {
		s.t.Fatal(err)
	}
	s.http = httptest.NewServer(g)
	s.t.Cleanup(s.http.Close)
}

func (s *stage) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clock
}

func (s *stage) wait(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock = s.clock.Add(d)
}

type words struct{ gateway.Authenticator }

func (words) Authenticate(_ context.Context, token string) (protocol.Identity, error) {
	who := protocol.Identity{User: token}
	if strings.HasPrefix(token, "visitor") {
		who.Kind = access.KindGuest
	}
	return who, nil
}

type noActors struct{}

func (noActors) Connect(actors.Link, actors.Remote) gateway.Conn { return nil }
func (noActors) Ask(context.Context, protocol.Identity, *protocol.Frame) (*protocol.Frame, error) {
	return nil, protocol.NotFound("nobody is here")
}

// has puts a page into the web and gives its link.
func (s *stage) has(path string, page http.HandlerFunc) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pages[path] = page
	return s.web.URL + path
}

func says(typ, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", typ)
		io.WriteString(w, body)
	}
}

// view is what clients see.
type view struct {
	URL, Host, Title, Text, Site, Code string
	Picture                            *struct {
		URL, Mime, Placeholder string
		Width, Height          int
	}
	status int
	all    string
}

func (s *stage) preview(user, link string) (v view) {
	s.t.Helper()
	status, _, body := s.get(user, "/api/v2/links/preview?url="+url.QueryEscape(link))
	if err := json.Unmarshal(body, &v); err != nil && status != 204 {
		s.t.Fatalf("%s: %v", body, err)
	}
	v.status, v.all = status, string(body)
	return v
}

func (s *stage) get(user, path string) (int, http.Header, []byte) {
	s.t.Helper()
	r, err := http.NewRequest("GET", s.http.URL+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	if user != "" {
		r.Header.Set("Authorization", "Bearer "+user)
	}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer a.Body.Close()
	body, err := io.ReadAll(a.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return a.StatusCode, a.Header, body
}

func (s *stage) kept() int {
	s.t.Helper()
	all, err := os.ReadDir(s.cfg.Data)
	if err != nil {
		s.t.Fatal(err)
	}
	return len(all)
}

func pictureOf(t *testing.T, format string, w, h int) string {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for i := range m.Pix {
		m.Pix[i] = byte(i/7) | byte(i%4/3*255)
	}
	var b bytes.Buffer
	err := map[string]func() error{
		"jpeg": func() error { return jpeg.Encode(&b, m, nil) }, "png": func() error { return png.Encode(&b, m) },
		"gif": func() error {
			return gif.Encode(&b, image.NewPaletted(m.Bounds(), color.Palette{color.Black, color.White}), nil)
		},
	}[format]()
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

const article = `<title>own</title><meta property="og:title" content="A title"><meta property="og:description" content="What it is about">
<meta property="og:site_name" content="The paper"><meta property="og:image" content="/p.jpg"><script>alert(1)</script>`

func TestALinkIsShownByWhatItsPageSays(t *testing.T) {
	s := newStage(t, nil)
	s.has("/p.jpg", says("image/jpeg", pictureOf(t, "jpeg", 1300, 700)))
	var agent string
	link := s.has("/", func(w http.ResponseWriter, r *http.Request) {
		agent = r.UserAgent() + r.Header.Get("Cookie") + r.Header.Get("Referer") + r.Header.Get("X-Forwarded-For")
		says("text/html; charset=utf-8", article)(w, r)
	})
	v := s.preview("ann", link)
	if v.status != 200 || v.Title != "A title" || v.Text != "What it is about" || v.Site != "The paper" || v.Host != "127.0.0.1" || v.URL != link {
		t.Fatalf("%+v", v)
	}
	if agent != "Troupe (link preview)" {
		t.Errorf("the page was told %q", agent)
	}
	p := v.Picture
	if p == nil || p.Width != 640 || p.Height != 344 || p.Mime != "image/jpeg" || p.Placeholder == "" || !strings.HasPrefix(p.URL, "/api/v2/links/pictures/") || len(p.URL) < 40 {
		t.Fatalf("its picture is %+v", p)
	}
	status, h, body := s.get("", p.URL)
	m, err := jpeg.DecodeConfig(bytes.NewReader(body))
	if status != 200 || err != nil || m.Width != 640 || h.Get("Content-Type") != "image/jpeg" || h.Get("X-Content-Type-Options") != "nosniff" ||
		!strings.Contains(h.Get("Content-Security-Policy"), "sandbox") || h.Get("Cross-Origin-Resource-Policy") != "cross-origin" || !strings.Contains(h.Get("Cache-Control"), "immutable") {
		t.Errorf("%d %v %+v %v", status, err, m, h)
	}
	for _, other := range []string{p.URL[:len(p.URL)-1] + "0", "/api/v2/links/pictures/..%2Fsecrets.json", "/api/v2/links/pictures/x"} {
		if status, _, _ := s.get("", other); status != 404 {
			t.Errorf("%s: %d", other, status)
		}
	}
	if status, _, _ := s.get("", "/api/v2/links/preview?url="+url.QueryEscape(link)); status != 401 {
		t.Errorf("without a token: %d", status)
	}
}

func TestALinkToAPictureIsThePictureAlone(t *testing.T) {
	s := newStage(t, nil)
	for format, want := range map[string]string{"jpeg": "image/jpeg", "png": "image/jpeg", "gif": "image/jpeg"} {
		link := s.has("/"+format, says("image/"+format, pictureOf(t, format, 900, 300)))
		v := s.preview("ann", link)
		if v.status != 200 || v.Title+v.Text+v.Site != "" || v.Picture == nil || v.Picture.Mime != want || v.Picture.Width != 640 {
			t.Errorf("%s: %+v", format, v)
		}
	}
	for name, body := range map[string]string{"svg": `<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`, "cut": pictureOf(t, "png", 90, 30)[:100], "bomb": giant(), "long": "\xff\xd8\xff" + strings.Repeat("a", 5<<20)} {
		if v := s.preview("ann", s.has("/"+name, says("image/png", body))); v.status != 204 {
			t.Errorf("%s: %+v", name, v)
		}
	}
	if n := s.kept(); n != 3 {
		t.Errorf("%d files are kept, want 3", n)
	}
}

// giant is a PNG that says it is of 60,000 × 60,000 pixels.
func giant() string {
	return "\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR\x00\x00\xea\x60\x00\x00\xea\x60\x08\x02\x00\x00\x00\x00\x00\x00\x00"
}

func TestAPageWithABadPictureIsShownWithoutIt(t *testing.T) {
	s := newStage(t, nil)
	for name, picture := range map[string]string{"gone": "/none.png", "inside": "http://127.0.0.2:1/x.png", "metadata": "http://169.254.169.254/x.png", "itself": "/itself"} {
		v := s.preview("ann", s.has("/"+name, says("text/html", "<title>T</title><meta property=og:image content='"+picture+"'>")))
		if v.status != 200 || v.Title != "T" || v.Picture != nil {
			t.Errorf("%s: %+v", name, v)
		}
	}
	if n := s.kept(); n != 0 {
		t.Errorf("%d files are kept", n)
	}
}

func TestWhatThereIsNoPreviewOfIsNotTold(t *testing.T) {
	s := newStage(t, nil)
	inside := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the inner server was reached") }))
	defer inside.Close()
	var one string
	for says, link := range map[string]string{
		"this machine": "http://localhost:1/", "an inner network": "http://10.0.0.1/", "metadata": "http://169.254.169.254/latest/", "mapped": "http://[::ffff:10.0.0.1]/",
		"nothing there": s.web.URL + "/none", "nothing in it": s.has("/empty", says("text/html", "<p>x")), "a PDF": s.has("/pdf", says("application/pdf", "%PDF-1.7")),
		"leads inside":     s.has("/leads", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "http://127.0.0.2:1/", 302) }),
		"a name of nobody": "http://nobody.invalid/",
	} {
		v := s.preview("ann", link)
		if v.status != 204 || v.all != "" {
			t.Errorf("%s: %+v", says, v)
		}
		if one == "" {
			one = v.all
		}
		if v.all != one {
			t.Errorf("%s is told apart: %s", says, v.all)
		}
	}
	for _, link := range []string{"", "ftp://example.com", "http://a:b@example.com/", "http://2130706433/", "javascript:alert(1)", "not a link", "http://" + strings.Repeat("a", 3000)} {
		if v := s.preview("ann", link); v.status != 400 {
			t.Errorf("%q: %+v", link, v)
		}
	}
}

func TestAPageIsAskedOnceForEverybody(t *testing.T) {
	s := newStage(t, nil)
	let := make(chan struct{})
	link := s.has("/", func(w http.ResponseWriter, r *http.Request) {
		<-let
		says("text/html", "<title>T</title>")(w, r)
	})
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if v := s.preview(fmt.Sprint("user", i), link+"#part"); v.Title != "T" {
				t.Errorf("%+v", v)
			}
		})
	}
	close(let)
	wg.Wait()
	s.wait(23 * time.Hour)
	s.preview("ann", link)
	if n := s.asked.Load(); n != 1 {
		t.Errorf("the page was asked %d times", n)
	}
	s.wait(2 * time.Hour)
	s.preview("ann", link)
	if n := s.asked.Load(); n != 2 {
		t.Errorf("a day later it was asked %d times in all, want 2", n)
	}
	none := s.web.URL + "/none"
	for range 3 {
		s.preview("ann", none)
	}
	s.wait(11 * time.Minute)
	s.preview("ann", none)
	if n := s.asked.Load(); n != 4 {
		t.Errorf("what is not there was asked %d times, want 2", n-2)
	}
}

func TestPreviewsSurviveARestartAndLostPicturesComeAgain(t *testing.T) {
	s := newStage(t, nil)
	s.has("/p.jpg", says("image/jpeg", pictureOf(t, "jpeg", 100, 50)))
	link := s.has("/", says("text/html", article))
	first := s.preview("ann", link)
	if err := os.WriteFile(s.cfg.Data+"/in-123", []byte("left behind"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.start()
	if again := s.preview("bob", link); again.all != first.all || s.asked.Load() != 2 {
		t.Errorf("%s after the restart, asked %d times", again.all, s.asked.Load())
	}
	if n := s.kept(); n != 1 {
		t.Errorf("%d files are kept, want 1", n)
	}
	entries, _ := os.ReadDir(s.cfg.Data)
	os.Remove(s.cfg.Data + "/" + entries[0].Name())
	if status, _, _ := s.get("", first.Picture.URL); status != 404 {
		t.Errorf("a lost picture: %d", status)
	}
	again := s.preview("bob", link)
	if again.Picture == nil || again.Picture.URL == first.Picture.URL {
		t.Fatalf("%+v", again)
	}
	if status, _, _ := s.get("", again.Picture.URL); status != 200 {
		t.Errorf("the new picture: %d", status)
	}
}

func TestPicturesThatTakeTooMuchLetTheOldestGo(t *testing.T) {
	s := newStage(t, func(c *preview.Config) { c.Rows = 2 })
	var views []view
	for i := range 4 {
		link := s.has(fmt.Sprint("/", i), says("image/jpeg", pictureOf(t, "jpeg", 100, 50+i)))
		views = append(views, s.preview("ann", link))
		s.wait(time.Minute)
	}
	if n := s.kept(); n != 2 {
		t.Errorf("%d files are kept, want 2", n)
	}
	for i, want := range []int{404, 404, 200, 200} {
		if status, _, _ := s.get("", views[i].Picture.URL); status != want {
			t.Errorf("picture %d: %d, want %d", i, status, want)
		}
	}
}

func TestOneUserHasSoManyPagesAskedAndVisitorsNone(t *testing.T) {
	s := newStage(t, func(c *preview.Config) { c.Burst, c.Every = 3, time.Minute })
	for i := range 3 {
		s.preview("ann", fmt.Sprint(s.web.URL, "/", i))
	}
	r := s.preview("ann", s.web.URL+"/more")
	if r.status != 429 || r.Code != "RATE_LIMITED" {
		t.Errorf("%+v", r)
	}
	link := s.has("/good", says("text/html", "<title>T</title>"))
	if v := s.preview("visitor1", link); v.status != 204 || s.asked.Load() != 3 {
		t.Errorf("a visitor had a page asked: %+v", v)
	}
	if v := s.preview("bob", link); v.Title != "T" {
		t.Errorf("another: %+v", v)
	}
	for _, who := range []string{"ann", "visitor1"} { // what is there already costs nothing
		if v := s.preview(who, link); v.Title != "T" {
			t.Errorf("%s: %+v", who, v)
		}
	}
	s.wait(time.Minute)
	if v := s.preview("ann", s.web.URL+"/more"); v.status != 204 {
		t.Errorf("a minute later: %+v", v)
	}
}

func TestNobodyHasAllLinksAskedAtOnce(t *testing.T) {
	s := newStage(t, func(c *preview.Config) { c.Under, c.Egress.Host = 8, 32 })
	let := make(chan struct{})
	var all sync.WaitGroup
	ask := func(user string, n int) {
		t.Helper()
		asked := s.asked.Load()
		for i := range n {
			link := s.has(fmt.Sprint("/", user, i), func(w http.ResponseWriter, r *http.Request) {
				<-let
				says("text/html", "<title>T</title>")(w, r)
			})
			all.Go(func() {
				if v := s.preview(user, link); v.Title != "T" {
					t.Errorf("%s: %+v", user, v)
				}
			})
		}
		for end := time.Now().Add(20 * time.Second); s.asked.Load() < asked+int64(n); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%d pages are asked", s.asked.Load())
			}
		}
	}
	busy := func(user string) bool {
		r := s.preview(user, s.web.URL+"/more/"+user)
		return r.status == 503 && r.Code == "BUSY"
	}
	ask("ann", 2)
	if !busy("ann") {
		t.Error("one user has more than a quarter asked")
	}
	for _, user := range []string{"bob", "cid", "dan"} {
		ask(user, 2)
	}
	if !busy("eva") {
		t.Error("more are asked than may be")
	}
	close(let)
	all.Wait()
	for _, user := range []string{"ann", "eva"} {
		if busy(user) {
			t.Errorf("%s finds it busy afterwards", user)
		}
	}
}

func TestPreviewsMayBeOff(t *testing.T) {
	s := newStage(t, func(c *preview.Config) { c.Off = true })
	if v := s.preview("ann", s.web.URL); v.status != 422 || v.Code != "UNSUPPORTED" || s.asked.Load() != 0 {
		t.Errorf("%+v", v)
	}
}
