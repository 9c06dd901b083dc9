package main

import (
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/troupe-im/troupe/filectr"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/plugins/desk"
	"github.com/troupe-im/troupe/userctr"
)

// botUsers is the user centre as the desk asks about people and bots.
type botUsers struct{ *userctr.Center }

func (b botUsers) EnsureBot(ctx context.Context, p desk.Persona) error {
	return b.Center.EnsureBot(ctx, userctr.BotUser{ID: p.User, Name: p.Name, About: p.About, Avatar: p.Avatar, AI: p.AI})
}

// botFiles is the file centre as bots use it.
type botFiles struct{ *filectr.Center }

func (b botFiles) Read(ctx context.Context, who protocol.Identity, id protocol.FileID, max int64) (_ *desk.File, err error) {
	f, err := b.Get(ctx, &who, id)
	if err != nil {
		return nil, err
	}
	if f.Size > max {
		return nil, protocol.TooLarge("the file has %d bytes, and %d are the most that a bot is given", f.Size, max)
	}
	blob, err := b.Contents(ctx, f)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, blob.Close()) }()
	data, err := io.ReadAll(io.LimitReader(blob, max))
	if err != nil {
		return nil, err
	}
	return &desk.File{Name: f.Name, Mime: f.Mime, Data: data}, nil
}

func (b botFiles) Write(ctx context.Context, who protocol.Identity, f *desk.File) (protocol.FileID, error) {
	kept, err := b.Take(ctx, filectr.Upload{Owner: who.User, Name: f.Name, Size: int64(len(f.Data))}, bytes.NewReader(f.Data))
	if err != nil {
		return "", err
	}
	return kept.ID, nil
}

// botHooks are the addresses at which others tell bots something. Who serves them is made
// after the desk, which asks for them.
type botHooks struct{ *server }

func (b botHooks) MakeHook(ctx context.Context, plugin string, bot protocol.UserID, session protocol.SessionID, name string) (id, path string, err error) {
	return b.remote.MakeHook(ctx, plugin, bot, session, name)
}

func (b botHooks) HooksOf(bot protocol.UserID, session protocol.SessionID) []desk.Hook {
	return b.remote.HooksOf(bot, session)
}

func (b botHooks) DropHook(ctx context.Context, bot protocol.UserID, session protocol.SessionID, id string) error {
	return b.remote.DropHook(ctx, bot, session, id)
}

// botSpending is the gateway to models as bots tell it of what they used elsewhere.
type botSpending struct{ *server }

func (b botSpending) Spend(ctx context.Context, s desk.Spent) (int64, error) {
	return b.models.Told(ctx, "b_"+s.Plugin, s.User, s.Session, s.Model, s.Prompt, s.Completion)
}
