package filectr_test

import (
	"bytes"
	"context"
	"image"
	"image/png"
	"net/http"
	"testing"
	"time"

	"github.com/troupe-im/troupe/filectr"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/userctr"
)

func plain(t *testing.T, shade uint8) []byte {
	t.Helper()
	m := image.NewGray(image.Rect(0, 0, 400, 300))
	for i := range m.Pix {
		m.Pix[i] = shade
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// wears has a user's row name an avatar, as the user centre writes it.
func (s *stage) wears(user, path string) {
	s.t.Helper()
	u, err := s.store.User(s.t.Context(), user)
	if protocol.Code_NOT_FOUND.Is(err) {
		u = &userctr.User{ID: user, Kind: userctr.Human, Created: time.Now()}
		err = s.store.AddUser(s.t.Context(), u, "")
	}
	if err != nil {
		s.t.Fatal(err)
	}
	u.Avatar = path
	if err := s.store.UpdateUser(s.t.Context(), u); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) sweep() {
	s.t.Helper()
	if err := s.Sweep(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

func TestAnAvatarOutlivesItsFileAndGoesWhenAnotherIsChosen(t *testing.T) {
	s := newStage(t, nil)
	make := func(shade uint8) string {
		t.Helper()
		path, err := s.UserAvatar(t.Context(), "ann", s.upload("ann", "a.png", plain(t, shade)).ID)
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	there := func(path string) bool {
		b, err := s.OpenAvatar(t.Context(), path)
		if err == nil {
			b.Close()
		}
		return err == nil
	}
	first := make(10)
	if there(first) {
		t.Error("what nobody shows yet is there")
	}
	s.wears("ann", first)
	s.wait(25 * time.Hour) // the file was not sent
	s.sweep()
	if contents, drafts := s.kept(); !there(first) || contents != 3 || drafts != 0 {
		t.Errorf("without its file: %v, %d contents, %d drafts", there(first), contents, drafts)
	}
	s.used("ann", 0)
	second := make(200)
	forgotten := make(100)
	s.wears("ann", second)
	if there(first) || !there(second) {
		t.Errorf("the first is there: %v, the second: %v", there(first), there(second))
	}
	s.wait(25 * time.Hour)
	s.sweep()
	s.wait(2 * time.Hour) // contents of files
	s.sweep()
	if contents, _ := s.kept(); !there(second) || contents != 3 {
		t.Errorf("the second: %v, %d contents", there(second), contents)
	}
	s.wears("ann", forgotten)
	if there(forgotten) {
		t.Error("what was made long ago and not chosen is there")
	}
	s.sweep()
	if contents, _ := s.kept(); contents != 0 {
		t.Errorf("nothing is shown, and %d contents are left", contents)
	}
}

func TestAnAvatarIsMadeOfASmallPictureToo(t *testing.T) {
	s := newStage(t, nil)
	for _, side := range []int{1, 20, filectr.AvatarSmall, filectr.AvatarSmall + 1} {
		path, err := s.UserAvatar(t.Context(), "ann", s.upload("ann", "a.png", pictureOf(t, "png", side, side)).ID)
		if err != nil {
			t.Errorf("%d pixels: %v", side, err)
			continue
		}
		s.wears("ann", path)
		s.sweep()
		b, err := s.OpenAvatar(t.Context(), path)
		if err != nil {
			t.Errorf("%d pixels: %v", side, err)
			continue
		}
		b.Close()
	}
	s.wears("ann", "")
	s.wait(25 * time.Hour)
	s.sweep()
	s.wait(2 * time.Hour)
	s.sweep()
	if contents, drafts := s.kept(); contents != 0 || drafts != 0 {
		t.Errorf("nothing is shown, and %d contents and %d drafts are left", contents, drafts)
	}
}

func TestAnAvatarIsMadeOfAPictureThatOneMayRead(t *testing.T) {
	s := newStage(t, nil)
	picture, text := s.upload("ann", "a.png", plain(t, 1)).ID, s.upload("ann", "a.txt", []byte("text")).ID
	for _, c := range []struct {
		user, file string
		code       protocol.Code
	}{
		{"ann", picture, 0},
		{"bob", picture, protocol.Code_NOT_FOUND},
		{"ann", text, protocol.Code_UNSUPPORTED},
		{"ann", protocol.NewFileID(), protocol.Code_NOT_FOUND},
		{"ann", "https://example.org/a.png", protocol.Code_NOT_FOUND},
	} {
		_, err := s.UserAvatar(t.Context(), c.user, c.file)
		if c.code == 0 && err != nil || c.code != 0 && !c.code.Is(err) {
			t.Errorf("%s makes one of %s: %v, want %v", c.user, c.file, err, c.code)
		}
	}
	session := s.session("ann", "bob")
	s.say(session, 1, "ann", &protocol.Content{Type: protocol.ContentType_IMAGE, File: picture})
	if _, err := s.SessionAvatar(t.Context(), "bob", session, picture); err != nil {
		t.Errorf("bob, who was sent it, makes one: %v", err)
	}
}

func TestOneUserMakesTenAvatarsAndThenOneInSixSeconds(t *testing.T) {
	s := newStage(t, nil)
	file := s.upload("ann", "a.png", plain(t, 1)).ID
	many := func(n int) (made int) {
		for range n {
			if _, err := s.UserAvatar(t.Context(), "ann", file); err == nil {
				made++
			} else if e := protocol.AsError(err); e.Code != protocol.Code_RATE_LIMITED || e.RetryAfterMs <= 0 {
				t.Fatal(err)
			}
		}
		return made
	}
	if n := many(12); n != 10 {
		t.Errorf("%d of 12 at once", n)
	}
	s.wait(13 * time.Second)
	if n := many(3); n != 2 {
		t.Errorf("%d of 3 after 13 s", n)
	}
}

// faces is who shows what: one session, to everybody.
type faces struct{ group filectr.Group }

func (faces) Person(context.Context, *protocol.Identity, protocol.UserID) (*filectr.Shown, error) {
	return nil, protocol.NotFound("nobody")
}

func (f faces) Session(context.Context, *protocol.Identity, protocol.SessionID) (*filectr.Group, error) {
	g := f.group
	return &g, nil
}

func TestAPathThatIsPassedOnLeadsToNoOtherSite(t *testing.T) {
	s := newStage(t, nil)
	http.DefaultClient.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	t.Cleanup(func() { http.DefaultClient.CheckRedirect = nil })
	const link = "https://elsewhere.example/a.png"
	room := protocol.NewSessionID()
	path := protocol.AvatarPath + room + "." + s.Pass("ann")
	eve := filectr.Shown{ID: "eve", Avatar: link}
	for says, g := range map[string]filectr.Group{
		"a group's":      {Shown: filectr.Shown{ID: room, Avatar: link}},
		"one's of two":   {Shown: filectr.Shown{ID: room}, Members: []filectr.Shown{eve}, Peer: &eve},
		"a first member": {Shown: filectr.Shown{ID: room}, Members: []filectr.Shown{eve}},
	} {
		s.UseFaces(faces{g})
		if r := s.do("", "GET", path, nil); r.status != 200 || r.header.Get("Location") != "" {
			t.Errorf("%s link, by whoever has the path: %d, to %q", says, r.status, r.header.Get("Location"))
		}
		r := s.do("ann", "GET", "/api/v2/sessions/"+room+"/avatar", nil)
		if led := r.header.Get("Location") == link; led != (says != "a first member") {
			t.Errorf("%s link, by a member: %d, to %q", says, r.status, r.header.Get("Location"))
		}
	}
	for _, bad := range []string{path[:len(path)-1], path + "a", protocol.AvatarPath + room + ".bob" + s.Pass("ann")[len("ann"):], protocol.AvatarPath + room + "."} {
		if r := s.do("", "GET", bad, nil); r.status != 404 {
			t.Errorf("%s: %d", bad, r.status)
		}
	}
}
