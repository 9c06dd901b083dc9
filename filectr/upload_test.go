package filectr_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/troupe-im/troupe/filectr"
	"github.com/troupe-im/troupe/internal/protocol"
)

func TestAnUploadedFileComesBackAsItWas(t *testing.T) {
	s := newStage(t, nil)
	content := bytes.Repeat([]byte("0123456789abcdef"), 20_000)
	f := s.upload("ann", "a report.txt", content)
	if f.Size != int64(len(content)) || f.Mime != "text/plain" || f.Kind != "document" || f.Name != "a report.txt" || !protocol.IsFileID(f.ID) {
		t.Errorf("%+v", f)
	}
	if f.SHA256 != fmt.Sprintf("%x", sha256.Sum256(content)) {
		t.Errorf("its sum is said to be %s", f.SHA256)
	}
	r := s.get("ann", f.ID)
	if r.status != 200 || !bytes.Equal(r.body, content) {
		t.Errorf("%d, %d bytes", r.status, len(r.body))
	}
	for name, want := range map[string]string{
		"Content-Type": "text/plain", "Content-Disposition": `attachment; filename="a report.txt"`, "X-Content-Type-Options": "nosniff",
		"Cache-Control": "private, no-cache", "Content-Security-Policy": "default-src 'none'; sandbox; frame-ancestors 'none'",
	} {
		if got := r.header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if r := s.get("ann", f.ID, "Range", "bytes=10-15"); r.status != 206 || string(r.body) != "abcdef" {
		t.Errorf("a range: %d %s", r.status, r.body)
	}
	if r := s.get("ann", f.ID, "Range", "bytes=99999999-"); r.status != 416 {
		t.Errorf("a range behind the end: %d", r.status)
	}
	if r := s.get("ann", f.ID, "If-None-Match", r.header.Get("ETag")); r.status != 304 || len(r.body) > 0 {
		t.Errorf("asked again: %d", r.status)
	}
	if r := s.do("ann", "HEAD", "/api/v2/files/"+f.ID, nil); r.status != 200 || r.header.Get("Content-Length") != fmt.Sprint(len(content)) || len(r.body) > 0 {
		t.Errorf("HEAD: %d %v", r.status, r.header)
	}
	if _, drafts := s.kept(); drafts != 0 {
		t.Errorf("%d drafts are left", drafts)
	}
	s.used("ann", int64(len(content)))
}

func TestAChecksumThatIsSaidIsChecked(t *testing.T) {
	s := newStage(t, nil)
	content := []byte("what it says")
	sum := sha256.Sum256(content)
	good, bad := base64.StdEncoding.EncodeToString(sum[:]), base64.StdEncoding.EncodeToString(make([]byte, 32))
	for header, want := range map[[2]string]int{
		{"Digest", "sha-256=" + good}:                201,
		{"Digest", "md5=AAAA, SHA-256=" + good}:      201,
		{"Content-Digest", "sha-256=:" + good + ":"}: 201,
		{"Digest", "sha-256=" + bad}:                 400,
		{"Content-Digest", "sha-256=:" + bad + ":"}:  400,
		{"Content-Digest", "sha-256=:what:"}:         400,
		{"Content-Digest", "sha-512=:AAAA:"}:         201, // not ours to check
	} {
		if r := s.post("ann", "a.txt", content, header[0], header[1]); r.status != want {
			t.Errorf("%s: %s is answered %d, want %d", header[0], header[1], r.status, want)
		}
	}
	// RFC 9530: of the whole body.
	body, typ := form("a.txt", content)
	whole, _ := io.ReadAll(body)
	sum = sha256.Sum256(whole)
	if r := s.do("ann", "POST", "/api/v2/files", bytes.NewReader(whole), "Content-Type", typ,
		"Content-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum[:])+":"); r.status != 201 {
		t.Errorf("the body's digest: %d %s", r.status, r.body)
	}
	// In the part's own header it is the file's.
	for digest, want := range map[string]int{good: 201, bad: 400} {
		body, typ := form("a.txt", content, "Content-Digest", "sha-256=:"+digest+":")
		if r := s.do("ann", "POST", "/api/v2/files", body, "Content-Type", typ); r.status != want {
			t.Errorf("a part's digest: %d, want %d", r.status, want)
		}
	}
	s.used("ann", 6*int64(len(content)))
}

func TestOfFiftyUploadsAtOnceAsManyGetInAsThereIsRoomFor(t *testing.T) {
	const size, room = 100_000, 10
	s := newStage(t, func(c *filectr.Config) { c.Quota = size * room })
	var in, out atomic.Int64
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			content := bytes.Repeat([]byte{byte(i), 1, 2, 0}, size/4)
			switch r := s.post("ann", fmt.Sprintf("%d.bin", i), content); {
			case r.status == 201:
				in.Add(1)
			case r.code() == "QUOTA" && r.status == http.StatusInsufficientStorage:
				out.Add(1)
			default:
				t.Errorf("%d %s", r.status, r.body)
			}
		})
	}
	wg.Wait()
	if in.Load() != room || out.Load() != 50-room {
		t.Errorf("%d got in and %d did not, and there was room for %d", in.Load(), out.Load(), room)
	}
	s.used("ann", size*room)
	s.used("", size*room)
	if contents, drafts := s.kept(); contents != room || drafts != 0 {
		t.Errorf("%d contents and %d drafts are kept", contents, drafts)
	}
}

func TestVisitorsHaveLessRoomThanPeopleAndLeaveThemSome(t *testing.T) {
	s := newStage(t, func(c *filectr.Config) { c.Quota, c.QuotaGuest, c.QuotaAll = 10_000, 300, 1000 })
	content := bytes.Repeat([]byte{1}, 250)
	if r := s.post("visitor 1", "a.bin", bytes.Repeat([]byte{1}, 301)); r.code() != "QUOTA" {
		t.Errorf("a visitor's file above its quota: %d %s", r.status, r.body)
	}
	if r := s.tus("visitor 1", "POST", tus, nil, "Upload-Length", "301"); r.code() != "QUOTA" {
		t.Errorf("a visitor's upload in parts above its quota: %d %s", r.status, r.body)
	}
	for i := range 3 {
		if r := s.post(fmt.Sprint("visitor ", i), "a.bin", content); r.status != 201 {
			t.Errorf("visitor %d: %d %s", i, r.status, r.body)
		}
	}
	if r := s.post("visitor 4", "a.bin", content); r.code() != "QUOTA" {
		t.Errorf("visitors fill the room of all: %d %s", r.status, r.body)
	}
	if r := s.post("ann", "a.bin", content); r.status != 201 {
		t.Errorf("a person has no room beside visitors: %d %s", r.status, r.body)
	}
}

func TestAnUploadThatBreaksOffGivesItsRoomBack(t *testing.T) {
	s := newStage(t, nil)
	c, err := net.Dial("tcp", s.http.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "POST /api/v2/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ann\r\nContent-Type: multipart/form-data; boundary=BBB\r\nContent-Length: 100000\r\n\r\n"+
		"--BBB\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\n%s", strings.Repeat("x", 5000))
	until(t, "its room is reserved", func() bool { n, _ := s.store.Used(t.Context(), "ann"); return n > 90_000 })
	c.Close()
	until(t, "its room is given back", func() bool { n, _ := s.store.Used(t.Context(), "ann"); return n == 0 })
	until(t, "its draft is gone", func() bool { contents, drafts := s.kept(); return contents+drafts == 0 })
}

// until waits for something to become true.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("in 20 s it did not come so far that %s", what)
		}
	}
}

func TestWhatADeadProcessHadReservedIsGivenBack(t *testing.T) {
	s := newStage(t, nil)
	if err := s.store.Reserve(t.Context(), &filectr.Reservation{ID: "x", User: "ann", Bytes: 500}, filectr.Quota{User: 1000, All: 1000}); err != nil {
		t.Fatal(err)
	}
	s.start()
	s.used("ann", 0)
	s.used("", 0)
}

func TestUploadsAreRefusedForWhatTheyAre(t *testing.T) {
	s := newStage(t, func(c *filectr.Config) {
		c.MaxDocument, c.MaxVoice, c.MaxImage, c.MaxVideo, c.MaxPackage = 1000, 200_000, 200_000, 200_000, 200_000
	})
	wav := append([]byte("RIFF\x00\x00\x00\x00WAVEfmt "), make([]byte, 150_000)...)
	for _, c := range []struct {
		says, name string
		content    []byte
		status     int
		code       string
	}{
		{"a document over its limit", "a.txt", bytes.Repeat([]byte("x"), 1001), 413, "TOO_LARGE"},
		{"a large document over its limit", "a.txt", bytes.Repeat([]byte("x"), 150_000), 413, "TOO_LARGE"},
		{"over every limit", "a.wav", append(wav, wav...), 413, "TOO_LARGE"},
		{"a document with a voice's name", "a.wav", bytes.Repeat([]byte("x"), 1001), 413, "TOO_LARGE"},
		{"the largest document", "a.txt", bytes.Repeat([]byte("x"), 1000), 201, ""},
		{"nothing", "a.txt", nil, 201, ""},
	} {
		if r := s.post("ann", c.name, c.content); r.status != c.status || r.code() != c.code {
			t.Errorf("%s: %d %s", c.says, r.status, r.body)
		}
	}
	for says, c := range map[string]struct{ typ, body string }{
		"no file":         {"multipart/form-data; boundary=B", "--B\r\nContent-Disposition: form-data; name=\"other\"\r\n\r\nx\r\n--B--\r\n"},
		"cut off":         {"multipart/form-data; boundary=B", "--B\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nx"},
		"garbage":         {"multipart/form-data; boundary=B", "garbage"},
		"a large field":   {"multipart/form-data; boundary=B", "--B\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n" + strings.Repeat("x", 70_000) + "\r\n--B--\r\n"},
		"a name cut off":  {"multipart/form-data; boundary=B", "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"b.txt\"\r\n\r\nx\r\n--B--\r\n"},
		"endless headers": {"multipart/form-data; boundary=B", "--B\r\n" + strings.Repeat("A: b\r\n", 20_000)},
	} {
		if r := s.do("ann", "POST", "/api/v2/files", strings.NewReader(c.body), "Content-Type", c.typ); r.status != 400 || r.code() != "BAD_REQUEST" {
			t.Errorf("%s: %d %s", says, r.status, r.body)
		}
	}
	for _, typ := range []string{"text/plain", "multipart/form-data", ""} {
		if r := s.do("ann", "POST", "/api/v2/files", strings.NewReader("x"), "Content-Type", typ); r.status != 415 {
			t.Errorf("%q: %d %s", typ, r.status, r.body)
		}
	}
	if r := s.do("", "POST", "/api/v2/files", strings.NewReader("x")); r.status != 401 {
		t.Errorf("without a token: %d", r.status)
	}
	s.used("ann", 1000)
}

func TestAnUploadWhoseLengthIsNotSaidIsTakenAsFarAsThereIsRoom(t *testing.T) {
	s := newStage(t, func(c *filectr.Config) { c.Quota = 10_000 })
	send := func(n int) reply {
		body, typ := form("a.bin", bytes.Repeat([]byte{0, 1}, n/2))
		return s.do("ann", "POST", "/api/v2/files", struct{ io.Reader }{body}, "Content-Type", typ)
	}
	if r := send(6000); r.status != 201 {
		t.Errorf("%d %s", r.status, r.body)
	}
	s.used("ann", 6000)
	if r := send(6000); r.status == 201 {
		t.Errorf("%d %s", r.status, r.body)
	}
	s.used("ann", 6000)
}

func TestFieldsInFrontOfTheFileArePassedOver(t *testing.T) {
	s := newStage(t, nil)
	body := "--B\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nhello\r\n--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\nfile\r\n--B--\r\n"
	r := s.do("ann", "POST", "/api/v2/files", strings.NewReader(body), "Content-Type", "multipart/form-data; boundary=B")
	if r.status != 201 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	s.used("ann", 4)
}
