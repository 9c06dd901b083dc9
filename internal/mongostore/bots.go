package mongostore

import (
	"context"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/internal/rows"
	"github.com/troupe-im/troupe/plugins/desk"
)

// Collections of bots in sessions. Each document is written as a whole under its own _id, by the
// node where the session is: the last one stays. A node that is late writes a cursor that is
// behind, and the bot is told something again, which it is promised to expect.
const (
	inCursors = "bot_cursors"
	inStates  = "bot_states"
)

func botIndexes() []index { return []index{up(inCursors, "b", "s"), up(inStates, "b", "s")} }

type cursorRow struct {
	ID      string  `bson:"_id"` // bot, a space, session
	Bot     string  `bson:"b"`
	Session string  `bson:"s"`
	Seq     int64   `bson:"q"`
	Ahead   []int64 `bson:"a,omitempty"`
}

func (r *cursorRow) cursor() *desk.Cursor {
	return &desk.Cursor{Bot: r.Bot, Session: r.Session, Seq: r.Seq, Ahead: r.Ahead}
}

type stateRow struct {
	ID        string `bson:"_id"` // bot, a space, session
	Bot       string `bson:"b"`
	Session   string `bson:"s"`
	Consent   string `bson:"consent,omitempty"`
	By        string `bson:"by,omitempty"`
	Human     bool   `bson:"human,omitempty"`
	MutedTill int64  `bson:"mutedTill,omitempty"`
}

func (r *stateRow) state() desk.State {
	return desk.State{Consent: r.Consent, By: r.By, Human: r.Human, MutedTill: r.MutedTill}
}

func botIn(bot protocol.UserID, session protocol.SessionID) string { return bot + " " + session }

// overwrite writes documents as they are from now on. Where two put one that was not there at
// once, one of them tries again, and replaces it.
func (s *Store) overwrite(ctx context.Context, collection string, rows map[string]any) error {
	if len(rows) == 0 {
		return nil
	}
	models := make([]mongo.WriteModel, 0, len(rows))
	for id, row := range rows {
		models = append(models, mongo.NewReplaceOneModel().SetFilter(byID(id)).SetReplacement(row).SetUpsert(true))
	}
	for {
		err := s.again(ctx, "rows of "+collection, func(ctx context.Context) error {
			_, err := s.db.Collection(collection).BulkWrite(ctx, models, options.BulkWrite().SetOrdered(false))
			return err
		})
		if !taken(err) || ctx.Err() != nil {
			return err
		}
	}
}

// drop removes documents; there need not be any.
func (s *Store) drop(ctx context.Context, collection string, filter bson.D) error {
	return s.again(ctx, "rows of "+collection, func(ctx context.Context) error {
		_, err := s.db.Collection(collection).DeleteMany(ctx, filter)
		return err
	})
}

// BotCursor fills desk.Store.
func (s *Store) BotCursor(ctx context.Context, bot protocol.UserID, session protocol.SessionID) (*desk.Cursor, error) {
	r, err := get[cursorRow](ctx, s, inCursors, botIn(bot, session))
	if err != nil || r == nil {
		return nil, err
	}
	return r.cursor(), nil
}

// PutBotCursors fills desk.Store. Some of them may be there and others not when it fails, as
// each is for itself.
func (s *Store) PutBotCursors(ctx context.Context, all []*desk.Cursor) error {
	rows := make(map[string]any, len(all))
	for _, c := range all {
		if _, err := protocol.ParseSessionID(c.Session); err != nil {
			return protocol.NotFound("session %s", c.Session)
		}
		id := botIn(c.Bot, c.Session)
		rows[id] = &cursorRow{ID: id, Bot: c.Bot, Session: c.Session, Seq: c.Seq, Ahead: c.Ahead}
	}
	return s.overwrite(ctx, inCursors, rows)
}

// botPage is how many sessions of a bot are read at a time.
const botPage = 500

// BotsBehind fills desk.Store, in the order of the sessions' ids.
func (s *Store) BotsBehind(ctx context.Context, bot protocol.UserID, after protocol.SessionID, limit int) (all []desk.Behind, next protocol.SessionID, err error) {
	sessions, err := s.SessionsOf(ctx, bot)
	if err != nil {
		return nil, "", err
	}
	slices.Sort(sessions)
	first, found := slices.BinarySearch(sessions, after)
	if found {
		first++
	}
	for page := range slices.Chunk(sessions[first:], botPage) {
		heads, err := s.heads(ctx, page)
		if err != nil {
			return nil, "", err
		}
		ids := make([]string, len(page))
		for i, session := range page {
			ids[i] = botIn(bot, session)
		}
		rows, err := find[cursorRow](ctx, s, inCursors, bson.D{in("_id", ids)})
		if err != nil {
			return nil, "", err
		}
		cursors := make(map[protocol.SessionID]*cursorRow, len(rows))
		for _, r := range rows {
			cursors[r.Session] = r
		}
		for _, session := range page {
			h := heads[session]
			if h == nil {
				continue
			}
			b := desk.Behind{Session: session, Head: h.Head, New: true}
			if c := cursors[session]; c != nil {
				b.Seq, b.New = c.Seq, false
			}
			if !b.New && b.Seq >= b.Head {
				continue
			}
			if len(all) == limit {
				return all, all[limit-1].Session, nil
			}
			all = append(all, b)
		}
	}
	return all, "", nil
}

// heads gives sessions' rows as their newest commits have left them.
func (s *Store) heads(ctx context.Context, sessions []protocol.SessionID) (map[protocol.SessionID]*sessionRow, error) {
	rows, err := find[sessionRow](ctx, s, inSessions, bson.D{in("_id", sessions)})
	if err != nil {
		return nil, err
	}
	heads := make(map[protocol.SessionID]*sessionRow, len(rows))
	next := make([]string, 0, len(rows)) // of who died before a session's row was written
	for _, r := range rows {
		heads[r.ID] = r
		next = append(next, commitID(r.ID, r.N+1))
	}
	if len(next) == 0 {
		return heads, nil
	}
	late, err := find[struct {
		Session string `bson:"s"`
	}](ctx, s, inCommits, bson.D{in("_id", next)}, options.Find().SetProjection(bson.D{eq("s", 1)}))
	if err != nil {
		return nil, err
	}
	for _, l := range late {
		if heads[l.Session], err = s.current(ctx, l.Session); err != nil {
			return nil, err
		}
	}
	for id, r := range heads {
		if !r.exists() {
			delete(heads, id)
		}
	}
	return heads, nil
}

// BotsGone fills desk.Store.
func (s *Store) BotsGone(ctx context.Context, bot protocol.UserID, after protocol.SessionID, limit int) (all []*desk.Cursor, next protocol.SessionID, err error) {
	sessions, err := s.SessionsOf(ctx, bot)
	if err != nil {
		return nil, "", err
	}
	slices.Sort(sessions)
	rows, err := find[cursorRow](ctx, s, inCursors, bson.D{eq("b", bot), op("s", "$gt", after)})
	if err != nil {
		return nil, "", err
	}
	slices.SortFunc(rows, func(a, b *cursorRow) int { return strings.Compare(a.Session, b.Session) })
	for _, r := range rows {
		if _, in := slices.BinarySearch(sessions, r.Session); in {
			continue
		}
		if len(all) == limit {
			return all, all[limit-1].Session, nil
		}
		all = append(all, r.cursor())
	}
	return all, "", nil
}

// ForgetBot fills desk.Store. It may be done again.
func (s *Store) ForgetBot(ctx context.Context, bot protocol.UserID, plugin string, session protocol.SessionID) error {
	if _, err := protocol.ParseSessionID(session); err != nil {
		return protocol.NotFound("session %s", session)
	}
	err := s.ledger.Update(ctx, func(t rows.Tx) error { return rows.ForgetSchedules(t, plugin, bot, session) })
	for _, collection := range []string{inStates, inCursors} {
		if err == nil {
			err = s.drop(ctx, collection, byID(botIn(bot, session)))
		}
	}
	return err
}

// BotState fills desk.Store.
func (s *Store) BotState(ctx context.Context, bot protocol.UserID, session protocol.SessionID) (desk.State, error) {
	r, err := get[stateRow](ctx, s, inStates, botIn(bot, session))
	if err != nil || r == nil {
		return desk.State{}, err
	}
	return r.state(), nil
}

// PutBotState fills desk.Store.
func (s *Store) PutBotState(ctx context.Context, bot protocol.UserID, session protocol.SessionID, state desk.State) error {
	if _, err := protocol.ParseSessionID(session); err != nil {
		return protocol.NotFound("session %s", session)
	}
	id := botIn(bot, session)
	if state == (desk.State{}) {
		return s.drop(ctx, inStates, byID(id))
	}
	return s.overwrite(ctx, inStates, map[string]any{id: &stateRow{ID: id, Bot: bot, Session: session, Consent: state.Consent, By: state.By, Human: state.Human, MutedTill: state.MutedTill}})
}

// BotStates fills desk.Store.
func (s *Store) BotStates(ctx context.Context, bot protocol.UserID, use func(session protocol.SessionID, state desk.State) error) error {
	rows, err := find[stateRow](ctx, s, inStates, bson.D{eq("b", bot)})
	for _, r := range rows {
		if err == nil {
			err = use(r.Session, r.state())
		}
	}
	return err
}
