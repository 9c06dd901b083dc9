package actors_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

// groupModel is what a group is by its rules, in as few words as they can be said.
type groupModel struct {
	members          []memberModel // in order of joining
	dead             bool
	silenceAll, read bool
	join             protocol.JoinPolicy
	invite           protocol.InvitePolicy
	links            []*linkModel
	former           map[protocol.UserID]bool // who left silenced
}

type memberModel struct {
	user, inviter protocol.UserID
	role          protocol.Role
	silenced      bool
}

type linkModel struct {
	id, code   string
	by         protocol.UserID
	uses, used int64
	revoked    bool
}

func (g *groupModel) at(user protocol.UserID) *memberModel {
	i := slices.IndexFunc(g.members, func(m memberModel) bool { return m.user == user })
	if i < 0 || g.dead {
		return nil
	}
	return &g.members[i]
}

func (g *groupModel) invites(m *memberModel) bool {
	return m != nil && (m.role != protocol.Role_MEMBER || g.invite == protocol.InvitePolicy_MEMBERS_INVITE)
}

// in takes a user in, who is silenced where it was when it left.
func (g *groupModel) in(user, inviter protocol.UserID) {
	g.members = append(g.members, memberModel{user: user, inviter: inviter, silenced: g.former[user]})
	delete(g.former, user)
}

// out takes a member out; an owner is followed by the first in order.
func (g *groupModel) out(user protocol.UserID) {
	was := *g.at(user)
	if was.silenced {
		if g.former == nil {
			g.former = map[protocol.UserID]bool{}
		}
		g.former[user] = true
	}
	g.members = slices.DeleteFunc(g.members, func(m memberModel) bool { return m.user == user })
	switch {
	case len(g.members) == 0:
		g.dead = true
	case was.role == protocol.Role_OWNER:
		g.members[0].role, g.members[0].silenced = protocol.Role_OWNER, false
	}
}

// groupTry is one group and people who do to it what they like.
type groupTry struct {
	t     *rapid.T
	stage *stage
	model groupModel
	id    protocol.SessionID
	said  int
}

var groupPeople = []protocol.UserID{"ann", "bob", "cid", "dan", "eve"}

func (g *groupTry) pick(what string) protocol.UserID {
	return rapid.SampledFrom(groupPeople).Draw(g.t, what)
}

// does has somebody do something, and checks whether it was allowed.
func (g *groupTry) does(me protocol.UserID, f *protocol.Frame, want protocol.Code) *protocol.Frame {
	reply, err := g.stage.node.Ask(context.Background(), protocol.Identity{User: me, Device: "d"}, f)
	got := protocol.Code_OK
	if err != nil {
		got = protocol.AsError(err).Code
	}
	if got != want {
		g.t.Fatalf("%s by %s: %s %v, want %s", f.Type(), me, got.Word(), err, want.Word())
	}
	return reply
}

// verdict is what a member is told, and a stranger always.
func verdict(me *memberModel, may bool) protocol.Code {
	switch {
	case me == nil:
		return protocol.Code_NOT_FOUND
	case !may:
		return protocol.Code_DENIED
	}
	return protocol.Code_OK
}

func leads(m *memberModel) bool { return m != nil && m.role != protocol.Role_MEMBER }
func owns(m *memberModel) bool  { return m != nil && m.role == protocol.Role_OWNER }

func (g *groupTry) add(t *rapid.T) {
	by, user := g.pick("who"), g.pick("whom")
	me := g.model.at(by)
	want := verdict(me, g.model.invites(me))
	g.does(by, add(g.id, user), want)
	if want == 0 && g.model.at(user) == nil {
		g.model.in(user, by)
	}
}

func (g *groupTry) remove(t *rapid.T) {
	by, user := g.pick("who"), g.pick("whom")
	me, other := g.model.at(by), g.model.at(user)
	may := other == nil || by == user || owns(me) || !owns(other) && me != nil && (leads(me) || other.inviter == by)
	want := verdict(me, may)
	f := remove(g.id, user)
	if by == user && rapid.Bool().Draw(t, "exit") {
		f = exit(g.id)
	}
	g.does(by, f, want)
	if want == 0 && other != nil {
		g.model.out(user)
	}
}

func (g *groupTry) role(t *rapid.T) {
	by, user := g.pick("who"), g.pick("whom")
	me, other := g.model.at(by), g.model.at(user)
	role := rapid.SampledFrom([]protocol.Role{protocol.Role_MEMBER, protocol.Role_ADMIN}).Draw(t, "role")
	want := verdict(me, owns(me))
	if want == 0 && other == nil {
		want = protocol.Code_NOT_FOUND
	} else if want == 0 && owns(other) {
		want = protocol.Code_DENIED
	}
	g.does(by, set(g.id, &protocol.SessionSet{Members: []string{user}, Role: &role}), want)
	if want == 0 {
		other.role = role
	}
}

func (g *groupTry) owner(t *rapid.T) {
	by, user := g.pick("who"), g.pick("whom")
	me, other := g.model.at(by), g.model.at(user)
	want := verdict(me, owns(me))
	if want == 0 && other == nil {
		want = protocol.Code_NOT_FOUND
	}
	g.does(by, set(g.id, &protocol.SessionSet{Owner: &user}), want)
	if want == 0 {
		me.role = protocol.Role_ADMIN
		other.role, other.silenced = protocol.Role_OWNER, false
	}
}

func (g *groupTry) silence(t *rapid.T) {
	by, user := g.pick("who"), g.pick("whom")
	me, other := g.model.at(by), g.model.at(user)
	until := rapid.SampledFrom([]int64{0, actors.Forever}).Draw(t, "until")
	want := verdict(me, leads(me))
	if want == 0 && other == nil {
		want = protocol.Code_NOT_FOUND
	} else if want == 0 && (by == user || !owns(me) && leads(other)) {
		want = protocol.Code_DENIED
	}
	g.does(by, silence(g.id, until, user), want)
	if want == 0 {
		other.silenced = until != 0
	}
}

func (g *groupTry) settings(t *rapid.T) {
	by := g.pick("who")
	want := verdict(g.model.at(by), leads(g.model.at(by)))
	m := &protocol.SessionSet{
		SilenceAll: ptr(rapid.Bool().Draw(t, "silence all")), ReadOnly: ptr(rapid.Bool().Draw(t, "read only")),
		JoinPolicy:   ptr(protocol.JoinPolicy(rapid.IntRange(0, 2).Draw(t, "join"))),
		InvitePolicy: ptr(protocol.InvitePolicy(rapid.IntRange(0, 1).Draw(t, "invite"))),
	}
	g.does(by, set(g.id, m), want)
	if want == 0 {
		g.model.silenceAll, g.model.read, g.model.join, g.model.invite = *m.SilenceAll, *m.ReadOnly, *m.JoinPolicy, *m.InvitePolicy
	}
}

func (g *groupTry) join(t *rapid.T) {
	by := g.pick("who")
	want := protocol.Code_OK
	switch {
	case g.model.dead:
		want = protocol.Code_NOT_FOUND
	case g.model.at(by) != nil, g.model.join == protocol.JoinPolicy_OPEN:
	case g.model.join == protocol.JoinPolicy_ASK:
		want = protocol.Code_DENIED
	default:
		want = protocol.Code_NOT_FOUND
	}
	g.does(by, join(g.id), want)
	if want == 0 && g.model.at(by) == nil {
		g.model.in(by, "")
	}
}

func (g *groupTry) send(t *rapid.T) {
	by := g.pick("who")
	me := g.model.at(by)
	want := verdict(me, !g.model.read || leads(me))
	if want == 0 && (me.silenced || g.model.silenceAll && !leads(me)) {
		want = protocol.Code_SILENCED
	}
	g.said++
	g.does(by, send(g.id, fmt.Sprint("c", g.said), "hello"), want)
}

func (g *groupTry) dissolve(t *rapid.T) {
	by := g.pick("who")
	if rapid.IntRange(0, 9).Draw(t, "really") > 0 && owns(g.model.at(by)) {
		return
	}
	want := verdict(g.model.at(by), owns(g.model.at(by)))
	g.does(by, dissolve(g.id), want)
	if want == 0 {
		g.model.dead, g.model.members = true, nil
	}
}

func (g *groupTry) makeLink(t *rapid.T) {
	by := g.pick("who")
	me := g.model.at(by)
	want := verdict(me, g.model.invites(me))
	uses := rapid.Int64Range(0, 2).Draw(t, "uses")
	reply := g.does(by, linkCreate(g.id, uses, 0), want)
	if want == 0 {
		l := reply.GetLinkCreateReply().Link
		g.model.links = append(g.model.links, &linkModel{id: l.Link, code: l.Code, by: by, uses: uses})
	}
}

func (g *groupTry) useLink(t *rapid.T) {
	if len(g.model.links) == 0 {
		return
	}
	by, l := g.pick("who"), rapid.SampledFrom(g.model.links).Draw(t, "link")
	me := g.model.at(by)
	want := protocol.Code_EXPIRED
	if !g.model.dead && (me != nil || !l.revoked && (l.uses == 0 || l.used < l.uses) && g.model.invites(g.model.at(l.by))) {
		want = protocol.Code_OK
	}
	if rapid.Bool().Draw(t, "look") {
		g.does(by, linkGet(l.code), want)
		return
	}
	g.does(by, joinBy(l.code), want)
	if want == 0 && me == nil {
		l.used++
		g.model.in(by, l.by)
	}
}

func (g *groupTry) revokeLink(t *rapid.T) {
	if len(g.model.links) == 0 {
		return
	}
	by, l := g.pick("who"), rapid.SampledFrom(g.model.links).Draw(t, "link")
	me, want := g.model.at(by), protocol.Code_NOT_FOUND
	if me != nil && (l.by == by || leads(me)) {
		want = protocol.Code_OK
	}
	g.does(by, linkRevoke(g.id, l.id), want)
	if want == 0 {
		l.revoked = true
	}
}

// compare looks at what is stored.
func (g *groupTry) compare(t *rapid.T) {
	stored, err := g.stage.store.Load(context.Background(), g.id)
	if err != nil {
		t.Fatal(err)
	}
	var got []memberModel
	owner := ""
	for _, m := range stored.Members {
		got = append(got, memberModel{m.User, m.Inviter, m.Role, m.SilencedUntil != 0})
		if m.Role == protocol.Role_OWNER {
			if owner != "" || m.SilencedUntil != 0 {
				t.Fatalf("two owners, or one who is silenced: %+v", got)
			}
			owner = m.User
		}
	}
	if stored.Info.Dead != g.model.dead || stored.Info.Owner != owner || (owner == "") != (len(got) == 0) || stored.Info.Creator != "ann" {
		t.Fatalf("owner %q, dead %v, members %+v", stored.Info.Owner, stored.Info.Dead, got)
	}
	if fmt.Sprint(got) != fmt.Sprint(g.model.members) {
		t.Fatalf("members\n%+v, want\n%+v", got, g.model.members)
	}
	for _, l := range g.model.links {
		if row, err := g.stage.store.Link(context.Background(), l.id); err != nil || row.Used != l.used || row.Revoked != l.revoked {
			t.Fatalf("link %+v, %v, want %+v", row, err, l)
		}
	}
}

// Whatever members and strangers do to a group in whatever order: who is in it, and
// what each of them is told, is as the rules say.
func TestAGroupIsWhatItsRulesSay(t *testing.T) {
	s := newStage(t, actors.Config{})
	rapid.Check(t, func(t *rapid.T) {
		g := &groupTry{t: t, stage: s, model: groupModel{members: []memberModel{{user: "ann", role: protocol.Role_OWNER}}}}
		first := &protocol.SessionCreate{SessionType: protocol.SessionType_GROUP}
		for _, u := range groupPeople[1:rapid.IntRange(1, len(groupPeople)).Draw(t, "first members")] {
			first.Members = append(first.Members, u)
			g.model.members = append(g.model.members, memberModel{user: u, inviter: "ann"})
		}
		g.id = g.does("ann", &protocol.Frame{Body: &protocol.Frame_SessionCreate{SessionCreate: first}}, 0).GetSessionCreateReply().Result[0]
		for i := range g.model.members[1:] {
			m, role := &g.model.members[i+1], protocol.Role_ADMIN
			if rapid.Bool().Draw(t, "an admin") {
				g.does("ann", set(g.id, &protocol.SessionSet{Members: []string{m.user}, Role: &role}), 0)
				m.role = role
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": g.add, "remove": g.remove, "role": g.role, "owner": g.owner, "silence": g.silence, "settings": g.settings, "join": g.join,
			"send": g.send, "dissolve": g.dissolve, "make a link": g.makeLink, "use a link": g.useLink, "revoke a link": g.revokeLink, "": g.compare,
		})
	})
}
