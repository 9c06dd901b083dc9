package mongostore

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/internal/rows"
	"github.com/troupe-im/troupe/internal/search"
)

// Watch fills search.Store.
func (s *Store) Watch(full func(session protocol.SessionID)) { s.full.Store(&full) }

// tellFull says that a session has a block to sign.
func (s *Store) tellFull(session protocol.SessionID) {
	if full := s.full.Load(); full != nil {
		(*full)(session)
	}
}

// Look fills search.Store. What is read is not of one moment: a message that is changed
// meanwhile may be read as it was or as it is, and every hit is read once more by Read.
func (s *Store) Look(ctx context.Context, use func(r search.Reader) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return use(&searchReader{s, ctx})
}

type searchReader struct {
	s   *Store
	ctx context.Context
}

// Rooms fills search.Reader, in the order of ids.
func (r *searchReader) Rooms(user protocol.UserID, only protocol.SessionID) ([]search.Room, error) {
	of := bson.D{eq("u", user)}
	if only != "" {
		of = byID(only + "/" + user)
	}
	members, err := find[memberRow](r.ctx, r.s, inMembers, of)
	if err != nil {
		return nil, err
	}
	members = slices.DeleteFunc(members, func(m *memberRow) bool { return m.Gone })
	slices.SortFunc(members, func(a, b *memberRow) int { return cmp.Compare(a.Session, b.Session) })
	var rooms []search.Room
	for page := range slices.Chunk(members, botPage) {
		ids := make([]protocol.SessionID, len(page))
		for i, m := range page {
			ids[i] = m.Session
		}
		heads, err := r.s.heads(r.ctx, ids)
		if err != nil {
			return nil, err
		}
		for _, m := range page {
			if h := heads[m.Session]; h != nil && (only == "" || !h.Dead) {
				rooms = append(rooms, search.Room{Session: m.Session, From: max(1, m.Floor), Head: h.Head})
			}
		}
	}
	return rooms, nil
}

// Signatures fills search.Reader.
func (r *searchReader) Signatures(session protocol.SessionID, first, last int64, each func(block, n int64, signature []byte) bool) error {
	return r.s.signatures(r.ctx, session, first, last, func(g *signatureRow) bool { return each(g.Block, g.N, g.Signature) })
}

// Messages fills search.Reader.
func (r *searchReader) Messages(session protocol.SessionID, from, to int64, use func(m *search.Message) bool) error {
	from = max(from, 1)
	if from > to {
		return nil
	}
	enough := false
	err := each(r.ctx, r.s, inCommits, bson.D{eq("s", session), op("b", "$gte", from), op("a", "$lte", to)}, func(c *commitDoc) error {
		if c.First == 0 {
			return nil
		}
		for _, e := range slices.Backward(c.Entries) {
			if e.Seq < from || e.Seq > to || !e.Counts {
				continue
			}
			m := search.Message{Seq: e.Seq}
			if err := m.Parse(e.Data); err != nil {
				return fmt.Errorf("mongostore: entry %d of %s: %w", e.Seq, session, err)
			}
			if enough = !use(&m); enough {
				return errEnough
			}
		}
		return nil
	}, options.Find().SetSort(bson.D{eq("b", -1)}))
	if enough {
		return nil
	}
	return err
}

// Read fills search.Store.
func (s *Store) Read(ctx context.Context, user protocol.UserID, places []search.Place) ([]*search.Found, error) {
	found := make([]*search.Found, len(places))
	type room struct {
		info  *protocol.SessionInfo // nil: not for user
		floor int64
	}
	known := map[protocol.SessionID]room{}
	now := time.Now()
	for i, p := range places {
		in, yes := known[p.Session]
		if !yes {
			var err error
			if in.info, in.floor, err = s.shown(ctx, p.Session, user); err != nil {
				return nil, err
			}
			known[p.Session] = in
		}
		if in.info == nil || p.Seq < in.floor {
			continue
		}
		entries, err := s.Range(ctx, p.Session, p.Seq, p.Seq, 1, 0)
		if err != nil {
			return nil, err
		}
		if len(entries) == 1 && entries[0].Kind == protocol.Kind_MESSAGE && rows.Shows(entries[0], in.floor, now) {
			found[i] = &search.Found{Entry: entries[0], Info: in.info}
		}
	}
	return found, nil
}

// shown gives a session's info as a hit shows it, and from where user reads; nil: it is
// dead, or user not in it.
func (s *Store) shown(ctx context.Context, session protocol.SessionID, user protocol.UserID) (*protocol.SessionInfo, int64, error) {
	m, err := get[memberRow](ctx, s, inMembers, session+"/"+user)
	if err != nil || m == nil || m.Gone {
		return nil, 0, err
	}
	stored, err := s.Load(ctx, session)
	if protocol.Code_NOT_FOUND.Is(err) {
		return nil, 0, nil
	}
	if err != nil || stored.Info.Dead {
		return nil, 0, err
	}
	info := stored.Info
	info.Announcement, info.Former = "", nil
	if info.SessionType == protocol.SessionType_P2P {
		for _, m := range stored.Members {
			info.Members = append(info.Members, &protocol.Member{User: m.User, Role: m.Role, Order: m.Order})
		}
	}
	return info, m.Floor, nil
}

var _ search.Store = (*Store)(nil)
