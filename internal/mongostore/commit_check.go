package mongostore

import (
	"context"
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/internal/search"
)

// reads says whether checking w asks the database.
func (w *work) reads() bool {
	return slices.ContainsFunc(w.appends, func(a *actors.Append) bool {
		return len(a.Rewrites) > 0 || !a.Vouched && len(a.Entries) > 0 || !a.Create && len(a.Members)+len(a.Removed) > 0
	})
}

// prepare checks the appends of w against the session's row, and makes the commit of
// those that are not refused. Each is accepted as a whole or leaves no trace.
func (s *Store) prepare(ctx context.Context, w *work) {
	w.doc, w.accepted = nil, nil
	if _, err := protocol.ParseSessionID(w.session); err != nil {
		for _, a := range w.appends {
			a.Err = protocol.NotFound("session %s", w.session)
		}
		return
	}
	cached := s.states.get(w.session)
	if !s.draw(ctx, w, cached) {
		return
	}
	// What is refused by a row that may be old is refused only if a new one says so too.
	if cached != nil && slices.ContainsFunc(w.appends, func(a *actors.Append) bool { return a.Err != nil }) {
		s.states.forget(w.session)
		s.draw(ctx, w, nil)
	}
}

// draw is prepare on a row, nil: it is read. False: it could not be read.
func (s *Store) draw(ctx context.Context, w *work, row *sessionRow) bool {
	w.doc, w.accepted, w.marks = nil, nil, nil
	var err error
	if row == nil {
		if row, err = s.current(ctx, w.session); err != nil {
			for _, a := range w.appends {
				a.Err = err
			}
			return false
		}
	}
	w.row = row
	d := draft{s: s, ctx: ctx, row: row, epoch: row.Epoch, exists: row.exists(), head: row.Head, members: row.Members, tried: w.tried}
	if !row.Dead {
		d.avatar = row.Avatar
	}
	d.doc = &commitDoc{ID: commitID(w.session, row.N+1), Session: w.session, N: row.N + 1, Token: s.token()}
	for _, a := range w.appends {
		if a.Err = d.append(a); a.Err == nil {
			w.accepted = append(w.accepted, a)
		}
	}
	if len(w.accepted) == 0 {
		return true
	}
	if w.doc, err = d.commit(); err != nil {
		w.doc = nil
		w.refuse(err)
		return true
	}
	if c := w.doc; row.exists() && c.Epoch == row.Epoch && len(c.Entries) == 0 && c.Rest == nil && !w.alone {
		w.doc, w.marks = nil, c.Marks // those only rise, and need no number
	}
	if w.alone && w.accepted[0].Contacts != nil {
		if err := s.makePending(w); err != nil {
			w.doc = nil
			w.refuse(err)
		}
	}
	return true
}

// draft is a commit that is being made.
type draft struct {
	s       *Store
	ctx     context.Context
	row     *sessionRow
	doc     *commitDoc
	epoch   int64
	exists  bool
	head    int64
	members int64
	tried   int
	avatar  string // that the session names

	rest     restDoc
	in       map[protocol.UserID]bool // who of those that were asked about is a member
	rows     map[protocol.UserID]*memberRow
	order    []protocol.UserID // of rows
	links    map[string]*linkRow
	linked   []string // the order of links
	marks    map[protocol.UserID]*markRow
	olds     []*commitDoc // that have rewritten entries, as they are after this
	oldAt    map[int64]*rewriteDoc
	own      map[string]actors.Sent // client message ids of this commit
	unsigned map[int64]bool
}

// append checks all of a, then adds all of it.
func (d *draft) append(a *actors.Append) error {
	switch {
	case d.exists && a.Create:
		return protocol.Conflict("session %s exists", a.Session)
	case !d.exists && !a.Create:
		return protocol.NotFound("session %s", a.Session)
	case a.Create && a.Info == nil:
		return protocol.BadRequest("session %s is created without info", a.Session)
	case !a.Create && a.Claim && (a.Epoch <= d.epoch || a.Head != d.head || d.tried > 0):
		// Who claims has read the session. If somebody wrote since, it has to read it again.
		return fmt.Errorf("mongostore: a claim of epoch %d behind %d, where the log has %d and ends at %d (tried %d): %w", a.Epoch, a.Head, d.epoch, d.head, d.tried, actors.ErrStale)
	case !a.Create && !a.Claim && a.Epoch != d.epoch:
		return fmt.Errorf("mongostore: an append of epoch %d, where the log has %d: %w", a.Epoch, d.epoch, actors.ErrStale)
	}
	entries, err := d.entries(a)
	if err != nil {
		return err
	}
	rewrites, err := d.rewrites(a, entries)
	if err != nil {
		return err
	}
	var info []byte
	if a.Info != nil {
		if info, err = infoRow(a.Info); err != nil {
			return err
		}
	}
	if err := d.know(a); err != nil {
		return err
	}
	// From here on nothing refuses.
	if a.Create {
		a.LogEpoch = d.s.logEpoch
	}
	d.exists, d.epoch = true, a.Epoch
	d.doc.Entries = append(d.doc.Entries, entries...)
	d.head += int64(len(entries))
	for _, e := range entries {
		if e.Sent != nil {
			if d.own == nil {
				d.own = map[string]actors.Sent{}
			}
			d.own[string(e.Sent)] = e.sent()
		}
	}
	rewrites()
	if info != nil {
		d.rest.Info = info
		is := a.Info.Avatar
		if a.Info.Dead {
			is = ""
		}
		if d.avatar != "" && d.avatar != is {
			d.rest.Left = append(d.rest.Left, d.avatar)
		}
		d.avatar = is
	}
	d.addMembers(a)
	d.addLinks(a)
	for _, m := range a.Marks {
		d.mark(m)
	}
	return nil
}

// entries makes a's new entries, and refuses those that are not the next ones or were
// sent before.
func (d *draft) entries(a *actors.Append) ([]entryDoc, error) {
	entries := make([]entryDoc, len(a.Entries))
	for i, e := range a.Entries {
		if e.Seq != d.head+1+int64(i) {
			return nil, fmt.Errorf("mongostore: an entry for %d, where the log ends at %d: %w", e.Seq, d.head, actors.ErrTaken)
		}
		sent := actors.Sent{Seq: e.Seq, CreatedAt: e.CreatedAt}
		if i < len(a.Hashes) {
			sent.Hash = a.Hashes[i]
		}
		var err error
		if entries[i], err = newEntry(a.Session, e, sent); err != nil {
			return nil, err
		}
		if o := a.Original; o != nil && o.Seq == e.Seq && o.Content != nil {
			if entries[i].Original, err = proto.Marshal(&protocol.Entry{Content: o.Content, Mentions: o.Mentions}); err != nil {
				return nil, err
			}
		}
	}
	if a.Vouched {
		return entries, nil
	}
	var words []string
	own := map[string]actors.Sent{}
	for i := range entries {
		key := string(entries[i].Sent)
		if key == "" {
			continue
		}
		if sent, ok := d.own[key]; ok {
			return nil, &actors.DuplicateError{Sent: sent}
		}
		if sent, ok := own[key]; ok {
			return nil, &actors.DuplicateError{Sent: sent}
		}
		own[key] = entries[i].sent()
		words = append(words, sentWord(a.Session, entries[i].Sent))
	}
	if len(words) == 0 || d.row.Head == 0 {
		return entries, nil
	}
	there, err := find[commitDoc](d.ctx, d.s, inCommits, bson.D{in("k", words)})
	if err != nil {
		return nil, err
	}
	for i := range entries { // the first of them that is there
		for _, c := range there {
			for j := range c.Entries {
				if entries[i].Sent != nil && string(c.Entries[j].Sent) == string(entries[i].Sent) {
					return nil, &actors.DuplicateError{Sent: c.Entries[j].sent()}
				}
			}
		}
	}
	return entries, nil
}

// holding gives the commit that has an entry, nil: there is none.
func (s *Store) holding(ctx context.Context, session protocol.SessionID, seq int64) (*commitDoc, error) {
	if seq < 1 {
		return nil, nil
	}
	docs, err := find[commitDoc](ctx, s, inCommits, bson.D{eq("s", session), op("b", "$gte", seq)},
		options.Find().SetSort(bson.D{eq("b", int32(1))}).SetLimit(1))
	if err != nil || len(docs) == 0 || docs[0].First > seq {
		return nil, err
	}
	return docs[0], nil
}

// rewrites looks up what a rewrites, and refuses what is not there. The function that it
// gives does it. entries are a's own, which come before.
func (d *draft) rewrites(a *actors.Append, entries []entryDoc) (func(), error) {
	type change struct {
		e   entryDoc
		old *commitDoc // nil: it is new in this commit
		at  int
	}
	var changes []change
	for _, e := range a.Rewrites {
		c := change{at: -1}
		var was *entryDoc
		switch {
		case e.Seq > d.row.Head && e.Seq <= d.head:
			c.at = int(e.Seq - d.row.Head - 1)
			was = &d.doc.Entries[c.at]
		case e.Seq >= 1 && e.Seq <= d.row.Head:
			var err error
			if c.old = d.old(e.Seq); c.old == nil {
				if c.old, err = d.s.holding(d.ctx, a.Session, e.Seq); err != nil {
					return nil, err
				}
			}
			if c.old != nil {
				c.at = int(e.Seq - c.old.First)
				was = &c.old.Entries[c.at]
			}
		}
		if was == nil {
			return nil, protocol.NotFound("entry %d of session %s", e.Seq, a.Session)
		}
		var err error
		if c.e, err = newEntry(a.Session, e, was.sent()); err != nil {
			return nil, err
		}
		c.e.Shows, c.e.At, c.e.Until = was.Shows, was.At, was.Until
		if was.Counts && !c.e.Counts {
			c.e.Until = d.doc.N
		}
		c.e.Original = was.Original
		if o := a.Original; o != nil && o.Seq == e.Seq {
			c.e.Original = nil
			if o.Content != nil {
				if c.e.Original, err = proto.Marshal(&protocol.Entry{Content: o.Content, Mentions: o.Mentions}); err != nil {
					return nil, err
				}
			}
		}
		changes = append(changes, c)
	}
	return func() {
		for i := range changes {
			c := &changes[i]
			if c.old == nil {
				d.doc.Entries[c.at] = c.e
				continue
			}
			old := d.old(c.e.Seq) // a commit may have been found twice
			if old == nil {
				old = c.old
				d.olds = append(d.olds, old)
			}
			d.changed(old, c.at, c.e)
		}
	}, nil
}

// old gives the commit of an entry that was found already.
func (d *draft) old(seq int64) *commitDoc {
	for _, c := range d.olds {
		if c.First <= seq && seq <= c.Last {
			return c
		}
	}
	return nil
}

// changed notes that an entry of an older commit is e from now on.
func (d *draft) changed(old *commitDoc, at int, e entryDoc) {
	r := d.oldAt[old.N]
	if r == nil {
		r = &rewriteDoc{N: old.N, Was: old.Version}
		if d.oldAt == nil {
			d.oldAt = map[int64]*rewriteDoc{}
		}
		d.oldAt[old.N] = r
	}
	was, is := &old.Entries[at], &e
	if old, err := was.entry(""); err == nil {
		if now, err := is.entry(""); err == nil && old.Kind == protocol.Kind_MESSAGE && !proto.Equal(old.Content, now.Content) {
			if d.unsigned == nil {
				d.unsigned = map[int64]bool{}
			}
			d.unsigned[(e.Seq-1)/search.BlockSize] = true
		}
	}
	before, _ := was.fileNames() // they were read when they were written
	after, _ := is.fileNames()
	if !slices.Equal(before, after) {
		d.rest.Refer = append(d.rest.Refer, referDoc{Seq: e.Seq, Was: before, Is: after})
	}
	old.Entries[at] = e
	if i := slices.Index(r.At, int32(at)); i >= 0 {
		r.Entries[i] = e
	} else {
		r.At, r.Entries = append(r.At, int32(at)), append(r.Entries, e)
	}
}

// commit is what was added, as a document.
func (d *draft) commit() (*commitDoc, error) {
	c := d.doc
	c.Epoch, c.Members = d.epoch, d.members
	if n := len(c.Entries); n > 0 {
		c.First, c.Last = c.Entries[0].Seq, c.Entries[n-1].Seq
	}
	if err := c.sum(); err != nil {
		return nil, err
	}
	for i := range c.Entries {
		names, err := c.Entries[i].fileNames()
		if err != nil {
			return nil, err
		}
		if len(names) > 0 {
			d.rest.Refer = append(d.rest.Refer, referDoc{Seq: c.Entries[i].Seq, Is: names})
		}
	}
	for _, old := range d.olds {
		r := d.oldAt[old.N]
		var err error
		if r.Files, r.Due, r.Dealt, err = found(c.Session, old.Entries); err != nil {
			return nil, err
		}
		d.rest.Rewrites = append(d.rest.Rewrites, *r)
	}
	for block := range d.unsigned {
		d.rest.Unsigned = append(d.rest.Unsigned, block)
	}
	for _, user := range d.order {
		d.rest.Members = append(d.rest.Members, *d.rows[user])
	}
	for _, id := range d.linked {
		d.rest.Links = append(d.rest.Links, *d.links[id])
	}
	for _, m := range d.marks {
		c.Marks = append(c.Marks, *m)
	}
	if r := &d.rest; r.Info != nil || len(r.Rewrites)+len(r.Refer)+len(r.Members)+len(r.Links)+len(r.Unsigned) > 0 {
		c.Rest = r
	}
	return c, nil
}

func (w *work) fillsBlock() bool {
	if w.doc.Rest != nil && len(w.doc.Rest.Unsigned) > 0 {
		return true
	}
	return w.doc.Last > 0 && w.doc.Last/search.BlockSize > (w.doc.First-1)/search.BlockSize
}
