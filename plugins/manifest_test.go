package plugins

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestWhatIsWrongWithAManifestIsNamedWithItsLine(t *testing.T) {
	const good = "id: chat\nversion: 1.2.0\nprotocol: 1\nbinaries: {linux/amd64: {path: chat}}\n"
	for text, want := range map[string]string{
		good: "",
		good + "scopes: [write, read.all, network, \"network:api.example.com:8443\"]\nlimits: {memory: 512MiB, files: 64}\n": "",
		good + "config_schema: config.schema.json\nlimits: {processes: 64, cpu: 0.5}\n":                                      "",
		good + "config_schema: ../x.json":                                 `config_schema: "../x.json" leads out`,
		good + "limits: {cpu: 0}":                                         `cpu: "0" is not a number of cores`,
		good + "limits: {processes: many}":                                `processes: "many" is not a number`,
		good + "users:\n  - {name: Chat}\n  - {handle: two, name: Two}\n": "",
		good + "scopes: [write, fly]":                                     `manifest.yaml:5: scopes: there is no scope "fly"; there are write`,
		good + "scope: [write]":                                           `manifest.yaml:5: there is no field "scope" in a manifest`,
		good + "limits: {memory: 1MiB}":                                   `manifest.yaml:5: memory: "1MiB" is not a size`,
		good + "users: [{handle: X}]":                                     `manifest.yaml:5: handle: "X"`,
		good + "id: chat":                                                 `manifest.yaml:5: id stands there twice`,
		good + "everywhere: true":                                         "only with the scope moderate",
		"id: chat":                                                        "manifest.yaml:1: version is missing",
		strings.Replace(good, "chat}", "../chat}", 1):                     `leads out of the plugin's directory`,
		strings.Replace(good, "protocol: 1", "protocol: 2", 1):            "manifest.yaml:3: protocol",
		strings.Replace(good, "1.2.0", "one", 1):                          "manifest.yaml:2: version",
		"- a list":                                                        "manifest.yaml:1: a manifest is written as",
		"":                                                                "manifest.yaml:1: a manifest is written as",
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, manifestFile), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		_, _, err := readManifest(dir)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func FuzzReadManifest(f *testing.F) {
	f.Add("id: chat\nversion: 1.2.0\nprotocol: 1\nbinaries: {linux/amd64: {path: chat}}\nusers: [{handle: a}]\nlimits: {memory: 1GiB}")
	f.Add("binaries: {a: &x {path: *x}}")
	f.Fuzz(func(t *testing.T, text string) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, manifestFile), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if m, _, err := readManifest(dir); err == nil && (!goodID.MatchString(m.ID) || !goodVersion.MatchString(m.Version)) {
			t.Errorf("%q was taken: %+v", text, m)
		}
	})
}

func TestVersionsAreComparedByTheirNumbers(t *testing.T) {
	inOrder := []string{"0.9.0", "1.0.0-rc.1", "1.0.0", "1.2.0", "1.10.0", "2.0.0", "1.0.0-dev.0000000000001", "1.0.0-dev.0000000000002"}
	for i, a := range inOrder {
		for j, b := range inOrder {
			if newer(a, b) != (i > j) {
				t.Errorf("newer(%s, %s) = %v", a, b, newer(a, b))
			}
		}
	}
}

func TestCrashesWaitLongerAndOpenTheCircuit(t *testing.T) {
	var f fuse
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	near := func(got, want time.Duration) {
		t.Helper()
		if got < want*8/10 || got > want*12/10 {
			t.Errorf("it waits %v, want about %v", got, want)
		}
	}
	for i := range 4 {
		f.started()
		f.crashed(now, time.Second)
		near(f.again.Sub(now), firstWait<<i)
		now = f.again
	}
	f.crashed(now, time.Second)
	if f.state() != Open || f.again.Sub(now) != firstProbe {
		t.Errorf("after five crashes: %s, again in %v", f.state(), f.again.Sub(now))
	}
	for _, want := range []time.Duration{10 * time.Minute, 20 * time.Minute, 40 * time.Minute, time.Hour, time.Hour} {
		now = f.again
		if f.started(); f.state() != HalfOpen {
			t.Errorf("a trial is %s", f.state())
		}
		if f.crashed(now, time.Second); f.state() != Open || f.again.Sub(now) != want {
			t.Errorf("after a trial: %s, again in %v, want %v", f.state(), f.again.Sub(now), want)
		}
	}
	now = f.again
	f.started()
	if f.steadied(steady); f.state() != Closed {
		t.Errorf("after five minutes up: %s", f.state())
	}
	f.crashed(now, 0)
	near(f.again.Sub(now), firstWait)
	f.crashed(now.Add(time.Hour), steady)
	near(f.again.Sub(now.Add(time.Hour)), firstWait)

	// Slowly, over more than ten minutes, it is only waited for longer.
	f = fuse{}
	for range 20 {
		f.crashed(now, 0)
		now = now.Add(3 * time.Minute)
	}
	if f.state() != Closed {
		t.Errorf("crashes that are far apart: %s", f.state())
	}
}

func TestOfALogTheLastLinesAreKept(t *testing.T) {
	now := time.Now()
	j := newJournal(discard(), func() time.Time { return now })
	gone := make(chan struct{})
	close(gone)
	l := &liner{journal: j, pace: newPace(gone)}
	for range 1000 {
		if _, err := l.Write([]byte("a line\nand ")); err != nil {
			t.Fatal(err)
		}
		_, _ = l.Write([]byte("another\n\n"))
	}
	lines, more := j.after(0)
	if len(lines) != keptLines || lines[len(lines)-1].N != 2000 || lines[len(lines)-1].Text != "and another" {
		t.Errorf("%d lines, the last %+v", len(lines), lines[len(lines)-1])
	}
	_, _ = l.Write([]byte(strings.Repeat("x", 1<<20)))
	l.flush()
	<-more
	if lines, _ = j.after(2000); len(lines) != 1 || len(lines[0].Text) > longLine+3 {
		t.Errorf("of a long line %d bytes are kept", len(lines[0].Text))
	}
}

func TestALineOfJSONBecomesALineOfOurLog(t *testing.T) {
	var out strings.Builder
	log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})).With("bot", "echo")
	j := newJournal(log, time.Now)
	for _, line := range []string{
		`{"time":"2026-01-01T00:00:00Z","level":"WARN","msg":"it is slow","took":"3 s","n":5,"bot":"other"}`,
		`{"@level":"trace","@message":"plugin address","@timestamp":"x","network":"unix"}`,
		`{"level":"fatal","message":"no","at":{"line":3}}`,
		`{"no":"message"}`,
		`plain`,
		`SIGABRT: abort`,
	} {
		j.add(line)
	}
	want := `level=WARN msg="it is slow" bot=echo bot_=other n=5 took="3 s"
level=DEBUG msg="plugin address" bot=echo network=unix
level=ERROR msg=no bot=echo at=map[line:3]
level=INFO msg="{\"no\":\"message\"}" bot=echo
level=INFO msg=plain bot=echo
level=ERROR msg="SIGABRT: abort" bot=echo
`
	if out.String() != want {
		t.Errorf("the log is\n%swant\n%s", out.String(), want)
	}
	lines, _ := j.after(0)
	if len(lines) != 6 || lines[0].Level != "WARN" || lines[0].Text != `it is slow bot_=other n=5 took="3 s"` || lines[4].Level != "" || lines[4].Text != "plain" {
		t.Errorf("what is kept: %+v", lines)
	}
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }
