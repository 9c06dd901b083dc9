package webembed

import "net/http"

// playground shows the three ways to embed, live, with code to copy. It is for those who build: what it
// does is what whoever is signed in may do.
func (s *Site) playground(w http.ResponseWriter, r *http.Request) {
	s.show(w, r, page{
		title: "Troupe playground", entry: "playground", ancestors: "'none'", loader: true,
		config: map[string]any{"register": s.cfg.Register, "app": playgroundApp},
	})
}
