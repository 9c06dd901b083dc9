// Package jail starts a program with less than its parent has: no network, no sight of
// other processes or of directories that are hidden from it, and bounds of memory, files
// and processes. Between the parent and the program stands this program itself, started
// again: it takes away what can be taken away only from inside, and becomes the program.
package jail

import (
	"encoding/json"
	"os"
	"os/exec"
)

// Level says how much is taken away. A higher one has all of a lower one.
type Level int

const (
	None   Level = iota // bounds alone
	Spaces              // user, pid, net and ipc namespaces: no network, no signals to others
	Mounts              // a mount namespace: Hide is hidden, and /proc has no other processes
)

func (l Level) String() string {
	switch l {
	case Mounts:
		return "namespaces"
	case Spaces:
		return "namespaces, files not hidden"
	}
	return "none"
}

// Spec is what is to be started, and with how much.
type Spec struct {
	Level   Level
	Self    bool     // this program again
	File    *os.File `json:"-"` // the program, open; not with Self
	Path    string   // the program when it is a script, which cannot be started from File
	Args    []string // with the program's name
	Env     []string // all of it
	Dir     string
	Hide    []string   // directories and files
	Fixed   []string   // directories in which nothing can be changed, whosever they are
	Show    []string   // directories in hidden ones that are to be seen
	Extra   []*os.File `json:"-"` // open in the program from 3 on
	Data    uint64     // bytes of private memory (RLIMIT_DATA); 0: no bound
	Files   uint64     // open files; 0: no bound
	Threads uint64     // processes and threads; 0: no bound; none at level None, where it would count those of others
	Filters Filters
	Read    []string // with Landlock: what may be read besides the system's files and Dir
	Write   []string // with Landlock: directories of its own
	Cgroup  *Cgroup  `json:"-"` // nil: none
	UID     int      // from Spaces on: who it is; the parent's own, unless that is root's

	Opened, OpenedDir int // the numbers of File and Dir in the child
	Tree              int // likewise, of Dir as a mount of its own; 0: none
}

// mark begins the arguments of a program that is to become another.
const mark = "plugin-jail:"

// Command makes what starts s. The caller adds input and output, starts it, and then
// calls opened, which closes what was opened for the start.
func Command(s Spec) (cmd *exec.Cmd, opened func(), err error) { return command(&s) }

func (s *Spec) encode() string {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // strings and numbers
	}
	return string(text)
}
