package mongostore

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/troupe-im/troupe/filectr"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/internal/rows"
)

// tableReferred has up to which commit of a session it is noted which files its entries name:
// session → the commit's number 8. It is the ledger's only table that is not internal/rows'.
const tableReferred = 0xa0

// referral is what a session's n-th commit says about files.
type referral struct {
	session string
	n       int64
	files   []referDoc
}

// refer notes which files entries name, in one change of the ledger. A commit comes here when
// it is durable and before it is answered, or again by who finds it later: one that was noted
// already, or in front of which another was, changes nothing.
func (s *Store) refer(ctx context.Context, all []referral) error {
	return s.ledger.Update(ctx, func(t rows.Tx) error {
		for _, r := range all {
			session, ok := rows.SessionKey(r.session)
			if !ok {
				return fmt.Errorf("mongostore: files of %q", r.session)
			}
			key := append([]byte{tableReferred}, session...)
			was, found, err := t.Get(key)
			if err != nil {
				return err
			}
			if found && len(was) == 8 && int64(binary.BigEndian.Uint64(was)) >= r.n {
				continue
			}
			for _, f := range r.files {
				if err := rows.Refer(t, session, f.Seq, f.Was, f.Is, time.Now()); err != nil {
					return err
				}
			}
			t.Put(key, binary.BigEndian.AppendUint64(nil, uint64(r.n)))
		}
		return nil
	})
}

// Standing fills filectr.Store. It reads what names the file and which sessions the user is
// in, and of those in both the entries.
func (s *Store) Standing(ctx context.Context, id protocol.FileID, user protocol.UserID, now time.Time) (filectr.Standing, error) {
	get := func(key []byte) ([]byte, bool, error) { return s.ledger.Get(ctx, key) }
	at, err := rows.Stands(get, id, user)
	if err != nil || !at.Live {
		return at, err
	}
	at.Reader, err = s.readsFile(ctx, id, user, now)
	return at, err
}

func (s *Store) readsFile(ctx context.Context, id protocol.FileID, user protocol.UserID, now time.Time) (yes bool, err error) {
	members, err := find[memberRow](ctx, s, inMembers, bson.D{eq("u", user)})
	if err != nil {
		return false, err
	}
	own := make(map[protocol.SessionID]*memberRow, len(members))
	for _, m := range members {
		if !m.Gone {
			own[m.Session] = m
		}
	}
	seqs := map[protocol.SessionID][]int64{}
	err = s.Referring(ctx, id, func(session []byte, seq int64) error {
		if in := rows.SessionOf(session); own[in] != nil && seq >= own[in].Floor {
			seqs[in] = append(seqs[in], seq)
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	for session, all := range seqs {
		m := own[session].member()
		for _, seq := range all {
			entries, err := s.Range(ctx, session, seq, seq, 1, 0)
			if err != nil {
				return false, err
			}
			if len(entries) == 1 && rows.Reads(entries[0], id, m.Floor, m.Role != protocol.Role_MEMBER, now) {
				return true, nil
			}
		}
	}
	return false, nil
}
