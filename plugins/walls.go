package plugins

import (
	"errors"
	"fmt"
	"runtime"
	"strings"

	"github.com/troupe-im/troupe/plugins/jail"
)

// walls are what bots are kept apart by.
type walls struct {
	level   jail.Level
	filters jail.Filters
	groups  *jail.Cgroups // nil: none
	why     error         // it is not the best there is
}

func (w walls) String() string {
	all := []string{w.level.String()}
	if w.level == jail.None {
		all = nil
	}
	if w.filters.Landlock {
		all = append(all, "landlock")
	}
	if w.filters.Seccomp {
		all = append(all, "seccomp")
	}
	if w.groups != nil {
		all = append(all, "cgroup")
	}
	if len(all) == 0 {
		return jail.None.String()
	}
	return strings.Join(all, ", ")
}

// build finds out what this machine has, and says in the log what it lacks. An error says
// that isolation is required and cannot be had.
func (h *Host) build() error {
	if h.cfg.Isolation == Off {
		h.why = errors.New("it is switched off (bot-isolation off)")
		h.log.Warn("BOTS ARE NOT ISOLATED: bot-isolation is off", "isolation", h.walls.String())
	} else {
		level, noSpaces := jail.Best()
		filters, noFilters := jail.Filtering(level)
		h.level, h.filters, h.why = level, filters, errors.Join(noSpaces, noFilters)
		switch {
		case level < jail.Mounts && h.cfg.Isolation == Require:
			return fmt.Errorf("bots cannot be isolated here, which bot-isolation requires: %w", h.why)
		case level == jail.None && !filters.Landlock:
			h.log.Warn("BOTS ARE NOT ISOLATED as they should be: they run with the rights of this server", "isolation", h.walls.String(), "why", h.why)
		case level < jail.Mounts:
			h.log.Warn("bots are isolated less than they should be", "isolation", h.walls.String(), "why", h.why)
		case h.why != nil:
			h.log.Info("bots are isolated by namespaces, and not by all that there is besides", "isolation", h.walls.String(), "why", h.why)
		}
	}
	if h.cfg.Cgroup == Off || runtime.GOOS != "linux" {
		return nil
	}
	dir := h.cfg.Cgroup
	if dir == Auto {
		dir = ""
	}
	groups, err := jail.FindCgroups(dir)
	if err != nil {
		h.log.Warn("what bots take is bounded for each of their processes alone, and their processors not at all: there is no cgroup", "why", err)
		return nil
	}
	h.groups = groups
	return nil
}

// bound makes the cgroup that a process is started in, and takes from spec the bounds that
// it makes superfluous. nil: there is none.
func (h *Host) bound(f *found, spec *jail.Spec) (*jail.Cgroup, error) {
	if h.groups == nil {
		return nil, nil
	}
	b := jail.Bounds{Memory: int64(spec.Data), Threads: int(spec.Threads)}
	if f.Manifest != nil {
		b.CPU = f.Manifest.Limits.CPU
	}
	h.grouping.Lock()
	defer h.grouping.Unlock()
	g, err := h.groups.Make(f.ID, b)
	if err != nil {
		return nil, err
	}
	spec.Data = 0 // the kernel counts what is used, not what is reserved
	return g, nil
}
