package redisstreams

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/troupe-im/troupe/actors"
)

// counter receives.
type counter struct {
	got    atomic.Int64
	losses atomic.Int64
	wake   chan struct{}
}

func (c *counter) Receive(_ string, events []*actors.Event, _ *actors.Burst) {
	c.got.Add(int64(len(events)))
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *counter) Lost() { c.losses.Add(1) }

func spent() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func redisSpent(b *testing.B, r *server) time.Duration {
	info := r.Info(context.Background(), "cpu").Val()
	user, _ := strconv.ParseFloat(infoValue(info, "used_cpu_user"), 64)
	sys, _ := strconv.ParseFloat(infoValue(info, "used_cpu_sys"), 64)
	return time.Duration((user + sys) * float64(time.Second))
}

// BenchmarkBetweenNodes has one node publish and others receive, as fast as they can with
// so many events on the way. CPU is of both nodes together, and of Redis.
func BenchmarkBetweenNodes(b *testing.B) {
	for _, c := range []struct{ readers, window int }{{1, 1}, {1, 100}, {1, 5000}, {2, 5000}} {
		b.Run(fmt.Sprintf("readers=%d/window=%d", c.readers, c.window), func(b *testing.B) {
			r := redisServer(b)
			publisher := open(b, r.config())
			publisher.Start(nobody{})
			subjects := make([]string, 100)
			for i := range subjects {
				subjects[i] = fmt.Sprintf("s:s_%016d", i)
			}
			var counters []*counter
			for range c.readers {
				n, got := open(b, r.config()), &counter{wake: make(chan struct{}, 1)}
				n.Start(got)
				if err := n.Follow(context.Background(), subjects...); err != nil {
					b.Fatal(err)
				}
				counters = append(counters, got)
			}
			took := make([]time.Duration, 0, b.N)
			events := message(1)
			before, redisBefore := spent(), redisSpent(b, r)
			b.ResetTimer()
			for i := range b.N {
				for _, got := range counters {
					for int64(i)-got.got.Load() >= int64(c.window) {
						<-got.wake
					}
				}
				began := time.Now()
				publisher.Publish(subjects[i%len(subjects)], events, nil)
				took = append(took, time.Since(began))
			}
			for _, got := range counters {
				for got.got.Load() < int64(b.N) {
					<-got.wake
				}
			}
			b.StopTimer()
			slices.Sort(took)
			b.ReportMetric(float64(spent()-before)/float64(b.N)/1000, "cpu-µs/event")
			b.ReportMetric(float64(redisSpent(b, r)-redisBefore)/float64(b.N)/1000, "redis-µs/event")
			b.ReportMetric(float64(took[len(took)/2])/1000, "publish-p50-µs")
			b.ReportMetric(float64(took[len(took)*99/100])/1000, "publish-p99-µs")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
			for _, got := range counters {
				if got.losses.Load() > 0 {
					b.Errorf("%d losses", got.losses.Load())
				}
			}
		})
	}
}

// BenchmarkPublishToNobodyElse is a message whose members are all on one node.
func BenchmarkPublishToNobodyElse(b *testing.B) {
	r := redisServer(b)
	s, got := open(b, r.config()), &counter{wake: make(chan struct{}, 1)}
	s.Start(got)
	if err := s.Follow(context.Background(), "s:a"); err != nil {
		b.Fatal(err)
	}
	events := message(1)
	s.Publish("s:a", events, nil)
	b.ReportAllocs()
	for b.Loop() {
		s.Publish("s:a", events, nil)
	}
}

// BenchmarkFollow is what a user with 50 sessions costs who signs in and goes again.
func BenchmarkFollow(b *testing.B) {
	r := redisServer(b)
	s := open(b, r.config())
	s.Start(nobody{})
	subjects := make([]string, 50)
	i := 0
	before, redisBefore := spent(), redisSpent(b, r)
	for b.Loop() {
		for j := range subjects {
			subjects[j] = fmt.Sprintf("s:%d-%d", i, j)
		}
		i++
		if err := s.Follow(context.Background(), subjects...); err != nil {
			b.Fatal(err)
		}
		for _, subject := range subjects {
			s.Unfollow(subject)
		}
	}
	b.ReportMetric(float64(spent()-before)/float64(b.N)/1000, "cpu-µs/op")
	b.ReportMetric(float64(redisSpent(b, r)-redisBefore)/float64(b.N)/1000, "redis-µs/op")
}
