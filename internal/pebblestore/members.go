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

// Home fills actors.Journal. A row costs some ten reads.
func (s *Store) Home(ctx context.Context, user protocol.UserID, device string) (rows []*actors.HomeRow, err error) {
	return rows, s.at(func(v view) error {
		keys, err := v.sessionsOf(user)
		if err != nil {
			return err
		}
		rows = make([]*actors.HomeRow, 0, len(keys))
		for _, k := range keys {
			if err := ctx.Err(); err != nil {
				return err
			}
			row, err := v.homeRow(k, user, device)
			if err != nil {
				return err
			}
			rows = append(rows, row)
		}
		return nil
	})
}

// HomeOf fills actors.Journal.
func (s *Store) HomeOf(ctx context.Context, user protocol.UserID, session protocol.SessionID, device string) (row *actors.HomeRow, err error) {
	k, err := s.known(ctx, session)
	if err != nil {
		return nil, err
	}
	return row, s.at(func(v view) (err error) {
		row, err = v.homeRow(k, user, device)
		return err
	})
}

func (v view) homeRow(k sessionKey, user protocol.UserID, device string) (*actors.HomeRow, error) {
	var m *actors.MemberRow
	found, err := v.row(k.member(user), func(b []byte) (err error) { m, err = parseMember(user, b); return err })
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, protocol.NotFound("session %s", k.String())
	}
	h, old, _, err := v.synced(k)
	if err != nil {
		return nil, err
	}
	row := &actors.HomeRow{LogEpoch: v.s.logEpoch, Head: h.last}
	if row.Info, err = v.info(k, h); err != nil {
		return nil, err
	}
	if row.Info.SessionType == protocol.SessionType_P2P {
		if row.Info.Members, err = v.infoMembers(k); err != nil {
			return nil, err
		}
	}
	if h.message > 0 {
		key := k.entry(h.message)
		if _, err = v.row(key, func(b []byte) (err error) {
			row.Last, err = parseEntry(k.String(), key, old.row(h.message, b))
			return err
		}); err != nil {
			return nil, err
		}
	}
	if m.ReadSeq, err = v.number(k.read(user)); err != nil {
		return nil, err
	}
	if m.RecvSeq, err = v.received(k, user); err != nil {
		return nil, err
	}
	if row.DeviceRecv, err = v.number(k.recv(user, device)); err != nil {
		return nil, err
	}
	row.Member = *m
	row.Unread, row.Mentioned, err = v.unread(k, old, user, max(m.ReadSeq, m.Floor-1), h.message)
	return row, err
}

func (v view) infoMembers(k sessionKey) ([]*protocol.Member, error) {
	rows, err := v.members(k)
	members := make([]*protocol.Member, len(rows))
	for i, m := range rows {
		members[i] = &protocol.Member{User: m.User, Role: m.Role, Inviter: m.Inviter, Order: m.Order,
			JoinedAt: m.JoinedAt, ReadSeq: m.ReadSeq, RecvSeq: m.RecvSeq}
	}
	return members, err
}
