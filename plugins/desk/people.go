package desk

import (
	"context"
	"sync"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// people knows faces for a minute.
type people struct {
	d  *Desks
	mu sync.Mutex
	by map[protocol.UserID]face
}

type face struct {
	name, kind, locale string
	at                 time.Time
}

const (
	faceLife = time.Minute
	maxFaces = 4096
)

// of gives a person as bots see one, without a role.
func (c *people) of(ctx context.Context, user protocol.UserID) *botv1.Person {
	return c.all(ctx, []protocol.UserID{user})[0]
}

// locale is the one that a person's profile says, in its field locale; "": none.
func (c *people) locale(ctx context.Context, user protocol.UserID) string {
	return c.faces(ctx, []protocol.UserID{user})[user].locale
}

// all gives persons in the order of ids. Who is not known has no name.
func (c *people) all(ctx context.Context, ids []protocol.UserID) []*botv1.Person {
	found := c.faces(ctx, ids)
	persons := make([]*botv1.Person, len(ids))
	for i, id := range ids {
		f := found[id]
		persons[i] = &botv1.Person{User: id, Name: f.name, Kind: f.kind}
		if f.kind == "" {
			persons[i].Kind = "human"
			if protocol.IsBot(id) {
				persons[i].Kind = "bot"
			}
		}
	}
	return persons
}

// faces gives those of ids that are known.
func (c *people) faces(ctx context.Context, ids []protocol.UserID) map[protocol.UserID]face {
	now := c.d.need.Now()
	found := make(map[protocol.UserID]face, len(ids))
	var ask []protocol.UserID
	c.mu.Lock()
	for _, id := range ids {
		if f, ok := c.by[id]; ok && now.Sub(f.at) < faceLife {
			found[id] = f
		} else {
			ask = append(ask, id)
		}
	}
	c.mu.Unlock()
	if len(ask) > 0 {
		profiles, err := c.d.need.Users.Profiles(ctx, ask)
		if err != nil {
			c.d.need.Log.Error("reading profiles for a bot", "err", err)
		}
		c.mu.Lock()
		if c.by == nil || len(c.by) > maxFaces {
			c.by = map[protocol.UserID]face{}
		}
		for _, p := range profiles {
			f := face{p.Nickname, p.Kind, p.Fields["locale"], now}
			c.by[p.UserId], found[p.UserId] = f, f
		}
		c.mu.Unlock()
	}
	return found
}

func (c *people) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, f := range c.by {
		if c.d.need.Now().Sub(f.at) > faceLife {
			delete(c.by, id)
		}
	}
}

// speak is the identity under which the desk asks for a bot. Its scopes are those of the
// table of access, whatever their names are for bots.
func (p *plug) speak(bot protocol.UserID) protocol.Identity {
	p.mu.Lock()
	defer p.mu.Unlock()
	who := protocol.Identity{User: bot, Kind: "bot", Device: "desk"}
	for s := range p.scopes {
		who.Scopes = append(who.Scopes, s)
		if s == "write" {
			who.Scopes = append(who.Scopes, "send")
		}
	}
	return who
}

// host is speak for what the desk itself says as a bot: it may, whatever the bot may.
func (p *plug) host(bot protocol.UserID) protocol.Identity {
	return protocol.Identity{User: bot, Kind: "bot", Device: "desk", Scopes: []string{"send", "write"}}
}

// session gives what a session says of itself to who, with its first member.
func (d *Desks) session(ctx context.Context, who protocol.Identity, session protocol.SessionID) (*protocol.SessionInfo, error) {
	r, err := d.need.Actors.Ask(ctx, who, &protocol.Frame{Body: &protocol.Frame_SessionGet{SessionGet: &protocol.SessionGet{Session: session, Limit: 1}}})
	if err != nil {
		return nil, err
	}
	return r.GetSessionGetReply().GetInfo(), nil
}

// roleOf gives a member's role in a session as who sees it. NOT_FOUND: it is none.
func (d *Desks) roleOf(ctx context.Context, who protocol.Identity, session protocol.SessionID, user protocol.UserID) (protocol.Role, error) {
	r, err := d.need.Actors.Ask(ctx, who, &protocol.Frame{Body: &protocol.Frame_SessionGet{SessionGet: &protocol.SessionGet{Session: session, User: user}}})
	if err != nil {
		return 0, err
	}
	for _, m := range r.GetSessionGetReply().GetInfo().GetMembers() {
		if m.User == user {
			return m.Role, nil
		}
	}
	return 0, protocol.NotFound("user %.64q in session %s", user, session)
}

// person gives a sender with name and role.
func (l *lane) person(ctx context.Context, user protocol.UserID) *botv1.Person {
	who := l.p.d.people.of(ctx, user)
	now := l.p.d.need.Now()
	l.p.mu.Lock()
	r, ok := l.roles[user]
	l.p.mu.Unlock()
	if !ok || now.Sub(r.at) > 10*time.Second {
		got, err := l.p.d.roleOf(ctx, l.p.speak(l.bot), l.session, user)
		if err != nil {
			return who // who left has none
		}
		r = role{got, now}
		l.p.mu.Lock()
		if l.roles == nil || len(l.roles) > 64 {
			l.roles = map[protocol.UserID]role{}
		}
		l.roles[user] = r
		l.p.mu.Unlock()
	}
	who.Role = roleWord(r.role)
	return who
}

func roleWord(r protocol.Role) string {
	switch r {
	case protocol.Role_OWNER:
		return "owner"
	case protocol.Role_ADMIN:
		return "admin"
	}
	return "member"
}
