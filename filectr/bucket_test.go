package filectr_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/troupe-im/troupe/filectr"
	"github.com/troupe-im/troupe/filectr/blobtest"
)

// startS3 builds and starts a real S3-compatible server, Versity S3 Gateway, which
// has a module of its own in tools, and gives where it is. Its directory is a bucket's
// parent, so that a bucket is made by mkdir.
func startS3(t *testing.T) (s3 filectr.S3, buckets string) {
	t.Helper()
	if testing.Short() {
		t.Skip("it builds an S3 server")
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "versitygw")
	build := exec.Command("go", "build", "-C", "../tools/versitygw", "-o", program, "github.com/versity/versitygw/cmd/versitygw")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the S3 server: %v\n%s", err, out)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	buckets = filepath.Join(dir, "buckets")
	if err := os.Mkdir(buckets, 0o700); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	server := exec.Command(program, "--port", address, "--access", "key", "--secret", "a-secret-for-this-test", "--quiet", "posix", "--sidecar", filepath.Join(dir, "sidecar"), buckets)
	if err := os.Mkdir(filepath.Join(dir, "sidecar"), 0o700); err != nil {
		t.Fatal(err)
	}
	server.Stdout, server.Stderr = &log, &log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		server.Process.Kill()
		server.Wait()
		if t.Failed() {
			t.Logf("the S3 server said: %.4000s", log.Bytes())
		}
	})
	until(t, "the S3 server listens", func() bool {
		c, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return filectr.S3{Endpoint: "http://" + address, Region: "us-east-1", Access: "key", Secret: "a-secret-for-this-test", Prefix: "files"}, buckets
}

func TestBucket(t *testing.T) {
	s3, buckets := startS3(t)
	n := 0
	open := func(t *testing.T) *filectr.Bucket {
		n++
		s3.Bucket = fmt.Sprintf("bucket-%d", n)
		if err := os.Mkdir(filepath.Join(buckets, s3.Bucket), 0o700); err != nil {
			t.Fatal(err)
		}
		b, err := filectr.NewBucket(context.Background(), s3)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	blobtest.Blobs(t, func(t *testing.T) filectr.Blobs { return open(t) })

	t.Run("FilesGoThroughIt", func(t *testing.T) {
		s := newStage(t, nil)
		s.blobs = open(t)
		s.start()
		content := bytes.Repeat([]byte("0123456789abcdef"), 20_000)
		f := s.upload("ann", "a.txt", content)
		if r := s.get("ann", f.ID); r.status != 200 || !bytes.Equal(r.body, content) {
			t.Errorf("%d, %d bytes", r.status, len(r.body))
		}
		if r := s.get("ann", f.ID, "Range", "bytes=300000-300005"); r.status != 206 || string(r.body) != "012345" {
			t.Errorf("a range: %d %s", r.status, r.body)
		}
		picture := s.upload("ann", "a.png", pictureOf(t, "png", 400, 300))
		if r := s.do("ann", "GET", "/api/v2/files/"+picture.ID+"/thumb", nil); r.status != 200 {
			t.Errorf("a smaller picture: %d", r.status)
		}
		if contents, drafts := s.kept(); contents+drafts != 0 {
			t.Errorf("%d contents and %d drafts are on this machine", contents, drafts)
		}
		s.wait(25 * time.Hour)
		if err := s.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := s.blobs.Open(t.Context(), sumOf(t, f.SHA256)); err != filectr.ErrNoBlob {
			t.Errorf("what was not sent: %v, want ErrNoBlob", err)
		}
	})
	t.Run("WhatIsNoBucketIsRefused", func(t *testing.T) {
		for says, change := range map[string]func(*filectr.S3){
			"another bucket": func(s *filectr.S3) { s.Bucket = "none-of-that-name" },
			"another secret": func(s *filectr.S3) { s.Secret = "another" },
			"no endpoint":    func(s *filectr.S3) { s.Endpoint = "s3.example.com" },
			"a path":         func(s *filectr.S3) { s.Endpoint += "/bucket" },
		} {
			wrong := s3
			change(&wrong)
			if _, err := filectr.NewBucket(t.Context(), wrong); err == nil {
				t.Errorf("%s is opened", says)
			}
		}
	})
}

func sumOf(t *testing.T, text string) filectr.Sum {
	t.Helper()
	sum, ok := filectr.ParseSum(text)
	if !ok {
		t.Fatalf("%q is no sum", text)
	}
	return sum
}
