package gateway

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/chi/v5"

	"github.com/troupe-im/troupe/internal/protocol"
)

// described fails where an operation answered with a status that its description lacks.
func described(t *testing.T, srv *Server, method, path string, status int) {
	t.Helper()
	path, _, _ = strings.Cut(path, "?")
	route := chi.NewRouteContext()
	if !srv.mux.Match(route, method, path) {
		return
	}
	item := srv.api.OpenAPI().Paths[route.RoutePattern()]
	if item == nil {
		return
	}
	op := map[string]*huma.Operation{"GET": item.Get, "POST": item.Post, "PUT": item.Put, "DELETE": item.Delete}[method]
	if op != nil && op.Responses[strconv.Itoa(status)] == nil {
		t.Errorf("%s answered %d, which its description does not have", op.OperationID, status)
	}
}

func TestOperationsAnswerWhatTheyDescribe(t *testing.T) {
	good := newDesk(t, Config{})
	limited := newDesk(t, Config{Rate: 1, RateBurst: 1})
	for id, op := range operations(good.srv) {
		path := strings.NewReplacer("{session_id}", ours, "{message_id}", ours+".3", "{participant_id}", "bob", "{reaction}", "x").Replace(op.Path)
		if strings.HasSuffix(path, "/participants") {
			path += "?members=bob"
		}
		met := map[string]bool{"500": true}
		meet := func(d *desk, want int, what, body string, headers ...string) {
			t.Helper()
			status, p := d.do(op.Method, path, body, headers...)
			if status != want {
				t.Errorf("%s: %s: %d %v, want %d", id, what, status, p, want)
			}
			met[strconv.Itoa(status)] = true // that it is described, do looks at
		}
		meet(good, 401, "no token", bodies[id], "Authorization: ")
		for limited.raw(op.Method, path, bodies[id], "Authorization: Bearer user:"+id).Code != 429 {
		}
		met["429"] = true
		if op.RequestBody != nil {
			meet(good, 400, "no JSON", "{")
			meet(good, 413, "a large body", `{"x":"`+strings.Repeat("x", maxBody)+`"}`)
			meet(good, 415, "another media type", "<a/>", "Content-Type: text/xml")
			met["408"] = true // a body that does not come in time
		}
		if len(op.Parameters) > 0 {
			met["400"] = true
		}
		codes, _ := op.Metadata[codesKey].([]protocol.Code)
		for _, c := range append(slices.Clone(codes), protocol.Code_BUSY, protocol.Code_GOAWAY, protocol.Code_INTERNAL) {
			good.asked = nil
			good.reply = func(*protocol.Frame) (*protocol.Frame, error) { return nil, protocol.Errorf(c, "no") }
			status, p := good.do(op.Method, path, bodies[id])
			if status != c.HTTPStatus() && len(good.asked) > 0 {
				t.Errorf("%s: %s answered %d %v", id, c.Word(), status, p)
			}
			met[strconv.Itoa(c.HTTPStatus())] = true
		}
		good.reply = func(*protocol.Frame) (*protocol.Frame, error) { return nil, errors.New("whatever") }
		good.do(op.Method, path, bodies[id])
		for status := range op.Responses {
			if status[0] != '2' && !met[status] {
				t.Errorf("%s describes %s, which nothing answers", id, status)
			}
		}
	}
	send := operations(good.srv)["send-message"]
	for status, means := range map[string]string{
		"200": "OK: it had been sent before, and this is the first answer",
		"201": "Created",
		"413": "Request Entity Too Large: TOO_LARGE",
		"422": "Unprocessable Entity: UNSUPPORTED, TOO_MANY",
		"503": "Service Unavailable: BUSY, GOAWAY",
	} {
		if r := send.Responses[status]; r == nil || r.Description != means || len(r.Content) == 0 {
			t.Errorf("send-message: %s is described as %+v, want %q", status, r, means)
		}
	}
	if list := operations(good.srv)["recent-sessions"]; list.Responses["422"] != nil || list.Responses["413"] != nil || list.Responses["404"] != nil {
		t.Errorf("recent-sessions describes what it does not answer: %v", list.Responses)
	}
}
