package userctr

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"unicode/utf8"

	"github.com/troupe-im/troupe/internal/protocol"
)

// BotUser is how a bot is shown.
type BotUser struct {
	ID     protocol.UserID // by protocol.BotUserID
	Name   string
	About  string // one line; cut to what a profile's field holds
	Avatar string // an emoji, a link, or nothing
	AI     bool   // a model writes what it says
}

// Fields of a bot's profile.
const (
	fieldAbout = "about"
	fieldEmoji = "emoji" // what stands for its picture, where it has none
	fieldAI    = "ai"    // "yes": a model writes what it says
)

// notForBots refuses ids that bots alone have to everybody else.
func notForBots(id protocol.UserID) error {
	if protocol.IsBot(id) {
		return protocol.Denied("ids that begin with b_ are those of bots, and %.64q is one", id)
	}
	return nil
}

// EnsureBot makes a bot's user, or has it look as b says; a bot that was retired is back.
// Where its id without b_ is a name that nobody has, it is found by that. CONFLICT: the id
// is somebody's who is no bot; BAD_REQUEST.
func (c *Center) EnsureBot(ctx context.Context, b BotUser) error {
	want, err := b.user()
	if err != nil {
		return err
	}
	is, err := c.store.User(ctx, b.ID)
	if protocol.Code_NOT_FOUND.Is(err) {
		is, err = c.addBot(ctx, want)
	}
	switch {
	case err != nil:
		return fmt.Errorf("userctr: the user of bot %s: %w", b.ID, err)
	case is.Kind != Bot:
		return protocol.Conflict("user %s is a %s, and was here before ids that begin with b_ were those of bots", b.ID, is.Kind)
	case sameBot(is, want):
		c.remember(is)
		return nil
	}
	_, err = c.change(ctx, b.ID, func(u *User) error {
		u.Nickname, u.Avatar, u.Fields, u.Disabled = want.Nickname, want.Avatar, want.Fields, false
		return nil
	})
	return err
}

// user is the row of a new bot.
func (b *BotUser) user() (*User, error) {
	if _, err := protocol.ParseUserID(b.ID); err != nil || !protocol.IsBot(b.ID) || len(b.ID) < 3 {
		return nil, protocol.BadRequest("%.64q is no id of a bot", b.ID)
	}
	name := strings.TrimPrefix(b.ID, "b_")
	nickname, err := cleanNickname(b.Name)
	if err != nil {
		return nil, err
	}
	if nickname == "" {
		nickname = firstRunes(name, maxNickname)
	}
	u := &User{ID: b.ID, Nickname: nickname, Kind: Bot, Fields: map[string]string{}}
	if about := strings.TrimSpace(strings.ToValidUTF8(b.About, "")); about != "" {
		u.Fields[fieldAbout] = firstRunes(about, maxFieldValue)
	}
	if b.AI {
		u.Fields[fieldAI] = "yes"
	}
	switch {
	case b.Avatar == "":
	case utf8.RuneCountInString(b.Avatar) <= maxEmoji && !strings.ContainsAny(b.Avatar, ":/") && printable(b.Avatar):
		u.Fields[fieldEmoji] = b.Avatar
	default:
		if err := u.keepAvatar(b.Avatar); err != nil {
			return nil, err
		}
	}
	if len(u.Fields) == 0 {
		u.Fields = nil
	}
	if folded, err := foldName(name); err == nil {
		u.Name, u.Folded = name, folded
	}
	return u, nil
}

// maxEmoji is in characters: a family of four with their skins has eleven.
const maxEmoji = 16

// addBot keeps a new bot, without a name where its own is taken.
func (c *Center) addBot(ctx context.Context, u *User) (*User, error) {
	u.Created = c.now()
	err := c.store.AddUser(ctx, u, "")
	if protocol.Code_CONFLICT.Is(err) {
		if is, e := c.store.User(ctx, u.ID); e == nil { // another was quicker
			return is, nil
		}
		u.Name, u.Folded = "", ""
		err = c.store.AddUser(ctx, u, "")
	}
	if err != nil {
		return nil, err
	}
	c.remember(u)
	c.log.Info("a bot's user was made", "user", u.ID)
	return u, c.Record(ctx, Record{Action: auditMade, By: ByServer, About: u.ID})
}

func sameBot(is, want *User) bool {
	return is.Nickname == want.Nickname && is.Avatar == want.Avatar && !is.Disabled && maps.Equal(is.Fields, want.Fields)
}

// RetireBot has nobody find a bot any more. What it said stays, and so does its place in
// its sessions. NOT_FOUND: there is no such bot.
func (c *Center) RetireBot(ctx context.Context, id protocol.UserID) error {
	u, err := c.User(ctx, id)
	switch {
	case err != nil:
		return err
	case u.Kind != Bot:
		return protocol.NotFound("bot %s", id)
	case u.Disabled:
		return nil
	}
	_, err = c.change(ctx, id, func(u *User) error { u.Disabled = true; return nil })
	return err
}

// Bots gives up to limit bots with an id above after, in order of their ids: those that
// are in service.
func (c *Center) Bots(ctx context.Context, after protocol.UserID, limit int) (bots []*User, err error) {
	err = c.store.EachUser(ctx, max(after, "b_"), func(u *User) bool {
		if !protocol.IsBot(u.ID) {
			return false
		}
		if u.Kind == Bot && !u.Disabled {
			bots = append(bots, u)
		}
		return len(bots) < limit
	})
	if err != nil {
		return nil, fmt.Errorf("userctr: bots: %w", err)
	}
	return bots, nil
}
