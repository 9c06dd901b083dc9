package mongostore

import (
	"cmp"
	"context"
	"math"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

// SessionsOf fills actors.Journal.
func (s *Store) SessionsOf(ctx context.Context, user protocol.UserID) (ids []protocol.SessionID, err error) {
	rows, err := find[memberRow](ctx, s, inMembers, bson.D{eq("u", user), op("gone", "$ne", true)})
	for _, r := range rows {
		ids = append(ids, r.Session)
	}
	return ids, err
}

// A home row says which head it is of, and whoever has it counts what comes behind that. So all of it
// is of one moment, the session's N commits, though several queries read it and somebody writes
// meanwhile: members are read after the session's row, which is written after them, and what was
// rewritten since is counted as it was (entryDoc.Until).

// HomeOf fills actors.Journal: by ids alone, but for the members of a pair and for counting.
func (s *Store) HomeOf(ctx context.Context, user protocol.UserID, session protocol.SessionID, device string) (*actors.HomeRow, error) {
	return s.rowOf(ctx, user, session, device, true)
}

// RowOf fills actors.Journal.
func (s *Store) RowOf(ctx context.Context, user protocol.UserID, session protocol.SessionID, device string) (*actors.HomeRow, error) {
	return s.rowOf(ctx, user, session, device, false)
}

func (s *Store) rowOf(ctx context.Context, user protocol.UserID, session protocol.SessionID, device string, counts bool) (*actors.HomeRow, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if _, err := protocol.ParseSessionID(session); err != nil {
		return nil, protocol.NotFound("session %s", session)
	}
	row, err := s.homeOf(ctx, user, session, device, counts)
	if err != nil || row != nil {
		return row, err
	}
	// Who made the session, or took the user in, may not have lived to bring that to its places.
	if _, err := s.current(ctx, session); err != nil {
		return nil, err
	}
	row, err = s.homeOf(ctx, user, session, device, counts)
	if err == nil && row == nil {
		err = protocol.NotFound("session %s", session)
	}
	return row, err
}

// homeOf is nil where the user is not in the session.
func (s *Store) homeOf(ctx context.Context, user protocol.UserID, session protocol.SessionID, device string, counts bool) (*actors.HomeRow, error) {
	id := session + "/" + user
	mark, err := get[markRow](ctx, s, inMarks, id)
	if err != nil {
		return nil, err
	}
	is, err := get[sessionRow](ctx, s, inSessions, session)
	if err != nil || is == nil || !is.exists() {
		return nil, err
	}
	var members []*memberRow
	if is.Pair {
		members, err = find[memberRow](ctx, s, inMembers, bson.D{eq("s", session), op("gone", "$ne", true)})
	} else if m, e := get[memberRow](ctx, s, inMembers, id); m != nil && !m.Gone {
		members = append(members, m)
	} else {
		err = e
	}
	if err != nil {
		return nil, err
	}
	var marks []*markRow
	if mark != nil {
		marks = append(marks, mark)
	}
	rows, err := s.home(ctx, user, device, []*sessionRow{is}, members, marks, func(*actors.HomeRow) bool { return counts })
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return rows[0], nil
}

// Home fills actors.Journal, in four queries and one for each countedAtOnce sessions in which
// something unread is to be counted.
func (s *Store) Home(ctx context.Context, user protocol.UserID, device string, counts func(*actors.HomeRow) bool) ([]*actors.HomeRow, error) {
	ids, err := s.SessionsOf(ctx, user)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	marks, err := find[markRow](ctx, s, inMarks, bson.D{eq("u", user)})
	if err != nil {
		return nil, err
	}
	sessions, err := find[sessionRow](ctx, s, inSessions, bson.D{in("_id", ids)})
	if err != nil {
		return nil, err
	}
	whose := eq("u", user)
	var pairs []string
	for _, r := range sessions {
		if r.Pair && !r.Dead {
			pairs = append(pairs, r.ID)
		}
	}
	if len(pairs) > 0 {
		whose = eq("$or", bson.A{bson.D{whose}, bson.D{in("s", pairs)}})
	}
	members, err := find[memberRow](ctx, s, inMembers, bson.D{whose, op("gone", "$ne", true)})
	if err != nil {
		return nil, err
	}
	return s.home(ctx, user, device, sessions, members, marks, counts)
}

// home makes a user's rows of sessions that were read before their members: the user's own
// rows, and both of a pair. What is unread is asked for where counts says so, nil: everywhere.
func (s *Store) home(ctx context.Context, user protocol.UserID, device string, sessions []*sessionRow, members []*memberRow, marks []*markRow, counts func(*actors.HomeRow) bool) (home []*actors.HomeRow, err error) {
	slices.SortFunc(members, func(a, b *memberRow) int { return cmp.Compare(a.Order, b.Order) })
	known := make(map[protocol.SessionID][]*memberRow, len(sessions))
	for _, m := range members {
		known[m.Session] = append(known[m.Session], m)
	}
	marked := make(map[protocol.SessionID]*markRow, len(marks))
	for _, m := range marks {
		marked[m.Session] = m
	}
	var spans []span
	at := make(map[protocol.SessionID]*actors.HomeRow, len(sessions))
	for _, r := range sessions {
		own := slices.IndexFunc(known[r.ID], func(m *memberRow) bool { return m.User == user })
		if r.Dead || own < 0 {
			continue
		}
		row := &actors.HomeRow{LogEpoch: s.logEpoch, Head: r.Head, Member: *known[r.ID][own].member()}
		if row.Info, err = s.info(r); err != nil {
			return nil, err
		}
		row.Info.Announcement, row.Info.Former = "", nil // of thousands of rows in memory, which nobody reads there
		if r.Pair {
			for _, m := range known[r.ID] {
				row.Info.Members = append(row.Info.Members, &protocol.Member{User: m.User, Role: protocol.Role(m.Role), Inviter: m.Inviter, Order: m.Order, JoinedAt: m.JoinedAt})
			}
		}
		if mark := marked[r.ID]; mark != nil {
			row.Member.ReadSeq = mark.Read
			row.DeviceRecv, row.Member.RecvSeq = mark.top(device)
		}
		if r.Message > 0 {
			last := entryDoc{Seq: r.Message, Data: r.Last}
			if row.Last, err = last.entry(r.ID); err != nil {
				return nil, err
			}
		}
		if read := max(row.Member.ReadSeq, row.Member.Floor-1, 0); read < r.Message && (counts == nil || counts(row)) {
			spans = append(spans, span{r.ID, read, r.Message, r.N})
		}
		home, at[r.ID] = append(home, row), row
	}
	tallies, err := s.count(ctx, user, spans)
	for id, c := range tallies {
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
	counts, err := s.count(ctx, user, []span{{session, after, to, math.MaxInt64}})
	c := counts[session]
	return c.n, c.mentioned, err
}

// span is a part of a log, after < seq <= to, as a session's first n commits have left it.
type span struct {
	session   protocol.SessionID
	after, to int64
	n         int64
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
			counted := bson.A{bson.D{eq("e.c", true)}, bson.D{op("e.n", "$gt", p.n)}}
			entries[i] = bson.D{eq("e.s", p.session), {Key: "e.q", Value: bson.D{{Key: "$gt", Value: p.after}, {Key: "$lte", Value: p.to}}}, eq("$or", counted)}
		}
		pipeline := bson.A{
			bson.D{{Key: "$match", Value: bson.D{{Key: "$or", Value: commits}}}},
			bson.D{{Key: "$unwind", Value: "$e"}},
			bson.D{{Key: "$match", Value: bson.D{op("e.u", "$ne", user), eq("$or", entries)}}},
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
