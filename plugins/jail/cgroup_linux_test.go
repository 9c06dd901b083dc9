package jail

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// standIn is a directory with the files that a kernel makes in a cgroup (its document
// Documentation/admin-guide/cgroup-v2.rst). It stands for one: what a kernel makes of what is
// written to it is not tried here, where no cgroup of version 2 is delegated. A server tries that
// itself at its start (try).
func standIn(t *testing.T, dir string) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"cgroup.controllers": "cpuset cpu io memory pids\n", "cgroup.subtree_control": "", "cgroup.procs": "", "cgroup.kill": "",
		"memory.max": "max\n", "memory.swap.max": "max\n", "memory.oom.group": "0\n", "memory.events": "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0\n",
		"pids.max": "max\n", "cpu.max": "max 100000\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func holds(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Error(err)
	}
	first, _, _ := strings.Cut(string(text), "\n") // a file that stands for one keeps the end of what it had
	return first
}

func TestBoundsOfACgroupAreWrittenAsTheKernelReadsThem(t *testing.T) {
	g := &Cgroup{dir: standIn(t, t.TempDir())}
	if err := g.bound(Bounds{Memory: 256 << 20, Threads: 64, CPU: 0.5}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"memory.max": "268435456", "memory.oom.group": "1", "cpu.max": "50000 100000",
	} {
		if text := holds(t, g.dir, name); text != want && !strings.HasPrefix(text, want) {
			t.Errorf("%s is %q, want %q", name, text, want)
		}
	}
	for name, want := range map[string]string{"pids.max": "64", "memory.swap.max": "0"} {
		if text := holds(t, g.dir, name); !strings.HasPrefix(text, want) {
			t.Errorf("%s is %q, want %q", name, text, want)
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
	g.End()
	if text := holds(t, g.dir, "cgroup.kill"); text != "1" {
		t.Errorf("cgroup.kill is told %q", text)
	}
}

// A cgroup with processes of its own may not hand controllers on: the kernel answers EBUSY. So
// the server leaves it first.
func TestAServerLeavesItsCgroupBeforeControllersAreHandedOn(t *testing.T) {
	dir := standIn(t, t.TempDir())
	leaf := standIn(t, filepath.Join(dir, "server"))
	control := filepath.Join(dir, "cgroup.subtree_control")
	if err := os.Remove(control); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(control, 0o600); err != nil { // who writes waits here until it is read
		t.Fatal(err)
	}
	left := standIn(t, filepath.Join(dir, "bot-echo-1-1")) // which a kernel removes with its files
	opened := make(chan error, 1)
	go func() { opened <- (&Cgroups{dir: dir}).open(dir) }()
	me := strconv.Itoa(os.Getpid())
	for end := time.Now().Add(time.Minute); holds(t, leaf, "cgroup.procs") != me; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("controllers are handed on while the server is still in it")
		}
	}
	told, err := os.ReadFile(control)
	if err != nil || string(told) != "+memory +pids +cpu" {
		t.Errorf("it is told %q, %v", told, err)
	}
	if err := <-opened; err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(left); err != nil {
		t.Error("what is not empty is gone")
	}
}

func TestWithoutAControllerThereIsNoCgroup(t *testing.T) {
	dir := standIn(t, t.TempDir())
	if err := os.WriteFile(filepath.Join(dir, "cgroup.controllers"), []byte("cpu memory\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := (&Cgroups{dir: dir}).open("elsewhere"); err == nil || !strings.Contains(err.Error(), "pids") {
		t.Errorf("it is opened: %v", err)
	}
}

// The kernel starts a program in a cgroup, or refuses to: a directory that only stands for one
// it refuses.
func TestACgroupInWhichNothingStartsIsNone(t *testing.T) {
	dir := standIn(t, t.TempDir())
	for n := range 9 { // the kernel makes the files of the one that is tried
		standIn(t, filepath.Join(dir, "bot-try-"+strconv.Itoa(os.Getpid())+"-"+strconv.Itoa(n+1)))
	}
	if err := (&Cgroups{dir: dir}).try(); err == nil {
		t.Error("it is taken for one")
	}
}

func TestADirectoryThatIsNoCgroupIsRefused(t *testing.T) {
	if _, err := FindCgroups(t.TempDir()); err == nil {
		t.Error("it is taken for a cgroup")
	}
}

// With TROUPE_TEST_CGROUP, a cgroup of version 2 that is the tester's and has no processes, what
// the kernel makes of it is tried, with those controllers that it has.
func TestAProgramBeginsAndEndsInItsCgroup(t *testing.T) {
	dir := os.Getenv("TROUPE_TEST_CGROUP")
	if dir == "" {
		t.Skip("TROUPE_TEST_CGROUP names no cgroup of version 2")
	}
	c := &Cgroups{dir: dir}
	var b Bounds
	if err := c.open(""); err == nil {
		b = Bounds{Memory: 128 << 20, Threads: 64, CPU: 0.5}
		if err := c.try(); err != nil {
			t.Error(err)
		}
	} else {
		t.Logf("without bounds: %v", err)
	}
	g, err := c.Make("x", b)
	if err != nil {
		t.Fatal(err)
	}
	level, _ := Best()
	filters, _ := Filtering(level)
	cmd, opened, err := Command(Spec{Level: level, Filters: filters, Self: true, Args: []string{"look", "write", filepath.Join(g.dir, "cgroup.freeze"), "0"}, Dir: "/", Cgroup: g})
	if err != nil {
		t.Fatal(err)
	}
	defer opened()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := make([]byte, 64)
	n, err := out.Read(said)
	if text := string(said[:n]); text != "written false\n" {
		t.Errorf("of its own bounds it says %q, %v", text, err)
	}
	pid := strconv.Itoa(cmd.Process.Pid)
	if got := holds(t, g.dir, "cgroup.procs"); got != pid {
		t.Errorf("%s is in the cgroup, want %s", got, pid)
	}
	g.End()
	if err := cmd.Wait(); err == nil {
		t.Error("it ended in peace")
	}
	_ = os.Remove(g.dir)
	if _, err := os.Stat(g.dir); err == nil {
		t.Error("its cgroup is there though it is gone")
	}
}
