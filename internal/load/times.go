package load

import (
	"sync"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// times holds latencies in a few histograms, each under its lock, so that readers
// do not wait for each other.
type times [8]struct {
	mu         sync.Mutex
	ack        *hdrhistogram.Histogram
	deliver    *hdrhistogram.Histogram
	acked      int64
	delivered  int64
	_separated [64]byte
}

// maxLatency is in microseconds: what is slower counts as a minute.
const maxLatency = 60_000_000

func newTimes() *times {
	t := &times{}
	for i := range t {
		t[i].ack = newHistogram()
		t[i].deliver = newHistogram()
	}
	return t
}

func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, maxLatency, 3) }

// record takes what one read brought, in microseconds.
func (t *times) record(who int, counts bool, acks, deliveries []int64) {
	if !counts || len(acks)+len(deliveries) == 0 {
		return
	}
	s := &t[who%len(t)]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acked += int64(len(acks))
	s.delivered += int64(len(deliveries))
	for _, v := range acks {
		s.ack.RecordValue(min(v, maxLatency))
	}
	for _, v := range deliveries {
		s.deliver.RecordValue(min(v, maxLatency))
	}
}

func (t *times) sum() (ack, deliver *hdrhistogram.Histogram, acked, delivered int64) {
	ack, deliver = newHistogram(), newHistogram()
	for i := range t {
		s := &t[i]
		s.mu.Lock()
		ack.Merge(s.ack)
		deliver.Merge(s.deliver)
		acked += s.acked
		delivered += s.delivered
		s.mu.Unlock()
	}
	return ack, deliver, acked, delivered
}

// Latency is in milliseconds.
type Latency struct {
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

func latency(h *hdrhistogram.Histogram) Latency {
	ms := func(q float64) float64 { return float64(h.ValueAtQuantile(q)) / 1000 }
	return Latency{P50: ms(50), P95: ms(95), P99: ms(99), Max: float64(h.Max()) / 1000}
}
