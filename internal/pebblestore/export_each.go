package pebblestore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/migrate"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/internal/rows"
	"github.com/troupe-im/troupe/userctr"
)

// Each fills migrate.Source. An item's key is its row's.
func (x *Export) Each(ctx context.Context, kind migrate.Kind, after string, use func(key string, item migrate.Item) error) error {
	var last string // none is in use twice, and no error of use's is taken for a row's
	tell := func(key []byte, item migrate.Item) error {
		last = string(key)
		return use(last, item)
	}
	if tables, ok := rows.Tables[string(kind)]; ok {
		return x.raw(slices.Sorted(slices.Values(tables)), after, tell)
	}
	if kind == migrate.Lists {
		return x.raw([]byte{tableContacts, tableAsked, tableRequestOf, tableWaitingOf, tableRequestInto, tableWaitingInto}, after, tell)
	}
	switch kind {
	case migrate.Entries:
		return x.blocks(after, tell)
	case migrate.Marks:
		return x.marks(after, tell)
	case migrate.Terms:
		return x.terms(after, tell)
	}
	from, ok := tableOf[kind]
	if !ok {
		return errors.New("pebblestore: there is no kind " + string(kind))
	}
	return x.s.scan(behindOf(from.table, after), []byte{from.table + from.kinds}, func(key, value []byte) error {
		item, err := from.item(x, key, value)
		if err != nil {
			return x.s.bad(key, err)
		}
		if item == nil {
			return ctx.Err()
		}
		return tell(key, item)
	})
}

// behindOf is where a table is read from.
func behindOf(table byte, after string) []byte {
	if after == "" {
		return []byte{table}
	}
	return append([]byte(after), 0)
}

// exportTable says how the rows of a table become items; nil is a row that is none.
type exportTable struct {
	table byte
	kinds byte // 2: with the session bit
	item  func(x *Export, key, value []byte) (migrate.Item, error)
}

var tableOf = map[migrate.Kind]exportTable{
	migrate.Users:     {tableUser, 1, (*Export).user},
	migrate.Names:     {tableName, 1, (*Export).name},
	migrate.Invites:   {tableInvite, 1, (*Export).invite},
	migrate.Logins:    {tableLogin, 1, (*Export).login},
	migrate.Tokens:    {tableRefresh, 1, (*Export).token},
	migrate.Devices:   {tableDevice, 1, (*Export).device},
	migrate.Pushes:    {tablePush, 1, (*Export).push},
	migrate.Subjects:  {tableSubject, 1, (*Export).subject},
	migrate.Keys:      {tableKey, 1, (*Export).key},
	migrate.Apps:      {tableApp, 1, (*Export).app},
	migrate.Spent:     {tableSpent, 1, (*Export).spent},
	migrate.Merges:    {tableMerge, 1, (*Export).merge},
	migrate.Audit:     {tableAudit, 1, (*Export).auditRow},
	migrate.Pruned:    {tableAuditEnds, 1, (*Export).auditCut},
	migrate.Erasures:  {tableErasure, 1, (*Export).erasure},
	migrate.Standings: {tableStanding, 1, (*Export).standing},
	migrate.Notices:   {tableNotice, 1, (*Export).notice},
	migrate.Contacts:  {tableContact, 1, (*Export).contact},
	migrate.Requests:  {tableRequest, 1, (*Export).request},
	migrate.Cursors:   {tableBotCursor, 1, (*Export).cursor},
	migrate.States:    {tableBotState, 1, (*Export).state},
	migrate.Members:   {tableMember, 2, (*Export).member},
	migrate.Links:     {tableLink, 1, (*Export).link},
	migrate.Sessions:  {tableHead, 2, (*Export).session},
}

// raw gives rows as they are, table by table.
func (x *Export) raw(tables []byte, after string, tell func(key []byte, item migrate.Item) error) error {
	for _, table := range tables {
		if after != "" && table < after[0] {
			continue
		}
		from := []byte{table}
		if after != "" && table == after[0] {
			from = behindOf(table, after)
		}
		err := x.s.scan(from, []byte{table + 1}, func(key, value []byte) error {
			return tell(key, &migrate.Row{Key: bytes.Clone(key), Value: bytes.Clone(value)})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// keyWords are the words of a key that rowKey made; there are so many.
func keyWords(key []byte, n int) ([]string, error) {
	all := bytes.SplitN(key[1:], []byte{0}, n)
	if len(all) != n {
		return nil, errShort
	}
	out := make([]string, n)
	for i, w := range all {
		out[i] = string(w)
	}
	return out, nil
}

func (x *Export) user(key, value []byte) (migrate.Item, error) {
	var row userRow
	if err := parseRow(value, &row); err != nil {
		return nil, err
	}
	id := string(key[1:])
	_, guest, err := x.s.get(rowKey(tableGuest, id))
	return &migrate.User{User: *row.user(id), Guest: guest}, err
}

func (x *Export) name(key, value []byte) (migrate.Item, error) {
	row, err := getRow[userRow](x.s, rowKey(tableUser, string(value)), "user", string(value))
	return &migrate.Name{Name: string(key[1:]), User: string(value), Version: row.Version, Created: fromNanos(row.Created)}, err
}

// terms gives what users are found by, made anew: an old store's index of names may lack some.
func (x *Export) terms(after string, tell func(key []byte, item migrate.Item) error) error {
	user, term, _ := bytes.Cut([]byte(after), []byte{0})
	from := []byte{tableUser}
	if after != "" {
		from = user // once more, from a term of it on
	}
	return x.s.scan(from, []byte{tableUser + 1}, func(key, value []byte) error {
		var row userRow
		if err := parseRow(value, &row); err != nil {
			return x.s.bad(key, err)
		}
		id := string(key[1:])
		terms := slices.Compact(slices.Sorted(slices.Values(userctr.SearchTerms(row.user(id)))))
		for _, t := range terms {
			if after != "" && bytes.Equal(key, user) && t <= string(term) {
				continue
			}
			if err := tell(slices.Concat(key, []byte{0}, []byte(t)), &migrate.Term{Term: t, User: id}); err != nil {
				return err
			}
		}
		return nil
	})
}

func (x *Export) invite(key, value []byte) (migrate.Item, error) {
	var row inviteRow
	err := parseRow(value, &row)
	return row.invite(string(key[1:])), err
}

func (x *Export) login(key, value []byte) (migrate.Item, error) {
	var row loginRow
	err := parseRow(value, &row)
	return row.login(string(key[1:])), err
}

func (x *Export) token(key, value []byte) (migrate.Item, error) {
	of, err := keyWords(key, 2)
	if err != nil {
		return nil, err
	}
	var row refreshRow
	if err := parseRow(value, &row); err != nil {
		return nil, err
	}
	hash, err := hashOf(of[1])
	if err != nil {
		return nil, err
	}
	r, err := row.refresh(of[0], hash)
	if err != nil {
		return nil, err
	}
	before := false
	if row.Parent != "" {
		_, before, err = x.s.get(rowKey(tableRefresh, of[0], row.Parent))
	}
	return &migrate.Token{Refresh: *r, Rooted: !before}, err
}

func (x *Export) device(key, value []byte) (migrate.Item, error) {
	of, err := keyWords(key, 2)
	if err != nil {
		return nil, err
	}
	var row deviceRow
	err = parseRow(value, &row)
	return row.device(of[0], of[1]), err
}

func (x *Export) push(key, value []byte) (migrate.Item, error) {
	of, err := keyWords(key, 2)
	if err != nil {
		return nil, err
	}
	var row pushRow
	err = parseRow(value, &row)
	return &userctr.Push{User: of[0], Device: of[1], Kind: row.Kind, Token: row.Token, App: row.App, Created: fromNanos(row.Created)}, err
}

func (x *Export) subject(key, value []byte) (migrate.Item, error) {
	of, err := keyWords(key, 2)
	if err != nil {
		return nil, err
	}
	return &migrate.Subject{Subject: userctr.Subject{Realm: of[0], Sub: of[1]}, User: string(value)}, nil
}

func (x *Export) key(key, value []byte) (migrate.Item, error) {
	var row keyRow
	err := parseRow(value, &row)
	return row.key(string(key[1:])), err
}

func (x *Export) app(key, value []byte) (migrate.Item, error) {
	var row appRow
	err := parseRow(value, &row)
	return row.app(string(key[1:])), err
}

func (x *Export) spent(key, value []byte) (migrate.Item, error) {
	of, err := keyWords(key, 2)
	if err != nil || len(value) != 8 {
		return nil, either(err, errShort)
	}
	hash, err := hashOf(of[1])
	return &migrate.Spending{Realm: of[0], Hash: hash, Until: fromNanos(int64(binary.BigEndian.Uint64(value)))}, err
}

func (x *Export) merge(key, value []byte) (migrate.Item, error) {
	var row mergeRow
	err := parseRow(value, &row)
	return row.merge(string(key[1:])), err
}

func (x *Export) auditRow(key, value []byte) (migrate.Item, error) {
	if len(key) != 9 {
		return nil, errShort
	}
	return &migrate.AuditRow{Seq: seqOf(key), Text: string(value)}, nil
}

func (x *Export) auditCut(_, value []byte) (migrate.Item, error) {
	var ends userctr.AuditEnds
	if err := parseRow(value, &ends); err != nil || ends.Before == 0 {
		return nil, err
	}
	return &migrate.AuditCut{UpTo: ends.Before, Anchor: ends.Anchor}, nil
}

func (x *Export) erasure(_, value []byte) (migrate.Item, error) {
	e := &userctr.Erasure{}
	return e, parseRow(value, e)
}

func (x *Export) standing(key, value []byte) (migrate.Item, error) {
	at := &actors.Standing{User: string(key[1:])}
	return at, parseStanding(value, at)
}

func (x *Export) notice(key, value []byte) (migrate.Item, error) {
	var row noticeRow
	if err := parseRow(value, &row); err != nil {
		return nil, err
	}
	n, err := row.notice(string(key[1:]))
	if err != nil {
		return nil, err
	}
	n.Content = nil
	return &migrate.Notice{NoticeRow: *n, Said: row.Content}, nil
}

func (x *Export) contact(key, value []byte) (migrate.Item, error) {
	of, err := keyWords(key, 2)
	if err != nil {
		return nil, err
	}
	var row contactRow
	err = parseRow(value, &row)
	c := row.contact(of[0], of[1])
	return &c, err
}

func (x *Export) request(key, value []byte) (migrate.Item, error) {
	var row requestRow
	if err := parseRow(value, &row); err != nil {
		return nil, err
	}
	id := string(key[1:])
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(row.request(id))
	return &migrate.Request{ID: id, Data: data}, err
}

// botOf reads whose row of which session the key of a bot's is.
func botOf(key []byte) (bot protocol.UserID, session protocol.SessionID, err error) {
	bot, rest, ok := cutWord(key[1:])
	if !ok || len(rest) != 1+sessionBytes {
		return "", "", errShort
	}
	return bot, sessionOf(rest).String(), nil
}

func cutWord(b []byte) (word string, rest []byte, ok bool) {
	first, rest, ok := bytes.Cut(b, []byte{0})
	return string(first), rest, ok
}

func (x *Export) cursor(key, value []byte) (migrate.Item, error) {
	c, err := parseCursor(value)
	if err != nil {
		return nil, err
	}
	c.Bot, c.Session, err = botOf(key)
	return c, err
}

func (x *Export) state(key, value []byte) (migrate.Item, error) {
	s := &migrate.State{}
	if err := parseRow(value, &s.State); err != nil {
		return nil, err
	}
	var err error
	s.Bot, s.Session, err = botOf(key)
	return s, err
}

func (x *Export) link(key, value []byte) (migrate.Item, error) {
	var row linkRow
	if err := parseRow(value, &row); err != nil {
		return nil, err
	}
	return row.link(string(key[1:]))
}

func (x *Export) member(key, value []byte) (migrate.Item, error) {
	if len(key) < 1+sessionBytes {
		return nil, errShort
	}
	m, err := parseMember(string(key[1+sessionBytes:]), value)
	if err != nil {
		return nil, err
	}
	return &migrate.Member{Session: sessionOf(key).String(), MemberRow: *m}, nil
}
