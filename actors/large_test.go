package actors_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"testing"
	"time"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/pebblestore"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/pushctr"
)

// BenchmarkLargeGroup is a group of 100,000 on the disk, 100 of them connected: one
// round of everything that grows with its members. The figures are in docs/groups.md.
func BenchmarkLargeGroup(b *testing.B) {
	const size, online = 100_000, 100
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	dir := b.TempDir()
	store, err := pebblestore.Open(dir, pebblestore.Options{Log: log})
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	start := func() *actors.Node {
		return actors.New(actors.Config{Rate: -1}, store, pushctr.NewLocal(), anybody{}, log)
	}
	n := start()
	ask := func(who string, f *protocol.Frame) *protocol.Frame {
		b.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		a, err := n.Ask(ctx, protocol.Identity{User: who, Device: "d"}, f)
		if err != nil {
			b.Fatal(err)
		}
		return a
	}
	took := func(what string, times int, f func()) {
		b.Helper()
		at := time.Now()
		f()
		b.ReportMetric(float64(time.Since(at).Microseconds())/1000/float64(times), what)
	}
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	name := func(i int) string { return fmt.Sprintf("u_%016d", i) }
	for range b.N {
		id := ask("root", &protocol.Frame{Body: &protocol.Frame_SessionCreate{SessionCreate: &protocol.SessionCreate{
			SessionType: protocol.SessionType_GROUP, JoinPolicy: protocol.JoinPolicy_OPEN}}}).GetSessionCreateReply().Result[0]
		const alone = 2000
		took("ms/add-500", (size-alone)/500, func() {
			for i := 0; i < size-alone; i += 500 {
				users := make([]string, 500)
				for j := range users {
					users[j] = name(i + j)
				}
				ask("root", add(id, users...))
			}
		})
		took("ms/join", alone-1, func() {
			for i := size - alone; i < size-1; i++ {
				ask(name(i), join(id))
			}
		})
		took("ms/leave", alone/2, func() {
			for i := range alone / 2 {
				ask(name(50*i), exit(id))
			}
		})
		n.Drain(context.Background(), 0)
		n = nil
		before := heap()
		n = start()
		took("ms/load", 1, func() { ask("root", send(id, "first", "hello")) })
		b.ReportMetric(float64(heap()-before)/(1<<20), "MiB/loaded")
		links := make([]*sink, online)
		conns := make([]*actors.Connection, online)
		took("ms/sign-in", online, func() {
			for i := range links {
				links[i] = newSink()
				conns[i] = n.Connect(links[i], actors.Remote{})
				conns[i].Authenticated(&protocol.Identity{User: name(1 + 50*i), Device: "d"}, &protocol.Frame{Body: &protocol.Frame_Auth{Auth: &protocol.Auth{}}})
				ask(name(1+50*i), &protocol.Frame{Body: &protocol.Frame_SessionList{SessionList: &protocol.SessionList{}}})
			}
		})
		const messages = 500
		took("ms/message", messages, func() {
			for i := range messages {
				conns[0].Tell(send(id, fmt.Sprint("c", i), "hello"))
				links[0].waitAcks(i + 1)
			}
		})
		took("ms/page-500", 100, func() {
			cursor := ""
			for range 100 {
				r := ask("root", &protocol.Frame{Body: &protocol.Frame_SessionGet{SessionGet: &protocol.SessionGet{Session: id, Cursor: cursor, Limit: 500}}}).GetSessionGetReply()
				cursor = r.Next
			}
		})
		took("ms/dissolve", 1, func() {
			ask("root", dissolve(id))
			for left := []string{""}; len(left) > 0; time.Sleep(time.Millisecond) {
				var err error
				if left, err = store.DueSessions(context.Background(), time.Now(), 1); err != nil {
					b.Fatal(err)
				}
			}
		})
		for _, c := range conns {
			c.Gone("done")
		}
	}
	n.Drain(context.Background(), 0)
}
