package actors

import (
	"errors"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/troupe-im/troupe/internal/access"
	"github.com/troupe-im/troupe/internal/protocol"
)

const (
	// maxDrafts is how many drafts a session has at once.
	maxDrafts = 8
	// draftTexts is how long a draft may be, as a multiple of what a message may.
	draftTexts = 4
	// draftBeat is the time between two frames of a draft: 20 a second, which people see
	// as steady, where a model says 50 to 100 words. In a session with more members than
	// get receipts it is as many times as long.
	draftBeat = 50 * time.Millisecond
	// draftSilence is how long a bot may say nothing before its draft has failed.
	draftSilence = time.Minute
	// draftsBytes bounds the drafts that go with a page of the log, as pageBytes does the page.
	draftsBytes = 96 << 10
)

// drafts are what bots are writing in a session: in no log, gone when the process ends.
type drafts struct {
	open  []*draft // in the order they were begun
	timer *time.Timer
	next  time.Time // when timer goes off; zero: it is not set
}

// draft is one text that is being written. Its clients have text up to from.
type draft struct {
	bot     protocol.UserID
	stream  string
	replyTo string
	began   int64 // Unix milliseconds
	text    []byte
	from    int
	news    bool  // there is something that clients do not have
	rev     int64 // of the newest frame
	told    time.Time
	heard   time.Time
}

// draftsDue asks a session to look at its drafts, as some are due.
type draftsDue struct{}

// Draft passes on a part of what a bot is writing. It does not block. What does not go on
// where the draft ends, or comes from a bot that may not write there, is dropped: the
// message that the draft becomes is what counts.
func (n *Node) Draft(d *Draft) {
	if _, err := protocol.ParseSessionID(d.Session); err == nil {
		n.tellSession(d.Session, d)
	}
}

// of finds a draft; nil: there is none.
func (ds *drafts) of(stream string) *draft {
	if ds == nil {
		return nil
	}
	for _, d := range ds.open {
		if d.stream == stream {
			return d
		}
	}
	return nil
}

// by is of, if the draft is that bot's.
func (ds *drafts) by(bot protocol.UserID, stream string) *draft {
	if d := ds.of(stream); d != nil && d.bot == bot {
		return d
	}
	return nil
}

func (s *Session) draft(m *Draft) {
	if !s.ready(m) {
		return
	}
	defer func() {
		if e := recover(); e != nil {
			s.node.panicked("session", e)
			s.reload()
		}
	}()
	d := s.drafts.of(m.Stream)
	switch {
	case d != nil && d.bot != m.Bot:
		return
	case m.Over != "" || !s.mayDraft(m.Bot):
		if d != nil {
			s.endDraft(d, m.Over != "cancelled")
		}
		return
	case d == nil:
		if d = s.beginDraft(m); d == nil {
			return
		}
	}
	now := time.Now()
	d.heard = now
	if d.write(m.At, m.Text, draftTexts*s.node.cfg.MaxText) && now.Sub(d.told) >= s.draftBeat() {
		s.publish([]*Event{s.streamed(d, now)}, nil)
	}
	s.wind(now)
}

// mayDraft says whether a bot may write in the session now.
func (s *Session) mayDraft(bot protocol.UserID) bool {
	return s.info != nil && !s.info.Dead && slices.Contains(s.bots, bot) &&
		mayWrite(s.info, s.members[bot], time.Now()) == nil && s.mayTalk(bot) == nil
}

// beginDraft makes room for a draft; nil: m begins none. Of what is a message already
// there is no draft any more.
func (s *Session) beginDraft(m *Draft) *draft {
	if m.At != 0 || m.Stream == "" || len(m.Stream) > maxClientMsgID || s.drafts != nil && len(s.drafts.open) >= maxDrafts {
		return nil
	}
	if known, _ := s.sent.find(protocol.SentKey(m.Bot, m.Stream)); known != nil {
		return nil
	}
	d := &draft{bot: m.Bot, stream: m.Stream, began: time.Now().UnixMilli(), news: true}
	if session, _, err := protocol.ParseMessageID(m.ReplyTo); err == nil && session == s.id {
		d.replyTo = m.ReplyTo
	}
	if s.drafts == nil {
		s.drafts = &drafts{}
	}
	s.drafts.open = append(s.drafts.open, d)
	return d
}

// write replaces the text from the byte at on, and says whether clients lack something.
// A text that leaves a hole, or goes beyond most bytes, is not taken, or not all of it.
func (d *draft) write(at int64, text string, most int) bool {
	if at < 0 || at > int64(len(d.text)) {
		return d.news
	}
	from := int(at)
	for from > 0 && from < len(d.text) && !utf8.RuneStart(d.text[from]) {
		from--
	}
	if from == len(d.text) && text == "" {
		return d.news
	}
	if !d.news {
		d.from = from
	}
	d.from, d.news = min(d.from, from), true
	d.text = append(d.text[:from], strings.ToValidUTF8(text, "\uFFFD")...)
	if len(d.text) > most {
		for most > 0 && !utf8.RuneStart(d.text[most]) {
			most--
		}
		d.text = d.text[:most]
		d.from = min(d.from, most)
	}
	return true
}

// units counts UTF-16 code units, as JavaScript does.
func units(text []byte) (n int64) {
	for _, r := range string(text) {
		if n++; r >= 0x10000 {
			n++
		}
	}
	return n
}

// frame says of a draft what clients lack; whole: as much as they need who have nothing.
func (s *Session) frame(d *draft, whole bool) *protocol.MsgStream {
	from := d.from
	switch {
	case whole:
		from = 0
	case !d.news:
		from = len(d.text)
	}
	return &protocol.MsgStream{
		Session: s.id, StreamId: d.stream, Sender: d.bot, Rev: d.rev, At: units(d.text[:from]), Text: string(d.text[from:]),
		ReplyTo: d.replyTo, CreatedAt: d.began,
	}
}

func streamEvent(m *protocol.MsgStream) *Event {
	return &Event{Ephemeral: true, Shared: protocol.NewShared(&protocol.Frame{Body: &protocol.Frame_MsgStream{MsgStream: m}})}
}

// streamed is the next frame of a draft.
func (s *Session) streamed(d *draft, now time.Time) *Event {
	d.rev++
	m := s.frame(d, false)
	d.news, d.told = false, now
	return streamEvent(m)
}

// draftBeat is the time between two frames of a draft here.
func (s *Session) draftBeat() time.Duration {
	return draftBeat * time.Duration(1+(len(s.members)-1)/max(1, s.node.cfg.ReceiptSize))
}

// wind sets the timer for what is due next.
func (s *Session) wind(now time.Time) {
	ds := s.drafts
	if ds == nil {
		return
	}
	beat := s.draftBeat()
	var next time.Time
	for i, d := range ds.open {
		due := d.heard.Add(draftSilence)
		if d.news && d.told.Add(beat).Before(due) {
			due = d.told.Add(beat)
		}
		if i == 0 || due.Before(next) {
			next = due
		}
	}
	switch {
	case !ds.next.IsZero() && !next.Before(ds.next): // it goes off in time, and looks again
		return
	case ds.timer == nil:
		ds.timer = time.AfterFunc(next.Sub(now), func() { s.node.tell(s.pid, &draftsDue{}) })
	default:
		ds.timer.Reset(next.Sub(now))
	}
	ds.next = next
}

// draftsDue says what is due of drafts.
func (s *Session) draftsDue() {
	ds, now := s.drafts, time.Now()
	if ds == nil {
		return
	}
	ds.next = time.Time{}
	var burst Burst
	var events []*Event
	beat := s.draftBeat()
	for _, d := range ds.open {
		if d.news && now.Sub(d.told) >= beat {
			events = append(events, s.streamed(d, now))
		}
	}
	if len(events) > 0 {
		s.publish(events, &burst)
	}
	s.endDrafts(func(d *draft) bool { return now.Sub(d.heard) >= draftSilence })
	s.wind(now)
	burst.End()
}

// drop forgets a draft.
func (s *Session) drop(d *draft) {
	s.drafts.open = slices.DeleteFunc(s.drafts.open, func(o *draft) bool { return o == d })
	if len(s.drafts.open) == 0 {
		if s.drafts.timer != nil {
			s.drafts.timer.Stop()
		}
		s.drafts = nil
	}
}

// endDrafts ends those that nobody goes on writing.
func (s *Session) endDrafts(which func(*draft) bool) {
	if s.drafts == nil {
		return
	}
	for _, d := range slices.Clone(s.drafts.open) {
		if which(d) {
			s.endDraft(d, true)
		}
	}
}

// endDraft ends a draft without a message.
func (s *Session) endDraft(d *draft, failed bool) {
	d.rev++
	m := s.frame(d, false)
	m.Failed, m.Cancelled = failed, !failed
	s.drop(d)
	s.publish([]*Event{streamEvent(m)}, nil)
}

// became is what is said of a draft that is the message at seq now.
func (s *Session) became(d *draft, seq int64) *Event {
	d.rev++
	s.drop(d)
	return streamEvent(&protocol.MsgStream{
		Session: s.id, StreamId: d.stream, Sender: d.bot, Rev: d.rev, Done: true, Seq: seq, ReplyTo: d.replyTo, CreatedAt: d.began,
	})
}

// streams are the drafts as they stand, each whole: those that fit beside a page.
func (s *Session) streams() (all []*protocol.MsgStream) {
	if s.drafts == nil {
		return nil
	}
	room := draftsBytes
	for _, d := range s.drafts.open {
		if room -= len(d.text) + 256; room < 0 {
			break
		}
		all = append(all, s.frame(d, true))
	}
	return all
}

// errWhoAsked says that it depends on who wrote the message that is answered.
var errWhoAsked = errors.New("who asked?")

// stop tells a bot that somebody does not want the rest of what it writes.
func (s *Session) stop(r *request, d *draft) {
	err := s.may(r, access.StopDraft, func() error {
		if grouped(s.info) {
			return errWhoAsked
		}
		return nil
	})
	if !errors.Is(err, errWhoAsked) {
		s.stopped(r, d.stream, err)
		return
	}
	no := protocol.Denied("a bot is stopped by whoever asked it, the owner or an admin")
	_, seq, err := protocol.ParseMessageID(d.replyTo)
	if err != nil {
		s.fail(r, no)
		return
	}
	stream := d.stream
	s.node.off(func() {
		ctx, cancel := s.node.background()
		defer cancel()
		found, err := s.node.journal.Range(ctx, s.id, seq, seq, 1, 1)
		switch {
		case err != nil:
			s.node.log.Error("reading what a draft answers", "session", s.id, "seq", seq, "err", err)
			err = busySession(s.id)
		case len(found) == 0 || found[0].Sender != r.who.User:
			err = no
		}
		s.node.tell(s.pid, done(func() { s.stopped(r, stream, err) }))
	})
}

// stopped answers whoever wanted a draft stopped. That it is over by now is as good.
func (s *Session) stopped(r *request, stream string, err error) {
	if err != nil {
		s.fail(r, err)
		return
	}
	if d := s.drafts.of(stream); d != nil && s.node.robots != nil {
		s.node.robots.Stop(s.id, d.bot, stream, r.who.User)
	}
	s.reply(r, &protocol.Frame{Body: &protocol.Frame_MsgCancelReply{MsgCancelReply: &protocol.MsgCancelReply{Session: s.id, MessagerecvId: stream}}})
}
