package pebblestore

import (
	"bytes"
	"cmp"
	"context"
	"slices"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

// members gives a session's members with their marks in order of joining.
func (v view) members(k sessionKey) ([]*actors.MemberRow, error) {
	var rows []*actors.MemberRow
	by := map[protocol.UserID]*actors.MemberRow{}
	err := v.scan(k.in(tableMember, 0), func(key, value []byte) error {
		m, err := parseMember(string(key[1+sessionBytes:]), value)
		if err != nil {
			return v.s.bad(key, err)
		}
		rows, by[m.User] = append(rows, m), m
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = v.scan(k.in(tableRead, 0), func(key, value []byte) error {
		n, err := parseNumber(value)
		if m := by[string(key[1+sessionBytes:])]; m != nil {
			m.ReadSeq = n
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	err = v.scan(k.in(tableRecv, 0), func(key, value []byte) error {
		n, err := parseNumber(value)
		user, _, _ := bytes.Cut(key[1+sessionBytes:], []byte{0})
		if m := by[string(user)]; m != nil {
			m.RecvSeq = max(m.RecvSeq, n)
		}
		return err
	})
	slices.SortFunc(rows, func(a, b *actors.MemberRow) int { return cmp.Compare(a.Order, b.Order) })
	return rows, err
}

// SessionsOf fills actors.Journal.
func (s *Store) SessionsOf(ctx context.Context, user protocol.UserID) ([]protocol.SessionID, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	keys, err := s.now().sessionsOf(user)
	ids := make([]protocol.SessionID, len(keys))
	for i, k := range keys {
		ids[i] = k.String()
	}
	return ids, err
}

func (v view) sessionsOf(user protocol.UserID) (keys []sessionKey, err error) {
	prefix := homeOf(user)
	err = v.scan(prefix, func(key, _ []byte) error {
		keys = append(keys, sessionOf(key[len(prefix):]))
		return nil
	})
	return keys, err
}
