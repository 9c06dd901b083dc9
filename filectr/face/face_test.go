package face

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"testing"
)

func TestAnIdHasOnePictureAndAnotherHasAnother(t *testing.T) {
	seen := map[string]string{}
	for i := range 300 {
		id := fmt.Sprintf("u_%d", i)
		first, err := Made(id, 96)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Made(id, 96)
		if err != nil || !bytes.Equal(first, again) {
			t.Fatalf("%s has two pictures, %v", id, err)
		}
		if other := seen[string(first)]; other != "" {
			t.Errorf("%s and %s look alike", id, other)
		}
		seen[string(first)] = id
	}
}

func TestAMadePictureIsTheSameOnBothSidesAndHasSomethingInIt(t *testing.T) {
	for i := range 50 {
		text, err := Made(fmt.Sprint("人", i), 96)
		if err != nil {
			t.Fatal(err)
		}
		m, err := png.Decode(bytes.NewReader(text))
		if err != nil || m.Bounds() != image.Rect(0, 0, 96, 96) {
			t.Fatalf("%v, %v", m.Bounds(), err)
		}
		tones := map[any]int{}
		for y := range 96 {
			for x := range 96 {
				if m.At(x, y) != m.At(95-x, y) {
					t.Fatalf("%d: it differs at %d, %d", i, x, y)
				}
				tones[m.At(x, y)]++
			}
		}
		if ground := tones[m.At(0, 0)]; ground < 96*96/5 || ground > 96*96*9/10 {
			t.Errorf("%d: %d pixels of ground", i, ground)
		}
	}
}

func TestAPictureIsTheSameForEver(t *testing.T) {
	h := sha256.New()
	for _, size := range []int{96, 97, 320} {
		for _, id := range []string{"u_1", "u_2", "人", "ann@example.org", "s_01hv3k"} {
			h.Write(draw(id, size).Pix)
		}
	}
	if got := fmt.Sprintf("%x", h.Sum(nil)[:8]); got != "2908c3159c12af6a" {
		t.Errorf("pictures are drawn otherwise, %s: Version has to be another", got)
	}
}

func TestAGridHasEveryTileInItsOrder(t *testing.T) {
	grey := func(v byte) []byte { return bytes.Repeat([]byte{v}, TileBytes) }
	for n := 1; n <= MaxTiles; n++ {
		var tiles [][]byte
		for i := range n {
			tiles = append(tiles, grey(byte(20*i)))
		}
		for _, size := range []int{96, 320} {
			text, err := Grid(tiles, size)
			if err != nil {
				t.Fatal(err)
			}
			m, err := jpeg.Decode(bytes.NewReader(text))
			if err != nil || m.Bounds() != image.Rect(0, 0, size, size) {
				t.Fatalf("%d: %v", n, err)
			}
			pixels, last := make([]int, n), make([]int, n)
			for y := range size {
				for x := range size {
					r, _, _, _ := m.At(x, y).RGBA()
					if i := (int(r>>8) + 5) / 20; i < n && int(r>>8)-20*i < 5 {
						pixels[i]++
						last[i] = y*size + x
					}
				}
			}
			for i := range n {
				if least := size * size / 12; pixels[i] < least || i > 0 && last[i] < last[i-1] {
					t.Errorf("%d tiles at %d: tile %d has %d pixels, or stands before another: %v", n, size, i, pixels[i], last)
				}
			}
		}
	}
	for _, bad := range [][][]byte{nil, make([][]byte, MaxTiles+1), {{1, 2, 3}}} {
		if _, err := Grid(bad, 96); err == nil {
			t.Errorf("%d tiles were drawn", len(bad))
		}
	}
}
