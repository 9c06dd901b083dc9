package actors

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/troupe-im/troupe/internal/access"
	"github.com/troupe-im/troupe/internal/protocol"
)

// Limits of links.
const (
	linkLife    = 7 * 24 * time.Hour   // when no other is said
	maxLinkLife = 365 * 24 * time.Hour //
	maxLinkUses = 1_000_000
	maxLinks    = 200 // kept of one session, ended ones included
)

var linkWords = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// newCode makes a link's code: 128 random bits in 26 characters.
func newCode() string {
	var raw [16]byte
	rand.Read(raw[:]) // never fails: the program ends instead
	return linkWords.EncodeToString(raw[:])
}

// linkOf gives the hash of a code and the id of its link, which says nothing of the
// code. People copy codes by hand, so case and blanks around do not matter.
func linkOf(code string) (hash [32]byte, id string) {
	hash = sha256.Sum256([]byte(strings.ToLower(strings.TrimSpace(code))))
	return hash, "l_" + linkWords.EncodeToString(hash[:10])
}

func checkLink(m *protocol.LinkCreate) error {
	switch {
	case m.Uses < 0 || m.Uses > maxLinkUses:
		return protocol.Errorf(protocol.Code_OUT_OF_RANGE, "link_create.uses: 0 to %d is allowed", maxLinkUses)
	case m.ExpiresIn < 0 || m.ExpiresIn > int64(maxLinkLife/time.Second):
		return protocol.Errorf(protocol.Code_OUT_OF_RANGE, "link_create.expiresIn: 0 to %d seconds are allowed", int64(maxLinkLife/time.Second))
	}
	return nil
}

// view is the link as those who may see it do.
func (l *LinkRow) view() *protocol.Link {
	return &protocol.Link{Link: l.ID, Session: l.Session, By: l.By, Uses: l.Uses, Used: l.Used, CreatedAt: l.CreatedAt, ExpiresAt: l.ExpiresAt}
}

// over says that nobody can come in by the link any more, whoever made it.
func (l *LinkRow) over(now time.Time) bool {
	return l.Revoked || l.ExpiresAt <= now.UnixMilli() || l.Uses > 0 && l.Used >= l.Uses
}

// opens says whether the link lets people in now: its maker must still be one who may invite.
func (s *Session) opens(l *LinkRow) bool {
	by := s.members[l.By]
	return !s.info.Dead && by != nil && mayInvite(s.info, by) && !l.over(time.Now())
}

// createLink makes a link. What the session has of them is read first, so that they
// stay few: ended ones make room, the oldest first.
func (s *Session) createLink(r *request, m *protocol.LinkCreate) {
	if err := s.mayAdd(r, access.Links); err != nil {
		s.fail(r, err)
		return
	}
	s.node.off(func() {
		ctx, cancel := s.node.background()
		defer cancel()
		rows, err := s.node.journal.LinksOf(ctx, s.id, nil, 2*maxLinks)
		s.node.tell(s.pid, done(func() {
			if s.state != active || s.broken {
				s.request(r)
				return
			}
			s.linkMade(r, m, rows, err)
		}))
	})
}

func (s *Session) linkMade(r *request, m *protocol.LinkCreate, rows []*LinkRow, err error) {
	if err != nil {
		s.node.log.Error("reading links", "session", s.id, "err", err)
		s.fail(r, protocol.Errorf(protocol.Code_BUSY, "session %s cannot be read now", s.id))
		return
	}
	if err := s.mayAdd(r, access.Links); err != nil {
		s.fail(r, err)
		return
	}
	now := time.Now()
	p := &pending{req: r}
	for _, l := range rows {
		if len(rows)-len(p.Unlinked) < maxLinks {
			break
		}
		if s.link(l).over(now) {
			p.Unlinked = append(p.Unlinked, l)
			delete(s.links, l.ID)
		}
	}
	if len(rows)-len(p.Unlinked) >= maxLinks {
		s.fail(r, protocol.Errorf(protocol.Code_TOO_MANY, "session %s has %d links; revoke one", s.id, maxLinks))
		return
	}
	life := linkLife
	if m.ExpiresIn > 0 {
		life = time.Duration(m.ExpiresIn) * time.Second
	}
	code := newCode()
	l := &LinkRow{Session: s.id, By: r.who.User, Uses: m.Uses, CreatedAt: now.UnixMilli(), ExpiresAt: now.Add(life).UnixMilli()}
	l.Hash, l.ID = linkOf(code)
	p.Links = []*LinkRow{l}
	view := l.view()
	view.Code = code
	p.answer = &protocol.Frame{Body: &protocol.Frame_LinkCreateReply{LinkCreateReply: &protocol.LinkCreateReply{Link: view}}}
	s.append(p)
}

// link is the row as this activation has last changed it.
func (s *Session) link(l *LinkRow) *LinkRow {
	if mine := s.links[l.ID]; mine != nil {
		return mine
	}
	return l
}

// changeLink makes l what the session knows of the link, and commits it with p.
func (s *Session) changeLink(p *pending, l *LinkRow) {
	if s.links == nil {
		s.links = map[string]*LinkRow{}
	}
	s.links[l.ID] = l
	p.Links = append(p.Links, l)
}

// listLinks gives the links, to the owner and admins all of them, to others their own.
func (s *Session) listLinks(r *request, me *MemberRow, m *protocol.LinkList) {
	if !grouped(s.info) {
		s.fail(r, protocol.Denied("only groups have links"))
		return
	}
	after, err := parseLinkCursor(m.Cursor)
	if err != nil {
		s.fail(r, protocol.BadRequest("link_list.cursor: give back what next said"))
		return
	}
	limit := int(m.Limit)
	if limit <= 0 || limit > maxPage {
		limit = firstPage
	}
	user, all := me.User, leads(me)
	s.node.off(func() {
		ctx, cancel := s.node.background()
		defer cancel()
		reply := &protocol.LinkListReply{}
		for {
			rows, err := s.node.journal.LinksOf(ctx, s.id, after, maxPage)
			if err != nil {
				s.node.log.Error("reading links", "session", s.id, "err", err)
				s.fail(r, protocol.Errorf(protocol.Code_BUSY, "session %s cannot be read now", s.id))
				return
			}
			for _, l := range rows {
				if l.Revoked || !all && l.By != user {
					continue
				}
				if len(reply.Links) == limit {
					reply.Next = linkCursor(after)
					break
				}
				reply.Links, after = append(reply.Links, l.view()), l
			}
			if len(rows) < maxPage || reply.Next != "" {
				break
			}
			after = rows[len(rows)-1]
		}
		s.reply(r, &protocol.Frame{Body: &protocol.Frame_LinkListReply{LinkListReply: reply}})
	})
}

func linkCursor(l *LinkRow) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d.%s", l.CreatedAt, l.ID))
}

func parseLinkCursor(cursor string) (*LinkRow, error) {
	if cursor == "" {
		return nil, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return nil, err
	}
	l := &LinkRow{}
	_, err = fmt.Sscanf(string(b), "%d.%s", &l.CreatedAt, &l.ID)
	return l, err
}

// revokeLink ends a link: its maker may, and the owner and admins.
func (s *Session) revokeLink(r *request, m *protocol.LinkRevoke) {
	s.withLink(r, m.Link, r, func(l *LinkRow) {
		me := s.members[r.who.User]
		answer := &protocol.Frame{Body: &protocol.Frame_LinkRevokeReply{LinkRevokeReply: &protocol.LinkRevokeReply{Link: m.Link}}}
		switch {
		case s.info == nil || s.info.Dead || me == nil:
			s.fail(r, s.unknown())
		case l == nil || l.By != me.User && !leads(me):
			s.fail(r, protocol.NotFound("link %.64q", m.Link))
		case l.Revoked:
			s.reply(r, answer)
		default:
			ended := *l
			ended.Revoked = true
			p := &pending{req: r, answer: answer}
			s.changeLink(p, &ended)
			s.append(p)
		}
	})
}

// withLink goes on with a link of this session, nil: there is none. All changes of
// a link pass this actor, which remembers those that it was asked for, so that what
// it goes on with is how the link stands, durable or not. again is told anew to a
// session that was loaded anew meanwhile.
func (s *Session) withLink(r *request, id string, again any, then func(*LinkRow)) {
	if l := s.links[id]; l != nil {
		then(l)
		return
	}
	epoch := s.epoch
	s.node.off(func() {
		ctx, cancel := s.node.background()
		defer cancel()
		l, err := s.node.journal.Link(ctx, id)
		s.node.tell(s.pid, done(func() {
			switch {
			case s.state != active || s.broken || s.epoch != epoch:
				s.node.tellSession(s.id, again)
			case protocol.Code_NOT_FOUND.Is(err), err == nil && l.Session != s.id:
				then(nil)
			case err != nil:
				s.node.log.Error("reading a link", "session", s.id, "err", err)
				s.fail(r, protocol.Errorf(protocol.Code_BUSY, "session %s cannot be read now", s.id))
			default:
				if s.links[id] == nil {
					if s.links == nil {
						s.links = map[string]*LinkRow{}
					}
					s.links[id] = l
				}
				then(s.links[id])
			}
		}))
	})
}

// byCode finds the session of a link and has it serve r, a session_join or a
// link_get. Whoever tries codes that are no links is slowed down.
func (n *Node) byCode(r *request, code string) error {
	if code == "" || len(code) > 64 {
		return protocol.NotFound("no link has this code")
	}
	if wait := n.guesses.take(r.who.User); wait > 0 {
		e := protocol.Errorf(protocol.Code_RATE_LIMITED, "too many codes that are no links")
		e.RetryAfterMs = max(1, wait.Milliseconds())
		return e
	}
	hash, id := linkOf(code)
	n.off(func() {
		ctx, cancel := n.background()
		defer cancel()
		l, err := n.link(ctx, id, hash)
		if err != nil {
			r.from.tell(&answers{frames: []*protocol.Frame{protocol.Fail(r.frame, err)}})
			return
		}
		n.guesses.giveBack(r.who.User)
		n.tellSession(l.Session, &byCode{r: r, link: id})
	})
	return nil
}

func (n *Node) link(ctx context.Context, id string, hash [32]byte) (*LinkRow, error) {
	l, err := n.journal.Link(ctx, id)
	switch {
	case protocol.Code_NOT_FOUND.Is(err), err == nil && l.Hash != hash:
		return nil, protocol.NotFound("no link has this code")
	case err != nil:
		n.log.Error("reading a link", "err", err)
		return nil, protocol.Errorf(protocol.Code_BUSY, "links cannot be read now")
	}
	return l, nil
}

// byCode is a request by somebody who knows the code of a link of this session.
type byCode struct {
	r    *request
	link string
}

func (s *Session) byCode(m *byCode) {
	if !s.ready(m) {
		return
	}
	if s.info == nil || s.info.Dead {
		s.fail(m.r, expired())
		return
	}
	s.withLink(m.r, m.link, m, func(l *LinkRow) { s.withCode(m.r, l) })
}

func expired() error {
	return protocol.Errorf(protocol.Code_EXPIRED, "the link has ended")
}

func (s *Session) withCode(r *request, l *LinkRow) {
	_, in := s.members[r.who.User]
	switch get := r.frame.GetLinkGet(); {
	case l == nil || s.info.Dead || !in && !s.opens(l):
		s.fail(r, expired())
	case get != nil:
		s.reply(r, &protocol.Frame{Body: &protocol.Frame_LinkGetReply{LinkGetReply: &protocol.LinkGetReply{
			Session: s.id, Name: s.info.Name, Avatar: protocol.ShownAvatar(s.info.Avatar, s.id), MemberCount: int64(len(s.members)),
			By: l.By, ExpiresAt: l.ExpiresAt, Member: in,
		}}})
	case in:
		s.enter(r, &pending{}, "")
	case len(s.members) >= s.node.cfg.MaxGroup:
		s.enter(r, &pending{}, "") // which says so, and uses nothing up
	default:
		used := *l
		used.Used++
		p := &pending{}
		s.changeLink(p, &used)
		s.enter(r, p, l.By)
	}
}
