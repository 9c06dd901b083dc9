package conformance_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/troupe-im/troupe/plugins/sdk/conformance"
)

const nodeSDK = "../../sdk-node"

func TestTheNodeSDKAsAProcess(t *testing.T) {
	node := nodeWithPackages(t)
	command := func(testing.TB) *exec.Cmd {
		return exec.Command(node, filepath.Join(nodeSDK, "conformance", "bot.mjs"))
	}
	conformance.Run(t, func(t *testing.T) conformance.Channel { return start(t, command(t)) })
	endings(t, command)
}

// nodeWithPackages finds Node, and installs what the SDK needs beside it.
func nodeWithPackages(t *testing.T) string {
	t.Helper()
	missing := func(why string) {
		if slices.Contains(strings.Split(os.Getenv("TROUPE_TEST_NEED"), ","), "node") {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	node, err := exec.LookPath("node")
	if err != nil {
		missing("there is no node")
	}
	if out, err := exec.Command(node, "-p", "parseInt(process.versions.node)>=20").Output(); err != nil || strings.TrimSpace(string(out)) != "true" {
		missing("node is older than 20")
	}
	one, err := os.Open(filepath.Join(nodeSDK, "package-lock.json")) // at a time installs
	if err == nil {
		defer one.Close()
		err = syscall.Flock(int(one.Fd()), syscall.LOCK_EX)
	}
	if err != nil {
		t.Fatal(err)
	}
	// npm leaves this file when it is through with everything.
	if _, err := os.Stat(filepath.Join(nodeSDK, "node_modules", ".package-lock.json")); err == nil {
		return node
	}
	npm := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	npm.Dir = nodeSDK
	if out, err := npm.CombinedOutput(); err != nil {
		missing("npm ci: " + err.Error() + "\n" + string(out))
	}
	return node
}

func TestTheNodeSDKHasTheProtocolAsItIs(t *testing.T) {
	ours, err := os.ReadFile("../botv1/bot.proto")
	if err != nil {
		t.Fatal(err)
	}
	its, err := os.ReadFile(filepath.Join(nodeSDK, "bot.proto"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(ours, its) {
		t.Error("plugins/sdk-node/bot.proto is not plugins/sdk/botv1/bot.proto: go generate ./plugins/sdk/botv1 copies it")
	}
}
