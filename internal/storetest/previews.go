package storetest

import (
	"crypto/sha256"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/troupe-im/troupe/filectr/preview"
	"github.com/troupe-im/troupe/internal/protocol"
)

// Previews checks what a preview.Store promises. open gives an empty store each time.
func Previews(t *testing.T, open func(t *testing.T) preview.Store) {
	for name, test := range map[string]func(*testing.T, preview.Store){
		"a preview comes back as it was kept":          previewComesBack,
		"those that were not used for longest go":      previewsAreForgotten,
		"pictures go when they take too much":          previewPicturesAreBounded,
		"a preview that is used again stays":           previewIsUsed,
		"a preview that is kept anew lets its old go":  previewIsReplaced,
		"bounds hold for a preview that is kept alone": previewTooLarge,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func previewOf(link string, used time.Duration, bytes int64) *preview.Preview {
	p := &preview.Preview{Key: sha256.Sum256([]byte(link)), Host: "example.com", Title: link, At: fileTime.UTC(), Used: fileTime.Add(used).UTC()}
	if bytes > 0 {
		p.Picture = &preview.Picture{ID: "pic" + link, Mime: "image/png", Bytes: bytes, Width: 3, Height: 2, Placeholder: "L"}
	}
	return p
}

var wide = preview.Bounds{Rows: 1000, Bytes: 1 << 40}

func putPreview(t *testing.T, s preview.Store, p *preview.Preview, b preview.Bounds, dropped ...string) {
	t.Helper()
	got, err := s.PutPreview(background, p, b)
	must(t, err)
	slices.Sort(got)
	equal(t, "pictures let go", fmt.Sprint(got), fmt.Sprint(dropped))
}

func previewsThere(t *testing.T, s preview.Store, there map[string]bool) {
	t.Helper()
	for link, want := range there {
		_, err := s.Preview(background, sha256.Sum256([]byte(link)))
		_, pic := s.PreviewPicture(background, "pic"+link)
		if want && err != nil || !want && (!protocol.Code_NOT_FOUND.Is(err) || !protocol.Code_NOT_FOUND.Is(pic)) {
			t.Errorf("preview %s: %v, its picture: %v, want it there: %v", link, err, pic, want)
		}
	}
}

func previewComesBack(t *testing.T, s preview.Store) {
	p := previewOf("a", 0, 7)
	p.Text, p.Site = "人", "a site"
	putPreview(t, s, p, wide)
	got, err := s.Preview(background, p.Key)
	must(t, err)
	got.At, got.Used = got.At.UTC(), got.Used.UTC()
	if !got.At.Equal(p.At) || !got.Used.Equal(p.Used) {
		t.Errorf("times are %v, %v", got.At, got.Used)
	}
	got.At, got.Used = p.At, p.Used
	if !reflect.DeepEqual(got, p) {
		t.Errorf("it came back as %+v, and was %+v", got, p)
	}
	pic, err := s.PreviewPicture(background, "pica")
	if err != nil || !reflect.DeepEqual(pic, p.Picture) {
		t.Errorf("its picture is %+v, %v", pic, err)
	}
	for _, id := range []string{"", "a", "pic", "pica\x00", "../pica"} {
		_, err = s.PreviewPicture(background, id)
		wants(t, err, protocol.Code_NOT_FOUND)
	}
	_, err = s.Preview(background, preview.Key{})
	wants(t, err, protocol.Code_NOT_FOUND)
}

func previewsAreForgotten(t *testing.T, s preview.Store) {
	b := preview.Bounds{Rows: 3, Bytes: 1 << 40}
	putPreview(t, s, previewOf("a", 3, 1), b)
	putPreview(t, s, previewOf("b", 1, 1), b)
	putPreview(t, s, previewOf("c", 2, 0), b)
	putPreview(t, s, previewOf("d", 0, 1), b, "picb") // older than all, and the one that is wanted now
	previewsThere(t, s, map[string]bool{"a": true, "b": false, "c": true, "d": true})
	putPreview(t, s, previewOf("e", 4, 1), b, "picd")
	putPreview(t, s, previewOf("f", 5, 1), b)
	previewsThere(t, s, map[string]bool{"a": true, "c": false, "d": false, "e": true, "f": true})
}

func previewPicturesAreBounded(t *testing.T, s preview.Store) {
	b := preview.Bounds{Rows: 1000, Bytes: 100}
	putPreview(t, s, previewOf("a", 1, 40), b)
	putPreview(t, s, previewOf("b", 2, 40), b)
	putPreview(t, s, previewOf("c", 3, 20), b)
	putPreview(t, s, previewOf("d", 4, 50), b, "pica", "picb")
	previewsThere(t, s, map[string]bool{"a": false, "b": false, "c": true, "d": true})
}

func previewIsUsed(t *testing.T, s preview.Store) {
	b := preview.Bounds{Rows: 2, Bytes: 1 << 40}
	a := previewOf("a", 1, 1)
	putPreview(t, s, a, b)
	putPreview(t, s, previewOf("b", 2, 1), b)
	must(t, s.UsePreview(background, a.Key, fileTime.Add(3)))
	must(t, s.UsePreview(background, a.Key, fileTime))
	must(t, s.UsePreview(background, preview.Key{1}, fileTime))
	putPreview(t, s, previewOf("c", 4, 1), b, "picb")
	previewsThere(t, s, map[string]bool{"a": true, "b": false, "c": true})
}

func previewIsReplaced(t *testing.T, s preview.Store) {
	b := preview.Bounds{Rows: 2, Bytes: 100}
	putPreview(t, s, previewOf("a", 1, 90), b)
	again := previewOf("a", 2, 80)
	again.Picture.ID = "another"
	putPreview(t, s, again, b, "pica")
	_, err := s.PreviewPicture(background, "another")
	must(t, err)
	putPreview(t, s, previewOf("b", 3, 20), b)
	none := previewOf("a", 4, 0)
	none.Host = ""
	putPreview(t, s, none, b, "another")
	previewsThere(t, s, map[string]bool{"a": true, "b": true})
}

func previewTooLarge(t *testing.T, s preview.Store) {
	b := preview.Bounds{Rows: 2, Bytes: 100}
	putPreview(t, s, previewOf("a", 1, 90), b)
	putPreview(t, s, previewOf("b", 2, 200), b, "pica")
	previewsThere(t, s, map[string]bool{"a": false, "b": true})
	putPreview(t, s, previewOf("c", 3, 1), b, "picb")
}
