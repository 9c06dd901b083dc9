package picture

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/troupe-im/troupe/filectr/child"
)

// gps is a TIFF structure with an orientation and a position.
func gps(orientation uint16) []byte {
	b := []byte("II*\x00\x08\x00\x00\x00\x02\x00")
	b = append(b, 0x12, 1, 3, 0, 1, 0, 0, 0, byte(orientation), 0, 0, 0)
	b = append(b, 0x25, 0x88, 4, 0, 1, 0, 0, 0, 38, 0, 0, 0, 0, 0, 0, 0)
	return append(b, "GPSLatitude 48.8584 N"...)
}

// quarters is a picture whose upper left quarter is red, upper right green, lower
// left blue, and the rest white.
func quarters(w, h int) *image.RGBA {
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			c := color.RGBA{255, 255, 255, 255}
			switch {
			case x < w/2 && y < h/2:
				c = color.RGBA{255, 0, 0, 255}
			case y < h/2:
				c = color.RGBA{0, 255, 0, 255}
			case x < w/2:
				c = color.RGBA{0, 0, 255, 255}
			}
			m.SetRGBA(x, y, c)
		}
	}
	return m
}

func jpegOf(t testing.TB, m image.Image, segments ...[]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, &jpeg.Options{Quality: 95}); err != nil {
		t.Fatal(err)
	}
	out := []byte{0xff, soi}
	for _, s := range segments {
		out = append(out, s...)
	}
	return append(out, b.Bytes()[2:]...)
}

func segment(marker byte, body string) []byte {
	b := []byte{0xff, marker}
	b = binary.BigEndian.AppendUint16(b, uint16(2+len(body)))
	return append(b, body...)
}

func chunk(name string, body []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	b = append(append(b, name...), body...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[4:]))
}

func pngOf(t testing.TB, m image.Image, chunks ...[]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	const behindHeader = 8 + 25
	out := bytes.Clone(b.Bytes()[:behindHeader])
	for _, c := range chunks {
		out = append(out, c...)
	}
	return append(out, b.Bytes()[behindHeader:]...)
}

// pixel is a lossless WebP of one pixel.
const pixel = "\x2f\x00\x00\x00\x10\x07\x10\x11\x11\x88\x88\xfe\x07\x00"

func webpOf(chunks ...string) []byte {
	var body []byte
	for i := 0; i+1 < len(chunks); i += 2 {
		body = append(body, chunks[i]...)
		body = binary.LittleEndian.AppendUint32(body, uint32(len(chunks[i+1])))
		body = append(body, chunks[i+1]...)
		if len(chunks[i+1])%2 == 1 {
			body = append(body, 0)
		}
	}
	b := append([]byte("RIFF"), binary.LittleEndian.AppendUint32(nil, uint32(4+len(body)))...)
	return append(append(b, "WEBP"...), body...)
}

func gifOf(t testing.TB, frames int) []byte {
	t.Helper()
	g := &gif.GIF{LoopCount: 3}
	for i := range frames {
		m := image.NewPaletted(image.Rect(0, 0, 8, 6), color.Palette{color.Black, color.White})
		m.SetColorIndex(i%8, 0, 1)
		g.Image, g.Delay = append(g.Image, m), append(g.Delay, 5)
	}
	var b bytes.Buffer
	if err := gif.EncodeAll(&b, g); err != nil {
		t.Fatal(err)
	}
	out := bytes.Clone(b.Bytes())
	at := 13 + colours(out[10])
	extra := "\x21\xfe\x0bGPSLatitude\x00" + "\x21\xff\x0bXMP DataXMP\x0bGPSLatitude\x00"
	return append(append(append([]byte{}, out[:at]...), extra...), out[at:]...)
}

// Wherever a picture says more than it shows, it is GPSLatitude that it says.
func TestAPictureSaysNothingButWhatItShows(t *testing.T) {
	m := quarters(64, 48)
	exif := "Exif\x00\x00" + string(gps(1))
	for name, in := range map[string][]byte{
		"jpeg": append(jpegOf(t, m, segment(app0, "JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x01\x01GPSLatitude"), segment(app0, "JFXX\x00GPSLatitude"), segment(app1, exif),
			segment(app1, "http://ns.adobe.com/xap/1.0/\x00GPSLatitude"), segment(app2, "MPF\x00GPSLatitude"), segment(0xed, "Photoshop 3.0\x00GPSLatitude"),
			segment(app14, "GPSLatitude"), segment(com, "GPSLatitude")), "GPSLatitude behind its end"...),
		"png": append(pngOf(t, m, chunk("eXIf", gps(1)), chunk("tEXt", []byte("a\x00GPSLatitude")), chunk("zTXt", []byte("GPSLatitude")),
			chunk("iTXt", []byte("GPSLatitude")), chunk("tIME", []byte("GPSLatitude")), chunk("prVt", []byte("GPSLatitude"))), "GPSLatitude behind its end"...),
		"gif":  append(gifOf(t, 3), "GPSLatitude behind its end"...),
		"webp": append(webpOf("VP8X", "\x0c\x00\x00\x00\x00\x00\x00\x00\x00\x00", "VP8L", pixel, "EXIF", exif, "XMP ", "GPSLatitude", "what", "GPSLatitude"), "GPSLatitude"...),
	} {
		if !bytes.Contains(in, []byte("GPSLatitude")) {
			t.Fatalf("%s: the test is no good", name)
		}
		r, out, err := render(in)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if bytes.Contains(out.clean, []byte("GPSLatitude")) || bytes.Contains(out.clean, []byte("Exif")) {
			t.Errorf("%s says more than it shows", name)
		}
		if _, _, err := image.Decode(bytes.NewReader(out.clean)); err != nil && name != "webp" {
			t.Errorf("%s does not decode any more: %v", name, err)
		}
		if r.Placeholder == "" || r.Width < 1 || r.Mime != "image/"+name {
			t.Errorf("%s: %+v", name, r)
		}
		again, twice, err := render(out.clean)
		if err != nil || again != r || !bytes.Equal(twice.clean, out.clean) {
			t.Errorf("%s is not clean yet: %v", name, err)
		}
	}
}

func TestPixelsAndMovementStayAsTheyAre(t *testing.T) {
	m := quarters(64, 48)
	for name, in := range map[string][]byte{"jpeg": jpegOf(t, m), "png": pngOf(t, m)} {
		_, out, err := render(in)
		if err != nil {
			t.Fatal(err)
		}
		was, _, _ := image.Decode(bytes.NewReader(in))
		is, _, err := image.Decode(bytes.NewReader(out.clean))
		if err != nil {
			t.Fatal(err)
		}
		for y := range 48 {
			for x := range 64 {
				if was.At(x, y) != is.At(x, y) {
					t.Fatalf("%s: a pixel changed", name)
				}
			}
		}
	}
	r, out, err := render(gifOf(t, 3))
	if err != nil || r.Frames != 3 {
		t.Fatalf("%+v, %v", r, err)
	}
	g, err := gif.DecodeAll(bytes.NewReader(out.clean))
	if err != nil || len(g.Image) != 3 || g.LoopCount != 3 || g.Delay[1] != 5 {
		t.Errorf("%v: %+v", err, g)
	}
}

// Every orientation shows red at the upper left, green at the upper right.
func TestPicturesAreTurnedAsTheyAreMeantToBeSeen(t *testing.T) {
	seen := quarters(96, 64)
	for o := 1; o <= 8; o++ {
		back := map[int]int{6: 8, 8: 6}[o]
		if back == 0 {
			back = o
		}
		stored := turn(seen, back)
		for name, in := range map[string][]byte{
			"jpeg": jpegOf(t, stored, segment(app1, "Exif\x00\x00"+string(gps(uint16(o))))),
			"png":  pngOf(t, stored, chunk("eXIf", gps(uint16(o)))),
		} {
			r, out, err := render(in)
			if err != nil {
				t.Fatal(err)
			}
			m, _, err := image.Decode(bytes.NewReader(out.clean))
			if err != nil || r.Width != 96 || r.Height != 64 || m.Bounds().Dx() != 96 {
				t.Fatalf("%s turned as %d: %+v, %v", name, o, r, err)
			}
			for at, want := range map[image.Point]color.RGBA{{10, 10}: {255, 0, 0, 255}, {80, 10}: {0, 255, 0, 255}, {10, 50}: {0, 0, 255, 255}} {
				red, green, blue, _ := m.At(at.X, at.Y).RGBA()
				if near(red, want.R) && near(green, want.G) && near(blue, want.B) {
					continue
				}
				t.Errorf("%s turned as %d: at %v is %v, want %v", name, o, at, m.At(at.X, at.Y), want)
			}
		}
	}
}

func near(got uint32, want uint8) bool {
	d := int(got>>8) - int(want)
	return d < 16 && d > -16
}

func TestSmallerPicturesHaveTheirSizes(t *testing.T) {
	r, out, err := render(jpegOf(t, quarters(3000, 2000)))
	if err != nil {
		t.Fatal(err)
	}
	want := Result{Mime: "image/jpeg", Width: 3000, Height: 2000, Frames: 1, Placeholder: r.Placeholder,
		SmallMime: "image/jpeg", SmallWidth: 320, SmallHeight: 213, LargeMime: "image/jpeg", LargeWidth: 1280, LargeHeight: 853}
	if r != want {
		t.Errorf("%+v, want %+v", r, want)
	}
	m, _, err := image.Decode(bytes.NewReader(out.small))
	if err != nil || m.Bounds() != image.Rect(0, 0, 320, 213) {
		t.Fatalf("%v, %v", m.Bounds(), err)
	}
	if red, green, _, _ := m.At(20, 20).RGBA(); !near(red, 255) || !near(green, 0) {
		t.Errorf("its upper left is %v", m.At(20, 20))
	}
	holes := image.NewNRGBA(image.Rect(0, 0, 400, 400))
	rand.NewChaCha8([32]byte{}).Read(holes.Pix)
	if r, _, err := render(pngOf(t, holes)); err != nil || r.SmallMime != "image/png" || r.LargeMime != "" {
		t.Errorf("with holes: %+v, %v", r, err)
	}
}

func TestTheColourProfileStaysWhenAPictureIsTurned(t *testing.T) {
	profile := segment(app2, "ICC_PROFILE\x00\x01\x01 colours")
	_, out, err := render(jpegOf(t, quarters(64, 48), profile, segment(app1, "Exif\x00\x00"+string(gps(6)))))
	if err != nil || !bytes.Contains(out.clean, profile) {
		t.Errorf("%v, or the profile is gone", err)
	}
}

func TestAMovingWebPIsShownByItsFirstFrame(t *testing.T) {
	frame := "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x64\x00\x00\x00" + "VP8L\x0e\x00\x00\x00" + pixel
	r, _, err := render(webpOf("VP8X", "\x02\x00\x00\x00\x03\x00\x00\x02\x00\x00", "ANIM", "\x00\x00\x00\x00\x00\x00", "ANMF", frame, "ANMF", frame))
	if err != nil || r.Frames != 2 || r.Width != 4 || r.Height != 3 {
		t.Errorf("%+v, %v", r, err)
	}
}

// giant is a PNG that says it is w × h, and has next to nothing in it.
func giant(w, h uint32) []byte {
	var z bytes.Buffer
	zw := zlib.NewWriter(&z)
	zw.Write(make([]byte, 1<<20))
	zw.Close()
	head := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, w), h)
	b := append([]byte("\x89PNG\r\n\x1a\n"), chunk("IHDR", append(head, 8, 2, 0, 0, 0))...)
	return append(append(b, chunk("IDAT", z.Bytes())...), chunk("IEND", nil)...)
}

func TestWhatIsOverABoundIsRefusedBeforeItIsDecoded(t *testing.T) {
	many := gifOf(t, 201)
	plain := pngOf(t, quarters(8, 8))
	control := chunk("fcTL", make([]byte, 26))
	for says, c := range map[string]struct {
		in   []byte
		over string // the bound that people are told
	}{
		"64k × 64k":    {giant(65536, 65536), "12000 a side"},
		"too wide":     {giant(12_001, 1), "12000 a side"},
		"too many":     {giant(8000, 5001), "40000000 in all"},
		"2³² wide":     {giant(1<<32-1, 1), "12000 pixels a side"},
		"201 frames":   {many, "200 frames"},
		"wide frames":  {webpOf("VP8X", "\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff", "VP8L", pixel), "12000 a side"},
		"many, of png": {pngOf(t, quarters(8, 8), chunk("acTL", []byte{0, 1, 0x86, 0xa0, 0, 0, 0, 0})), "100000 frames, and 200"},
		"not said":     {slices.Insert(plain, bytes.Index(plain, []byte("IDAT"))-4, bytes.Repeat(control, 201)...), "200 frames"},
	} {
		if _, _, err := render(c.in); !errors.Is(err, ErrTooLarge) || !strings.Contains(err.Error(), c.over) {
			t.Errorf("%s: %v, want ErrTooLarge and %q", says, err, c.over)
		}
	}
}

func TestWhatIsCutOffIsRefused(t *testing.T) {
	m := quarters(64, 48)
	for name, in := range map[string][]byte{"jpeg": jpegOf(t, m), "png": pngOf(t, m), "gif": gifOf(t, 2), "webp": webpOf("VP8L", pixel)} {
		for n := 0; n < len(in); n += 1 + len(in)/40 {
			if _, _, err := render(in[:n]); err == nil {
				t.Errorf("%d of %d bytes of a %s are a picture", n, len(in), name)
			}
		}
	}
}

func look(t *testing.T, in []byte) (Result, error) {
	t.Helper()
	var files [4]*os.File
	for i := range files {
		var err error
		path := filepath.Join(t.TempDir(), "f")
		if i == 0 {
			if err := os.WriteFile(path, in, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if files[i], err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
			t.Fatal(err)
		}
		defer files[i].Close()
	}
	return Look(t.Context(), files[0], files[1], files[2], files[3])
}

func TestAChildLooksAtAPicture(t *testing.T) {
	r, err := look(t, jpegOf(t, quarters(2000, 1000)))
	if err != nil || r.Width != 2000 || r.LargeWidth != 1280 {
		t.Errorf("%+v, %v", r, err)
	}
	var no *child.Refused
	if _, err := look(t, giant(65536, 65536)); !errors.As(err, &no) || !no.TooLarge {
		t.Errorf("a giant: %v", err)
	}
	if _, err := look(t, []byte("no picture")); !errors.As(err, &no) || no.TooLarge {
		t.Errorf("no picture: %v", err)
	}
}

func FuzzClean(f *testing.F) {
	m := quarters(16, 12)
	for _, in := range [][]byte{jpegOf(f, m, segment(app1, "Exif\x00\x00"+string(gps(6)))), pngOf(f, m, chunk("eXIf", gps(3))), gifOf(f, 2),
		webpOf("VP8X", "\x0c\x00\x00\x00\x00\x00\x00\x00\x00\x00", "VP8L", pixel, "EXIF", string(gps(1)))} {
		f.Add(in)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		mime := mimeOf(in)
		_, out, err := clean(mime, in)
		if err != nil {
			return
		}
		_, again, err := clean(mime, out)
		if err != nil || !bytes.Equal(again, out) {
			t.Errorf("what is clean is cleaned again: %v", err)
		}
		if mime == "image/webp" {
			firstFrame(out)
		}
	})
}

// BenchmarkRender is all of it for a picture of 12 megapixels.
func BenchmarkRender(b *testing.B) {
	in := jpegOf(b, quarters(4000, 3000))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := render(in); err != nil {
			b.Fatal(err)
		}
	}
}
