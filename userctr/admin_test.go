package userctr_test

import (
	"sync"
	"testing"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/userctr"
)

func TestTwoAdministratorsWhoUnmakeEachOtherLeaveOne(t *testing.T) {
	b := start(t, nil)
	root, ann := b.who(b.admin().Token).User, b.signUp("ann").User.ID
	give := func(id string) {
		t.Helper()
		if _, err := b.SetAdmin(t.Context(), userctr.ByOperator, id, true); err != nil {
			t.Fatal(err)
		}
		if err := b.SetDisabled(t.Context(), userctr.ByOperator, id, false); err != nil {
			t.Fatal(err)
		}
	}
	demote := func(by, id string) error {
		_, err := b.SetAdmin(t.Context(), by, id, false)
		return err
	}
	disable := func(by, id string) error { return b.SetDisabled(t.Context(), by, id, true) }
	for round := range 30 {
		give(root)
		give(ann)
		one, other := demote, demote
		switch round % 3 {
		case 1:
			one = disable
		case 2:
			one, other = disable, disable
		}
		var wait sync.WaitGroup
		var failed [2]error
		wait.Go(func() { failed[0] = one(root, ann) })
		wait.Go(func() { failed[1] = other(ann, root) })
		wait.Wait()
		refused := 0
		for _, err := range failed {
			if protocol.Code_CONFLICT.Is(err) {
				refused++
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if refused != 1 {
			t.Fatalf("round %d: %d of two were refused: %v", round, refused, failed)
		}
	}
}
