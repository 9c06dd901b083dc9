package filectr_test

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/troupe-im/troupe/filectr"
)

const tus = "/api/v2/files/tus/"

// tus sends a request of the tus protocol.
func (s *stage) tus(user, method, path string, body []byte, header ...string) reply {
	s.t.Helper()
	header = append(header, "Tus-Resumable", "1.0.0")
	if method == "PATCH" {
		header = append(header, "Content-Type", "application/offset+octet-stream")
	}
	return s.do(user, method, path, bytes.NewReader(body), header...)
}

// begin begins an upload and gives its path.
func (s *stage) begin(user, name string, size int, meta ...string) string {
	s.t.Helper()
	meta = append(meta, "filename "+base64.StdEncoding.EncodeToString([]byte(name)))
	r := s.tus(user, "POST", tus, nil, "Upload-Length", strconv.Itoa(size), "Upload-Metadata", strings.Join(meta, ","))
	if r.status != 201 || !strings.HasPrefix(r.header.Get("Location"), tus+"f_") || r.header.Get("Upload-Expires") == "" {
		s.t.Fatalf("beginning an upload: %d %s %v", r.status, r.body, r.header)
	}
	return r.header.Get("Location")
}

func (s *stage) part(user, path string, offset int, part []byte, header ...string) reply {
	s.t.Helper()
	return s.tus(user, "PATCH", path, part, append(header, "Upload-Offset", strconv.Itoa(offset))...)
}

func (s *stage) offset(user, path string) int {
	s.t.Helper()
	r := s.tus(user, "HEAD", path, nil)
	n, err := strconv.Atoi(r.header.Get("Upload-Offset"))
	if r.status != 200 || err != nil {
		s.t.Fatalf("HEAD: %d %v", r.status, r.header)
	}
	return n
}

func TestAnUploadInPartsIsOneFile(t *testing.T) {
	s := newStage(t, nil)
	content := bytes.Repeat([]byte("0123456789"), 30_000)
	sum := sha256.Sum256(content)
	path := s.begin("ann", "../a report.txt", len(content), "sha256 "+base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%x", sum)))
	s.used("ann", int64(len(content)))
	for at := 0; at < len(content); {
		end := min(at+70_000, len(content))
		if got := s.offset("ann", path); got != at {
			t.Fatalf("it has come as far as %d, and was sent up to %d", got, at)
		}
		r := s.part("ann", path, at, content[at:end])
		if r.status != 204 || r.header.Get("Upload-Offset") != strconv.Itoa(end) {
			t.Fatalf("a part: %d %s", r.status, r.body)
		}
		at = end
	}
	id := path[len(tus):]
	if r := s.get("ann", id); r.status != 200 || !bytes.Equal(r.body, content) || !strings.Contains(r.header.Get("Content-Disposition"), `"a report.txt"`) {
		t.Errorf("%d, %d bytes, %v", r.status, len(r.body), r.header)
	}
	s.used("ann", int64(len(content)))
	if got := s.offset("ann", path); got != len(content) {
		t.Errorf("whoever lost the last answer is told %d", got)
	}
	if r := s.tus("ann", "DELETE", path, nil); r.status != 409 {
		t.Errorf("a file is cancelled: %d", r.status)
	}
	if _, drafts := s.kept(); drafts != 0 {
		t.Errorf("%d drafts are left", drafts)
	}
}

func TestAnUploadGoesOnAfterARestart(t *testing.T) {
	s := newStage(t, nil)
	content := bytes.Repeat([]byte("abc"), 10_000)
	path, whole := s.begin("ann", "a.txt", len(content)), s.begin("ann", "b.txt", 5)
	s.part("ann", path, 0, content[:12_345])
	// The process ends between the last byte and the file.
	if err := os.WriteFile(filepath.Join(s.cfg.Data, "resumable", whole[len(tus):]), []byte("whole"), 0o600); err != nil {
		t.Fatal(err)
	}
	stray := filepath.Join(s.cfg.Data, "resumable", "f_of_nobody")
	if err := os.WriteFile(stray, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.http.Close()
	s.start()
	if got := s.offset("ann", path); got != 12_345 {
		t.Fatalf("it goes on at %d", got)
	}
	s.used("ann", int64(len(content)+5))
	if r := s.part("ann", path, 12_345, content[12_345:]); r.status != 204 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	if r := s.get("ann", path[len(tus):]); r.status != 200 || !bytes.Equal(r.body, content) {
		t.Errorf("%d, %d bytes", r.status, len(r.body))
	}
	if r := s.get("ann", whole[len(tus):]); r.status != 200 || string(r.body) != "whole" {
		t.Errorf("what was complete: %d %s", r.status, r.body)
	}
	if _, err := os.Stat(stray); !os.IsNotExist(err) {
		t.Errorf("what nobody has reserved is still there: %v", err)
	}
}

func TestAPartThatBreaksOffIsKeptAsFarAsItCame(t *testing.T) {
	s := newStage(t, nil)
	path := s.begin("ann", "a.txt", 100_000)
	c, err := net.Dial("tcp", s.http.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "PATCH %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ann\r\nTus-Resumable: 1.0.0\r\nContent-Type: application/offset+octet-stream\r\nUpload-Offset: 0\r\nContent-Length: 100000\r\n\r\n%s",
		path, strings.Repeat("x", 5000))
	until(t, "what came is written", func() bool { // HEAD would end the part: who asks has lost its connection
		at, err := os.Stat(filepath.Join(s.cfg.Data, "resumable", path[len(tus):]))
		return err == nil && at.Size() == 5000
	})
	c.Close()
	if got := s.offset("ann", path); got != 5000 {
		t.Errorf("it goes on at %d", got)
	}
}

func TestAPartWithAnotherChecksumIsNotKept(t *testing.T) {
	s := newStage(t, nil)
	content := []byte("first part, second part")
	path := s.begin("ann", "a.txt", len(content))
	one, two := sha256.Sum256(content[:10]), sha1.Sum(content[10:])
	say := func(name string, sum []byte) string { return name + " " + base64.StdEncoding.EncodeToString(sum) }
	if r := s.part("ann", path, 0, content[:10], "Upload-Checksum", say("sha256", one[1:])); r.status != 460 || r.code() != "BAD_REQUEST" || !strings.Contains(string(r.body), `"title":"Checksum Mismatch"`) {
		t.Errorf("another one: %d %s", r.status, r.body)
	}
	if r := s.part("ann", path, 0, content[:10], "Upload-Checksum", "crc32 AAAA"); r.status != 400 {
		t.Errorf("an unknown one: %d", r.status)
	}
	if got := s.offset("ann", path); got != 0 {
		t.Errorf("%d bytes were kept", got)
	}
	if r := s.part("ann", path, 0, content[:10], "Upload-Checksum", say("sha256", one[:])); r.status != 204 {
		t.Errorf("the right one: %d %s", r.status, r.body)
	}
	if r := s.part("ann", path, 10, content[10:], "Upload-Checksum", say("sha1", two[:])); r.status != 204 {
		t.Errorf("the right one: %d %s", r.status, r.body)
	}
	if r := s.get("ann", path[len(tus):]); !bytes.Equal(r.body, content) {
		t.Errorf("%d %q", r.status, r.body)
	}
}

func TestAnUploadInPartsIsRefusedForWhatItIs(t *testing.T) {
	s := newStage(t, func(c *filectr.Config) {
		c.Quota, c.MaxVideo, c.MaxDocument, c.MaxImage, c.MaxVoice, c.MaxPackage = 300_000, 250_000, 100_000, 100_000, 100_000, 100_000
	})
	length := func(n string) reply { return s.tus("ann", "POST", tus, nil, "Upload-Length", n) }
	for n, want := range map[string]int{"250001": 413, "-1": 400, "x": 400, "": 400} {
		if r := length(n); r.status != want || r.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("a length of %q: %d %s", n, r.status, r.body)
		}
	}
	if r := length("250001"); r.code() != "TOO_LARGE" || !strings.Contains(string(r.body), "at most 250000 bytes") {
		t.Errorf("larger than any may be: %s", r.body)
	}
	path := s.begin("ann", "a.txt", 200_000)
	if r := length("200000"); r.status != http.StatusInsufficientStorage || r.code() != "QUOTA" {
		t.Errorf("over the quota: %d %s", r.status, r.body)
	}
	for says, c := range map[string]struct {
		r      reply
		status int
	}{
		"another's upload":    {s.part("bob", path, 0, []byte("x")), 404},
		"another's offset":    {s.tus("bob", "HEAD", path, nil), 404},
		"another's cancel":    {s.tus("bob", "DELETE", path, nil), 404},
		"nobody's":            {s.tus("ann", "HEAD", tus+"f_aaaaaaaaaaaaaaaaaaaaaaaaaa", nil), 404},
		"no id":               {s.tus("ann", "HEAD", tus+"..%2f..%2fsecrets", nil), 404},
		"another offset":      {s.part("ann", path, 7, []byte("x")), 409},
		"more than was said":  {s.part("ann", path, 0, make([]byte, 200_001)), 413},
		"another version":     {s.do("ann", "PATCH", path, nil), 412},
		"no token":            {s.tus("", "PATCH", path, nil), 401},
		"a method in a field": {s.tus("ann", "POST", tus, nil, "X-HTTP-Method-Override", "DELETE", "Upload-Length", "x"), 400},
	} {
		if c.r.status != c.status {
			t.Errorf("%s: %d %s, want %d", says, c.r.status, c.r.body, c.status)
		}
	}
	if r := s.part("ann", path, 0, bytes.Repeat([]byte("text "), 14_000)); r.status != 413 || r.code() != "TOO_LARGE" {
		t.Errorf("a document over its limit: %d %s", r.status, r.body)
	}
	if r := s.tus("ann", "HEAD", path, nil); r.status != 404 {
		t.Errorf("it goes on: %d", r.status)
	}
	s.used("ann", 0)
	sum := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%x", make([]byte, 32)))
	path = s.begin("ann", "a.txt", 3, "sha256 "+sum)
	if r := s.part("ann", path, 0, []byte("abc")); r.status != 400 {
		t.Errorf("another sum: %d", r.status)
	}
	s.used("ann", 0)
}

func TestAnUploadIsCancelledOrEndsByItself(t *testing.T) {
	s := newStage(t, nil)
	path := s.begin("ann", "a.txt", 1000)
	s.part("ann", path, 0, make([]byte, 10))
	if r := s.tus("ann", "DELETE", path, nil); r.status != 204 {
		t.Errorf("cancelled: %d", r.status)
	}
	if r := s.tus("ann", "HEAD", path, nil); r.status != 404 {
		t.Errorf("after that: %d", r.status)
	}
	s.used("ann", 0)
	path = s.begin("ann", "a.txt", 1000)
	s.part("ann", path, 0, make([]byte, 10))
	s.wait(23 * time.Hour)
	if err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.used("ann", 1000)
	s.wait(2 * time.Hour)
	if err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.used("ann", 0)
	if contents, drafts := s.kept(); contents+drafts != 0 {
		t.Errorf("%d contents and %d drafts are left", contents, drafts)
	}
}

func TestResumableUploadsSayWhatTheyCan(t *testing.T) {
	s := newStage(t, nil)
	r := s.do("ann", "OPTIONS", tus, nil)
	if r.header.Get("Tus-Version") != "1.0.0" || r.header.Get("Tus-Checksum-Algorithm") == "" || r.header.Get("Tus-Max-Size") != fmt.Sprint(500<<20) {
		t.Errorf("%d %v", r.status, r.header)
	}
	for _, one := range []string{"creation", "creation-with-upload", "termination", "checksum", "expiration"} {
		if !strings.Contains(","+r.header.Get("Tus-Extension")+",", ","+one+",") {
			t.Errorf("%s is not in %q", one, r.header.Get("Tus-Extension"))
		}
	}
	a := s.tus("ann", "POST", tus, []byte("hello"), "Upload-Length", "5", "Content-Type", "application/offset+octet-stream")
	if a.status != 201 || a.header.Get("Upload-Offset") != "5" {
		t.Fatalf("%d %s %v", a.status, a.body, a.header)
	}
	if r := s.get("ann", a.header.Get("Location")[len(tus):]); string(r.body) != "hello" {
		t.Errorf("%d %s", r.status, r.body)
	}
	empty := s.tus("ann", "POST", tus, nil, "Upload-Length", "0")
	if r := s.get("ann", empty.header.Get("Location")[len(tus):]); empty.status != 201 || r.status != 200 || len(r.body) != 0 {
		t.Errorf("nothing: %d %d %s", empty.status, r.status, r.body)
	}
}
