package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// bucketServer is a real S3-compatible server, Versity S3 Gateway, with a gate in front
// of it: what goes through it may be held up.
type bucketServer struct {
	t       *testing.T
	buckets string // its directory: a bucket is a directory in it
	behind  string
	gate    *http.Server
	address string

	mu    sync.Mutex
	holds string        // "": nothing; "before" or "after" a content has got there
	held  chan struct{} // closed when one is held up
	goOn  chan struct{} // closed when it may go on
}

// startBucket starts it with a bucket "files".
func startBucket(t *testing.T) *bucketServer {
	t.Helper()
	if testing.Short() {
		t.Skip("it builds an S3 server")
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "versitygw")
	if out, err := exec.Command("go", "build", "-C", "tools/versitygw", "-o", program, "github.com/versity/versitygw/cmd/versitygw").CombinedOutput(); err != nil {
		t.Fatalf("building the S3 server: %v\n%s", err, out)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &bucketServer{t: t, buckets: filepath.Join(dir, "buckets"), behind: l.Addr().String()}
	l.Close()
	for _, d := range []string{b.buckets, filepath.Join(b.buckets, "files"), filepath.Join(dir, "sidecar")} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	server := exec.Command(program, "--port", b.behind, "--access", "key", "--secret", "a-secret-for-this-test", "--quiet", "posix", "--sidecar", filepath.Join(dir, "sidecar"), b.buckets)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		server.Process.Kill()
		server.Wait()
	})
	soon(t, "the S3 server to listen", func() bool {
		c, err := net.DialTimeout("tcp", b.behind, time.Second)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	b.address = l.Addr().String()
	b.gate = &http.Server{Handler: http.HandlerFunc(b.pass)}
	go b.gate.Serve(l)
	t.Cleanup(func() { b.gate.Close() })
	return b
}

// pass hands a request on as it is, its Host included, which is signed.
func (b *bucketServer) pass(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	holds, held, goOn := b.holds, b.held, b.goOn
	if r.Method == http.MethodPut && holds != "" {
		b.holds = "" // one
	} else {
		holds = ""
	}
	b.mu.Unlock()
	hold := func(when string) {
		if holds == when {
			close(held)
			<-goOn
		}
	}
	hold("before")
	out := r.Clone(r.Context())
	out.URL.Scheme, out.URL.Host, out.RequestURI = "http", b.behind, ""
	if out.ContentLength == 0 {
		out.Body = nil
	}
	a, err := http.DefaultTransport.RoundTrip(out)
	if err != nil {
		return
	}
	defer a.Body.Close()
	hold("after")
	for name, values := range a.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(a.StatusCode)
	io.Copy(w, a.Body)
}

// hold has the next content held up, before or after it got there. held is closed when it
// is; release lets it go.
func (b *bucketServer) hold(when string) (held <-chan struct{}, release func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.holds, b.held, b.goOn = when, make(chan struct{}), make(chan struct{})
	return b.held, sync.OnceFunc(func() { close(b.goOn) })
}

func (b *bucketServer) env() []string {
	return []string{"TROUPE_S3_ENDPOINT=http://" + b.address, "TROUPE_S3_BUCKET=files", "TROUPE_S3_REGION=us-east-1",
		"TROUPE_S3_ACCESS_KEY=key", "TROUPE_S3_SECRET_KEY=a-secret-for-this-test"}
}

// empty makes the bucket an empty one.
func (b *bucketServer) empty() {
	b.t.Helper()
	dir := filepath.Join(b.buckets, "files")
	entries, err := os.ReadDir(dir)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			b.t.Fatal(err)
		}
	}
}

func TestFilesInABucketAreBackedUpAndPutBack(t *testing.T) {
	b := startBucket(t)
	s := startServer(t, b.env()...)
	content := bytes.Repeat([]byte("0123456789"), 20_000)
	ids := []string{s.upload("ann", "a.txt", content), s.upload("ann", "b.txt", []byte("small")), s.upload("bob", "c.txt", []byte("small"))}
	run := func(want string, fails bool, args ...string) {
		t.Helper()
		out, err := s.command(args...)
		if (err != nil) != fails || !strings.Contains(out, want) {
			t.Errorf("troupe %s: %v\n%s\nwant %q", strings.Join(args, " "), err, out, want)
		}
	}
	dir := t.TempDir()
	bare, whole := filepath.Join(dir, "bare"), filepath.Join(dir, "whole")
	run("2 contents of files, 200005 bytes, stay in the bucket files", false, "backup", bare)
	run("with 2 contents of files, 200005 bytes", false, "backup", whole, "--files")
	run("2 contents of files are there", false, "files", "check", "--deep")
	if found, _ := filepath.Glob(filepath.Join(bare, "files", "blobs", "*", "*")); len(found) > 0 {
		t.Errorf("the bare copy has %v", found)
	}

	// The bucket is lost.
	b.empty()
	run("2 contents are missing or damaged", true, "files", "check")
	run("2 contents of files are missing", false, "backup", filepath.Join(dir, "hollow"), "--files")
	if _, err := s.stop(); err != nil {
		t.Fatal(err)
	}
	blobs := filepath.Join(whole, "files", "blobs")
	s.data = whole // the copy in its place, which in the end has its contents in the bucket
	run("2 contents of files are there", false, "files", "put", blobs)
	s.start()
	run("2 contents of files are there", false, "files", "check", "--deep")
	read := func() {
		t.Helper()
		for i, id := range ids {
			want := [][]byte{content, []byte("small"), []byte("small")}[i]
			user := []string{"ann", "ann", "bob"}[i]
			if status, _, got := s.ask(user, "GET", "/api/v2/files/"+id, nil); status != 200 || !bytes.Equal(got, want) {
				t.Errorf("%s: %d, %d bytes", id, status, len(got))
			}
		}
	}
	read()
	spoilt := 0
	err := filepath.WalkDir(filepath.Join(b.buckets, "files"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || spoilt > 0 {
			return err
		}
		spoilt++
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err == nil {
			_, err = f.WriteAt([]byte("X"), 0)
			f.Close()
		}
		return err
	})
	if err != nil || spoilt == 0 {
		t.Fatal(err, spoilt)
	}
	run("2 contents of files are there", false, "files", "check")
	run("1 contents are missing or damaged", true, "files", "check", "--deep")
	run("2 contents of files are there", false, "files", "put", blobs, "--deep")
	run("2 contents of files are there", false, "files", "check", "--deep")
	read()

	// The same copy also stands alone, without a bucket.
	if _, err := s.stop(); err != nil {
		t.Fatal(err)
	}
	b.empty()
	s.env = nil
	s.start()
	read()
}

// A process is killed while the bucket has not said that it has a content.
func TestAKilledServerLosesNoFileOnItsWayIntoABucket(t *testing.T) {
	b := startBucket(t)
	for _, when := range []string{"before", "after"} {
		t.Run(when, func(t *testing.T) {
			content := bytes.Repeat([]byte(when), 20_000)
			// Room for one file at a time: an upload that leaked its room leaves none.
			s := startServer(t, append(b.env(), "TROUPE_QUOTA="+strconv.Itoa(len(content)+1000))...)
			tus := []string{"Tus-Resumable", "1.0.0"}
			begin := func() (path string) {
				status, header, text := s.ask("ann", "POST", "/api/v2/files/tus/", nil,
					append(tus, "Upload-Length", strconv.Itoa(len(content)), "Upload-Metadata", "filename "+base64.StdEncoding.EncodeToString([]byte("a.txt")))...)
				if status != http.StatusCreated {
					t.Fatalf("beginning: %d %s", status, text)
				}
				return header.Get("Location")
			}
			// killed sends a request that the bucket holds up, and kills the server meanwhile.
			killed := func(method, path string, body []byte, header ...string) {
				t.Helper()
				held, release := b.hold(when)
				defer release()
				req, err := http.NewRequest(method, s.url+path, bytes.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Authorization", "Bearer "+s.token("ann"))
				for i := 0; i+1 < len(header); i += 2 {
					req.Header.Set(header[i], header[i+1])
				}
				answered := make(chan string, 1)
				go func() {
					res, err := http.DefaultClient.Do(req)
					if err != nil {
						answered <- ""
						return
					}
					res.Body.Close()
					answered <- res.Status
				}()
				select {
				case <-held:
				case status := <-answered:
					t.Fatalf("it was answered before the bucket had it: %s", status)
				}
				s.kill()
				if status := <-answered; status != "" {
					t.Errorf("the client was told %s", status)
				}
			}

			// In one request: the client sees that it failed, and nothing is left of it.
			form := fmt.Sprintf("--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\n%s\r\n--B--\r\n", content)
			killed("POST", "/api/v2/files", []byte(form), "Content-Type", "multipart/form-data; boundary=B")
			s.start()
			if left, _ := filepath.Glob(filepath.Join(s.data, "files", "drafts", "*")); len(left) > 0 {
				t.Errorf("drafts are left: %v", left)
			}

			// In parts, in the room that this leaves: it becomes a file at the start.
			path := begin()
			killed("PATCH", path, content, append(tus, "Content-Type", "application/offset+octet-stream", "Upload-Offset", "0")...)
			s.start()
			if status, _, got := s.ask("ann", "GET", "/api/v2/files/"+filepath.Base(path), nil); status != 200 || !bytes.Equal(got, content) {
				t.Errorf("the file: %d, %d bytes", status, len(got))
			}
			if left, _ := filepath.Glob(filepath.Join(s.data, "files", "resumable", "*")); len(left) > 0 {
				t.Errorf("uploads are left: %v", left)
			}
			if status, _, text := s.ask("ann", "DELETE", "/api/v2/files/"+filepath.Base(path), nil); status != http.StatusNoContent {
				t.Errorf("removing it: %d %s", status, text)
			}
			begin() // all room is there again
		})
	}
}
