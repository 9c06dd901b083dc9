package pebblestore

import "sync"

// headCache holds heads of sessions used lately, so that a commit reads nothing for
// them. It is two maps: when the young one is full it becomes the old one, and
// what is used moves to the young one again.
type headCache struct {
	mu         sync.Mutex
	young, old map[sessionKey]head
}

// headsKept is how many heads each map holds: at some 100 bytes each the two take 3 MB.
const headsKept = 16384

func (c *headCache) get(k sessionKey) (head, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	h, ok := c.young[k]
	if ok {
		return h, true
	}
	if h, ok = c.old[k]; ok {
		c.put(k, h)
	}
	return h, ok
}

func (c *headCache) put(k sessionKey, h head) {
	if c.young == nil || len(c.young) >= headsKept {
		c.young, c.old = make(map[sessionKey]head), c.young
	}
	c.young[k] = h
}

func (c *headCache) putAll(heads map[sessionKey]head) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for k, h := range heads {
		c.put(k, h)
	}
}

// head gives a session's head for a commit; it is only right while s.writing is held.
func (s *Store) head(k sessionKey) (h head, found bool, err error) {
	if h, ok := s.heads.get(k); ok {
		return h, true, nil
	}
	if h, ok := s.late.get(k); ok {
		return h, true, nil
	}
	key := k.head()
	row, found, err := s.get(key)
	if err != nil || !found {
		return h, false, err
	}
	if h, err = parseHead(row); err != nil {
		return h, false, s.bad(key, err)
	}
	s.heads.putAll(map[sessionKey]head{k: h})
	return h, true, nil
}

// epochOf is the epoch of a session's newest activation: no lower than what all
// activations were raised to when the store was restored from a backup.
func (s *Store) epochOf(h head) int64 { return max(h.epoch, s.epochFloor) }
