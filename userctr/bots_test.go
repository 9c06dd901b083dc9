package userctr_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/userctr"
)

func TestABotIsMadeOnceAndChangedWhenItLooksDifferent(t *testing.T) {
	b, ctx := start(t, nil), t.Context()
	must := func(bot userctr.BotUser) *userctr.User {
		t.Helper()
		if err := b.EnsureBot(ctx, bot); err != nil {
			t.Fatal(err)
		}
		u, err := b.User(ctx, bot.ID)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	echo := userctr.BotUser{ID: "b_echo", Name: "Echo 回声", About: "Says what you say", Avatar: "🦜"}
	u := must(echo)
	if u.Kind != userctr.Bot || u.Nickname != "Echo 回声" || u.Name != "echo" || u.Fields["about"] != "Says what you say" || u.Fields["emoji"] != "🦜" || u.Password != "" {
		t.Errorf("the bot is %+v", u)
	}
	if again := must(echo); again.Version != u.Version {
		t.Errorf("nothing changed, and the version went from %d to %d", u.Version, again.Version)
	}
	var told []*protocol.Profile
	b.OnProfile(func(p *protocol.Profile) { told = append(told, p) })
	echo.Name, echo.Avatar = "Echo", "https://example.org/echo.png"
	if changed := must(echo); changed.Version <= u.Version || changed.Nickname != "Echo" || changed.Avatar != echo.Avatar || changed.Fields["emoji"] != "" {
		t.Errorf("after a change the bot is %+v", changed)
	}
	echo.AI = true
	if changed := must(echo); changed.Fields["ai"] != "yes" {
		t.Errorf("of a bot that a model writes for, the fields are %v", changed.Fields)
	}
	echo.AI = false
	if changed := must(echo); changed.Fields["ai"] != "" {
		t.Errorf("of one that is no AI any more, the fields are %v", changed.Fields)
	}
	if len(told) != 3 || told[0].UserId != "b_echo" || told[0].Kind != "bot" {
		t.Errorf("of the change are told %v", told)
	}
	if u, err := b.FindExact(ctx, "u_x", "Echo"); err != nil || u.ID != "b_echo" {
		t.Errorf("by its name is found %v, %v", u, err)
	}
	if unknown, err := b.Unknown(ctx, []protocol.UserID{"b_echo", "b_none"}); err != nil || !slices.Equal(unknown, []protocol.UserID{"b_none"}) {
		t.Errorf("unknown are %v, %v", unknown, err)
	}
}

func TestABotWhoseNameIsTakenHasNone(t *testing.T) {
	b, ctx := start(t, nil), t.Context()
	b.signUp("poll")
	for range 2 {
		if err := b.EnsureBot(ctx, userctr.BotUser{ID: "b_poll", Name: "Poll"}); err != nil {
			t.Fatal(err)
		}
	}
	if u, _ := b.User(ctx, "b_poll"); u.Name != "" || u.Nickname != "Poll" {
		t.Errorf("the bot is %+v", u)
	}
	found, _, err := b.Find(ctx, "u_x", "poll", "", 10)
	if err != nil || len(found) != 2 {
		t.Errorf("by the word are found %v, %v", found, err)
	}
}

func TestABotIsRetiredAndComesBack(t *testing.T) {
	b, ctx := start(t, nil), t.Context()
	echo := userctr.BotUser{ID: "b_echo"}
	for range 2 {
		if err := b.EnsureBot(ctx, echo); err != nil {
			t.Fatal(err)
		}
		if bots, err := b.Bots(ctx, "", 10); err != nil || len(bots) != 1 || bots[0].Nickname != "echo" {
			t.Errorf("the bots are %v, %v", bots, err)
		}
		if err := b.RetireBot(ctx, "b_echo"); err != nil {
			t.Fatal(err)
		}
		if bots, err := b.Bots(ctx, "", 10); err != nil || len(bots) != 0 {
			t.Errorf("after it was retired the bots are %v, %v", bots, err)
		}
	}
	wants(t, b.RetireBot(ctx, "b_none"), protocol.Code_NOT_FOUND)
	wants(t, b.RetireBot(ctx, b.signUp("ann").User.ID), protocol.Code_NOT_FOUND)
}

func TestNobodyElseHasTheIdOfABot(t *testing.T) {
	b, ctx := start(t, nil), t.Context()
	key := protocol.Identity{Kind: "key", User: "k_1", Scopes: []string{"users"}}
	_, _, err := b.MintUser(ctx, key, userctr.Mint{ID: "b_mine"})
	wants(t, err, protocol.Code_DENIED)
	for id, code := range map[protocol.UserID]protocol.Code{"u_x": protocol.Code_BAD_REQUEST, "b_": protocol.Code_BAD_REQUEST, "b_a b\x00": protocol.Code_BAD_REQUEST} {
		wants(t, b.EnsureBot(ctx, userctr.BotUser{ID: id}), code)
	}
	if err := b.EnsureBot(ctx, userctr.BotUser{ID: "b_echo"}); err != nil {
		t.Fatal(err)
	}
	_, err = b.MintToken(ctx, key, "b_echo", userctr.Client{})
	wants(t, err, protocol.Code_DENIED)
	_, err = b.ResetPassword(ctx, userctr.ByOperator, "b_echo")
	wants(t, err, protocol.Code_DENIED)
	wants(t, b.SetPassword(ctx, "b_echo", password), protocol.Code_DENIED)
	wants(t, b.SetDisabled(ctx, userctr.ByOperator, "b_echo", true), protocol.Code_CONFLICT)
	_, err = b.BeginErasure(ctx, userctr.ByOperator, "b_echo", userctr.KeepMessages)
	wants(t, err, protocol.Code_CONFLICT)
	_, err = b.Login(ctx, "echo", password, userctr.Client{})
	wants(t, err, protocol.Code_UNAUTHORIZED)
}

func TestBotsAreListedByPage(t *testing.T) {
	b, ctx := start(t, nil), t.Context()
	b.signUp("ann")
	for i := range 5 {
		if err := b.EnsureBot(ctx, userctr.BotUser{ID: fmt.Sprint("b_", i)}); err != nil {
			t.Fatal(err)
		}
	}
	var ids []string
	for after := ""; ; {
		page, err := b.Bots(ctx, after, 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, u := range page {
			ids = append(ids, u.ID)
		}
		after = page[len(page)-1].ID
	}
	if !slices.Equal(ids, []string{"b_0", "b_1", "b_2", "b_3", "b_4"}) {
		t.Errorf("the bots are %v", ids)
	}
}
