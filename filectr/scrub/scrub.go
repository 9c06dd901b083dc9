// Package scrub takes out of videos and voice what they say besides the picture and the
// sound: where and when they were taken, by whom, with what. It is done in place, nothing
// moves: what is taken out becomes room that is left free, which every format knows, and
// zeros. What is not known to be needed for playing is taken out as well.
package scrub

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
)

// File is a file that is cleaned in place.
type File interface {
	io.ReaderAt
	io.WriterAt
}

// Refused says why a file cannot be cleaned.
type Refused struct{ Reason string }

func (r *Refused) Error() string { return r.Reason }

// Known says whether files of a type are cleaned here.
func Known(mime string) bool { return cleaners[mime] != nil }

var cleaners = map[string]func(*job) error{
	"video/mp4": (*job).iso, "video/quicktime": (*job).iso, "video/3gpp": (*job).iso, "audio/mp4": (*job).iso,
	"video/webm": (*job).matroska, "audio/webm": (*job).matroska, "video/x-matroska": (*job).matroska,
	"audio/mpeg": (*job).mp3, "audio/wav": (*job).wav, "audio/flac": (*job).flac,
}

// Clean cleans a file of a known type that has size bytes, and says whether anything
// was changed. A second time nothing is; that a first time was broken off is no harm.
// Of a damaged file it cleans as much as players can read. *Refused: it has more parts
// than are looked at, or ones that cannot be looked into.
func Clean(f File, size int64, mime string) (changed bool, err error) {
	j := &job{f: f, size: size}
	err = cleaners[mime](j)
	return j.changed, err
}

// job is one file being cleaned.
type job struct {
	f       File
	size    int64
	parts   int // seen so far
	boxed   int
	written int64
	changed bool

	window [4 << 10]byte // bytes of the file from at on
	at     int64
	n      int
	block  [64 << 10]byte
}

// maxParts is how many elements or samples are looked at: a recording of unknown length
// has some hundred elements a second, one of what was measured as many samples.
const maxParts = 4 << 20

// maxBoxes is the same of boxes: a recording in pieces of a second has two or three a second.
const maxBoxes = 1 << 18

// count is called once for each part.
func (j *job) count() error {
	if j.parts++; j.parts > maxParts {
		return &Refused{fmt.Sprintf("the file has more than %d parts", maxParts)}
	}
	return nil
}

// head gives up to n bytes, 4 KiB at most, from a place on; fewer only at the file's end.
// They are good until the next call.
func (j *job) head(at int64, n int) ([]byte, error) {
	if at < 0 || at >= j.size {
		return nil, nil
	}
	n = int(min(int64(n), j.size-at))
	if at < j.at || at+int64(n) > j.at+int64(j.n) {
		want := min(int64(len(j.window)), j.size-at)
		got, err := j.f.ReadAt(j.window[:want], at)
		if int64(got) < want {
			j.n = 0
			return nil, fmt.Errorf("scrub: %w", err)
		}
		j.at, j.n = at, got
	}
	from := int(at - j.at)
	return j.window[from : from+n], nil
}

// write puts bytes in the place of others.
func (j *job) write(at int64, b []byte) error {
	j.n = 0
	j.changed = true
	if _, err := j.f.WriteAt(b, at); err != nil {
		return fmt.Errorf("scrub: %w", err)
	}
	return nil
}

// zero makes zeros of all from a place up to another. Parts may overlap in a file that
// means harm: all together it reads no more than some times the file.
func (j *job) zero(from, to int64) error {
	from, to = max(from, 0), min(to, j.size)
	if to <= from {
		return nil
	}
	if j.written += to - from; j.written > 4*j.size {
		return &Refused{"the file's parts lie over each other"}
	}
	for at := from; at < to; {
		b := j.block[:min(int64(len(j.block)), to-at)]
		if n, err := j.f.ReadAt(b, at); n < len(b) {
			return fmt.Errorf("scrub: %w", err)
		}
		if len(bytes.Trim(b, "\x00")) > 0 {
			clear(b)
			if err := j.write(at, b); err != nil {
				return err
			}
		}
		at += int64(len(b))
	}
	return nil
}

// table reads numbers of width bytes, most significant first, that stand one behind
// the other.
func (j *job) table(from, to int64) *table {
	return &table{r: io.NewSectionReader(j.f, from, max(0, min(to, j.size)-from))}
}

type table struct {
	r    *io.SectionReader
	buf  [4 << 10]byte
	rest []byte
}

// next gives the next number; false: there is none.
func (t *table) next(width int) (uint64, bool) {
	if len(t.rest) < width {
		kept := copy(t.buf[:], t.rest)
		n, _ := io.ReadFull(t.r, t.buf[kept:])
		if t.rest = t.buf[:kept+n]; len(t.rest) < width {
			return 0, false
		}
	}
	var b [8]byte
	copy(b[8-width:], t.rest[:width])
	t.rest = t.rest[width:]
	return binary.BigEndian.Uint64(b[:]), true
}
