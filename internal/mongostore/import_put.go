package mongostore

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/migrate"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/plugins/desk"
	"github.com/troupe-im/troupe/userctr"
)

// Put fills migrate.Target.
func (i *Import) Put(ctx context.Context, _ migrate.Kind, items []migrate.Item) error {
	docs := map[string][]any{}
	var order []string
	for _, item := range items {
		all, err := i.docs(item)
		if err != nil {
			return err
		}
		for _, d := range all {
			if docs[d.in] == nil {
				order = append(order, d.in)
			}
			docs[d.in] = append(docs[d.in], d.doc)
		}
	}
	for _, in := range order {
		if err := i.insertAll(ctx, in, docs[in]); err != nil {
			return err
		}
	}
	return nil
}

// into is a document and its collection.
type into struct {
	in  string
	doc any
}

func one(in string, doc any) ([]into, error) { return []into{{in, doc}}, nil }

// ending is one, and that what has this id has ended, unless the time is zero.
func ending(in string, doc any, ends, id string, at time.Time) ([]into, error) {
	if at.IsZero() {
		return one(in, doc)
	}
	return []into{{in, doc}, {ends, endDoc{ID: id, Mark: madeMark(ends, id), At: nanos(at)}}}, nil
}

// docs are an item's documents.
func (i *Import) docs(item migrate.Item) ([]into, error) {
	switch v := item.(type) {
	case *migrate.User:
		id := userID(v.ID, v.Version)
		return one(inUsers, &userDoc{ID: id, Mark: madeMark(inUsers, id), User: v.ID, Version: v.Version, Live: true, Guest: v.Guest,
			Under: madeMark(inTerms, v.ID), Row: rowOfUser(&v.User)})
	case *migrate.Name:
		mark := madeMark(inNames, v.User)
		return one(inNames, nameDoc{Claim: claim{ID: mark, Mark: mark, User: v.User, Version: v.Version, At: nanos(v.Created)}, Name: v.Name})
	case *migrate.Term:
		under := madeMark(inTerms, v.User)
		return one(inTerms, termDoc{ID: joined(under, v.Term), Under: under, Term: v.Term, User: v.User})
	case *userctr.Invite:
		return one(inInvites, inviteDoc{ID: v.ID, Mark: madeMark(inInvites, v.ID), Hash: v.Hash[:], Admin: v.Admin, Uses: v.Uses, Used: v.Used, By: v.By,
			Created: nanos(v.Created), Expires: nanos(v.Expires)})
	case *userctr.Login:
		return ending(inLogins, loginDoc{ID: v.ID, Mark: madeMark(inLogins, v.ID), User: v.User, Device: v.Device, Platform: v.Platform, Version: v.Version,
			Created: nanos(v.Created), Expires: nanos(v.Expires)}, inLoginEnds, v.ID, v.Revoked)
	case *migrate.Token:
		d := docOfRefresh(&v.Refresh, madeMark(inRefresh, v.Login, hexOf(v.Hash)))
		d.Rooted = v.Rooted
		return one(inRefresh, d)
	case *userctr.DeviceRow:
		id := deviceID(v.User, v.Device)
		return one(inDevices, deviceDoc{ID: id, Mark: madeMark(inDevices, id), User: v.User, Device: v.Device, Name: v.Name, Platform: v.Platform,
			Version: v.Version, Created: nanos(v.Created), LastSeen: nanos(v.LastSeen)})
	case *userctr.Push:
		mark := madeMark(inPushes, v.User, v.Device)
		return one(inPushes, pushDoc{ID: mark, Mark: mark, Device: deviceID(v.User, v.Device), Whose: hexOf(sha256.Sum256([]byte(v.Kind + "\x00" + v.Token))),
			User: v.User, Name: v.Device, Kind: v.Kind, Token: v.Token, App: v.App, Created: nanos(v.Created)})
	case *migrate.Subject:
		mark := madeMark(inSubjects, subjectKey(v.Subject))
		return one(inSubjects, subjectDoc{ID: mark, Mark: mark, Key: subjectKey(v.Subject), Realm: v.Realm, Sub: v.Sub, User: v.User})
	case *userctr.Key:
		return ending(inKeys, keyDoc{ID: v.ID, Mark: madeMark(inKeys, v.ID), Hash: v.Hash[:], User: v.User, Name: v.Name, Scopes: v.Scopes, By: v.By,
			Created: nanos(v.Created), Expires: nanos(v.Expires), LastUsed: nanos(v.LastUsed)}, inKeyEnds, v.ID, v.Revoked)
	case *userctr.App:
		id := joined(v.ID, decimal(v.Version))
		return one(inApps, &appDoc{ID: id, Mark: madeMark(inApps, id), App: v.ID, Version: v.Version, State: appLive, Row: rowOfApp(v)})
	case *migrate.Spending:
		what := joined(v.Realm, hexOf(v.Hash))
		mark := madeMark(inSpent, what)
		return one(inSpent, spentDoc{ID: mark, Mark: mark, What: what, Until: nanos(v.Until)})
	case *userctr.Merge:
		return one(inMerges, mergeDoc{Guest: v.Guest, Mark: madeMark(inMerges, v.Guest), User: v.User, Begun: nanos(v.Begun), Done: nanos(v.Done)})
	case *migrate.AuditRow:
		return one(inAudit, auditDoc{Seq: v.Seq, Mark: madeMark(inAudit, decimal(v.Seq)), Text: v.Text})
	case *migrate.AuditCut:
		return one(inAuditPrunes, pruneDoc{UpTo: v.UpTo, Mark: madeMark(inAuditPrunes, decimal(v.UpTo)), Anchor: v.Anchor})
	case *userctr.Erasure:
		return one(inErasures, erasureDoc{User: v.User, By: v.By, Messages: v.Messages, Began: v.Began})
	case *actors.Standing:
		return one(inStandings, standingRow{v.User, v.Status, v.LastActive})
	case *migrate.Notice:
		return one(inNotices, noticeRow{ID: v.ID, By: v.By, Content: v.Said, Users: v.Users, Created: v.CreatedAt, After: v.After, Told: v.Told, Failed: v.Failed,
			Done: v.DoneAt})
	case *actors.ContactRow:
		text, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		return one(inRows, i.version(wordKey(tableContact, v.User, v.Other), text))
	case *migrate.Request:
		return one(inRows, i.version(wordKey(tableRequest, v.ID), v.Data))
	case *migrate.Row:
		return one(inRows, i.version(v.Key, v.Value))
	case *desk.Cursor:
		return one(inCursors, &cursorRow{ID: botIn(v.Bot, v.Session), Bot: v.Bot, Session: v.Session, Seq: v.Seq, Ahead: v.Ahead})
	case *migrate.State:
		return one(inStates, &stateRow{ID: botIn(v.Bot, v.Session), Bot: v.Bot, Session: v.Session, Consent: v.Consent, By: v.By, Human: v.Human, MutedTill: v.MutedTill})
	case *migrate.Block:
		c, err := commitOf(v)
		if err != nil {
			return nil, err
		}
		return one(inCommits, c)
	case *migrate.Member:
		return one(inMembers, rowOfMember(v.Session, 0, &v.MemberRow))
	case *migrate.Mark:
		return one(inMarks, rowOfMark(v))
	case *actors.LinkRow:
		return one(inLinks, &linkRow{ID: v.ID, Session: v.Session, Created: v.CreatedAt, Hash: v.Hash[:], By: v.By, Uses: v.Uses, Used: v.Used,
			Expires: v.ExpiresAt, Revoked: v.Revoked})
	case *migrate.Session:
		r, err := rowOfSession(v)
		if err != nil {
			return nil, err
		}
		return one(inSessions, r)
	}
	return nil, fmt.Errorf("mongostore: a %T cannot be moved here", item)
}

// version is a row of the ledger, as of the source's newest change: whatever changes here has a higher number,
// and a higher number than any row has in it that was made there.
func (i *Import) version(key, value []byte) version {
	if value == nil {
		value = []byte{}
	}
	return version{ID: versionID(word(key), i.made.Moved.Change), Value: value}
}

func rowOfMark(v *migrate.Mark) *markRow {
	r := &markRow{ID: v.Session + "/" + v.User, Session: v.Session, User: v.User, Read: v.Read}
	for device, seq := range v.Recv {
		if r.Recv == nil {
			r.Recv = make(map[string]int64, len(v.Recv))
		}
		r.Recv[keyed(device)] = seq
	}
	return r
}

// blocks is how many commits a log is moved as.
func blocks(head int64) int64 { return (head + migrate.BlockEntries - 1) / migrate.BlockEntries }

// rowOfSession is a session as its imported commits have left it.
func rowOfSession(v *migrate.Session) (*sessionRow, error) {
	info := &protocol.SessionInfo{}
	if err := proto.Unmarshal(v.Info, info); err != nil {
		return nil, fmt.Errorf("mongostore: info of %s: %w", v.ID, err)
	}
	return &sessionRow{ID: v.ID, N: blocks(v.Head), Epoch: v.Epoch, Head: v.Head, Message: v.Message, Last: v.Last, Members: v.Members,
		Info: v.Info, Pair: info.SessionType == protocol.SessionType_P2P, Dead: info.Dead, Until: info.Until, Avatar: info.Avatar}, nil
}

// commitOf is a block of a log as one commit. It has nothing that would go elsewhere: that is moved by itself.
func commitOf(b *migrate.Block) (*commitDoc, error) {
	n := blocks(b.First + int64(len(b.Entries)) - 1)
	c := &commitDoc{ID: commitID(b.Session, n), Session: b.Session, N: n, Token: "moved", First: b.First, Last: b.First + int64(len(b.Entries)) - 1}
	for at, e := range b.Entries {
		got := &protocol.Entry{}
		seq := b.First + int64(at)
		if err := proto.Unmarshal(e.Data, got); err != nil {
			return nil, fmt.Errorf("mongostore: entry %s %d: %w", b.Session, seq, err)
		}
		got.Seq = seq
		d, err := newEntry(b.Session, got, actors.Sent{Hash: e.Hash})
		if err != nil {
			return nil, err
		}
		d.Data, d.Original = e.Data, e.Original
		if d.Data == nil {
			d.Data = []byte{}
		}
		c.Entries = append(c.Entries, d)
	}
	return c, c.sum()
}
