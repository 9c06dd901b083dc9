package moderator

import (
	"hash/maphash"
	"sync"
	"time"
)

// flood remembers who wrote when. It is in memory: after a restart everybody begins anew.
type flood struct {
	mu   sync.Mutex
	seed maphash.Seed
	by   map[string]*writer // by session and user
	next time.Time          // when who is silent is forgotten
}

type writer struct {
	when  []time.Time
	texts []uint64
}

func newFlood() *flood { return &flood{seed: maphash.MakeSeed(), by: map[string]*writer{}} }

// wrote counts a message, and says how many there were within the time before it, and how
// often with that text.
func (f *flood) wrote(who, text string, now time.Time, within time.Duration) (count, same int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now.After(f.next) {
		for key, w := range f.by {
			if now.Sub(w.when[len(w.when)-1]) > within {
				delete(f.by, key)
			}
		}
		f.next = now.Add(within)
	}
	w := f.by[who]
	if w == nil {
		w = &writer{}
		f.by[who] = w
	}
	old := 0
	for old < len(w.when) && now.Sub(w.when[old]) >= within {
		old++
	}
	const most = 256 // more in such a time are a flood whatever is set
	old = max(old, len(w.when)+1-most)
	hash := maphash.String(f.seed, text)
	w.when = append(w.when[old:], now)
	w.texts = append(w.texts[old:], hash)
	for _, h := range w.texts {
		if h == hash {
			same++
		}
	}
	return len(w.when), same
}
