package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSecretsThatNodesShareAreMadeOnceAndReadByAll(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secrets.json")
	run := func(environ []string, args ...string) (code int, said string) {
		var out bytes.Buffer
		p := &program{out: io.Discard, err: &out, environ: environ}
		return p.run(context.Background(), args), out.String()
	}
	shared := []string{"TROUPE_SECRETS=" + file, "TROUPE_DATA=" + t.TempDir()}
	if code, said := run(shared, "user", "add", "ann", "--generate"); code != exitFailed || !strings.Contains(said, "troupe secrets new FILE") {
		t.Errorf("without the file: %d, %s", code, said)
	}
	if code, said := run(nil, "secrets", "new", file); code != exitOK {
		t.Fatalf("made: %d, %s", code, said)
	}
	made, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if info, _ := os.Stat(file); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	if code, said := run(nil, "secrets", "new", file); code != exitFailed || !strings.Contains(said, "is there already") {
		t.Errorf("made again: %d, %s", code, said)
	}
	if code, _ := run(nil, "secrets"); code != exitUsage {
		t.Errorf("without a file: %d", code)
	}
	if code, said := run(shared, "user", "add", "ann", "--generate"); code != exitOK {
		t.Errorf("with the file: %d, %s", code, said)
	}
	if now, _ := os.ReadFile(file); !bytes.Equal(now, made) {
		t.Error("the secrets are others now")
	}
}
