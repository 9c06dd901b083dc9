package search

import (
	"cmp"
	"container/heap"
	"context"
	"math"
	"slices"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
)

// spot is a place in the order of all that can be found: the newest first, of the same
// time by session, in a session the newest first.
type spot struct {
	at      int64 // CreatedAt
	session protocol.SessionID
	seq     int64
}

func (a spot) compare(b spot) int {
	return cmp.Or(cmp.Compare(b.at, a.at), cmp.Compare(a.session, b.session), cmp.Compare(b.seq, a.seq))
}

// lane is what is still to be looked at of one session.
type lane struct {
	Room
	to    int64 // nothing above this seq is to be looked at any more
	from  int64 // the messages from here to to are what is compared next, 0: signatures will tell
	bound int64 // no message up to to that is wanted is newer than this
}

// lanes are a heap: the one with the newest messages first.
type lanes []*lane

func (l lanes) Len() int           { return len(l) }
func (l lanes) Less(i, j int) bool { return l[i].bound > l[j].bound }
func (l lanes) Swap(i, j int)      { l[i], l[j] = l[j], l[i] }
func (l *lanes) Push(x any)        { *l = append(*l, x.(*lane)) }
func (l *lanes) Pop() any {
	old := *l
	x := old[len(old)-1]
	*l = old[:len(old)-1]
	return x
}

// walk goes through all sessions at once, back in time. First it looks at the newest signatures of each, in
// the order that the store has them in: most sessions end there. Of the others it is
// always the block with the newest messages that is compared next, so that the walk may stop as soon as the page
// is full, and where it stops is a time.
type walk struct {
	ctx   context.Context
	r     Reader
	terms *terms
	query *Query
	types []int32
	now   time.Time
	start spot // hits are behind it
	after int64
	left  int       // messages to compare
	until time.Time // of the clock

	hits []spot
}

// skips is how many signatures of a session are read in one go, though those of others may be of newer messages.
const skips = 32

// run finds the next hits, the query's limit and one more at most. rest is behind which no hit was
// looked for, in partial: the work for one request was done.
func (w *walk) run(rooms []Room) (rest spot, partial bool, err error) {
	all := make(lanes, 0, len(rooms))
	for n, room := range rooms {
		if n%64 == 0 && w.ctx.Err() != nil {
			return rest, false, w.ctx.Err()
		}
		l := &lane{Room: room, to: room.Head, bound: w.start.at}
		if more, err := w.begin(l); err != nil {
			return rest, false, err
		} else if more {
			all = append(all, l)
		}
	}
	heap.Init(&all)
	for n := 0; len(all) > 0; n++ {
		top := all[0]
		if top.bound < w.after || w.full(top.bound) {
			return rest, false, nil
		}
		if n%64 == 0 && w.ctx.Err() != nil {
			return rest, false, w.ctx.Err()
		}
		if (w.left <= 0 || n%16 == 0 && time.Now().After(w.until)) && top.bound < w.start.at {
			w.hits = slices.DeleteFunc(w.hits, func(s spot) bool { return s.at <= top.bound })
			return spot{at: top.bound}, true, nil
		}
		more, err := w.step(top)
		if err != nil {
			return rest, false, err
		}
		if more {
			heap.Fix(&all, 0)
		} else {
			heap.Pop(&all)
		}
	}
	return rest, false, nil
}

// full says whether enough was found that is newer than bound. What is too much is let go of.
func (w *walk) full(bound int64) bool {
	if most := w.query.Limit + 1; len(w.hits) > 4*most {
		slices.SortFunc(w.hits, spot.compare)
		w.hits = w.hits[:most]
	}
	if len(w.hits) <= w.query.Limit {
		return false
	}
	n := 0
	for _, s := range w.hits {
		if s.at > bound {
			n++
		}
	}
	return n > w.query.Limit
}

// begin looks at the end of a session: what has no signature yet, if it is little, and
// the newest signatures. False: that was all of it.
func (w *walk) begin(l *lane) (more bool, err error) {
	if l.to-l.From >= skips*BlockSize && w.start.at < math.MaxInt64 {
		if l.to, err = w.place(l, w.start.at); err != nil {
			return false, err
		}
	}
	if more, err = w.seek(l); !more || err != nil || l.from == 0 || l.to < l.Head || l.bound < w.start.at {
		return more, err
	}
	// Nothing says how new this is: it is at the end, and has to be read to know.
	if more, err = w.step(l); !more || err != nil {
		return more, err
	}
	return w.seek(l)
}

// step looks at the next part of a session. False: that was all of it.
func (w *walk) step(l *lane) (more bool, err error) {
	if l.from == 0 {
		return w.seek(l)
	}
	return w.compare(l)
}

// seek passes over what the words cannot be in, as far as some signatures tell, and sets
// what is to be compared next.
func (w *walk) seek(l *lane) (more bool, err error) {
	if l.to < l.From {
		return false, nil
	}
	first := max((l.From-1)/BlockSize, (l.to-1)/BlockSize-skips+1)
	low := int64(0) // the lowest seq to be compared in the block that l.to is in, as far as is known
	maybe := false  // the words may be in that block
	err = w.r.Signatures(l.Session, first, (l.to-1)/BlockSize, func(block, n int64, signature []byte) bool {
		w.left--
		newest, may, ok := signed(signature, w.terms.grams)
		if ok && newest > 0 && newest < w.after {
			if !maybe && block*BlockSize+n >= l.to {
				l.to = 0 // nothing from here on is wanted
			}
			return false
		}
		if maybe {
			if ok && newest > w.start.at { // so is all of the block above
				l.to, maybe = min(l.to, block*BlockSize+n), false
			} else {
				return false
			}
		}
		if signed := block*BlockSize + n; signed < l.to {
			low = signed + 1
			return false
		}
		if ok && newest > 0 {
			l.bound = min(l.bound, newest)
		}
		if !may {
			l.to = block * BlockSize
			return true
		}
		maybe = true
		return newest > w.start.at
	})
	if err != nil || l.to < l.From {
		return false, err
	}
	if maybe || l.to > first*BlockSize {
		l.from = max(l.From, low, (l.to-1)/BlockSize*BlockSize+1)
	}
	return true, nil
}

// compare reads the messages from l.from to l.to.
func (w *walk) compare(l *lane) (more bool, err error) {
	from := l.from
	err = w.r.Messages(l.Session, from, l.to, func(m *Message) bool {
		w.left--
		l.bound = min(l.bound, m.CreatedAt)
		if m.CreatedAt < w.after {
			from = l.From // nothing below it is wanted
			return false
		}
		at := spot{m.CreatedAt, l.Session, m.Seq}
		if at.compare(w.start) > 0 && w.wanted(m) && w.terms.in(m.Content) {
			w.hits = append(w.hits, at)
		}
		return true
	})
	l.to, l.from = from-1, 0
	return l.to >= l.From, err
}

func (w *walk) wanted(m *Message) bool {
	if m.Expire > 0 && w.now.UnixMilli() >= m.CreatedAt+m.Expire*1000 {
		return false
	}
	if w.query.Sender != "" && string(m.Sender) != w.query.Sender {
		return false
	}
	return len(w.types) == 0 || slices.Contains(w.types, typeOf(m.Content))
}

// place gives the highest seq whose message is no newer than at, or one a little above it.
func (w *walk) place(l *lane, at int64) (int64, error) {
	low, high := l.From, l.Head
	for high-low >= BlockSize {
		middle := low + (high-low)/2
		found := int64(math.MaxInt64)
		err := w.r.Messages(l.Session, low, middle, func(m *Message) bool { found = m.CreatedAt; return false })
		if err != nil {
			return 0, err
		}
		if found == math.MaxInt64 || found <= at { // none up to the middle: what is wanted is above, if anywhere
			low = middle + 1
		} else {
			high = middle - 1
		}
	}
	return high, nil
}
