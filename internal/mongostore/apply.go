package mongostore

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

// memberRow is a member of a session, or who was one (Gone): the row stays, so that
// who wrote late finds what is newer.
type memberRow struct {
	ID       string `bson:"_id"` // session/user
	N        int64  `bson:"n"`   // the commit that wrote it
	Session  string `bson:"s"`
	User     string `bson:"u"`
	Gone     bool   `bson:"gone,omitempty"`
	Role     int32  `bson:"role,omitempty"`
	Inviter  string `bson:"by,omitempty"`
	Order    int64  `bson:"order,omitempty"`
	JoinedAt int64  `bson:"at,omitempty"`
	Floor    int64  `bson:"floor,omitempty"`
	Sticky   bool   `bson:"sticky,omitempty"`
	Muted    bool   `bson:"muted,omitempty"`
	Silenced int64  `bson:"silenced,omitempty"`
}

func (r *memberRow) member() *actors.MemberRow {
	return &actors.MemberRow{User: r.User, Role: protocol.Role(r.Role), Inviter: r.Inviter, Order: r.Order, JoinedAt: r.JoinedAt,
		Floor: r.Floor, Sticky: r.Sticky, Muted: r.Muted, SilencedUntil: r.Silenced}
}

func rowOfMember(session protocol.SessionID, n int64, m *actors.MemberRow) *memberRow {
	return &memberRow{ID: session + "/" + m.User, N: n, Session: session, User: m.User, Role: int32(m.Role), Inviter: m.Inviter, Order: m.Order,
		JoinedAt: m.JoinedAt, Floor: m.Floor, Sticky: m.Sticky, Muted: m.Muted, Silenced: m.SilencedUntil}
}

// markRow is how far a user has read and its devices have received; it outlives membership.
type markRow struct {
	ID      string           `bson:"_id"` // session/user
	Session string           `bson:"s"`
	User    string           `bson:"u"`
	Read    int64            `bson:"r"`
	Recv    map[string]int64 `bson:"d,omitempty"` // by keyed device
}

// top gives a device's received mark and the highest one. Only the actors.MaxDevices
// highest count: the others are as if they were not there.
func (r *markRow) top(device string) (own, highest int64) {
	all := make([]int64, 0, len(r.Recv))
	for _, n := range r.Recv {
		all = append(all, n)
	}
	slices.SortFunc(all, func(a, b int64) int { return cmp.Compare(b, a) })
	if len(all) == 0 {
		return 0, 0
	}
	own = r.Recv[keyed(device)]
	if len(all) > actors.MaxDevices && own < all[actors.MaxDevices-1] {
		own = 0
	}
	return own, all[0]
}

// addMembers ends rows first, then writes rows: a member who leaves and comes back in
// one Append is in.
func (d *draft) addMembers(a *actors.Append) {
	set := func(r *memberRow) {
		if d.in[r.User] == r.Gone {
			if d.in[r.User] = !r.Gone; r.Gone {
				d.members--
			} else {
				d.members++
			}
		} else if r.Gone {
			return // nobody
		}
		if d.rows == nil {
			d.rows = map[protocol.UserID]*memberRow{}
		}
		if d.rows[r.User] == nil {
			d.order = append(d.order, r.User)
		}
		d.rows[r.User] = r
	}
	for _, user := range a.Removed {
		set(&memberRow{ID: a.Session + "/" + user, N: d.doc.N, Session: a.Session, User: user, Gone: true})
	}
	for _, m := range a.Members {
		set(rowOfMember(a.Session, d.doc.N, m))
	}
}

// know finds out who of those whom a is about is a member.
func (d *draft) know(a *actors.Append) error {
	if len(a.Members)+len(a.Removed) == 0 {
		return nil
	}
	if d.in == nil {
		d.in = map[protocol.UserID]bool{}
	}
	var ids []string
	ask := func(user protocol.UserID) {
		if _, known := d.in[user]; !known {
			d.in[user] = false
			ids = append(ids, a.Session+"/"+user)
		}
	}
	for _, user := range a.Removed {
		ask(user)
	}
	for _, m := range a.Members {
		ask(m.User)
	}
	if len(ids) == 0 || !d.row.exists() {
		return nil
	}
	rows, err := find[memberRow](d.ctx, d.s, inMembers, bson.D{in("_id", ids)})
	for _, r := range rows {
		d.in[r.User] = !r.Gone
	}
	if err != nil {
		for _, id := range ids {
			delete(d.in, id[len(a.Session)+1:])
		}
	}
	return err
}

// mark notes a mark, which only rises.
func (d *draft) mark(m actors.Mark) {
	if m.ReadSeq <= 0 && m.RecvSeq <= 0 {
		return
	}
	if d.marks == nil {
		d.marks = map[protocol.UserID]*markRow{}
	}
	r := d.marks[m.User]
	if r == nil {
		r = &markRow{ID: d.doc.Session + "/" + m.User, Session: d.doc.Session, User: m.User}
		d.marks[m.User] = r
	}
	r.Read = max(r.Read, m.ReadSeq)
	if m.RecvSeq > 0 {
		if r.Recv == nil {
			r.Recv = map[string]int64{}
		}
		r.Recv[keyed(m.Device)] = max(r.Recv[keyed(m.Device)], m.RecvSeq)
	}
}

// projection is what commits bring to other places than their own. Doing it again
// changes nothing, and what is older than what is there is left alone.
type projection struct {
	fresh    bool               // rows of members are new, most likely
	commits  []mongo.WriteModel // of older commits, rewritten; and of those that are done with
	members  []versioned        // rows
	links    []versioned        //
	marks    []markRow          //
	sessions []versioned        // last: what they say of the others is true then
	made     []versioned        // of sessions that are new
	refer    []referral
	unsigned []stirred
	left     []string // avatars that sessions name no more
}

// versioned is a row that a newer one is not replaced by.
type versioned struct {
	id  string
	n   int64
	row any
}

func (p *projection) add(row *sessionRow, c *commitDoc) {
	if c.Void {
		return
	}
	to := &p.sessions
	if c.Rest != nil && c.Rest.Info != nil && c.N <= 2 {
		to = &p.made
		p.fresh = true
	}
	*to = append(*to, versioned{row.ID, row.N, row})
	p.marks = append(p.marks, c.Marks...)
	if c.Rest == nil {
		return
	}
	for _, w := range c.Rest.Rewrites {
		set := bson.D{{Key: "v", Value: c.N}, {Key: "f", Value: w.Files}, {Key: "x", Value: w.Due}, {Key: "o", Value: w.Dealt}}
		unset := bson.D{}
		for i, empty := range []bool{false, len(w.Files) == 0, w.Due == 0, w.Dealt == ""} {
			if empty {
				unset = append(unset, bson.E{Key: set[i].Key, Value: ""})
			}
		}
		set = slices.DeleteFunc(set, func(e bson.E) bool {
			return slices.ContainsFunc(unset, func(u bson.E) bool { return u.Key == e.Key })
		})
		for i, at := range w.At {
			set = append(set, bson.E{Key: "e." + strconv.Itoa(int(at)), Value: w.Entries[i]})
		}
		change := bson.D{{Key: "$set", Value: set}}
		if len(unset) > 0 {
			change = append(change, bson.E{Key: "$unset", Value: unset})
		}
		p.commits = append(p.commits, mongo.NewUpdateOneModel().
			SetFilter(bson.D{eq("_id", commitID(c.Session, w.N)), {Key: "$or", Value: bson.A{bson.D{op("v", "$exists", false)}, bson.D{op("v", "$lt", c.N)}}}}).
			SetUpdate(change))
		if w.Was != 0 { // what an earlier rewrite said is nowhere any more
			p.commits = append(p.commits, mongo.NewUpdateOneModel().
				SetFilter(bson.D{eq("_id", commitID(c.Session, w.Was))}).
				SetUpdate(bson.D{{Key: "$unset", Value: bson.D{{Key: "c.r", Value: ""}}}}))
		}
	}
	p.commits = append(p.commits, mongo.NewUpdateOneModel().
		SetFilter(bson.D{eq("_id", c.ID)}).
		SetUpdate(bson.D{{Key: "$set", Value: bson.D{{Key: "w", Value: time.Now().UnixMilli()}}}}))
	for i := range c.Rest.Members {
		m := &c.Rest.Members[i]
		p.members = append(p.members, versioned{m.ID, c.N, m})
	}
	for i := range c.Rest.Links {
		l := &c.Rest.Links[i]
		p.links = append(p.links, versioned{l.ID, c.N, l})
	}
	if len(c.Rest.Refer) > 0 {
		p.refer = append(p.refer, referral{c.Session, c.N, c.Rest.Refer})
	}
	if len(c.Rest.Unsigned) > 0 {
		p.unsigned = append(p.unsigned, stirred{c.Session, c.N, c.Rest.Unsigned})
	}
	p.left = append(p.left, c.Rest.Left...)
}

// apply brings one commit to its places, and gives the session's row behind it.
func (s *Store) apply(ctx context.Context, row *sessionRow, c *commitDoc) (*sessionRow, error) {
	if c.Pending != nil {
		var err error
		if c, err = s.decide(ctx, c); err != nil {
			return nil, err
		}
	}
	next, err := row.next(c)
	if err != nil {
		return nil, err
	}
	var p projection
	p.add(next, c)
	return next, s.project(ctx, &p)
}

// project writes a projection: side by side, but for the sessions' rows, which say that
// all else of their commits is in its place.
func (s *Store) project(ctx context.Context, p *projection) error {
	var steps []func() error
	if len(p.commits) > 0 {
		steps = append(steps, func() error { return s.bulk(ctx, inCommits, p.commits) })
	}
	if len(p.members) > 0 {
		steps = append(steps, func() error { return s.keep(ctx, inMembers, p.members, p.fresh) })
	}
	if len(p.links) > 0 {
		steps = append(steps, func() error { return s.keep(ctx, inLinks, p.links, true) })
	}
	if len(p.marks) > 0 {
		steps = append(steps, func() error { return s.keepMarks(ctx, p.marks) })
	}
	if len(p.refer) > 0 {
		steps = append(steps, func() error { return s.refer(ctx, p.refer) })
	}
	if len(p.left) > 0 {
		steps = append(steps, func() error { return s.avatarsLeft(ctx, p.left) })
	}
	if len(p.unsigned) > 0 {
		steps = append(steps, func() error { return s.unsign(ctx, p.unsigned) })
	}
	if err := together(steps); err != nil {
		return err
	}
	return together([]func() error{
		func() error { return s.keep(ctx, inSessions, p.made, true) },
		func() error { return s.keep(ctx, inSessions, p.sessions, false) },
	})
}

func together(steps []func() error) error {
	if len(steps) == 1 {
		return steps[0]()
	}
	errs := make(chan error, len(steps))
	for _, step := range steps {
		go func() { errs <- step() }()
	}
	var err error
	for range steps {
		err = errors.Join(err, <-errs)
	}
	return err
}

// bulk does updates in no order. Each is the same done twice.
func (s *Store) bulk(ctx context.Context, collection string, models []mongo.WriteModel) error {
	return s.again(ctx, "update of "+collection, func(ctx context.Context) error {
		_, err := s.db.Collection(collection).BulkWrite(ctx, models, options.BulkWrite().SetOrdered(false))
		return err
	})
}

// keep writes rows where no newer ones are. new: most of them are not there yet.
func (s *Store) keep(ctx context.Context, collection string, rows []versioned, new bool) error {
	if len(rows) == 0 {
		return nil
	}
	if new {
		var err error
		if rows, err = s.insertMissing(ctx, collection, rows); err != nil || len(rows) == 0 {
			return err
		}
	}
	models := make([]mongo.WriteModel, len(rows))
	for i, r := range rows {
		models[i] = mongo.NewReplaceOneModel().SetFilter(bson.D{eq("_id", r.id), op("n", "$lt", r.n)}).SetReplacement(r.row)
	}
	var matched int64
	err := s.again(ctx, "update of "+collection, func(ctx context.Context) error {
		result, err := s.db.Collection(collection).BulkWrite(ctx, models, options.BulkWrite().SetOrdered(false))
		if result != nil {
			matched = result.MatchedCount
		}
		return err
	})
	if err != nil || new || matched == int64(len(rows)) {
		return err // what is there and was not replaced is newer
	}
	return s.keep(ctx, collection, rows, true)
}

// insertMissing inserts rows, and gives those whose ids were there.
func (s *Store) insertMissing(ctx context.Context, collection string, rows []versioned) (there []versioned, err error) {
	docs := make([]any, len(rows))
	for i, r := range rows {
		docs[i] = r.row
	}
	err = s.again(ctx, "insert into "+collection, func(ctx context.Context) error {
		there = nil
		_, err := s.db.Collection(collection).InsertMany(ctx, docs, options.InsertMany().SetOrdered(false))
		var bulk mongo.BulkWriteException
		if !errors.As(err, &bulk) || bulk.WriteConcernError != nil {
			return err
		}
		for _, e := range bulk.WriteErrors {
			if e.Code != 11000 {
				return err
			}
			there = append(there, rows[e.Index])
		}
		return nil
	})
	return there, err
}

// keepMarks raises marks.
func (s *Store) keepMarks(ctx context.Context, marks []markRow) error {
	models := make([]mongo.WriteModel, len(marks))
	rows := make([]versioned, len(marks))
	for i, m := range marks {
		up := bson.D{{Key: "r", Value: m.Read}}
		for device, seq := range m.Recv {
			up = append(up, bson.E{Key: "d." + device, Value: seq})
		}
		models[i] = mongo.NewUpdateOneModel().SetFilter(bson.D{eq("_id", m.ID)}).SetUpdate(bson.D{{Key: "$max", Value: up}})
		rows[i] = versioned{id: m.ID, row: m}
	}
	var matched int64
	raise := func(ctx context.Context) error {
		result, err := s.db.Collection(inMarks).BulkWrite(ctx, models, options.BulkWrite().SetOrdered(false))
		if result != nil {
			matched = result.MatchedCount
		}
		return err
	}
	err := s.again(ctx, "update of "+inMarks, raise)
	if err != nil || matched == int64(len(marks)) {
		return err
	}
	there, err := s.insertMissing(ctx, inMarks, rows)
	if err != nil || len(there)+int(matched) == len(marks) && int(matched) == len(there) {
		return err
	}
	return s.again(ctx, "update of "+inMarks, raise)
}
