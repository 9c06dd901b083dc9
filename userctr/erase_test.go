package userctr_test

import (
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/userctr"
)

// erase erases a user, as far as the centre does it.
func (b *bench) erase(id protocol.UserID) {
	b.t.Helper()
	if _, err := b.BeginErasure(b.t.Context(), userctr.ByOperator, id, userctr.KeepMessages); err != nil {
		b.t.Fatal(err)
	}
	if err := b.Forget(b.t.Context(), id); err != nil {
		b.t.Fatal(err)
	}
	if err := b.EndErasure(b.t.Context(), id); err != nil {
		b.t.Fatal(err)
	}
}

// blank checks that nothing says who an erased user was.
func (b *bench) blank(id protocol.UserID) {
	b.t.Helper()
	u, err := b.User(b.t.Context(), id)
	if err != nil || !u.Gone || !u.Disabled || u.Nickname != "" || u.Outside != "" || u.Avatar != "" {
		b.t.Errorf("who was erased is %+v, %v", u, err)
	}
}

func TestATokenThatIsStillGoodBringsNoNameOfWhoWasErasedBack(t *testing.T) {
	b := start(t, withOutside)
	token := sign(t, jwt.SigningMethodHS256, []byte(identitySecret), nil, map[string]any{"sub": "ann", "name": "Ann Canary", "exp": b.now().Unix() + 3600})
	b.who(token)
	b.erase("ann")
	for range 2 {
		b.refused(token, protocol.Code_UNAUTHORIZED)
		b.blank("ann")
		b.restart()
	}
}

func TestAHostsTokenBringsNoNameOfWhoWasShutOutBack(t *testing.T) {
	b := start(t, nil)
	a, secret := b.app()
	g, err := b.exchange(a.ID, b.hs(secret, b.embed(a.ID, map[string]any{"name": "Ann"})))
	if err != nil {
		t.Fatal(err)
	}
	if err := b.SetDisabled(t.Context(), userctr.ByOperator, g.User.ID, true); err != nil {
		t.Fatal(err)
	}
	_, err = b.exchange(a.ID, b.hs(secret, b.embed(a.ID, map[string]any{"name": "Another"})))
	wants(t, err, protocol.Code_UNAUTHORIZED)
	if u, err := b.User(t.Context(), g.User.ID); err != nil || u.Nickname != "Ann" {
		t.Errorf("who was shut out is %+v, %v", u, err)
	}
}

func TestAKeyDoesNotMakeWhoWasErasedAnew(t *testing.T) {
	b := start(t, nil)
	text, _ := b.key("users")
	key := b.who(text)
	name := "Ms. Canary"
	if _, _, err := b.MintUser(t.Context(), key, userctr.Mint{ID: "patient-7", Nickname: &name}); err != nil {
		t.Fatal(err)
	}
	b.erase("patient-7")
	_, _, err := b.MintUser(t.Context(), key, userctr.Mint{ID: "patient-7", Nickname: &name})
	wants(t, err, protocol.Code_CONFLICT)
	_, err = b.MintToken(t.Context(), key, "patient-7", userctr.Client{})
	wants(t, err, protocol.Code_CONFLICT)
	b.blank("patient-7")
}

func TestHowDevicesOfWhoWasErasedAreWokenIsForgotten(t *testing.T) {
	b := start(t, nil)
	ann := b.signUp("ann").User.ID
	if err := b.SetPush(t.Context(), userctr.Push{User: ann, Device: "phone", Kind: "fcm", Token: "a canary"}); err != nil {
		t.Fatal(err)
	}
	b.erase(ann)
	if left, err := b.Pushes(t.Context(), ann); err != nil || len(left) > 0 {
		t.Errorf("woken by %v, %v", left, err)
	}
}

func TestWhoIsNoAdministratorAnyMoreDoesNothingMoreAsOne(t *testing.T) {
	b := start(t, nil)
	root := b.who(b.admin().Token)
	ann := b.signUp("ann")
	if _, err := b.SetAdmin(t.Context(), root.User, ann.User.ID, true); err != nil {
		t.Fatal(err)
	}
	admin := b.login("ann", "desk", "web")
	id := b.who(admin.Token)
	if !id.Admin {
		t.Fatalf("identity = %+v", id)
	}
	if _, err := b.SetAdmin(t.Context(), root.User, ann.User.ID, false); err != nil {
		t.Fatal(err)
	}
	b.refused(admin.Token, protocol.Code_UNAUTHORIZED) // its login ended
	_, _, err := b.MintUser(t.Context(), id, userctr.Mint{})
	wants(t, err, protocol.Code_DENIED)
	_, err = b.MintToken(t.Context(), id, root.User, userctr.Client{})
	wants(t, err, protocol.Code_DENIED)
}
