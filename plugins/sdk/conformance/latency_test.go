package conformance_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/troupe-im/troupe/plugins/sdk/botv1"
)

// What it takes from an event to what its handler does, as the host sees it, through a
// real process: one event every millisecond, each in a session of its own. p99 is to be
// below 5 ms. It is a benchmark and no test, as it says as much of the machine.
func BenchmarkAnEventReachesItsHandler(b *testing.B) {
	p := start(b, goBot(b))
	p.meet(b)
	const every = time.Millisecond
	sent := make([]time.Time, b.N)
	took := make([]time.Duration, 0, b.N)
	done := make(chan error, 1)
	go func() {
		for acked := 0; acked < b.N; {
			f, err := p.Recv()
			if err != nil {
				done <- err
				return
			}
			now := time.Now()
			var n int
			switch m := f.Body.(type) {
			case *botv1.BotFrame_Call:
				if _, err := fmt.Sscanf(m.Call.Event, "e%d", &n); err == nil {
					took = append(took, now.Sub(sent[n]))
				}
				go p.put(&botv1.HostFrame{Body: &botv1.HostFrame_Result{Result: &botv1.Result{Id: m.Call.Id, Got: &botv1.Result_Posted{Posted: &botv1.Posted{Seq: 1}}}}})
			case *botv1.BotFrame_Ack:
				acked++
			}
		}
		done <- nil
	}()
	b.ResetTimer()
	next := time.Now()
	for n := range b.N {
		time.Sleep(time.Until(next))
		next = next.Add(every)
		sent[n] = time.Now()
		p.put(&botv1.HostFrame{Body: &botv1.HostFrame_Event{Event: &botv1.Event{
			Id: fmt.Sprint("e", n), Kind: "message", Session: fmt.Sprint("s", n%500), SessionType: "p2p", Text: "echo hi", Sender: &botv1.Person{User: "u"},
		}}})
	}
	if err := <-done; err != nil {
		b.Fatal(err)
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
	b.ReportMetric(0, "ns/op")
}

// put is Send from several goroutines.
func (p *process) put(f *botv1.HostFrame) {
	p.sending.Lock()
	defer p.sending.Unlock()
	_ = p.Send(context.Background(), f)
}
