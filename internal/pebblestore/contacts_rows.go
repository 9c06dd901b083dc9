package pebblestore

import (
	"bytes"
	"encoding/binary"
	"encoding/json"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

// Tables of contacts and requests. Words in a key are as rowKey makes them; a place
// is 8 bytes that fall with the time a request was made at, then its id. A request
// that waits is in the two waiting tables as well.
const (
	tableContact     = 0x60 // user, other → contactRow
	tableContacts    = 0x61 // user → version of all its contacts 8
	tableRequest     = 0x62 // request → requestRow
	tableAsked       = 0x63 // what askedKey makes → the id of the request that waits
	tableRequestOf   = 0x64 // user, place → nothing
	tableWaitingOf   = 0x65 // user, place → nothing
	tableRequestInto = 0x66 // session, place → nothing
	tableWaitingInto = 0x67 // session, place → nothing
)

type contactRow struct {
	Version int64    `json:"version"`
	Friend  bool     `json:"friend,omitempty"`
	Blocked bool     `json:"blocked,omitempty"`
	Remark  string   `json:"remark,omitempty"`
	Tags    []string `json:"tags,omitempty"`
	Since   int64    `json:"since,omitempty"` // Unix milliseconds, as all times here
}

func rowOfContact(c *actors.ContactRow) contactRow {
	return contactRow{Version: c.Version, Friend: c.Friend, Blocked: c.Blocked, Remark: c.Remark, Tags: c.Tags, Since: c.Since}
}

func (r contactRow) contact(user, other protocol.UserID) actors.ContactRow {
	return actors.ContactRow{User: user, Other: other, Version: r.Version, Friend: r.Friend, Blocked: r.Blocked, Remark: r.Remark, Tags: r.Tags, Since: r.Since}
}

type requestRow struct {
	Kind         int32  `json:"kind,omitempty"`
	From         string `json:"from"`
	Target       string `json:"target"`
	User         string `json:"user,omitempty"`
	Note         string `json:"note,omitempty"`
	CallBackType int64  `json:"callBackType"`
	State        bool   `json:"state,omitempty"`
	Created      int64  `json:"created"`
	Updated      int64  `json:"updated"`
	Expires      int64  `json:"expires,omitempty"`
	AnsweredBy   string `json:"answeredBy,omitempty"`
	Session      string `json:"session,omitempty"`
	Name         string `json:"name,omitempty"` // of the target, where it is a session
	Icon         string `json:"icon,omitempty"`
}

func rowOfRequest(r *protocol.Request) requestRow {
	return requestRow{
		Kind: int32(r.Kind), From: r.From, Target: r.Target, User: r.User, Note: r.Note, CallBackType: r.CallBackType, State: r.State,
		Created: r.CreateTime, Updated: r.UpdateTime, Expires: r.ExpireTime, AnsweredBy: r.AnsweredBy, Session: r.Session,
		Name: r.TargetName, Icon: r.TargetIcon,
	}
}

func (r requestRow) request(id string) *protocol.Request {
	return &protocol.Request{
		Id: id, Kind: protocol.RequestKind(r.Kind), From: r.From, Target: r.Target, User: r.User, Note: r.Note, CallBackType: r.CallBackType,
		State: r.State, CreateTime: r.Created, UpdateTime: r.Updated, ExpireTime: r.Expires, AnsweredBy: r.AnsweredBy, Session: r.Session,
		TargetName: r.Name, TargetIcon: r.Icon,
	}
}

// askedKey is the same for requests of which one may wait: of kind FRIEND those of
// the same two people, of GROUP those of the same people into the same session.
func askedKey(r *protocol.Request) []byte {
	if r.Kind == protocol.RequestKind_FRIEND_REQUEST {
		return rowKey(tableAsked, "f", min(r.From, r.Target), max(r.From, r.Target))
	}
	return rowKey(tableAsked, "g", r.Target, r.From, r.User)
}

// placeKey is the key of a request in a list of owner's.
func placeKey(table byte, owner string, p actors.RequestPlace) []byte {
	b := rowKey(table, owner, "")
	b = binary.BigEndian.AppendUint64(b, ^uint64(p.CreateTime))
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

// contactRows are a change's rows, made before the first is written.
type contactRows struct {
	change   *actors.ContactChange
	contacts [][]byte
	versions map[protocol.UserID]int64
	requests [][]byte
}

// checkContacts refuses a change whose rows are not as it found them.
func (t *tx) checkContacts(change *actors.ContactChange) (*contactRows, error) {
	if change == nil {
		return nil, nil
	}
	rows := &contactRows{change: change, versions: map[protocol.UserID]int64{}}
	for _, c := range change.Contacts {
		was, err := getContact(t, c.User, c.Other)
		if err != nil {
			return nil, err
		}
		if was.Version != c.Version {
			return nil, refusal{actors.ErrChanged}
		}
		version, again := rows.versions[c.User]
		if !again {
			if version, err = getNumber(t, rowKey(tableContacts, c.User)); err != nil {
				return nil, err
			}
		}
		rows.versions[c.User] = version + 1
		var text []byte
		if c.Kept() {
			row := rowOfContact(c)
			row.Version = version + 1
			if text, err = json.Marshal(row); err != nil {
				return nil, refusal{err}
			}
		}
		rows.contacts = append(rows.contacts, text)
	}
	for _, r := range change.Requests {
		if err := t.checkRequest(r); err != nil {
			return nil, err
		}
		text, err := json.Marshal(rowOfRequest(r.Request))
		if err != nil {
			return nil, refusal{err}
		}
		rows.requests = append(rows.requests, text)
	}
	return rows, nil
}

func (t *tx) checkRequest(r actors.RequestChange) error {
	was, err := getRow[requestRow](t, rowKey(tableRequest, r.Request.Id), "request", r.Request.Id)
	if err != nil && !protocol.Code_NOT_FOUND.Is(err) {
		return err
	}
	if was.CallBackType != r.Was {
		return refusal{actors.ErrChanged}
	}
	if r.Was != 0 {
		return nil
	}
	asked, _, err := t.get(askedKey(r.Request))
	if err != nil {
		return err
	}
	if string(asked) != r.Instead {
		return refusal{actors.ErrChanged}
	}
	return nil
}

// writeContacts writes what checkContacts has found good.
func (t *tx) writeContacts(rows *contactRows) {
	if rows == nil {
		return
	}
	for i, c := range rows.change.Contacts {
		if key := rowKey(tableContact, c.User, c.Other); rows.contacts[i] == nil {
			t.delete(key)
		} else {
			t.put(key, rows.contacts[i])
		}
	}
	for user, version := range rows.versions {
		t.put(rowKey(tableContacts, user), number(version))
	}
	for i, r := range rows.change.Requests {
		t.writeRequest(r, rows.requests[i])
	}
	rows.change.Versions = rows.versions
}

func (t *tx) writeRequest(c actors.RequestChange, row []byte) {
	r := c.Request
	t.put(rowKey(tableRequest, r.Id), row)
	lists(r, func(all, waiting byte, owner string) {
		if c.Was == 0 {
			t.write(placeKey(all, owner, placeOf(r)), nil)
		}
		if r.CallBackType == waits {
			t.put(placeKey(waiting, owner, placeOf(r)), nil)
		} else {
			t.delete(placeKey(waiting, owner, placeOf(r)))
		}
	})
	if r.CallBackType == waits {
		t.put(askedKey(r), []byte(r.Id))
	} else if asked, _, err := t.get(askedKey(r)); err == nil && string(asked) == r.Id {
		t.delete(askedKey(r))
	}
}

// waits is the callBackType of a request that nobody has answered.
const waits = 1

// getContact reads one row; there need not be one.
func getContact(from reader, user, other protocol.UserID) (actors.ContactRow, error) {
	row, err := getRow[contactRow](from, rowKey(tableContact, user, other), "contact", other)
	if protocol.Code_NOT_FOUND.Is(err) {
		err = nil
	}
	return row.contact(user, other), err
}

// getNumber reads a row that holds a number; 0: there is none.
func getNumber(from reader, key []byte) (int64, error) {
	b, found, err := from.get(key)
	if err != nil || !found {
		return 0, err
	}
	return parseNumber(b)
}

// placeOwner is whose list a key is of.
func placeOwner(key []byte) string {
	owner, _, _ := bytes.Cut(key[1:], []byte{0})
	return string(owner)
}
