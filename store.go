package main

import (
	"context"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/filectr"
	"github.com/troupe-im/troupe/filectr/preview"
	"github.com/troupe-im/troupe/internal/mongostore"
	"github.com/troupe-im/troupe/internal/pebblestore"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/internal/search"
	"github.com/troupe-im/troupe/plugins/desk"
	"github.com/troupe-im/troupe/plugins/model"
	"github.com/troupe-im/troupe/plugins/remote"
	"github.com/troupe-im/troupe/userctr"
)

// store is all that a server asks of what keeps everything: the data directory, or MongoDB.
type store interface {
	actors.Journal
	actors.NoticeStore
	actors.Standings
	userctr.Store
	filectr.Store
	preview.Store
	desk.Store
	model.Store
	remote.Store
	search.Store

	// EachUser calls each with users in the order of their ids, from behind one on.
	EachUser(ctx context.Context, behind protocol.UserID, each func(u *userctr.User) bool) error
	// WrittenBy calls each with the entries that user sent, or of whose messages it is a part.
	WrittenBy(ctx context.Context, user protocol.UserID, each func(session protocol.SessionID, e *protocol.Entry) error) error
	// Contents calls each with every content that a file or an avatar has, once.
	Contents(ctx context.Context, each func(filectr.Sum) error) error

	Ready() error // why nothing can be written now, nil: it can
	Trim() error  // lets go of memory that a crowd has left
	Close() error
}

var (
	_ store = (*pebblestore.Store)(nil)
	_ store = (*mongostore.Store)(nil)
)
