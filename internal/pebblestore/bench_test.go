package pebblestore

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
)

// benchRoom is the id of the nth session of a benchmark.
func benchRoom(n int) protocol.SessionID {
	k := sessionKey{}
	random := rand.New(rand.NewPCG(uint64(n), 7))
	for i := range k.id {
		k.id[i] = byte(random.Uint32())
	}
	return k.String()
}

// benchEntry is a message of 128 bytes, as on the path from a client.
func benchEntry(seq int64, id string) *protocol.Entry {
	return &protocol.Entry{Session: "s_aaaaaaaaaaaaaaaa", Seq: seq, MessagerecvId: "s_aaaaaaaaaaaaaaaa.1", Sender: "u_abcdefghijklmnop",
		ClientMsgId: id, CreatedAt: 1700000000000 + seq,
		Content: &protocol.Content{Type: protocol.ContentType_TEXT, Text: id + "-" + words[:127-len(id)]}}
}

const words = "the quick brown fox jumps over the lazy dog and then goes home to sleep until the next morning comes around the corner of the house again"

// processor is the time in seconds that this process has computed for.
func processor() float64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return float64(u.Utime.Sec+u.Stime.Sec) + float64(u.Utime.Usec+u.Stime.Usec)/1e6
}

// BenchmarkCommit commits batches of one message each of as many sessions. The
// figure to watch is cpu-µs/msg: ns/op waits for the disk.
func BenchmarkCommit(b *testing.B) {
	for _, size := range []int{1, 20, 200} {
		b.Run(fmt.Sprint("batch=", size), func(b *testing.B) {
			s := benchStore(b, b.TempDir(), size)
			defer s.Close()
			batch := make([]*actors.Append, size)
			seq := int64(0)
			began := processor()
			for b.Loop() {
				seq++
				for i := range batch {
					batch[i] = &actors.Append{Session: benchRoom(i), Epoch: 1, Vouched: true,
						Entries: []*protocol.Entry{benchEntry(seq, fmt.Sprintf("%016x-%08x", seq, i))}, Hashes: [][8]byte{{1}}}
				}
				if err := s.Commit(batch); err != nil || batch[0].Err != nil {
					b.Fatal(err, batch[0].Err)
				}
			}
			b.ReportMetric((processor()-began)*1e6/float64(b.N*size), "cpu-µs/msg")
		})
	}
}

func benchStore(b *testing.B, dir string, rooms int) *Store {
	s, err := Open(dir, quiet(nil))
	if err != nil {
		b.Fatal(err)
	}
	for i := range rooms {
		if _, err := s.Load(context.Background(), benchRoom(i)); err != nil {
			makeRoom(b, s, benchRoom(i))
		}
	}
	return s
}

// million makes a store of a million entries in a hundred sessions; with
// TROUPE_BENCH_STORE set it is made there once, else at every run.
func million(b *testing.B) (dir string) {
	const rooms, each = 100, 10000
	if dir = os.Getenv("TROUPE_BENCH_STORE"); dir == "" {
		if testing.Short() {
			b.Skip("takes a minute")
		}
		dir = b.TempDir()
	}
	s := benchStore(b, dir, rooms)
	for seq := int64(1); seq <= each; seq += 25 {
		var batch []*actors.Append
		for room := range rooms {
			stored, ok := s.heads.get(func() sessionKey { k, _ := parseSession(benchRoom(room)); return k }())
			if ok && stored.last >= seq {
				continue
			}
			a := &actors.Append{Session: benchRoom(room), Epoch: 1, Vouched: true}
			for n := range int64(25) {
				a.Entries = append(a.Entries, benchEntry(seq+n, fmt.Sprintf("%016x-%08x", seq+n, room)))
				a.Hashes = append(a.Hashes, [8]byte{})
			}
			batch = append(batch, a)
		}
		if err := s.Commit(batch); err != nil || len(batch) > 0 && batch[0].Err != nil {
			b.Fatal(err, batch[0].Err)
		}
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	return dir
}

// BenchmarkMillion opens a store of a million entries and reads in it.
func BenchmarkMillion(b *testing.B) {
	dir := million(b)
	b.Run("Open", func(b *testing.B) {
		for b.Loop() {
			s, err := Open(dir, quiet(nil))
			if err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			s.Close()
			b.StartTimer()
		}
	})
	s, err := Open(dir, quiet(nil))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	ctx, random := context.Background(), rand.New(rand.NewPCG(1, 2))
	b.Run("Range of 1000", func(b *testing.B) {
		for b.Loop() {
			from := random.Int64N(9000) + 1
			if e, err := s.Range(ctx, benchRoom(random.IntN(100)), from, 1<<40, 1000, 1<<30); err != nil || len(e) != 1000 {
				b.Fatal(len(e), err)
			}
		}
	})
	b.Run("Backward of 50", func(b *testing.B) {
		var worst time.Duration
		for b.Loop() {
			began := time.Now()
			if e, err := s.Backward(ctx, benchRoom(random.IntN(100)), 1, random.Int64N(9900)+51, 50, 1<<30); err != nil || len(e) != 50 {
				b.Fatal(len(e), err)
			}
			worst = max(worst, time.Since(began))
		}
		b.ReportMetric(float64(worst.Microseconds()), "worst-µs")
	})
	b.Run("Unread of 10000", func(b *testing.B) {
		for b.Loop() {
			if n, _, err := s.Unread(ctx, benchRoom(random.IntN(100)), "ann", 0, 10000); err != nil || n != 10000 {
				b.Fatal(n, err)
			}
		}
	})
	b.Run("SentKeys of 10000", func(b *testing.B) {
		for b.Loop() {
			n := 0
			if err := s.SentKeys(ctx, benchRoom(random.IntN(100)), 1, 10000, func([16]byte, actors.Sent) { n++ }); err != nil || n != 10000 {
				b.Fatal(n, err)
			}
		}
	})
	b.Run("Home of 100", func(b *testing.B) {
		for b.Loop() {
			if rows, err := s.Home(ctx, "ann", "d", nil); err != nil || len(rows) != 100 {
				b.Fatal(len(rows), err)
			}
		}
	})
	b.Run("Sent", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Sent(ctx, benchRoom(random.IntN(100)), "nobody", "nothing"); err != nil {
				b.Fatal(err)
			}
		}
	})
}
