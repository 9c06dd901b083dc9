package sound

import (
	"bufio"
	"encoding/binary"
	"io"
	"time"
)

// PCMRate is the samples per second of what PCM reads.
const PCMRate = 8000

// PCM measures samples of 16 bits, lowest byte first, of one channel.
func PCM(r io.Reader) (Result, error) {
	const part = PCMRate / 100 // samples that are one loudness: 10 ms
	var parts []float64
	in := bufio.NewReaderSize(r, 64<<10)
	var samples int64
	for {
		var b [2]byte
		if _, err := io.ReadFull(in, b[:]); err == io.EOF || err == io.ErrUnexpectedEOF {
			break
		} else if err != nil {
			return Result{}, err
		}
		v := float64(int16(binary.LittleEndian.Uint16(b[:]))) / (1 << 15)
		if samples%part == 0 {
			parts = append(parts, 0)
		}
		last := &parts[len(parts)-1]
		*last = max(*last, v, -v)
		samples++
	}
	if samples == 0 {
		return Result{}, nil
	}
	m := meter{samples: int64(len(parts))}
	for _, p := range parts {
		m.add(p)
	}
	return Result{Duration: time.Duration(samples) * time.Second / PCMRate, Peaks: m.bytes()}, nil
}
