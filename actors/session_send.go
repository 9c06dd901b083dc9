package actors

import (
	"context"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/internal/protocol"
)

// read1 loads the session and the window of what was sent in it. Small logs fill
// the window's filter at once, larger ones in the background (fill).
func (s *Session) read1(ctx context.Context) (*Stored, *window, error) {
	stored, err := s.node.journal.Load(ctx, s.id)
	if err != nil {
		return nil, nil, err
	}
	if e := stored.Newest; e != nil {
		stored.Info.UpdatedAt = max(stored.Info.UpdatedAt, e.CreatedAt)
	}
	w := newWindow()
	const atOnce = 4096 // entries: some milliseconds
	from := max(1, stored.Head-atOnce+1)
	if plantedForgetful {
		w.complete = true
		return stored, w, nil
	}
	err = s.node.journal.SentKeys(ctx, s.id, from, stored.Head, func(key [16]byte, sent Sent) {
		w.add(&known{key: key, Sent: sent})
	})
	w.complete = from == 1
	if !w.complete {
		s.node.off(func() { s.fill(w, from-1) })
	}
	return stored, w, err
}

// fill adds the older part of a large log to the filter, away from the mailbox.
// Until it is done, a message that the window does not know is asked of the store.
func (s *Session) fill(w *window, to int64) {
	var older filter
	const step = 20_000
	for from := int64(1); from <= to; from += step {
		ctx, cancel := s.node.background()
		err := s.node.journal.SentKeys(ctx, s.id, from, min(to, from+step-1), func(key [16]byte, _ Sent) { older.add(key) })
		cancel()
		if err != nil || s.node.stopping.Load() {
			return // the store goes on being asked
		}
	}
	s.node.tell(s.pid, done(func() {
		w.older.layers = append(older.layers, w.older.layers...)
		w.complete = true
	}))
}

// send puts a message into the session. It is answered once it is durable.
func (s *Session) send(r *request, m *protocol.MsgSend) {
	if behind, ok := s.held[r.who.User]; ok {
		s.held[r.who.User] = append(behind, r)
		return
	}
	key := protocol.SentKey(r.who.User, m.ClientMsgId)
	hash := protocol.SendHash(m)
	known, perhaps := s.sent.find(key)
	switch {
	case plantedNoDedupe:
		s.accept(r, m, key, hash, m.Content, nil)
	case known != nil:
		s.again(r, m, known, hash)
	case perhaps || len(m.Content.Forwarded) > 0 || s.node.checksFiles(m.Content) || s.presses(m):
		s.ask(r, m, key, hash, perhaps, s.judged(r))
	case s.judged(r):
		s.ask(r, m, key, hash, false, true)
	default:
		s.accept(r, m, key, hash, m.Content, nil)
	}
}

// again answers a message that was sent before: with the first answer when it asks
// for the same, else it is refused.
func (s *Session) again(r *request, m *protocol.MsgSend, k *known, hash [8]byte) {
	switch {
	case k.Hash != hash:
		s.fail(r, protocol.Conflict("clientMsgId %.64q was used for another message", m.ClientMsgId))
	case k.waiting != nil:
		k.waiting.also = append(k.waiting.also, r)
	default:
		if d := s.drafts.by(r.who.User, m.ClientMsgId); d != nil { // begun again by one that did not know
			s.publish([]*Event{s.became(d, k.Seq)}, nil)
		}
		s.repeat(r, m.ClientMsgId, k.Sent)
	}
}

// repeat gives the first answer again: with what became of the message, where that may be
// something else than was asked for.
func (s *Session) repeat(r *request, id protocol.ClientMsgID, sent Sent) {
	e := &protocol.Entry{
		Session: s.id, Seq: sent.Seq, MessagerecvId: protocol.MessageID(s.id, sent.Seq), ClientMsgId: id, CreatedAt: sent.CreatedAt,
	}
	if s.node.robots == nil {
		s.reply(r, stored(e, true))
		return
	}
	s.node.off(func() {
		ctx, cancel := s.node.background()
		defer cancel()
		found, err := s.node.journal.Range(ctx, s.id, sent.Seq, sent.Seq, 1, 1)
		if err != nil || len(found) == 0 {
			s.node.log.Error("reading what was sent before", "session", s.id, "seq", sent.Seq, "err", err)
			s.fail(r, busySession(s.id))
			return
		}
		e.Deal = found[0].Deal
		s.reply(r, stored(e, true))
	})
}

// stored is the answer to the msg_send that became e. It is one piece of memory, as there is one
// for each message.
func stored(e *protocol.Entry, duplicate bool) *protocol.Frame {
	made := &struct {
		frame protocol.Frame
		body  protocol.Frame_MsgSendReply
		reply protocol.MsgSendReply
	}{reply: protocol.MsgSendReply{
		Session: e.Session, ClientMsgId: e.ClientMsgId, MessagerecvId: e.MessagerecvId,
		Seq: e.Seq, CreatedAt: e.CreatedAt, Duplicate: duplicate, Deal: e.Deal,
	}}
	made.body.MsgSendReply = &made.reply
	made.frame.Body = &made.body
	return &made.frame
}

// ask has a worker look into the store (was this sent before?), at the messages that
// are forwarded, and at the files that it names, and a moderator at the whole. The sender's
// later messages wait behind it, so that they keep their order; nobody else's do.
func (s *Session) ask(r *request, m *protocol.MsgSend, key [16]byte, hash [8]byte, perhaps, judged bool) {
	if judged { // whoever may not write at all takes up nobody's time
		if err := s.maySend(r, m); err != nil {
			s.fail(r, err)
			return
		}
	}
	if s.held == nil {
		s.held = map[protocol.UserID][]*request{}
	}
	s.held[r.who.User] = []*request{r}
	away := s.node.off
	if len(m.Content.Forwarded) > 0 || judged {
		away = s.node.aside
	}
	trial, presses := s.trial(r, m, false), s.presses(m)
	away(func() {
		ctx, cancel := s.node.background()
		defer cancel()
		var sent Sent
		var err error
		if perhaps {
			sent, err = s.node.journal.Sent(ctx, s.id, r.who.User, m.ClientMsgId)
		}
		content := m.Content
		if err == nil && sent.Seq == 0 && len(m.Content.Forwarded) > 0 {
			content, err = s.node.forward(ctx, r.who, m.Content)
		}
		if err == nil && sent.Seq == 0 && s.node.checksFiles(m.Content) {
			err = s.node.files.Readable(ctx, r.who.User, m.Content.FileNames())
		}
		if err == nil && sent.Seq == 0 && presses {
			err = s.node.offered(ctx, s.id, m)
		}
		var ruling *Ruling
		if err == nil && sent.Seq == 0 && judged {
			if content != m.Content {
				trial.Message = proto.CloneOf(m)
				trial.Message.Content = content
			}
			ruling, err = s.node.rule(ctx, trial)
		}
		s.node.tell(s.pid, done(func() { s.asked(r, m, key, hash, sent, content, ruling, err) }))
	})
}

func (s *Session) asked(r *request, m *protocol.MsgSend, key [16]byte, hash [8]byte, sent Sent, content *protocol.Content, ruling *Ruling, err error) {
	held := s.held[r.who.User]
	if s.broken || len(held) == 0 || held[0] != r {
		return // it is asked again, in its turn, when the session is loaded again
	}
	behind := held[1:]
	delete(s.held, r.who.User)
	switch {
	case err != nil:
		if protocol.AsError(err).Code == protocol.Code_INTERNAL {
			s.node.log.Error("asking for a sent message", "session", s.id, "err", err)
		}
		if s.retains(r, protocol.AsError(err)) {
			s.stashed = append(untyped(behind), s.stashed...)
			s.reload()
			return
		}
		s.fail(r, protocol.AsError(err))
	case s.members[r.who.User] == nil && r.notice == nil:
		s.fail(r, s.unknown())
	case sent.Seq != 0:
		s.again(r, m, &known{Sent: sent}, hash)
	default:
		s.accept(r, m, key, hash, content, ruling)
	}
	for i, next := range behind {
		if _, again := s.held[r.who.User]; again {
			s.held[r.who.User] = append(s.held[r.who.User], behind[i:]...)
			return
		}
		s.request(next)
	}
}

func untyped(all []*request) (some []any) {
	for _, r := range all {
		some = append(some, r)
	}
	return some
}

// maySend says whether the sender of r may write m as things stand.
func (s *Session) maySend(r *request, m *protocol.MsgSend) error {
	if r.notice == nil {
		if err := mayWrite(s.info, s.members[r.who.User], s.now); err != nil {
			return err
		}
	}
	if err := s.mayTalk(r.who.User); err != nil {
		return err
	}
	if m.ReplyTo != "" {
		if session, seq, err := protocol.ParseMessageID(m.ReplyTo); err != nil || session != s.id || seq > s.given || seq < s.members[r.who.User].Floor { // what is durable is seen a moment before it is the head
			return protocol.BadRequest("msg_send.replyTo: %.80q is no message of this session", m.ReplyTo)
		}
	}
	for _, u := range m.Mentions {
		if u != "*" && s.members[u] == nil {
			return protocol.BadRequest("msg_send.mentions: %.64q is no member of this session", u)
		}
	}
	return nil
}

// accept gives a new message its seq and hands it to the committer, as it is or, where
// something was ruled, as that says.
func (s *Session) accept(r *request, m *protocol.MsgSend, key [16]byte, hash [8]byte, content *protocol.Content, ruling *Ruling) {
	if err := s.maySend(r, m); err != nil {
		s.fail(r, err)
		return
	}
	p := &pending{req: r, known: &known{key: key}}
	p.Vouched = true
	p.oneH[0] = hash
	p.Hashes = p.oneH[:]
	e := &protocol.Entry{
		Sender: r.who.User, ClientMsgId: m.ClientMsgId, Content: content, Expire: m.Expire,
		ReplyTo: m.ReplyTo, Mentions: m.Mentions, Platform: r.who.Platform,
	}
	if ruling != nil {
		p.Original = ruling.deal(e, time.Now().UnixMilli())
	}
	e.Quiet = e.Content.IsPress()
	s.appendEntry(p, e)
	p.known.Sent, p.known.waiting = Sent{Seq: e.Seq, CreatedAt: e.CreatedAt, Hash: hash}, p
	s.sent.add(p.known)
}

// forward fills in what a forward repeats, as the sender may read it: nobody can
// put words into another's mouth.
func (n *Node) forward(ctx context.Context, who *protocol.Identity, c *protocol.Content) (*protocol.Content, error) {
	filled := proto.CloneOf(c)
	for _, f := range filled.Forwarded {
		session, seq, err := protocol.ParseMessageID(f.MessagerecvId)
		if err != nil {
			return nil, protocol.BadRequest("content.forwarded: %.80q is no message id", f.MessagerecvId)
		}
		before := seq + 1
		reply, err := n.Ask(ctx, *who, &protocol.Frame{Body: &protocol.Frame_Sync{Sync: &protocol.Sync{Session: session, BeforeSeq: &before, Limit: 1}}})
		if err != nil {
			return nil, err
		}
		found := reply.GetSyncReply().GetMessages()
		i := slices.IndexFunc(found, func(e *protocol.Entry) bool { return e.Seq == seq && e.Content != nil })
		if i < 0 {
			return nil, protocol.NotFound("message %s", f.MessagerecvId)
		}
		f.Session, f.Sender, f.CreatedAt, f.Text = session, found[i].Sender, found[i].CreatedAt, found[i].Content.Text
		if f.Text == "" && len(filled.Forwarded) == 1 && filled.File == "" && filled.Url == "" {
			forwardFile(filled, found[i].Content)
		}
	}
	return filled, nil
}

// forwardFile lets a forward of one picture or file carry it.
func forwardFile(to, from *protocol.Content) {
	to.File, to.Files, to.Name, to.Mime, to.Url, to.Thumb = from.File, from.Files, from.Name, from.Mime, from.Url, from.Thumb
	to.Size, to.Width, to.Height, to.Duration = from.Size, from.Width, from.Height, from.Duration
	to.Title, to.Digest = from.Title, from.Digest
}
