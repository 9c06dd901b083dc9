// Package rows is what the file centre, link previews, bots and models keep, as rows of
// whatever store changes several of them in one step: pebblestore's and mongostore's. A Store
// fills the interfaces of those centres but for what is asked of sessions and users too;
// rows and keys, and nothing that decides.
package rows

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/troupe-im/troupe/filectr"
	"github.com/troupe-im/troupe/internal/protocol"
)

// DB is where the rows are.
type DB interface {
	// Get reads one row; the value is the caller's own. No row is not an error.
	Get(ctx context.Context, key []byte) (value []byte, found bool, err error)
	// Scan calls each with the rows from <= key < to, in the order of their keys' bytes, until
	// it gives an error, which comes back as it is. A nil to is the end of all. Key and value
	// are good only during the call.
	Scan(ctx context.Context, from, to []byte, each func(key, value []byte) error) error
	// Update makes one atomic change durable: whatever f has read through its Tx is still so
	// when what it wrote is there. When f fails nothing is written, and its error comes back.
	// f may be called more than once.
	Update(ctx context.Context, f func(t Tx) error) error
}

// Tx is a change on its way. It reads rows as they are after what it wrote so far.
type Tx interface {
	Get(key []byte) (value []byte, found bool, err error)
	Scan(from, to []byte, each func(key, value []byte) error) error
	Put(key, value []byte) // nil is an empty row
	Delete(key []byte)     // there need not be one
	// Number is higher than that of every change which was made before this one.
	Number() int64
}

// Store fills the centres' interfaces on a DB.
type Store struct {
	db    DB
	names func(ctx context.Context, of filectr.Holder) (avatar string, err error)
}

// New makes a Store. names gives the avatar that a user's or a session's row has, "": none, or
// there is no such row.
func New(db DB, names func(ctx context.Context, of filectr.Holder) (avatar string, err error)) *Store {
	return &Store{db, names}
}

// errEnough ends a scan early, without an error.
var errEnough = errors.New("enough")

var errShort = errors.New("a row is shorter than its table's rows are")

// bad wraps an error about what a row holds.
func bad(key []byte, err error) error { return fmt.Errorf("rows: row %x: %w", key, err) }

func (s *Store) get(ctx context.Context, key []byte) (value []byte, found bool, err error) {
	return s.db.Get(ctx, key)
}

func (s *Store) scan(ctx context.Context, from, to []byte, each func(key, value []byte) error) error {
	return enough(s.db.Scan(ctx, from, to, each))
}

func (s *Store) scanPrefix(ctx context.Context, prefix []byte, each func(key, value []byte) error) error {
	return s.scan(ctx, prefix, after(prefix), each)
}

func (s *Store) update(ctx context.Context, f func(t *tx) error) error {
	return s.db.Update(ctx, func(t Tx) error { return f(&tx{t}) })
}

// tx is a Tx with this package's words.
type tx struct{ Tx }

func (t *tx) get(key []byte) (value []byte, found bool, err error) { return t.Get(key) }
func (t *tx) put(key, value []byte)                                { t.Put(key, value) }
func (t *tx) delete(key []byte)                                    { t.Delete(key) }

func (t *tx) scanPrefix(prefix []byte, each func(key, value []byte) error) error {
	return enough(t.Scan(prefix, after(prefix), each))
}

func enough(err error) error {
	if err == errEnough {
		return nil
	}
	return err
}

// reader is a change, or a Store that is asked with a context.
type reader interface {
	get(key []byte) (value []byte, found bool, err error)
}

type asked struct {
	s   *Store
	ctx context.Context
}

func (a asked) get(key []byte) ([]byte, bool, error) { return a.s.db.Get(a.ctx, key) }

// with is s as a reader.
func (s *Store) with(ctx context.Context) reader { return asked{s, ctx} }

// putRow writes a row as JSON.
func putRow(t *tx, key []byte, row any) error {
	text, err := json.Marshal(row)
	if err != nil {
		return fmt.Errorf("rows: encode a row: %w", err)
	}
	t.put(key, text)
	return nil
}

// getRow reads a row that putRow wrote. No row is protocol.NotFound, which names what.
func getRow[R any](from reader, key []byte, what, id string) (row R, err error) {
	text, found, err := from.get(key)
	if err != nil {
		return row, err
	}
	if !found {
		return row, protocol.NotFound("%s %s", what, id)
	}
	return row, parseRow(text, &row)
}

func parseRow(text []byte, row any) error {
	if err := json.Unmarshal(text, row); err != nil {
		return fmt.Errorf("rows: a damaged row: %w", err)
	}
	return nil
}

// rowKey makes a key of a table from words, each but the last ending with a zero byte.
func rowKey(table byte, words ...string) []byte {
	b := []byte{table}
	for i, w := range words {
		if i > 0 {
			b = append(b, 0)
		}
		b = append(b, w...)
	}
	return b
}

// after is the first key behind all those that begin with prefix; nil is the end of all.
func after(prefix []byte) []byte {
	b := bytes.Clone(prefix)
	for i := len(b) - 1; i >= 0; i-- {
		if b[i]++; b[i] != 0 {
			return b[:i+1]
		}
	}
	return nil
}

func number(n int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }

func parseNumber(b []byte) (int64, error) {
	if len(b) != 8 {
		return 0, fmt.Errorf("number: %w", errShort)
	}
	return int64(binary.BigEndian.Uint64(b)), nil
}

// getNumber reads a row that holds a number; 0: there is none.
func getNumber(from reader, key []byte) (int64, error) {
	b, found, err := from.get(key)
	if err != nil || !found {
		return 0, err
	}
	n, err := parseNumber(b)
	if err != nil {
		err = bad(key, err)
	}
	return n, err
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

// either is err, or no when there is none.
func either(err, no error) error {
	if err != nil {
		return err
	}
	return no
}
