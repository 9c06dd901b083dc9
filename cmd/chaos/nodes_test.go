package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Three real nodes with a real Redis and FerretDB: one is killed, one is asked to stop after
// the other, Redis is flushed.
func TestNothingAcknowledgedIsLostAmongThreeNodes(t *testing.T) {
	if testing.Short() {
		t.Skip("runs an installation for most of a minute")
	}
	need := os.Getenv("TROUPE_TEST_NEED")
	if _, err := exec.LookPath("redis-server"); err != nil && !strings.Contains(need, "redis") {
		t.Skip("there is no redis-server on the PATH")
	}
	dir, err := os.MkdirTemp("", "troupe-chaos-") // kept when the run is red
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	cfg := config{
		Seed: time.Now().UnixNano(), Every: 500 * time.Millisecond, Rate: 15, Users: 8, Strangers: 2, Nodes: 3,
		Dir: dir + "/history", Allowed: 60 * time.Second, // a test leans on no machine's speed: how soon is for make cluster
		Log:     &log,
		Cluster: cluster{Patience: 20 * time.Second, Lag: 30 * time.Second, Faults: "kill -9 of a node,rolling restart,Redis is flushed"},
	}
	if err := cfg.build(t.Context(), dir); err != nil {
		if strings.Contains(err.Error(), "FerretDB") && !strings.Contains(need, "ferretdb") {
			t.Skip(err)
		}
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

func TestTheAnswersOfARedisAreRead(t *testing.T) {
	if _, err := exec.LookPath("redis-server"); err != nil && !strings.Contains(os.Getenv("TROUPE_TEST_NEED"), "redis") {
		t.Skip("there is no redis-server on the PATH")
	}
	r, err := newRedis(t.TempDir(), false)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer r.kill()
	at := r.address()
	for _, c := range []struct {
		ask  []string
		want string
	}{
		{[]string{"SET", "a key", "two\r\nlines"}, "[OK]"},
		{[]string{"GET", "a key"}, "[two\r\nlines]"},
		{[]string{"GET", "nothing"}, "[]"},
		{[]string{"RPUSH", "list", "x", "y"}, "[2]"},
		{[]string{"LRANGE", "list", "0", "-1"}, "[x y]"},
		{[]string{"INCR", "list"}, "WRONGTYPE"},
	} {
		got, err := ask(at, c.ask...)
		if err != nil {
			if !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("%q: %v", c.ask, err)
			}
			continue
		}
		if fmt.Sprint(got) != c.want {
			t.Errorf("%q gives %q, want %s", c.ask, got, c.want)
		}
	}
}
