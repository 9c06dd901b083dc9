package actors

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/internal/protocol"
)

// A notice is what the installation tells users: a message of System in each one's
// system session, which is made for it where there is none yet.

// NoticeStore keeps notices until everybody was told, and a while longer.
type NoticeStore interface {
	// AddNotice keeps a notice, unless there is one with its ID, and gives the one that is kept.
	AddNotice(ctx context.Context, n *NoticeRow) (*NoticeRow, error)
	// Notice gives a notice, or protocol.NotFound.
	Notice(ctx context.Context, id string) (*NoticeRow, error)
	// MoveNotice notes how far a notice is: After, Told, Failed and DoneAt of n.
	MoveNotice(ctx context.Context, n *NoticeRow) error
	// OpenNotices gives those that are not done, the oldest first.
	OpenNotices(ctx context.Context) ([]*NoticeRow, error)
	// ForgetNotices removes those that were done before a time, in Unix milliseconds.
	ForgetNotices(ctx context.Context, before int64) error
}

// Everybody knows who a notice to everybody is for.
type Everybody interface {
	// Everybody gives up to limit people with an id above after, in order of ids.
	Everybody(ctx context.Context, after protocol.UserID, limit int) ([]protocol.UserID, error)
}

// NoticeRow is a notice as stored.
type NoticeRow struct {
	ID        string // made of By and the client message id
	By        string
	Content   *protocol.Content
	Users     []protocol.UserID // nil: everybody
	CreatedAt int64             // Unix milliseconds
	After     protocol.UserID   // of everybody: those up to here were told
	Told      int64             // how many of Users, or of everybody
	Failed    int64             // of them, who could not be told: the log of the server says why
	DoneAt    int64             // 0: not yet
}

// NoticeID names the notice that by sends under a client message id.
func NoticeID(by string, id protocol.ClientMsgID) string {
	sum := sha256.Sum256([]byte("notice\x00" + by + "\x00" + id))
	return "n_" + linkWords.EncodeToString(sum[:10])
}

// Notices tells users what the installation has to say. A notice is durable before
// it is answered, goes out in the background page by page, and goes on after a
// restart. Its id is the client message id in each user's session, so that nobody
// gets it twice.
type Notices struct {
	node   *Node
	store  NoticeStore
	people Everybody
	log    *slog.Logger
	wake   chan struct{}
}

// NewNotices makes them; Run does the work.
func NewNotices(n *Node, store NoticeStore, people Everybody, log *slog.Logger) *Notices {
	return &Notices{node: n, store: store, people: people, log: log, wake: make(chan struct{}, 1)}
}

// Bounds of notices.
const (
	maxNoticeUsers = 500 // that are named
	noticePage     = 200 // users between two notes of how far a notice is
	noticesAtOnce  = 4   // that go out side by side
	toldAtOnce     = 32  // users of one of them
	noticeKept     = 30 * 24 * time.Hour
)

// Send takes a notice to users, nil being everybody. The same by and id again are the
// same notice, whatever has become of it; with other content or users it is CONFLICT.
func (n *Notices) Send(ctx context.Context, by string, id protocol.ClientMsgID, users []protocol.UserID, content *protocol.Content) (*NoticeRow, error) {
	if _, err := protocol.ParseClientMsgID(id); err != nil {
		return nil, err
	}
	if users != nil {
		if err := n.node.checkPeople("users", users, maxNoticeUsers); err != nil {
			return nil, err
		}
	}
	if err := n.node.checkNotice(content); err != nil {
		return nil, err
	}
	if err := n.node.vet(ctx, users); err != nil {
		return nil, err
	}
	row := &NoticeRow{ID: NoticeID(by, id), By: by, Content: content, Users: users, CreatedAt: time.Now().UnixMilli()}
	kept, err := n.store.AddNotice(ctx, row)
	if err != nil {
		return nil, fmt.Errorf("actors: keep a notice: %w", err)
	}
	if !proto.Equal(kept.Content, content) || fmt.Sprint(kept.Users) != fmt.Sprint(users) {
		return nil, protocol.Conflict("clientMsgId %.64q was used for another notice", id)
	}
	n.poke()
	n.node.Changed(ChangedNotices, row.ID)
	return kept, nil
}

// checkNotice is checkContent, for those who may also say what only a system says.
func (n *Node) checkNotice(c *protocol.Content) error {
	if c.GetType() == protocol.ContentType_SYSTEM && c != nil {
		c = proto.CloneOf(c)
		c.Type = protocol.ContentType_TEXT
	}
	if len(c.GetForwarded()) > 0 {
		return protocol.BadRequest("content.forwarded: a notice forwards nothing")
	}
	return n.checkContent(c)
}

// Read gives a notice and how far it is.
func (n *Notices) Read(ctx context.Context, id string) (*NoticeRow, error) {
	return n.store.Notice(ctx, id)
}

// ChangedNotices is said to all nodes when there is a new notice, which is one of theirs to send.
const ChangedNotices = "notices"

// Poke has Run look what there is to send.
func (n *Notices) Poke() { n.poke() }

func (n *Notices) poke() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// Run sends what there is to send, until ctx ends.
func (n *Notices) Run(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	var mu sync.Mutex
	going := map[string]bool{}
	again := time.NewTicker(time.Minute) // after a failure of the store
	defer again.Stop()
	for {
		open, err := n.store.OpenNotices(ctx)
		if err != nil && ctx.Err() == nil {
			n.log.Error("reading notices", "err", err)
		}
		mu.Lock()
		for _, row := range open {
			if !n.node.Owns("notice:" + row.ID) { // another node's to send
				continue
			}
			if going[row.ID] || len(going) == noticesAtOnce {
				continue
			}
			going[row.ID] = true
			all.Go(func() {
				n.tellAll(ctx, row)
				mu.Lock()
				defer mu.Unlock()
				delete(going, row.ID)
				n.poke()
			})
		}
		mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-n.wake:
		case <-again.C:
		}
	}
}

// tellAll tells everybody whom a notice is for and was not told yet. What cannot be
// noted is told again, which is nothing new to those who know it.
func (n *Notices) tellAll(ctx context.Context, row *NoticeRow) {
	for {
		page, err := n.page(ctx, row)
		if err == nil && len(page) == 0 {
			row.DoneAt = time.Now().UnixMilli()
		} else if err == nil {
			failed, told := n.tellPage(ctx, row, page)
			if !told {
				return // it is told again after the restart
			}
			row.After = page[len(page)-1]
			row.Told += int64(len(page))
			row.Failed += failed
		}
		if err == nil {
			err = n.store.MoveNotice(ctx, row)
		}
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			n.log.Error("sending a notice", "notice", row.ID, "err", err)
			pause(ctx, 5*time.Second)
			return // Run takes it up again from where it was noted
		case row.DoneAt != 0:
			n.log.Info("a notice was sent", "notice", row.ID, "users", row.Told, "failed", row.Failed)
			if err := n.store.ForgetNotices(ctx, time.Now().Add(-noticeKept).UnixMilli()); err != nil {
				n.log.Warn("old notices stay", "err", err)
			}
			return
		}
	}
}

// page gives the next users of a notice, none: all were told.
func (n *Notices) page(ctx context.Context, row *NoticeRow) ([]protocol.UserID, error) {
	if row.Users == nil {
		return n.people.Everybody(ctx, row.After, noticePage)
	}
	from := min(int(row.Told), len(row.Users))
	return row.Users[from:min(from+noticePage, len(row.Users))], nil
}

// tellPage tells users, some at once, and says how many could not be told; not told:
// the server ends meanwhile.
func (n *Notices) tellPage(ctx context.Context, row *NoticeRow, users []protocol.UserID) (failed int64, told bool) {
	told = true
	var all sync.WaitGroup
	var mu sync.Mutex
	room := make(chan struct{}, toldAtOnce)
	for _, user := range users {
		room <- struct{}{}
		all.Go(func() {
			defer func() { <-room }()
			err := n.node.notify(ctx, user, row.ID, row.Content)
			if err == nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if ctx.Err() != nil || protocol.Code_GOAWAY.Is(err) {
				told = false
				return
			}
			n.log.Error("a user could not be told a notice", "notice", row.ID, "user", user, "err", err)
			failed++
		})
	}
	all.Wait()
	if row.Users == nil { // many sessions that nobody asked for stay in memory for no one
		for _, user := range users {
			if r := n.node.sessions.find(protocol.SystemSessionID(user)); r != nil {
				n.node.tell(r.pid, &passivate{now: true})
			}
		}
	}
	return failed, told
}

// notify puts content into the user's system session under id, once. While the
// session cannot be written it tries again.
func (n *Node) notify(ctx context.Context, user protocol.UserID, id protocol.ClientMsgID, content *protocol.Content) error {
	session := protocol.SystemSessionID(user)
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		f := &protocol.Frame{Body: &protocol.Frame_MsgSend{MsgSend: &protocol.MsgSend{Session: session, ClientMsgId: id, Content: content}}}
		within, cancel := context.WithTimeout(ctx, 10*time.Second)
		_, err := n.await(within, f, func(r *request) error {
			r.who, r.notice = &protocol.Identity{User: System, Kind: "system"}, &notice{to: user}
			n.tellSession(session, r)
			return nil
		})
		cancel()
		if !protocol.Code_BUSY.Is(err) || ctx.Err() != nil {
			return err
		}
		pause(ctx, wait)
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// notice, of a request, says that the installation itself speaks, to whom.
type notice struct{ to protocol.UserID }

// notice serves a request of the installation's own: in the system session of a
// user, which is made first where it is not there.
func (s *Session) notice(r *request) {
	if s.info != nil {
		s.send(r, r.frame.GetMsgSend())
		return
	}
	now := time.Now().UnixMilli()
	info := &protocol.SessionInfo{
		Session: s.id, SessionType: protocol.SessionType_SYSTEM_SESSION, Creator: System, CreatedAt: now, UpdatedAt: now,
	}
	rows := []*MemberRow{{User: r.notice.to, Order: 1, JoinedAt: now}}
	p := s.begin(info, rows)
	p.failed = func() { s.unstashed(r) }
	s.stashed = append(s.stashed, r)
	s.append(p)
}

// unstashed answers a request that was kept for a session that could not be made.
func (s *Session) unstashed(r *request) {
	for i, m := range s.stashed {
		if m == any(r) {
			s.stashed = append(s.stashed[:i:i], s.stashed[i+1:]...)
			s.fail(r, protocol.Errorf(protocol.Code_BUSY, "session %s cannot be made now", s.id))
			return
		}
	}
}
