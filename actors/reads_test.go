package actors_test

import (
	"context"
	"sync/atomic"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

// reads is a journal that counts what is read of people's lists, but of zoe's.
type reads struct {
	actors.Journal
	lists, rows, counts atomic.Int64
}

func (j *reads) Home(ctx context.Context, user protocol.UserID, device string, counts func(*actors.HomeRow) bool) ([]*actors.HomeRow, error) {
	if user == "zoe" {
		return j.Journal.Home(ctx, user, device, counts)
	}
	defer j.lists.Add(1)
	return j.Journal.Home(ctx, user, device, func(h *actors.HomeRow) bool {
		if counts != nil && !counts(h) {
			return false
		}
		j.counts.Add(1)
		return true
	})
}

func (j *reads) row(user protocol.UserID) {
	if user != "zoe" {
		j.rows.Add(1)
	}
}

func (j *reads) HomeOf(ctx context.Context, user protocol.UserID, session protocol.SessionID, device string) (*actors.HomeRow, error) {
	j.row(user)
	return j.Journal.HomeOf(ctx, user, session, device)
}

func (j *reads) RowOf(ctx context.Context, user protocol.UserID, session protocol.SessionID, device string) (*actors.HomeRow, error) {
	j.row(user)
	return j.Journal.RowOf(ctx, user, session, device)
}
