package pebblestore

import "sync"

// hidden keeps from readers what is in a commit that has not reached the disk:
// Pebble shows rows before they are synced, and what was shown, a crash could take
// back. For each session of such a commit it holds the head as it was.
//
// A reader looks here after it has taken its view of the rows: a commit that is
// not here by then was synced before, or began after.
type hidden struct {
	mu    sync.RWMutex
	heads map[sessionKey]hiddenHead
}

type hiddenHead struct {
	head
	commits int // that hide it
}

func (h *hidden) hide(before map[sessionKey]head) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.heads == nil {
		h.heads = make(map[sessionKey]hiddenHead, len(before))
	}
	for k, old := range before {
		x, ok := h.heads[k]
		if !ok {
			x.head = old
		}
		x.commits++
		h.heads[k] = x
	}
}

// show ends what hide began: after is on the disk.
func (h *hidden) show(after map[sessionKey]head) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for k, now := range after {
		x := h.heads[k]
		if x.commits--; x.commits <= 0 {
			delete(h.heads, k)
			continue
		}
		if now.last > x.last {
			x.head = now
		}
		h.heads[k] = x
	}
}

func (h *hidden) of(k sessionKey) (old head, ok bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	x, ok := h.heads[k]
	return x.head, ok
}

// synced bounds a seq by what of the session is on the disk.
func (h *hidden) synced(k sessionKey, to int64) int64 {
	if old, ok := h.of(k); ok {
		return min(to, old.last)
	}
	return to
}
