package filectr_test

import (
	"archive/zip"
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/troupe-im/troupe/filectr"
)

// eicar is what scanners agree to take for a virus, which it is not. It is written in two
// halves so that this file is none.
const eicar = `X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR` + `-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*`

// startClamd starts the real clamd with two signatures of its own, as the usual ones are
// hundreds of megabytes: eicar as a whole, and the word troupe-test-marker anywhere. Its
// bounds are small; more is further lines of clamd.conf.
func startClamd(t *testing.T, network string, more ...string) (address string) {
	t.Helper()
	needed := strings.Contains(os.Getenv("TROUPE_TEST_NEED"), "clamd")
	skip := t.Skipf
	if needed {
		skip = t.Fatalf
	}
	program, err := exec.LookPath("clamd")
	if err != nil {
		program, err = exec.LookPath("/usr/sbin/clamd") // which is not on everybody's PATH
	}
	if err != nil {
		skip("clamd is not installed (Debian: clamav-daemon)")
	}
	dir, err := os.MkdirTemp("", "clamd") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	var where string
	switch network {
	case "unix":
		address = filepath.Join(dir, "clamd.ctl")
		where = "LocalSocket " + address
	case "tcp":
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address = l.Addr().String()
		l.Close()
		where = "TCPAddr 127.0.0.1\nTCPSocket " + address[strings.LastIndex(address, ":")+1:]
	}
	sum := md5.Sum([]byte(eicar))
	for name, text := range map[string]string{
		"test.hdb":   fmt.Sprintf("%x:%d:Test.Eicar\n", sum, len(eicar)),
		"test.ndb":   "Test.Marker:0:*:" + hex.EncodeToString([]byte("troupe-test-marker")) + "\n",
		"clamd.conf": strings.Join(append([]string{"Foreground yes", "DatabaseDirectory " + dir, where, "StreamMaxLength 4M"}, more...), "\n") + "\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var log bytes.Buffer
	clamd := exec.Command(program, "--config-file="+filepath.Join(dir, "clamd.conf"))
	clamd.Stdout, clamd.Stderr = &log, &log
	if err := clamd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		clamd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		clamd.Process.Kill()
		<-ended
	})
	gone := false
	until(t, "clamd listens", func() bool {
		select {
		case <-ended: // it may be confined to its own directories
			gone = true
			return true
		default:
		}
		c, err := net.Dial(network, address)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	if gone {
		skip("clamd does not run here: %.1000s", log.Bytes())
	}
	return address
}

// zipOf is an archive with one file in it.
func zipOf(t *testing.T, name string, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, err := w.Create(name)
	if err == nil {
		_, err = f.Write(content)
	}
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestTheRealClamdKeepsOutWhatItKnows(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		t.Run(network, func(t *testing.T) {
			address := startClamd(t, network, "MaxFileSize 2M", "MaxScanSize 2M", "AlertExceedsMax yes")
			s := newStage(t, func(c *filectr.Config) { c.Clamd = address })
			clean := s.upload("ann", "a.txt", bytes.Repeat([]byte("clean "), 20_000))
			if r := s.get("ann", clean.ID); r.status != 200 {
				t.Errorf("what is clean: %d", r.status)
			}
			s.upload("ann", "a.png", pictureOf(t, "png", 30, 20))
			marker := []byte("troupe-test-marker")
			for says, c := range map[string]struct {
				name    string
				content []byte
				status  int
				code    string
			}{
				"a virus":                       {"a.txt", []byte(eicar), 422, "UNSUPPORTED"},
				"one in an archive":             {"a.zip", zipOf(t, "a.com", []byte(eicar)), 422, "UNSUPPORTED"},
				"one in an archive in another":  {"a.zip", zipOf(t, "b.zip", zipOf(t, "a.com", []byte(eicar))), 422, "UNSUPPORTED"},
				"one far inside":                {"a.bin", append(bytes.Repeat([]byte("x"), 1<<20), marker...), 422, "UNSUPPORTED"},
				"one that cleaning takes out":   {"a.jpg", append(pictureOf(t, "jpeg", 30, 20), marker...), 422, "UNSUPPORTED"},
				"more than it looks at":         {"a.bin", append(bytes.Repeat([]byte("x"), 3<<20), marker...), 413, "TOO_LARGE"},
				"more in an archive than that":  {"a.zip", zipOf(t, "a.bin", append(bytes.Repeat([]byte("x"), 3<<20), marker...)), 413, "TOO_LARGE"},
				"more than it lets itself send": {"a.bin", bytes.Repeat([]byte("x"), 5<<20), 413, "TOO_LARGE"},
			} {
				if r := s.post("ann", c.name, c.content); r.status != c.status || r.code() != c.code {
					t.Errorf("%s: %d %s, want %d %s", says, r.status, r.body, c.status, c.code)
				}
			}
			path := s.begin("ann", "a.txt", len(eicar))
			if r := s.part("ann", path, 0, []byte(eicar)); r.status != 422 {
				t.Errorf("in parts: %d %s", r.status, r.body)
			}
			if contents, drafts := s.kept(); contents != 2 || drafts != 0 {
				t.Errorf("%d contents and %d drafts are kept, want those of the clean ones", contents, drafts)
			}
		})
	}
}
