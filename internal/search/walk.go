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
	bound int64 // no message up to it is newer than this
	put   bool  // to is where the walk has to begin
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

// walk goes through all sessions at once, back in time: what is looked at next is always the
// block with the newest messages, so that it may stop as soon as the page is full, and where it
// stops is a time.
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
	var all lanes
	for _, room := range rooms {
		if room.Newest == 0 || room.Newest < w.after || room.From > room.Head {
			continue
		}
		all = append(all, &lane{Room: room, to: room.Head, bound: min(room.Newest, w.start.at), put: room.Newest <= w.start.at})
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

// full says whether enough was found that is newer than bound.
func (w *walk) full(bound int64) bool {
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

// step looks at the next part of a session. False: that was all of it.
func (w *walk) step(l *lane) (more bool, err error) {
	if !l.put {
		l.put = true
		if l.to, err = w.place(l, w.start.at); err != nil || l.to < l.From {
			return false, err
		}
	}
	if l.to%BlockSize != 0 { // the end, which has no signature yet, or the middle of a block
		return w.compare(l, (l.to-1)/BlockSize*BlockSize+1)
	}
	return w.skip(l)
}

// skip goes over blocks in which the words cannot be, and compares the first other one.
func (w *walk) skip(l *lane) (more bool, err error) {
	last := l.to/BlockSize - 1
	first := max((l.From-1)/BlockSize, last-skips+1)
	next := last // the block to be told of
	here, bound := false, l.bound
	err = w.r.Signatures(l.Session, first, last, func(block int64, signature []byte) bool {
		w.left--
		if block < next {
			return false // next has none
		}
		newest, may, ok := signed(signature, w.terms.grams)
		if ok && newest > 0 {
			bound = min(bound, newest)
		}
		if here = may; may {
			return false
		}
		next--
		return true
	})
	if err != nil {
		return false, err
	}
	l.to = (next + 1) * BlockSize
	if l.to < l.From {
		return false, nil
	}
	if !here && next < first { // the next part will tell
		l.bound = bound
		return true, nil
	}
	if bound < l.bound { // others may have newer ones
		l.bound = bound
		return true, nil
	}
	return w.compare(l, next*BlockSize+1)
}

// compare reads messages from l.to down to from.
func (w *walk) compare(l *lane, from int64) (more bool, err error) {
	from = max(from, l.From)
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
	l.to = from - 1
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
