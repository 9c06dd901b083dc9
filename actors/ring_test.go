package actors

import (
	"testing"

	"github.com/troupe-im/troupe/internal/protocol"
)

func TestTheRingGivesTheNewestEventsInOrder(t *testing.T) {
	var r ring
	var all []*protocol.Shared
	for range 3 * ringSize {
		s := protocol.NewShared(&protocol.Frame{})
		all = append(all, s)
		r.put(s)
		if len(r.events) != min(len(all), ringSize) {
			t.Fatalf("of %d events it keeps %d", len(all), len(r.events))
		}
		for _, n := range []int{0, 1, len(r.events) / 2, len(r.events)} {
			some := r.newest(n)
			for i, e := range all[len(all)-n:] {
				if some[i] != e {
					t.Fatalf("of %d events, the newest %d are others from the %dth on", len(all), n, i)
				}
			}
		}
	}
}
