package userctr

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/troupe-im/troupe/internal/protocol"
)

func TestPasswordsAreCheckedAFewAtATime(t *testing.T) {
	h := newHasher(Argon2{Memory: 64, Passes: 1, Threads: 1})
	if n := cap(h.turn); n < 1 || n > max(1, runtime.GOMAXPROCS(0)/2) {
		t.Fatalf("%d at a time", n)
	}
	for range cap(h.turn) {
		h.turn <- struct{}{} // all places are taken
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	for range maxWaiting {
		go func() {
			_, err := h.hash(ctx, "password")
			ended <- err
		}()
	}
	for h.waiting.Load() < maxWaiting {
		runtime.Gosched()
	}
	if _, err := h.verify(ctx, "", "password"); !protocol.Code_BUSY.Is(err) || protocol.AsError(err).RetryAfterMs == 0 {
		t.Errorf("one too many got %v, want BUSY and when to come back", err)
	}
	cancel()
	for range maxWaiting {
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("who went away got %v", err)
		}
	}
}

func TestPHCString(t *testing.T) {
	h := newHasher(Argon2{Memory: 64, Passes: 1, Threads: 1})
	a, err := h.hash(t.Context(), "password")
	if err != nil {
		t.Fatal(err)
	}
	b, _ := h.hash(t.Context(), "password")
	if a == b {
		t.Error("two users with one password have one hash")
	}
	dearer := newHasher(Argon2{Memory: 128, Passes: 2, Threads: 2})
	for password, want := range map[string]bool{"password": true, "Password": false, "": false} {
		if ok, err := dearer.verify(t.Context(), a, password); ok != want || err != nil {
			t.Errorf("verify(%q) = %v, %v", password, ok, err)
		}
	}
	for says, bad := range map[string]string{
		"another algorithm": strings.Replace(a, "argon2id", "argon2i", 1),
		"another version":   strings.Replace(a, "v=19", "v=16", 1),
		"4 TiB":             strings.Replace(a, "m=64", "m=4294967295", 1),
		"no passes":         strings.Replace(a, "t=1", "t=0", 1),
		"no lanes":          strings.Replace(a, "p=1", "p=0", 1),
		"cut":               a[:len(a)-30],
		"plain":             "password",
	} {
		if ok, err := h.verify(t.Context(), bad, "password"); ok || err == nil {
			t.Errorf("%s: verify = %v, %v, want an error", says, ok, err)
		}
	}
}

func TestCheckPassword(t *testing.T) {
	for password, ok := range map[string]bool{
		"correct horse":          true,
		"密码是一句很长的话":              true,
		"short":                  false,
		"密码是一句话":                 false, // characters are counted, not bytes
		strings.Repeat("x", 257): false,
		"12345678":               false,
		"password1":              false,
		"PassWord1":              false, // letter case hides nothing
		"woaini1314":             false,
		"qwertyuiop":             false,
		"anna-maria":             false, // her name
		"ＡＮＮＡ-Maria":             false, // the same name
		"anna-maria!":            true,
	} {
		if err := checkPassword(password, "anna-maria"); (err == nil) != ok {
			t.Errorf("checkPassword(%q) = %v, want ok = %v", password, err, ok)
		}
	}
}

func TestCommonPasswordsAreOnesThatCouldBeTaken(t *testing.T) {
	words := common()
	if len(words) < 1000 {
		t.Errorf("%d words were read", len(words))
	}
	for word := range words {
		if n := utf8.RuneCountInString(word); n < minPassword || word != strings.ToLower(word) {
			t.Errorf("%q is never looked for", word)
		}
	}
}
