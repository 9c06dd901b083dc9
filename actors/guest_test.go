package actors_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

// shop is anybody, with an application that ann and bob answer for.
type shop struct{ anybody }

func (shop) AppMembers(app string) []protocol.UserID {
	if app == "shop" {
		return []protocol.UserID{"ann", "bob"}
	}
	if app == "help" {
		return []protocol.UserID{"b_help", "ann"}
	}
	return nil
}

func (shop) Known(ids []protocol.UserID) ([]*protocol.Profile, []protocol.UserID) { return nil, ids }

func (shop) Profiles(_ context.Context, ids []protocol.UserID) (all []*protocol.Profile, _ error) {
	for _, id := range ids {
		all = append(all, &protocol.Profile{UserId: id})
	}
	return all, nil
}

// visitor is a guest at the desk.
func visitor(id protocol.UserID, app string) protocol.Identity {
	return protocol.Identity{User: id, Kind: "guest", App: app}
}

func (s *stage) askAs(who protocol.Identity, f *protocol.Frame) (*protocol.Frame, error) {
	return s.node.Ask(s.t.Context(), who, f)
}

func openShop(t *testing.T) *stage {
	s := &stage{t: t, users: shop{}}
	s.begin()
	return s
}

// visits makes the guest's session.
func (s *stage) visits(who protocol.Identity) protocol.SessionID {
	s.t.Helper()
	f, err := s.askAs(who, &protocol.Frame{Body: &protocol.Frame_SessionCreate{SessionCreate: &protocol.SessionCreate{SessionType: protocol.SessionType_MUC}}})
	if err != nil {
		s.t.Fatal(err)
	}
	return f.GetSessionCreateReply().Result[0]
}

func TestAGuestMakesOneSessionWithThoseWhoAnswer(t *testing.T) {
	s := openShop(t)
	guest := visitor("g_1", "shop")
	id := s.visits(guest)
	if again := s.visits(guest); again != id {
		t.Errorf("a second session is %s, want the first, %s", again, id)
	}
	ann := s.dial("ann", "d")
	info := ann.must(&protocol.Frame{Body: &protocol.Frame_SessionGet{SessionGet: &protocol.SessionGet{Session: id}}}).GetSessionGetReply().Info
	var got []string
	for _, m := range info.Members {
		got = append(got, m.User+" "+m.Role.String())
	}
	if want := []string{"g_1 MEMBER", "ann OWNER", "bob ADMIN"}; !slices.Equal(got, want) || info.Owner != "ann" || info.Creator != "g_1" || info.SessionType != protocol.SessionType_MUC {
		t.Errorf("members %v, owner %s; want %v", got, info.Owner, want)
	}
	if _, err := s.askAs(guest, &protocol.Frame{Body: &protocol.Frame_MsgSend{MsgSend: &protocol.MsgSend{
		Session: id, ClientMsgId: "1", Content: &protocol.Content{Type: protocol.ContentType_TEXT, Text: "hello?"}}}}); err != nil {
		t.Errorf("a guest writes in its own session: %v", err)
	}
	if got := ann.push(1); got.Sender != "g_1" {
		t.Errorf("ann heard %v", got)
	}
	if _, err := s.askAs(visitor("g_2", "shop"), &protocol.Frame{Body: &protocol.Frame_Sync{Sync: &protocol.Sync{Session: id}}}); !protocol.Code_NOT_FOUND.Is(err) {
		t.Errorf("another guest reads it: %v", err)
	}
}

func TestAPersonOwnsAGuestsSessionThoughABotStandsFirst(t *testing.T) {
	s := openShop(t)
	guest := visitor("g_1", "help")
	id := s.visits(guest)
	ann := s.dial("ann", "d")
	info := ann.must(&protocol.Frame{Body: &protocol.Frame_SessionGet{SessionGet: &protocol.SessionGet{Session: id}}}).GetSessionGetReply().Info
	if info.Owner != "ann" || len(info.Members) != 3 {
		t.Errorf("the session is %v", info)
	}
	s.says("b_help", id, "1", "how can I help")
	if got := ann.push(1); got.Sender != "b_help" {
		t.Errorf("ann heard %v", got)
	}
}

func TestAGuestDoesNothingElse(t *testing.T) {
	s := openShop(t)
	guest := visitor("g_1", "shop")
	id := s.visits(guest)
	other := s.dial("cid", "d").create(protocol.SessionType_GROUP)
	yes := true
	for says, f := range map[string]*protocol.Frame{
		"a group":             {Body: &protocol.Frame_SessionCreate{SessionCreate: &protocol.SessionCreate{SessionType: protocol.SessionType_GROUP}}},
		"a session of two":    {Body: &protocol.Frame_SessionCreate{SessionCreate: &protocol.SessionCreate{SessionType: protocol.SessionType_P2P, Members: []string{"ann"}}}},
		"with somebody else":  {Body: &protocol.Frame_SessionCreate{SessionCreate: &protocol.SessionCreate{SessionType: protocol.SessionType_MUC, Members: []string{"ann", "cid"}}}},
		"takes others in":     {Body: &protocol.Frame_SessionAddUser{SessionAddUser: &protocol.SessionAddUser{Session: id, Members: []string{"cid"}}}},
		"takes others out":    {Body: &protocol.Frame_SessionRemoveUser{SessionRemoveUser: &protocol.SessionRemoveUser{Session: id, Members: []string{"ann"}}}},
		"names it":            {Body: &protocol.Frame_SessionSet{SessionSet: &protocol.SessionSet{Session: id, Name: &id}}},
		"silences it":         {Body: &protocol.Frame_SessionSet{SessionSet: &protocol.SessionSet{Session: id, SilenceAll: &yes}}},
		"ends it":             {Body: &protocol.Frame_SessionDissolve{SessionDissolve: &protocol.SessionDissolve{Session: id}}},
		"makes a link":        {Body: &protocol.Frame_LinkCreate{LinkCreate: &protocol.LinkCreate{Session: id}}},
		"joins another":       {Body: &protocol.Frame_SessionJoin{SessionJoin: &protocol.SessionJoin{Session: other}}},
		"asks for friendship": {Body: &protocol.Frame_RequestSend{RequestSend: &protocol.RequestSend{Target: "ann"}}},
		"lists contacts":      {Body: &protocol.Frame_ContactList{ContactList: &protocol.ContactList{}}},
		"blocks somebody":     {Body: &protocol.Frame_ContactSet{ContactSet: &protocol.ContactSet{User: "ann", Blocked: &yes}}},
	} {
		if _, err := s.askAs(guest, f); !protocol.Code_DENIED.Is(err) {
			t.Errorf("a guest %s: %v, want DENIED", says, err)
		}
	}
	for says, who := range map[string]protocol.Identity{"of an application that nobody answers for": visitor("g_2", "other"), "of none": visitor("g_3", "")} {
		if _, err := s.askAs(who, &protocol.Frame{Body: &protocol.Frame_SessionCreate{SessionCreate: &protocol.SessionCreate{SessionType: protocol.SessionType_MUC}}}); !protocol.Code_DENIED.Is(err) {
			t.Errorf("a guest %s: %v, want DENIED", says, err)
		}
	}
	f, err := s.askAs(guest, &protocol.Frame{Body: &protocol.Frame_UserGet{UserGet: &protocol.UserGet{Users: []string{"g_1", "ann", "cid", "g_2"}}}})
	if err != nil {
		t.Fatal(err)
	}
	var seen []string
	for _, p := range f.GetUserGetReply().Users {
		seen = append(seen, p.UserId)
	}
	if slices.Sort(seen); !slices.Equal(seen, []string{"ann", "g_1"}) {
		t.Errorf("a guest knows %v, want itself and those who answer", seen)
	}
}

func TestAUserTakesAGuestsPlace(t *testing.T) {
	s := openShop(t)
	ann := s.dial("ann", "d")
	guest := visitor("g_1", "shop")
	id := s.visits(guest)
	for _, n := range []string{"1", "2", "3"} {
		ann.send(id, n, "hello "+n)
	}
	if _, err := s.askAs(guest, &protocol.Frame{Body: &protocol.Frame_MsgRead{MsgRead: &protocol.MsgRead{Session: id, Seq: 2}}}); err != nil {
		t.Fatal(err)
	}
	zoe := s.dial("zoe", "d")
	for range 2 { // asked again, it changes nothing
		if err := s.node.Replace(t.Context(), id, "g_1", "zoe"); err != nil {
			t.Fatal(err)
		}
	}
	var rows []*protocol.SessionHead
	eventually(t, "zoe's row is read", func() bool {
		rows = zoe.must(&protocol.Frame{Body: &protocol.Frame_SessionList{SessionList: &protocol.SessionList{}}}).GetSessionListReply().Sessions
		return len(rows) == 1 && rows[0].SessionType == protocol.SessionType_MUC
	})
	if rows[0].ReadSeq != 2 || rows[0].Unread != 1 || rows[0].FloorSeq > 1 {
		t.Errorf("zoe's rows = %v, want what the guest had read", rows)
	}
	if log := zoe.history(id); len(log) != 5 || log[0].Content.GetText() != "hello 1" || log[3].Kind != protocol.Kind_JOIN || log[4].Kind != protocol.Kind_LEAVE {
		t.Errorf("zoe reads %v", log)
	}
	if _, err := s.askAs(guest, &protocol.Frame{Body: &protocol.Frame_Sync{Sync: &protocol.Sync{Session: id}}}); !protocol.Code_NOT_FOUND.Is(err) {
		t.Errorf("the guest still reads it: %v", err)
	}
	if in, err := s.node.SessionsOf(t.Context(), "g_1"); err != nil || len(in) != 0 {
		t.Errorf("the guest is in %v, %v", in, err)
	}
	s.restart()
	if in, err := s.node.SessionsOf(t.Context(), "zoe"); err != nil || !slices.Equal(in, []protocol.SessionID{id}) {
		t.Errorf("after a restart zoe is in %v, %v", in, err)
	}
	if err := s.node.Replace(t.Context(), id, "g_1", "zoe"); err != nil {
		t.Error(err)
	}
	if err := s.node.Replace(t.Context(), protocol.NewSessionID(), "g_1", "zoe"); err != nil {
		t.Errorf("in a session that is not there: %v", err)
	}
}

func TestAnOwnersPlaceIsTakenWithItsRole(t *testing.T) {
	s := newStage(t, actors.Config{})
	old := s.dial("old", "d")
	id := old.create(protocol.SessionType_GROUP, "bob", "new")
	if err := s.node.Replace(t.Context(), id, "old", "new"); err != nil {
		t.Fatal(err)
	}
	info := s.dial("new", "d").must(&protocol.Frame{Body: &protocol.Frame_SessionGet{SessionGet: &protocol.SessionGet{Session: id}}}).GetSessionGetReply().Info
	if info.Owner != "new" || info.Creator != "old" || len(info.Members) != 2 {
		t.Errorf("session = %v", info)
	}
	for _, m := range info.Members {
		if want := map[string]protocol.Role{"new": protocol.Role_OWNER, "bob": protocol.Role_MEMBER}[m.User]; m.Role != want {
			t.Errorf("%s is %v, want %v", m.User, m.Role, want)
		}
	}
}

func TestAUserWhoWasInTheGuestsSessionIsCountedOnce(t *testing.T) {
	s := openShop(t)
	guest := visitor("g_1", "shop")
	id := s.visits(guest)
	ann := s.dial("ann", "d")
	ann.must(add(id, "zoe"))
	zoe := s.dial("zoe", "d")
	for _, n := range []string{"1", "2", "3"} {
		ann.send(id, n, "hello "+n)
	}
	if _, err := s.askAs(guest, read(id, 4)); err != nil { // all of them: the joining is the first entry
		t.Fatal(err)
	}
	eventually(t, "zoe has all", func() bool { r := zoe.row(id); return r != nil && r.Unread == 3 })
	if err := s.node.Replace(t.Context(), id, "g_1", "zoe"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "zoe's row has what the guest had read", func() bool { r := zoe.row(id); return r.Unread == 0 && r.ReadSeq == 4 })
	for _, c := range []*client{ann, zoe} {
		eventually(t, "three are in it", func() bool { return c.row(id).MemberCount == 3 })
	}
	for _, e := range zoe.history(id) {
		if e.Seq > 1 && e.Kind == protocol.Kind_JOIN {
			t.Errorf("zoe came in again: %v", e)
		}
	}
}

func TestAPlaceInASessionThatCannotBeReadIsTakenLater(t *testing.T) {
	j := &unreadable{}
	s := wrappedStage(t, actors.Config{}, func(inner actors.Journal) actors.Journal { j.Journal = inner; return j })
	id := s.dial("old", "d").create(protocol.SessionType_GROUP, "bob")
	s.restart()
	j.broken.Store(true)
	if err := s.node.Replace(t.Context(), id, "old", "new"); !protocol.Code_BUSY.Is(err) {
		t.Errorf("%v, want BUSY", err)
	}
	if err := s.node.Replace(t.Context(), id, "old", "new"); err != nil {
		t.Error(err)
	}
}

// unreadable is a journal of which one session cannot be loaded once.
type unreadable struct {
	actors.Journal
	broken atomic.Bool
}

func (j *unreadable) Load(ctx context.Context, id protocol.SessionID) (*actors.Stored, error) {
	if j.broken.CompareAndSwap(true, false) {
		return nil, errors.New("a disk that cannot be read")
	}
	return j.Journal.Load(ctx, id)
}
