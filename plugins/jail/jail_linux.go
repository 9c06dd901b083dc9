package jail

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// nobody is whom a program of root's is made: somebody who owns nothing.
const nobody = 65534

// Owner is the user that a program is, as the parent counts users: what is to be open to
// it, like the directory of its sockets, has to be that user's.
func Owner(l Level) int {
	if l > None && os.Getuid() == 0 {
		return nobody
	}
	return os.Getuid()
}

func command(s *Spec) (cmd *exec.Cmd, done func(), err error) {
	cmd, done = &exec.Cmd{Path: "/proc/self/exe", Env: []string{}}, func() {} // also when the program's file was replaced meanwhile
	cmd.ExtraFiles = append(cmd.ExtraFiles, s.Extra...)
	if s.File != nil && !s.Self {
		cmd.ExtraFiles = append(cmd.ExtraFiles, s.File)
		s.Opened = 2 + len(cmd.ExtraFiles)
	}
	if s.Dir != "" { // as a directory that is open it may lie where the program cannot go
		dir, err := os.Open(s.Dir)
		if err != nil {
			return nil, nil, err
		}
		cmd.ExtraFiles = append(cmd.ExtraFiles, dir)
		s.OpenedDir = 2 + len(cmd.ExtraFiles)
		done = func() { dir.Close() }
		if tree := s.tree(dir); tree != nil {
			cmd.ExtraFiles = append(cmd.ExtraFiles, tree)
			s.Tree = 2 + len(cmd.ExtraFiles)
			done = func() { dir.Close(); tree.Close() }
		}
	}
	attr := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if s.Cgroup != nil {
		attr.UseCgroupFD, attr.CgroupFD = true, int(s.Cgroup.open.Fd())
		s.Fixed = append(s.Fixed, filepath.Dir(s.Cgroup.dir)) // a bot may be who wrote its bounds
	}
	if s.Level > None {
		s.UID = Owner(s.Level)
		gid := os.Getgid()
		attr.Cloneflags = syscall.CLONE_NEWUSER | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS
		if s.Level >= Mounts {
			attr.Cloneflags |= syscall.CLONE_NEWNS
			attr.AmbientCaps = []uintptr{unix.CAP_SYS_ADMIN} // in its own namespaces, until it becomes the program
		}
		if os.Getuid() == 0 {
			gid = nobody
			attr.GidMappingsEnableSetgroups = true
		}
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: s.UID, HostID: s.UID, Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: gid, HostID: gid, Size: 1}}
		attr.Credential = &syscall.Credential{Uid: uint32(s.UID), Gid: uint32(gid), NoSetGroups: os.Getuid() != 0}
	}
	cmd.SysProcAttr = attr
	cmd.Args = []string{"troupe", mark, s.encode()}
	return cmd, done, nil
}

// tree gives dir as a mount that the program can put where it sees it: nobody finds a way there
// by itself through directories that are root's alone. nil: it needs none, or the kernel (before
// 5.2) has none.
func (s *Spec) tree(dir *os.File) *os.File {
	if s.Self || s.Level < Mounts || Owner(s.Level) == os.Getuid() {
		return nil
	}
	fd, err := unix.OpenTree(int(dir.Fd()), "", unix.AT_EMPTY_PATH|unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return nil
	}
	return os.NewFile(uintptr(fd), dir.Name())
}

// Best tries what this machine allows, by starting a program that does nothing. The error
// says why it is not Mounts.
func Best() (Level, error) {
	var all []error
	for _, l := range []Level{Mounts, Spaces} {
		err := try(l, Filters{}, nil)
		if err == nil {
			return l, errors.Join(all...)
		}
		all = append(all, fmt.Errorf("%s: %w", l, err))
	}
	return None, errors.Join(all...)
}

// try starts a program that does nothing, in g where it is not nil.
func try(l Level, f Filters, g *Cgroup) error {
	hidden, err := os.MkdirTemp("", "troupe-jail-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(hidden)
	if err := os.Chmod(hidden, 0o755); err != nil {
		return err
	}
	cmd, opened, err := Command(Spec{Level: l, Self: true, Args: []string{"troupe", mark, tried}, Hide: []string{hidden}, Dir: "/", Filters: f, Cgroup: g})
	if err != nil {
		return err
	}
	defer opened()
	timer := time.AfterFunc(10*time.Second, func() {
		if cmd.Process != nil {
			_ = cmd.Process.Kill()
		}
	})
	defer timer.Stop()
	out, err := cmd.CombinedOutput()
	switch {
	case errors.Is(err, unix.ENOSPC):
		return errors.New("the system allows no further namespaces (sysctl user.max_user_namespaces)")
	case errors.Is(err, unix.EPERM):
		return errors.New("the system forbids namespaces to this program (a container without privileges, or sysctl kernel.apparmor_restrict_unprivileged_userns)")
	case err != nil && len(out) > 0:
		return errors.New(strings.TrimSpace(string(out)))
	}
	return err
}

// tried is what Best has a program do: end.
const tried = "nothing"

// A program that was started to become another does so before anything else of it begins.
func init() {
	if len(os.Args) != 3 || os.Args[1] != mark {
		return
	}
	if os.Args[2] == tried {
		os.Exit(0)
	}
	fmt.Fprintln(os.Stderr, become(os.Args[2]))
	os.Exit(127)
}

// become returns when it failed.
func become(text string) error {
	runtime.LockOSThread() // capabilities are a thread's
	var s Spec
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return err
	}
	if s.Tree > 0 {
		unix.CloseOnExec(s.Tree)
	}
	program := s.Opened
	if s.Self {
		var err error
		if program, err = unix.Open("/proc/self/exe", unix.O_PATH|unix.O_CLOEXEC, 0); err != nil {
			return fmt.Errorf("open the program: %w", err)
		}
	} else {
		unix.CloseOnExec(program)
	}
	if s.Level >= Mounts {
		if err := hide(&s); err != nil {
			return err
		}
	}
	if s.OpenedDir > 0 {
		if err := s.enter(); err != nil {
			return fmt.Errorf("go to %s: %w", s.Dir, err)
		}
	}
	if s.Level > None {
		if err := drop(); err != nil {
			return err
		}
	}
	if err := filter(&s, program); err != nil {
		return err
	}
	if s.OpenedDir > 0 {
		_ = unix.Close(s.OpenedDir)
	}
	for what, most := range map[int]uint64{unix.RLIMIT_DATA: s.Data, unix.RLIMIT_NOFILE: s.Files, unix.RLIMIT_NPROC: s.Threads} {
		if most == 0 || what == unix.RLIMIT_NPROC && s.Level == None {
			continue
		}
		if err := syscall.Setrlimit(what, &syscall.Rlimit{Cur: most, Max: most}); err != nil {
			return fmt.Errorf("bound %d: %w", what, err)
		}
	}
	_ = syscall.Setrlimit(unix.RLIMIT_CORE, &syscall.Rlimit{})
	// A change of who one is takes it away: said once more.
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return err
	}
	if s.Path != "" {
		return fmt.Errorf("start %s: %w", s.Path, syscall.Exec(s.Path, s.Args, s.Env))
	}
	argv, err := syscall.SlicePtrFromStrings(s.Args)
	if err != nil {
		return err
	}
	env, err := syscall.SlicePtrFromStrings(s.Env)
	if err != nil {
		return err
	}
	var empty [1]byte
	_, _, failed := syscall.RawSyscall6(unix.SYS_EXECVEAT, uintptr(program), uintptr(unsafe.Pointer(&empty[0])),
		uintptr(unsafe.Pointer(&argv[0])), uintptr(unsafe.Pointer(&env[0])), unix.AT_EMPTY_PATH, 0)
	return fmt.Errorf("start the program: %w", failed)
}

// enter goes to s.Dir. By its path, where there is one, a program can say where it is.
func (s *Spec) enter() error {
	if unix.Chdir(s.Dir) == nil {
		return nil
	}
	return unix.Fchdir(s.OpenedDir)
}

// hide covers s.Hide with nothing, puts s.Show back, keeps s.Fixed as it is, and shows no
// processes but our own.
func hide(s *Spec) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("keep mounts to ourselves: %w", err)
	}
	shown, placed := map[string]int{}, true
	for _, dir := range s.Show {
		fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if errors.Is(err, unix.EACCES) {
			if dir == s.Dir && s.Tree > 0 {
				shown[dir] = s.Tree
			}
			placed = placed && (dir != s.Dir || s.Path == "") // a script is found there by its interpreter, a binary is open already
			continue
		}
		if err != nil {
			return fmt.Errorf("show %s: %w", dir, err)
		}
		shown[dir] = fd
	}
	for _, dir := range s.Hide {
		var err error
		if at, failed := os.Stat(dir); failed == nil && !at.IsDir() {
			err = unix.Mount("/dev/null", dir, "", unix.MS_BIND, "")
		} else {
			err = unix.Mount("none", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "size=64k,mode=0755")
		}
		switch {
		case errors.Is(err, unix.EACCES), errors.Is(err, unix.ENOENT):
			continue // it cannot be reached anyway
		case err != nil:
			return fmt.Errorf("hide %s: %w", dir, err)
		}
		for _, show := range s.Show {
			fd, ok := shown[show]
			if below, err := filepath.Rel(dir, show); !ok || err != nil || below == ".." || strings.HasPrefix(below, "../") {
				continue
			}
			if err := os.MkdirAll(show, 0o755); err != nil {
				return fmt.Errorf("show %s: %w", show, err)
			}
			var err error
			if fd == s.Tree {
				err = unix.MoveMount(fd, "", unix.AT_FDCWD, show, unix.MOVE_MOUNT_F_EMPTY_PATH)
				placed = err == nil
			} else {
				err = unix.Mount(fmt.Sprintf("/proc/self/fd/%d", fd), show, "", unix.MS_BIND|unix.MS_REC, "")
			}
			if err != nil {
				return fmt.Errorf("show %s: %w", show, err)
			}
		}
	}
	if !placed {
		return fmt.Errorf("show %s: a script is started as nobody where the server is root's, and nobody may not pass through a directory above it: chmod o+x that one, or keep plugins elsewhere (--plugins)", s.Dir)
	}
	for _, fd := range shown {
		_ = unix.Close(fd)
	}
	for _, dir := range s.Fixed {
		if err := fix(dir); err != nil {
			return fmt.Errorf("keep %s as it is: %w", dir, err)
		}
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		// A container that masks parts of /proc allows no new one: then there is none.
		if err := unix.Mount("none", "/proc", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC|unix.MS_RDONLY, "size=4k,mode=0555"); err != nil {
			return fmt.Errorf("hide /proc: %w", err)
		}
	}
	return nil
}

// fix has nothing changed in dir from here. What a mount forbids, one of it forbids too.
func fix(dir string) error {
	var is unix.Statfs_t
	if err := unix.Statfs(dir, &is); err != nil {
		return err
	}
	if err := unix.Mount(dir, dir, "", unix.MS_BIND, ""); err != nil {
		return err
	}
	kept := uintptr(is.Flags) & (unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC)
	return unix.Mount("", dir, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY|kept, "")
}

// drop gives up all that a namespace's own user may do in it, for good.
func drop() error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return err
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&header, &none[0]); err != nil {
		return fmt.Errorf("give up capabilities: %w", err)
	}
	return nil
}
