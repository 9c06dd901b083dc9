package jail_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/troupe-im/troupe/plugins/jail"
)

// The test's binary, started in a jail, says what it sees.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "look" {
		look()
		return
	}
	if len(os.Args) > 1 && os.Args[1] == "write" { // and then it waits
		say("written", os.WriteFile(os.Args[2], []byte(os.Args[3]), 0) == nil)
		_, _ = io.Copy(io.Discard, os.Stdin)
		return
	}
	os.Exit(m.Run())
}

func look() {
	_, err := os.ReadFile(os.Args[2])
	say("secret", err == nil)
	text, _ := os.ReadFile(os.Args[6])
	say("key", len(text) > 0)
	err = os.WriteFile(filepath.Join(os.Args[3], "made"), []byte("x"), 0o600)
	say("shown", err == nil)
	_, err = net.Dial("tcp", os.Args[4])
	say("network", err == nil)
	_, err = net.Listen("unix", filepath.Join(os.Args[3], "sock"))
	say("socket", err == nil)
	_, err = os.ReadDir(os.Args[7])
	say("elsewhere", err == nil)
	_, err = os.ReadFile("/etc/passwd")
	say("system", err == nil)
	say("mount", !errors.Is(unix.Mount("none", os.Args[3], "tmpfs", 0, ""), unix.EPERM))
	say("uring", !errors.Is(uring(), unix.ENOSYS))
	say("space", exec.Command("/bin/true").Run() == nil && inSpaces())
	_, err = os.Stat("/proc/" + os.Args[5] + "/status")
	say("parent", err == nil)
	say("first", os.Getpid() == 1)
	say("root", os.Getuid() == 0)
	say("lifeline", os.NewFile(3, "") != nil && readable())
	say("home", os.Getenv("HOME") != "")
	say("marked", os.Getenv("MARK") == "yes")
	text, _ = os.ReadFile("/proc/self/status")
	for _, line := range strings.Split(string(text), "\n") {
		if strings.HasPrefix(line, "CapEff") || strings.HasPrefix(line, "NoNewPrivs") {
			os.Stdout.WriteString(strings.ReplaceAll(line, "\t", " ") + "\n")
		}
	}
}

// uring is what the kernel says of a call without sense.
func uring() error {
	_, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, 0, 0, 0)
	return errno
}

// inSpaces says whether a child may have namespaces of its own.
func inSpaces() bool {
	cmd := exec.Command("/bin/true")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER}
	return cmd.Run() == nil
}

func readable() bool {
	b := make([]byte, 4)
	n, _ := os.NewFile(3, "").Read(b)
	return string(b[:n]) == "life"
}

func say(what string, is bool) { os.Stdout.WriteString(what + " " + strconv.FormatBool(is) + "\n") }

func TestAJailHasNeitherNetworkNorSightOfWhatIsHidden(t *testing.T) {
	best, why := jail.Best()
	if best < jail.Mounts {
		t.Skipf("this machine allows %q: %v", best, why)
	}
	if why != nil {
		t.Errorf("the best there is, and an error: %v", why)
	}
	base, err := os.MkdirTemp("", "jail")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(base) })
	hidden, shown := filepath.Join(base, "data"), filepath.Join(base, "data", "own")
	for _, dir := range []string{base, hidden, shown} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(shown, jail.Owner(best), -1); err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(hidden, "secret")
	if err := os.WriteFile(secret, []byte("s"), 0o644); err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(base, "key")
	if err := os.WriteFile(key, []byte("k"), 0o644); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := w.WriteString("life"); err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	elsewhere, err := os.MkdirTemp("", "elsewhere")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(elsewhere) })
	if err := os.Chmod(elsewhere, 0o755); err != nil {
		t.Fatal(err)
	}
	had, why := jail.Filtering(best)
	t.Logf("this machine has %+v: %v", had, why)
	for _, c := range []struct {
		level   jail.Level
		filters jail.Filters
		want    string
	}{
		{jail.None, jail.Filters{Landlock: true}, "secret false key false shown true network false socket true elsewhere false system true parent true first false NoNewPrivs: 1"},
		{jail.None, jail.Filters{Seccomp: true}, "secret true shown true network false socket true elsewhere true system true mount false uring false space false NoNewPrivs: 1"},
		{jail.Mounts, jail.Filters{Landlock: true, Seccomp: true}, "secret false key false shown true network false socket true elsewhere false system true mount false uring false space false parent false first true root false lifeline true home false marked true NoNewPrivs: 1"},
		{jail.Mounts, jail.Filters{}, "secret false key false shown true network false parent false first true root false lifeline true home false marked true NoNewPrivs: 1"},
		{jail.None, jail.Filters{}, "secret true key true shown true network true parent true first false"},
	} {
		if c.filters.Landlock && !had.Landlock || c.filters.Seccomp && !had.Seccomp {
			continue
		}
		if _, err := w.WriteString("life"); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"made", "sock"} {
			_ = os.Remove(filepath.Join(shown, name))
		}
		cmd, opened, err := jail.Command(jail.Spec{
			Level: c.level, Self: true, Args: []string{"look", "look", secret, shown, l.Addr().String(), strconv.Itoa(os.Getpid()), key, elsewhere}, Env: []string{"MARK=yes"},
			Filters: c.filters, Write: []string{shown},
			Dir: shown, Hide: []string{hidden, key}, Show: []string{shown}, Extra: []*os.File{r}, Files: 64, Threads: 256, Data: 1 << 30,
		})
		if err != nil {
			t.Fatal(err)
		}
		defer opened()
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Run(); err != nil {
			t.Fatalf("level %v: %v: %s", c.level, err, out.String())
		}
		said := strings.Join(strings.Fields(out.String()), " ")
		for words := strings.Fields(c.want); len(words) > 1; words = words[2:] {
			if want := words[0] + " " + words[1]; !strings.Contains(said, want) {
				t.Errorf("level %v: it said %q, want %q", c.level, said, want)
			}
		}
		if c.level == jail.Mounts && !strings.Contains(said, "CapEff: 0000000000000000") {
			t.Errorf("it has capabilities: %s", said)
		}
	}
}

// readableDir is a directory that everybody may pass through and read.
func readableDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "jail")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func needMounts(t *testing.T) (jail.Level, jail.Filters) {
	t.Helper()
	best, why := jail.Best()
	if best < jail.Mounts {
		t.Skipf("this machine allows %q: %v", best, why)
	}
	filters, _ := jail.Filtering(best)
	return best, filters
}

func run(t *testing.T, s jail.Spec) (string, error) {
	t.Helper()
	cmd, opened, err := jail.Command(s)
	if err != nil {
		t.Fatal(err)
	}
	defer opened()
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestWhatIsFixedIsNotChangedByItsOwner(t *testing.T) {
	best, _ := needMounts(t)
	dir := readableDir(t)
	file := filepath.Join(dir, "bound")
	if err := os.WriteFile(file, []byte("10"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(file, jail.Owner(best), -1); err != nil {
		t.Fatal(err)
	}
	for _, fixed := range [][]string{nil, {dir}} {
		out, err := run(t, jail.Spec{Level: best, Self: true, Args: []string{"look", "write", file, "99"}, Dir: "/", Fixed: fixed})
		if want := "written " + strconv.FormatBool(fixed == nil) + "\n"; err != nil || out != want {
			t.Errorf("with %q fixed: %q, %v, want %q", fixed, out, err, want)
		}
	}
}

// Where the server is root's, its bots are nobody, and a data directory is root's alone.
func TestAScriptRunsThoughNobodyFindsTheWayToIt(t *testing.T) {
	best, filters := needMounts(t)
	if os.Getuid() != 0 {
		t.Skip("this is about root")
	}
	data := filepath.Join(readableDir(t), "data")
	dir := filepath.Join(data, "plugins", "x", "1.0.0")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		filepath.Join(dir, "run"):     "#!/bin/sh\npwd\ncat \"$(dirname \"$0\")/beside\"\nls " + data + "\n",
		filepath.Join(dir, "beside"):  "found\n",
		filepath.Join(data, "secret"): "s",
	} {
		if err := os.WriteFile(name, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(data, 0o700); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(filepath.Join(dir, "run"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	spec := jail.Spec{Level: best, Filters: filters, File: file, Path: file.Name(), Args: []string{"run"}, Env: []string{"PATH=/usr/bin:/bin"}, Dir: dir, Hide: []string{data}, Show: []string{dir}}
	want := dir + "\nfound\n"
	if filters.Landlock { // what is above is not even looked at
		want += "ls: cannot open directory"
	} else {
		want += "plugins\n"
	}
	if out, err := run(t, spec); !strings.HasPrefix(out, want) || strings.Contains(out, "secret") {
		t.Errorf("it says %q, %v, want %q", out, err, want)
	}
	spec.Hide = nil // then it cannot be put where it was
	if out, err := run(t, spec); err == nil || !strings.Contains(out, "chmod o+x") {
		t.Errorf("it says %q, %v", out, err)
	}
}
