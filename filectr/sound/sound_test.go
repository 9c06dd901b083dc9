package sound

import (
	"bytes"
	_ "embed"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/troupe-im/troupe/filectr/child"
)

// tone is two seconds of 440 Hz, eight times as loud in the second one. It was made
// by: ffmpeg -f lavfi -i sine=frequency=440:duration=2 -af "volume='if(lt(t,1),0.5,4)':eval=frame"
// -ac 1 -ar 16000 -c:a libopus -b:a 12k tone.ogg
//
//go:embed testdata/tone.ogg
var tone []byte

// wavOf is half a second of silence, then half a second at half of full scale.
func wavOf(format, bits, channels int) []byte {
	const rate = 8000
	var data []byte
	for i := range rate * channels {
		v := 0.0
		if i >= rate*channels/2 {
			v = 0.5 * math.Copysign(1, float64(i%2)-0.5)
		}
		switch {
		case format == wavFloat:
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(v)))
		case bits == 8:
			data = append(data, byte(128+v*128))
		default:
			n := uint32(int32(v * (1 << 31)))
			var b [4]byte
			binary.LittleEndian.PutUint32(b[:], n)
			data = append(data, b[4-bits/8:]...)
		}
	}
	b := []byte("RIFF\x00\x00\x00\x00WAVELIST\x03\x00\x00\x00abc\x00fmt \x10\x00\x00\x00")
	b = binary.LittleEndian.AppendUint16(b, uint16(format))
	b = binary.LittleEndian.AppendUint16(b, uint16(channels))
	b = binary.LittleEndian.AppendUint32(b, rate)
	b = binary.LittleEndian.AppendUint32(b, uint32(rate*channels*bits/8))
	b = binary.LittleEndian.AppendUint16(b, uint16(channels*bits/8))
	b = binary.LittleEndian.AppendUint16(b, uint16(bits))
	b = append(b, "data"...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(data)))
	return append(b, data...)
}

func TestAWAVHasItsDurationAndPeaks(t *testing.T) {
	for _, c := range []struct{ format, bits, channels int }{{wavPCM, 8, 1}, {wavPCM, 16, 1}, {wavPCM, 16, 2}, {wavPCM, 24, 2}, {wavPCM, 32, 1}, {wavFloat, 32, 1}} {
		in := wavOf(c.format, c.bits, c.channels)
		r, err := measure(in)
		if err != nil || r.Duration != time.Second || len(r.Peaks) != Count {
			t.Fatalf("%+v: %+v, %v", c, r, err)
		}
		for i, p := range r.Peaks {
			if i < Count/2 && p != 0 || i >= Count/2 && (p < 126 || p > 129) {
				t.Errorf("%+v: peak %d is %d", c, i, p)
			}
		}
		// A recorder that could not go back says that its data never end.
		at := bytes.Index(in, []byte("data")) + 4
		binary.LittleEndian.PutUint32(in[at:], math.MaxUint32)
		if again, err := measure(in); err != nil || again.Duration != time.Second {
			t.Errorf("%+v without an end: %+v, %v", c, again, err)
		}
	}
	law := wavOf(wavPCM, 8, 1)
	law[bytes.Index(law, []byte("fmt "))+8] = 7 // µ-law
	if r, err := measure(law); err != nil || r.Duration != time.Second || r.Peaks != nil {
		t.Errorf("µ-law: %+v, %v", r, err)
	}
}

func TestOggOpusHasItsDurationAndPeaks(t *testing.T) {
	r, err := measure(tone)
	if err != nil || r.Duration.Round(50*time.Millisecond) != 2*time.Second || len(r.Peaks) != Count {
		t.Fatalf("%+v, %v", r, err)
	}
	quiet, loud := int(r.Peaks[Count/4]), int(r.Peaks[Count*3/4])
	if quiet < 10 || quiet > 25 || loud < 7*quiet || loud > 9*quiet {
		t.Errorf("the quiet second is %d, the loud one %d, which is not eight times that", quiet, loud)
	}
}

func TestDamagedSoundsAreToldOrRefused(t *testing.T) {
	for name, in := range map[string][]byte{"wav": wavOf(wavPCM, 16, 1), "ogg": tone} {
		for n := 0; n < len(in); n += 1 + len(in)/50 {
			if r, err := measure(in[:n]); err == nil && r.Duration > 2100*time.Millisecond {
				t.Errorf("%d bytes of a %s last %v", n, name, r.Duration)
			}
		}
	}
	if _, err := measure([]byte("OggS is not enough of it")); err == nil {
		t.Error("it is a sound")
	}
}

func TestAChildMeasuresASound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	for says, in := range map[string][]byte{"a sound": tone, "none": []byte("none")} {
		if err := os.WriteFile(path, in, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		r, err := Look(t.Context(), f)
		var no *child.Refused
		if says == "none" && !errors.As(err, &no) || says != "none" && (err != nil || len(r.Peaks) != Count) {
			t.Errorf("%s: %+v, %v", says, r, err)
		}
	}
}

func FuzzMeasure(f *testing.F) {
	f.Add(tone)
	f.Add(wavOf(wavPCM, 16, 1)[:500])
	f.Fuzz(func(t *testing.T, in []byte) {
		r, err := measure(in)
		if err == nil && (r.Duration < 0 || len(r.Peaks) != 0 && len(r.Peaks) != Count) {
			t.Errorf("%+v", r)
		}
	})
}
