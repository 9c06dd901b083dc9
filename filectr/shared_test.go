package filectr_test

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/troupe-im/troupe/filectr"
)

// twoStages are two nodes with one store and one directory.
func twoStages(t *testing.T) (a, b *stage) {
	shared := t.TempDir()
	a = newStage(t, func(c *filectr.Config) { c.Shared, c.Node = shared, "a" })
	b = &stage{t: t, store: a.store, blobs: a.blobs, clock: a.clock, cfg: a.cfg}
	b.cfg.Data, b.cfg.Node = t.TempDir(), "b"
	b.start()
	return a, b
}

func TestAnUploadGoesOnAtAnotherNode(t *testing.T) {
	a, b := twoStages(t)
	content := bytes.Repeat([]byte("abc"), 10_000)
	path := a.begin("ann", "a.txt", len(content))
	a.part("ann", path, 0, content[:10_000])
	if got := b.offset("ann", path); got != 10_000 {
		t.Fatalf("at the other node it has come as far as %d", got)
	}
	b.part("ann", path, 10_000, content[10_000:20_000])
	a.http.Close()
	a.start() // which ends nothing of what goes on
	if r := b.part("ann", path, 20_000, content[20_000:]); r.status != 204 {
		t.Fatalf("the last part: %d %s", r.status, r.body)
	}
	for _, s := range []*stage{a, b} {
		if r := s.get("ann", path[len(tus):]); r.status != 200 || !bytes.Equal(r.body, content) {
			t.Errorf("%d, %d bytes", r.status, len(r.body))
		}
	}
	if left, err := os.ReadDir(filepath.Join(a.cfg.Shared, "resumable")); err != nil || len(left) > 0 {
		t.Errorf("%d files are left, %v", len(left), err)
	}
}

// drip is a body that stands still until it is let go of.
type drip struct {
	first []byte
	read  chan struct{}
	end   chan struct{}
	once  sync.Once
}

func (d *drip) Read(b []byte) (int, error) {
	if len(d.first) > 0 {
		n := copy(b, d.first)
		d.first = d.first[n:]
		return n, nil
	}
	d.once.Do(func() { close(d.read) })
	<-d.end
	return 0, io.EOF
}

func TestANodeThatWaitsForBytesLetsAnotherGoOn(t *testing.T) {
	a, b := twoStages(t)
	path := a.begin("ann", "a.txt", 20)
	body := &drip{first: []byte("0123456789"), read: make(chan struct{}), end: make(chan struct{})}
	var over sync.WaitGroup
	over.Go(func() {
		req, err := http.NewRequest("PATCH", a.http.URL+path, body)
		if err != nil {
			t.Error(err)
			return
		}
		req.ContentLength = 20
		for k, v := range map[string]string{"Authorization": "Bearer ann", "Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"} {
			req.Header.Set(k, v)
		}
		if r, err := http.DefaultClient.Do(req); err == nil {
			r.Body.Close()
		}
	})
	<-body.read
	for deadline := time.Now().Add(20 * time.Second); ; {
		if b.offset("ann", path) == 10 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the bytes that came are not there")
		}
	}
	if r := b.part("ann", path, 10, []byte("0123456789")); r.status != 204 {
		t.Errorf("the other part: %d %s", r.status, r.body)
	}
	close(body.end)
	over.Wait()
	if r := b.get("ann", path[len(tus):]); string(r.body) != "01234567890123456789" {
		t.Errorf("%d %s", r.status, r.body)
	}
}

func TestRoomOfANodeThatNeverCameBackIsGivenBack(t *testing.T) {
	a, b := twoStages(t)
	for i, node := range []string{"a", "gone"} {
		err := a.store.Reserve(t.Context(), &filectr.Reservation{ID: string(rune('x' + i)), User: "ann", Bytes: 10, Node: node, Created: a.now()}, filectr.Quota{User: 100, All: 100})
		if err != nil {
			t.Fatal(err)
		}
	}
	b.used("ann", 20)
	b.http.Close()
	b.start()
	b.sweep()
	b.used("ann", 20)
	b.wait(25 * time.Hour)
	b.sweep()
	b.used("ann", 0)
}
