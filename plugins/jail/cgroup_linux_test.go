package jail

import (
	"os"
	"path/filepath"
	"testing"
)

// What a kernel makes of the files is not tried: it needs a delegated cgroup. This is what
// it is told.
func TestBoundsOfACgroupAreWrittenAsTheKernelReadsThem(t *testing.T) {
	g := &Cgroup{dir: t.TempDir()}
	if err := g.bound(Bounds{Memory: 256 << 20, Threads: 64, CPU: 0.5}); err != nil {
		t.Fatal(err)
	}
	defer g.open.Close()
	for name, want := range map[string]string{
		"memory.max": "268435456", "memory.swap.max": "0", "memory.oom.group": "1", "pids.max": "64", "cpu.max": "50000 100000",
	} {
		text, err := os.ReadFile(filepath.Join(g.dir, name))
		if err != nil || string(text) != want {
			t.Errorf("%s is %q, %v, want %q", name, text, err, want)
		}
	}
	if g.Starved() {
		t.Error("without events it starved")
	}
	if err := os.WriteFile(filepath.Join(g.dir, "memory.events"), []byte("low 0\noom 1\noom_kill 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if !g.Starved() {
		t.Error("the kernel killed something, and it did not starve")
	}
}

func TestADirectoryThatIsNoCgroupIsRefused(t *testing.T) {
	if _, err := FindCgroups(t.TempDir()); err == nil {
		t.Error("it is taken for a cgroup")
	}
}
