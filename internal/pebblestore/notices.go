package pebblestore

import (
	"context"
	"encoding/binary"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

var _ actors.NoticeStore = (*Store)(nil)

// Tables of notices.
const (
	tableNotice     = 0x6b // notice → noticeRow, as JSON
	tableNoticeOpen = 0x6c // made at 8, notice → nothing; of those that are not done
	tableNoticeDone = 0x6d // done at 8, notice → nothing
)

type noticeRow struct {
	By      string   `json:"by"`
	Content []byte   `json:"content"` // protobuf
	Users   []string `json:"users,omitempty"`
	Created int64    `json:"created"` // Unix milliseconds, as in frames
	After   string   `json:"after,omitempty"`
	Told    int64    `json:"told,omitempty"`
	Failed  int64    `json:"failed,omitempty"`
	Done    int64    `json:"done,omitempty"`
}

func (r noticeRow) notice(id string) (*actors.NoticeRow, error) {
	n := &actors.NoticeRow{ID: id, By: r.By, Content: &protocol.Content{}, Users: r.Users, CreatedAt: r.Created,
		After: r.After, Told: r.Told, Failed: r.Failed, DoneAt: r.Done}
	if err := proto.Unmarshal(r.Content, n.Content); err != nil {
		return nil, fmt.Errorf("pebblestore: notice %s: %w", id, err)
	}
	return n, nil
}

func noticeAt(table byte, at int64, id string) []byte {
	return append(binary.BigEndian.AppendUint64([]byte{table}, uint64(at)), id...)
}

// AddNotice fills actors.NoticeStore.
func (s *Store) AddNotice(_ context.Context, n *actors.NoticeRow) (kept *actors.NoticeRow, err error) {
	row := noticeRow{By: n.By, Users: n.Users, Created: n.CreatedAt}
	if row.Content, err = proto.Marshal(n.Content); err != nil {
		return nil, fmt.Errorf("pebblestore: notice %s: %w", n.ID, err)
	}
	err = s.update(func(t *tx) error {
		key := rowKey(tableNotice, n.ID)
		switch there, err := getRow[noticeRow](t, key, "notice", n.ID); {
		case err == nil:
			row = there
			return nil
		case !protocol.Code_NOT_FOUND.Is(err):
			return err
		}
		t.put(noticeAt(tableNoticeOpen, row.Created, n.ID), nil)
		return putRow(t, key, row)
	})
	if err != nil {
		return nil, err
	}
	return row.notice(n.ID)
}

// Notice fills actors.NoticeStore.
func (s *Store) Notice(ctx context.Context, id string) (*actors.NoticeRow, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	row, err := getRow[noticeRow](s, rowKey(tableNotice, id), "notice", id)
	if err != nil {
		return nil, err
	}
	return row.notice(id)
}

// MoveNotice fills actors.NoticeStore.
func (s *Store) MoveNotice(_ context.Context, n *actors.NoticeRow) error {
	key := rowKey(tableNotice, n.ID)
	return s.update(func(t *tx) error {
		row, err := getRow[noticeRow](t, key, "notice", n.ID)
		if err != nil {
			return err
		}
		row.After, row.Told, row.Failed = n.After, n.Told, n.Failed
		if n.DoneAt != 0 && row.Done == 0 {
			row.Done = n.DoneAt
			t.delete(noticeAt(tableNoticeOpen, row.Created, n.ID))
			t.put(noticeAt(tableNoticeDone, row.Done, n.ID), nil)
		}
		return putRow(t, key, row)
	})
}

// OpenNotices fills actors.NoticeStore.
func (s *Store) OpenNotices(ctx context.Context) (open []*actors.NoticeRow, err error) {
	err = s.scanPrefix([]byte{tableNoticeOpen}, func(key, _ []byte) error {
		if len(key) < 9 {
			return s.bad(key, errShort)
		}
		n, err := s.Notice(ctx, string(key[9:]))
		open = append(open, n)
		return err
	})
	return open, err
}

// ForgetNotices fills actors.NoticeStore.
func (s *Store) ForgetNotices(_ context.Context, before int64) error {
	return s.update(func(t *tx) error {
		end := binary.BigEndian.AppendUint64([]byte{tableNoticeDone}, uint64(max(before, 0)))
		return s.scan([]byte{tableNoticeDone}, end, func(key, _ []byte) error {
			if len(key) < 9 {
				return s.bad(key, errShort)
			}
			t.delete(rowKey(tableNotice, string(key[9:])))
			t.delete(append([]byte(nil), key...))
			return nil
		})
	})
}
