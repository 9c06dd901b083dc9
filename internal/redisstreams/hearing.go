package redisstreams

import (
	"sync/atomic"
	"time"
)

// hearing is what shows that events of other nodes arrive here: this node reads its stream,
// Redis takes what is written, and nothing is owed to the receiver.
type hearing struct {
	since time.Time     // of the two times below, which are counted from it, as clocks jump
	read  atomic.Int64  // when the stream was read last, in nanoseconds
	kept  atomic.Int64  // when Redis did all of a beat last
	lossy atomic.Bool   // Redis has forgotten something, and the node has no new place yet
	owed  chan struct{} // has room for one: Receiver.Lost is to be called
	tells atomic.Bool   // it is being called
	moved atomic.Bool   // … for the first time since the node took a new place
}

const (
	// unread is for how long nothing may be read: an XREAD that finds nothing ends after 0.5 s.
	unread = 2 * time.Second
	// unkept is the same of beats, which are a second apart and take up to Config.Timeout.
	unkept = 3 * time.Second
)

func (h *hearing) init() {
	h.since, h.owed = time.Now(), make(chan struct{}, 1)
	h.read.Store(-int64(unread)) // nothing was heard before the first time
	h.kept.Store(-int64(unkept))
}

// now notes that one of the times is now.
func (h *hearing) now(of *atomic.Int64) { of.Store(int64(time.Since(h.since))) }

// Deaf fills actors.Hearing.
func (s *Streams) Deaf() bool {
	h := &s.hearing
	now := int64(time.Since(h.since))
	return now-h.read.Load() > int64(unread) || now-h.kept.Load() > int64(unkept) ||
		h.lossy.Load() || len(h.owed) > 0 || h.tells.Load()
}

// owe has Receiver.Lost called soon.
func (s *Streams) owe() {
	select {
	case s.hearing.owed <- struct{}{}:
	default:
	}
}

// betweenLosses is how long lies between two calls of Lost: each has every user of the
// node read what it missed.
const betweenLosses = time.Second

func (s *Streams) lose() {
	h := &s.hearing
	for {
		select {
		case <-h.owed:
		case <-s.ctx.Done():
			return
		}
		h.tells.Store(true)
		if h.moved.Swap(false) { // the others notice within a beat what befell Redis, and tell what of theirs did not come
			s.pause(s.ctx, s.cfg.beat)
		}
		// One call does for all that is registered in a row.
		all := false
		for range 60 {
			if all = !s.clerk.works(); all || !s.pause(s.ctx, 25*time.Millisecond) {
				break
			}
		}
		select {
		case <-h.owed: // meanwhile: it is told now
		default:
		}
		s.stats.Losses.Add(1)
		s.receiver.Lost()
		if !all {
			s.owe() // for what is registered from here on
		}
		h.tells.Store(false)
		if !s.pause(s.ctx, betweenLosses) {
			return
		}
	}
}
