package filectr_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
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
		b, err := filectr.NewBucket(context.Background(), s3, slog.New(slog.DiscardHandler))
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
	t.Run("WhileItIsAwayFilesAreBusyAndComeLater", func(t *testing.T) {
		open(t) // makes one
		near := s3
		way := newWay(t, s3.Endpoint)
		near.Endpoint = way.http.URL
		s := newStage(t, nil)
		var err error
		if s.blobs, err = filectr.NewBucket(t.Context(), near, slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
		s.start()
		f := s.upload("ann", "a.txt", []byte("before"))
		path := s.begin("ann", "b.txt", 5)
		way.is.Store(cut)
		if r := s.get("ann", f.ID); r.status != 503 || r.code() != "BUSY" {
			t.Errorf("read: %d %s", r.status, r.body)
		}
		if r := s.post("ann", "c.txt", []byte("meanwhile")); r.status != 503 || r.code() != "BUSY" || r.header.Get("Retry-After") == "" {
			t.Errorf("kept: %d %s", r.status, r.body)
		}
		if r := s.part("ann", path, 0, []byte("parts")); r.status != 503 || r.code() != "BUSY" {
			t.Errorf("in parts: %d %s", r.status, r.body)
		}
		s.used("ann", f.Size+5) // what is complete waits
		way.is.Store(passable)
		if got := s.offset("ann", path); got != 5 {
			t.Errorf("then it is at %d", got)
		}
		if r := s.get("ann", path[len(tus):]); r.status != 200 || string(r.body) != "parts" {
			t.Errorf("then it is %d %s", r.status, r.body)
		}
		near.Within = time.Millisecond
		if s.blobs, err = filectr.NewBucket(t.Context(), near, slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
		s.start()
		way.is.Store(still)
		if r := s.get("ann", f.ID); r.status != 503 {
			t.Errorf("read from one that stands still: %d %s", r.status, r.body)
		}
		if r := s.post("ann", "c.txt", []byte("meanwhile")); r.status != 503 {
			t.Errorf("kept in one that stands still: %d %s", r.status, r.body)
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
			if _, err := filectr.NewBucket(t.Context(), wrong, slog.New(slog.DiscardHandler)); err == nil {
				t.Errorf("%s is opened", says)
			}
		}
	})
}

// way is what lies between us and the S3 server.
type way struct {
	http *httptest.Server
	is   atomic.Int32
}

const (
	passable int32 = iota
	cut            // as if nobody were there
	still          // nobody answers
)

func newWay(t *testing.T, to string) *way {
	t.Helper()
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	through := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(u)
		r.Out.Host = r.In.Host // which is signed
	}}
	w := &way{}
	w.http = httptest.NewServer(http.HandlerFunc(func(a http.ResponseWriter, r *http.Request) {
		switch w.is.Load() {
		case cut:
			panic(http.ErrAbortHandler)
		case still:
			io.Copy(io.Discard, r.Body) // then it is noticed that who asks has gone
			<-r.Context().Done()
		default:
			through.ServeHTTP(a, r)
		}
	}))
	t.Cleanup(w.http.Close)
	return w
}

func sumOf(t *testing.T, text string) filectr.Sum {
	t.Helper()
	sum, ok := filectr.ParseSum(text)
	if !ok {
		t.Fatalf("%q is no sum", text)
	}
	return sum
}
