package filectr

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
)

func TestWhoSendsManyKeepsOthersWaitingForOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := newTurns(1)
		end, err := all.take(t.Context(), "ann")
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var order []string
		came := func(who string) {
			mu.Lock()
			defer mu.Unlock()
			order = append(order, who)
		}
		wait := func(ctx context.Context, user string) {
			go func() {
				end, err := all.take(ctx, user)
				if err != nil {
					came(user + " left")
					return
				}
				came(user)
				end()
			}()
			synctest.Wait() // it waits now
		}
		gone, leave := context.WithCancel(t.Context())
		wait(t.Context(), "ann")
		wait(gone, "ann")
		wait(gone, "cat")
		wait(t.Context(), "ann")
		wait(t.Context(), "bob")
		wait(t.Context(), "ann")
		wait(t.Context(), "dan")
		wait(t.Context(), "bob")
		leave()
		synctest.Wait()
		slices.Sort(order) // those who left, at once
		end()
		synctest.Wait()
		if want := []string{"ann left", "cat left", "ann", "bob", "dan", "ann", "bob", "ann"}; !slices.Equal(order, want) {
			t.Errorf("they came as %q, want %q", order, want)
		}
		if all.free != 1 || len(all.order) != 0 || len(all.waiting) != 0 {
			t.Errorf("%+v is left", all)
		}
	})
}
