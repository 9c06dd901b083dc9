package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/troupe-im/troupe/cmd/chaos/check"
)

// planted are the bugs that a server built with the tag planted can have, and the
// invariants of which at least one must be seen to break.
var planted = []struct {
	name string
	by   []string
}{
	{"ack-before-commit", []string{"I1"}},
	{"no-dedupe", []string{"I3", "I17"}},
	{"dedupe-forgets", []string{"I3", "I17"}},
	{"publish-before-commit", []string{"I8"}},
	{"receipt-falls", []string{"I19"}},
	{"recall-still-counts", []string{"I20"}},
	{"resume-skips-one", []string{"I12"}},
}

// tries is how many runs a planted bug may hide in: what it breaks depends on the
// moment of the kills.
const tries = 3

// proof runs a server with every planted bug in turn. It is good when each is caught.
func proof(ctx context.Context, cfg config) (bool, error) {
	dir, err := os.MkdirTemp("", "troupe-chaos-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	cfg.Planted = "any"
	cfg.Kills, cfg.Every = min(cfg.Kills, 4), min(cfg.Every, 700*time.Millisecond) // enough for each of them
	if err := cfg.build(ctx, dir); err != nil {
		return false, err
	}
	all := true
	for _, bug := range planted {
		caught := false
		for try := 1; try <= tries && !caught; try++ {
			cfg.Planted, cfg.Dir = bug.name, filepath.Join(dir, fmt.Sprintf("%s-%d", bug.name, try))
			cfg.Seed++
			report, err := play(ctx, cfg)
			if err != nil {
				return false, fmt.Errorf("%s: %w", bug.name, err)
			}
			seen := breaches(report)
			caught = slices.ContainsFunc(bug.by, func(name string) bool { return strings.Contains(seen, name+" ") })
			fmt.Printf("%-24s run %d, %d kills: caught %v; breaches: %s\n", bug.name, try, report.Kills, caught, seen)
		}
		all = all && caught
	}
	return all, nil
}

// breaches counts a report's violations by invariant, like "I1 3, I8 1, ".
func breaches(p *check.Report) string {
	var b strings.Builder
	for i := 0; i < len(p.Violations); {
		j := i
		for j < len(p.Violations) && p.Violations[j].Invariant == p.Violations[i].Invariant {
			j++
		}
		fmt.Fprintf(&b, "%s %d, ", p.Violations[i].Invariant, j-i)
		i = j
	}
	return b.String()
}
