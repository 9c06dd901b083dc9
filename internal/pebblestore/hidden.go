package pebblestore

import (
	"maps"
	"sync"
)

// hidden keeps from readers what is in a commit that has not reached the disk:
// Pebble shows rows before they are synced, and what was shown, a crash could take
// back. For each session of such a commit it holds the head as it was, and the rows
// of entries that the commit rewrites: a count from new rows up to an old head would
// leave out what is taken off once more when the recall itself is seen.
//
// A reader looks here after it has taken its view of the rows: a commit that is
// not here by then was synced before, or began after.
type hidden struct {
	mu    sync.RWMutex
	heads map[sessionKey]hiddenHead
}

type hiddenHead struct {
	head
	commits int              // that hide it
	rows    map[int64][]byte // of entries by seq, as they were; never changed, only replaced
}

// row gives what a reader sees of an entry.
func (x hiddenHead) row(seq int64, now []byte) []byte {
	if old, ok := x.rows[seq]; ok {
		return old
	}
	return now
}

// rewritten are the rows of a commit's rewritten entries as they were. Commits that
// rewrite the same entry follow each other: a session waits for one before the next.
type rewritten map[sessionKey]map[int64][]byte

func (h *hidden) hide(before map[sessionKey]head, rows rewritten) {
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
		if len(rows[k]) > 0 {
			old := maps.Clone(rows[k])
			maps.Copy(old, x.rows)
			x.rows = old
		}
		h.heads[k] = x
	}
}

// show ends what hide began: after is on the disk.
func (h *hidden) show(after map[sessionKey]head, rows rewritten) {
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
		if len(rows[k]) > 0 {
			x.rows = maps.Clone(x.rows)
			for seq := range rows[k] {
				delete(x.rows, seq)
			}
		}
		h.heads[k] = x
	}
}

func (h *hidden) of(k sessionKey) (old hiddenHead, ok bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	old, ok = h.heads[k]
	return old, ok
}

// synced bounds a seq by what of the session is on the disk, and gives what is not.
func (h *hidden) synced(k sessionKey, to int64) (int64, hiddenHead) {
	old, ok := h.of(k)
	if ok {
		to = min(to, old.last)
	}
	return to, old
}

// head gives a session's head as readers see it where now is what the row says, and
// what of the session is hidden.
func (h *hidden) head(k sessionKey, now head) (head, hiddenHead) {
	old, ok := h.of(k)
	if ok && old.last < now.last {
		members := now.members
		now = old.head
		now.members = members
	}
	return now, old
}
