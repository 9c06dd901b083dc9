package filectr_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/troupe-im/troupe/filectr"
	"github.com/troupe-im/troupe/internal/protocol"
)

func (s *stage) remove(user, id string) reply {
	s.t.Helper()
	return s.do(user, "DELETE", "/api/v2/files/"+id, nil)
}

func TestAFileThatWasNotSentIsRemovedByItsUploader(t *testing.T) {
	s := newStage(t, nil)
	f := s.upload("ann", "a.png", pictureOf(t, "png", 400, 300))
	same := s.upload("ann", "a.txt", []byte("the same"))
	twin := s.upload("bob", "b.txt", []byte("the same"))
	link := s.link("ann", f.ID, "")
	for user, status := range map[string]int{"": 401, "bob": 404, "visitor": 404} {
		if r := s.remove(user, f.ID); r.status != status {
			t.Errorf("%q removes it: %d, want %d", user, r.status, status)
		}
	}
	for _, id := range []string{f.ID, same.ID} {
		if r := s.remove("ann", id); r.status != http.StatusNoContent || len(r.body) > 0 {
			t.Fatalf("removing it: %d %s", r.status, r.body)
		}
		if r := s.remove("ann", id); r.status != 404 {
			t.Errorf("once more: %d", r.status)
		}
		if r := s.get("ann", id); r.status != 404 {
			t.Errorf("it is read: %d", r.status)
		}
	}
	if r := s.do("", "GET", link, nil); r.status != 404 {
		t.Errorf("by a link: %d", r.status)
	}
	s.used("ann", 0)
	if r := s.get("bob", twin.ID); r.status != 200 || string(r.body) != "the same" {
		t.Errorf("what bob has of the same content: %d %q", r.status, r.body)
	}
	if contents, _ := s.kept(); contents != 1 {
		t.Errorf("%d contents are left, want bob's", contents)
	}
	if r := s.remove("ann", "..%2f..%2fstore"); r.status != 404 {
		t.Errorf("what is no id: %d", r.status)
	}
}

func TestAFileThatAMessageNamesIsNotRemoved(t *testing.T) {
	s := newStage(t, nil)
	f := s.upload("ann", "a.txt", []byte("sent"))
	room := s.session("ann", "bob")
	s.say(room, 1, "ann", &protocol.Content{Type: protocol.ContentType_FILE, File: f.ID})
	for user, want := range map[string]string{"ann": "CONFLICT", "bob": "DENIED", "cid": "NOT_FOUND"} {
		if r := s.remove(user, f.ID); r.code() != want {
			t.Errorf("%s removes it: %d %s, want %s", user, r.status, r.body, want)
		}
	}
	s.used("ann", 4)
	s.recall(room, 2, 1, "ann")
	if r := s.remove("ann", f.ID); r.status != http.StatusNoContent {
		t.Errorf("after the recall: %d %s", r.status, r.body)
	}
	s.used("ann", 0)
}

func TestWhileABackupIsMadeARemovedFilesContentStays(t *testing.T) {
	s := newStage(t, nil)
	f := s.upload("ann", "a.txt", []byte("kept a while"))
	err := s.Still(func() error {
		if r := s.remove("ann", f.ID); r.status != http.StatusNoContent {
			t.Errorf("%d %s", r.status, r.body)
		}
		s.used("ann", 0)
		if contents, _ := s.kept(); contents != 1 {
			t.Errorf("%d contents are there", contents)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.wait(2 * time.Hour)
	if err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if contents, _ := s.kept(); contents != 0 {
		t.Errorf("after a sweep %d contents are there", contents)
	}
}

func TestOfWhoIsErasedOnlyWhatMessagesNameStays(t *testing.T) {
	s := newStage(t, nil)
	sent, unsent := s.upload("ann", "sent.txt", []byte("sent")), s.upload("ann", "unsent.txt", []byte("unsent"))
	others := s.upload("bob", "bob.txt", []byte("bob's"))
	room := s.session("ann", "bob")
	s.say(room, 1, "ann", &protocol.Content{Type: protocol.ContentType_FILE, File: sent.ID})
	path := s.begin("ann", "half.txt", 100)
	s.part("ann", path, 0, make([]byte, 50))
	for range 2 {
		if err := s.Abandon(t.Context(), "ann"); err != nil {
			t.Fatal(err)
		}
	}
	s.used("ann", 4)
	for id, status := range map[string]int{sent.ID: 200, others.ID: 200, unsent.ID: 404} {
		if r := s.get("bob", id); r.status != status {
			t.Errorf("%s: %d, want %d", id, r.status, status)
		}
	}
	if r := s.tus("ann", "HEAD", path, nil); r.status != 404 {
		t.Errorf("the upload under way: %d", r.status)
	}
	if contents, drafts := s.kept(); contents != 2 || drafts != 0 {
		t.Errorf("%d contents and %d drafts are left", contents, drafts)
	}
	var owned []string
	if err := s.Owned(t.Context(), "ann", func(f *filectr.File) error { owned = append(owned, f.ID); return nil }); err != nil || len(owned) != 1 || owned[0] != sent.ID {
		t.Errorf("ann has %v, %v", owned, err)
	}
}

func TestAVideoSaysNothingOfWhereItWasTaken(t *testing.T) {
	s := newStage(t, nil)
	const place = "+52.5200+013.4050/"
	box := func(kind, body string) string { return string([]byte{0, 0, 0, byte(8 + len(body))}) + kind + body }
	content := []byte(box("ftyp", "isom\x00\x00\x00\x00mp42") + box("mdat", "media") + box("moov", box("mvhd", "\x00\x00\x00\x00")+box("udta", box("\xa9xyz", place))))
	for _, name := range []string{"a.mp4", "a.pdf", ""} {
		f := s.upload("ann", name, content)
		r := s.get("ann", f.ID)
		if len(r.body) != len(content) || string(r.body[:24]) != string(content[:24]) || strings.Contains(string(r.body), place) {
			t.Errorf("%q: %d %q", name, r.status, r.body)
		}
		if f.SHA256 != hexSum(r.body) {
			t.Errorf("%q has not the sum that is said", name)
		}
	}
	old := s.upload("ann", "old.mov", []byte("\x00\x00\x00\x08wide"+string(content[20:])))
	if r := s.get("ann", old.ID); old.Mime != "video/quicktime" || strings.Contains(string(r.body), place) {
		t.Errorf("one from before there was ftyp: %+v %q", old, r.body)
	}
	if text := s.upload("ann", "a.txt", []byte("1.5 wide, moov and mdat")); text.Mime != "text/plain" {
		t.Errorf("a text: %+v", text)
	}
	// In parts, with its checksum, and when it has been cleaned it cannot be kept: once
	// it can, that its bytes are others by then does not matter.
	broken := &brokenBlobs{Blobs: s.blobs, broken: true}
	s.blobs = broken
	s.start()
	path := s.begin("ann", "b.mp4", len(content), "sha256 "+base64.StdEncoding.EncodeToString([]byte(hexSum(content))))
	if r := s.part("ann", path, 0, content); r.status != 500 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	broken.broken = false
	s.start()
	if r := s.get("ann", strings.TrimPrefix(path, tus)); r.status != 200 || strings.Contains(string(r.body), place) {
		t.Errorf("%d %q", r.status, r.body)
	}
}

// brokenBlobs takes nothing while it is broken.
type brokenBlobs struct {
	filectr.Blobs
	broken bool
}

func (b *brokenBlobs) Put(ctx context.Context, sum filectr.Sum, path string) error {
	if b.broken {
		return errors.New("the disk is broken")
	}
	return b.Blobs.Put(ctx, sum, path)
}

func hexSum(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}
