package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/troupe-im/troupe/internal/mongostore/mongotest"
)

// TestAServerOnMongoDBDoesWhatAServerOnItsDirectoryDoes talks, sends a file and asks a bot, kills
// the server, and finds everything there; then it does so with another data directory.
func TestAServerOnMongoDBDoesWhatAServerOnItsDirectoryDoes(t *testing.T) {
	uri, files := mongotest.URI(t), filepath.Join(t.TempDir(), "files")
	s := startServer(t, "TROUPE_MONGO="+uri, "TROUPE_FILES_DIR="+files, "TROUPE_BOTS=echo")
	ann, bob := s.join("ann", "laptop"), s.join("bob", "phone")
	session := s.pair(ann, "ann", "bob")
	var texts []string
	say := func(text string) {
		t.Helper()
		texts = append(texts, text)
		ann.say(session, text, text)
	}
	say("one")
	say("two")
	file := s.upload("ann", "a.txt", []byte("what is in it"))
	if status, _ := s.send("ann", session, "a file", file, 0); status != 201 {
		t.Fatalf("a message with a file: %d", status)
	}
	soon(t, "the bot's user", func() bool {
		return s.post(s.token("ann"), "/api/v2/sessions", `{"sessionType":"p2p","members":["b_echo"]}`, nil) < 300
	})
	robot := ann.with("b_echo")
	ann.say(robot, "to the bot", "are you there?")
	echoed := func(text string, n int) func() bool {
		return func() bool {
			said := 0
			for _, heard := range ann.heard(robot) {
				if strings.Contains(heard, text) {
					said++
				}
			}
			return said >= n
		}
	}
	soon(t, "the bot's answer", echoed("are you there?", 2))
	there := func(says string) {
		t.Helper()
		soon(t, says+": bob to hear all", func() bool {
			return slices.Equal(bob.heard(session), texts)
		})
		if status := s.reads("bob", file); status != 200 {
			t.Errorf("%s: bob reads the file: %d", says, status)
		}
		if status := s.reads("cid", file); status != 404 {
			t.Errorf("%s: a stranger reads the file: %d", says, status)
		}
		var history struct {
			Entries []struct {
				Seq int64 `json:"seq"`
			} `json:"entries"`
		}
		s.get("bob", "/api/v2/sessions/"+session+"/messages", &history)
		for i := range history.Entries {
			if i > 0 && history.Entries[i].Seq == history.Entries[i-1].Seq {
				t.Errorf("%s: seq %d comes twice", says, history.Entries[i].Seq)
			}
		}
	}
	there("before")
	s.kill()
	s.start()
	say("three")
	there("after the server was killed")
	ann.say(robot, "to the bot again", "and now?")
	soon(t, "the bot's answer after the server was killed", echoed("and now?", 2))

	// Another machine with the same secrets is the same installation.
	s.kill()
	secrets, err := os.ReadFile(filepath.Join(s.data, "secrets.json"))
	if err != nil {
		t.Fatal(err)
	}
	s.data = filepath.Join(t.TempDir(), "other")
	if err := os.MkdirAll(s.data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.data, "secrets.json"), secrets, 0o600); err != nil {
		t.Fatal(err)
	}
	s.start()
	say("four")
	there("on another data directory")
}

func TestABackupOfWhatIsInMongoDBSaysWhoMakesIt(t *testing.T) {
	s := startServer(t, "TROUPE_MONGO="+mongotest.URI(t), "TROUPE_FILES_DIR="+filepath.Join(t.TempDir(), "files"))
	out, err := s.command("backup", filepath.Join(t.TempDir(), "copy"))
	if err == nil || !strings.Contains(out, "mongodump") {
		t.Errorf("a backup: %v\n%s", err, out)
	}
}

func TestConfigCheckSaysWhatNodesHaveToShare(t *testing.T) {
	for _, c := range []struct {
		env  []string
		want string // of what is refused, "": nothing
	}{
		{[]string{"TROUPE_MONGO=mongodb://127.0.0.1/troupe"}, ""},
		{[]string{"TROUPE_MONGO=127.0.0.1"}, "mongo ("},
		{[]string{"TROUPE_FILES_DIR=/srv/files"}, "files-dir ("},
		{[]string{"TROUPE_REDIS=redis://127.0.0.1:6379"}, "redis ("},
		{[]string{"TROUPE_REDIS=redis://127.0.0.1:6379", "TROUPE_MONGO=mongodb://127.0.0.1/troupe", "TROUPE_FILES_DIR=/srv/files"}, "secrets ("},
		{[]string{"TROUPE_REDIS=redis://127.0.0.1:6379", "TROUPE_MONGO=mongodb://127.0.0.1/troupe", "TROUPE_SECRETS=/srv/secrets.json"}, "files-dir ("},
		{[]string{"TROUPE_REDIS=redis://127.0.0.1:6379", "TROUPE_MONGO=mongodb://127.0.0.1/troupe", "TROUPE_SECRETS=/srv/secrets.json", "TROUPE_FILES_DIR=/srv/files"}, ""},
	} {
		t.Run(fmt.Sprint(c.env), func(t *testing.T) {
			l, err := loadConfig(nil, append([]string{"TROUPE_DATA=" + t.TempDir()}, c.env...), nil)
			if err != nil {
				t.Fatal(err)
			}
			err = l.check(l.from)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("it is refused as %v, want %q", err, c.want)
			}
		})
	}
}
