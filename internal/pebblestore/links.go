package pebblestore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

// Tables of groups. No session bit in the table byte: where a key has a session it
// is a byte for the kind (0: s_, 1: p_) and the id's ten bytes.
const (
	tableLink  = 0x68 // link → linkRow, as JSON
	tableLinks = 0x69 // session, made at 8, link → nothing
	tableUntil = 0x6a // time 8, session → nothing
)

type linkRow struct {
	Hash    []byte `json:"hash"`
	Session string `json:"session"`
	By      string `json:"by"`
	Uses    int64  `json:"uses,omitempty"`
	Used    int64  `json:"used,omitempty"`
	Created int64  `json:"created"` // Unix milliseconds, as in frames
	Expires int64  `json:"expires"`
	Revoked bool   `json:"revoked,omitempty"`
}

func (r linkRow) link(id string) (*actors.LinkRow, error) {
	l := &actors.LinkRow{ID: id, Session: r.Session, By: r.By, Uses: r.Uses, Used: r.Used,
		CreatedAt: r.Created, ExpiresAt: r.Expires, Revoked: r.Revoked}
	if copy(l.Hash[:], r.Hash) != len(l.Hash) {
		return nil, fmt.Errorf("link %s: %w", id, errShort)
	}
	return l, nil
}

func (k sessionKey) links() []byte {
	return append([]byte{tableLinks, k.bit}, k.id[:]...)
}

func (k sessionKey) linkAt(createdAt int64, id string) []byte {
	return append(binary.BigEndian.AppendUint64(k.links(), uint64(createdAt)), id...)
}

func (k sessionKey) until(at int64) []byte {
	b := binary.BigEndian.AppendUint64([]byte{tableUntil}, uint64(at))
	return append(append(b, k.bit), k.id[:]...)
}

// writeLinks writes an Append's links.
func (c *committer) writeLinks(k sessionKey, a *actors.Append) error {
	for _, l := range a.Links {
		row := linkRow{Hash: l.Hash[:], Session: l.Session, By: l.By, Uses: l.Uses, Used: l.Used,
			Created: l.CreatedAt, Expires: l.ExpiresAt, Revoked: l.Revoked}
		if err := putRow(c.tx, rowKey(tableLink, l.ID), row); err != nil {
			return err
		}
		c.write(k.linkAt(l.CreatedAt, l.ID), nil)
	}
	for _, l := range a.Unlinked {
		c.delete(rowKey(tableLink, l.ID))
		c.delete(k.linkAt(l.CreatedAt, l.ID))
	}
	return nil
}

// writeInfo writes a session's info, and when it ends.
func (c *committer) writeInfo(k sessionKey, until int64, avatar string, row []byte) error {
	old, found, err := c.get(k.info())
	if err != nil {
		return err
	}
	before := &protocol.SessionInfo{}
	if found {
		if err := proto.Unmarshal(old, before); err != nil {
			return c.s.bad(k.info(), err)
		}
	}
	if before.Until != until {
		if before.Until > 0 {
			c.delete(k.until(before.Until))
		}
		if until > 0 {
			c.put(k.until(until), nil)
		}
	}
	c.avatarLeft(named(before), avatar)
	c.put(k.info(), row)
	return nil
}

// DueSessions fills actors.Journal.
func (s *Store) DueSessions(ctx context.Context, now time.Time, limit int) (due []protocol.SessionID, err error) {
	if err := ctx.Err(); err != nil || limit <= 0 {
		return nil, err
	}
	end := binary.BigEndian.AppendUint64([]byte{tableUntil}, uint64(max(now.UnixMilli(), 0))+1)
	err = s.scan([]byte{tableUntil}, end, func(key, _ []byte) error {
		if len(key) != 1+8+1+sessionBytes {
			return s.bad(key, errShort)
		}
		due = append(due, sessionOf(key[9:]).String())
		if len(due) == limit {
			return errEnough
		}
		return nil
	})
	return due, err
}

// Link fills actors.Links.
func (s *Store) Link(ctx context.Context, id string) (*actors.LinkRow, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	row, err := getRow[linkRow](s, rowKey(tableLink, id), "link", id)
	if err != nil {
		return nil, err
	}
	return row.link(id)
}

// LinksOf fills actors.Links.
func (s *Store) LinksOf(ctx context.Context, session protocol.SessionID, from *actors.LinkRow, limit int) (links []*actors.LinkRow, err error) {
	k, err := s.known(ctx, session)
	if err != nil || limit <= 0 {
		return nil, err
	}
	start := k.links()
	if from != nil {
		start = append(k.linkAt(from.CreatedAt, from.ID), 0)
	}
	err = s.scan(start, after(k.links()), func(key, _ []byte) error {
		at := 2 + sessionBytes + 8
		if len(key) < at {
			return s.bad(key, errShort)
		}
		l, err := s.Link(ctx, string(key[at:]))
		if protocol.Code_NOT_FOUND.Is(err) {
			return nil // it ended while this was read
		}
		if err != nil {
			return errors.Join(s.bad(key, errors.New("its link")), err)
		}
		if links = append(links, l); len(links) == limit {
			return errEnough
		}
		return nil
	})
	return links, err
}
