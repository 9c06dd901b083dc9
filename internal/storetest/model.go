package storetest

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

// Model is actors.Journal at its plainest: what the stores are compared with. It
// keeps everything in memory and looks at all of it for every answer.
type Model struct {
	actors.Contacts // contacts.go looks at those

	mu       sync.Mutex
	sessions map[protocol.SessionID]*modelSession
	links    map[string]actors.LinkRow
}

type modelSession struct {
	info    *protocol.SessionInfo
	epoch   int64
	entries []*protocol.Entry // by seq - 1
	hashes  [][8]byte
	members map[protocol.UserID]actors.MemberRow
	read    map[protocol.UserID]int64
	recv    map[[2]string]int64 // by user, device

	originals map[int64]actors.Original
}

// NewModel gives one without sessions.
func NewModel() *Model {
	return &Model{sessions: map[protocol.SessionID]*modelSession{}, links: map[string]actors.LinkRow{}}
}

// Commit fills actors.Journal.
func (m *Model) Commit(batch []*actors.Append) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, a := range batch {
		if a.Err = m.refuses(a); a.Err == nil {
			m.apply(a)
		}
	}
	return nil
}

func (m *Model) refuses(a *actors.Append) error {
	s := m.sessions[a.Session]
	switch {
	case s == nil && !a.Create:
		return protocol.NotFound("session %s", a.Session)
	case s != nil && a.Create:
		return protocol.Conflict("session %s", a.Session)
	case s == nil:
		s = &modelSession{}
	case a.Claim && (a.Epoch <= s.epoch || a.Head != int64(len(s.entries))), !a.Claim && a.Epoch != s.epoch:
		return actors.ErrStale
	}
	for i, e := range a.Entries {
		if e.Seq != int64(len(s.entries)+i+1) {
			return actors.ErrTaken
		}
	}
	if !a.Vouched {
		log := slices.Concat(s.entries, a.Entries)
		for i, e := range a.Entries {
			if e.ClientMsgId == "" {
				continue
			}
			for _, old := range log[:len(s.entries)+i] {
				if old.Sender == e.Sender && old.ClientMsgId == e.ClientMsgId {
					return &actors.DuplicateError{Sent: actors.Sent{Seq: old.Seq}}
				}
			}
		}
	}
	for _, e := range a.Rewrites {
		if e.Seq < 1 || e.Seq > int64(len(s.entries)) {
			return protocol.NotFound("entry %d", e.Seq)
		}
	}
	return nil
}

func (m *Model) apply(a *actors.Append) {
	s := m.sessions[a.Session]
	if s == nil {
		s = &modelSession{members: map[protocol.UserID]actors.MemberRow{},
			read: map[protocol.UserID]int64{}, recv: map[[2]string]int64{}, originals: map[int64]actors.Original{}}
		m.sessions[a.Session] = s
	}
	s.epoch = a.Epoch
	for i, e := range a.Entries {
		s.entries = append(s.entries, proto.CloneOf(e))
		s.hashes = append(s.hashes, a.Hashes[i])
	}
	for _, e := range a.Rewrites {
		s.entries[e.Seq-1] = proto.CloneOf(e)
	}
	switch o := a.Original; {
	case o == nil:
	case o.Content == nil:
		delete(s.originals, o.Seq)
	default:
		s.originals[o.Seq] = *o
	}
	for _, user := range a.Removed {
		delete(s.members, user)
	}
	for _, row := range a.Members {
		s.members[row.User] = *row
	}
	for _, k := range a.Marks {
		s.read[k.User] = max(s.read[k.User], k.ReadSeq)
		if d := [2]string{k.User, k.Device}; k.RecvSeq > 0 {
			s.recv[d] = max(s.recv[d], k.RecvSeq)
		}
	}
	if a.Info != nil {
		s.info = proto.CloneOf(a.Info)
	}
	for _, l := range a.Links {
		m.links[l.ID] = *l
	}
	for _, l := range a.Unlinked {
		delete(m.links, l.ID)
	}
}

func (m *Model) session(id protocol.SessionID) (*modelSession, error) {
	if s := m.sessions[id]; s != nil {
		return s, nil
	}
	return nil, protocol.NotFound("session %s", id)
}

func (s *modelSession) member(user protocol.UserID) (row actors.MemberRow) {
	row = s.members[user]
	row.ReadSeq, row.RecvSeq = s.read[user], 0
	for d, seq := range s.recv {
		if d[0] == user {
			row.RecvSeq = max(row.RecvSeq, seq)
		}
	}
	return row
}

func (s *modelSession) list() (rows []*actors.MemberRow) {
	for user := range s.members {
		row := s.member(user)
		rows = append(rows, &row)
	}
	slices.SortFunc(rows, func(a, b *actors.MemberRow) int { return cmp.Compare(a.Order, b.Order) })
	return rows
}

func (s *modelSession) infoNow() *protocol.SessionInfo {
	info := proto.CloneOf(s.info)
	info.Members, info.HeadSeq, info.MemberCount = nil, int64(len(s.entries)), int64(len(s.members))
	return info
}

// Load fills actors.Journal; the log epoch is "".
func (m *Model) Load(_ context.Context, id protocol.SessionID) (*actors.Stored, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, err := m.session(id)
	if err != nil {
		return nil, err
	}
	stored := &actors.Stored{Info: s.infoNow(), Epoch: s.epoch, Head: int64(len(s.entries)), Members: s.list()}
	if n := len(s.entries); n > 0 {
		stored.Newest = s.entry(id, n-1)
	}
	return stored, nil
}

// entry is the one at a place of the log, from 0 on, as stores give it.
func (s *modelSession) entry(id protocol.SessionID, at int) *protocol.Entry {
	e := proto.CloneOf(s.entries[at])
	e.Session, e.MessagerecvId = id, protocol.MessageID(id, e.Seq)
	return e
}

func (m *Model) entries(id protocol.SessionID, from, to int64) (entries []*protocol.Entry, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, err := m.session(id)
	if err != nil {
		return nil, err
	}
	for at, e := range s.entries {
		if from <= e.Seq && e.Seq <= to {
			entries = append(entries, s.entry(id, at))
		}
	}
	return entries, nil
}

// Range fills actors.Journal; it knows no bound of bytes.
func (m *Model) Range(_ context.Context, id protocol.SessionID, from, to int64, limit, _ int) ([]*protocol.Entry, error) {
	entries, err := m.entries(id, from, to)
	return entries[:min(len(entries), max(limit, 0))], err
}

// Backward fills actors.Journal; it knows no bound of bytes.
func (m *Model) Backward(_ context.Context, id protocol.SessionID, from, to int64, limit, _ int) ([]*protocol.Entry, error) {
	entries, err := m.entries(id, from, to)
	slices.Reverse(entries)
	return entries[:min(len(entries), max(limit, 0))], err
}

// Sent fills actors.Journal.
func (m *Model) Sent(_ context.Context, id protocol.SessionID, sender protocol.UserID, client protocol.ClientMsgID) (sent actors.Sent, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, err := m.session(id)
	if err != nil || client == "" {
		return sent, err
	}
	for i, e := range s.entries {
		if e.Sender == sender && e.ClientMsgId == client {
			return actors.Sent{Seq: e.Seq, CreatedAt: e.CreatedAt, Hash: s.hashes[i]}, nil
		}
	}
	return sent, nil
}

// Original fills actors.Journal.
func (m *Model) Original(_ context.Context, id protocol.SessionID, seq int64) (*actors.Original, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, err := m.session(id)
	if err != nil {
		return nil, err
	}
	if o, ok := s.originals[seq]; ok {
		return &o, nil
	}
	return nil, protocol.NotFound("original %d", seq)
}

// Dealt fills actors.Journal.
func (m *Model) Dealt(ctx context.Context, id protocol.SessionID, before int64, limit int) (dealt []*protocol.Entry, err error) {
	if before <= 0 {
		before = 1 << 53
	}
	entries, err := m.Backward(ctx, id, 1, before-1, 1<<30, 0)
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range entries {
		if _, kept := m.sessions[id].originals[e.Seq]; kept && len(dealt) < limit {
			dealt = append(dealt, e)
		}
	}
	return dealt, err
}

// Deeds fills actors.Journal.
func (m *Model) Deeds(_ context.Context, id protocol.SessionID, target int64, user protocol.UserID) (deeds []actors.Deed, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, err := m.session(id)
	if err != nil {
		return nil, err
	}
	for _, e := range s.entries {
		if e.Target != target || e.Sender != user || e.Kind != protocol.Kind_REACT && e.Kind != protocol.Kind_ANSWER {
			continue
		}
		d := actors.Deed{Kind: e.Kind, Word: e.Reaction + e.Answer, Seq: e.Seq}
		deeds = slices.DeleteFunc(deeds, func(x actors.Deed) bool { return x.Kind == d.Kind && x.Word == d.Word })
		if !e.Removed {
			deeds = append(deeds, d)
		}
	}
	return deeds, nil
}

// SentKeys fills actors.Journal.
func (m *Model) SentKeys(_ context.Context, id protocol.SessionID, from, to int64, each func([16]byte, actors.Sent)) error {
	entries, err := m.entries(id, from, to)
	for _, e := range entries {
		if e.ClientMsgId != "" {
			each(protocol.SentKey(e.Sender, e.ClientMsgId),
				actors.Sent{Seq: e.Seq, CreatedAt: e.CreatedAt, Hash: m.sessions[id].hashes[e.Seq-1]})
		}
	}
	return err
}

// SessionsOf fills actors.Journal.
func (m *Model) SessionsOf(_ context.Context, user protocol.UserID) (ids []protocol.SessionID, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, s := range m.sessions {
		if _, in := s.members[user]; in {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// Home fills actors.Journal.
func (m *Model) Home(ctx context.Context, user protocol.UserID, device string, counts func(*actors.HomeRow) bool) (rows []*actors.HomeRow, err error) {
	ids, err := m.SessionsOf(ctx, user)
	for _, id := range ids {
		row, e := m.HomeOf(ctx, user, id, device)
		if protocol.Code_NOT_FOUND.Is(e) {
			continue // dead
		}
		if e == nil && counts != nil && !counts(row) {
			row.Unread, row.Mentioned = 0, false
		}
		rows, err = append(rows, row), errors.Join(err, e)
	}
	return rows, err
}

// HomeOf fills actors.Journal.
func (m *Model) HomeOf(ctx context.Context, user protocol.UserID, id protocol.SessionID, device string) (*actors.HomeRow, error) {
	entries, err := m.entries(id, 1, 1<<53)
	if err != nil {
		return nil, err
	}
	s := m.sessions[id]
	if _, in := s.members[user]; !in || s.info.Dead {
		return nil, protocol.NotFound("session %s", id)
	}
	info := s.infoNow()
	info.Announcement = ""
	row := &actors.HomeRow{Info: info, Head: int64(len(entries)), Member: s.member(user), DeviceRecv: s.recv[[2]string{user, device}]}
	if row.Info.SessionType == protocol.SessionType_P2P {
		for _, r := range s.list() {
			row.Info.Members = append(row.Info.Members, &protocol.Member{User: r.User, Role: r.Role, Inviter: r.Inviter,
				Order: r.Order, JoinedAt: r.JoinedAt})
		}
	}
	for _, e := range entries {
		if e.Shows() {
			row.Last = e
		}
	}
	row.Unread, row.Mentioned, err = m.Unread(ctx, id, user, max(row.Member.ReadSeq, row.Member.Floor-1), row.Head)
	return row, err
}

// RowOf fills actors.Journal.
func (m *Model) RowOf(ctx context.Context, user protocol.UserID, id protocol.SessionID, device string) (*actors.HomeRow, error) {
	row, err := m.HomeOf(ctx, user, id, device)
	if row != nil {
		row.Unread, row.Mentioned = 0, false
	}
	return row, err
}

// Unread fills actors.Journal.
func (m *Model) Unread(_ context.Context, id protocol.SessionID, user protocol.UserID, after, to int64) (n int64, mentioned bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, err := m.session(id)
	if err != nil {
		return 0, false, err
	}
	for _, e := range s.entries {
		if e.Seq > after && e.Seq <= to && e.Counts() && e.Sender != user {
			n++
			mentioned = mentioned || slices.Contains(e.Mentions, user) || slices.Contains(e.Mentions, "*")
		}
	}
	return n, mentioned, nil
}

// Due fills actors.Journal.
func (m *Model) Due(_ context.Context, now time.Time, limit int) (due []actors.Due, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, s := range m.sessions {
		for _, e := range s.entries {
			at := time.UnixMilli(e.CreatedAt + e.Expire*1000)
			if e.Kind == protocol.Kind_MESSAGE && e.Expire > 0 && !e.Expired && !e.Recalled && !at.After(now) {
				due = append(due, actors.Due{Session: id, Seq: e.Seq, At: at})
			}
		}
	}
	slices.SortStableFunc(due, func(a, b actors.Due) int { return a.At.Compare(b.At) })
	return due[:min(len(due), limit)], nil
}

// DueSessions fills actors.Journal.
func (m *Model) DueSessions(_ context.Context, now time.Time, limit int) (due []protocol.SessionID, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, s := range m.sessions {
		if s.info.Until > 0 && s.info.Until <= now.UnixMilli() {
			due = append(due, id)
		}
	}
	slices.SortFunc(due, func(a, b string) int {
		return cmp.Or(cmp.Compare(m.sessions[a].info.Until, m.sessions[b].info.Until), cmp.Compare(a, b))
	})
	return due[:min(len(due), limit)], nil
}

// Link fills actors.Links.
func (m *Model) Link(_ context.Context, id string) (*actors.LinkRow, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if l, ok := m.links[id]; ok {
		return &l, nil
	}
	return nil, protocol.NotFound("link %s", id)
}

// LinksOf fills actors.Links.
func (m *Model) LinksOf(_ context.Context, session protocol.SessionID, after *actors.LinkRow, limit int) (links []*actors.LinkRow, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	inOrder := func(a, b *actors.LinkRow) int {
		return cmp.Or(cmp.Compare(a.CreatedAt, b.CreatedAt), cmp.Compare(a.ID, b.ID))
	}
	for _, l := range m.links {
		if l.Session == session && (after == nil || inOrder(&l, after) > 0) {
			links = append(links, &l)
		}
	}
	slices.SortFunc(links, inOrder)
	return links[:min(len(links), limit)], nil
}
