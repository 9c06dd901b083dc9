package gateway

import "testing"

func TestAStatusIsOnesOwnAndSeenByThoseWhoMay(t *testing.T) {
	h := newHouse(t)
	h.as("ann", "POST", "/sessions", `{"sessionType":"p2p","members":["bob"]}`)
	if got := h.as("bob", "GET", "/users/ann/status", ""); got["status"] != "offline" || got["userId"] != "ann" {
		t.Errorf("bob sees %v", got)
	}
	if got := h.as("ann", "PUT", "/users/me/status", `{"status":"busy"}`); got["status"] != "busy" {
		t.Errorf("set: %v", got)
	}
	h.as("ann", "PUT", "/users/ann/status", `{"status":"away"}`)
	if got := h.as("ann", "GET", "/users/me/status", ""); got["status"] != "away" {
		t.Errorf("ann is to herself %v", got)
	}
	if got := h.as("bob", "GET", "/users/ann/status", ""); got["status"] != "offline" {
		t.Errorf("bob sees %v of ann, who is not connected", got)
	}
	for path, want := range map[string]int{"/users/ann/status": 404, "/users/nobody/status": 404} {
		if status, got := h.request("eve", "GET", path, ""); status != want {
			t.Errorf("a stranger gets %d %v, want %d", status, got, want)
		}
	}
	for user, want := range map[string]int{"bob": 403, "nobody": 403, "me": 200} {
		if status, got := h.request("ann", "PUT", "/users/"+user+"/status", `{"status":"online"}`); status != want {
			t.Errorf("ann sets %s's status: %d %v, want %d", user, status, got, want)
		}
	}
	if status, _ := h.request("ann", "PUT", "/users/me/status", `{"status":"asleep"}`); status != 400 {
		t.Errorf("a status that is none: %d", status)
	}
}
