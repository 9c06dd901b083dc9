package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/troupe-im/troupe/internal/client"
	"github.com/troupe-im/troupe/internal/mongostore/mongotest"
	"github.com/troupe-im/troupe/internal/protocol"
)

// resets says how often a person's client was told to forget what it knew of a session.
func (p *person) resets(session protocol.SessionID) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.events {
		if r, ok := e.(*client.Reset); ok && r.Session == session {
			n++
		}
	}
	return n
}

// commandIn is command in another data directory.
func (s *testServer) commandIn(dir string, args ...string) (string, error) {
	s.t.Helper()
	as := *s
	as.data = dir
	return as.command(args...)
}

// migrateUntil runs the command and kills it with SIGKILL behind so many lines. done: it came to its end before.
func (s *testServer) migrateUntil(lines int, args ...string) (out string, done bool) {
	s.t.Helper()
	built, err := binary()
	if err != nil {
		s.t.Fatal(err)
	}
	c := exec.Command(built, append([]string{"migrate"}, args...)...)
	c.Env = cleanEnv()
	var said lockedBuffer
	c.Stderr = &said
	pipe, err := c.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		s.t.Fatal(err)
	}
	read := bufio.NewScanner(pipe)
	for n := 0; read.Scan(); {
		out += read.Text() + "\n"
		if n++; n == lines {
			c.Process.Kill() // it may have ended
		}
	}
	err = c.Wait()
	if err != nil && c.ProcessState.Exited() {
		s.t.Fatalf("migrate: %v\n%s%s", err, out, &said)
	}
	return out + said.String(), err == nil
}

// TestAnInstallationIsMovedIntoMongoDBThoughTheCommandIsKilled talks, sends a file, makes a friend and asks a bot on the
// embedded store, moves it by a command that is killed again and again, and goes on with the same clients.
func TestAnInstallationIsMovedIntoMongoDBThoughTheCommandIsKilled(t *testing.T) {
	s := startServer(t, "TROUPE_BOTS=echo")
	embedded := s.env
	ann, bob := s.join("ann", "laptop"), s.join("bob", "phone")
	session := s.pair(ann, "ann", "bob")
	var texts []string
	say := func(text string) {
		t.Helper()
		texts = append(texts, text)
		ann.say(session, text, text)
	}
	for i := range 40 {
		say(fmt.Sprint("before ", i))
	}
	file := s.upload("ann", "a.txt", []byte("what is in it"))
	if status, _ := s.send("ann", session, "a file", file, 0); status != 201 {
		t.Fatalf("a message with a file: %d", status)
	}
	soon(t, "the bot's user", func() bool {
		return s.post(s.token("ann"), "/api/v2/sessions", `{"sessionType":"p2p","members":["b_echo"]}`, nil) < 300
	})
	robot := ann.with("b_echo")
	ann.say(robot, "to the bot", "are you there?")
	echoed := func(text string) func() bool {
		return func() bool {
			return strings.Count(strings.Join(ann.heard(robot), "\n"), text) == 2 // hers, and the bot's
		}
	}
	soon(t, "the bot's answer", echoed("are you there?"))
	soon(t, "bob to hear all", func() bool { return slices.Equal(bob.heard(session), texts) })
	admin := s.administrator("root")
	if _, err := s.stop(); err != nil {
		t.Fatal(err)
	}

	uri, files := mongotest.URI(t), filepath.Join(t.TempDir(), "files")
	args := []string{"--from", s.data, "--to", uri, "--files-dir", files}
	shared := append(slices.Clone(embedded), "TROUPE_MONGO="+uri, "TROUPE_FILES_DIR="+files)
	kills, half := 0, false
	for lines := 3; ; lines += 4 {
		out, done := s.migrateUntil(lines, args...)
		if done {
			if !strings.Contains(out, "All of it is there") && !strings.Contains(out, "moved already") {
				t.Errorf("it says\n%s", out)
			}
			break
		}
		kills++
		half = half || strings.Contains(out, "users: ")
	}
	if kills < 3 || !half {
		t.Errorf("it was killed %d times, in the middle: %v", kills, half)
	}
	s.env = shared
	if out, err := s.command(append([]string{"migrate"}, args...)...); err != nil || !strings.Contains(out, "moved already") {
		t.Errorf("once more: %v\n%s", err, out)
	}
	s.start()
	if out, err := s.commandIn(t.TempDir(), "user", "find", "ann"); err == nil || !strings.Contains(out, "every sign-in ends") {
		t.Errorf("with other secrets: %v\n%s", err, out)
	}
	say("after the move")
	ann.say(robot, "to the bot again", "and now?")
	soon(t, "the bot's answer", echoed("and now?"))
	soon(t, "bob to hear all, once", func() bool { return slices.Equal(bob.heard(session), texts) })
	if bob.resets(session)+ann.resets(session) != 0 {
		t.Error("a client had to forget what it knew")
	}
	if status := s.reads("bob", file); status != 200 {
		t.Errorf("bob reads the file: %d", status)
	}
	if status := s.post(admin, "/api/v2/notices", `{"text":"moved","clientMsgId":"n1"}`, nil); status == 401 {
		t.Errorf("a token of before: %d", status)
	}

	// The way back: the old directory has everything up to the move, and clients hear that its logs went back.
	if _, err := s.stop(); err != nil {
		t.Fatal(err)
	}
	s.env = embedded
	s.start()
	soon(t, "clients to be told", func() bool { return bob.resets(session) == 1 && ann.resets(session) == 1 })
	cid := s.join("bob", "another")
	soon(t, "what was said before the move", func() bool { return slices.Equal(cid.heard(session), texts[:40]) })
}

func TestWhatCannotBeMovedIsRefusedWithAReason(t *testing.T) {
	s := startServer(t)
	ann := s.join("ann", "laptop")
	session := s.pair(ann, "ann", "bob")
	file := s.upload("ann", "a.txt", []byte("what is in it"))
	if status, _ := s.send("ann", session, "a file", file, 0); status != 201 {
		t.Fatalf("a message with a file: %d", status)
	}
	uri := mongotest.URI(t)
	refused := func(says string, args ...string) {
		t.Helper()
		out, err := s.command(append([]string{"migrate", "--to", uri}, args...)...)
		if err == nil || !strings.Contains(out, says) {
			t.Errorf("%q: %v, want %q\n%s", args, err, says, out)
		}
	}
	refused("in use by another process")
	if _, err := s.stop(); err != nil {
		t.Fatal(err)
	}
	none := t.TempDir()
	refused("secrets.json is missing", "--from", none)
	if left, err := os.ReadDir(none); err != nil || len(left) != 0 {
		t.Errorf("something was made where nothing was: %v, %v", left, err)
	}
	if out, err := s.command("secrets", "new", filepath.Join(none, "secrets.json")); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	refused("there is no store", "--from", none)
	refused("another installation", "--secrets", filepath.Join(none, "secrets.json"))
	refused("no address of a MongoDB", "--to", "nowhere")
	blobs, err := filepath.Glob(filepath.Join(s.data, "files", "blobs", "*", "*"))
	if err != nil || len(blobs) != 1 {
		t.Fatal(blobs, err)
	}
	if err := os.Rename(blobs[0], blobs[0]+".away"); err != nil {
		t.Fatal(err)
	}
	refused("1 contents of files are missing")
	if out, err := s.command("migrate", "--to", uri, "--lacking-files"); err != nil {
		t.Errorf("without the content: %v\n%s", err, out)
	}
}
