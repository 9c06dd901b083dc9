package userctr_test

import (
	"testing"
)

func TestWhoIsErasedIsAnotherUserNextTime(t *testing.T) {
	p := startIDP(t)
	k := newEC(t, "k")
	p.keys = []map[string]string{k.shown}
	b := start(t, withJWKS(p))
	first := b.who(k.sign(t, b.claims(iss, map[string]any{"name": "Dr. Wang"}))).User
	if _, err := b.BeginErasure(t.Context(), "operator", first, "keep"); err != nil {
		t.Fatal(err)
	}
	if err := b.Forget(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	if next := b.who(k.sign(t, b.claims(iss, nil))).User; next == first {
		t.Errorf("the subject is still %s", first)
	}
}
