package webembed

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

//go:embed embed/dist
var distFiles embed.FS

// dist is what `make web` built. Its files have the same names in every build; the address
// they are served at has build in it, so that a browser may keep them for ever.
type dist struct {
	build  string // of all files together
	files  map[string]*file
	styles map[string][]string // of an entry
	needs  map[string][]string // scripts that an entry's script imports at once
}

// file is one of them. What is in it stays in the binary: a copy of all would be most of a megabyte.
type file struct {
	path string
	size int
	kind string
	tag  string
	gzip func() []byte
}

// entries is what the build says of itself in entries.json: which files each entry needs.
type entries map[string]struct {
	Styles []string `json:"styles"`
	Needs  []string `json:"needs"`
}

// built reads the files in the binary, once. It panics where they are not whole: the build is broken then.
var built = sync.OnceValue(func() *dist {
	d := &dist{files: map[string]*file{}, styles: map[string][]string{}, needs: map[string][]string{}}
	all := sha256.New()
	err := fs.WalkDir(distFiles, "embed/dist", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := distFiles.ReadFile(name)
		if err != nil {
			return err
		}
		f := &file{path: name, size: len(data), kind: kindOf(name)}
		name = strings.TrimPrefix(name, "embed/dist/")
		all.Write([]byte(name + "\x00" + strconv.Itoa(len(data)) + "\x00"))
		all.Write(data)
		sum := sha256.Sum256(data)
		f.tag = hex.EncodeToString(sum[:12])
		f.gzip = sync.OnceValue(func() []byte { return compressed(f.read()) })
		d.files[name] = f
		return nil
	})
	if err != nil {
		panic("webembed: " + err.Error())
	}
	d.build = hex.EncodeToString(all.Sum(nil)[:8])
	var e entries
	if f := d.files["entries.json"]; f == nil || json.Unmarshal(f.read(), &e) != nil {
		panic("webembed: embed/dist has no entries.json: run make web")
	}
	for name, entry := range e {
		d.styles[name], d.needs[name] = entry.Styles, entry.Needs
	}
	return d
})

// read gives a copy of what is in the file.
func (f *file) read() []byte {
	data, err := distFiles.ReadFile(f.path)
	if err != nil {
		panic("webembed: " + err.Error()) // it was read before
	}
	return data
}

// compressed is data with gzip, or nil where that does not make it smaller.
func compressed(data []byte) []byte {
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // the level is one
	w.Write(data)                                         // a buffer takes all
	w.Close()
	if b.Len() >= len(data) {
		return nil
	}
	return b.Bytes()
}

// asset answers with a file of this build; one of another build is gone.
func (s *Site) asset(w http.ResponseWriter, r *http.Request) {
	f := s.files.files[r.PathValue("name")]
	if f == nil || r.PathValue("build") != s.files.build {
		public(w)
		http.Error(w, "no such file in this build", http.StatusNotFound)
		return
	}
	f.send(w, r, "public, max-age=31536000, immutable")
}

// loader is the script that other pages take in. Its address stays, so it is asked for again after
// an hour; with ?v= and the tag of its contents it is kept for ever, and can be named by integrity.
func (s *Site) loader(w http.ResponseWriter, r *http.Request) {
	f, keep := s.files.files["troupe.js"], "public, max-age=3600, stale-while-revalidate=86400"
	if f == nil {
		http.NotFound(w, r)
		return
	}
	if v := r.URL.Query().Get("v"); v != "" && v == f.tag {
		keep = "public, max-age=31536000, immutable"
	}
	f.send(w, r, keep)
}

// element is a module at an address that stays, and leads to the one of this build.
func (s *Site) element(w http.ResponseWriter, r *http.Request) {
	public(w)
	w.Header().Set("Cache-Control", "public, max-age=600, stale-while-revalidate=86400")
	send(w, r, "text/javascript; charset=utf-8", `export * from "./assets/`+s.files.build+`/element.js"`+"\n")
}

// public lets pages of any origin have an answer, which is the same for all.
func public(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
}

func (f *file) send(w http.ResponseWriter, r *http.Request, keep string) {
	public(w)
	h := w.Header()
	h.Set("Cache-Control", keep)
	h.Set("Content-Type", f.kind)
	h.Set("Vary", "Accept-Encoding")
	var small []byte
	size, tag := f.size, `"`+f.tag+`"`
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		if small = f.gzip(); small != nil {
			size, tag = len(small), `"`+f.tag+`-gz"`
			h.Set("Content-Encoding", "gzip")
		}
	}
	h.Set("ETag", tag)
	if match(r.Header.Get("If-None-Match"), tag) {
		h.Del("Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Length", strconv.Itoa(size))
	switch {
	case r.Method == http.MethodHead:
	case small != nil:
		w.Write(small)
	default:
		w.Write(f.read())
	}
}
