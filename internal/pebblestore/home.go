package pebblestore

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

// homePart is how many rows are worth a goroutine of their own: some 2 ms.
const homePart = 200

// Home fills actors.Journal. The keys of a home list are in the order of each table,
// so one iterator per table goes through it once and reads no block twice: a row costs
// about 10 µs, where a look-up of each of its parts for itself costs ten times that.
func (s *Store) Home(ctx context.Context, user protocol.UserID, device string, counts func(*actors.HomeRow) bool) (rows []*actors.HomeRow, err error) {
	return rows, s.at(func(v view) error {
		keys, err := v.sessionsOf(user)
		if err != nil {
			return err
		}
		rows = make([]*actors.HomeRow, len(keys))
		parts := max(1, min(runtime.GOMAXPROCS(0), len(keys)/homePart))
		failed := make([]error, parts)
		var all sync.WaitGroup
		for part := range parts {
			from, to := part*len(keys)/parts, (part+1)*len(keys)/parts
			all.Go(func() { failed[part] = v.homePart(ctx, keys[from:to], rows[from:to], user, device, counts) })
		}
		all.Wait()
		rows = slices.DeleteFunc(rows, func(r *actors.HomeRow) bool { return r == nil }) // of dead sessions
		return errors.Join(failed...)
	})
}

func (v view) homePart(ctx context.Context, keys []sessionKey, rows []*actors.HomeRow, user protocol.UserID, device string, counts func(*actors.HomeRow) bool) (err error) {
	h := homeReader{view: v, counts: counts}
	defer func() { err = errors.Join(err, h.close()) }()
	for i, k := range keys {
		if err := ctx.Err(); err != nil {
			return err
		}
		if rows[i], err = h.row(k, user, device); err != nil && !protocol.Code_NOT_FOUND.Is(err) {
			return err
		}
	}
	return nil
}

// HomeOf fills actors.Journal.
func (s *Store) HomeOf(ctx context.Context, user protocol.UserID, session protocol.SessionID, device string) (*actors.HomeRow, error) {
	return s.rowOf(ctx, user, session, device, true)
}

// RowOf fills actors.Journal.
func (s *Store) RowOf(ctx context.Context, user protocol.UserID, session protocol.SessionID, device string) (*actors.HomeRow, error) {
	return s.rowOf(ctx, user, session, device, false)
}

func (s *Store) rowOf(ctx context.Context, user protocol.UserID, session protocol.SessionID, device string, counts bool) (row *actors.HomeRow, err error) {
	k, err := s.known(ctx, session)
	if err != nil {
		return nil, err
	}
	return row, s.at(func(v view) (err error) {
		h := homeReader{view: v, one: true, counts: func(*actors.HomeRow) bool { return counts }}
		defer func() { err = errors.Join(err, h.close()) }()
		row, err = h.row(k, user, device)
		return err
	})
}

// homeReader reads rows of home lists by iterators that it keeps: one for each
// table, or one for all of them where a single row is wanted.
type homeReader struct {
	view
	one    bool
	counts func(*actors.HomeRow) bool // whether what is unread is wanted; nil: always
	open   []tableIterator
}

type tableIterator struct {
	table byte
	*pebble.Iterator
}

func (h *homeReader) close() error {
	var all []error
	for _, it := range h.open {
		if err := it.Close(); err != nil {
			all = append(all, fmt.Errorf("pebblestore: %s: %w", h.s.dir, err))
		}
	}
	return errors.Join(all...)
}

// in gives the iterator of the table that key is in.
func (h *homeReader) in(key []byte) (*pebble.Iterator, error) {
	table := key[0] &^ 1 // both kinds of session, as all that is read here is of sessions
	for _, it := range h.open {
		if it.table == table || h.one {
			return it.Iterator, nil
		}
	}
	bounds := &pebble.IterOptions{LowerBound: []byte{table}, UpperBound: []byte{table + 2}}
	if h.one {
		bounds = nil
	}
	it, err := h.r.NewIter(bounds)
	if err != nil {
		return nil, fmt.Errorf("pebblestore: %s: %w", h.s.dir, err)
	}
	h.open = append(h.open, tableIterator{table, it})
	return it, nil
}

// each calls use with the rows from <= key < to, nil: the row of the key from alone.
// Keys of one table have to be asked for in their order to be cheap.
func (h *homeReader) each(from, to []byte, use func(key, value []byte) error) error {
	it, err := h.in(from)
	if err != nil {
		return err
	}
	for ok := it.SeekGE(from); ok; ok = it.Next() {
		key := it.Key()
		if to == nil && !bytes.Equal(key, from) || to != nil && bytes.Compare(key, to) >= 0 {
			return nil
		}
		value, err := it.ValueAndErr()
		if err == nil {
			err = use(key, value)
		}
		if err != nil {
			return h.s.bad(key, err)
		}
		if to == nil {
			return nil
		}
	}
	if err := it.Error(); err != nil {
		return fmt.Errorf("pebblestore: %s: %w", h.s.dir, err)
	}
	return nil
}

func (h *homeReader) number(key []byte) (n int64, err error) {
	return n, h.each(key, nil, func(_, b []byte) (err error) { n, err = parseNumber(b); return err })
}

func (h *homeReader) row(k sessionKey, user protocol.UserID, device string) (*actors.HomeRow, error) {
	row := &actors.HomeRow{LogEpoch: h.s.logEpoch, Info: &protocol.SessionInfo{}}
	head, old, err := h.head(k)
	if err != nil {
		return nil, err
	}
	row.Head = head.last
	found := false
	if err := h.each(k.info(), nil, func(_, b []byte) error { found = true; return proto.Unmarshal(b, row.Info) }); err != nil {
		return nil, err
	}
	row.Info.Announcement, row.Info.Former = "", nil // of thousands of rows in memory, which nobody reads there
	if row.Info.Dead {
		return nil, protocol.NotFound("session %s", k.String())
	}
	if err := h.members(k, user, row); err != nil {
		return nil, err
	}
	if !found {
		return nil, h.s.bad(k.info(), errors.New("is missing"))
	}
	row.Info.HeadSeq, row.Info.Epoch, row.Info.MemberCount = head.last, h.s.logEpoch, head.members
	if row.Member.ReadSeq, err = h.number(k.read(user)); err != nil {
		return nil, err
	}
	mine := k.recv(user, "")
	err = h.each(mine, after(mine), func(key, b []byte) error {
		n, err := parseNumber(b)
		row.Member.RecvSeq = max(row.Member.RecvSeq, n)
		if string(key[len(mine):]) == device {
			row.DeviceRecv = n
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return row, h.messages(k, head.message, old, user, row)
}

// members reads the user's own row, and of a p2p session's both people who they are.
func (h *homeReader) members(k sessionKey, user protocol.UserID, row *actors.HomeRow) error {
	mine := k.member(user)
	from, to := mine, []byte(nil)
	pair := row.Info.SessionType == protocol.SessionType_P2P
	if pair {
		from = k.in(tableMember, 0)
		to = after(from)
	}
	found := false
	err := h.each(from, to, func(key, b []byte) error {
		own := bytes.Equal(key, mine)
		m, err := parseMember(string(key[1+sessionBytes:]), b)
		if err != nil {
			return err
		}
		if own {
			row.Member, found = *m, true
		}
		if pair {
			row.Info.Members = append(row.Info.Members, &protocol.Member{User: m.User, Role: m.Role, Inviter: m.Inviter, Order: m.Order, JoinedAt: m.JoinedAt})
		}
		return nil
	})
	if err == nil && !found {
		err = protocol.NotFound("session %s", k.String())
	}
	slices.SortFunc(row.Info.Members, func(a, b *protocol.Member) int { return cmp.Compare(a.Order, b.Order) })
	return err
}

func (h *homeReader) head(k sessionKey) (head, hiddenHead, error) {
	var now head
	err := h.each(k.head(), nil, func(_, b []byte) (err error) { now, err = parseHead(b); return err })
	seen, old := h.s.hidden.head(k, now)
	return seen, old, err
}

// messages reads the newest message and what is unread, in one go through the log.
func (h *homeReader) messages(k sessionKey, newest int64, old hiddenHead, user protocol.UserID, row *actors.HomeRow) error {
	if newest == 0 {
		return nil
	}
	read := max(row.Member.ReadSeq, row.Member.Floor-1, 0)
	if h.counts != nil && !h.counts(row) {
		read = newest
	}
	unread := unreadCounter{user: user, own: userHash(user)}
	return h.each(k.entry(min(read+1, newest)), after(k.entry(newest)), func(key, b []byte) (err error) {
		seq := seqOf(key)
		b = old.row(seq, b)
		if seq > read {
			if err := unread.count(key, b); err != nil {
				return err
			}
			row.Unread, row.Mentioned = unread.n, unread.mentioned
		}
		if seq == newest {
			row.Last, err = parseEntry(k.String(), key, b)
		}
		return err
	})
}

// unreadCounter counts the messages of others among entries that it is shown.
type unreadCounter struct {
	user      protocol.UserID
	own       [8]byte // userHash of user
	n         int64
	mentioned bool
}

func (u *unreadCounter) count(key, row []byte) error {
	if len(row) < entryHeader {
		return errShort
	}
	if !counts(row[0]) || [8]byte(row[1:9]) == u.own {
		return nil
	}
	u.n++
	if row[0]&flagMentions == 0 || u.mentioned {
		return nil
	}
	e, err := parseEntry("", key, row)
	if err != nil {
		return err
	}
	u.mentioned = slices.Contains(e.Mentions, u.user) || slices.Contains(e.Mentions, "*")
	return nil
}
