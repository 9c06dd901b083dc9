package pebblestore

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/troupe-im/troupe/actors"
	"github.com/troupe-im/troupe/internal/protocol"
	"github.com/troupe-im/troupe/internal/search"
)

// talk makes texts of 8 to 48 characters, seven in ten of them Chinese, the others English or mixed, whose
// words are as unevenly frequent as people's.
type talk struct {
	random         *rand.Rand
	zh, en         *rand.Zipf
	chinese, latin []string
}

func newTalk() *talk {
	r := rand.New(rand.NewPCG(3, 5))
	t := &talk{random: r, zh: rand.NewZipf(r, 1.1, 20, 19_999), en: rand.NewZipf(r, 1.1, 10, 9_999)}
	for range 20_000 {
		word := []rune{rune(0x4e00 + int(3000*math.Pow(r.Float64(), 2))), rune(0x4e00 + int(3000*math.Pow(r.Float64(), 2)))}
		t.chinese = append(t.chinese, string(word[:1+min(1, r.IntN(4))]))
	}
	for range 10_000 {
		b := make([]byte, 2+r.IntN(8))
		for i := range b {
			b[i] = "etaoinshrdlucmfwypvbgk"[int(22*math.Pow(r.Float64(), 1.6))]
		}
		t.latin = append(t.latin, string(b))
	}
	return t
}

func (t *talk) text() string {
	var b strings.Builder
	kind := t.random.IntN(100)
	for want := 16 + t.random.IntN(80); b.Len() < want; {
		if kind < 70 || kind < 85 && t.random.IntN(2) == 0 {
			b.WriteString(t.chinese[t.zh.Uint64()])
			if t.random.IntN(6) == 0 {
				b.WriteString(",")
			}
		} else {
			b.WriteString(t.latin[t.en.Uint64()] + " ")
		}
	}
	return b.String()
}

// BenchmarkSearch is of 1,000,000 messages in 5,000 sessions, the largest of which has 50,000, and
// of a user in 500 of them (100,000 messages): say -benchtime 1x. It takes some minutes.
func BenchmarkSearch(b *testing.B) {
	if testing.Short() {
		b.Skip("takes minutes")
	}
	const rooms, all = 5000, 1_000_000
	s := benchStore(b, b.TempDir(), 0)
	defer s.Close()
	sizes, total := make([]int64, rooms), int64(0)
	for i := range sizes { // falls as 1/sqrt
		sizes[i] = int64(7100 / math.Sqrt(float64(i+1)))
		total += sizes[i]
	}
	sizes[0] += all - total
	words := newTalk()
	var batch []*actors.Append
	flush := func() {
		if err := s.Commit(batch); err != nil {
			b.Fatal(err)
		}
		for _, a := range batch {
			if a.Err != nil {
				b.Fatal(a.Err)
			}
		}
		batch = nil
	}
	for i := range rooms {
		a := &actors.Append{Session: benchRoom(i), Epoch: 1, Claim: true, Create: true, Info: &protocol.SessionInfo{Session: benchRoom(i), SessionType: protocol.SessionType_GROUP, CreatedAt: 1}}
		a.Members = append(a.Members, &actors.MemberRow{User: "bob", Order: 2, Floor: 1})
		if i%10 == 3 || i == 0 {
			a.Members = append(a.Members, &actors.MemberRow{User: "ann", Order: 1, Floor: 1})
		}
		if batch = append(batch, a); len(batch) == 500 {
			flush()
		}
	}
	bytes := 0
	for seq, at, more := int64(1), int64(1_700_000_000_000), true; more; seq += 50 {
		more = false
		for i := range rooms {
			a := &actors.Append{Session: benchRoom(i), Epoch: 1, Vouched: true}
			for n := seq; n < seq+50 && n <= sizes[i]; n++ {
				text := words.text()
				bytes, at = bytes+len(text), at+1
				a.Entries = append(a.Entries, &protocol.Entry{Seq: n, Sender: "u_abcdefghijklmnop", ClientMsgId: fmt.Sprintf("%016x-%08x", n, i), CreatedAt: at,
					Content: &protocol.Content{Type: protocol.ContentType_TEXT, Text: text}})
				a.Hashes = append(a.Hashes, [8]byte{})
			}
			if len(a.Entries) > 0 {
				batch, more = append(batch, a), true
			}
			if len(batch) == 100 {
				flush()
			}
		}
	}
	flush()
	if err := s.db.Flush(); err != nil {
		b.Fatal(err)
	}
	before := s.db.Metrics().DiskSpaceUsage()

	c := search.New(search.Config{Rate: -1, Sweep: time.Millisecond}, s, time.Now, slog.New(slog.DiscardHandler))
	b.Run("sign all", func(b *testing.B) {
		for range b.N {
			ctx, cancel := context.WithCancel(context.Background())
			began, cpu := time.Now(), processor()
			go c.Run(ctx)
			for {
				left, _, err := s.Unsigned(context.Background(), "", 1<<20)
				if err != nil {
					b.Fatal(err)
				}
				if len(left) == 0 {
					break
				}
				time.Sleep(200 * time.Millisecond)
			}
			b.ReportMetric(all/time.Since(began).Seconds(), "messages/s")
			b.ReportMetric((processor()-cpu)*1e6/all, "cpu-µs/msg")
			cancel()
		}
		size := 0
		err := s.scan([]byte{tableSignature}, []byte{tableSignature + 2}, func(key, value []byte) error { size += len(key) + len(value); return nil })
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(size)/all, "index-B/msg")
		b.ReportMetric(float64(bytes)/all, "text-B/msg")
	})
	if err := s.db.Flush(); err != nil {
		b.Fatal(err)
	}
	b.Logf("on disk: %d MB before, %d MB with signatures", before>>20, s.db.Metrics().DiskSpaceUsage()>>20)
	random := rand.New(rand.NewPCG(8, 8))
	for _, x := range []struct {
		name string
		user string
		q    func() search.Query
	}{
		{"common word, my 500 sessions", "ann", func() search.Query {
			return search.Query{Words: words.chinese[random.IntN(20)] + words.chinese[random.IntN(20)][:3]}
		}},
		{"rare word of two everyday characters, my 500", "ann", func() search.Query { return search.Query{Words: "海她"} }},
		{"rare Chinese word of two, my 500", "ann", func() search.Query { return search.Query{Words: "饕餮"} }},
		{"rare phrase, my 500", "ann", func() search.Query { return search.Query{Words: string([]rune(words.text())[:5])} }},
		{"English prefix of five, my 500", "ann", func() search.Query { return search.Query{Words: "qzxjw"} }},
		{"one character, my 500", "ann", func() search.Query { return search.Query{Words: string(rune(0x4e00 + random.IntN(2000)))} }},
		{"one character that nobody wrote, my 500", "ann", func() search.Query { return search.Query{Words: "龘"} }},
		{"common word, largest session", "ann", func() search.Query { return search.Query{Words: words.chinese[random.IntN(20)], Session: benchRoom(0)} }},
		{"rare word, largest session", "ann", func() search.Query { return search.Query{Words: "饕餮", Session: benchRoom(0)} }},
		{"rare word, a session of 300", "ann", func() search.Query { return search.Query{Words: "饕餮", Session: benchRoom(563)} }},
		{"rare word, all 5,000 sessions and 1,000,000 messages", "bob", func() search.Query { return search.Query{Words: "饕餮"} }},
		{"rare word of two everyday characters, all 5,000", "bob", func() search.Query { return search.Query{Words: "海她"} }},
		{"common word, all 5,000 sessions", "bob", func() search.Query { return search.Query{Words: words.chinese[random.IntN(20)]} }},
	} {
		b.Run(x.name, func(b *testing.B) {
			var took []time.Duration
			hits, partial, cpu := 0, 0, processor()
			for range b.N {
				for range 60 {
					q := x.q()
					q.Limit = 20
					began := time.Now()
					page, err := c.Find(context.Background(), x.user, q)
					if err != nil {
						b.Fatal(err)
					}
					took = append(took, time.Since(began))
					if hits += len(page.Hits); page.Partial {
						partial++
					}
				}
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1e3, "p50-ms")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1e3, "p99-ms")
			b.ReportMetric((processor()-cpu)*1e3/float64(len(took)), "cpu-ms")
			b.ReportMetric(float64(hits)/float64(len(took)), "hits")
			b.ReportMetric(float64(partial)/float64(len(took)), "partial")
			b.ReportMetric(0, "ns/op")
		})
	}
}
