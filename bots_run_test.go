package main

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// up waits until all bots of a server take events, and gives their processes.
func (s *testServer) up(names ...string) (pids map[string]int) {
	s.t.Helper()
	soon(s.t, "the bots", func() bool {
		pids = map[string]int{}
		for _, name := range names {
			if p := s.children("plugin " + name); len(p) == 1 {
				pids[name] = p[0]
			}
		}
		out, err := s.command("bot", "ps")
		return err == nil && len(pids) == len(names) && strings.Count(out, "  ready  ") == len(names)
	})
	return pids
}

func TestAdministratorsSeeBotsAndSwitchThem(t *testing.T) {
	s := startServer(t, "TROUPE_BOTS=echo,poll")
	s.up("echo", "poll")
	root := s.administrator("root")
	if status, _ := s.asks(s.token("ann"), "GET", "/admin/bots", nil); status != http.StatusForbidden {
		t.Errorf("somebody else sees them: %d", status)
	}
	status, list := s.asks(root, "GET", "/admin/bots", nil)
	items, _ := list["items"].([]any)
	if status != http.StatusOK || len(items) != 2 {
		t.Fatalf("%d, %v", status, list)
	}
	echo, _ := items[0].(map[string]any)
	if echo["id"] != "echo" || echo["state"] != "ready" || echo["up"] != true || echo["builtIn"] != true || echo["name"] != "Echo" || echo["pss"] == nil {
		t.Errorf("echo is %v", echo)
	}
	if status, _ := s.asks(root, "GET", "/admin/bots/b_echo/logs", nil); status != http.StatusOK {
		t.Errorf("its log: %d", status)
	}
	if status, _ := s.asks(root, "GET", "/admin/bots/nobody", nil); status != http.StatusNotFound {
		t.Errorf("a bot that is not there: %d", status)
	}
	if status, _ := s.asks(root, "GET", "/admin/models/usage", nil); status != http.StatusOK {
		t.Errorf("what models were asked: %d", status)
	}
	res, err := http.Get(s.url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	metrics, err := io.ReadAll(res.Body)
	res.Body.Close()
	if err != nil || !strings.Contains(string(metrics), `troupe_bot_up{bot="echo"} 1`) || !strings.Contains(string(metrics), `troupe_bot_ack_seconds_count{bot="echo"}`) {
		t.Errorf("the metrics have no bots: %v", err)
	}
	if status, _ := s.asks(root, "POST", "/admin/bots/echo/disable", nil); status != http.StatusOK {
		t.Errorf("switched off: %d", status)
	}
	soon(t, "its end", func() bool { return len(s.children("plugin echo")) == 0 })
	s.kill()
	s.start()
	s.up("poll")
	if out, err := s.command("bot", "ps"); err != nil || !strings.Contains(out, "echo: somebody switched it off") {
		t.Errorf("after a restart: %v\n%s", err, out)
	}
	if out, err := s.command("bot", "enable", "b_echo"); err != nil {
		t.Errorf("switched on: %v\n%s", err, out)
	}
	s.up("echo", "poll")
	if out, err := s.command("audit", "list"); err != nil || !strings.Contains(out, "disable-bot") || !strings.Contains(out, "enable-bot") {
		t.Errorf("the audit log: %v\n%s", err, out)
	}
	if out, err := s.command("bot", "restat", "echo"); err == nil || !strings.Contains(out, "did you mean restart?") {
		t.Errorf("a slip: %v\n%s", err, out)
	}
	if out, err := s.command("bot", "logs", "ehco"); err == nil || !strings.Contains(out, "there are echo, poll") {
		t.Errorf("a slip: %v\n%s", err, out)
	}
}

func TestAServerStopsInItsTimeWhateverItsBotsDo(t *testing.T) {
	s := startServer(t, "TROUPE_BOTS=echo,poll,reminder")
	pids := s.up("echo", "poll", "reminder")
	if err := syscall.Kill(pids["echo"], syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	took, err := s.stop()
	if err != nil || took > 8*time.Second {
		t.Errorf("it stopped after %v: %v", took, err)
	}
	for name, pid := range pids {
		if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("%s (%d) is still there: %v", name, pid, err)
		}
	}
}
