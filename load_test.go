package main

import (
	"bytes"
	"encoding/json"
	"os/exec"
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
