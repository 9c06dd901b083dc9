package gateway

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/troupe-im/troupe/internal/protocol"
)

// description is the head of the API's description.
func (s *Server) description() huma.Config {
	format := huma.Format{Marshal: huma.DefaultJSONFormat.Marshal, Unmarshal: unmarshal}
	c := huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title: "Troupe", Version: s.cfg.Version,
				Description: "Chat for people and bots. Live traffic goes over the WebSocket at /ws; everything a frame can do to a session can be done here too.",
			},
			Components: &huma.Components{SecuritySchemes: map[string]*huma.SecurityScheme{
				"bearer": {Type: "http", Scheme: "bearer", BearerFormat: "JWT"},
			}},
			OnAddOperation: []huma.AddOpFunc{describe},
		},
		OpenAPIPath:   "/openapi",
		Formats:       map[string]huma.Format{"application/json": format, "json": format},
		DefaultFormat: "application/json",
	}
	c.AllowAdditionalPropertiesByDefault = true // as in frames, what is not known is not looked at
	return c
}

// Of an operation's Metadata: the codes that its handler may answer with, and what its
// status 200 means besides the one that it has by default.
const (
	codesKey = "codes"
	againKey = "again"
)

// describe puts right what huma documents: a request that is not well formed is answered
// with 400 here, and what stands before every handler has answers of its own.
func describe(_ *huma.OpenAPI, op *huma.Operation) {
	delete(op.Responses, "422") // huma's for what is not well formed
	own, _ := op.Metadata[codesKey].([]protocol.Code)
	codes := slices.Clone(own)
	if signed(op) {
		codes = append(codes, protocol.Code_UNAUTHORIZED, protocol.Code_TOKEN_EXPIRED, protocol.Code_RATE_LIMITED, protocol.Code_BUSY, protocol.Code_GOAWAY)
	}
	if len(op.Parameters) > 0 || op.RequestBody != nil {
		codes = append(codes, protocol.Code_BAD_REQUEST)
	}
	if op.RequestBody != nil {
		codes = append(codes, protocol.Code_TOO_LARGE)
		for _, status := range []int{http.StatusRequestTimeout, http.StatusUnsupportedMediaType} {
			op.Responses[strconv.Itoa(status)] = failing(op, http.StatusText(status)+": "+protocol.Code_BAD_REQUEST.Word())
		}
	}
	words := map[int][]string{}
	slices.Sort(codes)
	for _, c := range slices.Compact(codes) {
		words[c.HTTPStatus()] = append(words[c.HTTPStatus()], c.Word())
	}
	for status, w := range words {
		op.Responses[strconv.Itoa(status)] = failing(op, http.StatusText(status)+": "+strings.Join(w, ", "))
	}
	if means, ok := op.Metadata[againKey].(string); ok {
		again := *op.Responses[strconv.Itoa(op.DefaultStatus)]
		again.Description = means
		op.Responses["200"] = &again
	}
}

// failing is a response with a problem, whose schema huma has made for its own 500.
func failing(op *huma.Operation, means string) *huma.Response {
	r := *op.Responses["500"]
	r.Description = means
	return &r
}
