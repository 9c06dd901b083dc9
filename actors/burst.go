package actors

import "sync"

// A Burst gathers the links that got something while one commit is told about, so
// that a connection with an answer and three pushes is written to once. Whoever
// started the burst ends it; a link that comes too late writes by itself.
type Burst struct {
	mu    sync.Mutex
	ended bool
	links []Flusher
}

// Flusher is a link's write side.
type Flusher interface {
	// Flush writes what is queued, as far as that is possible without waiting.
	Flush()
}

// Add says that f has something to write at the end of the burst. False: the
// burst has ended (or is nil), f must flush by itself. A link adds itself once
// per turn from empty to not empty.
func (b *Burst) Add(f Flusher) bool {
	if b == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return false
	}
	b.links = append(b.links, f)
	return true
}

// End flushes every link that was added, and gives the room for the next burst's.
func (b *Burst) End() (room []Flusher) {
	b.mu.Lock()
	b.ended = true
	links := b.links
	b.links = nil
	b.mu.Unlock()
	for _, l := range links {
		l.Flush()
	}
	clear(links)
	const keep = 4096 // links, of 16 bytes each
	if cap(links) > keep {
		return nil
	}
	return links[:0]
}
