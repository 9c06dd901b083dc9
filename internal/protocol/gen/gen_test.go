package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/compiler/protogen"
)

// protoc starts this very test program as its plugin.
const asPlugin = "TROUPE_GEN_PLUGIN"

func TestMain(m *testing.M) {
	if os.Getenv(asPlugin) != "" {
		protogen.Options{}.Run(generate)
		return
	}
	os.Exit(m.Run())
}

func TestWhatIsCommittedIsWhatIsGenerated(t *testing.T) {
	if _, err := exec.LookPath("protoc"); err != nil {
		t.Skip("no protoc here (Debian: protobuf-compiler)")
	}
	root, err := repositoryRoot()
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	cmd := exec.Command("protoc", "--plugin=protoc-gen-troupe="+self, "--troupe_out="+out, optionsFile, protoFile)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), asPlugin+"=1")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	for _, name := range []string{"internal/protocol/troupe_json.go", "internal/protocol/troupe.ts", docsFile} {
		want, err := os.ReadFile(filepath.Join(out, name))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(root, name)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what troupe.proto makes: run go generate ./internal/protocol (%v)", name, err)
		}
	}
}
