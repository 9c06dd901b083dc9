package rows_test

import (
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/troupe-im/troupe/internal/rows"
)

// table is rows by their keys.
type table map[string]string

func (t table) scan(from, to string, each func(key, value []byte) error) error {
	for c := range 256 {
		key := string([]byte{byte(c)})
		if v, ok := t[key]; ok && key >= from && (to == "" || key < to) {
			if err := each([]byte(key), []byte(v)); err != nil {
				return err
			}
		}
	}
	return nil
}

func TestAnOverlayIsReadAsIfItsRowsWereWrittenAlready(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.Custom(func(t *rapid.T) string { return string(rapid.SliceOfN(rapid.ByteRange(97, 105), 1, 1).Draw(t, "key")) })
		behind, want, front := table{}, table{}, rows.Overlay{}
		for _, k := range rapid.SliceOf(key).Draw(t, "behind") {
			behind[k], want[k] = "old", "old"
		}
		for _, k := range rapid.SliceOf(key).Draw(t, "changed") {
			if rapid.Bool().Draw(t, "ends") {
				front.Delete([]byte(k))
				delete(want, k)
			} else {
				front.Put([]byte(k), []byte("new"))
				want[k] = "new"
			}
		}
		from, to := key.Draw(t, "from"), ""
		var end []byte
		if rapid.Bool().Draw(t, "bounded") {
			to = key.Draw(t, "to")
			end = []byte(to)
		}
		enough, most := errors.New("enough"), rapid.IntRange(1, 9).Draw(t, "most")
		all := func(scan func(each func(key, value []byte) error) error) (said string) {
			n := 0
			err := scan(func(key, value []byte) error {
				said += fmt.Sprintf("%s=%s ", key, value)
				if n++; n == most {
					return enough
				}
				return nil
			})
			return said + fmt.Sprint(err)
		}
		got := all(func(each func(key, value []byte) error) error {
			return front.Scan([]byte(from), end, func(each func(key, value []byte) error) error { return behind.scan(from, to, each) }, each)
		})
		if wanted := all(func(each func(key, value []byte) error) error { return want.scan(from, to, each) }); got != wanted {
			t.Fatalf("%s\nwant %s", got, wanted)
		}
	})
}
