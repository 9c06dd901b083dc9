package pebblestore

import (
	"context"
	"encoding/binary"
	"errors"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

var _ actors.Standings = (*Store)(nil)

// Standings fills actors.Standings.
func (s *Store) Standings(ctx context.Context, ids []protocol.UserID) (all []actors.Standing, err error) {
	for _, id := range ids {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		at := actors.Standing{User: id}
		found, err := s.now().row(rowKey(tableStanding, id), func(b []byte) error { return parseStanding(b, &at) })
		if err != nil {
			return nil, err
		}
		if found {
			all = append(all, at)
		}
	}
	return all, nil
}

// KeepStandings fills actors.Standings.
func (s *Store) KeepStandings(_ context.Context, users []actors.Standing) error {
	return s.update(func(t *tx) error {
		for _, u := range users {
			key := rowKey(tableStanding, u.User)
			value, found, err := t.get(key)
			if err != nil {
				return err
			}
			var is actors.Standing
			if found {
				if err := parseStanding(value, &is); err != nil {
					return s.bad(key, err)
				}
			}
			if u.Status != "" {
				is.Status = u.Status
			}
			is.LastActive = max(is.LastActive, u.LastActive)
			t.put(key, append(binary.BigEndian.AppendUint64(nil, uint64(is.LastActive)), is.Status...))
		}
		return nil
	})
}

func parseStanding(b []byte, into *actors.Standing) error {
	if len(b) < 8 {
		return errors.New("too short for a standing")
	}
	into.LastActive, into.Status = int64(binary.BigEndian.Uint64(b)), string(b[8:])
	return nil
}
