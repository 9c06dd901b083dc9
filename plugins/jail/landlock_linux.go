package jail

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Rights of Landlock (linux/landlock.h).
const (
	llExecute  = 1 << 0
	llWrite    = 1 << 1
	llRead     = 1 << 2
	llReadDir  = 1 << 3
	llTruncate = 1 << 14
	llIoctl    = 1 << 15

	llFile    = llExecute | llWrite | llRead | llTruncate | llIoctl // all that a rule for a file may have
	llLook    = llExecute | llRead | llReadDir
	llTCP     = 1<<0 | 1<<1 // bind, connect
	llOutside = 1<<0 | 1<<1 // abstract unix sockets and signals
)

// system is what any program may read: libraries, interpreters, certificates, zones.
var system = []string{
	"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt", "/nix", "/gnu", "/proc", "/sys/kernel/mm", "/sys/devices/system/cpu", "/sys/fs/cgroup",
}

var devices = []string{"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"}

type landlockRuleset struct{ fs, net, scoped uint64 }

type landlockPath struct {
	allowed uint64
	fd      int32
}

// landlockABI is the version that the kernel has; 0: none.
func landlockABI() int {
	n, _, err := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, 1) // LANDLOCK_CREATE_RULESET_VERSION
	if err != 0 {
		return 0
	}
	return int(n)
}

// landlock leaves this thread, and the program that it becomes, the system's files to
// read, its own directory, and s.Write to write. program and dir are open.
func landlock(s *Spec, program int) error {
	abi := landlockABI()
	if abi == 0 {
		return errors.New("landlock: the kernel has none")
	}
	all := landlockRuleset{fs: 1<<13 - 1}
	size := unsafe.Sizeof(all.fs)
	for _, more := range []struct {
		abi  int
		bits uint64
	}{{2, 1 << 13}, {3, llTruncate}, {5, llIoctl}} {
		if abi >= more.abi {
			all.fs |= more.bits
		}
	}
	if abi >= 4 {
		size += unsafe.Sizeof(all.net)
		if s.Level == None { // with namespaces there is no network anyway
			all.net = llTCP
		}
	}
	if abi >= 6 {
		size += unsafe.Sizeof(all.scoped)
		all.scoped = llOutside
	}
	set, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&all)), size, 0)
	if errno != 0 {
		return fmt.Errorf("landlock: %w", errno)
	}
	defer unix.Close(int(set))
	allow := func(fd int, rights uint64) error {
		var at unix.Stat_t
		if err := unix.Fstat(fd, &at); err != nil {
			return err
		}
		if at.Mode&unix.S_IFMT != unix.S_IFDIR {
			rights &= llFile
		}
		rule := landlockPath{rights & all.fs, int32(fd)}
		if _, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, set, 1, uintptr(unsafe.Pointer(&rule)), 0, 0, 0); errno != 0 { // LANDLOCK_RULE_PATH_BENEATH
			return errno
		}
		return nil
	}
	paths := func(names []string, rights uint64, must bool) error {
		for _, name := range names {
			fd, err := unix.Open(name, unix.O_PATH|unix.O_CLOEXEC, 0)
			if err != nil {
				if must {
					return fmt.Errorf("landlock: %s: %w", name, err)
				}
				continue // what is not there is not needed
			}
			err = allow(fd, rights)
			unix.Close(fd)
			if err != nil {
				return fmt.Errorf("landlock: %s: %w", name, err)
			}
		}
		return nil
	}
	if err := errors.Join(
		paths(system, llLook, false), paths(s.Read, llLook, false), paths(devices, llRead|llWrite|llTruncate, false),
		paths(s.Write, all.fs, true), allow(program, llExecute|llRead),
	); err != nil {
		return err
	}
	if s.OpenedDir > 0 && s.Dir != "/" {
		if err := allow(s.OpenedDir, llLook); err != nil {
			return fmt.Errorf("landlock: %s: %w", s.Dir, err)
		}
	}
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, set, 0, 0); errno != 0 {
		return fmt.Errorf("landlock: %w", errno)
	}
	return nil
}

// Filters are what a program is refused besides, by the kernel and without namespaces.
type Filters struct {
	Landlock bool // files but its own and the system's
	Seccomp  bool // calls that no bot needs; without namespaces, sockets but unix ones too
}

// Filtering tries which of them this machine has at a level. The error says what it lacks.
func Filtering(l Level) (f Filters, err error) {
	var all []error
	if landlockABI() == 0 {
		all = append(all, errors.New("landlock: the kernel has none, or it is switched off (lsm=landlock)"))
	} else if err := try(l, Filters{Landlock: true}, nil); err != nil {
		all = append(all, fmt.Errorf("landlock: %w", err))
	} else {
		f.Landlock = true
	}
	if err := try(l, Filters{Seccomp: true}, nil); err != nil {
		all = append(all, fmt.Errorf("seccomp: %w", err))
	} else {
		f.Seccomp = true
	}
	return f, errors.Join(all...)
}

// filter takes away what s.Filters say, of this thread and what it becomes.
func filter(s *Spec, program int) error {
	if s.Filters == (Filters{}) {
		return nil
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl", err)
	}
	if s.Filters.Landlock {
		if err := landlock(s, program); err != nil {
			return err
		}
	}
	if s.Filters.Seccomp {
		return seccomp(s)
	}
	return nil
}
