package storetest

import (
	"reflect"
	"testing"
	"time"

	"github.com/troupe-im/troupe/plugins/remote"
)

// Remote tries everything that remote.Store says of a store, which open gives empty.
func Remote(t *testing.T, open func(t *testing.T) remote.Store) {
	at := time.Unix(1_760_000_000, 0).UTC()
	t.Run("remote bots are kept as they were kept last", func(t *testing.T) {
		s := open(t)
		b := &remote.Bot{ID: "far", Way: remote.Webhook, URL: "https://far.example/hook", Token: "aa", Secret: "bb", Scopes: []string{"write"}, Config: "{}", By: "u_ann", Created: at}
		a := &remote.Bot{ID: "another", Way: remote.Socket, Token: "cc", By: "u_ann", Created: at}
		for _, b := range []*remote.Bot{b, a} {
			if err := s.KeepRemoteBot(t.Context(), b); err != nil {
				t.Fatal(err)
			}
		}
		b.Disabled, b.Token = true, "dd"
		if err := s.KeepRemoteBot(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		if got, err := s.RemoteBots(t.Context()); err != nil || !reflect.DeepEqual(got, []*remote.Bot{a, b}) {
			t.Errorf("kept are %v, %v", got, err)
		}
		for range 2 {
			if err := s.RemoveRemoteBot(t.Context(), "far"); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := s.RemoteBots(t.Context()); err != nil || !reflect.DeepEqual(got, []*remote.Bot{a}) {
			t.Errorf("left are %v, %v", got, err)
		}
	})
	t.Run("hooks are kept until they are removed", func(t *testing.T) {
		s := open(t)
		h := &remote.Hook{Token: "aa", ID: "h_1", Plugin: "bridge", Bot: "b_bridge", Session: "s_abcdefghijklmnop", Name: "ci", Created: at}
		if err := s.KeepHook(t.Context(), h); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Hooks(t.Context()); err != nil || !reflect.DeepEqual(got, []*remote.Hook{h}) {
			t.Errorf("kept are %v, %v", got, err)
		}
		for range 2 {
			if err := s.RemoveHook(t.Context(), "aa"); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := s.Hooks(t.Context()); err != nil || len(got) != 0 {
			t.Errorf("left are %v, %v", got, err)
		}
	})
}
