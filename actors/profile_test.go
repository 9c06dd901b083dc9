package actors_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

// faces are users with profiles: what was read once is known from then on.
type faces struct {
	anybody
	mu    sync.Mutex
	all   map[protocol.UserID]*protocol.Profile
	known map[protocol.UserID]bool
	reads int
	stop  chan struct{} // not nil: reading waits for it
}

func newFaces(ids ...protocol.UserID) *faces {
	f := &faces{all: map[protocol.UserID]*protocol.Profile{}, known: map[protocol.UserID]bool{}}
	for _, id := range ids {
		f.all[id] = &protocol.Profile{UserId: id, Nickname: "N " + id, Kind: "human", Version: 1}
	}
	return f
}

func (f *faces) Known(ids []protocol.UserID) (known []*protocol.Profile, others []protocol.UserID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range ids {
		if f.known[id] {
			known = append(known, f.all[id])
		} else {
			others = append(others, id)
		}
	}
	return known, others
}

func (f *faces) Profiles(_ context.Context, ids []protocol.UserID) (found []*protocol.Profile, _ error) {
	f.mu.Lock()
	stop := f.stop
	f.reads++
	for _, id := range ids {
		if p := f.all[id]; p != nil && !slices.Contains(found, p) {
			found = append(found, p)
		}
	}
	f.mu.Unlock()
	if stop != nil {
		<-stop
	}
	f.mu.Lock()
	for _, p := range found {
		f.known[p.UserId] = true
	}
	f.mu.Unlock()
	return found, nil
}

// change gives a user another nickname.
func (f *faces) change(id protocol.UserID, nickname string) *protocol.Profile {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := proto.CloneOf(f.all[id])
	p.Nickname, p.Version = nickname, p.Version+1
	f.all[id], f.known[id] = p, true
	return p
}

func facedStage(t *testing.T, cfg actors.Config, f *faces) *stage {
	s := &stage{t: t, cfg: cfg, users: f}
	s.begin()
	return s
}

func getUsers(ids ...protocol.UserID) *protocol.Frame {
	return &protocol.Frame{Body: &protocol.Frame_UserGet{UserGet: &protocol.UserGet{Users: ids}}}
}

func TestUserGetGivesTheProfilesOfThoseWhoAreThere(t *testing.T) {
	s := facedStage(t, actors.Config{}, newFaces("ann", "bob"))
	ann := s.dial("ann", "phone")
	got := ann.must(getUsers("bob", "nobody", "ann", "bob")).GetUserGetReply().Users
	if len(got) != 2 || got[0].Nickname != "N bob" || got[1].UserId != "ann" {
		t.Errorf("users = %v, want bob and ann once each", got)
	}
}

func TestUserGetRefusesListsThatAreNone(t *testing.T) {
	f := newFaces("ann", "big")
	f.all["big"].Avatar = string(make([]byte, 200<<10))
	s := facedStage(t, actors.Config{}, f)
	ann := s.dial("ann", "phone")
	ann.refused(getUsers(), protocol.Code_BAD_REQUEST)
	ann.refused(getUsers("a\x00b"), protocol.Code_BAD_REQUEST)
	ann.refused(getUsers(slices.Repeat([]string{"ann"}, 101)...), protocol.Code_TOO_MANY)
	ann.refused(getUsers("ann", "big"), protocol.Code_TOO_LARGE)
}

// nicknames are those of the profiles by user.
func nicknames(all []*protocol.Profile) map[protocol.UserID]string {
	names := map[protocol.UserID]string{}
	for _, p := range all {
		names[p.UserId] = p.Nickname
	}
	return names
}

func TestListsShowThePeopleInThem(t *testing.T) {
	f := newFaces("ann", "bob", "eve", "zoe")
	f.all["eve"].Fields = map[string]string{"k": "v"}
	s := facedStage(t, actors.Config{}, f)
	ann, bob := s.dial("ann", "phone"), s.dial("bob", "phone")
	pair := ann.p2p("bob")
	group := bob.create(protocol.SessionType_GROUP, "ann", "eve", "zoe")
	bob.send(group, "1", "hi")
	ann.push(1)
	eventually(t, "ann's list is read", func() bool { return len(ann.row(pair).GetMembers()) == 2 && ann.row(group).GetLast() != nil })
	for range 2 { // from the store, then as they are known
		second := s.connect("ann", "desk", nil)
		users := second.welcome().GetAuthReply().Snapshot.Users
		if got := nicknames(users); len(users) != 2 || got["bob"] != "N bob" || got["ann"] != "N ann" {
			t.Errorf("the snapshot shows %v, want ann and bob once each", users)
		}
	}
	list := ann.must(&protocol.Frame{Body: &protocol.Frame_SessionList{SessionList: &protocol.SessionList{}}}).GetSessionListReply()
	if got := nicknames(list.Users); len(list.Sessions) != 2 || len(got) != 2 || got["bob"] == "" {
		t.Errorf("session_list shows %v", list.Users)
	}
	about := ann.must(&protocol.Frame{Body: &protocol.Frame_SessionGet{SessionGet: &protocol.SessionGet{Session: group}}}).GetSessionGetReply()
	if got := nicknames(about.Users); len(got) != 4 || got["eve"] != "N eve" {
		t.Errorf("session_get shows %v, want all members", about.Users)
	}
	for _, p := range about.Users {
		if len(p.Fields) > 0 {
			t.Errorf("a list carries the fields of %v", p)
		}
	}
	if len(f.all["eve"].Fields) == 0 {
		t.Error("a profile that was given lost its fields")
	}
	if s.connect("zoe", "p", nil).welcome().GetAuthReply().Snapshot.Sessions[0].Session == pair {
		t.Error("zoe is in the session of ann and bob")
	}
}

func TestAListHasNoMoreFacesThanFit(t *testing.T) {
	f := newFaces("ann")
	members := []string{}
	for i := range 300 {
		id := fmt.Sprintf("u%03d", i)
		f.all[id] = &protocol.Profile{UserId: id, Nickname: "N", Avatar: string(bytes.Repeat([]byte("a"), 1024)), Kind: "human", Version: 1}
		members = append(members, id)
	}
	s := facedStage(t, actors.Config{}, f)
	ann := s.dial("ann", "phone")
	group := ann.create(protocol.SessionType_GROUP, members...)
	for range 2 {
		about := ann.must(&protocol.Frame{Body: &protocol.Frame_SessionGet{SessionGet: &protocol.SessionGet{Session: group}}}).GetSessionGetReply()
		if n := len(about.Users); n < 30 || n > 48 || len(about.Info.Members) != 301 {
			t.Errorf("%d faces of %d members, want as many as 48 KiB hold", n, len(about.Info.Members))
		}
	}
}

func update(user protocol.UserID, nickname string) func(*protocol.Frame) bool {
	return func(f *protocol.Frame) bool {
		p := f.GetUserUpdate().GetProfile()
		return p.GetUserId() == user && p.Nickname == nickname
	}
}

// updates counts the user_updates that have come and nobody waited for.
func (c *client) updates() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range c.frames {
		if f.GetUserUpdate() != nil {
			n++
		}
	}
	return n
}

func TestAChangeOfAProfileReachesEverybodyWhoSeesTheUserOnce(t *testing.T) {
	f := newFaces("ann", "bob", "eve", "zoe", "fay")
	s := &stage{t: t, cfg: actors.Config{ReceiptSize: 3}, users: f}
	s.wrap = func(j actors.Journal) actors.Journal { return befriended{j, map[string][]string{"ann": {"fay"}}} }
	s.begin()
	phone, desk := s.dial("ann", "phone"), s.dial("ann", "desk")
	bob, eve, zoe, fay := s.dial("bob", "p"), s.dial("eve", "p"), s.dial("zoe", "p"), s.dial("fay", "p")
	phone.p2p("bob")
	small := phone.create(protocol.SessionType_GROUP, "bob", "eve")
	large := phone.create(protocol.SessionType_GROUP, "bob", "eve", "zoe") // too large for it
	phone.send(small, "1", "hi")
	bob.push(1)
	eventually(t, "ann knows how large it is", func() bool { return phone.row(large).GetMemberCount() == 4 })

	s.node.Shows(f.change("ann", "Anna"))
	for _, c := range []*client{phone, desk, bob, eve, fay} {
		if got := c.wait("the new nickname", update("ann", "Anna")); got.Offset == 0 {
			t.Errorf("%s gets it without an offset, so it is lost to a resume", c.user)
		}
	}
	s.node.Shows(f.change("ann", "Annie"))
	for _, c := range []*client{phone, desk, bob, eve, fay} {
		c.wait("the newer nickname", update("ann", "Annie"))
	}
	for _, c := range []*client{phone, desk, bob, eve, zoe, fay} {
		if n := c.updates(); n != 0 {
			t.Errorf("%s was told %d times more than once", c.user, n)
		}
	}
	about := zoe.must(getUsers("ann")).GetUserGetReply().Users
	if about[0].Nickname != "Annie" {
		t.Errorf("who is not told reads %v", about)
	}
}

// befriended is a journal that knows who is whose friend.
type befriended struct {
	actors.Journal
	friends map[protocol.UserID][]protocol.UserID
}

func (b befriended) FriendsOf(_ context.Context, user protocol.UserID, _ int) (friends, blocked []protocol.UserID, _ error) {
	return b.friends[user], nil, nil
}

func (befriended) BlockedBy(context.Context, protocol.UserID, []protocol.UserID) ([]protocol.UserID, error) {
	return nil, nil
}

func TestWhoComesWhileAProfileChangesSeesTheNewOne(t *testing.T) {
	f := newFaces("ann", "bob")
	s := facedStage(t, actors.Config{}, f)
	s.dial("ann", "phone").p2p("bob")
	f.mu.Lock()
	f.stop = make(chan struct{})
	f.mu.Unlock()
	bob := s.connect("bob", "phone", nil)
	eventually(t, "bob's snapshot is being read", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.reads > 0
	})
	s.node.Shows(f.change("ann", "Anna")) // what is being read says N ann
	close(f.stop)
	if got := nicknames(bob.welcome().GetAuthReply().Snapshot.Users); got["ann"] != "Anna" {
		t.Errorf("the snapshot shows %v, want Anna", got)
	}
}

func TestAResumeBringsTheChangeOfAProfileThatWasMissed(t *testing.T) {
	f := newFaces("ann", "bob")
	s := facedStage(t, actors.Config{}, f)
	ann := s.dial("ann", "phone")
	ann.p2p("bob")
	bob := s.connect("bob", "phone", nil)
	w := bob.welcome()
	bob.hangUp()
	s.node.Shows(f.change("ann", "Anna"))
	ann.p2p("bob")
	again := s.connect("bob", "phone", &protocol.Resume{Epoch: w.GetAuthReply().Epoch, Offset: w.Offset})
	if !again.welcome().GetAuthReply().Resumed {
		t.Fatal("it was not resumed")
	}
	again.wait("the new nickname", update("ann", "Anna"))
}
