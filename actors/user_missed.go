package actors

import (
	"context"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
)

// The half of a reading that looks for what is missing behind a gap.

// catchUp bounds how many missing entries are delivered; behind more than that a
// client reads the log by itself, as the head tells it to.
const catchUp = 5 * maxPage

// look looks for what is missing behind what connections were told.
func (u *User) look(session protocol.SessionID, r *row) {
	r.reading.gap = true
	from, device := r.told+1, u.device()
	u.node.aside(func() {
		ctx, cancel := u.node.background()
		defer cancel()
		h, missed, err := u.readMissed(ctx, session, device, from)
		u.node.tell(u.pid, done(func() { u.looked(session, r, h, missed, device, err) }))
	})
}

// missed is what was found behind a gap: the entries up to upTo. What comes
// after that is published after the session was followed, and so arrives by itself.
type missed struct {
	entries []*protocol.Entry
	upTo    int64
}

// readMissed reads the entries from from on, and the row without what is unread, up to what
// the session has published.
func (u *User) readMissed(ctx context.Context, session protocol.SessionID, device string, from int64) (h *HomeRow, m missed, err error) {
	if err = u.follow(ctx, session); err != nil {
		return nil, m, err
	}
	if m.upTo, err = u.node.headOf(ctx, u.id, session); err != nil {
		return nil, m, err
	}
	u.node.catchingUp <- struct{}{}
	defer func() { <-u.node.catchingUp }()
	ctx, cancel := u.node.background() // its turn has come: the time begins
	defer cancel()
	if h, err = u.node.journal.RowOf(ctx, u.id, session, device); err == nil {
		err = newest(h, max(m.upTo, from-1))
	}
	if err != nil {
		return nil, m, err
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

// looked brings connections what was missing, and has what is unread counted.
func (u *User) looked(session protocol.SessionID, r *row, h *HomeRow, m missed, device string, err error) {
	if !u.reads(session, r) {
		return
	}
	w := r.reading
	w.gap = false
	if err != nil {
		u.lookFailed(session, r, err)
		return
	}
	counted := r.head
	if h.Head >= counted { // what is unread goes on from what is known, until it is counted
		h.Head, h.Unread, h.Mentioned = counted, r.unread, r.mentioned
		h.Member.ReadSeq = max(h.Member.ReadSeq, r.member.ReadSeq)
		if h.Last.GetSeq() > counted {
			h.Last = r.last
		}
		u.adopt(r, h, device)
	}
	if w.tell {
		u.showRow(session, r)
		w.tell, w.shown = false, true
	}
	skips := map[int64]int64{}
	for _, x := range w.held {
		skips[x.entry.Seq] = x.skip
	}
	for _, e := range m.entries {
		u.countMissed(r, e, counted)
		u.emitSkipping(protocol.NewShared(&protocol.Frame{Body: &protocol.Frame_MsgPush{MsgPush: e}}), skips[e.Seq])
	}
	if m.upTo > r.head {
		r.head, r.headAt = m.upTo, u.offset+1
	}
	r.told = max(r.told, m.upTo)
	w.upTo = r.told
	if behind := u.release(r); behind || w.lost {
		w.lost = false
		u.look(session, r)
	}
	if !w.counts {
		u.tally(session, r)
	}
}

// countMissed counts an entry that was missing as far as that can be told without the store: it
// is as it stands, so what was taken back of what is behind counted has not been counted either.
func (u *User) countMissed(r *row, e *protocol.Entry, counted int64) {
	if e.Seq <= r.head {
		return
	}
	switch e.Kind {
	case protocol.Kind_RECALL, protocol.Kind_EXPIRE:
		if e.Target > counted {
			return
		}
		fallthrough
	case protocol.Kind_MESSAGE:
		u.count(r, e)
	}
}

// lookFailed is told that what is missing could not be read.
func (u *User) lookFailed(session protocol.SessionID, r *row, err error) {
	w := r.reading
	switch {
	case protocol.Code_NOT_FOUND.Is(err):
		u.ousted(session, r)
	case r.logEpoch == "": // never read: there is nothing to show
		u.node.failed("reading a home row", err, "user", u.id, "session", session)
		u.drop(session)
		time.AfterFunc(again(w.tries), func() {
			u.node.tell(u.pid, done(func() {
				if u.state == active && u.rows[session] == nil {
					u.reread(session, r.head, true, true)
					u.rows[session].reading.tries = w.tries + 1
				}
			}))
		})
	default:
		if !w.counts {
			r.reading = nil
		}
		u.rereadLater(session, r, w, true, err)
	}
}
