package redisstreams

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/troupe-im/troupe/actors"
)

// attendances are what is in one process and what is in Redis: they answer alike.
func attendances(t *testing.T, test func(t *testing.T, left, right actors.Attendance)) {
	t.Run("in one process", func(t *testing.T) {
		g := actors.NewRegister()
		test(t, g, g)
	})
	t.Run("in Redis", func(t *testing.T) {
		r := redisServer(t)
		test(t, open(t, r.config()).Attendance(), open(t, r.config()).Attendance())
	})
}

// long is a lease that does not end while a test runs, short one that soon does.
const (
	long  = time.Hour
	short = 200 * time.Millisecond
)

func renew(t *testing.T, a actors.Attendance, node string, ttl time.Duration) (forgotten bool) {
	t.Helper()
	forgotten, err := a.Renew(context.Background(), node, ttl)
	if err != nil {
		t.Fatal(err)
	}
	return forgotten
}

// put says how one user is seen, and gives how the user is seen altogether if that changed.
func put(t *testing.T, a actors.Attendance, node, user, status string, at int64) string {
	t.Helper()
	changed, err := a.Put(context.Background(), node, []actors.Standing{{User: user, Status: status, LastActive: at}})
	if err != nil {
		t.Fatal(err)
	}
	if len(changed) == 0 {
		return ""
	}
	if len(changed) > 1 || changed[0].User != user {
		t.Errorf("changed = %v", changed)
	}
	return fmt.Sprint(changed[0].Status, " ", changed[0].LastActive)
}

func find(t *testing.T, a actors.Attendance, ids ...string) (found []string) {
	t.Helper()
	seen, err := a.Find(context.Background(), ids)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range seen {
		found = append(found, fmt.Sprint(s.User, " ", s.Status, " ", s.LastActive))
	}
	slices.Sort(found)
	return found
}

func lapsed(t *testing.T, a actors.Attendance) (gone []string) {
	t.Helper()
	all, err := a.Lapsed(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		gone = append(gone, fmt.Sprint(s.User, " ", s.Status, " ", s.LastActive))
	}
	slices.Sort(gone)
	return gone
}

func want(t *testing.T, what string, got, want any) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestAUserIsSeenAsTheNodeThatSpokeLastSays(t *testing.T) {
	attendances(t, func(t *testing.T, left, right actors.Attendance) {
		renew(t, left, "a", long)
		renew(t, right, "b", long)
		want(t, "who comes", put(t, left, "a", "ann", "online", 5), "online 5")
		want(t, "who is there already", put(t, right, "b", "ann", "online", 6), "")
		want(t, "who is busy on the other node", put(t, right, "b", "ann", "busy", 7), "busy 7")
		want(t, "seen", find(t, left, "ann", "bob"), "[ann busy 7]")
		want(t, "who left there", put(t, right, "b", "ann", "offline", 8), "online 5")
		want(t, "who left everywhere", put(t, left, "a", "ann", "offline", 9), "offline 9")
		want(t, "who left twice", put(t, left, "a", "ann", "offline", 9), "")
		want(t, "seen", find(t, right, "ann"), "[]")
		want(t, "lapsed", lapsed(t, right), "[]")
	})
}

func TestWhoeverIsOnADeadNodeGoesWithItsLease(t *testing.T) {
	attendances(t, func(t *testing.T, left, right actors.Attendance) {
		renew(t, right, "b", long)
		want(t, "a node that was never there", renew(t, left, "a", short), true)
		put(t, left, "a", "ann", "online", 5)
		put(t, right, "b", "bob", "away", 6)
		put(t, left, "a", "bob", "online", 7)
		eventually(t, "who is on a dead node is seen", func() bool { return len(find(t, right, "ann")) == 0 })
		want(t, "who is elsewhere too", find(t, right, "bob"), "[bob away 6]")
		want(t, "lapsed", lapsed(t, right), "[ann offline 5 bob away 7]")
		want(t, "lapsed twice", lapsed(t, left), "[]")
		want(t, "a node whose lease ended", renew(t, left, "a", long), true)
		want(t, "a node that holds its lease", renew(t, left, "a", long), false)
		want(t, "who is there again", put(t, left, "a", "ann", "online", 9), "online 9")
		want(t, "seen", find(t, right, "ann", "bob"), "[ann online 9 bob away 6]")
	})
}

func TestTwoNodesThatClearUpGetEachUserOnce(t *testing.T) {
	r := redisServer(t)
	dead, left, right := open(t, r.config()).Attendance(), open(t, r.config()).Attendance(), open(t, r.config()).Attendance()
	renew(t, dead, "dead", short)
	var users []actors.Standing
	for i := range 3000 {
		users = append(users, actors.Standing{User: fmt.Sprintf("u%d", i), Status: "online"})
	}
	if _, err := dead.Put(context.Background(), "dead", users); err != nil {
		t.Fatal(err)
	}
	told := make(chan []string, 2)
	for _, a := range []*Attendance{left, right} {
		go func() {
			var all []string
			for len(r.SMembers(context.Background(), a.attending()).Val()) > 0 {
				gone, err := a.Lapsed(context.Background())
				if err != nil {
					t.Error(err)
					break
				}
				for _, s := range gone {
					all = append(all, s.User)
				}
			}
			told <- all
		}()
	}
	all := append(<-told, <-told...)
	slices.Sort(all)
	if n := len(all); n != 3000 || len(slices.Compact(all)) != 3000 {
		t.Errorf("%d users were told of, %d of them different, want 3000", n, len(slices.Compact(all)))
	}
	if keys := r.Keys(context.Background(), "troupe:seen:*").Val(); len(keys) > 0 {
		t.Errorf("%d users of a dead node are left in Redis", len(keys))
	}
}

func TestAFlushedRedisIsToldAgainWhoIsThere(t *testing.T) {
	r := redisServer(t)
	s := open(t, quick(r.config()))
	s.Start(nobody{})
	a := s.Attendance()
	renew(t, a, "a", long)
	put(t, a, "a", "ann", "online", 5)
	if err := r.FlushAll(context.Background()).Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a node does not notice that it is forgotten", func() bool { return renew(t, a, "a", long) })
	want(t, "who is there", put(t, a, "a", "ann", "online", 5), "online 5")
	want(t, "seen", find(t, a, "ann"), "[ann online 5]")
}

func TestAttendanceSaysThatRedisIsAway(t *testing.T) {
	r := redisServer(t)
	a := open(t, r.config()).Attendance()
	renew(t, a, "a", long)
	r.kill()
	ctx := context.Background()
	if _, err := a.Renew(ctx, "a", long); err == nil {
		t.Error("Renew succeeded")
	}
	if _, err := a.Put(ctx, "a", []actors.Standing{{User: "ann", Status: "online"}}); err == nil {
		t.Error("Put succeeded")
	}
	if _, err := a.Find(ctx, []string{"ann"}); err == nil {
		t.Error("Find succeeded")
	}
	if _, err := a.Lapsed(ctx); err == nil {
		t.Error("Lapsed succeeded")
	}
	if _, err := a.Put(ctx, "b", nil); err == nil {
		t.Error("a node without a lease was listened to")
	}
}
