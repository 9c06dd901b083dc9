package actors_test

import (
	"context"
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
