package filectr_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/troupe-im/troupe/filectr"
	"github.com/troupe-im/troupe/internal/access"
	"github.com/troupe-im/troupe/internal/protocol"
)

// desk has root as the one administrator, and writes down what was done.
type desk struct{ log []string }

func (d *desk) Administer(ctx context.Context, what access.Action) (string, error) {
	who, ok := protocol.IdentityFrom(ctx)
	if !ok || who.User != "root" {
		return "", protocol.Denied("this user may not %s", what)
	}
	return "root", nil
}

func (d *desk) ReleaseMade(_ context.Context, by, release, note string) error {
	d.log = append(d.log, "made by "+by+": "+note)
	return nil
}

func (d *desk) ReleaseWithdrawn(_ context.Context, by, release, note string) error {
	d.log = append(d.log, "withdrawn by "+by+": "+note)
	return nil
}

func newReleaseStage(t testing.TB) (*stage, *desk) {
	d := &desk{}
	return newStage(t, func(c *filectr.Config) { c.Admins, c.Apps = d, shops{"shop": {}} }), d
}

type release struct {
	ID, App, Platform, Channel, Version, Minimum, SHA256, URL, State, File, CreatedBy, WithdrawnAt string
	Build, Size                                                                                    int64
}

// release asks for one to be made, with the answer's status.
func (s *stage) release(user string, n map[string]any, want int) release {
	s.t.Helper()
	body, err := json.Marshal(n)
	if err != nil {
		s.t.Fatal(err)
	}
	r := s.do(user, "POST", "/api/v2/releases", bytes.NewReader(body), "Content-Type", "application/json")
	if r.status != want {
		s.t.Errorf("releasing %s: %d %s, want %d", body, r.status, r.body, want)
	}
	var out release
	json.Unmarshal(r.body, &out)
	return out
}

func (s *stage) apk(user, what string) file {
	s.t.Helper()
	return s.upload(user, "troupe.apk", archive(s.t, "AndroidManifest.xml", what))
}

func (s *stage) withdraw(id string, want int) {
	s.t.Helper()
	if r := s.do("root", "POST", "/api/v2/releases/"+id+"/withdraw", nil); r.status != want {
		s.t.Errorf("withdrawing: %d %s, want %d", r.status, r.body, want)
	}
}

// told is what a client is told: state and version.
func (s *stage) told(app, platform, channel, version string) string {
	r := s.Newer(app, platform, channel, version)
	if r == nil {
		return ""
	}
	return r.State + " " + r.Version
}

func TestClientsAreToldOfTheNewestReleaseThatStands(t *testing.T) {
	s, d := newReleaseStage(t)
	one := s.release("root", map[string]any{"platform": "android", "version": "1.0", "file": s.apk("root", "1").ID}, 201)
	three := s.release("root", map[string]any{"platform": "Android", "version": "1.3.0", "build": 130, "minimum": "1.1", "notes": map[string]string{"en": "new"}, "file": s.apk("root", "3").ID}, 201)
	s.release("root", map[string]any{"platform": "android", "version": "1.2", "file": s.apk("root", "2").ID}, 201) // later, but older
	s.release("root", map[string]any{"platform": "android", "channel": "beta", "version": "2.0-beta.1", "file": three.File}, 201)
	s.release("root", map[string]any{"app": "shop", "platform": "android", "version": "7", "file": s.apk("root", "7").ID}, 201)
	want := func(state string, asked ...string) {
		t.Helper()
		asked = append(asked, "", "", "")
		if got := s.told(asked[2], "android", asked[1], asked[0]); got != state {
			t.Errorf("with %q one is told %q, want %q", asked, got, state)
		}
	}
	check := func() {
		t.Helper()
		want("required 1.3.0", "0.9")
		want("required 1.3.0", "v1.0.99")
		want("available 1.3.0", "1.1")
		want("available 1.3.0", "1.3.0-rc.1")
		want("available 1.3.0", "1.3+129")
		want("", "1.3+130")
		want("", "1.3")
		want("", "1.4")
		want("", "")
		want("", "nightly")
		want("available 2.0-beta.1", "1.3", "Beta")
		want("", "1.3", "alpha")
		want("available 7", "1", "", "shop")
		want("", "1", "", "club")
		if got := s.told("", "ios", "", "0.1"); got != "" {
			t.Errorf("on another platform one is told %q", got)
		}
	}
	check()
	s.start() // a restart
	check()
	n := s.Newer("", "android", "stable", "1.2")
	if n.Release != three.ID || n.Build != 130 || n.Notes["en"] != "new" || n.Url != "/api/v2/releases/"+three.ID+"/file" || n.Sha256 != three.SHA256 || n.Size != three.Size {
		t.Errorf("%+v, want what was released as %+v", n, three)
	}
	s.withdraw(three.ID, 200)
	s.withdraw(three.ID, 200)
	want("available 1.2", "0.9") // which has no minimum
	want("", "1.3.0+130")        // nobody goes back
	want("available 2.0-beta.1", "1.3", "beta")
	var latest release
	r := s.do("", "GET", "/api/v2/releases/latest?platform=android&version=1.2", nil)
	if err := json.Unmarshal(r.body, &latest); err != nil || r.status != 200 || latest.Version != "1.2" || latest.State != "current" {
		t.Errorf("the latest: %d %s", r.status, r.body)
	}
	if r := s.do("", "GET", "/api/v2/releases/latest?platform=ios", nil); r.code() != "NOT_FOUND" {
		t.Errorf("of another platform: %d %s", r.status, r.body)
	}
	for path, status := range map[string]int{one.ID: 200, one.ID + "/file": 200, three.ID: 200, three.ID + "/file": 410, "none": 404, "none/file": 404} {
		if r := s.do("", "GET", "/api/v2/releases/"+path, nil); r.status != status {
			t.Errorf("%s: %d %s, want %d", path, r.status, r.body, status)
		}
	}
	if want := []string{"made by root: android stable 1.0", "made by root: android stable 1.3.0 build 130", "made by root: android stable 1.2",
		"made by root: android beta 2.0-beta.1", "made by root: android stable 7 of shop", "withdrawn by root: android stable 1.3.0 build 130"}; !slices.Equal(d.log, want) {
		t.Errorf("the audit log has %q", d.log)
	}
}

func TestAReleaseIsMadeOnceAndByAdministrators(t *testing.T) {
	s, _ := newReleaseStage(t)
	f := s.apk("root", "1")
	n := func(change ...any) map[string]any {
		m := map[string]any{"platform": "android", "version": "1.0", "minimum": "0.5", "file": f.ID}
		for i := 0; i+1 < len(change); i += 2 {
			m[change[i].(string)] = change[i+1]
		}
		return m
	}
	for user, status := range map[string]int{"ann": 403, "visitor": 403, "": 401} {
		s.release(user, n(), status)
		if r := s.do(user, "GET", "/api/v2/releases", nil); r.status != status {
			t.Errorf("%q lists them: %d", user, r.status)
		}
		if r := s.do(user, "POST", "/api/v2/releases/none/withdraw", nil); r.status != status {
			t.Errorf("%q withdraws one: %d", user, r.status)
		}
	}
	for says, c := range map[string]struct {
		n      map[string]any
		status int
	}{
		"no version":               {n("version", "latest"), 400},
		"no platform":              {n("platform", ""), 400},
		"a platform of two words":  {n("platform", "a b"), 400},
		"a minimum above itself":   {n("minimum", "1.1"), 400},
		"a minimum that is none":   {n("minimum", "x"), 400},
		"another build":            {n("version", "1.0+5", "build", 6), 400},
		"notes that ring":          {n("notes", map[string]string{"en": "\a"}), 400},
		"long notes":               {n("notes", map[string]string{"en": strings.Repeat("x", 4001)}), 413},
		"no application":           {n("app", "none"), 404},
		"no file":                  {n("file", protocol.NewFileID()), 404},
		"another one's file":       {n("file", s.apk("ann", "2").ID), 404},
		"a file that is a text":    {n("file", s.upload("root", "a.txt", []byte("text")).ID), 422},
		"a file that is a picture": {n("file", s.upload("root", "a.png", pictureOf(t, "png", 9, 9)).ID), 422},
	} {
		if r := s.release("root", c.n, c.status); r.ID != "" {
			t.Errorf("%s is released", says)
		}
	}
	made := s.release("root", n(), 201)
	if made.Channel != "stable" || made.CreatedBy != "root" || made.SHA256 != f.SHA256 || made.Size != f.Size {
		t.Errorf("%+v", made)
	}
	again := s.apk("root", "1") // the same content, uploaded once more
	for _, same := range []map[string]any{n(), n("version", "1.0.0"), n("file", again.ID), n("channel", "Stable")} {
		if r := s.release("root", same, 200); r.ID != made.ID {
			t.Errorf("asked again, it is %+v", r)
		}
	}
	s.release("root", n("file", s.apk("root", "3").ID), 409)
	s.release("root", n("minimum", ""), 409)
	s.release("root", n("notes", map[string]string{"en": "x"}), 409)
	s.withdraw(made.ID, 200)
	s.release("root", n("file", again.ID), 409) // clients that have it would not tell the two apart
	s.release("root", n("file", again.ID, "version", "1.0.1"), 201)
	s.withdraw("none", 404)
	s.release("root", n("file", again.ID, "version", "1.0.1+7"), 409) // whoever says 1.0.1 would not be told
	s.release("root", n("file", again.ID, "version", "1.0.2+7"), 201)
	s.release("root", n("file", again.ID, "version", "1.0.2+7"), 200)
	s.release("root", n("file", again.ID, "version", "1.0.2"), 409)
	s.release("root", n("file", again.ID, "version", "1.0.2", "build", 8), 201)
	zipped := s.upload("root", "troupe.zip", archive(t, "troupe.exe"))
	s.release("root", n("platform", "windows", "file", zipped.ID), 201)
}

func TestAReleasedFileIsTheInstallations(t *testing.T) {
	s, _ := newReleaseStage(t)
	f := s.apk("root", "1")
	twin := s.apk("ann", "1")
	s.used("root", f.Size)
	one := s.release("root", map[string]any{"platform": "android", "version": "1", "file": f.ID}, 201)
	two := s.release("root", map[string]any{"platform": "android", "channel": "beta", "version": "1", "file": f.ID}, 201)
	s.used("root", 0) // it takes of the room of all alone
	s.used("", f.Size+twin.Size)
	if r := s.remove("root", f.ID); r.status == http.StatusNoContent {
		t.Error("it is removed by who uploaded it")
	}
	if err := s.Abandon(t.Context(), "root"); err != nil { // who uploaded it is erased
		t.Fatal(err)
	}
	sweep := func(after time.Duration) {
		t.Helper()
		s.wait(after)
		if err := s.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	sweep(48 * time.Hour)
	whole := s.do("", "GET", one.URL, nil)
	if whole.status != 200 || int64(len(whole.body)) != f.Size || whole.header.Get("ETag") == "" || whole.header.Get("Content-Disposition") != "attachment; filename=troupe.apk" {
		t.Errorf("%d %v", whole.status, whole.header)
	}
	if r := s.do("", "GET", one.URL, nil, "If-None-Match", whole.header.Get("ETag")); r.status != http.StatusNotModified {
		t.Errorf("asked again: %d", r.status)
	}
	if r := s.do("", "HEAD", one.URL, nil); r.status != 200 || r.header.Get("Content-Length") != fmt.Sprint(f.Size) || !strings.HasPrefix(r.header.Get("Repr-Digest"), "sha-256=:") {
		t.Errorf("%d %v", r.status, r.header)
	}
	s.withdraw(one.ID, 200)
	sweep(2 * time.Hour)
	if r := s.do("", "GET", two.URL, nil); r.status != 200 {
		t.Errorf("the other release of the same file: %d", r.status)
	}
	s.used("", f.Size)
	s.withdraw(two.ID, 200)
	sweep(30 * time.Minute)
	if contents, _ := s.kept(); contents != 1 {
		t.Errorf("%d contents are kept for a moment", contents)
	}
	sweep(2 * time.Hour)
	sweep(2 * time.Hour)
	if contents, _ := s.kept(); contents != 0 {
		t.Errorf("of withdrawn releases %d contents are kept", contents)
	}
	s.used("", 0)
	s.start()
	if r, err := s.Release(one.ID); err != nil || r.Withdrawn.IsZero() || r.WithdrawnBy != "root" {
		t.Errorf("what was withdrawn is still known as %+v, %v", r, err)
	}
}

func TestReleasesAreListedInPages(t *testing.T) {
	s, _ := newReleaseStage(t)
	f := s.apk("root", "1")
	var made []string
	for i := range 7 {
		s.wait(time.Second)
		r := s.release("root", map[string]any{"platform": []string{"android", "ios"}[i%2], "version": fmt.Sprint(i), "file": f.ID}, 201)
		made = append([]string{r.ID}, made...)
	}
	s.withdraw(made[3], 200)
	list := func(query string) (ids []string) {
		t.Helper()
		for cursor := ""; ; {
			r := s.do("root", "GET", "/api/v2/releases?limit=2&"+query+"&cursor="+cursor, nil)
			var page struct {
				Items []release
				Next  string
			}
			if err := json.Unmarshal(r.body, &page); err != nil || r.status != 200 {
				t.Fatalf("%d %s", r.status, r.body)
			}
			for _, one := range page.Items {
				ids = append(ids, one.ID)
			}
			if cursor = page.Next; cursor == "" {
				return ids
			}
		}
	}
	if got := list(""); !slices.Equal(got, made) {
		t.Errorf("%v, want %v", got, made)
	}
	if got, want := list("platform=ios&withdrawn=false"), []string{made[1], made[5]}; !slices.Equal(got, want) {
		t.Errorf("of one platform %v, want %v", got, want)
	}
}
