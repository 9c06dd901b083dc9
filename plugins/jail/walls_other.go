//go:build !linux

package jail

import "errors"

// Filters are what a program is refused besides, by the kernel and without namespaces.
type Filters struct{ Landlock, Seccomp bool }

// Filtering tries which of them this machine has: none here.
func Filtering(Level) (Filters, error) {
	return Filters{}, errors.New("landlock and seccomp are Linux's")
}

// Cgroups is a cgroup that was delegated to this program.
type Cgroups struct{}

// FindCgroups says that there is none.
func FindCgroups(string) (*Cgroups, error) { return nil, errors.New("cgroups are Linux's") }

// Bounds are what all processes of a program may take together.
type Bounds struct {
	Memory  int64
	Threads int
	CPU     float64
}

// Cgroup is one program's.
type Cgroup struct{}

// Make makes none.
func (*Cgroups) Make(string, Bounds) (*Cgroup, error) { return nil, errors.New("cgroups are Linux's") }

// Starved is about none.
func (*Cgroup) Starved() bool { return false }

// End ends none.
func (*Cgroup) End() {}
