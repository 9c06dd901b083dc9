package main

import (
	"os"
	"strings"
	"testing"
	"time"
)

func TestNothingAcknowledgedIsLostOverThreeKills(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the real server for some seconds")
	}
	dir, err := os.MkdirTemp("", "troupe-chaos-") // kept when the run is red
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	cfg := config{
		Seed: time.Now().UnixNano(), Kills: 3, Every: 800 * time.Millisecond, Rate: 150, Users: 8, Strangers: 4,
		Dir: dir + "/history", Allowed: 20 * time.Second, // a test leans on no machine's speed
		Log: &log,
	}
	if err := cfg.build(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	report, err := play(t.Context(), cfg)
	if err != nil {
		t.Fatalf("%v\n%sthe history is in %s", err, &log, cfg.Dir)
	}
	report.Print(&log)
	if len(report.Violations) > 0 || report.Acked == 0 {
		t.Fatalf("%sthe history is in %s", &log, cfg.Dir)
	}
	t.Log(log.String())
	if err := os.RemoveAll(dir); err != nil {
		t.Error(err)
	}
}
