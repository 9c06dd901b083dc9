package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/troupe-im/troupe/internal/protocol"
)

func TestTwoPeopleChatAndARestartLosesNothing(t *testing.T) {
	s := startServer(t)
	ann, phone, bob := s.join("ann", "laptop"), s.join("ann", "phone"), s.join("bob", "tablet")
	session := s.pair(ann, "ann", "bob")

	ann.say(session, "1", "hi bob")
	ann.say(session, "2", "are you there?")
	want := []string{"hi bob", "are you there?"}
	for name, p := range map[string]*person{"bob": bob, "ann's phone": phone, "ann": ann} {
		soon(t, name+" to hear both", func() bool { return slices.Equal(p.heard(session), want) })
	}
	bob.ask(&protocol.Frame{Body: &protocol.Frame_MsgRead{MsgRead: &protocol.MsgRead{Session: session, Seq: 1}}})
	soon(t, "ann to see that bob has read", func() bool {
		return ann.saw(func(f *protocol.Frame) bool {
			r := f.GetReceipt()
			return r != nil && r.UserId == "bob" && r.ReadSeq == 1
		})
	})
	bob.ask(&protocol.Frame{Body: &protocol.Frame_MsgEditing{MsgEditing: &protocol.MsgEditing{Session: session}}})
	soon(t, "ann to see bob typing", func() bool {
		return ann.saw(func(f *protocol.Frame) bool { return f.GetMsgEditingReply() != nil })
	})
	if got := unread(s.join("bob", "watch").snapshot(), session); got != 1 {
		t.Errorf("bob has %d unread, want 1", got)
	}

	s.kill() // SIGKILL: only what was acknowledged counts
	s.start()
	if got := unread(s.join("bob", "another watch").snapshot(), session); got != 1 {
		t.Errorf("bob has %d unread after the restart, want 1", got)
	}
	bob.say(session, "3", "yes") // the same client, connected again by itself
	want = append(want, "yes")
	for name, p := range map[string]*person{"bob": bob, "ann's phone": phone, "ann": ann} {
		soon(t, name+" to hear all three", func() bool { return slices.Equal(p.heard(session), want) })
	}
	if seq := ann.say(session, "1", "hi bob"); seq != 1 {
		t.Errorf("the first message sent again has seq %d, want 1", seq)
	}
	var page struct {
		Items []struct {
			Seq int64 `json:"seq"`
		} `json:"items"`
	}
	s.get("bob", "/api/v2/sessions/"+session+"/messages", &page)
	if len(page.Items) != 3 {
		t.Errorf("the log has %d messages over REST, want 3", len(page.Items))
	}
}

func TestAStopAnswersWhatItAccepted(t *testing.T) {
	s := startServer(t)
	ann := s.join("ann", "laptop")
	session := s.pair(ann, "ann", "bob")
	const messages = 200
	answered := make(chan int64, messages)
	go func() {
		defer close(answered)
		for i := range messages {
			answered <- ann.say(session, fmt.Sprint(i), fmt.Sprint("text ", i))
		}
	}()
	<-answered
	took, err := s.stop()
	if err != nil {
		t.Errorf("the server ended with %v, want exit code 0", err)
	}
	if took > 10*time.Second {
		t.Errorf("the stop took %v, want at most 10 s", took)
	}
	if _, err := os.Stat(filepath.Join(s.data, adminSocket)); err == nil {
		t.Error("the admin socket is still there")
	}
	s.start()
	for range answered { // the client sends again what got no answer
	}
	soon(t, "every message, once and in order", func() bool { return len(ann.heard(session)) >= messages })
	for i, text := range ann.heard(session) {
		if text != fmt.Sprint("text ", i) {
			t.Fatalf("message %d is %q", i, text)
		}
	}
}

func TestAServerOnADataDirectoryInUseRefuses(t *testing.T) {
	s := startServer(t)
	out, err := s.command("serve", "--listen", "127.0.0.1:0")
	if err == nil || !strings.Contains(out, "in use") {
		t.Errorf("a second server on the same data said %q, %v", out, err)
	}
}

func TestUsersAreMadeWhetherTheServerRunsOrNot(t *testing.T) {
	s := startServer(t)
	if !strings.Contains(s.printed, s.data) || !strings.Contains(s.printed, "profile  test") {
		t.Errorf("the server printed\n%s", s.printed)
	}
	out, err := s.command("user", "add", "ann", "--generate", "--admin")
	if err != nil || !strings.Contains(out, "ann is user u_") || !strings.Contains(out, "password: ") {
		t.Fatalf("user add while it runs: %v\n%s", err, out)
	}
	if out, err := s.command("user", "add", "Ann", "--generate"); err == nil || !strings.Contains(out, "taken") {
		t.Errorf("the same name again: %v\n%s", err, out)
	}
	if _, err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if out, err := s.command("user", "add", "bob", "--generate"); err != nil || !strings.Contains(out, "bob is user u_") {
		t.Fatalf("user add while it is stopped: %v\n%s", err, out)
	}
	s.start()
	if out, err := s.command("user", "add", "bob", "--generate"); err == nil || !strings.Contains(out, "taken") {
		t.Errorf("bob is not there after the restart: %v\n%s", err, out)
	}
}

func TestTheAdminSocketIsItsOwnersAlone(t *testing.T) {
	s := startServer(t)
	for file, want := range map[string]os.FileMode{"": 0o700, adminSocket: 0o600, "secrets.json": 0o600} {
		info, err := os.Stat(filepath.Join(s.data, file))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %04o, want %04o", info.Name(), got, want)
		}
	}
	var st status
	if err := askAdmin(t.Context(), s.data, "GET", "/status", nil, &st); err != nil {
		t.Fatal(err)
	}
	if st.Address != s.url || st.Profile != "test" {
		t.Errorf("status = %+v", st)
	}
}

func TestABackupOfARunningServerIsADataDirectory(t *testing.T) {
	s := startServer(t)
	ann := s.join("ann", "laptop")
	session := s.pair(ann, "ann", "bob")
	ann.say(session, "1", "before")
	copied := filepath.Join(t.TempDir(), "copy")
	if out, err := s.command("backup", copied); err != nil {
		t.Fatalf("backup: %v\n%s", err, out)
	}
	if out, err := s.command("backup", copied); err == nil || !strings.Contains(out, "not empty") {
		t.Errorf("a second backup into the same directory: %v\n%s", err, out)
	}
	ann.say(session, "2", "after")
	epoch := head(s.join("bob", "b1").snapshot(), session).Epoch
	if _, err := s.stop(); err != nil {
		t.Fatal(err)
	}
	stopped := filepath.Join(t.TempDir(), "copy")
	if out, err := s.command("backup", stopped); err != nil {
		t.Fatalf("backup while it is stopped: %v\n%s", err, out)
	}

	if err := os.Rename(copied, s.data+".restored"); err != nil {
		t.Fatal(err)
	}
	s.data += ".restored"
	s.start()
	restored := head(s.join("bob", "b2").snapshot(), session)
	if restored.HeadSeq != 1 || restored.Unread != 1 {
		t.Errorf("the restored session has head %d and %d unread, want 1 and 1", restored.HeadSeq, restored.Unread)
	}
	if restored.Epoch == epoch {
		t.Error("the restored log has the epoch of the one that went on")
	}
}

func TestALongDataDirectoryHasAnAdminSocketToo(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("long/", 30))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := listenAdmin(dir)
	if err != nil {
		t.Fatal(err)
	}
	go serveAdmin(l, nil, newLog(t.Output(), &Config{Log: "error"}))
	defer l.Close()
	err = askAdmin(t.Context(), dir, "POST", "/backup", backupTo{Dir: "relative"}, &struct{}{})
	if err == nil || !strings.Contains(err.Error(), "absolute") {
		t.Errorf("error = %v, want one about the directory", err)
	}
	if err := askAdmin(t.Context(), t.TempDir(), "GET", "/status", nil, &struct{}{}); err != errNotRunning {
		t.Errorf("error without a server = %v, want %v", err, errNotRunning)
	}
}

// pair makes a session of the users a and b, by p, who is a. Both must have been seen.
func (s *testServer) pair(p *person, a, b string) protocol.SessionID {
	s.t.Helper()
	s.join(b, "first sight").Close()
	p.ask(&protocol.Frame{Body: &protocol.Frame_SessionCreate{SessionCreate: &protocol.SessionCreate{
		SessionType: protocol.SessionType_P2P, Members: []string{b},
	}}})
	return protocol.P2PSessionID(a, b)
}

func head(s *protocol.Snapshot, session protocol.SessionID) *protocol.SessionHead {
	for _, h := range s.GetSessions() {
		if h.Session == session {
			return h
		}
	}
	return &protocol.SessionHead{Unread: -1}
}

func unread(s *protocol.Snapshot, session protocol.SessionID) int64 { return head(s, session).Unread }
