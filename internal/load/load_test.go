package load

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestMain lets the test program be the floor that the tests start, as the real
// program is.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "load" {
		if err := Main(context.Background(), os.Args[2:], os.Stdout); err != nil {
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func TestLoadMeasuresTheFloorAndFindsNothingWrong(t *testing.T) {
	for _, args := range []string{
		"--pairs 3 p2p",
		"--pairs 3 --window 1 p2p",
		"--pairs 2 --floor-coalesce --coalesce p2p",
		"--pairs 2 --rate 200 p2p",
		"--groups 2x5 --senders 2 group",
		"--connections 20 --settle 1ms idle",
	} {
		t.Run(args, func(t *testing.T) {
			var out bytes.Buffer
			all := append(strings.Fields("--floor-only --duration 100ms --warmup 10ms --json - --data "+t.TempDir()), strings.Fields(args)...)
			if err := Main(t.Context(), all, &out); err != nil {
				t.Fatalf("%v\n%s", err, &out)
			}
			if !strings.Contains(out.String(), "nothing lost") {
				t.Errorf("no word of the checks in\n%s", &out)
			}
			var results []Result
			if err := json.Unmarshal(out.Bytes()[bytes.IndexByte(out.Bytes(), '['):], &results); err != nil {
				t.Fatal(err)
			}
			if r := results[0]; r.Acked == 0 && r.Connections == 0 || r.PSS == 0 {
				t.Errorf("measured nothing: %+v", r)
			}
		})
	}
}

func TestLoadRefusesWhatItCantDo(t *testing.T) {
	for args, want := range map[string]string{
		"":                                   "which scenario",
		"dance":                              "no scenario",
		"--groups 10 group":                  "sessions x members",
		"--payload 5 p2p":                    "--payload",
		"--connections 30000 idle":           "at most",
		"--url wss://127.0.0.1 p2p":          "no TLS",
		"--identity-secret= --repeat 1 p2p":  "--identity-secret",
		"--groups 1x3 --senders 4 group":     "--senders",
		"--cpuprofile d p2p":                 "--spawn",
		"--url ws://127.0.0.1:1 --pid 1 p2p": "--identity-secret",
	} {
		t.Setenv("TROUPE_IDENTITY_SECRET", "")
		err := Main(t.Context(), strings.Fields(args), &bytes.Buffer{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("load %s: %v, want something about %q", args, err, want)
		}
	}
}

func TestSummaryGivesTheRatioToTheFloor(t *testing.T) {
	var out bytes.Buffer
	summarize(&out, []*Result{
		{Target: "troupe", CPUPerAcked: 30}, {Target: "floor", CPUPerAcked: 10},
		{Target: "troupe", CPUPerAcked: 20}, {Target: "floor", CPUPerAcked: 11},
		{Target: "troupe", CPUPerAcked: 25}, {Target: "floor", CPUPerAcked: 9},
	})
	for _, want := range []string{"20.0 / 25.0 / 30.0 µs", "9.0 / 10.0 / 11.0 µs", "ratio 2.50"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
}

func TestConnectionsGoToAllNodesInTurn(t *testing.T) {
	nodes, err := running(&options{url: "ws://127.0.0.1:1,http://127.0.0.1:2,ws://127.0.0.1:3", secret: "s"})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3", "127.0.0.1:1", "127.0.0.1:2"} {
		if got := nodes.at(i); got != want {
			t.Errorf("connection %d goes to %s, want %s", i, got, want)
		}
	}
	if _, err := running(&options{url: "ws://127.0.0.1:1,", secret: "s"}); err == nil {
		t.Error("no address is one")
	}
}

// busyOnce is a wire to a server that is busy for the first who signs in.
type busyOnce struct {
	wire
	asked int
}

func (w *busyOnce) hello(c *conn) error {
	if w.asked++; w.asked == 1 {
		return &refusal{Type: "auth_reply", Code: "BUSY", RetryAfterMs: 1}
	}
	return w.wire.hello(c)
}

func TestWhoIsToldThatTheServerIsBusyComesAgain(t *testing.T) {
	floor, err := spawnFloor(&options{data: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer floor.stop()
	w := &busyOnce{wire: &floorWire{payload: minPayload}}
	conns, err := connect(t.Context(), floor, w, 0, 1)
	if err != nil || w.asked != 2 {
		t.Fatalf("connect = %v after %d questions, want a connection after 2", err, w.asked)
	}
	closeAll(conns)
}

func TestDeliveriesAreWaitedForAsLongAsSomeCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &flow{sent: 3, acked: 3}
		r := &room{flows: []*flow{f}}
		slow := &conn{inbox: newInbox(r)}
		sender := &conn{inbox: newInbox(r), flow: f}
		r.members = []*conn{sender, slow}
		go func() {
			for range 3 {
				time.Sleep(25 * time.Second)
				slow.inbox.count.Add(1)
			}
		}()
		begin, run := time.Now(), &run{broken: make(chan struct{})}
		run.drain(t.Context(), []*room{r})
		if took := time.Since(begin); slow.inbox.count.Load() != 3 || took > 76*time.Second {
			t.Errorf("%d of 3 deliveries came in %s", slow.inbox.count.Load(), took)
		}
		f.acked, f.sent = 4, 4
		begin = time.Now()
		if run.drain(t.Context(), []*room{r}); time.Since(begin) > time.Minute {
			t.Errorf("one that never comes is waited for %s", time.Since(begin))
		}
	})
}
