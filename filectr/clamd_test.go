package filectr_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/troupe-im/troupe/filectr"
)

// fakeClamd speaks clamd's INSTREAM and finds the word virus. It stands for clamd
// where that is not installed; clamd_real_test.go asks the real one.
func fakeClamd(t *testing.T) string { return fakeClamdThat(t, func() {}) }

// fakeClamdThat does something before it answers.
func fakeClamdThat(t *testing.T, does func()) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				command := make([]byte, 10)
				if _, err := io.ReadFull(conn, command); err != nil || string(command) != "zINSTREAM\x00" {
					return
				}
				var all []byte
				for {
					var size uint32
					if binary.Read(conn, binary.BigEndian, &size) != nil {
						return
					}
					if size == 0 {
						break
					}
					chunk := make([]byte, size)
					if _, err := io.ReadFull(conn, chunk); err != nil {
						return
					}
					if all = append(all, chunk...); len(all) > 500_000 {
						io.WriteString(conn, "INSTREAM size limit exceeded. ERROR\x00")
						return
					}
				}
				says := "stream: OK\x00"
				if bytes.Contains(all, []byte("virus")) {
					says = "stream: Test.Virus FOUND\x00"
				}
				does()
				io.WriteString(conn, says)
			}()
		}
	}()
	return l.Addr().String()
}

func TestWhatClamdFindsSomethingInIsNotKept(t *testing.T) {
	s := newStage(t, func(c *filectr.Config) { c.Clamd = fakeClamd(t) })
	clean := s.upload("ann", "a.txt", bytes.Repeat([]byte("clean "), 20_000))
	if r := s.get("ann", clean.ID); r.status != 200 {
		t.Errorf("what is clean: %d", r.status)
	}
	bad := append(bytes.Repeat([]byte("x"), 100_000), "virus"...)
	if r := s.post("ann", "a.txt", bad); r.status != 422 || r.code() != "UNSUPPORTED" {
		t.Errorf("what is not: %d %s", r.status, r.body)
	}
	path := s.begin("ann", "a.txt", len(bad))
	if r := s.part("ann", path, 0, bad); r.status != 422 {
		t.Errorf("in parts: %d %s", r.status, r.body)
	}
	if r := s.post("ann", "a.txt", bytes.Repeat([]byte("large"), 200_000)); r.status != 413 || r.code() != "TOO_LARGE" {
		t.Errorf("what clamd does not take: %d %s", r.status, r.body)
	}
	s.used("ann", clean.Size)
	if contents, drafts := s.kept(); contents != 1 || drafts != 0 {
		t.Errorf("%d contents and %d drafts are kept", contents, drafts)
	}
}

func TestWithoutItsClamdNoFileIsTaken(t *testing.T) {
	s := newStage(t, func(c *filectr.Config) { c.Clamd = "127.0.0.1:1" })
	if r := s.post("ann", "a.txt", []byte("x")); r.status != 503 {
		t.Errorf("%d %s", r.status, r.body)
	}
	s.used("ann", 0)
}

func TestAnAnswerComesHoweverLongAFileWasLookedAt(t *testing.T) {
	var asked atomic.Pointer[http.ResponseController]
	late := func() { asked.Load().SetWriteDeadline(time.Unix(1, 0)) } // as if all time had passed meanwhile
	s := newStage(t, func(c *filectr.Config) { c.Clamd = fakeClamdThat(t, late) })
	behind := s.http.Config.Handler
	s.http = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Store(http.NewResponseController(w))
		behind.ServeHTTP(w, r)
	}))
	t.Cleanup(s.http.Close)
	s.upload("ann", "a.txt", []byte("clean"))
	if r := s.post("ann", "a.txt", []byte("virus")); r.status != 422 {
		t.Errorf("what is refused: %d %s", r.status, r.body)
	}
	path := s.begin("ann", "a.txt", 5)
	if r := s.part("ann", path, 0, []byte("parts")); r.status != 204 {
		t.Errorf("in parts: %d %s", r.status, r.body)
	}
}
