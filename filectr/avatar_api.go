package filectr

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"github.com/troupe-im/troupe/filectr/face"
	"github.com/troupe-im/troupe/internal/protocol"
)

// Shown is what a user or session shows.
type Shown struct {
	ID     string
	Avatar string // a path or a link, as clients get it; "": none
}

// Group is what a session shows to one who is in it.
type Group struct {
	Shown
	Members []Shown // the first that joined, face.MaxTiles at most
	Peer    *Shown  // of two people's: the other one
}

// Faces is who knows what people and sessions show.
type Faces interface {
	// Person gives what a user shows to who. NOT_FOUND: who may not know of it.
	Person(ctx context.Context, who *protocol.Identity, user protocol.UserID) (*Shown, error)
	// Session gives what a session shows. NOT_FOUND: who is not in it.
	Session(ctx context.Context, who *protocol.Identity, session protocol.SessionID) (*Group, error)
}

// UseFaces names who knows what is shown. It is called before the first request.
func (c *Center) UseFaces(f Faces) { c.faces = f }

// Pass gives what stands behind AvatarPath, a session's id and a dot, and opens the
// picture of any group that user is in, as long as it is.
func (c *Center) Pass(user protocol.UserID) string {
	word := protocol.PathWord(user)
	h := hmac.New(sha256.New, c.cfg.Key)
	fmt.Fprintf(h, "avatars of groups\x00%s", word)
	return word + "." + base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:passBytes])
}

const passBytes = 12

// passed gives the session and user in a code with a Pass.
func (c *Center) passed(code string) (protocol.SessionID, protocol.UserID, bool) {
	session, pass, ok := strings.Cut(code, ".")
	if _, err := protocol.ParseSessionID(session); err != nil || !ok {
		return "", "", false
	}
	word, _, _ := strings.Cut(pass, ".")
	user, ok := protocol.FromPathWord(word)
	return session, user, ok && hmac.Equal([]byte(pass), []byte(c.Pass(user)))
}

func (c *Center) registerAvatars(api huma.API, operation func(id, method, path, summary string, status int, codes ...protocol.Code) huma.Operation) {
	show := operation("show-avatar", http.MethodGet, protocol.AvatarPath[len("/api/v2"):]+"{code}", "Show a picture of somebody or something: what avatar says, as for <img>", http.StatusOK, protocol.Code_NOT_FOUND)
	show.Security = nil
	show.Responses = pictureOf()
	huma.Register(api, show, c.showAvatar)
	user := operation("get-user-avatar", http.MethodGet, "/users/{id}/avatar", "Show a user's picture", http.StatusOK, protocol.Code_NOT_FOUND)
	user.Responses = pictureOf()
	huma.Register(api, user, c.getUserAvatar)
	session := operation("get-session-avatar", http.MethodGet, "/sessions/{session_id}/avatar", "Show a session's picture", http.StatusOK, protocol.Code_NOT_FOUND)
	session.Responses = pictureOf()
	huma.Register(api, session, c.getSessionAvatar)
}

func pictureOf() map[string]*huma.Response {
	content := map[string]*huma.MediaType{}
	for _, mime := range []string{"image/jpeg", "image/png"} {
		content[mime] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}
	}
	return map[string]*huma.Response{
		"200": {Description: "The picture", Content: content},
		"302": {Description: "It lies elsewhere, where Location says"},
		"304": {Description: "It is as it was"},
	}
}

// Sized is embedded by what shows a picture.
type Sized struct {
	Size string `query:"size" enum:"96,320" default:"96" doc:"Pixels a side; a picture that has less comes as it is"`
}

func (s Sized) side() int {
	if s.Size == "320" {
		return AvatarLarge
	}
	return AvatarSmall
}

// How long a browser keeps a picture without asking.
const (
	forEver   = "private, max-age=31536000, immutable" // another picture has another path; and no cache between keeps what is taken away here
	forAWhile = "private, max-age=300"                 // of a group, whose path stays
	never     = "private, no-cache"
)

func (c *Center) showAvatar(ctx context.Context, in *struct {
	Code string `path:"code" maxLength:"512"`
	Sized
}) (*huma.StreamResponse, error) {
	none := protocol.NotFound("nothing is behind this path")
	path := protocol.AvatarPath + in.Code
	if _, chosen := protocol.ChosenAvatar(path); chosen {
		return c.shows(ctx, Shown{Avatar: path}, in.side(), forEver)
	}
	if id, made := protocol.MadeFrom(in.Code); made {
		return c.shows(ctx, Shown{ID: id}, in.side(), forEver)
	}
	session, user, ok := c.passed(in.Code)
	if !ok || c.faces == nil {
		return nil, none
	}
	g, err := c.faces.Session(ctx, &protocol.Identity{User: user}, session)
	if protocol.Code_NOT_FOUND.Is(err) {
		return nil, none
	}
	if err != nil {
		return nil, err
	}
	return c.showsGroup(ctx, g.here(), in.side(), forAWhile)
}

// here is g without what lies elsewhere: a path that everybody may pass on leads to no
// other site by somebody's choice. Members are told the link itself.
func (g *Group) here() *Group {
	drawn := func(s Shown) Shown {
		if elsewhere(s.Avatar) {
			s.Avatar = ""
		}
		return s
	}
	own := *g
	own.Shown = drawn(g.Shown)
	if g.Peer != nil {
		peer := drawn(*g.Peer)
		own.Peer = &peer
	}
	return &own
}

// elsewhere says whether an avatar is a link.
func elsewhere(avatar string) bool {
	return avatar != "" && !strings.HasPrefix(avatar, protocol.AvatarPath)
}

func (c *Center) getUserAvatar(ctx context.Context, in *struct {
	ID string `path:"id" maxLength:"128"`
	Sized
}) (*huma.StreamResponse, error) {
	who, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	if c.faces == nil {
		return nil, protocol.NotFound("user %s", in.ID)
	}
	user := in.ID
	if user == "me" {
		user = who.User
	}
	p, err := c.faces.Person(ctx, who, user)
	if err != nil {
		return nil, err
	}
	return c.shows(ctx, *p, in.side(), never)
}

func (c *Center) getSessionAvatar(ctx context.Context, in *struct {
	Session string `path:"session_id" maxLength:"64"`
	Sized
}) (*huma.StreamResponse, error) {
	who, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	if c.faces == nil {
		return nil, protocol.NotFound("session %s", in.Session)
	}
	g, err := c.faces.Session(ctx, who, in.Session)
	if err != nil {
		return nil, err
	}
	return c.showsGroup(ctx, g, in.side(), never)
}

// shows gives the picture of one person, or of what has chosen its own.
func (c *Center) shows(ctx context.Context, s Shown, size int, caching string) (*huma.StreamResponse, error) {
	if _, chosen := protocol.ChosenAvatar(s.Avatar); chosen {
		a, err := c.store.Avatar(ctx, s.Avatar)
		if err != nil {
			return nil, err
		}
		sum := a.Small
		if size > AvatarSmall {
			sum = a.Large
		}
		blob, err := c.blobs.Open(ctx, sum)
		if errors.Is(err, ErrNoBlob) {
			c.log.Error("an avatar's content is missing", "avatar", a.Path, "content", sum)
		}
		if err != nil {
			return nil, err
		}
		return showing("image/jpeg", sum.String()[:32], caching, blob), nil
	}
	if elsewhere(s.Avatar) {
		return follow(s.Avatar, caching), nil
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d %s", face.Version, size, s.ID))
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		tag := `"` + hex.EncodeToString(sum[:16]) + `"`
		if strings.Contains(hc.Header("If-None-Match"), tag) { // it need not be drawn to be known
			_, w := humachi.Unwrap(hc)
			w.Header().Set("ETag", tag)
			guarded(w.Header(), caching)
			hc.SetStatus(http.StatusNotModified)
			return
		}
		select {
		case c.drawing <- struct{}{}:
		case <-hc.Context().Done():
			return
		}
		made, err := face.Made(s.ID, size)
		<-c.drawing
		if err != nil {
			c.log.Error("a picture was not drawn", "err", err)
			hc.SetStatus(http.StatusInternalServerError)
			return
		}
		show(hc, "image/png", tag, caching, bytes.NewReader(made))
	}}, nil
}

// showsGroup gives the picture of a session: its own, the other person's, or its first members'.
func (c *Center) showsGroup(ctx context.Context, g *Group, size int, caching string) (*huma.StreamResponse, error) {
	switch {
	case g.Peer != nil:
		return c.shows(ctx, *g.Peer, size, caching)
	case elsewhere(g.Avatar), len(g.Members) == 0:
		return c.shows(ctx, g.Shown, size, caching)
	}
	if _, chosen := protocol.ChosenAvatar(g.Avatar); chosen {
		return c.shows(ctx, g.Shown, size, caching)
	}
	h := sha256.New()
	fmt.Fprintf(h, "%s %d", face.Version, size)
	for _, m := range g.Members {
		fmt.Fprintf(h, "\x00%s\x00%s", m.ID, m.Avatar)
	}
	key := hex.EncodeToString(h.Sum(nil)[:16])
	made, ok := c.composed.get(key)
	if !ok {
		tiles := make([][]byte, 0, face.MaxTiles)
		for _, m := range g.Members[:min(len(g.Members), face.MaxTiles)] {
			t, err := c.tile(ctx, m.ID, m.Avatar)
			if err != nil {
				return nil, err
			}
			tiles = append(tiles, t)
		}
		var err error
		if made, err = face.Grid(tiles, size); err != nil {
			return nil, err
		}
		c.composed.put(key, made)
	}
	return showing("image/jpeg", key, caching, still{bytes.NewReader(made)}), nil
}

// still is a picture that was made in memory.
type still struct{ *bytes.Reader }

func (still) Close() error { return nil }

func showing(mime, tag, caching string, from io.ReadSeekCloser) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		defer from.Close()
		show(hc, mime, `"`+tag+`"`, caching, from)
	}}
}

func show(hc huma.Context, mime, tag, caching string, from io.ReadSeeker) {
	r, w := humachi.Unwrap(hc)
	h := w.Header()
	h.Set("Content-Type", mime)
	h.Set("ETag", tag)
	guarded(h, caching)
	http.ServeContent(&answering{ResponseWriter: w, hc: hc}, r, "", time.Time{}, from)
}

func follow(link, caching string) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		_, w := humachi.Unwrap(hc)
		guarded(w.Header(), caching)
		w.Header().Set("Location", link)
		hc.SetStatus(http.StatusFound)
	}}
}

// guarded says that a picture is one and no more, and may stand on any page.
func guarded(h http.Header, caching string) {
	h.Set("Cache-Control", caching)
	h.Set("Vary", "Authorization")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox; frame-ancestors 'none'")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
}

// composed keeps groups' pictures in two halves: what was not asked for while a half
// filled up is forgotten.
type composed struct {
	mu         sync.Mutex
	young, old map[string][]byte
	bytes      int // of the young half
}

const composedHalf = 4 << 20 // bytes: some 1,000 small pictures

func (c *composed) get(key string) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p, ok := c.young[key]; ok {
		return p, true
	}
	p, ok := c.old[key]
	if ok {
		c.keep(key, p)
	}
	return p, ok
}

func (c *composed) put(key string, p []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keep(key, p)
}

func (c *composed) keep(key string, p []byte) {
	if c.young == nil || c.bytes+len(p) > composedHalf {
		c.old, c.young, c.bytes = c.young, map[string][]byte{}, 0
	}
	if c.young[key] == nil {
		c.young[key], c.bytes = p, c.bytes+len(p)
	}
}
