package mongostore

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

// Load fills actors.Journal.
func (s *Store) Load(ctx context.Context, session protocol.SessionID) (*actors.Stored, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if _, err := protocol.ParseSessionID(session); err != nil {
		return nil, protocol.NotFound("session %s", session)
	}
	row, err := s.current(ctx, session)
	if err != nil {
		return nil, err
	}
	if !row.exists() {
		return nil, protocol.NotFound("session %s", session)
	}
	out := &actors.Stored{LogEpoch: s.logEpoch, Epoch: row.Epoch, Head: row.Head}
	if out.Info, err = s.info(row); err != nil {
		return nil, err
	}
	rows, err := find[memberRow](ctx, s, inMembers, bson.D{eq("s", session), op("gone", "$ne", true)})
	if err != nil {
		return nil, err
	}
	marks, err := find[markRow](ctx, s, inMarks, bson.D{eq("s", session)})
	if err != nil {
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

// info gives a session's info as a reader wants it; without its members.
func (s *Store) info(row *sessionRow) (*protocol.SessionInfo, error) {
	info := &protocol.SessionInfo{}
	if err := proto.Unmarshal(row.Info, info); err != nil {
		return nil, fmt.Errorf("mongostore: info of %s: %w", row.ID, err)
	}
	info.HeadSeq, info.Epoch, info.MemberCount = row.Head, s.logEpoch, row.Members
	return info, nil
}

// SessionsOf fills actors.Journal.
func (s *Store) SessionsOf(ctx context.Context, user protocol.UserID) (ids []protocol.SessionID, err error) {
	rows, err := find[memberRow](ctx, s, inMembers, bson.D{eq("u", user), op("gone", "$ne", true)})
	for _, r := range rows {
		ids = append(ids, r.Session)
	}
	return ids, err
}

// HomeOf fills actors.Journal.
func (s *Store) HomeOf(ctx context.Context, user protocol.UserID, session protocol.SessionID, device string) (*actors.HomeRow, error) {
	if _, err := s.known(ctx, session); err != nil {
		return nil, err
	}
	m, err := get[memberRow](ctx, s, inMembers, session+"/"+user)
	if err != nil {
		return nil, err
	}
	if m == nil || m.Gone {
		return nil, protocol.NotFound("session %s", session)
	}
	mark, err := get[markRow](ctx, s, inMarks, session+"/"+user)
	if err != nil {
		return nil, err
	}
	var marks []*markRow
	if mark != nil {
		marks = append(marks, mark)
	}
	for try := 1; ; try++ {
		rows, err := s.home(ctx, user, device, []*memberRow{m}, marks)
		if err == nil && len(rows) == 0 {
			err = protocol.NotFound("session %s", session)
		}
		if err != nil {
			return nil, err
		}
		// What is unread was counted after the head was read: a recall that came between is in
		// the one and not in the other, and whoever hears of it would count it once more.
		now, err := s.current(ctx, session)
		if err != nil {
			return nil, err
		}
		if now.Head == rows[0].Head || try == 3 { // a session that never rests is counted as well as can be
			return rows[0], nil
		}
	}
}

// Home fills actors.Journal, in four queries and one for each countedAtOnce sessions
// with something unread.
func (s *Store) Home(ctx context.Context, user protocol.UserID, device string) ([]*actors.HomeRow, error) {
	members, err := find[memberRow](ctx, s, inMembers, bson.D{eq("u", user), op("gone", "$ne", true)})
	if err != nil || len(members) == 0 {
		return nil, err
	}
	marks, err := find[markRow](ctx, s, inMarks, bson.D{eq("u", user)})
	if err != nil {
		return nil, err
	}
	return s.home(ctx, user, device, members, marks)
}

// home makes the rows of a user's sessions, of whose own rows are given.
func (s *Store) home(ctx context.Context, user protocol.UserID, device string, members []*memberRow, marks []*markRow) (home []*actors.HomeRow, err error) {
	ids := make([]string, len(members))
	for i, m := range members {
		ids[i] = m.Session
	}
	sessions, err := find[sessionRow](ctx, s, inSessions, bson.D{in("_id", ids)})
	if err != nil {
		return nil, err
	}
	by := make(map[protocol.SessionID]*sessionRow, len(sessions))
	var pairs []string
	for _, r := range sessions {
		if by[r.ID] = r; r.Pair && !r.Dead {
			pairs = append(pairs, r.ID)
		}
	}
	marked := make(map[protocol.SessionID]*markRow, len(marks))
	for _, m := range marks {
		marked[m.Session] = m
	}
	var spans []span
	at := map[protocol.SessionID]*actors.HomeRow{}
	for _, m := range members {
		r := by[m.Session]
		if r == nil || r.Dead {
			continue
		}
		row := &actors.HomeRow{LogEpoch: s.logEpoch, Head: r.Head, Member: *m.member()}
		if row.Info, err = s.info(r); err != nil {
			return nil, err
		}
		row.Info.Announcement, row.Info.Former = "", nil // of thousands of rows in memory, which nobody reads there
		if mark := marked[m.Session]; mark != nil {
			row.Member.ReadSeq = mark.Read
			row.DeviceRecv, row.Member.RecvSeq = mark.top(device)
		}
		if r.Message > 0 {
			last := entryDoc{Seq: r.Message, Data: r.Last}
			if row.Last, err = last.entry(r.ID); err != nil {
				return nil, err
			}
		}
		if read := max(row.Member.ReadSeq, row.Member.Floor-1, 0); read < r.Message {
			spans = append(spans, span{r.ID, read, r.Message})
		}
		home, at[r.ID] = append(home, row), row
	}
	if len(pairs) > 0 {
		both, err := find[memberRow](ctx, s, inMembers, bson.D{in("s", pairs), op("gone", "$ne", true)})
		if err != nil {
			return nil, err
		}
		slices.SortFunc(both, func(a, b *memberRow) int { return cmp.Compare(a.Order, b.Order) })
		for _, m := range both {
			if row := at[m.Session]; row != nil {
				row.Info.Members = append(row.Info.Members, &protocol.Member{User: m.User, Role: protocol.Role(m.Role), Inviter: m.Inviter, Order: m.Order, JoinedAt: m.JoinedAt})
			}
		}
	}
	counts, err := s.count(ctx, user, spans)
	for id, c := range counts {
		at[id].Unread, at[id].Mentioned = c.n, c.mentioned
	}
	return home, err
}

// Unread fills actors.Journal.
func (s *Store) Unread(ctx context.Context, session protocol.SessionID, user protocol.UserID, after, to int64) (n int64, mentioned bool, err error) {
	if _, err := s.known(ctx, session); err != nil {
		return 0, false, err
	}
	if after = max(after, 0); after >= to {
		return 0, false, nil
	}
	counts, err := s.count(ctx, user, []span{{session, after, to}})
	c := counts[session]
	return c.n, c.mentioned, err
}

// span is a part of a log: after < seq <= to.
type span struct {
	session   protocol.SessionID
	after, to int64
}

type tally struct {
	n         int64
	mentioned bool
}

// countedAtOnce is how many sessions one query counts in.
const countedAtOnce = 250

// count counts the messages of others in spans of different sessions. The server
// counts, by who is mentioned: a group for each list of them that occurs.
func (s *Store) count(ctx context.Context, user protocol.UserID, spans []span) (map[protocol.SessionID]tally, error) {
	counts := make(map[protocol.SessionID]tally, len(spans))
	for part := range slices.Chunk(spans, countedAtOnce) {
		commits, entries := make(bson.A, len(part)), make(bson.A, len(part))
		for i, p := range part {
			commits[i] = bson.D{eq("s", p.session), op("b", "$gt", p.after), op("a", "$lte", p.to)}
			entries[i] = bson.D{eq("e.s", p.session), {Key: "e.q", Value: bson.D{{Key: "$gt", Value: p.after}, {Key: "$lte", Value: p.to}}}}
		}
		pipeline := bson.A{
			bson.D{{Key: "$match", Value: bson.D{{Key: "$or", Value: commits}}}},
			bson.D{{Key: "$unwind", Value: "$e"}},
			bson.D{{Key: "$match", Value: bson.D{eq("e.c", true), op("e.u", "$ne", user), {Key: "$or", Value: entries}}}},
			bson.D{{Key: "$group", Value: bson.D{
				{Key: "_id", Value: bson.D{{Key: "s", Value: "$e.s"}, {Key: "m", Value: "$e.m"}}},
				{Key: "n", Value: bson.D{{Key: "$sum", Value: int32(1)}}},
			}}},
		}
		type group struct {
			ID struct {
				Session  string   `bson:"s"`
				Mentions []string `bson:"m"`
			} `bson:"_id"`
			N int64 `bson:"n"`
		}
		var groups []group
		err := s.again(ctx, "count", func(ctx context.Context) error {
			cursor, err := s.db.Collection(inCommits).Aggregate(ctx, pipeline, options.Aggregate().SetAllowDiskUse(false))
			if err != nil {
				return err
			}
			groups = nil
			return cursor.All(ctx, &groups)
		})
		if err != nil {
			return nil, err
		}
		for _, g := range groups {
			c := counts[g.ID.Session]
			c.n += g.N
			c.mentioned = c.mentioned || slices.Contains(g.ID.Mentions, user) || slices.Contains(g.ID.Mentions, "*")
			counts[g.ID.Session] = c
		}
	}
	return counts, nil
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
