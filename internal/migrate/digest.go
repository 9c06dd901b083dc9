package migrate

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/bits"
)

// Digest is how many items there are, and a hash of them that does not depend on their order: the
// sum of the SHA-256 of each, so that one that is there twice counts twice.
type Digest struct {
	Count int64
	sum   [4]uint64
}

// String is the hash's first 8 bytes in hex.
func (d Digest) String() string {
	return hex.EncodeToString(binary.BigEndian.AppendUint64(nil, d.sum[3]))
}

// Add adds an item.
func (d *Digest) Add(item Item) error {
	text, err := said(item)
	if err != nil {
		return fmt.Errorf("migrate: a %T cannot be said: %w", item, err)
	}
	sum := sha256.Sum256(text)
	carry := uint64(0)
	for i := range d.sum {
		d.sum[i], carry = bits.Add64(d.sum[i], binary.LittleEndian.Uint64(sum[8*i:]), carry)
	}
	d.Count += count(item)
	return nil
}

// count is how many an item counts for.
func count(item Item) int64 {
	if b, ok := item.(*Block); ok {
		return int64(len(b.Entries))
	}
	return 1
}

// size is about how many bytes an item has.
func size(item Item) (n int) {
	switch v := item.(type) {
	case *Block:
		for _, e := range v.Entries {
			n += 200 + len(e.Data) + len(e.Original)
		}
		return n
	case *Row:
		return len(v.Key) + len(v.Value)
	default:
		return 500
	}
}

// said is an item as bytes: two items are the same when these are.
func said(item Item) (b []byte, err error) {
	part := func(p []byte) { b = append(binary.AppendUvarint(b, uint64(len(p))), p...) }
	switch v := item.(type) {
	case *Row:
		part(v.Key)
		part(v.Value)
		return b, nil
	case *Block:
		part([]byte(v.Session))
		b = binary.AppendVarint(b, v.First)
		for _, e := range v.Entries {
			part(e.Data)
			part(e.Hash[:])
			part(e.Original)
		}
		return b, nil
	}
	text, err := json.Marshal(item)
	if err != nil {
		return nil, err
	}
	// What says nothing is left out: of lists and maps that are empty one store makes none.
	from := json.NewDecoder(bytes.NewReader(text))
	from.UseNumber()
	var tree map[string]any
	if err := from.Decode(&tree); err != nil {
		return nil, err
	}
	return json.Marshal(bare(tree))
}

// bare is a tree of JSON without what is null or empty; nil: nothing is left.
func bare(tree any) any {
	switch v := tree.(type) {
	case map[string]any:
		for key, value := range v {
			if value = bare(value); value == nil {
				delete(v, key)
			} else {
				v[key] = value
			}
		}
		if len(v) == 0 {
			return nil
		}
	case []any:
		for i := range v {
			v[i] = bare(v[i])
		}
		if len(v) == 0 {
			return nil
		}
	case string:
		if v == "" {
			return nil
		}
	}
	return tree
}
