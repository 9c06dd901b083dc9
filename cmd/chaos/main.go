// Command chaos proves that Troupe keeps what it acknowledges: it runs the real
// binary under load, kills it at random moments, records what every client saw,
// and checks the invariants of docs/reliability.md. It speaks the wire contract
// by itself and imports nothing of the server.
//
//	go run ./cmd/chaos                 # 20 kills
//	go run ./cmd/chaos -prove          # is every planted bug caught?
//	go run ./cmd/chaos -check DIR      # judge a kept history again
//	go run ./cmd/chaos -nodes 3        # an installation: three nodes, Redis, FerretDB, links that fail
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/troupe-im/troupe/cmd/chaos/check"
	"github.com/troupe-im/troupe/cmd/chaos/history"
)

func main() {
	cfg := config{Log: os.Stderr}
	flag.Int64Var(&cfg.Seed, "seed", time.Now().UnixNano(), "of all that is random")
	flag.IntVar(&cfg.Kills, "kills", 20, "how often the server is killed")
	flag.DurationVar(&cfg.Every, "every", 2*time.Second, "about the time between two kills")
	flag.Float64Var(&cfg.Rate, "rate", 250, "requests per second of all clients together")
	flag.IntVar(&cfg.Users, "users", 16, "users, with one to three devices each; at least 8")
	flag.IntVar(&cfg.Strangers, "strangers", 24, "members that never connect")
	flag.StringVar(&cfg.Binary, "troupe", "", "the server's binary; built from this module when empty")
	flag.StringVar(&cfg.Planted, "planted", "", "the planted bug that the server shall have")
	flag.DurationVar(&cfg.Allowed, "allowed", 3*time.Second, "what a start may take until ready")
	flag.IntVar(&cfg.Nodes, "nodes", 1, "nodes; with more than one there are a Redis and a FerretDB, and other things than kills")
	flag.IntVar(&cfg.Cluster.Troubles, "troubles", 0, "of several nodes: how many things go wrong; 0: each kind once")
	flag.StringVar(&cfg.Cluster.Faults, "faults", "", "of several nodes: which ones, by parts of their names, with commas")
	flag.BoolVar(&cfg.Cluster.Sentinel, "sentinel", false, "of several nodes: Redis is a master and a replica under three Sentinels")
	flag.StringVar(&cfg.Cluster.Mongo, "mongo", "", "of several nodes: HOST:PORT of a MongoDB to use, where nothing but this run has a database called troupe")
	flag.StringVar(&cfg.Cluster.MongoSet, "mongo-options", "", "of its URI, like ?directConnection=true")
	flag.DurationVar(&cfg.Cluster.Lag, "lag", 5*time.Second, "of several nodes: after this time all of them know what one has acknowledged")
	flag.DurationVar(&cfg.Cluster.Leaves, "leaves", 10*time.Second, "of several nodes: what a node may take to stop; 0: not judged")
	flag.DurationVar(&cfg.Cluster.Answers, "answers", 5*time.Second, "of several nodes: within this time every session acknowledges again, whatever happens; 0: not judged")
	keep := flag.Bool("keep", false, "keep the history of a good run too")
	prove := flag.Bool("prove", false, "instead plant every bug in turn, and fail unless each is caught")
	judge := flag.String("check", "", "only judge the history in this directory")
	flag.Parse()
	cfg.Cluster.Patience = patience

	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	ok, err := false, error(nil)
	switch {
	case *judge != "":
		ok, err = again(*judge)
	case *prove:
		ok, err = proof(ctx, cfg)
	default:
		ok, err = once(ctx, cfg, *keep)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
	}
	if !ok || err != nil {
		os.Exit(1)
	}
}

func again(dir string) (bool, error) {
	h, err := history.Load(dir)
	if err != nil {
		return false, err
	}
	report := check.All(h)
	report.Print(os.Stdout)
	return len(report.Violations) == 0, nil
}

func once(ctx context.Context, cfg config, keep bool) (bool, error) {
	dir, err := os.MkdirTemp("", "troupe-chaos-")
	if err != nil {
		return false, err
	}
	cfg.Dir = filepath.Join(dir, "history")
	if err := cfg.build(ctx, dir); err != nil {
		return false, err
	}
	report, err := play(ctx, cfg)
	if err != nil {
		fmt.Fprintln(os.Stderr, "the history is in", cfg.Dir)
		return false, err
	}
	report.Print(os.Stdout)
	if len(report.Violations) == 0 && !keep {
		return true, os.RemoveAll(dir)
	}
	fmt.Printf("the history is in %s\n", cfg.Dir)
	data, err := json.MarshalIndent(report, "", " ")
	if err == nil {
		err = os.WriteFile(filepath.Join(cfg.Dir, "report.json"), data, 0o644)
	}
	return len(report.Violations) == 0, err
}

// build makes the binaries that were not named.
func (c *config) build(ctx context.Context, dir string) error {
	module := "github.com/troupe-im/troupe"
	var args []string
	if c.Planted != "" { // such a server is never built by default
		args = []string{"-tags", "planted"}
	}
	if c.Binary == "" {
		c.Binary = filepath.Join(dir, "troupe")
		if err := goBuild(ctx, c.Binary, module, args...); err != nil {
			return err
		}
	}
	if c.Nodes > 1 {
		return c.buildCluster(ctx, dir, module)
	}
	c.Dump = filepath.Join(dir, "dump")
	return goBuild(ctx, c.Dump, module+"/cmd/chaos/dump")
}

func (c *config) buildCluster(ctx context.Context, dir, module string) error {
	c.Cluster.Dump = filepath.Join(dir, "mongodump")
	if err := goBuild(ctx, c.Cluster.Dump, module+"/cmd/chaos/mongodump"); err != nil {
		return err
	}
	if c.Cluster.Mongo != "" {
		return nil
	}
	mod, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "tool", "-n", "ferret") // a module of its own; this builds it
	cmd.Dir = filepath.Join(filepath.Dir(strings.TrimSpace(string(mod))), "internal/mongostore/ferret")
	cmd.Env = append(os.Environ(), "GOWORK=off")
	var told bytes.Buffer
	cmd.Stderr = &told
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("building FerretDB: %w\n%s", err, &told)
	}
	c.Cluster.Ferret = strings.TrimSpace(string(out))
	return nil
}

func goBuild(ctx context.Context, to, what string, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", append(append([]string{"build", "-o", to}, args...), what)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", what, err, out)
	}
	return nil
}
