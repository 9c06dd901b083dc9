package picture

import (
	"bytes"
	"image"
	"image/draw"
	"image/jpeg"
	"image/png"

	"github.com/bbrks/go-blurhash"
	scale "golang.org/x/image/draw"
)

// Sizes of smaller pictures: pixels of the longer side.
const (
	Small = 320
	Large = 1280
)

// Result is what a picture is, and what was made of it.
type Result struct {
	Mime          string // of the cleaned picture, which may be another than it had
	Width, Height int    // as shown
	Frames        int    // above 1: it moves
	Placeholder   string // a blurhash
	SmallMime     string // "": there is none, as the picture is no larger
	SmallWidth    int
	SmallHeight   int
	LargeMime     string
	LargeWidth    int
	LargeHeight   int
}

// outputs are the bytes that go with a Result.
type outputs struct{ clean, small, large []byte }

// render does all of it.
func render(in []byte) (r Result, out outputs, err error) {
	r.Mime = mimeOf(in)
	h, cleaned, err := clean(r.Mime, in)
	if err != nil {
		return r, out, err
	}
	m, err := decode(r.Mime, cleaned)
	if err != nil {
		return r, out, errCut
	}
	b := m.Bounds()
	if err := (head{width: b.Dx(), height: b.Dy()}).check(); err != nil {
		return r, out, err
	}
	out.clean = cleaned
	profile := func(to []byte, _ int) []byte { return to }
	if r.Mime == "image/jpeg" {
		profile = func(to []byte, most int) []byte { return withProfile(to, cleaned, most) }
	}
	if h.frames == 1 && h.orientation != 1 {
		m = turn(m, h.orientation)
		if out.clean, r.Mime, err = encode(m, r.Mime, 92); err != nil {
			return r, out, err
		}
		out.clean = profile(out.clean, 1<<20)
		b = m.Bounds()
	}
	r.Width, r.Height, r.Frames = b.Dx(), b.Dy(), h.frames
	smaller := func(side int) (data []byte, mime string, w, h int, err error) {
		if r.Width <= side && r.Height <= side {
			return nil, "", 0, 0, nil
		}
		m = shrink(m, side)
		if data, mime, err = encode(m, "", 80); mime == "image/jpeg" {
			data = profile(data, 4<<10)
		}
		if mime == "image/png" && len(data) >= len(out.clean) { // nothing is gained
			return nil, "", 0, 0, err
		}
		return data, mime, m.Bounds().Dx(), m.Bounds().Dy(), err
	}
	if out.large, r.LargeMime, r.LargeWidth, r.LargeHeight, err = smaller(Large); err != nil {
		return r, out, err
	}
	if out.small, r.SmallMime, r.SmallWidth, r.SmallHeight, err = smaller(Small); err != nil {
		return r, out, err
	}
	x, y := 4, 3
	if r.Height > r.Width {
		x, y = 3, 4
	}
	r.Placeholder, err = blurhash.Encode(x, y, flat(shrink(m, 32)))
	return r, out, err
}

// flat is m on white, as a placeholder has no holes.
func flat(m image.Image) image.Image {
	b := image.Rect(0, 0, m.Bounds().Dx(), m.Bounds().Dy())
	f := image.NewRGBA(b)
	draw.Draw(f, b, image.White, image.Point{}, draw.Src)
	draw.Draw(f, b, m, m.Bounds().Min, draw.Over)
	return f
}

// encode writes m in a format that can hold it: as PNG where it has holes or was one,
// else as JPEG.
func encode(m image.Image, was string, quality int) ([]byte, string, error) {
	var b bytes.Buffer
	opaque, ok := m.(interface{ Opaque() bool })
	if was == "image/png" || !ok || !opaque.Opaque() {
		err := png.Encode(&b, m)
		return b.Bytes(), "image/png", err
	}
	err := jpeg.Encode(&b, m, &jpeg.Options{Quality: quality})
	return b.Bytes(), "image/jpeg", err
}

// shrink makes m's longer side to pixels long, unless it is no longer than that.
// Pictures much larger than that are first averaged over squares of whole pixels,
// which takes little memory and leaves no patterns.
func shrink(m image.Image, to int) image.Image {
	b := m.Bounds()
	longer := max(b.Dx(), b.Dy())
	if longer <= to {
		return m
	}
	w, h := max(1, b.Dx()*to/longer), max(1, b.Dy()*to/longer)
	if n := longer / (2 * to); n > 1 {
		m = average(m, n)
	}
	out := image.NewRGBA(image.Rect(0, 0, w, h))
	scale.CatmullRom.Scale(out, out.Bounds(), m, m.Bounds(), scale.Src, nil)
	return out
}

// average makes one pixel of each n × n pixels.
func average(m image.Image, n int) image.Image {
	b := m.Bounds()
	w, h := max(1, b.Dx()/n), max(1, b.Dy()/n)
	out := image.NewRGBA(image.Rect(0, 0, w, h))
	strip := image.NewRGBA(image.Rect(0, 0, b.Dx(), n))
	for y := range h {
		rows := min(n, b.Dy()-y*n)
		draw.Draw(strip, image.Rect(0, 0, b.Dx(), rows), m, b.Min.Add(image.Pt(0, y*n)), draw.Src)
		for x := range w {
			columns := min(n, b.Dx()-x*n)
			var sum [4]uint32
			for r := range rows {
				row := strip.Pix[r*strip.Stride+4*x*n:][:4*columns]
				for i := 0; i < len(row); i += 4 {
					sum[0] += uint32(row[i])
					sum[1] += uint32(row[i+1])
					sum[2] += uint32(row[i+2])
					sum[3] += uint32(row[i+3])
				}
			}
			pixels := uint32(rows * columns)
			at := out.Pix[y*out.Stride+4*x:][:4]
			for i := range at {
				at[i] = uint8((sum[i] + pixels/2) / pixels)
			}
		}
	}
	return out
}

// turn gives m as EXIF's orientation has it seen.
func turn(m image.Image, orientation int) image.Image {
	b := m.Bounds()
	from := image.NewRGBA(image.Rect(0, 0, b.Dx(), b.Dy()))
	draw.Draw(from, from.Bounds(), m, b.Min, draw.Src)
	w, h := b.Dx(), b.Dy()
	if orientation >= 5 {
		w, h = h, w
	}
	to := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			sx, sy := x, y
			switch orientation {
			case 2:
				sx = w - 1 - x
			case 3:
				sx, sy = w-1-x, h-1-y
			case 4:
				sy = h - 1 - y
			case 5:
				sx, sy = y, x
			case 6:
				sx, sy = y, w-1-x
			case 7:
				sx, sy = h-1-y, w-1-x
			case 8:
				sx, sy = h-1-y, x
			}
			copy(to.Pix[y*to.Stride+4*x:][:4], from.Pix[sy*from.Stride+4*sx:][:4])
		}
	}
	return to
}
