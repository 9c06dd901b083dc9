package filectr

import (
	"slices"
	"sync"
)

// stripes are locks of contents: whoever keeps or deletes one holds its lock, so
// that a content which a new file is about to have is not deleted as nobody's. They
// are of this process, as the store is.
type stripes [64]sync.Mutex

// hold locks contents and gives what unlocks them. Locks are taken in order.
func (s *stripes) hold(sums []Sum) func() {
	var held []int
	for _, sum := range sums {
		if i := int(sum[0]) % len(s); !slices.Contains(held, i) {
			held = append(held, i)
		}
	}
	slices.Sort(held)
	for _, i := range held {
		s[i].Lock()
	}
	return func() {
		for _, i := range held {
			s[i].Unlock()
		}
	}
}
