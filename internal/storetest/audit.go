package storetest

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/userctr"
)

func appendAudit(t *testing.T, s userctr.Store, n int) []*userctr.Record {
	t.Helper()
	var rows []*userctr.Record
	for i := range n {
		r := &userctr.Record{At: began.UnixMilli() + int64(i), Action: "sign-in", By: fmt.Sprint("u", i)}
		must(t, s.AppendAudit(context.Background(), r))
		rows = append(rows, r)
	}
	return rows
}

func sound(t *testing.T, s userctr.Store, from, last int64) {
	t.Helper()
	found, err := userctr.CheckAudit(context.Background(), s)
	must(t, err)
	if found.Bad != 0 || found.From != from || found.Last != last {
		t.Errorf("the audit log is %+v, want rows %d to %d", found, from, last)
	}
}

func auditRowsCarryOn(t *testing.T, s userctr.Store) {
	ctx := context.Background()
	ends, err := s.AuditEnds(ctx)
	must(t, err)
	if ends != (userctr.AuditEnds{}) {
		t.Errorf("an empty log has the ends %+v", ends)
	}
	sound(t, s, 0, 0)
	rows := appendAudit(t, s, 5)
	for i, r := range rows {
		if r.Seq != int64(i+1) || len(r.Hash) != 64 || i > 0 && r.Hash == rows[i-1].Hash {
			t.Errorf("row %d has seq %d and hash %q", i, r.Seq, r.Hash)
		}
	}
	sound(t, s, 1, 5)
	page, err := s.AuditBack(ctx, 0, 2)
	must(t, err)
	more, err := s.AuditBack(ctx, page[1].Seq, 10)
	must(t, err)
	if len(page) != 2 || page[0].Seq != 5 || *page[0] != *rows[4] || len(more) != 3 || more[2].Seq != 1 {
		t.Errorf("pages are %v and %v", page, more)
	}
	ends, err = s.AuditEnds(ctx)
	must(t, err)
	if ends.Last != 5 || ends.Newest != rows[4].Hash || ends.Before != 0 {
		t.Errorf("the ends are %+v", ends)
	}
}

func noAuditRowIsLost(t *testing.T, s userctr.Store) {
	var all sync.WaitGroup
	for w := range 8 {
		all.Go(func() {
			for i := range 20 {
				if err := s.AppendAudit(context.Background(), &userctr.Record{Action: "sign-in", By: fmt.Sprint(w, i)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	sound(t, s, 1, 160)
}

func removedAuditRows(t *testing.T, s userctr.Store) {
	ctx := context.Background()
	rows := appendAudit(t, s, 6)
	r := &userctr.Record{Action: userctr.AuditRemoved, By: userctr.ByServer, Note: userctr.RemovedNote(4, rows[3].Hash)}
	must(t, s.PruneAudit(ctx, 4, r))
	sound(t, s, 5, 7)
	ends, err := s.AuditEnds(ctx)
	must(t, err)
	if ends.Before != 4 || ends.Anchor != rows[3].Hash || ends.Last != 7 {
		t.Errorf("the ends are %+v", ends)
	}
	if err := s.PruneAudit(ctx, 4, &userctr.Record{}); !protocol.Code_NOT_FOUND.Is(err) {
		t.Errorf("rows are removed twice: %v", err)
	}
}

func eachUserComesOnce(t *testing.T, s userctr.Store) {
	ctx := context.Background()
	for _, id := range []string{"b", "a", "ab", "c"} {
		must(t, s.AddUser(ctx, user(id, id), ""))
	}
	var got []string
	must(t, s.EachUser(ctx, "", func(u *userctr.User) bool { got = append(got, u.ID); return len(got) < 3 }))
	must(t, s.EachUser(ctx, got[len(got)-1], func(u *userctr.User) bool { got = append(got, u.ID); return true }))
	if fmt.Sprint(got) != "[a ab b c]" {
		t.Errorf("users come as %v", got)
	}
}
