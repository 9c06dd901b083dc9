package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"path/filepath"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/userctr"
)

// adminSocket stands in the data directory. Who may open it may read the data
// anyway, so it asks for no token.
const adminSocket = "admin.sock"

// A running server answers these there, in JSON.
type (
	status struct {
		Version     string    `json:"version"`
		Profile     string    `json:"profile"`
		Address     string    `json:"address"`
		Process     int       `json:"process"`
		Started     time.Time `json:"started"`
		Connections int       `json:"connections"`
		Sessions    int       `json:"sessionsLoaded"`
		Users       int       `json:"usersLoaded"`
		Acked       int64     `json:"acked"`
		Delivered   int64     `json:"delivered"`
		Panics      int64     `json:"panics"`
	}
	newUser struct {
		Name     string `json:"name"`
		Password string `json:"password"`
		Nickname string `json:"nickname,omitempty"`
		Admin    bool   `json:"admin,omitempty"`
	}
	madeUser struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	}
	backupTo struct {
		Dir   string `json:"dir"`
		Files bool   `json:"files,omitempty"` // those of a bucket as well
	}
	adminError struct {
		Error string `json:"error"`
	}
)

// administrator is what the admin socket needs of a server.
type administrator interface {
	status() status
	ready(ctx context.Context) (string, error)
	createUser(ctx context.Context, n userctr.NewUser) (*userctr.User, error)
	backup(ctx context.Context, dir string, bucket bool) (backedUp, error)
	notify(ctx context.Context, n newNotice) (sentNotice, error)
	noticed(ctx context.Context, id string) (sentNotice, error)
	operator() *operator
}

// listenAdmin opens the socket in dir. Nobody else has it open: the caller holds
// the store's lock, so a socket that is there is a dead server's.
func listenAdmin(dir string) (net.Listener, error) {
	path := filepath.Join(dir, adminSocket)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	short, done, err := shortPath(path)
	if err != nil {
		return nil, err
	}
	defer done()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: short, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false) // it knows the short path only
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// shortPath gives a way to path that fits into a socket's address, which has room
// for some 100 bytes, and what to call when the way was taken.
func shortPath(path string) (string, func(), error) {
	if len(path) < 100 {
		return path, func() {}, nil
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path)), func() { dir.Close() }, nil
}

// serveAdmin answers on the admin socket until the listener is closed.
func serveAdmin(l net.Listener, a administrator, log *slog.Logger) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) { answer(w, a.status(), nil) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		said, err := a.ready(r.Context())
		answer(w, said, err)
	})
	mux.HandleFunc("POST /users", func(w http.ResponseWriter, r *http.Request) {
		var n newUser
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&n); err != nil {
			answer(w, nil, protocol.BadRequest("the body is no user"))
			return
		}
		u, err := a.createUser(r.Context(), userctr.NewUser{Name: n.Name, Password: n.Password, Nickname: n.Nickname, Admin: n.Admin})
		if err != nil {
			answer(w, nil, err)
			return
		}
		answer(w, madeUser{ID: u.ID, Name: u.Name}, nil)
	})
	mux.HandleFunc("POST /notices", func(w http.ResponseWriter, r *http.Request) {
		var n newNotice
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&n); err != nil {
			answer(w, nil, protocol.BadRequest("the body is no notice"))
			return
		}
		sent, err := a.notify(r.Context(), n)
		answer(w, sent, err)
	})
	mux.HandleFunc("GET /notices/{id}", func(w http.ResponseWriter, r *http.Request) {
		sent, err := a.noticed(r.Context(), r.PathValue("id"))
		answer(w, sent, err)
	})
	mux.HandleFunc("POST /do/{deed}", func(w http.ResponseWriter, r *http.Request) {
		do, in := deedOf(r.PathValue("deed")), json.RawMessage{}
		if do == nil {
			answer(w, nil, protocol.NotFound("this server does not know %q", r.PathValue("deed")))
			return
		}
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&in); err != nil {
			answer(w, nil, protocol.BadRequest("the body is no JSON"))
			return
		}
		got, err := do(r.Context(), a.operator(), in)
		answer(w, got, err)
	})
	mux.HandleFunc("POST /backup", func(w http.ResponseWriter, r *http.Request) {
		var b backupTo
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&b); err != nil || !filepath.IsAbs(b.Dir) {
			answer(w, nil, protocol.BadRequest("the body names no absolute directory"))
			return
		}
		done, err := a.backup(r.Context(), b.Dir, b.Files)
		answer(w, done, err)
	})
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)}
	if err := srv.Serve(l); err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, http.ErrServerClosed) {
		log.Error("the admin socket ended", "err", err)
	}
}

// answer tells the whole text of an error: who asks is who runs the server.
func answer(w http.ResponseWriter, v any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		w.WriteHeader(http.StatusUnprocessableEntity)
		v = adminError{err.Error()}
	}
	_ = json.NewEncoder(w).Encode(v) // the asker has gone: nobody to tell
}

// errNotRunning says that no server answers for a data directory.
var errNotRunning = errors.New("no server is running on this data directory")

// askAdmin asks the server that runs on dir: errNotRunning when none does.
func askAdmin(ctx context.Context, dir, method, path string, in, out any) error {
	file := filepath.Join(dir, adminSocket)
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		short, done, err := shortPath(file)
		if err != nil {
			return nil, err
		}
		defer done()
		return new(net.Dialer).DialContext(ctx, "unix", short)
	}}}
	defer client.CloseIdleConnections()
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://admin"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		var op *net.OpError
		if errors.Is(err, os.ErrNotExist) || errors.As(err, &op) && op.Op == "dial" && !errors.Is(err, os.ErrPermission) {
			return errNotRunning
		}
		return fmt.Errorf("ask the server at %s: %w", file, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return fmt.Errorf("ask the server at %s: %w", file, err)
	}
	if resp.StatusCode != http.StatusOK {
		var e adminError
		if json.Unmarshal(text, &e) != nil || e.Error == "" {
			e.Error = resp.Status
		}
		return errors.New(e.Error)
	}
	return json.Unmarshal(text, out)
}
