package pebblestore

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/pushctr"
	"github.com/troupe-im/troupe/userctr"
)

// A town of people: each is a friend of the ten before and the ten after.
const (
	townsfolk    = 100_000
	friendsEach  = 20 // a million friendships, of two rows each
	peopleAtOnce = 500
)

func townsman(n int) protocol.UserID { return fmt.Sprintf("u%05d", n) }

// BenchmarkPeople measures what people wait for when they sign in, in a store of
// 100,000 users and 1,000,000 friendships: p50 and p99 of a login with a password
// (most of it is Argon2id), of a page of 50 friends with their
// profiles, and of a home list of five sessions.
func BenchmarkPeople(b *testing.B) {
	if testing.Short() {
		b.Skip("takes half a minute")
	}
	s, err := Open(b.TempDir(), quiet(nil))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	center, err := userctr.New(userctr.Config{Data: b.TempDir(), Policy: userctr.Open}, s, time.Now, quiet(nil).Log)
	if err != nil {
		b.Fatal(err)
	}
	first, err := center.CreateUser(context.Background(), userctr.NewUser{Name: "first", Password: "a password of everybody's"})
	if err != nil {
		b.Fatal(err)
	}
	town(b, s, first.Password)
	node := actors.New(actors.Config{Rate: -1}, s, pushctr.NewLocal(), center, quiet(nil).Log)
	defer node.Drain(context.Background(), 0)
	random := rand.New(rand.NewPCG(3, 4))
	ctx := context.Background()

	b.Run("login", func(b *testing.B) {
		measured(b, func() {
			n := random.IntN(townsfolk)
			if _, err := center.Login(ctx, townsman(n), "a password of everybody's", userctr.Client{Device: "phone", Address: "127.0.0.1:1"}); err != nil {
				b.Fatal(err)
			}
		})
	})
	ask := func(b *testing.B, user protocol.UserID, f *protocol.Frame) *protocol.Frame {
		answer, err := node.Ask(ctx, protocol.Identity{User: user, Device: "phone"}, f)
		if err != nil {
			b.Fatal(err)
		}
		return answer
	}
	b.Run("friends", func(b *testing.B) {
		measured(b, func() {
			answer := ask(b, townsman(random.IntN(townsfolk)), &protocol.Frame{Body: &protocol.Frame_ContactList{ContactList: &protocol.ContactList{Limit: 50}}})
			if n := len(answer.GetContactListReply().GetContacts()); n != friendsEach {
				b.Fatal(n)
			}
		})
	})
	b.Run("home", func(b *testing.B) {
		measured(b, func() {
			answer := ask(b, townsman(random.IntN(townsfolk)), &protocol.Frame{Body: &protocol.Frame_SessionList{SessionList: &protocol.SessionList{}}})
			if n := len(answer.GetSessionListReply().GetSessions()); n != 5 {
				b.Fatal(n)
			}
		})
	})
}

// measured reports the median and the 99th percentile of what each takes.
func measured(b *testing.B, each func()) {
	var took []time.Duration
	for b.Loop() {
		began := time.Now()
		each()
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}

// town writes the users, their friendships, and one group of five for each, so that everybody is in five.
func town(b *testing.B, s *Store, password string) {
	for from := 0; from < townsfolk; from += peopleAtOnce {
		err := s.update(func(t *tx) error {
			for n := from; n < from+peopleAtOnce; n++ {
				id := townsman(n)
				u := &userctr.User{ID: id, Version: 1, Name: id, Folded: id, Nickname: "Number " + id, Kind: userctr.Human, Created: time.Now(), Password: password}
				t.put(rowKey(tableName, id), []byte(id))
				if err := putRow(t, rowKey(tableUser, id), rowOfUser(u)); err != nil {
					return err
				}
				for step := 1; step <= friendsEach/2; step++ {
					for _, other := range [...]int{(n + step) % townsfolk, (n - step + townsfolk) % townsfolk} {
						row := rowOfContact(&actors.ContactRow{Version: 1, Friend: true, Since: 1})
						if err := putRow(t, rowKey(tableContact, id, townsman(other)), row); err != nil {
							return err
						}
					}
				}
				t.put(rowKey(tableContacts, id), number(friendsEach))
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	var batch []*actors.Append
	for n := range townsfolk {
		a := &actors.Append{Session: benchRoom(n), Epoch: 1, Claim: true, Create: true,
			Info: &protocol.SessionInfo{Session: benchRoom(n), SessionType: protocol.SessionType_GROUP, Name: fmt.Sprint("group ", n), Creator: townsman(n % townsfolk), CreatedAt: 1}}
		for m := range 5 {
			a.Members = append(a.Members, &actors.MemberRow{User: townsman((n + m*7) % townsfolk), Order: int64(m + 1), JoinedAt: 1})
		}
		for seq := int64(1); seq <= 2; seq++ {
			e := benchEntry(seq, fmt.Sprintf("%016x-%08x", seq, n))
			e.Sender = a.Members[seq].User
			a.Entries, a.Hashes = append(a.Entries, e), append(a.Hashes, [8]byte{1})
		}
		if batch = append(batch, a); len(batch) == 2000 {
			if err := s.Commit(batch); err != nil || batch[0].Err != nil {
				b.Fatal(err, batch[0].Err)
			}
			batch = batch[:0]
		}
	}
}
