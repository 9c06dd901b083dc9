package plugins_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/troupe-im/troupe/plugins"
	"github.com/troupe-im/troupe/plugins/desk"
)

// hostAlone is a host in a process of its own, which says its bots' processes and waits
// to be killed.
func hostAlone(data string) {
	d := &fakeDesk{channels: map[string]desk.Channel{}, acks: map[string]int{}}
	h, err := plugins.New(plugins.Config{Data: data, Unbounded: race}, plugins.Needs{Desk: d, BuiltIn: map[string]plugins.BuiltIn{"good": {}, "deaf": {}, "parent": {}}})
	if err == nil {
		err = h.Start()
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	h.Settled(10 * time.Second)
	var pids []string
	for _, s := range h.Status(false) {
		pids = append(pids, fmt.Sprint(s.PID))
	}
	fmt.Println(strings.Join(pids, " "))
	_, _ = io.Copy(io.Discard, os.Stdin)
}

func TestNoBotOutlivesItsHostByASecond(t *testing.T) {
	data := t.TempDir()
	for range 2 {
		cmd := exec.Command("/proc/self/exe", "host", data)
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		line, _ := bufio.NewReader(out).ReadString('\n')
		var pids [3]int
		if n, err := fmt.Sscan(line, &pids[0], &pids[1], &pids[2]); n != 3 || pids[0] == 0 || pids[1] == 0 || pids[2] == 0 {
			t.Fatalf("the host said %q: %v", line, err)
		}
		if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		for _, pid := range pids {
			eventually(t, time.Second, fmt.Sprintf("process %d is gone", pid), func() bool { return gone(pid) })
		}
	}
}

// gone says whether a process has ended: whoever got it for a child may not have reaped it.
func gone(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return true
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(text), ") Z ")
}
