package main

import (
	"bytes"
	"image"
	"image/color"
	_ "image/jpeg"
	"image/png"
	"io"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/troupe-im/troupe/filectr"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/userctr"
)

var red, blue = color.RGBA{220, 30, 40, 255}, color.RGBA{30, 60, 200, 255}

// banner is a wide picture with its middle in one colour and the rest in another.
func banner(t *testing.T, middle, sides color.RGBA) []byte {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, 700, 400))
	for y := range 400 {
		for x := range 700 {
			c := sides
			if x >= 150 && x < 550 {
				c = middle
			}
			m.Set(x, y, c)
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// show asks for a picture as <img> does: without a token.
func (s *testServer) show(path string, header ...string) (int, http.Header, []byte) {
	s.t.Helper()
	req, err := http.NewRequest(http.MethodGet, s.url+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res.StatusCode, res.Header, text
}

// square decodes a picture that has to be a square of size pixels.
func square(t *testing.T, text []byte, size int) image.Image {
	t.Helper()
	m, _, err := image.Decode(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("%v: %.80q", err, text)
	}
	if got := m.Bounds().Size(); got != image.Pt(size, size) {
		t.Errorf("the picture has %v, want %d a side", got, size)
	}
	return m
}

// is says whether a pixel has about a colour.
func is(m image.Image, x, y int, want color.RGBA) bool {
	r, g, b, _ := m.At(x, y).RGBA()
	near := func(got uint32, want uint8) bool { return math.Abs(float64(got>>8)-float64(want)) < 24 }
	return near(r, want.R) && near(g, want.G) && near(b, want.B)
}

func (s *testServer) avatar(asker, user string) string {
	s.t.Helper()
	var p struct{ Avatar string }
	s.get(asker, "/api/v2/users/"+user, &p)
	return p.Avatar
}

func TestAPictureBecomesOnesAvatarAndEverybodySeesItAtOnce(t *testing.T) {
	s := startServer(t)
	ann := s.join("ann", "laptop")
	s.pair(ann, "ann", "bob")
	bob := s.join("bob", "phone")
	bob.snapshot()
	made := s.avatar("bob", "ann")
	if status, header, text := s.show(made); status != 200 || header.Get("Content-Type") != "image/png" || !strings.Contains(header.Get("Cache-Control"), "immutable") {
		t.Errorf("before one is chosen %s gives %d %v", made, status, header)
	} else {
		square(t, text, 96)
		if again, _, _ := s.show(made, "If-None-Match", header.Get("ETag")); again != http.StatusNotModified {
			t.Errorf("asked again: %d", again)
		}
	}
	file := s.upload("ann", "a.png", banner(t, red, blue))
	var set struct{ Avatar string }
	s.do("ann", "PUT", "/api/v2/users/me/avatar", map[string]string{"file": file}, 200, &set)
	if set.Avatar == "" || set.Avatar == made || set.Avatar != s.avatar("bob", "ann") {
		t.Errorf("it is set to %q, and shown as %q", set.Avatar, s.avatar("bob", "ann"))
	}
	soon(t, "bob to be told", func() bool {
		return bob.saw(func(f *protocol.Frame) bool { return f.GetUserUpdate().GetProfile().GetAvatar() == set.Avatar })
	})
	for path, size := range map[string]int{set.Avatar: 96, set.Avatar + "?size=320": 320} {
		status, header, text := s.show(path)
		if status != 200 || header.Get("Content-Type") != "image/jpeg" || header.Get("X-Content-Type-Options") != "nosniff" || header.Get("Cross-Origin-Resource-Policy") != "cross-origin" {
			t.Fatalf("%s: %d %v", path, status, header)
		}
		m := square(t, text, size)
		if !is(m, 2, size/2, red) || !is(m, size-3, size/2, red) {
			t.Errorf("%s is not the middle of the picture: %v", path, m.At(2, size/2))
		}
	}
	for _, who := range []string{"ann", "bob"} {
		if status, _, text := s.ask(who, "GET", "/api/v2/users/ann/avatar?size=320", nil); status != 200 {
			t.Errorf("%s reads ann's avatar: %d %s", who, status, text)
		}
	}
	if status, _, _ := s.show("/api/v2/users/ann/avatar"); status != http.StatusUnauthorized {
		t.Errorf("nobody reads it by its name: %d", status)
	}
	s.do("ann", "PUT", "/api/v2/users/me", map[string]string{"nickname": "Ann", "avatar": set.Avatar}, 200, nil) // as it came
	if got := s.avatar("bob", "ann"); got != set.Avatar {
		t.Errorf("what was shown is set again, and shown as %q", got)
	}

	var other struct{ Avatar string }
	s.do("ann", "PUT", "/api/v2/users/me", map[string]string{"avatar": s.upload("ann", "b.png", banner(t, blue, red))}, 200, &other)
	if status, _, _ := s.show(set.Avatar); status != http.StatusNotFound {
		t.Errorf("the old picture: %d", status)
	}
	if _, _, text := s.show(other.Avatar); !is(square(t, text, 96), 3, 3, blue) {
		t.Error("the new picture is another")
	}
	s.do("bob", "PUT", "/api/v2/users/me", map[string]string{"avatar": other.Avatar}, http.StatusBadRequest, nil)
	s.do("bob", "PUT", "/api/v2/users/me/avatar", map[string]string{"file": file}, http.StatusNotFound, nil)
	s.do("bob", "PUT", "/api/v2/users/me/avatar", map[string]string{"file": s.upload("bob", "a.txt", []byte("no picture"))}, http.StatusUnprocessableEntity, nil)

	s.kill()
	s.start()
	if status, _, _ := s.show(other.Avatar); status != 200 {
		t.Errorf("after a restart: %d", status)
	}
	copied := filepath.Join(t.TempDir(), "copy")
	if out, err := s.command("backup", copied); err != nil {
		t.Fatalf("backup: %v\n%s", err, out)
	}
	s.do("ann", "DELETE", "/api/v2/users/me/avatar", nil, http.StatusNoContent, nil)
	if got := s.avatar("bob", "ann"); got != made {
		t.Errorf("with none there is %q, want %q", got, made)
	}
	if status, _, _ := s.show(other.Avatar); status != http.StatusNotFound {
		t.Errorf("taken away: %d", status)
	}
	s.kill()
	s.data = copied
	s.start()
	if status, _, _ := s.show(other.Avatar); status != 200 {
		t.Errorf("from the backup: %d", status)
	}
}

func TestAvatarsAreChangedOnlySoOften(t *testing.T) {
	s := startServer(t)
	file := s.upload("ann", "a.png", banner(t, red, blue))
	var codes []int
	for range 11 {
		status, _, _ := s.ask("ann", "PUT", "/api/v2/users/me/avatar", []byte(`{"file":"`+file+`"}`), "Content-Type", "application/json")
		codes = append(codes, status)
	}
	if codes[0] != 200 || codes[10] != http.StatusTooManyRequests {
		t.Errorf("eleven in a row: %v", codes)
	}
}

func TestAGroupShowsItsMembersUntilItHasAPictureOfItsOwn(t *testing.T) {
	s := startServer(t)
	ann := s.join("ann", "laptop")
	for _, user := range []string{"bob", "cid", "dee"} {
		s.join(user, "first sight").Close()
	}
	s.do("bob", "PUT", "/api/v2/users/me/avatar", map[string]string{"file": s.upload("bob", "a.png", banner(t, red, red))}, 200, nil)
	group := ann.ask(&protocol.Frame{Body: &protocol.Frame_SessionCreate{SessionCreate: &protocol.SessionCreate{
		SessionType: protocol.SessionType_GROUP, Members: []string{"bob", "cid"},
	}}}).GetSessionCreateReply().Result[0]
	face := func(user string) string {
		t.Helper()
		return head(s.join(user, "face of "+user).snapshot(), group).Avatar
	}
	bobs, cids := face("bob"), face("cid")
	if bobs == cids || bobs == "" {
		t.Errorf("bob and cid get %q and %q", bobs, cids)
	}
	status, header, text := s.show(cids)
	if status != 200 || strings.Contains(header.Get("Cache-Control"), "immutable") {
		t.Fatalf("the group's picture: %d %v", status, header)
	}
	if m := square(t, text, 96); !is(m, 20, 70, red) { // ann above, bob and cid below
		t.Errorf("bob's face is not in it: %v", m.At(20, 70))
	}
	if again, _, _ := s.show(cids, "If-None-Match", header.Get("ETag")); again != http.StatusNotModified {
		t.Errorf("asked again: %d", again)
	}
	if status, _, _ := s.show(strings.TrimSuffix(cids, cids[len(cids)-4:]) + "AAAA"); status != http.StatusNotFound {
		t.Errorf("a pass that was changed: %d", status)
	}
	if status, _, text := s.ask("cid", "GET", "/api/v2/sessions/"+group+"/avatar", nil); status != 200 {
		t.Errorf("cid reads it by its name: %d", status)
	} else {
		square(t, text, 96)
	}
	if status, _, _ := s.ask("dee", "GET", "/api/v2/sessions/"+group+"/avatar", nil); status != http.StatusNotFound {
		t.Errorf("dee, who is in no such group, reads it: %d", status)
	}

	var faces struct {
		Items []struct{ User, Avatar string }
		Next  string
	}
	s.get("cid", "/api/v2/sessions/"+group+"/participants/avatars?limit=2", &faces)
	if len(faces.Items) != 2 || faces.Items[0].User != "ann" || faces.Items[1].Avatar != s.avatar("cid", "bob") || faces.Next == "" {
		t.Errorf("the members' avatars are %+v", faces)
	}
	s.get("cid", "/api/v2/sessions/"+group+"/participants/avatars?cursor="+faces.Next, &faces)
	for _, f := range faces.Items {
		if status, _, _ := s.show(f.Avatar); status != 200 {
			t.Errorf("%+v: %d", f, status)
		}
	}

	if out, err := s.command("user", "disable", "bob"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if status, _, _ := s.show(bobs); status != http.StatusNotFound {
		t.Errorf("bob, who is shut out, sees the group's picture: %d", status)
	}
	if out, err := s.command("user", "enable", "bob"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if status, _, _ := s.show(bobs); status != 200 {
		t.Errorf("bob, who is let in again, sees the group's picture: %d", status)
	}
	s.do("ann", "DELETE", "/api/v2/sessions/"+group+"/participants?members=cid", nil, 200, nil)
	if status, _, _ := s.show(cids); status != http.StatusNotFound {
		t.Errorf("cid, who is no member any more, sees the group's picture: %d", status)
	}

	bob := s.join("bob", "phone")
	bob.snapshot()
	own := s.upload("bob", "b.png", banner(t, blue, red))
	s.do("bob", "PUT", "/api/v2/sessions/"+group+"/avatar", map[string]string{"file": own}, http.StatusForbidden, nil)
	mine := s.upload("ann", "b.png", banner(t, blue, red))
	s.do("ann", "PUT", "/api/v2/sessions/"+group+"/avatar", map[string]string{"file": own}, http.StatusNotFound, nil)
	ann.ask(&protocol.Frame{Body: &protocol.Frame_SessionSet{SessionSet: &protocol.SessionSet{Session: group, Avatar: &mine}}})
	var info struct{ Avatar string }
	s.get("bob", "/api/v2/sessions/"+group+"/session", &info)
	if status, _, text := s.show(info.Avatar + "?size=320"); status != 200 || !is(square(t, text, 320), 3, 3, blue) {
		t.Errorf("the group's own picture at %q: %d", info.Avatar, status)
	}
	if got := face("bob"); got != info.Avatar {
		t.Errorf("in bob's list it is %q, want %q", got, info.Avatar)
	}
	s.do("ann", "PUT", "/api/v2/sessions/"+group, map[string]string{"name": "hike", "avatar": info.Avatar}, 200, nil) // as it came
	s.do("ann", "DELETE", "/api/v2/sessions/"+group+"/avatar", nil, 200, nil)
	if status, _, _ := s.show(info.Avatar); status != http.StatusNotFound {
		t.Errorf("taken away: %d", status)
	}
	if got := face("bob"); got != bobs {
		t.Errorf("then it is %q, want %q", got, bobs)
	}
	var code struct{ Code string }
	s.do("ann", "POST", "/api/v2/sessions/"+group+"/links", map[string]int{"uses": 1}, 201, &code)
	s.get("dee", "/api/v2/sessions/links/"+code.Code, &info)
	if status, _, _ := s.show(info.Avatar); status != 200 || info.Avatar != protocol.MadeAvatar(group) {
		t.Errorf("whoever looks at a link sees %q: %d", info.Avatar, status)
	}
	made := ann.ask(&protocol.Frame{Body: &protocol.Frame_SessionCreate{SessionCreate: &protocol.SessionCreate{
		SessionType: protocol.SessionType_GROUP, Members: []string{"bob"}, Avatar: mine,
	}}}).GetSessionCreateReply()
	path := made.Entities.Session[made.Result[0]].Avatar
	if status, _, text := s.show(path); status != 200 || !is(square(t, text, 96), 3, 3, blue) {
		t.Errorf("a group that began with a picture has %q: %d", path, status)
	}
	pair := protocol.P2PSessionID("ann", "bob")
	ann.ask(&protocol.Frame{Body: &protocol.Frame_SessionCreate{SessionCreate: &protocol.SessionCreate{SessionType: protocol.SessionType_P2P, Members: []string{"bob"}}}})
	if status, _, text := s.ask("ann", "GET", "/api/v2/sessions/"+pair+"/avatar", nil); status != 200 || !is(square(t, text, 96), 3, 3, red) {
		t.Errorf("of two people's session ann sees bob: %d", status)
	}
}

func TestALinkAsAnAvatarStaysWhatItIs(t *testing.T) {
	s := startServer(t)
	const link = "https://example.org/ann.jpg"
	s.do("ann", "PUT", "/api/v2/users/me", map[string]string{"avatar": link}, 200, nil)
	if got := s.avatar("bob", "ann"); got != link {
		t.Errorf("it is shown as %q", got)
	}
	status, header, _ := s.show("/api/v2/users/ann/avatar", "Authorization", "Bearer "+s.token("bob"))
	if status != http.StatusFound || header.Get("Location") != link {
		t.Errorf("asked for it: %d %v", status, header)
	}
}

// wear has a user of the archive choose a picture, and gives its path.
func (a *archive) wear(user string, content []byte) string {
	a.t.Helper()
	f, err := a.data.files.Take(a.t.Context(), filectr.Upload{Owner: user, Name: "a.png", Size: int64(len(content))}, bytes.NewReader(content))
	if err != nil {
		a.t.Fatal(err)
	}
	u, err := a.users.SetProfile(a.t.Context(), user, userctr.Looks{Avatar: &f.ID})
	if err != nil {
		a.t.Fatal(err)
	}
	return u.Avatar
}

func TestAnAvatarIsExportedAndGoesWithWhoIsErased(t *testing.T) {
	a := openArchive(t)
	path := a.wear(a.ann.User, banner(t, red, blue))
	z := a.exported(t)
	r, err := z.Open("avatar.jpg")
	if err != nil {
		t.Fatal(err)
	}
	picture, err := io.ReadAll(r)
	if err != nil || !is(square(t, picture, 320), 3, 3, red) {
		t.Errorf("it is exported as %d bytes, %v", len(picture), err)
	}
	e, err := a.users.BeginErasure(t.Context(), userctr.ByOperator, a.ann.User, userctr.TombstoneMessages)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.operator().goOn(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	if _, err := a.data.files.OpenAvatar(t.Context(), path); !protocol.Code_NOT_FOUND.Is(err) {
		t.Errorf("it is still there: %v", err)
	}
	err = filepath.WalkDir(filepath.Join(a.cfg.Data, filesDir, filectr.BlobsDir), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if bytes.Equal(text, picture) {
			t.Errorf("its content is in %s", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	a.gone()
}

func TestAGuestKeepsThePictureOfWhoTookItsPlaceUntilThatOneIsErased(t *testing.T) {
	a := openArchive(t)
	path := a.wear(a.ann.User, banner(t, red, blue))
	app, _, err := a.users.MakeApp(t.Context(), protocol.Identity{User: a.bob.User, Admin: true}, userctr.App{Name: "shop", Guests: true, Members: []string{a.bob.User}})
	if err != nil {
		t.Fatal(err)
	}
	guest, err := a.users.Visit(t.Context(), app.ID, userctr.Client{})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.users.MergeGuest(t.Context(), a.ann, "", guest.Token); err != nil {
		t.Fatal(err)
	}
	u, err := a.users.User(t.Context(), guest.User.ID)
	if err != nil || u.Avatar == path || u.Avatar == "" {
		t.Fatalf("the guest is %+v, %v", u, err)
	}
	a.wear(a.ann.User, banner(t, blue, red))
	if r, err := a.data.files.OpenAvatar(t.Context(), u.Avatar); err != nil {
		t.Errorf("ann changed hers, and the guest's is gone: %v", err)
	} else {
		r.Close()
	}
	if err := a.users.Hide(t.Context(), a.ann.User); err != nil {
		t.Fatal(err)
	}
	if _, err := a.data.files.OpenAvatar(t.Context(), u.Avatar); !protocol.Code_NOT_FOUND.Is(err) {
		t.Errorf("ann's are hidden, and the guest's is there: %v", err)
	}
}
