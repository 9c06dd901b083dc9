package actors

import (
	"context"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/internal/protocol"
)

// Robots runs the bots that are members of sessions. Its methods do not block, but for
// Rule, which is called away from every mailbox. The others may be called in the very
// goroutine that told a session something (Node.Draft, Node.Ask): who holds a lock
// then must not need it here.
type Robots interface {
	// Offer says what became durable in a session of which bots are members. Of one
	// session it is told in order. What is lost is found by seq: the log is the truth.
	Offer(o *Offer)
	// Stop says that a member does not want the rest of a bot's draft.
	Stop(session protocol.SessionID, bot protocol.UserID, stream string, by protocol.UserID)
	// Judges says whether somebody is to see what sender writes in a session before
	// others do. Then Rule is asked.
	Judges(session *protocol.SessionInfo, bots []protocol.UserID, sender protocol.UserID) bool
	// Rule says what becomes of a message. An error is told to the sender: nothing is stored.
	Rule(ctx context.Context, t *Trial) (*Ruling, error)
}

// Offer is what a session tells Robots. Nobody changes what is in it.
type Offer struct {
	Session protocol.SessionID
	Info    *protocol.SessionInfo // without members; HeadSeq, Epoch and MemberCount are set
	Bots    []protocol.UserID     // the bots that are members of it now
	Entries []*protocol.Entry     // in order; none when the session was made or loaded
}

// Trial is a message that nobody has seen yet.
type Trial struct {
	Session *protocol.SessionInfo
	Bots    []protocol.UserID
	Sender  *protocol.Identity
	Role    protocol.Role // the sender's in the session
	Message *protocol.MsgSend
	Edit    bool // of a message that is there already
}

// Ruling is what becomes of a message. nil, or one without a State, leaves it as it is.
type Ruling struct {
	State   string            // rewritten, held or rejected, as protocol.Deal says
	By      protocol.UserID   // the moderator
	Reason  string            // for people
	Content *protocol.Content // with rewritten
}

// Draft is a part of what a bot is writing.
type Draft struct {
	Session protocol.SessionID
	Bot     protocol.UserID
	Stream  string // the clientMsgId of the message that it becomes
	ReplyTo string
	At      int64 // where Text begins, in bytes of UTF-8 of what there is; 0: anew
	Text    string
	Over    string // "": it goes on; cancelled or failed: it ends without a message
}

// UseRobots has bots told of what happens in their sessions. It is called before the
// first connection.
func (n *Node) UseRobots(r Robots) { n.robots = r }

// enlist notes which of the members that came are bots. The slice is never changed, only
// replaced: others hold it.
func (s *Session) enlist(rows []*MemberRow) {
	for _, row := range rows {
		if protocol.IsBot(row.User) && !slices.Contains(s.bots, row.User) {
			s.bots = append(slices.Clip(s.bots), row.User)
		}
	}
}

// discharge forgets the bots among the members that left, and ends what they were writing.
func (s *Session) discharge(rows []*MemberRow) {
	if len(s.bots) == 0 {
		return
	}
	for _, row := range rows {
		if !protocol.IsBot(row.User) {
			continue
		}
		s.bots = slices.DeleteFunc(slices.Clone(s.bots), func(u protocol.UserID) bool { return u == row.User })
		s.endDrafts(func(d *draft) bool { return d.bot == row.User })
	}
}

// offers says whether there is anybody to be told what becomes durable.
func (s *Session) offers() bool { return len(s.bots) > 0 && s.node.robots != nil }

// offer tells Robots what became durable.
func (s *Session) offer(entries []*protocol.Entry) {
	info := proto.CloneOf(s.info)
	info.HeadSeq, info.Epoch, info.MemberCount = s.head, s.logEpoch, int64(len(s.members))
	s.node.robots.Offer(&Offer{Session: s.id, Info: info, Bots: s.bots, Entries: entries})
}

// Whisper tells one member of a session something that is in no log. Both sides have to
// be members: NOT_FOUND. A time of 0 is now.
func (n *Node) Whisper(ctx context.Context, m *protocol.MsgWhisper, to protocol.UserID) error {
	if m.WhisperId == "" || len(m.WhisperId) > maxClientMsgID {
		return protocol.BadRequest("msg_whisper.whisperId: 1 to %d bytes are needed", maxClientMsgID)
	}
	if err := n.checkContent(m.Content); err != nil {
		return err
	}
	if m = proto.CloneOf(m); m.CreatedAt == 0 {
		m.CreatedAt = time.Now().UnixMilli()
	}
	return n.decree(ctx, m.Session, &decree{what: edictWhisper, user: to, frame: &protocol.Frame{Body: &protocol.Frame_MsgWhisper{MsgWhisper: m}}})
}

func (s *Session) whisper(m *decree) {
	me := s.members[m.frame.GetMsgWhisper().Sender]
	switch {
	case s.info.Dead || me == nil:
		m.told(s.unknown())
	case s.members[m.user] == nil:
		m.told(protocol.NotFound("user %.64q in session %s", m.user, s.id))
	default:
		err := mayWrite(s.info, me, time.Now())
		if err == nil {
			err = s.mayTalk(me.User)
		}
		if err == nil {
			s.node.streams.Publish(UserSubject(m.user), []*Event{{Ephemeral: true, Shared: protocol.NewShared(m.frame)}}, nil)
		}
		m.told(err)
	}
}

// Attend says how a bot is seen from now on: online, busy, away or offline. It has no
// connection that would say so.
func (n *Node) Attend(user protocol.UserID, status string) { n.presence.attend(user, status) }
