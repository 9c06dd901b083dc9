package filectr_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/filectr"
	"github.com/troupe-im/troupe/gateway"
	"github.com/troupe-im/troupe/internal/access"
	"github.com/troupe-im/troupe/internal/pebblestore"
	"github.com/troupe-im/troupe/internal/protocol"
)

// stage is a file centre behind the gateway, on a store in memory. Every word is the
// token of the user with that name.
type stage struct {
	*filectr.Center
	t     testing.TB
	cfg   filectr.Config
	store *pebblestore.Store
	blobs filectr.Blobs
	http  *httptest.Server

	mu    sync.Mutex
	clock time.Time
}

func newStage(t testing.TB, change func(*filectr.Config)) *stage {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	store, err := pebblestore.Open("data", pebblestore.Options{FS: vfs.NewMem(), Log: log, Fatal: func(error) {}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	s := &stage{t: t, store: store, clock: time.Now(), cfg: filectr.Config{Data: t.TempDir(), Key: make([]byte, 32), MinFree: 1}}
	if change != nil {
		change(&s.cfg)
	}
	if s.blobs, err = filectr.NewDirectory(filepath.Join(s.cfg.Data, filectr.BlobsDir)); err != nil {
		t.Fatal(err)
	}
	s.start()
	return s
}

// start makes the centre, as a new process would.
func (s *stage) start() {
	s.t.Helper()
	log := slog.New(slog.DiscardHandler)
	var err error
	if s.Center, err = filectr.New(s.cfg, s.store, s.blobs, s.now, log); err != nil {
		s.t.Fatal(err)
	}
	g, err := gateway.New(gateway.Config{Rate: -1}, gateway.Needs{Actors: noActors{}, Auth: words{}, Log: log})
	if err != nil {
		s.t.Fatal(err)
	}
	if err := errors.Join(s.Center.Register(g.API()), g.Rows()); err != nil {
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

// words knows whose a token is, and is asked nothing else.
type words struct{ gateway.Authenticator }

func (words) Authenticate(_ context.Context, token string) (protocol.Identity, error) {
	who := protocol.Identity{User: token, Admin: token == "root"}
	_, who.App, _ = strings.Cut(token, "@") // USER@APP came by an application
	switch {
	case strings.HasPrefix(token, "visitor"):
		who.Kind = access.KindGuest
	case strings.HasPrefix(token, "admin"):
		who.Admin = true
	case strings.HasPrefix(token, "key"): // keyread and keymoderate have the scope
		who.Kind, who.Scopes = access.KindKey, []string{strings.TrimPrefix(token, "key")}
	}
	return who, nil
}

type noActors struct{}

func (noActors) Connect(actors.Link, actors.Remote) gateway.Conn { return nil }
func (noActors) Ask(context.Context, protocol.Identity, *protocol.Frame) (*protocol.Frame, error) {
	return nil, protocol.NotFound("nobody is here")
}

// reply is what a request was answered with.
type reply struct {
	status int
	header http.Header
	body   []byte
}

func (r reply) code() string {
	var p struct{ Code string }
	json.Unmarshal(r.body, &p)
	return p.Code
}

// do sends a request of user's; header has names and values in turn.
func (s *stage) do(user, method, path string, body io.Reader, header ...string) reply {
	s.t.Helper()
	r, err := http.NewRequest(method, s.http.URL+path, body)
	if err != nil {
		s.t.Fatal(err)
	}
	if user != "" {
		r.Header.Set("Authorization", "Bearer "+user)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return reply{a.StatusCode, a.Header, text}
}

// form is a form with one file in it.
func form(name string, content []byte, part ...string) (io.Reader, string) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	h := textproto.MIMEHeader{}
	h.Set("Content-Disposition", fmt.Sprintf(`form-data; name="file"; filename="%s"`, strings.NewReplacer("\\", "\\\\", `"`, `\"`).Replace(name)))
	for i := 0; i+1 < len(part); i += 2 {
		h.Set(part[i], part[i+1])
	}
	p, _ := w.CreatePart(h)
	p.Write(content)
	w.Close()
	return &b, w.FormDataContentType()
}

func (s *stage) post(user, name string, content []byte, header ...string) reply {
	s.t.Helper()
	body, typ := form(name, content)
	return s.do(user, "POST", "/api/v2/files", body, append(header, "Content-Type", typ)...)
}

// file is what clients see of a file.
type file struct {
	ID, Name, Mime, Kind, SHA256, Placeholder string
	Size, Duration                            int64
	Width, Height, Frames                     int
	Peaks                                     []int
	State, Reason                             string
	Thumbs                                    []struct {
		Size, Mime    string
		Width, Height int
	}
}

// upload is post that must be good.
func (s *stage) upload(user, name string, content []byte) file {
	s.t.Helper()
	r := s.post(user, name, content)
	var f file
	if err := json.Unmarshal(r.body, &f); err != nil || r.status != http.StatusCreated {
		s.t.Fatalf("uploading %q: %d %s", name, r.status, r.body)
	}
	return f
}

func (s *stage) get(user, id string, header ...string) reply {
	s.t.Helper()
	return s.do(user, "GET", "/api/v2/files/"+id, nil, header...)
}

func (s *stage) used(user string, want int64) {
	s.t.Helper()
	if got, err := s.store.Used(s.t.Context(), user); err != nil || got != want {
		s.t.Errorf("%q uses %d bytes, %v, want %d", user, got, err, want)
	}
}

// kept gives how many contents and drafts lie in the data directory.
func (s *stage) kept() (contents, drafts int) {
	s.t.Helper()
	err := filepath.WalkDir(s.cfg.Data, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			if strings.Contains(path, "/blobs/") {
				contents++
			} else {
				drafts++
			}
		}
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return contents, drafts
}

// session makes a session with members, and say puts an entry into it.
func (s *stage) session(members ...string) protocol.SessionID {
	s.t.Helper()
	id := protocol.NewSessionID()
	a := &actors.Append{Session: id, Epoch: 1, Claim: true, Create: true, Info: &protocol.SessionInfo{Session: id, Creator: members[0]}}
	for i, m := range members {
		a.Members = append(a.Members, &actors.MemberRow{User: m, Order: int64(i + 1), Floor: 1})
	}
	s.commit(a)
	return id
}

func (s *stage) commit(a *actors.Append) {
	s.t.Helper()
	if err := s.store.Commit([]*actors.Append{a}); err != nil || a.Err != nil {
		s.t.Fatal(err, a.Err)
	}
}

func (s *stage) say(session protocol.SessionID, seq int64, sender string, c *protocol.Content) {
	s.t.Helper()
	s.commit(&actors.Append{Session: session, Epoch: 1, Entries: []*protocol.Entry{{
		Seq: seq, Sender: sender, ClientMsgId: fmt.Sprint(seq), CreatedAt: s.now().UnixMilli(), Content: c,
	}}, Hashes: make([][8]byte, 1)})
}

func (s *stage) recall(session protocol.SessionID, seq, target int64, sender string) {
	s.t.Helper()
	s.commit(&actors.Append{Session: session, Epoch: 1,
		Entries:  []*protocol.Entry{{Seq: seq, Kind: protocol.Kind_RECALL, Sender: sender, Target: target, CreatedAt: s.now().UnixMilli()}},
		Rewrites: []*protocol.Entry{{Seq: target, Sender: sender, ClientMsgId: fmt.Sprint(target), Recalled: true, CreatedAt: s.now().UnixMilli()}},
		Hashes:   make([][8]byte, 1),
	})
}
