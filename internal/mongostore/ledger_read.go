package mongostore

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/troupe-im/troupe/internal/rows"
)

// word is a row's key as a string whose order is that of the key's bytes: each byte is the
// character with its number, and the lowest three are two, so that \x01 is in none and ends it.
func word(key []byte) string {
	var b strings.Builder
	b.Grow(len(key) + 8)
	for _, c := range key {
		switch {
		case c < 3:
			b.WriteByte(2)
			b.WriteByte(c + 2)
		case c < 0x80:
			b.WriteByte(c)
		default:
			b.WriteRune(rune(c))
		}
	}
	return b.String()
}

// bytesOf is the key of a word.
func bytesOf(word string) ([]byte, error) {
	key := make([]byte, 0, len(word))
	short := false
	for _, r := range word {
		switch {
		case short:
			key, short = append(key, byte(r-2)), false
		case r == 2:
			short = true
		case r > 0xff:
			return nil, fmt.Errorf("mongostore: %q is no row's key", word)
		default:
			key = append(key, byte(r))
		}
	}
	return key, nil
}

func versionID(word string, change int64) string { return fmt.Sprintf("%s\x01%016x", word, change) }

// between is a filter for from <= _id < to.
func between(from, to string) bson.D {
	return bson.D{{Key: "_id", Value: bson.D{{Key: "$gte", Value: from}, {Key: "$lt", Value: to}}}}
}

// Get fills rows.DB.
func (l *ledger) Get(ctx context.Context, key []byte) (value []byte, found bool, err error) {
	w := word(key)
	err = l.read(ctx, w+"\x01", w+"\x02", func(_, v []byte) error { value, found = append([]byte{}, v...), true; return nil })
	return value, found, err
}

// Scan fills rows.DB.
func (l *ledger) Scan(ctx context.Context, from, to []byte, each func(key, value []byte) error) error {
	end := "\U0010ffff"
	if to != nil {
		end = word(to)
	}
	return l.read(ctx, word(from), end, each)
}

// read goes through versions in the order of their _ids, in which those of a key lie together
// and a newer one is always ahead: so one that is written while another goes is not missed.
func (l *ledger) read(ctx context.Context, from, to string, use func(key, value []byte) error) error {
	var last string
	var newest *version
	var told error // by use, and given back as it is
	tell := func() error {
		if last == "" || newest.Ended {
			return nil
		}
		key, err := bytesOf(last)
		if err != nil {
			return err
		}
		told = use(key, newest.Value)
		return told
	}
	err := each(ctx, l.s, inRows, between(from, to), func(v *version) error {
		key, _, ok := strings.Cut(v.ID, "\x01")
		if !ok {
			return fmt.Errorf("mongostore: %q is no row", v.ID)
		}
		if key != last {
			if err := tell(); err != nil {
				return err
			}
		}
		last, newest = key, v
		return nil
	}, options.Find().SetSort(byID(int64(1))))
	if told != nil || err != nil {
		return cmp.Or(told, err)
	}
	return tell()
}

// ledgerTx is a change that is being made: own in front of before, which are those of the
// same document, in front of the rows.
type ledgerTx struct {
	l           *ledger
	ctx         context.Context
	before, own rows.Overlay
	number      int64
	err         error // of reading: nothing is known then
}

func (t *ledgerTx) Get(key []byte) (b []byte, found bool, err error) {
	if v, found, own := t.own.Get(key); own {
		return v, found, nil
	}
	if v, found, own := t.before.Get(key); own {
		return v, found, nil
	}
	w := word(key)
	v, known := t.l.cache[w]
	if !known {
		if b, found, err = t.l.Get(t.ctx, key); err != nil {
			t.err = err
			return nil, false, err
		}
		v = &value{}
		if found {
			v.b = append([]byte{}, b...)
		}
		if len(t.l.cache) <= mostCached {
			t.l.cache[w] = v
		}
	}
	return bytes.Clone(v.b), v.b != nil, nil
}

func (t *ledgerTx) Put(key, value []byte) { t.own.Put(key, value) }

// Delete leaves out what is not there, as an end is written down.
func (t *ledgerTx) Delete(key []byte) {
	if _, found, err := t.Get(key); err == nil && found {
		t.own.Delete(key)
	}
}

func (t *ledgerTx) Scan(from, to []byte, each func(key, value []byte) error) error {
	var told error // by each
	err := t.own.Scan(from, to, func(each func(key, value []byte) error) error {
		return t.before.Scan(from, to, func(each func(key, value []byte) error) error {
			return t.l.Scan(t.ctx, from, to, each)
		}, each)
	}, func(key, value []byte) error {
		told = each(key, value)
		return told
	})
	if err != nil && err != told {
		t.err = err
	}
	return err
}

// Number fills rows.Tx: the change's, and its place in it.
func (t *ledgerTx) Number() int64 { return t.number }
