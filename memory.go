package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
)

// limitMemory tells the runtime when to rather collect than grow. GOMEMLIMIT in
// the environment is the operator's word and wins. Without a limit one burst of
// garbage makes the kernel end us in a small container. It gives the bytes
// in force, 0: none.
func limitMemory(want int64) int64 {
	if os.Getenv("GOGC") == "" {
		grow()
	}
	if os.Getenv("GOMEMLIMIT") != "" {
		return debug.SetMemoryLimit(-1)
	}
	if want <= 0 {
		want = machineMemory() / 4 * 3 // the rest is for what Go does not see: the store's cache, the kernel's buffers
	}
	if want > 0 {
		debug.SetMemoryLimit(want)
	}
	return want
}

// growth is by how many percent of what lives the heap grows until it is collected again; before
// is what lived a collection earlier. It is six tenths, where Go's default is to let it double, as
// fewer of the spans that outlive a crowd's signing in are half empty then: with 5,000 idle
// connections 50 takes 10.4 KB for each, 75 10.8 and 100 11.4, with 0.8 and 0.75 of the CPU that
// signing in takes at 50 (medians, alternating). Where next to nothing lives that would be a
// collection every 5 MB, each with costs that do not depend on what lives: there are 16 MB between
// two at least, and 64 while what lives stays as it is, as then nobody arrives and all of it is
// garbage of messages. giveBack returns that when it is quiet. With 40 instead,
// collections were 3 µs of a message of a hundred busy pairs, with 64 they are 2.
func growth(live, before uint64) (percent int) {
	const least, arriving, steady, most = 60, 16 << 20, 64 << 20, 800
	room := uint64(arriving)
	if live <= before+before/8 {
		room = steady
	}
	return int(min(max(room*100/max(live, 1), least), most))
}

// grow sets growth anew after each collection.
func grow() {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	before, now := uint64(0), 0
	var set func(int)
	set = func(int) {
		metrics.Read(sample)
		live := sample[0].Value.Uint64()
		if p := growth(live, before); p != now {
			now = p
			debug.SetGCPercent(p)
		}
		before = live
		runtime.AddCleanup(new([16]byte), set, 0) // nothing holds it: it goes with the next collection
	}
	set(0)
}

// machineMemory is what this process may use at most: the control group's bound
// or the machine's memory, whichever is less; 0: unknown.
func machineMemory() int64 {
	least := int64(0)
	consider := func(n int64, err error) {
		if err == nil && n > 0 && (least == 0 || n < least) {
			least = n
		}
	}
	for _, file := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		if text, err := os.ReadFile(file); err == nil {
			consider(strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64))
		}
	}
	if text, err := os.ReadFile("/proc/meminfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if rest, ok := strings.CutPrefix(line, "MemTotal:"); ok {
				n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
				consider(n<<10, err)
			}
		}
	}
	return least
}
