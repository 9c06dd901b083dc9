package mongostore

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/troupe-im/troupe/userctr"
)

var _ userctr.Store = (*Store)(nil)

// Collections of the user centre. What may happen to a document is said beside its type. As the
// insert of a document whose place in an index may be taken is the one step that is atomic, three
// rules hold for all of them:
//
//   - What is to be decided once, like who gets a name or which token follows another, is
//     decided by inserting the document that says so. Who comes second is told, and reads it.
//   - A document that somebody may take the place of is removed by an _id that nobody else ever
//     has, so that a remover who is late removes nothing of who came after.
//   - What belongs together is inserted in an order in which a crash in between leaves what nobody
//     is shown, and what a later attempt finishes or puts aside.
const (
	inUsers       = "users"
	inNames       = "names"
	inTerms       = "terms"
	inInvites     = "invites"
	inInviteUses  = "invite_uses"
	inLogins      = "logins"
	inLoginEnds   = "login_ends"
	inRefresh     = "refresh"
	inDevices     = "devices"
	inPushes      = "pushes"
	inSubjects    = "subjects"
	inKeys        = "keys"
	inKeyEnds     = "key_ends"
	inApps        = "apps"
	inSpent       = "spent"
	inMerges      = "merges"
	inAudit       = "audit"
	inAuditPrunes = "audit_prunes"
	inErasures    = "erasures"
)

// peopleIndexes are the indexes of these collections. Each query that is not by _id goes along one.
func peopleIndexes() []index {
	return []index{
		up(inUsers, "live", "user", "version"), up(inUsers, "live", "guest", "user"),
		unique(inNames, "name"), up(inNames, "user"),
		up(inTerms, "term", "user"), up(inTerms, "under"), up(inTerms, "user"),
		up(inInvites, "expires"),
		unique(inInviteUses, "slot"), up(inInviteUses, "invite"),
		up(inLogins, "user"), up(inLogins, "expires"),
		up(inLoginEnds, "at"),
		unique(inRefresh, "of"), up(inRefresh, "login"), up(inRefresh, "rooted", "issued"),
		up(inDevices, "user"),
		unique(inPushes, "device"), unique(inPushes, "whose"), up(inPushes, "user"),
		unique(inSubjects, "key"), up(inSubjects, "user"),
		up(inApps, "state", "app", "version"),
		unique(inSpent, "what"), up(inSpent, "until"),
		up(inMerges, "user"), up(inMerges, "done"),
	}
}

// atOnce is how many documents are asked for or changed by one command.
const atOnce = 500

// joined is one text of several, another for others: words as they stand in a link, with
// slashes between them.
func joined(words ...string) string {
	escaped := make([]string, len(words))
	for i, w := range words {
		escaped[i] = url.QueryEscape(w)
	}
	return strings.Join(escaped, "/")
}

// separated is a word that joined had alone.
func separated(text string) (string, error) { return url.QueryUnescape(text) }

func decimal(n int64) string { return strconv.FormatInt(n, 10) }

// errTaken says that another document has a place in an index that this one was to have.
var errTaken = errors.New("another document has this place")

// put inserts a document, whose _id and mark are given. errTaken: another has its place. Where an answer
// was lost it is inserted again, and is known by its mark when it was in already.
func (s *Store) put(ctx context.Context, into string, id any, mark string, doc any) error {
	lost := false
	return s.again(ctx, "insert into "+into, func(ctx context.Context) error {
		err := insertOne(ctx, s.db.Collection(into), doc)
		if taken(err) && !unconfirmed(err) {
			if !lost {
				return errTaken
			}
			return s.whose(ctx, into, id, mark)
		}
		lost = lost || err != nil
		return err
	})
}

// whose is nil where the document with an _id has this mark, and errTaken where it has another or is not there.
func (s *Store) whose(ctx context.Context, in string, id any, mark string) error {
	var is struct {
		Mark string `bson:"mark"`
	}
	err := s.db.Collection(in).FindOne(ctx, bson.D{eq("_id", id)}).Decode(&is)
	if errors.Is(err, mongo.ErrNoDocuments) || err == nil && is.Mark != mark {
		return errTaken
	}
	return err
}

// remove removes the document with an _id. There need not be one.
func (s *Store) remove(ctx context.Context, from, id string) error {
	return s.removeAll(ctx, from, bson.D{eq("_id", id)})
}

func (s *Store) removeAll(ctx context.Context, from string, filter bson.D) error {
	return s.again(ctx, "removal from "+from, func(ctx context.Context) error {
		_, err := s.db.Collection(from).DeleteMany(ctx, filter)
		return err
	})
}

// replace puts doc in the place of the document with an _id, where there is one.
func (s *Store) replace(ctx context.Context, in, id string, doc any) error {
	return s.again(ctx, "replacement in "+in, func(ctx context.Context) error {
		_, err := s.db.Collection(in).ReplaceOne(ctx, bson.D{eq("_id", id)}, doc)
		return err
	})
}

// change changes the document with an _id, and says whether there is one.
func (s *Store) change(ctx context.Context, in, id string, how bson.D) (there bool, err error) {
	err = s.again(ctx, "change in "+in, func(ctx context.Context) error {
		r, err := s.db.Collection(in).UpdateOne(ctx, bson.D{eq("_id", id)}, how)
		there = err == nil && r.MatchedCount > 0
		return err
	})
	return there, err
}

// afterwards does what need not be done for what was asked to be true, and is done later
// by others where it fails now.
func (s *Store) afterwards(ctx context.Context, what string, do func(ctx context.Context) error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := do(ctx); err != nil {
		s.log.Warn("something stays undone for now", "what", what, "err", err)
	}
}

// pair is an entry of a map whose keys people choose: as a field's name in a document
// it could be anything.
type pair struct {
	Key   string `bson:"k"`
	Value string `bson:"v"`
}

func pairsOf(m map[string]string) (all []pair) {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		all = append(all, pair{k, m[k]})
	}
	return all
}

func mapOf(all []pair) map[string]string {
	if len(all) == 0 {
		return nil
	}
	m := make(map[string]string, len(all))
	for _, p := range all {
		m[p.Key] = p.Value
	}
	return m
}

func hexOf(h userctr.Hash) string { return hex.EncodeToString(h[:]) }

func hashOf(text string) (h userctr.Hash, err error) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(h) {
		return h, fmt.Errorf("mongostore: %q is no hash", text)
	}
	return userctr.Hash(b), nil
}

func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func fromNanos(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}
