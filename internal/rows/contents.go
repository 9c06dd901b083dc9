package rows

import (
	"context"
	"time"

	"github.com/troupe-im/troupe/filectr"
)

// Claim fills filectr.Store.
func (s *Store) Claim(ctx context.Context, sums []filectr.Sum, by string, at time.Time) error {
	return s.update(ctx, func(t *tx) error {
		for _, sum := range sums {
			t.put(claimKey(sum, by), number(nanos(at)))
		}
		return nil
	})
}

// hold gives a content to who claimed it, as a holder.
func (t *tx) hold(sum filectr.Sum, holder, by string) error {
	claim := claimKey(sum, by)
	if _, found, err := t.get(claim); err != nil || !found {
		return either(err, filectr.ErrUnclaimed)
	}
	t.delete(claim)
	t.delete(doubtKey(sum))
	t.put(blobKey(sum, holder), nil)
	return nil
}

// doubt notes a content unless a file has it.
func (t *tx) doubt(sum filectr.Sum, at time.Time) error {
	used, err := t.has(sum)
	if err == nil && !used {
		t.put(doubtKey(sum), number(nanos(at)))
	}
	return err
}

// has says whether a file or an avatar has a content.
func (t *tx) has(sum filectr.Sum) (has bool, err error) {
	err = t.scanPrefix(blobKey(sum, ""), func([]byte, []byte) error { has = true; return errEnough })
	return has, err
}

// claims says whether somebody has claimed a content since a time, and ends older claims.
func (t *tx) claims(sum filectr.Sum, since time.Time) (live bool, err error) {
	var dead [][]byte
	err = t.scanPrefix(claimKey(sum, ""), func(key, value []byte) error {
		at, err := parseNumber(value)
		if err != nil {
			return bad(key, err)
		}
		if at < nanos(since) {
			dead = append(dead, append([]byte{}, key...))
		} else {
			live = true
		}
		return nil
	})
	for _, key := range dead {
		t.delete(key)
	}
	return live, err
}

// Doubtful fills filectr.Store.
func (s *Store) Doubtful(ctx context.Context, before time.Time, limit int) (sums []filectr.Sum, err error) {
	seen := map[filectr.Sum]bool{}
	for _, kind := range []byte{looseBlob, looseUpon} {
		err := s.scanPrefix(ctx, []byte{tableLoose, kind}, func(key, value []byte) error {
			at, err := parseNumber(value)
			if err != nil || len(key) < 2+len(filectr.Sum{}) {
				return bad(key, either(err, errShort))
			}
			sum := filectr.Sum(key[2 : 2+len(filectr.Sum{})])
			if at >= nanos(before) || seen[sum] {
				return nil
			}
			if len(sums) == limit {
				return errEnough
			}
			seen[sum] = true
			sums = append(sums, sum)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return sums, nil
}

// HasContent fills filectr.Store.
func (s *Store) HasContent(ctx context.Context, sum filectr.Sum) (has bool, err error) {
	err = s.scanPrefix(ctx, blobKey(sum, ""), func([]byte, []byte) error { has = true; return errEnough })
	return has, err
}

// Unclaim fills filectr.Store.
func (s *Store) Unclaim(ctx context.Context, sum filectr.Sum, before time.Time) error {
	return s.update(ctx, func(t *tx) error {
		if has, err := t.has(sum); err != nil || !has {
			return err
		}
		_, err := t.claims(sum, before)
		return err
	})
}

// Condemn fills filectr.Store.
func (s *Store) Condemn(ctx context.Context, sum filectr.Sum, before time.Time) (condemned bool, err error) {
	err = s.update(ctx, func(t *tx) error {
		has, err := t.has(sum)
		if err != nil {
			return err
		}
		live, err := t.claims(sum, before)
		if err != nil {
			return err
		}
		t.delete(doubtKey(sum))
		condemned = !has && !live
		return nil
	})
	return condemned && err == nil, err
}

// Wanted fills filectr.Store.
func (s *Store) Wanted(ctx context.Context, sum filectr.Sum) (wanted bool, err error) {
	err = s.update(ctx, func(t *tx) error { // which writes nothing, and reads all as of one moment
		if wanted, err = t.has(sum); err != nil || wanted {
			return err
		}
		if err := t.scanPrefix(claimKey(sum, ""), func([]byte, []byte) error { wanted = true; return errEnough }); err != nil || wanted {
			return err
		}
		_, wanted, err = t.get(doubtKey(sum))
		return err
	})
	return wanted, err
}
