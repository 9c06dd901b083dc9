package actors

import (
	"context"
	"slices"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
)

// reading is a row's visit to the store, as it is new, has a gap, or changed by something
// that the log does not say. It has two halves: what is missing is looked for, and what is
// unread is counted. The first is brought to connections as soon as it is there, however long the
// second takes; while it is under way, entries behind the gap wait, so that connections
// get every entry once and in order.
type reading struct {
	gap     bool     // entries after told are missing, and looked for: held is to be delivered
	counts  bool     // the row is being read with what is unread
	upTo    int64    // how far what was missing was brought; a count has to be of that at least
	tell    bool     // connections get the row when it is there
	shown   bool     // … they got it, and what is unread is to follow
	again   bool     // read once more after this, and tell connections the row
	recount bool     // … and what is unread
	lost    bool     // … as behind a gap: entries may be missing that this one does not look for
	tries   int      // that were in vain
	ahead   *HomeRow // what another reading found meanwhile: the row is as that has it
	held    []*held  // entries that came meanwhile
}

type held struct {
	entry  *protocol.Entry
	shared *protocol.Shared
	skip   int64
	told   bool // connections got it when it came
}

// rereadAfter is how long a row waits that could not be read, and twice as long each time up
// to rereadAtMost: a store that cannot keep up is not helped by those who ask again.
const (
	rereadAfter  = time.Second
	rereadAtMost = 16 * time.Second
)

// again is how long a row waits that so many readings in vain lie behind already.
func again(tries int) time.Duration { return min(rereadAfter<<min(tries, 4), rereadAtMost) }

// catchingUp bounds how many lists and rows are read at once behind a gap, and how many rows are
// counted: after a loss every user of the node wants that, and sessions have commits to do. To be
// counted takes a turn of its own, as what is missing does not wait for that.
const catchingUp = 4

// catchUp runs f when its turn has come; its time begins then.
func (n *Node) catchUp(f func(ctx context.Context)) {
	n.aside(func() {
		n.catchingUp <- struct{}{}
		defer func() { <-n.catchingUp }()
		ctx, cancel := n.background()
		defer cancel()
		f(ctx)
	})
}

// reread reads a row from the store; head is what is known of a row that is new.
func (u *User) reread(session protocol.SessionID, head int64, gap, tell bool) {
	r := u.rows[session]
	if r == nil {
		r = &row{info: &protocol.SessionInfo{Session: session}, head: head, told: head}
		if u.rows == nil {
			u.rows = map[protocol.SessionID]*row{}
		}
		u.rows[session] = r
		gap = true // what came before the session was followed
	}
	w := r.reading
	if w != nil {
		w.again = w.again || tell // what is told of now may be younger than what is being read
	} else {
		w = &reading{}
		r.reading = w
		if _, ok := u.node.streams.(Instant); ok {
			if err := u.follow(context.Background(), session); err != nil {
				u.node.failed("following a session", err, "user", u.id, "session", session)
			}
		}
	}
	w.tell = w.tell || tell
	switch {
	case gap && w.gap:
		w.lost = true
	case gap:
		u.look(session, r)
	case !w.gap && !w.counts:
		u.tally(session, r)
	}
}

// device is the one whose received mark is read with a row.
func (u *User) device() string {
	if len(u.conns) == 0 {
		return ""
	}
	return u.conns[0].who.Device
}

// newest says that a row is not of what was told already: a store may bring a commit to its
// rows later.
func newest(h *HomeRow, told int64) error {
	if h.Head < told {
		return protocol.Errorf(protocol.Code_BUSY, "the row of session %s is not of its newest entries yet", h.Info.Session)
	}
	return nil
}

// reads says whether r is still the session's row, and is being read.
func (u *User) reads(session protocol.SessionID, r *row) bool {
	if u.rows[session] == r {
		return true
	}
	if u.rows[session] == nil {
		u.unfollow(session) // the user is out of it meanwhile
	}
	return false
}

// adopt makes a row what the store has.
func (u *User) adopt(r *row, h *HomeRow, device string) {
	before, members := r.head, r.info.MemberCount
	u.unread -= r.unread
	r.adopt(h, device)
	u.unread += r.unread
	u.outgrown(members, r.info.MemberCount)
	if r.head != before {
		r.headAt = u.offset + 1
	}
}

func (u *User) showRow(session protocol.SessionID, r *row) {
	u.emit(protocol.NewShared(&protocol.Frame{Body: &protocol.Frame_SessionUpdate{SessionUpdate: &protocol.SessionUpdate{Session: session, Head: u.head(r, "")}}}), nil)
}

// release counts what came while r is read, and gives it to connections up to the next gap;
// behind says that there is one.
func (u *User) release(r *row) (behind bool) {
	for _, x := range r.reading.held {
		switch {
		case x.told || x.entry.Seq <= r.told:
			x.told = true
		case x.entry.Seq == r.told+1:
			x.told = true
			r.told = x.entry.Seq
			u.emitSkipping(x.shared, x.skip)
		default:
			behind = true
			continue
		}
		if x.entry.Seq > r.head {
			u.count(r, x.entry)
		}
	}
	return behind
}

// tally reads a row with what is unread.
func (u *User) tally(session protocol.SessionID, r *row) {
	w := r.reading
	w.counts = true
	told, device := r.told, u.device()
	away, turn := u.node.apart, chan struct{}(nil)
	if w.upTo > 0 || w.shown { // one of many, as after a loss
		away, turn = u.node.aside, u.node.counting
	}
	away(func() {
		ctx, cancel := u.node.background()
		defer cancel()
		h, err := u.readRow(ctx, session, device, told, turn)
		u.node.tell(u.pid, done(func() { u.tallied(session, r, h, device, err) }))
	})
}

func (u *User) readRow(ctx context.Context, session protocol.SessionID, device string, told int64, turn chan struct{}) (*HomeRow, error) {
	if err := u.follow(ctx, session); err != nil {
		return nil, err
	}
	if turn != nil {
		turn <- struct{}{}
		defer func() { <-turn }()
		var cancel context.CancelFunc
		ctx, cancel = u.node.background() // its turn has come: the time begins
		defer cancel()
	}
	h, err := u.node.journal.HomeOf(ctx, u.id, session, device)
	if err != nil {
		return nil, err
	}
	return h, newest(h, told)
}

// tallied takes a row over that was read with what is unread.
func (u *User) tallied(session protocol.SessionID, r *row, h *HomeRow, device string, err error) {
	if !u.reads(session, r) {
		return
	}
	w := r.reading
	w.counts = false
	if err != nil {
		u.tallyFailed(session, r, err)
		return
	}
	if a := w.ahead; a != nil && a.Head > h.Head {
		h, device = a, "" // entries up to there were shown, and are to be brought
	}
	if h.Head < w.upTo { // it was read before what was missing was brought
		u.tally(session, r)
		return
	}
	known, head, headAt := r.unread, r.head, r.headAt
	u.adopt(r, h, device)
	shows := w.tell
	if shows {
		u.showRow(session, r)
		w.tell = false
	}
	behind := false
	if !w.gap {
		behind = u.release(r)
	} else {
		for _, x := range w.held {
			if x.told && x.entry.Seq > r.head {
				u.count(r, x.entry)
			}
		}
	}
	if r.head == head { // it only came back to where it was
		r.headAt = headAt
	}
	if !shows && !(w.shown && r.unread == known) { // whoever was shown the row has counted what came
		u.emitUnread(r, nil)
	}
	if w.gap {
		w.held = slices.DeleteFunc(w.held, func(x *held) bool { return x.told })
		return
	}
	r.reading = nil
	switch {
	case behind, w.lost, w.ahead != nil && r.told < r.head:
		u.reread(session, r.head, true, w.again)
	case w.again, w.recount:
		u.reread(session, r.head, false, w.again)
	}
}

// tallyFailed is told that what is unread could not be counted.
func (u *User) tallyFailed(session protocol.SessionID, r *row, err error) {
	w := r.reading
	switch {
	case protocol.Code_NOT_FOUND.Is(err):
		u.ousted(session, r)
	case w.gap: // once that is closed it is counted
	default:
		r.reading = nil
		missing := slices.ContainsFunc(w.held, func(x *held) bool { return !x.told && x.entry.Seq > r.told })
		u.rereadLater(session, r, w, w.lost || missing, err)
	}
}

// ousted takes a session out of the list of a user who is not in it any more.
func (u *User) ousted(session protocol.SessionID, r *row) {
	u.drop(session)
	if r.logEpoch != "" { // who was shown it may not have been told
		u.emit(protocol.NewShared(&protocol.Frame{Body: &protocol.Frame_SessionUpdate{SessionUpdate: &protocol.SessionUpdate{
			Session: session, Gone: true, GoneSeq: r.told,
		}}}), nil)
	}
}

// rereadLater tries again what could not be read, until it can be: in a session in which
// nobody writes nothing else would show that entries are missing, or that what is unread was
// not counted.
func (u *User) rereadLater(session protocol.SessionID, r *row, was *reading, gap bool, err error) {
	if was.tries == 0 {
		u.node.failed("reading a home row", err, "user", u.id, "session", session)
	}
	time.AfterFunc(again(was.tries), func() {
		u.node.tell(u.pid, done(func() {
			if u.state != active || u.rows[session] != r {
				return
			}
			u.reread(session, r.head, gap, was.tell || was.again)
			r.reading.tries = was.tries + 1
		}))
	})
}

// drop takes a session out of the home list.
func (u *User) drop(session protocol.SessionID) {
	if r := u.rows[session]; r != nil {
		u.unread -= r.unread
		delete(u.rows, session)
	}
	u.unfollow(session)
	u.leftTogether(u.allWatched())
}
