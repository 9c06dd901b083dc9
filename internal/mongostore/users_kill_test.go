package mongostore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/troupe-im/troupe/internal/mongostore/mongotest"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/userctr"
)

// TestWhatWasSaidToBeKeptOfPeopleIsThereOnce kills the database again and again while people come in, by
// names that several want and an invitation with too few uses for all, change, and
// renew their tokens. Whoever had no answer does it again, as a server's client does.
func TestWhatWasSaidToBeKeptOfPeopleIsThereOnce(t *testing.T) {
	server := mongotest.Start(t)
	uri := server.URI()
	s := []*Store{openAt(t, Options{URI: uri}), openAt(t, Options{URI: uri})}
	const writers, rounds, uses = 4, 12, 30
	must(t, s[0].AddInvite(t.Context(), &userctr.Invite{ID: "i", Uses: uses, Created: then}))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var done atomic.Int64
	var mu sync.Mutex
	names, audited, spent := map[string]string{}, 0, 0
	var wait sync.WaitGroup
	for w := range writers {
		wait.Go(func() {
			s := s[w%len(s)]
			until := func(what string, do func() error, allowed ...protocol.Code) error {
				for {
					err := do()
					if err == nil || errors.Is(err, userctr.ErrSpent) || errors.Is(err, userctr.ErrChanged) {
						return err
					}
					for _, code := range allowed {
						if code.Is(err) {
							return err
						}
					}
					if !protocol.Code_BUSY.Is(err) || ctx.Err() != nil {
						t.Errorf("%s: %v", what, err)
						return err
					}
				}
			}
			for round := range rounds {
				done.Add(1)
				name := fmt.Sprint("name", round) // all writers want it
				id := fmt.Sprintf("u_%d_%d", w, round)
				err := until("add "+id, func() error { return s.AddUser(ctx, person(id, name), "i") }, protocol.Code_CONFLICT)
				if protocol.Code_CONFLICT.Is(err) {
					if _, err := s.User(ctx, id); err == nil { // it was in, and the answer was lost for longer than was waited
						err = nil
					}
				}
				mu.Lock()
				switch {
				case err == nil && names[name] != "":
					t.Errorf("%s is %s and %s", name, names[name], id)
				case err == nil:
					names[name] = id
				case errors.Is(err, userctr.ErrSpent):
					spent++
				}
				mu.Unlock()
				login := fmt.Sprintf("l_%d_%d", w, round)
				if until("login", func() error {
					return s.AddLogin(ctx, &userctr.Login{ID: login, User: id, Device: "d", Created: then, Expires: then}, &userctr.Refresh{Hash: userctr.Hash{1}, Login: login}, &userctr.DeviceRow{User: id, Device: "d"})
				}) == nil {
					child := &userctr.Refresh{Hash: userctr.Hash{2}, Parent: userctr.Hash{1}, Login: login, Nonce: []byte(id)}
					if until("refresh", func() error { _, err := s.AddRefresh(ctx, child); return err }) == nil {
						if _, next, err := s.Refresh(ctx, login, userctr.Hash{1}); protocol.Code_BUSY.Is(err) || err == nil && next != nil && next.Hash == child.Hash {
							continue
						}
						t.Errorf("the token of %s that was kept is not there", login)
					}
				}
			}
			if until("audit", func() error { return s.AppendAudit(ctx, &userctr.Record{Action: "done", By: fmt.Sprint(w)}) }) == nil {
				mu.Lock()
				audited++
				mu.Unlock()
			}
		})
	}
	for _, at := range []int64{writers * rounds / 4, writers * rounds / 2} {
		for done.Load() < at && ctx.Err() == nil {
			time.Sleep(time.Millisecond) // polled: the writers go on by themselves
		}
		server.Kill()
		server.Again(t)
	}
	wait.Wait()
	if len(names) != rounds {
		t.Errorf("%d of %d names are somebody's", len(names), rounds)
	}
	for name, id := range names {
		if u, err := s[1].UserByName(t.Context(), name); err != nil || u.ID != id {
			t.Errorf("%s is %+v, %v, want %s", name, u, err, id)
		}
	}
	users := 0
	must(t, s[0].EachUser(t.Context(), "", func(*userctr.User) bool { users++; return true }))
	i, err := s[0].Invite(t.Context(), "i")
	if err != nil || users != len(names) || i.Used < users || i.Used > uses {
		t.Errorf("%d users came in for %d names, by %+v, %v; %d were told that it is spent", users, len(names), i, err, spent)
	}
	found, err := userctr.CheckAudit(t.Context(), s[1])
	if err != nil || found.Bad != 0 || found.Rows < int64(audited) {
		t.Errorf("the audit log is %+v, %v, want %d rows", found, err, audited)
	}
}
