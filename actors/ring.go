package actors

import "github.com/troupe-im/troupe/internal/protocol"

// ring keeps a user's newest events for a resume. Their offsets follow each other, so that they
// are not kept: the newest one's is the user's.
type ring struct {
	events []*protocol.Shared // a circle, as soon as there are ringSize
	oldest int                // in it
}

// ringSize is how many events a resume can be behind: a phone that was in a tunnel.
// An event of a p2p session keeps about 1.1 KB, so a busy user keeps some 70 KB: most of what lives
// on a node whose users are busy, and what a collection costs grows with that.
const ringSize = 64

func (r *ring) put(s *protocol.Shared) {
	if len(r.events) < ringSize {
		r.events = append(r.events, s)
		return
	}
	r.events[r.oldest] = s
	r.oldest = (r.oldest + 1) % ringSize
}

// newest gives the last n, in order. There have to be as many.
func (r *ring) newest(n int) []*protocol.Shared {
	some := make([]*protocol.Shared, n)
	for i := range some {
		some[i] = r.events[(r.oldest+len(r.events)-n+i)%len(r.events)]
	}
	return some
}
