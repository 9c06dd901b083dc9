package main

import (
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// children are the processes that the server started, by what they are.
func (s *testServer) children(word string) (pids []int) {
	s.t.Helper()
	out, _ := exec.Command("pgrep", "-f", "-P", strconv.Itoa(s.process.Process.Pid), word).Output() // none is an error
	for _, line := range strings.Fields(string(out)) {
		if pid, err := strconv.Atoi(line); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// Every message is answered exactly once and in order, whether the bot's process is killed,
// or the server with it, between any two steps.
func TestEveryMessageIsAnsweredOnceWhoeverIsKilled(t *testing.T) {
	s := startServer(t, "TROUPE_BOTS=echo")
	const people, messages = 6, 5
	everybody := make([]*person, people)
	sessions := make([]string, people)
	ask := func(round int) (wanted []string) {
		for i, p := range everybody {
			text := fmt.Sprintf("%d of %d", round, i)
			p.say(sessions[i], text, text)
			wanted = append(wanted, text)
		}
		return wanted
	}
	soon(t, "the bot", func() bool { return len(s.children("plugin echo")) == 1 })
	for i := range everybody {
		everybody[i] = s.join(fmt.Sprint("u", i), "phone")
		soon(t, "the bot's user", func() bool {
			return s.post(s.token(fmt.Sprint("u", i)), "/api/v2/sessions", `{"sessionType":"p2p","members":["b_echo"]}`, nil) < 300
		})
		sessions[i] = everybody[i].with("b_echo")
	}
	for round := range messages {
		ask(round)
		switch round {
		case 0: // in peace
		case 1, 3:
			for _, pid := range s.children("plugin echo") {
				syscall.Kill(pid, syscall.SIGKILL)
			}
		case 2:
			s.kill()
			s.start()
		}
	}
	for i, p := range everybody {
		var want []string
		for round := range messages {
			want = append(want, fmt.Sprintf("%d of %d", round, i))
		}
		answers := func() []string { // without its greeting
			return slices.DeleteFunc(p.said(sessions[i], "b_echo"), func(text string) bool { return !strings.Contains(text, " of ") })
		}
		soon(t, "all answers", func() bool { return len(answers()) >= messages })
		if got := answers(); !slices.Equal(got, want) {
			t.Errorf("u%d is answered %q, want %q", i, got, want)
		}
	}
	if len(s.children("plugin echo")) > 1 {
		t.Errorf("there are processes %v", s.children("plugin echo"))
	}
}
