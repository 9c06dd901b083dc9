// Package webembed is what a browser gets of us, packed into the binary: the page at /,
// the chat in a frame and its loader for pages of others, the element, the playground.
// What runs is built by `make web` into embed/dist, which is committed, so that Go alone
// makes the whole server; the pages around it are written here, as each answer needs them.
package webembed

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"path"
	"strings"
)

// Config is what the pages are told. Functions are asked at each request and answer from memory.
type Config struct {
	Apps        func(id string) (App, bool) // applications that chats are embedded for; nil: there are none
	Register    string                      // who may register: open, invite or closed
	FilesOrigin string                      // origin of signed links to files, where it is not ours
	Playground  bool                        // whether /playground is there, and we may frame ourselves
}

// App is an application as its frame knows it. All of it is shown to whoever asks.
type App struct {
	ID       string            `json:"app"`
	Name     string            `json:"name"`
	Origins  []string          `json:"origins"` // of the pages that may have the frame
	Colours  map[string]string `json:"colours,omitempty"`
	Texts    map[string]string `json:"texts,omitempty"`
	Features []string          `json:"features,omitempty"`
	Guests   bool              `json:"guests"`
}

// playgroundApp is the id of the application that only a playground's frame has.
const playgroundApp = "playground"

// Site answers the paths of Patterns.
type Site struct {
	cfg   Config
	files *dist
	mux   *http.ServeMux
}

// Patterns are the paths that a Site answers, as a router takes them.
var Patterns = []string{"/", "/embed/*", "/playground"}

// New makes the site.
func New(cfg Config) *Site {
	s := &Site{cfg: cfg, files: built(), mux: http.NewServeMux()}
	s.mux.HandleFunc("/{$}", s.home)
	s.mux.HandleFunc("/embed/v1/troupe.js", s.loader)
	s.mux.HandleFunc("/embed/v1/element.js", s.element)
	s.mux.HandleFunc("/embed/v1/frame", s.frame)
	s.mux.HandleFunc("/embed/v1/assets/{build}/{name}", s.asset)
	if cfg.Playground {
		s.mux.HandleFunc("/playground", s.playground)
	}
	return s
}

// home is the chat of the installation's own users.
func (s *Site) home(w http.ResponseWriter, r *http.Request) {
	s.show(w, r, page{title: "Troupe", entry: "page", ancestors: "'none'", config: map[string]string{"register": s.cfg.Register}})
}

func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "this path takes GET, HEAD", http.StatusMethodNotAllowed)
		return
	}
	s.mux.ServeHTTP(w, r)
}

// page is a document of ours: entry names the script that fills it, and config is what the
// script reads from it.
type page struct {
	title, entry string
	config       any
	connect      []string // besides our own server
	ancestors    string   // who may have it in a frame, as frame-ancestors says it
	embedded     bool     // it is made for frames of other pages
	loader       bool     // it takes the loader in, as other pages do
}

// show writes p, or that the browser has it already.
func (s *Site) show(w http.ResponseWriter, r *http.Request, p page) {
	config, err := json.Marshal(p.config) // it escapes what could end the element it stands in
	if err != nil {
		http.Error(w, "the page's settings cannot be written", http.StatusInternalServerError)
		return
	}
	assets := "/embed/v1/assets/" + s.files.build + "/"
	var b strings.Builder
	b.WriteString("<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n")
	fmt.Fprintf(&b, "<title>%s</title>\n", html.EscapeString(p.title))
	b.WriteString(`<meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover, interactive-widget=resizes-content">` + "\n")
	b.WriteString(`<meta name="color-scheme" content="light dark">` + "\n")
	if p.embedded {
		b.WriteString(`<meta name="robots" content="noindex">` + "\n")
	} else {
		fmt.Fprintf(&b, "<link rel=\"icon\" href=\"%sicon.svg\" type=\"image/svg+xml\">\n", assets)
	}
	for _, name := range s.files.styles[p.entry] {
		fmt.Fprintf(&b, "<link rel=\"stylesheet\" href=\"%s%s\">\n", assets, name)
	}
	for _, name := range s.files.needs[p.entry] {
		fmt.Fprintf(&b, "<link rel=\"modulepreload\" href=\"%s%s\">\n", assets, name)
	}
	fmt.Fprintf(&b, "<script type=\"application/json\" id=\"troupe-config\">%s</script>\n", config)
	fmt.Fprintf(&b, "<script type=\"module\" src=\"%s%s.js\"></script>\n", assets, p.entry)
	if p.loader {
		b.WriteString("<script async src=\"/embed/v1/troupe.js\"></script>\n")
	}
	b.WriteString("<body>\n<div id=\"app\"></div>\n<noscript>Troupe needs JavaScript.</noscript>\n")

	h := w.Header()
	h.Set("Content-Security-Policy", s.policy(r.Host, p.ancestors))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Permissions-Policy", permissions)
	if p.embedded {
		h.Del("X-Frame-Options") // it cannot name who may
		h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	} else {
		h.Set("X-Frame-Options", "DENY")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
	}
	h.Set("Cache-Control", "no-cache") // asked for at every visit: after an update nobody keeps an old page
	send(w, r, "text/html; charset=utf-8", b.String())
}

// permissions is what our pages may ask their user for; a frame has to be given it besides.
const permissions = "camera=(self), microphone=(self), autoplay=(self), clipboard-write=(self), fullscreen=(self), " +
	"geolocation=(), payment=(), usb=(), serial=(), hid=(), midi=(), display-capture=(), browsing-topics=()"

// policy is the content security policy of our pages: no script and no style but from our files,
// nothing that makes script of text, nobody talked to but our own server. WebSockets of the host are named
// besides 'self', which means http only to older browsers; a host that is written strangely is left out.
func (s *Site) policy(host, ancestors string) string {
	connect, media := "'self'", "'self' blob:"
	if plainHost(host) {
		connect += " ws://" + host + " wss://" + host
	}
	if s.cfg.FilesOrigin != "" {
		media += " " + s.cfg.FilesOrigin
	}
	return "default-src 'none'; script-src 'self'; style-src 'self'; img-src data: " + media + "; media-src " + media + "; font-src 'self'; connect-src " + connect +
		"; manifest-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors " + ancestors +
		"; require-trusted-types-for 'script'; trusted-types vue"
}

func plainHost(host string) bool {
	return host != "" && strings.Trim(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]") == ""
}

// send writes text with a tag made of it, or nothing where the browser has just that.
func send(w http.ResponseWriter, r *http.Request, kind, text string) {
	sum := sha256.Sum256([]byte(text))
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("ETag", `"`+hex.EncodeToString(sum[:12])+`"`)
	if match(r.Header.Get("If-None-Match"), h.Get("ETag")) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Length", fmt.Sprint(len(text)))
	if r.Method != http.MethodHead {
		w.Write([]byte(text))
	}
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
	case ".json", ".webmanifest":
		return "application/json"
	case ".woff2":
		return "font/woff2"
	}
	return "application/octet-stream"
}
