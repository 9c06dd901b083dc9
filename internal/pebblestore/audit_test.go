package pebblestore

import (
	"context"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/troupe-im/troupe/userctr"
)

// TestATamperedAuditRowIsNamed changes rows below everything that guards them, as
// somebody with the machine in hand could.
func TestATamperedAuditRowIsNamed(t *testing.T) {
	for name, c := range map[string]struct {
		change func(t *tx) error
		bad    int64
	}{
		"a row that was changed": {func(t *tx) error {
			row, err := getRow[userctr.Record](t, auditKey(4), "row", "4")
			row.By = "somebody else"
			return either(err, putRow(t, auditKey(4), row))
		}, 4},
		"a row that was changed and sealed again": {func(t *tx) error {
			before, err := getRow[userctr.Record](t, auditKey(3), "row", "3")
			row, err2 := getRow[userctr.Record](t, auditKey(4), "row", "4")
			row.By = "somebody else"
			userctr.Seal(&row, before.Hash)
			return either(err, either(err2, putRow(t, auditKey(4), row)))
		}, 5},
		"a row in the middle that is gone": {func(t *tx) error { t.delete(auditKey(4)); return nil }, 4},
		"the first row gone":               {func(t *tx) error { t.delete(auditKey(1)); return nil }, 1},
		"the newest row gone":              {func(t *tx) error { t.delete(auditKey(9)); return nil }, 9},
		"the beginning said to be removed": {func(t *tx) error {
			for seq := range int64(3) {
				t.delete(auditKey(seq + 1))
			}
			ends, err := auditEnds(t)
			ends.Before, ends.Anchor = 3, fmt.Sprintf("%064d", 0)
			return either(err, putRow(t, auditEndsKey, ends))
		}, 4},
	} {
		t.Run(name, func(t *testing.T) {
			s := openIn(t, vfs.NewMem())
			defer s.Close()
			for i := range 9 {
				if err := s.AppendAudit(context.Background(), &userctr.Record{Action: "sign-in", By: fmt.Sprint("u", i)}); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.update(c.change); err != nil {
				t.Fatal(err)
			}
			found, err := userctr.CheckAudit(context.Background(), s)
			if err != nil || found.Bad != c.bad || found.Wrong == "" {
				t.Errorf("%+v, %v; want row %d named", found, err, c.bad)
			}
		})
	}
}
