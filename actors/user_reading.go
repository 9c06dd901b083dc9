package actors

import (
	"context"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
)

// reading is a row's visit to the store, as it is new, has a gap, or changed by
// something that the log does not say. Meanwhile its entries are kept: behind a gap
// they wait, so that connections get every entry once and in order.
type reading struct {
	gap   bool     // entries after head are missing, held is to be delivered
	tell  bool     // connections get the row when it is there
	again bool     // read once more after this
	lost  bool     // … as behind a gap: entries may be missing that this one does not look for
	tries int      // that were in vain
	ahead *HomeRow // what another reading found meanwhile: the row is as that has it
	held  []*held  // entries that came meanwhile
}

type held struct {
	entry  *protocol.Entry
	shared *protocol.Shared
	skip   int64
	told   bool // connections got it when it came
}

// catchUp bounds how many missing entries are delivered; behind more than that a
// client reads the log by itself, as the head tells it to.
const catchUp = 5 * maxPage

// rereadAfter is how long a row waits that could not be read, and twice as long each time up
// to rereadAtMost: a store that cannot keep up is not helped by those who ask again.
const (
	rereadAfter  = time.Second
	rereadAtMost = 16 * time.Second
)

// again is how long a row waits that so many readings in vain lie behind already.
func again(tries int) time.Duration { return min(rereadAfter<<min(tries, 4), rereadAtMost) }

// catchingUp bounds how many lists and rows are read at once behind a gap: after a loss every
// user of the node wants that, and sessions have commits to do.
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
	if r.reading != nil {
		r.reading.again = r.reading.again || tell // what is told of now may be younger than what is being read
		r.reading.tell = r.reading.tell || tell
		r.reading.lost = r.reading.lost || gap
		return
	}
	r.reading = &reading{gap: gap, tell: tell}
	device := ""
	if len(u.conns) > 0 {
		device = u.conns[0].who.Device
	}
	if _, ok := u.node.streams.(Instant); ok {
		if err := u.follow(context.Background(), session); err != nil {
			u.node.log.Error("following a session", "user", u.id, "session", session, "err", err)
		}
	}
	from := r.told + 1
	away := u.node.apart
	if gap {
		away = u.node.aside
	}
	away(func() {
		ctx, cancel := u.node.background()
		defer cancel()
		h, missed, err := u.readRow(ctx, session, device, from, gap)
		u.node.tell(u.pid, done(func() { u.rereadDone(session, r, h, missed, device, err) }))
	})
}

// missed is what a reading found behind a gap: the entries up to upTo. What comes
// after that is published after the session was followed, and so arrives by itself.
type missed struct {
	entries []*protocol.Entry
	upTo    int64
}

// readRow reads a row, and behind a gap the entries from from on. The session is
// asked how far it has published, as the store may be ahead of that.
func (u *User) readRow(ctx context.Context, session protocol.SessionID, device string, from int64, gap bool) (h *HomeRow, m missed, err error) {
	if err = u.follow(ctx, session); err != nil {
		return nil, m, err
	}
	if gap {
		about, err := u.node.Ask(ctx, protocol.Identity{User: u.id}, &protocol.Frame{Body: &protocol.Frame_SessionGet{SessionGet: &protocol.SessionGet{Session: session, Limit: 1}}})
		if err != nil {
			return nil, m, err
		}
		m.upTo = about.GetSessionGetReply().GetInfo().GetHeadSeq()
		u.node.catchingUp <- struct{}{}
		defer func() { <-u.node.catchingUp }()
		var cancel context.CancelFunc
		ctx, cancel = u.node.background() // its turn has come: the time begins
		defer cancel()
	}
	if h, err = u.node.journal.HomeOf(ctx, u.id, session, device); err != nil {
		return nil, m, err
	}
	if h.Head < max(m.upTo, from-1) { // a store may bring a commit to its rows later
		return nil, m, protocol.Errorf(protocol.Code_BUSY, "the row of session %s is not of its newest entries yet", session)
	}
	for from = max(from, h.Member.Floor); from <= m.upTo && len(m.entries) < catchUp; {
		part, err := u.node.journal.Range(ctx, session, from, m.upTo, maxPage, pageBytes)
		if err != nil || len(part) == 0 {
			return h, m, err
		}
		m.entries = append(m.entries, part...)
		from = part[len(part)-1].Seq + 1
	}
	return h, m, nil
}

func (u *User) rereadDone(session protocol.SessionID, r *row, h *HomeRow, m missed, device string, err error) {
	if u.rows[session] != r {
		if u.rows[session] == nil {
			u.unfollow(session) // the user is out of it meanwhile
		}
		return
	}
	was := r.reading
	r.reading = nil
	switch {
	case protocol.Code_NOT_FOUND.Is(err):
		u.drop(session)
		if r.logEpoch != "" { // who was shown it may not have been told
			u.emit(protocol.NewShared(&protocol.Frame{Body: &protocol.Frame_SessionUpdate{SessionUpdate: &protocol.SessionUpdate{
				Session: session, Gone: true, GoneSeq: r.told,
			}}}), nil)
		}
		return
	case err != nil && r.logEpoch == "": // never read: there is nothing to show
		u.node.log.Error("reading a home row", "user", u.id, "session", session, "err", err)
		u.drop(session)
		time.AfterFunc(again(was.tries), func() {
			u.node.tell(u.pid, done(func() {
				if u.state == active && u.rows[session] == nil {
					u.reread(session, r.head, true, true)
					u.rows[session].reading.tries = was.tries + 1
				}
			}))
		})
		return
	case err != nil:
		if was.tries == 0 {
			u.node.log.Error("reading a home row", "user", u.id, "session", session, "err", err)
		}
		for _, x := range was.held {
			if x.told && x.entry.Seq > r.head {
				u.count(r, x.entry)
			}
			was.lost = was.lost || !x.told && x.entry.Seq > r.told
		}
		u.rereadLater(session, r, was)
		return
	}
	if a := was.ahead; a != nil && a.Head > h.Head {
		h, device = a, "" // entries up to there were shown, and are to be brought
	}
	before, members := r.head, r.info.MemberCount
	u.unread -= r.unread
	r.adopt(h, device)
	u.unread += r.unread
	u.outgrown(members, r.info.MemberCount)
	if r.head != before {
		r.headAt = u.offset + 1
	}
	if was.tell {
		u.emit(protocol.NewShared(&protocol.Frame{Body: &protocol.Frame_SessionUpdate{SessionUpdate: &protocol.SessionUpdate{Session: session, Head: u.head(r, "")}}}), nil)
	}
	skips := map[int64]int64{}
	for _, x := range was.held {
		skips[x.entry.Seq] = x.skip
	}
	for _, e := range m.entries {
		u.emitSkipping(protocol.NewShared(&protocol.Frame{Body: &protocol.Frame_MsgPush{MsgPush: e}}), skips[e.Seq])
	}
	if was.gap {
		r.told = max(r.told, m.upTo)
	}
	behind := false // entries are missing before one that came during the reading
	for _, x := range was.held {
		if x.entry.Seq > r.head {
			u.count(r, x.entry)
		}
		switch {
		case x.told || x.entry.Seq <= r.told:
		case x.entry.Seq == r.told+1:
			r.told = x.entry.Seq
			u.emitSkipping(x.shared, x.skip)
		default:
			behind = true
		}
	}
	if !was.tell {
		u.emitUnread(r, nil)
	}
	switch {
	case behind, was.lost, was.ahead != nil && r.told < r.head:
		u.reread(session, r.head, true, was.again)
	case was.again:
		u.reread(session, r.head, false, true)
	}
}

// rereadLater tries again what could not be read, until it can be: in a session in which
// nobody writes nothing else would show that entries are missing, or that what is unread was
// not counted.
func (u *User) rereadLater(session protocol.SessionID, r *row, was *reading) {
	time.AfterFunc(again(was.tries), func() {
		u.node.tell(u.pid, done(func() {
			if u.state != active || u.rows[session] != r {
				return
			}
			u.reread(session, r.head, was.gap || was.lost, was.tell || was.again)
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
