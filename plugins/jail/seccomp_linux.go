//go:build linux && (amd64 || arm64)

package jail

import (
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// refused are calls that change the system, look into other processes, or open more of
// the kernel than a bot needs.
var refused = []uint32{
	unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT, unix.SYS_FSOPEN, unix.SYS_FSCONFIG, unix.SYS_FSMOUNT, unix.SYS_FSPICK,
	unix.SYS_MOVE_MOUNT, unix.SYS_OPEN_TREE, unix.SYS_MOUNT_SETATTR, unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_NAME_TO_HANDLE_AT,
	unix.SYS_UNSHARE, unix.SYS_SETNS, unix.SYS_SETHOSTNAME, unix.SYS_SETDOMAINNAME,
	unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_KCMP, unix.SYS_PIDFD_GETFD,
	unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD, unix.SYS_KEYCTL, unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY,
	unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE, unix.SYS_KEXEC_LOAD, unix.SYS_KEXEC_FILE_LOAD, unix.SYS_REBOOT,
	unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_ACCT, unix.SYS_SYSLOG, unix.SYS_QUOTACTL, unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME, unix.SYS_VHANGUP,
}

// unknown are calls that are as if the kernel were older: programs have another way then.
var unknown = []uint32{unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER, unix.SYS_CLONE3}

// spaces are the flags of clone by which a process would have namespaces of its own, where
// it is root.
const spaces = unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWCGROUP

// Offsets in seccomp_data, of little-endian machines.
const (
	atNumber = 0
	atArch   = 4
	atFirst  = 16 // the low half of the first argument
)

// rules is the program that the kernel asks about each call.
func rules(l Level) []unix.SockFilter {
	const (
		load = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		is   = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		has  = unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K
		from = unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K
		end  = unix.BPF_RET | unix.BPF_K
	)
	answer := func(errno unix.Errno) uint32 { return unix.SECCOMP_RET_ERRNO | uint32(errno) }
	arch := uint32(unix.AUDIT_ARCH_X86_64)
	if runtime.GOARCH == "arm64" {
		arch = unix.AUDIT_ARCH_AARCH64
	}
	p := []unix.SockFilter{
		{Code: load, K: atArch},
		{Code: is, K: arch, Jt: 1}, // calls of another architecture have other numbers
		{Code: end, K: unix.SECCOMP_RET_KILL_PROCESS},
		{Code: load, K: atNumber},
	}
	if runtime.GOARCH == "amd64" { // x32
		p = append(p, unix.SockFilter{Code: from, K: 0x40000000, Jf: 1}, unix.SockFilter{Code: end, K: answer(unix.ENOSYS)})
	}
	for _, n := range refused {
		p = append(p, unix.SockFilter{Code: is, K: n, Jf: 1}, unix.SockFilter{Code: end, K: answer(unix.EPERM)})
	}
	for _, n := range unknown {
		p = append(p, unix.SockFilter{Code: is, K: n, Jf: 1}, unix.SockFilter{Code: end, K: answer(unix.ENOSYS)})
	}
	p = append(p,
		unix.SockFilter{Code: is, K: unix.SYS_CLONE, Jf: 4},
		unix.SockFilter{Code: load, K: atFirst},
		unix.SockFilter{Code: has, K: spaces, Jf: 1},
		unix.SockFilter{Code: end, K: answer(unix.EPERM)},
		unix.SockFilter{Code: end, K: unix.SECCOMP_RET_ALLOW},
	)
	if l == None { // nothing else keeps it from the network
		p = append(p,
			unix.SockFilter{Code: is, K: unix.SYS_SOCKET, Jf: 3},
			unix.SockFilter{Code: load, K: atFirst},
			unix.SockFilter{Code: is, K: unix.AF_UNIX, Jt: 1},
			unix.SockFilter{Code: end, K: answer(unix.EAFNOSUPPORT)},
		)
	}
	return append(p, unix.SockFilter{Code: end, K: unix.SECCOMP_RET_ALLOW})
}

func seccomp(s *Spec) error {
	p := rules(s.Level)
	prog := unix.SockFprog{Len: uint16(len(p)), Filter: &p[0]}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&prog)), 0, 0); err != nil {
		return os.NewSyscallError("seccomp", err)
	}
	return nil
}
