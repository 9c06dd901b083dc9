package picture

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/troupe-im/troupe/filectr/child"
	"github.com/troupe-im/troupe/filectr/face"
)

// squared has a child cut in, and gives small, large and tile.
func squared(t *testing.T, in []byte) (r Squared, out [3][]byte, err error) {
	t.Helper()
	open := func(name string) *os.File {
		f, err := os.Create(filepath.Join(t.TempDir(), name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	from, outs := open("in"), [3]*os.File{open("small"), open("large"), open("tile")}
	if _, err := from.Write(in); err != nil {
		t.Fatal(err)
	}
	if _, err := from.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	r, err = Square(t.Context(), from, outs[0], outs[1], outs[2])
	for i, f := range outs {
		var e error
		if out[i], e = os.ReadFile(f.Name()); e != nil {
			t.Fatal(e)
		}
	}
	return r, out, err
}

func cornered(t *testing.T, text []byte, side int, corners map[image.Point]color.RGBA) {
	t.Helper()
	m, err := jpeg.Decode(bytes.NewReader(text))
	if err != nil || m.Bounds().Size() != image.Pt(side, side) {
		t.Fatalf("%v, %v, want %d a side", m.Bounds(), err, side)
	}
	for at, want := range corners {
		r, g, b, _ := m.At(at.X*(side-1), at.Y*(side-1)).RGBA()
		if !near(r, want.R) || !near(g, want.G) || !near(b, want.B) {
			t.Errorf("at %v of %d it is %d %d %d, want %v", at, side, r>>8, g>>8, b>>8, want)
		}
	}
}

func TestAnAvatarIsTheMiddleOfAPictureAsItIsSeen(t *testing.T) {
	red, green, blue, white := color.RGBA{255, 0, 0, 255}, color.RGBA{0, 255, 0, 255}, color.RGBA{0, 0, 255, 255}, color.RGBA{255, 255, 255, 255}
	upright := map[image.Point]color.RGBA{{0, 0}: red, {1, 0}: green, {0, 1}: blue, {1, 1}: white}
	turned := map[image.Point]color.RGBA{{0, 0}: blue, {1, 0}: red, {0, 1}: white, {1, 1}: green}
	for says, c := range map[string]struct {
		in           []byte
		small, large int
		corners      map[image.Point]color.RGBA
	}{
		"wide":            {jpegOf(t, quarters(900, 500)), 96, 320, upright},
		"high":            {pngOf(t, quarters(330, 2000)), 96, 320, upright},
		"turned by EXIF":  {jpegOf(t, quarters(600, 400), segment(0xe1, "Exif\x00\x00"+string(gps(6)))), 96, 320, turned},
		"between the two": {pngOf(t, quarters(200, 300)), 96, 200, upright},
		"tiny":            {pngOf(t, quarters(20, 40)), 20, 20, upright},
		"with holes":      {pngOf(t, image.NewNRGBA(image.Rect(0, 0, 400, 400))), 96, 320, map[image.Point]color.RGBA{{0, 0}: white, {1, 1}: white}},
	} {
		t.Run(says, func(t *testing.T) {
			r, out, err := squared(t, c.in)
			if err != nil || r.Side != c.large {
				t.Fatalf("%+v, %v", r, err)
			}
			cornered(t, out[0], c.small, c.corners)
			cornered(t, out[1], c.large, c.corners)
			if len(out[2]) != face.TileBytes {
				t.Errorf("a tile of %d bytes", len(out[2]))
			}
			if bytes.Contains(out[1], []byte("48.8584")) {
				t.Error("it says where it was taken")
			}
		})
	}
	_, out, err := squared(t, gifOf(t, 3))
	if err != nil || len(out[2]) != face.TileBytes {
		t.Errorf("of what moves: %v", err)
	}
}

func TestNoAvatarIsMadeOfWhatIsOverABoundOrNoPicture(t *testing.T) {
	for says, in := range map[string][]byte{
		"giant":      giant(20_000, 20_000),
		"no picture": []byte("<svg xmlns='http://www.w3.org/2000/svg'/>"),
		"nothing":    nil,
		"cut off":    pngOf(t, quarters(300, 300))[:200],
	} {
		_, out, err := squared(t, in)
		var no *child.Refused
		if !errors.As(err, &no) || no.TooLarge != (says == "giant") {
			t.Errorf("%s: %v", says, err)
		}
		if len(out[0])+len(out[1])+len(out[2]) > 0 {
			t.Errorf("%s: something was written", says)
		}
	}
}
