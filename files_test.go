package main

import (
	"bytes"
	"encoding/json"
	"image"
	"image/png"
	"io"
	"mime/multipart"
	"net/http"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/troupe-im/troupe/internal/protocol"
)

// ask makes any REST call for user; header has names and values in turn.
func (s *testServer) ask(user, method, path string, body []byte, header ...string) (int, http.Header, []byte) {
	s.t.Helper()
	req, err := http.NewRequest(method, s.url+path, bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.token(user))
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res.StatusCode, res.Header, text
}

// upload uploads a file and gives its id.
func (s *testServer) upload(user, name string, content []byte) string {
	s.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("file", name)
	if err != nil {
		s.t.Fatal(err)
	}
	part.Write(content)
	form.Close()
	status, _, text := s.ask(user, "POST", "/api/v2/files", body.Bytes(), "Content-Type", form.FormDataContentType())
	var f struct{ ID string }
	if err := json.Unmarshal(text, &f); err != nil || status != http.StatusCreated {
		s.t.Fatalf("uploading %s: %d %s", name, status, text)
	}
	return f.ID
}

func (s *testServer) reads(user, id string) int {
	s.t.Helper()
	status, _, _ := s.ask(user, "GET", "/api/v2/files/"+id, nil)
	return status
}

// send sends a message that names a file, and gives the status and the message's id.
func (s *testServer) send(user string, session protocol.SessionID, id, file string, expire int) (int, string) {
	s.t.Helper()
	text, err := json.Marshal(map[string]any{"clientMsgId": id, "expire": expire, "content": map[string]any{"type": "file", "file": file}})
	if err != nil {
		s.t.Fatal(err)
	}
	status, _, answer := s.ask(user, "POST", "/api/v2/sessions/"+session+"/messages", text, "Content-Type", "application/json")
	var m struct{ MessagerecvID string }
	json.Unmarshal(answer, &m)
	return status, m.MessagerecvID
}

func TestAFileIsReadByThoseItWasSentToUntilItIsRecalledOrExpires(t *testing.T) {
	s := startServer(t)
	ann := s.join("ann", "laptop")
	session := s.pair(ann, "ann", "bob")
	s.join("cid", "c").Close()
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewRGBA(image.Rect(0, 0, 500, 400))); err != nil {
		t.Fatal(err)
	}
	file, brief := s.upload("ann", "a.png", picture.Bytes()), s.upload("ann", "b.txt", []byte("for a moment"))
	want := func(says, id string, readers map[string]int) {
		t.Helper()
		for user, status := range readers {
			if got := s.reads(user, id); got != status {
				t.Errorf("%s %s reads it: %d, want %d", says, user, got, status)
			}
		}
	}
	want("before it is sent", file, map[string]int{"ann": 200, "bob": 404, "cid": 404})
	if status, _ := s.send("bob", session, "1", file, 0); status != http.StatusNotFound {
		t.Errorf("bob sends ann's file: %d", status)
	}
	_, message := s.send("ann", session, "2", file, 0)
	want("when it is sent", file, map[string]int{"ann": 200, "bob": 200, "cid": 404})
	s.do("ann", "DELETE", "/api/v2/sessions/"+session+"/messages/"+message, nil, http.StatusOK, nil)
	want("when it is recalled", file, map[string]int{"ann": 404, "bob": 404, "cid": 404})

	if status, _ := s.send("ann", session, "3", brief, 1); status != http.StatusCreated {
		t.Fatalf("a message for a second: %d", status)
	}
	want("within its second", brief, map[string]int{"bob": 200})
	soon(t, "the file to expire", func() bool { return s.reads("bob", brief) == 404 && s.reads("ann", brief) == 404 })
}

func TestFilesSurviveARestartAndABackup(t *testing.T) {
	s := startServer(t)
	content := bytes.Repeat([]byte("0123456789"), 20_000)
	whole := s.upload("ann", "a.txt", content)
	tus := []string{"Tus-Resumable", "1.0.0"}
	_, header, _ := s.ask("ann", "POST", "/api/v2/files/tus/", nil, append(tus, "Upload-Length", strconv.Itoa(len(content)))...)
	path := header.Get("Location")
	patch := func(at, to int) int {
		status, _, _ := s.ask("ann", "PATCH", path, content[at:to], append(tus, "Content-Type", "application/offset+octet-stream", "Upload-Offset", strconv.Itoa(at))...)
		return status
	}
	if status := patch(0, 70_000); status != http.StatusNoContent {
		t.Fatalf("a part: %d", status)
	}
	s.kill()
	s.start()
	_, header, _ = s.ask("ann", "HEAD", path, nil, tus...)
	if at := header.Get("Upload-Offset"); at != "70000" {
		t.Fatalf("it goes on at %q", at)
	}
	if status := patch(70_000, len(content)); status != http.StatusNoContent {
		t.Fatalf("the last part: %d", status)
	}
	copied := filepath.Join(t.TempDir(), "copy")
	if out, err := s.command("backup", copied); err != nil {
		t.Fatalf("backup: %v\n%s", err, out)
	}
	if _, err := s.stop(); err != nil {
		t.Fatal(err)
	}
	s.data = copied
	s.start()
	for _, id := range []string{whole, filepath.Base(path)} {
		status, _, got := s.ask("ann", "GET", "/api/v2/files/"+id, nil)
		if status != 200 || !bytes.Equal(got, content) {
			t.Errorf("%s: %d, %d bytes", id, status, len(got))
		}
	}
}
