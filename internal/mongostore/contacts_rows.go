package mongostore

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/internal/rows"
)

// Tables of contacts and requests, rows of the ledger: words of a key end with a zero
// byte, but for the last. A place is 8 bytes that fall with the time a request was
// made at, then its id. A request that waits is in the two waiting tables as well.
const (
	tableContact     = 0x60 // user, other → actors.ContactRow
	tableContacts    = 0x61 // user → version of all its contacts 8
	tableRequest     = 0x62 // request → protocol.Request
	tableAsked       = 0x63 // what askedKey makes → the id of the request that waits
	tableRequestOf   = 0x64 // user, place → nothing
	tableWaitingOf   = 0x65 // user, place → nothing
	tableRequestInto = 0x66 // session, place → nothing
	tableWaitingInto = 0x67 // session, place → nothing
	tableDecided     = 0x6e // a commit's _id, its token → verdict
)

// waits is the callBackType of a request that nobody has answered.
const waits = 1

func wordKey(table byte, words ...string) []byte {
	b := []byte{table}
	for i, w := range words {
		if i > 0 {
			b = append(b, 0)
		}
		b = append(b, w...)
	}
	return b
}

// behind is the first key behind all those that begin with prefix.
func behind(prefix []byte) []byte {
	b := bytes.Clone(prefix)
	b[len(b)-1]++ // no prefix here ends with 0xff
	return b
}

// askedKey is the same for requests of which one may wait: of kind FRIEND those of
// the same two people, of GROUP those of the same people into the same session.
func askedKey(r *protocol.Request) []byte {
	if r.Kind == protocol.RequestKind_FRIEND_REQUEST {
		return wordKey(tableAsked, "f", min(r.From, r.Target), max(r.From, r.Target))
	}
	return wordKey(tableAsked, "g", r.Target, r.From, r.User)
}

// placeKey is the key of a request in a list of owner's.
func placeKey(table byte, owner string, p actors.RequestPlace) []byte {
	b := binary.BigEndian.AppendUint64(wordKey(table, owner, ""), ^uint64(p.CreateTime))
	return append(b, p.ID...)
}

func placeOf(r *protocol.Request) actors.RequestPlace {
	return actors.RequestPlace{CreateTime: r.CreateTime, ID: r.Id}
}

// lists calls each with the lists that a request is in: whose, and its two tables.
func lists(r *protocol.Request, each func(all, waiting byte, owner string)) {
	each(tableRequestOf, tableWaitingOf, r.From)
	switch {
	case r.Kind == protocol.RequestKind_FRIEND_REQUEST:
		each(tableRequestOf, tableWaitingOf, r.Target)
	case r.User != "":
		each(tableRequestOf, tableWaitingOf, r.User)
	default:
		each(tableRequestInto, tableWaitingInto, r.Target)
	}
}

// getter reads one row.
type getter func(key []byte) (value []byte, found bool, err error)

// rowsAt reads rows as they are now.
func (s *Store) rowsAt(ctx context.Context) getter {
	return func(key []byte) ([]byte, bool, error) { return s.ledger.Get(ctx, key) }
}

// contact reads one row; there need not be one.
func (get getter) contact(user, other protocol.UserID) (actors.ContactRow, error) {
	c := actors.ContactRow{}
	text, found, err := get(wordKey(tableContact, user, other))
	if err == nil && found {
		if err = json.Unmarshal(text, &c); err != nil {
			err = fmt.Errorf("mongostore: contact of %s: %w", user, err)
		}
	}
	c.User, c.Other = user, other
	return c, err
}

// number reads a row that holds one; 0: there is none.
func (get getter) number(key []byte) (int64, error) {
	b, found, err := get(key)
	if err != nil || !found {
		return 0, err
	}
	if len(b) != 8 {
		return 0, fmt.Errorf("mongostore: row %x is no number", key)
	}
	return int64(binary.BigEndian.Uint64(b)), nil
}

// request reads a request, nil: there is none.
func (get getter) request(id string) (*protocol.Request, error) {
	b, found, err := get(wordKey(tableRequest, id))
	if err != nil || !found {
		return nil, err
	}
	r := &protocol.Request{}
	if err := proto.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("mongostore: request %s: %w", id, err)
	}
	return r, nil
}

func (get getter) asked(like *protocol.Request) (*protocol.Request, error) {
	id, found, err := get(askedKey(like))
	if err != nil || !found {
		return nil, err
	}
	return get.request(string(id))
}

// changeContacts makes a change, and gives the versions it made. ErrChanged: the rows are
// not as it found them, and nothing is written.
func changeContacts(t rows.Tx, change *actors.ContactChange) (map[protocol.UserID]int64, error) {
	get := getter(t.Get)
	versions := map[protocol.UserID]int64{}
	contacts := make([][]byte, len(change.Contacts))
	for i, c := range change.Contacts {
		was, err := get.contact(c.User, c.Other)
		if err != nil {
			return nil, err
		}
		if was.Version != c.Version {
			return nil, actors.ErrChanged
		}
		if _, again := versions[c.User]; !again {
			if versions[c.User], err = get.number(wordKey(tableContacts, c.User)); err != nil {
				return nil, err
			}
		}
		versions[c.User]++
		if c.Kept() {
			row := *c
			row.Version = versions[c.User]
			if contacts[i], err = json.Marshal(row); err != nil {
				return nil, err
			}
		}
	}
	requests := make([][]byte, len(change.Requests))
	for i, r := range change.Requests {
		was, err := get.request(r.Request.Id)
		if err != nil {
			return nil, err
		}
		if was.GetCallBackType() != r.Was {
			return nil, actors.ErrChanged
		}
		if r.Was == 0 {
			id, _, err := get(askedKey(r.Request))
			if err != nil {
				return nil, err
			}
			if string(id) != r.Instead {
				return nil, actors.ErrChanged
			}
		}
		if requests[i], err = proto.Marshal(r.Request); err != nil {
			return nil, err
		}
	}
	for i, c := range change.Contacts {
		if key := wordKey(tableContact, c.User, c.Other); contacts[i] == nil {
			t.Delete(key)
		} else {
			t.Put(key, contacts[i])
		}
	}
	for user, version := range versions {
		t.Put(wordKey(tableContacts, user), binary.BigEndian.AppendUint64(nil, uint64(version)))
	}
	for i, r := range change.Requests {
		if err := putRequest(t, r, requests[i]); err != nil {
			return nil, err
		}
	}
	return versions, nil
}

func putRequest(t rows.Tx, c actors.RequestChange, row []byte) error {
	r := c.Request
	t.Put(wordKey(tableRequest, r.Id), row)
	lists(r, func(all, waiting byte, owner string) {
		if c.Was == 0 {
			t.Put(placeKey(all, owner, placeOf(r)), nil)
		}
		if r.CallBackType == waits {
			t.Put(placeKey(waiting, owner, placeOf(r)), nil)
		} else {
			t.Delete(placeKey(waiting, owner, placeOf(r)))
		}
	})
	if r.CallBackType == waits {
		t.Put(askedKey(r), []byte(r.Id))
		return nil
	}
	id, _, err := t.Get(askedKey(r))
	if err == nil && string(id) == r.Id {
		t.Delete(askedKey(r))
	}
	return err
}
