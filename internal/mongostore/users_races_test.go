package mongostore

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/troupe-im/troupe/internal/mongostore/mongotest"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/userctr"
)

// nodes opens one database as several nodes do.
func nodes(t *testing.T, n int) (all []*Store) {
	uri := mongotest.URI(t)
	for range n {
		all = append(all, openAt(t, Options{URI: uri}))
	}
	return all
}

// atOnceOf runs f n times in parallel, on one node after the other.
func atOnceOf(n int, all []*Store, f func(i int, s *Store)) {
	var wait sync.WaitGroup
	for i := range n {
		wait.Go(func() { f(i, all[i%len(all)]) })
	}
	wait.Wait()
}

var then = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func person(id, name string) *userctr.User {
	return &userctr.User{ID: id, Name: name, Folded: name, Nickname: "Nick " + id, Kind: userctr.Human, Created: then}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wants(t *testing.T, err error, code protocol.Code) {
	t.Helper()
	if !code.Is(err) {
		t.Errorf("error = %v, want %s", err, code.Word())
	}
}

func TestFiftyUsesOfOneRefreshTokenOnTwoNodesAreOneFamily(t *testing.T) {
	all, dir := nodes(t, 2), t.TempDir()
	var centers []*userctr.Center
	for _, s := range all {
		c, err := userctr.New(userctr.Config{Data: dir, Policy: userctr.Open, Argon2: userctr.Argon2{Memory: 64, Passes: 1, Threads: 1}}, s, time.Now, quiet())
		must(t, err)
		centers = append(centers, c)
	}
	first, err := centers[0].SignUp(t.Context(), userctr.NewUser{Name: "ann", Password: "correct horse"}, userctr.Client{Device: "d"})
	must(t, err)
	token := first.Refresh
	for range 2 { // the successor is as good
		var next [50]string
		atOnceOf(len(next), all, func(i int, _ *Store) {
			grant, err := centers[i%len(centers)].Refresh(t.Context(), token, "d")
			if err != nil {
				t.Error(err)
				return
			}
			next[i] = grant.Refresh
		})
		for _, got := range next {
			if got != next[0] || got == token {
				t.Fatal("one token has two successors, or none")
			}
		}
		token = next[0]
	}
	docs, err := find[refreshDoc](t.Context(), all[0], inRefresh, bson.D{})
	if err != nil || len(docs) != 3 {
		t.Errorf("there are %d tokens, %v, want a chain of 3", len(docs), err)
	}
}

func TestOfAdministratorsWhoUnmakeEachOtherOnTwoNodesOneIsLeft(t *testing.T) {
	all, dir := nodes(t, 2), t.TempDir()
	var centers []*userctr.Center
	for _, s := range all {
		c, err := userctr.New(userctr.Config{Data: dir}, s, time.Now, quiet())
		must(t, err)
		centers = append(centers, c)
	}
	admins := []string{"u_0", "u_1"}
	for _, how := range []string{"unmade", "disabled"} {
		for round := range 4 {
			for _, id := range admins {
				u, err := all[0].User(t.Context(), id)
				if protocol.Code_NOT_FOUND.Is(err) {
					u = person(id, "")
					err = all[0].AddUser(t.Context(), u, "")
				}
				must(t, err)
				u.Admin, u.Disabled = true, false
				must(t, all[0].UpdateUser(t.Context(), u))
			}
			atOnceOf(2, all, func(i int, _ *Store) {
				var err error
				if by, whom := admins[i], admins[1-i]; how == "unmade" {
					_, err = centers[i].SetAdmin(t.Context(), by, whom, false)
				} else {
					err = centers[i].SetDisabled(t.Context(), by, whom, true)
				}
				if err != nil && !protocol.Code_CONFLICT.Is(err) {
					t.Error(err)
				}
			})
			left := 0
			must(t, all[0].EachUser(t.Context(), "", func(u *userctr.User) bool {
				if u.Admin && !u.Disabled {
					left++
				}
				return true
			}))
			if left == 0 {
				t.Fatalf("in round %d nobody is left who is no longer %s", round, how)
			}
		}
	}
}

func TestATokenThatIsSweptWhileItIsUsedHasNoSecondChild(t *testing.T) {
	all := nodes(t, 2)
	token := func(i int) *userctr.Refresh {
		r := &userctr.Refresh{Hash: userctr.Hash{byte(i + 1)}, Login: "l", Nonce: []byte{1}, Issued: then.Add(time.Duration(i) * time.Minute)}
		if i > 0 {
			r.Parent = userctr.Hash{byte(i)}
		}
		return r
	}
	must(t, all[0].AddLogin(t.Context(), &userctr.Login{ID: "l", User: "u", Device: "d", Created: then, Expires: then.Add(time.Hour)}, token(0), &userctr.DeviceRow{User: "u", Device: "d"}))
	for i := range 4 {
		_, err := all[0].AddRefresh(t.Context(), token(i+1))
		must(t, err)
	}
	atOnceOf(24, all, func(i int, s *Store) {
		if i < 4 {
			if err := s.Sweep(t.Context(), then, then.Add(24*time.Hour)); err != nil {
				t.Error(err)
			}
			return
		}
		other := token(i%4 + 1)
		other.Hash = userctr.Hash{100 + byte(i)}
		stands, err := s.AddRefresh(t.Context(), other)
		if err == nil && stands.Hash == other.Hash || err != nil && !protocol.Code_NOT_FOUND.Is(err) {
			t.Errorf("a token that was spent has another child: %v, %v", stands, err)
		}
	})
	docs, err := find[refreshDoc](t.Context(), all[0], inRefresh, bson.D{})
	if err != nil || len(docs) != 1 || docs[0].Hash != hexOf(userctr.Hash{5}) {
		t.Errorf("left are %d tokens, %v, want the last", len(docs), err)
	}
}

func TestOfChangesOnTwoNodesNoneIsLost(t *testing.T) {
	all := nodes(t, 2)
	must(t, all[0].AddUser(t.Context(), person("u", "ann"), ""))
	atOnceOf(10, all, func(_ int, s *Store) {
		for {
			u, err := s.User(t.Context(), "u")
			if err == nil {
				u.Nickname += " x"
				err = s.UpdateUser(t.Context(), u)
			}
			if err == nil {
				return
			}
			if !errors.Is(err, userctr.ErrChanged) {
				t.Error(err)
				return
			}
		}
	})
	u, err := all[1].User(t.Context(), "u")
	if err != nil || u.Version != 11 || len(u.Nickname) != len("Nick u")+20 {
		t.Errorf("after 10 changes: %+v, %v", u, err)
	}
	places, err := all[0].FindTerms(t.Context(), "", userctr.TermPlace{}, 100)
	var terms []string
	for _, p := range places {
		terms = append(terms, p.Term)
	}
	if want := userctr.SearchTerms(u); err != nil || !slices.Equal(terms, want) {
		t.Errorf("the index of names has %q, %v, want %q", terms, err, want)
	}
	if rows, err := all[0].versions(t.Context(), "u"); err != nil || len(rows) != 1 {
		t.Errorf("%d versions are live, %v", len(rows), err)
	}
}

func TestTheAuditLogOfThreeNodesIsOneChainWhileItIsCut(t *testing.T) {
	all := nodes(t, 3)
	atOnceOf(6, all, func(i int, s *Store) {
		for j := range 8 {
			if err := s.AppendAudit(t.Context(), &userctr.Record{Action: "sign-in", By: fmt.Sprint(i, j)}); err != nil {
				t.Error(err)
			}
			if i > 1 || j%4 != 3 {
				continue
			}
			rows, err := s.AuditBack(t.Context(), 0, 3)
			if err != nil {
				t.Error(err)
				continue
			}
			last := rows[len(rows)-1]
			r := &userctr.Record{Action: userctr.AuditRemoved, By: userctr.ByServer, Note: userctr.RemovedNote(last.Seq, last.Hash)}
			if err := s.PruneAudit(t.Context(), last.Seq, r); err != nil && !protocol.Code_NOT_FOUND.Is(err) {
				t.Error(err)
			}
		}
	})
	found, err := userctr.CheckAudit(t.Context(), all[0])
	if err != nil || found.Bad != 0 || found.Last < 48 {
		t.Errorf("the audit log is %+v, %v", found, err)
	}
	if docs, err := find[auditDoc](t.Context(), all[0], inAudit, bson.D{op("_id", "$lt", found.From)}); err != nil || len(docs) != 0 {
		t.Errorf("%d rows that were removed are there, %v", len(docs), err)
	}
}

func TestAKeyThatIsRevokedWhileItIsUsedStaysRevoked(t *testing.T) {
	all := nodes(t, 2)
	must(t, all[0].AddKey(t.Context(), &userctr.Key{ID: "k", User: "u", Created: then}, person("u", "")))
	atOnceOf(20, all, func(i int, s *Store) {
		var err error
		if i == 10 {
			err = s.RevokeKey(t.Context(), "k", then)
		} else {
			err = s.UsedKey(t.Context(), "k", then.Add(time.Duration(i)*time.Minute))
		}
		if err != nil {
			t.Error(err)
		}
	})
	for _, s := range all {
		if k, err := s.Key(t.Context(), "k"); err != nil || !k.Revoked.Equal(then) {
			t.Errorf("the key is %+v, %v", k, err)
		}
	}
}

func TestATokenOfAPushServiceWakesOneDeviceWhoeverItIs(t *testing.T) {
	all := nodes(t, 2)
	const n = 8
	for i := range n {
		must(t, all[0].SeeDevices(t.Context(), []*userctr.DeviceRow{{User: fmt.Sprint("u", i), Device: "d", LastSeen: then}}, 5))
	}
	atOnceOf(n, all, func(i int, s *Store) {
		if err := s.PutPush(t.Context(), &userctr.Push{User: fmt.Sprint("u", i), Device: "d", Kind: "fcm", Token: "one", Created: then}); err != nil {
			t.Error(err)
		}
	})
	woken := 0
	for i := range n {
		pushes, err := all[0].Pushes(t.Context(), fmt.Sprint("u", i))
		must(t, err)
		woken += len(pushes)
	}
	if woken != 1 {
		t.Errorf("one token wakes %d devices", woken)
	}
	must(t, all[0].SeeDevices(t.Context(), []*userctr.DeviceRow{{User: "v", Device: "d", LastSeen: then}}, 5))
	atOnceOf(n, all, func(i int, s *Store) {
		err := s.PutPush(t.Context(), &userctr.Push{User: "v", Device: "d", Kind: "fcm", Token: fmt.Sprint(i)})
		if i == n/2 {
			err = errors.Join(err, s.RemoveDevice(t.Context(), "v", "d"))
		}
		if err != nil && !protocol.Code_NOT_FOUND.Is(err) {
			t.Error(err)
		}
	})
	if pushes, err := all[0].Pushes(t.Context(), "v"); err != nil || len(pushes) != 0 {
		t.Errorf("a device that is gone is woken by %v, %v", pushes, err)
	}
}
