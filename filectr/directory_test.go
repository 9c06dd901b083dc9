package filectr_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/troupe-im/troupe/filectr"
	"github.com/troupe-im/troupe/filectr/blobtest"
)

func TestDirectory(t *testing.T) {
	blobtest.Blobs(t, func(t *testing.T) filectr.Blobs {
		d, err := filectr.NewDirectory(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		return d
	})
}

func TestWhatACrashLeftInADirectoryIsRemoved(t *testing.T) {
	dir := t.TempDir()
	half := []string{filepath.Join(dir, "ab", "cd.draft"), filepath.Join(dir, "ef.draft")} // of Put, of Collect
	for _, left := range half {
		if err := os.MkdirAll(filepath.Dir(left), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(left, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := filectr.NewDirectory(dir); err != nil {
		t.Fatal(err)
	}
	for _, left := range half {
		if _, err := os.Stat(left); !os.IsNotExist(err) {
			t.Errorf("%s is still there: %v", left, err)
		}
	}
}
