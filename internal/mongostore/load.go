package mongostore

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

// Load fills actors.Journal. After the session's row all else is read at once, as people wait for it.
func (s *Store) Load(ctx context.Context, session protocol.SessionID) (*actors.Stored, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if _, err := protocol.ParseSessionID(session); err != nil {
		return nil, protocol.NotFound("session %s", session)
	}
	row, err := get[sessionRow](ctx, s, inSessions, session)
	if err == nil && row == nil {
		row, err = s.current(ctx, session)
	}
	if err != nil {
		return nil, err
	}
	if !row.exists() {
		return nil, protocol.NotFound("session %s", session)
	}
	var (
		behind *commitDoc
		rows   []*memberRow
		marks  []*markRow
		newest *protocol.Entry
	)
	for {
		err := together([]func() error{
			func() (err error) { behind, err = s.behind(ctx, row); return err },
			func() (err error) { newest, err = s.newest(ctx, row); return err },
			func() (err error) {
				rows, err = find[memberRow](ctx, s, inMembers, bson.D{eq("s", session), op("gone", "$ne", true)})
				return err
			},
			func() (err error) {
				marks, err = find[markRow](ctx, s, inMarks, bson.D{eq("s", session)})
				return err
			},
		})
		if err != nil {
			return nil, err
		}
		if behind == nil {
			break
		}
		if row, err = s.apply(ctx, row, behind); err != nil {
			return nil, err
		}
	}
	s.states.put(row)
	out := &actors.Stored{LogEpoch: s.logEpoch, Epoch: row.Epoch, Head: row.Head, Newest: newest}
	if out.Info, err = s.info(row); err != nil {
		return nil, err
	}
	of := make(map[protocol.UserID]*markRow, len(marks))
	for _, m := range marks {
		of[m.User] = m
	}
	for _, r := range rows {
		m := r.member()
		if at := of[m.User]; at != nil {
			m.ReadSeq = at.Read
			_, m.RecvSeq = at.top("")
		}
		out.Members = append(out.Members, m)
	}
	slices.SortFunc(out.Members, func(a, b *actors.MemberRow) int { return cmp.Compare(a.Order, b.Order) })
	s.spareDevices(ctx, marks)
	return out, nil
}

// newest gives what a session's log ends with as its first N commits have left it, nil: it is
// empty. Mostly that is the row's message, or in one of the last two commits: the newest
// may be the claim of whoever had the session.
func (s *Store) newest(ctx context.Context, row *sessionRow) (*protocol.Entry, error) {
	if row.Head == 0 {
		return nil, nil
	}
	if row.Message == row.Head {
		last := entryDoc{Seq: row.Message, Data: row.Last}
		return last.entry(row.ID)
	}
	for n := row.N; n > max(0, row.N-2); n-- {
		c, err := get[commitDoc](ctx, s, inCommits, commitID(row.ID, n))
		if err != nil {
			return nil, err
		}
		if c != nil && !c.Void && len(c.Entries) > 0 && c.Last == row.Head {
			return c.Entries[len(c.Entries)-1].entry(row.ID)
		}
	}
	var newest *protocol.Entry
	err := s.stored(ctx, row.ID, row.Head, row.Head, 1, true, func(d *entryDoc) (err error) {
		newest, err = d.entry(row.ID)
		return err
	})
	return newest, err
}

// info gives a session's info as a reader wants it; without its members.
func (s *Store) info(row *sessionRow) (*protocol.SessionInfo, error) {
	info := &protocol.SessionInfo{}
	if err := proto.Unmarshal(row.Info, info); err != nil {
		return nil, fmt.Errorf("mongostore: info of %s: %w", row.ID, err)
	}
	info.HeadSeq, info.Epoch, info.MemberCount = row.Head, s.logEpoch, row.Members
	return info, nil
}

// spareDevices lets go of the lowest received marks of those who have far too many
// devices: actors.MaxDevices count, which top sees to.
func (s *Store) spareDevices(ctx context.Context, marks []*markRow) {
	for _, m := range marks {
		if len(m.Recv) <= 2*actors.MaxDevices {
			continue
		}
		devices := make([]string, 0, len(m.Recv))
		for d := range m.Recv {
			devices = append(devices, d)
		}
		slices.SortFunc(devices, func(a, b string) int { return cmp.Compare(m.Recv[b], m.Recv[a]) })
		var gone bson.D
		for _, d := range devices[actors.MaxDevices:] {
			gone = append(gone, bson.E{Key: "d." + d, Value: ""})
		}
		err := s.again(ctx, "update of "+inMarks, func(ctx context.Context) error {
			_, err := s.db.Collection(inMarks).UpdateOne(ctx, bson.D{eq("_id", m.ID)}, bson.D{{Key: "$unset", Value: gone}})
			return err
		})
		if err != nil {
			s.log.Warn("marks of old devices stay", "session", m.Session, "user", m.User, "err", err)
		}
	}
}
