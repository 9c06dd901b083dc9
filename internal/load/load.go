// Package load is `troupe load`: it drives a server with many connections, checks
// while it measures that every acked message reaches every online member exactly
// once and in order, and says what the server paid for it.
//
// It shares the machine with what it measures, so it is lean: its own frames, a
// scanner for the few fields that it needs, one goroutine per connection that holds
// no buffer while nothing arrives.
package load

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/troupe-im/troupe/internal/load/floor"
)

// floorCommand is the hidden word by which load starts the floor as a child.
const floorCommand = "serve-floor"

type options struct {
	url, secret, data string
	pid               int
	spawn, floor      bool
	profiles          string
	floorOnly         bool // what this machine can do at all
	floorCoalesce     bool
	json              string
	repeat            int
	serverEnv         []string

	pairs, window            int
	groups, members, senders int
	connections              int
	payload                  int
	entries, readers, fill   int
	large                    int
	rate                     float64
	coalesce                 bool
	duration, warmup, settle time.Duration
}

func (o options) with(change func(*options)) *options {
	change(&o)
	return &o
}

// flowWindow is the most that a flow may have in flight.
func (o *options) flowWindow() int {
	if o.rate > 0 {
		return openWindow
	}
	return o.window
}

const usage = `usage: troupe load [flags] SCENARIO...

Scenarios: p2p, group, idle, catchup, history, files. The server is one that runs (--url and
--identity-secret, which must be its TROUPE_IDENTITY_SECRET; start it with TROUPE_RATE=0)
or one started here for each run (--spawn). With --floor each run alternates with one on
the floor: a bare durable relay without JSON. Exit status 1: a check failed.

`

// Main runs `troupe load` with the arguments behind that word. An error is also
// what a run reports whose checks failed.
func Main(ctx context.Context, args []string, stdout io.Writer) error {
	if len(args) == 3 && args[0] == floorCommand {
		return floor.Main(ctx, args[1], args[2] == "true", stdout)
	}
	o, scenarios, err := parse(args, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	var all []*Result
	var failed error
	for _, s := range scenarios {
		results, err := alternate(ctx, o, s, stdout)
		all = append(all, results...)
		if err != nil {
			return err
		}
		if len(results) > 1 {
			summarize(stdout, results)
		}
		for _, r := range results {
			if err := r.Checks.Err(); err != nil {
				failed = errors.Join(failed, fmt.Errorf("%s on %s: %w", s, r.Target, err))
			}
		}
	}
	if o.json != "" {
		if err := saveJSON(o.json, stdout, all); err != nil {
			return err
		}
	}
	return failed
}

func saveJSON(name string, stdout io.Writer, all []*Result) error {
	if name == "-" {
		return writeJSON(stdout, all)
	}
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(writeJSON(f, all), f.Close())
}

func parse(args []string, stdout io.Writer) (*options, []string, error) {
	o := &options{}
	f := flag.NewFlagSet("troupe load", flag.ContinueOnError)
	f.SetOutput(stdout)
	f.Usage = func() {
		fmt.Fprint(stdout, usage)
		f.PrintDefaults()
	}
	f.StringVar(&o.url, "url", "ws://127.0.0.1:8080", "the server to drive; of several nodes all, with commas between: connections go to them in turn")
	f.StringVar(&o.secret, "identity-secret", os.Getenv("TROUPE_IDENTITY_SECRET"), "the server's secret for outside tokens")
	f.IntVar(&o.pid, "pid", 0, "the server's process, for its CPU and memory; found by its port when local")
	f.BoolVar(&o.spawn, "spawn", false, "start a server of this program for each run, with a data directory of its own")
	f.Func("server-env", "NAME=VALUE for a started server; may be repeated", func(s string) error {
		o.serverEnv = append(o.serverEnv, s)
		return nil
	})
	f.StringVar(&o.data, "data", "", "where started servers keep their data (default the system's temporary directory)")
	f.BoolVar(&o.floor, "floor", false, "measure the floor too, alternating")
	f.BoolVar(&o.floorOnly, "floor-only", false, "measure nothing but the floor")
	f.BoolVar(&o.floorCoalesce, "floor-coalesce", false, "let the floor gather frames to one socket into one write")
	f.StringVar(&o.profiles, "cpuprofile", "", "p2p and group with --spawn: write where the server's CPU time goes into this directory, a file for each run")
	f.IntVar(&o.repeat, "repeat", 1, "runs of each scenario")
	f.StringVar(&o.json, "json", "", "also write all results as JSON to this file, - is standard output")
	f.IntVar(&o.pairs, "pairs", 100, "p2p and history: sessions of two")
	f.IntVar(&o.window, "window", 0, "messages in flight per sender (default 10 in p2p, 1 in group)")
	shape := f.String("groups", "10x100", "group: sessions x members")
	f.IntVar(&o.senders, "senders", 1, "group: senders per session")
	f.IntVar(&o.connections, "connections", 5000, "idle: connections")
	f.IntVar(&o.payload, "payload", 128, fmt.Sprintf("bytes of text in a message, at least %d", minPayload))
	f.IntVar(&o.entries, "entries", 1000, "catchup: entries to read")
	f.IntVar(&o.readers, "readers", 20, "catchup: devices that read them, one after the other")
	f.IntVar(&o.fill, "fill", 1_000_000, "history: entries in the store")
	f.IntVar(&o.large, "large", 100, "files: of 100 MB, uploaded all at once; no more than leave half of the disk's room; 0: none")
	f.Float64Var(&o.rate, "rate", 0, "messages a second over all senders, by the clock (open loop); 0: as answers come")
	f.BoolVar(&o.coalesce, "coalesce", false, "let frames to send leave in one write, which people's clients do not do")
	f.DurationVar(&o.duration, "duration", 5*time.Second, "how long to measure")
	f.DurationVar(&o.warmup, "warmup", time.Second, "how long to send before that")
	f.DurationVar(&o.settle, "settle", 10*time.Second, "idle: how long the server rests before its memory is read")
	if err := f.Parse(args); err != nil {
		return nil, nil, err
	}
	if _, err := fmt.Sscanf(strings.ToLower(*shape), "%dx%d", &o.groups, &o.members); err != nil || o.groups < 1 || o.members < 2 {
		return nil, nil, fmt.Errorf("--groups %s: sessions x members, like 10x100", *shape)
	}
	if o.senders < 1 || o.senders > o.members {
		return nil, nil, fmt.Errorf("--senders %d: 1 to the number of members", o.senders)
	}
	if o.payload < minPayload || o.pairs < 1 || o.repeat < 1 || o.readers < 1 || o.entries < 1 {
		return nil, nil, fmt.Errorf("--payload is at least %d, counts at least 1", minPayload)
	}
	if o.profiles != "" && !o.spawn {
		return nil, nil, errors.New("--cpuprofile: of a server that is started here (--spawn)")
	}
	if f.NArg() == 0 {
		f.Usage()
		return nil, nil, errors.New("which scenario?")
	}
	for _, s := range f.Args() {
		if scenarios[s] == nil {
			return nil, nil, fmt.Errorf("no scenario %q", s)
		}
	}
	return o, f.Args(), checkConnections(max(o.connections, o.groups*o.members, 2*o.pairs))
}

// scenario runs once on t.
type scenario struct {
	shape func(*options) string
	run   func(context.Context, *options, *target, wire) (*Result, error)
	// onlyTroupe: the floor keeps no history that could be read.
	onlyTroupe bool
}

var scenarios = map[string]*scenario{
	"p2p": {
		shape: func(o *options) string { return fmt.Sprintf("%d pairs, %s", o.pairs, o.load(10)) },
		run: func(ctx context.Context, o *options, t *target, w wire) (*Result, error) {
			return drive(ctx, o.windowOr(10), t, w, pairs)
		},
	},
	"group": {
		shape: func(o *options) string { return fmt.Sprintf("%dx%d, %s", o.groups, o.members, o.load(1)) },
		run: func(ctx context.Context, o *options, t *target, w wire) (*Result, error) {
			return drive(ctx, o.windowOr(1), t, w, groups)
		},
	},
	"idle": {
		shape: func(o *options) string { return fmt.Sprintf("%d connections", o.connections) },
		run:   idle,
	},
	"catchup": {
		shape: func(o *options) string { return fmt.Sprintf("%d entries, %d readers", o.entries, o.readers) },
		run: func(ctx context.Context, o *options, t *target, w wire) (*Result, error) {
			return catchUp(ctx, o, t, w.(*troupeWire))
		},
		onlyTroupe: true,
	},
	"history": {
		shape: func(o *options) string { return fmt.Sprintf("%d entries", o.fill) },
		run: func(ctx context.Context, o *options, t *target, w wire) (*Result, error) {
			return history(ctx, o, t, w.(*troupeWire))
		},
		onlyTroupe: true,
	},
	"files": {
		shape: func(o *options) string { return fmt.Sprintf("of 100 KB, %d of 100 MB, a picture", o.large) },
		run: func(ctx context.Context, o *options, t *target, w wire) (*Result, error) {
			return files(ctx, o, t, w.(*troupeWire))
		},
		onlyTroupe: true,
	},
}

func (o *options) load(window int) string {
	if o.rate > 0 {
		return fmt.Sprintf("%.0f/s, %d bytes", o.rate, o.payload)
	}
	return fmt.Sprintf("%d in flight, %d bytes", o.windowOr(window).window, o.payload)
}

func (o *options) windowOr(n int) *options {
	return o.with(func(o *options) {
		if o.window == 0 {
			o.window = n
		}
	})
}

func drive(ctx context.Context, o *options, t *target, w wire, make func(context.Context, *options, *target, wire) ([]*room, error)) (*Result, error) {
	rooms, err := make(ctx, o, t, w)
	if err != nil {
		return nil, err
	}
	return traffic(ctx, o, t, rooms)
}

// alternate runs one scenario o.repeat times, each on the server and, where asked
// for and possible, on the floor.
func alternate(ctx context.Context, o *options, name string, stdout io.Writer) ([]*Result, error) {
	s := scenarios[name]
	var results []*Result
	for range o.repeat {
		if !o.floorOnly {
			t, err := server(ctx, o)
			if err != nil {
				return results, err
			}
			r, err := once(ctx, o, name, t, newTroupeWire(t.secret, o.payload), stdout)
			if err != nil {
				return results, err
			}
			results = append(results, r)
		}
		if (o.floor || o.floorOnly) && !s.onlyTroupe {
			t, err := spawnFloor(o)
			if err != nil {
				return results, err
			}
			r, err := once(ctx, o, name, t, &floorWire{payload: o.payload}, stdout)
			if err != nil {
				return results, err
			}
			results = append(results, r)
		}
	}
	return results, nil
}

func server(ctx context.Context, o *options) (*target, error) {
	if o.spawn {
		return spawn(ctx, o)
	}
	return running(o)
}

func newTroupeWire(secret string, payload int) *troupeWire {
	run := make([]byte, 4)
	rand.Read(run)
	return &troupeWire{secret: []byte(secret), run: hex.EncodeToString(run), payload: payload}
}

func once(ctx context.Context, o *options, name string, t *target, w wire, stdout io.Writer) (*Result, error) {
	defer t.stop()
	r, err := scenarios[name].run(ctx, o, t, w)
	if err != nil {
		if t.dir != "" && t.name == "troupe" {
			err = fmt.Errorf("%w\n%s", err, t.tail())
		}
		return nil, fmt.Errorf("%s on %s: %w", name, t.name, err)
	}
	r.Target, r.Scenario, r.Shape = t.name, name, scenarios[name].shape(o)
	r.print(stdout)
	return r, nil
}
