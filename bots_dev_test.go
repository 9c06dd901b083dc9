package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What an author does: a project is written, runs in the server, and runs anew with what is
// saved; with what cannot be built the one before goes on.
func TestABotRunsAnewWheneverItIsSaved(t *testing.T) {
	s := startServer(t)
	dir := filepath.Join(t.TempDir(), "hello")
	if out, err := s.command("bot", "new", "hello", "--dir", dir); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	file := func(name string) string { return filepath.Join(dir, name) }
	read := func(name string) string {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	write := func(name, text string) {
		if err := os.WriteFile(file(name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("go.sum", read("go.sum")) // nothing is fetched
	write("manifest.yaml", read(file("manifest.yaml"))+"config_schema: config.schema.json\n")
	write("config.schema.json", `{"type": "object"}`)

	built, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	dev, said := exec.Command(built, "bot", "dev", dir), new(lockedBuffer)
	dev.Env = append(cleanEnv(), "TROUPE_DATA="+s.data, "GOFLAGS=-mod=mod", "GOWORK=off")
	dev.Stdout, dev.Stderr = said, said
	if err := dev.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- dev.Wait() }()
	t.Cleanup(func() {
		_ = dev.Process.Kill()
		if t.Failed() {
			t.Logf("bot dev said:\n%s", said)
		}
	})
	says := func(what string, times int) { // a build takes its time
		t.Helper()
		for end := time.Now().Add(5 * time.Minute); strings.Count(said.String(), what) < times; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("it never says %q %d times", what, times)
			}
		}
	}
	says("-- hello is ready", 1)
	ann := s.join("ann", "phone")
	session := ann.with("b_hello")
	ann.say(session, "1", "hi")
	soon(t, "its answer", func() bool { return slices.Contains(ann.said(session, "b_hello"), "Hello ann!") })

	code := read(file("main.go"))
	write("main.go", "that is no Go")
	says("go build: exit status 1", 1)
	builds := strings.Count(said.String(), "is built") // two, where go.mod was completed by the first
	write("main.go", strings.Replace(code, "Hello %s!", "Good day %s!", 1))
	says("is built", builds+1)
	newest := regexp.MustCompile(`hello (\S+) is built`).FindAllStringSubmatch(said.String(), -1)[builds][1]
	soon(t, "it to run", func() bool {
		out, err := s.command("bot", "ps")
		return err == nil && regexp.MustCompile(newest+` +ready`).MatchString(out)
	})
	ann.say(session, "2", "hi")
	soon(t, "its new answer", func() bool { return slices.Contains(ann.said(session, "b_hello"), "Good day ann!") })

	if err := dev.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("it ends with %v", err)
	}
	soon(t, "its end", func() bool { return len(s.children("hello")) == 0 })
	if left, _ := os.ReadDir(filepath.Join(s.data, "plugins")); len(left) > 0 {
		t.Errorf("left is %v", left)
	}
}
