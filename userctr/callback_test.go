package userctr_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/userctr"
)

// asked serves a callback that answers by the token.
func asked(t *testing.T, answer func(w http.ResponseWriter, token string)) (*httptest.Server, *atomic.Int64) {
	n := &atomic.Int64{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.Add(1)
		var in struct{ Token string }
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil || r.Method != http.MethodPost {
			t.Errorf("a question came as %s, %v", r.Method, err)
		}
		if got := r.Header.Get("Authorization"); got != "Bearer it is me" {
			t.Errorf("Authorization = %q", got)
		}
		answer(w, in.Token)
	}))
	t.Cleanup(s.Close)
	return s, n
}

func withCallback(url string) func(*userctr.Config) {
	return func(c *userctr.Config) {
		c.Issuers = []userctr.Issuer{{Issuer: "his", Callback: url, Secret: "it is me"}}
	}
}

func TestACallbackSaysWhoseATokenIs(t *testing.T) {
	var good atomic.Bool
	good.Store(true)
	s, n := asked(t, func(w http.ResponseWriter, token string) {
		switch {
		case strings.HasPrefix(token, "nobody"):
			w.WriteHeader(http.StatusUnauthorized)
		case token == "inactive":
			w.Write([]byte(`{"active":false}`))
		case token == "old":
			w.Write([]byte(`{"sub":"ann","exp":1}`))
		case token == "broken":
			w.WriteHeader(http.StatusBadGateway)
		case token == "huge":
			w.Write([]byte(`{"sub":"` + strings.Repeat("x", 1<<20) + `"}`))
		case token == "elsewhere":
			w.Header().Set("Location", "/")
			w.WriteHeader(http.StatusTemporaryRedirect)
		case !good.Load():
			w.WriteHeader(http.StatusForbidden)
		default:
			w.Write([]byte(`{"sub":"patient 12","name":"Ms. Li","device":"phone"}`))
		}
	})
	b := start(t, withCallback(s.URL))
	id := b.who("an opaque token")
	if !strings.HasPrefix(id.User, "u_") || id.Device != "phone" || !id.Expires.Equal(b.now().Add(10*time.Minute)) {
		t.Errorf("identity = %+v", id)
	}
	if again := b.who("an opaque token"); again.User != id.User || n.Load() != 1 {
		t.Errorf("the same token is %s after %d questions, want %s after one", again.User, n.Load(), id.User)
	}
	if other := b.who("another of the same person"); other.User != id.User {
		t.Errorf("another token is %s, want %s", other.User, id.User)
	}
	b.who(sign(t, jwt.SigningMethodHS256, []byte("theirs"), nil, b.claims("his", nil))) // a JWT of theirs is asked for too

	good.Store(false) // what was good is so for a minute
	b.who("an opaque token")
	b.pass(60 * time.Second)
	b.refused("an opaque token", protocol.Code_UNAUTHORIZED)
	good.Store(true) // and what was not is asked for again
	b.who("an opaque token")

	b.refused("inactive", protocol.Code_UNAUTHORIZED)
	b.refused("old", protocol.Code_TOKEN_EXPIRED)
	for _, token := range []string{"broken", "huge", "elsewhere"} {
		b.refused(token, protocol.Code_BUSY)
	}
	before := n.Load()
	b.refused("nobody", protocol.Code_UNAUTHORIZED)
	b.refused("nobody", protocol.Code_UNAUTHORIZED)
	if got := n.Load() - before; got != 2 {
		t.Errorf("a refused token was asked for %d times in two tries", got)
	}
	before = n.Load()
	ours := b.signUp("ann")
	for _, token := range []string{
		ours.Token, ours.Refresh, "tk_abc", "", strings.Repeat("x", 5000),
		sign(t, jwt.SigningMethodHS256, []byte("x"), nil, b.claims("nobody's", nil)),
	} {
		b.Authenticate(t.Context(), token)
	}
	if n.Load() != before {
		t.Error("a token of ours, or one that cannot be theirs, was shown to the other system")
	}
}

func TestACallbackIsAskedOnceForAllWhoWait(t *testing.T) {
	arrived, hold := make(chan struct{}, 100), make(chan struct{})
	s, n := asked(t, func(w http.ResponseWriter, token string) {
		arrived <- struct{}{}
		<-hold
		w.Write([]byte(`{"sub":"ann"}`))
	})
	b := start(t, withCallback(s.URL))
	var wait sync.WaitGroup
	for range 20 {
		wait.Go(func() {
			if _, err := b.Authenticate(t.Context(), "token"); err != nil {
				t.Error(err)
			}
		})
	}
	<-arrived
	close(hold)
	wait.Wait()
	if got := n.Load(); got != 1 {
		t.Errorf("20 at once asked %d times, want once", got)
	}
}

func TestWhoGivesUpWaitsNoLongerForACallback(t *testing.T) {
	arrived, hold := make(chan struct{}), make(chan struct{})
	s, _ := asked(t, func(http.ResponseWriter, string) {
		close(arrived)
		<-hold
	})
	t.Cleanup(func() { close(hold) })
	b := start(t, withCallback(s.URL))
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-arrived
		cancel()
	}()
	_, err := b.Authenticate(ctx, "token")
	wants(t, err, protocol.Code_BUSY)
}

func TestOneAddressAsksACallbackInVainOnlySoOften(t *testing.T) {
	s, n := asked(t, func(w http.ResponseWriter, token string) {
		if strings.HasPrefix(token, "good") {
			w.Write([]byte(`{"sub":"ann"}`))
			return
		}
		w.WriteHeader(http.StatusUnauthorized)
	})
	b := start(t, func(c *userctr.Config) {
		withCallback(s.URL)(c)
		c.Limits.Address = userctr.Rate{Burst: 3, Every: time.Second}
	})
	try := func(address, token string) error {
		_, err := b.Authenticate(protocol.WithAddress(t.Context(), address), token)
		return err
	}
	for range 10 { // a good one takes nothing
		if err := try("192.0.2.1:1", "good"); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3 {
		wants(t, try("192.0.2.1:1", fmt.Sprint("bad ", i)), protocol.Code_UNAUTHORIZED)
	}
	before := n.Load()
	wants(t, try("192.0.2.1:2", "bad"), protocol.Code_RATE_LIMITED)
	wants(t, try("192.0.2.1", "good too"), protocol.Code_RATE_LIMITED)
	if n.Load() != before {
		t.Error("the other system was asked above the limit")
	}
	if err := try("192.0.2.1:1", "good"); err != nil {
		t.Errorf("a token that is remembered: %v", err)
	}
	wants(t, try("192.0.2.2:1", "bad"), protocol.Code_UNAUTHORIZED)
	for range 10 {
		wants(t, try("127.0.0.1:1", "bad"), protocol.Code_UNAUTHORIZED)
		wants(t, try("", "bad"), protocol.Code_UNAUTHORIZED)
	}
	if _, err := b.SignUp(t.Context(), userctr.NewUser{Name: "bob", Password: password}, userctr.Client{Address: "192.0.2.1:1"}); err != nil {
		t.Errorf("a sign-in from there: %v", err)
	}
	b.pass(time.Second)
	if err := try("192.0.2.1:1", "good too"); err != nil {
		t.Errorf("after a second: %v", err)
	}
}
