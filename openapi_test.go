package main

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/troupe-im/troupe/internal/access"
	"github.com/troupe-im/troupe/internal/protocol"
)

// Whatever the whole server's operations answer to bad requests is described.
func TestTheAPIsDescriptionHasWhatIsAnswered(t *testing.T) {
	// A decision about a file may carry a picture: with small pictures alone, the
	// large body below is one for it as well.
	s := startServer(t, "TROUPE_MAX_IMAGE=1KiB")
	var api struct {
		Paths map[string]map[string]struct {
			OperationID string                     `json:"operationId"`
			Responses   map[string]json.RawMessage `json:"responses"`
			RequestBody json.RawMessage            `json:"requestBody"`
			Security    json.RawMessage            `json:"security"`
			Parameters  []struct {
				Name, In string
			} `json:"parameters"`
		} `json:"paths"`
	}
	s.get("ann", "/openapi.json", &api)
	fill := strings.NewReplacer("{session_id}", "s_aaaaaaaaaaaaaaaa", "{message_id}", "s_aaaaaaaaaaaaaaaa.3", "{participant_id}", "bob",
		"{reaction}", "x", "{id}", "u_nobody", "{device}", "d_none", "{link_id}", "l_none", "{code}", "none", "{notice_id}", "n_none")
	root := s.administrator("root")
	n := 0
	for path, methods := range api.Paths {
		for method, op := range methods {
			n++
			said := map[string]bool{}
			for _, p := range op.Parameters {
				said[p.In+" "+p.Name] = true
			}
			for _, part := range strings.Split(path, "/") {
				if name, ok := strings.CutPrefix(part, "{"); ok && !said["path "+strings.TrimSuffix(name, "}")] {
					t.Errorf("%s: %s is not described", op.OperationID, part)
				}
			}
			for _, header := range map[string][]string{"begin-upload": {"Tus-Resumable", "Upload-Length", "Upload-Metadata"},
				"continue-upload": {"Tus-Resumable", "Upload-Offset", "Upload-Checksum"}, "head-upload": {"Tus-Resumable"}}[op.OperationID] {
				if !said["header "+header] {
					t.Errorf("%s: %s is not described", op.OperationID, header)
				}
			}
			ask := func(want int, what, body, media, token string) {
				t.Helper()
				r, err := http.NewRequestWithContext(t.Context(), strings.ToUpper(method), s.url+fill.Replace(path), strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("Content-Type", media)
				if token != "" {
					r.Header.Set("Authorization", "Bearer "+token)
				}
				res, err := http.DefaultClient.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				res.Body.Close()
				if want != 0 && res.StatusCode != want {
					t.Errorf("%s: %s: %s, want %d", op.OperationID, what, res.Status, want)
				}
				if op.Responses[strconv.Itoa(res.StatusCode)] == nil {
					t.Errorf("%s: %s: answered %s, which is not described", op.OperationID, what, res.Status)
				}
			}
			token := ""
			if op.Security != nil {
				ask(401, "no token", "", "application/json", "")
				token = s.token("ann")
				if access.MayCall(op.OperationID, &protocol.Identity{User: "ann"}) != nil {
					token = root // who may not ask learns nothing else
				}
			}
			ask(0, "an empty object", "{}", "application/json", token)
			if strings.Contains(string(op.RequestBody), "application/json") {
				ask(400, "no JSON", "{", "application/json", token)
				ask(413, "a large body", `{"x":"`+strings.Repeat("x", 70<<10)+`"}`, "application/json", token)
				ask(415, "another media type", "<a/>", "text/xml", token)
			}
		}
	}
	if n < 45 {
		t.Errorf("%d operations are described", n)
	}
}
