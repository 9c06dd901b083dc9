package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestLoadMeasuresFilesOfTheRealServer(t *testing.T) {
	built, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(built, "load", "--spawn", "--data", t.TempDir(), "--large", "1", "--duration", "100ms", "--warmup", "1ms", "--json", "-", "files")
	c.Env = cleanEnv()
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var results []struct {
		Files struct{ SmallUploads, SmallDownloads, LargeUploads, LargeDownloads, PSSLargestUp, PictureMs float64 }
	}
	if err := json.Unmarshal(out[bytes.IndexByte(out, '['):], &results); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	f := results[0].Files
	for says, n := range map[string]float64{"large uploads": f.LargeUploads, "large downloads": f.LargeDownloads, "memory": f.PSSLargestUp, "a picture": f.PictureMs} {
		if n <= 0 {
			t.Errorf("it has no figure of %s: %s", says, out)
		}
	}
}

func TestLoadWritesWhereTheTimeGoes(t *testing.T) {
	built, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	c := exec.Command(built, "load", "--spawn", "--data", t.TempDir(), "--cpuprofile", dir, "--pairs", "2", "--duration", "1s", "--warmup", "1ms", "p2p")
	c.Env = cleanEnv()
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	file, err := os.Open(filepath.Join(dir, "1.cpu"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := gzip.NewReader(file); err != nil { // as pprof's files are
		t.Error(err)
	}
}
