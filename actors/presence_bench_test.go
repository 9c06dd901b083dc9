package actors_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/pebblestore"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/pushctr"
)

// counting is a link that counts what it gets.
type counting struct{ welcomes, presences *atomic.Int64 }

func (c counting) Deliver(frames []actors.Outgoing, _ *actors.Burst) {
	for _, f := range frames {
		switch {
		case f.Frame.GetAuthReply() != nil:
			c.welcomes.Add(1)
		case f.Shared != nil && f.Shared.Frame.GetPresence() != nil:
			c.presences.Add(1)
		}
	}
}

func (counting) Close(int, string) {}

// BenchmarkReconnectOfACrowd has 5,000 users with 100 friends each, all of them in the
// crowd, sign in at once, and waits until everybody was told of everybody: CPU of the
// process per connect, without sockets.
func BenchmarkReconnectOfACrowd(b *testing.B) {
	for _, friends := range []int{0, 100} {
		b.Run(fmt.Sprint(friends, " friends"), func(b *testing.B) { reconnect(b, 5000, friends) })
	}
}

func reconnect(b *testing.B, users, friends int) {
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	store, err := pebblestore.Open("data", pebblestore.Options{FS: vfs.NewMem(), Log: log})
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	id := func(n int) protocol.UserID { return fmt.Sprintf("u%05d", (n+users)%users) }
	for u := range users {
		change := &actors.ContactChange{}
		for d := 1; d <= friends/2; d++ {
			for _, other := range []int{u + d, u - d} {
				change.Contacts = append(change.Contacts, &actors.ContactRow{User: id(u), Other: id(other), Friend: true, Since: 1})
			}
		}
		if friends > 0 {
			if err := store.CommitContacts(context.Background(), change); err != nil {
				b.Fatal(err)
			}
		}
	}
	for b.Loop() {
		node := actors.New(actors.Config{Rate: -1}, store, pushctr.NewLocal(), anybody{}, log)
		var link counting
		link.welcomes, link.presences = new(atomic.Int64), new(atomic.Int64)
		before := cpu(b)
		for u := range users {
			c := node.Connect(link, actors.Remote{Transport: "test"})
			c.Authenticated(&protocol.Identity{User: id(u), Device: "phone", Login: "l"}, &protocol.Frame{Id: "1", Body: &protocol.Frame_Auth{Auth: &protocol.Auth{Token: "t"}}})
		}
		settled := int64(-1)
		for now := int64(0); link.welcomes.Load() < int64(users) || now != settled; now = link.presences.Load() {
			settled = now
			time.Sleep(1500 * time.Millisecond) // longer than a beat
		}
		b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(users), "µs-CPU/connect")
		b.ReportMetric(float64(link.presences.Load())/float64(users), "pushes/connect")
		b.StopTimer()
		node.Drain(context.Background(), 0)
		b.StartTimer()
	}
}

// cpu is what this process has used so far.
func cpu(b *testing.B) time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
