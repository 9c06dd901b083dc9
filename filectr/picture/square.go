package picture

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/jpeg"
	"io"
	"os"

	scale "golang.org/x/image/draw"

	"github.com/troupe-im/troupe/filectr/child"
	"github.com/troupe-im/troupe/filectr/face"
)

const calledSquare = "square"

// Squares are the sides of an avatar's pictures, in pixels.
const (
	SquareSmall = 96
	SquareLarge = 320
)

// Squared is what was cut out.
type Squared struct{ Side int } // of the larger picture

func init() {
	child.Serve(calledSquare, func(in io.Reader, outs []io.Writer) (any, error) {
		data, err := io.ReadAll(in)
		if err != nil {
			return nil, err
		}
		side, out, err := square(data)
		for i, data := range out {
			if err == nil {
				_, err = outs[i].Write(data)
			}
		}
		return Squared{side}, err
	})
}

// Square has a child cut the middle out of the picture in the file in, and write it as
// JPEG into large and small, and into tile as package face has its tiles. *child.Refused: it is none, or is over a bound.
func Square(ctx context.Context, in, small, large, tile *os.File) (r Squared, err error) {
	return r, child.Run(ctx, calledSquare, &r, in, small, large, tile)
}

// square gives the side of the larger picture, and small, large and tile.
func square(in []byte) (side int, out [3][]byte, err error) {
	mime := mimeOf(in)
	h, cleaned, err := clean(mime, in)
	if err != nil {
		return 0, out, err
	}
	m, err := decode(mime, cleaned)
	if err != nil {
		return 0, out, errCut
	}
	b := m.Bounds()
	if err := (head{width: b.Dx(), height: b.Dy()}).check(); err != nil {
		return 0, out, err
	}
	cut := min(b.Dx(), b.Dy())
	at := b.Min.Add(image.Pt((b.Dx()-cut)/2, (b.Dy()-cut)/2))
	part, ok := m.(interface {
		SubImage(image.Rectangle) image.Image
	})
	if !ok {
		return 0, out, errors.New("the picture cannot be cut")
	}
	m = part.SubImage(image.Rectangle{at, at.Add(image.Pt(cut, cut))})
	side = min(cut, SquareLarge)
	large := flat(shrink(m, side))
	if h.orientation != 1 {
		large = turn(large, h.orientation)
	}
	for i, side := range []int{min(cut, SquareSmall), side} {
		var w bytes.Buffer
		if err := jpeg.Encode(&w, flat(shrink(large, side)), &jpeg.Options{Quality: 88}); err != nil {
			return 0, out, err
		}
		out[i] = w.Bytes()
		if mime == "image/jpeg" {
			out[i] = withProfile(out[i], cleaned, 4<<10)
		}
	}
	tile := image.NewRGBA(image.Rect(0, 0, face.TileSide, face.TileSide))
	scale.CatmullRom.Scale(tile, tile.Bounds(), large, large.Bounds(), scale.Src, nil)
	for i := 0; i < len(tile.Pix); i += 4 {
		out[2] = append(out[2], tile.Pix[i:i+3]...)
	}
	return side, out, nil
}
