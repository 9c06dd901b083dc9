package jail

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Cgroups is a cgroup (v2) that was delegated to this program: each bot gets one in it.
type Cgroups struct {
	dir string
	n   int
}

const cgroupRoot = "/sys/fs/cgroup"

// FindCgroups gives the cgroup that was delegated to this process (Delegate=yes of its
// systemd unit, with or without DelegateSubgroup), or dir where it is not "". The error
// says why there is none.
func FindCgroups(dir string) (*Cgroups, error) {
	own, err := ownCgroup()
	if err != nil {
		return nil, err
	}
	if dir == "" {
		for _, d := range []string{own, filepath.Dir(own)} {
			if delegated(d) {
				dir = d
				break
			}
		}
		if dir == "" {
			return nil, errors.New("no cgroup is delegated to this server (Delegate=yes in its systemd unit, or bot-cgroup)")
		}
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return nil, fmt.Errorf("the cgroup %s: %w", dir, err)
	}
	if fs.Type != unix.CGROUP2_SUPER_MAGIC {
		return nil, fmt.Errorf("%s is no cgroup of version 2", dir)
	}
	c := &Cgroups{dir: filepath.Clean(dir)}
	if err := c.open(own); err != nil {
		return nil, err
	}
	return c, c.try()
}

// open has the controllers looked after in what is below, and ends what a killed server left.
// own is where this process is.
func (c *Cgroups) open(own string) error {
	if c.dir == own { // a cgroup that hands its controllers on has no processes itself
		leaf := filepath.Join(c.dir, "server")
		if err := os.Mkdir(leaf, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
			return fmt.Errorf("the cgroup of this server: %w", err)
		}
		if err := write(leaf, "cgroup.procs", strconv.Itoa(os.Getpid())); err != nil {
			return err
		}
	}
	text, err := os.ReadFile(filepath.Join(c.dir, "cgroup.controllers"))
	if err != nil {
		return err
	}
	there := strings.Fields(string(text))
	for _, name := range []string{"memory", "pids", "cpu"} {
		if !slices.Contains(there, name) {
			return fmt.Errorf("the cgroup %s has no controller %s; it has %q", c.dir, name, there)
		}
	}
	if err := write(c.dir, "cgroup.subtree_control", "+memory +pids +cpu"); err != nil {
		return err
	}
	left, _ := filepath.Glob(filepath.Join(c.dir, "bot-*"))
	for _, dir := range left {
		_ = os.Remove(dir) // one that is not empty is another server's
	}
	return nil
}

// try starts a program in a cgroup with all bounds: else each bot would fail where the kernel
// (before 5.7) or a filter of calls does not let a process begin in one.
func (c *Cgroups) try() error {
	g, err := c.Make("try", Bounds{Memory: 256 << 20, Threads: 512, CPU: 1})
	if err != nil {
		return err
	}
	defer g.End()
	if err := try(None, Filters{}, g); err != nil {
		return fmt.Errorf("the cgroup %s: no program can be started in one below it: %w", c.dir, err)
	}
	return nil
}

// ownCgroup is where this process is.
func ownCgroup() (string, error) {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", err
	}
	for _, line := range strings.Split(string(text), "\n") {
		if path, ok := strings.CutPrefix(line, "0::"); ok {
			return filepath.Join(cgroupRoot, path), nil
		}
	}
	return "", errors.New("this system has no cgroups of version 2")
}

// delegated says whether systemd gave a cgroup away.
func delegated(dir string) bool {
	value := make([]byte, 8)
	for _, name := range []string{"user.delegate", "trusted.delegate"} {
		if n, err := unix.Getxattr(dir, name, value); err == nil && string(value[:n]) == "1" {
			return true
		}
	}
	return false
}

// write sets one of the files that the kernel made.
func write(dir, name, value string) error {
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString(value)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return fmt.Errorf("the cgroup: %s: %w", name, err)
	}
	return nil
}

// Bounds are what all processes of a program may take together. 0 is no bound.
type Bounds struct {
	Memory  int64   // bytes
	Threads int     // and processes
	CPU     float64 // cores
}

// Cgroup is one program's.
type Cgroup struct {
	dir  string
	open *os.File
}

// Make makes one. name and a number are in its name.
func (c *Cgroups) Make(name string, b Bounds) (*Cgroup, error) {
	for {
		c.n++
		g := &Cgroup{dir: filepath.Join(c.dir, fmt.Sprintf("bot-%s-%d-%d", name, os.Getpid(), c.n))}
		err := os.Mkdir(g.dir, 0o755)
		if errors.Is(err, os.ErrExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("the cgroup: %w", err)
		}
		if err := g.bound(b); err != nil {
			return nil, errors.Join(err, os.Remove(g.dir))
		}
		return g, nil
	}
}

func (g *Cgroup) bound(b Bounds) (err error) {
	files := map[string]string{}
	if b.Memory > 0 {
		files["memory.max"] = strconv.FormatInt(b.Memory, 10)
		files["memory.oom.group"] = "1"
	}
	if b.Threads > 0 {
		files["pids.max"] = strconv.Itoa(b.Threads)
	}
	if b.CPU > 0 {
		const period = 100_000 // microseconds
		files["cpu.max"] = fmt.Sprintf("%d %d", int64(b.CPU*period), period)
	}
	for name, value := range files {
		if err := write(g.dir, name, value); err != nil {
			return err
		}
	}
	if b.Memory > 0 {
		_ = write(g.dir, "memory.swap.max", "0") // a kernel without swap has none
	}
	g.open, err = os.Open(g.dir)
	return err
}

// Starved says that the kernel ended a process of the program as it took too much memory.
func (g *Cgroup) Starved() bool {
	if g == nil {
		return false
	}
	text, _ := os.ReadFile(filepath.Join(g.dir, "memory.events"))
	for _, line := range strings.Split(string(text), "\n") {
		if n, ok := strings.CutPrefix(line, "oom_kill "); ok {
			return n != "0"
		}
	}
	return false
}

// End kills all that is left in it, and takes it away.
func (g *Cgroup) End() {
	if g == nil {
		return
	}
	_ = write(g.dir, "cgroup.kill", "1")
	g.open.Close()
	_ = os.Remove(g.dir) // what is being killed keeps it for a moment: the next start sweeps
}
