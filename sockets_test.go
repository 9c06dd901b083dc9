package main

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// socket signs in by a token, as device, and gives what tells that the server has closed the socket.
func (s *testServer) socket(token, device string) (closed func() websocket.StatusCode) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	s.t.Cleanup(cancel)
	conn, _, err := websocket.Dial(ctx, strings.Replace(s.url, "http", "ws", 1)+"/ws", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.CloseNow() })
	if err := conn.Write(ctx, websocket.MessageText, []byte(`{"type":"auth","id":"1","token":"`+token+`","device":"`+device+`"}`)); err != nil {
		s.t.Fatal(err)
	}
	if _, text, err := conn.Read(ctx); err != nil || !strings.Contains(string(text), "auth_reply") || !strings.Contains(string(text), "userId") {
		s.t.Fatalf("auth is answered with %s, %v", text, err)
	}
	return func() websocket.StatusCode {
		s.t.Helper()
		for {
			_, _, err := conn.Read(ctx)
			var end websocket.CloseError
			switch {
			case errors.As(err, &end):
				return end.Code
			case err != nil:
				s.t.Fatalf("the socket is not closed: %v", err)
			}
		}
	}
}

func TestWhatIsSignedOutIsDisconnected(t *testing.T) {
	s := startServer(t)
	admin := s.administrator("root")
	made := func(path string, body any) map[string]any {
		t.Helper()
		status, out := s.asks("", "POST", path, body)
		if status >= 300 {
			t.Fatalf("%s is answered with %d %v", path, status, out)
		}
		return out
	}
	status, invite := s.asks(admin, "POST", "/users/invites", map[string]any{"uses": 1})
	if status != http.StatusCreated {
		t.Fatalf("the invitation is answered with %d %v", status, invite)
	}
	phone := made("/users", map[string]any{"name": "ann", "password": "a horse on a roof", "code": invite["code"], "device": "phone"})["token"].(string)
	desk := func() string {
		return made("/users/login", map[string]any{"name": "ann", "password": "a horse on a roof", "device": "desk"})["token"].(string)
	}
	do := func(token, method, path string) {
		t.Helper()
		if status, out := s.asks(token, method, path, nil); status != http.StatusNoContent {
			t.Fatalf("%s %s is answered with %d %v", method, path, status, out)
		}
	}
	const unauthorized = 4501

	gone, stays := s.socket(phone, ""), s.socket(desk(), "")
	do(desk(), "DELETE", "/users/me/devices/phone")
	if got := gone(); got != unauthorized {
		t.Errorf("one device: closed with %d, want %d", got, unauthorized)
	}
	do(desk(), "DELETE", "/users/me/devices")
	if got := stays(); got != unauthorized {
		t.Errorf("all devices: closed with %d, want %d", got, unauthorized)
	}

	outside := s.token("bob")
	tablet, watch := s.socket(outside, "tablet"), s.socket(outside, "watch")
	if status, list := s.asks(outside, "GET", "/users/me/devices", nil); status != http.StatusOK || len(list["items"].([]any)) != 2 {
		t.Errorf("an outside system's user has the devices %v", list)
	}
	do(outside, "DELETE", "/users/me/devices/tablet")
	if got := tablet(); got != unauthorized {
		t.Errorf("an outside user's device: closed with %d, want %d", got, unauthorized)
	}
	do(outside, "DELETE", "/users/me/devices")
	if got := watch(); got != unauthorized {
		t.Errorf("all of an outside user's devices: closed with %d, want %d", got, unauthorized)
	}

	_, key := s.asks(admin, "POST", "/keys", map[string]any{"name": "shop", "scopes": []string{"read"}})
	socket := s.socket(key["key"].(string), "server")
	do(admin, "DELETE", "/keys/"+key["id"].(string))
	if got := socket(); got != unauthorized {
		t.Errorf("a key's socket: closed with %d, want %d", got, unauthorized)
	}

	_, app := s.asks(admin, "POST", "/apps", map[string]any{"name": "shop", "guests": true})
	_, other := s.asks(admin, "POST", "/apps", map[string]any{"name": "bank", "guests": true})
	visitor := func(of map[string]any) string {
		return made("/apps/"+of["app"].(string)+"/guests", map[string]any{})["token"].(string)
	}
	shopper, banker := visitor(app), visitor(other)
	leaves, remains := s.socket(shopper, ""), s.socket(banker, "")
	do(admin, "DELETE", "/apps/"+app["app"].(string))
	if got := leaves(); got != unauthorized {
		t.Errorf("a visitor of an application that was removed: closed with %d, want %d", got, unauthorized)
	}
	if status, _ := s.asks(shopper, "GET", "/users/me", nil); status != http.StatusUnauthorized {
		t.Errorf("its token is answered with %d", status)
	}
	if status, _ := s.asks(banker, "GET", "/users/me", nil); status != http.StatusOK {
		t.Errorf("another application's is answered with %d", status)
	}
	do(admin, "DELETE", "/apps/"+other["app"].(string))
	if got := remains(); got != unauthorized {
		t.Errorf("a visitor of the other one: closed with %d, want %d", got, unauthorized)
	}
}
