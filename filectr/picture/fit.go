package picture

import (
	"context"
	"io"
	"os"

	"github.com/bbrks/go-blurhash"

	"github.com/troupe-im/troupe/filectr/child"
)

const calledFit = "picture-fit"

// Fits is the longer side of what Fit makes, in pixels at most.
const Fits = 640

// Fitted is one still picture that was made of another.
type Fitted struct {
	Mime          string // image/jpeg or image/png
	Width, Height int
	Placeholder   string // a blurhash
}

func init() {
	child.Serve(calledFit, func(in io.Reader, outs []io.Writer) (any, error) {
		data, err := io.ReadAll(in)
		if err != nil {
			return nil, err
		}
		r, out, err := fit(data)
		if err == nil {
			_, err = outs[0].Write(out)
		}
		return r, err
	})
}

// Fit has a child make a still picture, as it is meant to be seen, of the picture in the
// file in: written anew, so that nothing of it is left but what is seen, and no larger
// than Fits. *child.Refused: it is none, or is over a bound.
func Fit(ctx context.Context, in, out *os.File) (r Fitted, err error) {
	return r, child.Run(ctx, calledFit, &r, in, out)
}

func fit(in []byte) (r Fitted, out []byte, err error) {
	mime := mimeOf(in)
	h, cleaned, err := clean(mime, in)
	if err != nil {
		return r, nil, err
	}
	m, err := decode(mime, cleaned)
	if err != nil {
		return r, nil, errCut
	}
	b := m.Bounds()
	if err := (head{width: b.Dx(), height: b.Dy()}).check(); err != nil {
		return r, nil, err
	}
	small := shrink(m, Fits)
	if h.frames == 1 && h.orientation != 1 {
		small = turn(small, h.orientation)
	}
	if out, r.Mime, err = encode(small, "", 82); err != nil {
		return r, nil, err
	}
	if mime == "image/jpeg" && r.Mime == "image/jpeg" {
		out = withProfile(out, cleaned, 4<<10)
	}
	r.Width, r.Height = small.Bounds().Dx(), small.Bounds().Dy()
	x, y := 4, 3
	if r.Height > r.Width {
		x, y = 3, 4
	}
	r.Placeholder, err = blurhash.Encode(x, y, flat(shrink(small, 32)))
	return r, out, err
}
