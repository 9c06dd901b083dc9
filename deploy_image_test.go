package main

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/coder/websocket"
)

// imageOf is what the last stage of a Dockerfile makes.
type imageOf struct {
	base    string
	user    string
	env     map[string]string
	exposed []string
	command []string
	health  []string
	copies  [][2]string // from the build stage, to
	build   string      // the instructions of the stages before
}

// theImage reads deploy/Dockerfile: instructions, one a line, continued by a backslash.
func theImage(t *testing.T) *imageOf {
	t.Helper()
	text := regexp.MustCompile(`(?m)^\s*#.*\n`).ReplaceAllString(read(t, "deploy/Dockerfile"), "")
	text = regexp.MustCompile(`\\\n\s*`).ReplaceAllString(text, " ")
	var i *imageOf
	before := ""
	for line := range strings.Lines(text) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		rest = strings.TrimSpace(rest)
		switch word {
		case "":
		case "FROM":
			if i != nil {
				before += i.build
			}
			i = &imageOf{base: rest, env: map[string]string{}, build: before}
		case "USER":
			i.user = rest
		case "ENV":
			for _, pair := range strings.Fields(rest) {
				name, value, _ := strings.Cut(pair, "=")
				i.env[name] = value
			}
		case "EXPOSE":
			i.exposed = strings.Fields(rest)
		case "ENTRYPOINT", "CMD":
			i.command = append(i.command, quotedIn(rest)...)
		case "HEALTHCHECK":
			_, cmd, _ := strings.Cut(rest, "CMD ")
			i.health = quotedIn(cmd)
		case "COPY":
			f := strings.Fields(rest)
			f = slices.DeleteFunc(f, func(s string) bool { return strings.HasPrefix(s, "--") })
			i.copies = append(i.copies, [2]string{f[0], f[len(f)-1]})
		case "RUN", "WORKDIR", "ARG", "VOLUME", "STOPSIGNAL":
		default:
			t.Errorf("deploy/Dockerfile: %q is no instruction that this test knows", word)
		}
		i.build += line
	}
	return i
}

// quotedIn reads a JSON list of plain words.
func quotedIn(text string) (all []string) {
	for _, m := range regexp.MustCompile(`"([^"]*)"`).FindAllStringSubmatch(text, -1) {
		all = append(all, m[1])
	}
	return all
}

func TestTheImageIsTheProgramAndNobodysRoot(t *testing.T) {
	i := theImage(t)
	if i.base != "scratch" {
		t.Errorf("it is from %q, want scratch", i.base)
	}
	uid, _, _ := strings.Cut(i.user, ":")
	if n, err := strconv.Atoi(uid); err != nil || n < 1000 {
		t.Errorf("its user is %q, want a number that is no system's", i.user)
	}
	for name, ports := range map[string]string{"TROUPE_LISTEN": i.env["TROUPE_LISTEN"], "TROUPE_NODE_LISTEN": composed(t, "troupe1").env["TROUPE_NODE_LISTEN"]} {
		if _, port, _ := strings.Cut(ports, ":"); !slices.Contains(i.exposed, port) {
			t.Errorf("it exposes %v, and %s is %s", i.exposed, name, ports)
		}
	}
	if !strings.Contains(i.build, "CGO_ENABLED=0") {
		t.Error("it is not built statically")
	}
	if module := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(read(t, "go.mod"))[1]; !strings.Contains(i.build, "golang:"+module+"-") {
		t.Errorf("it is not built with go.mod's Go %s", module)
	}
	if want := []string{"/usr/bin/troupe", "serve"}; !slices.Equal(i.command, want) {
		t.Errorf("it starts %q, want %q", i.command, want)
	}
	if want := []string{"/usr/bin/troupe", "health"}; !slices.Equal(i.health, want) {
		t.Errorf("it is looked after by %q, want %q", i.health, want)
	}
}

// The file system of the image, without a container's engine: the program alone, as a
// user that owns nothing but /data, below a root where nothing can be written, and without
// privileges. What a seccomp profile takes away besides is not tried here.
func TestTheImageRuns(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program")
	}
	if why := possible(); why != nil {
		t.Skipf("this machine lets nobody run a program so: %v", why)
	}
	i := theImage(t)
	root, err := os.MkdirTemp("", "troupe-image-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	if err := os.Chmod(root, 0o755); err != nil { // it is somebody else's root
		t.Fatal(err)
	}
	static, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	built := filepath.Join(root, i.command[0])
	if err := os.CopyFS(filepath.Dir(built), os.DirFS(filepath.Dir(static))); err != nil {
		t.Fatal(err)
	}
	isStatic(t, built)
	uid, err := strconv.Atoi(strings.Split(i.user, ":")[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"data", "tmp", "proc", "dev", "etc/ssl/certs"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	c := contained{root: root, uid: uid, env: merged(i.env, map[string]string{
		"TROUPE_PROFILE": "test", "TROUPE_LISTEN": "127.0.0.1:0", "TROUPE_LOG_FORMAT": "json"})}
	served := c.start(t, i.command...)
	for _, path := range append(probes(t), "/metrics") {
		soon200(t, served+path)
	}
	soon(t, "the image's own check", func() bool { return c.do(i.health...) == nil })
	if res, err := http.Get(served + "/api/v2/sessions/recent"); err != nil || res.StatusCode != http.StatusUnauthorized {
		t.Error(res, err)
	}
	conn, _, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(served, "http")+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	conn.CloseNow()
	operatorsMetricsAreThere(t, served) // now that there is something of each kind

	if err := c.stop(); err != nil {
		t.Errorf("a stop ends it with %v", err)
	}
	if err := c.do(i.health...); err == nil {
		t.Error("its check is content while nothing runs")
	}
}

func isStatic(t *testing.T, file string) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("the image is Linux's")
	}
	f, err := elf.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("the program needs a loader, and the image has none")
		}
	}
}

// contained is a program below a root of its own.
type contained struct {
	root    string
	uid     int
	env     map[string]string
	process *exec.Cmd
	log     lockedBuffer
	ended   chan error
}

// command is c's program in namespaces of its own: everything but /data and /tmp
// cannot be written, /proc and /dev/null are what a container has, and no privilege is left.
func (c *contained) command(args ...string) *exec.Cmd {
	const script = `set -e
cd "$ROOT"
mount --bind . . && cd "$ROOT"
mount --bind data data
mount -t tmpfs -o mode=1777 none tmp
mount -t tmpfs -o mode=755 none dev
touch dev/null && mount --bind /dev/null dev/null
mount -t proc proc proc
chown "$IMAGE_UID:$IMAGE_UID" data
mount -o remount,bind,ro .
exec setpriv --no-new-privs chroot --userspec="$IMAGE_UID:$IMAGE_UID" --groups= . "$@"`
	cmd := exec.Command("unshare", append([]string{"--mount", "--pid", "--fork", "--kill-child=SIGKILL", "sh", "-c", script, "sh"}, args...)...)
	cmd.Env = []string{"ROOT=" + c.root, "IMAGE_UID=" + strconv.Itoa(c.uid), "PATH=" + os.Getenv("PATH")}
	for name, value := range c.env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	return cmd
}

// possible says whether this machine gives namespaces to whoever runs the test.
func possible() error {
	if os.Getuid() != 0 {
		return errors.New("only root may mount and chroot")
	}
	if out, err := exec.Command("unshare", "--mount", "--pid", "--fork", "mount", "-t", "tmpfs", "none", "/mnt").CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// start starts it and gives the address where it answers.
func (c *contained) start(t *testing.T, args ...string) string {
	t.Helper()
	c.process = c.command(args...)
	c.process.Stdout, c.process.Stderr = &c.log, &c.log
	if err := c.process.Start(); err != nil {
		t.Fatal(err)
	}
	c.ended = make(chan error, 1)
	go func() { c.ended <- c.process.Wait() }()
	t.Cleanup(func() {
		c.process.Process.Kill() // --kill-child ends what is in it
		if t.Failed() {
			t.Logf("what it said:\n%s", c.log.String())
		}
	})
	address := regexp.MustCompile(`  address  (http://\S+)`)
	soon(t, "it to say where it is", func() bool { return address.MatchString(c.log.String()) })
	return address.FindStringSubmatch(c.log.String())[1]
}

// do runs another of its commands beside it.
func (c *contained) do(args ...string) error {
	out, err := c.command(args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// stop is SIGTERM to the program itself, as a container's engine sends it.
func (c *contained) stop() error {
	pid := c.process.Process.Pid
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return err
	}
	child, err := strconv.Atoi(strings.TrimSpace(string(children)))
	if err != nil {
		return err
	}
	if err := syscall.Kill(child, syscall.SIGTERM); err != nil {
		return err
	}
	return <-c.ended
}

func soon200(t *testing.T, url string) {
	t.Helper()
	soon(t, url+" to answer 200", func() bool {
		res, err := http.Get(url)
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
}

// operatorsMetricsAreThere: what docs/operate.md and the alerts name is measured.
func operatorsMetricsAreThere(t *testing.T, served string) {
	t.Helper()
	metric := regexp.MustCompile(`\b(troupe|process|go)_[a-z0-9_]+[a-z0-9]\b`)
	named := map[string]string{}
	for _, file := range []string{"docs/operate.md", "deploy/prometheus/alerts.yaml"} {
		for _, m := range metric.FindAllString(read(t, file), -1) {
			named[m] = file
		}
	}
	lacking := func() (all []string) {
		res, err := http.Get(served + "/metrics")
		if err != nil {
			return []string{err.Error()}
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			return []string{err.Error()}
		}
		body := string(text)
		for m, file := range named {
			if !strings.Contains(body, "# TYPE "+m+" ") {
				all = append(all, m+" of "+file)
			}
		}
		return all
	}
	if len(named) == 0 {
		t.Error("nothing is said of what to watch")
	}
	var last []string
	defer func() {
		if len(last) > 0 {
			t.Logf("/metrics lacks %v", last)
		}
	}()
	soon(t, "all metrics that are named", func() bool { last = lacking(); return len(last) == 0 })
}
