// Package webembed is what a browser gets of us: the page at / and its files,
// packed into the binary as they stand in plain/.
package webembed

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed plain
var plain embed.FS

// Patterns are the paths that Handler answers, as a router takes them.
var Patterns = []string{"/", "/plain/*"}

// Handler serves the page at / and its files under /plain/. Everything else is not
// found. A file is asked for again at every visit, and sent again when its ETag
// changed: after an update nobody keeps an old page.
func Handler() http.Handler {
	files := map[string]*file{}
	err := fs.WalkDir(plain, "plain", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := plain.ReadFile(name)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(data)
		files["/"+name] = &file{data: string(data), kind: kindOf(name), tag: `"` + hex.EncodeToString(sum[:12]) + `"`}
		return nil
	})
	if err != nil {
		panic("webembed: " + err.Error()) // the files are in the binary: the build is broken
	}
	files["/"] = files["/plain/index.html"]
	return page(files)
}

type file struct{ data, kind, tag string }

// kindOf is a file's media type, not left to what the machine's own tables say.
func kindOf(name string) string {
	switch path.Ext(name) {
	case ".html":
		return "text/html; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	}
	return mime.TypeByExtension(path.Ext(name))
}

type page map[string]*file

func (p page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f := p[r.URL.Path]
	if f == nil {
		http.NotFound(w, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "this path takes GET, HEAD", http.StatusMethodNotAllowed)
		return
	}
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("ETag", f.tag)
	h.Set("Cache-Control", "no-cache")
	h.Set("Content-Security-Policy", policy(r.Host))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "SAMEORIGIN")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	if match(r.Header.Get("If-None-Match"), f.tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(f.data))
}

// match says whether a list of tags has tag in it.
func match(list, tag string) bool {
	for t := range strings.SplitSeq(list, ",") {
		if t = strings.TrimPrefix(strings.TrimSpace(t), "W/"); t == tag || t == "*" {
			return true
		}
	}
	return false
}

// policy lets the page load its own files and talk to its own server. WebSockets of
// the host are named besides 'self', which means http only to older browsers; a
// host that is written strangely is left out.
func policy(host string) string {
	connect := "connect-src 'self'"
	if host != "" && strings.Trim(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]") == "" {
		connect += " ws://" + host + " wss://" + host
	}
	return "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " + connect +
		"; base-uri 'none'; form-action 'none'; frame-ancestors 'self'; require-trusted-types-for 'script'; trusted-types 'none'"
}
