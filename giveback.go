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
		worth = 4 << 20 // bytes that would be given back, beyond a sixteenth of what lives
	)
	samples := []metrics.Sample{
		{Name: "/gc/heap/allocs:bytes"},
		{Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
	}
	tick := time.NewTicker(pause)
	defer tick.Stop()
	var before uint64
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		metrics.Read(samples)
		allocated, live := samples[0].Value.Uint64(), samples[1].Value.Uint64()
		held := samples[2].Value.Uint64() + samples[3].Value.Uint64() + samples[4].Value.Uint64()
		rate := (allocated - before) / uint64(pause/time.Second)
		before = allocated
		if rate < quiet && held > live+live/16+worth {
			if err := flush(); err != nil {
				log.Warn("memory: the store could not write what it holds", "err", err)
			}
			debug.FreeOSMemory()
			log.Debug("memory given back", "held", held, "live", live)
		}
	}
}
