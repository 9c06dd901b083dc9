package userctr_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/troupe-im/troupe/internal/pebblestore"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/userctr"
)

func nick(name string) userctr.Looks { return userctr.Looks{Nickname: &name} }

func (b *bench) profile(id protocol.UserID) *protocol.Profile {
	b.t.Helper()
	found, err := b.Profiles(b.t.Context(), []protocol.UserID{id, id})
	if err != nil || len(found) != 1 {
		b.t.Fatalf("profiles of %s = %v, %v, want one", id, found, err)
	}
	return found[0]
}

func TestAChangeOfAProfileIsToldAndShownAtOnce(t *testing.T) {
	b := start(t, nil)
	ann := b.signUp("ann").User.ID
	before := b.profile(ann)
	var told []*protocol.Profile
	b.OnProfile(func(p *protocol.Profile) { told = append(told, p) })
	link := "https://example.com/face.png"
	if _, err := b.SetProfile(t.Context(), ann, userctr.Looks{Avatar: &link, Fields: map[string]string{"城市": "厦门"}}); err != nil {
		t.Fatal(err)
	}
	now := b.profile(ann)
	if now.Avatar != link || now.Fields["城市"] != "厦门" || now.Nickname != before.Nickname || now.Version <= before.Version {
		t.Errorf("after the change: %v, before it: %v", now, before)
	}
	if len(told) != 1 || told[0].Version != now.Version {
		t.Errorf("told of %v, want %v once", told, now)
	}
	if _, err := b.SetProfile(t.Context(), ann, userctr.Looks{Avatar: &link}); err != nil || len(told) != 1 {
		t.Errorf("a change that changes nothing was told: %v, %v", told, err)
	}
	if known, others := b.Known([]protocol.UserID{ann, "u_x"}); len(known) != 1 || len(others) != 1 {
		t.Errorf("known = %v, others = %v", known, others)
	}
	b.restart()
	if is := b.profile(ann); is.Fields["城市"] != "厦门" {
		t.Errorf("after a restart: %v", is)
	}
}

func TestProfilesAreBounded(t *testing.T) {
	b := start(t, nil)
	ann := b.signUp("ann").User.ID
	many := map[string]string{}
	for i := range 21 {
		many[fmt.Sprint(i)] = "x"
	}
	for code, fields := range map[protocol.Code]map[string]string{
		protocol.Code_TOO_MANY:    many,
		protocol.Code_BAD_REQUEST: {strings.Repeat("k", 33): "v"},
	} {
		if _, err := b.SetProfile(t.Context(), ann, userctr.Looks{Fields: fields}); !code.Is(err) {
			t.Errorf("%d fields: %v, want %v", len(fields), err, code)
		}
	}
	for _, fields := range []map[string]string{{"": "v"}, {"k\n": "v"}, {"k": strings.Repeat("界", 257)}, {"k": "\xff"}} {
		if _, err := b.SetProfile(t.Context(), ann, userctr.Looks{Fields: fields}); !protocol.Code_BAD_REQUEST.Is(err) {
			t.Errorf("fields %q: %v, want BAD_REQUEST", fields, err)
		}
	}
	full := map[string]string{}
	for i := range 20 {
		full[fmt.Sprintf("%032d", i)] = strings.Repeat("界", 256)
	}
	if _, err := b.SetProfile(t.Context(), ann, userctr.Looks{Fields: full}); err != nil {
		t.Errorf("20 fields of the greatest size: %v", err)
	}
}

func TestTenChangesOfAProfileAMinuteAreTaken(t *testing.T) {
	b := start(t, nil)
	ann, bob := b.signUp("ann").User.ID, b.signUp("bob").User.ID
	for i := range 10 {
		if _, err := b.SetProfile(t.Context(), ann, nick(fmt.Sprint("Ann ", i))); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.SetProfile(t.Context(), ann, nick("once more")); !protocol.Code_RATE_LIMITED.Is(err) {
		t.Errorf("the 11th change: %v, want RATE_LIMITED", err)
	}
	if _, err := b.SetProfile(t.Context(), bob, nick("Bobby")); err != nil {
		t.Errorf("another user's change: %v", err)
	}
	b.pass(7 * time.Second)
	if _, err := b.SetProfile(t.Context(), ann, nick("later")); err != nil {
		t.Errorf("a change when time has passed: %v", err)
	}
}

// slowStore lets a change happen between a read of rows and its end.
type slowStore struct {
	*pebblestore.Store
	meanwhile func()
}

func (s *slowStore) Users(ctx context.Context, ids []protocol.UserID) ([]*userctr.User, error) {
	users, err := s.Store.Users(ctx, ids)
	if f := s.meanwhile; f != nil {
		s.meanwhile = nil
		f()
	}
	return users, err
}

func TestAReadThatAChangeOvertakesGivesWhatIsNow(t *testing.T) {
	b := start(t, nil)
	ann := b.signUp("ann").User.ID
	slow := &slowStore{Store: b.store}
	c, err := userctr.New(b.cfg, slow, b.now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	slow.meanwhile = func() {
		if _, err := c.SetProfile(t.Context(), ann, nick("Anna")); err != nil {
			t.Error(err)
		}
	}
	found, err := c.Profiles(t.Context(), []protocol.UserID{ann})
	if err != nil || len(found) != 1 || found[0].Nickname != "Anna" {
		t.Errorf("profiles = %v, %v, want Anna", found, err)
	}
	if known, _ := c.Known([]protocol.UserID{ann}); len(known) != 1 || known[0].Nickname != "Anna" {
		t.Errorf("known = %v, want Anna", known)
	}
}
