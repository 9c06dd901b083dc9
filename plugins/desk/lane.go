package desk

import (
	"context"
	"slices"
	"time"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

// lane is a bot in a session while something is new there. All but what fill says is
// under the plug's mutex.
type lane struct {
	p *plug
	place
	loaded bool // cursor and state are read
	replay bool // it is made for one event: however old that is, it is given
	gone   bool // nobody finds it any more
	busy   bool // a worker reads
	more   bool // look again when it is done
	used   time.Time

	working, inReady, starving bool // it is in p.work, p.ready, p.starved

	low     int64 // all up to here is done: the cursor
	read    int64 // all up to here was looked at
	head    int64 // the newest entry known of
	ahead   map[int64]bool
	pending []*hand // in order, from the first that is not done
	dirty   bool

	offered []*protocol.Entry // behind read, in order, without a hole
	typ     protocol.SessionType
	met     bool // typ is known
	bots    []protocol.UserID
	state   State
	roles   map[protocol.UserID]role
}

// role is a member's, as of a moment.
type role struct {
	role protocol.Role
	at   time.Time
}

// maxAhead bounds how far events may be done before an older one is, in seqs.
const maxAhead = 1000

// meet takes over what a session says of itself.
func (l *lane) meet(o *actors.Offer) {
	if o.Info != nil && !l.met { // it is read without the lock later, and never another one
		l.typ, l.met = o.Info.SessionType, true
	}
	l.bots, l.used = o.Bots, l.p.d.need.Now()
}

func (l *lane) group() bool { return l.typ != protocol.SessionType_P2P }

func (l *lane) idle() bool {
	return l.loaded && !l.busy && !l.working && !l.inReady && !l.dirty && len(l.pending) == 0 && l.read >= l.head
}

// wake has the lane's events given in its turn.
func (l *lane) wake() {
	if l.inReady || l.gone || !slices.ContainsFunc(l.pending, func(h *hand) bool { return h.state == waiting }) {
		return
	}
	l.inReady = true
	l.p.ready = append(l.p.ready, l)
}

// next is the first event that waits for no other; starved: there is one, but it may not
// be given now: slow says whether what people say in groups may, suspects whether what
// was in hand at a crash may.
func (l *lane) next(slow, suspects bool) (h *hand, starved bool) {
	var keys []string
	for _, h := range l.pending {
		if h.state == over || slices.Contains(keys, h.key) {
			continue
		}
		if h.state == waiting {
			if (h.quick || slow) && (h.crashes == 0 || suspects) {
				return h, false
			}
			starved = true
		}
		keys = append(keys, h.key)
	}
	return nil, starved
}

// done moves the cursor over h.
func (l *lane) done(h *hand) {
	i := slices.Index(l.pending, h)
	if i < 0 || l.gone {
		return
	}
	l.pending = slices.Delete(l.pending, i, i+1)
	l.p.held--
	l.used = l.p.d.need.Now()
	l.ahead[h.seq] = true
	l.advance()
	l.wake()
	if l.head > l.read && len(l.pending) <= l.p.d.cfg.Page/2 {
		l.p.want(l)
	}
	if full := l.p.full; len(full) > 0 && l.p.held <= l.p.d.cfg.Held*3/4 {
		l.p.full = nil
		for _, l := range full {
			l.p.want(l)
		}
	}
}

func (l *lane) advance() {
	low := l.read
	if len(l.pending) > 0 {
		low = l.pending[0].seq - 1
	}
	if low > l.low {
		l.low, l.dirty = low, true
		for seq := range l.ahead {
			if seq <= low {
				delete(l.ahead, seq)
			}
		}
	} else if len(l.ahead) > 0 {
		l.dirty = true
	}
}

func (l *lane) cursor() *Cursor {
	c := &Cursor{Bot: l.bot, Session: l.session, Seq: l.low}
	for seq := range l.ahead {
		c.Ahead = append(c.Ahead, seq)
	}
	slices.Sort(c.Ahead)
	return c
}

// fill reads what is new until a page of events waits. One worker does it at a time.
func (l *lane) fill() {
	p := l.p
	ctx, cancel := p.d.background()
	defer cancel()
	err := l.load(ctx)
	for err == nil {
		var entries []*protocol.Entry
		p.mu.Lock()
		room := len(l.pending) < p.d.cfg.Page && l.read-l.low < maxAhead
		if room && p.held >= p.d.cfg.Held && l.head > l.read {
			p.full = append(p.full, l)
			room = false
		}
		if l.gone || !room || l.head <= l.read {
			l.finish()
			p.mu.Unlock()
			return
		}
		for len(l.offered) > 0 && l.offered[0].Seq <= l.read {
			l.offered = l.offered[1:]
		}
		if len(l.offered) > 0 && l.offered[0].Seq == l.read+1 {
			entries, l.offered = l.offered, nil
		}
		l.offered = nil
		read := l.read
		p.mu.Unlock()
		if entries == nil {
			if entries, err = l.fetch(ctx, read); err != nil {
				break
			}
		}
		for _, e := range entries {
			if err = l.take(ctx, e); err != nil {
				break
			}
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case l.gone:
	case protocol.Code_NOT_FOUND.Is(err): // it is not in it any more
		p.drop(l)
		p.overflow = true // whoever took it out says so, or the next walk finds it
	default:
		if p.d.ctx.Err() == nil && protocol.AsError(err).Code == protocol.Code_INTERNAL {
			p.d.need.Log.Error("reading for a bot", "user", l.bot, "session", l.session, "err", err)
		}
		time.AfterFunc(time.Second, func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			l.busy = false
			if !l.gone {
				p.want(l)
			}
		})
		return // busy, until then
	}
	l.busy = false
}

// finish ends a worker's turn.
func (l *lane) finish() {
	l.busy = false
	if l.more && !l.gone {
		l.more = false
		if l.head > l.read && len(l.pending) < l.p.d.cfg.Page && l.read-l.low < maxAhead && l.p.held < l.p.d.cfg.Held {
			l.p.want(l)
		}
	}
}

// load reads how far the bot is, and how it stands in the session.
func (l *lane) load(ctx context.Context) (err error) {
	if l.loaded {
		return nil
	}
	p := l.p
	c, err := p.d.need.Store.BotCursor(ctx, l.bot, l.session)
	if err != nil {
		return err
	}
	state, err := p.d.need.Store.BotState(ctx, l.bot, l.session)
	if err != nil {
		return err
	}
	p.mu.Lock()
	met, offered, head := l.met, l.offered, l.head
	p.mu.Unlock()
	var info *protocol.SessionInfo
	if !met || c == nil || c.Seq < 0 {
		if info, err = p.d.session(ctx, p.speak(l.bot), l.session); err != nil {
			return err
		}
		head = max(head, info.HeadSeq)
	}
	fresh, came := c == nil, true
	if fresh {
		c = &Cursor{}
		if len(offered) > 0 && joins(offered[0], l.bot) {
			c.Seq = offered[0].Seq - 1
		} else if c.Seq, came, err = l.joined(ctx, head); err != nil {
			return err
		}
	}
	if !came && c.Seq == 0 {
		c.Seq = -1
	}
	if c.Seq < 0 {
		defer func() {
			if err == nil {
				err = l.greet(ctx, info)
			}
		}()
	}
	p.writing.Lock()
	defer p.writing.Unlock()
	p.mu.Lock()
	if info != nil && !l.met {
		l.typ, l.met = info.SessionType, true
	}
	head = max(head, l.head)      // it may have been offered more meanwhile
	if c.Seq > head && head > 0 { // an older backup was put back
		c.Seq, c.Ahead, fresh = head, nil, true
	}
	l.state, l.low, l.read, l.head, l.loaded = state, c.Seq, max(0, c.Seq), head, true
	for _, seq := range c.Ahead {
		l.ahead[seq] = true
	}
	first, gone := l.cursor(), l.gone
	p.mu.Unlock()
	// It is durable before the bot hears of the session: who knows that it came in is
	// told that it was taken out, and walkGone finds that by the cursor.
	if fresh && !gone && !p.put(ctx, []*Cursor{first}) {
		p.mu.Lock()
		l.loaded = false
		p.mu.Unlock()
		return protocol.Errorf(protocol.Code_BUSY, "a bot's cursor cannot be written now")
	}
	return nil
}

func joins(e *protocol.Entry, bot protocol.UserID) bool {
	return e.Kind == protocol.Kind_JOIN && slices.Contains(e.Members, bot)
}

// greet tells the bot of a session that was made with it: no entry says so.
func (l *lane) greet(ctx context.Context, info *protocol.SessionInfo) error {
	e := &protocol.Entry{Session: l.session, MessagerecvId: l.session + ".0", Sender: info.Creator, CreatedAt: info.CreatedAt}
	if l.tooOld(e) {
		l.p.mu.Lock()
		l.advance()
		l.p.mu.Unlock()
		return nil
	}
	if err := l.askConsent(ctx, 0); err != nil {
		l.p.d.need.Log.Error("asking for consent", "user", l.bot, "session", l.session, "err", err)
	}
	h := l.hand(ctx, e, "added")
	h.event.Message = ""
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	if _, done := l.p.settled.get(h.event.Id); l.gone || done {
		l.advance()
		return nil
	}
	l.pending = append(l.pending, h)
	l.p.held++
	if why, text := l.p.resume(h); why != "" {
		l.p.bury(h, why, text)
	} else {
		l.wake()
	}
	l.p.dispatch()
	return nil
}

// joined finds the entry by which the bot came into the session, and gives the seq before
// it. Behind 50 pages it is taken for old, and begins with what is new. Without such an
// entry, and seq 0, it was there from the beginning.
func (l *lane) joined(ctx context.Context, head int64) (seq int64, found bool, err error) {
	before := head + 1
	for range 50 {
		r, err := l.sync(ctx, &protocol.Sync{Session: l.session, BeforeSeq: &before, Limit: 200})
		if err != nil {
			return 0, false, err
		}
		for _, e := range slices.Backward(r.Messages) {
			if joins(e, l.bot) {
				return e.Seq - 1, true, nil
			}
		}
		if len(r.Messages) == 0 {
			return before - 1, false, nil
		}
		if before = r.Messages[0].Seq; !r.HasMore {
			return before - 1, false, nil
		}
	}
	return head, false, nil
}

func (l *lane) sync(ctx context.Context, m *protocol.Sync) (*protocol.SyncReply, error) {
	r, err := l.p.d.need.Actors.Ask(ctx, l.p.speak(l.bot), &protocol.Frame{Body: &protocol.Frame_Sync{Sync: m}})
	if err != nil {
		return nil, err
	}
	return r.GetSyncReply(), nil
}

// fetch reads the next page of the log.
func (l *lane) fetch(ctx context.Context, read int64) ([]*protocol.Entry, error) {
	r, err := l.sync(ctx, &protocol.Sync{Session: l.session, AfterSeq: &read, Limit: int64(l.p.d.cfg.Page)})
	if err != nil && !protocol.Code_OUT_OF_RANGE.Is(err) {
		return nil, err
	}
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	if err != nil || len(r.Messages) == 0 { // nothing is behind it, whatever was said
		l.head = l.read
		return nil, nil
	}
	l.head = max(l.head, r.HeadSeq)
	return r.Messages, nil
}

// take makes an event of an entry, where it is one for this bot.
func (l *lane) take(ctx context.Context, e *protocol.Entry) error {
	h, err := l.event(ctx, e)
	if err != nil {
		return err
	}
	p := l.p
	if p.single.Load() && !p.d.need.Owns(l.session) { // nobody offered it here
		p.d.loops.saw(&actors.Offer{Session: l.session, Entries: []*protocol.Entry{e}})
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if l.gone {
		return nil
	}
	l.read = max(l.read, e.Seq)
	l.head = max(l.head, l.read)
	if h != nil && !l.ahead[e.Seq] {
		if _, done := p.settled.get(h.event.Id); !done {
			l.pending = append(l.pending, h)
			p.held++
			if why, text := p.resume(h); why != "" {
				p.bury(h, why, text)
			} else {
				l.wake()
			}
		}
	}
	if h == nil { // what it was once is none any more: it is too old by now
		p.untry(protocol.DeliveryID(e.MessagerecvId, l.bot))
	}
	l.advance()
	p.dispatch()
	return nil
}
