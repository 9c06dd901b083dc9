package picture

import (
	"context"
	"io"
	"os"

	"github.com/troupe-im/troupe/filectr/child"
)

const called = "picture"

func init() {
	child.Serve(called, func(in io.Reader, outs []io.Writer) (any, error) {
		data, err := io.ReadAll(in)
		if err != nil {
			return nil, err
		}
		r, out, err := render(data)
		for i, data := range [][]byte{out.clean, out.small, out.large} {
			if err == nil {
				_, err = outs[i].Write(data)
			}
		}
		return r, err
	})
}

// Look has a child look at the picture in the file in, and write the cleaned picture
// and smaller ones into clean, small and large. *child.Refused: it is none, or is over
// a bound.
func Look(ctx context.Context, in, clean, small, large *os.File) (r Result, err error) {
	return r, child.Run(ctx, called, &r, in, clean, small, large)
}
