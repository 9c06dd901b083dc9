package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

const systemdDir = "deploy/systemd/"

// unitOf is a unit's settings by section and name; a name may stand there several times.
type unitOf map[string]map[string][]string

func unit(t *testing.T) unitOf {
	t.Helper()
	u, section := unitOf{}, ""
	for i, line := range strings.Split(read(t, systemdDir+"troupe.service"), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if strings.HasPrefix(line, "[") {
			section = strings.Trim(line, "[]")
			u[section] = map[string][]string{}
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok || section == "" {
			t.Fatalf("troupe.service:%d: %q is no setting", i+1, line)
		}
		u[section][name] = append(u[section][name], value)
	}
	return u
}

func (u unitOf) service(name string) string { return strings.Join(u["Service"][name], " ") }

func (u unitOf) deployed() deployed {
	args := strings.Fields(u.service("ExecStart"))
	return deployed{args: args[2:], env: map[string]string{}, files: map[string]string{"/etc/troupe/troupe.yaml": systemdDir + "troupe.yaml"}}
}

func TestTheUnitFitsTheProgram(t *testing.T) {
	u := unit(t)
	start := strings.Fields(u.service("ExecStart"))
	if start[1] != "serve" {
		t.Errorf("it starts %q", start)
	}
	var usual Config
	for _, s := range settings(&usual) {
		if s.std != "" {
			if err := s.parse(s.std); err != nil {
				t.Fatal(err)
			}
		}
	}
	if least, err := time.ParseDuration(u.service("TimeoutStopSec")); err != nil || least < usual.Drain+5*time.Second {
		t.Errorf("it is killed after %v (%v), drain is %v", least, err, usual.Drain)
	}
	for name, want := range map[string]string{
		"Restart": "always", "RestartPreventExitStatus": strconv.Itoa(exitUsage), "KillMode": "mixed", "User": "troupe",
		"NoNewPrivileges": "yes", "CapabilityBoundingSet": "", "ProtectSystem": "strict", "ProtectHome": "yes", "PrivateTmp": "yes",
		"StateDirectory": strings.TrimPrefix(start[slices.Index(start, "--data")+1], "/var/lib/"),
	} {
		if got := u.service(name); got != want {
			t.Errorf("%s=%s, want %s", name, got, want)
		}
	}
	// What plugins/jail takes for bots; without one of them they run less apart.
	for _, space := range []string{"user", "pid", "net", "ipc", "uts", "mnt"} {
		if !slices.Contains(strings.Fields(u.service("RestrictNamespaces")), space) {
			t.Errorf("bots get no namespace %s", space)
		}
	}
	if !slices.Contains(strings.Fields(u.service("SystemCallFilter")), "@mount") {
		t.Error("bots see the machine's files")
	}
	if !strings.Contains(read(t, systemdDir+"sysusers.conf"), "u "+u.service("User")+" ") {
		t.Error("nobody makes its user")
	}
}

func TestSystemdTakesTheUnit(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("there is no systemd-analyze on the PATH")
	}
	built, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "troupe.service") // with the program where it is here
	text := strings.ReplaceAll(read(t, systemdDir+"troupe.service"), "/usr/local/bin/troupe", built)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(analyze, "verify", "--man=no", file).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("verify: %v\n%s", err, out)
	}
	// Of 100, where a unit that restricts nothing has 96.
	if out, err := exec.Command(analyze, "security", "--offline=true", "--threshold=30", "--no-pager", file).CombinedOutput(); err != nil {
		t.Errorf("security: %v\n%s", err, out)
	}
}
