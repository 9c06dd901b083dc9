package plugins

import (
	"math/rand/v2"
	"time"
)

// When a plugin that crashed is started again.
const (
	firstWait   = 500 * time.Millisecond
	longestWait = time.Minute
	steady      = 5 * time.Minute // after this time up it is as if it had never crashed
	openAt      = 5               // crashes…
	openWithin  = 10 * time.Minute
	firstProbe  = 5 * time.Minute
	lastProbe   = time.Hour
)

// Circuit says whether a plugin is started at all.
type Circuit string

const (
	Closed   Circuit = "closed"
	Open     Circuit = "open"      // it crashed too often: nothing is tried
	HalfOpen Circuit = "half-open" // it is tried once
)

// fuse counts crashes. The zero fuse is closed.
type fuse struct {
	circuit Circuit
	row     int         // crashes one after the other
	crashes []time.Time // the last openAt
	probe   time.Duration
	again   time.Time // not before
}

// started says that a process was started; what follows an open circuit is a trial.
func (f *fuse) started() {
	if f.circuit == Open {
		f.circuit = HalfOpen
	}
}

// crashed notes the end of a process that was up for a time.
func (f *fuse) crashed(now time.Time, up time.Duration) {
	if up >= steady {
		*f = fuse{}
	}
	f.row++
	f.crashes = append(f.crashes, now)
	f.crashes = f.crashes[max(0, len(f.crashes)-openAt):]
	trial := f.circuit == HalfOpen
	if trial || len(f.crashes) == openAt && now.Sub(f.crashes[0]) <= openWithin {
		f.probe = min(max(2*f.probe, firstProbe), lastProbe)
		f.circuit, f.again = Open, now.Add(f.probe)
		return
	}
	wait := longestWait
	if f.row < 8 {
		wait = firstWait << (f.row - 1)
	}
	f.again = now.Add(jitter(wait))
}

// steadied is told while a process is up.
func (f *fuse) steadied(up time.Duration) {
	if up >= steady {
		*f = fuse{}
	}
}

// reset forgets all: somebody said that it is to be started now.
func (f *fuse) reset() { *f = fuse{} }

func (f *fuse) state() Circuit {
	if f.circuit == "" {
		return Closed
	}
	return f.circuit
}

// jitter is d, 20 % more or less: not everybody at once.
func jitter(d time.Duration) time.Duration {
	return min(time.Duration(float64(d)*(0.8+0.4*rand.Float64())), longestWait*12/10)
}
