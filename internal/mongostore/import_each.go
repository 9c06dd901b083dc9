package mongostore

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/migrate"
	"github.com/troupe-im/troupe/internal/rows"
	"github.com/troupe-im/troupe/userctr"
)

// Each fills migrate.Target.
func (i *Import) Each(ctx context.Context, kind migrate.Kind, use func(item migrate.Item) error) error {
	if tables, ok := rows.Tables[string(kind)]; ok {
		return i.eachRow(ctx, use, tables...)
	}
	switch kind {
	case migrate.Users:
		return items(ctx, i, inUsers, use, func(d *userDoc) (migrate.Item, error) {
			if !d.Live || d.Row == nil {
				return nil, fmt.Errorf("mongostore: %s is no user's row", d.ID)
			}
			return &migrate.User{User: *d.user(), Guest: d.Guest}, nil
		})
	case migrate.Names:
		return items(ctx, i, inNames, use, func(d *nameDoc) (migrate.Item, error) {
			return &migrate.Name{Name: d.Name, User: d.Claim.User, Version: d.Claim.Version, Created: fromNanos(d.Claim.At)}, nil
		})
	case migrate.Terms:
		return items(ctx, i, inTerms, use, func(d *termDoc) (migrate.Item, error) { return &migrate.Term{Term: d.Term, User: d.User}, nil })
	case migrate.Invites:
		return items(ctx, i, inInvites, use, func(d *inviteDoc) (migrate.Item, error) {
			v := &userctr.Invite{ID: d.ID, Admin: d.Admin, Uses: d.Uses, Used: d.Used, By: d.By, Created: fromNanos(d.Created), Expires: fromNanos(d.Expires)}
			copy(v.Hash[:], d.Hash)
			return v, nil
		})
	case migrate.Logins:
		return ended(ctx, i, inLogins, inLoginEnds, use, func(d *loginDoc, end map[string]*endDoc) migrate.Item { return d.login(end[d.ID]) })
	case migrate.Keys:
		return ended(ctx, i, inKeys, inKeyEnds, use, func(d *keyDoc, end map[string]*endDoc) migrate.Item { return d.key(end[d.ID]) })
	case migrate.Tokens:
		return items(ctx, i, inRefresh, use, func(d *refreshDoc) (migrate.Item, error) {
			r, err := d.refresh()
			if err != nil || d.ID != refreshID(d.Login, d.Hash) || d.Of != refreshID(d.Login, d.Parent) {
				return nil, either(err, fmt.Errorf("mongostore: %s is no token", d.ID))
			}
			return &migrate.Token{Refresh: *r, Rooted: d.Rooted}, nil
		})
	case migrate.Devices:
		return items(ctx, i, inDevices, use, func(d *deviceDoc) (migrate.Item, error) {
			return &userctr.DeviceRow{User: d.User, Device: d.Device, Name: d.Name, Platform: d.Platform, Version: d.Version,
				Created: fromNanos(d.Created), LastSeen: fromNanos(d.LastSeen)}, nil
		})
	case migrate.Pushes:
		return items(ctx, i, inPushes, use, func(d *pushDoc) (migrate.Item, error) {
			return &userctr.Push{User: d.User, Device: d.Name, Kind: d.Kind, Token: d.Token, App: d.App, Created: fromNanos(d.Created)}, nil
		})
	case migrate.Subjects:
		return items(ctx, i, inSubjects, use, func(d *subjectDoc) (migrate.Item, error) {
			return &migrate.Subject{Subject: userctr.Subject{Realm: d.Realm, Sub: d.Sub}, User: d.User}, nil
		})
	case migrate.Apps:
		return items(ctx, i, inApps, use, func(d *appDoc) (migrate.Item, error) {
			if d.State != appLive || d.Row == nil {
				return nil, fmt.Errorf("mongostore: %s is no application's row", d.ID)
			}
			return d.app(), nil
		})
	case migrate.Spent:
		return items(ctx, i, inSpent, use, spending)
	case migrate.Merges:
		return items(ctx, i, inMerges, use, func(d *mergeDoc) (migrate.Item, error) { return d.merge(), nil })
	case migrate.Audit:
		return items(ctx, i, inAudit, use, func(d *auditDoc) (migrate.Item, error) { return &migrate.AuditRow{Seq: d.Seq, Text: d.Text}, nil })
	case migrate.Pruned:
		return items(ctx, i, inAuditPrunes, use, func(d *pruneDoc) (migrate.Item, error) { return &migrate.AuditCut{UpTo: d.UpTo, Anchor: d.Anchor}, nil })
	case migrate.Erasures:
		return items(ctx, i, inErasures, use, func(d *erasureDoc) (migrate.Item, error) {
			return &userctr.Erasure{User: d.User, By: d.By, Messages: d.Messages, Began: d.Began}, nil
		})
	case migrate.Standings:
		return items(ctx, i, inStandings, use, func(d *standingRow) (migrate.Item, error) {
			return &actors.Standing{User: d.ID, Status: d.Status, LastActive: d.LastActive}, nil
		})
	case migrate.Notices:
		return items(ctx, i, inNotices, use, func(d *noticeRow) (migrate.Item, error) {
			n, err := d.notice()
			if err != nil {
				return nil, err
			}
			n.Content = nil
			return &migrate.Notice{NoticeRow: *n, Said: d.Content}, nil
		})
	case migrate.Cursors:
		return items(ctx, i, inCursors, use, func(d *cursorRow) (migrate.Item, error) { return d.cursor(), nil })
	case migrate.States:
		return items(ctx, i, inStates, use, func(d *stateRow) (migrate.Item, error) {
			return &migrate.State{Bot: d.Bot, Session: d.Session, State: d.state()}, nil
		})
	case migrate.Lists:
		return i.eachRow(ctx, use, tableContacts, tableAsked, tableRequestOf, tableWaitingOf, tableRequestInto, tableWaitingInto)
	case migrate.Contacts:
		return i.s.ledger.Scan(ctx, []byte{tableContact}, []byte{tableContact + 1}, func(key, value []byte) error {
			c := &actors.ContactRow{}
			if err := json.Unmarshal(value, c); err != nil || !bytes.Equal(key, wordKey(tableContact, c.User, c.Other)) {
				return errors.Join(err, fmt.Errorf("mongostore: row %x is no contact", key))
			}
			return use(c)
		})
	case migrate.Requests:
		return i.s.ledger.Scan(ctx, []byte{tableRequest}, []byte{tableRequest + 1}, func(key, value []byte) error {
			return use(&migrate.Request{ID: string(key[1:]), Data: bytes.Clone(value)})
		})
	case migrate.Entries:
		return items(ctx, i, inCommits, use, blockOf)
	case migrate.Members:
		return items(ctx, i, inMembers, use, func(d *memberRow) (migrate.Item, error) {
			if d.Gone {
				return nil, fmt.Errorf("mongostore: %s is no member", d.ID)
			}
			return &migrate.Member{Session: d.Session, MemberRow: *d.member()}, nil
		})
	case migrate.Marks:
		return items(ctx, i, inMarks, use, markOf)
	case migrate.Links:
		return items(ctx, i, inLinks, use, func(d *linkRow) (migrate.Item, error) { return d.link() })
	case migrate.Sessions:
		return items(ctx, i, inSessions, use, sessionOf)
	}
	return fmt.Errorf("mongostore: there is no kind %s", kind)
}

// items gives the documents of a collection as items.
func items[D any](ctx context.Context, i *Import, in string, use func(item migrate.Item) error, item func(d *D) (migrate.Item, error)) error {
	return each(ctx, i.s, in, bson.D{}, func(d *D) error {
		v, err := item(d)
		if err != nil {
			return err
		}
		return use(v)
	})
}

// ended is items of what has ended by another document. One that says so of nothing is an error.
func ended[D any](ctx context.Context, i *Import, in, ends string, use func(item migrate.Item) error, item func(d *D, end map[string]*endDoc) migrate.Item) error {
	all, err := find[endDoc](ctx, i.s, ends, bson.D{})
	if err != nil {
		return err
	}
	end := make(map[string]*endDoc, len(all))
	for _, e := range all {
		end[e.ID] = e
	}
	return items(ctx, i, in, use, func(d *D) (migrate.Item, error) { return item(d, end), nil })
}

// eachRow gives rows of the ledger.
func (i *Import) eachRow(ctx context.Context, use func(item migrate.Item) error, tables ...byte) error {
	for _, table := range slices.Sorted(slices.Values(tables)) {
		err := i.s.ledger.Scan(ctx, []byte{table}, []byte{table + 1}, func(key, value []byte) error {
			return use(&migrate.Row{Key: bytes.Clone(key), Value: bytes.Clone(value)})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func spending(d *spentDoc) (migrate.Item, error) {
	realm, hash, ok := strings.Cut(d.What, "/")
	words, err := separated(realm)
	if err != nil || !ok {
		return nil, errors.Join(err, fmt.Errorf("mongostore: %q was never spent", d.What))
	}
	h, err := hashOf(hash)
	return &migrate.Spending{Realm: words, Hash: h, Until: fromNanos(d.Until)}, err
}

func markOf(d *markRow) (migrate.Item, error) {
	m := &migrate.Mark{Session: d.Session, User: d.User, Read: d.Read}
	for field, seq := range d.Recv {
		device, err := hex.DecodeString(strings.TrimPrefix(field, "d"))
		if err != nil {
			return nil, fmt.Errorf("mongostore: marks of %s: %q is no device", d.ID, field)
		}
		if m.Recv == nil {
			m.Recv = make(map[string]int64, len(d.Recv))
		}
		m.Recv[string(device)] = seq
	}
	return m, nil
}

func sessionOf(d *sessionRow) (migrate.Item, error) {
	v := &migrate.Session{ID: d.ID, Epoch: d.Epoch, Head: d.Head, Message: d.Message, Members: d.Members, Info: d.Info, Last: d.Last}
	again, err := rowOfSession(v)
	if err == nil && !reflect.DeepEqual(again, d) {
		err = fmt.Errorf("mongostore: session %s does not say of itself what its info says", d.ID)
	}
	return v, err
}

// blockOf looks as well whether a commit can be looked for by all that its entries say.
func blockOf(d *commitDoc) (migrate.Item, error) {
	b := &migrate.Block{Session: d.Session, First: d.First}
	for _, e := range d.Entries {
		b.Entries = append(b.Entries, migrate.Entry{Data: e.Data, Original: e.Original})
		copy(b.Entries[len(b.Entries)-1].Hash[:], e.Hash)
	}
	again, err := commitOf(b)
	if err == nil && !reflect.DeepEqual(again, d) {
		err = fmt.Errorf("mongostore: commit %s does not say of itself what its entries say", d.ID)
	}
	return b, err
}
