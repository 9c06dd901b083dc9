package filectr_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/troupe-im/troupe/filectr"
	"github.com/troupe-im/troupe/internal/protocol"
)

func TestAFileIsReadByThoseWhoMayReadAnEntryWithIt(t *testing.T) {
	s := newStage(t, nil)
	f := s.upload("ann", "a.txt", []byte("secret"))
	room := s.session("ann", "bob")
	paths := []string{"", "/info", "/thumb"}
	may := func(user string, want ...int) {
		t.Helper()
		for i, path := range paths {
			if r := s.do(user, "GET", "/api/v2/files/"+f.ID+path, nil); r.status != want[i] {
				t.Errorf("%s reads %q: %d, want %d", user, path, r.status, want[i])
			}
		}
		link := 404
		if want[0] == 200 {
			link = 201
		}
		if r := s.do(user, "POST", "/api/v2/files/"+f.ID+"/link", nil); r.status != link {
			t.Errorf("%s asks for a link: %d, want %d", user, r.status, link)
		}
	}
	yes, no := []int{200, 200, 404}, []int{404, 404, 404} // a text has no thumbnail
	may("ann", yes...)
	may("bob", no...)
	s.say(room, 1, "ann", &protocol.Content{Type: protocol.ContentType_FILE, File: f.ID})
	may("ann", yes...)
	may("bob", yes...)
	may("cid", no...)
	link := s.link("bob", f.ID, "")
	if r := s.do("", "GET", link, nil); r.status != 200 || string(r.body) != "secret" {
		t.Errorf("by a link: %d %s", r.status, r.body)
	}
	s.recall(room, 2, 1, "ann")
	may("ann", no...)
	may("bob", no...)
	if r := s.do("", "GET", link, nil); r.status != 404 {
		t.Errorf("by a link after the recall: %d", r.status)
	}
}

func (s *stage) link(user, id, size string) string {
	s.t.Helper()
	body := "{}"
	if size != "" {
		body = `{"size":"` + size + `"}`
	}
	r := s.do(user, "POST", "/api/v2/files/"+id+"/link", strings.NewReader(body), "Content-Type", "application/json")
	var a struct{ URL string }
	if err := json.Unmarshal(r.body, &a); err != nil || r.status != 201 {
		s.t.Fatalf("a link: %d %s", r.status, r.body)
	}
	return a.URL
}

func TestALinkEndsAndOpensNothingElse(t *testing.T) {
	s := newStage(t, nil)
	f, g := s.upload("ann", "a.txt", []byte("one")), s.upload("ann", "b.txt", []byte("two"))
	link := s.link("ann", f.ID, "")
	for says, path := range map[string]string{
		"another file":        strings.Replace(link, f.ID, g.ID, 1),
		"another code":        link[:len(link)-2] + "AA",
		"another size":        link + "?size=small",
		"a short code":        link[:strings.LastIndex(link, "/")] + "/AAAA",
		"one that is no code": link[:strings.LastIndex(link, "/")] + "/!!!",
	} {
		if r := s.do("", "GET", path, nil); r.status != 404 {
			t.Errorf("%s: %d", says, r.status)
		}
	}
	r := s.do("", "GET", link, nil)
	if r.status != 200 || r.header.Get("Cross-Origin-Resource-Policy") != "cross-origin" {
		t.Errorf("%d %v", r.status, r.header)
	}
	s.wait(5*time.Minute - 2*time.Second)
	if r := s.do("", "HEAD", link, nil); r.status != 200 {
		t.Errorf("before its end: %d", r.status)
	}
	s.wait(3 * time.Second)
	if r := s.do("", "GET", link, nil); r.status != http.StatusGone || r.code() != "EXPIRED" {
		t.Errorf("after its end: %d %s", r.status, r.body)
	}
}

// door keeps one user out.
type door struct{ out atomic.Pointer[string] }

func (d *door) MayCome(_ context.Context, id protocol.UserID) error {
	if out := d.out.Load(); out != nil && *out == id {
		return protocol.Unauthorized("this user is disabled")
	}
	return nil
}

func TestALinkEndsWithWhoAskedForIt(t *testing.T) {
	d := &door{}
	s := newStage(t, func(c *filectr.Config) { c.Users = d })
	f := s.upload("ann", "a.txt", []byte("one"))
	link := s.link("ann", f.ID, "")
	if r := s.do("", "GET", link, nil); r.status != 200 {
		t.Errorf("%d %s", r.status, r.body)
	}
	out := "ann"
	d.out.Store(&out)
	if r := s.do("", "GET", link, nil); r.status != 404 {
		t.Errorf("of who is disabled: %d %s", r.status, r.body)
	}
}

func TestLinksLeadToTheOriginOfFiles(t *testing.T) {
	s := newStage(t, func(c *filectr.Config) { c.Origin = "https://files.example.com" })
	f := s.upload("ann", "a.txt", []byte("one"))
	if link := s.link("ann", f.ID, ""); !strings.HasPrefix(link, "https://files.example.com/api/v2/files/"+f.ID+"/link/") {
		t.Error(link)
	}
}

func TestUnsentUploadsAndRecalledFilesAreCollected(t *testing.T) {
	s := newStage(t, nil)
	room := s.session("ann", "bob")
	unsent, sent, recalled := s.upload("ann", "a.txt", []byte("unsent")), s.upload("ann", "b.txt", []byte("sent")), s.upload("ann", "c.txt", []byte("recalled"))
	again := s.upload("bob", "c.txt", []byte("sent")) // the same content, another file
	s.say(room, 1, "ann", &protocol.Content{Type: protocol.ContentType_FILE, File: sent.ID})
	s.say(room, 2, "ann", &protocol.Content{Type: protocol.ContentType_FILE, File: recalled.ID})
	s.recall(room, 3, 2, "ann")
	sweep := func(after time.Duration, contents int, there map[string]int) {
		t.Helper()
		s.wait(after)
		if err := s.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n, _ := s.kept(); n != contents {
			t.Errorf("%d contents are kept, want %d", n, contents)
		}
		for id, want := range there {
			if r := s.get("ann", id); r.status != want {
				t.Errorf("%s: %d, want %d", id, r.status, want)
			}
		}
	}
	sweep(30*time.Minute, 3, map[string]int{unsent.ID: 200, sent.ID: 200, recalled.ID: 404})
	sweep(time.Hour, 2, map[string]int{unsent.ID: 200, sent.ID: 200})
	s.used("ann", int64(len("unsent")+len("sent")))
	sweep(24*time.Hour, 1, map[string]int{unsent.ID: 404, sent.ID: 200})
	if _, err := s.store.File(t.Context(), again.ID); !protocol.Code_NOT_FOUND.Is(err) {
		t.Errorf("bob's unsent file: %v", err)
	}
	s.used("ann", int64(len("sent")))
	s.used("bob", 0)
}

func TestOneMayNameLinksAndFilesOneMayReadOnly(t *testing.T) {
	s := newStage(t, nil)
	f := s.upload("ann", "a.txt", []byte("x"))
	for name, want := range map[string]bool{
		f.ID: true, "https://example.com/x.png": true, "http://example.com": true,
		protocol.NewFileID(): false, "f_1": false, "": false, "javascript:alert(1)": false, "../etc": false,
	} {
		err := s.Readable(t.Context(), "ann", []string{f.ID, name})
		if want != (err == nil) || err != nil && !protocol.Code_NOT_FOUND.Is(err) {
			t.Errorf("ann names %q: %v", name, err)
		}
	}
	if err := s.Readable(t.Context(), "bob", []string{f.ID}); !protocol.Code_NOT_FOUND.Is(err) {
		t.Errorf("bob names ann's file: %v", err)
	}
}

func TestAVoiceMessageHasItsDurationAndPeaks(t *testing.T) {
	s := newStage(t, nil)
	samples := make([]byte, 16_000) // a second of 8 kHz, 16 bits
	for i := 8001; i < len(samples); i += 2 {
		samples[i] = 0x40
	}
	wav := append([]byte("RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x80\x3e\x00\x00\x02\x00\x10\x00data\x80\x3e\x00\x00"), samples...)
	if f := s.upload("ann", "a.wav", wav); f.Kind != "voice" || f.Duration != 1000 || len(f.Peaks) != 64 || f.Peaks[0] != 0 || f.Peaks[63] != 128 {
		t.Errorf("%+v", f)
	}
	if f := s.upload("ann", "a.mp3", []byte("ID3\x04 and so on")); f.Kind != "voice" || f.Duration != 0 || f.Peaks != nil {
		t.Errorf("what cannot be measured: %+v", f)
	}
	if f := s.upload("ann", "a.ogg", []byte("OggS, and not what belongs to it")); f.Kind != "voice" || f.Duration != 0 || f.Peaks != nil {
		t.Errorf("what is damaged: %+v", f)
	}
}
