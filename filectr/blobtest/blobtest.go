// Package blobtest is what every filectr.Blobs has to pass, so that one can take the
// place of another.
package blobtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/troupe-im/troupe/filectr"
)

// Blobs checks what a filectr.Blobs promises. open gives an empty one each time.
func Blobs(t *testing.T, open func(t *testing.T) filectr.Blobs) {
	for _, c := range []struct {
		says string
		test func(t *testing.T, b filectr.Blobs)
	}{
		{"ContentComesBackAsItWas", comesBack},
		{"ContentIsReadFromAnyPlace", readFromAnyPlace},
		{"EmptyContentIsOne", emptyContent},
		{"WhatIsNotThereIsSaidToBe", notThere},
		{"PuttingTwiceIsOnce", putTwice},
		{"DeletedContentIsGoneAndMayComeAgain", deleted},
		{"WhoReadsADeletedContentReadsToItsEnd", readWhileDeleted},
		{"WhatIsSetAsideIsReadAndReturned", readAside},
		{"WhatIsPutAnewIsNotTheCopyThatWasSetAside", asideBesideNew},
		{"CopiesThatWereSetAsideAreKnown", asidesAreKnown},
		{"ManyAtOnceHarmNobody", manyAtOnce},
		{"ReaderSeesAllOrNothing", allOrNothing},
		{"FileThatIsNotThereIsNotKept", noFile},
	} {
		t.Run(c.says, func(t *testing.T) { c.test(t, open(t)) })
	}
}

var ctx = context.Background()

func put(t *testing.T, b filectr.Blobs, content []byte) filectr.Sum {
	t.Helper()
	sum := filectr.Sum(sha256.Sum256(content))
	if err := b.Put(ctx, sum, write(t, content)); err != nil {
		t.Fatal(err)
	}
	return sum
}

func write(t *testing.T, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "content")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t *testing.T, b filectr.Blobs, sum filectr.Sum) []byte {
	t.Helper()
	blob, err := b.Open(ctx, sum)
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(blob)
	if err := errors.Join(err, blob.Close()); err != nil {
		t.Fatal(err)
	}
	if blob.Size() != int64(len(content)) {
		t.Errorf("the size is said to be %d, and is %d", blob.Size(), len(content))
	}
	return content
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

func comesBack(t *testing.T, b filectr.Blobs) {
	if err := b.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{1, 1000, 3 << 20} {
		content := random(size)
		if got := read(t, b, put(t, b, content)); !bytes.Equal(got, content) {
			t.Errorf("%d bytes came back otherwise", size)
		}
	}
}

func readFromAnyPlace(t *testing.T, b filectr.Blobs) {
	content := random(200_000)
	blob, err := b.Open(ctx, put(t, b, content))
	if err != nil {
		t.Fatal(err)
	}
	defer blob.Close()
	for _, at := range []int64{150_000, 0, 199_999, 70_001, 200_000} {
		if _, err := blob.Seek(at, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, min(1000, len(content)-int(at)))
		if _, err := io.ReadFull(blob, got); err != nil || !bytes.Equal(got, content[at:int(at)+len(got)]) {
			t.Errorf("from %d on: %v, or other bytes", at, err)
		}
	}
	if end, err := blob.Seek(0, io.SeekEnd); err != nil || end != int64(len(content)) {
		t.Errorf("the end is at %d, %v", end, err)
	}
}

func emptyContent(t *testing.T, b filectr.Blobs) {
	if got := read(t, b, put(t, b, nil)); len(got) != 0 {
		t.Errorf("%d bytes came out of nothing", len(got))
	}
}

func notThere(t *testing.T, b filectr.Blobs) {
	if _, err := b.Open(ctx, filectr.Sum{1}); !errors.Is(err, filectr.ErrNoBlob) {
		t.Errorf("Open: %v, want ErrNoBlob", err)
	}
	if _, err := b.SetAside(ctx, filectr.Sum{1}); !errors.Is(err, filectr.ErrNoBlob) {
		t.Errorf("SetAside: %v, want ErrNoBlob", err)
	}
}

// remove ends a content.
func remove(t *testing.T, b filectr.Blobs, sum filectr.Sum) {
	t.Helper()
	if err := b.Drop(ctx, setAside(t, b, sum)); err != nil {
		t.Fatal(err)
	}
}

func setAside(t *testing.T, b filectr.Blobs, sum filectr.Sum) filectr.Aside {
	t.Helper()
	a, err := b.SetAside(ctx, sum)
	if err != nil || a.Sum != sum {
		t.Fatalf("SetAside: %v, %v", a, err)
	}
	return a
}

func readAside(t *testing.T, b filectr.Blobs) {
	content := random(5000)
	sum := put(t, b, content)
	aside := setAside(t, b, sum)
	if !bytes.Equal(read(t, b, sum), content) {
		t.Error("aside it is another one")
	}
	if _, err := b.SetAside(ctx, sum); !errors.Is(err, filectr.ErrNoBlob) {
		t.Errorf("set aside once more: %v, want ErrNoBlob", err)
	}
	for range 2 { // the second time it is there no more
		if err := b.Return(ctx, aside); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Drop(ctx, aside); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(read(t, b, sum), content) {
		t.Error("returned it is another one")
	}
}

func asideBesideNew(t *testing.T, b filectr.Blobs) {
	content := random(5000)
	sum := put(t, b, content)
	first := setAside(t, b, sum)
	put(t, b, content)
	second := setAside(t, b, sum)
	put(t, b, content)
	if err := b.Drop(ctx, first); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(read(t, b, sum), content) {
		t.Error("what was put there since went with the copy")
	}
	if err := b.Return(ctx, second); err != nil {
		t.Fatal(err)
	}
	remove(t, b, sum)
	if _, err := b.Open(ctx, sum); !errors.Is(err, filectr.ErrNoBlob) {
		t.Errorf("a copy is left: %v", err)
	}
}

func asidesAreKnown(t *testing.T, b filectr.Blobs) {
	put(t, b, random(10))
	first := setAside(t, b, put(t, b, random(100)))
	between := time.Now()
	second := setAside(t, b, put(t, b, random(100)))
	for at, want := range map[time.Time][]filectr.Aside{between: {first}, between.Add(time.Hour): {first, second}, between.Add(-time.Hour): nil} {
		got, err := b.Asides(ctx, at)
		if err != nil || len(got) != len(want) {
			t.Errorf("there are %v, %v, want %v", got, err, want)
		}
		for _, a := range want {
			if !slices.Contains(got, a) {
				t.Errorf("%v is not in %v", a, got)
			}
		}
	}
}

func putTwice(t *testing.T, b filectr.Blobs) {
	content := random(5000)
	put(t, b, content)
	if got := read(t, b, put(t, b, content)); !bytes.Equal(got, content) {
		t.Error("the content is another one")
	}
}

func deleted(t *testing.T, b filectr.Blobs) {
	content, other := random(5000), random(5000)
	sum, kept := put(t, b, content), put(t, b, other)
	remove(t, b, sum)
	if _, err := b.Open(ctx, sum); !errors.Is(err, filectr.ErrNoBlob) {
		t.Errorf("Open: %v, want ErrNoBlob", err)
	}
	if !bytes.Equal(read(t, b, kept), other) {
		t.Error("another content went too")
	}
	if !bytes.Equal(read(t, b, put(t, b, content)), content) {
		t.Error("it did not come again")
	}
}

// readWhileDeleted: a reader has either all of it, or an error; never less without one.
func readWhileDeleted(t *testing.T, b filectr.Blobs) {
	content := random(3 << 20)
	sum := put(t, b, content)
	blob, err := b.Open(ctx, sum)
	if err != nil {
		t.Fatal(err)
	}
	defer blob.Close()
	first := make([]byte, 1000)
	if _, err := io.ReadFull(blob, first); err != nil {
		t.Fatal(err)
	}
	remove(t, b, sum)
	rest, err := io.ReadAll(blob)
	if err == nil && !bytes.Equal(append(first, rest...), content) {
		t.Errorf("%d bytes of %d came without an error", len(first)+len(rest), len(content))
	}
}

func manyAtOnce(t *testing.T, b filectr.Blobs) {
	same := random(100_000)
	var wg sync.WaitGroup
	for range 16 {
		own, paths := random(50_000), [2]string{write(t, same), ""}
		paths[1] = write(t, own)
		wg.Go(func() {
			for i, content := range [][]byte{same, own} {
				sum := filectr.Sum(sha256.Sum256(content))
				if err := b.Put(ctx, sum, paths[i]); err != nil {
					t.Error(err)
					return
				}
				blob, err := b.Open(ctx, sum)
				if err != nil {
					t.Error(err)
					return
				}
				got, err := io.ReadAll(blob)
				if err := errors.Join(err, blob.Close()); err != nil || !bytes.Equal(got, content) {
					t.Errorf("%v, or other bytes", err)
				}
			}
		})
	}
	wg.Wait()
}

func allOrNothing(t *testing.T, b filectr.Blobs) {
	content := random(2 << 20)
	sum, path := filectr.Sum(sha256.Sum256(content)), write(t, content)
	done := make(chan error, 1)
	go func() { done <- b.Put(ctx, sum, path) }()
	for kept := false; !kept; {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			kept = true
		default:
		}
		blob, err := b.Open(ctx, sum)
		if errors.Is(err, filectr.ErrNoBlob) && !kept {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(blob)
		if err := errors.Join(err, blob.Close()); err != nil || !bytes.Equal(got, content) {
			t.Fatalf("a reader saw %d bytes of %d: %v", len(got), len(content), err)
		}
	}
}

func noFile(t *testing.T, b filectr.Blobs) {
	if err := b.Put(ctx, filectr.Sum{2}, filepath.Join(t.TempDir(), "none")); err == nil {
		t.Fatal("a file that is not there was kept")
	}
	if _, err := b.Open(ctx, filectr.Sum{2}); !errors.Is(err, filectr.ErrNoBlob) {
		t.Errorf("Open: %v, want ErrNoBlob", err)
	}
}
