package gateway

import (
	"net/http"
	"strings"

	"github.com/troupe-im/troupe/internal/protocol"
)

// Origins knows the web pages in which applications are embedded.
type Origins interface {
	// Origin says whether a page of this origin, as its browser writes it, is one of app's, or with app "" of
	// any application. It is asked for each request, and answers from memory.
	Origin(app, origin string) bool
}

// What a page elsewhere may do with the API: everything that its token lets it do. Cookies are nowhere looked at.
const (
	corsMethods = "GET, HEAD, POST, PUT, PATCH, DELETE"
	corsHeaders = "Authorization, Content-Type, X-Troupe-User, Digest, Content-Digest, Range, If-Match, If-None-Match, Tus-Resumable, Upload-Length, Upload-Offset, Upload-Metadata, Upload-Checksum"
	corsExposed = "Retry-After, Location, ETag, Content-Range, Repr-Digest, Tus-Resumable, Upload-Length, Upload-Offset, Upload-Metadata, Upload-Expires"
	corsAge     = "600" // seconds
)

// cors lets pages of the origins in the settings, and of applications, read our answers, and answers what their browsers
// ask beforehand. What is an application's own (/api/v2/apps/APP) is for its own pages alone, and changes
// nothing for any other.
func (s *Server) cors(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rest, api := strings.CutPrefix(r.URL.Path, "/api/v2/")
		if !api || len(r.Header.Values("Origin")) == 0 {
			next.ServeHTTP(w, r)
			return
		}
		app := ""
		if rest, ok := strings.CutPrefix(rest, "apps/"); ok {
			app, _, _ = strings.Cut(rest, "/")
		}
		_, scheme, _ := client(r, s.cfg.TrustedProxies)
		err := s.ws.origins.checkFor(app, r, scheme)
		h := w.Header()
		h.Add("Vary", "Origin")
		if said := r.Header.Get("Origin"); err == nil && said != serialized(scheme, r.Host) {
			h.Set("Access-Control-Allow-Origin", said)
			h.Set("Access-Control-Expose-Headers", corsExposed)
		}
		before := r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != ""
		switch {
		case before && err == nil:
			h.Set("Access-Control-Allow-Methods", corsMethods)
			h.Set("Access-Control-Allow-Headers", corsHeaders)
			h.Set("Access-Control-Max-Age", corsAge)
			w.WriteHeader(http.StatusNoContent)
		case err != nil && (before || app != "" && r.Method != http.MethodGet):
			WriteProblem(w, protocol.Errorf(protocol.Code_ORIGIN_REFUSED, "this web origin may not connect"))
		default:
			next.ServeHTTP(w, r)
		}
	})
}
