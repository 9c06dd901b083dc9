package main

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// apk writes an application package of some size into a file.
func apk(t *testing.T, name string, seed uint64) (path string, sum string) {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	manifest, err := w.Create("AndroidManifest.xml")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(manifest, seed)
	code, err := w.CreateHeader(&zip.FileHeader{Name: "classes.dex", Method: zip.Store})
	if err != nil {
		t.Fatal(err)
	}
	noise := make([]byte, 1<<20)
	for i, r := 0, rand.New(rand.NewPCG(seed, 1)); i < len(noise); i++ {
		noise[i] = byte(r.Uint32())
	}
	code.Write(noise)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	hash := sha256.Sum256(b.Bytes())
	return path, hex.EncodeToString(hash[:])
}

// aRelease is what a client that signs in is told of.
type aRelease struct {
	State, Release, Version, Minimum, SHA256, URL string
	Size                                          int64
	Notes                                         map[string]string
}

// signIn signs a client in, which says more of itself, and gives what it is told.
func (s *testServer) signIn(name, password, more string) (token, refresh string, told *aRelease) {
	s.t.Helper()
	res, err := http.Post(s.url+"/api/v2/users/login", "application/json", strings.NewReader(fmt.Sprintf(`{"name":%q,"password":%q%s}`, name, password, more)))
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	var grant struct {
		Token, RefreshToken string
		Release             *aRelease
	}
	if err := json.NewDecoder(res.Body).Decode(&grant); err != nil || grant.Token == "" {
		s.t.Fatalf("%s signs in: %s, %v", name, res.Status, err)
	}
	return grant.Token, grant.RefreshToken, grant.Release
}

func TestAnOldClientIsToldToUpgradeAndDownloadsTheRelease(t *testing.T) {
	s := startServer(t)
	out, err := s.command("user", "add", "ann", "--generate")
	_, password, ok := strings.Cut(out, "password: ")
	if err != nil || !ok {
		t.Fatalf("user add: %v\n%s", err, out)
	}
	password, _, _ = strings.Cut(password, "\n")
	password = strings.TrimSpace(password)
	add := func(version string, file string, more ...string) string {
		t.Helper()
		out, err := s.command(append([]string{"release", "add", file, "--platform", "android", "--version", version}, more...)...)
		var made struct{ ID string }
		if e := json.Unmarshal([]byte(out), &made); err != nil || e != nil {
			t.Fatalf("release add: %v\n%s", err, out)
		}
		return made.ID
	}
	first, firstSum := apk(t, "troupe-1.apk", 1)
	second, sum := apk(t, "troupe-2.apk", 2)
	add("1.1.0", first)
	newest := add("1.2.0", second, "--minimum", "1.1", "--notes", "Calls", "--build", "12")

	token, refresh, told := s.signIn("ann", password, `,"platform":"android","version":"1.0.3"`)
	if told == nil || told.State != "required" || told.Version != "1.2.0" || told.Minimum != "1.1" || told.Notes["default"] != "Calls" || told.SHA256 != sum {
		t.Fatalf("an old client is told %+v", told)
	}
	var got bytes.Buffer
	tag := ""
	for _, part := range []string{"bytes=0-524287", "bytes=524288-"} {
		req, err := http.NewRequest("GET", s.url+told.URL, nil) // a phone that cannot sign in any more gets it too
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Range", part)
		if tag != "" {
			req.Header.Set("If-Range", tag)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != http.StatusPartialContent || res.Header.Get("Content-Type") != "application/vnd.android.package-archive" {
			t.Errorf("%s: %s %v", part, res.Status, res.Header)
		}
		tag = res.Header.Get("ETag")
		if _, err := io.Copy(&got, res.Body); err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
	}
	if hash := sha256.Sum256(got.Bytes()); hex.EncodeToString(hash[:]) != told.SHA256 || int64(got.Len()) != told.Size {
		t.Errorf("%d bytes came with the sum %x", got.Len(), hash)
	}

	// Whoever is signed in already is told by sockets and refreshes.
	hello := s.auth(token, `,"version":"1.1.9"`)
	if !strings.Contains(hello, `"release":{"state":"available","release":"`+newest+`","version":"1.2.0","build":12`) {
		t.Errorf("auth is answered with %s", hello)
	}
	if hello := s.auth(token, `,"version":"1.2.0+12"`); strings.Contains(hello, `"release"`) {
		t.Errorf("the newest client is answered with %s", hello)
	}
	status, renewed := s.asks("", "POST", "/users/refresh", map[string]any{"refreshToken": refresh})
	if r, _ := renewed["release"].(map[string]any); status != http.StatusOK || r["state"] != "required" {
		t.Errorf("a refresh is answered with %d %v", status, renewed)
	}
	status, renewed = s.asks("", "POST", "/users/refresh", map[string]any{"refreshToken": renewed["refreshToken"], "version": "1.2.0"})
	if status != http.StatusOK || renewed["release"] != nil {
		t.Errorf("after the upgrade a refresh is answered with %d %v", status, renewed)
	}
	for _, more := range []string{"", `,"platform":"android"`, `,"platform":"ios","version":"1.0"`, `,"platform":"android","version":"1.3"`, `,"platform":"android","version":"1.0","channel":"beta"`} {
		if _, _, told := s.signIn("ann", password, more); told != nil {
			t.Errorf("a client that says %q is told %+v", more, told)
		}
	}

	// A backup has it, a restart knows it, and withdrawn it is the older one again.
	copied := filepath.Join(t.TempDir(), "copy")
	if out, err := s.command("backup", copied); err != nil {
		t.Fatalf("backup: %v\n%s", err, out)
	}
	if _, err := s.stop(); err != nil {
		t.Fatal(err)
	}
	s.data = copied
	s.start()
	if _, _, told := s.signIn("ann", password, `,"platform":"android","version":"1.0.3"`); told == nil || told.SHA256 != sum || s.sumAt(told.URL) != sum {
		t.Errorf("after a restart the client is told %+v", told)
	}
	if out, err := s.command("release", "withdraw", newest); err != nil || !strings.Contains(out, "withdrawnAt") {
		t.Errorf("release withdraw: %v\n%s", err, out)
	}
	if _, _, told := s.signIn("ann", password, `,"platform":"android","version":"1.0.3"`); told == nil || told.State != "available" || told.Version != "1.1.0" || s.sumAt(told.URL) != firstSum {
		t.Errorf("after the newest was withdrawn the client is told %+v", told)
	}
	out, err = s.command("release", "list")
	if err != nil || strings.Contains(out, newest) || !strings.Contains(out, "1.1.0") {
		t.Errorf("release list: %v\n%s", err, out)
	}
	if out, err = s.command("release", "list", "--all"); err != nil || !strings.Contains(out, newest) || !strings.Contains(out, "withdrawn") {
		t.Errorf("release list --all: %v\n%s", err, out)
	}
	if out, err = s.command("audit", "list"); err != nil || strings.Count(out, "release-made") != 2 || strings.Count(out, "release-withdrawn") != 1 {
		t.Errorf("audit list: %v\n%s", err, out)
	}
}

// sumAt is the SHA-256 of what is at a path.
func (s *testServer) sumAt(path string) string {
	s.t.Helper()
	res, err := http.Get(s.url + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, res.Body); err != nil {
		s.t.Fatal(err)
	}
	return hex.EncodeToString(hash.Sum(nil))
}

// auth signs a socket in, which says more of itself, and gives the answer.
func (s *testServer) auth(token, more string) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, strings.Replace(s.url, "http", "ws", 1)+"/ws", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.CloseNow()
	if err := conn.Write(ctx, websocket.MessageText, []byte(`{"type":"auth","id":"1","token":"`+token+`"`+more+`}`)); err != nil {
		s.t.Fatal(err)
	}
	_, text, err := conn.Read(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}
