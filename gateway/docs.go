package gateway

import (
	"embed"
	"net/http"
	"strings"
)

// docsFiles is the page at /docs: it draws openapi.json, and needs nothing from elsewhere.
//
//go:embed docs/index.html docs/docs.css docs/docs.js
var docsFiles embed.FS

const policyDocs = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func (s *Server) docs() {
	for path, file := range map[string]string{"/docs": "index.html", "/docs/docs.css": "docs.css", "/docs/docs.js": "docs.js"} {
		b, err := docsFiles.ReadFile("docs/" + file)
		if err != nil {
			panic(err) // it is embedded
		}
		kind := map[string]string{"html": "text/html", "css": "text/css", "js": "text/javascript"}[file[strings.LastIndexByte(file, '.')+1:]]
		s.mux.Get(path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", kind+"; charset=utf-8")
			w.Header().Set("Content-Security-Policy", policyDocs)
			w.Write(b)
		})
	}
}
