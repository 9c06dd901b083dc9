package mongostore

import (
	"context"
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/internal/search"
)

// Collections of the search.
const (
	inSignatures = "signatures" // of blocks, as they were at a commit
	inUnsigned   = "unsigned"   // notes that a commit made a block's words others
	inSigned     = "signed"     // up to where a session is signed, about
)

func searchIndexes() []index { return []index{up(inSignatures, "s", "b"), up(inUnsigned, "s", "b")} }

// signatureRow is a signature of a block as it was behind a session's commit At. It is inserted
// and never changed: of several of one block that with the highest At counts, and only if no
// note says that a later commit changed the block. So a signature that comes late, of words that
// are others by now, counts for nothing, whoever else signs or changes the block meanwhile.
type signatureRow struct {
	ID        string `bson:"_id"` // session/block/at
	Session   string `bson:"s"`
	Block     int64  `bson:"b"`
	At        int64  `bson:"at"`
	N         int64  `bson:"n"` // how many of the block's entries it is of
	Signature []byte `bson:"f"`
}

// unsignedRow says that commit At changed words of a block. It goes when there is a signature
// of a later At.
type unsignedRow struct {
	ID      string `bson:"_id"` // session/block/at
	Session string `bson:"s"`
	Block   int64  `bson:"b"`
	At      int64  `bson:"at"`
}

// signedRow spares Unsigned to look for the last signature of every session. It may be
// behind, and then a block is signed twice.
type signedRow struct {
	ID string `bson:"_id"` // session
	To int64  `bson:"to"`  // seq
}

func signatureID(session protocol.SessionID, block, at int64) string {
	return fmt.Sprintf("%s/%012d/%013d", session, block, at)
}

// stirred says that a session's n-th commit changed the words of blocks.
type stirred struct {
	session string
	n       int64
	blocks  []int64
}

// unsign notes it, and removes the signatures, so that not even hashes of the words remain.
func (s *Store) unsign(ctx context.Context, all []stirred) error {
	var notes []any
	for _, c := range all {
		for _, b := range c.blocks {
			notes = append(notes, unsignedRow{signatureID(c.session, b, c.n), c.session, b, c.n})
		}
	}
	if len(notes) == 0 {
		return nil
	}
	err := s.again(ctx, "notes of the search", func(ctx context.Context) error {
		_, err := s.db.Collection(inUnsigned).InsertMany(ctx, notes, options.InsertMany().SetOrdered(false))
		return allThere(err)
	})
	for _, c := range all {
		if err == nil {
			err = s.drop(ctx, inSignatures, bson.D{eq("s", c.session), in("b", c.blocks), op("at", "$lt", c.n)})
		}
	}
	return err
}

// notes gives the commits that changed blocks of a session since they were signed last.
func (s *Store) notes(ctx context.Context, session protocol.SessionID, first, last int64) (map[int64]int64, error) {
	found, err := find[unsignedRow](ctx, s, inUnsigned, bson.D{eq("s", session), eq("b", bson.D{eq("$gte", first), eq("$lte", last)})})
	at := make(map[int64]int64, len(found))
	for _, n := range found {
		at[n.Block] = max(at[n.Block], n.At)
	}
	return at, err
}

// signatures calls use with those of the blocks first to last, the last one first, until it
// returns false.
func (s *Store) signatures(ctx context.Context, session protocol.SessionID, first, last int64, use func(g *signatureRow) bool) error {
	changed, err := s.notes(ctx, session, first, last)
	if err != nil {
		return err
	}
	enough, block := false, int64(-1)
	of := bson.D{eq("s", session), eq("b", bson.D{eq("$gte", first), eq("$lte", last)})}
	err = each(ctx, s, inSignatures, of, func(g *signatureRow) error {
		if g.Block == block || g.At < changed[g.Block] {
			return nil
		}
		block = g.Block
		if enough = !use(g); enough {
			return errEnough
		}
		return nil
	}, options.Find().SetSort(bson.D{eq("b", -1), eq("at", -1)}))
	if enough {
		return nil
	}
	return err
}

// Prepare fills search.Store.
func (s *Store) Prepare(ctx context.Context, version byte) error {
	type row struct {
		ID      string `bson:"_id"`
		Version int64  `bson:"version"`
	}
	made, err := get[row](ctx, s, "meta", "search")
	if err != nil || made != nil && made.Version == int64(version) {
		return err
	}
	for _, collection := range []string{inSignatures, inUnsigned, inSigned} {
		if err := s.drop(ctx, collection, bson.D{}); err != nil {
			return err
		}
	}
	return s.overwrite(ctx, "meta", map[string]any{"search": row{"search", int64(version)}})
}

// Unsigned fills search.Store, in the order of ids.
func (s *Store) Unsigned(ctx context.Context, after protocol.SessionID, limit int) (sessions []protocol.SessionID, to protocol.SessionID, err error) {
	page, err := find[sessionRow](ctx, s, inSessions, bson.D{op("_id", "$gt", after)}, options.Find().SetSort(byID(int64(1))).SetLimit(int64(limit)))
	if err != nil || len(page) == 0 {
		return nil, "", err
	}
	ids := make([]string, len(page))
	for i, r := range page {
		ids[i] = r.ID
	}
	signed, err := find[signedRow](ctx, s, inSigned, bson.D{in("_id", ids)})
	if err != nil {
		return nil, "", err
	}
	until := make(map[string]int64, len(signed))
	for _, g := range signed {
		until[g.ID] = g.To
	}
	notes, err := find[unsignedRow](ctx, s, inUnsigned, bson.D{in("s", ids)})
	if err != nil {
		return nil, "", err
	}
	changed := make(map[string]bool, len(notes))
	for _, n := range notes {
		changed[n.Session] = true
	}
	for _, r := range page {
		if until[r.ID] < r.Head || changed[r.ID] {
			sessions = append(sessions, r.ID)
		}
	}
	if len(page) == limit {
		to = ids[limit-1]
	}
	return sessions, to, nil
}

// blocksAtOnce is how many blocks are signed at a time: some 100 KB.
const blocksAtOnce = 64

// Sign fills search.Store.
func (s *Store) Sign(ctx context.Context, sessions []protocol.SessionID, tails bool, sign func(messages []search.Message) []byte) (rest []protocol.SessionID, err error) {
	left := blocksAtOnce
	for i, id := range sessions {
		if _, err := protocol.ParseSessionID(id); err != nil {
			continue
		}
		n, err := s.signSession(ctx, id, tails, left, sign)
		if err != nil {
			return nil, err
		}
		if left -= n; left <= 0 {
			return sessions[i:], nil
		}
	}
	return nil, nil
}

// signSession signs at most that many blocks of a session, and says how many.
func (s *Store) signSession(ctx context.Context, id protocol.SessionID, tails bool, most int, sign func(messages []search.Message) []byte) (int, error) {
	row, err := s.current(ctx, id) // all up to row.N is where it is read below
	if err != nil || !row.exists() {
		return 0, err
	}
	changed, err := s.notes(ctx, id, 0, row.Head)
	if err != nil {
		return 0, err
	}
	signed := int64(0)
	if err := s.signatures(ctx, id, 0, row.Head, func(g *signatureRow) bool { signed = g.Block*search.BlockSize + g.N; return false }); err != nil {
		return 0, err
	}
	blocks := toSign(signed, row.Head, changed, tails)
	blocks = blocks[:min(len(blocks), most)]
	if len(blocks) == 0 {
		return 0, nil
	}
	slices.Sort(blocks)
	said := make(map[int64][]search.Message, len(blocks)) // newest first
	first, last := blocks[0]*search.BlockSize+1, min((blocks[len(blocks)-1]+1)*search.BlockSize, row.Head)
	err = s.Look(ctx, func(r search.Reader) error {
		return r.Messages(id, first, last, func(m *search.Message) bool {
			b := (m.Seq - 1) / search.BlockSize
			if _, wanted := slices.BinarySearch(blocks, b); wanted {
				said[b] = append(said[b], *m)
			}
			return true
		})
	})
	if err != nil {
		return 0, err
	}
	signatures := make([]any, len(blocks))
	for i, b := range blocks {
		n := min(search.BlockSize, row.Head-b*search.BlockSize)
		signatures[i] = signatureRow{signatureID(id, b, row.N), id, b, row.N, n, sign(said[b])}
		signed = max(signed, b*search.BlockSize+n)
	}
	err = s.again(ctx, "signatures", func(ctx context.Context) error {
		_, err := s.db.Collection(inSignatures).InsertMany(ctx, signatures, options.InsertMany().SetOrdered(false))
		return allThere(err)
	})
	if err != nil {
		return 0, err
	}
	// What these stand in front of, and what changed meanwhile, so that not even hashes remain.
	older := bson.D{eq("s", id), in("b", blocks), op("at", "$lt", row.N)}
	if err := s.drop(ctx, inSignatures, older); err != nil {
		return 0, err
	}
	if err := s.drop(ctx, inUnsigned, bson.D{eq("s", id), in("b", blocks), op("at", "$lte", row.N)}); err != nil {
		return 0, err
	}
	if changed, err = s.notes(ctx, id, blocks[0], blocks[len(blocks)-1]); err != nil {
		return 0, err
	}
	for b, at := range changed {
		if err := s.drop(ctx, inSignatures, bson.D{eq("s", id), eq("b", b), op("at", "$lt", at)}); err != nil {
			return 0, err
		}
	}
	return len(blocks), s.overwrite(ctx, inSigned, map[string]any{id: signedRow{id, signed}})
}

// toSign gives the blocks of a session with so many entries that have to be signed; of the one
// that is not full only if tails, or if it has changed.
func toSign(signed, head int64, changed map[int64]int64, tails bool) (blocks []int64) {
	next, end := signed/search.BlockSize, head/search.BlockSize
	if tails && end*search.BlockSize < head && signed < head {
		end++
	}
	for n := range changed {
		if n < next || n >= end && n*search.BlockSize < head {
			blocks = append(blocks, n)
		}
	}
	for n := next; n < end; n++ {
		blocks = append(blocks, n)
	}
	return blocks
}
