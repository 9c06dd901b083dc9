package filectr_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
)

// benched is a file of 100 KB; each has other bytes, so that each is kept for itself.
func benched(n int64) []byte {
	content := make([]byte, 100_000)
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], uint64(n))
	rand.NewChaCha8(seed).Read(content)
	return content
}

// BenchmarkUpload is a file of 100 KB in one request, through HTTP, of several at once.
// The rows are in memory, the contents on the disk.
func BenchmarkUpload(b *testing.B) {
	s := newStage(b, nil)
	var n atomic.Int64
	b.SetBytes(100_000)
	b.SetParallelism(8)
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			i := n.Add(1)
			if r := s.post(fmt.Sprint("u", i%8), "a.bin", benched(i)); r.status != 201 {
				b.Errorf("%d %s", r.status, r.body)
			}
		}
	})
}

// BenchmarkDownload is the same the other way, with the question who may read it.
func BenchmarkDownload(b *testing.B) {
	s := newStage(b, nil)
	f := s.upload("ann", "a.bin", benched(1))
	b.SetBytes(100_000)
	b.SetParallelism(8)
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if r := s.get("ann", f.ID); r.status != 200 || len(r.body) != 100_000 {
				b.Errorf("%d, %d bytes", r.status, len(r.body))
			}
		}
	})
}
