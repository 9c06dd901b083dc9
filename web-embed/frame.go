package webembed

import (
	"net/http"
	"slices"
	"strings"
)

// frameConfig is what the frame's script reads from its page.
type frameConfig struct {
	App
	Self        bool   `json:"self,omitempty"` // our own pages may have it too
	FilesOrigin string `json:"filesOrigin,omitempty"`
}

// frame is the chat for an application's pages: the browser shows it in them, and in no others.
func (s *Site) frame(w http.ResponseWriter, r *http.Request) {
	app, ok := s.app(r.URL.Query().Get("app"))
	if !ok {
		s.noApp(w, r)
		return
	}
	ancestors := slices.Clone(app.Origins)
	if s.cfg.Playground {
		ancestors = append(ancestors, "'self'")
	}
	if len(ancestors) == 0 {
		ancestors = []string{"'none'"}
	}
	s.show(w, r, page{
		title: app.Name, entry: "frame", embedded: true, ancestors: strings.Join(ancestors, " "),
		config: frameConfig{App: app, Self: s.cfg.Playground, FilesOrigin: s.cfg.FilesOrigin},
	})
}

func (s *Site) app(id string) (App, bool) {
	if s.cfg.Playground && id == playgroundApp {
		return App{ID: playgroundApp, Name: "Playground", Origins: []string{}}, true
	}
	if s.cfg.Apps == nil || id == "" {
		return App{}, false
	}
	app, ok := s.cfg.Apps(id)
	if ok && app.Origins == nil {
		app.Origins = []string{}
	}
	return app, ok
}

// noApp says so to whoever set the page up. It is the same for every id and in every page, and has
// neither script nor style: there is nothing in it that a frame could give away.
func (s *Site) noApp(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Del("X-Frame-Options")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors *")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(http.StatusNotFound)
	if r.Method != http.MethodHead {
		w.Write([]byte(noAppPage))
	}
}

const noAppPage = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>No chat here</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<h1>No chat here</h1>
<p>There is no application with this id on this server: look at data-app, or at app in what boot is told.
<p lang="zh-CN">此服务器上没有这个应用：请检查 data-app，或 boot 的 app 参数。
`
