package gateway

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/chi/v5"

	"github.com/troupe-im/troupe/internal/access"
)

// Operations gives every REST operation that was registered, by method and path.
func (s *Server) Operations() map[string]*huma.Operation {
	all := map[string]*huma.Operation{}
	for path, item := range s.api.OpenAPI().Paths {
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Delete, item.Patch, item.Head, item.Options, item.Trace} {
			if op != nil {
				all[op.Method+" "+path] = op
			}
		}
	}
	return all
}

// Rows fails for every operation and path that the table of access has no row for,
// and names it. Nobody could call such an operation, so no server starts with one.
func (s *Server) Rows() error {
	operations := s.Operations()
	var without []string
	for where, op := range operations {
		if access.Operation(op.OperationID) == nil {
			without = append(without, fmt.Sprintf("the operation %s (%s)", op.OperationID, where))
		}
	}
	err := chi.Walk(s.mux, func(method, path string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		if operations[method+" "+path] == nil && !access.Route(path) {
			without = append(without, "the path "+path)
		}
		return nil
	})
	if len(without) > 0 {
		slices.Sort(without)
		return fmt.Errorf("gateway: internal/access has no row for %s", strings.Join(slices.Compact(without), ", "))
	}
	return err
}
