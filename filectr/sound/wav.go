package sound

import (
	"encoding/binary"
	"math"
	"time"
)

// Formats of samples (RFC 2361); extensible names another one behind.
const (
	wavPCM, wavFloat, wavExtensible = 1, 3, 0xfffe
)

// wav measures a RIFF WAVE file. Of encodings other than whole numbers and floats
// only the duration is known. A data chunk that says it is longer than the file, as
// recorders leave it that could not go back, ends with the file.
func wav(in []byte) (r Result, err error) {
	var format, channels, bits int
	var rate, perSecond, block int64
	var data []byte
	for at := 12; at+8 <= len(in) && data == nil; {
		name, size := string(in[at:at+4]), int64(binary.LittleEndian.Uint32(in[at+4:]))
		body := in[at+8:]
		body = body[:min(size, int64(len(body)))]
		switch {
		case name == "fmt " && len(body) >= 16:
			format, channels = int(binary.LittleEndian.Uint16(body)), int(binary.LittleEndian.Uint16(body[2:]))
			rate, perSecond = int64(binary.LittleEndian.Uint32(body[4:])), int64(binary.LittleEndian.Uint32(body[8:]))
			block, bits = int64(binary.LittleEndian.Uint16(body[12:])), int(binary.LittleEndian.Uint16(body[14:]))
			if format == wavExtensible && len(body) >= 26 {
				format = int(binary.LittleEndian.Uint16(body[24:]))
			}
		case name == "data":
			data = body
		}
		at += 8 + int(min(size+size&1, int64(len(in)-at-8)))
		if size == 0 && name == "data" {
			break
		}
	}
	if channels < 1 || rate < 1 || perSecond < 1 || block < 1 || data == nil {
		return r, errDamaged
	}
	width := int64(bits / 8)
	plain := format == wavPCM && width >= 1 && width <= 4 || format == wavFloat && width == 4
	if !plain || bits%8 != 0 || block != width*int64(channels) {
		r.Duration = time.Duration(float64(len(data)) / float64(perSecond) * float64(time.Second))
		return r, nil
	}
	frames := int64(len(data)) / block
	r.Duration = time.Duration(float64(frames) / float64(rate) * float64(time.Second))
	m := meter{samples: frames * int64(channels)}
	for at := int64(0); at+width <= frames*block; at += width {
		m.add(sample(data[at:at+width], format))
	}
	r.Peaks = m.bytes()
	return r, nil
}

// sample reads one; 8 bits are without a sign.
func sample(b []byte, format int) float64 {
	switch {
	case format == wavFloat:
		f := float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))
		if f != f {
			return 0
		}
		return f
	case len(b) == 1:
		return (float64(b[0]) - 128) / 128
	}
	var n int32
	for i, x := range b {
		n |= int32(x) << (8 * (4 - len(b) + i))
	}
	return float64(n) / (1 << 31)
}
