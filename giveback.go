package main

import (
	"context"
	"log/slog"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// giveBack returns memory to the system when a burst is over. After ten thousand
// people have signed in, what their signing in took is garbage that nothing
// collects, as nothing is allocated any more: the process would keep twice what it
// needs for minutes.
func giveBack(ctx context.Context, flush func() error, log *slog.Logger) {
	const (
		pause = time.Second
		quiet = 1 << 20 // bytes allocated a second: below this nobody notices a collection
		worth = 1 << 20 // bytes of garbage, beyond a sixteenth of what lives
	)
	samples := []metrics.Sample{
		{Name: "/gc/heap/allocs:bytes"},
		{Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
	}
	tick := time.NewTicker(pause)
	defer tick.Stop()
	var before, collected uint64 // allocated in all: at the last look, and when memory was given back
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		metrics.Read(samples)
		allocated, live, free := samples[0].Value.Uint64(), samples[1].Value.Uint64(), samples[2].Value.Uint64()
		rate := (allocated - before) / uint64(pause/time.Second)
		before = allocated
		// What was allocated since is the most that can be garbage. Room between what lives is no reason:
		// no collection gives it back.
		if rate < quiet && allocated-collected+free > live/16+worth {
			collected = allocated
			if err := flush(); err != nil {
				log.Warn("memory: the store could not write what it holds", "err", err)
			}
			debug.FreeOSMemory()
			if err := unmapProgram(); err != nil {
				log.Debug("memory: the program stays mapped", "err", err)
			}
			log.Debug("memory given back", "allocated", allocated, "live", live)
		}
	}
}
