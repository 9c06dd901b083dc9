package plugins_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/troupe-im/troupe/plugins"
)

// install puts a version of the plugin disk into a directory of plugins: the test's own
// program, which behaves as its file is called.
func install(t *testing.T, dir, version, how string, scopes ...string) {
	t.Helper()
	at := filepath.Join(dir, "disk", version)
	hidden := filepath.Join(dir, "disk", "."+version)
	if err := os.MkdirAll(hidden, 0o755); err != nil {
		t.Fatal(err)
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	name := "bot-" + version
	if how != "" {
		name += "-" + how
	}
	if err := os.WriteFile(filepath.Join(hidden, name), self, 0o755); err != nil {
		t.Fatal(err)
	}
	manifest := fmt.Sprintf("id: disk\nversion: %s\nprotocol: 1\nbinaries: {any: {path: %s}}\nscopes: [%s]\n", version, name, strings.Join(scopes, ", "))
	if err := os.WriteFile(filepath.Join(hidden, "manifest.yaml"), []byte(manifest), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(hidden, at); err != nil {
		t.Fatal(err)
	}
}

func (h *hosted) runs(t *testing.T, version string) *plugins.Status {
	t.Helper()
	var s *plugins.Status
	eventually(t, 15*time.Second, "version "+version+" runs", func() bool {
		s, _ = h.StatusOf("disk")
		return s != nil && s.State == plugins.Ready && s.Version == version
	})
	return s
}

func TestABotWhoseSettingsDoNotFitIsNotStarted(t *testing.T) {
	dir := t.TempDir()
	install(t, dir, "1.0.0", "", "write")
	at := filepath.Join(dir, "disk", "1.0.0")
	manifest, err := os.ReadFile(filepath.Join(at, "manifest.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"manifest.yaml":      string(manifest) + "config_schema: config.schema.json\n",
		"config.schema.json": `{"properties":{"days":{"type":"integer"}}}`,
	} {
		if err := os.WriteFile(filepath.Join(at, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for settings, state := range map[string]plugins.State{`{"days":"three"}`: plugins.Broken, `{"days":3,"secrets":{}}`: plugins.Ready} {
		h := host(t, func(c *plugins.Config) {
			c.Dir, c.Settings = dir, map[string]json.RawMessage{"disk": json.RawMessage(settings)}
		})
		if _, err := h.Approve("disk", "root", nil); err != nil {
			t.Fatal(err)
		}
		s := h.is(t, "disk", state)
		if state == plugins.Broken && (!strings.Contains(s.Why, "days: got string, want integer") || s.Starts != 0) {
			t.Errorf("it was started %d times, and %q", s.Starts, s.Why)
		}
	}
}

func TestAPluginRunsAsItWasApprovedAndNoOtherwise(t *testing.T) {
	dir := t.TempDir()
	install(t, dir, "1.0.0", "", "write", "kv")
	h := host(t, func(c *plugins.Config) { c.Dir = dir })
	s := h.is(t, "disk", plugins.NeedsApproval)
	if len(s.Approve) != 1 || s.Approve[0].Version != "1.0.0" || len(s.Approve[0].New) != 2 || s.Approve[0].Binary == "" {
		t.Errorf("what waits: %+v", s.Approve)
	}
	if _, err := h.Approve("disk", "root", []string{"files"}); err == nil {
		t.Error("it got a scope that it does not ask for")
	}
	if _, err := h.Approve("disk", "root", []string{"write"}); err != nil {
		t.Fatal(err)
	}
	s = h.runs(t, "1.0.0")
	if fmt.Sprint(s.Scopes) != "[write]" || len(s.Approve) != 0 {
		t.Errorf("scopes %v, waiting %v", s.Scopes, s.Approve)
	}
	text, err := os.ReadFile(filepath.Join(h.data, plugins.LockFile))
	if err != nil || !strings.Contains(string(text), "by: root") {
		t.Errorf("plugins.lock: %v\n%s", err, text)
	}

	// Another program under the same name does not run.
	program := filepath.Join(dir, "disk", "1.0.0", "bot-1.0.0")
	other, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program+".new", append(other, 'x'), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(program+".new", program); err != nil {
		t.Fatal(err)
	}
	if err := h.Restart("disk"); err != nil {
		t.Fatal(err)
	}
	s = h.is(t, "disk", plugins.NeedsApproval)
	if !strings.Contains(s.Why, "another than the one that was approved") {
		t.Errorf("why: %s", s.Why)
	}
	if _, err := h.Approve("disk", "root", nil); err != nil {
		t.Fatal(err)
	}
	h.runs(t, "1.0.0")

	// Nor does one with more scopes.
	manifest := filepath.Join(dir, "disk", "1.0.0", "manifest.yaml")
	text, _ = os.ReadFile(manifest)
	if err := os.WriteFile(manifest, []byte(strings.Replace(string(text), "[write, kv]", "[write, kv, read.all]", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	s = h.is(t, "disk", plugins.NeedsApproval)
	if len(s.Approve) != 1 || fmt.Sprint(s.Approve[0].New) != "[read.all]" {
		t.Errorf("what waits: %+v", s.Approve)
	}
}

func TestANewVersionTakesOverAndGivesWayWhenItCrashes(t *testing.T) {
	dir := t.TempDir()
	install(t, dir, "1.0.0", "", "write")
	h := host(t, func(c *plugins.Config) { c.Dir = dir })
	h.is(t, "disk", plugins.NeedsApproval)
	approve := func() {
		t.Helper()
		if _, err := h.Approve("disk", "root", nil); err != nil {
			t.Fatal(err)
		}
	}
	approve()
	first := h.runs(t, "1.0.0")
	install(t, dir, "1.1.0", "", "write")
	eventually(t, 5*time.Second, "the new version waits, and the old one runs", func() bool {
		s, _ := h.StatusOf("disk")
		return len(s.Approve) == 1 && s.Approve[0].Version == "1.1.0" && s.PID == first.PID && s.State == plugins.Ready
	})
	approve()
	second := h.runs(t, "1.1.0")
	eventually(t, 5*time.Second, "the old one is gone", func() bool { return gone(first.PID) })
	for i := 0; i < 3; i++ { // it crashes as soon as it runs
		s := h.runs(t, "1.1.0")
		if i > 0 {
			second = s
		}
		if err := syscall.Kill(second.PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		eventually(t, 5*time.Second, "the crash is noticed", func() bool { s, _ := h.StatusOf("disk"); return s.Crashes == i+1 })
	}
	h.runs(t, "1.0.0")

	// A version that does not even start changes nothing of the one that runs.
	install(t, dir, "2.0.0", "dies", "write")
	eventually(t, 5*time.Second, "it is seen", func() bool { s, _ := h.StatusOf("disk"); return len(s.Approve) > 0 && s.Approve[0].Version == "2.0.0" })
	before := h.runs(t, "1.0.0")
	approve()
	eventually(t, 10*time.Second, "it was tried", func() bool { s, _ := h.StatusOf("disk"); return strings.Contains(s.Why, "2.0.0") })
	if s := h.runs(t, "1.0.0"); s.PID != before.PID {
		t.Error("the one that ran was started anew")
	}
	h.Stop(context.Background())
}

func TestADirectoryThatOthersWriteIsRefused(t *testing.T) {
	dir := t.TempDir()
	install(t, dir, "1.0.0", "", "write")
	if err := os.Chmod(filepath.Join(dir, "disk"), 0o777); err != nil {
		t.Fatal(err)
	}
	h := host(t, func(c *plugins.Config) { c.Dir = dir })
	if s := h.is(t, "disk", plugins.Broken); !strings.Contains(s.Why, "chmod go-w") {
		t.Errorf("why: %s", s.Why)
	}
	if _, err := h.Approve("disk", "root", nil); err == nil {
		t.Error("it was approved")
	}
}
