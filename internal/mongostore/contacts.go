package mongostore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/internal/rows"
)

var _ actors.Journal = (*Store)(nil)

// CommitContacts fills actors.Contacts.
func (s *Store) CommitContacts(ctx context.Context, change *actors.ContactChange) error {
	return s.ledger.Update(ctx, func(t rows.Tx) error {
		versions, err := changeContacts(t, change)
		if err == nil {
			change.Versions = versions
		}
		return err
	})
}

// Pair fills actors.Contacts.
func (s *Store) Pair(ctx context.Context, user, other protocol.UserID) (p *actors.Pair, err error) {
	// A change in which nothing is written reads all of it as of one moment.
	err = s.ledger.Update(ctx, func(t rows.Tx) (err error) {
		p = &actors.Pair{}
		get := getter(t.Get)
		if p.Mine, err = get.contact(user, other); err != nil {
			return err
		}
		if p.Theirs, err = get.contact(other, user); err != nil {
			return err
		}
		p.Waiting, err = get.asked(&protocol.Request{Kind: protocol.RequestKind_FRIEND_REQUEST, From: user, Target: other})
		return err
	})
	return p, err
}

// Asked fills actors.Contacts.
func (s *Store) Asked(ctx context.Context, like *protocol.Request) (r *protocol.Request, err error) {
	err = s.ledger.Update(ctx, func(t rows.Tx) (err error) {
		r, err = getter(t.Get).asked(like)
		return err
	})
	return r, err
}

// ContactsOf fills actors.Contacts.
func (s *Store) ContactsOf(ctx context.Context, user, after protocol.UserID, limit int) (list []*actors.ContactRow, version int64, err error) {
	// The version first: what changes meanwhile has a higher one, and is asked for again.
	if version, err = s.rowsAt(ctx).number(wordKey(tableContacts, user)); err != nil || limit <= 0 {
		return nil, version, err
	}
	prefix := wordKey(tableContact, user, "")
	from := prefix
	if after != "" {
		from = append(wordKey(tableContact, user, after), 0)
	}
	err = s.ledger.Scan(ctx, from, behind(prefix), func(key, value []byte) error {
		c := &actors.ContactRow{}
		if err := json.Unmarshal(value, c); err != nil {
			return fmt.Errorf("mongostore: contact of %s: %w", user, err)
		}
		if list = append(list, c); len(list) == limit {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return list, version, err
}

// Blocked fills actors.Contacts.
func (s *Store) Blocked(ctx context.Context, user protocol.UserID, ids []protocol.UserID) (blocked []protocol.UserID, err error) {
	get := s.rowsAt(ctx)
	for _, id := range ids {
		c, err := get.contact(user, id)
		if err != nil {
			return nil, err
		}
		if c.Blocked {
			blocked = append(blocked, id)
		}
	}
	return blocked, nil
}

// Request fills actors.Contacts.
func (s *Store) Request(ctx context.Context, id string) (*protocol.Request, error) {
	r, err := s.rowsAt(ctx).request(id)
	if err == nil && r == nil {
		err = protocol.NotFound("request %s", id)
	}
	return r, err
}

// RequestsOf fills actors.Contacts.
func (s *Store) RequestsOf(ctx context.Context, user protocol.UserID, page actors.RequestPage) ([]*protocol.Request, error) {
	return s.requests(ctx, tableRequestOf, tableWaitingOf, user, page)
}

// RequestsInto fills actors.Contacts.
func (s *Store) RequestsInto(ctx context.Context, session protocol.SessionID, page actors.RequestPage) ([]*protocol.Request, error) {
	return s.requests(ctx, tableRequestInto, tableWaitingInto, session, page)
}

func (s *Store) requests(ctx context.Context, all, waiting byte, owner string, page actors.RequestPage) (list []*protocol.Request, err error) {
	table := all
	if page.Waiting {
		table = waiting
	}
	if page.Limit <= 0 {
		return nil, nil
	}
	prefix := wordKey(table, owner, "")
	from := prefix
	if page.After != (actors.RequestPlace{}) {
		from = append(placeKey(table, owner, page.After), 0)
	}
	var ids []string
	err = s.ledger.Scan(ctx, from, behind(prefix), func(key, _ []byte) error {
		if len(key) < len(prefix)+8 {
			return fmt.Errorf("mongostore: row %x is no request's place", key)
		}
		if ids = append(ids, string(key[len(prefix)+8:])); len(ids) == page.Limit {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	get := s.rowsAt(ctx)
	for _, id := range ids {
		r, err := get.request(id)
		if err != nil {
			return nil, err
		}
		if r != nil && (!page.Waiting || r.CallBackType == waits) { // it was answered while this was read
			list = append(list, r)
		}
	}
	return list, nil
}

// WaitingInto fills actors.Contacts. It reads the whole table of those that wait, which
// is that of all installations' open requests into groups, in one query.
func (s *Store) WaitingInto(ctx context.Context, sessions []protocol.SessionID, limit int) (list []*protocol.Request, err error) {
	if len(sessions) == 0 || limit <= 0 {
		return nil, nil
	}
	wanted := make(map[protocol.SessionID]bool, len(sessions))
	first, last := sessions[0], sessions[0]
	for _, id := range sessions {
		wanted[id] = true
		first, last = min(first, id), max(last, id)
	}
	var owners []protocol.SessionID
	err = s.ledger.Scan(ctx, wordKey(tableWaitingInto, first, ""), behind(wordKey(tableWaitingInto, last, "")), func(key, _ []byte) error {
		if owner := string(key[1:min(len(key), 1+len(first))]); wanted[owner] {
			wanted[owner] = false
			owners = append(owners, owner)
		}
		return nil
	})
	for _, owner := range owners {
		if err != nil || len(list) >= limit {
			break
		}
		var some []*protocol.Request
		some, err = s.RequestsInto(ctx, owner, actors.RequestPage{Limit: limit - len(list), Waiting: true})
		list = append(list, some...)
	}
	return list, err
}

// pendingDoc is a commit that depends on a change of contacts. Until it is decided
// whether that can be made, the commit's document has its number and nothing that
// anybody reads.
type pendingDoc struct {
	Commit   commitDoc           `bson:"commit"`
	Contacts []actors.ContactRow `bson:"contacts"`
	Requests []pendingRequest    `bson:"requests"`
}

type pendingRequest struct {
	Request []byte `bson:"request"` // protobuf
	Was     int64  `bson:"was"`
	Instead string `bson:"instead"`
}

// verdict is what was decided of one, once: a row of the ledger, written with the change.
type verdict struct {
	Made     bool                      `json:"made"`
	Versions map[protocol.UserID]int64 `json:"versions,omitempty"`
}

// makePending puts the commit of w into a pending one.
func (s *Store) makePending(w *work) error {
	change := w.accepted[0].Contacts
	p := pendingDoc{Commit: *w.doc}
	for _, c := range change.Contacts {
		p.Contacts = append(p.Contacts, *c)
	}
	for _, r := range change.Requests {
		b, err := proto.Marshal(r.Request)
		if err != nil {
			return err
		}
		p.Requests = append(p.Requests, pendingRequest{b, r.Was, r.Instead})
	}
	b, err := bson.Marshal(p)
	if err != nil {
		return fmt.Errorf("mongostore: commit %s: %w", w.doc.ID, err)
	}
	w.doc = &commitDoc{ID: w.doc.ID, Session: w.doc.Session, N: w.doc.N, Token: w.doc.Token, Pending: b}
	return nil
}

// decide makes the change that a pending commit depends on, if it can be made, and gives
// the commit as it is then: void, if not. Whoever comes first decides; the others are
// told the same.
func (s *Store) decide(ctx context.Context, c *commitDoc) (*commitDoc, error) {
	c, _, err := s.judge(ctx, c)
	return c, err
}

func (s *Store) judge(ctx context.Context, c *commitDoc) (*commitDoc, verdict, error) {
	var v verdict
	p := &pendingDoc{}
	if err := bson.Unmarshal(c.Pending, p); err != nil {
		return nil, v, fmt.Errorf("mongostore: commit %s: %w", c.ID, err)
	}
	change := &actors.ContactChange{}
	for i := range p.Contacts {
		change.Contacts = append(change.Contacts, &p.Contacts[i])
	}
	for _, r := range p.Requests {
		m := &protocol.Request{}
		if err := proto.Unmarshal(r.Request, m); err != nil {
			return nil, v, fmt.Errorf("mongostore: commit %s: %w", c.ID, err)
		}
		change.Requests = append(change.Requests, actors.RequestChange{Request: m, Was: r.Was, Instead: r.Instead})
	}
	key := wordKey(tableDecided, c.ID, c.Token)
	err := s.ledger.Update(ctx, func(t rows.Tx) error {
		v = verdict{}
		text, found, err := t.Get(key)
		if err != nil {
			return err
		}
		if found {
			return json.Unmarshal(text, &v)
		}
		v.Versions, err = changeContacts(t, change)
		v.Made = err == nil
		if err != nil && !errors.Is(err, actors.ErrChanged) {
			return err
		}
		if text, err = json.Marshal(v); err == nil {
			t.Put(key, text)
		}
		return err
	})
	if err != nil {
		return nil, v, err
	}
	decided := &commitDoc{ID: c.ID, Session: c.Session, N: c.N, Token: c.Token, Void: true}
	if v.Made {
		decided = &p.Commit
	}
	err = s.again(ctx, "decide", func(ctx context.Context) error {
		_, err := s.db.Collection(inCommits).ReplaceOne(ctx, bson.D{eq("_id", c.ID), op("pending", "$exists", true)}, decided)
		return err
	})
	return decided, v, err
}

// settlePending is settle for a pending commit.
func (s *Store) settlePending(ctx context.Context, w *work) {
	a := w.accepted[0]
	c, v, err := s.judge(ctx, w.doc)
	if err != nil {
		a.Err = fmt.Errorf("mongostore: commit of %s: %w (%w)", w.session, actors.ErrUnknown, err)
		s.states.forget(w.session)
		s.late(w.session)
		return
	}
	if a.Err = actors.ErrChanged; v.Made {
		a.Err, a.Contacts.Versions = nil, v.Versions
	}
	w.doc = c
	row, err := s.apply(ctx, w.row, c)
	if err != nil {
		s.log.Error("what was committed is brought to its places later", "session", w.session, "err", err)
		s.states.forget(w.session)
		s.late(w.session)
		return
	}
	s.states.put(row)
}
