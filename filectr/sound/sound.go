// Package sound finds out how long a voice message is and how loud it is over time,
// for WAV and Ogg Opus. Decoding happens in a child process with bounds: see package
// child.
package sound

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/troupe-im/troupe/filectr/child"
)

// Count is how many peaks a voice message has.
const Count = 64

// longest is what is decoded for peaks; of more, only the duration is told.
const longest = 30 * time.Minute

// Result is what is known of a sound.
type Result struct {
	Duration time.Duration
	Peaks    []byte // Count of them: the loudest sample of each part, 255 is full scale. None: not known
}

const called = "sound"

func init() {
	child.Serve(called, func(in io.Reader, _ []io.Writer) (any, error) {
		data, err := io.ReadAll(in)
		if err != nil {
			return nil, err
		}
		return measure(data)
	})
}

// Look has a child measure the sound in the file in. *child.Refused: it is neither
// WAV nor Ogg Opus, or is damaged, or takes too long.
func Look(ctx context.Context, in *os.File) (r Result, err error) {
	return r, child.Run(ctx, called, &r, in)
}

var errDamaged = errors.New("the sound is cut off or damaged")

func measure(in []byte) (Result, error) {
	switch {
	case len(in) > 12 && string(in[:4]) == "RIFF" && string(in[8:12]) == "WAVE":
		return wav(in)
	case len(in) > 4 && string(in[:4]) == "OggS":
		return oggOpus(in)
	}
	return Result{}, fmt.Errorf("it is neither WAV nor Ogg Opus")
}

// meter makes peaks of a known number of samples.
type meter struct {
	peaks   [Count]float64
	samples int64 // in all
	seen    int64
}

// add takes the next sample, between -1 and 1.
func (m *meter) add(sample float64) {
	if sample < 0 {
		sample = -sample
	}
	i := min(m.seen*Count/max(m.samples, 1), Count-1)
	m.peaks[i] = max(m.peaks[i], min(sample, 1))
	m.seen++
}

func (m *meter) bytes() []byte {
	b := make([]byte, Count)
	for i, p := range m.peaks {
		b[i] = byte(p*255 + 0.5)
	}
	return b
}
