package filectr_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/troupe-im/troupe/filectr"
)

// shops are applications with limits, by their ids.
type shops map[string]filectr.AppLimits

func (s shops) FileLimits(app string) filectr.AppLimits { return s[app] }
func (s shops) HasApp(app string) bool                  { _, ok := s[app]; return ok }

// Users called NAME@APP came by that application: see words.

func TestFiftyUploadsOfAnApplicationsUsersStopExactlyAtItsQuota(t *testing.T) {
	limits := shops{"shop": {Quota: 10 * 1000}, "club": {QuotaGuests: 7 * 1000}}
	for _, c := range []struct {
		says, who, room string
		app             string
		guests          bool
		fit             int64
	}{
		{"people of one", "user%d@shop", "the files of this application's users", "shop", false, 10},
		{"visitors of one", "visitor%d@shop", "the files of this application's users", "shop", true, 10},
		{"visitors who are bounded", "visitor%d@club", "the files of this application's visitors", "club", true, 7},
	} {
		t.Run(c.says, func(t *testing.T) {
			s := newStage(t, func(cfg *filectr.Config) { cfg.Apps = limits })
			var mu sync.Mutex
			var in, out int64
			var wg sync.WaitGroup
			for i := range 50 {
				content := bytes.Repeat([]byte{byte('a' + i%26)}, 1000)
				wg.Go(func() {
					r := s.post(fmt.Sprintf(c.who, i), "a.txt", content)
					mu.Lock()
					defer mu.Unlock()
					switch {
					case r.status == http.StatusCreated:
						in++
					case r.status == http.StatusInsufficientStorage && r.code() == "QUOTA" && strings.Contains(string(r.body), c.room):
						out++
					default:
						t.Errorf("%d %s", r.status, r.body)
					}
				})
			}
			wg.Wait()
			if in != c.fit || out != 50-c.fit {
				t.Errorf("%d got in and %d did not, and there was room for %d", in, out, c.fit)
			}
			all, guests, err := s.UsedIn(t.Context(), c.app)
			if err != nil || all != c.fit*1000 || c.guests && guests != all || !c.guests && guests != 0 {
				t.Errorf("they take %d, visitors %d, %v", all, guests, err)
			}
			s.used("", c.fit*1000)
			// Others have their own room, and what is removed is room again.
			s.upload("ann", "a.txt", make([]byte, 1000))
			s.upload("ann@club", "a.txt", make([]byte, 1000))
		})
	}
}

func TestRoomOfAnApplicationIsGivenBack(t *testing.T) {
	s := newStage(t, func(c *filectr.Config) { c.Apps = shops{"shop": {Quota: 1000}} })
	want := func(n int64) {
		t.Helper()
		if all, guests, err := s.UsedIn(t.Context(), "shop"); err != nil || all != n || guests != n {
			t.Errorf("they take %d, visitors %d, %v, want %d", all, guests, err, n)
		}
	}
	f := s.upload("visitor@shop", "a.txt", make([]byte, 600))
	want(600)
	path := s.begin("visitor2@shop", "b.txt", 400)
	want(1000)
	s.start() // a resumed upload is still that application's
	if r := s.post("ann@shop", "c.txt", []byte("x")); r.code() != "QUOTA" {
		t.Errorf("one byte more: %d %s", r.status, r.body)
	}
	if r := s.tus("visitor2@shop", "DELETE", path, nil); r.status != http.StatusNoContent {
		t.Fatalf("%d %s", r.status, r.body)
	}
	want(600)
	if r := s.remove("visitor@shop", f.ID); r.status != http.StatusNoContent {
		t.Fatalf("%d %s", r.status, r.body)
	}
	want(0)
	// What does not say how long it is gets what there is.
	body, typ := form("a.txt", make([]byte, 900))
	if r := s.do("ann@shop", "POST", "/api/v2/files", struct{ io.Reader }{body}, "Content-Type", typ); r.status != http.StatusCreated {
		t.Errorf("%d %s", r.status, r.body)
	}
}

func TestAnApplicationTakesTheKindsTypesAndSizesThatItNames(t *testing.T) {
	s := newStage(t, func(c *filectr.Config) {
		c.MaxVoice = 500
		c.Apps = shops{
			"photos": {Kinds: []filectr.Kind{filectr.Image}},
			"papers": {Types: []string{"application/pdf", "image/*"}},
			"small":  {Max: map[filectr.Kind]int64{filectr.Document: 10, filectr.Voice: 1 << 20}},
		}
	})
	png, pdf, text := pictureOf(t, "png", 20, 20), []byte("%PDF-1.7 and so on"), []byte("0123456789")
	wav := append([]byte("RIFF\x00\x00\x00\x00WAVEfmt "), make([]byte, 600)...)
	for _, c := range []struct {
		who, name string
		content   []byte
		status    int
		says      string
	}{
		{"ann@photos", "a.png", png, 201, ""},
		{"ann@photos", "a.txt", text, 422, "takes files of the kinds image, and this is of the kind document"},
		{"ann@photos", "a.exe", png, 422, "of the kind document"}, // whatever it is
		{"ann@papers", "a.png", png, 201, ""},
		{"ann@papers", "a.pdf", pdf, 201, ""},
		{"ann@papers", "a.txt", text, 422, "takes files of the types application/pdf, image/*, and this is of the type text/plain"},
		{"ann@small", "a.txt", text, 201, ""},
		{"ann@small", "a.txt", append(text, 'x'), 413, "at most 10 bytes in this application"},
		{"ann@small", "a.wav", wav, 413, "at most 500 bytes"}, // the installation's holds too
		{"ann@small", "a.png", png, 201, ""},
		{"ann@none", "a.txt", append(text, 'x'), 201, ""},
		{"ann", "a.txt", append(text, 'x'), 201, ""},
	} {
		r := s.post(c.who, c.name, c.content)
		var p struct{ Detail string }
		json.Unmarshal(r.body, &p)
		if r.status != c.status || !strings.Contains(p.Detail, c.says) {
			t.Errorf("%s of %s: %d %q, want %d %q", c.name, c.who, r.status, p.Detail, c.status, c.says)
		}
		if len(c.content) == 0 {
			continue
		}
		path := s.begin(c.who, c.name, len(c.content)) // the same in parts
		if r := s.part(c.who, path, 0, c.content); (r.status == 204) != (c.status == 201) || c.status != 201 && r.status != c.status {
			t.Errorf("%s of %s in parts: %d %s, want %d", c.name, c.who, r.status, r.body, c.status)
		}
	}
	if _, drafts := s.kept(); drafts != 0 {
		t.Errorf("%d drafts are left", drafts)
	}
}
