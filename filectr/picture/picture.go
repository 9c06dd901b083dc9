// Package picture looks at pictures that anybody may have made: it finds out their
// true size, turns them as they are meant to be seen, takes away what they say besides
// (where they were taken, above all), and makes smaller ones.
//
// Headers are looked at before anything is decoded, and decoding happens in a child
// process with bounds of memory and time: see package child.
package picture

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"

	"golang.org/x/image/webp"

	"github.com/troupe-im/troupe/filectr/child"
)

// Bounds of a picture, checked before it is decoded.
const (
	MaxPixels = 40_000_000
	MaxSide   = 12_000
	MaxFrames = 200
	// MaxMoving bounds the pixels of all frames together, as whoever shows them has to
	// decode them all.
	MaxMoving = 1_000_000_000
)

// ErrTooLarge says that a picture is over a bound; others that it is none.
var ErrTooLarge = fmt.Errorf("the picture is %w", child.ErrTooLarge)

// Said where nobody counts on.
var (
	errSides  = fmt.Errorf("%w: it has more than %d pixels a side", ErrTooLarge, MaxSide)
	errFrames = fmt.Errorf("%w: it has more than %d frames", ErrTooLarge, MaxFrames)
)

// head is what is known of a picture before it is decoded.
type head struct {
	width, height int
	frames        int
	orientation   int // as EXIF numbers it: 1 is upright
}

func (h head) check() error {
	switch {
	case h.width < 1 || h.height < 1:
		return errors.New("the picture has no size")
	case h.width > MaxSide || h.height > MaxSide || h.width*h.height > MaxPixels:
		return fmt.Errorf("%w: %d × %d pixels, and %d a side and %d in all are taken", ErrTooLarge, h.width, h.height, MaxSide, MaxPixels)
	case h.frames > MaxFrames || h.frames*h.width*h.height > MaxMoving:
		return fmt.Errorf("%w: %d frames, and %d of them or %d pixels together are taken", ErrTooLarge, h.frames, MaxFrames, MaxMoving)
	}
	return nil
}

// errCut says that a picture ends before its end.
var errCut = errors.New("the picture is cut off or damaged")

// clean reads a picture's structure and gives it again with nothing in it but the
// picture, its colours and how it moves.
func clean(mime string, in []byte) (h head, out []byte, err error) {
	switch mime {
	case "image/jpeg":
		h, out, err = cleanJPEG(in)
	case "image/png":
		h, out, err = cleanPNG(in)
	case "image/gif":
		h, out, err = cleanGIF(in)
	case "image/webp":
		h, out, err = cleanWebP(in)
	default:
		err = fmt.Errorf("%q is no picture that is looked at", mime)
	}
	if err == nil {
		err = h.check()
	}
	return h, out, err
}

// decode gives the first frame.
func decode(mime string, in []byte) (image.Image, error) {
	r := bytes.NewReader(in)
	switch mime {
	case "image/jpeg":
		return jpeg.Decode(r)
	case "image/png":
		return png.Decode(r)
	case "image/gif":
		return gif.Decode(r)
	}
	if still, at, canvas, ok := firstFrame(in); ok {
		m, err := webp.Decode(bytes.NewReader(still))
		if err != nil {
			return nil, err
		}
		return onto(m, at, canvas), nil
	}
	return webp.Decode(r)
}

// mimeOf tells a picture's type by its first bytes.
func mimeOf(in []byte) string {
	switch {
	case bytes.HasPrefix(in, []byte("\xff\xd8\xff")):
		return "image/jpeg"
	case bytes.HasPrefix(in, []byte("\x89PNG\r\n\x1a\n")):
		return "image/png"
	case bytes.HasPrefix(in, []byte("GIF8")):
		return "image/gif"
	case len(in) > 12 && string(in[:4]) == "RIFF" && string(in[8:12]) == "WEBP":
		return "image/webp"
	}
	return ""
}
